//! Memberships: who may give and take which role, and what goes with a member.

use sentinel_access::AccessError;
use sentinel_access::permissions::Visibility;
use sentinel_authz::sentinel::{Grantee, ShareLevel};
use sentinel_core::WorkspaceRole;
use sentinel_core::WorkspaceRole::{Admin, Editor, Owner, Viewer};
use sentinel_core::id::{UserId, WorkspaceId};
use sentinel_store::on_both_backends;

use crate::world::{World, document, share, token};

async fn change(
    world: &World,
    workspace: WorkspaceId,
    by: UserId,
    user: UserId,
    role: WorkspaceRole,
) -> Result<WorkspaceRole, AccessError> {
    let by = world.authority(workspace, by, Admin).await?;
    let changed = world
        .write(async |tx, access| access.members.change_role(tx, &by, user, role).await)
        .await?;
    Ok(changed.role)
}

async fn remove(world: &World, workspace: WorkspaceId, by: UserId, user: UserId) -> Result<(), AccessError> {
    let by = world.authority(workspace, by, Admin).await?;
    world
        .write(async |tx, access| access.members.remove(tx, &by, user).await)
        .await
}

async fn invite(
    world: &World,
    workspace: WorkspaceId,
    by: UserId,
    email: &str,
    role: WorkspaceRole,
) -> Result<(), AccessError> {
    let by = world.authority(workspace, by, Admin).await?;
    let email = email.parse().expect("address");
    world
        .write(async |tx, access| access.invitations.invite(tx, &by, &email, role).await)
        .await
        .map(drop)
}

