//! Tokens that an application got from a provider by itself: which are believed, and what is said of the others.

use std::sync::Arc;
use std::time::Duration;

use sentinel_core::{Clock, ManualClock, SystemClock};
use sentinel_identity::{EmailTrust, Expected, Outbound, ProviderSettings, Providers, VouchError, Voucher};
use serde_json::{Value, json};

use crate::common::github::{self, GitHub};
use crate::common::oidc::{CLIENT_ID, Person, Provider, Twist};

const NONCE: &str = "n-0S6_WzA2Mj";
const TENANT: &str = "8f14e45f-ceea-467f-a5a1-0e3d6ad0b7c2";

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(SystemClock.now()))
}

fn providers(settings: ProviderSettings, clock: &Arc<ManualClock>) -> Providers {
    let outbound = Outbound::new(Duration::from_millis(300));
    let clock = Arc::clone(clock) as Arc<dyn Clock>;
    Providers::new([settings], &outbound, &clock).expect("providers")
}

async fn vouch(providers: &Providers, token: &str, expected: Expected<'_>) -> Result<Voucher, VouchError> {
    let name = providers.names().next().expect("a provider").to_owned();
    providers
        .find(&name)
        .expect("the provider")
        .vouch(token, &expected)
        .await
}

/// What is said of a token.
async fn said(providers: &Providers, token: &str, expected: Expected<'_>) -> String {
    vouch(providers, token, expected)
        .await
        .expect_err("refused")
        .to_string()
}

fn ann() -> Person {
    Person::new("1", "ann@example.com")
}

#[tokio::test]
async fn an_id_token_is_believed_for_what_it_says() {
    let clock = clock();
    let provider = Provider::start(Arc::clone(&clock)).await;
    let providers = providers(provider.settings("demo"), &clock);
    let token = provider.id_token(&ann(), Twist::None, NONCE);
    for nonce in [None, Some(NONCE)] {
        let expected = Expected {
            audiences: &[],
            nonce,
        };
        let voucher = vouch(&providers, &token, expected).await.expect("believed");
        assert_eq!(
            (voucher.subject.as_str(), voucher.identity.subject.as_str()),
            ("1", "1")
        );
        assert_eq!(voucher.identity.email.as_deref(), Some("ann@example.com"));
        assert_eq!(voucher.identity.email_trust, EmailTrust::Verified);
        assert_eq!(voucher.amr, ["pwd", "otp"]);
        let (now, end) = (clock.now().timestamp(), voucher.expires_at.expect("an end"));
        assert_eq!(
            (end.timestamp(), voucher.auth_time.timestamp()),
            (now + 300, now - 7)
        );
    }
}

#[tokio::test]
async fn hostile_id_tokens_are_refused() {
    let clock = clock();
    let provider = Provider::start(Arc::clone(&clock)).await;
    let providers = providers(provider.settings("demo"), &clock);
    for (twist, text) in [
        (Twist::WrongIssuer, "Invalid token: it is from another issuer"),
        (
            Twist::WrongAudience,
            "Invalid token: it was made for another client",
        ),
        (
            Twist::WrongAuthorizedParty,
            "Invalid token: it was given to another client",
        ),
        (Twist::WrongNonce, "Nonce mismatch"),
        (Twist::NoNonce, "Nonce mismatch"),
        (Twist::AlgNone, "Invalid token: its algorithm is not accepted"),
        (
            Twist::HmacByPublicKey,
            "Invalid token: its algorithm is not accepted",
        ),
        (Twist::UnknownKid, "Invalid token: the provider has no such key"),
        (Twist::ForeignSignature, "Invalid token: its signature is wrong"),
        (Twist::Expired, "Token expired"),
        (Twist::IssuedLater, "Invalid token: it is from the future"),
        (Twist::SignedInLater, "Invalid token: it is from the future"),
    ] {
        let token = provider.id_token(&ann(), twist, NONCE);
        let nonce = Some(NONCE);
        assert_eq!(
            said(
                &providers,
                &token,
                Expected {
                    audiences: &[],
                    nonce
                }
            )
            .await,
            text,
            "{twist:?}"
        );
    }
    for token in ["", ".", "..", "a.b.c", "not a token", "eyJhbGciOiJub25lIn0.e30."] {
        assert_eq!(
            said(&providers, token, Expected::default()).await,
            "Invalid token: it is not an ID token",
            "{token}"
        );
    }
    let long = provider.id_token(
        &ann().with("padding", "a".repeat(8192).into()),
        Twist::None,
        NONCE,
    );
    assert_eq!(
        said(&providers, &long, Expected::default()).await,
        "Invalid token: it is longer than 8192 bytes"
    );
    // Its claims, with another payload under the same signature.
    let good = provider.id_token(&ann(), Twist::None, NONCE);
    let other = provider.id_token(&Person::new("2", "eve@example.com"), Twist::None, NONCE);
    let part = |token: &str, number: usize| token.split('.').nth(number).expect("part").to_owned();
    let mixed = format!("{}.{}.{}", part(&good, 0), part(&other, 1), part(&good, 2));
    assert_eq!(
        said(&providers, &mixed, Expected::default()).await,
        "Invalid token: its signature is wrong"
    );
}

