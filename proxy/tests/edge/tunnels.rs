//! Upgraded connections: opened with a permit, and cut when it would not be given any more.

use std::time::Duration;

use sentinel_core::principal::OUTLIVES;
use sentinel_core::{Change, WorkspaceRole};

use crate::harness::{Client, World, bearer, get, let_pass};
use crate::testing::{EDDA, NEMO, NOW, VERA, at, membership, revision, token_of};

const UPGRADE: [&str; 4] = [
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
];

async fn open(world: &World, user: u128) -> Client {
    let token = bearer(&token_of(user));
    let mut lines = UPGRADE.to_vec();
    lines.push(&token);
    let mut client = Client::connect(world.running.http()).await;
    client.write(get("/tunnel", &lines).as_bytes()).await;
    client
}

async fn echo(client: &mut Client, text: &[u8]) {
    client.write(text).await;
    assert_eq!(client.read_until(text).await, text);
}

#[tokio::test]
async fn a_tunnel_needs_the_same_permission_as_any_request() {
    let world = World::start().await;
    let answer = open(&world, EDDA).await.read_answer().await;
    assert_eq!(answer.word(), (403, "permission_denied".to_owned()));
    assert!(world.service.requests().is_empty());
}

#[tokio::test]
async fn a_tunnel_is_cut_when_its_permission_is_gone() {
    let world = World::start().await;
    let mut client = open(&world, VERA).await;
    assert_eq!(client.read_answer().await.status, 101);
    echo(&mut client, b"one").await;

    let unrelated = Change::Put(membership(NEMO, WorkspaceRole::Viewer));
    world
        .replica
        .advance(revision(11), vec![unrelated])
        .expect("applies");
    echo(&mut client, b"two").await;

    let left = Change::Delete(membership(VERA, WorkspaceRole::Viewer));
    world.replica.advance(revision(12), vec![left]).expect("applies");
    client.write(b"three").await;
    assert!(client.is_closed().await);
}

#[tokio::test]
async fn a_tunnel_is_cut_when_the_edge_cannot_know_any_more() {
    let world = World::start().await;
    let mut client = open(&world, VERA).await;
    assert_eq!(client.read_answer().await.status, 101);
    echo(&mut client, b"one").await;
    world.replica.distrust();
    client.write(b"two").await;
    assert!(client.is_closed().await);
}

#[tokio::test]
async fn a_tunnel_outlives_its_token_but_not_for_ever() {
    let world = World::start().await;
    let mut client = open(&world, VERA).await;
    assert_eq!(client.read_answer().await.status, 101);
    let expires = 890;
    world.clock.set(at(NOW + expires));
    echo(&mut client, b"one").await;
    world.clock.set(at(NOW + expires) + OUTLIVES);
    client.write(b"two").await;
    assert!(client.is_closed().await);
}

/// Asking for a tunnel buys no time: until there is one, the route's limit counts.
#[tokio::test]
async fn a_service_that_does_not_finish_the_handshake_is_not_waited_for() {
    let world = World::start().await;
    let mut client = Client::connect(world.running.http()).await;
    client.write(get("/silent", &UPGRADE).as_bytes()).await;
    assert!(client.is_closed().await);
}

#[tokio::test]
async fn a_tunnel_may_be_silent_for_longer_than_its_handshake() {
    let world = World::start().await;
    let mut client = Client::connect(world.running.http()).await;
    client.write(get("/silent/tunnel", &UPGRADE).as_bytes()).await;
    assert_eq!(client.read_answer().await.status, 101);
    let_pass(Duration::from_mins(10)).await;
    assert_eq!(
        world.get("/silent", &[]).await.status,
        504,
        "the same limit has passed for a request"
    );
    echo(&mut client, b"one").await;
}

#[tokio::test]
async fn half_a_handshake_is_refused() {
    let world = World::start().await;
    let without = |left_out: usize| {
        let mut lines = UPGRADE.to_vec();
        lines.remove(left_out);
        lines
    };
    let with = |line| [UPGRADE.as_slice(), &[line]].concat();
    for lines in [
        without(0),
        without(2),
        without(3),
        with("Content-Length: 0"),
        with("Transfer-Encoding: chunked"),
        with("Upgrade: h2c"),
        with(UPGRADE[3]),
    ] {
        let answer = world.get("/public", &lines).await;
        assert_eq!(answer.word(), (400, "header_invalid".to_owned()), "{lines:?}");
    }
    let post = get("/public", &UPGRADE).replace("GET ", "POST ");
    assert_eq!(world.send(post).await.word(), (400, "header_invalid".to_owned()));
    assert!(world.service.requests().is_empty());
}

#[tokio::test]
async fn other_upgrades_do_not_pass() {
    let world = World::start().await;
    let lines = [
        "Connection: Upgrade",
        "Upgrade: h2c",
        "HTTP2-Settings: AAMAAABkAAQAAP__",
    ];
    assert_eq!(world.get("/public", &lines).await.status, 200);
    let request = world.service.only_request().to_ascii_lowercase();
    assert!(
        !request.contains("upgrade") && !request.contains("http2-settings"),
        "{request}"
    );
}

/// A proxy in front of the edge would believe in a tunnel.
#[tokio::test]
async fn a_tunnel_that_nobody_asked_for_is_a_bad_answer() {
    let world = World::start().await;
    let answer = world.get("/public/unasked", &[]).await;
    assert_eq!(answer.word(), (502, "upstream_unreachable".to_owned()));
}
