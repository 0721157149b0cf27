use sentinel_access::invitations::Invited;
use sentinel_access::members::Authority;
use sentinel_access::workspaces::NewWorkspace;
use sentinel_core::id::{UserId, WorkspaceId};
use sentinel_core::{SystemRandom, WorkspaceRole};
use sentinel_store::on_both_backends;
use sentinel_store::testing::TestStore;

use super::*;

/// A sign-in at the provider `demo`, whose administrators are `listed`.
async fn sign_in(
    store: &TestStore,
    listed: &[&str],
    identity: &Identity,
    panel: bool,
) -> Result<User, AccountRefusal> {
    let mut tx = store.db.write().await.expect("tx");
    let user = accounts(store, listed)
        .resolve(&mut tx, "demo", false, identity, panel)
        .await?;
    tx.commit().await.expect("commit");
    Ok(user)
}

/// A sign-in at another provider, which links or does not.
async fn sign_in_at(
    store: &TestStore,
    provider: &str,
    links: bool,
    identity: &Identity,
) -> Result<User, AccountRefusal> {
    let mut tx = store.db.write().await.expect("tx");
    let user = accounts(store, ROOT)
        .resolve(&mut tx, provider, links, identity, false)
        .await?;
    tx.commit().await.expect("commit");
    Ok(user)
}

fn accounts(store: &TestStore, listed: &[&str]) -> Accounts {
    let (clock, random): (Arc<dyn Clock>, Arc<dyn Random>) =
        (Arc::clone(&store.clock) as Arc<dyn Clock>, Arc::new(SystemRandom));
    let access = Access::new(Arc::clone(&clock), Arc::clone(&random));
    let listed = listed.iter().map(|email| (*email).to_owned());
    Accounts::new(access, listed, clock, random)
}

fn who(subject: &str, email: &str) -> Identity {
    Identity {
        subject: subject.to_owned(),
        email: Some(email.to_owned()),
        email_trust: EmailTrust::Verified,
        name: Some("Somebody".to_owned()),
        picture: None,
    }
}

/// Somebody whose address a directory claims and nobody vouches for.
fn claimed(subject: &str, email: &str) -> Identity {
    Identity {
        email_trust: EmailTrust::Claimed,
        ..who(subject, email)
    }
}

/// Somebody's workspace, to which the address is invited.
async fn invited(store: &TestStore, email: &str) -> WorkspaceId {
    let access = accounts(store, &[]).access;
    let mut tx = store.db.write().await.expect("tx");
    let new = NewUser {
        email: "owner@example.com".parse().expect("email"),
        email_verified: true,
        name: "Owner".parse().expect("name"),
        avatar_url: None,
        is_admin: false,
    };
    let owner = access.users.create(&mut tx, new).await.expect("user").id;
    let new = NewWorkspace {
        name: "Acme".parse().expect("name"),
        slug: "acme".parse().expect("slug"),
        description: None,
    };
    let workspace = access
        .workspaces
        .create(&mut tx, None, owner, new)
        .await
        .expect("workspace")
        .id;
    let by = Authority::of_administrator(workspace, None);
    let email = email.parse().expect("email");
    let invited = access
        .invitations
        .invite(&mut tx, &by, &email, WorkspaceRole::Editor)
        .await
        .expect("invited");
    assert!(matches!(invited, Invited::Pending(_)), "{invited:?}");
    tx.commit().await.expect("commit");
    workspace
}

async fn role(store: &TestStore, workspace: WorkspaceId, user: UserId) -> Option<WorkspaceRole> {
    let mut tx = store.db.read().await.expect("tx");
    accounts(store, &[])
        .access
        .members
        .role(&mut tx, workspace, user)
        .await
        .expect("answer")
}

async fn set_admin(store: &TestStore, user: UserId, is_admin: bool) {
    let access = Access::new(Arc::clone(&store.clock) as Arc<dyn Clock>, Arc::new(SystemRandom));
    let mut tx = store.db.write().await.expect("tx");
    access
        .users
        .set_admin(&mut tx, None, user, is_admin)
        .await
        .expect("decided");
    tx.commit().await.expect("commit");
}

const ROOT: &[&str] = &["Root@Example.com"];

