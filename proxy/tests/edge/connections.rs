//! What a connection may do, how long, and what is left of it after a denial.

use std::time::Duration;

use sentinel_proxy::doorway::Limits;

use crate::harness::{Client, POLICY, World, bearer, get};
use crate::testing::{OLGA, facts, token_of};

#[tokio::test]
async fn a_denial_leaves_the_connection_usable() {
    let world = World::start().await;
    let mut client = Client::connect(world.running.http()).await;
    let small = "POST /signed-in HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\n\r\nabcde";
    for (bytes, status) in [
        (get("/signed-in", &[]), 401),
        (get("/signed-in", &["Authorization: Bearer x"]), 401),
        (get("/nowhere", &[]), 404),
        (small.to_owned(), 401),
        (get("/public", &["X-Rewrite-URL: /admin"]), 400),
        (get("/signed-in", &[&bearer(&token_of(OLGA))]), 200),
        (get("/public", &[]), 200),
    ] {
        client.write(bytes.as_bytes()).await;
        let answer = client.read_answer().await;
        assert_eq!(answer.status, status, "{bytes}");
        assert_eq!(answer.header("connection"), Some("keep-alive"), "{bytes}");
    }
}

#[tokio::test]
async fn a_denial_does_not_wait_for_a_large_or_unasked_body() {
    let world = World::start().await;
    for line in [
        "Content-Length: 1000000000",
        "Transfer-Encoding: chunked",
        "Content-Length: 5\r\nExpect: 100-continue",
    ] {
        let mut client = Client::connect(world.running.http()).await;
        let head = format!("POST /signed-in HTTP/1.1\r\nHost: a.example\r\n{line}\r\n\r\n");
        client.write(head.as_bytes()).await;
        let answer = client.read_answer().await;
        assert_eq!(answer.word(), (401, "credential_missing".to_owned()), "{line}");
        assert_eq!(answer.header("connection"), Some("close"), "{line}");
        assert!(client.is_closed().await, "{line}");
    }
}

#[tokio::test]
async fn a_head_answer_has_no_body() {
    let world = World::start().await;
    let mut client = Client::connect(world.running.http()).await;
    client
        .write(b"HEAD /signed-in HTTP/1.1\r\nHost: a.example\r\n\r\n")
        .await;
    let head = String::from_utf8(client.read_until(b"\r\n\r\n").await).expect("text");
    assert!(
        head.starts_with("HTTP/1.1 404 "),
        "GET does not include HEAD: {head}"
    );
    client.write(get("/public", &[]).as_bytes()).await;
    assert_eq!(
        client.read_answer().await.status,
        200,
        "no byte of a body came in between"
    );
}

/// P10: a head has a deadline as a whole, whatever trickles in.
#[tokio::test]
async fn a_head_that_trickles_is_not_waited_for() {
    let limits = Limits {
        head: Duration::from_millis(100),
        ..Limits::default()
    };
    let world = World::with(facts(), limits).await;
    let mut client = Client::connect(world.running.http()).await;
    client.write(b"GET /public HTTP/1.1\r\nHost: a.exa").await;
    assert!(client.is_closed().await);
    assert!(world.service.requests().is_empty());
}

/// P10: nobody keeps a connection open for nothing.
#[tokio::test]
async fn an_idle_connection_is_closed() {
    let limits = Limits {
        idle: Duration::from_millis(100),
        ..Limits::default()
    };
    let world = World::with(facts(), limits).await;
    let mut silent = Client::connect(world.running.http()).await;
    let mut used = Client::connect(world.running.http()).await;
    used.write(get("/public", &[]).as_bytes()).await;
    assert_eq!(used.read_answer().await.status, 200);
    assert!(silent.is_closed().await);
    assert!(used.is_closed().await);
}

/// P11: there is a cap, and who waits behind it is served when there is room.
#[tokio::test]
async fn connections_are_capped() {
    let limits = Limits {
        connections: 1,
        ..Limits::default()
    };
    let world = World::with(facts(), limits).await;
    let mut first = Client::connect(world.running.http()).await;
    first.write(get("/public", &[]).as_bytes()).await;
    assert_eq!(first.read_answer().await.status, 200);
    let mut second = Client::connect(world.running.http()).await;
    second.write(get("/public", &[]).as_bytes()).await;
    assert_eq!(world.service.requests().len(), 1);
    drop(first);
    assert_eq!(second.read_answer().await.status, 200);
}

