//! A control plane that says something wrong, or to the wrong edge. Nothing of it is applied, and the edge recovers.

use std::sync::atomic::Ordering;
use std::time::Duration;

use prost::Message as _;
use sentinel_core::{Change, SystemRandom};
use sentinel_token::PlainEdgeKey;
use tempfile::TempDir;

use crate::digest::Digest;
use crate::frame::Frame;
use crate::proto::{self, message};
use crate::signed::Kind;
use crate::testing::{ControlPlane, Edge, FeedKey, Relay, assert_equal, eventually, rev, tuple};

struct Stage {
    plane: std::sync::Arc<ControlPlane>,
    relay: Relay,
    edge: Edge,
    key: PlainEdgeKey,
    _dir: TempDir,
}

/// An edge at revision 1 that is in touch.
async fn stage() -> Stage {
    let plane = ControlPlane::new([tuple("a", "b")]);
    let relay = Relay::to(plane.serve().await).await;
    let (key, dir) = (plane.enrol(), TempDir::new().expect("a directory"));
    let mut edge = Edge::start(relay.url(), &key, dir.path());
    edge.is_in_touch().await;
    Stage {
        plane,
        relay,
        edge,
        key,
        _dir: dir,
    }
}

fn frame(from: u64, to: u64, user: &str) -> Frame {
    let changes = vec![Change::Put(tuple("a", user))];
    let digest = Digest::of(&tuple("a", "b")).plus(Digest::of(&tuple("a", user)));
    Frame {
        from: rev(from),
        to: rev(to),
        changes,
        digest,
    }
}

fn signed(signed: &crate::signed::Signed) -> proto::Message {
    proto::Message {
        message: Some(message::Message::Frame(signed.to_proto())),
    }
}

#[tokio::test]
async fn a_frame_behind_a_gap_is_refused_and_the_edge_catches_up() {
    let mut stage = stage().await;
    let gap = stage.plane.frame(&frame(2, 3, "c"));
    stage.plane.script(move |_| vec![gap]);
    stage.relay.cut();
    stage.edge.fails_with("a change is missing").await;
    assert_eq!(stage.edge.replica.load().revision(), rev(1));
    stage.plane.add("a", "x");
    stage.edge.reaches(stage.plane.add("a", "y")).await;
    assert_equal(&stage.edge.replica.load(), &stage.plane.state());
    assert_eq!(stage.edge.status.borrow().snapshots, 1, "the log was enough");
}

#[tokio::test]
async fn a_change_that_cannot_be_applied_twice_is_led_past_by_a_snapshot() {
    let mut stage = stage().await;
    let mut odd = frame(1, 2, "c");
    // No relation of a group.
    odd.changes = vec![Change::Put(
        "tuple group:a#unheard_of@user:c".parse().expect("a fact"),
    )];
    for _ in 0..2 {
        let odd = stage.plane.frame(&odd);
        stage.plane.script(move |_| vec![odd]);
    }
    stage.relay.cut();
    stage.edge.fails_with("cannot be applied by this version").await;
    stage.edge.status_is(|status| status.snapshots == 2).await;
    assert!(stage.plane.script_played());
    stage.edge.reaches(stage.plane.add("a", "x")).await;
    assert_equal(&stage.edge.replica.load(), &stage.plane.state());
}

#[tokio::test]
async fn a_frame_with_another_digest_is_refused_and_a_snapshot_is_fetched() {
    let mut stage = stage().await;
    let mut wrong = frame(1, 2, "c");
    wrong.digest = Digest::EMPTY;
    let wrong = stage.plane.frame(&wrong);
    stage.plane.script(move |_| vec![wrong]);
    stage.relay.cut();
    stage.edge.status_is(|status| status.snapshots == 2).await;
    stage.edge.reaches(stage.plane.add("a", "x")).await;
    assert_equal(&stage.edge.replica.load(), &stage.plane.state());
}

#[tokio::test]
async fn a_heartbeat_with_another_digest_takes_the_edge_out_of_service_until_it_has_a_snapshot() {
    let mut stage = stage().await;
    let (plane, replica) = (stage.plane.clone(), stage.edge.replica.clone());
    // It really differs: the edge got a change that the control plane does not have.
    let forked = plane.frame(&frame(1, 2, "fork"));
    let beat = stage.plane.clone();
    stage
        .plane
        .script(move |nonce| vec![forked, beat.heartbeat(nonce, 1, rev(2), Digest::EMPTY)]);
    let watched = tokio::spawn({
        let replica = replica.clone();
        async move { eventually(|| replica.age().is_none()).await }
    });
    plane.add("a", "truth");
    stage.relay.cut();
    watched.await.expect("it was out of service");
    stage
        .edge
        .status_is(|status| status.snapshots == 2 && status.connected)
        .await;
    assert!(replica.is_ready());
    assert_equal(&replica.load(), &plane.state());
}

