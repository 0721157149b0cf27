//! AuthZ mode at the edge: an ID token of an identity provider, with an authz token of the control plane.

use std::path::Path;

use serde_json::json;

use crate::harness::{World, bearer};
use crate::issuer_keys::{IssuerKey, authz};
use crate::testing::{EDDA, NEMO, OLGA, token, token_of};

const GOOGLE: &str = "https://accounts.google.com";

async fn world(directory: &Path, key: &IssuerKey) -> World {
    let file = directory.join("keys.json");
    std::fs::write(&file, key.set()).expect("written");
    let file = file.display();
    World::with_services(|service| {
        format!(
            r#"issuers: {{ google: {{ issuer: '{GOOGLE}', audiences: [web], tokens: identity, keys_file: '{file}' }} }}
upstreams: {{ docs: {{ url: 'http://{service}', service: docs }}, mail: {{ url: 'http://{service}', service: mail }} }}
routes:
  - {{ match: "GET a.example/docs", to: docs, require: {{ role: editor }}, tokens: [authz] }}
  - {{ match: "GET a.example/mail", to: mail, require: {{ signed_in: true }}, tokens: [authz] }}
  - {{ match: "GET a.example/own", to: docs, require: {{ signed_in: true }} }}
  - {{ match: "GET a.example/public", to: docs, public: true }}
"#
        )
    })
    .await
}

fn authz_line(user: u128) -> String {
    format!("X-Authz-Token: {}", token(user, authz))
}

#[tokio::test]
async fn two_tokens_are_a_user_and_travel_on() {
    let directory = tempfile::tempdir().expect("a directory");
    let key = IssuerKey::new("g1");
    let world = world(directory.path(), &key).await;
    let id_token = key.identity(GOOGLE, |_| ());
    for _ in 0..2 {
        let answer = world.get("/docs", &[&bearer(&id_token), &authz_line(OLGA)]).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    let seen = world.service.requests().pop().expect("a request");
    let lower = seen.to_ascii_lowercase();
    for line in [
        "x-sentinel-user-id: 00000000-0000-0000-0000-00000000000b",
        "x-sentinel-email: olga%40idp.example",
        "x-sentinel-name: olga%20i.",
        "x-sentinel-workspace-role: owner",
    ] {
        assert!(
            lower.contains(&format!("\r\n{line}\r\n")),
            "{line} is not in {seen}"
        );
    }
    assert!(
        seen.contains(&id_token) && seen.contains(&token(OLGA, authz)),
        "both travel on"
    );
    assert!(!lower.contains("x-sentinel-issuer"), "{seen}");
    // The decision is the replica's, and not the tokens'.
    for (user, code) in [(EDDA, "permitted"), (NEMO, "role_denied")] {
        let answer = world.get("/docs", &[&bearer(&id_token), &authz_line(user)]).await;
        assert_eq!(answer.status == 200, code == "permitted", "{answer:?}");
    }
}

#[tokio::test]
async fn one_alone_or_two_strangers_are_nobody() {
    let directory = tempfile::tempdir().expect("a directory");
    let key = IssuerKey::new("g1");
    let world = world(directory.path(), &key).await;
    let id_line = bearer(&key.identity(GOOGLE, |_| ()));
    let stranger = bearer(&key.identity(GOOGLE, |claims| claims["sub"] = json!("g-2")));
    let forged = bearer(&IssuerKey::new("g1").identity(GOOGLE, |_| ()));
    let ours = bearer(&token_of(OLGA));
    let authz_line = authz_line(OLGA);
    let odd = authz_line.replace("X-Authz-Token", "X_Authz_Token");
    let binding = (401, "token_binding_invalid");
    for (path, lines, (status, code)) in [
        ("/docs", vec![&id_line], binding),
        ("/docs", vec![&authz_line], binding),
        ("/docs", vec![&stranger, &authz_line], binding),
        ("/docs", vec![&forged, &authz_line], (401, "token_invalid")),
        ("/docs", vec![&ours], (401, "credential_not_accepted")),
        ("/docs", vec![], (401, "credential_missing")),
        (
            "/mail",
            vec![&id_line, &authz_line],
            (403, "token_service_denied"),
        ),
        (
            "/own",
            vec![&id_line, &authz_line],
            (401, "credential_not_accepted"),
        ),
        ("/own", vec![&ours, &authz_line], (401, "credential_not_accepted")),
        ("/own", vec![&id_line], (401, "token_invalid")),
        ("/public", vec![&authz_line], (401, "credential_not_accepted")),
        (
            "/docs",
            vec![&id_line, &authz_line, &authz_line],
            (400, "credential_duplicated"),
        ),
        ("/docs", vec![&id_line, &odd], (400, "header_invalid")),
        ("/public", vec![&odd], (400, "header_invalid")),
    ] {
        let lines: Vec<&str> = lines.into_iter().map(String::as_str).collect();
        let answer = world.get(path, &lines).await;
        assert_eq!(answer.word(), (status, code.to_owned()), "{path} {lines:?}");
    }
    assert_eq!(world.service.requests(), [] as [String; 0]);
}
