//! P11, P12: frames that cost the edge more than they cost the client, and header blocks that become large.

use super::{
    Block, CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, GOAWAY, HEADERS, Outcome, PING,
    PRIORITY, Peer, RST_STREAM, SETTINGS, WINDOW_UPDATE, frame, turned_away,
};
use crate::encrypted::Encrypted;

/// Sends these bytes so often, and expects to be turned away for it.
async fn flood(edge: &Encrypted, begin: &[u8], piece: &[u8], count: usize) {
    let mut peer = Peer::connect(edge).await;
    peer.write(begin).await;
    peer.write_anyway(&piece.repeat(count)).await;
    let reason = peer.closed().await;
    assert!(matches!(reason, None | Some(ENHANCE_YOUR_CALM)), "{reason:?}");
    assert!(edge.world.service.requests().len() < count);
    // Everybody else is served.
    let mut other = Peer::connect(edge).await;
    assert_eq!(
        other.send(&Block::request("GET", "/public")).await,
        Outcome::Answered("ok".to_owned())
    );
}

#[tokio::test]
async fn control_frames_in_masses_end_the_connection() {
    let edge = Encrypted::start().await;
    let priority = frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 16]);
    for (number, piece) in [
        frame(PING, 0, 0, &[0; 8]),
        frame(PING, 1, 0, &[0; 8]),
        frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 100]),
        frame(SETTINGS, 0, 0, &[]),
        priority,
        frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]),
        frame(0xB, 0, 0, &[0; 100]),
    ]
    .into_iter()
    .enumerate()
    {
        flood(&edge, &[], &piece, 1500).await;
        turned_away(&edge, "flood", number + 1).await;
    }
}

#[tokio::test]
async fn requests_that_are_taken_back_in_masses_end_the_connection() {
    let edge = Encrypted::start().await;
    let mut peer = Peer::connect(&edge).await;
    let mut bytes = Vec::new();
    for _ in 0..1500 {
        let stream = peer.stream();
        bytes.extend(frame(
            HEADERS,
            END_HEADERS | END_STREAM,
            stream,
            &Block::request("GET", "/public").0,
        ));
        bytes.extend(frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]));
    }
    peer.write_anyway(&bytes).await;
    let reason = peer.closed().await;
    assert!(matches!(reason, None | Some(ENHANCE_YOUR_CALM)), "{reason:?}");
    assert!(edge.world.service.requests().len() < 300);
}

#[tokio::test]
async fn header_blocks_without_end_end_the_connection() {
    let edge = Encrypted::start().await;
    let begin = frame(HEADERS, 0, 1, &Block::request("GET", "/public").0);
    for payload in [
        Vec::new(),
        vec![0x82; 10],
        Block::default().field("x-a", &"a".repeat(16_000)).0,
    ] {
        flood(&edge, &begin, &frame(CONTINUATION, 0, 1, &payload), 150).await;
    }
    assert!(edge.world.service.requests().len() <= 3, "only those of others");
}

#[tokio::test]
async fn data_without_data_ends_the_connection() {
    let edge = Encrypted::start().await;
    let begin = frame(HEADERS, END_HEADERS, 1, &Block::request("POST", "/public").0);
    flood(&edge, &begin, &frame(DATA, 0, 1, &[]), 1500).await;
}

/// A stream whose request was refused before its body ended: what comes for it afterwards is ignored.
async fn refused(peer: &mut Peer) -> u32 {
    let stream = peer.stream();
    let block = Block::request("POST", "/signed-in");
    peer.write(&frame(HEADERS, END_HEADERS, stream, &block.0)).await;
    assert_eq!(peer.outcome(stream).await.code(), "credential_missing");
    loop {
        let frame = peer.frame().await.expect("a reset");
        if frame.kind == RST_STREAM && frame.stream == stream {
            return stream;
        }
    }
}

