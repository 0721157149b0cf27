//! What edges are sent. All edges of one interest stand in a line: they get the same frames, each made, signed and written
//! once, and what happens while one is being sent is in the next one ([`super::pace`] says when that is made). So a burst of
//! changes costs an interest a few frames and not one for each change, and a frame without changes says at once that
//! there were none for it.
//!
//! Who is not where the line's last frame begins (he came later, or reads slowly) is made one frame that leads to where
//! the line is, which others of a herd get too.

mod detours;

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use sentinel_core::Revision;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Semaphore, broadcast, oneshot};

use super::making::{Maker, Sealed};
use super::news::{Listener, Speaker};
use super::pace::Round;
use super::{FeedSource, HEARTBEAT, SourceUnavailable};
use crate::frame::Frame;
use crate::interest::{Fingerprint, Interest};
use crate::state::ReplicaState;
use detours::{Detours, Slots};

/// How many frames for those who stand elsewhere are made at a time, in all lines together: they take time from the frames
/// that all others wait for.
const DETOURS: usize = 2;

/// How long a line waits for the books before its next frame.
const BOOKS: Duration = HEARTBEAT;

/// The interests of the edges that are connected.
pub(super) struct Lines {
    by: Mutex<HashMap<Fingerprint, Weak<Line>>>,
    edges: Arc<AtomicUsize>,
    detouring: Arc<Semaphore>,
}

/// What the edges of one interest are sent.
pub(super) struct Line {
    interest: Interest,
    log: Mutex<Log>,
    /// Held by whoever makes the line's next frame, so that the others get that one.
    making: tokio::sync::Mutex<()>,
    slots: Slots,
    /// The right to make a frame for those who stand elsewhere.
    detouring: Arc<Semaphore>,
    news: Speaker<News>,
    /// How many edges are in all lines.
    edges: Arc<AtomicUsize>,
    /// Dropped with the line: nobody needs its frames any more.
    _alive: oneshot::Sender<()>,
}

/// What the line's edges hear of it.
#[derive(Clone)]
pub(super) struct News {
    /// The last frame of the line, if there was one since the history began.
    pub(super) last: Option<Arc<Sealed>>,
    pub(super) round: Arc<Round>,
    /// The process is stopping.
    pub(super) is_over: bool,
}

/// An edge in a line, until it is dropped.
pub(super) struct Place {
    pub(super) line: Arc<Line>,
    pub(super) news: Listener<News>,
}

/// How an edge goes on.
pub(super) enum Next {
    /// It is where the line is, or ahead of it.
    Nothing,
    /// By this frame.
    Frame(Arc<Sealed>),
    /// Neither line nor history reach back to where it stands.
    TooOld,
}

/// What is at hand for an edge.
enum Look<'s> {
    Known(Next),
    /// It is to be made, to where the line is.
    Unknown(Maker<'s>, Revision),
}

struct Log {
    /// Of which history; `None` before anybody wanted to know of one.
    edition: Option<u64>,
    /// Where the line leads.
    at: Revision,
    last: Option<Arc<Sealed>>,
    detours: Detours,
}

impl Default for Lines {
    fn default() -> Self {
        Self {
            by: Mutex::default(),
            edges: Arc::default(),
            detouring: Arc::new(Semaphore::new(DETOURS)),
        }
    }
}

impl Lines {
    /// A place in the line of an interest. The last one that leaves it ends it.
    pub(super) fn enter(&self, interest: Interest, source: &Arc<dyn FeedSource>) -> Place {
        self.edges.fetch_add(1, Ordering::Relaxed);
        let line = self.line(interest, source);
        // The first that is heard is how it is: it may be over already.
        let news = line.news.listener();
        Place { line, news }
    }

    /// The line of an interest, if anybody is in it.
    pub(super) fn find(&self, interest: &Interest) -> Option<Arc<Line>> {
        lock(&self.by)
            .get(&interest.fingerprint())
            .and_then(Weak::upgrade)
    }

