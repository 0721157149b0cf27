//! One connection after another, and the replica that they keep up to date.
//!
//! The rule: **a heartbeat vouches for exactly the state that it names, by revision and digest, and for no other; a
//! frame is applied only if it leads on from exactly the state that is there.** So:
//!
//! - Our revision and our digest: the edge is in touch.
//! - Our revision with another digest, a frame that ends in another digest, a frame that begins before our revision: the
//!   control plane has another history. The replica is distrusted (nobody decides from it) until a snapshot replaced it.
//! - A head ahead of us that no frame led to: a change is missing, and the edge subscribes again.
//! - A head behind us: it says nothing about our state, which grows old. A control plane that lags behind another one
//!   on the same database gets there in a moment. If it does not, its database was rolled back; the connection ends with
//!   `Behind`, again and again, until the state is too old to decide from or a new epoch begins.
//!
//! Within an epoch no snapshot takes an edge back: an old one is signed as well, and would bring back what was revoked.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use sentinel_core::{Change, Fact, Revision};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tonic::Request;
use tonic::transport::Channel;

use super::Follower;
use super::credentials::authorized;
use super::download::{Downloaded, download};
use super::error::FollowError;
use super::renewal::{Asking, Edge, Renewal};
use super::subscription::Subscription;
use crate::disk::{Contact, Writer};
use crate::frame::{Frame, Heartbeat};
use crate::interest::Interest;
use crate::machine;
use crate::need::Need;
use crate::proto::feed_client::FeedClient;
use crate::proto::message::Message as Word;
use crate::proto::{Message, SnapshotRequest, SubscribeRequest};
use crate::replica::Replica;
use crate::signed::Signed;
use crate::snapshot::decode;
use crate::state::ApplyError;

/// How long the control plane may say nothing, or be late.
const SILENCE: Duration = Duration::from_secs(2);

/// How long its first word may take after it took a subscription, while the connection lives, which pings find out: one that was just
/// started may have a lot to load before it can say anything.
const FIRST_WORD: Duration = Duration::from_secs(20);

/// A frame may be as large as the control plane sends it, with room for the envelope.
const MAX_MESSAGE: usize = 48 << 20;

/// How often the heartbeat on disk is renewed.
const CONTACT: Duration = Duration::from_secs(1);

/// How often a snapshot is fetched only to make the journal short.
const COMPACT: Duration = Duration::from_mins(1);

/// A connection that was in touch for so long ended for a reason of its own, whatever it was.
const STEADY: Duration = Duration::from_secs(1);

/// And so long if it ended because others came with the same key: much longer than the pauses that they make them make.
const SETTLED: Duration = Duration::from_mins(10);

pub(super) struct Session<'a> {
    follower: &'a Follower,
    replica: Replica,
    needs_snapshot: bool,
    /// The revision at which a change could not be applied, since the last snapshot.
    stuck_at: Option<Revision>,
    in_touch_since: Option<Instant>,
    /// Whether this connection brought anything that was applied or accepted.
    progressed: bool,
    /// When the heartbeat on disk was renewed.
    contact_written: Option<Instant>,
    compacted: Option<Instant>,
}

impl<'a> Session<'a> {
    pub(super) fn new(follower: &'a Follower, replica: Replica) -> Self {
        Self {
            follower,
            replica,
            needs_snapshot: false,
            stuck_at: None,
            in_touch_since: None,
            progressed: false,
            contact_written: None,
            compacted: None,
        }
    }

    /// Whether the connection that ended was a good one, so that the next try need not wait.
    pub(super) fn was_good(&self, error: &FollowError) -> bool {
        let was_for = |least| self.in_touch_since.is_some_and(|since| since.elapsed() >= least);
        // Edges with one key would take each other's place without end.
        if matches!(error, FollowError::Displaced) {
            return was_for(SETTLED);
        }
        was_for(STEADY) || (self.progressed && error.is_loss())
    }

