//! A refusal says at which revision it was decided, as an answer does.

use reqwest::Method;
use sentinel_core::WorkspaceRole::Viewer;
use sentinel_store::on_both_backends;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Docs, body_of, check};
use crate::answer::{Answer, send};
use crate::common::As as _;

fn refused(answer: &Answer) -> (u16, &str, Option<String>) {
    (answer.status, answer.text("code"), answer.revision.clone())
}

on_both_backends! {
    async fn what_has_no_answer_has_a_revision(store: TestStore) {
        let docs = Docs::start(store).await;
        let head = docs.write(&["folder:1#viewer@person:ann"]).await;
        let unknown = check("folder:1", "can_fly", "person:ann");
        let mut context = check("folder:1", "can_read", "person:ann");
        context["contextual_tuples"] = json!([body_of("folder:1#can_read@person:ann")]);
        let mut explained = unknown.clone();
        explained["explain"] = json!(true);
        let many = json!({ "checks": vec![check("folder:1", "can_read", "person:ann"); 1001] });
        let tampered = json!({ "object_type": "folder", "relation": "can_read", "subject": "person:ann", "cursor": "x" });
        for (path, body, status, code) in [
            ("/authz/check", unknown, 422, "unknown_relation"),
            ("/authz/check", explained, 422, "unknown_relation"),
            ("/authz/check", context, 422, "invalid_contextual_tuple"),
            ("/authz/check", check("wiki/folder:1", "can_read", "person:ann"), 422, "validation_failed"),
            ("/authz/batch-check", many, 422, "validation_failed"),
            ("/authz/expand", json!({ "object": "folder:1", "relation": "can_fly" }), 422, "unknown_relation"),
            ("/authz/list-objects", json!({ "object_type": "house", "relation": "can_read", "subject": "person:ann" }), 422, "unknown_type"),
            ("/authz/list-objects", tampered, 400, "cursor_invalid"),
            ("/authz/list-subjects", json!({ "object": "house:1", "relation": "can_read", "subject_type": "person" }), 422, "unknown_type"),
        ] {
            let answer = docs.ask(path, body).await;
            assert_eq!(refused(&answer), (status, code, Some(head.clone())), "{path}: {answer:?}");
        }
        let watch = docs.app.get("/authz/tuples/watch?object_type=house").header("x-service-key", &docs.key);
        let answer = send(watch).await;
        assert_eq!(refused(&answer), (422, "unknown_type", Some(head.clone())), "{answer:?}");
        let model = docs.app.post("/authz/models").header("x-service-key", &docs.key);
        let answer = send(model.body("model\n  schema 1.1\ntype person\n")).await;
        assert_eq!(refused(&answer), (409, "tuples_do_not_fit", Some(head)), "{answer:?}");
    }

    async fn a_state_that_is_too_old_says_how_old_it_is(store: TestStore) {
        let docs = Docs::start(store).await;
        let (_, _, pair) = docs.app.owner("ann@example.com", "acme").await;
        docs.app.settle().await;
        let head = docs.app.app.database().head().await.expect("head");
        let future = format!("{}.{}", head.epoch, head.number + 1);
        for (method, path, body) in [
            (Method::POST, "/authz/check", check("folder:1", "can_read", "person:ann")),
            (Method::GET, "/authz/tuples", Value::Null),
            (Method::GET, "/authz/tuples/export", Value::Null),
            (Method::GET, "/users/me", Value::Null),
        ] {
            let request = docs.app.request(method, path).header("x-service-key", &docs.key).bearer(&pair);
            let request = request.header("x-sentinel-revision", &future);
            let answer = send(if body.is_null() { request } else { request.json(&body) }).await;
            assert_eq!(refused(&answer), (503, "revision_not_reached", Some(head.to_string())), "{path}: {answer:?}");
        }
    }

    async fn a_no_to_a_caller_has_the_revision_of_what_he_may(store: TestStore) {
        let docs = Docs::start(store).await;
        let (ann, workspace, owner) = docs.app.owner("ann@example.com", "acme").await;
        let bob = docs.app.user("bob@example.com").await;
        docs.app.member(workspace, "bob@example.com", Viewer).await;
        let viewer = docs.app.tokens(bob.id, workspace).await;
        docs.app.settle().await;
        let head = || docs.app.app.replica().load().revision().to_string();
        let base = format!("/workspaces/{workspace}");
        let group = docs.app.post(&format!("{base}/groups")).bearer(&viewer).json(&json!({ "name": "Eng" }));
        let answer = send(group).await;
        assert_eq!(refused(&answer), (403, "role_denied", Some(head())), "{answer:?}");
        let item = json!({ "service_name": "wiki", "resource_type": "document", "resource_id": Uuid::nil(), "action": "view" });
        let action = json!({ "service_name": "wiki", "action": "reports:export", "workspace_id": workspace });
        let listing = json!({ "service_name": "wiki", "resource_type": "document", "action": "view", "workspace_id": workspace });
        for (path, body) in [
            ("/permissions/check", json!({ "checks": [item] })),
            ("/permissions/accessible", listing),
            ("/roles/check-action", action),
        ] {
            let answer = send(docs.request(path, &body).bearer(&owner)).await;
            assert_eq!((answer.status, answer.revision.clone()), (403, Some(head())), "{path}: {answer:?}");
        }
        let gone = docs.app.request(Method::DELETE, &format!("{base}/members/{}", bob.id)).bearer(&owner);
        let gone = send(gone).await;
        assert_eq!(gone.status / 100, 2, "{gone:?}");
        let answer = send(docs.app.get(&base).bearer(&viewer)).await;
        assert_eq!(answer.status / 100, 4, "{answer:?}");
        assert_eq!(answer.revision, gone.revision, "{answer:?} after {:?} of {}", gone, ann.id);
    }

    async fn a_revision_and_a_version_have_one_spelling(store: TestStore) {
        let docs = Docs::start(store).await;
        let head = docs.app.app.database().head().await.expect("head");
        let (epoch, number) = (head.epoch, head.number);
        for odd in [format!("0{epoch}.{number}"), format!("{epoch}.0{number}"), format!("{epoch}.+{number}"), format!("+{epoch}.{number}")] {
            let question = docs.request("/authz/check", &check("folder:1", "can_read", "person:ann"));
            let answer = send(question.header("x-sentinel-revision", &odd)).await;
            assert_eq!((answer.status, answer.text("code")), (400, "revision_invalid"), "{odd}");
        }
        for odd in ["01", "+1", "1.0", "%2B1", "00"] {
            let request = docs.app.get(&format!("/authz/models/{odd}")).header("x-service-key", &docs.key);
            let answer = send(request).await;
            assert_eq!((answer.status, answer.text("code")), (422, "validation_failed"), "{odd}");
        }
        let request = docs.app.get("/authz/models/1").header("x-service-key", &docs.key);
        assert_eq!(request.send().await.expect("answer").status().as_u16(), 200);
    }
}
