//! The encrypted listener: which certificate, which protocol, and what TLS has to do with routes, which is nothing.

use std::time::Duration;

use rustls::ALL_VERSIONS;
use rustls::version::{TLS12, TLS13};
use sentinel_proxy::doorway::Limits;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use crate::encrypted::{Encrypted, shown};
use crate::harness::{Client, PATIENCE, get, let_pass};

#[tokio::test]
async fn requests_are_answered_as_without_encryption() {
    let edge = Encrypted::start().await;
    let mut client = edge.client().await;
    for (bytes, status) in [
        (get("/public", &[]), 200),
        (get("/signed-in", &[]), 401),
        (get("/public/../admin", &[]), 400),
    ] {
        client.write(bytes.as_bytes()).await;
        assert_eq!(client.read_answer().await.status, status, "{bytes}");
    }
    assert!(client.is_closed().await);
    let request = edge.world.service.only_request().to_ascii_lowercase();
    assert!(request.contains("\r\nx-forwarded-proto: https\r\n"), "{request}");
    assert!(
        request.contains("\r\nx-forwarded-for: 127.0.0.1\r\n"),
        "{request}"
    );
}

#[tokio::test]
async fn the_certificate_is_the_one_for_the_name() {
    let edge = Encrypted::start().await;
    for (name, file) in [
        ("a.example", "first"),
        ("c.b.example", "wild"),
        ("localhost", "first"),
    ] {
        let stream = edge
            .handshake(name, &["http/1.1"], ALL_VERSIONS)
            .await
            .expect("trusted");
        assert_eq!(shown(&stream), edge.files.certificate(file), "{name}");
    }
    let other = edge.handshake("d.example", &[], ALL_VERSIONS).await;
    assert!(other.is_err(), "the first certificate is not for this name");
}

/// The route follows from the request's host, whatever name the handshake had.
#[tokio::test]
async fn the_name_of_the_handshake_does_not_choose_the_route() {
    let edge = Encrypted::start().await;
    let stream = edge
        .handshake("c.b.example", &["http/1.1"], ALL_VERSIONS)
        .await
        .expect("trusted");
    let mut client = Client::over(stream);
    let request = |host: &str, path: &str| format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    for (host, path, status) in [
        ("c.b.example", "/public", 200),
        ("c.b.example", "/signed-in", 404),
        ("a.example", "/signed-in", 401),
        ("a.example", "/public", 200),
    ] {
        client.write(request(host, path).as_bytes()).await;
        assert_eq!(client.read_answer().await.status, status, "{host}{path}");
    }
}

#[tokio::test]
async fn the_client_chooses_among_two_protocols() {
    let edge = Encrypted::start().await;
    for (offered, chosen) in [
        (&["h2", "http/1.1"] as &[_], Some("h2")),
        (&["http/1.1"], Some("http/1.1")),
        (&["http/1.1", "h2"], Some("h2")),
        (&[], None),
    ] {
        let stream = edge
            .handshake("a.example", offered, ALL_VERSIONS)
            .await
            .expect("a handshake");
        let protocol = stream.get_ref().1.alpn_protocol();
        assert_eq!(protocol, chosen.map(str::as_bytes), "{offered:?}");
    }
    assert!(
        edge.handshake("a.example", &["spdy/3"], ALL_VERSIONS)
            .await
            .is_err()
    );
}

#[tokio::test]
async fn the_oldest_version_can_be_set() {
    let edge = Encrypted::start().await;
    assert!(edge.handshake("a.example", &[], &[&TLS12]).await.is_ok());
    let edge = Encrypted::with(Limits::default(), ", min_version: tls1.3").await;
    assert!(edge.handshake("a.example", &[], &[&TLS12]).await.is_err());
    assert!(edge.handshake("a.example", &[], &[&TLS13]).await.is_ok());
}

/// P10: a handshake has a deadline as well, and nothing else is spoken before it.
#[tokio::test]
async fn a_handshake_that_trickles_is_not_waited_for() {
    let limits = Limits {
        head: Duration::from_millis(300),
        idle: Duration::from_millis(300),
        ..Limits::default()
    };
    let edge = Encrypted::with(limits, "").await;
    let mut begun = edge.connect().await;
    begun.write_all(&[0x16, 0x03, 0x01, 0x02]).await.expect("sent");
    let mut silent = edge.connect().await;
    let mut plain = edge.connect().await;
    plain
        .write_all(get("/public", &[]).as_bytes())
        .await
        .expect("sent");
    for connection in [&mut begun, &mut silent, &mut plain] {
        let mut rest = Vec::new();
        let closed = timeout(PATIENCE, connection.read_to_end(&mut rest)).await;
        assert!(closed.is_ok());
        assert!(!rest.starts_with(b"HTTP"), "nothing but an alert of TLS");
    }
    assert!(edge.world.service.requests().is_empty());
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_and_a_bad_one_is_not() {
    let edge = Encrypted::start().await;
    let old = edge.files.certificate("first");
    let now_shown = || async {
        let stream = edge.handshake("a.example", &[], ALL_VERSIONS).await;
        stream.ok().map(|stream| shown(&stream))
    };
    edge.files
        .write("first", &["a.example", "localhost", "new.example"]);
    let new = edge.files.certificate("first");
    assert_ne!(new, old);
    let renewed = async {
        loop {
            let_pass(Duration::from_secs(11)).await;
            if now_shown().await.as_ref() == Some(&new) {
                return;
            }
        }
    };
    timeout(Duration::from_hours(1), renewed).await.expect("in time");

    std::fs::write(edge.files.path("first", "pem"), "no certificate").expect("written");
    edge.files.write("wild", &["*.b.example", "longer.c.example"]);
    let other = edge.files.certificate("wild");
    let reread = async {
        loop {
            let_pass(Duration::from_secs(11)).await;
            let stream = edge
                .handshake_with("c.b.example", &[new.clone(), other.clone()])
                .await;
            if stream.is_ok_and(|stream| shown(&stream) == other) {
                return;
            }
        }
    };
    timeout(Duration::from_hours(1), reread).await.expect("in time");
    let stream = edge
        .handshake_with("a.example", std::slice::from_ref(&new))
        .await
        .expect("a handshake");
    assert_eq!(
        shown(&stream),
        new,
        "the bad file was looked at together with the other one"
    );
}

#[tokio::test]
async fn stopping_lets_encrypted_requests_finish() {
    let edge = Encrypted::start().await;
    let mut idle = edge.client().await;
    idle.write(get("/public", &[]).as_bytes()).await;
    assert_eq!(idle.read_answer().await.status, 200);
    let mut busy = edge.client().await;
    busy.write(b"POST /public HTTP/1.1\r\nHost: a.example\r\nContent-Length: 3\r\n\r\n")
        .await;
    edge.world.service.wait_for_heads(2).await;
    let address = edge.world.running.https().expect("configured");
    let stopping = tokio::spawn(edge.world.running.stop());
    assert!(idle.is_closed().await);
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
    busy.write(b"abc").await;
    assert_eq!(busy.read_answer().await.status, 200);
    stopping.await.expect("ended");
}
