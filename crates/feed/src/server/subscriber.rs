//! One subscribed edge: every change after the revision where it stands, in order and without gaps, and heartbeats
//! that never claim more than was sent before them.
//!
//! An edge that stands ahead of the head is one of a newer control plane on the same database, which is caught up with in
//! a moment; or this database was rolled back, and then it is refused: what it has is not in this history.

mod heartbeats;

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use sentinel_core::Revision;
use sentinel_core::id::EdgeId;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tonic::Status;

use super::announcement::Announcement;
use super::lines::{News, Next, Place};
use super::making::{Sealed, Sighting};
use super::observer::Counted;
use super::outgoing::{Parcel, Queue};
use super::pace::Delivery;
use super::present::Present;
use super::service::{SLOW, Shared, unavailable};
use super::{HEARTBEAT, Keeps, Observer};
use crate::interest::Interest;
use crate::proto::{Message, Reset, message};

/// How often it is asked again whether the edge is enrolled.
const ENROLMENT_CHECK: Duration = Duration::from_secs(1);

/// A signed frame that is larger is not sent: the edge fetches a snapshot, which comes in pieces.
const MAX_FRAME: usize = 32 << 20;

/// How long an edge waits for the way over what memory does not have any more: less than it may go without a word.
const PASSAGE: Duration = Duration::from_secs(1);

/// How long an edge waits for the books at a time: a beat, so that it goes on hearing of itself.
const BOOKS: Duration = HEARTBEAT;

/// How long a change that was applied may need to be found in the log.
const MOMENT: Duration = Duration::from_millis(20);

/// Why a subscription ends.
enum End {
    /// The edge went away, or does not read.
    Gone,
    /// The edge has to fetch a snapshot.
    Reset,
    /// Newer subscriptions came with the same edge key.
    Displaced,
    /// The edge is told why.
    Status(Status),
}

pub(super) struct Subscriber {
    shared: Arc<Shared>,
    edge: EdgeId,
    interest: Interest,
    /// What edges of its interest are sent.
    place: Place,
    /// Where the edge stands once it has read everything in the queue.
    sent: Revision,
    nonce: [u8; 16],
    announcement: Announcement,
    sequence: u64,
    ticks: u64,
    queue: Queue,
    /// The head that is looked at becomes a heartbeat once the edge has got that far.
    pending: Option<Sighting>,
    /// A frame was sent, and it is not known yet whether another one follows where it ends.
    may_lag: bool,
    /// Which books the last beat found.
    edition: Option<u64>,
    /// What the edge heard last: that it stands at this revision, which was the newest so long ago.
    last_word: Option<Sighting>,
    ahead_since: Option<Instant>,
    /// When the edge's request came.
    asked_at: Instant,
}

impl Subscriber {
    pub(super) fn new(
        shared: Arc<Shared>,
        edge: EdgeId,
        sent: Revision,
        interest: Interest,
        nonce: [u8; 16],
        announcement: Announcement,
        queue: Queue,
    ) -> Self {
        let place = shared.lines.enter(interest.clone(), &shared.source);
        Self {
            shared,
            edge,
            interest,
            place,
            sent,
            nonce,
            announcement,
            sequence: 0,
            ticks: 0,
            queue,
            pending: None,
            may_lag: false,
            edition: None,
            last_word: None,
            ahead_since: None,
            asked_at: Instant::now(),
        }
    }

    /// Says when the edge's request came, if that was before now.
    pub(super) fn asked_at(self, asked_at: Instant) -> Self {
        Self { asked_at, ..self }
    }

    /// Serves the edge for as long as it is there and enrolled.
    pub(super) async fn run(mut self, present: Present) {
        tracing::info!(edge.id = %self.edge, revision = %self.sent, interest = %self.interest, "an edge subscribed");
        let _counted = Counted::new(&self.shared.source, self.keeps());
        let (shared, queue) = (Arc::clone(&self.shared), self.queue.clone());
        // By time, however slowly the edge reads: it must not keep by that what was taken from it. And whoever went away has
        // gone at once, whatever is being waited for: his place may be wanted.
        let end = tokio::select! {
            biased;
            status = lost_enrolment(&shared, self.edge, &present) => Err(End::Status(status)),
            () = queue.closed() => Err(End::Gone),
            () = present.displaced() => Err(End::Displaced),
            end = self.serve() => end,
        };
        let reason = match end {
            Ok(never) => match never {},
            Err(End::Gone) => "the edge went away or does not read",
            Err(End::Reset) => {
                let reset = message::Message::Reset(Reset {});
                self.send(reset, None).await.ok();
                "the edge needs a snapshot"
            }
            Err(End::Status(status)) => {
                self.queue.ends_with(status);
                "the edge was refused"
            }
            Err(End::Displaced) => {
                if let Some(observer) = self.observer() {
                    observer.displaced();
                }
                self.queue.ends_with(displaced());
                "newer subscriptions came with the same edge key"
            }
        };
        tracing::info!(edge.id = %self.edge, revision = %self.sent, reason, "an edge's subscription ended");
    }

