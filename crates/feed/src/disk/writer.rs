//! The thread that writes what the follower applied. It is always behind the state in memory, never ahead of what the
//! control plane signed, and enforcement never waits for it.

use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use sentinel_core::Revision;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::contact::Contact;
use super::fs::{self, File};
use super::journal::record;
use super::{Restored, StateDir, private};
use crate::frame::Frame;
use crate::machine;
use crate::signed::Signed;

/// How many writes may wait. Beyond that the journal is given up until the next snapshot.
const QUEUE: usize = 1024;

/// A journal of this size is worth a fresh snapshot, if the snapshot is not larger itself.
const COMPACT: u64 = 4 << 20;

/// Hands writes to the thread.
pub(crate) struct Writer {
    queue: mpsc::Sender<Write>,
    /// The disk lags behind for good, or the journal is long: a fresh snapshot is wanted.
    pub(super) wants_snapshot: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

enum Write {
    Frame {
        signed: Signed,
        from: Revision,
        to: Revision,
    },
    Contact(Contact),
    /// Deletes the contact.
    Doubt,
    Distrust,
    Snapshot(Fetched),
    Compaction(Fetched),
}

/// A snapshot that was fetched.
struct Fetched {
    manifest: Signed,
    revision: Revision,
    body: Bytes,
}

impl Writer {
    /// Goes on behind what was restored; without it, from the next snapshot on.
    pub(crate) fn start(dir: StateDir, restored: Option<&Restored>) -> Self {
        let (queue, writes) = mpsc::channel(QUEUE);
        let wants_snapshot = Arc::new(AtomicBool::new(restored.is_none()));
        let mut files = Files::new(dir, restored, Arc::clone(&wants_snapshot));
        let thread = machine::drain(writes, move |first, more| files.write_batch(first, more));
        Self {
            queue,
            wants_snapshot,
            thread,
        }
    }

    /// A frame was applied.
    pub(crate) fn frame(&self, signed: Signed, frame: &Frame) {
        let (from, to) = (frame.from, frame.to);
        self.push(Write::Frame { signed, from, to });
    }

    /// A heartbeat was accepted.
    pub(crate) fn contact(&self, contact: Contact) {
        self.push(Write::Contact(contact));
    }

    /// This machine's clock was set back: how old the state is cannot be told from the contact on disk any more.
    pub(crate) fn doubt(&self) {
        self.push(Write::Doubt);
    }

    /// The state was found to be wrong: after a restart its age is not known.
    pub(crate) fn distrust(&self) {
        self.push(Write::Distrust);
    }

    /// A snapshot was fetched and installed: the frames to come follow it.
    pub(crate) fn snapshot(&self, manifest: Signed, revision: Revision, body: Bytes) {
        self.wants_snapshot.store(false, Ordering::Relaxed);
        self.push(Write::Snapshot(Fetched {
            manifest,
            revision,
            body,
        }));
    }

    /// A snapshot was fetched only to make the journal short: the frames to come follow what is in memory.
    pub(crate) fn compaction(&self, manifest: Signed, revision: Revision, body: Bytes) {
        self.wants_snapshot.store(false, Ordering::Relaxed);
        self.push(Write::Compaction(Fetched {
            manifest,
            revision,
            body,
        }));
    }

    /// Whether a fresh snapshot is wanted.
    pub(crate) fn wants_snapshot(&self) -> bool {
        self.wants_snapshot.load(Ordering::Relaxed)
    }

    /// Writes what is waiting, and ends.
    pub(crate) async fn close(self) {
        drop(self.queue);
        if self.thread.await.is_err() {
            tracing::error!("the writer of the replica's files died");
        }
    }

    fn push(&self, write: Write) {
        // A frame that is not written leaves a hole; the thread sees it by the next one's `from`, and so does whoever
        // reads the files after a crash before that.
        if self.queue.try_send(write).is_err() {
            self.wants_snapshot.store(true, Ordering::Relaxed);
        }
    }
}

/// The files as the thread knows them.
struct Files {
    dir: StateDir,
    wants_snapshot: Arc<AtomicBool>,
    /// Where snapshot and journal together lead; `None` if they lead nowhere (yet).
    at: Option<Revision>,
    base: Revision,
    snapshot_bytes: u64,
    journal: Option<File>,
    /// The revision each journal record leads to, and where it ends.
    records: Vec<(Revision, u64)>,
    /// A snapshot to make the journal short with, once a frame ends there.
    waiting: Option<Fetched>,
}

impl Files {
    fn new(dir: StateDir, restored: Option<&Restored>, wants_snapshot: Arc<AtomicBool>) -> Self {
        Self {
            dir,
            wants_snapshot,
            at: restored.map(|restored| restored.state.revision()),
            base: restored.map_or(Revision::ZERO, |restored| restored.base),
            snapshot_bytes: restored.map_or(0, |restored| restored.snapshot_bytes),
            journal: None,
            records: restored.map_or_else(Vec::new, |restored| restored.records.clone()),
            waiting: None,
        }
    }

    /// Writes everything that is waiting, with one `fsync` for all frames, and the last heartbeat behind them.
    fn write_batch(&mut self, first: Write, more: &mut mpsc::Receiver<Write>) {
        let mut contact = None;
        let mut next = Some(first);
        let mut written = Ok(());
        while let Some(write) = next {
            written = written.and_then(|()| match write {
                Write::Frame { signed, from, to } => self.append(&signed, from, to),
                Write::Snapshot(fetched) => self.replace_snapshot(&fetched),
                Write::Compaction(fetched) => self.compact(fetched),
                Write::Contact(heard) => {
                    contact = Some(heard);
                    Ok(())
                }
                Write::Doubt => {
                    contact = None;
                    self.remove_contact()
                }
                Write::Distrust => {
                    contact = None;
                    self.forget()
                }
            });
            next = more.try_recv().ok();
        }
        let written = written.and_then(|()| {
            if let Some(journal) = &self.journal {
                journal.sync_data()?;
            }
            // Behind the frames, so that a heartbeat on disk never knows more than the frames on disk lead to.
            match contact {
                Some(heard) => self.dir.replace(&self.dir.contact(), &[&heard.to_bytes()]),
                None => Ok(()),
            }
        });
        if let Err(error) = written {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "the replica cannot be written to disk: a restart without the control plane will know less"
            );
            self.give_up();
        } else if self.journal_bytes() > COMPACT.max(self.snapshot_bytes) {
            self.wants_snapshot.store(true, Ordering::Relaxed);
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
            Some(fetched) if to == fetched.revision => return self.replace_snapshot(&fetched),
            // The frame led over it.
            Some(_) => self.wants_snapshot.store(true, Ordering::Relaxed),
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
                self.wants_snapshot.store(true, Ordering::Relaxed);
            }
            _ => return self.replace_snapshot(&fetched),
        }
        Ok(())
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
        self.wants_snapshot.store(false, Ordering::Relaxed);
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

    fn forget(&mut self) -> io::Result<()> {
        self.give_up();
        self.remove_contact()
    }

    fn remove_contact(&self) -> io::Result<()> {
        match fs::remove_file(self.dir.contact()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            // A loss of power must not bring it back.
            removed => removed.and_then(|()| self.dir.sync()),
        }
    }

    /// Nothing is appended any more until a snapshot is there to append to.
    fn give_up(&mut self) {
        self.at = None;
        self.waiting = None;
        self.wants_snapshot.store(true, Ordering::Relaxed);
    }
}
