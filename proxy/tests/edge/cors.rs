//! Pages of other origins: preflight requests, and what answers say to browsers.

use crate::harness::{Answer, World, bearer};
use crate::testing::{OLGA, VERA, token_of};

const APP: &str = "https://app.example.com";

const ROUTES: &str = r#"
routes:
  - match: PUT a.example/items/{id}
    to: docs
    require: { role: editor }
    cors: { origins: ["https://app.example.com", "http://localhost:3000"], headers: [authorization, content-type], expose: [etag, x-total], credentials: true, max_age: 5m }
  - { match: "GET a.example/items/{id}", to: docs, public: true, cors: { origins: ["https://app.example.com"] } }
  - { match: "DELETE a.example/items/{id}", to: docs, require: { signed_in: true } }
  - { match: "OPTIONS a.example/items/{id}", to: docs, public: true }
  - { match: "GET a.example/open", to: docs, public: true, cors: { origins: ["*"] } }
  - { match: "POST a.example/closed", to: docs, public: true }
  - { match: "GET a.example/gone", to: nobody, public: true, cors: { origins: ["https://app.example.com"] } }
  - { match: "GET a.example/few", to: docs, public: true, rate_limit: { per: address, requests: 1 }, cors: { origins: ["https://app.example.com"] } }
"#;

async fn options(world: &World, path: &str, lines: &[&str]) -> Answer {
    let mut text = format!("OPTIONS {path} HTTP/1.1\r\nHost: a.example\r\n");
    for line in lines {
        text = text + line + "\r\n";
    }
    world.send(text + "\r\n").await
}

fn origin(origin: &str) -> String {
    format!("Origin: {origin}")
}

fn said(answer: &Answer) -> Vec<&str> {
    let mut said: Vec<&str> = answer
        .head
        .lines()
        .filter(|line| line.starts_with("access-control-") || line.starts_with("vary"))
        .collect();
    said.sort_unstable();
    said
}

#[tokio::test]
async fn a_preflight_request_is_answered_and_not_forwarded() {
    let world = World::with_policy(ROUTES).await;
    let lines = [
        &origin(APP),
        "Access-Control-Request-Method: PUT",
        "Access-Control-Request-Headers: Authorization,content-type",
    ];
    let answer = options(&world, "/items/7", &lines).await;
    assert_eq!((answer.status, answer.body.as_str()), (204, ""));
    assert_eq!(
        said(&answer),
        [
            "access-control-allow-credentials: true",
            "access-control-allow-headers: authorization, content-type",
            "access-control-allow-methods: put",
            "access-control-allow-origin: https://app.example.com",
            "access-control-max-age: 300",
            "vary: origin, access-control-request-method, access-control-request-headers",
        ]
    );
    assert!(answer.header("x-request-id").is_some());
    assert_eq!(answer.header("content-length"), None);
    assert_eq!(answer.header("connection"), Some("keep-alive"));
    let any = options(
        &world,
        "/open",
        &[
            &origin("https://whoever.example"),
            "Access-Control-Request-Method: GET",
        ],
    )
    .await;
    assert_eq!(
        (any.status, any.header("access-control-allow-origin")),
        (204, Some("*"))
    );
    assert_eq!(any.header("access-control-allow-credentials"), None);
    assert!(world.service.requests().is_empty());
}

#[tokio::test]
async fn what_the_route_does_not_take_is_refused() {
    let world = World::with_policy(ROUTES).await;
    let put = "Access-Control-Request-Method: PUT";
    for lines in [
        &["Origin: https://evil.example", put] as &[&str],
        &["Origin: null", put],
        &["Origin: https://app.example.com.evil.example", put],
        &["Origin: https://APP.example.com", put],
        &["Origin: http://app.example.com", put],
        &["Origin: https://app.example.com:8443", put],
        &["Origin: https://app.example.com/", put],
        &["Origin: https://app.example.com, https://evil.example", put],
        &[
            "Origin: https://app.example.com",
            put,
            "Access-Control-Request-Headers: x-admin",
        ],
        &[
            "Origin: https://app.example.com",
            put,
            "Access-Control-Request-Headers: authorization, x-admin",
        ],
        &[
            "Origin: https://app.example.com",
            put,
            "Access-Control-Request-Headers: authorization",
            "Access-Control-Request-Headers: x-admin",
        ],
        &[
            "Origin: https://app.example.com",
            put,
            "Access-Control-Request-Headers: *",
        ],
        &[
            "Origin: https://app.example.com",
            put,
            "Access-Control-Request-Headers: authorization x",
        ],
        // Another origin of the same path, for another method.
        &[
            "Origin: http://localhost:3000",
            "Access-Control-Request-Method: GET",
        ],
    ] {
        let answer = options(&world, "/items/7", lines).await;
        assert_eq!(answer.word(), (403, "origin_denied".to_owned()), "{lines:?}");
        assert_eq!(answer.header("access-control-allow-methods"), None, "{lines:?}");
    }
    assert!(world.service.requests().is_empty());
}

