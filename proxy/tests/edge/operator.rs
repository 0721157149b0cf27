//! What an operator can ask, apart from the traffic.

use std::time::Duration;

use sentinel_proxy::doorway::Limits;

use crate::harness::{Answer, Client, World};
use crate::testing::facts;

async fn ask(world: &World, path: &str) -> Answer {
    let mut client = Client::connect(world.running.admin()).await;
    client
        .write(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes())
        .await;
    client.read_answer().await
}

#[tokio::test]
async fn readiness_says_how_old_the_replica_is() {
    let world = World::out_of_touch(facts(), Limits::default()).await;
    assert_eq!(ask(&world, "/livez").await.status, 200);
    let answer = ask(&world, "/readyz").await;
    let document: serde_json::Value = serde_json::from_str(&answer.body).expect("JSON");
    assert_eq!(
        (answer.status, &document["reason"]),
        (503, &"replica_not_ready".into())
    );

    world.replica.touched_ago(Duration::from_hours(1));
    let answer = ask(&world, "/readyz").await;
    let document: serde_json::Value = serde_json::from_str(&answer.body).expect("JSON");
    assert_eq!(
        (answer.status, &document["reason"]),
        (503, &"replica_stale".into())
    );

    world.replica.touch();
    let answer = ask(&world, "/readyz").await;
    let document: serde_json::Value = serde_json::from_str(&answer.body).expect("JSON");
    assert_eq!((answer.status, &document["ready"]), (200, &true.into()));
    assert_eq!(document["replica"]["revision"], "1763000000.10");
    assert!(document["replica"]["age_seconds"].is_number());
}

#[tokio::test]
async fn decisions_are_counted_refused_heads_too() {
    let world = World::start().await;
    world.get("/public", &[]).await;
    world.get("/signed-in", &[]).await;
    world.get("/public/../admin", &[]).await;
    world.get("/gone", &[]).await;
    let metrics = ask(&world, "/metrics").await.body;
    for line in [
        r#"sentinel_edge_decisions_total{decision="allow",mode="enforce",reason="permitted",route="GET a.example/public"} 1"#,
        r#"sentinel_edge_decisions_total{decision="deny",mode="enforce",reason="credential_missing",route="GET a.example/signed-in"} 1"#,
        r#"sentinel_edge_decisions_total{decision="deny",mode="enforce",reason="path_not_canonical",route="none"} 1"#,
        r#"sentinel_edge_upstream_failures_total{reason="upstream_unreachable",route="GET a.example/gone"} 1"#,
        "sentinel_edge_replica_revision 10",
        "sentinel_edge_replica_ready 1",
    ] {
        assert!(
            metrics.lines().any(|found| found == line),
            "{line}\nin\n{metrics}"
        );
    }
}

#[tokio::test]
async fn traffic_and_operation_do_not_mix() {
    let world = World::start().await;
    for path in ["/metrics", "/readyz", "/livez"] {
        assert_eq!(world.get(path, &[]).await.status, 404, "{path}");
    }
}
