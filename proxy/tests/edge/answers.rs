//! What a denied client is told, in the form he reads, and that it does not cost him his connection.

use crate::harness::{Answer, Client, World, bearer, get};
use crate::testing::{EDDA, NEMO, OLGA, VERA, token_of};

const BROWSER: &str = "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

const ROUTES: &str = r#"
limits: { max_body: 16B }
routes:
  - { match: "GET a.example/owners", to: docs, require: { role: owner } }
  - { match: "POST a.example/owners", to: docs, require: { role: owner } }
  - { match: "HEAD a.example/owners", to: docs, require: { role: owner } }
  - match: GET a.example/hidden/{id}
    to: docs
    require: { role: owner }
    strangers: not_found
    cors: { origins: ["https://app.example.com"] }
    response_headers: { set: { x-mark: hidden } }
  - { match: "GET a.example/service", to: docs, credentials: service, require: { signed_in: true } }
  - { match: "GET a.example/either", to: docs, credentials: user_or_service, require: { signed_in: true } }
  - { match: "GET a.example/once", to: docs, public: true, rate_limit: { per: address, requests: 1, within: 1d } }
  - { match: "GET a.example/gone", to: nobody, public: true }
  - { match: "POST a.example/public", to: docs, public: true }
  - { match: "GET a.example/public", to: docs, public: true }
"#;

#[tokio::test]
async fn somebody_who_looks_at_it_gets_a_page() {
    let world = World::with_policy(ROUTES).await;
    let answer = world.get("/owners", &[BROWSER, &bearer(&token_of(VERA))]).await;
    assert_eq!(answer.status, 403);
    assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("vary"), Some("accept"));
    let policy = answer.header("content-security-policy").expect("a policy");
    assert!(
        policy.starts_with("default-src 'none'; ") && !policy.contains("unsafe"),
        "{policy}"
    );
    let id = answer.header("x-request-id").expect("a number");
    assert!(
        answer.body.starts_with("<!doctype html>") && answer.body.contains(id),
        "{}",
        answer.body
    );
    assert!(
        answer.body.contains("<h1>Access is denied</h1>"),
        "{}",
        answer.body
    );
    for word in ["<script", "role", "http://", "https://"] {
        assert!(!answer.body.contains(word), "{word}");
    }
    for (path, status) in [
        ("/owners", 401),
        ("/nowhere", 404),
        ("/gone", 502),
        ("/a/../b", 400),
    ] {
        let answer = world.get(path, &[BROWSER]).await;
        assert_eq!(answer.status, status);
        // What cannot be read in one way is not read for what it accepts either.
        let kind = if status == 400 {
            "application/problem+json"
        } else {
            "text/html; charset=utf-8"
        };
        assert_eq!(answer.header("content-type"), Some(kind), "{path}");
    }
}

#[tokio::test]
async fn a_program_gets_a_document_whatever_it_calls_itself() {
    let world = World::with_policy(ROUTES).await;
    let agent = "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
    for lines in [
        &[agent] as &[&str],
        &[agent, "Accept: */*"],
        &["Accept: application/json, text/html;q=0.9"],
        &["Accept: text/html;q=0"],
    ] {
        let answer = world.get("/owners", lines).await;
        assert_eq!(answer.word(), (401, "credential_missing".to_owned()), "{lines:?}");
        assert_eq!(answer.header("vary"), Some("accept"));
    }
    let post = format!("POST /owners HTTP/1.1\r\nHost: a.example\r\nContent-Length: 0\r\n{BROWSER}\r\n\r\n");
    let answer = world.send(post).await;
    assert_eq!(answer.word(), (401, "credential_missing".to_owned()));
    assert_eq!(answer.header("vary"), None);
}

