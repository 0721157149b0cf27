//! Edges that keep a part of everything, beside some that keep all of it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use sentinel_core::{Change, Fact};
use tempfile::TempDir;

use crate::digest::Digest;
use crate::frame::Frame;
use crate::interest::{Extent, Interest};
use crate::proto::{self, message};
use crate::state::ReplicaState;
use crate::testing::{ControlPlane, Edge, Relay, assert_equal, eventually, every_kind_of_fact, rev, tuple};

fn services(names: &[&str]) -> Interest {
    let names = names.iter().map(|name| name.parse().expect("a name"));
    Interest::new(Extent::Of(names.collect()), Extent::All)
}

fn workspaces(ids: &[u128]) -> Interest {
    let ids = ids.iter().map(|id| uuid::Uuid::from_u128(*id).into());
    Interest::new(Extent::All, Extent::Of(ids.collect()))
}

/// A document of a service in a workspace, with its owner.
fn document(service: &str, number: usize, workspace: u128) -> Vec<Change> {
    let (name, workspace) = (
        format!("resource:{service}/document/{number}"),
        uuid::Uuid::from_u128(workspace),
    );
    [
        format!("tuple {name}#workspace@workspace:{workspace}"),
        format!("tuple {name}#owner@user:b"),
    ]
    .iter()
    .map(|line| Change::Put(line.parse::<Fact>().expect(line)))
    .collect()
}

struct Stage {
    plane: Arc<ControlPlane>,
    relay: Relay,
    dirs: Vec<TempDir>,
}

impl Stage {
    async fn new() -> Self {
        let plane = ControlPlane::new(every_kind_of_fact());
        let relay = Relay::to(plane.serve().await).await;
        let dirs = Vec::new();
        Self { plane, relay, dirs }
    }

    fn edge(&mut self, interest: Interest) -> Edge {
        let dir = TempDir::new().expect("a directory");
        let edge = Edge::start_of(interest, self.relay.url(), &self.plane.enrol(), dir.path());
        self.dirs.push(dir);
        edge
    }

    fn part(&self, interest: &Interest) -> ReplicaState {
        self.plane.state().narrowed(interest).expect("a state")
    }
}

#[tokio::test]
async fn each_has_its_part_and_all_have_every_revision() {
    let mut stage = Stage::new().await;
    let interests = [
        Interest::all(),
        services(&["docs"]),
        services(&["wiki"]),
        services(&[]),
        workspaces(&[1]),
        workspaces(&[1, 2]),
    ];
    let mut edges: Vec<Edge> = interests
        .iter()
        .map(|interest| stage.edge(interest.clone()))
        .collect();
    for edge in &mut edges {
        edge.is_in_touch().await;
    }
    let mut last = rev(1);
    for number in 0..60 {
        let service = ["docs", "wiki"][number % 2];
        last = stage
            .plane
            .commit(document(service, number, 1 + number as u128 % 3));
        if number % 7 == 3 {
            // Everybody's.
            let user = uuid::Uuid::from_u128(number as u128);
            let disabled = format!("disabled-user {user}").parse().expect("a fact");
            last = stage.plane.commit(vec![Change::Put(disabled)]);
        }
    }
    let gone = document("docs", 0, 1)
        .into_iter()
        .map(|change| Change::Delete(change.fact().clone()));
    last = stage.plane.commit(gone.collect()).max(last);
    for (edge, interest) in edges.iter().zip(&interests) {
        edge.reaches(last).await;
        assert_equal(&edge.replica.load(), &stage.part(interest));
        assert_eq!(edge.replica.load().interest(), interest);
        assert_eq!(
            edge.status.borrow().snapshots,
            1,
            "{interest}: the rest came as frames"
        );
    }
    let docs = "docs".parse().expect("a name");
    let covers = |place: usize| edges[place].replica.load().covers(&docs, None);
    assert_eq!(
        (0..6).map(covers).collect::<Vec<_>>(),
        [true, true, false, false, false, false]
    );
}