    fn line(&self, interest: Interest, source: &Arc<dyn FeedSource>) -> Arc<Line> {
        let mut by = lock(&self.by);
        if let Some(line) = by.get(&interest.fingerprint()).and_then(Weak::upgrade) {
            return line;
        }
        by.retain(|_, line| line.strong_count() > 0);
        let fingerprint = interest.fingerprint();
        let (alive, gone) = oneshot::channel();
        let line = Arc::new(Line {
            interest,
            log: Mutex::new(Log::new(None, Revision::ZERO)),
            making: tokio::sync::Mutex::default(),
            slots: Slots::default(),
            detouring: Arc::clone(&self.detouring),
            news: Speaker::new(News {
                last: None,
                round: Round::begin(0),
                is_over: false,
            }),
            edges: Arc::clone(&self.edges),
            _alive: alive,
        });
        by.insert(fingerprint, Arc::downgrade(&line));
        // Listen before anybody looks at the past: nothing falls in between.
        let frames = source.frames();
        tokio::spawn(lead(Arc::downgrade(&line), Arc::clone(source), frames, gone));
        line
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.line.edges.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Makes the line's frames as the control plane learns of changes.
async fn lead(
    line: Weak<Line>,
    source: Arc<dyn FeedSource>,
    mut frames: broadcast::Receiver<Arc<Frame>>,
    mut gone: oneshot::Receiver<()>,
) {
    loop {
        let next = tokio::select! {
            biased;
            _ = &mut gone => return,
            next = frames.recv() => next,
        };
        let Some(line) = line.upgrade() else { return };
        match next {
            Err(RecvError::Closed) => {
                line.news.say(|news| news.is_over = true);
                return;
            }
            Ok(frame) if line.is_past(&source, frame.to) => continue,
            Ok(_) | Err(RecvError::Lagged(_)) => {}
        }
        line.wait_its_turn().await;
        if !line.interest.is_all() {
            // Closed if the state was replaced; nobody would be told of the change until somebody looks.
            source.replica().open_books(BOOKS).await;
        }
        if let Err(error) = line.advance(&source).await {
            let cause = &*error.0 as &(dyn std::error::Error + 'static);
            tracing::warn!(
                error = cause,
                "changes cannot be read for edges: it is tried again"
            );
        }
    }
}

impl Line {
    /// Whether a frame of the line led to a revision of the present history already.
    fn is_past(&self, source: &Arc<dyn FeedSource>, to: Revision) -> bool {
        let maker = Maker::new(source, &self.interest);
        let log = lock(&self.log);
        log.edition.is_some() && log.edition == maker.map(|maker| maker.edition()) && to <= log.at
    }

    /// Waits until it is time for the next frame; whatever happens meanwhile is in it.
    async fn wait_its_turn(&self) {
        let round = self.news.newest().round;
        round.over(self.edges.load(Ordering::Relaxed)).await;
    }

    /// Makes the frames that lead to the head, and tells the edges of the line.
    pub(super) async fn advance(&self, source: &Arc<dyn FeedSource>) -> Result<(), SourceUnavailable> {
        let _making = self.making.lock().await;
        self.lead_to(source, None).await
    }

    /// The present state, where a frame of the line ends: whoever begins there goes on as the line's edges do, and can
    /// put the state in the place of what led there.
    pub(super) async fn end(&self, source: &Arc<dyn FeedSource>) -> Arc<ReplicaState> {
        // Held, so that no frame leads over it.
        let _making = self.making.lock().await;
        let state = source.replica().load_full();
        if let Err(error) = self.lead_to(source, Some(state.revision())).await {
            let cause = &*error.0 as &(dyn std::error::Error + 'static);
            tracing::debug!(error = cause, "a snapshot begins where no frame ends");
        }
        state
    }

    /// Makes the frames that lead to the head, but no further than to `most`.
    async fn lead_to(
        &self,
        source: &Arc<dyn FeedSource>,
        most: Option<Revision>,
    ) -> Result<(), SourceUnavailable> {
        loop {
            let Some((maker, at, head)) = self.goal(source) else {
                return Ok(());
            };
            let head = most.map_or(head, |most| most.min(head));
            if at >= head {
                return Ok(());
            }
            let made = maker.make(at, head).await?.map(Arc::new);
            let mut log = lock(&self.log);
            // Another history may have begun meanwhile.
            if log.edition != Some(maker.edition()) {
                continue;
            }
            log.at = made.as_ref().map_or(head, |sealed| sealed.to);
            log.last.clone_from(&made);
            drop(log);
            self.tell(made);
        }
    }

    /// What the next frame is made of, where it begins, and where it is to lead. `None`: nothing can be made.
    fn goal<'s>(&'s self, source: &'s Arc<dyn FeedSource>) -> Option<(Maker<'s>, Revision, Revision)> {
        let maker = Maker::new(source, &self.interest)?;
        let head = maker.head()?;
        let mut log = lock(&self.log);
        if log.edition == Some(maker.edition()) {
            return Some((maker, log.at, head));
        }
        // Another history, or the first that anybody wants to know of: the line begins at its head.
        *log = Log::new(Some(maker.edition()), head);
        drop(log);
        self.tell(None);
        Some((maker, head, head))
    }

    fn tell(&self, last: Option<Arc<Sealed>>) {
        let edges = if last.is_some() { self.news.listeners() } else { 0 };
        self.news.say(|news| {
            news.round = Round::begin(edges);
            news.last = last;
        });
    }

    /// How an edge goes on that stands at a revision.
    pub(super) async fn since(
        &self,
        source: &Arc<dyn FeedSource>,
        sent: Revision,
    ) -> Result<Next, SourceUnavailable> {
        if let Look::Known(next) = self.look(source, sent) {
            return Ok(next);
        }
        let slot = self.slots.of(sent);
        let _making = slot.lock().await;
        if let Look::Known(next) = self.look(source, sent) {
            return Ok(next);
        }
        // It is never closed.
        let Ok(_turn) = self.detouring.acquire().await else {
            return Ok(Next::Nothing);
        };
        // The line went on while others had their turn.
        let (maker, at) = match self.look(source, sent) {
            Look::Known(next) => return Ok(next),
            Look::Unknown(maker, at) => (maker, at),
        };
        let Some(sealed) = maker.make(sent, at).await? else {
            return Ok(Next::TooOld);
        };
        let sealed = Arc::new(sealed);
        let mut log = lock(&self.log);
        if log.edition == Some(maker.edition()) {
            log.detours.push(Arc::clone(&sealed), at);
        }
        drop(log);
        Ok(Next::Frame(sealed))
    }

    /// How an edge goes on that stands at a revision, if that is at hand.
    fn look<'s>(&'s self, source: &'s Arc<dyn FeedSource>, sent: Revision) -> Look<'s> {
        let Some((maker, at, _)) = self.goal(source) else {
            return Look::Known(Next::Nothing);
        };
        if sent.epoch != at.epoch {
            return Look::Known(Next::TooOld);
        }
        if sent >= at {
            return Look::Known(Next::Nothing);
        }
        let log = lock(&self.log);
        let last = log
            .last
            .as_ref()
            .filter(|last| last.from == sent && last.to == at);
        match last.cloned().or_else(|| log.detours.find(sent, at)) {
            Some(sealed) => Look::Known(Next::Frame(sealed)),
            None => Look::Unknown(maker, at),
        }
    }
}

impl Log {
    fn new(edition: Option<u64>, at: Revision) -> Self {
        Self {
            edition,
            at,
            last: None,
            detours: Detours::default(),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
