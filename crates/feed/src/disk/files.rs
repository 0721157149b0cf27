//! The files as whoever writes them knows them: what a batch of writes makes of them, and how a journal is made short.

use std::io::{self, Write as _};
use std::sync::atomic::Ordering;

use sentinel_core::Revision;
use tokio::sync::mpsc;

use super::fs::{self, File};
use super::journal::record;
use super::writer::{Fetched, OnFailure, Overheard, Wanted, Write};
use super::{Restored, StateDir, private};
use crate::signed::Signed;

/// A journal of this size is worth a fresh snapshot, if the snapshot is not larger itself.
const COMPACT: u64 = 4 << 20;

/// The files, and where they lead.
pub(super) struct Files {
    dir: StateDir,
    wanted: Wanted,
    /// Where snapshot and journal together lead; `None` if they lead nowhere (yet).
    at: Option<Revision>,
    base: Revision,
    snapshot_bytes: u64,
    journal: Option<File>,
    /// The revision each journal record leads to, and where it ends.
    records: Vec<(Revision, u64)>,
    /// A snapshot to make the journal short with, once a frame ends there.
    waiting: Option<Fetched>,
    overheard: Overheard,
    /// Told when a snapshot that was to make the journal short came to nothing.
    compaction_failed: OnFailure,
    /// The contact on disk is to be believed no more, and it could not be deleted.
    has_bad_contact: bool,
}

impl Files {
    pub(super) fn new(
        dir: StateDir,
        restored: Option<&Restored>,
        wanted: Wanted,
        overheard: Overheard,
        compaction_failed: OnFailure,
    ) -> Self {
        Self {
            dir,
            wanted,
            overheard,
            compaction_failed,
            has_bad_contact: false,
            at: restored.map(|restored| restored.state.revision()),
            base: restored.map_or(Revision::ZERO, |restored| restored.base),
            snapshot_bytes: restored.map_or(0, |restored| restored.snapshot_bytes),
            journal: None,
            records: restored.map_or_else(Vec::new, |restored| restored.records.clone()),
            waiting: None,
        }
    }