#[tokio::test]
async fn a_hundred_edges_of_one_interest_cost_the_signatures_of_one() {
    let mut stage = Stage::new().await;
    let mut edges: Vec<Edge> = (0..20).map(|_| stage.edge(services(&["docs"]))).collect();
    for edge in &mut edges {
        edge.is_in_touch().await;
    }
    let frames = || edges.iter().map(|edge| edge.status.borrow().frames).sum::<u64>();
    let signed_before = stage.plane.sealed_frames.load(Ordering::SeqCst);
    let mut last = rev(1);
    for number in 0..100 {
        // None of them is about this interest, and yet their revision is known at once.
        last = stage.plane.commit(document("wiki", number, 1));
    }
    for edge in &edges {
        edge.reaches(last).await;
    }
    let signed = stage.plane.sealed_frames.load(Ordering::SeqCst) - signed_before;
    assert!(
        (1..=100 + 20).contains(&signed),
        "{signed} signatures for {} frames",
        frames()
    );
    assert_eq!(
        edges[7].replica.load().digest(),
        stage.part(&services(&["docs"])).digest()
    );
}

#[tokio::test]
async fn one_that_is_cut_off_again_and_again_ends_like_one_that_never_was() {
    let mut stage = Stage::new().await;
    let interest = workspaces(&[1]);
    let mut edge = stage.edge(interest.clone());
    edge.is_in_touch().await;
    let mut last = rev(1);
    for round in 0..8_usize {
        for n in 0..20 {
            last = stage
                .plane
                .commit(document("docs", round * 20 + n, 1 + n as u128 % 2));
            if n == 7 {
                stage.relay.cut();
            }
        }
        let deleted = document("docs", round * 20, 1).into_iter();
        let deleted = deleted
            .map(|change| Change::Delete(change.fact().clone()))
            .collect();
        last = stage.plane.commit(deleted).max(last);
        edge.reaches(last).await;
        assert_equal(&edge.replica.load(), &stage.part(&interest));
    }
    edge.is_in_touch().await;
    assert_eq!(edge.status.borrow().snapshots, 1);
}

#[tokio::test]
async fn what_was_made_for_another_interest_is_not_applied() {
    let mut stage = Stage::new().await;
    let mut edge = stage.edge(services(&["docs"]));
    edge.is_in_touch().await;
    let at = edge.replica.load().revision();
    let digest = edge.replica.load().digest();
    let put = |user: &str| Frame {
        from: at,
        to: rev(at.number + 1),
        changes: vec![Change::Put(tuple("a", user))],
        digest: digest.plus(Digest::of(&tuple("a", user))),
    };
    for other in [Interest::all(), services(&["wiki"]), workspaces(&[1])] {
        let signed = put("x").seal_for(other.fingerprint(), stage.plane.key.signer());
        let message = proto::Message {
            message: Some(message::Message::Frame(signed.to_proto())),
        };
        stage.plane.script(move |_| vec![message]);
        stage.relay.cut();
        edge.fails_with("another interest").await;
        edge.is_in_touch().await;
    }
    let plane = Arc::clone(&stage.plane);
    let everything = plane.state().digest();
    stage
        .plane
        .script(move |nonce| vec![plane.heartbeat(nonce, 1, at, everything)]);
    let sessions = edge.status.borrow().sessions;
    stage.relay.cut();
    edge.status_is(|status| status.sessions > sessions + 1).await;
    edge.is_in_touch().await;
    assert_eq!(edge.replica.load().revision(), at);
    assert_equal(&edge.replica.load(), &stage.part(&services(&["docs"])));
}

#[tokio::test]
async fn another_interest_in_the_configuration_means_a_fresh_snapshot_and_no_answer_before() {
    let stage = Stage::new().await;
    let (key, dir) = (stage.plane.enrol(), TempDir::new().expect("a directory"));
    let start = |interest| Edge::start_of(interest, stage.relay.url(), &key, dir.path());
    let mut edge = start(services(&[]));
    edge.is_in_touch().await;
    let last = stage.plane.commit(document("docs", 1, 1));
    edge.reaches(last).await;
    edge.stop().await;

    // As before: from disk.
    stage.relay.close();
    let edge = start(services(&[]));
    edge.reaches(last).await;
    assert_eq!(edge.replica.load().interest(), &services(&[]));
    edge.stop().await;

    let mut edge = start(services(&["docs"]));
    edge.status_is(|status| status.last_error.is_some()).await;
    assert!(!edge.replica.is_ready() && edge.replica.load().is_empty());
    stage.relay.open();
    edge.is_in_touch().await;
    assert_equal(&edge.replica.load(), &stage.part(&services(&["docs"])));
    edge.stop().await;

    // And back to less, and to everything.
    for interest in [services(&[]), Interest::all()] {
        let mut edge = start(interest.clone());
        edge.is_in_touch().await;
        assert_eq!(edge.status.borrow().snapshots, 1);
        assert_equal(&edge.replica.load(), &stage.part(&interest));
        edge.stop().await;
    }
}

