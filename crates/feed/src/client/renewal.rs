//! Another subscription in the place of the one that is there, on the same connection: how late messages are is told by the
//! steady clocks of two machines since it began, and no two clocks go alike.
//!
//! The new one is asked for while the old one goes on, and takes its place once it has said something and stands exactly
//! where the replica does. Until then nothing of what it says is applied: the old one says the same. So there is no moment
//! at which nobody vouches for the state, and no change is applied twice. If it does not come to that, the old one stays, and
//! it is tried again; not for ever, for its clock is not to be believed for ever.

use std::pin::Pin;
use std::time::Duration;

use sentinel_core::{Random, Revision};
use sentinel_token::FeedVerifyKey;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::backoff::Backoff;
use super::error::FollowError;
use super::subscription::Subscription;
use crate::digest::Digest;
use crate::frame::{Frame, Heartbeat};
use crate::interest::Fingerprint;
use crate::proto::Message;
use crate::proto::message::Message as Word;
use crate::replica::Replica;
use crate::signed::Signed;

/// How long the new one may take from the answer to the request until it takes the place of the old one: it is asked of a
/// control plane that is heard all the time.
const JOIN: Duration = Duration::from_secs(2);

/// How late a heartbeat of the new one may be.
const LATE: Duration = Duration::from_secs(2);

/// The longest pause between two tries.
const PAUSE: Duration = Duration::from_mins(1);

/// How long a subscription stays.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stay {
    /// Until it is renewed; between a half and the whole of it, so that not all edges do so together.
    pub(crate) renewed_after: Duration,
    /// Until it is given up if it could not be renewed. At 100 ppm two clocks are a third of a second apart after an hour.
    pub(crate) at_most: Duration,
}

impl Default for Stay {
    fn default() -> Self {
        Self {
            renewed_after: Duration::from_mins(50),
            at_most: Duration::from_hours(1),
        }
    }
}

impl Stay {
    fn renewed_after(self, random: &dyn Random) -> Duration {
        let mut byte = [0];
        random.fill(&mut byte);
        self.renewed_after / 2 + (self.renewed_after / 2) * u32::from(byte[0]) / 255
    }
}

/// A subscription that is being asked for.
pub(super) type Asking = Pin<Box<dyn Future<Output = Result<Subscription, FollowError>> + Send>>;

/// Who renews, and by what he knows what is said.
#[derive(Clone, Copy)]
pub(super) struct Edge<'e> {
    pub(super) replica: &'e Replica,
    pub(super) key: &'e FeedVerifyKey,
    pub(super) interest: Fingerprint,
    pub(super) random: &'e dyn Random,
}

/// The way to the next subscription.
pub(super) struct Renewal {
    phase: Phase,
    backoff: Backoff,
    /// When the present one is given up.
    over: Instant,
}

enum Phase {
    /// It is not time yet.
    Resting(Instant),
    /// From the revision at which the replica was.
    Asking(Asking, Revision),
    Joining(Box<Joining>),
}

/// A new subscription that does not count yet.
struct Joining {
    subscription: Subscription,
    /// Where it has led: what it says next begins there.
    there: Revision,
    /// Of the state there, once it said that.
    digest: Option<Digest>,
    until: Instant,
}

/// A subscription that stands where the replica does, and a message of it that is still to be taken in.
pub(super) type Joined = (Subscription, Option<Message>);

/// What a message of the new subscription comes to.
enum Heard {
    /// It has led on, or says nothing new.
    Passed,
    /// It says what counts for the state that is here.
    Counts,
}

impl Renewal {
    /// The way to the one after a subscription that begins now.
    pub(super) fn begin(stay: Stay, random: &dyn Random) -> Self {
        let now = Instant::now();
        Self {
            phase: Phase::Resting(now + stay.renewed_after(random)),
            backoff: Backoff::new(),
            over: now + stay.at_most,
        }
    }

    /// Whether the next one was asked for.
    pub(super) fn is_under_way(&self) -> bool {
        !matches!(self.phase, Phase::Resting(_))
    }