#[tokio::test]
async fn a_token_ends_by_our_clock() {
    let clock = clock();
    let provider = Provider::start(Arc::clone(&clock)).await;
    let providers = providers(provider.settings("demo"), &clock);
    let token = provider.id_token(&ann(), Twist::None, NONCE);
    clock.advance(Duration::from_secs(299));
    vouch(&providers, &token, Expected::default())
        .await
        .expect("still good");
    clock.advance(Duration::from_secs(1));
    assert_eq!(
        said(&providers, &token, Expected::default()).await,
        "Token expired"
    );
}

#[tokio::test]
async fn times_that_cannot_be_are_refused() {
    const NO_TIME: &str = "Invalid token: it has a time that is no number or lies before 1970";
    const NOT_YET: &str = "Invalid token: it is not good yet";
    let clock = clock();
    let provider = Provider::start(Arc::clone(&clock)).await;
    let providers = providers(provider.settings("demo"), &clock);
    let token =
        |claim: &str, value: &Value| provider.id_token(&ann().with(claim, value.clone()), Twist::None, NONCE);
    let now = clock.now().timestamp();
    for (claim, value) in [
        ("auth_time", json!(0)),
        ("nbf", json!(0)),
        ("nbf", json!(-1)),
        ("nbf", json!(now)),
        ("nbf", json!(now + 300)),
        ("nbf", json!(0.5)),
    ] {
        let voucher = vouch(&providers, &token(claim, &value), Expected::default()).await;
        voucher.unwrap_or_else(|error| panic!("{claim} {value}: {error}"));
    }
    for (claim, value, text) in [
        ("iat", json!(-1), NO_TIME),
        ("iat", json!(-0.5), NO_TIME),
        ("iat", json!(-400_000_000_000_i64), NO_TIME),
        ("auth_time", json!(-1), NO_TIME),
        ("auth_time", json!(-8_000_000_000_000_i64), NO_TIME),
        (
            "auth_time",
            json!(i64::MIN),
            "Invalid token: it is not an ID token",
        ),
        ("nbf", json!(now + 302), NOT_YET),
        ("nbf", json!(i64::MAX), NOT_YET),
        ("nbf", json!(1e300), NOT_YET),
        ("nbf", json!("0"), NO_TIME),
        ("nbf", json!([0]), NO_TIME),
        ("nbf", json!(true), NO_TIME),
        ("nbf", Value::Null, NO_TIME),
    ] {
        let told = said(&providers, &token(claim, &value), Expected::default()).await;
        assert_eq!(told, text, "{claim} {value}");
    }
}

#[tokio::test]
async fn a_token_is_brought_within_a_day_whatever_its_end() {
    let clock = clock();
    let provider = Provider::start(Arc::clone(&clock)).await;
    let providers = providers(provider.settings("demo"), &clock);
    let now = clock.now().timestamp();
    let person = ann().with("exp", json!(now + 400_000_000));
    let token = provider.id_token(&person.with("iat", json!(now)), Twist::None, NONCE);
    clock.advance(Duration::from_secs(86_399));
    vouch(&providers, &token, Expected::default())
        .await
        .expect("still good");
    clock.advance(Duration::from_secs(2));
    assert_eq!(
        said(&providers, &token, Expected::default()).await,
        "Token expired"
    );
}

#[tokio::test]
async fn the_audiences_of_an_application_take_the_place_of_ours() {
    let clock = clock();
    let provider = Provider::start(Arc::clone(&clock)).await;
    let providers = providers(provider.settings("demo"), &clock);
    let audiences = ["spa".to_owned(), "mobile".to_owned()];
    let expected = Expected {
        audiences: &audiences,
        nonce: None,
    };
    let token = |aud: Value, azp: Value| {
        provider.id_token(&ann().with("aud", aud).with("azp", azp), Twist::None, NONCE)
    };
    for (aud, azp) in [
        (json!("spa"), json!("spa")),
        (json!("mobile"), Value::Null),
        (json!(["spa"]), Value::Null),
        (json!(["spa", "mobile"]), json!("mobile")),
    ] {
        vouch(&providers, &token(aud.clone(), azp), expected)
            .await
            .unwrap_or_else(|error| panic!("{aud}: {error}"));
    }
    for (aud, azp, text) in [
        (
            json!(CLIENT_ID),
            json!(CLIENT_ID),
            "it was made for another client",
        ),
        (json!([]), Value::Null, "it was made for another client"),
        (
            json!(["spa", "eve"]),
            json!("spa"),
            "it was made for another client",
        ),
        (json!("spa"), json!("mobile"), "it was given to another client"),
        (json!("spa"), json!(CLIENT_ID), "it was given to another client"),
    ] {
        let told = said(&providers, &token(aud.clone(), azp), expected).await;
        assert_eq!(told, format!("Invalid token: {text}"), "{aud}");
    }
}

