//! Registered resources, and the questions about them.

use sentinel_access::AccessError;
use sentinel_access::permissions::{Listing, NewResource, Question, Visibility, accessible, check};
use sentinel_authz::sentinel::{Grantee, Permission, ShareLevel};
use sentinel_core::WorkspaceRole::{Admin, Editor, Viewer};
use sentinel_store::on_both_backends;

use crate::world::{World, docs, document, document_of, share, token};

on_both_backends! {
    async fn registering_again_returns_what_is_there(store: TestStore) {
        let world = World::new(store);
        let (alice, bob) = (world.user("alice").await, world.user("bob").await);
        let workspace = world.workspace("acme", alice.id).await;
        world.join(workspace, &bob, Viewer).await;
        let first = world.register(workspace, alice.id, document(1), Visibility::Private).await;
        let before = world.facts().await;
        let again = world.register(workspace, bob.id, document(1), Visibility::Workspace).await;
        assert_eq!(again, first, "neither owner nor visibility is taken over");
        assert_eq!(world.facts().await, before);
    }

    async fn another_workspaces_resource_is_never_shown(store: TestStore) {
        let world = World::new(store);
        let (alice, bob) = (world.user("alice").await, world.user("bob").await);
        let (acme, other) = (world.workspace("acme", alice.id).await, world.workspace("other", bob.id).await);
        world.register(acme, alice.id, document(1), Visibility::Workspace).await;
        let new = NewResource { name: document(1), workspace: other, owner: bob.id, visibility: Visibility::Workspace };
        let refused = world
            .write(async |tx, access| access.permissions.register(tx, &docs(), new).await)
            .await
            .expect_err("elsewhere");
        assert!(matches!(refused, AccessError::ResourceElsewhere), "{refused:?}");
        assert_eq!(world.may(bob.id, other, &document(1)).await, (false, false));
        assert_eq!(world.may(bob.id, acme, &document(1)).await, (false, false), "whatever his token says");
    }

    async fn an_owner_is_a_member_and_a_service_keeps_to_its_scope(store: TestStore) {
        let world = World::new(store);
        let (alice, bob) = (world.user("alice").await, world.user("bob").await);
        let workspace = world.workspace("acme", alice.id).await;
        let new = |owner| NewResource { name: document(1), workspace, owner, visibility: Visibility::Workspace };
        let stranger = world.write(async |tx, access| access.permissions.register(tx, &docs(), new(bob.id)).await).await;
        assert!(matches!(stranger, Err(AccessError::OwnerNotMember)), "{stranger:?}");
        let record = world.register(workspace, alice.id, document(1), Visibility::Workspace).await;

        let wiki = "wiki".parse().expect("name");
        let id = record.resource.id;
        let grantee = Grantee::User(alice.id);
        let before = world.facts().await;
        let outcomes = [
            world.write(async |tx, access| access.permissions.register(tx, &wiki, new(alice.id)).await.map(drop)).await,
            world.read(async |tx, access| access.permissions.get(tx, &wiki, &document(1)).await.map(drop)).await,
            world.read(async |tx, access| access.permissions.get_enriched(tx, &wiki, &document(1)).await.map(drop)).await,
            world.write(async |tx, access| access.permissions.deregister(tx, &wiki, &document(1)).await).await,
            world.write(async |tx, access| access.permissions.unshare(tx, &wiki, id, grantee).await).await,
            world
                .write(async |tx, access| {
                    access.permissions.set_visibility(tx, &wiki, id, Visibility::Private).await.map(drop)
                })
                .await,
            world
                .write(async |tx, access| {
                    let caller = token(alice.id, workspace);
                    access.permissions.share(tx, &wiki, &caller, id, grantee, ShareLevel::View).await
                })
                .await,
        ];
        for outcome in outcomes {
            let error = outcome.expect_err("another service");
            assert_eq!(error.to_string(), "Service key is not authorized for service 'docs'");
        }
        assert_eq!(world.facts().await, before);
    }

    async fn visibility_opens_and_closes_a_resource(store: TestStore) {
        let world = World::new(store);
        let (alice, bob, carol) = (world.user("alice").await, world.user("bob").await, world.user("carol").await);
        let workspace = world.workspace("acme", alice.id).await;
        world.join(workspace, &bob, Viewer).await;
        world.join(workspace, &carol, Editor).await;
        let record = world.register(workspace, alice.id, document(1), Visibility::Private).await;
        let set = async |visibility| {
            let id = record.resource.id;
            world
                .write(async |tx, access| access.permissions.set_visibility(tx, &docs(), id, visibility).await)
                .await
                .expect("set")
        };
        assert_eq!(world.may(bob.id, workspace, &document(1)).await, (false, false));
        assert_eq!(set(Visibility::Workspace).await.resource.visibility, Visibility::Workspace);
        assert_eq!(world.last_action().await, "permission_visibility_changed");
        assert_eq!(world.may(bob.id, workspace, &document(1)).await, (true, false));
        assert_eq!(world.may(carol.id, workspace, &document(1)).await, (true, true));
        set(Visibility::Private).await;
        assert_eq!(world.may(carol.id, workspace, &document(1)).await, (false, false));
        assert_eq!(world.may(alice.id, workspace, &document(1)).await, (true, true));
    }

    async fn a_deregistered_resource_leaves_nothing(store: TestStore) {
        let world = World::new(store);
        let (alice, bob) = (world.user("alice").await, world.user("bob").await);
        let workspace = world.workspace("acme", alice.id).await;
        world.join(workspace, &bob, Viewer).await;
        let before = world.facts().await;
        let record = world.register(workspace, alice.id, document(1), Visibility::Workspace).await;
        share(&world, token(alice.id, workspace), &record, Grantee::User(bob.id), ShareLevel::Edit).await.expect("shared");
        let forget =
            async || world.write(async |tx, access| access.permissions.deregister(tx, &docs(), &document(1)).await).await;
        forget().await.expect("forgotten");
        assert_eq!(world.facts().await, before);
        assert!(matches!(forget().await, Err(AccessError::ResourceNotFound)));
        let found = world.read(async |tx, access| access.permissions.get(tx, &docs(), &document(1)).await).await;
        assert!(matches!(found, Err(AccessError::ResourceNotFound)), "{found:?}");
    }

    async fn an_enriched_record_has_names(store: TestStore) {
        let world = World::new(store);
        let (alice, bob) = (world.user("alice").await, world.user("bob").await);
        let workspace = world.workspace("acme", alice.id).await;
        world.join(workspace, &bob, Viewer).await;
        let group = world.group(workspace, "eng", &[]).await;
        let record = world.register(workspace, alice.id, document(1), Visibility::Private).await;
        let by = token(alice.id, workspace);
        share(&world, by.clone(), &record, Grantee::User(bob.id), ShareLevel::View).await.expect("shared");
        share(&world, by, &record, Grantee::Group(group), ShareLevel::Edit).await.expect("shared");
        let enriched = world
            .read(async |tx, access| access.permissions.get_enriched(tx, &docs(), &document(1)).await)
            .await
            .expect("enriched");
        assert_eq!(enriched.owner_name.as_deref(), Some("alice"));
        assert_eq!(enriched.owner_email.as_deref(), Some("alice@example.com"));
        let names: Vec<_> = enriched
            .shares
            .iter()
            .map(|share| (share.grantee_name.as_deref(), share.grantee_email.as_deref(), share.granted_by_name.as_deref()))
            .collect();
        assert_eq!(names, [
            (Some("bob"), Some("bob@example.com"), Some("alice")),
            (Some("eng"), None, Some("alice")),
        ]);
    }

    async fn questions_are_answered_in_order_and_all_or_none(store: TestStore) {
        let world = World::new(store);
        let (alice, bob) = (world.user("alice").await, world.user("bob").await);
        let workspace = world.workspace("acme", alice.id).await;
        world.join(workspace, &bob, Viewer).await;
        world.register(workspace, alice.id, document(1), Visibility::Workspace).await;
        world.register(workspace, alice.id, document(2), Visibility::Private).await;
        let graph = world.graph().await;
        let view = |name| Question { resource: name, permission: Permission::View };
        let caller = token(bob.id, workspace);
        let asked = [view(document(2)), view(document(1)), view(document(3))];
        assert_eq!(check(&graph, &docs(), &caller, &asked).expect("answers"), [false, true, false]);
        assert_eq!(check(&graph, &docs(), &caller, &[]).expect("no questions"), [] as [bool; 0]);
        let mixed = [view(document(1)), view(document_of("wiki", 1))];
        let refused = check(&graph, &docs(), &caller, &mixed).expect_err("another service's");
        assert_eq!(refused.to_string(), "Service key is not authorized for service 'wiki'");
    }

    async fn what_is_accessible_is_complete_ordered_and_can_be_paged(store: TestStore) {
        let world = World::new(store);
        let (alice, bob) = (world.user("alice").await, world.user("bob").await);
        let (acme, other) = (world.workspace("acme", alice.id).await, world.workspace("other", bob.id).await);
        world.join(acme, &bob, Viewer).await;
        for number in [5, 3, 1, 4, 2] {
            world.register(acme, alice.id, document(number), Visibility::Workspace).await;
        }
        world.register(acme, alice.id, document(6), Visibility::Private).await;
        world.register(other, bob.id, document(7), Visibility::Workspace).await;
        let graph = world.graph().await;
        let listing = |limit, after| Listing {
            service: docs(),
            kind: "document".parse().expect("name"),
            workspace: acme,
            permission: Permission::View,
            limit,
            after,
        };
        let ask = |user, listing: &Listing| accessible(&graph, &docs(), &token(user, acme), listing).expect("answer");
        let ids = |numbers: &[u128]| numbers.iter().map(|number| document(*number).id()).collect::<Vec<_>>();

        let all = ask(bob.id, &listing(None, None));
        assert_eq!((all.ids, all.has_full_access, all.next), (ids(&[1, 2, 3, 4, 5]), false, None));
        let page = ask(bob.id, &listing(Some(2), None));
        assert_eq!((page.ids, page.next), (ids(&[1, 2]), Some(document(2).id())));
        let page = ask(bob.id, &listing(Some(3), page.next));
        assert_eq!((page.ids, page.next), (ids(&[3, 4, 5]), None));

        let owner = ask(alice.id, &listing(None, None));
        assert_eq!((owner.ids, owner.has_full_access), (Vec::new(), true));
        let owner = ask(alice.id, &listing(Some(10), None));
        assert_eq!((owner.ids, owner.has_full_access), (ids(&[1, 2, 3, 4, 5, 6]), true));

        let elsewhere = Listing { workspace: other, ..listing(None, None) };
        let refused = accessible(&graph, &docs(), &token(bob.id, acme), &elsewhere).expect_err("another workspace");
        assert_eq!(refused.to_string(), "Cross-workspace lookup not allowed");
        let foreign = Listing { service: "wiki".parse().expect("name"), ..listing(None, None) };
        let refused = accessible(&graph, &docs(), &token(bob.id, acme), &foreign).expect_err("another service");
        assert!(matches!(refused, AccessError::ServiceScope(_)), "{refused:?}");
    }

    async fn admins_reach_what_is_private(store: TestStore) {
        let world = World::new(store);
        let (alice, bob) = (world.user("alice").await, world.user("bob").await);
        let workspace = world.workspace("acme", alice.id).await;
        world.join(workspace, &bob, Admin).await;
        world.register(workspace, alice.id, document(1), Visibility::Private).await;
        assert_eq!(world.may(bob.id, workspace, &document(1)).await, (true, true));
    }
}
