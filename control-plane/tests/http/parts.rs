//! Edges that keep a part of everything, on a real database: what they have, what they ask, and how they come back.

use std::collections::BTreeSet;
use std::time::Duration;

use sentinel_authz::sentinel::Permission;
use sentinel_core::WorkspaceRole;
use sentinel_feed::client::Follower;
use sentinel_feed::{Ask as _, Extent, Interest, Need, Question, Replica, Verdict};
use sentinel_store::on_both_backends;
use serde_json::json;

use crate::common::TestApp;

const LONG: Duration = Duration::from_secs(10);

fn docs() -> Interest {
    Interest::new(
        Extent::Of(BTreeSet::from(["docs".parse().expect("name")])),
        Extent::All,
    )
}

fn follow_of(follower: Follower) -> (Replica, tokio::task::JoinHandle<()>) {
    let replica = Replica::new();
    let following = tokio::spawn(follower.run(replica.clone(), std::future::pending()));
    (replica, following)
}

/// Waits until it has what the control plane has, and is in touch.
async fn has_caught_up(app: &TestApp, replica: &Replica) {
    app.settle().await;
    let head = app.app.replica().load().revision();
    assert!(replica.wait_for(head, LONG).await, "the edge follows");
    let deadline = tokio::time::Instant::now() + LONG;
    while !replica.is_ready() {
        assert!(tokio::time::Instant::now() < deadline, "the edge is in touch");
        tokio::task::yield_now().await;
    }
}

fn kept(replica: &Replica, text: &str) -> usize {
    replica
        .load()
        .facts()
        .filter(|fact| fact.to_string().contains(text))
        .count()
}

on_both_backends! {
    async fn an_edge_of_one_service_has_that_and_asks_for_the_rest(store: TestStore) {
        let app = TestApp::start(store).await;
        let (ann, workspace, _) = app.owner("ann@example.com", "acme").await;
        let directory = tempfile::tempdir().expect("directory");
        let key = app.enrol("edge").await.1;
        let follower = app.follower_of(key, directory.path(), docs(), Vec::new());
        let asker = follower.asker();
        let (replica, following) = follow_of(follower);
        let mut revision = None;
        for service in ["docs", "wiki"] {
            let (_, key) = app.service(service).await;
            let body = json!({
                "service_name": service, "resource_type": "document", "resource_id": uuid::Uuid::from_u128(7),
                "workspace_id": workspace, "owner_id": ann.id, "visibility": "private",
            });
            let made = app.post("/permissions/register").header("x-service-key", &key).json(&body).send().await.expect("answer");
            revision = Some(made.headers()["x-sentinel-revision"].to_str().expect("text").parse().expect("a revision"));
        }
        let revision = revision.expect("written");
        has_caught_up(&app, &replica).await;
        assert!(kept(&replica, "resource:docs/") > 0 && kept(&replica, "resource:wiki/") == 0);
        assert_eq!(kept(&replica, "service-key "), kept(app.app.replica(), "service-key "));
        assert!(replica.load().len() < app.app.replica().load().len());
        let covers = |service: &str| replica.load().covers(&service.parse().expect("name"), Some(workspace));
        assert!(covers("docs") && !covers("wiki"));
        let asked = Question::Permission {
            workspace,
            user: ann.id,
            service: "wiki".parse().expect("name"),
            resource_type: "document".parse().expect("name"),
            id: uuid::Uuid::from_u128(7).to_string(),
            permission: Permission::Manage,
        };
        let answers = asker.ask(&[asked], revision, LONG).await.expect("answers");
        assert_eq!(answers.answers[0].verdict, Verdict::Yes);
        assert_eq!(answers.answers[0].role, Some(WorkspaceRole::Owner));
        assert!(answers.revision >= revision);
        following.abort();
    }

    async fn an_edge_that_was_away_while_the_control_plane_was_restarted_needs_no_snapshot(store: TestStore) {
        let other = store.another_process().await;
        let (clock, short_lived) = (std::sync::Arc::clone(&store.clock), std::sync::Arc::clone(&store.short_lived));
        let first = TestApp::start(store).await;
        first.owner("ann@example.com", "acme").await;
        let directories = [tempfile::tempdir().expect("directory"), tempfile::tempdir().expect("directory")];
        let keys = [first.enrol("edge-1").await.1, first.enrol("edge-2").await.1];
        let interests = [docs(), Interest::all()];
        let stop = std::sync::Arc::new(tokio::sync::Notify::new());
        let mut following = Vec::new();
        for ((directory, key), interest) in directories.iter().zip(&keys).zip(&interests) {
            let follower = first.follower_of(key.clone(), directory.path(), interest.clone(), Vec::new());
            let replica = Replica::new();
            let stopped = std::sync::Arc::clone(&stop);
            let task = tokio::spawn(follower.run(replica.clone(), async move { stopped.notified().await }));
            has_caught_up(&first, &replica).await;
            following.push(task);
        }
        stop.notify_waiters();
        for task in following {
            task.await.expect("no panic");
        }
        first.owner("bob@example.com", "bolt").await;
        first.service("docs").await;
        // A process that begins now has nothing of that in memory.
        let second = TestApp::beside(&first, other, short_lived, clock, crate::common::Options::default()).await;
        for ((directory, key), interest) in directories.iter().zip(&keys).zip(&interests) {
            let follower = second.follower_of(key.clone(), directory.path(), interest.clone(), Vec::new());
            let status = follower.status();
            let (replica, task) = follow_of(follower);
            has_caught_up(&second, &replica).await;
            assert_eq!(status.borrow().snapshots, 0, "{interest}");
            if interest.is_all() {
                assert_eq!(replica.load().digest(), second.app.replica().load().digest());
            }
            task.abort();
        }
    }

    async fn what_an_edges_routes_need_is_known_to_the_control_plane(store: TestStore) {
        let app = TestApp::start(store).await;
        let directory = tempfile::tempdir().expect("directory");
        let key = app.enrol("edge").await.1;
        let need = Need {
            route: "GET docs.example.com/folders/{folder_id}".into(),
            service: "docs".parse().expect("name"),
            object_type: "folder".into(),
            relation: "can_read".into(),
        };
        let (replica, following) = follow_of(app.follower_of(key.clone(), directory.path(), Interest::all(), vec![need]));
        has_caught_up(&app, &replica).await;
        let told = async || {
            let mut tx = app.app.database().read().await.expect("tx");
            sentinel_store::fetch_scalar!(tx, i64, "SELECT COUNT(*) FROM edge_routes").await.expect("rows")
        };
        assert_eq!(told().await, 1);
        following.abort();
        let directory = tempfile::tempdir().expect("directory");
        let (replica, following) = follow_of(app.follower_of(key, directory.path(), Interest::all(), Vec::new()));
        has_caught_up(&app, &replica).await;
        assert_eq!(told().await, 0, "it needs nothing any more");
        following.abort();
    }
}
