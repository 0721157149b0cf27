//! The path that a service is asked for, and that no value a client sends makes it another one.

use crate::harness::{World, bearer};
use crate::testing::{DOCUMENT, EDDA, OLGA, token_of};

const ROUTES: &str = r#"
routes:
  - { match: "GET a.example/items/{id}", to: docs, public: true, rewrite: "/v2/{id}/item" }
  - { match: "GET a.example/pairs/{a}/{b}", to: docs, public: true, rewrite: "/{b}/{a}/" }
  - { match: "GET a.example/files/{rest*}", to: docs, public: true, rewrite: "/data/{rest*}" }
  - { match: "GET a.example/root", to: docs, public: true, rewrite: "/" }
  - match: GET a.example/documents/{doc_id}
    to: docs
    require: { permission: "docs/document/{doc_id}#view" }
    rewrite: "/internal/admin/{doc_id}"
"#;

#[tokio::test]
async fn the_service_is_asked_for_the_new_path_with_the_old_query() {
    let world = World::with_policy(ROUTES).await;
    for (path, expected) in [
        ("/items/7", "/v2/7/item"),
        ("/items/7?x=1&y=%2e%2e/..&z", "/v2/7/item?x=1&y=%2e%2e/..&z"),
        ("/items/7?", "/v2/7/item?"),
        ("/pairs/1/2", "/2/1/"),
        ("/files/a/b%20c/d", "/data/a/b%20c/d"),
        ("/files/a?b", "/data/a?b"),
        ("/root?x", "/?x"),
    ] {
        assert_eq!(world.get(path, &[]).await.status, 200, "{path}");
        let request = world.service.requests().pop().expect("one");
        assert!(
            request.starts_with(&format!("GET {expected} HTTP/1.1\r\n")),
            "{path}: {request}"
        );
    }
}

#[tokio::test]
async fn a_value_stays_one_segment_and_means_the_same() {
    let world = World::with_policy(ROUTES).await;
    for (value, written) in [
        ("...", "..."),
        ("..a", "..a"),
        ("%3Fadmin=1", "%3Fadmin=1"),
        ("%23x", "%23x"),
        ("a%20b", "a%20b"),
        ("%7Bid%7D", "%7Bid%7D"),
        ("%5Bid%5D", "%5Bid%5D"),
        ("@evil.example", "@evil.example"),
        ("http:", "http:"),
        ("caf%c3%a9", "caf%C3%A9"),
        ("%21%24", "!$"),
    ] {
        assert_eq!(
            world.get(&format!("/items/{value}"), &[]).await.status,
            200,
            "{value}"
        );
        let request = world.service.requests().pop().expect("one");
        assert!(
            request.starts_with(&format!("GET /v2/{written}/item HTTP/1.1\r\n")),
            "{value}: {request}"
        );
    }
    let before = world.service.requests().len();
    for hostile in [
        "..",
        ".",
        "%2e%2e",
        "..%2fadmin",
        "a%2fb",
        "a%5cb",
        "a%00",
        "a%0d%0aX-Evil:1",
        "%252e%252e",
        "a;b",
        "%20a",
        "%EF%BC%8E%EF%BC%8E",
        "a%E2%81%84b",
        "",
    ] {
        for path in [
            format!("/items/{hostile}"),
            format!("/files/{hostile}/x"),
            format!("/files/x/{hostile}"),
        ] {
            let status = world.get(&path, &[]).await.status;
            assert!(matches!(status, 400 | 404), "{path}: {status}");
        }
    }
    assert_eq!(world.service.requests().len(), before);
}

/// The decision is about the path that was matched, and is made before.
#[tokio::test]
async fn a_rewrite_opens_nothing() {
    let world = World::with_policy(ROUTES).await;
    let path = format!("/documents/{DOCUMENT}");
    assert_eq!(world.get(&path, &[&bearer(&token_of(EDDA))]).await.status, 403);
    assert_eq!(
        world
            .get("/internal/admin/x", &[&bearer(&token_of(OLGA))])
            .await
            .status,
        404
    );
    assert!(world.service.requests().is_empty());
    assert_eq!(world.get(&path, &[&bearer(&token_of(OLGA))]).await.status, 200);
    let request = world.service.only_request();
    assert!(
        request.starts_with(&format!("GET /internal/admin/{DOCUMENT} HTTP/1.1\r\n")),
        "{request}"
    );
}
