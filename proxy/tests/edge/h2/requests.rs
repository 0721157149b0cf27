//! Requests by HTTP/2: the same gate, the same service behind, and nothing that HTTP/2 spells differently slips through.

use super::{Block, CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, Outcome, Peer, frame};
use crate::encrypted::Encrypted;
use crate::testing::{OLGA, token_of};

/// `PROTOCOL_ERROR` (RFC 9113 §7).
const PROTOCOL_ERROR: u32 = 1;

#[tokio::test]
async fn a_request_is_judged_and_forwarded_like_any_other() {
    let edge = Encrypted::start().await;
    let mut peer = Peer::connect(&edge).await;
    assert_eq!(
        peer.send(&Block::request("GET", "/signed-in")).await.code(),
        "credential_missing"
    );
    assert_eq!(
        peer.send(&Block::request("GET", "/nowhere")).await.code(),
        "no_route"
    );
    let bearer = format!("Bearer {}", token_of(OLGA));
    let block = Block::request("GET", "/signed-in?a=b").field("authorization", &bearer);
    assert_eq!(peer.send(&block).await, Outcome::Answered("ok".to_owned()));
    let request = edge.world.service.only_request().to_ascii_lowercase();
    assert!(
        request.starts_with("get /signed-in?a=b http/1.1\r\n"),
        "{request}"
    );
    assert_eq!(request.matches("\r\nhost: a.example\r\n").count(), 1, "{request}");
    assert!(request.contains("\r\nx-sentinel-user-id: "), "{request}");
    assert!(request.contains("\r\nx-forwarded-proto: https\r\n"), "{request}");
}

#[tokio::test]
async fn a_body_goes_through_in_pieces() {
    let edge = Encrypted::start().await;
    let mut peer = Peer::connect(&edge).await;
    let stream = peer.stream();
    let block = Block::request("POST", "/public").field("content-length", "6");
    peer.write(&frame(HEADERS, 0, stream, &block.0[..20])).await;
    peer.write(&frame(CONTINUATION, END_HEADERS, stream, &block.0[20..]))
        .await;
    peer.write(&frame(DATA, 0, stream, b"abc")).await;
    peer.write(&frame(DATA, END_STREAM, stream, b"def")).await;
    assert_eq!(peer.outcome(stream).await, Outcome::Answered("ok".to_owned()));
    assert!(edge.world.service.only_request().ends_with("\r\n\r\nabcdef"));
}

/// The end of a chunked body is written once: a second one would be the beginning of the next request on that connection to
/// the service, and its answer somebody else's.
#[tokio::test]
async fn a_body_that_ends_with_an_empty_frame_ends_once() {
    let edge = Encrypted::start().await;
    let mut peer = Peer::connect(&edge).await;
    let (one, none): (&[&[u8]], &[&[u8]]) = (&[b"abc"], &[]);
    for pieces in [one, none] {
        let stream = peer.stream();
        let block = Block::request("POST", "/public");
        peer.write(&frame(HEADERS, END_HEADERS, stream, &block.0)).await;
        for piece in pieces {
            peer.write(&frame(DATA, 0, stream, piece)).await;
        }
        peer.write(&frame(DATA, END_STREAM, stream, b"")).await;
        assert_eq!(peer.outcome(stream).await, Outcome::Answered("ok".to_owned()));
        let next = peer.send(&Block::request("GET", "/public")).await;
        assert_eq!(next, Outcome::Answered("ok".to_owned()));
    }
    let requests = edge.world.service.requests();
    let lines: Vec<&str> = requests
        .iter()
        .filter_map(|request| request.lines().next())
        .collect();
    let (post, get) = ("POST /public HTTP/1.1", "GET /public HTTP/1.1");
    assert_eq!(lines, [post, get, post, get]);
}

#[tokio::test]
async fn a_denial_leaves_the_connection_and_its_other_streams_alone() {
    let edge = Encrypted::start().await;
    let mut peer = Peer::connect(&edge).await;
    let open = peer.stream();
    let block = Block::request("POST", "/public").field("content-length", "3");
    peer.write(&frame(HEADERS, END_HEADERS, open, &block.0)).await;
    let denied = Block::request("POST", "/signed-in").field("content-length", "3");
    let with_body = peer.stream();
    peer.write(&frame(HEADERS, END_HEADERS, with_body, &denied.0))
        .await;
    assert_eq!(peer.outcome(with_body).await.code(), "credential_missing");
    assert_eq!(
        peer.send(&Block::request("GET", "/public/../admin")).await.code(),
        "path_not_canonical"
    );
    peer.write(&frame(DATA, END_STREAM, open, b"abc")).await;
    assert_eq!(peer.outcome(open).await, Outcome::Answered("ok".to_owned()));
}

