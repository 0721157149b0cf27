//! Login with GitHub end to end, and everything of GitHub's that must not become an account.

use std::time::Duration;

use sentinel_identity::Outbound;
use sentinel_store::on_both_backends;
use sentinel_store::testing::TestStore as Store;
use serde_json::{Value, json};

use crate::common::github::{GitHub, Person, Twist};
use crate::common::{Options, TestApp};
use crate::login::{REDIRECT, VERIFIER, claims, code_of, exchange, login_with, title, user_of, workspace_of};

/// A control plane with GitHub and one client app. It waits for no answer long.
async fn start(store: Store, change: impl FnOnce(&mut Options)) -> (TestApp, GitHub) {
    let github = GitHub::start().await;
    let mut options = Options {
        providers: vec![github.settings("github")],
        outbound: Outbound::new(Duration::from_millis(300)),
        ..Options::default()
    };
    change(&mut options);
    let app = TestApp::start_with(store, options).await;
    app.client_app("spa", &[REDIRECT]).await;
    (app, github)
}

on_both_backends! {
    async fn a_person_logs_in_with_github(store: TestStore) {
        let (app, github) = start(store, |_| {}).await;
        let listed: Value = app.get("/auth/providers").send().await.expect("answer").json().await.expect("json");
        assert_eq!(listed, json!({ "providers": ["github"] }));
        github.next(Person::new(7, "ann", "ann@example.com"), Twist::None);
        let code = code_of(&login_with(&app, "github").await);
        let workspace = workspace_of(&app, "ann@example.com", "acme").await;
        let (status, tokens) = exchange(&app, &code, &workspace, VERIFIER).await;
        assert_eq!(status, 200, "{tokens}");
        let said = claims(tokens["access_token"].as_str().expect("token"));
        // The primary address, not the public one; the login for want of a name; the moment itself, for want of a better.
        assert_eq!((said["email"].as_str(), said["name"].as_str()), (Some("ann@example.com"), Some("ann")));
        assert_eq!(said["auth_time"], said["iat"]);
        assert!(said.get("amr").is_none_or(|amr| *amr == json!([])), "{said}");
        let ann = user_of(&app, "ann@example.com").await.expect("an account");
        assert!(ann.email_verified_at.is_some());
        assert_eq!(ann.avatar_url.as_deref(), Some("https://avatars.example.com/7"));
    }

    async fn the_numeric_id_is_the_person_whatever_he_is_called(store: TestStore) {
        let (app, github) = start(store, |_| {}).await;
        github.next(Person::new(7, "ann", "ann@example.com"), Twist::None);
        code_of(&login_with(&app, "github").await);
        let workspace = workspace_of(&app, "ann@example.com", "acme").await;
        let renamed = Person { name: Some("Ann Married".into()), ..Person::new(7, "ann-m", "married@example.com") };
        github.next(renamed, Twist::None);
        let code = code_of(&login_with(&app, "github").await);
        let (status, tokens) = exchange(&app, &code, &workspace, VERIFIER).await;
        assert_eq!(status, 200, "{tokens}");
        let said = claims(tokens["access_token"].as_str().expect("token"));
        assert_eq!((said["email"].as_str(), said["name"].as_str()), (Some("ann@example.com"), Some("Ann Married")));
        assert!(user_of(&app, "married@example.com").await.is_none(), "no second account");
        // A login name may be given to somebody else; it is nobody's account.
        github.next(Person::new(8, "ann", "eve@example.com"), Twist::None);
        let code = code_of(&login_with(&app, "github").await);
        assert_eq!(exchange(&app, &code, &workspace, VERIFIER).await.0, 403);
    }

    async fn hostile_answers_of_github_are_refused(store: TestStore) {
        let (app, github) = start(store, |_| {}).await;
        for twist in [
            Twist::CodeRefused,
            Twist::NoToken,
            Twist::MacToken,
            Twist::OddToken,
            Twist::TokenFails,
            Twist::UserFails,
            Twist::UserUnknown,
            Twist::UserTwisted,
            Twist::Huge,
            Twist::Slow,
            Twist::Redirect,
            Twist::Html,
            Twist::EmailsFail,
            Twist::Throttled,
        ] {
            github.next(Person::new(7, "ann", "ann@example.com"), twist);
            let answer = title(login_with(&app, "github").await).await;
            assert_eq!(answer, (502, "Authentication Failed".to_owned()), "{twist:?}");
        }
        assert!(user_of(&app, "ann@example.com").await.is_none(), "nobody was made");
    }

    async fn only_the_verified_primary_address_makes_an_account(store: TestStore) {
        let (app, github) = start(store, |_| {}).await;
        let ann = || Person::new(7, "ann", "ann@example.com");
        for (person, twist, expected) in [
            (ann().with_emails(&[("ann@example.com", true, false)]), Twist::None, "Email Not Verified"),
            (ann().with_emails(&[("a@example.com", false, true), ("ann@example.com", true, false)]), Twist::None, "Email Not Verified"),
            (ann().with_emails(&[("ann@example.com", false, true)]), Twist::None, "No Email Address"),
            (ann().with_emails(&[]), Twist::None, "No Email Address"),
            (ann().with_emails(&[("not an address", true, true)]), Twist::None, "No Email Address"),
            (ann(), Twist::EmailsForbidden, "No Email Address"),
        ] {
            github.next(person.clone(), twist);
            assert_eq!(title(login_with(&app, "github").await).await, (403, expected.to_owned()), "{person:?}");
        }
        assert!(user_of(&app, "ann@example.com").await.is_none(), "nobody was made");
        assert!(user_of(&app, "public@example.com").await.is_none(), "least of all by the public profile");
    }

    async fn an_address_that_is_taken_is_nobody_elses(store: TestStore) {
        let (app, github) = start(store, |_| {}).await;
        let there = app.user("ann@example.com").await;
        github.next(Person::new(7, "ann", "ann@example.com"), Twist::None);
        assert_eq!(title(login_with(&app, "github").await).await, (409, "Email Already Used".to_owned()));
        let same = user_of(&app, "ann@example.com").await.expect("the account");
        assert_eq!(same.id, there.id);
    }

    async fn github_links_a_verified_address_where_it_is_configured(store: TestStore) {
        let (app, github) = start(store, |options| options.providers[0].link_by_verified_email = true).await;
        let there = app.user("ann@example.com").await;
        let workspace = app.workspace(there.id, "acme").await.to_string();
        github.next(Person::new(7, "ann", "Ann@Example.com"), Twist::None);
        let code = code_of(&login_with(&app, "github").await);
        let (status, tokens) = exchange(&app, &code, &workspace, VERIFIER).await;
        assert_eq!(status, 200, "{tokens}");
        assert_eq!(claims(tokens["access_token"].as_str().expect("token"))["sub"], there.id.to_string());
        // Somebody else at GitHub with the same address is not the same person.
        github.next(Person::new(8, "eve", "ann@example.com"), Twist::None);
        assert_eq!(title(login_with(&app, "github").await).await, (409, "Email Already Used".to_owned()));
    }
}