    /// Waits for a subscription that can take the place of the present one. Can be dropped and asked again at any time, and
    /// is to be whenever the replica went on.
    ///
    /// # Errors
    /// The present one counts no longer: it is too old, or the two speak of different states.
    pub(super) async fn joined(
        &mut self,
        edge: Edge<'_>,
        ask: impl Fn() -> (Asking, Revision),
    ) -> Result<Joined, FollowError> {
        loop {
            let error = match timeout_at(self.over, self.step(edge, &ask)).await {
                Err(_) => return Err(FollowError::NotRenewed),
                Ok(Ok(Some(joined))) => return Ok(joined),
                Ok(Ok(None)) => continue,
                Ok(Err(error @ FollowError::Diverged(_))) => return Err(error),
                Ok(Err(error)) => error,
            };
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the subscription is not renewed yet: the present one goes on"
            );
            self.phase = Phase::Resting(Instant::now() + self.backoff.next(edge.random, PAUSE));
        }
    }

    /// One thing that has to be waited for.
    async fn step(
        &mut self,
        edge: Edge<'_>,
        ask: &impl Fn() -> (Asking, Revision),
    ) -> Result<Option<Joined>, FollowError> {
        match &mut self.phase {
            Phase::Resting(until) => {
                sleep_until(*until).await;
                let (asking, from) = ask();
                self.phase = Phase::Asking(asking, from);
                Ok(None)
            }
            Phase::Asking(asking, from) => {
                let from = *from;
                let subscription = asking.await?;
                self.phase = Phase::Joining(Box::new(Joining {
                    subscription,
                    there: from,
                    digest: None,
                    until: Instant::now() + JOIN,
                }));
                Ok(None)
            }
            Phase::Joining(joining) => {
                let word = joining.arrived(edge).await?;
                let phase = std::mem::replace(&mut self.phase, Phase::Resting(self.over));
                Ok(match phase {
                    Phase::Joining(joining) => Some((joining.subscription, word)),
                    Phase::Resting(_) | Phase::Asking(..) => None,
                })
            }
        }
    }
}

impl Joining {
    /// Reads until it stands where the replica does.
    async fn arrived(&mut self, edge: Edge<'_>) -> Result<Option<Message>, FollowError> {
        loop {
            let at = edge.replica.load().revision();
            if self.there > at {
                // The present one leads there, and then this is asked again.
                sleep_until(self.until).await;
                return Err(FollowError::Silent(JOIN));
            }
            if self.there == at
                && let Some(digest) = self.digest
            {
                return if digest == edge.replica.load().digest() {
                    Ok(None)
                } else {
                    Err(FollowError::Diverged(at))
                };
            }
            let next = timeout_at(self.until, self.subscription.next()).await;
            let message = next.map_err(|_| FollowError::Silent(JOIN))??;
            if let Heard::Counts = self.hear(&message, at, edge)? {
                return Ok(Some(message));
            }
        }
    }

    /// Takes in what is said, where the replica is at `at`.
    fn hear(&mut self, message: &Message, at: Revision, edge: Edge<'_>) -> Result<Heard, FollowError> {
        match &message.message {
            Some(Word::Frame(signed)) => {
                let frame = Frame::open_for(&Signed::from_proto(signed.clone()), edge.key, edge.interest)?;
                if frame.from != self.there {
                    return Err(FollowError::Protocol("a frame must follow the one before it"));
                }
                if frame.from == at {
                    return Ok(Heard::Counts);
                }
                (self.there, self.digest) = (frame.to, Some(frame.digest));
                Ok(Heard::Passed)
            }
            Some(Word::Heartbeat(signed)) => {
                let signed = Signed::from_proto(signed.clone());
                let heartbeat = Heartbeat::open_for(&signed, edge.key, edge.interest)?;
                self.subscription.check(&heartbeat)?;
                let delay = self.subscription.delay(&heartbeat);
                if delay > LATE {
                    return Err(FollowError::Late(delay));
                }
                if heartbeat.head > self.there {
                    return Err(FollowError::Missing(heartbeat.head));
                }
                if heartbeat.head == at {
                    return Ok(Heard::Counts);
                }
                self.subscription.hear(&heartbeat)?;
                Ok(Heard::Passed)
            }
            Some(Word::Reset(_)) => Err(FollowError::Reset),
            None => Err(FollowError::Protocol("a message must not be empty")),
        }
    }
}
