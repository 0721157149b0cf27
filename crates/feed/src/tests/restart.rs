//! An edge that starts while the control plane is away.

use std::sync::Arc;
use std::time::Duration;

use sentinel_core::{Clock as _, ManualClock, SystemClock};
use tempfile::TempDir;

use crate::disk::Contact;
use crate::frame::Heartbeat;
use crate::testing::{ControlPlane, Edge, Relay, assert_equal, eventually, every_kind_of_fact, rev, tuple};

#[tokio::test]
async fn it_has_the_same_state_with_the_right_age() {
    let plane = ControlPlane::new(every_kind_of_fact());
    let relay = Relay::to(plane.serve().await).await;
    let (key, dir) = (plane.enrol(), TempDir::new().expect("a directory"));
    let mut edge = Edge::start(relay.url(), &key, dir.path());
    edge.is_in_touch().await;
    let mut last = rev(1);
    for n in 0..30 {
        last = plane.add("a", &n.to_string());
    }
    edge.reaches(last).await;
    // The contact that vouches for the last change has to be on disk.
    let contact = dir.path().join("replica.contact");
    eventually(|| {
        let stored = Contact::from_bytes(&std::fs::read(&contact).unwrap_or_default());
        let heartbeat = stored.and_then(|stored| Heartbeat::open(&stored.signed, plane.key.public()).ok());
        heartbeat.is_some_and(|heartbeat| heartbeat.head == last)
    })
    .await;
    relay.close();
    edge.stop().await;

    let clock = Arc::new(ManualClock::at(SystemClock.now() + Duration::from_mins(5)));
    let edge = Edge::start_with_clock(relay.url(), &key, dir.path(), clock.clone());
    edge.reaches(last).await;
    assert_equal(&edge.replica.load(), &plane.state());
    let replica = edge.replica.clone();
    eventually(|| replica.is_ready()).await;
    let age = edge.age().expect("known");
    assert!(
        age >= Duration::from_mins(5) && age < Duration::from_mins(6),
        "{age:?}"
    );
    edge.stop().await;

    // A clock that went back says nothing about the age: the edge waits for contact.
    clock.set(SystemClock.now() - Duration::from_hours(1));
    let mut edge = Edge::start_with_clock(relay.url(), &key, dir.path(), clock);
    edge.reaches(last).await;
    edge.status_is(|status| status.last_error.is_some()).await;
    assert_eq!(edge.age(), None);
    relay.open();
    edge.is_in_touch().await;
    assert!(edge.age().is_some());
    assert_eq!(edge.status.borrow().snapshots, 0, "what is on disk was enough");
}

#[tokio::test]
async fn it_goes_on_from_its_journal_and_is_equal_in_the_end() {
    let plane = ControlPlane::new(every_kind_of_fact());
    let relay = Relay::to(plane.serve().await).await;
    let (key, dir) = (plane.enrol(), TempDir::new().expect("a directory"));
    let mut last = rev(1);
    for round in 0..4 {
        let mut edge = Edge::start(relay.url(), &key, dir.path());
        edge.is_in_touch().await;
        for n in 0..10 {
            last = plane.add(&round.to_string(), &n.to_string());
        }
        edge.reaches(last).await;
        assert_eq!(edge.status.borrow().snapshots, u64::from(round == 0));
        assert_equal(&edge.replica.load(), &plane.state());
        edge.stop().await;
        last = plane.add("away", &round.to_string()).max(last);
    }
}

#[tokio::test]
async fn damaged_files_cost_a_snapshot_and_nothing_else() {
    let plane = ControlPlane::new(every_kind_of_fact());
    let relay = Relay::to(plane.serve().await).await;
    let (key, dir) = (plane.enrol(), TempDir::new().expect("a directory"));
    let mut edge = Edge::start(relay.url(), &key, dir.path());
    edge.is_in_touch().await;
    edge.reaches(plane.add("a", "z")).await;
    edge.stop().await;
    for name in ["replica.snapshot", "replica.journal", "replica.contact"] {
        let path = dir.path().join(name);
        let mut bytes = std::fs::read(&path).expect("written");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0xff;
        std::fs::write(&path, bytes).expect("written");
        let mut edge = Edge::start(relay.url(), &key, dir.path());
        edge.is_in_touch().await;
        edge.reaches(plane.add("a", name)).await;
        assert_equal(&edge.replica.load(), &plane.state());
        edge.stop().await;
    }
}

#[tokio::test]
async fn two_edges_in_one_directory_do_not_spoil_it() {
    let plane = ControlPlane::new([tuple("a", "b")]);
    let relay = Relay::to(plane.serve().await).await;
    let (key, dir) = (plane.enrol(), TempDir::new().expect("a directory"));
    let mut first = Edge::start(relay.url(), &key, dir.path());
    first.is_in_touch().await;
    let mut second = Edge::start(relay.url(), &key, dir.path());
    second.is_in_touch().await;
    let last = plane.add("a", "c");
    first.reaches(last).await;
    second.reaches(last).await;
    second.stop().await;
    first.stop().await;
    relay.close();
    let third = Edge::start(relay.url(), &key, dir.path());
    third.reaches(last).await;
    assert_equal(&third.replica.load(), &plane.state());
}
