//! The stream of changes: what is told, to whom, from where on, and when it ends.

use std::net::SocketAddr;
use std::time::Duration;

use reqwest::Response;
use sentinel_access::service_apps::ServiceAppChange;
use sentinel_core::Revision;
use sentinel_store::on_both_backends;
use sentinel_store::testing::TestStore;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use super::{Docs, MODEL};
use crate::answer::send;
use crate::common::TestApp;
use crate::replication::{digest_of_tables, eventually, replace_history};

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(30);

/// A stream as a client reads it.
struct Watch {
    response: Response,
    text: String,
}

#[derive(Debug)]
struct Event {
    kind: String,
    id: String,
    data: Value,
}

impl Watch {
    async fn open(app: &TestApp, key: &str, query: &str, last: Option<&str>) -> Self {
        let mut request = app
            .get(&format!("/authz/tuples/watch{query}"))
            .header("x-service-key", key);
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let response = request.send().await.expect("answer");
        assert_eq!(response.status().as_u16(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self {
            response,
            text: String::new(),
        }
    }

    /// The next event; `None` at the end of the stream.
    async fn event(&mut self) -> Option<Event> {
        loop {
            if let Some(end) = self.text.find("\n\n") {
                let rest = self.text.split_off(end + 2);
                let event = std::mem::replace(&mut self.text, rest);
                let field = |name: &str| {
                    let line = event.lines().find_map(|line| line.strip_prefix(name));
                    line.unwrap_or_default().trim_start().to_owned()
                };
                let event = Event {
                    kind: field("event:"),
                    id: field("id:"),
                    data: serde_json::from_str(&field("data:")).expect("json"),
                };
                return Some(event);
            }
            let chunk = tokio::time::timeout(PATIENCE, self.response.chunk()).await;
            let chunk = chunk.expect("something comes").expect("a clean end")?;
            self.text.push_str(std::str::from_utf8(&chunk).expect("text"));
        }
    }

    /// The next event that is no heartbeat.
    async fn changes(&mut self) -> Event {
        loop {
            let event = self.event().await.expect("the stream goes on");
            if event.kind == "changes" {
                return event;
            }
            assert_eq!(event.kind, "heartbeat");
        }
    }

    /// Waits until it is said that the history was replaced, which is the last word.
    async fn ends_as_replaced(mut self) {
        let end = loop {
            let event = self.event().await.expect("it is told");
            if event.kind != "heartbeat" {
                break event;
            }
        };
        assert_eq!((end.kind.as_str(), end.id.as_str()), ("end", ""));
        assert_eq!(end.data["code"], "history_replaced");
        assert!(self.event().await.is_none(), "nothing comes after that");
    }

    /// Waits for the end, in which nothing but heartbeats may come.
    async fn ends(mut self) {
        while let Some(event) = self.event().await {
            assert_eq!(event.kind, "heartbeat", "{event:?}");
        }
    }
}

fn one(object: &str, subject: &str) -> Value {
    json!({ "object": object, "relation": "viewer", "subject": subject })
}

async fn refused(docs: &Docs, query: &str) -> (u16, String) {
    let request = docs.app.get(&format!("/authz/tuples/watch{query}"));
    let answer = send(request.header("x-service-key", &docs.key)).await;
    (
        answer.status,
        answer.body["code"].as_str().unwrap_or_default().to_owned(),
    )
}

/// A client that asks for the stream and takes no more of it than its head.
async fn reads_nothing(docs: &Docs) -> TcpStream {
    let address: SocketAddr = docs
        .app
        .url
        .trim_start_matches("http://")
        .parse()
        .expect("address");
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a small buffer");
    let mut stream = socket.connect(address).await.expect("connected");
    let head = format!(
        "GET /authz/tuples/watch HTTP/1.1\r\nhost: {address}\r\nx-service-key: {}\r\n\r\n",
        docs.key
    );
    stream.write_all(head.as_bytes()).await.expect("sent");
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await.expect("the head"));
    }
    let status = String::from_utf8(answer).expect("text");
    assert!(status.starts_with("HTTP/1.1 200 "), "{status}");
    stream
}