#[tokio::test]
async fn without_an_address_that_counts_nobody_is_vouched_for() {
    let clock = clock();
    let provider = Provider::start(Arc::clone(&clock)).await;
    let providers = providers(provider.settings("demo"), &clock);
    let token = |claim, value| provider.id_token(&ann().with(claim, value), Twist::None, NONCE);
    for verified in [json!(false), Value::Null] {
        let token = token("email_verified", verified);
        assert_eq!(
            said(&providers, &token, Expected::default()).await,
            "Email not verified"
        );
    }
    let text = said(
        &providers,
        &token("email_verified", json!("true")),
        Expected::default(),
    )
    .await;
    assert_eq!(text, "Invalid token: it is not an ID token");
    // The user info is not asked: there is nothing to ask with.
    let text = said(&providers, &token("email", Value::Null), Expected::default()).await;
    assert!(text.starts_with("IdP token carries no email address"), "{text}");
}

#[tokio::test]
async fn tenant_and_object_id_are_the_account_and_sub_is_what_applications_see() {
    let clock = clock();
    let provider = Provider::start(Arc::clone(&clock)).await;
    let providers = providers(provider.entra("entra_id", TENANT), &clock);
    let person = |tid: Value, oid: Value| {
        let claims = json!({ "tid": tid, "oid": oid, "email": "ann@example.com" });
        Person {
            sub: "pairwise".into(),
            claims,
        }
    };
    let token = |tid, oid| provider.id_token(&person(tid, oid), Twist::None, NONCE);
    let voucher = vouch(
        &providers,
        &token(json!(TENANT), json!("ann")),
        Expected::default(),
    )
    .await
    .expect("believed");
    assert_eq!(voucher.subject, "pairwise");
    assert_eq!(voucher.identity.subject, format!("{TENANT}:ann"));
    assert_eq!(voucher.identity.email_trust, EmailTrust::Claimed);
    let other = json!("2c0c9a1e-6f5d-4c0e-9f0b-3f6d3ad3a9b1");
    for (tid, oid, text) in [
        (other, json!("ann"), "it is of another tenant"),
        (Value::Null, json!("ann"), "it is of another tenant"),
        (json!(TENANT), Value::Null, "it has no object id"),
    ] {
        let told = said(&providers, &token(tid, oid), Expected::default()).await;
        assert_eq!(told, format!("Invalid token: {text}"));
    }
}

#[tokio::test]
async fn a_subject_that_cannot_be_kept_is_refused() {
    const REFUSED: &str = "Invalid token: its subject cannot be kept";
    let clock = clock();
    let provider = Provider::start(Arc::clone(&clock)).await;
    let demo = providers(provider.settings("demo"), &clock);
    let entra = providers(provider.entra("entra_id", TENANT), &clock);
    let of_tenant = |sub: &str, object: &str| Person {
        sub: sub.to_owned(),
        claims: json!({ "tid": TENANT, "oid": object, "email": "ann@example.com" }),
    };
    let token = |person: &Person| provider.id_token(person, Twist::None, NONCE);
    let (longest, too_long) = ("ë".repeat(255), "s".repeat(256));
    for good in ["1", &longest] {
        let plain = token(&Person::new(good, "ann@example.com"));
        let pairwise = token(&of_tenant(good, "ann"));
        for (providers, token) in [(&demo, plain), (&entra, pairwise)] {
            let voucher = vouch(providers, &token, Expected::default()).await;
            assert_eq!(voucher.expect("believed").subject, good);
        }
    }
    for bad in ["", "a\0b", "a\nb", "a\u{7f}", "a\u{85}", &too_long] {
        let plain = token(&Person::new(bad, "ann@example.com"));
        assert_eq!(said(&demo, &plain, Expected::default()).await, REFUSED, "{bad:?}");
        let pairwise = token(&of_tenant(bad, "ann"));
        assert_eq!(
            said(&entra, &pairwise, Expected::default()).await,
            REFUSED,
            "{bad:?}"
        );
    }
    for bad in ["a\0b", &too_long] {
        let object = token(&of_tenant("1", bad));
        assert_eq!(
            said(&entra, &object, Expected::default()).await,
            REFUSED,
            "{bad:?}"
        );
    }
    // GitHub's are numbers.
    let github = GitHub::start().await;
    let providers = providers(github.settings("github"), &clock);
    let person = github::Person::new(u64::MAX, "ann", "ann@example.com");
    let token = github.token(person, github::CLIENT_ID);
    let voucher = vouch(&providers, &token, Expected::default()).await;
    assert_eq!(voucher.expect("believed").subject, format!("github|{}", u64::MAX));
}

