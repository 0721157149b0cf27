//! One subscribed edge: every change after the revision where it stands, in order and without gaps, and heartbeats
//! that never claim more than was sent before them.
//!
//! An edge that stands ahead of the head is one of a newer control plane on the same database, which is caught up with in
//! a moment; or this database was rolled back, and then it is refused: what it has is not in this history.

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use sentinel_core::Revision;
use sentinel_core::id::EdgeId;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tonic::Status;

use super::announcement::Announcement;
use super::lines::{Next, Place};
use super::making::{Sealed, Sighting, sight};
use super::observer::Counted;
use super::outgoing::Parcel;
use super::pace::Delivery;
use super::present::Present;
use super::service::{SLOW, Shared, unavailable};
use super::{HEARTBEAT, Keeps, Observer};
use crate::digest::Digest;
use crate::frame::Heartbeat;
use crate::interest::Interest;
use crate::proto::{Message, Reset, message};

/// Every how many beats it is looked at again what the edge announced.
const ANNOUNCEMENT_CHECK: u64 = 4;

/// How often it is asked again whether the edge is enrolled.
const ENROLMENT_CHECK: Duration = Duration::from_secs(1);

/// A signed frame that is larger is not sent: the edge fetches a snapshot, which comes in pieces.
const MAX_FRAME: usize = 32 << 20;

