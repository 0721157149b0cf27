use std::sync::atomic::{AtomicUsize, Ordering};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use axum::routing::get;
use axum::{Json, Router};
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::*;
use crate::http::Http;

/// An edge's key, and a control plane that publishes it.
pub(crate) struct Edge {
    private: EncodingKey,
    kid: &'static str,
    pub(crate) issuer: String,
    asked: Arc<AtomicUsize>,
}

impl Edge {
    pub(crate) async fn start() -> Self {
        let pair = Ed25519KeyPair::generate().expect("a key");
        let document = json!({ "keys": [
            { "kty": "RSA", "crv": "", "kid": "of another kind", "x": "" },
            { "kty": "OKP", "crv": "Ed25519", "kid": "k1", "x": URL_SAFE_NO_PAD.encode(pair.public_key()) },
        ] });
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let router = Router::new().route(
            "/.well-known/sentinel-edges/jwks.json",
            get(async move || {
                count.fetch_add(1, Ordering::SeqCst);
                Json(document)
            }),
        );
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let issuer = format!("http://{}", listener.local_addr().expect("an address"));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let pkcs8 = pair.to_pkcs8().expect("PKCS#8");
        Self {
            private: EncodingKey::from_ed_der(pkcs8.as_ref()),
            kid: "k1",
            issuer,
            asked,
        }
    }

    pub(crate) fn verifier(&self) -> Verifier {
        let http = Http::new().expect("client").client();
        Verifier::new(http, &self.issuer, "docs")
    }

    /// What it says about Alice's `GET http://docs.example/documents/1?x=y`.
    pub(crate) fn claims(&self) -> Value {
        let now = get_current_timestamp();
        json!({
            "iss": self.issuer, "aud": "docs", "iat": now, "exp": now + 30, "jti": "r1", "sub": "user:u1",
            "htm": "GET", "host": "docs.example", "path": "/documents/1", "query": "x=y",
            "wid": "w1", "wslug": "acme", "wrole": "owner", "route": "GET /documents/{id}",
        })
    }

    pub(crate) fn sign(&self, claims: &Value) -> String {
        let header = Header {
            typ: Some(TYPE.to_owned()),
            kid: Some(self.kid.to_owned()),
            ..Header::new(Algorithm::EdDSA)
        };
        encode(&header, claims, &self.private).expect("signed")
    }
}

/// The headers with which the edge forwards that request.
fn headers(token: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("host", "docs.example"),
        (HEADER, token),
        ("x-request-id", "r1"),
        ("x-sentinel-user-id", "u1"),
        ("x-sentinel-workspace-id", "w1"),
        ("x-sentinel-workspace-slug", "acme"),
        ("x-sentinel-workspace-role", "owner"),
    ] {
        headers.insert(name, value.parse().expect("a header value"));
    }
    headers
}

async fn verify(verifier: &Verifier, token: &str) -> Result<Assertion, Refused> {
    let uri: Uri = "/documents/1?x=y".parse().expect("a URI");
    verifier.verify(&Method::GET, &uri, &headers(token)).await
}

#[tokio::test]
async fn the_request_that_was_signed_is_believed() {
    let edge = Edge::start().await;
    let said = verify(&edge.verifier(), &edge.sign(&edge.claims()))
        .await
        .expect("believed");
    assert_eq!(
        (said.sub.as_str(), said.wrole.as_deref()),
        ("user:u1", Some("owner"))
    );
}

#[tokio::test]
async fn no_other_request_is() {
    let edge = Edge::start().await;
    let (verifier, token) = (edge.verifier(), edge.sign(&edge.claims()));
    for (method, target) in [
        (Method::GET, "/documents/2?x=y"),
        (Method::GET, "/documents/1?x=z"),
        (Method::GET, "/documents/1?"),
        (Method::GET, "/documents/1"),
        (Method::PUT, "/documents/1?x=y"),
    ] {
        let refused = verifier
            .verify(&method, &target.parse().expect("a URI"), &headers(&token))
            .await;
        assert_eq!(
            refused.err(),
            Some(Refused("the assertion is of another request")),
            "{method} {target}"
        );
    }
    let uri: Uri = "/documents/1?x=y".parse().expect("a URI");
    for (name, value) in [("host", Some("other.example")), ("host", None), (HEADER, None)] {
        let mut headers = headers(&token);
        headers.remove(name);
        if let Some(value) = value {
            headers.insert(name, value.parse().expect("a header value"));
        }
        assert!(
            verifier.verify(&Method::GET, &uri, &headers).await.is_err(),
            "{name}: {value:?}"
        );
    }
    for (name, value) in [
        ("x-sentinel-user-id", "u2"),
        ("x-sentinel-service", "indexer"),
        ("x-request-id", "r2"),
    ] {
        let mut changed = headers(&token);
        changed.insert(name, value.parse().expect("a header value"));
        assert!(
            verifier.verify(&Method::GET, &uri, &changed).await.is_err(),
            "{name}: {value}"
        );
        let mut doubled = headers(&token);
        doubled.append(name, value.parse().expect("a header value"));
        assert!(
            verifier.verify(&Method::GET, &uri, &doubled).await.is_err(),
            "{name}: {value}"
        );
    }
    let mut doubled = headers(&token);
    doubled.append(HEADER, token.parse().expect("a header value"));
    assert!(
        verifier.verify(&Method::GET, &uri, &doubled).await.is_err(),
        "two assertions"
    );
}