on_both_backends! {
    async fn who_is_made_with_a_listed_address_administers(store: TestStore) {
        let root = sign_in(&store, ROOT, &who("1", "root@example.com"), true).await.expect("root");
        assert!(root.is_admin);
        let ann = sign_in(&store, ROOT, &who("2", "ann@example.com"), false).await.expect("ann");
        assert!(!ann.is_admin);
        let refused = sign_in(&store, ROOT, &who("3", "bob@example.com"), true).await;
        assert!(matches!(refused, Err(AccountRefusal::NotAdmin)), "{refused:?}");
    }

    async fn what_a_provider_says_of_a_known_account_promotes_nobody(store: TestStore) {
        sign_in(&store, ROOT, &who("2", "ann@example.com"), false).await.expect("ann");
        let claimed = sign_in(&store, ROOT, &who("2", "root@example.com"), false).await.expect("ann");
        assert_eq!((claimed.email.as_str(), claimed.is_admin), ("ann@example.com", false));
        let refused = sign_in(&store, ROOT, &who("2", "root@example.com"), true).await;
        assert!(matches!(refused, Err(AccountRefusal::NotAdmin)), "{refused:?}");
        let mut unverified = who("4", "root@example.com");
        unverified.email_trust = EmailTrust::Unverified;
        let refused = sign_in(&store, ROOT, &unverified, true).await;
        assert!(matches!(refused, Err(AccountRefusal::EmailNotVerified)), "{refused:?}");
    }

    async fn who_is_listed_later_gets_in_whatever_the_provider_calls_him_now(store: TestStore) {
        sign_in(&store, &[], &who("1", "root@example.com"), false).await.expect("root");
        let root = sign_in(&store, ROOT, &who("1", "renamed@example.com"), true).await.expect("listed by now");
        assert!(root.is_admin);
    }

    async fn a_demotion_is_not_undone_by_the_next_sign_in(store: TestStore) {
        let root = sign_in(&store, ROOT, &who("1", "root@example.com"), true).await.expect("root");
        let ann = sign_in(&store, ROOT, &who("2", "ann@example.com"), false).await.expect("ann");
        set_admin(&store, ann.id, true).await;
        set_admin(&store, root.id, false).await;
        assert!(!sign_in(&store, ROOT, &who("1", "root@example.com"), false).await.expect("root").is_admin);
        let refused = sign_in(&store, ROOT, &who("1", "root@example.com"), true).await;
        assert!(matches!(refused, Err(AccountRefusal::NotAdmin)), "{refused:?}");
        set_admin(&store, root.id, true).await;
        assert!(sign_in(&store, ROOT, &who("1", "root@example.com"), true).await.expect("root").is_admin);
    }

    async fn an_address_that_looks_like_another_is_none(store: TestStore) {
        let listed = &["kelvin@example.com"];
        sign_in(&store, listed, &who("1", "kelvin@example.com"), true).await.expect("an administrator");
        for email in ["\u{212A}elvin@example.com", "kelvin@example.com@evil.example", "<kelvin@example.com>", "a b@c.d"] {
            let refused = sign_in(&store, listed, &who("2", email), false).await;
            assert!(matches!(refused, Err(AccountRefusal::NoEmail)), "{email}: {refused:?}");
        }
    }

    async fn what_a_provider_says_is_taken_as_far_as_it_fits(store: TestStore) {
        for subject in ["", "a\0b", "a\nb", &"x".repeat(256)] {
            let refused = sign_in(&store, &[], &who(subject, "ann@example.com"), false).await;
            assert!(matches!(refused, Err(AccountRefusal::Subject)), "{subject:?}: {refused:?}");
        }
        let mut odd = who(&"x".repeat(255), "ann@example.com");
        odd.name = Some(format!("\u{202E}Ann\0 {}", "e".repeat(5_000)));
        odd.picture = Some("https://example.com/\0.png".to_owned());
        let ann = sign_in(&store, &[], &odd, false).await.expect("an account");
        assert!(ann.name.starts_with("Ann e") && ann.name.len() == 255, "{}", ann.name);
        let mut unseen = who("2", "bob@example.com");
        unseen.name = Some("\u{200B}\0".to_owned());
        assert_eq!(sign_in(&store, &[], &unseen, false).await.expect("an account").name, "bob");
    }

    async fn a_claimed_address_decides_nothing(store: TestStore) {
        let workspace = invited(&store, "root@example.com").await;
        let refused = sign_in(&store, ROOT, &claimed("1", "root@example.com"), true).await;
        assert!(matches!(refused, Err(AccountRefusal::NotAdmin)), "{refused:?}");
        let mallory = sign_in(&store, ROOT, &claimed("1", "root@example.com"), false).await.expect("an account");
        assert_eq!((mallory.is_admin, mallory.email_verified_at), (false, None));
        let refused = sign_in(&store, ROOT, &claimed("1", "root@example.com"), true).await;
        assert!(matches!(refused, Err(AccountRefusal::NotAdmin)), "{refused:?}");
        assert_eq!(role(&store, workspace, mallory.id).await, None, "the invitation waits");

        let ann = sign_in(&store, ROOT, &who("2", "ann@example.com"), false).await.expect("ann");
        let refused = sign_in_at(&store, "directory", true, &claimed("3", "ann@example.com")).await;
        assert!(matches!(refused, Err(AccountRefusal::EmailUsed)), "a claim links to no account: {refused:?}");
        assert!(ann.email_verified_at.is_some());
        // Nor is an account linked to that somebody may have made to be found.
        let refused = sign_in_at(&store, "vouching", true, &who("4", "root@example.com")).await;
        assert!(matches!(refused, Err(AccountRefusal::EmailUsed)), "{refused:?}");
    }

    async fn an_address_is_confirmed_by_the_provider_of_its_account(store: TestStore) {
        let workspace = invited(&store, "root@example.com").await;
        let root = sign_in(&store, ROOT, &claimed("1", "root@example.com"), false).await.expect("an account");
        let other = sign_in(&store, ROOT, &who("1", "other@example.com"), false).await.expect("the account");
        assert_eq!((other.id, other.email_verified_at, other.is_admin), (root.id, None, false), "another address");
        let confirmed = sign_in(&store, ROOT, &who("1", "Root@example.com"), false).await.expect("the account");
        assert!(confirmed.email_verified_at.is_some() && confirmed.is_admin);
        assert_eq!(confirmed.email, "root@example.com");
        assert_eq!(role(&store, workspace, root.id).await, Some(WorkspaceRole::Editor));
        store.clock.advance(std::time::Duration::from_hours(1));
        let again = sign_in(&store, ROOT, &claimed("1", "root@example.com"), false).await.expect("the account");
        assert_eq!(again.email_verified_at, confirmed.email_verified_at, "what was vouched for stays so");
    }

    async fn a_sign_in_is_linked_to_an_account_only_where_it_is_configured(store: TestStore) {
        let ann = sign_in(&store, &[], &who("1", "ann@example.com"), false).await.expect("ann");
        let refused = sign_in_at(&store, "second", false, &who("9", "ann@example.com")).await;
        assert!(matches!(refused, Err(AccountRefusal::EmailUsed)), "{refused:?}");
        let linked = sign_in_at(&store, "second", true, &who("9", "ANN@example.com")).await.expect("linked");
        assert_eq!(linked.id, ann.id);
        let known = sign_in_at(&store, "second", false, &who("9", "renamed@example.com")).await.expect("known by now");
        assert_eq!(known.id, ann.id);
        // Another person at the same provider, with the same address: one of them is not Ann.
        let refused = sign_in_at(&store, "second", true, &who("10", "ann@example.com")).await;
        assert!(matches!(refused, Err(AccountRefusal::EmailUsed)), "{refused:?}");
        assert_eq!(sign_in_at(&store, "second", true, &who("9", "ann@example.com")).await.expect("ann").id, ann.id);
    }

    async fn an_account_is_known_by_its_subject_but_needs_an_address(store: TestStore) {
        sign_in(&store, &[], &who("1", "ann@example.com"), false).await.expect("ann");
        let nameless = Identity { email: None, ..who("1", "ann@example.com") };
        let refused = sign_in(&store, &[], &nameless, false).await;
        assert!(matches!(refused, Err(AccountRefusal::NoEmail)), "{refused:?}");
    }

    async fn an_invitation_is_accepted_by_the_first_sign_in_that_leads_somewhere(store: TestStore) {
        let workspace = invited(&store, "Bob@Example.com").await;
        let refused = sign_in(&store, ROOT, &who("1", "bob@example.com"), true).await;
        assert!(matches!(refused, Err(AccountRefusal::NotAdmin)), "{refused:?}");
        let bob = sign_in(&store, ROOT, &who("1", "bob@example.com"), false).await.expect("bob");
        assert_eq!(role(&store, workspace, bob.id).await, Some(WorkspaceRole::Editor));
        let again = sign_in(&store, ROOT, &who("1", "bob@example.com"), false).await.expect("bob");
        assert_eq!(again.id, bob.id);
    }
}
