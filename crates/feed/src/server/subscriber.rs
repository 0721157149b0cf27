//! One subscribed edge: every change after the revision where it stands, in order and without gaps, and heartbeats
//! that never claim more than was sent before them.
//!
//! An edge that stands ahead of the head is one of a newer control plane on the same database, which is caught up with in
//! a moment; or this database was rolled back, and then it is refused: what it has is not in this history.

use std::sync::Arc;
use std::time::Duration;

use sentinel_core::Revision;
use sentinel_core::id::EdgeId;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tonic::Status;

use super::HEARTBEAT;
use super::announcement::Announcement;
use super::lines::Line;
use super::present::Present;
use super::service::{SLOW, Shared, unavailable};
use crate::digest::Digest;
use crate::frame::{Frame, Heartbeat};
use crate::interest::Interest;
use crate::proto::{Message, Reset, message};
use crate::signed::Signed;

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

/// A moment at which the head was looked at, and what it was. It becomes a heartbeat once the edge has got that far.
struct Sighting {
    head: Revision,
    digest: Digest,
    age: Duration,
    at: Instant,
    /// How often the state had been replaced as a whole.
    installs: u64,
}

/// What an edge heard last: that it stands at this revision, which was the newest so long ago.
struct Word {
    head: Revision,
    digest: Digest,
    age: Duration,
    at: Instant,
    /// How often the state had been replaced as a whole.
    installs: u64,
}

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
    /// What edges of its interest are sent; `None` if it keeps everything.
    line: Option<Arc<Line>>,
    /// Where the edge stands once it has read everything in the queue.
    sent: Revision,
    nonce: [u8; 16],
    announcement: Announcement,
    sequence: u64,
    ticks: u64,
    queue: mpsc::Sender<Result<Message, Status>>,
    pending: Option<Sighting>,
    last_word: Option<Word>,
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
        queue: mpsc::Sender<Result<Message, Status>>,
    ) -> Self {
        let line = (!interest.is_all()).then(|| shared.lines.of(interest.clone()));
        Self {
            shared,
            edge,
            interest,
            line,
            sent,
            nonce,
            announcement,
            sequence: 0,
            ticks: 0,
            queue,
            pending: None,
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
                self.send(reset).await.ok();
                "the edge needs a snapshot"
            }
            Err(End::Status(status)) => {
                timeout(SLOW, self.queue.send(Err(status))).await.ok();
                "the edge was refused"
            }
        };
        tracing::info!(edge.id = %self.edge, revision = %self.sent, reason, "an edge's subscription ended");
    }

    async fn serve(&mut self) -> Result<std::convert::Infallible, End> {
        // Listen first, then look at the past: nothing falls in between.
        let mut frames = self.shared.source.frames();
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
                frame = frames.recv() => self.on_frame(frame).await?,
            }
        }
    }

    async fn on_frame(&mut self, frame: Result<Arc<Frame>, RecvError>) -> Result<(), End> {
        match frame {
            // What it is for this edge comes from its line.
            Ok(frame) if self.line.is_some() && frame.to > self.sent => self.catch_up().await,
            Ok(frame) if frame.from == self.sent => self.send_frame(&frame).await,
            // It was sent while catching up.
            Ok(frame) if frame.to <= self.sent => Ok(()),
            Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => self.catch_up().await,
            Err(broadcast::error::RecvError::Closed) => {
                Err(End::Status(Status::unavailable("the control plane is stopping")))
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
            self.catch_up().await?;
        }
        self.check_not_ahead()?;
        // They may have been closed since: the state was replaced, or something went over to another workspace.
        if self.line.is_some() && !self.shared.source.replica().open_books(BOOKS).await {
            return self.repeat().await;
        }
        self.sight();
        self.heartbeat_if_due().await
    }

    /// Says again what the edge heard last, grown older: nothing newer can be said until the books are made.
    async fn repeat(&mut self) -> Result<(), End> {
        self.check_epoch()?;
        let installs = self.shared.source.replica().installs();
        let still_so = |word: &&Word| word.head == self.sent && word.installs == installs;
        let Some(word) = self.last_word.as_ref().filter(still_so) else {
            return Ok(());
        };
        let age = word.age.saturating_add(word.at.elapsed());
        self.beat(word.head, word.digest, age).await
    }

    /// Looks at the head. A control plane that was never in touch itself has nothing to say.
    fn sight(&mut self) {
        let replica = self.shared.source.replica();
        let installs = replica.installs();
        let (Some(age), state) = replica.sight() else {
            return;
        };
        self.pending = Some(Sighting {
            installs,
            head: state.revision(),
            digest: state.digest(),
            age,
            at: Instant::now(),
        });
    }

    async fn heartbeat_if_due(&mut self) -> Result<(), End> {
        self.check_epoch()?;
        let Some(sighting) = self.pending.take_if(|sighting| sighting.head <= self.sent) else {
            return Ok(());
        };
        let Some((head, digest)) = self.vouched(&sighting) else {
            return Ok(());
        };
        self.last_word = Some(Word {
            head,
            digest,
            age: sighting.age,
            at: sighting.at,
            installs: sighting.installs,
        });
        let age = sighting.age.saturating_add(sighting.at.elapsed());
        self.beat(head, digest, age).await
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
        self.send(message::Message::Heartbeat(signed.to_proto())).await
    }

    /// The state that a heartbeat vouches for. Frames of an interest lead over several revisions at once: where the edge is
    /// further by now than the head was then, it has all the more of what was true then.
    fn vouched(&self, sighting: &Sighting) -> Option<(Revision, Digest)> {
        if self.line.is_none() {
            return Some((sighting.head, sighting.digest));
        }
        let books = self.shared.source.replica().books();
        Some((self.sent, books.digest(&self.interest, self.sent)?))
    }

    /// Sends what the log has after the place where the edge stands.
    async fn catch_up(&mut self) -> Result<(), End> {
        self.check_epoch()?;
        while self.sent < self.shared.source.replica().load().revision() {
            let is_over = match self.line.clone() {
                None => self.follow_log().await?,
                Some(line) => self.follow_line(&line).await?,
            };
            if is_over {
                break;
            }
        }
        Ok(())
    }

    /// Sends the next frames of everything. Whether there were none.
    async fn follow_log(&mut self) -> Result<bool, End> {
        let Some(frames) = self.frames_since().await? else {
            return self.take_passage().await;
        };
        for frame in &frames {
            if frame.from != self.sent {
                return Err(End::Reset);
            }
            self.send_frame(frame).await?;
        }
        Ok(frames.is_empty())
    }

    /// Sends the next frames of the interest. Whether there were none, or cannot be any yet.
    async fn follow_line(&mut self, line: &Line) -> Result<bool, End> {
        let source = &self.shared.source;
        if !source.replica().open_books(BOOKS).await {
            return Ok(true);
        }
        let Some(frames) = line.since(source, self.sent) else {
            return self.take_passage().await;
        };
        for sealed in &frames {
            self.send_signed(&sealed.signed, sealed.to).await?;
        }
        Ok(frames.is_empty())
    }

    /// Over what memory does not have any more, by the log in the database, or by a snapshot.
    async fn take_passage(&mut self) -> Result<bool, End> {
        let (shared, sent) = (&self.shared, self.sent);
        let find = shared.passages.find(&shared.source, &self.interest, sent);
        let found = tokio::select! {
            biased;
            () = self.queue.closed() => return Err(End::Gone),
            found = timeout(PASSAGE, find) => found.map_err(|_| End::Reset)?,
        };
        let frame = found.map_err(|error| End::Status(unavailable(&error)))?;
        self.send_frame(&*frame.ok_or(End::Reset)?).await?;
        Ok(false)
    }

    async fn frames_since(&self) -> Result<Option<Vec<Arc<Frame>>>, End> {
        let ask = async || {
            let frames = self.shared.source.frames_since(self.sent).await;
            frames.map_err(|error| End::Status(unavailable(&error)))
        };
        if let Some(frames) = ask().await? {
            return Ok(Some(frames));
        }
        // The replica may have a change a moment before the log has it, and the way round is expensive.
        sleep(MOMENT).await;
        ask().await
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

    async fn send_frame(&mut self, frame: &Frame) -> Result<(), End> {
        let interest = self.interest.fingerprint();
        let signed = self.shared.frames.sign(&self.shared.source, frame, interest);
        self.send_signed(&signed, frame.to).await
    }

    async fn send_signed(&mut self, signed: &Signed, to: Revision) -> Result<(), End> {
        if signed.size() > MAX_FRAME {
            return Err(End::Reset);
        }
        self.send(message::Message::Frame(signed.to_proto())).await?;
        self.sent = to;
        // Here, so that it names exactly the revision that the edge has now.
        self.heartbeat_if_due().await
    }

    async fn send(&self, message: message::Message) -> Result<(), End> {
        let message = Message {
            message: Some(message),
        };
        match timeout(SLOW, self.queue.send(Ok(message))).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(End::Gone),
        }
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
