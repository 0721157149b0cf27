//! What an HTTP/2 connection may take its time for, and how it ends.

use std::time::Duration;

use bytes::Bytes;
use sentinel_proxy::doorway::Limits;

use super::{
    Block, CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, GOAWAY, HEADERS, Outcome, Peer,
    RST_STREAM, frame, turned_away,
};
use crate::encrypted::Encrypted;
use crate::harness::bearer;
use crate::testing::{OLGA, token_of};

/// Long enough for everything that is not waited for on purpose.
const MOMENT: Duration = Duration::from_millis(500);

/// A body that is larger than all buffers on its way to a client that does not read.
fn large() -> &'static str {
    Box::leak("x".repeat(1 << 20).into_boxed_str())
}

fn stream_request() -> Block {
    let token = bearer(&token_of(OLGA));
    let (_, value) = token.split_once(": ").expect("a header");
    Block::request("GET", "/stream").field("authorization", value)
}

/// P10: the frames of a header block have one deadline together.
#[tokio::test]
async fn a_header_block_that_trickles_is_not_waited_for() {
    let limits = Limits {
        head: MOMENT,
        ..Limits::default()
    };
    let edge = Encrypted::with(limits, "").await;
    let block = Block::request("GET", "/public").0;
    for begun in [
        frame(HEADERS, END_STREAM, 3, &block),
        frame(HEADERS, END_HEADERS | END_STREAM, 3, &block)[..20].to_vec(),
        [
            frame(HEADERS, END_STREAM, 3, &block[..10]),
            frame(CONTINUATION, 0, 3, &block[10..20]),
        ]
        .concat(),
        frame(HEADERS, END_STREAM, 3, &block)[..4].to_vec(),
    ] {
        let mut peer = Peer::connect(&edge).await;
        // Nothing is to be acknowledged any more, which would come between.
        assert_eq!(
            peer.send(&Block::request("GET", "/public")).await,
            Outcome::Answered("ok".to_owned())
        );
        peer.write(&begun).await;
        assert_eq!(peer.closed().await, Some(ENHANCE_YOUR_CALM));
    }
    turned_away(&edge, "stalled", 4).await;
    assert_eq!(edge.world.service.requests().len(), 4, "only the whole ones");
}

/// P10: neither is the preface.
#[tokio::test]
async fn a_preface_that_trickles_is_not_waited_for() {
    let limits = Limits {
        head: MOMENT,
        ..Limits::default()
    };
    let edge = Encrypted::with(limits, "").await;
    let mut client = crate::harness::Client::over(edge.stream("h2").await);
    client.write(b"PRI * HT").await;
    // The edge's settings come first.
    client.read_until(&[0, 0, 0, 0]).await;
    while !client.is_closed().await {
        client.read_until(&[0]).await;
    }
}

/// P10: a body that has stopped coming does not hold its request.
#[tokio::test]
async fn a_body_that_stops_is_not_waited_for() {
    let limits = Limits {
        body: MOMENT,
        ..Limits::default()
    };
    let edge = Encrypted::with(limits, "").await;
    let mut peer = Peer::connect(&edge).await;
    let block = Block::request("POST", "/public").field("content-length", "1000");
    for begun in [
        Vec::new(),
        frame(DATA, 0, 3, b"abc"),
        frame(DATA, 0, 5, &[0; 100])[..50].to_vec(),
    ] {
        let stream = peer.stream();
        peer.write(&[frame(HEADERS, END_HEADERS, stream, &block.0), begun].concat())
            .await;
        assert!(matches!(peer.outcome(stream).await, Outcome::Reset(_)));
    }
    assert!(edge.world.service.requests().is_empty());
}

/// A client that gives no window does not keep an answer, nor the service's connection.
#[tokio::test]
async fn an_answer_that_nobody_takes_is_given_up() {
    let limits = Limits {
        body: MOMENT,
        ..Limits::default()
    };
    let edge = Encrypted::with(limits, "").await;
    // SETTINGS_INITIAL_WINDOW_SIZE is 0.
    let mut peer = Peer::with_settings(&edge, &[(4, 0)]).await;
    let stream = peer.open(&stream_request()).await;
    edge.world.service.wait_for_heads(1).await;
    edge.world.service.say("some words");
    loop {
        let frame = peer.frame().await.expect("a reset, and no end of the connection");
        assert_ne!(frame.kind, DATA);
        if (frame.kind, frame.stream) == (RST_STREAM, stream) {
            break;
        }
    }
}