    async fn serve(&mut self) -> Result<std::convert::Infallible, End> {
        // Before the first word to the edge: once it hears anything, its key is published.
        self.announcement.pass_on(&*self.shared.source, self.edge).await;
        self.catch_up().await?;
        let mut ticks = interval(HEARTBEAT);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                // In this order, so that no flood of changes holds back a heartbeat.
                biased;
                _ = ticks.tick() => self.on_tick().await?,
                news = self.place.news.next() => self.on_news(news).await?,
                // One frame at a time, or an edge that reads slowly would hear of nothing else.
                () = ready(()), if self.may_lag => self.catch_up().await?,
            }
        }
    }

    /// The line went on.
    async fn on_news(&mut self, news: News) -> Result<(), End> {
        if news.is_over {
            return Err(End::Status(Status::unavailable("the control plane is stopping")));
        }
        let delivery = news.round.delivery();
        match news.last {
            Some(sealed) if sealed.from == self.sent => self.send_sealed(&sealed, Some(delivery)).await,
            // Whoever is ahead of the line, or reads slowly, is not where its last frame begins.
            _ => {
                self.catch_up().await?;
                drop(delivery);
                Ok(())
            }
        }
    }

    /// Leads the line to the head and the edge towards it.
    async fn go_on(&mut self) -> Result<(), End> {
        let advanced = self.place.line.advance(&self.shared.source).await;
        advanced.map_err(|error| End::Status(unavailable(&error)))?;
        self.catch_up().await
    }

    /// Sends a frame that leads to where the line is, or as far towards it as one may.
    async fn catch_up(&mut self) -> Result<(), End> {
        self.may_lag = false;
        self.check_epoch()?;
        let mut looked = false;
        loop {
            let shared = Arc::clone(&self.shared);
            // Without books nothing can be said of a part; it is tried again at the next beat.
            if !self.interest.is_all() && !shared.source.replica().open_books(BOOKS).await {
                return Ok(());
            }
            let next = self.place.line.since(&shared.source, self.sent).await;
            match next.map_err(|error| End::Status(unavailable(&error)))? {
                Next::Nothing => return Ok(()),
                Next::Frame(sealed) => {
                    self.may_lag = true;
                    return self.send_sealed(&sealed, None).await;
                }
                // The replica may have a change a moment before the log has it, and the way round is expensive.
                Next::TooOld if !looked && self.interest.is_all() => {
                    looked = true;
                    sleep(MOMENT).await;
                }
                Next::TooOld => {
                    self.may_lag = true;
                    return self.take_passage().await;
                }
            }
        }
    }

    /// Over what memory does not have any more, by the log in the database, or by a snapshot.
    async fn take_passage(&mut self) -> Result<(), End> {
        let (shared, sent) = (&self.shared, self.sent);
        let find = shared.passages.find(&shared.source, &self.interest, sent);
        let found = timeout(PASSAGE, find).await.map_err(|_| End::Reset)?;
        let frame = found.map_err(|error| End::Status(unavailable(&error)))?;
        let frame = frame.ok_or(End::Reset)?;
        let interest = self.interest.fingerprint();
        let sealed = Sealed {
            from: frame.from,
            to: frame.to,
            digest: frame.digest,
            // It may have been made a while ago.
            installs: None,
            signed: self.shared.frames.sign(&self.shared.source, &frame, interest),
            sighting: None,
        };
        self.send_sealed(&sealed, None).await
    }

    /// Frames lead from one revision to the next within one epoch; to another epoch only a snapshot does.
    fn check_epoch(&self) -> Result<(), End> {
        let current = self.shared.source.replica().load().revision().epoch;
        if self.sent.epoch == current {
            Ok(())
        } else {
            Err(End::Reset)
        }
    }

    async fn send_sealed(&mut self, sealed: &Sealed, delivery: Option<Delivery>) -> Result<(), End> {
        let size = sealed.signed.size();
        if size > MAX_FRAME {
            return Err(End::Reset);
        }
        let frame = message::Message::Frame(sealed.signed.to_proto());
        self.send(frame, delivery).await?;
        self.sent = sealed.to;
        if let Some(observer) = self.observer() {
            observer.frame(self.keeps(), size, sealed.revisions());
        }
        // Here, so that it names exactly the revision that the edge has now. A frame that leads over the head that was looked
        // at says itself what it led to and when that was the newest.
        match sealed.sighting {
            Some(word) if self.pending.take().is_some() => self.say(word).await,
            _ if self.interest.is_all() => match self.pending.take_if(|seen| seen.head < sealed.to) {
                Some(seen) => match sealed.beyond(seen).filter(|seen| self.is_present(seen)) {
                    Some(word) => self.say(word).await,
                    None => Ok(()),
                },
                None => self.heartbeat_if_due().await,
            },
            _ => self.heartbeat_if_due().await,
        }
    }

    async fn send(&self, message: message::Message, delivery: Option<Delivery>) -> Result<(), End> {
        let message = Message {
            message: Some(message),
        };
        match timeout(SLOW, self.queue.send(Parcel { message, delivery })).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(End::Gone),
        }
    }

    fn keeps(&self) -> Keeps {
        Keeps::of(&self.interest)
    }

    fn observer(&self) -> Option<&dyn Observer> {
        self.shared.source.observer()
    }
}

/// What an edge is told whose place was taken.
fn displaced() -> Status {
    Status::aborted("newer subscriptions came with the same edge key")
}

/// Looks every second whether the edge is enrolled, and ends when it is not.
async fn lost_enrolment(shared: &Shared, edge: EdgeId, present: &Present) -> Status {
    loop {
        sleep(ENROLMENT_CHECK).await;
        let began = Instant::now();
        // A database that hangs says nothing: it is asked again.
        match timeout(HEARTBEAT, shared.source.still_enrolled(edge)).await {
            Ok(true) => present.seen(began),
            Ok(false) => return Status::unauthenticated("the edge key is not enrolled any more"),
            Err(_) => {}
        }
    }
}
