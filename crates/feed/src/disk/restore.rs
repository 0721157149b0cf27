//! From files to a state and its age. Every byte is checked; what does not hold is left out, and nothing panics.

use std::io;
use std::path::Path;
use std::time::Duration;

use sentinel_core::{Revision, Timestamp};
use sentinel_token::FeedVerifyKey;

use super::contact::Contact as StoredContact;
use super::fs::{self, File};
use super::journal::split_record;
use super::{CONTACT, JOURNAL, SNAPSHOT, StateDir};
use crate::digest::Digest;
use crate::frame::{Frame, Heartbeat, SnapshotManifest};
use crate::interest::Fingerprint;
use crate::snapshot::decode;
use crate::state::{ApplyError, ReplicaState};

/// What was found on disk.
#[derive(Debug)]
pub(crate) struct Restored {
    pub(crate) state: ReplicaState,
    /// How long ago the state was known to be the newest. `None` if that cannot be said.
    pub(crate) age: Option<Duration>,
    /// The snapshot's revision and size, for the writer to go on from.
    pub(super) base: Revision,
    pub(super) snapshot_bytes: u64,
    /// The ends of the records that are applied: the revision each leads to, and where it ends in the file.
    pub(super) records: Vec<(Revision, u64)>,
}

/// The files as they are, before anything is done about them.
pub(super) struct Found {
    pub(super) restored: Restored,
    contact: Contact,
    /// How much of the journal can be used, and how long it is.
    good: u64,
    length: u64,
}

impl Found {
    /// The state with its age, unless the last heartbeat says that it is not the control plane's.
    pub(super) fn into_restored(mut self) -> Option<Restored> {
        match self.contact {
            Contact::None => {}
            Contact::As(age) => self.restored.age = Some(age),
            Contact::Unusable => tracing::warn!(
                "how old the stored state is cannot be told: it is not used before the first contact"
            ),
            Contact::Diverged => {
                tracing::error!("the stored state is not the one that the control plane had: it is not used");
                return None;
            }
        }
        Some(self.restored)
    }
}

/// Reads the state. `None` if there is no whole snapshot that the control plane signed. A journal with an end that
/// cannot be used is cut off there.
pub(crate) fn restore(dir: &StateDir, key: &FeedVerifyKey, now: Timestamp) -> io::Result<Option<Restored>> {
    let Some(found) = find(&dir.dir, key, now)? else {
        return Ok(None);
    };
    if found.good < found.length {
        tracing::warn!(
            good = found.good,
            length = found.length,
            "the end of the journal cannot be used and is cut off"
        );
        let file = File::options().write(true).open(dir.journal())?;
        file.set_len(found.good)?;
        file.sync_all()?;
    }
    Ok(found.into_restored())
}

/// Reads the files and changes nothing. The heartbeat is read first: who writes puts it behind what it knows of.
pub(super) fn find(dir: &Path, key: &FeedVerifyKey, now: Timestamp) -> io::Result<Option<Found>> {
    let contact = read(&dir.join(CONTACT))?;
    let Some(file) = read(&dir.join(SNAPSHOT))? else {
        return Ok(None);
    };
    let Some(state) = read_snapshot(&file, key) else {
        return Ok(None);
    };
    let mut restored = Restored {
        base: state.revision(),
        state,
        age: None,
        snapshot_bytes: file.len() as u64,
        records: Vec::new(),
    };
    drop(file);
    let mut passed = vec![(restored.state.revision(), restored.state.digest())];
    let (mut good, mut length) = (0, 0);
    if let Some(journal) = read(&dir.join(JOURNAL))? {
        good = replay(&mut restored, &mut passed, &journal, key);
        length = journal.len() as u64;
    }
    let interest = restored.state.interest().fingerprint();
    let contact = contact.map_or(Contact::None, |contact| {
        read_contact(&contact, key, interest, &passed, now)
    });
    Ok(Some(Found {
        restored,
        contact,
        good,
        length,
    }))
}

fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn read_snapshot(file: &[u8], key: &FeedVerifyKey) -> Option<ReplicaState> {
    let Some((signed, body)) = split_record(file) else {
        tracing::warn!("the stored snapshot is damaged and is not used");
        return None;
    };
    let state = SnapshotManifest::open(&signed, key)
        .map_err(Into::into)
        .and_then(|manifest| decode(&manifest, body));
    state
        .inspect_err(|error| {
            tracing::warn!(
                error = error as &dyn std::error::Error,
                "the stored snapshot is not used"
            );
        })
        .ok()
}

/// Applies the records that follow, notes the states that were passed, and returns the length of the part that can be used.
fn replay(
    restored: &mut Restored,
    passed: &mut Vec<(Revision, Digest)>,
    journal: &[u8],
    key: &FeedVerifyKey,
) -> u64 {
    let mut rest = journal;
    while let Some((signed, after)) = split_record(rest) {
        let interest = restored.state.interest().fingerprint();
        let Ok(frame) = Frame::open_for(&signed, key, interest) else {
            break;
        };
        let state = &restored.state;
        match state.apply(&frame) {
            Ok(next) => {
                passed.push((next.revision(), next.digest()));
                restored.state = next;
            }
            // From before the snapshot: a crash came between writing the snapshot and beginning a new journal.
            Err(ApplyError::Gap { at, to, .. }) if to <= at && to.epoch == at.epoch => {}
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "a journal record does not apply"
                );
                break;
            }
        }
        rest = after;
        let end = (journal.len() - rest.len()) as u64;
        restored.records.push((frame.to, end));
    }
    (journal.len() - rest.len()) as u64
}

/// What the last heartbeat says about the restored state.
enum Contact {
    /// There is none.
    None,
    /// It, or a state that it came out of, was the newest that long ago. After a crash between a change and the next
    /// heartbeat the contact is of such an earlier state; what came since only makes the state newer than its age says.
    As(Duration),
    /// Nothing: the heartbeat is damaged, from the future, or of a revision that the files do not pass. One that is ahead
    /// knows of changes that are not on disk.
    Unusable,
    /// It is not the control plane's state at that revision.
    Diverged,
}

fn read_contact(
    file: &[u8],
    key: &FeedVerifyKey,
    interest: Fingerprint,
    passed: &[(Revision, Digest)],
    now: Timestamp,
) -> Contact {
    let Some(stored) = StoredContact::from_bytes(file) else {
        return Contact::Unusable;
    };
    let Ok(heartbeat) = Heartbeat::open_for(&stored.signed, key, interest) else {
        return Contact::Unusable;
    };
    match passed
        .iter()
        .rev()
        .find(|(revision, _)| *revision == heartbeat.head)
    {
        None => Contact::Unusable,
        Some((_, digest)) if *digest != heartbeat.digest => Contact::Diverged,
        Some(_) => stored.age(&heartbeat, now).map_or(Contact::Unusable, Contact::As),
    }
}
