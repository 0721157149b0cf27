//! Many edges at once, and edges that come back after a long time.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use sentinel_core::Change;
use tempfile::TempDir;
use tokio_stream::StreamExt as _;
use tonic::Request;

use crate::interest::{Extent, Interest};
use crate::proto::SnapshotRequest;
use crate::proto::feed_server::Feed as _;
use crate::server::{FeedSource, Service};
use crate::testing::{ControlPlane, Edge, Relay, assert_equal, rev, tuple};

fn docs() -> Interest {
    Interest::new(Extent::Of(["docs".parse().expect("a name")].into()), Extent::All)
}

#[tokio::test]
async fn a_thousand_edges_that_want_a_snapshot_get_one_in_turn_and_it_is_made_once() {
    let facts = (0..2_000).map(|n| tuple("a", &format!("user-with-a-long-name-{n}")));
    let plane = ControlPlane::new(facts);
    let service = Service::new(Arc::clone(&plane) as Arc<dyn FeedSource>);
    let bearer = format!("Bearer {}", plane.enrol().secret().expose());
    let signed = plane.signatures.load(Ordering::SeqCst);
    let mut edges = tokio::task::JoinSet::new();
    for _ in 0..1_000 {
        let (service, bearer) = (service.clone(), bearer.clone());
        edges.spawn(async move {
            let mut turned_away = 0;
            loop {
                let mut request = Request::new(SnapshotRequest::default());
                let value = bearer.parse().expect("a header value");
                request.metadata_mut().insert("authorization", value);
                match service.snapshot(request).await {
                    Ok(parts) => {
                        let parts: Vec<_> = parts.into_inner().collect().await;
                        assert!(parts.len() > 1 && parts.iter().all(Result::is_ok));
                        return turned_away;
                    }
                    Err(status) => {
                        assert_eq!(status.code(), tonic::Code::ResourceExhausted);
                        turned_away += 1;
                        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                    }
                }
            }
        });
    }
    let turned_away: usize = edges.join_all().await.into_iter().sum();
    assert!(turned_away > 0, "not all of them waited in memory");
    let made = plane.signatures.load(Ordering::SeqCst) - signed;
    assert!(made < 20, "{made} snapshots were made for a thousand edges");
}

/// An edge that was away for longer than memory reaches, and comes back.
async fn comes_back(interest: Interest, archive: bool) -> u64 {
    let plane = ControlPlane::new([tuple("a", "b")]);
    plane.archive_reaches_back.store(archive, Ordering::SeqCst);
    let relay = Relay::to(plane.serve().await).await;
    let dir = TempDir::new().expect("a directory");
    let mut edge = Edge::start_of(interest.clone(), relay.url(), &plane.enrol(), dir.path());
    edge.is_in_touch().await;
    relay.close();
    for n in 0..50 {
        plane.add("x", &n.to_string());
        if n % 2 == 0 {
            plane.commit(vec![Change::Delete(tuple("x", &n.to_string()))]);
        }
    }
    // As after a restart: nothing of it is in memory.
    plane.restart();
    relay.open();
    let last = plane.add("a", "back");
    edge.reaches(last).await;
    edge.is_in_touch().await;
    assert_equal(
        &edge.replica.load(),
        &plane.state().narrowed(&interest).expect("a state"),
    );
    edge.reaches(plane.add("a", "again")).await;
    let snapshots = edge.status.borrow().snapshots;
    edge.stop().await;
    snapshots
}

#[tokio::test]
async fn who_was_away_for_long_catches_up_by_the_log_in_the_database() {
    assert_eq!(comes_back(Interest::all(), true).await, 1);
    assert_eq!(comes_back(docs(), true).await, 1);
    assert_eq!(
        comes_back(Interest::all(), false).await,
        2,
        "or else by a snapshot"
    );
    assert_eq!(comes_back(docs(), false).await, 2);
    let workspace = Extent::Of([uuid::Uuid::from_u128(1).into()].into());
    assert_eq!(comes_back(Interest::new(Extent::All, workspace), true).await, 2);
}

#[tokio::test]
async fn many_who_come_back_together_have_the_log_read_once() {
    let plane = ControlPlane::new([tuple("a", "b")]);
    plane.archive_reaches_back.store(true, Ordering::SeqCst);
    let relay = Relay::to(plane.serve().await).await;
    let dirs: Vec<TempDir> = (0..10).map(|_| TempDir::new().expect("a directory")).collect();
    let mut edges: Vec<Edge> = dirs
        .iter()
        .map(|dir| Edge::start(relay.url(), &plane.enrol(), dir.path()))
        .collect();
    for edge in &mut edges {
        edge.is_in_touch().await;
    }
    relay.close();
    for n in 0..50 {
        plane.add("x", &n.to_string());
    }
    plane.restart();
    relay.open();
    for edge in &mut edges {
        edge.reaches(rev(51)).await;
        assert_eq!(edge.status.borrow().snapshots, 1);
    }
    assert_eq!(plane.archive_reads.load(Ordering::SeqCst), 1);
}