#[tokio::test]
async fn a_provider_that_is_away_says_nothing_about_a_token() {
    let clock = clock();
    let provider = Provider::start(Arc::clone(&clock)).await;
    let token = provider.id_token(&ann(), Twist::None, NONCE);
    let mut settings = provider.settings("demo");
    settings.protocol = sentinel_identity::Protocol::Oidc {
        issuer: "http://127.0.0.1:1".into(),
    };
    let providers = providers(settings, &clock);
    let error = vouch(&providers, &token, Expected::default())
        .await
        .expect_err("away");
    assert!(matches!(error, VouchError::Unreachable(_)), "{error}");
}

#[tokio::test]
async fn an_access_token_of_github_is_believed_if_it_is_ours() {
    let clock = clock();
    let github = GitHub::start().await;
    let providers = providers(github.settings("github"), &clock);
    let ann = || github::Person::new(7, "ann", "ann@example.com");
    let token = github.token(ann(), github::CLIENT_ID);
    // A nonce says nothing about an opaque token.
    let expected = Expected {
        audiences: &[],
        nonce: Some(NONCE),
    };
    let voucher = vouch(&providers, &token, expected).await.expect("believed");
    assert_eq!(
        (voucher.subject.as_str(), voucher.identity.subject.as_str()),
        ("github|7", "7")
    );
    assert_eq!(voucher.identity.email.as_deref(), Some("ann@example.com"));
    assert_eq!(voucher.identity.email_trust, EmailTrust::Verified);
    assert_eq!((voucher.auth_time, voucher.expires_at), (clock.now(), None));

    for (token, text) in [
        (
            github.token(ann(), "another application"),
            "GitHub token was not issued to this application",
        ),
        (
            github.token(ann(), "lies"),
            "GitHub token was not issued to this application",
        ),
        (
            "gho_nobody".to_owned(),
            "GitHub token was not issued to this application",
        ),
        ("a\nb".to_owned(), "Invalid GitHub token"),
        (String::new(), "Invalid GitHub token"),
        ("a".repeat(8193), "Invalid token: it is longer than 8192 bytes"),
        (
            github.token(
                ann().with_emails(&[("ann@example.com", true, false)]),
                github::CLIENT_ID,
            ),
            "Email not verified",
        ),
    ] {
        assert_eq!(said(&providers, &token, Expected::default()).await, text);
    }
    let nobody = github.token(ann().with_emails(&[]), github::CLIENT_ID);
    let text = said(&providers, &nobody, Expected::default()).await;
    assert!(text.starts_with("IdP token carries no email address"), "{text}");
    let audiences = ["spa".to_owned()];
    let bound = Expected {
        audiences: &audiences,
        nonce: None,
    };
    let text = said(&providers, &token, bound).await;
    assert!(
        text.starts_with("Per-app IdP audience binding is configured for this app but cannot be enforced"),
        "{text}"
    );
}

#[tokio::test]
async fn what_github_says_and_what_it_does_not_say_are_two_things() {
    let clock = clock();
    let github = GitHub::start().await;
    let providers = providers(github.settings("github"), &clock);
    let ann = || github::Person::new(7, "ann", "ann@example.com");
    let token = github.token(ann(), github::CLIENT_ID);
    for (twist, text) in [
        (github::Twist::UserUnknown, "Invalid GitHub token"),
        (github::Twist::EmailsForbidden, "Could not fetch GitHub emails"),
    ] {
        github.next(ann(), twist);
        assert_eq!(
            said(&providers, &token, Expected::default()).await,
            text,
            "{twist:?}"
        );
    }
    for twist in [
        github::Twist::ClientUnknown,
        github::Twist::Throttled,
        github::Twist::UserFails,
        github::Twist::UserTwisted,
        github::Twist::Huge,
        github::Twist::Slow,
        github::Twist::Redirect,
        github::Twist::Html,
        github::Twist::EmailsFail,
    ] {
        github.next(ann(), twist);
        let error = vouch(&providers, &token, Expected::default())
            .await
            .expect_err("no answer");
        assert!(matches!(error, VouchError::Unreachable(_)), "{twist:?}: {error}");
    }
}
