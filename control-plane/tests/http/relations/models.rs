//! Models over HTTP: versions, both forms, and what they are refused for.

use sentinel_access::relations::RouteNeed;
use sentinel_store::on_both_backends;
use serde_json::{Value, json};

use super::{MODEL, World, places, viewer};
use crate::answer::{members, send};
use crate::common::Options;

on_both_backends! {
    async fn a_model_is_written_listed_and_read_in_both_forms(store: TestStore) {
        let world = World::start_without_model(store, Options::default()).await;
        assert_eq!(send(world.get("/authz/models")).await.body, json!([]));
        let none = send(world.get("/authz/models/current")).await;
        assert_eq!((none.status, none.text("code")), (404, "model_not_found"));
        let first = world.write_model(MODEL, "").await;
        assert_eq!((first.status, first.body["version"].as_u64()), (201, Some(1)));
        assert_eq!(members(&first.body), ["created_at", "created_by", "version"]);
        assert!(first.revision.is_some());
        let again = world.write_model(MODEL, "").await;
        assert_eq!((again.status, &again.body, &again.revision), (200, &first.body, &first.revision));

        let text = world.get("/authz/models/current").send().await.expect("answer");
        assert_eq!(text.headers()["content-type"], "text/plain; charset=utf-8");
        assert_eq!(text.headers()["x-sentinel-model-version"], "1");
        assert_eq!(text.headers()["x-sentinel-revision"], first.revision.as_deref().expect("a revision"));
        assert_eq!(text.text().await.expect("text"), MODEL);

        let shown = send(world.get("/authz/models/1").header("accept", "application/json")).await;
        assert_eq!(shown.body["schema_version"], "1.1");
        let mut json = shown.body;
        let widened = json["type_definitions"].as_array_mut().expect("types");
        widened.push(json!({ "type": "file" }));
        let second = send(world.post("/authz/models").json(&json)).await;
        assert_eq!((second.status, second.body["version"].as_u64()), (201, Some(2)), "{second:?}");
        let current = world.get("/authz/models/current").send().await.expect("answer");
        assert!(current.text().await.expect("text").contains("type file"));
        let listed = send(world.get("/authz/models")).await;
        assert_eq!(listed.body, json!([second.body, first.body]));
        let of_wiki = send(world.app.get("/authz/models").header("x-service-key", &world.wiki)).await;
        assert_eq!(of_wiki.body, json!([]), "another service's are not told");
    }

    async fn what_is_no_model_is_refused_where_it_is_none(store: TestStore) {
        let world = World::start_without_model(store, Options::default()).await;
        let bad = world.write_model("model\n  schema 1.1\ntype a\n  relations\n    define b: [c]\n", "").await;
        assert_eq!((bad.status, bad.text("code")), (422, "invalid_model"));
        assert_eq!(places(&bad), ["body.line 5.column 16"]);
        let of_ours = "model\n  schema 1.1\ntype user\ntype group\n  relations\n    define member: [user:*]\n";
        assert_eq!(world.write_model(of_ours, "").await.status, 422);
        assert_eq!(world.write_model("", "").await.status, 422);
        assert_eq!(world.write_model("model\0", "").await.status, 422);
        for gap in [" ", "\t"] {
            let types: Vec<String> = (0..257).map(|number| format!("type{gap}t{number}\n")).collect();
            let many = world.write_model(&format!("model\n  schema 1.1\n{}", types.concat()), "").await;
            assert_eq!(many.status, 422);
            assert_eq!(many.body["errors"][0]["msg"], "a model has at most 256 types");
        }
        let large = world.write_model(&"#".repeat(256 * 1024 + 1), "").await;
        assert_eq!((large.status, large.text("code")), (413, "body_too_large"));
        let json = send(world.post("/authz/models").json(&json!({ "schema_version": "1.1", "type_definitions": 7 }))).await;
        assert_eq!((json.status, json.text("code")), (422, "invalid_model"));
        let xml = send(world.post("/authz/models").header("content-type", "text/xml").body("<a/>")).await;
        assert_eq!(xml.status, 415);
        let bytes = send(world.post("/authz/models").header("content-type", "text/plain").body(vec![0xff])).await;
        assert_eq!(bytes.status, 422);
        assert_eq!(world.write_model(MODEL, "?dry_rum=true").await.status, 422, "a misspelt option is not left out");
        for version in ["0", "-1", "latest", "99999999999999999999999"] {
            assert_eq!(send(world.get(&format!("/authz/models/{version}"))).await.status, 422, "{version}");
        }
        let head = world.app.app.database().head().await.expect("head");
        assert_eq!(world.write_model(MODEL, "?dry_run=true").await.status, 200);
        assert_eq!(world.app.app.database().head().await.expect("head"), head);
    }

    async fn a_model_that_tuples_do_not_fit_is_refused_with_examples(store: TestStore) {
        let world = World::start(store).await;
        let wiki: Vec<Value> = (0..12).map(|number| viewer(number, 1)).collect();
        world.put(&wiki).await;
        let narrower = MODEL.replace("[user, user:*, team#member] or ", "[team#member] or ");
        let refused = world.write_model(&narrower, "").await;
        assert_eq!((refused.status, refused.text("code")), (409, "tuples_do_not_fit"));
        assert!(refused.text("detail").starts_with("12 stored tuples"), "{refused:?}");
        let errors = refused.body["errors"].as_array().expect("errors");
        assert_eq!(errors.len(), 10);
        assert!(errors[0]["msg"].as_str().expect("text").starts_with("`folder:0#viewer@user:"), "{refused:?}");
        let dry = world.write_model(&narrower, "?dry_run=true").await;
        assert_eq!(dry.status, 200);
        assert_eq!(dry.body["would_be_written"], false);
        assert_eq!(dry.body["misfits"]["count"], 12);
        assert_eq!(send(world.get("/authz/models")).await.body.as_array().map(Vec::len), Some(1));
    }

    async fn a_model_that_breaks_a_route_says_which(store: TestStore) {
        let world = World::start(store).await;
        let access = world.app.app.access();
        let mut tx = world.app.app.database().begin().await.expect("tx");
        let edge = access
            .edges
            .enrol(&mut tx, None, &"north".parse().expect("name"), &[7; 32])
            .await
            .expect("edge");
        let need = RouteNeed {
            route: "folders".to_owned(),
            service: "docs".parse().expect("name"),
            object_type: "folder".to_owned(),
            relation: "can_read".to_owned(),
        };
        access.relations.announce_routes(&mut tx, edge.id, &[need]).await.expect("announced");
        tx.commit().await.expect("commit");
        let narrower = MODEL.replace("    define can_read: viewer\n", "");
        let refused = world.write_model(&narrower, "").await;
        assert_eq!((refused.status, refused.text("code")), (409, "model_in_use"));
        assert_eq!(places(&refused), ["edges.north.routes.folders"]);
        let message = refused.body["errors"][0]["msg"].as_str().expect("text");
        assert!(message.contains("`can_read` of `folder`"), "{message}");
        let dry = world.write_model(&narrower, "?dry_run=true").await;
        assert_eq!(dry.body["would_be_written"], false);
        assert_eq!(dry.body["broken_routes"], json!([
            { "edge": "north", "route": "folders", "object_type": "folder", "relation": "can_read" }
        ]));
        let accepted = world.write_model(&narrower, "?accept_broken_routes=true").await;
        assert_eq!((accepted.status, accepted.body["version"].as_u64()), (201, Some(2)));
    }

    async fn what_comes_to_nothing_does_not_wait_for_the_writer(store: TestStore) {
        let world = World::start(store).await;
        world.put(&[viewer(1, 1)]).await;
        let writer = world.app.app.database().write().await.expect("the one writer");
        assert_eq!(world.write_model(MODEL, "?dry_run=true").await.status, 200);
        assert_eq!(world.write_model("no model", "").await.status, 422);
        let narrower = MODEL.replace("[user, user:*, team#member] or ", "[team#member] or ");
        assert_eq!(world.write_model(&narrower, "").await.status, 409);
        let commented = MODEL.replace("type team", "# Who belongs together.\ntype team");
        let same = world.write_model(&commented, "").await;
        assert_eq!((same.status, same.body["version"].as_u64()), (200, Some(1)), "{same:?}");
        writer.rollback().await.expect("rolled back");
    }

    async fn a_service_makes_few_versions_a_minute(store: TestStore) {
        let world = World::start(store).await;
        let mut refused = 0;
        for number in 0..13 {
            let wider = format!("{MODEL}type t{number}\n");
            refused += usize::from(world.write_model(&wider, "").await.status == 429);
            assert_eq!(world.write_model(&wider, "?dry_run=true").await.status, 200);
        }
        assert!(refused >= 1, "two windows have room for 12");
    }

    async fn a_service_writes_models_so_often_and_no_more(store: TestStore) {
        let world = World::start(store).await;
        let mut refused = 0;
        for _ in 0..130 {
            refused += usize::from(world.write_model("", "").await.status == 429);
        }
        assert!(refused >= 1, "two windows have room for 120");
    }
}