    /// Connects and follows until something goes wrong.
    pub(super) async fn run(&mut self, writer: Option<&Writer>) -> FollowError {
        self.in_touch_since = None;
        self.progressed = false;
        self.follower.status.send_modify(|status| status.sessions += 1);
        let Err(error) = self.follow(writer).await;
        if matches!(error, FollowError::Diverged(_)) {
            // What is published is known to be wrong: nobody is to decide from it, and no restart is to bring it back.
            self.replica.distrust();
            if let Some(writer) = writer {
                writer.distrust();
            }
        }
        if matches!(error, FollowError::NotApplicable(_)) {
            // Once it may have been the connection's fault; the second time only a snapshot leads past the change.
            let at = Some(self.replica.load().revision());
            self.needs_snapshot |= self.stuck_at == at;
            self.stuck_at = at;
        }
        self.needs_snapshot |= error.needs_snapshot();
        error
    }

    async fn follow(&mut self, writer: Option<&Writer>) -> Result<Infallible, FollowError> {
        let connected = machine::connect(&self.follower.endpoint).await;
        let channel = connected.map_err(FollowError::Connect)?;
        let client = FeedClient::new(channel).max_decoding_message_size(MAX_MESSAGE);
        self.follower.line.store(Some(Arc::new(client.clone())));
        if self.needs_snapshot || self.replica.load().revision() == Revision::ZERO {
            self.fetch_snapshot(client.clone(), writer).await?;
        }
        let mut compaction: JoinSet<Result<Downloaded, FollowError>> = JoinSet::new();
        let mut present = self.ask(&client).0.await?;
        let mut is_displaced = false;
        let mut renewal = self.renewal();
        let mut patience = FIRST_WORD;
        let mut silence = pin!(sleep(patience));
        loop {
            tokio::select! {
                // In this order: what is random in a run comes from `Random` and from nowhere else.
                biased;
                joined = renewal.joined(self.as_edge(), || self.ask(&client)) => {
                    let (next, word) = joined?;
                    present = next;
                    is_displaced = false;
                    renewal = self.renewal();
                    patience = SILENCE;
                    self.follower.status.send_modify(|status| status.renewals += 1);
                    silence.as_mut().reset(Instant::now() + patience);
                    if let Some(word) = word {
                        self.on_message(word, &mut present, writer).await?;
                    }
                }
                Some(downloaded) = compaction.join_next() => self.compacted(downloaded, writer),
                message = present.next(), if !is_displaced => {
                    let message = match message {
                        // It may be its own next one that took its place.
                        Err(FollowError::Displaced) if renewal.is_under_way() => {
                            is_displaced = true;
                            continue;
                        }
                        message => message?,
                    };
                    patience = SILENCE;
                    silence.as_mut().reset(Instant::now() + patience);
                    self.on_message(message, &mut present, writer).await?;
                }
                () = &mut silence => return Err(if is_displaced {
                    FollowError::Displaced
                } else {
                    FollowError::Silent(patience)
                }),
            }
            if writer.is_some_and(Writer::wants_snapshot) && compaction.is_empty() && self.may_compact() {
                let (client, request) = (client.clone(), self.snapshot_request());
                let key = *self.follower.config.edge_key.feed_key();
                let interest = self.interest().clone();
                compaction.spawn(async move { download(client, request, &key, &interest).await });
            }
        }
    }

    /// Asks for a subscription from where the replica stands.
    fn ask(&self, client: &FeedClient<Channel>) -> (Asking, Revision) {
        let at = self.replica.load().revision();
        let Revision { epoch, number } = at;
        let request = SubscribeRequest {
            epoch,
            revision: number,
            assertion_key: self.announced().into(),
            interest: self.interest().to_proto(),
            needs: self.follower.config.needs.iter().map(Need::to_proto).collect(),
            ..SubscribeRequest::default()
        };
        let (client, key, nonce) = (
            client.clone(),
            self.follower.config.edge_key.clone(),
            self.nonce(),
        );
        let asking = async move { Subscription::open(client, &key, nonce, request).await };
        (Box::pin(asking), at)
    }

    fn renewal(&self) -> Renewal {
        Renewal::begin(self.follower.stay, &*self.follower.random)
    }

