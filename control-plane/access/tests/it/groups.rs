//! Groups.

use sentinel_access::AccessError;
use sentinel_access::members::Authority;
use sentinel_access::permissions::Visibility;
use sentinel_authz::sentinel::{Grantee, ShareLevel};
use sentinel_core::WorkspaceRole::{Admin, Editor, Viewer};
use sentinel_store::on_both_backends;

use crate::world::{World, document, share, token};

on_both_backends! {
    async fn a_name_is_taken_once_in_a_workspace(store: TestStore) {
        let world = World::new(store);
        let alice = world.user("alice").await;
        let (acme, other) = (world.workspace("acme", alice.id).await, world.workspace("other", alice.id).await);
        let group = world.group(acme, "eng", &[]).await;
        world.group(other, "eng", &[]).await;
        let second = world.group(acme, "ops", &[]).await;
        let by = Authority::of_administrator(acme, Some(alice.id));
        let name = || "eng".parse().expect("name");
        let made = world.write(async |tx, access| access.groups.create(tx, &by, name(), None).await).await;
        assert!(matches!(made, Err(AccessError::GroupNameTaken)), "{made:?}");
        let renamed =
            world.write(async |tx, access| access.groups.update(tx, &by, second, Some(name()), None).await).await;
        assert!(matches!(renamed, Err(AccessError::GroupNameTaken)), "{renamed:?}");
        let own = world.write(async |tx, access| access.groups.update(tx, &by, group, Some(name()), None).await).await;
        assert_eq!(own.expect("its own name").name, "eng");
    }

    async fn members_come_and_go_and_are_of_the_workspace(store: TestStore) {
        let world = World::new(store);
        let (alice, bob, carol) = (world.user("alice").await, world.user("bob").await, world.user("carol").await);
        let workspace = world.workspace("acme", alice.id).await;
        world.join(workspace, &bob, Viewer).await;
        let group = world.group(workspace, "eng", &[]).await;
        let by = Authority::of_administrator(workspace, Some(alice.id));
        let add = async |user| world.write(async |tx, access| access.groups.add_member(tx, &by, group, user).await).await;
        let remove =
            async |user| world.write(async |tx, access| access.groups.remove_member(tx, &by, group, user).await).await;
        add(bob.id).await.expect("added");
        assert_eq!(world.last_action().await, "group_member_added");
        let again = add(bob.id).await.expect_err("in already");
        assert_eq!(again.to_string(), "User is already a member of this group");
        let stranger = add(carol.id).await.expect_err("no member");
        assert_eq!(stranger.to_string(), "User is not a member of this workspace");
        let members = world.read(async |tx, access| access.groups.members(tx, workspace, group).await).await;
        assert_eq!(members.expect("members").iter().map(|member| member.user).collect::<Vec<_>>(), [bob.id]);
        remove(bob.id).await.expect("removed");
        let gone = remove(bob.id).await.expect_err("gone");
        assert_eq!(gone.to_string(), "Group membership not found");
    }

    async fn a_group_of_another_workspace_is_not_found(store: TestStore) {
        let world = World::new(store);
        let (alice, bob) = (world.user("alice").await, world.user("bob").await);
        let (acme, other) = (world.workspace("acme", alice.id).await, world.workspace("other", bob.id).await);
        let group = world.group(other, "secret", &[bob.id]).await;
        let by = world.authority(acme, alice.id, Admin).await.expect("an owner");
        let before = world.facts().await;
        let outcomes = [
            world.write(async |tx, access| access.groups.delete(tx, &by, group).await).await,
            world.write(async |tx, access| access.groups.add_member(tx, &by, group, alice.id).await).await,
            world.write(async |tx, access| access.groups.remove_member(tx, &by, group, bob.id).await).await,
            world.write(async |tx, access| access.groups.update(tx, &by, group, None, None).await.map(drop)).await,
            world.read(async |tx, access| access.groups.members(tx, acme, group).await.map(drop)).await,
        ];
        for outcome in outcomes {
            assert!(matches!(outcome, Err(AccessError::GroupNotFound)), "{outcome:?}");
        }
        assert_eq!(world.facts().await, before);
    }

    async fn deleting_a_group_takes_its_shares(store: TestStore) {
        let world = World::new(store);
        let (alice, bob) = (world.user("alice").await, world.user("bob").await);
        let workspace = world.workspace("acme", alice.id).await;
        world.join(workspace, &bob, Viewer).await;
        let record = world.register(workspace, alice.id, document(1), Visibility::Private).await;
        let before = world.facts().await;
        let group = world.group(workspace, "eng", &[bob.id]).await;
        share(&world, token(alice.id, workspace), &record, Grantee::Group(group), ShareLevel::Edit).await.expect("shared");
        assert_eq!(world.may(bob.id, workspace, &document(1)).await, (true, true));
        let by = Authority::of_administrator(workspace, Some(alice.id));
        world.write(async |tx, access| access.groups.delete(tx, &by, group).await).await.expect("deleted");
        assert_eq!(world.may(bob.id, workspace, &document(1)).await, (false, false));
        assert_eq!(world.facts().await, before);
        let log = world.activity().await;
        assert_eq!((log[0].action.as_str(), log[0].target_id), ("group_deleted", group.as_uuid()));
    }

    async fn an_editor_manages_no_groups(store: TestStore) {
        let world = World::new(store);
        let (alice, bob) = (world.user("alice").await, world.user("bob").await);
        let workspace = world.workspace("acme", alice.id).await;
        world.join(workspace, &bob, Editor).await;
        let by = world.authority(workspace, bob.id, Editor).await.expect("an editor");
        let name = "eng".parse().expect("name");
        let refused = world.write(async |tx, access| access.groups.create(tx, &by, name, None).await).await;
        assert!(matches!(refused, Err(AccessError::InsufficientRole)), "{refused:?}");
    }
}
