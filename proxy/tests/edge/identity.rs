//! What the service learns about the caller is what the edge found out, and nothing that the caller wrote.

use sentinel_core::WorkspaceRole;

use crate::harness::{World, bearer, get};
use crate::testing::{EDDA, OLGA, facts, membership, service_key, token, token_of};

/// The request as the service got it: header names in lower case, sorted, without what differs from run to run.
fn seen(request: &str) -> String {
    let mut lines: Vec<String> = request
        .trim_end()
        .lines()
        .map(|line| match line.split_once(": ") {
            Some((name, value)) => format!("{}: {value}", name.to_ascii_lowercase()),
            None => line.to_owned(),
        })
        .map(|line| {
            if line.starts_with("x-request-id: ") {
                "x-request-id: …".to_owned()
            } else {
                line
            }
        })
        .collect();
    lines[1..].sort();
    lines.join("\n")
}

#[tokio::test]
async fn a_signed_in_user_is_named_to_the_service() {
    let world = World::start().await;
    let answer = world
        .get("/signed-in", &["Accept: */*", "Authorization: Bearer t"])
        .await;
    assert_eq!(answer.word(), (401, "token_invalid".to_owned()));
    let answer = world
        .get("/signed-in", &["Accept: */*", &bearer(&token_of(OLGA))])
        .await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "ok"));
    let request = seen(&world.service.only_request());
    let request = request.replace(&token_of(OLGA), "<token>");
    let without_token: Vec<&str> = request
        .lines()
        .filter(|line| !line.starts_with("authorization: "))
        .collect();
    assert!(request.contains("authorization: Bearer "));
    insta::assert_snapshot!(without_token.join("\n"), @r"
    GET /signed-in HTTP/1.1
    accept: */*
    host: a.example
    x-forwarded-for: 127.0.0.1
    x-forwarded-host: a.example
    x-forwarded-proto: http
    x-request-id: …
    x-sentinel-email: olga%2Bx%40example.com
    x-sentinel-name: %C3%96lga%2C%20the%201st
    x-sentinel-user-id: 00000000-0000-0000-0000-00000000000b
    x-sentinel-workspace-id: 00000000-0000-0000-0000-000000000001
    x-sentinel-workspace-role: owner
    x-sentinel-workspace-slug: acme
    ");
}

#[tokio::test]
async fn forged_statements_never_arrive() {
    let world = World::start().await;
    let answer = world
        .get(
            "/public",
            &[
                "X-Sentinel-User-Id: 00000000-0000-0000-0000-00000000000b",
                "x-sentinel-user-id: twice",
                "X-SENTINEL-WORKSPACE-ROLE: owner",
                "X-Sentinel-Service: indexer",
                "X-Sentinel-Whatever: forged",
                "X-Forwarded-For: 203.0.113.9",
                "X-Forwarded-User: forged",
                "Forwarded: for=203.0.113.9",
                "X-Real-IP: 203.0.113.9",
                "Remote-User: forged",
                "X-Request-ID: forged",
                "Proxy: http://203.0.113.9",
                "X-User: forged",
                "X-User-Id: forged",
                "X-Auth-User: forged",
                "X-Forwarded-Preferred-Username: forged",
                "X-Amzn-Oidc-Identity: forged",
                "X-Goog-Authenticated-User-Email: forged",
                "X-Authentik-Username: forged",
                "Tailscale-User-Login: forged",
                "SSL-Client-Verify: SUCCESS",
                "X-SSL-Client-S-DN: CN=forged",
                "CF-Connecting-IP: 203.0.113.9",
                "Client-IP: 203.0.113.9",
                "True-Client-IP: 203.0.113.9",
                "X-Original-Host: b.example",
                "X-Host: b.example",
            ],
        )
        .await;
    assert_eq!(answer.status, 200);
    insta::assert_snapshot!(seen(&world.service.only_request()), @r"
    GET /public HTTP/1.1
    host: a.example
    x-forwarded-for: 127.0.0.1
    x-forwarded-host: a.example
    x-forwarded-proto: http
    x-request-id: …
    ");
}

/// P3: a service may fold `_` and `.` into `-`.
#[tokio::test]
async fn spellings_that_fold_into_an_identity_are_refused() {
    let world = World::start().await;
    for line in [
        "X_Sentinel_User_Id: forged",
        "X.Sentinel.User.Id: forged",
        "X-Sentinel_User-Id: forged",
        "x_forwarded_for: 203.0.113.9",
        "X_Service_Key: sk_x",
        "Remote_User: forged",
        "X-Original-URL: /admin",
        "X-Rewrite-URL: /admin",
        "X-HTTP-Method-Override: DELETE",
    ] {
        let answer = world.get("/public", &[line]).await;
        assert_eq!(answer.word(), (400, "header_invalid".to_owned()), "{line}");
    }
    assert!(world.service.requests().is_empty());
}

/// P4: Pingora removes what `Connection` nominates. What the edge writes is written after that, and a nomination of anything
/// but the connection itself is refused before.
#[tokio::test]
async fn a_client_cannot_have_the_identity_removed_on_the_way() {
    let world = World::start().await;
    let token = bearer(&token_of(OLGA));
    for line in [
        "Connection: x-sentinel-user-id",
        "Connection: close, X-Sentinel-Workspace-Role",
        "Connection: authorization",
        "Connection: x-request-id",
    ] {
        let answer = world.get("/signed-in", &[&token, line]).await;
        assert_eq!(answer.word(), (400, "header_invalid".to_owned()), "{line}");
    }
    assert!(world.service.requests().is_empty());
    let answer = world
        .get(
            "/signed-in",
            &[&token, "Connection: keep-alive, TE", "TE: trailers"],
        )
        .await;
    assert_eq!(answer.status, 200);
    let request = world.service.only_request().to_ascii_lowercase();
    assert!(
        request.contains("x-sentinel-user-id: ") && !request.contains("\r\nte: "),
        "{request}"
    );
}

#[tokio::test]
async fn the_role_is_the_live_one_and_not_the_tokens() {
    let world = World::start().await;
    let claims_owner = token(EDDA, |claims| claims["wrole"] = "owner".into());
    assert_eq!(
        world.get("/admin", &[&bearer(&claims_owner)]).await.word(),
        (403, "role_denied".to_owned())
    );
    assert_eq!(world.get("/editors", &[&bearer(&claims_owner)]).await.status, 200);
    assert!(
        world
            .service
            .only_request()
            .contains("x-sentinel-workspace-role: editor\r\n")
    );
}

#[tokio::test]
async fn a_service_is_named_and_its_key_stays_here() {
    let world = World::start().await;
    let key = format!("X-Service-Key: {}", service_key().expose());
    assert_eq!(world.get("/indexer", &[&key]).await.status, 200);
    let request = world.service.only_request().to_ascii_lowercase();
    assert!(request.contains("x-sentinel-service: indexer\r\n"), "{request}");
    assert!(
        !request.contains("sk_")
            && !request.contains("x-service-key")
            && !request.contains("x-sentinel-user")
    );
}

#[tokio::test]
async fn the_answer_has_the_number_that_the_service_saw() {
    let world = World::start().await;
    let answer = world.send(get("/public", &[])).await;
    let number = answer.header("x-request-id").expect("a number");
    assert!(
        world
            .service
            .only_request()
            .contains(&format!("x-request-id: {number}\r\n"))
    );
    assert_eq!(
        answer.header("server"),
        Some("recorder"),
        "the service's own headers stay"
    );
}

#[tokio::test]
async fn who_is_no_member_any_more_is_no_user_on_public_pages_either() {
    let mut without = facts();
    without.retain(|fact| *fact != membership(EDDA, WorkspaceRole::Editor));
    let world = World::with(without, sentinel_proxy::doorway::Limits::default()).await;
    let answer = world.get("/public", &[&bearer(&token_of(EDDA))]).await;
    assert_eq!(answer.word(), (403, "role_denied".to_owned()));
    assert!(world.service.requests().is_empty());
}
