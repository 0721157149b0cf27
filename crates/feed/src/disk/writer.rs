//! Writes what the follower applied. It is always behind the state in memory, never ahead of what the control plane signed,
//! and enforcement never waits for it: a change is published before it comes here.
//!
//! That is safe because the files serve a restart and nothing else. An edge that starts from them stands where they lead,
//! and is as old as the heartbeat in them says, which is written behind all that it vouches for: with less on disk it knows
//! less and says so. What it lacks comes with the first contact, and a request that has seen more names its revision and
//! waits for that. So what comes in a short time is written together, with one `fsync`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use sentinel_core::Revision;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;

use super::contact::Contact;
use super::files::Files;
use super::{Restored, StateDir};
use crate::frame::Frame;
use crate::machine;
use crate::signed::Signed;

/// How many writes may wait. Beyond that the journal is given up until the next snapshot.
const QUEUE: usize = 1024;

/// When so many wait, it is written at once.
const MANY: usize = QUEUE / 2;

/// How much time there is between two times of writing: a loss of power costs that much of what was known.
const REST: Duration = Duration::from_millis(100);

/// Who is told when something failed.
pub(crate) type OnFailure = Arc<dyn Fn() + Send + Sync>;

/// Hands writes to whoever writes.
pub(crate) struct Writer {
    queue: mpsc::Sender<Write>,
    pub(super) wanted: Wanted,
    hurry: Arc<Notify>,
    overheard: Overheard,
    compaction_failed: OnFailure,
    writing: JoinHandle<()>,
}

/// What found no room in the queue and must not be lost like the rest: it takes effect behind what is there.
#[derive(Clone, Default)]
pub(super) struct Overheard {
    pub(super) doubt: Arc<AtomicBool>,
    pub(super) distrust: Arc<AtomicBool>,
}

/// What the files lack.
#[derive(Clone, Default)]
pub(super) struct Wanted {
    /// The disk lags behind for good, or the journal is long: a fresh snapshot is wanted.
    pub(super) snapshot: Arc<AtomicBool>,
    /// No heartbeat on disk speaks of a state that the files pass.
    pub(super) contact: Arc<AtomicBool>,
}

/// What is to be done to the files.
pub(super) enum Write {
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
pub(super) struct Fetched {
    pub(super) manifest: Signed,
    pub(super) revision: Revision,
    pub(super) body: Bytes,
}

impl Writer {
    /// Goes on behind what was restored; without it, from the next snapshot on. Somebody is told whenever a snapshot that was
    /// fetched to make the journal short came to nothing.
    pub(crate) fn start(dir: StateDir, restored: Option<&Restored>, compaction_failed: OnFailure) -> Self {
        let (queue, writes) = mpsc::channel(QUEUE);
        let wanted = Wanted::default();
        wanted.snapshot.store(restored.is_none(), Ordering::Relaxed);
        wanted.contact.store(true, Ordering::Relaxed);
        let overheard = Overheard::default();
        let mut files = Files::new(
            dir,
            restored,
            wanted.clone(),
            overheard.clone(),
            Arc::clone(&compaction_failed),
        );
        let hurry = Arc::new(Notify::new());
        let write = move |first, more: &mut _| files.write_batch(first, more);
        let writing = machine::drain(writes, write, REST, Arc::clone(&hurry));
        Self {
            queue,
            wanted,
            hurry,
            overheard,
            compaction_failed,
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
        let compaction = Write::Compaction(Fetched {
            manifest,
            revision,
            body,
        });
        if !self.push(compaction) {
            (self.compaction_failed)();
        }
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
