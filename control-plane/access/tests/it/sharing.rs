//! Shares.

use sentinel_access::AccessError;
use sentinel_access::permissions::Visibility;
use sentinel_authz::sentinel::{Grantee, ShareLevel};
use sentinel_core::WorkspaceRole::{Admin, Editor, Viewer};
use sentinel_store::on_both_backends;

use crate::world::{World, docs, document, share, token};

on_both_backends! {
    async fn sharing_again_changes_the_level(store: TestStore) {
        let world = World::new(store);
        let (alice, bob) = (world.user("alice").await, world.user("bob").await);
        let workspace = world.workspace("acme", alice.id).await;
        world.join(workspace, &bob, Viewer).await;
        let record = world.register(workspace, alice.id, document(1), Visibility::Private).await;
        let to = Grantee::User(bob.id);
        let by = || token(alice.id, workspace);
        for (level, may) in [
            (ShareLevel::View, (true, false)),
            (ShareLevel::Edit, (true, true)),
            (ShareLevel::Edit, (true, true)),
            (ShareLevel::View, (true, false)),
        ] {
            share(&world, by(), &record, to, level).await.expect("shared");
            assert_eq!(world.may(bob.id, workspace, &document(1)).await, may, "{level:?}");
        }
        let shares = world
            .read(async |tx, access| access.permissions.get(tx, &docs(), &document(1)).await)
            .await
            .expect("record")
            .shares;
        assert_eq!(shares.len(), 1);
        assert_eq!((shares[0].level, shares[0].granted_by), (ShareLevel::View, Some(alice.id)));
        let logged = world.activity().await.iter().filter(|record| record.action == "permission_shared").count();
        assert_eq!(logged, 3, "sharing the same again changes nothing");
    }

    async fn only_the_owner_or_an_admin_shares_and_only_while_a_member(store: TestStore) {
        let world = World::new(store);
        let (alice, bob, carol) = (world.user("alice").await, world.user("bob").await, world.user("carol").await);
        let workspace = world.workspace("acme", alice.id).await;
        world.join(workspace, &bob, Editor).await;
        world.join(workspace, &carol, Admin).await;
        let bobs = world.register(workspace, bob.id, document(1), Visibility::Workspace).await;
        let alices = world.register(workspace, alice.id, document(2), Visibility::Workspace).await;
        let to = Grantee::User(carol.id);
        let tried = async |user, record| share(&world, token(user, workspace), record, to, ShareLevel::View).await;
        tried(bob.id, &bobs).await.expect("his own");
        let refused = tried(bob.id, &alices).await.expect_err("hers");
        assert_eq!(refused.to_string(), "Only the resource owner or workspace admin can share");
        tried(carol.id, &alices).await.expect("an admin");

        let elsewhere = world.workspace("other", bob.id).await;
        let refused = share(&world, token(bob.id, elsewhere), &bobs, to, ShareLevel::View).await.expect_err("elsewhere");
        assert_eq!(refused.to_string(), "Cross-workspace sharing not allowed");

        let by = world.authority(workspace, alice.id, Admin).await.expect("the owner");
        world.write(async |tx, access| access.members.remove(tx, &by, bob.id).await).await.expect("removed");
        let refused = tried(bob.id, &bobs).await;
        assert!(matches!(refused, Err(AccessError::NotAMember)), "{refused:?}");
    }

    async fn grantees_are_of_the_resources_workspace(store: TestStore) {
        let world = World::new(store);
        let (alice, bob) = (world.user("alice").await, world.user("bob").await);
        let (acme, other) = (world.workspace("acme", alice.id).await, world.workspace("other", bob.id).await);
        let record = world.register(acme, alice.id, document(1), Visibility::Private).await;
        let group = world.group(other, "eng", &[bob.id]).await;
        let before = world.facts().await;
        let to = async |grantee| {
            let shared = share(&world, token(alice.id, acme), &record, grantee, ShareLevel::View).await;
            shared.expect_err("a stranger").to_string()
        };
        assert_eq!(to(Grantee::User(bob.id)).await, "Grantee is not a member of this workspace");
        assert_eq!(to(Grantee::Group(group)).await, "Group does not belong to this workspace");
        assert_eq!(world.facts().await, before);
    }

    async fn a_share_is_taken_back_once(store: TestStore) {
        let world = World::new(store);
        let (alice, bob) = (world.user("alice").await, world.user("bob").await);
        let workspace = world.workspace("acme", alice.id).await;
        world.join(workspace, &bob, Viewer).await;
        let record = world.register(workspace, alice.id, document(1), Visibility::Private).await;
        let before = world.facts().await;
        let group = world.group(workspace, "eng", &[]).await;
        let with_group = world.facts().await;
        let to = Grantee::User(bob.id);
        share(&world, token(alice.id, workspace), &record, to, ShareLevel::View).await.expect("shared");
        let id = record.resource.id;
        let unshare = async |grantee| {
            world.write(async |tx, access| access.permissions.unshare(tx, &docs(), id, grantee).await).await
        };
        assert!(matches!(unshare(Grantee::Group(group)).await, Err(AccessError::ShareNotFound)));
        unshare(to).await.expect("taken back");
        assert_eq!(world.last_action().await, "permission_revoked");
        assert_eq!(world.facts().await, with_group);
        assert!(with_group.is_superset(&before));
        assert!(matches!(unshare(to).await, Err(AccessError::ShareNotFound)));
        let unknown = uuid::Uuid::from_u128(77).into();
        let missing = world.write(async |tx, access| access.permissions.unshare(tx, &docs(), unknown, to).await).await;
        assert!(matches!(missing, Err(AccessError::PermissionNotFound)), "{missing:?}");
    }
}
