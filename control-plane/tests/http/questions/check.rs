//! One question, many at once, and what a relation is made of.

use sentinel_store::on_both_backends;
use serde_json::{Value, json};

use super::{Docs, MODEL, body_of, chain, check};
use crate::answer::send;
use crate::common::As as _;

/// A check with some tuples more.
fn with(object: &str, relation: &str, subject: &str, contextual: &[&str]) -> Value {
    let tuples: Vec<Value> = contextual.iter().map(|tuple| body_of(tuple)).collect();
    json!({ "object": object, "relation": relation, "subject": subject, "contextual_tuples": tuples })
}

on_both_backends! {
    async fn a_check_says_yes_or_no_and_why(store: TestStore) {
        let docs = Docs::start(store).await;
        let written = docs
            .write(&[
                "folder:plans#parent@folder:company",
                "folder:company#viewer@team:all#member",
                "team:all#member@person:ann",
                "folder:plans#banned@person:bob",
                "team:all#member@person:bob",
            ])
            .await;
        let explained = |subject: &str| {
            json!({ "object": "folder:plans", "relation": "can_read", "subject": subject, "explain": true })
        };
        let yes = docs.ask("/authz/check", explained("person:ann")).await;
        assert_eq!(yes.status, 200, "{yes:?}");
        assert_eq!(yes.revision, Some(written), "decided at the newest state");
        assert_eq!(yes.body, json!({
            "allowed": true,
            "explanation": { "tuples": [
                "folder:plans#parent@folder:company",
                "folder:company#viewer@team:all#member",
                "team:all#member@person:ann",
            ] },
        }));
        let stranger = docs.ask("/authz/check", explained("person:eve")).await;
        assert_eq!(stranger.body["allowed"], false);
        let missing = stranger.body["explanation"]["missing"].as_array().expect("ways");
        assert!(missing.contains(&json!(["team:all#member@person:eve"])), "{missing:?}");
        let banned = docs.ask("/authz/check", explained("person:bob")).await;
        assert_eq!(banned.body, json!({ "allowed": false, "explanation": { "missing": [] } }));
        let short = docs.ask("/authz/check", check("folder:plans", "can_read", "person:ann")).await;
        assert_eq!(short.body, json!({ "allowed": true }));
        for (subject, allowed) in [("person:bob", false), ("team:all#member", true), ("team:none#member", false), ("person:*", false)] {
            assert_eq!(docs.may("folder:plans", "can_read", subject).await, json!(allowed), "{subject}");
        }
        assert_eq!(docs.may("folder:nowhere", "can_read", "person:ann").await, json!(false));
        docs.delete(&["team:all#member@person:ann"]).await;
        assert_eq!(docs.may("folder:plans", "can_read", "person:ann").await, json!(false), "read your writes");
    }

    async fn a_tuple_that_ends_does_not_hold_from_then_on(store: TestStore) {
        let docs = Docs::start(store).await;
        let until = (docs.app.app.now() + std::time::Duration::from_mins(1)).to_rfc3339();
        let mut tuple = body_of("folder:1#viewer@person:ann");
        tuple["expires_at"] = json!(until);
        let answer = docs.ask("/authz/tuples", json!({ "writes": [tuple] })).await;
        assert_eq!(answer.status / 100, 2, "{answer:?}");
        docs.app.clock.advance(std::time::Duration::from_secs(59));
        assert_eq!(docs.may("folder:1", "can_read", "person:ann").await, json!(true));
        docs.app.clock.advance(std::time::Duration::from_secs(1));
        assert_eq!(docs.may("folder:1", "can_read", "person:ann").await, json!(false));
    }

    async fn everyone_is_a_subject_of_his_own(store: TestStore) {
        let docs = Docs::start(store).await;
        docs.write(&["folder:open#viewer@person:*", "folder:open#banned@person:bob", "folder:shut#viewer@person:ann"]).await;
        for (object, subject, allowed) in [
            ("folder:open", "person:*", true),
            ("folder:open", "person:whoever", true),
            ("folder:open", "person:bob", false),
            ("folder:shut", "person:*", false),
            ("folder:shut", "person:ann", true),
        ] {
            assert_eq!(docs.may(object, "can_read", subject).await, json!(allowed), "{object} {subject}");
        }
        for subject in ["*", "user", "person:", ":*", "person:**", "person:*#member", "team:*#member"] {
            assert_eq!(docs.may("folder:open", "can_read", subject).await, json!("validation_failed"), "{subject}");
        }
    }

    async fn tuples_that_come_with_a_question_hold_for_it_alone(store: TestStore) {
        let docs = Docs::start(store).await;
        docs.write(&["folder:1#viewer@team:a#member", "folder:2#viewer@person:ann"]).await;
        let more = with("folder:1", "can_read", "person:ann", &["team:a#member@person:ann"]);
        assert_eq!(docs.ask("/authz/check", more).await.body, json!({ "allowed": true }));
        assert_eq!(docs.may("folder:1", "can_read", "person:ann").await, json!(false));
        let less = with("folder:2", "can_read", "person:ann", &["folder:2#banned@person:ann"]);
        assert_eq!(docs.ask("/authz/check", less).await.body, json!({ "allowed": false }));
        let many: Vec<String> = (0..101).map(|at| format!("team:a#member@person:u{at}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(docs.ask("/authz/check", with("folder:1", "can_read", "person:u99", &many[..100])).await.body["allowed"], true);
        assert_eq!(docs.ask("/authz/check", with("folder:1", "can_read", "person:u99", &many)).await.status, 422);
    }

    async fn what_comes_with_a_question_is_held_to_what_is_stored(store: TestStore) {
        let docs = Docs::start(store).await;
        let long = format!("person:{}", "x".repeat(513));
        for subject in [
            "user:ann",
            "user:018F4E7A-1111-7000-8000-000000000001",
            "group:g#member",
            "resource:wiki/page/018f4e7a-1111-7000-8000-000000000001",
            long.as_str(),
        ] {
            let mut question = check("folder:1", "can_read", "person:ann");
            question["contextual_tuples"] = json!([{ "object": "folder:1", "relation": "viewer", "subject": subject }]);
            let answer = docs.ask("/authz/check", question).await;
            assert_eq!((answer.status, answer.text("code")), (422, "validation_failed"), "{subject}: {answer:?}");
        }
    }

    async fn nobody_makes_himself_a_member_by_a_question(store: TestStore) {
        let docs = Docs::start(store).await;
        let (_, wiki) = docs.app.service("wiki").await;
        docs.model(&wiki, MODEL).await;
        docs.write(&["folder:1#viewer@team:a#member"]).await;
        for tuple in [
            // Sentinel's types: whose memberships are as they are.
            "group:018f4e7a-1111-7000-8000-000000000001#member@user:ann",
            "workspace:018f4e7a-1111-7000-8000-000000000001#owner@user:ann",
            "resource:docs/document/018f4e7a-1111-7000-8000-000000000001#owner@user:ann",
            "user:ann#member@user:ann",
            // Another service's, and one's own by their whole names.
            "wiki/folder:1#viewer@person:ann",
            "docs/folder:1#viewer@person:ann",
            "folder:1#viewer@wiki/team:a#member",
            // What the model does not have.
            "folder:1#can_read@person:ann",
            "folder:1#nothing@person:ann",
            "house:1#viewer@person:ann",
            "folder:1#viewer@folder:2",
            "folder:1#owner@person:*",
            // No tuples at all.
            "folder:*#viewer@person:ann",
            "folder:1 #viewer@person:ann",
        ] {
            for path in ["/authz/check", "/authz/expand"] {
                let mut body = with("folder:1", "can_read", "person:ann", &[tuple]);
                if path == "/authz/expand" {
                    body.as_object_mut().expect("a body").remove("subject");
                }
                let answer = docs.ask(path, body).await;
                assert_eq!(answer.status, 422, "{tuple}: {answer:?}");
                assert!(!answer.text("detail").contains("docs/team"), "{answer:?}");
            }
            let body = json!({ "checks": [with("folder:1", "can_read", "person:ann", &[tuple])] });
            let answer = docs.ask("/authz/batch-check", body).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            assert!(answer.body["results"][0]["error"]["code"].is_string(), "{tuple}: {answer:?}");
            assert!(answer.body["results"][0]["allowed"].is_null(), "{tuple}: {answer:?}");
        }
    }

    async fn a_service_asks_about_its_own_objects_only(store: TestStore) {
        let docs = Docs::start(store).await;
        let (_, wiki) = docs.app.service("wiki").await;
        docs.model(&wiki, MODEL).await;
        docs.change(&wiki, &["folder:1#viewer@person:ann"], &[]).await;
        assert_eq!(docs.may("folder:1", "can_read", "person:ann").await, json!(false), "another's folder of the same name");
        for object in [
            "wiki/folder:1", "docs/folder:1", "user:ann", "group:g", "workspace:w", "role:r", "action:w/docs/a",
            "resource:docs/document/1", "/folder:1", "folder", "folder:", "folder:*", "", "folder:1#viewer",
        ] {
            assert_eq!(docs.may(object, "can_read", "person:ann").await, json!("validation_failed"), "{object}");
            let expand = docs.ask("/authz/expand", json!({ "object": object, "relation": "can_read" })).await;
            assert_eq!(expand.status, 422, "{object}");
        }
        for (object, relation, code) in [
            ("house:1", "can_read", "unknown_type"),
            ("folder:1", "can_fly", "unknown_relation"),
            ("folder:1", "", "unknown_relation"),
        ] {
            let answer = docs.ask("/authz/check", check(object, relation, "person:ann")).await;
            assert_eq!((answer.status, answer.text("code")), (422, code), "{answer:?}");
            assert!(!answer.text("detail").contains("docs/"), "own names: {answer:?}");
        }
        assert_eq!(docs.may("folder:1", "can_read", "spaceship:1").await, json!("unknown_type"));
    }

    async fn what_cannot_be_decided_is_told_and_never_a_yes(store: TestStore) {
        let docs = Docs::start(store).await;
        let deep = chain("deep", 150);
        let deep: Vec<&str> = deep.iter().map(String::as_str).collect();
        docs.write(&deep).await;
        docs.write(&[
            // A circle, which has an end.
            "folder:a#parent@folder:b", "folder:b#parent@folder:a",
            // A relation that holds exactly when it does not.
            "puzzle:1#solver@puzzle:1#stuck", "puzzle:1#stuck@person:ann",
        ])
        .await;
        assert_eq!(docs.may("folder:deep", "can_read", "person:deep").await, json!("too_deep"));
        assert_eq!(docs.may("folder:a", "can_read", "person:ann").await, json!(false));
        assert_eq!(docs.may("puzzle:1", "solver", "person:ann").await, json!("paradox"));
        let answer = docs.ask("/authz/check", check("folder:deep", "can_read", "person:deep")).await;
        assert_eq!(answer.status, 422);
        assert!(answer.body["allowed"].is_null());
    }

    async fn many_questions_are_answered_at_one_state_each_for_itself(store: TestStore) {
        let docs = Docs::start(store).await;
        let deep = chain("deep", 150);
        let deep: Vec<&str> = deep.iter().map(String::as_str).collect();
        docs.write(&deep).await;
        let written = docs.write(&["folder:1#viewer@person:ann"]).await;
        let body = json!({ "checks": [
            check("folder:1", "can_read", "person:ann"),
            check("folder:1", "can_read", "person:bob"),
            check("wiki/folder:1", "can_read", "person:ann"),
            check("folder:deep", "can_read", "person:deep"),
            check("folder:1", "can_fly", "person:ann"),
            with("folder:1", "can_read", "person:bob", &["folder:1#owner@person:bob"]),
            check("folder:1", "can_read", "person:bob"),
        ] });
        let answer = docs.ask("/authz/batch-check", body).await;
        assert_eq!((answer.status, &answer.revision), (200, &Some(written)));
        let results = answer.body["results"].as_array().expect("results");
        let short: Vec<Value> = results
            .iter()
            .map(|result| if result["error"].is_object() { result["error"]["code"].clone() } else { result["allowed"].clone() })
            .collect();
        assert_eq!(short, [
            json!(true), json!(false), json!("validation_failed"), json!("too_deep"), json!("unknown_relation"), json!(true),
            json!(false),
        ]);
        let many = |count: usize| json!({ "checks": vec![check("folder:1", "can_read", "person:ann"); count] });
        let full = docs.ask("/authz/batch-check", many(1000)).await;
        assert_eq!(full.body["results"].as_array().map(Vec::len), Some(1000));
        assert_eq!(docs.ask("/authz/batch-check", many(1001)).await.status, 422);
        assert_eq!(docs.ask("/authz/batch-check", many(0)).await.body, json!({ "results": [] }));
        let laden = vec![with("folder:1", "can_read", "person:ann", &["folder:1#owner@person:bob"; 100]); 11];
        assert_eq!(docs.ask("/authz/batch-check", json!({ "checks": laden })).await.status, 422);
    }

    async fn an_expansion_shows_what_a_relation_is_made_of(store: TestStore) {
        let docs = Docs::start(store).await;
        docs.write(&["folder:1#parent@folder:2", "folder:1#viewer@person:*", "folder:1#viewer@team:a#member"]).await;
        let expand = async |relation: &str| {
            let answer = docs.ask("/authz/expand", json!({ "object": "folder:1", "relation": relation })).await;
            assert!(answer.revision.is_some());
            answer.body
        };
        assert_eq!(expand("viewer").await, json!({ "tree": { "leaf": ["team:a#member", "person:*"] } }));
        assert_eq!(expand("can_read").await, json!({ "tree": { "difference": {
            "base": { "union": [
                { "computed": "folder:1#viewer" },
                { "computed": "folder:1#owner" },
                { "from": { "tupleset": "folder:1#parent", "computed": ["folder:2#can_read"] } },
            ] },
            "subtract": { "computed": "folder:1#banned" },
        } } }));
        let unknown = docs.ask("/authz/expand", json!({ "object": "folder:1", "relation": "can_fly" })).await;
        assert_eq!((unknown.status, unknown.text("code")), (422, "unknown_relation"));
    }

    async fn only_a_live_service_key_may_ask_and_only_in_whole_words(store: TestStore) {
        let docs = Docs::start(store).await;
        let (_, _, pair) = docs.app.owner("ann@example.com", "acme").await;
        let question = check("folder:1", "can_read", "person:ann");
        for path in ["/authz/check", "/authz/batch-check", "/authz/expand", "/authz/list-objects", "/authz/list-subjects"] {
            let post = || docs.app.post(path).json(&question);
            assert_eq!(send(post()).await.status, 401, "{path}");
            assert_eq!(send(post().bearer(&pair)).await.status, 401, "{path}");
            assert_eq!(send(post().header("x-service-key", "sk_nonsense")).await.status, 401, "{path}");
            let twice = post().header("x-service-key", &docs.key).header("x-service-key", &docs.key);
            assert_eq!(send(twice).await.status, 400, "{path}");
        }
        for body in [
            json!({ "object": "folder:1", "relation": "can_read", "subject": "person:ann", "contextual_tuple": [] }),
            json!({ "object": "folder:1", "relation": "can_read" }),
            json!({ "object": 1, "relation": "can_read", "subject": "person:ann" }),
            json!([]),
        ] {
            assert_eq!(docs.ask("/authz/check", body).await.status, 422);
        }
        let mut tx = docs.app.app.database().write().await.expect("tx");
        let change = sentinel_access::service_apps::ServiceAppChange {
            is_active: Some(false),
            ..Default::default()
        };
        docs.app.app.access().service_apps.update(&mut tx, None, docs.service, change).await.expect("deactivated");
        tx.commit().await.expect("commit");
        docs.app.settle().await;
        assert_eq!(docs.ask("/authz/check", question).await.status, 401);
    }
}
