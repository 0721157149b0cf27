//! The three things that the control plane says: a change, a sign of life, what a snapshot must be.

use std::time::Duration;

use prost::Message as _;
use sentinel_core::fact::InvalidFact;
use sentinel_core::{Change, Revision, Timestamp};
use sentinel_token::{BadSignature, FeedVerifyKey};

use crate::digest::Digest;
use crate::interest::{Fingerprint, Interest};
use crate::proto;
use crate::signed::{Kind, Signed};
use crate::snapshot::FORMAT;

/// How the state changes from one revision to a later one. A transaction is never split over two frames.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The revision that the changes apply to.
    pub from: Revision,
    /// The revision after them; of the same epoch.
    pub to: Revision,
    /// The changes, in order.
    pub changes: Vec<Change>,
    /// The digest of the state at `to`.
    pub digest: Digest,
}

/// What the control plane knew at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heartbeat {
    /// The newest revision.
    pub head: Revision,
    /// The digest of the state at `head`.
    pub digest: Digest,
    /// The control plane's time.
    pub sent_at: Timestamp,
    /// How old that knowledge was at `sent_at`: how long ago the control plane itself was in touch with its database.
    pub age: Duration,
    /// What the edge sent when it subscribed.
    pub nonce: [u8; 16],
    /// Larger in every heartbeat of a stream.
    pub sequence: u64,
    /// How long after the subscription's request came this was sent, by a clock that nobody sets: what it arrives later
    /// than that, it was on its way.
    pub since: Duration,
}

/// What a snapshot's body must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotManifest {
    /// The revision of the state.
    pub revision: Revision,
    /// How many facts there are.
    pub facts: u64,
    /// The digest of the state.
    pub digest: Digest,
    /// Length of the body in bytes.
    pub body_bytes: u64,
    /// SHA-256 of the body.
    pub body_sha256: [u8; 32],
    /// Which facts the state is made of.
    pub interest: Interest,
}

/// Why a message is not what it claims to be. Nothing of such a message is applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// The control plane's feed key did not sign it.
    #[error(transparent)]
    Signature(#[from] BadSignature),
    /// The payload is not the message of its kind.
    #[error("a signed message of the feed is malformed: {0}")]
    Malformed(&'static str),
    /// It carries a change or a fact that this version does not know, and that may not be skipped.
    #[error("the control plane is newer than this edge, which has to be updated: {0}")]
    Unknown(#[from] InvalidFact),
    /// It is a snapshot that is written in another way.
    #[error(
        "the snapshot has format {0} and this version reads {FORMAT}: it is not used, and one is fetched from a control plane \
         of this version"
    )]
    Format(u32),
    /// It was made for an edge that keeps something else.
    #[error("what the control plane sent was made for another interest than this edge's")]
    OtherInterest,
}

impl Frame {
    /// The frame, signed, for an edge that keeps everything.
    #[cfg(test)]
    pub(crate) fn seal(&self, sign: impl FnOnce(&str, &[u8]) -> [u8; 64]) -> Signed {
        self.seal_for(Fingerprint::EVERYTHING, sign)
    }

    /// The frame, signed, for edges of one interest.
    pub fn seal_for(&self, interest: Fingerprint, sign: impl FnOnce(&str, &[u8]) -> [u8; 64]) -> Signed {
        let message = proto::Frame {
            epoch: self.to.epoch,
            from: self.from.number,
            to: self.to.number,
            changes: self.changes.iter().map(ToString::to_string).collect(),
            digest: self.digest.to_bytes().to_vec().into(),
            interest: interest.to_wire().into(),
        };
        Signed::seal(Kind::Frame, message.encode_to_vec(), sign)
    }

    /// Verifies and reads a frame for an edge that keeps everything.
    #[cfg(test)]
    pub(crate) fn open(signed: &Signed, key: &FeedVerifyKey) -> Result<Self, MessageError> {
        Self::open_for(signed, key, Fingerprint::EVERYTHING)
    }