#[tokio::test]
async fn what_is_on_disk_of_another_interest_is_not_replayed() {
    let stage = Stage::new().await;
    let (key, dir) = (stage.plane.enrol(), TempDir::new().expect("a directory"));
    let start = || Edge::start_of(services(&["docs"]), stage.relay.url(), &key, dir.path());
    let mut edge = start();
    edge.is_in_touch().await;
    edge.reaches(stage.plane.commit(document("docs", 1, 1))).await;
    let known = edge.replica.load_full();
    edge.stop().await;
    stage.relay.close();
    // It would apply, if it were for this edge.
    let frame = Frame {
        from: known.revision(),
        to: rev(known.revision().number + 1),
        changes: vec![Change::Put(tuple("a", "intruder"))],
        digest: known.digest().plus(Digest::of(&tuple("a", "intruder"))),
    };
    let append = |interest: &Interest| {
        let record = frame
            .seal_for(interest.fingerprint(), stage.plane.key.signer())
            .to_bytes();
        let length = u32::try_from(record.len()).expect("short").to_be_bytes();
        let path = dir.path().join("replica.journal");
        let journal = std::fs::read(&path).unwrap_or_default();
        std::fs::write(&path, [&journal[..], &length, &record].concat()).expect("written");
    };
    append(&Interest::all());
    let edge = start();
    edge.reaches(known.revision()).await;
    assert_equal(&edge.replica.load(), &known);
    edge.stop().await;
    append(&services(&["docs"]));
    let edge = start();
    edge.reaches(frame.to).await;
    edge.stop().await;
}

#[tokio::test]
async fn what_goes_over_to_another_workspace_reaches_who_keeps_that_one() {
    let mut stage = Stage::new().await;
    let interests = [workspaces(&[1]), workspaces(&[2]), Interest::all()];
    let mut edges: Vec<Edge> = interests
        .iter()
        .map(|interest| stage.edge(interest.clone()))
        .collect();
    for edge in &mut edges {
        edge.is_in_touch().await;
    }
    let made = stage.plane.commit(document("docs", 1, 1));
    for edge in &edges {
        edge.reaches(made).await;
    }
    let moved = [document("docs", 1, 1), document("docs", 1, 2)];
    let last = stage.plane.commit(vec![
        Change::Delete(moved[0][0].fact().clone()),
        moved[1][0].clone(),
    ]);
    let later = stage.plane.add("a", "z");
    for (edge, interest) in edges.iter_mut().zip(&interests) {
        edge.reaches(later.max(last)).await;
        edge.is_in_touch().await;
        let (replica, part) = (edge.replica.clone(), stage.part(interest));
        eventually(|| replica.load().digest() == part.digest()).await;
        assert_equal(&replica.load(), &part);
    }
    assert_eq!(
        edges[2].status.borrow().snapshots,
        1,
        "who keeps everything noticed nothing"
    );
}

#[tokio::test]
async fn a_wrong_change_is_found_within_a_second_and_healed_and_nobody_decides_in_between() {
    let mut stage = Stage::new().await;
    let interest = services(&["docs"]);
    let mut edge = stage.edge(interest.clone());
    edge.is_in_touch().await;
    // As a defect in the edge's memory would: the same revision, and one fact too many.
    let known = edge.replica.load_full();
    let mut facts: Vec<Fact> = known.facts().collect();
    facts.push(tuple("a", "intruder"));
    let wrong = ReplicaState::from_snapshot(known.revision(), facts).expect("a state");
    let replica = edge.replica.clone();
    let distrusted = tokio::spawn({
        let replica = replica.clone();
        async move { eventually(|| replica.age().is_none()).await }
    });
    tokio::task::yield_now().await;
    replica.install(wrong.of_interest(interest.clone()));
    distrusted.await.expect("it was out of service");
    assert!(replica.load().digest() != stage.part(&interest).digest() || replica.age().is_some());
    eventually(|| replica.age().is_some()).await;
    assert_equal(&replica.load(), &stage.part(&interest));
    assert_eq!(edge.status.borrow_and_update().snapshots, 2);
}
