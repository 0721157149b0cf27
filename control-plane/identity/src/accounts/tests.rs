use sentinel_core::SystemRandom;
use sentinel_core::id::UserId;
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
    let (clock, random): (Arc<dyn Clock>, Arc<dyn Random>) =
        (Arc::clone(&store.clock) as Arc<dyn Clock>, Arc::new(SystemRandom));
    let access = Access::new(Arc::clone(&clock), Arc::clone(&random));
    let listed = listed.iter().map(|email| (*email).to_owned());
    let accounts = Accounts::new(access, listed, clock, random);
    let mut tx = store.db.write().await.expect("tx");
    let user = accounts.resolve(&mut tx, "demo", false, identity, panel).await?;
    tx.commit().await.expect("commit");
    Ok(user)
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
}