    fn as_edge(&self) -> Edge<'_> {
        Edge {
            replica: &self.replica,
            key: self.follower.config.edge_key.feed_key(),
            interest: self.interest().fingerprint(),
            random: &*self.follower.random,
        }
    }

    async fn on_message(
        &mut self,
        message: Message,
        present: &mut Subscription,
        writer: Option<&Writer>,
    ) -> Result<(), FollowError> {
        match message.message {
            Some(Word::Frame(signed)) => self.on_frame(Signed::from_proto(signed), writer).await,
            Some(Word::Heartbeat(signed)) => self.on_heartbeat(Signed::from_proto(signed), present, writer),
            Some(Word::Reset(_)) => Err(FollowError::Reset),
            None => Err(FollowError::Protocol("a message must not be empty")),
        }
    }

    async fn on_frame(&mut self, signed: Signed, writer: Option<&Writer>) -> Result<(), FollowError> {
        let key = self.follower.config.edge_key.feed_key();
        let frame = Frame::open_for(&signed, key, self.interest().fingerprint())?;
        if frame.from < self.replica.load().revision() {
            // The control plane sends what follows the revision that it was given: it must have gone back since.
            return Err(FollowError::Diverged(frame.to));
        }
        let frame = Arc::new(frame);
        self.apply(&frame).await.map_err(|error| match error {
            ApplyError::Gap { .. } => FollowError::Gap(error),
            ApplyError::Diverged { at, .. } => FollowError::Diverged(at),
            other => FollowError::NotApplicable(other),
        })?;
        self.replica.note_head(frame.to);
        self.progressed = true;
        if let Some(writer) = writer {
            writer.frame(signed, &frame);
        }
        let is_merged = frame.to.number > frame.from.number.saturating_add(1);
        self.follower.status.send_modify(|status| {
            status.frames += 1;
            status.merged += u64::from(is_merged);
        });
        Ok(())
    }

    /// Another model takes as long as all tuples are many: not on a thread that requests wait for.
    async fn apply(&self, frame: &Arc<Frame>) -> Result<(), ApplyError> {
        let has_model = |change: &Change| matches!(change.fact(), Fact::Model(_));
        if !frame.changes.iter().any(has_model) {
            return self.replica.apply(frame);
        }
        let (replica, frame) = (self.replica.clone(), Arc::clone(frame));
        let at = frame.to;
        let applied = machine::blocking(move || replica.apply(&frame)).await;
        // A thread that broke has published nothing.
        applied.unwrap_or(Err(ApplyError::Gap { at, from: at, to: at }))
    }

    fn on_heartbeat(
        &mut self,
        signed: Signed,
        present: &mut Subscription,
        writer: Option<&Writer>,
    ) -> Result<(), FollowError> {
        let key = self.follower.config.edge_key.feed_key();
        let heartbeat = Heartbeat::open_for(&signed, key, self.interest().fingerprint())?;
        let delay = present.hear(&heartbeat)?;
        let (head, state) = (heartbeat.head, self.replica.load());
        self.replica.note_head(head);
        if head == state.revision() && heartbeat.digest != state.digest() {
            return Err(FollowError::Diverged(head));
        }
        if head.epoch != state.revision().epoch {
            return Err(FollowError::Reset);
        }
        if head > state.revision() {
            return Err(FollowError::Missing(head));
        }
        if head < state.revision() {
            let since = present.behind_since.get_or_insert_with(Instant::now);
            return if since.elapsed() < SILENCE {
                Ok(())
            } else {
                let at = state.revision();
                Err(FollowError::Behind { head, at })
            };
        }
        present.behind_since = None;
        if delay > SILENCE {
            return Err(FollowError::Late(delay));
        }
        self.replica.touched_ago(heartbeat.age.saturating_add(delay));
        self.in_touch_since.get_or_insert_with(Instant::now);
        self.progressed = true;
        self.follower.status.send_if_modified(|status| {
            let news = !status.connected;
            status.connected = true;
            news
        });
        let due = self.contact_written.is_none_or(|at| at.elapsed() >= CONTACT);
        if let Some(writer) = writer.filter(|writer| due || writer.wants_contact()) {
            writer.contact(Contact {
                signed,
                heard_at: self.follower.clock.now(),
                age: heartbeat.age.saturating_add(delay),
            });
            self.contact_written = Some(Instant::now());
        }
        Ok(())
    }

    async fn fetch_snapshot(
        &mut self,
        client: FeedClient<Channel>,
        writer: Option<&Writer>,
    ) -> Result<(), FollowError> {
        let key = self.follower.config.edge_key.feed_key();
        let downloaded = download(client, self.snapshot_request(), key, self.interest()).await?;
        let (offered, at) = (downloaded.manifest.revision, self.replica.load().revision());
        if offered < at {
            return Err(FollowError::Older { offered, at });
        }
        let (manifest, body) = (downloaded.manifest.clone(), downloaded.body.clone());
        let state = machine::blocking(move || decode(&manifest, &body))
            .await
            .map_err(|_| FollowError::Snapshot("reading it failed".into()))??;
        tracing::info!(revision = %offered, facts = state.len(), "a snapshot is installed");
        self.replica.install(state);
        self.needs_snapshot = false;
        self.stuck_at = None;
        if let Some(writer) = writer {
            writer.snapshot(downloaded.signed, offered, downloaded.body);
        }
        self.follower.status.send_modify(|status| status.snapshots += 1);
        Ok(())
    }

    /// The journal was long, or the disk failed: what was fetched replaces it. The state in memory stays as it is.
    fn compacted(
        &self,
        downloaded: Result<Result<Downloaded, FollowError>, tokio::task::JoinError>,
        writer: Option<&Writer>,
    ) {
        let error = match downloaded {
            Ok(Ok(new)) => {
                if let Some(writer) = writer {
                    writer.compaction(new.signed, new.manifest.revision, new.body);
                }
                return;
            }
            Ok(Err(error)) => error,
            Err(_) => FollowError::Snapshot("fetching it failed".into()),
        };
        self.follower.compaction_failed();
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "no snapshot to make the journal short"
        );
    }

    fn may_compact(&mut self) -> bool {
        let may = self.compacted.is_none_or(|at| at.elapsed() >= COMPACT);
        if may {
            self.compacted = Some(Instant::now());
        }
        may
    }

    fn authorized<T>(&self, message: T) -> Request<T> {
        authorized(&self.follower.config.edge_key, message)
    }

    fn snapshot_request(&self) -> Request<SnapshotRequest> {
        self.authorized(SnapshotRequest {
            interest: self.interest().to_proto(),
        })
    }

    /// What this edge keeps.
    fn interest(&self) -> &Interest {
        &self.follower.config.interest
    }

    /// The key to announce; no bytes if there is none.
    fn announced(&self) -> Vec<u8> {
        let key = self.follower.config.assertion_key;
        key.map_or_else(Vec::new, |key| key.as_bytes().to_vec())
    }

    fn nonce(&self) -> [u8; 16] {
        let mut nonce = [0; 16];
        self.follower.random.fill(&mut nonce);
        nonce
    }
}