#[tokio::test]
async fn the_challenge_names_what_the_route_takes() {
    let world = World::with_policy(ROUTES).await;
    let challenges = |answer: &Answer| {
        let lines = answer.head.lines();
        let found = lines.filter_map(|line| line.strip_prefix("www-authenticate: ").map(str::to_owned));
        found.collect::<Vec<_>>()
    };
    let (bearer_word, service) = (r#"bearer realm="sentinel""#, r#"x-service-key realm="sentinel""#);
    let invalid = r#"bearer realm="sentinel", error="invalid_token""#;
    for (path, lines, expected) in [
        ("/owners", &[] as &[&str], &[bearer_word] as &[&str]),
        ("/service", &[], &[service]),
        ("/either", &[], &[bearer_word, service]),
        ("/either", &["Authorization: Bearer x"], &[invalid]),
        ("/either", &["X-Service-Key: x"], &[service]),
        ("/service", &[&bearer(&token_of(OLGA))], &[service]),
        ("/owners", &[&bearer(&token_of(VERA))], &[]),
    ] {
        let answer = world.get(path, lines).await;
        assert_eq!(challenges(&answer), expected, "{path} {lines:?}");
        assert_eq!(answer.status == 401, !expected.is_empty());
    }
}

#[tokio::test]
async fn no_denial_costs_the_connection() {
    let world = World::with_policy(ROUTES).await;
    let mut client = Client::connect(world.running.http()).await;
    let large = "POST /public HTTP/1.1\r\nHost: a.example\r\nContent-Length: 17\r\n\r\naaaaaaaaaaaaaaaaa";
    let vera = bearer(&token_of(VERA));
    for (bytes, status) in [
        (get("/once", &[]), 200),
        (get("/owners", &[]), 401),
        (get("/owners", &[&vera]), 403),
        (get("/owners", &[&vera, BROWSER]), 403),
        (get("/hidden/1", &[&vera]), 404),
        (get("/nowhere", &[]), 404),
        (get("/nowhere", &[BROWSER]), 404),
        (get("/once", &[]), 429),
        (large.to_owned(), 413),
        (get("/public", &[]), 200),
    ] {
        client.write(bytes.as_bytes()).await;
        let answer = client.read_answer().await;
        assert_eq!(answer.status, status, "{bytes}");
        assert_eq!(answer.header("connection"), Some("keep-alive"), "{bytes}");
        assert!(answer.header("x-request-id").is_some(), "{bytes}");
        let server = answer.header("server");
        assert_eq!(server, (status == 200).then_some("recorder"), "{bytes}");
    }
}

/// RFC 9110 §9.3.2: the header of the answer to `HEAD` is that of the answer to `GET`.
#[tokio::test]
async fn an_answer_to_head_has_a_length_and_no_body() {
    let world = World::with_policy(ROUTES).await;
    let mut client = Client::connect(world.running.http()).await;
    for (accept, token, status) in [
        ("Accept: */*", None, 401),
        (BROWSER, None, 401),
        (BROWSER, Some(VERA), 403),
        ("Accept: */*", Some(EDDA), 403),
    ] {
        let lines: Vec<String> = std::iter::once(accept.to_owned())
            .chain(token.map(|user| bearer(&token_of(user))))
            .collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let of_get = world.get("/owners", &lines).await;
        client
            .write(get("/owners", &lines).replacen("GET", "HEAD", 1).as_bytes())
            .await;
        let head = String::from_utf8(client.read_until(b"\r\n\r\n").await).expect("text");
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
        let length = format!("\r\ncontent-length: {}\r\n", of_get.body.len());
        assert!(head.to_ascii_lowercase().contains(&length), "{head}");
    }
    client.write(get("/public", &[]).as_bytes()).await;
    assert_eq!(
        client.read_answer().await.status,
        200,
        "no byte of a body came in between"
    );
}

/// A recognised stranger sees what he would see if there were no route, to the last byte.
#[tokio::test]
async fn a_stranger_sees_nothing_at_all() {
    let world = World::with_policy(ROUTES).await;
    let without_number = |answer: Answer| {
        let id = answer.header("x-request-id").expect("a number").to_owned();
        let head = answer.head.replace(&id, "");
        let head: Vec<String> = head
            .lines()
            .filter(|line| !line.starts_with("date:"))
            .map(str::to_owned)
            .collect();
        (answer.status, head, answer.body.replace(&id, ""))
    };
    let page = "Origin: https://app.example.com";
    for user in [EDDA, VERA, NEMO] {
        let token = bearer(&token_of(user));
        for lines in [&[token.as_str()] as &[&str], &[&token, BROWSER], &[&token, page]] {
            let hidden = without_number(world.get("/hidden/1", lines).await);
            let nowhere = without_number(world.get("/nowhere/1", lines).await);
            assert_eq!(hidden, nowhere, "{lines:?}");
            assert_eq!(hidden.0, 404);
        }
    }
    assert!(world.service.requests().is_empty());
    // Who is not recognised is asked who he is, and who may pass, passes.
    assert_eq!(world.get("/hidden/1", &[]).await.status, 401);
    assert_eq!(
        world
            .get("/hidden/1", &[&bearer(&token_of(OLGA))])
            .await
            .header("x-mark"),
        Some("hidden")
    );
    // A refused preflight request tells no more.
    let refused = "OPTIONS /hidden/1 HTTP/1.1\r\nHost: a.example\r\nOrigin: https://evil.example\r\nAccess-Control-Request-Method: GET\r\n\r\n";
    let nowhere = refused.replace("/hidden/", "/nowhere/");
    assert_eq!(
        without_number(world.send(refused).await),
        without_number(world.send(nowhere).await)
    );

    let mut client = Client::connect(world.running.admin()).await;
    client.write(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let metrics = client.read_answer().await.body;
    let counted = r#"sentinel_edge_decisions_total{decision="deny",mode="enforce",reason="role_denied",route="GET a.example/hidden/{id}"} 9"#;
    assert!(
        metrics.lines().any(|line| line == counted),
        "the operator sees the reason: {metrics}"
    );
}
