//! Models and relation tuples of services, over HTTP.

mod admin;
mod models;
mod pages;
mod transfer;
mod tuples;

use reqwest::RequestBuilder;
use sentinel_store::testing::TestStore;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::answer::{Answer, send};
use crate::common::{Options, TestApp};

/// What most tests begin with.
const MODEL: &str = "model
  schema 1.1
type user
type team
  relations
    define member: [user, group#member]
type folder
  relations
    define workspace: [workspace]
    define parent: [folder]
    define viewer: [user, user:*, team#member] or viewer from parent
    define can_read: viewer
";

/// A control plane with the services `docs`, which has a model, and `wiki`, which has none.
struct World {
    app: TestApp,
    docs: String,
    wiki: String,
}

impl World {
    async fn start(store: TestStore) -> Self {
        let world = Self::start_without_model(store, Options::default()).await;
        let written = world.write_model(MODEL, "").await;
        assert_eq!(written.status, 201, "{written:?}");
        world
    }

    async fn start_without_model(store: TestStore, options: Options) -> Self {
        let app = TestApp::start_with(store, options).await;
        let (_, docs) = app.service("docs").await;
        let (_, wiki) = app.service("wiki").await;
        Self { app, docs, wiki }
    }

    fn get(&self, path: &str) -> RequestBuilder {
        self.app.get(path).header("x-service-key", &self.docs)
    }

    fn post(&self, path: &str) -> RequestBuilder {
        self.app.post(path).header("x-service-key", &self.docs)
    }

    async fn write_model(&self, text: &str, query: &str) -> Answer {
        let request = self.post(&format!("/authz/models{query}"));
        send(request.header("content-type", "text/plain").body(text.to_owned())).await
    }

    async fn write(&self, body: &Value) -> Answer {
        send(self.post("/authz/tuples").json(body)).await
    }

    async fn put(&self, tuples: &[Value]) -> Answer {
        let written = self.write(&json!({ "writes": tuples })).await;
        assert_eq!(written.status, 200, "{written:?}");
        written
    }

    /// All tuples, as `object#relation@subject`.
    async fn tuples(&self) -> Vec<String> {
        let page = send(self.get("/authz/tuples?limit=1000")).await;
        assert_eq!(page.status, 200, "{page:?}");
        let tuples = page.body["tuples"].as_array().expect("tuples");
        tuples.iter().map(text).collect()
    }

    /// Whether `docs` is told that the user may read the folder, by the engine of this very control plane.
    fn reads(&self, folder: u32, user: u128) -> bool {
        let state = self.app.app.replica().load_full();
        let object = format!("docs/folder:{folder}").parse().expect("an object");
        let subject = subject(user).parse().expect("a subject");
        let query = sentinel_authz::Query::new(&object, "can_read", &subject);
        state
            .graph()
            .at(self.app.app.now())
            .check(&query)
            .expect("an answer")
    }
}

fn text(tuple: &Value) -> String {
    let part = |name: &str| tuple[name].as_str().expect("a text").to_owned();
    format!("{}#{}@{}", part("object"), part("relation"), part("subject"))
}

fn subject(number: u128) -> String {
    format!("user:{}", Uuid::from_u128(number))
}

fn viewer(folder: u32, user: u128) -> Value {
    json!({ "object": format!("folder:{folder}"), "relation": "viewer", "subject": subject(user) })
}

/// The places of a problem's errors.
fn places(answer: &Answer) -> Vec<String> {
    let errors = answer.body["errors"].as_array().expect("errors");
    let place = |error: &Value| {
        let parts = error["loc"].as_array().expect("a place").iter();
        parts
            .map(|part| part.as_str().expect("a text"))
            .collect::<Vec<_>>()
            .join(".")
    };
    errors.iter().map(place).collect()
}