#[tokio::test]
async fn what_is_said_beside_it_must_be_the_same() {
    let edge = Edge::start().await;
    let (verifier, uri) = (edge.verifier(), "/documents/1?x=y".parse::<Uri>().expect("a URI"));
    let mut alice = edge.claims();
    alice["email"] = "alice+x@example.com".into();
    alice["name"] = "\u{c4}lice, the 1st".into();
    let mut visitor = edge.claims();
    visitor["sub"] = "external:partner|auth0|7".into();
    for name in ["wid", "wslug", "wrole"] {
        visitor[name] = Value::Null;
    }
    let mut nobody = edge.claims();
    nobody["sub"] = "anonymous".into();
    let of_alice = [
        ("x-sentinel-email", "alice%2Bx%40example.com"),
        ("x-sentinel-name", "%C3%84lice%2C%20the%201st"),
    ];
    let of_visitor = [
        ("x-sentinel-issuer", "partner"),
        ("x-sentinel-subject", "auth0%7c7"),
    ];
    let ask = async |claims: &Value, lines: &[(&'static str, &str)]| {
        let mut headers = headers(&edge.sign(claims));
        if claims["wid"].is_null() {
            for name in ["user-id", "workspace-id", "workspace-slug", "workspace-role"] {
                headers.remove(format!("x-sentinel-{name}"));
            }
        }
        for (name, value) in lines {
            headers.insert(*name, value.parse().expect("a header value"));
        }
        verifier.verify(&Method::GET, &uri, &headers).await.is_ok()
    };
    assert!(ask(&alice, &of_alice).await);
    assert!(ask(&visitor, &of_visitor).await);
    assert!(!ask(&alice, &[]).await && !ask(&visitor, &[]).await && !ask(&nobody, &[]).await);
    for (name, value) in [
        ("x-sentinel-email", "bob@example.com"),
        ("x-sentinel-email", "alice%2Bx%40example.comx"),
        ("x-sentinel-email", "alice%2Bx%40example.co"),
        ("x-sentinel-email", "alice%2Bx%40example.com%"),
        ("x-sentinel-email", "alice%zzx%40example.com"),
        ("x-sentinel-name", "Alice"),
        ("x-sentinel-issuer", "partner"),
        ("x-sentinel-subject", "7"),
        ("x-sentinel-groups", "admins"),
        ("x-sentinel-", ""),
    ] {
        assert!(
            !ask(&alice, &[&of_alice[..], &[(name, value)]].concat()).await,
            "{name}: {value}"
        );
    }
    for (name, value) in [
        ("x-sentinel-issuer", "partner|auth0"),
        ("x-sentinel-subject", "7"),
        ("x-sentinel-user-id", "u1"),
        ("x-sentinel-email", "alice@example.com"),
    ] {
        assert!(
            !ask(&visitor, &[&of_visitor[..], &[(name, value)]].concat()).await,
            "{name}: {value}"
        );
    }
}

#[tokio::test]
async fn no_other_token_is() {
    let edge = Edge::start().await;
    let (verifier, now) = (edge.verifier(), get_current_timestamp());
    for (name, value) in [
        ("iss", json!("http://elsewhere.example")),
        ("aud", json!("mail")),
        ("exp", json!(now - 6)),
        ("iat", json!(now + 7)),
        ("exp", json!(now + 31)),
        ("exp", Value::Null),
        ("sub", Value::Null),
        ("path", Value::Null),
        ("path_sha256", json!("x")),
    ] {
        let mut claims = edge.claims();
        claims[name] = value.clone();
        assert!(
            verify(&verifier, &edge.sign(&claims)).await.is_err(),
            "{name}: {value}"
        );
    }
    let mut header = Header::new(Algorithm::EdDSA);
    header.kid = Some("k1".to_owned());
    let plain = encode(&header, &edge.claims(), &edge.private).expect("signed");
    assert_eq!(
        verify(&verifier, &plain).await.err(),
        Some(Refused("the token is not an assertion"))
    );
    let stranger = Edge::start().await;
    let forged = stranger.sign(&edge.claims());
    assert!(
        verify(&verifier, &forged).await.is_err(),
        "signed with a key of nobody"
    );
    for garbage in ["", "x", "a.b.c"] {
        assert!(verify(&verifier, garbage).await.is_err(), "`{garbage}`");
    }
}

#[tokio::test]
async fn a_long_path_is_compared_by_its_hash() {
    let edge = Edge::start().await;
    let long = format!("/{}", "a".repeat(2000));
    let mut claims = edge.claims();
    claims["path"] = Value::Null;
    claims["query"] = Value::Null;
    claims["path_sha256"] = URL_SAFE_NO_PAD.encode(digest(&SHA256, long.as_bytes())).into();
    let (verifier, headers) = (edge.verifier(), headers(&edge.sign(&claims)));
    let ask = async |path: &str| {
        let uri = path.parse().expect("a URI");
        verifier.verify(&Method::GET, &uri, &headers).await.is_ok()
    };
    assert!(ask(&long).await);
    assert!(!ask(&long[1..].replacen('a', "/", 1)).await);
}

#[tokio::test]
async fn unknown_keys_are_not_asked_for_every_time() {
    let mut edge = Edge::start().await;
    let verifier = edge.verifier();
    assert!(verify(&verifier, &edge.sign(&edge.claims())).await.is_ok());
    edge.kid = "never heard of";
    for _ in 0..10 {
        let refused = verify(&verifier, &edge.sign(&edge.claims())).await;
        assert_eq!(refused.err(), Some(Refused("no enrolled edge has this key")));
    }
    assert_eq!(edge.asked.load(Ordering::SeqCst), 1);
}