/// P2, P3, P5, P7, P8: what the gate refuses by HTTP/1 it refuses here.
#[tokio::test]
async fn requests_in_disguise() {
    let edge = Encrypted::start().await;
    let mut peer = Peer::connect(&edge).await;
    let request = |path: &str| Block::request("GET", path);
    let token = format!("Bearer {}", token_of(OLGA));
    for (block, code) in [
        (request("/public/../admin"), "path_not_canonical"),
        (request("/public/%2e%2e/admin"), "path_not_canonical"),
        (request("//admin"), "path_not_canonical"),
        (request("/public;x"), "path_not_canonical"),
        (request("/public\\admin"), "path_not_canonical"),
        (request("/public%00"), "path_not_canonical"),
        (Block::request("get", "/public"), "method_invalid"),
        (Block::request("TRACE", "/public"), "method_invalid"),
        (
            request("/public").field("x_sentinel_user_id", "1"),
            "header_invalid",
        ),
        (
            request("/public").field("x-rewrite-url", "/admin"),
            "header_invalid",
        ),
        (
            request("/public")
                .field("authorization", &token)
                .field("authorization", &token),
            "credential_duplicated",
        ),
        (
            request("/public")
                .field("x-service-key", "a")
                .field("x-service-key", "a"),
            "credential_duplicated",
        ),
    ] {
        let shown = String::from_utf8_lossy(&block.0).into_owned();
        assert_eq!(peer.send(&block).await.code(), code, "{shown}");
        assert!(edge.world.service.requests().is_empty(), "{shown}");
    }
}

/// P5: which host a request is for is said once.
#[tokio::test]
async fn hosts_that_are_missing_doubled_or_odd() {
    let edge = Encrypted::start().await;
    let without_authority = || {
        Block::default()
            .field(":method", "GET")
            .field(":scheme", "https")
            .field(":path", "/public")
    };
    let with_authority = |authority: &str| {
        let block = Block::default().field(":method", "GET").field(":scheme", "https");
        block.field(":authority", authority).field(":path", "/public")
    };
    for block in [
        Block::request("GET", "/public").field("host", "b.example"),
        Block::request("GET", "/public")
            .field("host", "a.example")
            .field("host", "a.example"),
        with_authority("user@a.example"),
        with_authority("a.example,b.example"),
        with_authority("a.example/../x"),
        with_authority("A.EXAMPLE.:80"),
        with_authority(""),
        without_authority(),
        without_authority().field("host", ""),
    ] {
        let mut peer = Peer::connect(&edge).await;
        let shown = String::from_utf8_lossy(&block.0).into_owned();
        let outcome = peer.send(&block).await;
        // Pingora answers some of these by itself, without a body.
        let is_refused = match &outcome {
            Outcome::Answered(body) => body.is_empty() || outcome.code() == "host_invalid",
            Outcome::Reset(_) | Outcome::Closed(_) => true,
        };
        assert!(is_refused, "{shown}: {outcome:?}");
        assert!(edge.world.service.requests().is_empty(), "{shown}");
    }
    let mut peer = Peer::connect(&edge).await;
    let only_host = without_authority().field("host", "a.example");
    assert_eq!(peer.send(&only_host).await, Outcome::Answered("ok".to_owned()));
}

/// What RFC 9113 §8 forbids ends the stream, or where the library is stricter the connection.
#[tokio::test]
async fn malformed_requests_are_reset() {
    let edge = Encrypted::start().await;
    let request = || Block::request("GET", "/public");
    for block in [
        request().field("connection", "close"),
        request().field("te", "gzip"),
        request().field("transfer-encoding", "chunked"),
        request().field("upgrade", "websocket"),
        request().field("X-Upper", "1"),
        request().field("x-line", "a\r\nx-sentinel-user-id: 1"),
        request().field("x-nul", "a\0b"),
        request().field(":path", "/admin"),
        request().field(":unknown", "1"),
        request().field("content-length", "1"),
        Block::request("GET", ""),
        Block::request("GET", "public"),
        Block::request("GET", "/public\r\nx: 1"),
        Block::default().field(":method", "GET").field(":path", "/public"),
    ] {
        let shown = String::from_utf8_lossy(&block.0).into_owned();
        let mut peer = Peer::connect(&edge).await;
        let outcome = peer.send(&block).await;
        let is_refused = matches!(
            outcome,
            Outcome::Reset(PROTOCOL_ERROR) | Outcome::Closed(Some(PROTOCOL_ERROR))
        );
        assert!(is_refused, "{shown}: {outcome:?}");
    }
    assert!(edge.world.service.requests().is_empty());
}

/// P1: an absolute target or another form is none of ours.
#[tokio::test]
async fn targets_that_are_not_in_origin_form() {
    let edge = Encrypted::start().await;
    for block in [
        Block::request("GET", "http://a.example/admin"),
        Block::request("OPTIONS", "*"),
        Block::default()
            .field(":method", "CONNECT")
            .field(":authority", "a.example:80"),
        Block::request("CONNECT", "/public").field(":protocol", "websocket"),
    ] {
        let mut peer = Peer::connect(&edge).await;
        let shown = String::from_utf8_lossy(&block.0).into_owned();
        let outcome = peer.send(&block).await;
        assert_ne!(outcome, Outcome::Answered("ok".to_owned()), "{shown}");
        assert!(edge.world.service.requests().is_empty(), "{shown}");
    }
    // A fragment is no part of a target, so it is no part of what is judged or sent.
    let mut peer = Peer::connect(&edge).await;
    assert_eq!(
        peer.send(&Block::request("GET", "/public#/../admin")).await,
        Outcome::Answered("ok".to_owned())
    );
    assert!(
        edge.world
            .service
            .only_request()
            .starts_with("GET /public HTTP/1.1\r\n")
    );
}