on_both_backends! {
    async fn roles_are_live_and_a_token_is_for_one_workspace(store: TestStore) {
        let world = World::new(store);
        let (alice, bob) = (world.user("alice").await, world.user("bob").await);
        let workspace = world.workspace("acme", alice.id).await;
        let other = world.workspace("other", bob.id).await;
        // The token claims the owner's role; the row decides.
        let refused = world.authority(workspace, bob.id, Viewer).await;
        assert!(matches!(refused, Err(AccessError::NotAMember)), "{refused:?}");
        world.join(workspace, &bob, Viewer).await;
        assert_eq!(world.authority(workspace, bob.id, Viewer).await.expect("a member").role(), Viewer);
        let refused = world.authority(workspace, bob.id, Editor).await;
        assert!(matches!(refused, Err(AccessError::InsufficientRole)), "{refused:?}");
        // He owns the other one, but this token is not for it.
        let elsewhere = world
            .read(async |tx, access| access.members.authorize(tx, &token(bob.id, workspace), other, Viewer).await)
            .await;
        assert!(matches!(elsewhere, Err(AccessError::NotAMember)), "{elsewhere:?}");
    }

    async fn inviting_is_for_those_who_are_not_in_yet(store: TestStore) {
        let world = World::new(store);
        let (alice, bob) = (world.user("alice").await, world.user("bob").await);
        let workspace = world.workspace("acme", alice.id).await;
        invite(&world, workspace, alice.id, "BOB@example.com", Editor).await.expect("in whatever case");
        let again = invite(&world, workspace, alice.id, &bob.email, Viewer).await.expect_err("in already");
        assert_eq!(again.to_string(), "User is already a member of this workspace");
        assert_eq!(world.authority(workspace, bob.id, Viewer).await.expect("a member").role(), Editor);
        let log = world.activity().await;
        assert_eq!(log[0].detail, Some(serde_json::json!({ "email": "bob@example.com", "role": "editor" })));
    }

    async fn only_owners_deal_with_owners(store: TestStore) {
        let world = World::new(store);
        let (alice, bob, carol) = (world.user("alice").await, world.user("bob").await, world.user("carol").await);
        let workspace = world.workspace("acme", alice.id).await;
        world.join(workspace, &bob, Admin).await;
        world.join(workspace, &carol, Viewer).await;
        let texts = [
            change(&world, workspace, bob.id, carol.id, Owner).await.expect_err("granting").to_string(),
            change(&world, workspace, bob.id, alice.id, Viewer).await.expect_err("changing").to_string(),
            remove(&world, workspace, bob.id, alice.id).await.expect_err("removing").to_string(),
        ];
        assert_eq!(texts, [
            "Only workspace owners can grant the owner role",
            "Only workspace owners can change another owner's role",
            "Only workspace owners can remove another owner",
        ]);
        let dave = world.user("dave").await;
        let invited = invite(&world, workspace, bob.id, &dave.email, Owner).await.expect_err("inviting");
        assert_eq!(invited.to_string(), "Only workspace owners can grant the owner role");
        assert_eq!(change(&world, workspace, bob.id, carol.id, Admin).await.expect("below"), Admin);
        assert_eq!(change(&world, workspace, alice.id, carol.id, Owner).await.expect("an owner may"), Owner);
        assert_eq!(change(&world, workspace, carol.id, alice.id, Editor).await.expect("two owners"), Editor);
    }

    async fn the_last_owner_stays(store: TestStore) {
        let world = World::new(store);
        let alice = world.user("alice").await;
        let workspace = world.workspace("acme", alice.id).await;
        let before = world.facts().await;
        let demoted = change(&world, workspace, alice.id, alice.id, Admin).await.expect_err("last");
        assert_eq!(demoted.to_string(), "Cannot demote the last workspace owner");
        let removed = remove(&world, workspace, alice.id, alice.id).await.expect_err("last");
        assert_eq!(removed.to_string(), "Cannot remove the last workspace owner");
        assert_eq!(change(&world, workspace, alice.id, alice.id, Owner).await.expect("no change"), Owner);
        assert_eq!(world.facts().await, before);
    }

    async fn a_removed_member_loses_everything_and_gets_nothing_back(store: TestStore) {
        let world = World::new(store);
        let (alice, bob) = (world.user("alice").await, world.user("bob").await);
        let (acme, other) = (world.workspace("acme", alice.id).await, world.workspace("other", alice.id).await);
        for workspace in [acme, other] {
            world.join(workspace, &bob, Viewer).await;
        }
        let group = world.group(acme, "eng", &[bob.id]).await;
        let elsewhere = world.group(other, "eng", &[bob.id]).await;
        let record = world.register(acme, alice.id, document(1), Visibility::Private).await;
        let second = world.register(acme, alice.id, document(2), Visibility::Private).await;
        let foreign = world.register(other, alice.id, document(3), Visibility::Private).await;
        let to = Grantee::User(bob.id);
        share(&world, token(alice.id, acme), &record, to, ShareLevel::Edit).await.expect("shared");
        share(&world, token(alice.id, acme), &second, Grantee::Group(group), ShareLevel::View).await.expect("shared");
        share(&world, token(alice.id, other), &foreign, to, ShareLevel::View).await.expect("shared");
        assert_eq!(world.may(bob.id, acme, &document(1)).await, (true, true));
        assert_eq!(world.may(bob.id, acme, &document(2)).await, (true, false));

        remove(&world, acme, alice.id, bob.id).await.expect("removed");
        assert_eq!(world.last_action().await, "member_removed");
        assert_eq!(world.may(bob.id, acme, &document(1)).await, (false, false));
        assert!(!world.facts().await.iter().any(|line| line.contains(&format!("{group}#member@user"))));
        world.join(acme, &bob, Viewer).await;
        assert_eq!(world.may(bob.id, acme, &document(1)).await, (false, false), "shares do not come back");
        assert_eq!(world.may(bob.id, acme, &document(2)).await, (false, false), "nor do groups");
        assert_eq!(world.may(bob.id, other, &document(3)).await, (true, false), "elsewhere nothing changed");
        let groups = world.read(async |tx, access| access.groups.of_user(tx, other, bob.id).await).await;
        assert_eq!(groups.expect("groups"), [elsewhere]);
        let again = remove(&world, acme, alice.id, alice.id).await;
        assert!(again.is_err());
    }

    async fn members_are_listed_by_when_they_joined_and_found_in_any_case(store: TestStore) {
        let world = World::new(store);
        let alice = world.user("alice").await;
        let workspace = world.workspace("acme", alice.id).await;
        for name in ["Émile", "Zoe", "under_score", "per%cent"] {
            let user = world.user(name).await;
            world.join(workspace, &user, Viewer).await;
        }
        let names = async |search: Option<&str>, limit| -> Vec<String> {
            let members = world
                .read(async |tx, access| access.members.list(tx, workspace, search, limit).await)
                .await
                .expect("members");
            members.into_iter().map(|member| member.name).collect()
        };
        assert_eq!(names(None, None).await, ["alice", "Émile", "Zoe", "under_score", "per%cent"]);
        assert_eq!(names(None, Some(2)).await, ["alice", "Émile"]);
        assert_eq!(names(Some("éMI"), None).await, ["Émile"]);
        assert_eq!(names(Some("_"), None).await, ["under_score"]);
        assert_eq!(names(Some("%"), None).await, ["per%cent"]);
        assert_eq!(names(Some("EXAMPLE.com"), Some(1)).await, ["alice"]);
        assert!(names(Some("nobody"), None).await.is_empty());
    }
}
