//! A whole state as bytes: each fact's canonical line behind its length (4 bytes, big endian).
//!
//! Reading it is the cold start of an edge, so lines are parsed and hashed on all cores.

use std::thread;

use sentinel_core::Fact;
use sentinel_core::fact::InvalidFact;
use sentinel_token::sha256;

use crate::digest::Digest;
use crate::frame::{MessageError, SnapshotManifest};
use crate::state::{ApplyError, ReplicaState};

/// A snapshot's body and what it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Encoded {
    pub(crate) manifest: SnapshotManifest,
    pub(crate) body: Vec<u8>,
}

/// Why a body is not the state that its manifest promises.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SnapshotError {
    #[error("the snapshot's body is not the one that was signed")]
    Body,
    #[error("the snapshot's body is not made of lines with their lengths")]
    Malformed,
    #[error("the snapshot has {actual} facts with digest {digest}, not what its manifest says")]
    Mismatch { actual: usize, digest: Digest },
    #[error(transparent)]
    Message(#[from] MessageError),
    #[error(transparent)]
    State(#[from] ApplyError),
}

/// Writes a state down.
pub(crate) fn encode(state: &ReplicaState) -> Encoded {
    let mut body = Vec::with_capacity(state.len().saturating_mul(160));
    let mut facts = 0;
    for fact in state.facts() {
        let line = fact.to_string();
        // INVARIANT: a line is some hundred bytes, a JWK at most a few thousand.
        let length = u32::try_from(line.len()).unwrap_or(u32::MAX);
        body.extend_from_slice(&length.to_be_bytes());
        body.extend_from_slice(line.as_bytes());
        facts += 1;
    }
    let manifest = SnapshotManifest {
        revision: state.revision(),
        facts,
        digest: state.digest(),
        body_bytes: body.len() as u64,
        body_sha256: sha256(&body),
    };
    Encoded { manifest, body }
}

/// Reads a state. The result is exactly what the manifest promises, or nothing.
pub(crate) fn decode(manifest: &SnapshotManifest, body: &[u8]) -> Result<ReplicaState, SnapshotError> {
    if body.len() as u64 != manifest.body_bytes || sha256(body) != manifest.body_sha256 {
        return Err(SnapshotError::Body);
    }
    let (facts, digest) = parse_all(&lines(body)?)?;
    if facts.len() as u64 != manifest.facts || digest != manifest.digest {
        let actual = facts.len();
        return Err(SnapshotError::Mismatch { actual, digest });
    }
    Ok(ReplicaState::build(manifest.revision, facts, digest)?)
}

fn lines(mut body: &[u8]) -> Result<Vec<&[u8]>, SnapshotError> {
    let mut lines = Vec::new();
    while !body.is_empty() {
        let (length, rest) = body.split_first_chunk().ok_or(SnapshotError::Malformed)?;
        let length = u32::from_be_bytes(*length) as usize;
        let (line, rest) = rest.split_at_checked(length).ok_or(SnapshotError::Malformed)?;
        lines.push(line);
        body = rest;
    }
    Ok(lines)
}

fn parse_all(lines: &[&[u8]]) -> Result<(Vec<Fact>, Digest), SnapshotError> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let share = lines.len().div_ceil(cores).max(4096);
    let shares: Vec<_> = thread::scope(|scope| {
        let running: Vec<_> = lines
            .chunks(share)
            .map(|share| scope.spawn(|| parse_share(share)))
            .collect();
        running.into_iter().map(thread::ScopedJoinHandle::join).collect()
    });
    let mut facts = Vec::with_capacity(lines.len());
    let mut digest = Digest::EMPTY;
    for share in shares {
        let (part, sum) = share.map_err(|_| SnapshotError::Malformed)??;
        facts.extend(part);
        digest = digest.plus(sum);
    }
    Ok((facts, digest))
}