    /// Verifies and reads a frame for edges of one interest.
    pub fn open_for(
        signed: &Signed,
        key: &FeedVerifyKey,
        interest: Fingerprint,
    ) -> Result<Self, MessageError> {
        let message: proto::Frame = read(signed, Kind::Frame, key, "not a frame")?;
        interest.expect_wire(&message.interest)?;
        let changes: Result<Vec<Change>, InvalidFact> =
            message.changes.iter().map(|line| line.parse()).collect();
        Ok(Self {
            from: revision(message.epoch, message.from),
            to: revision(message.epoch, message.to),
            changes: changes?,
            digest: digest(&message.digest)?,
        })
    }
}

impl Heartbeat {
    /// The heartbeat, signed, for an edge that keeps everything.
    #[cfg(test)]
    pub(crate) fn seal(&self, sign: impl FnOnce(&str, &[u8]) -> [u8; 64]) -> Signed {
        self.seal_for(Fingerprint::EVERYTHING, sign)
    }

    /// The heartbeat, signed, for edges of one interest.
    pub fn seal_for(&self, interest: Fingerprint, sign: impl FnOnce(&str, &[u8]) -> [u8; 64]) -> Signed {
        let message = proto::Heartbeat {
            epoch: self.head.epoch,
            head: self.head.number,
            digest: self.digest.to_bytes().to_vec().into(),
            sent_at: self.sent_at.timestamp_micros(),
            age: u64::try_from(self.age.as_micros()).unwrap_or(u64::MAX),
            nonce: self.nonce.to_vec().into(),
            sequence: self.sequence,
            interest: interest.to_wire().into(),
            since: u64::try_from(self.since.as_micros()).unwrap_or(u64::MAX),
        };
        Signed::seal(Kind::Heartbeat, message.encode_to_vec(), sign)
    }

    /// Verifies and reads a heartbeat for an edge that keeps everything.
    #[cfg(test)]
    pub(crate) fn open(signed: &Signed, key: &FeedVerifyKey) -> Result<Self, MessageError> {
        Self::open_for(signed, key, Fingerprint::EVERYTHING)
    }

    /// Verifies and reads a heartbeat for edges of one interest.
    pub fn open_for(
        signed: &Signed,
        key: &FeedVerifyKey,
        interest: Fingerprint,
    ) -> Result<Self, MessageError> {
        let message: proto::Heartbeat = read(signed, Kind::Heartbeat, key, "not a heartbeat")?;
        interest.expect_wire(&message.interest)?;
        Ok(Self {
            head: revision(message.epoch, message.head),
            digest: digest(&message.digest)?,
            sent_at: Timestamp::from_timestamp_micros(message.sent_at)
                .ok_or(MessageError::Malformed("the time is out of range"))?,
            age: Duration::from_micros(message.age),
            nonce: message
                .nonce
                .as_ref()
                .try_into()
                .map_err(|_| MessageError::Malformed("the nonce does not have 16 bytes"))?,
            sequence: message.sequence,
            since: Duration::from_micros(message.since),
        })
    }
}

impl SnapshotManifest {
    /// The manifest, signed.
    pub fn seal(&self, sign: impl FnOnce(&str, &[u8]) -> [u8; 64]) -> Signed {
        let message = proto::SnapshotManifest {
            epoch: self.revision.epoch,
            revision: self.revision.number,
            facts: self.facts,
            digest: self.digest.to_bytes().to_vec().into(),
            body_bytes: self.body_bytes,
            body_sha256: self.body_sha256.to_vec().into(),
            interest: self.interest.to_proto(),
            format: FORMAT,
        };
        Signed::seal(Kind::Manifest, message.encode_to_vec(), sign)
    }

    /// Verifies and reads a manifest.
    pub fn open(signed: &Signed, key: &FeedVerifyKey) -> Result<Self, MessageError> {
        let message: proto::SnapshotManifest = read(signed, Kind::Manifest, key, "not a manifest")?;
        if message.format != FORMAT {
            return Err(MessageError::Format(message.format));
        }
        Ok(Self {
            revision: revision(message.epoch, message.revision),
            facts: message.facts,
            digest: digest(&message.digest)?,
            body_bytes: message.body_bytes,
            body_sha256: message
                .body_sha256
                .as_ref()
                .try_into()
                .map_err(|_| MessageError::Malformed("the hash does not have 32 bytes"))?,
            interest: Interest::from_proto(message.interest)?,
        })
    }
}

