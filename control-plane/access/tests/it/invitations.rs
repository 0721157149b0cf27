//! Invitations of addresses: who becomes a member at once, who waits, and what makes an invitation worth nothing.

use std::time::Duration;

use sentinel_access::AccessError;
use sentinel_access::invitations::{Invitation, Invited};
use sentinel_access::members::Authority;
use sentinel_access::users::{NewUser, User};
use sentinel_core::WorkspaceRole::{Admin, Editor, Owner, Viewer};
use sentinel_core::id::{InvitationId, UserId, WorkspaceId};
use sentinel_core::{EmailKey, WorkspaceRole};
use sentinel_store::on_both_backends;
use serde_json::json;

use crate::world::World;

const WEEK: Duration = Duration::from_hours(7 * 24);

async fn invite(
    world: &World,
    workspace: WorkspaceId,
    by: UserId,
    email: &str,
    role: WorkspaceRole,
) -> Result<Invited, AccessError> {
    let by = world.authority(workspace, by, Viewer).await?;
    invite_by(world, &by, email, role).await
}

async fn invite_by(
    world: &World,
    by: &Authority,
    email: &str,
    role: WorkspaceRole,
) -> Result<Invited, AccessError> {
    let email = email.parse().expect("address");
    world
        .write(async |tx, access| access.invitations.invite(tx, by, &email, role).await)
        .await
}

/// An invitation that waits.
async fn pending(
    world: &World,
    workspace: WorkspaceId,
    by: UserId,
    email: &str,
    role: WorkspaceRole,
) -> Invitation {
    match invite(world, workspace, by, email, role).await.expect("invited") {
        Invited::Pending(invitation) => invitation,
        Invited::Member(member) => panic!("{member:?} should have waited"),
    }
}

async fn list(world: &World, workspace: WorkspaceId) -> Vec<Invitation> {
    world
        .read(async |tx, access| access.invitations.list(tx, workspace).await)
        .await
        .expect("list")
}

async fn revoke(
    world: &World,
    workspace: WorkspaceId,
    by: UserId,
    invitation: InvitationId,
) -> Result<(), AccessError> {
    let by = world.authority(workspace, by, Viewer).await?;
    world
        .write(async |tx, access| access.invitations.revoke(tx, &by, invitation).await)
        .await
}

fn key(email: &str) -> EmailKey {
    EmailKey::of(email).expect("address")
}

/// The roles of the memberships that the user gets by signing in at a provider that vouches for his address.
async fn accept(world: &World, user: &User) -> Vec<(WorkspaceId, WorkspaceRole)> {
    accept_by(world, user, &user.email).await
}

/// The same where the provider vouches for another address, or spells it otherwise.
async fn accept_by(world: &World, user: &User, vouched: &str) -> Vec<(WorkspaceId, WorkspaceRole)> {
    let made = world
        .write(async |tx, access| access.invitations.accept_all(tx, user, &key(vouched)).await)
        .await
        .expect("accepted");
    made.into_iter()
        .map(|membership| (membership.workspace, membership.role))
        .collect()
}

async fn unverified(world: &World, name: &str) -> User {
    let new = NewUser {
        email: format!("{name}@example.com").parse().expect("address"),
        email_verified: false,
        name: name.parse().expect("name"),
        avatar_url: None,
        is_admin: false,
    };
    world
        .write(async |tx, access| access.users.create(tx, new).await)
        .await
        .expect("user")
}

async fn set_active(world: &World, user: UserId, is_active: bool) -> User {
    world
        .write(async |tx, access| access.users.set_active(tx, None, user, is_active).await)
        .await
        .expect("decided")
}

async fn set_admin(world: &World, user: UserId, is_admin: bool) {
    world
        .write(async |tx, access| access.users.set_admin(tx, None, user, is_admin).await)
        .await
        .expect("decided");
}

async fn is_invited(world: &World, user: &User) -> bool {
    is_invited_by(world, user, &user.email).await
}

async fn is_invited_by(world: &World, user: &User, vouched: &str) -> bool {
    world
        .read(async |tx, access| access.invitations.pending_for(tx, user, &key(vouched)).await)
        .await
        .expect("answer")
}

