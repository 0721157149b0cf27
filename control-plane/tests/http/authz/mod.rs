//! AuthZ mode over HTTP: an application signs people in at the OpenID provider of the tests by itself, and brings its
//! tokens.

mod handover;
mod resolve;
mod tokens;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::RequestBuilder;
use sentinel_access::service_apps::ServiceAppChange;
use sentinel_core::id::{ServiceAppId, UserId};
use sentinel_store::testing::TestStore;
use serde_json::{Value, json};

use crate::answer::{Answer, send};
use crate::common::oidc::{Person, Provider, Twist};
use crate::common::{Options, TestApp};

/// Where the pages of the service are.
const PAGE: &str = "https://docs.example.com";

/// A control plane with one provider and the service `docs`.
struct World {
    app: TestApp,
    provider: Provider,
    service: ServiceAppId,
    key: String,
}

impl World {
    async fn start(store: TestStore) -> Self {
        Self::start_with(store, |_| {}).await
    }

    async fn start_with(store: TestStore, change: impl FnOnce(&mut Options)) -> Self {
        let provider = Provider::start(std::sync::Arc::clone(&store.clock)).await;
        let mut options = Options {
            providers: vec![provider.settings("demo")],
            ..Options::default()
        };
        change(&mut options);
        let app = TestApp::start_with(store, options).await;
        let (service, key) = app.service("docs").await;
        let world = Self {
            app,
            provider,
            service,
            key,
        };
        let origins = Some(vec![PAGE.parse().expect("origin")]);
        world
            .change(ServiceAppChange {
                allowed_origins: origins,
                ..ServiceAppChange::default()
            })
            .await;
        world
    }

    /// Changes the service app.
    async fn change(&self, change: ServiceAppChange) {
        let mut tx = self.app.app.database().write().await.expect("tx");
        let apps = &self.app.app.access().service_apps;
        apps.update(&mut tx, None, self.service, change)
            .await
            .expect("changed");
        tx.commit().await.expect("commit");
        self.app.settle().await;
    }

    /// An ID token that the page of the service got for somebody.
    fn id_token(&self, person: &Person) -> String {
        self.provider.id_token(person, Twist::None, "n1")
    }

    /// What the back end of the service is told.
    async fn resolve(&self, body: &Value) -> Answer {
        send(
            self.app
                .post("/authz/resolve")
                .header("x-service-key", &self.key)
                .json(body),
        )
        .await
    }

    /// The user of somebody's first sign-in.
    async fn user(&self, person: &Person) -> UserId {
        let answer = self
            .resolve(&json!({ "idp_token": self.id_token(person), "provider": "demo" }))
            .await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body["user"]["id"]
            .as_str()
            .and_then(|id| id.parse().ok())
            .expect("an id")
    }

    /// A request for a token for somebody in a workspace.
    fn asked(&self, person: &Person, workspace: impl std::fmt::Display) -> Value {
        json!({
            "idp_token": self.id_token(person), "provider": "demo", "workspace_id": workspace.to_string(), "nonce": "n1",
        })
    }

    /// A token for somebody in a workspace.
    async fn mint(&self, person: &Person, workspace: impl std::fmt::Display) -> String {
        let answer = self.resolve(&self.asked(person, workspace)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.text("authz_token").to_owned()
    }
}

/// What a token says.
fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).expect("payload");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).expect("base64url")).expect("json")
}

fn ann() -> Person {
    Person::new("1", "ann@example.com")
}

fn bob() -> Person {
    Person::new("2", "bob@example.com")
}

/// The credentials of AuthZ mode, as a page or a proxy sends them: the provider's token and ours.
trait Both {
    fn both(self, token: &str) -> Self;
}

impl Both for RequestBuilder {
    fn both(self, token: &str) -> Self {
        self.bearer_auth("the provider's own token")
            .header("x-authz-token", token)
    }
}
