//! A database that was rolled back without a new epoch: a restored backup, a failover that lost commits. No edge passes
//! for fresh by it, and none goes on from a history that is not its own.

use std::sync::Arc;
use std::time::Duration;

use sentinel_core::{Change, Clock as _};
use sentinel_core::{ManualClock, Revision, SystemClock};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::digest::Digest;
use crate::frame::Frame;
use crate::testing::{ControlPlane, Edge, Relay, assert_equal, eventually, rev, tuple};

struct Stage {
    plane: Arc<ControlPlane>,
    relay: Relay,
    edge: Edge,
    _dir: TempDir,
}

/// An edge at revision 6 that is in touch. Of that the control plane keeps the first two when it is rolled back.
async fn stage() -> Stage {
    let plane = ControlPlane::new([]);
    let relay = Relay::to(plane.serve().await).await;
    let dir = TempDir::new().expect("a directory");
    let mut edge = Edge::start(relay.url(), &plane.enrol(), dir.path());
    for user in ["b", "c", "d", "e", "f"] {
        plane.add("a", user);
    }
    edge.reaches(rev(6)).await;
    edge.is_in_touch().await;
    Stage {
        plane,
        relay,
        edge,
        _dir: dir,
    }
}

impl Stage {
    fn roll_back(&self) {
        self.plane.restore(rev(2), [tuple("a", "b")]);
    }

    /// When the edge was last known to be fresh.
    fn last_fresh(&self) -> Instant {
        Instant::now() - self.edge.age().expect("once in touch")
    }
}

#[tokio::test]
async fn an_edge_that_is_ahead_is_refused_and_grows_old_until_a_new_epoch_begins() {
    let mut stage = stage().await;
    stage.roll_back();
    let rolled_back = Instant::now();
    stage.edge.fails_with("behind the `1.6` of this edge").await;
    // Over several connections.
    let replica = stage.edge.replica.clone();
    eventually(|| replica.age() > Some(Duration::from_secs(4))).await;
    assert!(stage.edge.status.borrow().sessions > 2);
    assert!(stage.last_fresh() < rolled_back + Duration::from_millis(100));
    assert_eq!(
        replica.load().revision(),
        rev(6),
        "nobody goes back within an epoch"
    );

    let begun = Revision { epoch: 2, number: 0 };
    stage.plane.restore(begun, [tuple("a", "b")]);
    stage.edge.reaches(begun).await;
    stage.edge.is_in_touch().await;
    stage.edge.reaches(stage.plane.add("a", "z")).await;
    assert_equal(&replica.load(), &stage.plane.state());
}

#[tokio::test]
async fn heartbeats_of_a_head_behind_the_edge_never_make_it_fresh() {
    let mut stage = stage().await;
    stage.plane.only_beat();
    stage.roll_back();
    stage.relay.cut();
    let rolled_back = Instant::now();
    stage.edge.fails_with("admin begin-epoch").await;
    assert!(
        stage.edge.age() > Some(Duration::from_secs(2)),
        "not before it lasted"
    );
    assert!(stage.last_fresh() < rolled_back + Duration::from_millis(100));
    assert!(!stage.edge.status.borrow().connected);
}

#[tokio::test]
async fn a_history_that_caught_up_with_the_edge_is_noticed_and_replaces_its_own() {
    let mut stage = stage().await;
    stage.relay.close();
    stage.roll_back();
    for user in ["v", "w", "x", "y"] {
        stage.plane.add("a", user);
    }
    assert_eq!(stage.plane.state().revision(), rev(6));
    let replica = stage.edge.replica.clone();
    let distrusted = tokio::spawn(async move { eventually(|| replica.age().is_none()).await });
    tokio::task::yield_now().await;
    stage.relay.open();
    distrusted.await.expect("out of service");
    stage.edge.status_is(|status| status.snapshots == 2).await;
    stage.edge.reaches(stage.plane.add("a", "z")).await;
    stage.edge.is_in_touch().await;
    assert_equal(&stage.edge.replica.load(), &stage.plane.state());
}

#[tokio::test]
async fn a_history_that_overtook_the_edge_does_not_apply_to_its_own() {
    let mut stage = stage().await;
    stage.relay.close();
    stage.roll_back();
    for user in ["v", "w", "x", "y", "z"] {
        stage.plane.add("a", user);
    }
    stage.relay.open();
    stage.edge.reaches(rev(7)).await;
    stage.edge.is_in_touch().await;
    assert_eq!(stage.edge.status.borrow().snapshots, 2);
    assert_equal(&stage.edge.replica.load(), &stage.plane.state());
}

#[tokio::test]
async fn a_frame_from_before_the_edge_takes_it_out_of_service_and_an_older_snapshot_does_not_bring_it_back() {
    let mut stage = stage().await;
    stage.roll_back();
    let old = Frame {
        from: rev(2),
        to: rev(3),
        changes: vec![Change::Put(tuple("a", "x"))],
        digest: Digest::of(&tuple("a", "b")).plus(Digest::of(&tuple("a", "x"))),
    };
    let old = stage.plane.frame(&old);
    stage.plane.script(move |_| vec![old]);
    stage.relay.cut();
    stage.edge.fails_with("is older than `1.6`").await;
    assert_eq!(stage.edge.age(), None);
    assert_eq!(stage.edge.replica.load().revision(), rev(6));
}

#[tokio::test]
async fn a_machine_that_slept_is_not_fresh_before_it_hears_of_the_control_plane_again() {
    let plane = ControlPlane::new([tuple("a", "b")]);
    let relay = Relay::to(plane.serve().await).await;
    let (key, dir) = (plane.enrol(), TempDir::new().expect("a directory"));
    let clock = Arc::new(ManualClock::at(SystemClock.now()));
    let mut edge = Edge::start_with_clock(relay.url(), &key, dir.path(), clock.clone());
    edge.is_in_touch().await;
    relay.close();
    clock.advance(Duration::from_hours(1));
    eventually(|| edge.age() > Some(Duration::from_hours(1))).await;
    relay.open();
    edge.is_in_touch().await;
    assert!(edge.age() < Some(Duration::from_mins(1)));
    // While it is connected.
    let sessions = edge.status.borrow().sessions;
    clock.advance(Duration::from_hours(1));
    edge.status_is(|status| status.sessions > sessions && status.connected)
        .await;
    assert!(edge.age() < Some(Duration::from_mins(1)));
}