/// The reason that the log gives for the last thing that was done.
async fn last_reason(world: &World) -> (String, String) {
    let row = world.activity().await.remove(0);
    let detail = row.detail.expect("detail");
    (
        row.action,
        detail["reason"].as_str().unwrap_or_default().to_owned(),
    )
}

on_both_backends! {
    async fn an_address_without_an_account_waits_until_it_signs_in(store: TestStore) {
        let world = World::new(store);
        let alice = world.user("alice").await;
        let (acme, other) = (world.workspace("acme", alice.id).await, world.workspace("other", alice.id).await);
        let first = pending(&world, acme, alice.id, "Bob@Example.com", Editor).await;
        assert_eq!((first.email.as_str(), first.role, first.invited_by), ("Bob@Example.com", Editor, Some(alice.id)));
        assert_eq!((first.expires_at - first.created_at).to_std().expect("later"), WEEK);
        let row = world.activity().await.remove(0);
        assert_eq!(row.action, "member_invited");
        assert_eq!(row.detail, Some(json!({ "email": "Bob@Example.com", "role": "editor", "pending": true })));
        let again = invite(&world, acme, alice.id, "bob@example.COM", Admin).await.expect_err("waits already");
        assert_eq!((again.code(), again.to_string().as_str()), ("already_invited", "An invitation for this address is already pending"));
        assert_eq!(again.kind(), sentinel_access::ErrorKind::Conflict);
        pending(&world, other, alice.id, "bob@example.com", Viewer).await;
        pending(&world, acme, alice.id, "carol@example.com", Viewer).await;
        let facts = world.facts().await;

        let bob = world.user("bob").await;
        assert!(is_invited(&world, &bob).await);
        assert_eq!(accept(&world, &bob).await, [(acme, Editor), (other, Viewer)]);
        assert!(!is_invited(&world, &bob).await);
        assert_eq!(world.facts().await.len(), facts.len() + 2, "edges know him");
        assert_eq!(world.authority(acme, bob.id, Viewer).await.expect("a member").role(), Editor);
        let log = world.activity().await;
        for (row, workspaces) in log[..2].iter().zip([[acme, other]; 2]) {
            assert_eq!((row.action.as_str(), row.actor, row.target_id), ("invitation_accepted", Some(bob.id), bob.id.as_uuid()));
            assert!(row.workspace.is_some_and(|workspace| workspaces.contains(&workspace)));
        }
        assert_eq!(accept(&world, &bob).await, [], "once");
        assert_eq!(list(&world, acme).await.len(), 1, "Carol waits still");
        assert_eq!(list(&world, other).await, []);
    }

    async fn who_has_a_vouched_address_is_in_at_once(store: TestStore) {
        let world = World::new(store);
        let (alice, bob) = (world.user("alice").await, world.user("bob").await);
        let acme = world.workspace("acme", alice.id).await;
        let at_once = invite(&world, acme, alice.id, "BOB@example.com", Viewer).await.expect("invited");
        assert!(matches!(at_once, Invited::Member(member) if member.user == bob.id));
        assert_eq!(list(&world, acme).await, []);
    }

    async fn a_deactivated_account_is_invited_like_an_address_without_one(store: TestStore) {
        let world = World::new(store);
        let (alice, dora) = (world.user("alice").await, world.user("dora").await);
        let acme = world.workspace("acme", alice.id).await;
        let dora = set_active(&world, dora.id, false).await;
        let waits = pending(&world, acme, alice.id, &dora.email, Editor).await;
        let logged = world.activity().await.remove(0);
        let nobody = pending(&world, acme, alice.id, "nobody@example.com", Editor).await;
        let logged_too = world.activity().await.remove(0);
        assert_eq!((waits.role, waits.expires_at - waits.created_at), (nobody.role, nobody.expires_at - nobody.created_at));
        assert_eq!((&logged.action, logged.target_id), (&logged_too.action, logged_too.target_id));
        let again = invite(&world, acme, alice.id, &dora.email, Viewer).await.expect_err("waits already");
        assert_eq!(again.code(), "already_invited");
        assert!(!is_invited(&world, &dora).await);
        assert_eq!(accept(&world, &dora).await, [], "as long as the account may not be used");
        let dora = set_active(&world, dora.id, true).await;
        assert!(is_invited(&world, &dora).await);
        assert_eq!(accept(&world, &dora).await, [(acme, Editor)]);
    }

    async fn an_invitation_is_accepted_by_the_address_that_is_vouched_for_now(store: TestStore) {
        let world = World::new(store);
        let (alice, bob) = (world.user("alice").await, world.user("bob").await);
        let acme = world.workspace("acme", alice.id).await;
        set_active(&world, bob.id, false).await;
        pending(&world, acme, alice.id, "bob@example.com", Editor).await;
        pending(&world, acme, alice.id, "robert@example.com", Owner).await;
        let bob = set_active(&world, bob.id, true).await;
        // The provider calls him something else by now: the invitation of that address is not his account's, and nobody
        // says that the one of his account is his.
        assert!(!is_invited_by(&world, &bob, "robert@example.com").await);
        assert_eq!(accept_by(&world, &bob, "robert@example.com").await, []);
        assert_eq!(list(&world, acme).await.len(), 2);
        assert!(is_invited_by(&world, &bob, "BOB@Example.com").await);
        assert_eq!(accept_by(&world, &bob, "BOB@Example.com").await, [(acme, Editor)]);
    }

    async fn an_address_that_nobody_vouched_for_accepts_nothing(store: TestStore) {
        let world = World::new(store);
        let alice = world.user("alice").await;
        let acme = world.workspace("acme", alice.id).await;
        let mallory = unverified(&world, "bob").await;
        pending(&world, acme, alice.id, "bob@example.com", Owner).await;
        assert!(!is_invited(&world, &mallory).await);
        assert_eq!(accept(&world, &mallory).await, []);
        assert_eq!(list(&world, acme).await.len(), 1, "it waits for whom it is meant");
        let bob = world.write(async |tx, access| access.users.confirm_email(tx, mallory).await).await.expect("confirmed");
        let again = world.write(async |tx, access| access.users.confirm_email(tx, bob.clone()).await).await.expect("again");
        assert_eq!(again, bob, "the first moment stays");
        let inactive = User { is_active: false, ..bob.clone() };
        assert_eq!(accept(&world, &inactive).await, []);
        assert_eq!(accept(&world, &bob).await, [(acme, Owner)]);
    }

    async fn an_invitation_is_over_after_a_week(store: TestStore) {
        let world = World::new(store);
        let alice = world.user("alice").await;
        let acme = world.workspace("acme", alice.id).await;
        let old = pending(&world, acme, alice.id, "bob@example.com", Admin).await;
        world.store.clock.advance(WEEK.saturating_sub(Duration::from_micros(1)));
        assert_eq!(list(&world, acme).await, std::slice::from_ref(&old), "the last moment");
        world.store.clock.advance(Duration::from_micros(1));
        assert_eq!(list(&world, acme).await, []);
        let gone = revoke(&world, acme, alice.id, old.id).await.expect_err("over");
        assert_eq!(gone.to_string(), "Invitation not found");
        let bob = unverified(&world, "bob").await;
        let new = pending(&world, acme, alice.id, "bob@example.com", Viewer).await;
        assert_ne!(new.id, old.id);
        world.store.clock.advance(WEEK);
        let bob = world.write(async |tx, access| access.users.confirm_email(tx, bob).await).await.expect("confirmed");
        assert!(!is_invited(&world, &bob).await);
        assert_eq!(accept(&world, &bob).await, []);
        assert_eq!(last_reason(&world).await, ("invitation_void".to_owned(), "expired".to_owned()));

        pending(&world, acme, alice.id, "carol@example.com", Viewer).await;
        let purge = async || world.write(async |tx, access| access.invitations.purge_expired(tx).await).await.expect("purged");
        assert_eq!(purge().await, 0);
        world.store.clock.advance(WEEK);
        pending(&world, acme, alice.id, "dora@example.com", Viewer).await;
        assert_eq!(purge().await, 1);
        assert_eq!(list(&world, acme).await.len(), 1);
    }

    async fn an_invitation_is_worth_what_its_inviter_may_do_now(store: TestStore) {
        let world = World::new(store);
        let alice = world.user("alice").await;
        let acme = world.workspace("acme", alice.id).await;
        let inviters = ["demoted", "removed", "deactivated", "former-owner", "still-admin"];
        let mut people = Vec::new();
        for name in inviters {
            let user = world.user(name).await;
            world.join(acme, &user, if name == "former-owner" { Owner } else { Admin }).await;
            let role = if name == "former-owner" { Owner } else { Admin };
            pending(&world, acme, user.id, &format!("by-{name}@example.com"), role).await;
            people.push(user);
        }
        let root = Authority::of_administrator(acme, None);
        for (user, role) in [(&people[0], Editor), (&people[3], Admin)] {
            world.write(async |tx, access| access.members.change_role(tx, &root, user.id, role).await).await.expect("demoted");
        }
        world.write(async |tx, access| access.members.remove(tx, &root, people[1].id).await).await.expect("removed");
        world.write(async |tx, access| access.users.set_active(tx, None, people[2].id, false).await).await.expect("deactivated");

        for name in &inviters[..4] {
            let user = world.user(&format!("by-{name}")).await;
            assert_eq!(accept(&world, &user).await, [], "{name}");
            assert_eq!(last_reason(&world).await, ("invitation_void".to_owned(), "inviter_without_right".to_owned()));
            assert!(world.authority(acme, user.id, Viewer).await.is_err(), "{name}");
        }
        let user = world.user("by-still-admin").await;
        assert_eq!(accept(&world, &user).await, [(acme, Admin)]);
        assert_eq!(list(&world, acme).await, []);
    }

    async fn an_administrators_invitation_is_worth_nothing_once_he_is_none(store: TestStore) {
        let world = World::new(store);
        let alice = world.user("alice").await;
        let acme = world.workspace("acme", alice.id).await;
        let names = ["demoted", "deactivated", "demoted-member", "still-one"];
        let mut roots = Vec::new();
        for name in names {
            let root = world.user(name).await;
            set_admin(&world, root.id, true).await;
            let by = Authority::of_administrator(acme, Some(root.id));
            invite_by(&world, &by, &format!("by-{name}@example.com"), Owner).await.expect("invited");
            roots.push(root);
        }
        invite_by(&world, &Authority::of_administrator(acme, None), "by-nobody@example.com", Owner).await.expect("invited");
        set_admin(&world, roots[0].id, false).await;
        set_active(&world, roots[1].id, false).await;
        // What he may do as a member is not what he invited by.
        world.join(acme, &roots[2], Owner).await;
        set_admin(&world, roots[2].id, false).await;

        for name in &names[..3] {
            let user = world.user(&format!("by-{name}")).await;
            assert_eq!(accept(&world, &user).await, [], "{name}");
            assert_eq!(last_reason(&world).await, ("invitation_void".to_owned(), "inviter_without_right".to_owned()));
            assert!(world.authority(acme, user.id, Viewer).await.is_err(), "{name}");
        }
        for name in ["still-one", "nobody"] {
            let user = world.user(&format!("by-{name}")).await;
            assert_eq!(accept(&world, &user).await, [(acme, Owner)], "{name} needs no role");
        }
        assert_eq!(list(&world, acme).await, []);
    }

    async fn an_invitation_is_taken_back_by_an_admin_of_its_workspace(store: TestStore) {
        let world = World::new(store);
        let (alice, bob, vera) = (world.user("alice").await, world.user("bob").await, world.user("vera").await);
        let (acme, other) = (world.workspace("acme", alice.id).await, world.workspace("other", bob.id).await);
        world.join(acme, &vera, Editor).await;
        let one = pending(&world, acme, alice.id, "carol@example.com", Viewer).await;
        let refused = revoke(&world, acme, vera.id, one.id).await.expect_err("an editor");
        assert!(matches!(refused, AccessError::InsufficientRole));
        let refused = invite(&world, acme, vera.id, "dora@example.com", Viewer).await.expect_err("an editor");
        assert!(matches!(refused, AccessError::InsufficientRole));
        let elsewhere = revoke(&world, other, bob.id, one.id).await.expect_err("of another workspace");
        assert!(matches!(elsewhere, AccessError::InvitationNotFound));
        assert_eq!(list(&world, acme).await, std::slice::from_ref(&one));
        revoke(&world, acme, alice.id, one.id).await.expect("taken back");
        assert_eq!(world.last_action().await, "invitation_revoked");
        assert!(revoke(&world, acme, alice.id, one.id).await.is_err());
        let carol = world.user("carol").await;
        assert_eq!(accept(&world, &carol).await, []);
    }

    async fn only_owners_invite_owners(store: TestStore) {
        let world = World::new(store);
        let (alice, bob) = (world.user("alice").await, world.user("bob").await);
        let acme = world.workspace("acme", alice.id).await;
        world.join(acme, &bob, Admin).await;
        let refused = invite(&world, acme, bob.id, "carol@example.com", Owner).await.expect_err("an admin");
        assert_eq!(refused.to_string(), "Only workspace owners can grant the owner role");
        assert_eq!(refused.kind(), sentinel_access::ErrorKind::BadRequest);
        assert_eq!(list(&world, acme).await, []);
        pending(&world, acme, alice.id, "carol@example.com", Owner).await;
    }

    async fn who_came_in_another_way_is_not_brought_back(store: TestStore) {
        let world = World::new(store);
        let alice = world.user("alice").await;
        let acme = world.workspace("acme", alice.id).await;
        pending(&world, acme, alice.id, "bob@example.com", Owner).await;
        // An administrator made his account meanwhile.
        let bob = world.user("bob").await;
        invite(&world, acme, alice.id, "bob@example.com", Viewer).await.expect("in at once");
        assert_eq!(list(&world, acme).await, []);
        let by = Authority::of_administrator(acme, None);
        world.write(async |tx, access| access.members.remove(tx, &by, bob.id).await).await.expect("removed");
        assert_eq!(accept(&world, &bob).await, []);
    }

    async fn a_workspace_takes_its_invitations_with_it(store: TestStore) {
        let world = World::new(store);
        let alice = world.user("alice").await;
        let acme = world.workspace("acme", alice.id).await;
        pending(&world, acme, alice.id, "bob@example.com", Owner).await;
        let by = Authority::of_administrator(acme, None);
        world.write(async |tx, access| access.workspaces.delete(tx, &by).await).await.expect("deleted");
        let gone = invite_by(&world, &by, "carol@example.com", Viewer).await.expect_err("no workspace");
        assert!(matches!(gone, AccessError::WorkspaceNotFound), "{gone:?}");
        let bob = world.user("bob").await;
        assert_eq!(accept(&world, &bob).await, []);
        assert!(world.facts().await.is_empty());
    }

    async fn a_workspace_has_so_many_pending_and_no_more(store: TestStore) {
        let world = World::new(store);
        let alice = world.user("alice").await;
        let acme = world.workspace("acme", alice.id).await;
        for number in 0..50 {
            pending(&world, acme, alice.id, &format!("person{number}@example.com"), Viewer).await;
        }
        let refused = invite(&world, acme, alice.id, "one-more@example.com", Viewer).await.expect_err("too many");
        assert_eq!(refused.to_string(), "This workspace already has 50 pending invitations");
        assert_eq!(list(&world, acme).await.len(), 50);
        let by = Authority::of_administrator(acme, None);
        invite_by(&world, &by, "one-more@example.com", Viewer).await.expect("an administrator may");
        world.user("bob").await;
        invite(&world, acme, alice.id, "bob@example.com", Viewer).await.expect("does not wait");
        world.store.clock.advance(WEEK);
        pending(&world, acme, alice.id, "later@example.com", Viewer).await;
    }
}