/// P11: one client cannot have them all.
#[tokio::test]
async fn an_address_has_its_share_of_connections() {
    let limits = Limits {
        per_address: 1,
        ..Limits::default()
    };
    let world = World::with(facts(), limits.clone()).await;
    let mut first = Client::connect(world.running.http()).await;
    first.write(get("/public", &[]).as_bytes()).await;
    assert_eq!(first.read_answer().await.status, 200);
    let mut second = Client::connect(world.running.http()).await;
    assert!(second.is_closed().await);
    let mut operator = Client::connect(world.running.admin()).await;
    operator.write(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let counted = "sentinel_edge_connections_turned_away_total{reason=\"crowd\"} 1";
    assert!(operator.read_answer().await.body.contains(counted));

    // A proxy in front is many clients.
    let sections = format!("trusted_proxies: [127.0.0.0/8]\nroutes: {POLICY}");
    let world = World::listening("", &sections, facts(), limits).await;
    let mut clients = Vec::new();
    for _ in 0..3 {
        let mut client = Client::connect(world.running.http()).await;
        client.write(get("/public", &[]).as_bytes()).await;
        assert_eq!(client.read_answer().await.status, 200);
        clients.push(client);
    }
}

/// P10: a body that has stopped coming does not hold its connection, nor the service's.
#[tokio::test]
async fn a_body_that_stops_is_not_waited_for() {
    let limits = Limits {
        body: Duration::from_millis(100),
        ..Limits::default()
    };
    let world = World::with(facts(), limits).await;
    for framing in ["Content-Length: 1000", "Transfer-Encoding: chunked"] {
        let mut client = Client::connect(world.running.http()).await;
        let head = format!("POST /public HTTP/1.1\r\nHost: a.example\r\n{framing}\r\n\r\n3\r\nab");
        client.write(head.as_bytes()).await;
        while !client.is_closed().await {
            client.read_answer().await;
        }
    }
    world.service.wait_until_left().await;
    assert!(
        world
            .service
            .requests()
            .iter()
            .all(|request| !request.ends_with("ab"))
    );
}

/// An answer that is not taken does not hold its connection, nor the service's.
#[tokio::test]
async fn an_answer_that_nobody_takes_is_given_up() {
    let limits = Limits {
        body: Duration::from_millis(100),
        ..Limits::default()
    };
    let world = World::with(facts(), limits).await;
    let mut client = Client::connect(world.running.http()).await;
    client
        .write(get("/stream", &[&bearer(&token_of(OLGA))]).as_bytes())
        .await;
    world.service.wait_for_heads(1).await;
    let large: &str = Box::leak("x".repeat(1 << 20).into_boxed_str());
    for _ in 0..14 {
        world.service.say(large);
    }
    world.service.wait_until_left().await;
}

#[tokio::test]
async fn a_service_that_is_away_or_silent_is_no_denial() {
    let world = World::start().await;
    let answer = world.get("/gone", &[]).await;
    assert_eq!(answer.word(), (502, "upstream_unreachable".to_owned()));
    assert_eq!(answer.header("server"), None);
    let answer = world.get("/silent", &[]).await;
    assert_eq!(answer.word(), (504, "upstream_timeout".to_owned()));
}

#[tokio::test]
async fn bodies_in_chunks_pass() {
    let world = World::start().await;
    let mut client = Client::connect(world.running.http()).await;
    let chunked =
        "POST /public HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    client.write(chunked.as_bytes()).await;
    assert_eq!(client.read_answer().await.status, 200);
    let request = world.service.requests().swap_remove(0).to_ascii_lowercase();
    assert!(request.contains("transfer-encoding: chunked\r\n"), "{request}");
}

#[tokio::test]
async fn stopping_lets_nobody_in_and_everybody_finish() {
    let world = World::start().await;
    let address = world.running.http();
    let mut idle = Client::connect(address).await;
    idle.write(get("/public", &[]).as_bytes()).await;
    assert_eq!(idle.read_answer().await.status, 200);
    let mut busy = Client::connect(address).await;
    busy.write(b"POST /public HTTP/1.1\r\nHost: a.example\r\nContent-Length: 3\r\n\r\n")
        .await;
    world.service.wait_for_heads(2).await;

    let stopping = tokio::spawn(world.running.stop());
    assert!(idle.is_closed().await);
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
    busy.write(b"abc").await;
    let answer = busy.read_answer().await;
    assert_eq!(answer.status, 200);
    stopping.await.expect("ended");
}
