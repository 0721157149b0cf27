//! Routes on trial: the decision is made, logged and counted, and the request is forwarded whatever it was.

use std::time::Duration;

use sentinel_core::{Change, WorkspaceRole};
use sentinel_proxy::doorway::Limits;

use crate::harness::{Answer, Client, World, bearer, get, let_pass};
use crate::testing::{EDDA, NEMO, OLGA, VERA, facts, membership, revision, service_key, token_of};

const ROUTES: &str = r#"
limits: { max_body: 16B }
routes:
  - { match: "GET a.example/trial", to: docs, require: { role: editor }, mode: shadow }
  - { match: "POST a.example/trial", to: docs, require: { role: editor }, mode: shadow }
  - { match: "GET a.example/earnest", to: docs, require: { role: editor } }
  - { match: "GET a.example/stream", to: docs, require: { signed_in: true }, mode: shadow }
  - match: GET a.example/few
    to: docs
    require: { role: editor }
    mode: shadow
    strangers: not_found
    rate_limit: { per: principal, requests: 1 }
    cors: { origins: ["https://app.example.com"] }
"#;

async fn metric(world: &World, line: &str) -> bool {
    let mut client = Client::connect(world.running.admin()).await;
    client.write(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let text = client.read_answer().await.body;
    text.lines().any(|found| found == line)
}

fn decision(word: &str, mode: &str, reason: &str, path: &str, count: u32) -> String {
    format!(
        r#"sentinel_edge_decisions_total{{decision="{word}",mode="{mode}",reason="{reason}",route="GET a.example/{path}"}} {count}"#
    )
}

/// What the service was told about the caller.
fn told(world: &World) -> String {
    let request = world
        .service
        .requests()
        .pop()
        .expect("forwarded")
        .to_ascii_lowercase();
    let mut told: Vec<&str> = request
        .lines()
        .filter(|line| line.starts_with("x-sentinel-"))
        .collect();
    told.sort_unstable();
    told.join("\n")
}

#[tokio::test]
async fn everybody_passes_and_the_decision_is_counted() {
    let world = World::with_policy(ROUTES).await;
    let of = |user| bearer(&token_of(user));
    let key = format!("X-Service-Key: {}", service_key().expose());
    for (lines, word, reason, user) in [
        (
            vec![of(EDDA)],
            "allow",
            "permitted",
            Some("00000000-0000-0000-0000-00000000000c"),
        ),
        (
            vec![of(VERA)],
            "deny",
            "role_denied",
            Some("00000000-0000-0000-0000-00000000000d"),
        ),
        (vec![], "deny", "credential_missing", None),
        (
            vec!["Authorization: Bearer nonsense".to_owned()],
            "deny",
            "token_invalid",
            None,
        ),
        (
            vec!["X-Service-Key: nonsense".to_owned()],
            "deny",
            "service_key_invalid",
            None,
        ),
        (
            vec![of(EDDA), "X-Service-Key: nonsense".to_owned()],
            "deny",
            "service_key_invalid",
            None,
        ),
    ] {
        let world = World::with_policy(ROUTES).await;
        let forged = ["X-Sentinel-User-Id: forged", "X-Sentinel-Service: forged"];
        let lines: Vec<&str> = lines.iter().map(String::as_str).chain(forged).collect();
        assert_eq!(world.get("/trial", &lines).await.status, 200, "{lines:?}");
        let told = told(&world);
        let named = told
            .lines()
            .find_map(|line| line.strip_prefix("x-sentinel-user-id: "));
        assert_eq!(named, user, "{lines:?}: {told}");
        assert!(!told.contains("forged"), "{told}");
        assert!(
            metric(&world, &decision(word, "shadow", reason, "trial", 1)).await,
            "{reason}"
        );
    }
    // He is nobody's member: nothing is said of him. A service is named, whatever was asked for.
    assert_eq!(world.get("/trial", &[&of(NEMO)]).await.status, 200);
    assert_eq!(told(&world), "");
    assert_eq!(world.get("/trial", &[&key]).await.status, 200);
    assert_eq!(told(&world), "x-sentinel-service: indexer");
    assert!(
        !world
            .service
            .requests()
            .concat()
            .to_ascii_lowercase()
            .contains("x-service-key")
    );
    // The route beside it is in earnest.
    assert_eq!(world.get("/earnest", &[&of(VERA)]).await.status, 403);
    assert!(metric(&world, &decision("deny", "enforce", "role_denied", "earnest", 1)).await);
}

#[tokio::test]
async fn an_edge_that_cannot_know_forwards_without_a_word() {
    let world = World::listening("", ROUTES, facts(), Limits::default()).await;
    let olga = bearer(&token_of(OLGA));
    assert_eq!(world.get("/trial", &[&olga]).await.status, 200);
    assert_eq!(told(&world), "");
    assert!(
        metric(
            &world,
            &decision("undecided", "shadow", "replica_not_ready", "trial", 1)
        )
        .await
    );
    world.replica.touched_ago(Duration::from_hours(2));
    assert_eq!(world.get("/trial", &[&olga]).await.status, 200);
    assert_eq!(told(&world), "");
    assert!(
        metric(
            &world,
            &decision("undecided", "shadow", "replica_stale", "trial", 1)
        )
        .await
    );
    assert_eq!(world.get("/earnest", &[&olga]).await.status, 503);
    let lines = [&olga, "X-Sentinel-Revision: 1763000000.99"];
    world.replica.touch();
    assert_eq!(world.get("/trial", &lines).await.status, 200);
    assert_eq!(told(&world), "");
    assert!(
        metric(
            &world,
            &decision("undecided", "shadow", "revision_not_reached", "trial", 1)
        )
        .await
    );
}

#[tokio::test]
async fn the_request_gate_the_limits_and_cors_hold() {
    let world = World::with_policy(ROUTES).await;
    assert_eq!(world.get("/trial/../earnest", &[]).await.status, 400);
    let olga = bearer(&token_of(OLGA));
    assert_eq!(world.get("/trial", &[&olga, &olga]).await.status, 400);
    let large = "POST /trial HTTP/1.1\r\nHost: a.example\r\nContent-Length: 17\r\n\r\naaaaaaaaaaaaaaaaa";
    assert_eq!(world.send(large).await.status, 413);
    assert!(world.service.requests().is_empty());
    for status in [200, 429] {
        assert_eq!(world.get("/few", &[&olga]).await.status, status);
    }
    // Who is not verified is counted by his address.
    for status in [200, 429] {
        let answer: Answer = world.get("/few", &["Origin: https://app.example.com"]).await;
        assert_eq!(answer.status, status);
        assert_eq!(
            answer.header("access-control-allow-origin"),
            Some("https://app.example.com")
        );
    }
    assert!(metric(&world, &decision("deny", "enforce", "rate_limited", "few", 2)).await);
    assert!(
        metric(
            &world,
            &decision("deny", "shadow", "credential_missing", "few", 1)
        )
        .await
    );
}

#[tokio::test]
async fn an_open_exchange_is_not_cut() {
    let world = World::with_policy(ROUTES).await;
    let mut client = Client::connect(world.running.http()).await;
    client
        .write(get("/stream", &[&bearer(&token_of(VERA))]).as_bytes())
        .await;
    world.service.wait_for_heads(1).await;
    assert_eq!(client.read_answer().await.status, 200);
    let_pass(Duration::from_secs(5)).await;
    let left = Change::Delete(membership(VERA, WorkspaceRole::Viewer));
    world.replica.advance(revision(11), vec![left]).expect("applies");
    let_pass(Duration::from_hours(1)).await;
    world.service.say("still");
    client.read_until(b"still\r\n").await;
}