/// How long an edge may be ahead.
const AHEAD: Duration = Duration::from_secs(1);

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
    queue: mpsc::Sender<Parcel>,
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
        queue: mpsc::Sender<Parcel>,
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
        let lost = lost_enrolment(Arc::clone(&self.shared), self.edge, present);
        // By time, however slowly the edge reads: it must not keep by that what was taken from it.
        let end = tokio::select! {
            biased;
            status = lost => Err(End::Status(status)),
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
                let parcel = Parcel {
                    message: Err(status),
                    delivery: None,
                };
                timeout(SLOW, self.queue.send(parcel)).await.ok();
                "the edge was refused"
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
        let queue = self.queue.clone();
        loop {
            tokio::select! {
                // In this order, so that no flood of changes holds back a heartbeat.
                biased;
                () = queue.closed() => return Err(End::Gone),
                _ = ticks.tick() => self.on_tick().await?,
                _ = self.place.news.changed() => self.on_news().await?,
                // One frame at a time, or an edge that reads slowly would hear of nothing else.
                () = ready(()), if self.may_lag => self.catch_up().await?,
            }
        }
    }

    /// The line went on.
    async fn on_news(&mut self) -> Result<(), End> {
        let news = self.place.news.borrow_and_update().clone();
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

    async fn on_tick(&mut self) -> Result<(), End> {
        self.ticks += 1;
        if self.ticks.is_multiple_of(ANNOUNCEMENT_CHECK) {
            self.announcement.pass_on(&*self.shared.source, self.edge).await;
        }
        if self.pending.is_some() {
            // A whole beat has passed and the frames up to there did not come: fetch them.
            self.go_on().await?;
        }
        self.check_not_ahead()?;
        if !self.interest.is_all() {
            let replica = self.shared.source.replica();
            // They may have been closed since: the state was replaced, or something went over to another workspace.
            if !replica.open_books(BOOKS).await {
                return self.repeat().await;
            }
            let edition = replica.books().edition();
            if edition != self.edition {
                // Of what came while they were closed nobody may have been told.
                self.edition = edition;
                self.go_on().await?;
            }
        }
        // What was seen and is not reached yet is reached sooner than what is seen now: an edge that is always behind would
        // never hear a heartbeat otherwise.
        let installs = self.shared.source.replica().installs();
        if self
            .pending
            .is_none_or(|seen| seen.head <= self.sent || seen.installs != installs)
        {
            self.pending = sight(&self.shared.source).or(self.pending.take());
        }
        self.heartbeat_if_due().await
    }

    /// Leads the line to the head and the edge towards it.
    async fn go_on(&mut self) -> Result<(), End> {
        let advanced = self.place.line.advance(&self.shared.source).await;
        advanced.map_err(|error| End::Status(unavailable(&error)))?;
        self.catch_up().await
    }

    /// Says again what the edge heard last, grown older: nothing newer can be said until the books are made.
    async fn repeat(&mut self) -> Result<(), End> {
        self.check_epoch()?;
        let installs = self.shared.source.replica().installs();
        let still_so = |word: &&Sighting| word.head == self.sent && word.installs == installs;
        let Some(word) = self.last_word.as_ref().filter(still_so) else {
            return Ok(());
        };
        let age = word.age.saturating_add(word.at.elapsed());
        self.beat(word.head, word.digest, age).await
    }

    async fn heartbeat_if_due(&mut self) -> Result<(), End> {
        self.check_epoch()?;
        match self.pending.take_if(|sighting| sighting.head <= self.sent) {
            Some(sighting) => match self.vouched(sighting) {
                Some(word) => self.say(word).await,
                None => Ok(()),
            },
            None => Ok(()),
        }
    }

    /// Says that the edge stands where it does, and that this was the newest.
    async fn say(&mut self, word: Sighting) -> Result<(), End> {
        self.last_word = Some(word);
        let age = word.age.saturating_add(word.at.elapsed());
        self.beat(word.head, word.digest, age).await
    }

    async fn beat(&mut self, head: Revision, digest: Digest, age: Duration) -> Result<(), End> {
        self.sequence += 1;
        let heartbeat = Heartbeat {
            head,
            digest,
            sent_at: self.shared.source.now(),
            age,
            nonce: self.nonce,
            sequence: self.sequence,
            since: self.asked_at.elapsed(),
        };
        let signed = heartbeat.seal_for(self.interest.fingerprint(), |context, payload| {
            self.shared.source.sign(context, payload)
        });
        self.send(message::Message::Heartbeat(signed.to_proto()), None)
            .await
    }

    /// What a heartbeat says where the head was seen like this. Books know the state of the part where the edge is, and it
    /// has all the more of what was true then where it is further by now than the head was.
    fn vouched(&self, sighting: Sighting) -> Option<Sighting> {
        if self.interest.is_all() {
            return Some(sighting);
        }
        let books = self.shared.source.replica().books();
        Some(Sighting {
            head: self.sent,
            digest: books.digest(&self.interest, self.sent)?,
            ..sighting
        })
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
        let found = tokio::select! {
            biased;
            () = self.queue.closed() => return Err(End::Gone),
            found = timeout(PASSAGE, find) => found.map_err(|_| End::Reset)?,
        };
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

    fn check_not_ahead(&mut self) -> Result<(), End> {
        let head = self.shared.source.replica().load().revision();
        if self.sent <= head {
            self.ahead_since = None;
            return Ok(());
        }
        let since = *self.ahead_since.get_or_insert_with(Instant::now);
        if since.elapsed() < AHEAD {
            return Ok(());
        }
        tracing::error!(
            edge.id = %self.edge,
            revision = %self.sent,
            %head,
            "an edge is ahead of this control plane: if the database was restored or has lost commits, run \
             `sentinel-control-plane admin begin-epoch`"
        );
        Err(End::Status(Status::failed_precondition(format!(
            "this control plane is at revision `{head}`, behind the `{}` of this edge",
            self.sent
        ))))
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

    /// Whether it was seen in the history that there is now.
    fn is_present(&self, seen: &Sighting) -> bool {
        seen.installs == self.shared.source.replica().installs()
    }

    async fn send(&self, message: message::Message, delivery: Option<Delivery>) -> Result<(), End> {
        let message = Ok(Message {
            message: Some(message),
        });
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

/// Looks every second whether the edge is enrolled, and ends when it is not.
async fn lost_enrolment(shared: Arc<Shared>, edge: EdgeId, present: Present) -> Status {
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
