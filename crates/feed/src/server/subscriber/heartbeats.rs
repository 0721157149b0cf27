//! What an edge hears four times a second: that the state which it has was the newest, and when.

use std::time::Duration;

use sentinel_core::Revision;
use tokio::time::Instant;
use tonic::Status;

use super::{BOOKS, End, Subscriber};
use crate::digest::Digest;
use crate::frame::Heartbeat;
use crate::proto::message;
use crate::server::making::{Sighting, sight};

/// Every how many beats it is looked at again what the edge announced.
const ANNOUNCEMENT_CHECK: u64 = 4;

/// How long an edge may be ahead.
const AHEAD: Duration = Duration::from_secs(1);

impl Subscriber {
    /// A beat is due.
    pub(super) async fn on_tick(&mut self) -> Result<(), End> {
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

    pub(super) async fn heartbeat_if_due(&mut self) -> Result<(), End> {
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
    pub(super) async fn say(&mut self, word: Sighting) -> Result<(), End> {
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

    /// Whether it was seen in the history that there is now.
    pub(super) fn is_present(&self, seen: &Sighting) -> bool {
        seen.installs == self.shared.source.replica().installs()
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
}
