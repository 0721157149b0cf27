//! "At least as fresh": every write says its revision, and every question that brings one is answered from a state that
//! has it, or not at all.

use std::sync::Arc;

use reqwest::{Method, RequestBuilder};
use sentinel_core::WorkspaceRole::Viewer;
use sentinel_store::on_both_backends;
use serde_json::{Value, json};

use super::{Docs, check};
use crate::answer::send;
use crate::common::routes::sources;
use crate::common::{As as _, Options, Pair, TestApp};

/// Every question that there is: method, path and body.
fn questions(workspace: &str) -> Vec<(Method, String, Value)> {
    let item = json!({
        "service_name": "docs", "resource_type": "document", "resource_id": uuid::Uuid::from_u128(7), "action": "view",
    });
    let listing = json!({
        "service_name": "docs", "resource_type": "document", "action": "view", "workspace_id": workspace,
    });
    let action = json!({ "service_name": "docs", "action": "reports:export", "workspace_id": workspace });
    let objects = json!({ "object_type": "folder", "relation": "can_read", "subject": "person:ann" });
    let subjects = json!({ "object": "folder:1", "relation": "can_read", "subject_type": "person" });
    let user_actions = format!("/roles/user-actions?service_name=docs&workspace_id={workspace}");
    let question = check("folder:1", "can_read", "person:ann");
    let mut all = vec![(Method::GET, user_actions, Value::Null)];
    for (path, body) in [
        ("/authz/check", question.clone()),
        ("/authz/batch-check", json!({ "checks": [question] })),
        (
            "/authz/expand",
            json!({ "object": "folder:1", "relation": "can_read" }),
        ),
        ("/authz/list-objects", objects),
        ("/authz/list-subjects", subjects),
        ("/permissions/check", json!({ "checks": [item] })),
        ("/permissions/accessible", listing),
        ("/roles/check-action", action),
    ] {
        all.push((Method::POST, path.to_owned(), body));
    }
    all
}

fn asked(
    app: &TestApp,
    key: &str,
    pair: &Pair,
    (method, path, body): &(Method, String, Value),
) -> RequestBuilder {
    let request = app
        .request(method.clone(), path)
        .header("x-service-key", key)
        .bearer(pair);
    if body.is_null() {
        request
    } else {
        request.json(body)
    }
}

