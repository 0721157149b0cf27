//! Exchanges that take long: event streams, long polls, uploads. What flows late is judged again, in both directions.

use std::time::Duration;

use sentinel_core::principal::OUTLIVES;
use sentinel_core::{Change, Fact, WorkspaceRole};
use sentinel_proxy::edge::UNDISPUTED;

use crate::harness::{Client, World, bearer, get, let_pass};
use crate::testing::{
    NEMO, NOW, SESSION, VERA, at, id, membership, revision, service_key, service_key_fact, token_of,
};

/// Vera's event stream, with its first word read.
async fn open(world: &World) -> Client {
    open_as(world, &bearer(&token_of(VERA))).await
}

async fn open_as(world: &World, credential: &str) -> Client {
    let mut client = Client::connect(world.running.http()).await;
    client.write(get("/stream", &[credential]).as_bytes()).await;
    world.service.wait_for_heads(1).await;
    assert_eq!(client.read_answer().await.status, 200);
    hear(world, &mut client, "zero").await;
    client
}

async fn hear(world: &World, client: &mut Client, text: &'static str) {
    world.service.say(text);
    let end = format!("{text}\r\n");
    client.read_until(end.as_bytes()).await;
}

async fn hears_nothing(world: &World, client: &mut Client) {
    world.service.say("secret");
    assert!(client.is_closed().await);
}

fn logged_out() -> Change {
    Change::Put(Fact::RevokedSession {
        session: id(SESSION),
        until: at(NOW + 10_000),
    })
}

#[tokio::test]
async fn an_event_stream_ends_with_its_session() {
    let world = World::start().await;
    let mut client = open(&world).await;
    let_pass(2 * UNDISPUTED).await;
    hear(&world, &mut client, "one").await;
    let unrelated = Change::Put(membership(NEMO, WorkspaceRole::Viewer));
    world
        .replica
        .advance(revision(11), vec![unrelated])
        .expect("applies");
    hear(&world, &mut client, "two").await;
    world
        .replica
        .advance(revision(12), vec![logged_out()])
        .expect("applies");
    hears_nothing(&world, &mut client).await;
}

#[tokio::test]
async fn an_event_stream_ends_with_the_membership() {
    let world = World::start().await;
    let mut client = open(&world).await;
    let_pass(2 * UNDISPUTED).await;
    let left = Change::Delete(membership(VERA, WorkspaceRole::Viewer));
    world.replica.advance(revision(11), vec![left]).expect("applies");
    hears_nothing(&world, &mut client).await;
}

#[tokio::test]
async fn an_event_stream_ends_when_the_edge_cannot_know_any_more() {
    let world = World::start().await;
    let mut client = open(&world).await;
    let_pass(Duration::from_mins(14)).await;
    hear(&world, &mut client, "one").await;
    let_pass(Duration::from_mins(2)).await;
    hears_nothing(&world, &mut client).await;
}

#[tokio::test]
async fn an_event_stream_outlives_its_token_but_not_for_ever() {
    let world = World::start().await;
    let mut client = open(&world).await;
    let_pass(2 * UNDISPUTED).await;
    let expires = at(NOW + 890);
    world.clock.set(at(NOW + 889) + OUTLIVES);
    hear(&world, &mut client, "one").await;
    world.clock.set(expires + OUTLIVES);
    hears_nothing(&world, &mut client).await;
}

#[tokio::test]
async fn an_event_stream_outlives_its_service_key_but_not_for_ever() {
    let world = World::start().await;
    let key = format!("X-Service-Key: {}", service_key().expose());
    let mut client = open_as(&world, &key).await;
    let_pass(2 * UNDISPUTED).await;
    let expires = at(NOW + 60);
    let rotated = Change::Put(service_key_fact(Some(expires)));
    world
        .replica
        .advance(revision(11), vec![rotated])
        .expect("applies");
    world.clock.set(expires);
    hear(&world, &mut client, "one").await;
    world.clock.set(expires + OUTLIVES);
    hears_nothing(&world, &mut client).await;
}

#[tokio::test]
async fn the_late_answer_to_a_long_poll_is_a_denial() {
    let world = World::start().await;
    let mut client = Client::connect(world.running.http()).await;
    client
        .write(get("/poll", &[&bearer(&token_of(VERA))]).as_bytes())
        .await;
    world.service.wait_for_heads(1).await;
    let_pass(2 * UNDISPUTED).await;
    world
        .replica
        .advance(revision(11), vec![logged_out()])
        .expect("applies");
    world.service.say("secret");
    let answer = client.read_answer().await;
    assert_eq!(answer.word(), (401, "token_revoked".to_owned()));
    assert!(client.is_closed().await);
}

#[tokio::test]
async fn an_upload_ends_with_its_session() {
    let world = World::start().await;
    let mut client = Client::connect(world.running.http()).await;
    let head = format!(
        "POST /signed-in HTTP/1.1\r\nHost: a.example\r\n{}\r\nContent-Length: 6\r\n\r\nabc",
        bearer(&token_of(VERA))
    );
    client.write(head.as_bytes()).await;
    world.service.wait_for_heads(1).await;
    let_pass(2 * UNDISPUTED).await;
    world
        .replica
        .advance(revision(11), vec![logged_out()])
        .expect("applies");
    client.write(b"def").await;
    let answer = client.read_answer().await;
    assert_eq!(answer.word(), (401, "token_revoked".to_owned()));
    assert!(client.is_closed().await);
    assert!(world.service.requests().is_empty(), "it never became whole");
}

/// The answer to a logout is its caller's, although he has no session any more when it comes.
#[tokio::test]
async fn a_short_exchange_is_not_judged_again() {
    let world = World::start().await;
    // Time stands still as long as somebody is at work.
    tokio::time::pause();
    let (at_work, until_dropped) = std::sync::mpsc::channel::<()>();
    let worker = tokio::task::spawn_blocking(move || until_dropped.recv());
    let mut client = Client::connect(world.running.http()).await;
    client
        .write(get("/poll", &[&bearer(&token_of(VERA))]).as_bytes())
        .await;
    world.service.wait_for_heads(1).await;
    world
        .replica
        .advance(revision(11), vec![logged_out()])
        .expect("applies");
    world.service.say("goodbye");
    assert_eq!(client.read_answer().await.body, "goodbye");
    drop(at_work);
    worker.await.expect("no panic").expect_err("nothing was sent");
}