/// P6: a body is as long as was said, and what is behind it is dropped.
#[tokio::test]
async fn bodies_that_end_in_two_places() {
    let edge = Encrypted::start().await;
    let mut peer = Peer::connect(&edge).await;
    let post = |length: &str| Block::request("POST", "/public").field("content-length", length);
    for (length, body) in [("3", "abcde"), ("3", "ab")] {
        let stream = peer.stream();
        peer.write(&frame(HEADERS, END_HEADERS, stream, &post(length).0))
            .await;
        peer.write(&frame(DATA, END_STREAM, stream, body.as_bytes()))
            .await;
        assert_eq!(
            peer.outcome(stream).await,
            Outcome::Reset(PROTOCOL_ERROR),
            "{length}: {body}"
        );
    }
    for block in [
        post("+1"),
        post("1,1"),
        post("01"),
        post(""),
        post("1").field("content-length", "1"),
    ] {
        let stream = peer.stream();
        peer.write(&frame(HEADERS, END_HEADERS, stream, &block.0)).await;
        let outcome = peer.outcome(stream).await;
        let is_refused = match &outcome {
            Outcome::Answered(_) => outcome.code() == "framing_invalid",
            Outcome::Reset(_) => true,
            Outcome::Closed(_) => false,
        };
        assert!(is_refused, "{}: {outcome:?}", String::from_utf8_lossy(&block.0));
    }
    let complete = edge.world.service.requests();
    assert!(
        complete.iter().all(|request| !request.ends_with("abc")),
        "{complete:?}"
    );

    // A body where none was announced goes nowhere.
    let stream = peer.stream();
    peer.write(&frame(HEADERS, END_HEADERS, stream, &post("0").0))
        .await;
    peer.write(&frame(DATA, END_STREAM, stream, b"GET /admin")).await;
    assert_eq!(peer.outcome(stream).await, Outcome::Answered("ok".to_owned()));
    let requests = edge.world.service.requests();
    assert!(
        requests.last().is_some_and(|last| last.ends_with("\r\n\r\n")),
        "{requests:?}"
    );

    let stream = peer.stream();
    peer.write(&frame(HEADERS, END_HEADERS, stream, &post("3").0))
        .await;
    peer.write(&frame(DATA, 0, stream, b"xyz")).await;
    let trailers = Block::default()
        .field("x-sentinel-user-id", "1")
        .field("x-trailer", "1");
    peer.write(&frame(HEADERS, END_HEADERS | END_STREAM, stream, &trailers.0))
        .await;
    assert_eq!(peer.outcome(stream).await, Outcome::Answered("ok".to_owned()));
    let requests = edge.world.service.requests();
    let last = requests.last().expect("a request");
    assert!(
        last.ends_with("\r\n\r\nxyz") && !last.contains("x-trailer"),
        "{last}"
    );
}

/// P7: a cookie in crumbs is one cookie behind the edge (RFC 9113 §8.2.3).
#[tokio::test]
async fn crumbs_of_a_cookie_are_put_together() {
    let edge = Encrypted::start().await;
    let mut peer = Peer::connect(&edge).await;
    let block = Block::request("GET", "/public")
        .field("cookie", "a=1")
        .field("cookie", "b=2")
        .field("cookie", "c=3");
    assert_eq!(peer.send(&block).await, Outcome::Answered("ok".to_owned()));
    let request = edge.world.service.only_request().to_ascii_lowercase();
    assert_eq!(request.matches("\r\ncookie:").count(), 1, "{request}");
    assert!(request.contains("\r\ncookie: a=1; b=2; c=3\r\n"), "{request}");
}

/// P9: a head that is a little too large is answered.
#[tokio::test]
async fn heads_that_are_too_large() {
    let edge = Encrypted::start().await;
    let mut peer = Peer::connect(&edge).await;
    let mut many = Block::request("GET", "/public");
    for _ in 0..=100 {
        many = many.field("x-a", "1");
    }
    assert_eq!(peer.send(&many).await.code(), "head_too_large");
    let large = Block::request("GET", "/public").field("x-a", &"a".repeat(33 * 1024));
    let stream = peer.stream();
    let (first, rest) = large.0.split_at(16_384);
    let (second, third) = rest.split_at(16_384);
    peer.write(&frame(HEADERS, END_STREAM, stream, first)).await;
    peer.write(&frame(CONTINUATION, 0, stream, second)).await;
    peer.write(&frame(CONTINUATION, END_HEADERS, stream, third)).await;
    // 431, from the library, before there is a request.
    assert_eq!(peer.outcome(stream).await, Outcome::Answered(String::new()));
    assert!(edge.world.service.requests().is_empty());
    assert_eq!(
        peer.send(&Block::request("GET", "/public")).await,
        Outcome::Answered("ok".to_owned())
    );
}
