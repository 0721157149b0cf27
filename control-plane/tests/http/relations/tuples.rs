//! Tuples over HTTP: what is written, by whom, and what is refused.

use std::time::Duration;

use futures_util::future::join_all;
use reqwest::Method;
use sentinel_store::on_both_backends;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{MODEL, World, places, subject, text, viewer};
use crate::answer::{is_moment, members, send};
use crate::common::{As as _, Options};

on_both_backends! {
    async fn what_is_written_counts_at_its_revision(store: TestStore) {
        let world = World::start(store).await;
        let written = world.write(&json!({ "writes": [viewer(1, 1), viewer(1, 2)] })).await;
        assert_eq!(written.status, 200, "{written:?}");
        assert_eq!(written.body["written"], 2);
        assert_eq!(written.revision.as_deref(), written.body["revision"].as_str());
        assert!(world.reads(1, 1), "at once, for the write waits for the replica");
        let again = world.put(&[viewer(1, 1)]).await;
        assert_eq!((again.body["written"].as_u64(), &again.revision), (Some(0), &written.revision), "no change, no revision");
        let changed = world.write(&json!({ "writes": [viewer(2, 1)], "deletes": [viewer(1, 1), viewer(9, 9)] })).await;
        assert_eq!((changed.body["written"].as_u64(), changed.body["deleted"].as_u64()), (Some(1), Some(1)));
        assert_ne!(changed.revision, written.revision);
        assert!(!world.reads(1, 1));
        assert_eq!(world.write(&json!({})).await.status, 200, "nothing is no error");

        let page = send(world.get(&format!("/authz/tuples?object_type=folder&subject={}", subject(1)))).await;
        assert_eq!(page.body, json!({ "tuples": [viewer(2, 1)], "cursor": null }));
        assert_eq!(page.revision, changed.revision);
        let empty = send(world.get("/authz/tuples?object_type=team")).await;
        assert_eq!(empty.body["tuples"], json!([]));
    }

    async fn pages_follow_one_another(store: TestStore) {
        let world = World::start(store).await;
        let all: Vec<Value> = (0..25).map(|number| viewer(number, 1)).collect();
        world.put(&all).await;
        let mut found = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = send(world.get(&format!("/authz/tuples?object_type=folder&limit=10{cursor}"))).await;
            assert_eq!(page.status, 200, "{page:?}");
            assert_eq!(members(&page.body), ["cursor", "tuples"]);
            found.extend(page.body["tuples"].as_array().expect("tuples").iter().map(text));
            let Some(next) = page.body["cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        let mut expected: Vec<String> = all.iter().map(text).collect();
        expected.sort();
        assert_eq!(found, expected);
        for bad in ["limit=0", "limit=1001", "limit=x", "cursor=x", "cursor=", "cursor=%00", "object_id=1", "relation=%00",
            "object_type=user", "object_type=docs/folder", "object_type=wiki/page", "subject=ann", "subject_type=a:b",
            "object_type=folder&object_id=%00", "subject=user:*&subject_type=team", "unknown=1"] {
            let status = send(world.get(&format!("/authz/tuples?{bad}"))).await.status;
            assert!(matches!(status, 400 | 422), "{bad}: {status}");
        }
    }

    async fn everything_that_is_wrong_is_said_at_once(store: TestStore) {
        let world = World::start(store).await;
        let one = |object: &str, relation: &str, subject: &str| {
            json!({ "object": object, "relation": relation, "subject": subject })
        };
        let ann = subject(1);
        let mut ended = viewer(8, 1);
        ended["expires_at"] = json!("2001-01-01T00:00:00Z");
        let refused = world.write(&json!({
            "writes": [
                viewer(1, 1),
                one("folder", "viewer", &ann),
                one("folder:1", "owner", &ann),
                one("wiki/page:1", "viewer", &ann),
                one("docs/folder:1", "viewer", &ann),
                one(&format!("group:{}", Uuid::nil()), "member", &ann),
                one("folder:1", "viewer", "user:ann"),
                one("folder:1", "viewer", &format!("resource:wiki/page/{}", Uuid::nil())),
                ended,
                viewer(1, 1),
                one(&format!("folder:{}", "x".repeat(513)), "viewer", &ann),
            ],
            "deletes": [viewer(1, 1)],
            "preconditions": [
                { "object": "file:1", "relation": "viewer", "subject": ann, "must": "exist" },
            ],
        })).await;
        assert_eq!((refused.status, refused.text("code")), (422, "validation_failed"));
        let writes = (1..=10).map(|index| format!("body.writes.{index}"));
        let rest = ["body.deletes.0".to_owned(), "body.preconditions.0".to_owned()];
        assert_eq!(places(&refused), writes.chain(rest).collect::<Vec<_>>(), "{refused:?}");
        assert!(!refused.body.to_string().contains("docs/folder:1#"), "in the service's own words: {refused:?}");
        assert!(world.tuples().await.is_empty());
        for body in [
            json!({ "write": [] }),
            json!({ "writes": [{ "object": "folder:1", "relation": "viewer", "subject": ann, "expire_at": "2999-01-01T00:00:00Z" }] }),
            json!({ "writes": [{ "object": "folder:1", "relation": "viewer", "subject": ann, "expires_at": "tomorrow" }] }),
            json!({ "writes": [{ "object": "folder:1", "relation": "viewer", "subject": ann, "expires_at": "+262142-01-01T00:00:00Z" }] }),
            json!({ "preconditions": [{ "object": "folder:1", "relation": "viewer", "subject": ann, "must": "maybe" }] }),
        ] {
            assert_eq!(world.write(&body).await.status, 422, "{body}");
        }
        let many: Vec<Value> = (0..1_001).map(|number| viewer(number, 1)).collect();
        let many = world.write(&json!({ "writes": many })).await;
        assert_eq!((many.status, many.text("code")), (422, "too_many_changes"));
        assert!(world.tuples().await.is_empty());
    }

    async fn a_thousand_changes_are_one_revision(store: TestStore) {
        let world = World::start(store).await;
        let before = world.app.app.database().head().await.expect("head");
        let many: Vec<Value> = (0..1_000).map(|number| viewer(number, 1)).collect();
        let written = world.put(&many).await;
        assert_eq!(written.body["written"], 1_000);
        let after = world.app.app.database().head().await.expect("head");
        assert_eq!(after.number, before.number + 1);
        assert!(world.reads(0, 1) && world.reads(999, 1));
        let deleted = send(world.post("/authz/tuples/delete").json(&json!({ "object_type": "folder", "object_id": "7" }))).await;
        assert_eq!(deleted.body["deleted"], 1, "{deleted:?}");
        let deleted = send(world.post("/authz/tuples/delete").json(&json!({ "object_type": "folder" }))).await;
        assert_eq!((deleted.body["deleted"].as_u64(), deleted.body["more"].as_bool()), (Some(999), Some(false)));
        assert!(deleted.revision.is_some());
        assert!(world.tuples().await.is_empty());
        assert!(!world.reads(999, 1));
        assert_eq!(send(world.post("/authz/tuples/delete").json(&json!({}))).await.status, 422, "a type is needed");
    }

    async fn one_of_several_who_want_to_be_the_first_is(store: TestStore) {
        let world = World::start(store).await;
        let claim = |user: u128| json!({
            "writes": [{ "object": "folder:1", "relation": "parent", "subject": "folder:2" }, viewer(1, user)],
            "preconditions": [{ "object": "folder:1", "relation": "parent", "subject": "folder:2", "must": "not_exist" }],
        });
        let claims: Vec<Value> = (1..=8).map(claim).collect();
        let answers = join_all(claims.iter().map(|claim| world.write(claim))).await;
        let won = answers.iter().filter(|answer| answer.status == 200).count();
        let lost: Vec<_> = answers.iter().filter(|answer| answer.status == 412).collect();
        assert_eq!((won, lost.len()), (1, 7));
        assert_eq!(lost[0].text("code"), "precondition_failed");
        assert_eq!(places(lost[0]), ["body.preconditions.0"]);
        assert_eq!(world.tuples().await.len(), 2, "of those who lost nothing was written");
        let needs = json!({
            "deletes": [viewer(5, 5)],
            "preconditions": [
                { "object": "folder:1", "relation": "parent", "subject": "folder:2", "must": "exist" },
                { "object": "folder:5", "relation": "parent", "subject": "folder:2", "must": "exist" },
            ],
        });
        assert_eq!(places(&world.write(&needs).await), ["body.preconditions.1"]);
    }

    async fn a_write_that_is_sent_again_is_done_once(store: TestStore) {
        let world = World::start(store).await;
        let send_as = |key: &str, body: Value| send(world.post("/authz/tuples").header("idempotency-key", key).json(&body));
        let body = json!({ "writes": [viewer(1, 1)] });
        let both = join_all((0..4).map(|_| send_as("a", body.clone()))).await;
        let first = &both[0];
        for answer in &both {
            assert_eq!((answer.status, &answer.body, &answer.revision), (200, &first.body, &first.revision));
        }
        assert_eq!(first.body["written"], 1);
        world.write(&json!({ "deletes": [viewer(1, 1)] })).await;
        let again = send_as("a", body.clone()).await;
        assert_eq!((&again.body, &again.revision), (&first.body, &first.revision));
        assert!(world.tuples().await.is_empty());
        let other = send_as("a", json!({ "writes": [viewer(1, 2)] })).await;
        assert_eq!((other.status, other.text("code")), (422, "idempotency_key_reused"));
        let long = "x".repeat(256);
        for bad in ["", long.as_str()] {
            assert_eq!(send_as(bad, body.clone()).await.status, 422, "`{bad}`");
        }
        let twice = world.post("/authz/tuples").header("idempotency-key", "a").header("idempotency-key", "b").json(&body);
        assert_eq!(send(twice).await.status, 400);
    }

    async fn a_tuple_ends_when_it_says(store: TestStore) {
        let world = World::start(store).await;
        let mut ending = viewer(1, 1);
        let until = world.app.app.now() + Duration::from_mins(5);
        ending["expires_at"] = json!(until.to_rfc3339());
        world.put(&[ending]).await;
        let page = send(world.get("/authz/tuples")).await;
        assert!(is_moment(&page.body["tuples"][0]["expires_at"]), "{page:?}");
        assert!(world.reads(1, 1));
        world.app.clock.advance(Duration::from_mins(5));
        assert!(!world.reads(1, 1), "on the second, with no change");
        assert!(world.tuples().await.is_empty());
        let keep = sentinel_control_plane::jobs::janitor::Keep { younger_than: Duration::from_hours(1), at_least: 100 };
        let facts = world.app.app.replica().load().len();
        sentinel_control_plane::jobs::janitor::once(&world.app.app, keep).await.expect("a round");
        world.app.settle().await;
        assert_eq!(world.app.app.replica().load().len(), facts - 1, "the janitor tells the replicas");
    }

    async fn services_keep_apart_and_nobody_else_writes(store: TestStore) {
        let world = World::start_without_model(store, Options::default()).await;
        let none = world.write(&json!({ "writes": [viewer(1, 1)] })).await;
        assert_eq!((none.status, none.text("code")), (409, "no_model"));
        world.write_model(MODEL, "").await;
        world.put(&[viewer(1, 1)]).await;
        let wiki = |method: Method, path: &str| world.app.request(method, path).header("x-service-key", &world.wiki);
        assert_eq!(send(wiki(Method::POST, "/authz/models").body(MODEL)).await.status, 201);
        assert_eq!(send(wiki(Method::GET, "/authz/tuples")).await.body["tuples"], json!([]));
        let deleted = send(wiki(Method::POST, "/authz/tuples/delete").json(&json!({ "object_type": "folder" }))).await;
        assert_eq!(deleted.body["deleted"], 0);
        let same = send(wiki(Method::POST, "/authz/tuples").json(&json!({ "deletes": [viewer(1, 1)] }))).await;
        assert_eq!(same.body["deleted"], 0, "the same names are other things");
        assert_eq!(world.tuples().await.len(), 1);

        let (_, _, pair) = world.app.owner("owner@example.com", "acme").await;
        for (method, path) in [
            (Method::GET, "/authz/models"), (Method::POST, "/authz/models"), (Method::GET, "/authz/models/current"),
            (Method::GET, "/authz/tuples"), (Method::POST, "/authz/tuples"), (Method::POST, "/authz/tuples/delete"),
            (Method::GET, "/authz/tuples/export"), (Method::POST, "/authz/tuples/import"),
        ] {
            // What is of no effect with the service's own key.
            let nothing = json!({ "object_type": "folder", "object_id": "none" });
            let plain = || world.app.request(method.clone(), path).json(&nothing);
            assert_eq!(send(plain()).await.status, 401, "{method} {path} without a credential");
            assert_eq!(send(plain().bearer(&pair)).await.status, 401, "{method} {path} as a user");
            assert_eq!(send(plain().header("x-service-key", "sk_nobody")).await.status, 401, "{method} {path}");
            let of_page = plain().header("x-service-key", &world.docs).header("origin", "https://docs.example.com");
            let answer = of_page.send().await.expect("answer");
            assert!(!answer.headers().contains_key("access-control-allow-origin"), "{method} {path} from a page");
        }
        assert_eq!(world.tuples().await.len(), 1);
    }
}
