//! Export and import: lines of JSON, piece by piece.

use std::time::Duration;

use sentinel_store::on_both_backends;
use serde_json::{Value, json};

use super::{MODEL, World, places, viewer};
use crate::answer::{Answer, send};
use crate::common::Options;

async fn import(world: &World, lines: String, query: &str) -> Answer {
    let request = world.post(&format!("/authz/tuples/import{query}"));
    send(request.header("content-type", "application/x-ndjson").body(lines)).await
}

fn lines(tuples: &[Value]) -> String {
    let lines: Vec<String> = tuples.iter().map(|tuple| format!("{tuple}\n")).collect();
    lines.concat()
}

async fn export(world: &World, query: &str) -> String {
    let answer = world
        .get(&format!("/authz/tuples/export{query}"))
        .send()
        .await
        .expect("answer");
    assert_eq!(answer.status().as_u16(), 200);
    assert_eq!(answer.headers()["content-type"], "application/x-ndjson");
    assert!(answer.headers().contains_key("x-sentinel-revision"));
    answer.text().await.expect("a whole answer")
}

on_both_backends! {
    async fn what_is_exported_can_be_imported(store: TestStore) {
        let world = World::start(store).await;
        assert_eq!(export(&world, "").await, "");
        let mut all: Vec<Value> = (0..2_500).map(|number| viewer(number, 1)).collect();
        let until = world.app.app.now() + Duration::from_hours(1);
        all[7]["expires_at"] = json!(until.to_rfc3339_opts(chrono_format(), true));
        let imported = import(&world, lines(&all), "").await;
        assert_eq!(imported.status, 200, "{imported:?}");
        assert_eq!((imported.body["lines"].as_u64(), imported.body["written"].as_u64()), (Some(2_500), Some(2_500)));
        assert_eq!(imported.revision.as_deref(), imported.body["revision"].as_str());
        assert!(world.reads(2_499, 1));
        let exported = export(&world, "").await;
        let mut expected: Vec<Value> = all.clone();
        let mut found: Vec<Value> = exported.lines().map(|line| serde_json::from_str(line).expect("json")).collect();
        let by_text = |tuple: &Value| tuple.to_string();
        expected.sort_by_key(by_text);
        found.sort_by_key(by_text);
        assert_eq!(found, expected);
        assert_eq!(export(&world, "?object_type=folder&object_id=7").await.lines().count(), 1);
        let again = import(&world, exported.clone(), "").await;
        assert_eq!(again.body["written"], 0, "what is there is no error");
        world.app.clock.advance(Duration::from_hours(1));
        let later = import(&world, exported, "").await;
        assert_eq!((later.status, later.body["ended"].as_u64()), (200, Some(1)), "{later:?}");
    }

    async fn an_import_stops_at_what_is_wrong_and_goes_on_from_there(store: TestStore) {
        let world = World::start(store).await;
        let mut all: Vec<Value> = (0..2_100).map(|number| viewer(number, 1)).collect();
        all[1_500]["relation"] = json!("owner");
        all[1_700]["object"] = json!("wiki/page:1");
        let stopped = import(&world, lines(&all), "").await;
        assert_eq!((stopped.status, stopped.text("code")), (422, "validation_failed"));
        assert_eq!(places(&stopped), ["body.line 1501", "body.line 1701"]);
        assert!(stopped.text("detail").contains("The lines up to 1000 were imported"), "{stopped:?}");
        assert!(stopped.revision.is_some(), "of what was imported");
        assert_eq!(export(&world, "").await.lines().count(), 1_000);
        all[1_500]["relation"] = json!("viewer");
        all[1_700]["object"] = json!("folder:1700");
        let rest = import(&world, lines(&all), "?after_line=1000").await;
        assert_eq!((rest.status, rest.body["written"].as_u64()), (200, Some(1_100)), "{rest:?}");
        assert_eq!(rest.body["lines"], 2_100);
        assert_eq!(export(&world, "").await.lines().count(), 2_100);
    }

    async fn only_lines_of_json_are_read(store: TestStore) {
        let world = World::start(store).await;
        let typed = |kind: &str| send(world.post("/authz/tuples/import").header("content-type", kind).body("\n"));
        assert_eq!(typed("application/json").await.status, 415);
        assert_eq!(typed("application/jsonl; charset=utf-8").await.status, 200);
        for (body, place) in [
            ("{", "body.line 1"),
            ("\n\n[]", "body.line 3"),
            ("{\"object\":\"folder:1\",\"relation\":\"viewer\"}", "body.line 1"),
            ("{\"object\":\"folder:1\",\"relation\":\"viewer\",\"subject\":\"user:*\",\"x\":1}", "body.line 1"),
        ] {
            let answer = import(&world, body.to_owned(), "").await;
            assert_eq!((answer.status, places(&answer)), (422, vec![place.to_owned()]), "{body}");
        }
        let long = import(&world, "x".repeat(20_000), "").await;
        assert_eq!(long.status, 422);
        assert_eq!(import(&world, String::new(), "?after_line=-1").await.status, 422);
        assert_eq!(import(&world, String::new(), "").await.status, 200);
        assert!(world.tuples().await.is_empty());
    }

    async fn blank_lines_write_nothing_and_have_an_end(store: TestStore) {
        let world = World::start(store).await;
        let writer = world.app.app.database().write().await.expect("the one writer");
        let blank = import(&world, "\n".repeat(3_000), "").await;
        assert_eq!((blank.status, blank.body["lines"].as_u64()), (200, Some(3_000)), "{blank:?}");
        writer.rollback().await.expect("rolled back");
        assert_eq!(import(&world, " \n".repeat(10_001), "").await.status, 422);
    }

    async fn an_import_may_be_longer_than_other_bodies(store: TestStore) {
        let options = Options { max_body: 4_096, ..Options::default() };
        let world = World::start_without_model(store, options).await;
        assert_eq!(world.write_model(MODEL, "").await.status, 201);
        let many: Vec<Value> = (0..500).map(|number| viewer(number, 1)).collect();
        assert_eq!(world.write(&json!({ "writes": many })).await.status, 413);
        let imported = import(&world, lines(&many), "").await;
        assert_eq!((imported.status, imported.body["written"].as_u64()), (200, Some(500)), "{imported:?}");
    }
}

/// Moments as the API writes them.
fn chrono_format() -> chrono::SecondsFormat {
    chrono::SecondsFormat::Micros
}
