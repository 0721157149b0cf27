//! What administrators see and change of services' models and tuples.

use sentinel_store::on_both_backends;
use serde_json::json;

use super::{MODEL, World, subject, viewer};
use crate::answer::send;
use crate::common::As as _;

on_both_backends! {
    async fn administrators_call_types_by_their_whole_names(store: TestStore) {
        let world = World::start(store).await;
        let (admin, cookie) = world.app.admin("admin@example.com").await;
        world.put(&[viewer(1, 1), viewer(2, 1)]).await;
        let get = |path: &str| send(world.app.get(path).admin(&cookie));
        let page = get("/admin/service-tuples/docs?limit=1").await;
        assert_eq!(page.body["tuples"], json!([
            { "object": "docs/folder:1", "relation": "viewer", "subject": subject(1) }
        ]), "{page:?}");
        let cursor = page.text("cursor");
        let page = get(&format!("/admin/service-tuples/docs?cursor={cursor}")).await;
        assert_eq!(page.body["tuples"][0]["object"], "docs/folder:2", "{page:?}");
        assert_eq!(get("/admin/service-tuples/docs?object_type=folder").await.status, 422);
        assert_eq!(get("/admin/service-tuples/docs?object_type=wiki/folder").await.status, 422);
        assert_eq!(get("/admin/service-tuples/wiki").await.body["tuples"], json!([]));

        let models = "/admin/service-models/docs";
        let wider = format!("{MODEL}type file\n");
        let write = |path: &str, text: &str| {
            let request = world.app.post(path).admin(&cookie).header("content-type", "text/plain");
            send(request.body(text.to_owned()))
        };
        let written = write(models, &wider).await;
        assert_eq!((written.status, written.body["version"].as_u64()), (201, Some(2)), "{written:?}");
        assert_eq!(written.text("created_by"), admin.id.to_string());
        assert_eq!(get(models).await.body.as_array().map(Vec::len), Some(2));
        let shown = world.app.get(&format!("{models}/2")).admin(&cookie).send().await.expect("answer");
        assert_eq!(shown.text().await.expect("text"), wider);
        assert_eq!(get(&format!("{models}/3")).await.status, 404);
        assert_eq!(write("/admin/service-models/Not%20one", MODEL).await.status, 422);

        let body = json!({ "object_type": "docs/folder", "subject": subject(1) });
        let deleted = send(world.app.post("/admin/service-tuples/docs/delete").admin(&cookie).json(&body)).await;
        assert_eq!(deleted.body["deleted"], 2, "{deleted:?}");
        assert!(world.tuples().await.is_empty());
        let log = get("/admin/activity").await.body.to_string();
        assert!(log.contains("model_written") && log.contains("tuples_deleted"), "{log}");
    }

    async fn nobody_else_gets_in(store: TestStore) {
        let world = World::start(store).await;
        let (_, _, pair) = world.app.owner("owner@example.com", "acme").await;
        for path in ["/admin/service-models/docs", "/admin/service-models/docs/current", "/admin/service-tuples/docs"] {
            assert_eq!(send(world.get(path)).await.status, 401, "{path} with a service key");
            assert_eq!(send(world.app.get(path).bearer(&pair)).await.status, 401, "{path} as a user");
        }
        let deleted = world.post("/admin/service-tuples/docs/delete").json(&json!({ "object_type": "docs/folder" }));
        assert!(matches!(send(deleted).await.status, 401 | 403));
    }
}
