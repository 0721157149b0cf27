//! The edge as a program runs it: its connections are served by two workers, each on a thread of its own, and everything that
//! they share is used from both.

use crate::encrypted::Encrypted;
use crate::h2::{Block, DATA, END_HEADERS, END_STREAM, HEADERS, Outcome, Peer, frame};
use crate::harness::{Client, World, bearer, get, on_workers};
use crate::testing::{OLGA, token_of};

/// More than would come to one of two workers.
const CLIENTS: usize = 12;

#[tokio::test]
async fn requests_by_http2_are_served_by_all_workers_at_once() {
    on_workers(2, async {
        let edge = Encrypted::start().await;
        let bearer = format!("Bearer {}", token_of(OLGA));
        let mut peers = Vec::new();
        for _ in 0..CLIENTS {
            let mut peer = Peer::connect(&edge).await;
            let stream = peer.stream();
            let block = Block::request("POST", "/signed-in")
                .field("authorization", &bearer)
                .field("content-length", "6");
            peer.write(&frame(HEADERS, END_HEADERS, stream, &block.0)).await;
            peer.write(&frame(DATA, 0, stream, b"abc")).await;
            peers.push((peer, stream));
        }
        edge.world.service.wait_for_heads(CLIENTS).await;
        for (peer, stream) in &mut peers {
            let denied = peer.send(&Block::request("GET", "/signed-in")).await;
            assert_eq!(denied.code(), "credential_missing");
            peer.write(&frame(DATA, END_STREAM, *stream, b"def")).await;
            assert_eq!(peer.outcome(*stream).await, Outcome::Answered("ok".to_owned()));
        }
        let requests = edge.world.service.requests();
        assert_eq!(requests.len(), CLIENTS);
        assert!(requests.iter().all(|request| request.ends_with("\r\n\r\nabcdef")));
    })
    .await;
}

#[tokio::test]
async fn connections_are_encrypted_by_all_workers_and_kept() {
    on_workers(2, async {
        let edge = Encrypted::start().await;
        let mut clients = Vec::new();
        for _ in 0..CLIENTS {
            clients.push(edge.client().await);
        }
        let olga = bearer(&token_of(OLGA));
        for (lines, status) in [(vec![], 401), (vec![olga.as_str()], 200), (vec![], 401)] {
            for client in &mut clients {
                client.write(get("/signed-in", &lines).as_bytes()).await;
                let answer = client.read_answer().await;
                assert_eq!(answer.status, status);
                assert_eq!(answer.header("connection"), Some("keep-alive"));
            }
        }
        let requests = edge.world.service.requests();
        assert_eq!(requests.len(), CLIENTS);
        assert!(requests.iter().all(|request| {
            let request = request.to_ascii_lowercase();
            request.contains("\r\nx-forwarded-proto: https\r\n")
        }));
    })
    .await;
}

#[tokio::test]
async fn stopping_ends_what_is_idle_at_every_worker_and_waits_for_the_rest() {
    on_workers(2, async {
        let world = World::start().await;
        let address = world.running.http();
        let (mut idle, mut busy) = (Vec::new(), Vec::new());
        for _ in 0..CLIENTS {
            let mut client = Client::connect(address).await;
            client.write(get("/public", &[]).as_bytes()).await;
            assert_eq!(client.read_answer().await.status, 200);
            idle.push(client);
            let mut client = Client::connect(address).await;
            client
                .write(b"POST /public HTTP/1.1\r\nHost: a.example\r\nContent-Length: 3\r\n\r\n")
                .await;
            busy.push(client);
        }
        world.service.wait_for_heads(2 * CLIENTS).await;

        let stopping = tokio::spawn(world.running.stop());
        for client in &mut idle {
            assert!(client.is_closed().await);
        }
        for client in &mut busy {
            client.write(b"abc").await;
            assert_eq!(client.read_answer().await.status, 200);
        }
        stopping.await.expect("ended");
    })
    .await;
}
