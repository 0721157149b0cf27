//! A state that an edge starts with, put where it looks for one.

use std::fs;
use std::io;
use std::path::Path;

use super::SNAPSHOT;
use super::journal::record;
use crate::snapshot::encode;
use crate::state::ReplicaState;

/// Writes a snapshot, signed by `sign(context, payload)`, to the directory of an edge that has none and does not run: what
/// it would have after its first contact.
///
/// # Errors
/// The file cannot be written.
pub fn write_snapshot(
    dir: &Path,
    state: &ReplicaState,
    sign: impl FnOnce(&str, &[u8]) -> [u8; 64],
) -> io::Result<()> {
    let encoded = encode(state);
    let manifest = record(&encoded.manifest.seal(sign));
    fs::write(dir.join(SNAPSHOT), [&manifest[..], &encoded.body[..]].concat())
}
