//! Header fields that a route changes on the way.

use crate::harness::{World, bearer};
use crate::testing::{OLGA, token_of};

const ROUTES: &str = r#"
routes:
  - match: GET a.example/changed
    to: docs
    require: { signed_in: true }
    request_headers: { set: { x-tenant: acme, x-user-id: nobody }, remove: [authorization, x-debug, cookie] }
    response_headers: { set: { cache-control: no-store, server: a.example }, remove: [x-powered-by, x-version] }
  - match: GET a.example/basic
    to: docs
    public: true
    request_headers: { set: { authorization: "Basic dTpw" } }
"#;

#[tokio::test]
async fn the_service_gets_what_the_route_says() {
    let world = World::with_policy(ROUTES).await;
    let lines = [
        bearer(&token_of(OLGA)),
        "X-Tenant: other".to_owned(),
        "x-tenant: another".to_owned(),
        "X-User-Id: forged".to_owned(),
        "X-Debug: 1".to_owned(),
        "x-debug: 2".to_owned(),
        "Cookie: a=1".to_owned(),
        "X-Kept: yes".to_owned(),
    ];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    assert_eq!(world.get("/changed", &lines).await.status, 200);
    let request = world.service.only_request().to_ascii_lowercase();
    for line in [
        "x-tenant: acme",
        "x-user-id: nobody",
        "x-kept: yes",
        "host: a.example",
    ] {
        assert_eq!(
            request.matches(&format!("\r\n{line}\r\n")).count(),
            1,
            "{line} in {request}"
        );
    }
    assert_eq!(request.matches("x-tenant:").count(), 1, "{request}");
    for gone in ["authorization:", "x-debug:", "cookie:", "forged", "another"] {
        assert!(!request.contains(gone), "{gone} in {request}");
    }
    assert!(
        request.contains("\r\nx-sentinel-user-id: 00000000-0000-0000-0000-00000000000b\r\n"),
        "{request}"
    );
}

#[tokio::test]
async fn a_fixed_credential_takes_the_place_of_the_clients() {
    let world = World::with_policy(ROUTES).await;
    assert_eq!(world.get("/basic", &[&bearer(&token_of(OLGA))]).await.status, 200);
    let request = world.service.only_request().to_ascii_lowercase();
    assert_eq!(request.matches("authorization:").count(), 1, "{request}");
    assert!(request.contains("\r\nauthorization: basic dtpw\r\n"), "{request}");
    assert_eq!(
        world.get("/basic", &["Authorization: Bearer x"]).await.status,
        401
    );
}

#[tokio::test]
async fn the_client_gets_what_the_route_says() {
    let world = World::with_policy(ROUTES).await;
    let lines = [
        &bearer(&token_of(OLGA)),
        "X-Answer: Cache-Control: public",
        "X-Answer: cache-control: immutable",
        "X-Answer: X-Powered-By: PHP/4",
        "X-Answer: x-version: 1",
        "X-Answer: X-Request-Id: forged",
    ];
    let answer = world.get("/changed", &lines).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "ok"));
    let count = |line: &str| {
        answer
            .head
            .lines()
            .filter(|found| found.starts_with(line))
            .count()
    };
    assert_eq!(
        (count("cache-control: no-store"), count("cache-control:")),
        (1, 1),
        "{}",
        answer.head
    );
    assert_eq!(
        (count("server: a.example"), count("server:")),
        (1, 1),
        "{}",
        answer.head
    );
    assert_eq!(
        (count("x-powered-by"), count("x-version"), count("x-request-id")),
        (0, 0, 1),
        "{}",
        answer.head
    );
    assert_ne!(answer.header("x-request-id"), Some("forged"));
    // The rules are about the service's answers.
    let denied = world.get("/changed", &[]).await;
    assert_eq!((denied.status, denied.header("server")), (401, None));
}
