//! Requests that can be read in two ways: refused, byte for byte on the wire, before anything reaches the service.

use crate::harness::{Client, World, bearer};
use crate::testing::{OLGA, token_of};

async fn refused(world: &World, bytes: &[u8], code: &str) {
    let answer = world.send(bytes).await;
    let shown = String::from_utf8_lossy(bytes);
    let status = if code == "head_too_large" { 431 } else { 400 };
    assert_eq!(answer.word(), (status, code.to_owned()), "{shown}");
    assert_eq!(
        answer.header("content-type"),
        Some("application/problem+json"),
        "{shown}"
    );
    assert_eq!(answer.header("server"), None, "{shown}");
    assert!(world.service.requests().is_empty(), "{shown}");
}

/// P1: what Pingora calls the path is not what it would forward.
#[tokio::test]
async fn targets_that_are_not_in_origin_form() {
    let world = World::start().await;
    for line in [
        "GET admin HTTP/1.1",
        "GET public HTTP/1.1",
        "GET ?x=1 HTTP/1.1",
        "GET a.example:80 HTTP/1.1",
        "GET  /public HTTP/1.1",
        "GET /public  HTTP/1.1",
        "GET /public x HTTP/1.1",
        "GET http://a.example/public HTTP/1.1",
        "OPTIONS * HTTP/1.1",
        "GET /public",
        "GET /public HTTP/1.2",
        "GET /public HTTP/2.0",
    ] {
        let bytes = format!("{line}\r\nHost: a.example\r\n\r\n");
        refused(&world, bytes.as_bytes(), "path_not_canonical").await;
    }
}

/// P2: every spelling of another path.
#[tokio::test]
async fn paths_in_disguise() {
    let world = World::start().await;
    for path in [
        "/public/../admin",
        "/public/./admin",
        "/public/..",
        "/public/%2e%2e/admin",
        "/public/.%2E/admin",
        "/public/..%2fadmin",
        "/public/..%5cadmin",
        "/public\\..\\admin",
        "//admin",
        "/public//admin",
        "/public/..;/admin",
        "/public;x=1",
        "/public%3bx",
        "/public%00",
        "/public%0d%0aX:1",
        "/public/%252e%252e/admin",
        "/%70ublic",
        "/public/%c0%ae%c0%ae/admin",
        "/public#/../admin",
        "/public\"",
        "/public/%zz",
        "/public/secret%20",
        "/public/%20secret",
        "/public/secret%C2%A0",
        "/public/secret%E2%80%8B",
        "/public/%EF%BB%BFsecret",
        "/public/%EF%BC%8E%EF%BC%8E/admin",
        "/public/x%EF%BC%8Fadmin",
        "/public/x%E2%88%95admin",
        "/public/x%E2%81%84admin",
    ] {
        let bytes = format!("GET {path} HTTP/1.1\r\nHost: a.example\r\n\r\n");
        refused(&world, bytes.as_bytes(), "path_not_canonical").await;
    }
    refused(
        &world,
        b"GET /public\xff HTTP/1.1\r\nHost: a.example\r\n\r\n",
        "path_not_canonical",
    )
    .await;
    refused(
        &world,
        b"GET /public\x01 HTTP/1.1\r\nHost: a.example\r\n\r\n",
        "path_not_canonical",
    )
    .await;
}

/// What only looks like a protected name does not fall through to the parameter beside it.
#[tokio::test]
async fn names_in_disguise() {
    let world = World::start().await;
    for path in [
        "/public/Secret",
        "/public/SECRET",
        "/public/secret.",
        "/public/secret...",
        "/public/.secret",
        "/public/%C5%BFecret",
        "/public/%EF%BD%93ecret",
        "/Public/other",
    ] {
        assert_eq!(
            world.get(path, &[]).await.word(),
            (404, "no_route".to_owned()),
            "{path}"
        );
    }
    assert_eq!(world.get("/public/secret", &[]).await.status, 401);
    assert!(world.service.requests().is_empty());
    assert_eq!(world.get("/public/secrets", &[]).await.status, 200);
}

/// P5: the host decides which route counts.
#[tokio::test]
async fn hosts_that_are_missing_doubled_or_odd() {
    let world = World::start().await;
    for lines in [
        "",
        "Host:\r\n",
        "Host: a.example\r\nHost: a.example\r\n",
        "Host: a.example\r\nHost: b.example\r\n",
        "Host: a.example,b.example\r\n",
        "Host: a.example/../x\r\n",
        "Host: user@a.example\r\n",
        "Host: A.EXAMPLE.:80\r\n",
        "Host: a.example:0x50\r\n",
    ] {
        for version in ["1.1", "1.0"] {
            let bytes = format!("GET /public HTTP/{version}\r\n{lines}\r\n");
            refused(&world, bytes.as_bytes(), "host_invalid").await;
        }
    }
}

