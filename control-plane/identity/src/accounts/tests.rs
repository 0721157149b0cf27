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
        .resolve(&mut tx, "demo", identity, panel)
        .await?;
    tx.commit().await.expect("commit");
    Ok(user)
}

/// A sign-in at another provider, where those of `linking` link.
async fn sign_in_at(
    store: &TestStore,
    linking: &[&str],
    provider: &str,
    identity: &Identity,
) -> Result<User, AccountRefusal> {
    let mut tx = store.db.write().await.expect("tx");
    let user = with_linking(store, ROOT, linking)
        .resolve(&mut tx, provider, identity, false)
        .await?;
    tx.commit().await.expect("commit");
    Ok(user)
}

/// Whether a sign-in would be refused or change nothing, as far as can be seen without a turn to write.
async fn look(
    store: &TestStore,
    linking: &[&str],
    provider: &str,
    identity: &Identity,
) -> Result<Option<User>, AccountRefusal> {
    let mut tx = store.db.read().await.expect("tx");
    with_linking(store, ROOT, linking)
        .find_unchanged(&mut tx, provider, identity)
        .await
}

fn accounts(store: &TestStore, listed: &[&str]) -> Accounts {
    with_linking(store, listed, &[])
}

fn with_linking(store: &TestStore, listed: &[&str], linking: &[&str]) -> Accounts {
    let (clock, random): (Arc<dyn Clock>, Arc<dyn Random>) =
        (Arc::clone(&store.clock) as Arc<dyn Clock>, Arc::new(SystemRandom));
    let access = Access::new(Arc::clone(&clock), Arc::clone(&random));
    let listed = listed.iter().map(|email| (*email).to_owned());
    let linking = linking.iter().map(|provider| (*provider).to_owned());
    Accounts::new(access, listed, linking, clock, random)
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

async fn set_active(store: &TestStore, user: UserId, is_active: bool) {
    let access = accounts(store, &[]).access;
    let mut tx = store.db.write().await.expect("tx");
    access
        .users
        .set_active(&mut tx, None, user, is_active)
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
        let refused = sign_in_at(&store, &["demo", "directory"], "directory", &claimed("3", "ann@example.com")).await;
        assert!(matches!(refused, Err(AccountRefusal::EmailUsed)), "a claim links to no account: {refused:?}");
        assert!(ann.email_verified_at.is_some());
        // Nor is an account linked to that somebody may have made to be found.
        let refused = sign_in_at(&store, &["demo", "vouching"], "vouching", &who("4", "root@example.com")).await;
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
        let both = &["demo", "second"];
        let ann = sign_in(&store, &[], &who("1", "ann@example.com"), false).await.expect("ann");
        let refused = sign_in_at(&store, &["demo"], "second", &who("9", "ann@example.com")).await;
        assert!(matches!(refused, Err(AccountRefusal::EmailUsed)), "{refused:?}");
        let linked = sign_in_at(&store, both, "second", &who("9", "ANN@example.com")).await.expect("linked");
        assert_eq!(linked.id, ann.id);
        let known = sign_in_at(&store, &[], "second", &who("9", "renamed@example.com")).await.expect("known by now");
        assert_eq!(known.id, ann.id);
        // Another person at the same provider, with the same address: one of them is not Ann.
        let refused = sign_in_at(&store, both, "second", &who("10", "ann@example.com")).await;
        assert!(matches!(refused, Err(AccountRefusal::EmailUsed)), "{refused:?}");
        assert_eq!(sign_in_at(&store, both, "second", &who("9", "ann@example.com")).await.expect("ann").id, ann.id);
    }

    async fn an_account_is_linked_only_if_all_of_its_providers_link(store: TestStore) {
        // Whoever is at `demo` can have any address there, and makes an account with Ann's before she comes.
        let eve = sign_in_at(&store, &["second"], "demo", &who("eve", "ann@example.com")).await.expect("eve");
        assert!(eve.email_verified_at.is_some(), "so `demo` says");
        let ann = who("ann", "ann@example.com");
        for linking in [&["second"], &["demo"]] {
            let refused = sign_in_at(&store, linking, "second", &ann).await;
            assert!(matches!(refused, Err(AccountRefusal::EmailUsed)), "{linking:?}: {refused:?}");
            let refused = look(&store, linking, "second", &ann).await;
            assert!(matches!(refused, Err(AccountRefusal::EmailUsed)), "{linking:?}: {refused:?}");
        }
        // Nor is one that is known at several, of which one does not link, or is not configured any more.
        let both = ["demo", "second"];
        let bob = sign_in_at(&store, &both, "demo", &who("bob", "bob@example.com")).await.expect("bob");
        assert_eq!(sign_in_at(&store, &both, "second", &who("b", "bob@example.com")).await.expect("linked").id, bob.id);
        for linking in [&["second", "third"][..], &["demo", "third"], &["third"]] {
            let refused = sign_in_at(&store, linking, "third", &who("3", "bob@example.com")).await;
            assert!(matches!(refused, Err(AccountRefusal::EmailUsed)), "{linking:?}: {refused:?}");
        }
        let all = ["demo", "second", "third"];
        assert_eq!(sign_in_at(&store, &all, "third", &who("3", "bob@example.com")).await.expect("linked").id, bob.id);
    }

    async fn a_profile_is_kept_by_the_first_provider_of_its_account(store: TestStore) {
        let both = &["demo", "second"];
        let named = |subject: &str, name: &str| Identity {
            name: Some(name.to_owned()),
            picture: Some(format!("https://example.com/{name}.png")),
            ..who(subject, "ann@example.com")
        };
        let (first, other) = (named("1", "Ann"), named("9", "Annie"));
        let ann = sign_in_at(&store, both, "demo", &first).await.expect("ann");
        store.clock.advance(std::time::Duration::from_millis(1));
        for _ in 0..2 {
            let user = sign_in_at(&store, both, "second", &other).await.expect("linked");
            assert_eq!((&user, user.name.as_str()), (&ann, "Ann"));
            for (provider, identity) in [("second", &other), ("demo", &first)] {
                let unchanged = look(&store, both, provider, identity).await.expect("not refused");
                assert_eq!(unchanged.as_ref(), Some(&ann), "{provider}");
            }
        }
        let renamed = named("1", "Anna");
        assert_eq!(look(&store, both, "demo", &renamed).await.expect("not refused"), None);
        let user = sign_in_at(&store, both, "demo", &renamed).await.expect("ann");
        assert_eq!((user.name.as_str(), user.avatar_url.as_deref()), ("Anna", Some("https://example.com/Anna.png")));
    }

    async fn nobody_is_refused_or_let_through_only_after_a_turn_to_write(store: TestStore) {
        let both = &["demo", "second"];
        let root = sign_in_at(&store, both, "demo", &who("1", "root@example.com")).await.expect("root");
        let ann = sign_in_at(&store, both, "demo", &who("2", "ann@example.com")).await.expect("ann");
        set_admin(&store, ann.id, true).await;
        set_admin(&store, root.id, false).await;
        let seen = look(&store, both, "demo", &who("1", "root@example.com")).await.expect("not refused");
        assert_eq!(seen.map(|user| (user.id, user.is_admin)), Some((root.id, false)), "no listed one who was demoted");
        set_active(&store, root.id, false).await;
        for (provider, subject) in [("demo", "1"), ("second", "a")] {
            let refused = look(&store, both, provider, &who(subject, "root@example.com")).await;
            assert!(matches!(refused, Err(AccountRefusal::Deactivated)), "{provider}: {refused:?}");
        }
        let refused = look(&store, both, "demo", &who("3", "ann@example.com")).await;
        assert!(matches!(refused, Err(AccountRefusal::EmailUsed)), "{refused:?}");
        let refused = look(&store, both, "demo", &who("2", "no address")).await;
        assert!(matches!(refused, Err(AccountRefusal::NoEmail)), "{refused:?}");
        assert_eq!(look(&store, both, "demo", &who("4", "new@example.com")).await.expect("not refused"), None);
        assert_eq!(look(&store, both, "second", &who("b", "ann@example.com")).await.expect("not refused"), None);
    }

    async fn an_invitation_is_accepted_only_where_the_address_is_vouched_for_now(store: TestStore) {
        let bob = sign_in(&store, ROOT, &who("1", "bob@example.com"), false).await.expect("bob");
        set_active(&store, bob.id, false).await;
        let workspace = invited(&store, "bob@example.com").await;
        set_active(&store, bob.id, true).await;
        for elsewhere in [claimed("1", "bob@example.com"), who("1", "robert@example.com")] {
            let seen = look(&store, &[], "demo", &elsewhere).await.expect("not refused");
            assert_eq!(seen.map(|user| user.id), Some(bob.id), "nothing to write: {elsewhere:?}");
            sign_in(&store, ROOT, &elsewhere, false).await.expect("bob");
            assert_eq!(role(&store, workspace, bob.id).await, None, "{elsewhere:?}");
        }
        let vouched = who("1", "Bob@example.com");
        assert_eq!(look(&store, &[], "demo", &vouched).await.expect("not refused"), None);
        sign_in(&store, ROOT, &vouched, false).await.expect("bob");
        assert_eq!(role(&store, workspace, bob.id).await, Some(WorkspaceRole::Editor));
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
