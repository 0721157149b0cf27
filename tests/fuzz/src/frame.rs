//! Changes that an edge is sent, behind the control plane's signature: whatever is read says what it said when it is written
//! again, and several changes one after the other lead where all of them lead together.

use std::sync::LazyLock;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use sentinel_core::{Fact, Revision};
use sentinel_feed::{Fingerprint, Frame, Heartbeat, Kind, ReplicaState, Signed};
use sentinel_token::FeedVerifyKey;
use sentinel_token::feed_key::signed_message;

/// What an edge has before the change.
const BEFORE: [&str; 9] = [
    r"model docs 1 model\n  schema 1.1\ntype user\ntype folder\n  relations\n    define parent: [folder]\n    define viewer: [user, group#member] or viewer from parent",
    "tuple docs/folder:a#parent@docs/folder:b",
    "tuple docs/folder:b#viewer@user:c",
    "expiring-tuple 7 docs/folder:a#viewer@user:d",
    "tuple group:a#member@user:b",
    "tuple group:a#member@group:c#member",
    "revoked-session 00000000-0000-0000-0000-000000000002 5",
    "revoked-token 00000000-0000-0000-0000-000000000003 6",
    "disabled-user 00000000-0000-0000-0000-000000000004",
];

static KEY: LazyLock<Ed25519KeyPair> =
    LazyLock::new(|| Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("32 bytes"));

static STATE: LazyLock<ReplicaState> = LazyLock::new(|| {
    let facts = BEFORE.map(|line| line.parse::<Fact>().expect(line));
    ReplicaState::from_snapshot(at(1), facts).expect("good facts")
});

fn at(number: u64) -> Revision {
    Revision { epoch: 1, number }
}

fn sign(context: &str, payload: &[u8]) -> [u8; 64] {
    let signature = KEY.sign(&signed_message(context, payload));
    signature.as_ref().try_into().expect("64 bytes")
}

pub(crate) fn check(input: &[u8]) {
    let key = FeedVerifyKey::from_bytes(KEY.public_key().as_ref().try_into().expect("32 bytes"));
    let everything = Fingerprint::EVERYTHING;
    let heartbeat = Signed::seal(Kind::Heartbeat, input.to_vec(), sign);
    if let Ok(heartbeat) = Heartbeat::open_for(&heartbeat, &key, everything) {
        let again = heartbeat.seal_for(everything, sign);
        assert_eq!(Heartbeat::open_for(&again, &key, everything), Ok(heartbeat));
    }
    let signed = Signed::seal(Kind::Frame, input.to_vec(), sign);
    let Ok(frame) = Frame::open_for(&signed, &key, everything) else {
        return;
    };
    let again = frame.seal_for(everything, sign);
    assert_eq!(Frame::open_for(&again, &key, everything).as_ref(), Ok(&frame));
    if let Ok(next) = STATE.apply(&frame) {
        assert_eq!(frame.from, STATE.revision());
        assert_eq!((next.revision(), next.digest()), (frame.to, frame.digest));
    }

    let Ok((next, made)) = STATE.advance(at(2), frame.changes.clone()) else {
        return;
    };
    is_sound(&next);
    let applied = STATE.apply(&made).expect("a frame of its own");
    assert_eq!(applied.digest(), next.digest());
    let (first, second) = frame.changes.split_at(frame.changes.len() / 2);
    let halfway = STATE.advance(at(2), first.to_vec());
    let Ok((end, _)) = halfway.and_then(|(halfway, _)| halfway.advance(at(3), second.to_vec())) else {
        return;
    };
    assert_eq!(end.digest(), next.digest(), "together they lead elsewhere");
}

/// The digest is that of the facts.
fn is_sound(state: &ReplicaState) {
    let again = ReplicaState::from_snapshot(state.revision(), state.facts()).expect("its own facts");
    assert_eq!((again.len(), again.digest()), (state.len(), state.digest()));
}
