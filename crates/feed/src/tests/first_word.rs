//! A control plane that takes its time before it says anything, and a network that says nothing at all.

use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::{sleep, timeout};

use crate::testing::{ControlPlane, Edge, Relay, tuple};

/// Longer than the control plane may be silent once it was heard, and much less than it may take for its first word.
const LOADING: Duration = Duration::from_millis(2_500);

/// Less than the control plane may take for its first word.
const SOON: Duration = Duration::from_secs(12);

struct Stage {
    plane: Arc<ControlPlane>,
    relay: Relay,
    edge: Edge,
    _dir: TempDir,
}

impl Stage {
    /// An edge that is just being started.
    async fn new(is_silent: bool) -> Self {
        let plane = ControlPlane::new([tuple("a", "b")]);
        let relay = Relay::to(plane.serve().await).await;
        let dir = TempDir::new().expect("a directory");
        plane.be_silent(is_silent);
        let edge = Edge::start(relay.url(), &plane.enrol(), dir.path());
        Self {
            plane,
            relay,
            edge,
            _dir: dir,
        }
    }

    /// One that has everything, of a control plane that says nothing.
    async fn silent() -> Self {
        let mut stage = Self::new(true).await;
        stage.edge.status_is(|status| status.snapshots == 1).await;
        stage
    }

    async fn in_touch() -> Self {
        let mut stage = Self::new(false).await;
        stage.edge.is_in_touch().await;
        stage
    }

    async fn is_given_up_soon(&mut self, reason: &str) {
        let given_up = timeout(SOON, self.edge.fails_with(reason)).await;
        assert!(given_up.is_ok(), "it waits for a word that cannot come");
    }
}

#[tokio::test]
async fn one_that_still_loads_is_waited_for() {
    let mut stage = Stage::silent().await;
    sleep(LOADING).await;
    stage.plane.be_silent(false);
    stage.edge.is_in_touch().await;
    let status = stage.edge.status.borrow().clone();
    assert_eq!((status.sessions, status.last_error), (1, None));
}

#[tokio::test]
async fn a_connection_that_died_before_the_first_word_is_given_up_soon() {
    let mut stage = Stage::silent().await;
    stage.relay.swallow();
    stage.is_given_up_soon("").await;
}

#[tokio::test]
async fn a_connection_that_died_is_given_up_soon_once_it_was_in_touch() {
    let mut stage = Stage::in_touch().await;
    stage.relay.swallow();
    stage.is_given_up_soon("nothing was heard").await;
}

#[tokio::test]
async fn one_that_does_not_even_take_the_subscription_is_given_up_soon() {
    let mut stage = Stage::in_touch().await;
    stage.plane.hold_keys();
    stage.relay.cut();
    stage.is_given_up_soon("nothing was heard").await;
}
