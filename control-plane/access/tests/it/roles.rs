//! Roles: what they allow, who has them, and what takes them away again.

use sentinel_access::members::Authority;
use sentinel_access::roles::{NewAction, Question, ServiceAction, check};
use sentinel_access::{AccessError, ErrorKind};
use sentinel_authz::sentinel::Grantee;
use sentinel_core::WorkspaceRole::{Admin, Editor, Owner, Viewer};
use sentinel_core::id::{RoleId, ServiceActionId, UserId, WorkspaceId};
use sentinel_core::name::{ActionName, ServiceName};
use sentinel_store::on_both_backends;

use crate::replay::replayed;
use crate::world::{World, docs, key, token};

fn action(name: &str) -> ActionName {
    name.parse().expect("name")
}

fn wiki() -> ServiceName {
    "wiki".parse().expect("name")
}

/// The service says what actions it has: each with a description, or without one if that is empty.
async fn register(world: &World, service: &ServiceName, actions: &[(&str, &str)]) -> Vec<ServiceAction> {
    let new = actions.iter().map(|(name, description)| NewAction {
        action: action(name),
        description: (!description.is_empty()).then(|| description.parse().expect("text")),
    });
    let new = new.collect();
    world
        .write(async |tx, access| access.roles.register(tx, service, service, new).await)
        .await
        .expect("registered")
}

/// A role that allows these actions.
async fn role(world: &World, workspace: WorkspaceId, name: &str, actions: &[ServiceActionId]) -> RoleId {
    let by = Authority::of_administrator(workspace, None);
    let name = name.parse().expect("name");
    world
        .write(async |tx, access| {
            let role = access.roles.create(tx, &by, name, None).await?;
            access.roles.add_actions(tx, &by, role.id, actions).await?;
            Ok(role.id)
        })
        .await
        .expect("role")
}

/// Whether the user may export reports of `docs`, and by which roles. The engine and the rows must agree.
async fn may_export(world: &World, workspace: WorkspaceId, user: UserId) -> Vec<String> {
    let question = Question {
        service: docs(),
        action: action("reports:export"),
        workspace,
    };
    let graph = world.graph().await;
    let allowed = check(&graph, &docs(), &token(user, workspace), &question).expect("an answer");
    let (roles, actions) = world
        .read(async |tx, access| {
            let roles = access.roles.roles_allowing(tx, user, &question).await?;
            let actions = access.roles.actions_of(tx, workspace, user, &docs()).await?;
            Ok((roles, actions))
        })
        .await
        .expect("rows");
    assert_eq!(allowed, !roles.is_empty(), "{roles:?}");
    assert_eq!(allowed, actions.contains(&question.action), "{actions:?}");
    roles
}

