//! The signed statement about a request holds for the request that the service really got, and for no other.

use std::fs;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use sentinel_core::WorkspaceRole;
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{Client, World, bearer, get};
use crate::testing::{ISSUER, NOW, OLGA, VERA, service_key, token_of};

/// Two services that want assertions and one that does not, all of them the recorder.
async fn world() -> (World, TempDir) {
    let state = TempDir::new().expect("a directory");
    let dir = state.path().display().to_string();
    let world = World::with_services(|service| {
        format!(
            r#"state_dir: {dir}
upstreams:
  docs: {{ url: 'http://{service}', assertion: true }}
  mail: {{ url: 'http://{service}', assertion: true }}
  plain: {{ url: 'http://{service}' }}
routes:
  - {{ match: "GET a.example/public", to: docs, public: true }}
  - {{ match: "POST a.example/public", to: docs, public: true }}
  - {{ match: "GET a.example/public/{{name}}", to: docs, public: true }}
  - {{ match: "GET a.example/mail", to: mail, public: true }}
  - {{ match: "GET a.example/plain", to: plain, public: true }}
  - {{ match: "GET a.example/old/{{name}}", to: docs, public: true, rewrite: "/new/{{name}}" }}
  - {{ match: "GET a.example/trial", to: docs, require: {{ role: owner }}, mode: shadow }}
  - {{ match: "GET a.example/signed-in", to: docs, require: {{ signed_in: true }} }}
  - {{ match: "GET a.example/both", to: docs, credentials: user_and_service, require: {{ signed_in: true }} }}
  - {{ match: "GET a.example/indexer", to: docs, credentials: service, require: {{ service: indexer }} }}
"#
        )
    })
    .await;
    (world, state)
}

/// A service that believes assertions only.
struct Service {
    key: DecodingKey,
    name: &'static str,
}

impl Service {
    fn new(name: &'static str, state: &TempDir) -> Self {
        let file = fs::read(state.path().join("assertion.key")).expect("the edge made a key");
        let pair = Ed25519KeyPair::from_pkcs8(&file).expect("a key");
        let key = DecodingKey::from_ed_components(&URL_SAFE_NO_PAD.encode(pair.public_key()));
        Self {
            key: key.expect("a public key"),
            name,
        }
    }

    /// The claims about this request, byte for byte as it came, with this assertion.
    fn believes(&self, request: &str, assertion: &str) -> Result<Value, String> {
        let header = decode_header(assertion).map_err(|error| error.to_string())?;
        if header.typ.as_deref() != Some("sentinel-assertion+jwt") {
            return Err("not an assertion".to_owned());
        }
        let mut rules = Validation::new(Algorithm::EdDSA);
        rules.set_issuer(&[ISSUER]);
        rules.set_audience(&[self.name]);
        // By the world's clock and not by the machine's.
        rules.validate_exp = false;
        let claims: Value = decode(assertion, &self.key, &rules)
            .map_err(|error| error.to_string())?
            .claims;
        assert_eq!(claims["exp"].as_i64(), claims["iat"].as_i64().map(|iat| iat + 30));
        let mut line = request.split(' ');
        let (method, target) = (line.next(), line.next().expect("a target"));
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target, None),
        };
        for (claim, is) in [
            ("htm", method),
            ("path", Some(path)),
            ("query", query),
            ("host", only(request, "host")),
            ("jti", only(request, "x-request-id")),
        ] {
            if claims.get(claim).and_then(Value::as_str) != is {
                return Err(format!("another {claim}"));
            }
        }
        Ok(claims)
    }
}

/// The value of the one header of that name.
fn only<'r>(request: &'r str, name: &str) -> Option<&'r str> {
    let mut all = request
        .lines()
        .filter_map(|line| line.split_once(": "))
        .filter(|(known, _)| known.eq_ignore_ascii_case(name));
    let one = all.next();
    assert_eq!(all.next(), None, "`{name}` is there twice");
    one.map(|(_, value)| value)
}

fn assertion(request: &str) -> &str {
    only(request, "x-sentinel-assertion").unwrap_or_else(|| panic!("no assertion: {request}"))
}

#[tokio::test]
async fn a_service_can_verify_who_is_calling() {
    let (world, state) = world().await;
    let docs = Service::new("docs", &state);
    let (user, key) = (
        bearer(&token_of(OLGA)),
        format!("X-Service-Key: {}", service_key().expose()),
    );
    for (path, lines, subject) in [
        ("/public", vec![], "anonymous"),
        (
            "/signed-in?a=b&a=%2F",
            vec![user.as_str()],
            "user:00000000-0000-0000-0000-00000000000b",
        ),
        (
            "/both",
            vec![user.as_str(), key.as_str()],
            "user:00000000-0000-0000-0000-00000000000b",
        ),
        ("/indexer", vec![key.as_str()], "service:indexer"),
    ] {
        assert_eq!(world.get(path, &lines).await.status, 200, "{path}");
        let request = world.service.requests().pop().expect("a request");
        let claims = docs.believes(&request, assertion(&request)).expect("believed");
        assert_eq!(
            (claims["iat"].as_i64(), claims["sub"].as_str()),
            (Some(NOW), Some(subject))
        );
        let has_user = lines.contains(&user.as_str());
        let role = has_user.then(|| WorkspaceRole::Owner.to_string());
        assert_eq!(claims["wrole"].as_str(), role.as_deref(), "the live one: {path}");
        assert_eq!(
            claims["name"].as_str(),
            has_user.then_some("Ölga, the 1st"),
            "{path}"
        );
        assert_eq!(
            claims["svc"].as_str(),
            lines.contains(&key.as_str()).then_some("indexer"),
            "{path}"
        );
        assert_eq!(
            claims["route"],
            format!("GET a.example{}", path.split('?').next().expect("a path"))
        );
        assert_eq!(claims["rev"], "1763000000.10");
    }
}

