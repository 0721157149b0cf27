//! Who may pass and who may not, and in which words he learns it.

use std::time::Duration;

use sentinel_core::{Change, Fact, WorkspaceRole};

use crate::harness::{World, bearer};
use crate::testing::{
    DOCUMENT, EDDA, FOREIGN, NEMO, NOW, OLGA, OTHER, SESSION, VERA, at, id, membership, revision,
    service_key, token, token_of,
};

#[tokio::test]
async fn each_caller_gets_his_word() {
    let world = World::start().await;
    let of = |user| bearer(&token_of(user));
    let key = format!("X-Service-Key: {}", service_key().expose());
    let wrong_key = format!("X-Service-Key: sk_{}", "B".repeat(42) + "A");
    let documents = format!("/documents/{DOCUMENT}");
    let foreign = format!("/documents/{FOREIGN}");
    let in_other = bearer(&token(OLGA, |claims| {
        claims["wid"] = uuid::Uuid::from_u128(OTHER).to_string().into();
    }));
    let cases: &[(&str, &[&str], u16, &str)] = &[
        ("/nowhere", &[], 404, "no_route"),
        ("/", &[], 404, "no_route"),
        ("/public/", &[], 404, "no_route"),
        ("/public", &[], 200, ""),
        ("/public", &["Authorization: Basic eDp5"], 200, ""),
        (
            "/public",
            &["Authorization: Bearer nonsense"],
            401,
            "token_invalid",
        ),
        ("/public", &["Authorization: Bearer"], 401, "token_invalid"),
        (
            "/public",
            &["X-Service-Key: nonsense"],
            401,
            "service_key_invalid",
        ),
        ("/public", &[&of(NEMO)], 403, "role_denied"),
        ("/signed-in", &[], 401, "credential_missing"),
        (
            "/signed-in",
            &["Authorization: Basic eDp5"],
            401,
            "credential_missing",
        ),
        ("/signed-in", &[&key], 401, "credential_not_accepted"),
        ("/signed-in", &[&of(VERA)], 200, ""),
        ("/editors", &[&of(VERA)], 403, "role_denied"),
        ("/editors", &[&of(EDDA)], 200, ""),
        (&documents, &[], 401, "credential_missing"),
        (&documents, &[&of(OLGA)], 200, ""),
        (&documents, &[&of(VERA)], 200, ""),
        (&documents, &[&of(EDDA)], 403, "permission_denied"),
        (&documents, &[&of(NEMO)], 403, "role_denied"),
        (&documents, &[&in_other], 403, "permission_denied"),
        (&foreign, &[&of(OLGA)], 403, "permission_denied"),
        (&foreign, &[&in_other], 200, ""),
        ("/documents/unknown", &[&of(OLGA)], 403, "permission_denied"),
        ("/indexer", &[&key], 200, ""),
        ("/indexer", &[&wrong_key], 401, "service_key_invalid"),
        ("/indexer", &[], 401, "credential_missing"),
        ("/indexer", &[&of(OLGA)], 401, "credential_not_accepted"),
        ("/both", &[&of(OLGA)], 401, "credential_missing"),
        ("/both", &[&key], 401, "credential_missing"),
        ("/both", &[&of(OLGA), &key], 200, ""),
        ("/both", &[&of(OLGA), &wrong_key], 401, "service_key_invalid"),
    ];
    for (path, lines, status, code) in cases {
        let before = world.service.requests().len();
        let answer = world.get(path, lines).await;
        assert_eq!(answer.word(), (*status, (*code).to_owned()), "{path} {lines:?}");
        let forwarded = world.service.requests().len() - before;
        assert_eq!(forwarded, usize::from(*status == 200), "{path} {lines:?}");
    }
}

#[tokio::test]
async fn a_denial_is_a_problem_document_with_a_challenge() {
    let world = World::start().await;
    let missing = world.get("/signed-in", &[]).await;
    assert_eq!(missing.header("content-type"), Some("application/problem+json"));
    assert_eq!(
        missing.header("www-authenticate"),
        Some(r#"bearer realm="sentinel""#)
    );
    assert_eq!(missing.header("cache-control"), Some("no-store"));
    assert_eq!(missing.header("server"), None);
    let invalid = world.get("/signed-in", &["Authorization: Bearer x"]).await;
    let challenge = invalid.header("www-authenticate");
    assert_eq!(
        challenge,
        Some(r#"bearer realm="sentinel", error="invalid_token""#)
    );
    let number = missing.header("x-request-id").expect("a number");
    let document: serde_json::Value = serde_json::from_str(&missing.body).expect("JSON");
    assert_eq!(document["request_id"], number);
    assert_eq!(document["status"], 401);
}

#[tokio::test]
async fn an_action_is_granted_by_a_role() {
    let world = World::start().await;
    let post = |user| {
        let token = bearer(&token_of(user));
        format!("POST /reports HTTP/1.1\r\nHost: a.example\r\n{token}\r\nContent-Length: 2\r\n\r\n{{}}")
    };
    assert_eq!(world.send(post(EDDA)).await.status, 200);
    assert_eq!(
        world.send(post(OLGA)).await.word(),
        (403, "action_denied".to_owned())
    );
    assert!(world.service.only_request().ends_with("\r\n\r\n{}"));
}

#[tokio::test]
async fn what_the_control_plane_takes_away_is_gone_at_the_next_request() {
    let world = World::start().await;
    let (vera, path) = (bearer(&token_of(VERA)), format!("/documents/{DOCUMENT}"));
    assert_eq!(world.get(&path, &[&vera]).await.status, 200);

    let left = Change::Delete(membership(VERA, WorkspaceRole::Viewer));
    world.replica.advance(revision(11), vec![left]).expect("applies");
    assert_eq!(
        world.get(&path, &[&vera]).await.word(),
        (403, "role_denied".to_owned())
    );

    let back = Change::Put(membership(VERA, WorkspaceRole::Viewer));
    world.replica.advance(revision(12), vec![back]).expect("applies");
    assert_eq!(world.get(&path, &[&vera]).await.status, 200);

    let ended = Change::Put(Fact::RevokedSession {
        session: id(SESSION),
        until: at(NOW + 1000),
    });
    world.replica.advance(revision(13), vec![ended]).expect("applies");
    for path in [path.as_str(), "/public"] {
        assert_eq!(
            world.get(path, &[&vera]).await.word(),
            (401, "token_revoked".to_owned())
        );
    }
}

#[tokio::test]
async fn a_token_ends_at_its_time() {
    let world = World::start().await;
    let olga = bearer(&token_of(OLGA));
    world.clock.advance(Duration::from_secs(889));
    assert_eq!(world.get("/signed-in", &[&olga]).await.status, 200);
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(
        world.get("/signed-in", &[&olga]).await.word(),
        (401, "token_expired".to_owned())
    );
}

#[tokio::test]
async fn a_token_of_somebody_else_is_no_token() {
    let world = World::start().await;
    for change in [
        ("iss", "http://evil.example"),
        ("aud", "sentinel:admin"),
        ("type", "refresh"),
    ] {
        let token = token(OLGA, |claims| claims[change.0] = change.1.into());
        let answer = world.get("/signed-in", &[&bearer(&token)]).await;
        assert_eq!(answer.word(), (401, "token_invalid".to_owned()), "{change:?}");
    }
}