/// P6: where the body ends.
#[tokio::test]
async fn bodies_that_end_in_two_places() {
    let world = World::start().await;
    for lines in [
        "Content-Length: 1,1",
        "Content-Length: 1\r\nContent-Length: 1",
        "Content-Length: 1\r\nContent-Length: 2",
        "Content-Length: +1",
        "Content-Length: 0x1",
        "Content-Length: 01",
        "Content-Length:",
        "Content-Length: 1\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: x, chunked",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: xchunked",
    ] {
        let bytes = format!("POST /public HTTP/1.1\r\nHost: a.example\r\n{lines}\r\n\r\nx");
        refused(&world, bytes.as_bytes(), "framing_invalid").await;
    }
    let old = b"POST /public HTTP/1.0\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    refused(&world, old, "framing_invalid").await;
}

/// P6: lines that not everybody ends at the same place.
#[tokio::test]
async fn lines_that_others_would_read_differently() {
    let world = World::start().await;
    for bytes in [
        "GET /public HTTP/1.1\nHost: a.example\n\n",
        "GET /public HTTP/1.1\r\nHost: a.example\nX: 1\r\n\r\n",
        "GET /public HTTP/1.1\r\nHost: a.example\rX: 1\r\n\r\n",
        "GET /public HTTP/1.1\r\nHost: a.example\r\n folded\r\n\r\n",
        "GET /public HTTP/1.1\r\nHost : a.example\r\n\r\n",
        "GET /public HTTP/1.1\r\nHost: a.example\r\n: empty\r\n\r\n",
        "GET /public HTTP/1.1\r\nHost: a.example\r\nX: \0\r\n\r\n",
        "GET /public HTTP/1.1\r\nHost: a.example\r\nExpect: y 100-continue\r\n\r\n",
        "GET /public HTTP/1.1\r\nHost: a.example\r\nCookie: a=1\r\nCookie: b=2\r\n\r\n",
        "GET /public HTTP/1.1\r\nHost: a.example\r\nContent-Type: a/b\r\nContent-Type: c/d\r\n\r\n",
    ] {
        refused(&world, bytes.as_bytes(), "header_invalid").await;
    }
}

/// P7: two credentials are two readings of who is calling.
#[tokio::test]
async fn credentials_that_are_doubled() {
    let world = World::start().await;
    let token = bearer(&token_of(OLGA));
    for lines in [
        format!("{token}\r\n{token}"),
        format!("{token}\r\nAuthorization: Basic eDp5"),
        "X-Service-Key: a\r\nX-Service-Key: a".to_owned(),
    ] {
        let bytes = format!("GET /signed-in HTTP/1.1\r\nHost: a.example\r\n{lines}\r\n\r\n");
        refused(&world, bytes.as_bytes(), "credential_duplicated").await;
    }
}

/// P8: methods that are none.
#[tokio::test]
async fn methods_that_are_odd() {
    let world = World::start().await;
    for line in [
        "get /public",
        "Get /public",
        "TRACE /public",
        "CONNECT a.example:80",
        "CONNECT /public",
        "GETX /public",
        "PRI *",
    ] {
        let bytes = format!("{line} HTTP/1.1\r\nHost: a.example\r\n\r\n");
        refused(&world, bytes.as_bytes(), "method_invalid").await;
    }
}

/// P9: heads that cost more than they are worth.
#[tokio::test]
async fn heads_that_are_too_large() {
    let world = World::start().await;
    let many = format!(
        "GET /public HTTP/1.1\r\nHost: a.example\r\n{}\r\n",
        "X-A: 1\r\n".repeat(100)
    );
    refused(&world, many.as_bytes(), "head_too_large").await;
    let large = format!(
        "GET /public HTTP/1.1\r\nHost: a.example\r\nX-A: {}\r\n\r\n",
        "a".repeat(80 * 1024)
    );
    refused(&world, large.as_bytes(), "head_too_large").await;
}

/// What a second request in the same bytes would be is never served on the first one's account.
#[tokio::test]
async fn a_request_behind_a_request() {
    let world = World::start().await;
    let mut client = Client::connect(world.running.http()).await;
    let first = "GET /public HTTP/1.1\r\nHost: a.example\r\n\r\n";
    let second = "GET /admin HTTP/1.1\r\nHost: a.example\r\n\r\n";
    client.write(format!("{first}{second}").as_bytes()).await;
    assert_eq!(client.read_answer().await.status, 200);
    assert!(client.is_closed().await);
    assert!(world.service.only_request().starts_with("GET /public "));
}

/// What is plain passes, byte for byte.
#[tokio::test]
async fn plain_requests_pass_as_they_are() {
    let world = World::start().await;
    for path in [
        "/public",
        "/public?a=/../b&c=%2e%00",
        "/public/caf%C3%A9",
        "/public/a:b@c,d",
        "/public/...",
    ] {
        assert_eq!(world.get(path, &[]).await.status, 200, "{path}");
        let requests = world.service.requests();
        let last = requests.last().expect("a request");
        assert!(last.starts_with(&format!("GET {path} HTTP/1.1\r\n")), "{last}");
    }
    let post = "POST /public HTTP/1.1\r\nHost: A.Example:80\r\nContent-Length: 3\r\n\r\nabc";
    assert_eq!(world.send(post).await.status, 200);
    let requests = world.service.requests();
    let last = requests.last().expect("a request").to_ascii_lowercase();
    assert!(
        last.contains("\r\nhost: a.example:80\r\n") && last.ends_with("\r\n\r\nabc"),
        "{last}"
    );
}
