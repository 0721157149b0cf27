//! What a body may be: an object where one is expected, however deep, and no longer than its endpoint has room for.

use futures_util::StreamExt as _;
use reqwest::{Body, RequestBuilder};
use sentinel_store::on_both_backends;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::answer::{Answer, send};
use crate::basics::raw;
use crate::common::routes::sources;
use crate::common::{As as _, TestApp};

const MODEL: &str = "model
  schema 1.1
type person
type folder
  relations
    define viewer: [person, folder#viewer]
";

/// A control plane, and the key of a service with a model.
async fn start(store: sentinel_store::testing::TestStore) -> (TestApp, String) {
    let app = TestApp::start(store).await;
    let (_, key) = app.service("docs").await;
    let model = app
        .post("/authz/models")
        .header("x-service-key", &key)
        .body(MODEL);
    assert_eq!(send(model).await.status, 201);
    (app, key)
}

/// Where the first error is.
fn place(answer: &Answer) -> String {
    let parts = answer.body["errors"][0]["loc"].as_array().expect("a place");
    let parts = parts.iter().map(|part| part.as_str().expect("text"));
    parts.collect::<Vec<_>>().join(".")
}

fn question() -> Value {
    json!({ "object": "folder:1", "relation": "viewer", "subject": "person:ann" })
}

/// As long an id as there may be.
fn long(number: usize) -> String {
    format!("{number:0>512}")
}

on_both_backends! {
    async fn a_list_of_an_objects_values_is_no_object(store: TestStore) {
        let (app, key) = start(store).await;
        let (_, _, pair) = app.owner("ann@example.com", "acme").await;
        let (_, cookie) = app.admin("root@example.com").await;
        let (other, _) = app.service("wiki").await;
        let tuple = json!(["folder:1", "viewer", "person:ann"]);
        let put = json!(["folder:1", "viewer", "person:ann", null]);
        let mut laden = question();
        laden["contextual_tuples"] = json!([question(), tuple]);
        for (path, body, expected) in [
            ("/authz/check", json!(["folder:1", "viewer", "person:ann", [], false]), "body"),
            ("/authz/check", laden, "body.contextual_tuples.1"),
            ("/authz/batch-check", json!([[]]), "body"),
            ("/authz/batch-check", json!({ "checks": [question(), ["folder:1", "viewer", "person:ann", []]] }), "body.checks.1"),
            ("/authz/expand", json!(["folder:1", "viewer", []]), "body"),
            ("/authz/list-objects", json!(["folder", "viewer", "person:ann", [], null, null]), "body"),
            ("/authz/list-subjects", json!(["folder:1", "viewer", "person", null, [], null, null]), "body"),
            ("/authz/tuples", json!([[], [], []]), "body"),
            ("/authz/tuples", json!({ "writes": [put] }), "body.writes.0"),
            ("/authz/tuples", json!({ "deletes": [tuple] }), "body.deletes.0"),
            ("/authz/tuples", json!({ "preconditions": [["folder:1", "viewer", "person:ann", "exist"]] }), "body.preconditions.0"),
            ("/authz/tuples/delete", json!(["folder", null, null, null, null]), "body"),
            ("/auth/refresh", json!(["x"]), "body"),
            ("/permissions/check", json!({ "checks": [["docs", "document", Uuid::nil(), "view"]] }), "body.checks.0"),
            (&format!("/admin/service-apps/{other}/rotate-key"), json!([60]), "body"),
        ] {
            let request = app.post(path).header("x-service-key", &key).bearer(&pair).admin(&cookie);
            let answer = send(request.json(&body)).await;
            assert_eq!((answer.status, place(&answer).as_str()), (422, expected), "{path} {body}: {answer:?}");
            assert!(answer.text("detail").contains("expected an object"), "{path}: {answer:?}");
        }
        let import = app.post("/authz/tuples/import").header("x-service-key", &key);
        let import = import.header("content-type", "application/x-ndjson").body(put.to_string());
        let answer = send(import).await;
        assert_eq!((answer.status, place(&answer).as_str()), (422, "body.line 1"), "{answer:?}");
    }

    async fn what_is_wrong_inside_a_body_has_its_place(store: TestStore) {
        let (app, key) = start(store).await;
        let mut odd = question();
        odd["subject"] = json!(7);
        for (path, body, expected) in [
            ("/authz/check", odd.clone(), "body.subject"),
            ("/authz/batch-check", json!({ "checks": [question(), odd] }), "body.checks.1.subject"),
            ("/authz/tuples", json!({ "deletes": [question(), { "object": "folder:1" }] }), "body.deletes.1"),
        ] {
            let answer = send(app.post(path).header("x-service-key", &key).json(&body)).await;
            assert_eq!((answer.status, place(&answer).as_str()), (422, expected), "{path} {body}: {answer:?}");
        }
    }

    async fn what_is_longer_than_its_endpoint_takes_is_not_read(store: TestStore) {
        let (app, key) = start(store).await;
        let (kib, mib) = (1024, 1024 * 1024);
        for (path, length) in [
            ("/authz/check", 512 * kib),
            ("/authz/expand", 512 * kib),
            ("/authz/list-objects", 512 * kib),
            ("/authz/list-subjects", 512 * kib),
            ("/authz/batch-check", 8 * mib),
            ("/authz/tuples", 8 * mib),
            ("/authz/tuples/delete", 16 * kib),
            ("/authz/models", 3 * mib),
        ] {
            let post = format!("POST {path} HTTP/1.1");
            let announced = format!("content-length: {length}");
            let announced = raw(&app.url, &[&post, "host: a.test", "content-type: application/json", &announced]).await;
            assert!(announced.starts_with("HTTP/1.1 413 "), "{path}: before anything comes or is looked at: {announced}");
            assert!(announced.contains("\"body_too_large\""), "{path}: {announced}");
            let post = app.post(path).header("content-type", "application/json");
            let streamed = send(endless(post.header("x-service-key", &key), length)).await;
            let refused = (streamed.status, streamed.text("code"));
            assert_eq!(refused, (413, "body_too_large"), "{path}");
        }
    }

    async fn what_the_other_limits_allow_is_not_too_long(store: TestStore) {
        let (app, key) = start(store).await;
        let tuple = |number: usize| {
            let (object, subject) = (format!("folder:{}", long(number)), format!("folder:{}#viewer", long(number + 1)));
            json!({ "object": object, "relation": "viewer", "subject": subject })
        };
        let tuples = |count: usize| (0..count).map(tuple).collect::<Vec<_>>();
        let mut asked = tuple(0);
        asked["contextual_tuples"] = json!(tuples(100));
        let mut few = tuple(0);
        few["contextual_tuples"] = json!(tuples(1));
        let until = app.app.now() + std::time::Duration::from_hours(1);
        let with = |name: &str, value: Value| tuples(1000).into_iter().map(|mut tuple| { tuple[name] = value.clone(); tuple }).collect::<Vec<_>>();
        for (path, body) in [
            ("/authz/check", asked),
            ("/authz/batch-check", json!({ "checks": vec![few; 1000] })),
            ("/authz/tuples", json!({ "writes": with("expires_at", json!(until.to_rfc3339())), "preconditions": with("must", json!("not_exist")) })),
        ] {
            let answer = send(app.post(path).header("x-service-key", &key).json(&body)).await;
            assert_eq!(answer.status, 200, "{path}: {:?}", answer.body["detail"]);
        }
    }
}

/// A body of white space whose length is not said, of which so much comes and the end does not: whoever answers does so without
/// having read it.
fn endless(request: RequestBuilder, length: usize) -> RequestBuilder {
    let part = vec![b' '; 64 * 1024];
    let parts = (0..length.div_ceil(64 * 1024)).map(move |_| Ok::<_, std::io::Error>(part.clone()));
    let stream = futures_util::stream::iter(parts).chain(futures_util::stream::pending());
    request.body(Body::wrap_stream(stream))
}

/// What is read by another way than the one takes lists for objects.
#[test]
fn nothing_of_a_request_is_read_by_another_way() {
    let sources = sources();
    assert!(
        sources.iter().any(|source| source.contains("json::read")),
        "the sources were read"
    );
    for source in sources {
        for other in ["serde_json::from_", ": axum::Json<", "axum::extract::Json"] {
            assert!(!source.contains(other), "`{other}` in a file of endpoints");
        }
    }
}
