//! The body of a snapshot, from the wire or from an edge's disk: what is read is what its manifest promises, and is the same
//! when it is written and read again. The manifest here promises whatever the body has.

use sentinel_core::Revision;
use sentinel_feed::snapshot::{SnapshotError, decode, encode};
use sentinel_feed::{Digest, Interest, SnapshotManifest};
use sentinel_token::sha256;

pub(crate) fn check(input: &[u8]) {
    let mut manifest = SnapshotManifest {
        revision: Revision { epoch: 1, number: 7 },
        facts: 0,
        digest: Digest::EMPTY,
        body_bytes: input.len() as u64,
        body_sha256: sha256(input),
        interest: Interest::all(),
    };
    let state = match decode(&manifest, input) {
        Ok(state) => state,
        Err(SnapshotError::Mismatch { actual, digest }) => {
            (manifest.facts, manifest.digest) = (actual as u64, digest);
            let Ok(state) = decode(&manifest, input) else {
                return;
            };
            state
        }
        Err(_) => return,
    };
    assert_eq!(
        (state.len() as u64, state.digest(), state.revision()),
        (manifest.facts, manifest.digest, manifest.revision)
    );
    let written = encode(&state);
    let again = decode(&written.manifest, &written.body).expect("its own snapshot");
    let lines = |state: &sentinel_feed::ReplicaState| {
        let mut lines: Vec<String> = state.facts().map(|fact| fact.to_string()).collect();
        lines.sort();
        lines
    };
    assert_eq!((again.digest(), lines(&again)), (state.digest(), lines(&state)));
    manifest.body_sha256 = [0; 32];
    assert!(decode(&manifest, input).is_err(), "another body was promised");
}
