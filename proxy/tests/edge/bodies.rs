//! How large a body may be: announced or not, it is stopped before it is too large.

use crate::encrypted::Encrypted;
use crate::h2::{Block, DATA, END_HEADERS, END_STREAM, HEADERS, Outcome, Peer, frame};
use crate::harness::{Client, World, bearer, get};
use crate::testing::{NEMO, OLGA, VERA, token_of};

const ROUTES: &str = r#"
limits: { max_body: 16B }
routes:
  - { match: "POST a.example/small", to: docs, public: true }
  - { match: "GET a.example/small", to: docs, public: true }
  - { match: "GET a.example/tunnel", to: docs, public: true, max_body: 0B }
  - { match: "POST a.example/large", to: docs, public: true, max_body: 200KiB }
  - { match: "POST a.example/none", to: docs, public: true, max_body: 0B }
  - { match: "POST a.example/owners", to: docs, require: { role: owner } }
"#;

fn post(path: &str, lines: &[&str], body: &str) -> String {
    let mut text = format!(
        "POST {path} HTTP/1.1\r\nHost: a.example\r\nContent-Length: {}\r\n",
        body.len()
    );
    for line in lines {
        text = text + line + "\r\n";
    }
    text + "\r\n" + body
}

fn too_large() -> (u16, String) {
    (413, "body_too_large".to_owned())
}

#[tokio::test]
async fn an_announced_body_that_is_too_large_is_not_begun() {
    let world = World::with_policy(ROUTES).await;
    assert_eq!(world.send(post("/small", &[], &"a".repeat(16))).await.status, 200);
    assert_eq!(
        world.send(post("/small", &[], &"a".repeat(17))).await.word(),
        too_large()
    );
    assert_eq!(world.send(post("/none", &[], "")).await.status, 200);
    assert_eq!(world.send(post("/none", &[], "a")).await.word(), too_large());
    assert_eq!(
        world
            .send(post("/large", &[], &"a".repeat(200 << 10)))
            .await
            .status,
        200
    );
    // The head alone: nobody waits for what will not be read.
    let head = "POST /large HTTP/1.1\r\nHost: a.example\r\nContent-Length: 99999999999999\r\n\r\n";
    let answer = world.send(head).await;
    assert_eq!(answer.word(), too_large());
    assert_eq!(answer.header("connection"), Some("close"));
    assert_eq!(world.service.requests().len(), 3);
}

#[tokio::test]
async fn a_small_rest_leaves_the_connection_usable() {
    let world = World::with_policy(ROUTES).await;
    let mut client = Client::connect(world.running.http()).await;
    client
        .write(post("/small", &[], &"a".repeat(17)).as_bytes())
        .await;
    assert_eq!(client.read_answer().await.word(), too_large());
    client.write(get("/small", &[]).as_bytes()).await;
    assert_eq!(client.read_answer().await.status, 200);
}

/// The client is still sending when he is refused: he hears why, whatever his kernel would make of a closed connection.
#[tokio::test]
async fn who_is_still_sending_hears_the_answer() {
    let world = World::with_policy(ROUTES).await;
    for _ in 0..5 {
        let answer = world.send(post("/small", &[], &"a".repeat(200 << 10))).await;
        assert_eq!(answer.word(), too_large());
    }
    assert_eq!(world.service.requests().len(), 0);
}

#[tokio::test]
async fn a_body_in_chunks_is_counted_as_it_comes() {
    let world = World::with_policy(ROUTES).await;
    let head = "POST /small HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n";
    let exact = format!("{head}8\r\n{0}\r\n8\r\n{0}\r\n0\r\n\r\n", "a".repeat(8));
    assert_eq!(world.send(exact).await.status, 200);
    for pieces in [
        format!("11\r\n{}\r\n0\r\n\r\n", "a".repeat(17)),
        format!("8\r\n{0}\r\n8\r\n{0}\r\n1\r\na\r\n0\r\n\r\n", "a".repeat(8)),
        "1\r\na\r\n".repeat(17) + "0\r\n\r\n",
        // Whether there would have been more is not waited for.
        format!("10000000\r\n{}", "a".repeat(17)),
    ] {
        let mut client = Client::connect(world.running.http()).await;
        client.write(format!("{head}{pieces}").as_bytes()).await;
        let answer = client.read_answer().await;
        assert_eq!(answer.word(), too_large(), "{pieces}");
        assert_eq!(answer.header("connection"), Some("close"));
        assert!(client.is_closed().await);
    }
    let whole = world.service.requests();
    assert_eq!(whole.len(), 1, "only the first became whole: {whole:?}");
}

/// What the service already gets is cut off, and never becomes a whole request.
#[tokio::test]
async fn a_body_that_grows_too_large_is_cut_off() {
    let world = World::with_policy(ROUTES).await;
    let mut client = Client::connect(world.running.http()).await;
    client
        .write(b"POST /small HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
        .await;
    world.service.wait_for_heads(1).await;
    client
        .write(format!("10\r\n{}\r\n0\r\n\r\n", "a".repeat(16)).as_bytes())
        .await;
    assert_eq!(client.read_answer().await.word(), too_large());
    assert!(client.is_closed().await);
    assert!(world.service.requests().is_empty());
}

#[tokio::test]
async fn by_http_2_it_is_the_same() {
    let edge = Encrypted::start().await;
    let mut peer = Peer::connect(&edge).await;
    let announced = Block::request("POST", "/tiny").field("content-length", "9");
    let stream = peer.stream();
    peer.write(&frame(HEADERS, END_HEADERS, stream, &announced.0))
        .await;
    assert_eq!(Box::pin(peer.outcome(stream)).await.code(), "body_too_large");
    assert!(edge.world.service.requests().is_empty());
    for (second, passes) in [(&b"abcd"[..], true), (b"abcde", false)] {
        let stream = peer.stream();
        let block = Block::request("POST", "/tiny");
        peer.write(&frame(HEADERS, END_HEADERS, stream, &block.0)).await;
        peer.write(&frame(DATA, 0, stream, b"abcd")).await;
        peer.write(&frame(DATA, END_STREAM, stream, second)).await;
        let outcome = Box::pin(peer.outcome(stream)).await;
        if passes {
            assert_eq!(outcome, Outcome::Answered("ok".to_owned()));
        } else {
            assert_eq!(outcome.code(), "body_too_large");
        }
    }
    assert_eq!(edge.world.service.requests().len(), 1, "only one became whole");
}

#[tokio::test]
async fn a_tunnel_is_not_a_body() {
    let world = World::with_policy(ROUTES).await;
    let mut client = Client::connect(world.running.http()).await;
    let lines = [
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ];
    client.write(get("/tunnel", &lines).as_bytes()).await;
    assert_eq!(client.read_answer().await.status, 101);
    let much = "much more than nothing".repeat(100);
    client.write(much.as_bytes()).await;
    assert_eq!(client.read_until(much.as_bytes()).await, much.as_bytes());
}

/// What a route takes is nothing that strangers learn.
#[tokio::test]
async fn who_may_not_pass_hears_that_first() {
    let world = World::with_policy(ROUTES).await;
    let body = "a".repeat(17);
    for (user, status) in [(NEMO, 403), (VERA, 403), (OLGA, 413)] {
        let answer = world
            .send(post("/owners", &[&bearer(&token_of(user))], &body))
            .await;
        assert_eq!(answer.status, status);
    }
    assert_eq!(world.send(post("/owners", &[], &body)).await.status, 401);
    assert_eq!(world.service.requests().len(), 0);
}