/// The message in an envelope that the control plane signed as one of its kind.
fn read<M: prost::Message + Default>(
    signed: &Signed,
    kind: Kind,
    key: &FeedVerifyKey,
    otherwise: &'static str,
) -> Result<M, MessageError> {
    M::decode(signed.open(kind, key)?).map_err(|_| MessageError::Malformed(otherwise))
}

const fn revision(epoch: u64, number: u64) -> Revision {
    Revision { epoch, number }
}

fn digest(bytes: &[u8]) -> Result<Digest, MessageError> {
    bytes
        .try_into()
        .map(Digest::from_bytes)
        .map_err(|_| MessageError::Malformed("the digest does not have 16 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{FeedKey, rev, tuple};

    fn frame() -> Frame {
        Frame {
            from: rev(4),
            to: rev(5),
            changes: vec![Change::Put(tuple("a", "b")), Change::Delete(tuple("a", "c"))],
            digest: Digest::of(&tuple("a", "b")),
        }
    }

    #[test]
    fn messages_survive_the_wire() {
        let key = FeedKey::generate();
        let heartbeat = Heartbeat {
            head: rev(5),
            digest: Digest::EMPTY,
            sent_at: Timestamp::from_timestamp_micros(1_763_797_000_000_042).expect("in range"),
            age: Duration::from_micros(7),
            nonce: [9; 16],
            sequence: 3,
            since: Duration::from_micros(11),
        };
        let manifest = SnapshotManifest {
            revision: rev(5),
            facts: 2,
            digest: Digest::EMPTY,
            body_bytes: 100,
            body_sha256: [1; 32],
            interest: Interest::all(),
        };
        assert_eq!(
            Frame::open(&frame().seal(key.signer()), key.public()),
            Ok(frame())
        );
        assert_eq!(
            Heartbeat::open(&heartbeat.seal(key.signer()), key.public()),
            Ok(heartbeat)
        );
        assert_eq!(
            SnapshotManifest::open(&manifest.seal(key.signer()), key.public()),
            Ok(manifest)
        );
    }

    #[test]
    fn a_change_that_is_not_known_makes_the_frame_unreadable() {
        let key = FeedKey::generate();
        for line in ["+future-kind 1", "*tuple group:a#member@user:b", ""] {
            let message = proto::Frame {
                epoch: 1,
                from: 4,
                to: 5,
                changes: vec![Change::Put(tuple("a", "b")).to_string(), line.into()],
                digest: vec![0; 16].into(),
                interest: Vec::new().into(),
            };
            let signed = key.seal(Kind::Frame, message.encode_to_vec());
            assert!(
                matches!(Frame::open(&signed, key.public()), Err(MessageError::Unknown(_))),
                "`{line}`"
            );
        }
    }

    #[test]
    fn malformed_payloads_are_refused_although_they_are_signed() {
        let key = FeedKey::generate();
        let mut message = proto::Heartbeat {
            digest: vec![0; 15].into(),
            nonce: vec![0; 16].into(),
            ..proto::Heartbeat::default()
        };
        let open = |m: &proto::Heartbeat| {
            Heartbeat::open(&key.seal(Kind::Heartbeat, m.encode_to_vec()), key.public())
        };
        assert!(matches!(open(&message), Err(MessageError::Malformed(_))));
        message.digest = vec![0; 16].into();
        assert!(open(&message).is_ok());
        message.nonce = vec![0; 17].into();
        assert!(matches!(open(&message), Err(MessageError::Malformed(_))));
        message.nonce = vec![0; 16].into();
        message.sent_at = i64::MAX;
        assert!(matches!(open(&message), Err(MessageError::Malformed(_))));
        let noise = key.seal(Kind::Frame, vec![0xff; 9]);
        assert!(matches!(
            Frame::open(&noise, key.public()),
            Err(MessageError::Malformed(_))
        ));
    }
}
