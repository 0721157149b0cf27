//! The session cookie: who may send it, and that no service ever sees it.

use crate::harness::{Answer, World, bearer};
use crate::testing::{EDDA, OLGA, token_of};

const POLICY: &str = r#"routes:
  - { match: "GET a.example/page", to: docs, require: { signed_in: true }, cookie: true }
  - { match: "POST a.example/page", to: docs, require: { signed_in: true }, cookie: true }
  - { match: "DELETE a.example/page", to: docs, require: { signed_in: true }, cookie: true }
  - { match: "GET a.example/tunnel", to: docs, require: { signed_in: true }, cookie: true }
  - { match: "GET a.example/api", to: docs, require: { signed_in: true } }
  - { match: "POST a.example/public", to: docs, public: true }
  - { match: "GET a.example/shared", to: docs, require: { signed_in: true }, cookie: true, response_headers: { set: { cache-control: public } }, cors: { origins: [https://app.example] } }
"#;

async fn send(world: &World, start: &str, lines: &[&str]) -> Answer {
    let mut text = format!("{start} HTTP/1.1\r\nHost: a.example\r\n");
    for line in lines {
        text.push_str(line);
        text.push_str("\r\n");
    }
    world.send(text + "\r\n").await
}

fn session(user: u128) -> String {
    format!("__Host-sentinel={}", token_of(user))
}

fn last_of(world: &World) -> String {
    world
        .service
        .requests()
        .pop()
        .expect("a request")
        .to_ascii_lowercase()
}

#[tokio::test]
async fn a_session_is_taken_from_the_cookie_which_goes_no_further() {
    let world = World::with_policy(POLICY).await;
    let line = format!(
        "Cookie: theme=dark; {}; __Host-sentinel-refresh=r; __Host-sentinel-login-1=s; lang=\"de\"",
        session(OLGA)
    );
    assert_eq!(send(&world, "GET /page", &[&line]).await.status, 200);
    let seen = last_of(&world);
    assert!(seen.contains("\r\nx-sentinel-user-id: 00000000-0000-0000-0000-00000000000b\r\n"));
    assert!(seen.contains("\r\ncookie: theme=dark; lang=\"de\"\r\n"), "{seen}");
    assert!(!seen.contains("__host-sentinel"), "{seen}");
    // With nothing else in it, the line goes as a whole; and it goes on routes that look at no cookie as well.
    let alone = format!("Cookie: {}", session(OLGA));
    assert_eq!(send(&world, "GET /page", &[&alone]).await.status, 200);
    assert!(!last_of(&world).contains("cookie"));
    assert_eq!(
        send(&world, "POST /public", &[&alone, "Content-Length: 0"])
            .await
            .status,
        200
    );
    let seen = last_of(&world);
    assert!(
        !seen.contains("cookie") && !seen.contains("x-sentinel-user-id"),
        "{seen}"
    );
    let missing = send(&world, "GET /api", &[&alone]).await;
    assert_eq!(missing.word(), (401, "credential_missing".to_owned()));
    let bearer = bearer(&token_of(EDDA));
    assert_eq!(send(&world, "GET /page", &[&alone, &bearer]).await.status, 200);
    let seen = last_of(&world);
    assert!(
        seen.contains("\r\nx-sentinel-user-id: 00000000-0000-0000-0000-00000000000c\r\n"),
        "{seen}"
    );
    assert!(!seen.contains("cookie"), "{seen}");
}

#[tokio::test]
async fn cookies_that_can_be_read_twice_are_refused() {
    let world = World::with_policy(POLICY).await;
    let token = token_of(OLGA);
    for (cookies, status, code) in [
        (
            format!("__Host-sentinel={token}; __Host-sentinel={token}"),
            400,
            "credential_duplicated",
        ),
        (
            format!("__Host-sentinel=; a=b; __Host-sentinel={token}"),
            400,
            "credential_duplicated",
        ),
        (format!("__host-sentinel={token}"), 400, "header_invalid"),
        (format!("__Host-sentinel ={token}"), 400, "header_invalid"),
        (format!("__Host-sentinel\t={token}"), 400, "header_invalid"),
        (format!("__%48ost-sentinel={token}"), 400, "header_invalid"),
        (format!("..Host-sentinel={token}"), 400, "header_invalid"),
        (format!("a=b, __Host-sentinel={token}"), 400, "header_invalid"),
        (format!("a=\"x __Host-sentinel={token}\""), 400, "header_invalid"),
        (format!("__Host-sentinel=\"{token}\""), 401, "token_invalid"),
        (format!("__Host-sentinel={token} x"), 401, "token_invalid"),
        ("__Host-sentinel=".to_owned(), 401, "token_invalid"),
        ("__Host-sentinel=bad".to_owned(), 401, "token_invalid"),
    ] {
        let answer = send(&world, "GET /page", &[&format!("Cookie: {cookies}")]).await;
        assert_eq!(answer.word(), (status, code.to_owned()), "{cookies}");
    }
    let two = format!("Cookie: __Host-sentinel={token}");
    let answer = send(&world, "GET /page", &[&two, &two]).await;
    assert_eq!(answer.status, 400, "two lines in HTTP/1: {answer:?}");
    assert_eq!(world.service.requests(), [] as [String; 0]);
}

#[tokio::test]
async fn a_page_of_another_site_changes_nothing() {
    let world = World::with_policy(POLICY).await;
    let cookie = format!("Cookie: {}", session(OLGA));
    let own = "Origin: http://a.example";
    for (lines, passes) in [
        (vec!["Sec-Fetch-Site: same-origin"], true),
        (vec!["Sec-Fetch-Site: none"], true),
        (vec![own], true),
        (vec![], false),
        (vec!["Sec-Fetch-Site: same-site", own], false),
        (vec!["Sec-Fetch-Site: cross-site", own], false),
        (
            vec!["Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: same-origin"],
            false,
        ),
        (vec!["Sec-Fetch-Site: same-origin, none"], false),
        (vec!["Sec-Fetch-Site:", own], false),
        (vec!["Origin: null"], false),
        (vec!["Origin:"], false),
        (vec![own, own], false),
        (vec!["Origin: https://a.example"], false),
        (vec!["Origin: http://a.example:8080"], false),
        (vec!["Origin: http://b.a.example"], false),
        (vec!["Origin: http://evil.example"], false),
        (vec!["Referer: http://a.example/page"], false),
        (
            vec!["Content-Type: text/plain", "Origin: http://evil.example"],
            false,
        ),
    ] {
        for method in ["POST", "DELETE"] {
            let before = world.service.requests().len();
            let mut all = vec![cookie.as_str(), "Content-Length: 0"];
            all.extend(&lines);
            let answer = send(&world, &format!("{method} /page"), &all).await;
            let expected = if passes { (200, "") } else { (403, "cross_site") };
            assert_eq!(
                answer.word(),
                (expected.0, expected.1.to_owned()),
                "{method} {lines:?}"
            );
            assert_eq!(world.service.requests().len() - before, usize::from(passes));
        }
    }
    // A bearer token is not attached by a browser, so nothing about the page matters.
    let bearer = bearer(&token_of(OLGA));
    let lines = [
        bearer.as_str(),
        cookie.as_str(),
        "Content-Length: 0",
        "Origin: http://evil.example",
    ];
    assert_eq!(send(&world, "POST /page", &lines).await.status, 200);
    assert_eq!(
        send(&world, "GET /page", &[&cookie, "Sec-Fetch-Site: cross-site"])
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn a_page_of_another_site_opens_no_tunnel() {
    let world = World::with_policy(POLICY).await;
    let cookie = format!("Cookie: {}", session(OLGA));
    for (line, status) in [
        ("Origin: http://a.example", 101),
        ("Sec-Fetch-Site: same-origin", 101),
        ("Origin: http://evil.example", 403),
        ("Origin: null", 403),
        ("X-Nothing: said", 403),
        ("Sec-Fetch-Site: cross-site", 403),
    ] {
        let answer = send(
            &world,
            "GET /tunnel",
            &[
                "Connection: Upgrade",
                "Upgrade: websocket",
                "Sec-WebSocket-Version: 13",
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
                &cookie,
                line,
            ],
        )
        .await;
        assert_eq!(answer.status, status, "{line}: {answer:?}");
    }
    assert_eq!(world.service.requests().len(), 2);
}

/// The lines of an answer that are about this.
fn lines<'a>(answer: &'a Answer, start: &str) -> Vec<&'a str> {
    let lines = answer.head.lines();
    lines.filter(|line| line.starts_with(start)).collect()
}

#[tokio::test]
async fn what_a_session_was_shown_is_kept_by_its_browser_alone() {
    let world = World::with_policy(POLICY).await;
    let cookie = format!("Cookie: {}", session(OLGA));
    let said = [
        "X-Answer: Cache-Control: public, max-age=60, s-maxage=600",
        "X-Answer: CDN-Cache-Control: max-age=600",
        "X-Answer: Surrogate-Control: max-age=600",
        "X-Answer: Vary: accept",
    ];
    let answer = send(&world, "GET /page", &[&[cookie.as_str()], &said[..]].concat()).await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        lines(&answer, "cache-control"),
        ["cache-control: max-age=60, private"]
    );
    assert_eq!(lines(&answer, "vary"), ["vary: accept", "vary: cookie"]);
    assert!(
        !answer.head.contains("cdn-cache-control") && !answer.head.contains("surrogate-control"),
        "{}",
        answer.head
    );
    // Also where the service says nothing, and where the policy says something else.
    let answer = send(&world, "GET /page", &[&cookie]).await;
    assert_eq!(lines(&answer, "cache-control"), ["cache-control: private"]);
    let answer = send(&world, "GET /shared", &[&cookie]).await;
    assert_eq!(lines(&answer, "cache-control"), ["cache-control: private"]);
    assert_eq!(lines(&answer, "vary"), ["vary: origin", "vary: cookie"]);
    // Of a bearer token caches know what to do.
    let bearer = bearer(&token_of(OLGA));
    let answer = send(
        &world,
        "GET /page",
        &[&[bearer.as_str(), &cookie], &said[..]].concat(),
    )
    .await;
    assert_eq!(
        lines(&answer, "cache-control"),
        ["cache-control: public, max-age=60, s-maxage=600"]
    );
    assert_eq!(lines(&answer, "vary"), ["vary: accept"]);
}

#[tokio::test]
async fn a_service_sets_no_session() {
    let world = World::with_policy(POLICY).await;
    let said = [
        "Content-Length: 0",
        "X-Answer: Set-Cookie: theirs=1; Path=/",
        "X-Answer: Set-Cookie: __Host-sentinel=forged; Path=/; Secure",
        "X-Answer: set-cookie: __HOST-SENTINEL-refresh=; Path=/; Secure; Max-Age=0",
    ];
    let answer = send(&world, "POST /public", &said).await;
    assert_eq!(answer.status, 200);
    assert_eq!(lines(&answer, "set-cookie"), ["set-cookie: theirs=1; path=/"]);
}

#[tokio::test]
async fn a_service_opens_no_session_to_other_origins() {
    let world = World::with_policy(POLICY).await;
    let cookie = format!("Cookie: {}", session(OLGA));
    let said = [
        "Origin: https://evil.example",
        "X-Answer: Access-Control-Allow-Origin: https://evil.example",
        "X-Answer: access-control-allow-credentials: true",
    ];
    let answer = send(&world, "GET /page", &[&[cookie.as_str()], &said[..]].concat()).await;
    assert_eq!((answer.status, lines(&answer, "access-control")), (200, vec![]));
    let mut theirs = said.to_vec();
    theirs.push("Content-Length: 0");
    let answer = send(&world, "POST /public", &theirs).await;
    assert_eq!(
        lines(&answer, "access-control").len(),
        2,
        "no cookie counts there"
    );
}
