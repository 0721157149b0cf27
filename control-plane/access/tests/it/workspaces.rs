//! Workspaces.

use sentinel_access::AccessError;
use sentinel_access::members::Authority;
use sentinel_access::permissions::Visibility;
use sentinel_access::workspaces::NewWorkspace;
use sentinel_authz::sentinel::{Grantee, ShareLevel};
use sentinel_core::WorkspaceRole;
use sentinel_store::on_both_backends;

use crate::world::{World, document, share, token};

fn named(slug: &str) -> NewWorkspace {
    NewWorkspace {
        name: "Acme".parse().expect("name"),
        slug: slug.parse().expect("slug"),
        description: Some("Makes everything".parse().expect("text")),
    }
}

on_both_backends! {
    async fn who_makes_a_workspace_owns_it(store: TestStore) {
        let world = World::new(store);
        let alice = world.user("alice").await;
        let made = world
            .write(async |tx, access| access.workspaces.create(tx, Some(alice.id), alice.id, named("acme")).await)
            .await
            .expect("made");
        assert_eq!(made.slug.as_str(), "acme");
        assert_eq!(made.created_by, Some(alice.id));
        let mine = world.read(async |tx, access| access.members.workspaces_of(tx, alice.id).await).await.expect("mine");
        assert_eq!(mine, [(made.clone(), WorkspaceRole::Owner)]);
        assert!(world.authority(made.id, alice.id, WorkspaceRole::Owner).await.is_ok());
        assert_eq!(world.last_action().await, "workspace_created");
    }

    async fn a_slug_is_taken_once(store: TestStore) {
        let world = World::new(store);
        let alice = world.user("alice").await;
        world.workspace("acme", alice.id).await;
        let before = world.facts().await;
        let refused = world
            .write(async |tx, access| access.workspaces.create(tx, None, alice.id, named("acme")).await)
            .await
            .expect_err("taken");
        assert!(matches!(refused, AccessError::SlugTaken), "{refused:?}");
        assert_eq!(refused.to_string(), "A workspace with this slug already exists");
        assert_eq!(world.facts().await, before);
    }

    async fn what_is_not_given_stays(store: TestStore) {
        let world = World::new(store);
        let alice = world.user("alice").await;
        let workspace = world
            .write(async |tx, access| access.workspaces.create(tx, None, alice.id, named("acme")).await)
            .await
            .expect("made");
        let by = Authority::of_administrator(workspace.id, None);
        let name = Some("Acme & Sons".parse().expect("name"));
        let updated =
            world.write(async |tx, access| access.workspaces.update(tx, &by, name, None).await).await.expect("updated");
        assert_eq!(updated.name, "Acme & Sons");
        assert_eq!(updated.description.as_deref(), Some("Makes everything"));
        assert_eq!(updated.slug, workspace.slug);
    }

    async fn deleting_a_workspace_takes_everything_of_it_from_the_edges(store: TestStore) {
        let world = World::new(store);
        let (alice, bob) = (world.user("alice").await, world.user("bob").await);
        let other = world.workspace("other", bob.id).await;
        world.register(other, bob.id, document(9), Visibility::Workspace).await;
        let untouched = world.facts().await;

        let workspace = world.workspace("acme", alice.id).await;
        world.join(workspace, &bob, WorkspaceRole::Viewer).await;
        let group = world.group(workspace, "eng", &[bob.id]).await;
        let record = world.register(workspace, alice.id, document(1), Visibility::Private).await;
        let by = token(alice.id, workspace);
        share(&world, by.clone(), &record, Grantee::Group(group), ShareLevel::Edit).await.expect("shared");
        share(&world, by, &record, Grantee::User(bob.id), ShareLevel::View).await.expect("shared");
        assert_eq!(world.may(bob.id, workspace, &document(1)).await, (true, true));

        let admin = Authority::of_administrator(workspace, None);
        world.write(async |tx, access| access.workspaces.delete(tx, &admin).await).await.expect("deleted");
        assert_eq!(world.facts().await, untouched);
        assert_eq!(world.may(bob.id, workspace, &document(1)).await, (false, false));
        let email = bob.email.parse().expect("address");
        let name = "eng".parse().expect("name");
        for late in [
            world.write(async |tx, access| access.workspaces.delete(tx, &admin).await).await,
            world
                .write(async |tx, access| {
                    access.invitations.invite(tx, &admin, &email, WorkspaceRole::Viewer).await.map(drop)
                })
                .await,
            world.write(async |tx, access| access.groups.create(tx, &admin, name, None).await.map(drop)).await,
        ] {
            assert!(matches!(late, Err(AccessError::WorkspaceNotFound)), "{late:?}");
        }

        let log = world.activity().await;
        assert_eq!(log[0].action, "workspace_deleted");
        assert_eq!(log[0].target_id, workspace.as_uuid(), "the id outlives the workspace");
        assert_eq!(log[0].workspace, Some(workspace));
        assert_eq!(log[0].target_label, None);
    }

    async fn only_an_owner_deletes(store: TestStore) {
        let world = World::new(store);
        let (alice, bob) = (world.user("alice").await, world.user("bob").await);
        let workspace = world.workspace("acme", alice.id).await;
        world.join(workspace, &bob, WorkspaceRole::Admin).await;
        let by = world.authority(workspace, bob.id, WorkspaceRole::Admin).await.expect("an admin");
        let refused = world.write(async |tx, access| access.workspaces.delete(tx, &by).await).await;
        assert!(matches!(refused, Err(AccessError::InsufficientRole)), "{refused:?}");
    }

    async fn administrators_see_all_workspaces_in_pages(store: TestStore) {
        let world = World::new(store);
        let alice = world.user("alice").await;
        for slug in ["one", "two", "three"] {
            world.workspace(slug, alice.id).await;
        }
        let first = world.read(async |tx, access| access.workspaces.list_all(tx, 1, 2).await).await.expect("page");
        let slugs: Vec<&str> = first.items.iter().map(|listed| listed.workspace.slug.as_str()).collect();
        assert_eq!((slugs, first.total), (vec!["three", "two"], 3));
        let second = world.read(async |tx, access| access.workspaces.list_all(tx, 2, 2).await).await.expect("page");
        assert_eq!(second.items.len(), 1);
        assert_eq!(second.items[0].member_count, 1);
    }
    async fn a_user_who_is_gone_makes_no_workspace(store: TestStore) {
        let world = World::new(store);
        let nobody = uuid::Uuid::nil().into();
        let refused = world
            .write(async |tx, access| access.workspaces.create(tx, Some(nobody), nobody, named("acme")).await)
            .await;
        assert!(matches!(refused, Err(AccessError::UserNotFound)), "{refused:?}");
    }

    async fn two_who_change_different_things_both_have_their_way(store: TestStore) {
        let world = World::new(store);
        let alice = world.user("alice").await;
        let workspace = world.workspace("acme", alice.id).await;
        let group = world.group(workspace, "eng", &[]).await;
        let by = Authority::of_administrator(workspace, None);
        let (name, text) = ("Renamed", "Described");
        let mut tx = world.store.db.begin().await.expect("tx");
        let access = world.access.clone();
        access.workspaces.update(&mut tx, &by, name.parse().ok(), None).await.expect("renamed");
        access.groups.update(&mut tx, &by, group, name.parse().ok(), None).await.expect("renamed");
        let (db, other) = (world.store.db.clone(), access.clone());
        let mut second = tokio::spawn(async move {
            let mut tx = db.begin().await?;
            other.workspaces.update(&mut tx, &by, None, text.parse().ok()).await?;
            other.groups.update(&mut tx, &by, group, None, text.parse().ok()).await?;
            tx.commit().await?;
            Ok::<_, AccessError>(())
        });
        let waits = tokio::time::timeout(std::time::Duration::from_millis(300), &mut second).await;
        assert!(waits.is_err(), "the row is being changed");
        tx.commit().await.expect("commit");
        second.await.expect("no panic").expect("described");
        let found = world.read(async |tx, access| access.workspaces.get(tx, workspace).await).await.expect("workspace");
        assert_eq!((found.name.as_str(), found.description.as_deref()), (name, Some(text)));
        let groups = world.read(async |tx, access| access.groups.list(tx, workspace).await).await.expect("groups");
        assert_eq!((groups[0].name.as_str(), groups[0].description.as_deref()), (name, Some(text)));
    }
}
