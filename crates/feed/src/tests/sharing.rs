//! More subscriptions with one edge key than an edge needs.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tempfile::TempDir;
use tonic::Code;
use tonic::transport::Endpoint;

use crate::client::FollowerStatus;
use crate::interest::Interest;
use crate::proto::SubscribeRequest;
use crate::proto::feed_client::FeedClient;
use crate::server::{FeedSource, Keeps, Observer, SUBSCRIPTIONS, Service};
use crate::testing::{ControlPlane, Edge, Reader, Word, authorized, eventually, rev, settle, tuple};

#[derive(Default)]
struct Seen {
    displaced: AtomicUsize,
}

impl Observer for Seen {
    fn subscribers(&self, _: Keeps, _: i64) {}
    fn frame(&self, _: Keeps, _: usize, _: u64) {}
    fn displaced(&self) {
        self.displaced.fetch_add(1, Ordering::SeqCst);
    }
    fn open_questions(&self, _: i64) {}
    fn questions(&self, _: &'static str) {}
}

#[tokio::test(start_paused = true)]
async fn a_key_has_so_many_subscriptions_and_the_newest_stay() {
    let plane = ControlPlane::new([]);
    let seen = Arc::new(Seen::default());
    plane.observe(Arc::clone(&seen) as Arc<dyn Observer>);
    let service = Service::new(Arc::clone(&plane) as Arc<dyn FeedSource>);
    let (key, all) = (plane.enrol(), Interest::all);
    let mut other = Reader::subscribe(&plane, &service, all(), rev(1)).await;
    let mut readers = Vec::new();
    for _ in 0..=SUBSCRIPTIONS {
        let mut reader = Reader::subscribe_as(&key, &plane, &service, all(), rev(1)).await;
        assert!(matches!(reader.word().await, Word::Heartbeat(_)));
        readers.push(reader);
    }
    let mut oldest = readers.remove(0);
    let end = oldest.end().await.expect("it is told why");
    assert_eq!(end.code(), Code::Aborted);
    assert!(end.message().contains("the same edge key"), "{end}");
    assert!(oldest.end().await.is_none());
    assert_eq!(seen.displaced.load(Ordering::SeqCst), 1);
    plane.add("a", "b");
    for reader in readers.iter_mut().chain([&mut other]) {
        assert_eq!(reader.frame().await.to, rev(2), "the others go on");
    }
    // Whoever left gives his place away.
    readers.pop();
    settle().await;
    readers.push(Reader::subscribe_as(&key, &plane, &service, all(), rev(2)).await);
    plane.add("a", "c");
    for reader in &mut readers {
        assert_eq!(reader.frame().await.to, rev(3));
    }
    assert_eq!(seen.displaced.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn who_does_not_read_has_to_go_at_once() {
    let plane = ControlPlane::new([]);
    let seen = Arc::new(Seen::default());
    plane.observe(Arc::clone(&seen) as Arc<dyn Observer>);
    let service = Service::new(Arc::clone(&plane) as Arc<dyn FeedSource>);
    let key = plane.enrol();
    let mut unread = Vec::new();
    for number in 1..=20 {
        unread.push(Reader::subscribe_as(&key, &plane, &service, Interest::all(), rev(1)).await);
        for user in 0..20 {
            plane.add(&number.to_string(), &user.to_string());
            settle().await;
        }
    }
    let begin = tokio::time::Instant::now();
    eventually(|| seen.displaced.load(Ordering::SeqCst) == 20 - SUBSCRIPTIONS).await;
    assert!(
        begin.elapsed() < crate::server::HEARTBEAT,
        "nobody waits for them"
    );
    // And when they read after all, they are told why there is nothing more.
    for mut displaced in unread.drain(..20 - SUBSCRIPTIONS) {
        let end = displaced.end_after_all().await.expect("it is told why");
        assert_eq!(end.code(), Code::Aborted);
        assert!(displaced.end().await.is_none());
    }
}

#[tokio::test]
async fn edges_that_were_given_one_key_are_told() {
    let plane = ControlPlane::new([tuple("a", "b")]);
    let (address, key) = (plane.serve().await, plane.enrol());
    let mut edges = Vec::new();
    for _ in 0..=SUBSCRIPTIONS {
        let dir = TempDir::new().expect("a directory");
        let mut edge = Edge::start(format!("http://{address}"), &key, dir.path());
        edge.is_in_touch().await;
        edges.push((edge, dir));
    }
    let (first, _dir) = &mut edges[0];
    first.fails_with("came with this edge's key").await;
    // And they do not take each other's place without end: each time the pause is longer.
    let last = plane.add("a", "c");
    for (edge, _dir) in &edges {
        edge.reaches(last).await;
    }
}

/// An edge whose renewal takes its own place, since others with its key have come, goes on.
#[tokio::test]
async fn who_takes_his_own_place_goes_on() {
    let plane = ControlPlane::new([tuple("a", "b")]);
    let seen = Arc::new(Seen::default());
    plane.observe(Arc::clone(&seen) as Arc<dyn Observer>);
    let (address, key) = (plane.serve().await, plane.enrol());
    let (dir, url) = (TempDir::new().expect("a directory"), format!("http://{address}"));
    let config = Edge::config(url.clone(), &key, dir.path());
    let mut edge = Edge::start_renewing(config, Duration::from_secs(1), Duration::from_mins(10));
    edge.is_in_touch().await;
    let channel = Endpoint::from_shared(url).expect("a URL");
    let mut client = FeedClient::new(channel.connect().await.expect("connected"));
    let mut displaced = 0;
    for round in 1..=4 {
        let renewals = edge.status.borrow().renewals;
        let mut others = Vec::new();
        for _ in 1..SUBSCRIPTIONS {
            let request = SubscribeRequest {
                epoch: 1,
                revision: 1,
                nonce: vec![0; 16].into(),
                ..SubscribeRequest::default()
            };
            let taken = client.subscribe(authorized(&key, request)).await;
            others.push(taken.expect("served").into_inner());
        }
        // The oldest one is the edge's, unless it renewed it just then.
        let next = |now: &FollowerStatus| now.renewals > renewals || now.sessions > 1;
        edge.status_is(next).await;
        let status = edge.status.borrow().clone();
        assert_eq!((status.sessions, status.last_error), (1, None), "round {round}");
        eventually(|| seen.displaced.load(Ordering::SeqCst) > displaced).await;
        displaced = seen.displaced.load(Ordering::SeqCst);
        edge.reaches(plane.add("a", &round.to_string())).await;
        drop(others);
    }
    edge.is_in_touch().await;
    assert_eq!(edge.status.borrow().sessions, 1);
}