fn parse_share(lines: &[&[u8]]) -> Result<(Vec<Fact>, Digest), SnapshotError> {
    let mut facts = Vec::with_capacity(lines.len());
    let mut digest = Digest::EMPTY;
    for line in lines {
        let text = str::from_utf8(line).map_err(|_| SnapshotError::Malformed)?;
        facts.push(
            text.parse()
                .map_err(|error: InvalidFact| MessageError::Unknown(error))?,
        );
        digest = digest.plus(Digest::of_line(line));
    }
    Ok((facts, digest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{every_kind_of_fact, rev, tuple};

    fn state(facts: Vec<Fact>) -> ReplicaState {
        ReplicaState::from_snapshot(rev(7), facts).expect("good facts")
    }

    /// A manifest that vouches for any body.
    fn manifest_of(body: &[u8], facts: u64, digest: Digest) -> SnapshotManifest {
        SnapshotManifest {
            revision: rev(7),
            facts,
            digest,
            body_bytes: body.len() as u64,
            body_sha256: sha256(body),
        }
    }

    #[test]
    fn every_kind_of_fact_survives() {
        let before = state(every_kind_of_fact());
        let Encoded { manifest, body } = encode(&before);
        let after = decode(&manifest, &body).expect("own snapshot");
        assert_eq!(
            (after.revision(), after.digest()),
            (before.revision(), before.digest())
        );
        let sorted = |state: &ReplicaState| {
            let mut lines: Vec<String> = state.facts().map(|fact| fact.to_string()).collect();
            lines.sort();
            lines
        };
        assert_eq!(sorted(&after), sorted(&before));
    }

    #[test]
    fn a_large_state_is_read_in_shares() {
        let before = state((0..10_000).map(|n| tuple("g", &format!("u{n}"))).collect());
        let Encoded { manifest, body } = encode(&before);
        let after = decode(&manifest, &body).expect("own snapshot");
        assert_eq!((after.len(), after.digest()), (10_000, before.digest()));
    }

    #[test]
    fn no_flipped_bit_and_no_cut_goes_unseen() {
        let Encoded { manifest, body } = encode(&state(every_kind_of_fact()));
        for at in (0..body.len()).step_by(7) {
            let mut flipped = body.clone();
            flipped[at] ^= 0x10;
            assert!(matches!(decode(&manifest, &flipped), Err(SnapshotError::Body)));
            assert!(matches!(decode(&manifest, &body[..at]), Err(SnapshotError::Body)));
        }
    }

    #[test]
    fn what_is_signed_but_wrong_is_refused_too() {
        let line = tuple("a", "b").to_string();
        let of = |lines: &[&str]| -> Vec<u8> {
            let encoded = lines.iter().map(|line| {
                let length = u32::try_from(line.len()).expect("short").to_be_bytes();
                [&length[..], line.as_bytes()].concat()
            });
            encoded.collect::<Vec<_>>().concat()
        };
        let sum = Digest::of(&tuple("a", "b"));
        let twice = of(&[&line, &line]);
        let decoded = decode(&manifest_of(&twice, 2, sum.plus(sum)), &twice);
        assert!(matches!(
            decoded,
            Err(SnapshotError::State(ApplyError::Duplicate))
        ));

        let one = of(&[&line]);
        assert!(decode(&manifest_of(&one, 1, sum), &one).is_ok());
        for wrong in [manifest_of(&one, 2, sum), manifest_of(&one, 1, Digest::EMPTY)] {
            assert!(matches!(
                decode(&wrong, &one),
                Err(SnapshotError::Mismatch { .. })
            ));
        }

        let unknown = of(&[&line, "future-kind 1"]);
        let decoded = decode(&manifest_of(&unknown, 2, sum), &unknown);
        assert!(matches!(
            decoded,
            Err(SnapshotError::Message(MessageError::Unknown(_)))
        ));

        for torn in [&one[..3], &one[..one.len() - 1], &[0xff, 0xff, 0xff, 0xff, 0]] {
            assert!(matches!(
                decode(&manifest_of(torn, 1, sum), torn),
                Err(SnapshotError::Malformed)
            ));
        }
    }
}