#[tokio::test]
async fn frames_behind_the_end_of_a_stream_end_the_connection() {
    let edge = Encrypted::start().await;
    for (number, (kind, flags)) in [(HEADERS, END_HEADERS | END_STREAM), (DATA, END_STREAM)]
        .into_iter()
        .enumerate()
    {
        let mut peer = Peer::connect(&edge).await;
        let stream = refused(&mut peer).await;
        let piece = frame(kind, flags, stream, &[]);
        assert_eq!(piece, [0, 0, 0, kind, flags, 0, 0, 0, 1]);
        peer.write_anyway(&piece.repeat(10_000)).await;
        let reason = peer.closed().await;
        assert!(matches!(reason, None | Some(ENHANCE_YOUR_CALM)), "{reason:?}");
        turned_away(&edge, "flood", number + 1).await;
    }
    assert!(edge.world.service.requests().is_empty());
}

/// Many uploads at once, again and again: each has a head, pieces, and an end with nothing in it.
#[tokio::test]
async fn many_uploads_on_one_connection_are_no_flood() {
    let edge = Encrypted::start().await;
    let mut peer = Peer::connect(&edge).await;
    let head = Block::request("POST", "/public").field("content-length", "9");
    for round in 0..60 {
        let streams: Vec<u32> = (0..40).map(|_| peer.stream()).collect();
        let mut bytes = Vec::new();
        for stream in &streams {
            bytes.extend(frame(HEADERS, END_HEADERS, *stream, &head.0));
            bytes.extend(frame(DATA, 0, *stream, b"abc").repeat(3));
            bytes.extend(frame(DATA, END_STREAM, *stream, &[]));
        }
        peer.write(&bytes).await;
        let mut open = streams.len();
        while open > 0 {
            let frame = peer.frame().await.unwrap_or_else(|| panic!("round {round}"));
            assert!(
                !matches!(frame.kind, RST_STREAM | GOAWAY),
                "round {round}: {frame:?}"
            );
            let ends = matches!(frame.kind, HEADERS | DATA) && frame.flags & END_STREAM != 0;
            open -= usize::from(ends);
        }
    }
    assert_eq!(edge.world.service.requests().len(), 60 * 40);
}

/// A block whose fields are references to the table: a byte each, and any size in memory (facts of HPACK bombs).
#[tokio::test]
async fn fields_in_masses_end_the_connection_before_they_are_decoded() {
    let edge = Encrypted::start().await;
    let mut peer = Peer::connect(&edge).await;
    let mut block = Block::request("GET", "/public").0;
    // One large field for the table, and then references to it.
    block.push(0x40);
    block.extend([3, b'x', b'-', b'a', 127, 0x81, 0x1E]);
    block.extend([b'a'; 4000]);
    block.extend([0xBE; 2000]);
    let stream = peer.stream();
    peer.write_anyway(&frame(HEADERS, END_HEADERS | END_STREAM, stream, &block))
        .await;
    assert_eq!(
        peer.outcome(stream).await,
        Outcome::Closed(Some(ENHANCE_YOUR_CALM))
    );
    turned_away(&edge, "flood", 1).await;
    assert!(edge.world.service.requests().is_empty());
}

#[tokio::test]
async fn malformed_requests_in_masses_end_the_connection() {
    let edge = Encrypted::start().await;
    let mut peer = Peer::connect(&edge).await;
    let bad = Block::request("GET", "/public").field("host", "b.example");
    for _ in 0..40 {
        let stream = peer.stream();
        peer.write_anyway(&frame(HEADERS, END_HEADERS | END_STREAM, stream, &bad.0))
            .await;
    }
    let reason = peer.closed().await;
    assert!(matches!(reason, None | Some(ENHANCE_YOUR_CALM)), "{reason:?}");
    turned_away(&edge, "flood", 1).await;
}

/// What honest clients send is far from all that.
#[tokio::test]
async fn a_busy_client_is_no_flood() {
    let edge = Encrypted::start().await;
    let mut peer = Peer::connect(&edge).await;
    for number in 0..300 {
        assert_eq!(
            peer.send(&Block::request("GET", "/public")).await,
            Outcome::Answered("ok".to_owned()),
            "request {number}"
        );
        peer.write(&frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 2])).await;
        if number % 10 == 0 {
            peer.write(&frame(PING, 0, 0, &[0; 8])).await;
        }
    }
}