on_both_backends! {
    async fn a_revision_that_is_not_reached_is_never_answered_from_an_older_state(store: TestStore) {
        let docs = Docs::start(store).await;
        let (_, workspace, pair) = docs.app.owner("ann@example.com", "acme").await;
        docs.write(&["folder:1#owner@person:ann"]).await;
        let head = docs.app.app.database().head().await.expect("head");
        for question in questions(&workspace.to_string()) {
            let ask = |revision: String| asked(&docs.app, &docs.key, &pair, &question).header("x-sentinel-revision", revision);
            let what = &question.1;
            let plain = send(asked(&docs.app, &docs.key, &pair, &question)).await;
            assert_eq!((plain.status, plain.revision), (200, Some(head.to_string())), "{what}: {:?}", plain.body);
            for future in [format!("{}.{}", head.epoch, head.number + 1), format!("{}.0", head.epoch + 1)] {
                let answer = ask(future).send().await.expect("answer");
                assert_eq!(answer.status().as_u16(), 503, "{what}");
                assert_eq!(answer.headers()["retry-after"], "1", "{what}");
                let body: Value = answer.json().await.expect("json");
                assert_eq!(body["code"], "revision_not_reached", "{what}");
            }
            for nonsense in ["newest", "7", "7.", ".7", "7.7.7", "-1.1", "7.1 "] {
                // The space goes with the header.
                let status = if nonsense.ends_with(' ') { 200 } else { 400 };
                assert_eq!(send(ask(nonsense.to_owned())).await.status, status, "{what} {nonsense}");
            }
            let twice = ask(head.to_string()).header("x-sentinel-revision", head.to_string());
            assert_eq!(send(twice).await.status, 400, "{what}");
            // What of an older history is left is in every state of this one.
            for reached in [head.to_string(), format!("{}.{}", head.epoch - 1, u64::MAX)] {
                assert_eq!(send(ask(reached)).await.status, 200, "{what}");
            }
        }
    }

    async fn a_question_with_the_revision_of_a_write_has_its_effect(store: TestStore) {
        let docs = Docs::start(store).await;
        // The writer does not wait for any replica here, so that questions and replication are in a race.
        for round in 0..20 {
            let tuple = format!("docs/folder:{round}#owner@docs/person:ann").parse().expect("tuple");
            let mut tx = docs.app.app.database().write().await.expect("tx");
            tx.record(sentinel_core::Change::Put(sentinel_core::Fact::Tuple(tuple)));
            let revision = tx.commit().await.expect("commit").expect("a revision");
            let question = check(&format!("folder:{round}"), "can_read", "person:ann");
            let request = docs.request("/authz/check", &question).header("x-sentinel-revision", revision.to_string());
            let answer = send(request).await;
            assert!(answer.status == 503 || answer.body["allowed"] == true, "{round}: {answer:?}");
        }
    }

    async fn another_control_plane_answers_with_what_the_first_has_written(store: TestStore) {
        let other = store.another_process().await;
        let (clock, short_lived) = (Arc::clone(&store.clock), Arc::clone(&store.short_lived));
        let docs = Docs::start(store).await;
        let second = TestApp::beside(&docs.app, other, short_lived, clock, Options::default()).await;
        for round in 0..10 {
            let tuple = format!("folder:{round}#owner@person:ann");
            for allowed in [true, false] {
                let revision = if allowed { docs.write(&[&tuple]).await } else { docs.delete(&[&tuple]).await };
                let question = check(&format!("folder:{round}"), "can_read", "person:ann");
                let answer = loop {
                    let request = second.post("/authz/check").header("x-service-key", &docs.key).json(&question);
                    let answer = send(request.header("x-sentinel-revision", &revision)).await;
                    if answer.status != 503 {
                        break answer;
                    }
                    assert_eq!(answer.text("code"), "revision_not_reached");
                };
                assert_eq!((answer.status, &answer.body["allowed"]), (200, &json!(allowed)), "{round}");
            }
        }
    }

    async fn a_write_that_changes_nothing_has_a_revision_too(store: TestStore) {
        let docs = Docs::start(store).await;
        let (_, workspace, pair) = docs.app.owner("ann@example.com", "acme").await;
        docs.app.user("bob@example.com").await;
        docs.app.member(workspace, "bob@example.com", Viewer).await;
        let written = docs.write(&["folder:1#owner@person:ann"]).await;
        assert_eq!(docs.write(&["folder:1#owner@person:ann"]).await, written, "what it found holds since then");
        let base = format!("/workspaces/{workspace}");
        for (method, path, body) in [
            (Method::PATCH, "/users/me".to_owned(), json!({ "name": "Ann" })),
            (Method::PATCH, base.clone(), json!({ "name": "Acme" })),
            (Method::POST, format!("{base}/members/invite"), json!({ "email": "eve@example.com" })),
            (Method::POST, format!("{base}/groups"), json!({ "name": "Eng" })),
        ] {
            let answer = send(docs.app.request(method, &path).bearer(&pair).json(&body)).await;
            assert_eq!(answer.status / 100, 2, "{path}: {answer:?}");
            assert!(answer.revision.is_some(), "{path}");
        }
        let actions = json!({ "service_name": "docs", "actions": [{ "action": "reports:export" }] });
        assert!(docs.ask("/roles/actions/register", actions).await.revision.is_some());
    }
}

/// Whatever commits by [`sentinel_control_plane::commit`] must use the revision that it gets; this finds what does not.
#[test]
fn no_endpoint_commits_without_saying_its_revision() {
    let mut found = 0;
    for source in sources() {
        for part in source.split("tx.commit().await").skip(1) {
            let function = part.split("\nasync fn ").next().unwrap_or_default();
            assert!(
                function.contains("unreplicated(") || function.contains("published("),
                "a write without `X-Sentinel-Revision`, before:{function}"
            );
            found += 1;
        }
    }
    assert!(found >= 3, "the sources were read");
}