on_both_backends! {
    async fn registering_again_changes_only_what_is_said(store: TestStore) {
        let world = World::new(store);
        let first = register(&world, &docs(), &[("b", "two"), ("a", ""), ("b", "last"), ("b", "")]).await;
        let seen: Vec<_> = first.iter().map(|row| (row.action.as_str(), row.description.as_deref())).collect();
        assert_eq!(seen, [("a", None), ("b", Some("last"))]);
        let again = register(&world, &docs(), &[("b", ""), ("a", "one")]).await;
        assert_eq!(again[1], first[1], "nothing said, nothing cleared");
        assert_eq!((again[0].id, again[0].created_at), (first[0].id, first[0].created_at));
        assert_eq!(again[0].description.as_deref(), Some("one"));
        let other = register(&world, &wiki(), &[("a", "")]).await;
        assert_ne!(other[0].id, first[0].id, "an action belongs to its service");
        assert_eq!(register(&world, &docs(), &[]).await, []);
        let list = async |service: Option<&ServiceName>| {
            world.read(async |tx, access| access.roles.list_actions(tx, service).await).await.expect("list")
        };
        assert_eq!(list(Some(&docs())).await, again);
        assert_eq!(list(None).await, [again, other].concat());
        let foreign = world
            .write(async |tx, access| access.roles.register(tx, &wiki(), &docs(), Vec::new()).await)
            .await
            .expect_err("another service");
        assert_eq!(foreign.to_string(), "Service key is not authorized for service 'docs'");
    }

    async fn a_role_is_held_by_a_user_or_through_a_group(store: TestStore) {
        let world = World::new(store);
        let (alice, bob) = (world.user("alice").await, world.user("bob").await);
        let acme = world.workspace("acme", alice.id).await;
        let other = world.workspace("other", alice.id).await;
        world.join(acme, &bob, Viewer).await;
        world.join(other, &bob, Viewer).await;
        let export = register(&world, &docs(), &[("reports:export", "")]).await[0].id;
        let writer = role(&world, acme, "writer", &[export]).await;
        let auditor = role(&world, acme, "auditor", &[export]).await;
        let group = world.group(acme, "eng", &[bob.id]).await;
        let by = Authority::of_administrator(acme, Some(alice.id));
        assert!(may_export(&world, acme, alice.id).await.is_empty(), "an owner has no actions");
        assert!(may_export(&world, acme, bob.id).await.is_empty());

        world.write(async |tx, access| access.roles.give(tx, &by, writer, Grantee::User(bob.id)).await).await.expect("given");
        assert_eq!(world.last_action().await, "role_member_added");
        assert_eq!(may_export(&world, acme, bob.id).await, ["writer"]);
        world.write(async |tx, access| access.roles.give(tx, &by, auditor, Grantee::Group(group)).await).await.expect("given");
        assert_eq!(may_export(&world, acme, bob.id).await, ["auditor", "writer"], "sorted");
        assert!(may_export(&world, other, bob.id).await.is_empty(), "a role is of one workspace");
        assert!(may_export(&world, acme, alice.id).await.is_empty(), "she is not in the group");

        let (users, groups) = world
            .read(async |tx, access| {
                Ok((access.roles.users(tx, acme, writer).await?, access.roles.groups(tx, acme, auditor).await?))
            })
            .await
            .expect("holders");
        assert_eq!((users[0].user, users[0].email.as_str(), users[0].assigned_by), (bob.id, "bob@example.com", Some(alice.id)));
        assert_eq!((groups[0].group, groups[0].name.as_str(), groups[0].member_count), (group, "eng", 1));
        let listed = world.read(async |tx, access| access.roles.list(tx, acme).await).await.expect("roles");
        let counts: Vec<_> =
            listed.iter().map(|row| (row.role.id, row.action_count, row.member_count, row.group_count)).collect();
        assert_eq!(counts, [(writer, 1, 1, 0), (auditor, 1, 0, 1)]);

        world.write(async |tx, access| access.roles.take(tx, &by, writer, Grantee::User(bob.id)).await).await.expect("taken");
        assert_eq!(may_export(&world, acme, bob.id).await, ["auditor"]);
        world.write(async |tx, access| access.groups.remove_member(tx, &by, group, bob.id).await).await.expect("out");
        assert!(may_export(&world, acme, bob.id).await.is_empty());
    }

    async fn what_goes_takes_the_permission_with_it(store: TestStore) {
        let world = World::new(store);
        let (alice, bob, carol) = (world.user("alice").await, world.user("bob").await, world.user("carol").await);
        let acme = world.workspace("acme", alice.id).await;
        world.join(acme, &bob, Viewer).await;
        world.join(acme, &carol, Viewer).await;
        let by = Authority::of_administrator(acme, None);
        let app = world.service_app("docs", key(1)).await;
        let plain = world.facts().await;
        let setup = async || {
            let export = register(&world, &docs(), &[("reports:export", "")]).await[0].id;
            let group = world.group(acme, "eng", &[bob.id]).await;
            let role = role(&world, acme, "writer", &[export]).await;
            world
                .write(async |tx, access| {
                    access.roles.give(tx, &by, role, Grantee::User(carol.id)).await?;
                    access.roles.give(tx, &by, role, Grantee::Group(group)).await
                })
                .await
                .expect("given");
            assert_eq!(may_export(&world, acme, bob.id).await, ["writer"]);
            assert_eq!(may_export(&world, acme, carol.id).await, ["writer"]);
            (export, group, role)
        };

        let in_step = async || assert_eq!(replayed(&world).await, world.facts().await, "edges are told all of it");

        let (export, group, role) = setup().await;
        let only_role = world.facts().await.len();
        world.write(async |tx, access| access.roles.delete_action(tx, None, export).await).await.expect("deleted");
        assert_eq!(world.last_action().await, "service_action_deleted");
        assert!(may_export(&world, acme, bob.id).await.is_empty() && may_export(&world, acme, carol.id).await.is_empty());
        assert_eq!(world.facts().await.len(), only_role - 1);
        in_step().await;
        let again = register(&world, &docs(), &[("reports:export", "")]).await[0].id;
        assert!(may_export(&world, acme, carol.id).await.is_empty(), "what a role allowed does not come back");
        world.write(async |tx, access| access.roles.add_actions(tx, &by, role, &[again]).await).await.expect("added");

        world.write(async |tx, access| access.groups.delete(tx, &by, group).await).await.expect("deleted");
        assert!(may_export(&world, acme, bob.id).await.is_empty());
        assert_eq!(may_export(&world, acme, carol.id).await, ["writer"]);
        in_step().await;

        world.write(async |tx, access| access.members.remove(tx, &by, carol.id).await).await.expect("removed");
        assert!(may_export(&world, acme, carol.id).await.is_empty());
        in_step().await;
        world.join(acme, &carol, Admin).await;
        assert!(may_export(&world, acme, carol.id).await.is_empty(), "it does not come back with her");

        world.write(async |tx, access| access.roles.delete(tx, &by, role).await).await.expect("deleted");
        assert_eq!(world.last_action().await, "role_deleted");
        world.write(async |tx, access| access.members.change_role(tx, &by, carol.id, Viewer).await).await.expect("as before");
        assert_eq!(world.facts().await, plain, "nothing is left of it");
        in_step().await;

        let (_, group, role) = setup().await;
        world.write(async |tx, access| access.service_apps.delete(tx, None, app.id).await).await.expect("deleted");
        assert!(may_export(&world, acme, bob.id).await.is_empty() && may_export(&world, acme, carol.id).await.is_empty());
        let left = world.read(async |tx, access| access.roles.list_actions(tx, None).await).await.expect("list");
        assert_eq!(left, []);
        in_step().await;
        world.write(async |tx, access| access.groups.delete(tx, &by, group).await).await.expect("deleted");
        world.write(async |tx, access| access.roles.delete(tx, &by, role).await).await.expect("deleted");
        setup().await;
        world.write(async |tx, access| access.workspaces.delete(tx, &by).await).await.expect("deleted");
        assert_eq!(world.facts().await.len(), 0);
        in_step().await;
    }

    async fn what_is_there_already_is_said_clearly(store: TestStore) {
        let world = World::new(store);
        let (alice, carol) = (world.user("alice").await, world.user("carol").await);
        let acme = world.workspace("acme", alice.id).await;
        let actions = register(&world, &docs(), &[("a", ""), ("b", "")]).await;
        let (a, b) = (actions[0].id, actions[1].id);
        let group = world.group(acme, "eng", &[]).await;
        let writer = role(&world, acme, "writer", &[a]).await;
        let second = role(&world, acme, "second", &[]).await;
        let by = Authority::of_administrator(acme, None);
        let name = || "writer".parse().expect("name");
        let taken = [
            world.write(async |tx, access| access.roles.create(tx, &by, name(), None).await.map(drop)).await,
            world.write(async |tx, access| access.roles.update(tx, &by, second, Some(name()), None).await.map(drop)).await,
        ];
        for outcome in taken {
            assert!(matches!(outcome, Err(AccessError::RoleNameTaken)), "{outcome:?}");
        }
        let add = async |actions: &[ServiceActionId]| {
            world.write(async |tx, access| access.roles.add_actions(tx, &by, writer, actions).await).await
        };
        let before = world.facts().await;
        let unknown = add(&[b, uuid::Uuid::nil().into()]).await.expect_err("no such action");
        assert_eq!(unknown.to_string(), "Service action not found");
        add(&[a, a]).await.expect("it allows that already");
        assert_eq!(world.facts().await, before);
        add(&[b, a, b]).await.expect("one more");
        let log = world.activity().await;
        assert_eq!(log[0].detail, Some(serde_json::json!({ "action_ids": [b] })));
        let allowed = world.read(async |tx, access| access.roles.actions_of_role(tx, acme, writer).await).await;
        assert_eq!(allowed.expect("actions"), actions);

        let add_user = async |user| world.write(async |tx, access| access.roles.give(tx, &by, writer, Grantee::User(user)).await).await;
        add_user(alice.id).await.expect("given");
        let twice = add_user(alice.id).await.expect_err("she has it");
        assert_eq!((twice.kind(), twice.to_string().as_str()), (ErrorKind::BadRequest, "Failed to assign role: the user has it already"));
        let stranger = add_user(carol.id).await.expect_err("no member");
        assert_eq!(stranger.to_string(), "User is not a member of this workspace");
        let add_group = async || world.write(async |tx, access| access.roles.give(tx, &by, writer, Grantee::Group(group)).await).await;
        add_group().await.expect("given");
        let twice = add_group().await.expect_err("it has it");
        assert_eq!((twice.kind(), twice.to_string().as_str()), (ErrorKind::Conflict, "Group is already assigned to this role"));

        let gone = world.write(async |tx, access| access.roles.take(tx, &by, second, Grantee::User(alice.id)).await).await;
        assert!(matches!(gone, Err(AccessError::RoleAssignmentNotFound)), "{gone:?}");
        let gone = world.write(async |tx, access| access.roles.take(tx, &by, second, Grantee::Group(group)).await).await;
        assert!(matches!(gone, Err(AccessError::RoleAssignmentNotFound)), "{gone:?}");
        let gone = world.write(async |tx, access| access.roles.remove_action(tx, &by, second, a).await).await;
        assert!(matches!(gone, Err(AccessError::RoleActionNotFound)), "{gone:?}");
    }

    async fn a_role_of_another_workspace_is_not_found(store: TestStore) {
        let world = World::new(store);
        let (alice, bob) = (world.user("alice").await, world.user("bob").await);
        let (acme, other) = (world.workspace("acme", alice.id).await, world.workspace("other", bob.id).await);
        let action = register(&world, &docs(), &[("reports:export", "")]).await[0].id;
        let theirs = role(&world, other, "secret", &[action]).await;
        let (group, mine) = (world.group(other, "eng", &[]).await, role(&world, acme, "writer", &[]).await);
        let by = world.authority(acme, alice.id, Owner).await.expect("an owner");
        let before = world.facts().await;
        let outcomes = [
            world.write(async |tx, access| access.roles.delete(tx, &by, theirs).await).await,
            world.write(async |tx, access| access.roles.update(tx, &by, theirs, None, None).await.map(drop)).await,
            world.write(async |tx, access| access.roles.add_actions(tx, &by, theirs, &[action]).await).await,
            world.write(async |tx, access| access.roles.remove_action(tx, &by, theirs, action).await).await,
            world.write(async |tx, access| access.roles.give(tx, &by, theirs, Grantee::User(alice.id)).await).await,
            world.write(async |tx, access| access.roles.take(tx, &by, theirs, Grantee::User(alice.id)).await).await,
            world.write(async |tx, access| access.roles.give(tx, &by, theirs, Grantee::Group(group)).await).await,
            world.write(async |tx, access| access.roles.take(tx, &by, theirs, Grantee::Group(group)).await).await,
            world.read(async |tx, access| access.roles.actions_of_role(tx, acme, theirs).await.map(drop)).await,
            world.read(async |tx, access| access.roles.users(tx, acme, theirs).await.map(drop)).await,
            world.read(async |tx, access| access.roles.groups(tx, acme, theirs).await.map(drop)).await,
        ];
        for outcome in outcomes {
            assert!(matches!(outcome, Err(AccessError::RoleNotFound)), "{outcome:?}");
        }
        let elsewhere = world.write(async |tx, access| access.roles.give(tx, &by, mine, Grantee::Group(group)).await).await;
        assert!(matches!(elsewhere, Err(AccessError::RoleGroupElsewhere)), "{elsewhere:?}");
        let nowhere = uuid::Uuid::nil().into();
        let nowhere = world.write(async |tx, access| access.roles.give(tx, &by, mine, Grantee::Group(nowhere)).await).await;
        assert!(matches!(nowhere, Err(AccessError::GroupNotFound)), "{nowhere:?}");
        let stranger = world.write(async |tx, access| access.roles.give(tx, &by, mine, Grantee::User(bob.id)).await).await;
        assert!(matches!(stranger, Err(AccessError::RoleHolderNotMember)), "{stranger:?}");
        assert_eq!(world.facts().await, before);
    }

    async fn an_editor_manages_no_roles(store: TestStore) {
        let world = World::new(store);
        let (alice, bob) = (world.user("alice").await, world.user("bob").await);
        let workspace = world.workspace("acme", alice.id).await;
        world.join(workspace, &bob, Editor).await;
        let writer = role(&world, workspace, "writer", &[]).await;
        let by = world.authority(workspace, bob.id, Editor).await.expect("an editor");
        let name = "own".parse().expect("name");
        let outcomes = [
            world.write(async |tx, access| access.roles.create(tx, &by, name, None).await.map(drop)).await,
            world.write(async |tx, access| access.roles.give(tx, &by, writer, Grantee::User(bob.id)).await).await,
            world.write(async |tx, access| access.roles.add_actions(tx, &by, writer, &[]).await).await,
            world.write(async |tx, access| access.roles.delete(tx, &by, writer).await).await,
        ];
        for outcome in outcomes {
            assert!(matches!(outcome, Err(AccessError::InsufficientRole)), "{outcome:?}");
        }
    }

    async fn a_service_asks_about_its_own_actions_and_the_users_own_workspace(store: TestStore) {
        let world = World::new(store);
        let alice = world.user("alice").await;
        let (acme, other) = (world.workspace("acme", alice.id).await, world.workspace("other", alice.id).await);
        let question = |workspace| Question { service: docs(), action: action("reports:export"), workspace };
        let graph = world.graph().await;
        let user = token(alice.id, acme);
        assert!(matches!(check(&graph, &docs(), &user, &question(acme)), Ok(false)), "nobody registered it");
        let foreign = check(&graph, &wiki(), &user, &question(acme)).expect_err("another service");
        assert_eq!(foreign.to_string(), "Service key is not authorized for service 'docs'");
        let across = check(&graph, &docs(), &user, &question(other)).expect_err("another workspace");
        assert_eq!(across.to_string(), "Cross-workspace check not allowed");
        let lookup = async |service: ServiceName, workspace| {
            world
                .read(async |tx, access| access.roles.lookup(tx, &service, &user, workspace, &docs()).await)
                .await
        };
        assert_eq!(lookup(docs(), acme).await.expect("none"), []);
        assert!(matches!(lookup(wiki(), acme).await, Err(AccessError::ServiceScope(_))));
        assert!(matches!(lookup(docs(), other).await, Err(AccessError::CrossWorkspaceLookup)));
    }
}
