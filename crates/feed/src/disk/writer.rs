//! Writes what the follower applied. It is always behind the state in memory, never ahead of what the control plane signed,
//! and enforcement never waits for it: a change is published before it comes here.
//!
//! That is safe because the files serve a restart and nothing else. An edge that starts from them stands where they lead,
//! and is as old as the heartbeat in them says, which is written behind all that it vouches for: with less on disk it knows
//! less and says so. What it lacks comes with the first contact, and a request that has seen more names its revision and
//! waits for that. So what comes in a short time is written together, with one `fsync`.

use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use sentinel_core::Revision;
use tokio::sync::{Notify, mpsc};
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

/// When so many wait, it is written at once.
const MANY: usize = QUEUE / 2;

/// How much time there is between two times of writing: a loss of power costs that much of what was known.
const REST: Duration = Duration::from_millis(100);

/// A journal of this size is worth a fresh snapshot, if the snapshot is not larger itself.
const COMPACT: u64 = 4 << 20;

/// Hands writes to whoever writes.
pub(crate) struct Writer {
    queue: mpsc::Sender<Write>,
    pub(super) wanted: Wanted,
    hurry: Arc<Notify>,
    overheard: Overheard,
    writing: JoinHandle<()>,
}

/// What found no room in the queue and must not be lost like the rest: it takes effect behind what is there.
#[derive(Clone, Default)]
struct Overheard {
    doubt: Arc<AtomicBool>,
    distrust: Arc<AtomicBool>,
}

/// What the files lack.
#[derive(Clone, Default)]
pub(super) struct Wanted {
    /// The disk lags behind for good, or the journal is long: a fresh snapshot is wanted.
    pub(super) snapshot: Arc<AtomicBool>,
    /// No heartbeat on disk speaks of a state that the files pass.
    pub(super) contact: Arc<AtomicBool>,
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
        let wanted = Wanted::default();
        wanted.snapshot.store(restored.is_none(), Ordering::Relaxed);
        wanted.contact.store(true, Ordering::Relaxed);
        let overheard = Overheard::default();
        let mut files = Files::new(dir, restored, wanted.clone(), overheard.clone());
        let hurry = Arc::new(Notify::new());
        let write = move |first, more: &mut _| files.write_batch(first, more);
        let writing = machine::drain(writes, write, REST, Arc::clone(&hurry));
        Self {
            queue,
            wanted,
            hurry,
            overheard,
            writing,
        }
    }

    /// A frame was applied.
    pub(crate) fn frame(&self, signed: Signed, frame: &Frame) {
        let (from, to) = (frame.from, frame.to);
        self.push(Write::Frame { signed, from, to });
    }

    /// A heartbeat was accepted.
    pub(crate) fn contact(&self, contact: Contact) {
        self.wanted.contact.store(false, Ordering::Relaxed);
        self.push(Write::Contact(contact));
    }

    /// This machine's clock was set back: how old the state is cannot be told from the contact on disk any more.
    pub(crate) fn doubt(&self) {
        if !self.push(Write::Doubt) {
            self.overheard.doubt.store(true, Ordering::Release);
        }
        self.hurry.notify_one();
    }

    /// The state was found to be wrong: after a restart its age is not known.
    pub(crate) fn distrust(&self) {
        if !self.push(Write::Distrust) {
            self.overheard.distrust.store(true, Ordering::Release);
        }
        self.hurry.notify_one();
    }

    /// A snapshot was fetched and installed: the frames to come follow it.
    pub(crate) fn snapshot(&self, manifest: Signed, revision: Revision, body: Bytes) {
        self.wanted.snapshot.store(false, Ordering::Relaxed);
        self.push(Write::Snapshot(Fetched {
            manifest,
            revision,
            body,
        }));
        self.hurry.notify_one();
    }

    /// A snapshot was fetched only to make the journal short: the frames to come follow what is in memory.
    pub(crate) fn compaction(&self, manifest: Signed, revision: Revision, body: Bytes) {
        self.wanted.snapshot.store(false, Ordering::Relaxed);
        self.push(Write::Compaction(Fetched {
            manifest,
            revision,
            body,
        }));
    }

    /// Whether a fresh snapshot is wanted.
    pub(crate) fn wants_snapshot(&self) -> bool {
        self.wanted.snapshot.load(Ordering::Relaxed)
    }

    /// Whether the next heartbeat is to be written, however fresh the last one was: it is not of what the files pass now.
    pub(crate) fn wants_contact(&self) -> bool {
        self.wanted.contact.load(Ordering::Relaxed)
    }

    /// Writes what is waiting, and ends.
    pub(crate) async fn close(self) {
        drop(self.queue);
        self.hurry.notify_one();
        if self.writing.await.is_err() {
            tracing::error!("the writer of the replica's files died");
        }
    }

    /// Whether there was room.
    fn push(&self, write: Write) -> bool {
        // A frame that is not written leaves a hole; whoever writes sees it by the next one's `from`, and so does whoever
        // reads the files after a crash before that.
        let has_room = self.queue.try_send(write).is_ok();
        if !has_room {
            self.wanted.snapshot.store(true, Ordering::Relaxed);
        }
        if QUEUE - self.queue.capacity() >= MANY {
            self.hurry.notify_one();
        }
        has_room
    }
}

/// The files as whoever writes knows them.
struct Files {
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
    /// The contact on disk is to be believed no more, and it could not be deleted.
    has_bad_contact: bool,
}

impl Files {
    fn new(dir: StateDir, restored: Option<&Restored>, wanted: Wanted, overheard: Overheard) -> Self {
        Self {
            dir,
            wanted,
            overheard,
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
    fn write_batch(&mut self, first: Write, more: &mut mpsc::Receiver<Write>) {
        let mut contact = None;
        let mut next = Some(first);
        let mut written = Ok(());
        while let Some(write) = next {
            match write {
                Write::Frame { signed, from, to } => {
                    written = written.and_then(|()| self.append(&signed, from, to));
                }
                Write::Snapshot(fetched) => written = written.and_then(|()| self.replace_snapshot(&fetched)),
                Write::Compaction(fetched) => written = written.and_then(|()| self.compact(fetched)),
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
            Some(fetched) if to == fetched.revision => return self.replace_snapshot(&fetched),
            // The frame led over it.
            Some(_) => self.wanted.snapshot.store(true, Ordering::Relaxed),
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
                self.wanted.snapshot.store(true, Ordering::Relaxed);
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
        self.waiting = None;
        self.wanted.snapshot.store(true, Ordering::Relaxed);
    }
}
