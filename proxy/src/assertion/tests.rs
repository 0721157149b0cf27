use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use http::{HeaderMap, Version};
use sentinel_config::{Environment, parse_edge};
use sentinel_core::principal::{ExternalUser, Service, User};
use sentinel_core::{Credential, Principal, SystemRandom, WorkspaceRole};
use sentinel_token::sha256;
use serde_json::Value;

use super::*;
use crate::decide::decide;
use crate::request::{CanonicalRequest, HeadLimits, Parsed};
use crate::routes::Table;
use crate::testing::{ACME, ISSUER, NOW, OLGA, SESSION, TOKEN, at, facts, id, revision, state};

fn permit(principal: Principal) -> Permit {
    let mut fields = HeaderMap::new();
    fields.insert(HOST, HeaderValue::from_static("a.example"));
    let parsed = Parsed {
        version: Version::HTTP_11,
        method: "GET",
        target: b"/a/1",
        authority: None,
        fields: &fields,
    };
    let request = CanonicalRequest::parse(parsed, HeadLimits::default()).expect("canonical");
    let text = "control_plane: { url: http://127.0.0.1:9003, edge_key: some-key }
upstreams: { docs: { url: http://127.0.0.1:9000, assertion: true } }
routes: [{ match: 'GET a.example/a/{id}', to: docs, public: true }]";
    let config = parse_edge(text, Path::new("edge.yaml"), &Environment::new()).expect("valid");
    let table = Table::compile(&config).expect("no ties");
    let route = table.find(&request, &http::HeaderMap::new()).expect("a route");
    decide(
        route,
        &request.target,
        &principal.into(),
        state(facts()).graph(),
        at(NOW),
    )
    .expect("public")
}

fn user() -> Arc<User> {
    Arc::new(User {
        id: id(OLGA),
        email: Some("olga+x@example.com".into()),
        name: Some("Ölga \"the 1st\"\r\nX-Evil: 1".into()),
        workspace: id(ACME),
        workspace_slug: "acme".parse().expect("slug"),
        role_at_mint: WorkspaceRole::Viewer,
        minted_at: None,
        credential: Credential::AccessToken {
            token: id(TOKEN),
            session: id(SESSION),
            expires_at: at(NOW + 1),
        },
    })
}

fn service() -> Arc<Service> {
    Arc::new(Service {
        app: id(41),
        name: "indexer".parse().expect("name"),
        expires_at: None,
    })
}

fn assertions() -> Assertions {
    Assertions::new(SigningKey::make(&SystemRandom).expect("a key"), ISSUER)
}

/// Header and claims of a token whose signature is good.
fn verified(token: &str, key: AssertionKey) -> (Value, Value) {
    let (message, signature) = token.rsplit_once('.').expect("a signature");
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).expect("base64url");
    UnparsedPublicKey::new(&ED25519, key.as_bytes())
        .verify(message.as_bytes(), &decode(signature))
        .expect("a good signature");
    let (header, claims) = message.split_once('.').expect("two parts");
    let json = |text: &str| serde_json::from_slice(&decode(text)).expect("JSON");
    (json(header), json(claims))
}

fn claims_for(principal: Principal, target: &str) -> Value {
    let assertions = assertions();
    let permit = permit(principal);
    let mut upstream = RequestHeader::build("POST", target.as_bytes(), None).expect("a header");
    upstream.insert_header(HOST, "a.example:8443").expect("a header");
    upstream
        .append_header("x-sentinel-assertion", "forged")
        .expect("a header");
    let about = About {
        permit: &permit,
        id: &RequestId::fixed("r1"),
        revision: revision(10),
        now: at(NOW),
    };
    assertions.write(about, &mut upstream).expect("written");
    let all: Vec<&HeaderValue> = upstream.headers.get_all("x-sentinel-assertion").iter().collect();
    assert_eq!(all.len(), 1, "what was there is replaced");
    let (header, claims) = verified(all[0].to_str().expect("ASCII"), assertions.public_key());
    assert_eq!(
        header,
        serde_json::json!({ "alg": "EdDSA", "typ": "sentinel-assertion+jwt", "kid": assertions.public_key().kid() })
    );
    claims
}

#[test]
fn a_user_who_calls_through_a_service_is_told_in_full() {
    let principal = Principal::verified(Some(user()), Some(service()));
    insta::assert_json_snapshot!(claims_for(principal, "/sent/1?b=c&d=%20"), @r#"
    {
      "aud": "docs",
      "email": "olga+x@example.com",
      "exp": 1763797030,
      "host": "a.example:8443",
      "htm": "POST",
      "iat": 1763797000,
      "iss": "http://127.0.0.1:9003",
      "jti": "r1",
      "name": "Ölga \"the 1st\"\r\nX-Evil: 1",
      "path": "/sent/1",
      "query": "b=c&d=%20",
      "rev": "1763000000.10",
      "route": "GET a.example/a/{id}",
      "sub": "user:00000000-0000-0000-0000-00000000000b",
      "svc": "indexer",
      "wid": "00000000-0000-0000-0000-000000000001",
      "wrole": "owner",
      "wslug": "acme"
    }
    "#);
}

#[test]
fn nobody_is_told_as_nobody() {
    insta::assert_json_snapshot!(claims_for(Principal::default(), "/sent"), @r#"
    {
      "aud": "docs",
      "exp": 1763797030,
      "host": "a.example:8443",
      "htm": "POST",
      "iat": 1763797000,
      "iss": "http://127.0.0.1:9003",
      "jti": "r1",
      "path": "/sent",
      "rev": "1763000000.10",
      "route": "GET a.example/a/{id}",
      "sub": "anonymous"
    }
    "#);
}

#[test]
fn services_and_users_of_other_issuers_have_subjects_of_their_own() {
    let alone = claims_for(Principal::verified(None, Some(service())), "/");
    assert_eq!(
        (&alone["sub"], &alone["svc"]),
        (&"service:indexer".into(), &"indexer".into())
    );
    let external = ExternalUser {
        issuer: "partner".into(),
        subject: "user:00000000-0000-0000-0000-00000000000b".into(),
        expires_at: at(NOW + 1),
    };
    let external = claims_for(Principal::external(Arc::new(external), None), "/");
    assert_eq!(
        external["sub"],
        "external:partner|user:00000000-0000-0000-0000-00000000000b"
    );
    assert_eq!(external.get("wid"), None);
}

#[test]
fn an_empty_query_is_not_no_query() {
    assert_eq!(claims_for(Principal::default(), "/sent?")["query"], "");
    assert_eq!(claims_for(Principal::default(), "/sent").get("query"), None);
}

#[test]
fn what_is_long_is_given_by_its_hash() {
    let hash = |text: &str| Value::from(URL_SAFE_NO_PAD.encode(sha256(text.as_bytes())));
    let (path, query) = (format!("/{}", "a".repeat(1024)), "q".repeat(1025));
    let claims = claims_for(Principal::default(), &format!("{path}?{query}"));
    assert_eq!(
        (&claims["path_sha256"], &claims["query_sha256"]),
        (&hash(&path), &hash(&query))
    );
    assert_eq!((claims.get("path"), claims.get("query")), (None, None));
    let claims = claims_for(
        Principal::default(),
        &format!("{}?{}", &path[1..].replacen('a', "/", 1), &query[1..]),
    );
    assert_eq!(claims["path"].as_str().map(str::len), Some(1024));
    assert_eq!(claims["query"].as_str().map(str::len), Some(1024));
}

#[test]
fn an_edge_has_a_key_only_where_a_service_wants_assertions() {
    let dir = tempfile::tempdir().expect("a directory");
    let of = |assertion: bool| {
        let text = format!(
            "control_plane: {{ url: http://127.0.0.1:9003, edge_key: some-key }}
state_dir: {}
upstreams: {{ docs: {{ url: http://127.0.0.1:9000, assertion: {assertion} }} }}
routes: [{{ match: GET a.example/a, to: docs, public: true }}]",
            dir.path().display()
        );
        let config = parse_edge(&text, Path::new("edge.yaml"), &Environment::new()).expect("valid");
        let assertions = Assertions::of(&config, &SystemRandom).expect("a key or none");
        assertions.map(|assertions| assertions.public_key())
    };
    assert_eq!(of(false), None);
    assert_eq!(std::fs::read_dir(dir.path()).expect("entries").count(), 0);
    let key = of(true);
    assert!(key.is_some() && of(true) == key, "the same after a restart");
}
