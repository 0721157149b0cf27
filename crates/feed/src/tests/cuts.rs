//! Connections that break, at every moment. Whatever happens in between, an edge ends like one that was never cut off.

use sentinel_core::{Change, Revision};
use tempfile::TempDir;

use crate::testing::{ControlPlane, Edge, Relay, assert_equal, eventually, every_kind_of_fact, rev, tuple};

#[tokio::test]
async fn an_edge_follows_every_change() {
    let plane = ControlPlane::new(every_kind_of_fact());
    let relay = Relay::to(plane.serve().await).await;
    let dir = TempDir::new().expect("a directory");
    let mut edge = Edge::start(relay.url(), &plane.enrol(), dir.path());
    assert!(!edge.replica.is_ready());
    edge.is_in_touch().await;
    assert_equal(&edge.replica.load(), &plane.state());
    for n in 0..50 {
        plane.add("a", &n.to_string());
    }
    let facts = every_kind_of_fact().into_iter().map(Change::Delete).collect();
    edge.reaches(plane.commit(facts)).await;
    assert_equal(&edge.replica.load(), &plane.state());
    assert_eq!(edge.replica.head(), plane.state().revision());
    // How many connections it took is a matter of how busy the machine is.
    assert_eq!(edge.status.borrow().snapshots, 1, "the rest came as frames");
    edge.stop().await;
}

#[tokio::test]
async fn an_edge_that_is_cut_off_again_and_again_ends_like_one_that_never_was() {
    let plane = ControlPlane::new(every_kind_of_fact());
    let address = plane.serve().await;
    let (shaky, steady) = (Relay::to(address).await, Relay::to(address).await);
    let dirs = [
        TempDir::new().expect("a directory"),
        TempDir::new().expect("a directory"),
    ];
    let mut cut = Edge::start(shaky.url(), &plane.enrol(), dirs[0].path());
    let mut whole = Edge::start(steady.url(), &plane.enrol(), dirs[1].path());
    cut.is_in_touch().await;
    whole.is_in_touch().await;

    let mut last = Revision::ZERO;
    for round in 0..8_u32 {
        // Some of it arrives, some of it is on the way, some of it happens while the edge is away.
        for n in 0..20 {
            last = plane.add(&round.to_string(), &n.to_string());
            if n == 7 {
                shaky.cut();
            }
        }
        if round % 3 == 0 {
            shaky.close();
            last = plane.commit(vec![Change::Delete(tuple(&round.to_string(), "3"))]);
            shaky.open();
        }
        // The next connection breaks in the middle of something, and the one after it does not.
        shaky.limit(600 + u64::from(round) * 331);
        shaky.cut();
        let (broken, mut n) = (cut.status.borrow().sessions, 0);
        eventually(|| {
            last = plane.add("limit", &format!("{round}-{n}"));
            n += 1;
            cut.status.borrow().sessions > broken
        })
        .await;
        shaky.limit(u64::MAX);
        shaky.cut();
    }
    cut.reaches(last).await;
    whole.reaches(last).await;
    assert_equal(&cut.replica.load(), &plane.state());
    assert_equal(&cut.replica.load(), &whole.replica.load());
    assert!(cut.status.borrow().sessions > 8);
    assert_eq!(whole.status.borrow().sessions, 1);
    cut.is_in_touch().await;
}

#[tokio::test]
async fn a_snapshot_that_breaks_off_is_fetched_again_and_never_used_in_part() {
    let facts = (0..5_000).map(|n| tuple("a", &format!("user-with-a-long-name-{n}")));
    let plane = ControlPlane::new(facts);
    let relay = Relay::to(plane.serve().await).await;
    let dir = TempDir::new().expect("a directory");
    relay.limit(100_000);
    let mut edge = Edge::start(relay.url(), &plane.enrol(), dir.path());
    edge.status_is(|status| status.sessions >= 3).await;
    assert_eq!(edge.replica.load().revision(), Revision::ZERO);
    relay.limit(u64::MAX);
    edge.is_in_touch().await;
    assert_equal(&edge.replica.load(), &plane.state());
}

#[tokio::test]
async fn an_edge_that_was_away_for_longer_than_the_log_reaches_fetches_a_snapshot() {
    let plane = ControlPlane::new([]);
    let relay = Relay::to(plane.serve().await).await;
    let dir = TempDir::new().expect("a directory");
    let mut edge = Edge::start(relay.url(), &plane.enrol(), dir.path());
    edge.is_in_touch().await;
    relay.close();
    plane.add("a", "b");
    plane.trim();
    let last = plane.add("a", "c");
    relay.open();
    edge.reaches(last).await;
    assert_equal(&edge.replica.load(), &plane.state());
    assert_eq!(edge.status.borrow().snapshots, 2);
}

#[tokio::test]
async fn a_new_epoch_replaces_everything_and_an_older_one_nothing() {
    let plane = ControlPlane::new([tuple("a", "b")]);
    let relay = Relay::to(plane.serve().await).await;
    let dir = TempDir::new().expect("a directory");
    let mut edge = Edge::start(relay.url(), &plane.enrol(), dir.path());
    edge.is_in_touch().await;
    for _ in 0..5 {
        edge.reaches(plane.add("x", "y")).await;
    }

    // A backup was restored while the edge is connected: fewer changes, a new epoch.
    let restored = Revision { epoch: 2, number: 1 };
    plane.restore(restored, [tuple("a", "c")]);
    edge.reaches(restored).await;
    assert_equal(&edge.replica.load(), &plane.state());
    edge.is_in_touch().await;

    // Somebody went back to the old one.
    plane.restore(rev(3), [tuple("a", "b")]);
    edge.fails_with("older than `2.1`").await;
    assert_eq!(edge.replica.load().revision(), restored);
}

#[tokio::test]
async fn a_control_plane_that_stops_ends_the_stream_and_one_that_is_behind_is_waited_for() {
    let plane = ControlPlane::new([]);
    let address = plane.serve().await;
    let relay = Relay::to(address).await;
    let (key, dir) = (plane.enrol(), TempDir::new().expect("a directory"));
    let mut edge = Edge::start(relay.url(), &key, dir.path());
    edge.is_in_touch().await;
    edge.reaches(plane.add("a", "b")).await;
    // Another control plane on the same database, which has not seen the last change yet.
    plane.restore(rev(1), []);
    relay.cut();
    edge.fails_with("behind the `1.2`").await;
    assert_eq!(edge.replica.load().revision(), rev(2), "nobody goes back");
    plane.add("a", "b");
    edge.is_in_touch().await;
    edge.reaches(plane.add("a", "c")).await;
    assert_equal(&edge.replica.load(), &plane.state());

    plane.stop();
    edge.fails_with("the control plane is stopping").await;
}
