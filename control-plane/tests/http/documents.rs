//! Documents of a provider that are too long, never end, lie elsewhere or are none: nobody is let in by them, no redirect
//! is followed, and the fault is told as the provider's.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Response;
use sentinel_identity::Outbound;
use sentinel_store::on_both_backends;
use sentinel_token::sha256;
use serde_json::json;

use crate::common::oidc::{Document, Flaw, Person, Provider, Twist};
use crate::common::{Options, TestApp};

const REDIRECT: &str = "https://spa.example.com/callback";

async fn begin(app: &TestApp, provider: &str) -> Response {
    let challenge = URL_SAFE_NO_PAD.encode(sha256(b"a verifier"));
    app.get(&format!("/auth/login/{provider}"))
        .query(&[("redirect_uri", REDIRECT), ("code_challenge", &challenge)])
        .send()
        .await
        .expect("answer")
}

/// Who signs in at the provider.
fn person(provider: &str) -> Person {
    Person::new("1", &format!("{provider}@example.com"))
}

fn header<'r>(response: &'r Response, name: &str) -> &'r str {
    response.headers()[name].to_str().expect("text")
}

on_both_backends! {
    async fn nobody_is_let_in_by_a_document_that_is_none(store: TestStore) {
        // What a provider says is kept for a while, so each flaw has a provider of its own.
        let mut providers = Vec::new();
        for document in [Document::Discovery, Document::Keys, Document::Tokens] {
            for flaw in Flaw::ALL {
                let provider = Provider::start(Arc::clone(&store.clock)).await;
                let name = format!("p{}", providers.len());
                provider.next(person(&name), Twist::None);
                provider.spoil(document, flaw);
                providers.push((name, document, flaw, provider));
            }
        }
        let options = Options {
            providers: providers.iter().map(|(name, _, _, provider)| provider.settings(name)).collect(),
            outbound: Outbound::new(Duration::from_millis(300)),
            ..Options::default()
        };
        let app = TestApp::start_with(store, options).await;
        app.client_app("spa", &[REDIRECT]).await;
        let (_, key) = app.service("docs").await;
        for (name, document, flaw, provider) in &providers {
            let told = format!("{document:?} {flaw:?}");
            let mut answer = begin(&app, name).await;
            if *document == Document::Tokens {
                assert_eq!(answer.status().as_u16(), 302, "{told}");
                let cookie = header(&answer, "set-cookie").split(';').next().expect("pair").to_owned();
                let away = app.http.get(header(&answer, "location")).send().await.expect("provider");
                answer = app.http.get(header(&away, "location")).header("cookie", cookie).send().await.expect("answer");
            }
            assert_eq!(answer.status().as_u16(), 502, "{told}");
            assert!(answer.text().await.expect("a page").contains("Authentication Failed"), "{told}");

            let token = provider.id_token(&person(name), Twist::None, "n");
            let resolve = app
                .post("/authz/resolve")
                .header("x-service-key", &key)
                .json(&json!({ "idp_token": token, "provider": name }))
                .send()
                .await
                .expect("answer");
            // An application that got its token by itself needs the keys only.
            let expected = if *document == Document::Tokens { 200 } else { 503 };
            assert_eq!(resolve.status().as_u16(), expected, "{told}");
            assert_eq!(provider.strayed(), 0, "{told}");
            let mut tx = app.app.database().read().await.expect("tx");
            let address = format!("{name}@example.com");
            let made = app.app.access().users.find_by_email(&mut tx, &address).await.expect("users");
            assert_eq!(made.is_some(), *document == Document::Tokens, "{told}");
        }
    }
}