#[tokio::test]
async fn it_holds_for_the_request_as_it_is_sent_and_not_as_it_came() {
    let (world, state) = world().await;
    let docs = Service::new("docs", &state);
    assert_eq!(world.get("/old/x%20y?q=%C3%B6", &[]).await.status, 200);
    let request = world.service.only_request();
    assert!(request.starts_with("GET /new/x%20y?q=%C3%B6 "), "{request}");
    let claims = docs.believes(&request, assertion(&request)).expect("believed");
    assert_eq!(claims["path"], "/new/x%20y");
}

#[tokio::test]
async fn what_passes_on_trial_only_is_not_signed() {
    let (world, state) = world().await;
    let docs = Service::new("docs", &state);
    let (olga, vera) = (bearer(&token_of(OLGA)), bearer(&token_of(VERA)));
    for lines in [vec![olga.as_str()], vec![vera.as_str()], vec![]] {
        assert_eq!(world.get("/trial", &lines).await.status, 200);
    }
    let requests = world.service.requests();
    docs.believes(&requests[0], assertion(&requests[0]))
        .expect("an owner may");
    for request in &requests[1..] {
        assert_eq!(only(request, "x-sentinel-assertion"), None, "{request}");
    }
}

#[tokio::test]
async fn it_holds_for_no_other_request_and_no_other_service() {
    let (world, state) = world().await;
    let (docs, mail) = (Service::new("docs", &state), Service::new("mail", &state));
    let post = "POST /public HTTP/1.1\r\nHost: a.example\r\nContent-Length: 0\r\n\r\n".to_owned();
    for request in [
        get("/public", &[]),
        get("/public", &[]),
        get("/public?a=b", &[]),
        get("/public?", &[]),
        get("/public/x", &[]),
        get("/public", &[]).replace("a.example", "a.example:80"),
        get("/mail", &[]),
        post,
    ] {
        assert_eq!(world.send(&request).await.status, 200, "{request}");
    }
    let requests = world.service.requests();
    for (index, request) in requests.iter().enumerate() {
        for (other, replayed) in requests.iter().enumerate() {
            let (is_docs, is_mail) = (
                docs.believes(request, assertion(replayed)),
                mail.believes(request, assertion(replayed)),
            );
            let goes_to_mail = replayed.contains("GET /mail ");
            assert_eq!(
                is_docs.is_ok(),
                index == other && !goes_to_mail,
                "{request}{replayed}"
            );
            assert_eq!(
                is_mail.is_ok(),
                index == other && goes_to_mail,
                "{request}{replayed}"
            );
        }
    }
}

#[tokio::test]
async fn what_a_client_sends_in_its_place_never_arrives() {
    let (world, state) = world().await;
    assert_eq!(
        world.get("/signed-in", &[&bearer(&token_of(VERA))]).await.status,
        200
    );
    let captured = world.service.requests().pop().expect("a request");
    let forged = format!("X-Sentinel-Assertion: {}", assertion(&captured));
    for path in ["/public", "/plain"] {
        let answer = world
            .get(
                path,
                &[&forged, "x-sentinel-assertion: x", "X-SENTINEL-ASSERTION:"],
            )
            .await;
        assert_eq!(answer.status, 200, "{path}");
    }
    let requests = world.service.requests();
    let docs = Service::new("docs", &state);
    let claims = docs
        .believes(&requests[1], assertion(&requests[1]))
        .expect("believed");
    assert_eq!(claims["sub"], "anonymous");
    assert_eq!(
        only(&requests[2], "x-sentinel-assertion"),
        None,
        "that service wants none"
    );
    for disguise in ["X_Sentinel_Assertion: x", "x-sentinel.assertion: x"] {
        assert_eq!(world.get("/public", &[disguise]).await.status, 400, "{disguise}");
    }
    // Nor can a client have ours taken out on the way.
    let nominated = world.get("/public", &["Connection: x-sentinel-assertion"]).await;
    assert_eq!(nominated.status, 400);
}

#[tokio::test]
async fn each_request_of_a_connection_has_its_own() {
    let (world, state) = world().await;
    let docs = Service::new("docs", &state);
    let mut client = Client::connect(world.running.http()).await;
    for wait in [0_u32, 31] {
        world.clock.advance(std::time::Duration::from_secs(wait.into()));
        client.write(get("/public", &[]).as_bytes()).await;
        assert_eq!(client.read_answer().await.status, 200);
    }
    let requests = world.service.requests();
    let claims: Vec<Value> = requests
        .iter()
        .map(|request| docs.believes(request, assertion(request)).expect("believed"))
        .collect();
    assert_ne!(claims[0]["jti"], claims[1]["jti"]);
    let seconds = |claims: &Value| claims["iat"].as_i64().expect("a time");
    assert!(seconds(&claims[1]) >= seconds(&claims[0]) + 31);
    assert!(docs.believes(&requests[1], assertion(&requests[0])).is_err());
}
