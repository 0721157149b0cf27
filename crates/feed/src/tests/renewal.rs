//! A subscription in the place of another one: nobody notices, whatever becomes of it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::{sleep, timeout};

use crate::digest::Digest;
use crate::frame::Frame;
use crate::testing::{ControlPlane, Edge, FeedKey, Relay, assert_equal, eventually, rev, tuple};

/// Soon, so that it happens often.
const OFTEN: Duration = Duration::from_millis(40);

/// Not within a test.
const LONG: Duration = Duration::from_mins(10);

struct Stage {
    plane: Arc<ControlPlane>,
    edge: Edge,
    _dir: TempDir,
}

impl Stage {
    /// An edge that is in touch, and renews its subscription all the time.
    async fn new(at_most: Duration) -> Self {
        let plane = ControlPlane::new([tuple("a", "b")]);
        let relay = Relay::to(plane.serve().await).await;
        let dir = TempDir::new().expect("a directory");
        let config = Edge::config(relay.url(), &plane.enrol(), dir.path());
        let mut edge = Edge::start_renewing(config, OFTEN, at_most);
        edge.is_in_touch().await;
        Self {
            plane,
            edge,
            _dir: dir,
        }
    }

    fn subscriptions(&self) -> usize {
        self.plane.subscriptions.load(Ordering::SeqCst)
    }

    fn assert_nothing_failed(&self) {
        let status = self.edge.status.borrow().clone();
        assert_eq!((status.sessions, status.last_error), (1, None));
        assert!(status.connected);
    }
}

#[tokio::test]
async fn amid_changes_nothing_is_lost_and_nothing_comes_twice() {
    let mut stage = Stage::new(LONG).await;
    let mut last = rev(1);
    for n in 0.. {
        last = stage.plane.add(&(n % 7).to_string(), &n.to_string());
        sleep(Duration::from_millis(1)).await;
        if stage.edge.status.borrow().renewals >= 15 {
            break;
        }
    }
    stage.edge.reaches(last).await;
    assert_equal(&stage.edge.replica.load(), &stage.plane.state());
    stage.assert_nothing_failed();
    let status = stage.edge.status.borrow().clone();
    assert!(status.frames < last.number, "{status:?}");
    // And when nothing happens.
    stage
        .edge
        .status_is(|now| now.renewals >= status.renewals + 5)
        .await;
    stage.assert_nothing_failed();
}

#[tokio::test]
async fn while_the_new_one_says_nothing_the_old_one_goes_on() {
    let mut stage = Stage::new(LONG).await;
    stage.plane.mute_newcomers(true);
    let begun = stage.subscriptions();
    // One that was asked for before may still take its place.
    eventually(|| stage.subscriptions() > begun + 1).await;
    let renewals = stage.edge.status.borrow().renewals;
    eventually(|| {
        assert!(stage.edge.age() < Some(Duration::from_millis(1_500)));
        stage.subscriptions() > begun + 3
    })
    .await;
    stage.edge.reaches(stage.plane.add("a", "c")).await;
    assert_eq!(stage.edge.status.borrow().renewals, renewals);
    stage.assert_nothing_failed();
    stage.plane.mute_newcomers(false);
    stage.edge.status_is(|status| status.renewals > renewals).await;
    stage.assert_nothing_failed();
}

#[tokio::test]
async fn one_that_cannot_be_renewed_is_not_believed_for_ever() {
    let mut stage = Stage::new(Duration::from_secs(4)).await;
    stage.plane.mute_newcomers(true);
    stage.edge.fails_with("could not be renewed").await;
    stage.plane.mute_newcomers(false);
    stage
        .edge
        .status_is(|status| status.sessions > 1 && status.connected)
        .await;
}

#[tokio::test]
async fn whatever_is_wrong_with_the_new_one_the_old_one_goes_on() {
    let mut stage = Stage::new(LONG).await;
    let frame = |from, to| Frame {
        from: rev(from),
        to: rev(to),
        changes: Vec::new(),
        digest: Digest::EMPTY,
    };
    let stranger = FeedKey::generate();
    let forged = frame(1, 2).seal(stranger.signer()).to_proto();
    let forged = crate::proto::Message {
        message: Some(crate::proto::message::Message::Frame(forged)),
    };
    let elsewhere = stage.plane.frame(&frame(7, 8));
    let nothing = crate::proto::Message { message: None };
    for message in [forged, elsewhere, nothing] {
        stage.plane.script(move |_| vec![message]);
    }
    let (plane, digest) = (Arc::clone(&stage.plane), stage.plane.state().digest());
    stage
        .plane
        .script(move |_| vec![plane.heartbeat([7; 16], 1, rev(1), digest)]);
    let plane = Arc::clone(&stage.plane);
    stage
        .plane
        .script(move |nonce| vec![plane.heartbeat(nonce, 1, rev(9), digest)]);
    let played = timeout(
        Duration::from_secs(20),
        eventually(|| stage.plane.script_played()),
    );
    played.await.expect("they are tried");
    let renewals = stage.edge.status.borrow().renewals;
    stage.edge.status_is(|status| status.renewals > renewals).await;
    stage.edge.reaches(stage.plane.add("a", "c")).await;
    stage.assert_nothing_failed();
    assert_equal(&stage.edge.replica.load(), &stage.plane.state());
}

#[tokio::test]
async fn a_new_one_that_speaks_of_another_state_takes_the_edge_out_of_service() {
    let mut stage = Stage::new(LONG).await;
    let plane = Arc::clone(&stage.plane);
    stage
        .plane
        .script(move |nonce| vec![plane.heartbeat(nonce, 1, rev(1), Digest::EMPTY)]);
    stage.edge.fails_with("differs from the control plane's").await;
    stage
        .edge
        .status_is(|status| status.snapshots == 2 && status.connected)
        .await;
}
