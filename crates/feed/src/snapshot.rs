//! A whole state as bytes: the facts that are no tuples, each as its canonical line behind its length (4 bytes, big
//! endian), and before them how many they are (the same); then all tuples, packed.
//!
//! Reading it is the cold start of an edge. No fact becomes a text that is kept: tuples are hashed on all cores, as the
//! lines that they stand for, while the graph is built out of the same bytes.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use sentinel_authz::{Malformed, Packed, UnpackError};
use sentinel_core::Fact;
use sentinel_core::fact::InvalidFact;
use sentinel_token::sha256;

use crate::digest::Digest;
use crate::frame::{MessageError, SnapshotManifest};
use crate::state::{ApplyError, ReplicaState};

/// How a body is written. A manifest says it, so that nobody takes the bytes of another version for something else.
pub(crate) const FORMAT: u32 = 2;

/// How many tuples one core hashes at a time.
const SHARE: usize = 8192;

/// A snapshot's body and what it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// What the body must be; not signed yet.
    pub manifest: SnapshotManifest,
    /// The state.
    pub body: Vec<u8>,
}

/// Why a body is not the state that its manifest promises.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// Other bytes than those that the manifest has the length and the SHA-256 of.
    #[error("the snapshot's body is not the one that was signed")]
    Body,
    /// It is not written in this format.
    #[error("the snapshot's body is not made of lines with their lengths")]
    Malformed,
    /// It is a state, and not the promised one.
    #[error("the snapshot has {actual} facts with digest {digest}, not what its manifest says")]
    Mismatch {
        /// How many facts there are.
        actual: usize,
        /// Their digest.
        digest: Digest,
    },
    /// A fact that this version does not know.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// The tuples cannot be read.
    #[error(transparent)]
    Tuples(#[from] UnpackError),
    /// The facts are no state together.
    #[error(transparent)]
    State(#[from] ApplyError),
}

/// Writes a state down.
pub fn encode(state: &ReplicaState) -> Encoded {
    let mut body = Vec::with_capacity(state.len().saturating_mul(24));
    let lines: Vec<String> = state.other_facts().map(|fact| fact.to_string()).collect();
    // INVARIANT: there are fewer than 2^32, each a few thousand bytes long at most.
    let number = |length: usize| u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
    body.extend_from_slice(&number(lines.len()));
    for line in &lines {
        body.extend_from_slice(&number(line.len()));
        body.extend_from_slice(line.as_bytes());
    }
    if state.graph().pack(&mut body).is_none() {
        // It is cut off, and no edge takes it.
        tracing::error!("the state has more objects or tuples than a snapshot can have");
    }
    let manifest = SnapshotManifest {
        revision: state.revision(),
        facts: state.len() as u64,
        digest: state.digest(),
        body_bytes: body.len() as u64,
        body_sha256: sha256(&body),
        interest: state.interest().clone(),
    };
    Encoded { manifest, body }
}

/// Reads a state. The result is exactly what the manifest promises, or nothing.
///
/// # Errors
/// The body is not what the manifest promises, or no state that this version knows.
pub fn decode(manifest: &SnapshotManifest, body: &[u8]) -> Result<ReplicaState, SnapshotError> {
    if body.len() as u64 != manifest.body_bytes || sha256(body) != manifest.body_sha256 {
        return Err(SnapshotError::Body);
    }
    let mut body = body;
    let (others, of_others) = read_lines(&mut body)?;
    let packed = Packed::read(body).map_err(UnpackError::from)?;
    let facts = others.len().saturating_add(packed.len());
    let hashing = Hashing::new(&packed);
    let (state, digest) = thread::scope(|scope| {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let helpers: Vec<_> = (1..cores).map(|_| scope.spawn(|| hashing.help())).collect();
        let state = ReplicaState::build_packed(manifest.revision, others, &packed, manifest.digest);
        let mut digest = hashing.help()?.plus(of_others);
        for helper in helpers {
            digest = digest.plus(helper.join().map_err(|_| SnapshotError::Malformed)??);
        }
        Ok::<_, SnapshotError>((state, digest))
    })?;
    if facts as u64 != manifest.facts || digest != manifest.digest {
        let actual = facts;
        return Err(SnapshotError::Mismatch { actual, digest });
    }
    Ok(state?.of_interest(manifest.interest.clone()))
}

/// The facts that are no tuples, and their digest; `body` is what follows them.
fn read_lines(body: &mut &[u8]) -> Result<(Vec<Fact>, Digest), SnapshotError> {
    let mut facts = Vec::new();
    let mut digest = Digest::EMPTY;
    for _ in 0..number(body)? {
        let length = number(body)? as usize;
        let (line, rest) = body.split_at_checked(length).ok_or(SnapshotError::Malformed)?;
        *body = rest;
        let text = str::from_utf8(line).map_err(|_| SnapshotError::Malformed)?;
        let fact = text
            .parse()
            .map_err(|error: InvalidFact| MessageError::Unknown(error))?;
        if matches!(fact, Fact::Tuple(_) | Fact::ExpiringTuple { .. }) {
            return Err(SnapshotError::Malformed);
        }
        facts.push(fact);
        digest = digest.plus(Digest::of_line(line));
    }
    Ok((facts, digest))
}

fn number(body: &mut &[u8]) -> Result<u32, SnapshotError> {
    let (number, rest) = body.split_first_chunk().ok_or(SnapshotError::Malformed)?;
    *body = rest;
    Ok(u32::from_be_bytes(*number))
}

/// The digest of all tuples, worked out by whoever has time.
struct Hashing<'p> {
    packed: &'p Packed<'p>,
    next: AtomicUsize,
}

