//! Access tokens of another issuer, and an edge that fetches that issuer's keys.

use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::harness::{Answer, Client, PATIENCE, World, bearer, let_pass};
use crate::idp::{Idp, Says, discovery};
use crate::issuer_keys::IssuerKey;
use crate::testing::{OLGA, token_of};

const ROUTES: &str = r#"
  - { match: "GET a.example/partners", to: docs, require: { signed_in: true }, tokens: [partner] }
  - { match: "GET a.example/everybody", to: docs, require: { signed_in: true }, tokens: [access, partner] }
  - { match: "GET a.example/editors", to: docs, require: { role: editor }, tokens: [access, partner] }
  - { match: "GET a.example/exports", to: docs, require: { action: "docs/reports:export" }, tokens: [access, partner] }
  - { match: "GET a.example/documents/{id}", to: docs, require: { permission: "docs/document/{id}#view" }, tokens: [access, partner] }
  - { match: "GET a.example/own", to: docs, require: { signed_in: true } }
  - { match: "GET a.example/public", to: docs, public: true }
"#;

/// An edge that trusts `partner`, with this about its keys.
async fn world(idp: &Idp, rest: &str) -> World {
    let issuer = idp.issuer();
    World::with_policy(&format!(
        "issuers: {{ partner: {{ issuer: '{issuer}', audiences: [api], tokens: access, refresh: 1m {rest} }} }}
routes: {ROUTES}"
    ))
    .await
}

/// Asks until the answer has this status: what is fetched in the background comes when it comes.
async fn until(world: &World, path: &str, token: &str, status: u16) -> Answer {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = world.get(path, &[&bearer(token)]).await;
        if answer.status == status {
            return answer;
        }
        assert!(Instant::now() < deadline, "still {answer:?}");
        sleep(Duration::from_millis(1)).await;
    }
}

async fn word(world: &World, path: &str, token: &str) -> (u16, String) {
    world.get(path, &[&bearer(token)]).await.word()
}

fn invalid() -> (u16, String) {
    (401, "token_invalid".to_owned())
}