/// Nor does one that gives window and reads nothing.
#[tokio::test]
async fn a_connection_that_nobody_reads_is_closed() {
    let limits = Limits {
        body: MOMENT,
        ..Limits::default()
    };
    let edge = Encrypted::with(limits, "").await;
    let most = 0x7FFF_FFFF;
    let mut peer = Peer::with_settings(&edge, &[(4, most)]).await;
    peer.write(&frame(super::WINDOW_UPDATE, 0, 0, &(most - 65_535).to_be_bytes()))
        .await;
    peer.open(&stream_request()).await;
    edge.world.service.wait_for_heads(1).await;
    let word = large();
    for _ in 0..12 {
        edge.world.service.say(word);
    }
    turned_away(&edge, "stalled", 1).await;
}

#[tokio::test]
async fn an_idle_connection_is_told_and_closed() {
    let limits = Limits {
        idle: MOMENT,
        ..Limits::default()
    };
    let edge = Encrypted::with(limits, "").await;
    let mut silent = Peer::connect(&edge).await;
    assert_eq!(silent.closed().await, Some(0));
    let mut used = Peer::connect(&edge).await;
    used.send(&Block::request("GET", "/public")).await;
    assert_eq!(used.closed().await, Some(0));
    // While something is under way it is not idle.
    let mut busy = Peer::connect(&edge).await;
    let stream = busy.open(&stream_request()).await;
    edge.world.service.wait_for_heads(2).await;
    let mut idle = Peer::connect(&edge).await;
    assert_eq!(idle.closed().await, Some(0));
    edge.world.service.say("still here");
    loop {
        let frame = busy.frame().await.expect("an open connection");
        if frame.kind == DATA {
            assert_eq!(
                (frame.stream, frame.payload.as_slice()),
                (stream, b"still here".as_slice())
            );
            break;
        }
    }
}

#[tokio::test]
async fn so_many_requests_at_once_and_no_more() {
    let limits = Limits {
        streams: 2,
        ..Limits::default()
    };
    let edge = Encrypted::with(limits, "").await;
    let mut peer = Peer::connect(&edge).await;
    // The settings are acknowledged with the first frame that is read.
    peer.send(&Block::request("GET", "/public")).await;
    let (first, _second) = (
        peer.open(&stream_request()).await,
        peer.open(&stream_request()).await,
    );
    let third = peer.open(&stream_request()).await;
    let refused = 7;
    assert_eq!(peer.outcome(third).await, Outcome::Reset(refused));
    edge.world.service.wait_for_heads(3).await;
    peer.write(&frame(RST_STREAM, 0, first, &[0, 0, 0, 8])).await;
    assert_eq!(
        peer.send(&Block::request("GET", "/public")).await,
        Outcome::Answered("ok".to_owned())
    );
}

#[tokio::test]
async fn stopping_says_so_and_lets_streams_finish() {
    let edge = Encrypted::start().await;
    let mut idle = Peer::connect(&edge).await;
    idle.send(&Block::request("GET", "/public")).await;
    let mut busy = Peer::connect(&edge).await;
    let stream = busy.stream();
    let block = Block::request("POST", "/public").field("content-length", "3");
    busy.write(&frame(HEADERS, END_HEADERS, stream, &block.0)).await;
    edge.world.service.wait_for_heads(2).await;
    let stopping = tokio::spawn(edge.world.running.stop());
    assert_eq!(idle.closed().await, Some(0));
    loop {
        let frame = busy.frame().await.expect("open");
        if frame.kind == GOAWAY {
            break;
        }
    }
    busy.write(&frame(DATA, END_STREAM, stream, b"abc")).await;
    assert_eq!(busy.outcome(stream).await, Outcome::Answered("ok".to_owned()));
    assert!(matches!(busy.closed().await, None | Some(0)));
    stopping.await.expect("ended");
}

/// A client from a library, with everything that one does.
#[tokio::test]
async fn an_honest_client_is_served_many_requests_at_once() {
    let edge = Encrypted::start().await;
    let settings = h2::client::Builder::new().initial_max_send_streams(32).clone();
    let handshake = settings.handshake(edge.stream("h2").await);
    let (client, connection) = handshake.await.expect("HTTP/2");
    let driving = tokio::spawn(connection);
    let mut answers = Vec::new();
    for number in 0..200_usize {
        let mut client = client.clone().ready().await.expect("room");
        let request = http::Request::post("https://a.example/public")
            .header("content-length", "20000")
            .header("x-number", number)
            .body(())
            .expect("a request");
        let (answer, mut body) = client.send_request(request, false).expect("sent");
        body.send_data(Bytes::from(vec![b'x'; 20_000]), true)
            .expect("sent");
        answers.push(answer);
    }
    for answer in answers {
        let answer = answer.await.expect("an answer");
        assert_eq!(answer.status(), 200);
        let mut body = answer.into_body();
        assert_eq!(body.data().await.expect("a body").expect("a body"), "ok");
    }
    drop(client);
    driving.await.expect("ended").expect("in order");
    assert_eq!(edge.world.service.requests().len(), 200);
}