impl<'p> Hashing<'p> {
    fn new(packed: &'p Packed<'p>) -> Self {
        Self {
            packed,
            next: AtomicUsize::new(0),
        }
    }

    /// Takes shares until none is left.
    fn help(&self) -> Result<Digest, SnapshotError> {
        let mut digest = Digest::EMPTY;
        loop {
            let start = self.next.fetch_add(SHARE, Ordering::Relaxed);
            if start >= self.packed.len() {
                return Ok(digest);
            }
            let end = start.saturating_add(SHARE).min(self.packed.len());
            digest = digest.plus(self.share(start..end).map_err(UnpackError::from)?);
        }
    }

    fn share(&self, places: Range<usize>) -> Result<Digest, Malformed> {
        const TUPLE: &str = "tuple ";
        let mut digest = Digest::EMPTY;
        self.packed.each(places, TUPLE, |line, until| {
            let of = match until {
                None => Digest::of_line(line.as_bytes()),
                Some(until) => {
                    let tuple = line.get(TUPLE.len()..).unwrap_or_default();
                    Digest::of_line(format!("expiring-tuple {until} {tuple}").as_bytes())
                }
            };
            digest = digest.plus(of);
        })?;
        Ok(digest)
    }
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
            interest: crate::interest::Interest::all(),
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
        let before = state((0..20_000).map(|n| tuple("g", &format!("u{n}"))).collect());
        let Encoded { manifest, body } = encode(&before);
        let after = decode(&manifest, &body).expect("own snapshot");
        assert_eq!((after.len(), after.digest()), (20_000, before.digest()));
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
        let (fact, other) = (tuple("a", "b"), Fact::DisabledUser(uuid::Uuid::nil().into()));
        let sum = Digest::of(&fact).plus(Digest::of(&other));
        let body = encode(&state(vec![fact.clone(), other.clone()])).body;
        assert!(decode(&manifest_of(&body, 2, sum), &body).is_ok());
        for wrong in [
            manifest_of(&body, 3, sum),
            manifest_of(&body, 2, Digest::of(&fact)),
        ] {
            assert!(matches!(
                decode(&wrong, &body),
                Err(SnapshotError::Mismatch { .. })
            ));
        }

        // The same with other lines before the tuples.
        let tuples = body.get(8 + other.to_string().len()..).expect("tuples");
        let with = |lines: &[&str]| -> Vec<u8> {
            let number = |number: usize| u32::try_from(number).expect("short").to_be_bytes();
            let mut body = number(lines.len()).to_vec();
            for line in lines {
                body.extend(number(line.len()));
                body.extend(line.as_bytes());
            }
            [&body[..], tuples].concat()
        };
        let line = other.to_string();
        assert_eq!(with(&[&line]), body);
        let twice = with(&[&line, &line]);
        let decoded = decode(&manifest_of(&twice, 3, sum.plus(Digest::of(&other))), &twice);
        assert!(matches!(
            decoded,
            Err(SnapshotError::State(ApplyError::Duplicate))
        ));
        let unknown = with(&[&line, "future-kind 1"]);
        let decoded = decode(&manifest_of(&unknown, 3, sum), &unknown);
        assert!(matches!(
            decoded,
            Err(SnapshotError::Message(MessageError::Unknown(_)))
        ));
        let misplaced = with(&[&fact.to_string()]);
        let decoded = decode(&manifest_of(&misplaced, 2, sum), &misplaced);
        assert!(matches!(decoded, Err(SnapshotError::Malformed)));

        for cut in 0..body.len() {
            let torn = &body[..cut];
            assert!(decode(&manifest_of(torn, 2, sum), torn).is_err(), "{cut}");
        }
        let longer = [&body[..], b"x"].concat();
        let decoded = decode(&manifest_of(&longer, 2, sum), &longer);
        assert!(matches!(
            decoded,
            Err(SnapshotError::Tuples(UnpackError::Malformed(_)))
        ));
    }

    #[test]
    fn a_tuple_of_another_model_is_refused() {
        // The tuples of a service, and not its model.
        let facts = every_kind_of_fact();
        let Encoded { manifest, body } = encode(&state(facts));
        let mut rest = &body[..];
        let (others, _) = read_lines(&mut rest).expect("own lines");
        assert!(others.iter().any(|fact| matches!(fact, Fact::Model(_))));
        let without = [&0_u32.to_be_bytes()[..], rest].concat();
        let vouched = manifest_of(&without, manifest.facts, manifest.digest);
        assert!(decode(&vouched, &without).is_err());
    }

    #[test]
    fn a_body_of_another_format_is_not_looked_at() {
        use crate::signed::{Kind, Signed};
        use prost::Message as _;
        let key = crate::testing::FeedKey::generate();
        let Encoded { manifest, .. } = encode(&state(every_kind_of_fact()));
        let sealed = manifest.seal(key.signer());
        assert_eq!(SnapshotManifest::open(&sealed, key.public()), Ok(manifest));
        let payload = sealed.open(Kind::Manifest, key.public()).expect("own seal");
        let mut message = crate::proto::SnapshotManifest::decode(payload).expect("a manifest");
        for other in [0, 1, FORMAT + 1] {
            message.format = other;
            let sealed = Signed::seal(Kind::Manifest, message.encode_to_vec(), key.signer());
            assert_eq!(
                SnapshotManifest::open(&sealed, key.public()),
                Err(MessageError::Format(other))
            );
        }
    }
}
