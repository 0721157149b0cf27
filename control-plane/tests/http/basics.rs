//! What every answer has in common: ids, security headers, problem documents, limits, cross-origin rules, readiness.

use reqwest::Method;
use sentinel_store::on_both_backends;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::common::{As as _, Options, TestApp};

/// Sends the lines of a head as they are; the answer up to the end of the connection.
pub(crate) async fn raw(url: &str, head: &[&str]) -> String {
    let address = url.strip_prefix("http://").expect("an address");
    let mut stream = TcpStream::connect(address).await.expect("connected");
    let head = format!("{}\r\nconnection: close\r\n\r\n", head.join("\r\n"));
    stream.write_all(head.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("answer");
    answer
}

/// `:status 200` (RFC 7541 appendix A).
const STATUS_200: u8 = 0x88;

/// The first field of the answer to a GET over HTTP/2 with nothing but what that needs, in which there is no `Host`.
async fn over_http2(url: &str, path: &str) -> u8 {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";
    const HEADERS: u8 = 1;
    let address = url.strip_prefix("http://").expect("an address");
    let mut stream = TcpStream::connect(address).await.expect("connected");
    // RFC 7541 §6: `:method GET` and `:scheme http` by their numbers, `:path` and `:authority` in letters.
    let mut fields = vec![0x82, 0x86];
    for (name, value) in [(4, path), (1, "a.example")] {
        fields.extend([name, u8::try_from(value.len()).expect("short")]);
        fields.extend(value.as_bytes());
    }
    // END_STREAM and END_HEADERS on stream 1 (RFC 9113 §6.2).
    let length = u8::try_from(fields.len()).expect("short");
    let head = [0, 0, length, HEADERS, 0x05, 0, 0, 0, 1];
    stream
        .write_all(&[PREFACE, &head, &fields].concat())
        .await
        .expect("sent");
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.expect("a frame");
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(length).expect("a length")];
        stream.read_exact(&mut payload).await.expect("its payload");
        if head[3] == HEADERS {
            return payload[0];
        }
    }
}