#[cfg(test)]
mod tests {
    use sentinel_core::{SystemClock, SystemRandom};
    use sentinel_token::{FeedVerifyKey, PlainEdgeKey};
    use tokio::time::advance;

    use super::*;
    use crate::client::FollowerConfig;

    #[tokio::test(start_paused = true)]
    async fn who_was_displaced_after_long_contact_begins_with_short_pauses_again() {
        let config = FollowerConfig {
            url: "http://127.0.0.1:9003".into(),
            edge_key: PlainEdgeKey::generate(&SystemRandom, FeedVerifyKey::from_bytes([0; 32])),
            state_dir: std::path::PathBuf::new(),
            ca_certificate: None,
            danger_plaintext: false,
            assertion_key: None,
            interest: Interest::all(),
            needs: Vec::new(),
        };
        let follower = Follower::new(config, Arc::new(SystemClock), Arc::new(SystemRandom));
        let follower = follower.expect("a good configuration");
        let mut session = Session::new(&follower, Replica::new());
        let was_good = |session: &Session<'_>| {
            let ends = [FollowError::Displaced, FollowError::Late(SILENCE)];
            ends.map(|end| session.was_good(&end))
        };
        assert_eq!(was_good(&session), [false, false]);
        session.in_touch_since = Some(Instant::now());
        assert_eq!(was_good(&session), [false, false]);
        advance(STEADY).await;
        assert_eq!(was_good(&session), [false, true]);
        advance(SETTLED.saturating_sub(STEADY + Duration::from_millis(1))).await;
        assert_eq!(was_good(&session), [false, true]);
        advance(Duration::from_millis(1)).await;
        assert_eq!(was_good(&session), [true, true]);
    }
}
