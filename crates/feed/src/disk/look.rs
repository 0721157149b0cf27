//! A look at the files of an edge that may be running: nothing is locked and nothing is written.

use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use sentinel_core::Timestamp;
use sentinel_token::FeedVerifyKey;

use super::SNAPSHOT;
use super::restore::{Found, find};
use crate::state::ReplicaState;

/// How often the files are read anew because they were being replaced.
const ATTEMPTS: u32 = 5;

/// What an edge has on disk: what it would know after a restart.
#[derive(Debug)]
pub struct Stored {
    /// The state.
    pub state: ReplicaState,
    /// How long ago it was known to be the newest. `None` if that cannot be said.
    pub age: Option<Duration>,
}

/// Reads what the edge that uses `dir` has on disk, by the rules of a restart: only what the control plane's feed key
/// signed. A running edge appends every change when it learns of it, so that this is at most a moment behind what it
/// decides by. `None` if there is no state that a restart would use.
///
/// # Errors
/// The files cannot be read.
pub fn stored(dir: &Path, key: &FeedVerifyKey, now: Timestamp) -> io::Result<Option<Stored>> {
    let mut found = None;
    for _ in 0..ATTEMPTS {
        let before = snapshot(dir)?;
        found = find(dir, key, now)?;
        // A snapshot that is replaced meanwhile has a journal of its own.
        if snapshot(dir)? == before {
            break;
        }
    }
    let restored = found.and_then(Found::into_restored);
    Ok(restored.map(|restored| Stored {
        state: restored.state,
        age: restored.age,
    }))
}

/// What tells one snapshot from another without reading it.
fn snapshot(dir: &Path) -> io::Result<Option<(u64, SystemTime)>> {
    match fs::metadata(dir.join(SNAPSHOT)) {
        Ok(file) => Ok(Some((file.len(), file.modified()?))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