on_both_backends! {
    async fn errors_are_problem_documents_with_the_request_id(store: TestStore) {
        let app = TestApp::start(store).await;
        for (method, path, status, code) in [
            (Method::GET, "/nowhere", 404, "not_found"),
            (Method::POST, "/health", 405, "method_not_allowed"),
            (Method::GET, "/auth/admin/me", 401, "credential_missing"),
            (Method::POST, "/auth/logout", 401, "credential_missing"),
            (Method::POST, "/auth/token", 422, "validation_failed"),
        ] {
            let response = app.request(method, path).header("x-request-id", "abc-1").send().await.expect("answer");
            assert_eq!(response.status().as_u16(), status, "{path}");
            assert_eq!(response.headers()["content-type"], "application/problem+json", "{path}");
            assert_eq!(response.headers()["x-request-id"], "abc-1");
            assert_eq!(response.headers()["x-content-type-options"], "nosniff");
            let body: Value = response.json().await.expect("json");
            assert_eq!((body["status"].as_u64(), body["code"].as_str()), (Some(status.into()), Some(code)), "{path}");
            assert_eq!(body["request_id"], "abc-1");
            assert!(body["detail"].is_string());
        }
    }

    async fn a_slash_at_the_end_leads_to_the_address_without(store: TestStore) {
        let app = TestApp::start(store).await;
        let response = app.get("/auth/providers/?a=%0D%0Ab").send().await.expect("answer");
        assert_eq!(response.status().as_u16(), 307);
        assert_eq!(response.headers()["location"], "/auth/providers?a=%0D%0Ab");
        for path in ["/", "//evil.example/", "//evil.example//", "/\\evil.example/"] {
            let response = app.get(path).send().await.expect("answer");
            assert_eq!(response.status().as_u16(), 404, "{path}");
        }
    }

    async fn health_answers_get_and_head(store: TestStore) {
        let app = TestApp::start(store).await;
        let response = app.get("/health").send().await.expect("answer");
        assert!(response.headers().get("server").is_none());
        assert_eq!(response.headers()["x-request-id"].len(), 32);
        assert_eq!(response.text().await.expect("text"), r#"{"status":"ok"}"#);
        let response = app.request(Method::HEAD, "/health").send().await.expect("answer");
        assert_eq!(response.status().as_u16(), 200);
    }

    async fn a_request_says_once_which_host_it_is_for(store: TestStore) {
        const GET: &str = "GET /health HTTP/1.1";
        let app = TestApp::start(store).await;
        for head in [
            &[GET, "host: a.example"][..],
            &["GET http://a.example/health HTTP/1.1", "Host: a.example:80"],
            &["GET /health HTTP/1.0"],
        ] {
            let answer = raw(&app.url, head).await;
            assert_eq!(answer.get(8..13), Some(" 200 "), "{head:?}: {answer}");
        }
        for head in [
            &[GET][..],
            &["GET http://a.example/health HTTP/1.1"],
            &[GET, "host: a.example", "host: b.example"],
            &[GET, "host: a.example", "Host: a.example"],
            &[GET, "host:"],
            &[GET, "host: a.example/b"],
            &["GET /auth/callback/demo HTTP/1.1"],
            &["OPTIONS /auth/token HTTP/1.1", "origin: http://a.example", "access-control-request-method: POST"],
        ] {
            let answer = raw(&app.url, head).await;
            assert!(answer.starts_with("HTTP/1.1 400 "), "{head:?}: {answer}");
            let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
            assert!(head.contains("content-type: application/problem+json"), "{head}");
            assert!(head.contains("x-content-type-options: nosniff"), "{head}");
            let body: Value = serde_json::from_str(body).expect("json");
            assert_eq!((body["code"].as_str(), body["detail"].as_str()), (Some("host_invalid"), Some("Invalid host header")));
        }
        // Over HTTP/2 `:authority` says it. What is beside the API goes on as it was.
        assert_eq!(over_http2(&app.url, "/health").await, STATUS_200);
        let answer = raw(&app.operations, &["GET /livez HTTP/1.1"]).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }

    async fn keys_are_published_with_the_current_one_first(store: TestStore) {
        let app = TestApp::start(store).await;
        let response = app.get("/.well-known/jwks.json").send().await.expect("answer");
        assert_eq!(response.headers()["cache-control"], "public, max-age=300");
        let before: Value = response.json().await.expect("json");
        let (kid, _) = app.app.keys.rotate().await.expect("rotated");
        app.settle().await;
        let after: Value = app.get("/.well-known/jwks.json").send().await.expect("answer").json().await.expect("json");
        assert_eq!(after["keys"][0]["kid"], kid);
        assert_eq!(after["keys"][1], before["keys"][0]);
        assert_eq!(after["keys"].as_array().expect("keys").len(), 2);
        assert!(after["keys"][0].get("d").is_none());
    }

    async fn bodies_have_a_limit(store: TestStore) {
        let app = TestApp::start_with(store, Options { max_body: 100, ..Options::default() }).await;
        let post = |body: String| app.post("/auth/refresh").header("content-type", "application/json").body(body);
        let announced = post("x".repeat(101)).send().await.expect("answer");
        assert_eq!(announced.status().as_u16(), 413);
        let body: Value = announced.json().await.expect("json");
        assert_eq!(body["detail"], "Request body too large");
        let parts = (0..50).map(|_| Ok::<_, std::io::Error>("x".repeat(10)));
        let streamed = reqwest::Body::wrap_stream(futures_util::stream::iter(parts));
        let streamed = app.post("/auth/refresh").header("content-type", "application/json").body(streamed);
        assert_eq!(streamed.send().await.expect("answer").status().as_u16(), 413);
        assert_eq!(post("{}".into()).send().await.expect("answer").status().as_u16(), 422);
    }

    async fn pages_of_client_apps_may_call_and_others_may_not(store: TestStore) {
        let app = TestApp::start(store).await;
        app.client_app("spa", &["https://spa.example.com/callback"]).await;
        app.app.origins.forget().await;
        let preflight = |origin: &'static str| {
            app.request(Method::OPTIONS, "/auth/token")
                .header("origin", origin)
                .header("access-control-request-method", "POST")
        };
        let good = preflight("https://spa.example.com").send().await.expect("answer");
        assert_eq!(good.status().as_u16(), 200);
        assert_eq!(good.headers()["access-control-allow-origin"], "https://spa.example.com");
        let bad = preflight("https://evil.example").send().await.expect("answer");
        assert_eq!(bad.status().as_u16(), 400);
        assert!(bad.headers().get("access-control-allow-origin").is_none());
        assert_eq!(bad.headers()["content-type"], "text/plain; charset=utf-8");
        assert_eq!(bad.text().await.expect("text"), "Disallowed CORS origin");
        let simple = app.get("/health").header("origin", "https://evil.example").send().await.expect("answer");
        assert!(simple.headers().get("access-control-allow-origin").is_none());
        let simple = app.get("/health").header("origin", "https://spa.example.com").send().await.expect("answer");
        assert_eq!(simple.headers()["access-control-allow-origin"], "https://spa.example.com");
    }

    async fn the_admin_panels_origin_is_for_the_panel_and_a_services_for_the_rest(store: TestStore) {
        let app = TestApp::start(store).await;
        app.client_app("spa", &["https://spa.example.com/callback"]).await;
        let (_, cookie) = app.admin("root@example.com").await;
        let docs = json!({ "name": "Docs", "service_name": "docs", "allowed_origins": ["https://docs.example.com"] });
        let created = app.post("/admin/service-apps").admin(&cookie).json(&docs).send().await.expect("answer");
        assert!(created.status().is_success(), "{}", created.status());
        for (path, origin, allowed) in [
            ("/admin/users", "http://admin.test", true),
            ("/auth/admin/me", "http://admin.test", true),
            ("/users/me", "http://admin.test", false),
            ("/admin/users", "https://spa.example.com", false),
            ("/auth/admin/logout", "https://docs.example.com", false),
            ("/users/me", "https://spa.example.com", true),
            ("/users/me", "https://docs.example.com", true),
            ("/permissions/check", "https://docs.example.com", false),
            ("/permissions/check", "http://admin.test", false),
            ("/authz/check", "https://docs.example.com", false),
            ("/authz/tuples/watch", "https://spa.example.com", false),
            ("/authz/models", "http://admin.test", false),
        ] {
            let preflight = app
                .request(Method::OPTIONS, path)
                .header("origin", origin)
                .header("access-control-request-method", "POST");
            let answer = preflight.send().await.expect("answer");
            assert_eq!(answer.status().as_u16(), if allowed { 200 } else { 400 }, "{path} {origin}");
            let simple = app.get(path).header("origin", origin).send().await.expect("answer");
            assert_eq!(simple.headers().contains_key("access-control-allow-origin"), allowed, "{path} {origin}");
            // Where the replaced service said it to everybody it is still said.
            let is_said = allowed || !path.starts_with("/authz/");
            let said = simple.headers().get("access-control-allow-credentials");
            assert_eq!(said.is_some_and(|value| value == "true"), is_said, "{path} {origin}");
        }
    }

    async fn a_body_that_is_read_as_it_came_has_the_same_limit(store: TestStore) {
        let app = TestApp::start_with(store, Options { max_body: 100, ..Options::default() }).await;
        let (_, cookie) = app.admin("root@example.com").await;
        let (service, _) = app.service("docs").await;
        let parts = (0..50).map(|_| Ok::<_, std::io::Error>("x".repeat(10)));
        let body = reqwest::Body::wrap_stream(futures_util::stream::iter(parts));
        let rotated = app.post(&format!("/admin/service-apps/{service}/rotate-key")).admin(&cookie).body(body);
        let answer = rotated.send().await.expect("answer");
        assert_eq!(answer.status().as_u16(), 413);
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
    }

    async fn methods_that_a_client_makes_up_are_no_labels(store: TestStore) {
        let app = TestApp::start(store).await;
        for method in ["AAAA", "BBBB"] {
            let method = Method::from_bytes(method.as_bytes()).expect("a token");
            app.request(method, "/health").send().await.expect("answer");
        }
        let metrics = app.http.get(format!("{}/metrics", app.operations)).send().await.expect("answer");
        let text = metrics.text().await.expect("text");
        assert!(!text.contains("AAAA") && !text.contains("BBBB"), "{text}");
        assert!(text.contains(r#"method="other""#), "{text}");
    }

    async fn who_asks_too_often_is_told_when_to_come_back(store: TestStore) {
        let app = TestApp::start_with(store, Options { logins_per_minute: 2, ..Options::default() }).await;
        let refresh = || app.post("/auth/refresh").json(&serde_json::json!({ "refresh_token": "x" })).send();
        for _ in 0..2 {
            assert_eq!(refresh().await.expect("answer").status().as_u16(), 401);
        }
        let limited = refresh().await.expect("answer");
        assert_eq!(limited.status().as_u16(), 429);
        assert_eq!(limited.headers()["retry-after"], "60");
        let other = app.post("/auth/token").json(&serde_json::json!({})).send().await.expect("answer");
        assert_eq!(other.status().as_u16(), 422, "another endpoint is counted by itself");
        assert_eq!(app.get("/auth/providers").send().await.expect("answer").status().as_u16(), 200);
        app.clock.advance(std::time::Duration::from_mins(1));
        assert_eq!(refresh().await.expect("answer").status().as_u16(), 401);
    }

    async fn readiness_says_what_works(store: TestStore) {
        let app = TestApp::start(store).await;
        let response = app.http.get(format!("{}/readyz", app.operations)).send().await.expect("answer");
        assert_eq!(response.status().as_u16(), 200);
        let body: Value = response.json().await.expect("json");
        for part in ["database", "replica", "short_lived"] {
            assert_eq!(body[part]["ok"], true, "{body}");
        }
        let metrics = app.http.get(format!("{}/metrics", app.operations)).send().await.expect("answer");
        assert!(metrics.text().await.expect("text").contains("sentinel_replica_revision"));
        assert_eq!(app.get("/metrics").send().await.expect("answer").status().as_u16(), 404, "not for the public");
    }
}