#[tokio::test]
async fn a_preflight_request_with_two_readings_is_none() {
    let world = World::with_policy(ROUTES).await;
    let put = "Access-Control-Request-Method: PUT";
    for lines in [
        &[&origin(APP), &origin("https://evil.example"), put] as &[&str],
        &[&origin(APP), put, "Access-Control-Request-Method: DELETE"],
    ] {
        assert_eq!(options(&world, "/items/7", lines).await.status, 400, "{lines:?}");
    }
    assert!(world.service.requests().is_empty());
}

/// Only where the announced request has no route with CORS is `OPTIONS` a request like any other.
#[tokio::test]
async fn options_is_forwarded_only_as_a_declared_route() {
    let world = World::with_policy(ROUTES).await;
    for (path, lines, status) in [
        ("/items/7", &[] as &[&str], 200),
        ("/items/7", &["Origin: https://app.example.com"], 200),
        ("/items/7", &["Access-Control-Request-Method: PUT"], 200),
        (
            "/items/7",
            &[
                "Origin: https://evil.example",
                "Access-Control-Request-Method: DELETE",
            ],
            200,
        ),
        (
            "/items/7",
            &[
                "Origin: https://evil.example",
                "Access-Control-Request-Method: TRACE",
            ],
            200,
        ),
        (
            "/items/7",
            &[
                "Origin: https://evil.example",
                "Access-Control-Request-Method: put",
            ],
            200,
        ),
        (
            "/closed",
            &[
                "Origin: https://app.example.com",
                "Access-Control-Request-Method: POST",
            ],
            404,
        ),
        (
            "/nowhere",
            &[
                "Origin: https://app.example.com",
                "Access-Control-Request-Method: GET",
            ],
            404,
        ),
    ] {
        let before = world.service.requests().len();
        let answer = options(&world, path, lines).await;
        assert_eq!(answer.status, status, "{path} {lines:?}");
        let forwarded = world.service.requests().len() - before;
        assert_eq!(forwarded, usize::from(status == 200), "{path} {lines:?}");
        assert_eq!(said(&answer), [] as [&str; 0], "{path} {lines:?}");
    }
}

#[tokio::test]
async fn an_answer_to_a_page_says_so_whatever_it_is() {
    let world = World::with_policy(ROUTES).await;
    let put = |lines: &[&str]| {
        format!(
            "PUT /items/7 HTTP/1.1\r\nHost: a.example\r\nContent-Length: 0\r\n{}\r\n\r\n",
            lines.join("\r\n")
        )
    };
    let (olga, vera) = (bearer(&token_of(OLGA)), bearer(&token_of(VERA)));
    for (lines, status) in [
        (&[olga.as_str()] as &[&str], 200),
        (&[vera.as_str()], 403),
        (&["Accept: */*"], 401),
        (&["Authorization: Bearer x"], 401),
    ] {
        let page = origin(APP);
        let with_origin: Vec<&str> = lines.iter().copied().chain([page.as_str()]).collect();
        let answer = world.send(put(&with_origin)).await;
        assert_eq!(answer.status, status, "{lines:?}");
        assert_eq!(
            said(&answer),
            [
                "access-control-allow-credentials: true",
                "access-control-allow-origin: https://app.example.com",
                "access-control-expose-headers: etag, x-total",
                "vary: origin",
            ],
            "{lines:?}"
        );
        for elsewhere in ["https://evil.example", "null"] {
            let page = origin(elsewhere);
            let with_origin: Vec<&str> = lines.iter().copied().chain([page.as_str()]).collect();
            let answer = world.send(put(&with_origin)).await;
            assert_eq!(answer.status, status, "an origin is no credential: {elsewhere}");
            assert_eq!(said(&answer), ["vary: origin"], "{elsewhere}");
        }
        assert_eq!(said(&world.send(put(lines)).await), ["vary: origin"]);
    }
    let page = origin(APP);
    for (path, status) in [("/gone", 502), ("/few", 200), ("/few", 429)] {
        let answer = world.get(path, &[&page]).await;
        assert_eq!(answer.status, status, "{path}");
        let origins = answer.header("access-control-allow-origin");
        assert_eq!(origins, Some("https://app.example.com"), "{path} {status}");
    }
    let any = world.get("/open", &[&origin("https://whoever.example")]).await;
    assert_eq!(said(&any), ["access-control-allow-origin: *"]);
    let two = world
        .get("/items/7", &[&page, &origin("https://evil.example")])
        .await;
    assert_eq!(two.header("access-control-allow-origin"), None);
}

#[tokio::test]
async fn what_the_service_says_to_browsers_does_not_count() {
    let world = World::with_policy(ROUTES).await;
    let lines = [
        "X-Answer: Access-Control-Allow-Origin: https://evil.example",
        "X-Answer: access-control-allow-credentials: true",
        "X-Answer: Access-Control-Allow-Private-Network: true",
        "X-Answer: Vary: accept-encoding",
    ];
    let answer = world
        .get(
            "/items/7",
            &[&lines[..], &["Origin: https://evil.example"]].concat(),
        )
        .await;
    assert_eq!(answer.status, 200);
    assert_eq!(said(&answer), ["vary: accept-encoding", "vary: origin"]);
    let answer = world
        .get("/items/7", &[&lines[..], &[origin(APP).as_str()]].concat())
        .await;
    assert_eq!(
        said(&answer),
        [
            "access-control-allow-origin: https://app.example.com",
            "vary: accept-encoding",
            "vary: origin"
        ]
    );
}