    /// Writes everything that is waiting, with one `fsync` for all frames, and the last heartbeat behind them.
    pub(super) fn write_batch(&mut self, first: Write, more: &mut mpsc::Receiver<Write>) {
        let mut contact = None;
        let mut next = Some(first);
        let mut written = Ok(());
        while let Some(write) = next {
            match write {
                Write::Frame { signed, from, to } => {
                    written = written.and_then(|()| self.append(&signed, from, to));
                }
                Write::Snapshot(fetched) => written = written.and_then(|()| self.replace_snapshot(&fetched)),
                Write::Compaction(fetched) => {
                    written = match written {
                        Ok(()) => self.compact(fetched),
                        failed => {
                            (self.compaction_failed)();
                            failed
                        }
                    };
                }
                Write::Contact(heard) => contact = Some(heard),
                // These two whatever failed before: what is wrong must not come back with an age.
                Write::Doubt => {
                    contact = None;
                    self.doubt();
                }
                Write::Distrust => {
                    contact = None;
                    self.distrust();
                }
            }
            next = more.try_recv().ok();
        }
        // They found no room, so that all this was in the queue before.
        if self.overheard.doubt.swap(false, Ordering::Acquire) {
            contact = None;
            self.doubt();
        }
        if self.overheard.distrust.swap(false, Ordering::Acquire) {
            contact = None;
            self.distrust();
        }
        let written = written.and_then(|()| {
            if let Some(journal) = &self.journal {
                journal.sync_data()?;
            }
            // Behind the frames, so that a heartbeat on disk never knows more than the frames on disk lead to.
            if let Some(heard) = contact {
                self.dir.replace(&self.dir.contact(), &[&heard.to_bytes()])?;
                self.has_bad_contact = false;
            }
            Ok(())
        });
        // Once more, if that failed.
        let removed = if self.has_bad_contact {
            self.remove_contact()
        } else {
            Ok(())
        };
        let written: io::Result<()> = written.and(removed);
        if let Err(error) = written {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "the replica cannot be written to disk: a restart without the control plane will know less"
            );
            self.give_up();
        } else if self.journal_bytes() > COMPACT.max(self.snapshot_bytes) {
            self.wanted.snapshot.store(true, Ordering::Relaxed);
        }
    }

    fn append(&mut self, signed: &Signed, from: Revision, to: Revision) -> io::Result<()> {
        let Some(at) = self.at else {
            return Ok(());
        };
        // The snapshot on disk can be newer than the state in memory was when it asked for it.
        if to <= at {
            return Ok(());
        }
        if from != at {
            self.give_up();
            return Ok(());
        }
        let record = record(signed);
        let end = self.journal_bytes() + record.len() as u64;
        let journal = match &mut self.journal {
            Some(journal) => journal,
            none => {
                let journal = private(File::options().append(true), &self.dir.journal())?;
                // After a crash nothing is left behind the last good record.
                journal.set_len(end - record.len() as u64)?;
                none.insert(journal)
            }
        };
        journal.write_all(&record)?;
        self.records.push((to, end));
        self.at = Some(to);
        match self.waiting.take() {
            Some(fetched) if to < fetched.revision => self.waiting = Some(fetched),
            Some(fetched) if to == fetched.revision => return self.make_short(&fetched),
            Some(_) => self.led_over(),
            None => {}
        }
        Ok(())
    }

    /// Puts a snapshot in place that was fetched beside the frames, if what is and comes in the journal follows it. The
    /// frames of an edge that keeps a part lead over several revisions at once: nothing follows what is in between.
    fn compact(&mut self, fetched: Fetched) -> io::Result<()> {
        let revision = fetched.revision;
        match self.at.filter(|at| at.epoch == revision.epoch) {
            Some(at) if at < revision => self.waiting = Some(fetched),
            Some(at) if at > revision && !self.records.iter().any(|(to, _)| *to == revision) => {
                self.led_over();
            }
            _ => return self.make_short(&fetched),
        }
        Ok(())
    }

    fn make_short(&mut self, fetched: &Fetched) -> io::Result<()> {
        let replaced = self.replace_snapshot(fetched);
        replaced.inspect_err(|_| (self.compaction_failed)())
    }

    /// A frame led over the revision of the snapshot: another one has to be fetched.
    fn led_over(&self) {
        (self.compaction_failed)();
        self.wanted.snapshot.store(true, Ordering::Relaxed);
    }

    /// Puts a snapshot in place and keeps of the journal what comes after it.
    fn replace_snapshot(&mut self, fetched: &Fetched) -> io::Result<()> {
        let Fetched {
            manifest,
            revision,
            body,
        } = fetched;
        let revision = *revision;
        self.waiting = None;
        if self.at.is_some() && revision <= self.base {
            return Ok(());
        }
        let head = record(manifest);
        self.dir.replace(&self.dir.snapshot(), &[&head, body])?;
        self.base = revision;
        self.snapshot_bytes = (head.len() + body.len()) as u64;

        let tail = self.tail_after(revision)?;
        self.journal = None;
        self.dir.replace(&self.dir.journal(), &[&tail])?;
        self.wanted.snapshot.store(false, Ordering::Relaxed);
        self.wanted.contact.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// The journal's bytes after the record that leads to `revision`, when there is one; `at` and `records` follow.
    fn tail_after(&mut self, revision: Revision) -> io::Result<Vec<u8>> {
        let place = self.records.iter().position(|(to, _)| *to == revision);
        let Some(place) = place.filter(|_| self.at.is_some_and(|at| at.epoch == revision.epoch)) else {
            self.records.clear();
            self.at = Some(revision);
            return Ok(Vec::new());
        };
        if let Some(journal) = &self.journal {
            journal.sync_data()?;
        }
        let skipped = self.records.drain(..=place).next_back().map_or(0, |(_, end)| end);
        for (_, end) in &mut self.records {
            *end -= skipped;
        }
        self.at = Some(self.records.last().map_or(revision, |(to, _)| *to));
        let journal = fs::read(self.dir.journal())?;
        let skipped = usize::try_from(skipped).unwrap_or(usize::MAX);
        Ok(journal.get(skipped..).unwrap_or_default().to_vec())
    }

    fn journal_bytes(&self) -> u64 {
        self.records.last().map_or(0, |(_, end)| *end)
    }

    fn distrust(&mut self) {
        self.give_up();
        self.doubt();
    }

    /// Deletes the contact, at once if that can be.
    fn doubt(&mut self) {
        self.wanted.contact.store(true, Ordering::Relaxed);
        self.has_bad_contact = true;
        // Tried again, and reported, at the end of the batch.
        self.remove_contact().ok();
    }

    fn remove_contact(&mut self) -> io::Result<()> {
        match fs::remove_file(self.dir.contact()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            removed => removed?,
        }
        // A loss of power must not bring it back.
        self.dir.sync()?;
        self.has_bad_contact = false;
        Ok(())
    }

    /// Nothing is appended any more until a snapshot is there to append to.
    fn give_up(&mut self) {
        self.at = None;
        if self.waiting.take().is_some() {
            (self.compaction_failed)();
        }
        self.wanted.snapshot.store(true, Ordering::Relaxed);
    }
}