#[tokio::test]
async fn the_bearer_is_signed_in_and_a_member_of_nothing() {
    let key = IssuerKey::new("k1");
    let idp = Idp::start(Says::Document(key.set())).await;
    let world = world(&idp, "").await;
    let token = key.access(&idp.issuer(), |_| ());
    until(&world, "/partners", &token, 200).await;
    let seen = world
        .service
        .requests()
        .last()
        .expect("a request")
        .to_ascii_lowercase();
    assert!(seen.contains("\r\nx-sentinel-issuer: partner\r\n"), "{seen}");
    assert!(
        seen.contains("\r\nx-sentinel-subject: auth0%7c4%202\r\n"),
        "{seen}"
    );
    assert!(
        !seen.contains("x-sentinel-user-id") && !seen.contains("x-sentinel-workspace"),
        "{seen}"
    );
    let forged = [
        "X-Sentinel-Issuer: google",
        "X-Sentinel-Subject: root",
        &bearer(&token),
    ];
    assert_eq!(world.get("/everybody", &forged).await.status, 200);
    let seen = world
        .service
        .requests()
        .last()
        .expect("a request")
        .to_ascii_lowercase();
    assert!(!seen.contains("google") && !seen.contains("root"), "{seen}");
    assert_eq!(seen.matches("x-sentinel-issuer").count(), 1, "{seen}");

    let before = world.service.requests().len();
    for (path, denial) in [
        ("/editors", (403, "role_denied")),
        ("/exports", (403, "action_denied")),
        (
            "/documents/0190a0a0-0000-7000-8000-000000000001",
            (403, "permission_denied"),
        ),
        ("/own", (401, "token_invalid")),
        ("/public", (401, "token_invalid")),
    ] {
        let (status, code) = denial;
        assert_eq!(
            word(&world, path, &token).await,
            (status, code.to_owned()),
            "{path}"
        );
    }
    let refused = word(&world, "/partners", &token_of(OLGA)).await;
    assert_eq!(refused, (401, "credential_not_accepted".to_owned()));
    for bad in [
        key.access(&idp.issuer(), |claims| claims["aud"] = json!("other")),
        key.access(&(idp.issuer() + "/"), |_| ()),
        IssuerKey::new("k1").access(&idp.issuer(), |_| ()),
        key.identity(&idp.issuer(), |claims| claims["typ"] = json!("Refresh")),
    ] {
        assert_eq!(word(&world, "/partners", &bad).await, invalid());
    }
    assert_eq!(world.service.requests().len(), before, "nothing was forwarded");
    let mut operator = Client::connect(world.running.admin()).await;
    operator.write(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let metrics = operator.read_answer().await.body;
    assert!(
        metrics.contains(r#"sentinel_edge_issuer_keys_age_seconds{issuer="partner"} "#),
        "{metrics}"
    );
    assert!(metrics.contains(r#"sentinel_edge_issuer_fetches_total{issuer="partner",outcome="got"} 1"#));
}

#[tokio::test]
async fn until_keys_are_known_nothing_can_be_said() {
    let key = IssuerKey::new("k1");
    for says in [
        Says::Status(500),
        Says::Nothing,
        Says::Endless,
        Says::Redirect("http://127.0.0.1:1/keys".to_owned()),
        Says::Document("{}".to_owned()),
    ] {
        let idp = Idp::start(says).await;
        let world = world(&idp, "").await;
        let token = key.access(&idp.issuer(), |_| ());
        idp.wait_for(1).await;
        let answer = world.get("/partners", &[&bearer(&token)]).await;
        assert_eq!(answer.word(), (503, "keys_not_ready".to_owned()));
        assert!(answer.header("retry-after").is_some());
        assert_eq!(word(&world, "/own", &token_of(OLGA)).await.0, 200);
        assert_eq!(word(&world, "/own", &token).await, invalid());
        idp.say(Says::Document(key.set()));
        let_pass(Duration::from_secs(15)).await;
        until(&world, "/partners", &token, 200).await;
    }
}

#[tokio::test]
async fn known_keys_outlive_every_failure() {
    let key = IssuerKey::new("k1");
    let idp = Idp::start(Says::Document(key.set())).await;
    let elsewhere = Idp::start(Says::Document(IssuerKey::new("k1").set())).await;
    let keys_url = format!(", jwks_url: 'http://{}/keys'", idp.address);
    let world = world(&idp, &keys_url).await;
    let token = |number: usize| key.access(&idp.issuer(), |claims| claims["jti"] = json!(number));
    until(&world, "/partners", &token(0), 200).await;
    let secret = r#"{"keys":[{"kty":"oct","kid":"k1","k":"c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"}]}"#;
    for (number, says) in [
        Says::Status(500),
        Says::Status(204),
        Says::Endless,
        Says::Redirect(format!("http://{}/keys", elsewhere.address)),
        Says::Document(r#"{"keys":[]}"#.to_owned()),
        Says::Document(secret.to_owned()),
        Says::Document("<html>".to_owned()),
        Says::Document(format!("{}{}", key.set(), " ".repeat(300_000))),
    ]
    .into_iter()
    .enumerate()
    {
        let asked = idp.asked();
        idp.say(says);
        let_pass(Duration::from_secs(61)).await;
        idp.wait_for(asked + 1).await;
        // The next try begins when this one is over, so whatever it brought is known by then.
        let_pass(Duration::from_secs(61)).await;
        idp.wait_for(asked + 2).await;
        world.replica.touch();
        // Both one that is remembered and one that has to be verified.
        assert_eq!(word(&world, "/partners", &token(0)).await.0, 200, "{number}");
        assert_eq!(
            word(&world, "/partners", &token(number + 1)).await.0,
            200,
            "{number}"
        );
    }
    assert_eq!(elsewhere.asked(), 0, "a redirect was followed");
}

#[tokio::test]
async fn a_new_key_is_fetched_when_a_token_names_it_and_the_old_one_goes() {
    let (old, new) = (IssuerKey::new("k1"), IssuerKey::new("k2"));
    let idp = Idp::start(Says::Document(old.set())).await;
    let world = world(&idp, "").await;
    let (before, after) = (
        old.access(&idp.issuer(), |_| ()),
        new.access(&idp.issuer(), |_| ()),
    );
    until(&world, "/partners", &before, 200).await;
    idp.say(Says::Document(new.set()));
    assert_eq!(word(&world, "/partners", &after).await, invalid(), "nobody waits");
    let_pass(Duration::from_secs(11)).await;
    until(&world, "/partners", &after, 200).await;
    assert_eq!(
        word(&world, "/partners", &before).await,
        invalid(),
        "remembered, and gone with its key"
    );
}

#[tokio::test]
async fn a_flood_of_unknown_keys_is_one_question_in_ten_seconds() {
    let key = IssuerKey::new("k1");
    let idp = Idp::start(Says::Document(key.set())).await;
    let world = world(&idp, "").await;
    let good = key.access(&idp.issuer(), |_| ());
    until(&world, "/partners", &good, 200).await;
    assert_eq!(idp.asked(), 1);
    let unknown = IssuerKey::new("unknown").access(&idp.issuer(), |_| ());
    let flood = async || {
        for _ in 0..30 {
            assert_eq!(word(&world, "/partners", &unknown).await, invalid());
        }
    };
    flood().await;
    let_pass(Duration::from_secs(11)).await;
    idp.wait_for(2).await;
    for _ in 0..4 {
        flood().await;
        let_pass(Duration::from_secs(1)).await;
        flood().await;
    }
    assert_eq!(idp.asked(), 2, "asked again within ten seconds");
    let_pass(Duration::from_secs(11)).await;
    idp.wait_for(3).await;
    flood().await;
    assert_eq!(idp.asked(), 3);
    assert_eq!(word(&world, "/partners", &good).await.0, 200);
}

#[tokio::test]
async fn a_discovery_document_of_somebody_else_leads_nowhere() {
    let key = IssuerKey::new("k1");
    let evil = Idp::start(Says::Document(key.set())).await;
    for document in [
        Says::Document(discovery(evil.address)),
        Says::Redirect(evil.issuer() + "/.well-known/openid-configuration"),
        Says::Document("[]".to_owned()),
        Says::Endless,
    ] {
        let idp = Idp::start(Says::Document(key.set())).await;
        idp.say_in_discovery(document);
        let world = world(&idp, "").await;
        let token = key.access(&idp.issuer(), |_| ());
        let refused = word(&world, "/partners", &token).await;
        assert_eq!(refused, (503, "keys_not_ready".to_owned()));
        idp.say_in_discovery(Says::Document(discovery(idp.address)));
        let_pass(Duration::from_secs(15)).await;
        until(&world, "/partners", &token, 200).await;
        assert_eq!(evil.asked(), 0);
    }
}

#[tokio::test]
async fn ambiguous_tokens_are_refused() {
    let key = IssuerKey::new("k1");
    let idp = Idp::start(Says::Document(key.set())).await;
    let world = world(&idp, "").await;
    let good = key.access(&idp.issuer(), |_| ());
    until(&world, "/partners", &good, 200).await;
    let lines = [bearer(&good), bearer(&good)];
    let twice: Vec<&str> = lines.iter().map(String::as_str).collect();
    let refused = world.get("/partners", &twice).await.word();
    assert_eq!(refused, (400, "credential_duplicated".to_owned()));
    let parts: Vec<&str> = good.split('.').collect();
    let spliced = key.access(&idp.issuer(), |claims| claims["sub"] = json!("root"));
    let payload = spliced.split('.').nth(1).expect("a payload");
    for bad in [
        format!("{}.{payload}.{}", parts[0], parts[2]),
        format!("{}.{}.", parts[0], parts[1]),
        format!("{good}.x"),
        format!("eyJhbGciOiJub25lIn0.{}.AAAA", parts[1]),
        "x".repeat(9_000),
    ] {
        assert_eq!(word(&world, "/partners", &bad).await, invalid());
    }
}