#[tokio::test]
async fn a_change_that_is_not_known_stops_the_edge_and_nothing_behind_it_is_applied() {
    let mut stage = stage().await;
    let played = stage.plane.snapshots_served.load(Ordering::SeqCst);
    for _ in 0..3 {
        let unknown = proto::Frame {
            epoch: 1,
            from: 1,
            to: 2,
            changes: vec![Change::Put(tuple("a", "c")).to_string(), "+future-kind 1".into()],
            digest: vec![0; 16].into(),
            interest: Vec::new().into(),
        };
        let unknown = stage.plane.key.seal(Kind::Frame, unknown.encode_to_vec());
        let (plane, next) = (stage.plane.clone(), stage.plane.frame(&frame(2, 3, "d")));
        stage.plane.script(move |nonce| {
            let beat = plane.heartbeat(nonce, 1, rev(3), Digest::EMPTY);
            vec![signed(&unknown), next, beat]
        });
    }
    stage.relay.cut();
    stage.edge.fails_with("has to be updated").await;
    let (plane, replica) = (stage.plane.clone(), stage.edge.replica.clone());
    eventually(|| {
        assert_eq!(replica.load().revision(), rev(1), "never skipped");
        plane.script_played()
    })
    .await;
    assert_eq!(
        stage.plane.snapshots_served.load(Ordering::SeqCst),
        played,
        "a snapshot would not help"
    );
    stage.edge.reaches(stage.plane.add("a", "e")).await;
}

#[tokio::test]
async fn what_another_key_signed_is_not_applied() {
    let mut stage = stage().await;
    let stranger = FeedKey::generate();
    let forged = signed(&frame(1, 2, "c").seal(stranger.signer()));
    // Signed by the right key, as something else.
    let beat = stage.plane.heartbeat([0; 16], 1, rev(1), Digest::EMPTY);
    let Some(message::Message::Heartbeat(envelope)) = beat.message else {
        panic!("a heartbeat");
    };
    let disguised = proto::Message {
        message: Some(message::Message::Frame(envelope)),
    };
    for message in [forged, disguised] {
        stage.plane.script(move |_| vec![message]);
        stage.relay.cut();
        stage.edge.fails_with("does not fit the pinned feed key").await;
        stage.edge.status_is(|status| status.connected).await;
        assert_eq!(stage.edge.replica.load().revision(), rev(1));
    }
}

#[tokio::test]
async fn a_replayed_heartbeat_does_not_make_an_edge_fresh() {
    let mut stage = stage().await;
    let digest = stage.plane.state().digest();
    for replay in 0..2 {
        let plane = stage.plane.clone();
        stage.plane.script(move |nonce| {
            let good = plane.heartbeat(nonce, 5, rev(1), digest);
            match replay {
                0 => vec![plane.heartbeat([7; 16], 1, rev(1), digest)],
                _ => vec![good.clone(), good],
            }
        });
        stage.relay.cut();
        stage.edge.fails_with("must not be replayed").await;
        stage.edge.status_is(|status| status.connected).await;
    }
}

#[tokio::test]
async fn heads_that_were_not_sent_and_empty_messages_end_the_connection() {
    let mut stage = stage().await;
    let plane = stage.plane.clone();
    stage
        .plane
        .script(move |nonce| vec![plane.heartbeat(nonce, 1, rev(9), Digest::EMPTY)]);
    stage.relay.cut();
    stage.edge.fails_with("is at revision `1.9`").await;
    stage.plane.script(|_| vec![proto::Message { message: None }]);
    stage.edge.status_is(|status| status.connected).await;
    stage.relay.cut();
    stage.edge.fails_with("must not be empty").await;
}

#[tokio::test]
async fn only_an_enrolled_edge_is_served_and_a_revoked_one_is_cut_off() {
    let mut stage = stage().await;
    let dir = TempDir::new().expect("a directory");
    let stranger = PlainEdgeKey::generate(&SystemRandom, *stage.plane.key.public());
    let mut refused = Edge::start(stage.relay.url(), &stranger, dir.path());
    refused.fails_with("does not know this edge's key").await;
    assert!(!refused.replica.is_ready());

    stage.plane.revoke(&stage.key);
    stage.edge.fails_with("does not know this edge's key").await;
    stage.plane.add("a", "secret");
    let (sessions, key) = (stage.edge.status.borrow().sessions, stage.key.clone());
    stage.edge.status_is(|status| status.sessions > sessions).await;
    assert_eq!(stage.edge.replica.load().revision(), rev(1));
    assert!(!format!("{:?}", stage.edge.status.borrow()).contains(&key.secret().expose()));
}

#[tokio::test]
async fn a_control_plane_without_its_database_makes_nobody_fresh() {
    let mut stage = stage().await;
    stage.plane.lose_database();
    let (replica, plane) = (stage.edge.replica.clone(), stage.plane.clone());
    // Heartbeats go on, and say how old they are.
    let lost = plane.state().revision();
    eventually(|| replica.age() > Some(Duration::from_millis(700))).await;
    assert!(stage.edge.status.borrow_and_update().connected);
    assert_eq!((stage.edge.status.borrow().sessions, lost), (1, rev(1)));
}
