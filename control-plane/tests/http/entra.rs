//! Login with Microsoft Entra ID: tenant and object id are the person, and an address decides only what the token proves.

use sentinel_store::on_both_backends;
use sentinel_store::testing::TestStore as Store;
use serde_json::{Value, json};

use crate::common::oidc::{Person, Provider, Twist};
use crate::common::{Options, TestApp};
use crate::login::{
    REDIRECT, VERIFIER, away, claims, code_of, exchange, header, login_with, title, user_of, workspace_of,
};

const TENANT: &str = "8f14e45f-ceea-467f-a5a1-0e3d6ad0b7c2";
const OTHER: &str = "2c0c9a1e-6f5d-4c0e-9f0b-3f6d3ad3a9b1";

/// A control plane with one tenant of Entra ID, once with linking, and one client app.
async fn start(store: Store, change: impl FnOnce(&mut Options)) -> (TestApp, Provider) {
    let provider = Provider::start(std::sync::Arc::clone(&store.clock)).await;
    let mut linking = provider.entra("linking", TENANT);
    linking.link_by_verified_email = true;
    let mut options = Options {
        providers: vec![provider.entra("entra_id", TENANT), linking],
        ..Options::default()
    };
    change(&mut options);
    let app = TestApp::start_with(store, options).await;
    app.client_app("spa", &[REDIRECT]).await;
    (app, provider)
}

/// Somebody of the tenant with an address in its directory. `sub` is different for every application.
fn person(object: &str, email: &str) -> Person {
    Person {
        sub: format!("pairwise of {object}"),
        claims: json!({ "tid": TENANT, "oid": object, "email": email, "name": format!("Name of {object}") }),
    }
}

