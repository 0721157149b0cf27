//! Pages of tuples: a cursor goes on with the list that it was given for, and with no other.

use reqwest::RequestBuilder;
use sentinel_store::on_both_backends;
use serde_json::Value;

use super::{MODEL, World, subject, text, viewer};
use crate::answer::send;
use crate::common::As as _;

on_both_backends! {
    async fn a_cursor_belongs_to_its_list(store: TestStore) {
        let world = World::start(store).await;
        world.put(&(0..5).map(|number| viewer(number, 1)).collect::<Vec<_>>()).await;
        let folders = "object_type=folder&relation=viewer";
        let page = |query: &str| world.get(&format!("/authz/tuples?{query}"));
        let first = send(page(&format!("{folders}&limit=2"))).await;
        let cursor = first.body["cursor"].as_str().expect("there is more").to_owned();
        // The same list in pages of another size is the same list.
        let rest = send(page(&format!("{folders}&limit=1000&cursor={cursor}"))).await;
        let rest: Vec<String> = rest.body["tuples"].as_array().expect("tuples").iter().map(text).collect();
        assert_eq!(rest, (2..5).map(|number| text(&viewer(number, 1))).collect::<Vec<_>>());

        let (_, cookie) = world.app.admin("root@example.com").await;
        let model = world.app.post("/authz/models").header("x-service-key", &world.wiki).body(MODEL);
        assert_eq!(send(model).await.status, 201);
        let of_wiki = |query: &str| world.app.get(&format!("/authz/tuples?{query}")).header("x-service-key", &world.wiki);
        let of_admin = |query: &str| world.app.get(&format!("/admin/service-tuples/docs?{query}")).admin(&cookie);
        let changed = cursor.replacen(|c: char| c.is_ascii_lowercase(), "A", 1);
        let foreign: Vec<(&str, RequestBuilder)> = vec![
            ("no filter", page(&format!("cursor={cursor}"))),
            ("a part of the filter", page(&format!("object_type=folder&cursor={cursor}"))),
            ("another filter", page(&format!("{folders}&subject_type=user&cursor={cursor}"))),
            ("another object", page(&format!("{folders}&object_id=1&cursor={cursor}"))),
            ("another service", of_wiki(&format!("{folders}&cursor={cursor}"))),
            ("other names", of_admin(&format!("object_type=docs/folder&relation=viewer&cursor={cursor}"))),
            ("changed", page(&format!("{folders}&cursor={changed}"))),
            ("cut off", page(&format!("{folders}&cursor={}", &cursor[..cursor.len() - 4]))),
            ("nonsense", page(&format!("{folders}&cursor=Zm9sZGVyOjE"))),
        ];
        for (what, request) in foreign {
            let answer = send(request).await;
            assert_eq!((answer.status, answer.text("code")), (400, "cursor_invalid"), "{what}: {answer:?}");
            assert_eq!(answer.text("detail"), "This cursor does not belong to this question", "{what}");
        }
        // Nor is one list's cursor any other list's.
        let mut question = serde_json::json!({ "object_type": "folder", "relation": "viewer", "subject": subject(1), "limit": 1 });
        let listed = send(world.post("/authz/list-objects").json(&question)).await;
        let of_objects = listed.body["cursor"].as_str().expect("there is more").to_owned();
        assert_eq!(send(page(&format!("{folders}&cursor={of_objects}"))).await.status, 400);
        question["cursor"] = Value::from(cursor.clone());
        assert_eq!(send(world.post("/authz/list-objects").json(&question)).await.status, 400);

        // An administrator has cursors of his own.
        let first = send(of_admin("object_type=docs/folder&limit=2")).await;
        let cursor = first.body["cursor"].as_str().expect("there is more");
        let next = send(of_admin(&format!("object_type=docs/folder&limit=2&cursor={cursor}"))).await;
        assert_eq!(next.body["tuples"].as_array().map(Vec::len), Some(2), "{next:?}");
    }
}
