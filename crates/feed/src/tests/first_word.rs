//! A control plane that takes its time before it says anything, and a network that says nothing at all.

use std::time::Duration;

use tempfile::TempDir;
use tokio::time::{sleep, timeout};

use crate::testing::{ControlPlane, Edge, Relay, tuple};

/// Longer than the control plane may be silent once it was heard, and much less than it may take for its first word.
const LOADING: Duration = Duration::from_millis(2_500);

/// Less than the control plane may take for its first word.
const SOON: Duration = Duration::from_secs(12);

#[tokio::test]
async fn one_that_still_loads_is_waited_for() {
    let plane = ControlPlane::new([tuple("a", "b")]);
    let relay = Relay::to(plane.serve().await).await;
    let dir = TempDir::new().expect("a directory");
    plane.be_silent(true);
    let mut edge = Edge::start(relay.url(), &plane.enrol(), dir.path());
    edge.status_is(|status| status.snapshots == 1).await;
    sleep(LOADING).await;
    plane.be_silent(false);
    edge.is_in_touch().await;
    let status = edge.status.borrow().clone();
    assert_eq!((status.sessions, status.last_error), (1, None));
}

#[tokio::test]
async fn a_connection_that_died_before_the_first_word_is_given_up_soon() {
    let plane = ControlPlane::new([tuple("a", "b")]);
    let relay = Relay::to(plane.serve().await).await;
    let dir = TempDir::new().expect("a directory");
    plane.be_silent(true);
    let mut edge = Edge::start(relay.url(), &plane.enrol(), dir.path());
    edge.status_is(|status| status.snapshots == 1).await;
    relay.swallow();
    let given_up = timeout(SOON, edge.status_is(|status| status.last_error.is_some()));
    assert!(
        given_up.await.is_ok(),
        "it waits for a first word that cannot come"
    );
}

#[tokio::test]
async fn a_connection_that_died_is_given_up_soon_once_it_was_in_touch() {
    let plane = ControlPlane::new([tuple("a", "b")]);
    let relay = Relay::to(plane.serve().await).await;
    let dir = TempDir::new().expect("a directory");
    let mut edge = Edge::start(relay.url(), &plane.enrol(), dir.path());
    edge.is_in_touch().await;
    relay.swallow();
    let given_up = timeout(SOON, edge.fails_with("nothing was heard"));
    assert!(given_up.await.is_ok(), "it waits for a word that cannot come");
}

#[tokio::test]
async fn one_that_does_not_even_take_the_subscription_is_given_up_soon() {
    let plane = ControlPlane::new([tuple("a", "b")]);
    let relay = Relay::to(plane.serve().await).await;
    let dir = TempDir::new().expect("a directory");
    let mut edge = Edge::start(relay.url(), &plane.enrol(), dir.path());
    edge.is_in_touch().await;
    plane.hold_keys();
    relay.cut();
    let given_up = timeout(SOON, edge.fails_with("nothing was heard"));
    assert!(
        given_up.await.is_ok(),
        "it waits for an answer as long as for a first word"
    );
}
