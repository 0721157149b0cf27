//! What services ask about objects of their own: over real sockets, with their own model and tuples.

mod check;
mod consistency;
mod lists;
mod refusals;
mod watch;

use std::fmt::Write as _;

use reqwest::RequestBuilder;
use sentinel_core::id::ServiceAppId;
use sentinel_store::testing::TestStore;
use serde_json::{Value, json};

use crate::answer::{Answer, send};
use crate::common::TestApp;

/// Folders in folders, files in them, and teams of teams.
const MODEL: &str = "model
  schema 1.1
type person
type team
  relations
    define member: [person, team#member]
type folder
  relations
    define parent: [folder]
    define owner: [person]
    define viewer: [person, person:*, team#member]
    define banned: [person]
    define can_read: (viewer or owner or can_read from parent) but not banned
type puzzle
  relations
    define solver: [person, puzzle#stuck]
    define stuck: [person] but not solver
";

/// A control plane and a service with a model.
struct Docs {
    app: TestApp,
    service: ServiceAppId,
    key: String,
}

impl Docs {
    async fn start(store: TestStore) -> Self {
        let app = TestApp::start(store).await;
        let (service, key) = app.service("docs").await;
        let docs = Self { app, service, key };
        docs.model(&docs.key, MODEL).await;
        docs
    }

    /// Writes a model.
    async fn model(&self, key: &str, text: &str) -> Answer {
        let request = self.app.post("/authz/models").header("x-service-key", key);
        let answer = send(request.header("content-type", "text/plain").body(text.to_owned())).await;
        assert_eq!(answer.status / 100, 2, "{answer:?}");
        answer
    }

    /// A question, or a write, of the service.
    async fn ask(&self, path: &str, body: Value) -> Answer {
        send(self.request(path, &body)).await
    }

    fn request(&self, path: &str, body: &Value) -> RequestBuilder {
        self.app.post(path).header("x-service-key", &self.key).json(body)
    }

    /// Writes and deletes tuples, given as `object#relation@subject`. Returns the revision.
    async fn change(&self, key: &str, writes: &[&str], deletes: &[&str]) -> String {
        let bodies = |tuples: &[&str]| tuples.iter().map(|tuple| body_of(tuple)).collect::<Vec<_>>();
        let body = json!({ "writes": bodies(writes), "deletes": bodies(deletes) });
        let request = self.app.post("/authz/tuples").header("x-service-key", key);
        let answer = send(request.json(&body)).await;
        assert_eq!(answer.status / 100, 2, "{answer:?}");
        answer.revision.expect("a write has a revision")
    }

    async fn write(&self, tuples: &[&str]) -> String {
        self.change(&self.key, tuples, &[]).await
    }

    async fn delete(&self, tuples: &[&str]) -> String {
        self.change(&self.key, &[], tuples).await
    }

    /// The answer to one check.
    async fn may(&self, object: &str, relation: &str, subject: &str) -> Value {
        let answer = self.ask("/authz/check", check(object, relation, subject)).await;
        match answer.status {
            200 => answer.body["allowed"].clone(),
            _ => answer.body["code"].clone(),
        }
    }
}

/// A tuple's three parts as the API takes them.
fn body_of(tuple: &str) -> Value {
    let (object, rest) = tuple.split_once('#').expect("an object");
    let (relation, subject) = rest.split_once('@').expect("a relation");
    json!({ "object": object, "relation": relation, "subject": subject })
}

fn check(object: &str, relation: &str, subject: &str) -> Value {
    json!({ "object": object, "relation": relation, "subject": subject })
}

/// A chain of teams, each in the next, `person:deep` in the first; the last of them is a viewer of the folder.
fn chain(folder: &str, length: usize) -> Vec<String> {
    let mut tuples = vec![format!("team:{folder}-0#member@person:deep")];
    for at in 1..length {
        tuples.push(format!(
            "team:{folder}-{at}#member@team:{folder}-{}#member",
            at - 1
        ));
    }
    tuples.push(format!(
        "folder:{folder}#viewer@team:{folder}-{}#member",
        length - 1
    ));
    tuples
}

/// What a list of texts looks like, for a short comparison.
fn joined(list: &Value) -> String {
    let mut text = String::new();
    for item in list.as_array().expect("a list") {
        write!(text, "{} ", item.as_str().expect("a text")).expect("written");
    }
    text.trim_end().to_owned()
}
