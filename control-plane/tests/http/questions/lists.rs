//! Lists: complete, in order, and page by page of one state.

use std::sync::Arc;

use sentinel_store::on_both_backends;
use serde_json::{Value, json};

use super::{Docs, MODEL, body_of, chain, joined};
use crate::answer::{Answer, send};
use crate::common::{Options, TestApp};

fn objects(subject: &str) -> Value {
    json!({ "object_type": "folder", "relation": "can_read", "subject": subject })
}

fn subjects(object: &str) -> Value {
    json!({ "object": object, "relation": "can_read", "subject_type": "person" })
}

/// The same question, further on.
fn page(mut question: Value, limit: usize, cursor: &Value) -> Value {
    question["limit"] = json!(limit);
    if !cursor.is_null() {
        question["cursor"] = cursor.clone();
    }
    question
}

/// All pages, by this many each.
async fn whole(docs: &Docs, path: &str, question: Value, limit: usize) -> (Vec<String>, Vec<Answer>) {
    let (mut all, mut answers, mut cursor) = (Vec::new(), Vec::new(), Value::Null);
    loop {
        let answer = docs.ask(path, page(question.clone(), limit, &cursor)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let name = if path.ends_with("objects") {
            "objects"
        } else {
            "subjects"
        };
        let part = answer.body[name].as_array().expect("a list");
        assert!(part.len() <= limit);
        all.extend(part.iter().map(|id| id.as_str().expect("text").to_owned()));
        cursor = answer.body["cursor"].clone();
        answers.push(answer);
        if cursor.is_null() {
            return (all, answers);
        }
    }
}

on_both_backends! {
    async fn a_list_is_whole_and_in_order_whatever_the_pages(store: TestStore) {
        let docs = Docs::start(store).await;
        let folders: Vec<String> = (0..57).map(|at| format!("folder:f{at:03}")).collect();
        let tuples: Vec<String> = folders.iter().map(|folder| format!("{folder}#owner@person:ann")).collect();
        let tuples: Vec<&str> = tuples.iter().map(String::as_str).collect();
        docs.write(&tuples).await;
        docs.write(&["folder:f007#banned@person:ann", "folder:g#viewer@person:*", "folder:h#parent@folder:f001"]).await;
        let mut expected: Vec<String> = folders.iter().filter(|folder| *folder != "folder:f007").cloned().collect();
        expected.extend(["folder:g".to_owned(), "folder:h".to_owned()]);
        for limit in [1, 10, 58, 59, 1000] {
            let (all, _) = whole(&docs, "/authz/list-objects", objects("person:ann"), limit).await;
            assert_eq!(all, expected, "{limit}");
        }
        let nobody = docs.ask("/authz/list-objects", objects("person:eve")).await;
        assert_eq!(nobody.body, json!({ "objects": ["folder:g"], "undecided": [], "cursor": null }));
        let more = json!({
            "object_type": "folder", "relation": "can_read", "subject": "person:eve",
            "contextual_tuples": [body_of("folder:f002#viewer@person:eve")],
        });
        let (all, _) = whole(&docs, "/authz/list-objects", more, 1).await;
        assert_eq!(all, ["folder:f002", "folder:g"]);
        let userset = docs.ask("/authz/list-objects", objects("team:a#member")).await;
        assert_eq!(userset.body["objects"], json!([]));
    }

    async fn subjects_are_listed_too_everyone_among_them(store: TestStore) {
        let docs = Docs::start(store).await;
        docs.write(&[
            "folder:1#viewer@person:*", "folder:1#owner@person:ann", "folder:1#banned@person:bob", "folder:2#parent@folder:1",
            "folder:1#viewer@team:a#member", "team:a#member@person:cid",
        ])
        .await;
        for limit in [1, 2, 100] {
            let (all, _) = whole(&docs, "/authz/list-subjects", subjects("folder:2"), limit).await;
            assert_eq!(all.join(" "), "person:* person:ann person:cid", "{limit}");
            let (all, _) = whole(&docs, "/authz/list-subjects", subjects("folder:1"), limit).await;
            assert_eq!(all.join(" "), "person:* person:ann person:cid", "{limit}");
        }
        let mut teams = subjects("folder:2");
        teams["subject_type"] = json!("team");
        teams["subject_relation"] = json!("member");
        assert_eq!(joined(&docs.ask("/authz/list-subjects", teams).await.body["subjects"]), "team:a#member");
    }

    async fn all_pages_are_of_the_state_of_the_first(store: TestStore) {
        let other = store.another_process().await;
        let (clock, short_lived) = (Arc::clone(&store.clock), Arc::clone(&store.short_lived));
        let docs = Docs::start(store).await;
        let second = TestApp::beside(&docs.app, other, short_lived, clock, Options::default()).await;
        docs.write(&["folder:a#owner@person:ann", "folder:b#owner@person:ann", "folder:c#owner@person:ann", "folder:d#owner@person:ann"]).await;
        let first = docs.ask("/authz/list-objects", page(objects("person:ann"), 1, &Value::Null)).await;
        assert_eq!(joined(&first.body["objects"]), "folder:a");
        docs.delete(&["folder:b#owner@person:ann", "folder:d#owner@person:ann"]).await;
        let newest = docs.write(&["folder:bb#owner@person:ann", "folder:c#banned@person:ann"]).await;

        let next = docs.ask("/authz/list-objects", page(objects("person:ann"), 2, &first.body["cursor"])).await;
        assert_eq!(joined(&next.body["objects"]), "folder:b folder:c");
        assert_eq!(next.revision, first.revision, "it says what it is taken of");
        // Another control plane, which has not seen the first page.
        let rest = page(objects("person:ann"), 100, &next.body["cursor"]);
        second.settle().await;
        let rest = second.post("/authz/list-objects").header("x-service-key", &docs.key).json(&rest);
        let rest = send(rest).await;
        assert_eq!((rest.status, &rest.revision), (200, &first.revision), "{rest:?}");
        assert_eq!(rest.body, json!({ "objects": ["folder:d"], "undecided": [], "cursor": null }));

        let (now, _) = whole(&docs, "/authz/list-objects", objects("person:ann"), 1).await;
        assert_eq!(now, ["folder:a", "folder:bb"]);
        // Who knows of something newer is not served an old list.
        let stale = docs.request("/authz/list-objects", &page(objects("person:ann"), 2, &first.body["cursor"]));
        let stale = send(stale.header("x-sentinel-revision", newest)).await;
        assert_eq!((stale.status, stale.text("code")), (410, "cursor_expired"));
    }

    async fn a_list_does_not_go_on_under_another_model(store: TestStore) {
        let docs = Docs::start(store).await;
        docs.write(&["folder:a#owner@person:ann", "folder:b#owner@person:ann"]).await;
        let first = docs.ask("/authz/list-objects", page(objects("person:ann"), 1, &Value::Null)).await;
        docs.model(&docs.key, &MODEL.replace("(viewer or owner or", "(viewer or")).await;
        let next = docs.ask("/authz/list-objects", page(objects("person:ann"), 1, &first.body["cursor"])).await;
        assert_eq!((next.status, next.text("code")), (410, "cursor_expired"), "{next:?}");
    }

    async fn a_cursor_belongs_to_its_question_and_its_service(store: TestStore) {
        let docs = Docs::start(store).await;
        let (_, wiki) = docs.app.service("wiki").await;
        docs.model(&wiki, MODEL).await;
        let tuples = ["folder:a#owner@person:ann", "folder:b#owner@person:ann", "folder:b#owner@person:bob", "folder:b#owner@person:cid"];
        docs.write(&tuples).await;
        docs.change(&wiki, &tuples, &[]).await;
        let first = docs.ask("/authz/list-objects", page(objects("person:ann"), 1, &Value::Null)).await;
        let cursor = &first.body["cursor"];
        assert!(cursor.is_string());
        let refused = async |request| {
            let answer = send(request).await;
            assert_eq!((answer.status, answer.body["code"].as_str()), (400, Some("cursor_invalid")), "{answer:?}");
        };
        refused(docs.app.post("/authz/list-objects").header("x-service-key", &wiki).json(&page(objects("person:ann"), 1, cursor))).await;
        refused(docs.request("/authz/list-objects", &page(objects("person:bob"), 1, cursor))).await;
        let mut otherwise = page(objects("person:ann"), 1, cursor);
        otherwise["relation"] = json!("owner");
        refused(docs.request("/authz/list-objects", &otherwise)).await;
        let mut with_more = page(objects("person:ann"), 1, cursor);
        with_more["contextual_tuples"] = json!([body_of("folder:z#owner@person:ann")]);
        refused(docs.request("/authz/list-objects", &with_more)).await;
        refused(docs.request("/authz/list-subjects", &page(subjects("folder:a"), 1, cursor))).await;
        let text = cursor.as_str().expect("text");
        for at in 0..text.len() {
            let mut forged = text.as_bytes().to_vec();
            forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
            let forged = json!(String::from_utf8(forged).expect("text"));
            refused(docs.request("/authz/list-objects", &page(objects("person:ann"), 1, &forged))).await;
        }
        for nonsense in ["", "x", "....", &"A".repeat(5000)] {
            refused(docs.request("/authz/list-objects", &page(objects("person:ann"), 1, &json!(nonsense)))).await;
        }
    }

    async fn what_is_not_decided_is_named_beside_the_list(store: TestStore) {
        let docs = Docs::start(store).await;
        let deep = chain("b", 150);
        let deep: Vec<&str> = deep.iter().map(String::as_str).collect();
        docs.write(&deep).await;
        docs.write(&["folder:a#viewer@person:deep", "folder:c#viewer@person:deep"]).await;
        let answer = docs.ask("/authz/list-objects", objects("person:deep")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(joined(&answer.body["objects"]), "folder:a folder:c");
        assert_eq!(answer.body["undecided"][0]["id"], "folder:b");
        assert_eq!(answer.body["undecided"][0]["error"]["code"], "too_deep");
        assert_eq!(answer.body["undecided"].as_array().map(Vec::len), Some(1));
    }

    async fn lists_have_the_same_limits_as_questions(store: TestStore) {
        let docs = Docs::start(store).await;
        let (_, wiki) = docs.app.service("wiki").await;
        docs.model(&wiki, MODEL).await;
        for (field, value, status) in [
            ("limit", json!(0), 422), ("limit", json!(1001), 422), ("limit", json!(-1), 422),
            ("object_type", json!("wiki/folder"), 422), ("object_type", json!("docs/folder"), 422),
            ("object_type", json!("group"), 422), ("object_type", json!("resource"), 422), ("object_type", json!("house"), 422),
            ("subject", json!("wiki/team:1#member"), 422), ("relation", json!("can_fly"), 422), ("unknown", json!(1), 422),
            ("contextual_tuples", json!([body_of("group:g#member@user:ann")]), 422),
            ("subject", json!("person:*"), 200),
        ] {
            let mut question = objects("person:ann");
            question[field] = value;
            let answer = docs.ask("/authz/list-objects", question).await;
            assert_eq!(answer.status, status, "{field}: {answer:?}");
        }
        for (field, value) in [
            ("object", json!("wiki/folder:1")), ("object", json!("group:1")), ("subject_type", json!("wiki/team")),
            ("subject_type", json!("spaceship")), ("subject_relation", json!("can_fly")), ("limit", json!(0)),
        ] {
            let mut question = subjects("folder:1");
            question[field] = value;
            let answer = docs.ask("/authz/list-subjects", question).await;
            assert_eq!(answer.status, 422, "{field}: {answer:?}");
        }
    }
}