on_both_backends! {
    async fn tenant_and_object_id_are_the_person(store: TestStore) {
        let (app, provider) = start(store, |_| {}).await;
        provider.next(person("ann", "ann@example.com"), Twist::None);
        code_of(&login_with(&app, "entra_id").await);
        let workspace = workspace_of(&app, "ann@example.com", "acme").await;
        let ann = user_of(&app, "ann@example.com").await.expect("an account");
        assert_eq!(ann.email_verified_at, None, "nobody said whose the address is");

        let mut same = person("ann", "married@example.com");
        same.sub = "as another application sees her".into();
        provider.next(same, Twist::None);
        let code = code_of(&login_with(&app, "entra_id").await);
        let (status, tokens) = exchange(&app, &code, &workspace, VERIFIER).await;
        assert_eq!(status, 200, "{tokens}");
        assert_eq!(claims(tokens["access_token"].as_str().expect("token"))["sub"], ann.id.to_string());

        // `sub` of somebody is not his object id, and nobody else's.
        let mut eve = person("eve", "eve@example.com");
        eve.sub = "as another application sees her".into();
        provider.next(eve, Twist::None);
        let code = code_of(&login_with(&app, "entra_id").await);
        assert_eq!(exchange(&app, &code, &workspace, VERIFIER).await.0, 403);
    }

    async fn another_tenant_or_nobody_in_particular_is_refused(store: TestStore) {
        let (app, provider) = start(store, |_| {}).await;
        let ann = || person("ann", "ann@example.com");
        for person in [
            ann().with("tid", OTHER.into()),
            ann().with("tid", Value::Null),
            ann().with("tid", "common".into()),
            ann().with("tid", json!([TENANT])),
            ann().with("oid", Value::Null),
            ann().with("oid", "".into()),
            ann().with("oid", json!(7)),
        ] {
            provider.next(person.clone(), Twist::None);
            let answer = title(login_with(&app, "entra_id").await).await;
            assert_eq!(answer, (502, "Authentication Failed".to_owned()), "{person:?}");
        }
        assert!(user_of(&app, "ann@example.com").await.is_none(), "nobody was made");
        provider.next(ann().with("tid", TENANT.to_uppercase().into()), Twist::None);
        code_of(&login_with(&app, "entra_id").await);
    }

    async fn an_address_in_the_directory_decides_nothing(store: TestStore) {
        let (app, provider) = start(store, |options| options.admin_emails = vec!["root@example.com".into()]).await;
        let there = app.user("ann@example.com").await;
        // An administrator of the tenant can write any address into its directory.
        for name in ["entra_id", "linking"] {
            provider.next(person("eve", "ann@example.com"), Twist::None);
            assert_eq!(title(login_with(&app, name).await).await, (409, "Email Already Used".to_owned()), "{name}");
        }
        provider.next(person("eve", "root@example.com"), Twist::None);
        let begun = app.get("/auth/admin/login/entra_id").send().await.expect("answer");
        let (callback, cookie) = away(&app, &begun).await;
        let panel = app.http.get(callback).header("cookie", cookie).send().await.expect("answer");
        assert_eq!(header(&panel, "location"), "http://admin.test/login?error=not_admin");
        code_of(&login_with(&app, "entra_id").await);
        let eve = user_of(&app, "root@example.com").await.expect("an account");
        assert!(!eve.is_admin);
        // Nor is she one when the directory proves another address of hers: it says nothing about the one of the account.
        provider.next(person("eve", "eve@example.com").with("xms_edov", json!(true)), Twist::None);
        code_of(&login_with(&app, "entra_id").await);
        let eve = user_of(&app, "root@example.com").await.expect("the account");
        assert!(!eve.is_admin && eve.email_verified_at.is_none());
        assert_eq!(user_of(&app, "ann@example.com").await.expect("the account").id, there.id);
    }

    async fn a_domain_that_was_proved_vouches_for_an_address(store: TestStore) {
        let (app, provider) = start(store, |options| options.admin_emails = vec!["root@example.com".into()]).await;
        let proved = |object, email| person(object, email).with("xms_edov", json!(true));
        provider.next(proved("root", "root@example.com"), Twist::None);
        code_of(&login_with(&app, "entra_id").await);
        let root = user_of(&app, "root@example.com").await.expect("an account");
        assert!(root.is_admin && root.email_verified_at.is_some());

        let there = app.user("ann@example.com").await;
        let workspace = app.workspace(there.id, "acme").await.to_string();
        provider.next(proved("ann", "ann@example.com"), Twist::None);
        assert_eq!(title(login_with(&app, "entra_id").await).await.0, 409, "linking is off there");
        let code = code_of(&login_with(&app, "linking").await);
        let (status, tokens) = exchange(&app, &code, &workspace, VERIFIER).await;
        assert_eq!(status, 200, "{tokens}");
        assert_eq!(claims(tokens["access_token"].as_str().expect("token"))["sub"], there.id.to_string());
    }

    async fn other_words_for_yes_prove_nothing_and_no_is_no(store: TestStore) {
        let (app, provider) = start(store, |_| {}).await;
        for (number, (word, status)) in [
            (json!(false), 403),
            (json!("false"), 403),
            (json!("0"), 403),
            (json!(0), 403),
            (json!("true"), 307),
            (json!(1), 307),
            (json!(null), 307),
        ]
        .into_iter()
        .enumerate()
        {
            let email = format!("ann{number}@example.com");
            provider.next(person(&format!("ann{number}"), &email).with("xms_edov", word.clone()), Twist::None);
            let answer = login_with(&app, "linking").await;
            assert_eq!(answer.status().as_u16(), status, "{word}");
            let made = user_of(&app, &email).await;
            assert!(made.is_none_or(|user| user.email_verified_at.is_none()), "{word}");
        }
    }

    async fn email_verified_of_a_tenant_proves_nothing(store: TestStore) {
        let (app, provider) = start(store, |options| options.admin_emails = vec!["root@example.com".into()]).await;
        let there = app.user("ann@example.com").await;
        let says_so = |object: &str, email: &str| person(object, email).with("email_verified", json!(true));
        provider.next(says_so("eve", "ann@example.com"), Twist::None);
        assert_eq!(title(login_with(&app, "linking").await).await, (409, "Email Already Used".to_owned()));
        for (object, edov) in [("one", Value::Null), ("two", json!("true")), ("three", json!(1))] {
            let email = format!("{object}@example.com");
            provider.next(says_so(object, &email).with("xms_edov", edov), Twist::None);
            code_of(&login_with(&app, "linking").await);
            assert_eq!(user_of(&app, &email).await.expect("an account").email_verified_at, None, "{object}");
        }
        provider.next(says_so("eve", "root@example.com"), Twist::None);
        code_of(&login_with(&app, "linking").await);
        assert!(!user_of(&app, "root@example.com").await.expect("an account").is_admin);
        assert_eq!(user_of(&app, "ann@example.com").await.expect("the account").id, there.id);
    }

    async fn the_name_somebody_signs_in_with_may_be_his_address_and_proves_nothing(store: TestStore) {
        let (app, provider) = start(store, |_| {}).await;
        let there = app.user("ann@example.com").await;
        let without = |object: &str| person(object, "").with("email", Value::Null).with("xms_edov", json!(true));
        provider.next(without("eve").with("preferred_username", "ann@example.com".into()), Twist::None);
        assert_eq!(title(login_with(&app, "linking").await).await, (409, "Email Already Used".to_owned()));
        for (object, claim) in [("one", "preferred_username"), ("two", "upn")] {
            let email = format!("{object}@example.com");
            provider.next(without(object).with(claim, email.clone().into()), Twist::None);
            code_of(&login_with(&app, "linking").await);
            assert_eq!(user_of(&app, &email).await.expect("an account").email_verified_at, None);
        }
        provider.next(without("three").with("preferred_username", "+49 30 1234".into()), Twist::None);
        assert_eq!(title(login_with(&app, "linking").await).await, (403, "No Email Address".to_owned()));
        assert_eq!(user_of(&app, "ann@example.com").await.expect("the account").id, there.id);
    }
}