/// Whether there is a place for one more stream.
async fn has_room(docs: &Docs) -> bool {
    let request = docs
        .app
        .get("/authz/tuples/watch")
        .header("x-service-key", &docs.key);
    match request.send().await.expect("answer").status().as_u16() {
        200 => true,
        429 => false,
        other => panic!("{other}"),
    }
}

/// While a service is told, another history takes the place of what it was told, with so many revisions more.
async fn ends_with_the_history(store: TestStore, more: u64) {
    let docs = Docs::start(store).await;
    let database = docs.app.app.database();
    let back = database.read().await.expect("tx").mark().await.expect("mark");
    docs.write(&["folder:1#viewer@person:ann"]).await;
    docs.write(&["folder:2#viewer@person:ann"]).await;
    docs.app.settle().await;
    let mut idle = Watch::open(&docs.app, &docs.key, "", None).await;
    let after = format!("?after={}", back.revision);
    let mut told = Watch::open(&docs.app, &docs.key, &after, None).await;
    let at = idle.event().await.expect("an event").id;
    told.changes().await;
    assert_eq!(told.changes().await.id, at);
    let known: Revision = at.parse().expect("a revision");
    let head = replace_history(&docs.app, back, known.number + more).await;
    idle.ends_as_replaced().await;
    told.ends_as_replaced().await;
    let tables = digest_of_tables(&docs.app).await;
    eventually("everything is loaded anew", async || {
        let replica = docs.app.app.replica();
        replica.is_ready() && replica.load().digest() == tables
    })
    .await;
    // Who has read everything anew goes on from there.
    let mut anew = Watch::open(&docs.app, &docs.key, &format!("?after={head}"), None).await;
    let written = docs.write(&["folder:3#viewer@person:ann"]).await;
    assert_eq!(anew.changes().await.id, written);
}

on_both_backends! {
    async fn a_service_is_told_of_its_own_changes_as_they_come(store: TestStore) {
        let docs = Docs::start(store).await;
        let (_, wiki) = docs.app.service("wiki").await;
        docs.model(&wiki, MODEL).await;
        let mut watch = Watch::open(&docs.app, &docs.key, "", None).await;
        let first = watch.event().await.expect("an event");
        assert_eq!(first.kind, "heartbeat", "where it begins: {first:?}");
        assert_eq!(first.data["revision"], first.id.as_str());

        let written = docs.write(&["folder:1#viewer@person:ann", "folder:1#viewer@team:a#member"]).await;
        let event = watch.changes().await;
        assert_eq!(event.id, written);
        assert_eq!(event.data, json!({
            "revision": written,
            "writes": [one("folder:1", "person:ann"), one("folder:1", "team:a#member")],
            "deletes": [],
        }));
        // Another's changes, and Sentinel's, are passed over.
        docs.change(&wiki, &["folder:1#viewer@person:eve"], &[]).await;
        docs.app.user("bob@example.com").await;
        let changed = docs.change(&docs.key, &["folder:2#viewer@person:*"], &["folder:1#viewer@person:ann"]).await;
        let event = watch.changes().await;
        assert_eq!((event.id.as_str(), &event.data["writes"]), (changed.as_str(), &json!([one("folder:2", "person:*")])));
        assert_eq!(event.data["deletes"], json!([one("folder:1", "person:ann")]));
    }

    async fn it_goes_on_from_any_revision_that_the_log_has(store: TestStore) {
        let docs = Docs::start(store).await;
        let mut revisions = Vec::new();
        for number in 0..120 {
            revisions.push(docs.write(&[&format!("folder:{number}#viewer@person:ann")]).await);
        }
        docs.write(&["team:a#member@person:ann"]).await;
        // More than one reading of the log, the last of them nobody's.
        let mut watch = Watch::open(&docs.app, &docs.key, &format!("?after={}", revisions[9]), None).await;
        for revision in &revisions[10..] {
            assert_eq!(&watch.changes().await.id, revision);
        }
        drop(watch);
        let mut watch = Watch::open(&docs.app, &docs.key, &format!("?after={}", revisions[0]), Some(&revisions[117])).await;
        assert_eq!(watch.changes().await.id, revisions[118], "the last event counts");
        assert_eq!(watch.changes().await.id, revisions[119]);
        let mut folders = Watch::open(&docs.app, &docs.key, &format!("?after={}&object_type=team", revisions[0]), None).await;
        let team = folders.changes().await;
        assert_eq!(team.data["writes"][0]["object"], "team:a");
        docs.write(&["folder:x#viewer@person:ann"]).await;
        let live = docs.write(&["team:b#member@person:ann"]).await;
        assert_eq!(folders.changes().await.id, live, "other types are passed over");
    }

    async fn what_is_not_known_any_more_is_gone(store: TestStore) {
        let docs = Docs::start(store).await;
        let first = docs.write(&["folder:1#viewer@person:ann"]).await;
        let second = docs.write(&["folder:2#viewer@person:ann"]).await;
        let head = docs.app.app.database().head().await.expect("head");
        for (query, expected) in [
            ("?after=nonsense".to_owned(), (422, "validation_failed")),
            (format!("?after={}.{}", head.epoch, head.number + 1), (503, "revision_not_reached")),
            (format!("?after={}.1", head.epoch + 1), (503, "revision_not_reached")),
            (format!("?after={}.1", head.epoch - 1), (410, "revision_too_old")),
            ("?object_type=wiki/folder".to_owned(), (422, "validation_failed")),
            ("?object_type=group".to_owned(), (422, "validation_failed")),
            ("?since=1.1".to_owned(), (422, "validation_failed")),
            ("?object_type=house".to_owned(), (422, "unknown_type")),
            (format!("?after=0{}.1", head.epoch), (422, "validation_failed")),
        ] {
            assert_eq!(refused(&docs, &query).await, (expected.0, expected.1.to_owned()), "{query}");
        }
        docs.app.clock.advance(Duration::from_hours(3));
        let third = docs.write(&["folder:3#viewer@person:ann"]).await;
        let database = docs.app.app.database();
        database.trim_change_log(docs.app.app.now(), 1).await.expect("trimmed");
        let answer = refused(&docs, &format!("?after={first}")).await;
        assert_eq!(answer, (410, "revision_too_old".to_owned()));
        let mut watch = Watch::open(&docs.app, &docs.key, &format!("?after={second}"), None).await;
        assert_eq!(watch.changes().await.id, third, "the log reaches back to there");
    }

    async fn a_new_history_ends_the_stream(store: TestStore) {
        let docs = Docs::start(store).await;
        let mut watch = Watch::open(&docs.app, &docs.key, "", None).await;
        let before = watch.event().await.expect("an event").id;
        docs.app.app.database().begin_new_epoch().await.expect("epoch");
        docs.app.settle().await;
        watch.ends_as_replaced().await;
        assert_eq!(refused(&docs, &format!("?after={before}")).await, (410, "revision_too_old".to_owned()));
    }

    async fn a_history_that_was_replaced_ends_the_stream(store: TestStore) {
        ends_with_the_history(store, 3).await;
    }

    async fn a_history_of_as_many_revisions_ends_the_stream_all_the_same(store: TestStore) {
        ends_with_the_history(store, 0).await;
    }

    async fn a_key_that_counts_no_more_ends_its_streams(store: TestStore) {
        let docs = Docs::start(store).await;
        let (_, wiki) = docs.app.service("wiki").await;
        docs.model(&wiki, MODEL).await;
        let watch = Watch::open(&docs.app, &docs.key, "", None).await;
        let mut other = Watch::open(&docs.app, &wiki, "", None).await;
        let mut tx = docs.app.app.database().write().await.expect("tx");
        let change = ServiceAppChange {
            is_active: Some(false),
            ..ServiceAppChange::default()
        };
        docs.app.app.access().service_apps.update(&mut tx, None, docs.service, change).await.expect("deactivated");
        tx.commit().await.expect("commit");
        watch.ends().await;
        let request = docs.app.get("/authz/tuples/watch").header("x-service-key", &docs.key);
        assert_eq!(send(request).await.status, 401);
        let written = docs.change(&wiki, &["folder:1#viewer@person:ann"], &[]).await;
        assert_eq!(other.changes().await.id, written, "others go on");
    }

    async fn a_control_plane_that_stops_ends_all_streams(store: TestStore) {
        let docs = Docs::start(store).await;
        let watch = Watch::open(&docs.app, &docs.key, "", None).await;
        docs.app.stop();
        watch.ends().await;
    }

    async fn a_service_that_opens_streams_without_end_is_stopped(store: TestStore) {
        let docs = Docs::start(store).await;
        let (_, wiki) = docs.app.service("wiki").await;
        let mut streams = Vec::new();
        for _ in 0..32 {
            streams.push(Watch::open(&docs.app, &docs.key, "", None).await);
        }
        assert_eq!(refused(&docs, "").await, (429, "too_many_watchers".to_owned()));
        Watch::open(&docs.app, &wiki, "", None).await;
        streams.pop();
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let request = docs.app.get("/authz/tuples/watch").header("x-service-key", &docs.key);
            if request.send().await.expect("answer").status().as_u16() == 200 {
                break;
            }
            assert!(tokio::time::Instant::now() < deadline, "a place that was left is free");
        }
    }

    async fn a_reader_that_takes_nothing_is_cut_off_and_little_waits_for_him(store: TestStore) {
        const CHANGES: usize = 30;
        let docs = Docs::start(store).await;
        let mut others = Vec::new();
        for _ in 0..31 {
            others.push(Watch::open(&docs.app, &docs.key, "?object_type=puzzle", None).await);
        }
        let mut slow = reads_nothing(&docs).await;
        assert!(!has_room(&docs).await, "the last place is the slow reader's");
        let mut told = 0;
        for change in 0..CHANGES {
            let tuples: Vec<String> = (0..1000).map(|number| format!("folder:{number:0>200}#viewer@person:{change:0>200}")).collect();
            let tuples: Vec<&str> = tuples.iter().map(String::as_str).collect();
            docs.write(&tuples).await;
            told += tuples.iter().map(|tuple| tuple.len()).sum::<usize>();
        }
        // For as long as anything waits for him he has his place; that has an end though he never says a word.
        let deadline = tokio::time::Instant::now() + 3 * PATIENCE;
        let mut looks = tokio::time::interval(Duration::from_millis(100));
        while !has_room(&docs).await {
            assert!(tokio::time::Instant::now() < deadline, "the slow reader is cut off");
            looks.tick().await;
        }
        let mut waited = Vec::new();
        // An end that is an error is an end as well.
        let _ = slow.read_to_end(&mut waited).await;
        assert!(waited.len() < told / 2, "of {told} bytes {} were kept for him", waited.len());
        // The others went on.
        let written = docs.write(&["puzzle:1#stuck@person:ann"]).await;
        for watch in &mut others {
            assert_eq!(watch.changes().await.id, written);
        }
    }

    async fn nobody_watches_without_a_key(store: TestStore) {
        let docs = Docs::start(store).await;
        for key in [None, Some("sk_nonsense")] {
            let mut request = docs.app.get("/authz/tuples/watch");
            if let Some(key) = key {
                request = request.header("x-service-key", key);
            }
            assert_eq!(send(request).await.status, 401);
        }
        let malformed = docs.app.get("/authz/tuples/watch").header("x-service-key", &docs.key);
        let malformed = send(malformed.header("last-event-id", "7")).await;
        assert_eq!((malformed.status, malformed.text("code")), (400, "revision_invalid"));
    }
}
