//! A control plane in memory: a real replica, a change log, and the real service over a socket.

mod scripted;

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use sentinel_core::id::EdgeId;
use sentinel_core::{Change, Clock as _, Fact, Revision, SystemClock, SystemRandom, Timestamp};
use sentinel_token::{AssertionKey, PlainEdgeKey};
use tokio::net::TcpListener;
use tokio::sync::broadcast;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use super::FeedKey;
use crate::digest::Digest;
use crate::frame::{Frame, Heartbeat};
use crate::need::Need;
use crate::proto::feed_server::FeedServer;
use crate::proto::{Message, Signed, message};
use crate::replica::Replica;
use crate::server::{FeedSource, Observer, Service, SourceUnavailable};
use crate::state::ReplicaState;
use scripted::Scripted;

/// What a scripted subscription is answered with, made from the nonce. Then the stream ends.
pub(crate) type Script = Box<dyn FnOnce([u8; 16]) -> Vec<Message> + Send>;

pub(crate) struct ControlPlane {
    pub(crate) key: FeedKey,
    replica: Replica,
    frames: Mutex<Option<broadcast::Sender<Arc<Frame>>>>,
    log: Mutex<Vec<Arc<Frame>>>,
    enrolled: Mutex<HashMap<[u8; 32], EdgeId>>,
    database_alive: AtomicBool,
    scripts: Mutex<VecDeque<Script>>,
    only_beats: AtomicBool,
    announced: Mutex<Vec<(EdgeId, AssertionKey)>>,
    announced_routes: Mutex<Vec<(EdgeId, Vec<Need>)>>,
    /// How many announcements fail, from the first.
    pub(crate) unpublished: std::sync::atomic::AtomicUsize,
    pub(crate) snapshots_served: std::sync::atomic::AtomicUsize,
    /// Every change since the beginning, as a database has them; and how often it was read.
    archive: Mutex<Vec<Arc<Frame>>>,
    pub(crate) archive_reaches_back: AtomicBool,
    pub(crate) archive_reads: std::sync::atomic::AtomicUsize,
    archive_held: tokio::sync::watch::Sender<Option<Revision>>,
    log_held: Mutex<Option<Revision>>,
    keys_held: AtomicBool,
    /// How much was signed, and how many frames of it.
    pub(crate) signatures: std::sync::atomic::AtomicUsize,
    pub(crate) sealed_frames: std::sync::atomic::AtomicUsize,
    checks: tokio::sync::watch::Sender<Checks>,
    last_check: Mutex<Option<Signed>>,
    /// While it is so, subscriptions are taken and hear nothing.
    silent: AtomicBool,
    /// Subscriptions that come while it is so never hear anything.
    newcomers_are_mute: AtomicBool,
    /// Nobody gets a snapshot.
    snapshots_refused: AtomicBool,
    /// How many subscriptions came.
    pub(crate) subscriptions: std::sync::atomic::AtomicUsize,
    observer: std::sync::OnceLock<Arc<dyn Observer>>,
}

/// What becomes of questions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Checks {
    Answered,
    Held,
    Replayed,
    Refused(tonic::Code),
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("not poisoned")
}

impl ControlPlane {
    /// At revision 1 of epoch 1, with these facts.
    pub(crate) fn new(facts: impl IntoIterator<Item = Fact>) -> Arc<Self> {
        let replica = Replica::new();
        replica.install(ReplicaState::from_snapshot(super::rev(1), facts).expect("good facts"));
        Arc::new(Self {
            key: FeedKey::generate(),
            replica,
            frames: Mutex::new(Some(broadcast::channel(16).0)),
            log: Mutex::default(),
            enrolled: Mutex::default(),
            database_alive: AtomicBool::new(true),
            scripts: Mutex::default(),
            only_beats: AtomicBool::new(false),
            announced: Mutex::default(),
            announced_routes: Mutex::default(),
            unpublished: 0.into(),
            snapshots_served: 0.into(),
            archive: Mutex::default(),
            archive_reaches_back: AtomicBool::new(false),
            archive_reads: 0.into(),
            archive_held: tokio::sync::watch::Sender::default(),
            log_held: Mutex::default(),
            keys_held: AtomicBool::new(false),
            signatures: 0.into(),
            sealed_frames: 0.into(),
            checks: tokio::sync::watch::Sender::new(Checks::Answered),
            last_check: Mutex::default(),
            silent: AtomicBool::new(false),
            newcomers_are_mute: AtomicBool::new(false),
            snapshots_refused: AtomicBool::new(false),
            subscriptions: 0.into(),
            observer: std::sync::OnceLock::new(),
        })
    }

    pub(crate) fn state(&self) -> Arc<ReplicaState> {
        self.replica.load_full()
    }

    pub(crate) fn commit(&self, changes: Vec<Change>) -> Revision {
        let at = self.state().revision();
        let to = Revision {
            number: at.number + 1,
            ..at
        };
        let frame = self.replica.advance(to, changes).expect("good changes");
        lock(&self.log).push(Arc::clone(&frame));
        lock(&self.archive).push(Arc::clone(&frame));
        if let Some(frames) = &*lock(&self.frames) {
            frames.send(frame).ok();
        }
        to
    }

    /// Commits `group:<group>#member@user:<user>`.
    pub(crate) fn add(&self, group: &str, user: &str) -> Revision {
        self.commit(vec![Change::Put(super::tuple(group, user))])
    }

    /// Forgets the changes before now, as a trimmed log does.
    pub(crate) fn trim(&self) {
        lock(&self.log).clear();
    }

    /// As a process that was started again: what is in the database is all there is.
    pub(crate) fn restart(&self) {
        self.trim();
        self.replica.install(ReplicaState::clone(&self.state()));
    }

    /// What follows this revision is never read out of the archive.
    pub(crate) fn hold_archive(&self, from: Revision) {
        self.archive_held.send_replace(Some(from));
    }

    /// It is again, also for those who wait.
    pub(crate) fn release_archive(&self) {
        self.archive_held.send_replace(None);
    }

    /// Nor out of the log.
    pub(crate) fn hold_log(&self, from: Revision) {
        lock(&self.log_held).replace(from);
    }

    /// Whoever comes from now on is not let in and not refused.
    pub(crate) fn hold_keys(&self) {
        self.keys_held.store(true, Ordering::SeqCst);
    }

    /// Questions are refused.
    pub(crate) fn refuse_checks(&self, code: tonic::Code) {
        self.checks.send_replace(Checks::Refused(code));
    }

    /// Questions are not answered any more.
    pub(crate) fn hold_checks(&self) {
        self.checks.send_replace(Checks::Held);
    }

    /// They are again, and those that wait too.
    pub(crate) fn release_checks(&self) {
        self.checks.send_replace(Checks::Answered);
    }

    /// All are answered with the last answer.
    pub(crate) fn replay_checks(&self) {
        self.checks.send_replace(Checks::Replayed);
    }

    /// As after a restored backup.
    pub(crate) fn restore(&self, to: Revision, facts: impl IntoIterator<Item = Fact>) {
        self.trim();
        self.replica
            .install(ReplicaState::from_snapshot(to, facts).expect("good facts"));
    }

    /// Another history took the place of what followed a revision: so many revisions that all say the same. Nothing of it is
    /// in memory.
    pub(crate) fn rewrite(&self, from: Revision, revisions: usize) {
        lock(&self.archive).retain(|frame| frame.to <= from);
        self.restore(from, []);
        for _ in 0..revisions {
            self.add("z", "z");
        }
        self.restart();
    }

    pub(crate) fn lose_database(&self) {
        self.database_alive.store(false, Ordering::SeqCst);
    }

    /// Who counts what the service does.
    pub(crate) fn observe(&self, observer: Arc<dyn Observer>) {
        self.observer.set(observer).ok();
    }

    /// Subscriptions hear nothing while it is so.
    pub(crate) fn be_silent(&self, silent: bool) {
        self.silent.store(silent, Ordering::SeqCst);
    }

    /// Subscriptions that come while it is so hear nothing; those that are there do.
    pub(crate) fn mute_newcomers(&self, mute: bool) {
        self.newcomers_are_mute.store(mute, Ordering::SeqCst);
    }

    /// Nobody gets a snapshot while it is so.
    pub(crate) fn refuse_snapshots(&self, refuse: bool) {
        self.snapshots_refused.store(refuse, Ordering::SeqCst);
    }

    /// As when the process is told to stop.
    pub(crate) fn stop(&self) {
        lock(&self.frames).take();
    }

    pub(crate) fn enrol(&self) -> PlainEdgeKey {
        let key = PlainEdgeKey::generate(&SystemRandom, *self.key.public());
        let id = EdgeId::generate(SystemClock.now(), &SystemRandom);
        lock(&self.enrolled).insert(*key.digest().as_bytes(), id);
        key
    }

    pub(crate) fn revoke(&self, key: &PlainEdgeKey) {
        lock(&self.enrolled).remove(key.digest().as_bytes());
    }

    /// The next subscription gets these messages in place of the truth.
    pub(crate) fn script(&self, script: impl FnOnce([u8; 16]) -> Vec<Message> + Send + 'static) {
        lock(&self.scripts).push_back(Box::new(script));
    }

    /// New subscriptions get a heartbeat of the present head every so often, whatever the edge has, and nothing else.
    pub(crate) fn only_beat(&self) {
        self.only_beats.store(true, Ordering::SeqCst);
    }

    /// The assertion keys that were announced so far, each time, and by which edge.
    pub(crate) fn announced(&self) -> Vec<(EdgeId, AssertionKey)> {
        lock(&self.announced).clone()
    }

    /// What edges said that their routes need, each time.
    pub(crate) fn announced_routes(&self) -> Vec<(EdgeId, Vec<Need>)> {
        lock(&self.announced_routes).clone()
    }

    /// All scripts were played.
    pub(crate) fn script_played(&self) -> bool {
        lock(&self.scripts).is_empty()
    }

    pub(crate) fn frame(&self, frame: &Frame) -> Message {
        Message {
            message: Some(message::Message::Frame(frame.seal(self.key.signer()).to_proto())),
        }
    }

    pub(crate) fn heartbeat(
        &self,
        nonce: [u8; 16],
        sequence: u64,
        head: Revision,
        digest: Digest,
    ) -> Message {
        let heartbeat = Heartbeat {
            head,
            digest,
            sent_at: SystemClock.now(),
            age: Duration::ZERO,
            nonce,
            sequence,
            // As of one that was sent at every beat.
            since: crate::server::HEARTBEAT * u32::try_from(sequence - 1).unwrap_or(u32::MAX),
        };
        Message {
            message: Some(message::Message::Heartbeat(
                heartbeat.seal(self.key.signer()).to_proto(),
            )),
        }
    }

    /// Serves on a free port until the test ends.
    pub(crate) async fn serve(self: &Arc<Self>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let service = FeedServer::new(Scripted {
            plane: Arc::clone(self),
            truth: Service::new(Arc::clone(self) as Arc<dyn FeedSource>),
        });
        tokio::spawn(
            Server::builder()
                .add_service(service)
                .serve_with_incoming(TcpIncoming::from(listener)),
        );
        address
    }
}

#[async_trait]
impl FeedSource for ControlPlane {
    async fn authenticate(&self, digest: [u8; 32]) -> Result<Option<EdgeId>, SourceUnavailable> {
        if self.keys_held.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        Ok(lock(&self.enrolled).get(&digest).copied())
    }

    async fn still_enrolled(&self, edge: EdgeId) -> bool {
        lock(&self.enrolled).values().any(|id| *id == edge)
    }

    async fn announce(&self, edge: EdgeId, key: AssertionKey) -> Result<(), SourceUnavailable> {
        let mut announced = lock(&self.announced);
        announced.push((edge, key));
        if announced.len() <= self.unpublished.load(Ordering::SeqCst) {
            return Err(SourceUnavailable("the database is away".into()));
        }
        Ok(())
    }

    async fn announce_routes(&self, edge: EdgeId, needs: &[Need]) -> Result<(), SourceUnavailable> {
        lock(&self.announced_routes).push((edge, needs.to_vec()));
        Ok(())
    }

    fn observer(&self) -> Option<&dyn Observer> {
        self.observer.get().map(|observer| &**observer)
    }

    fn sign(&self, context: &str, payload: &[u8]) -> [u8; 64] {
        self.signatures.fetch_add(1, Ordering::SeqCst);
        if context.ends_with("Frame") {
            self.sealed_frames.fetch_add(1, Ordering::SeqCst);
        }
        self.key.sign(context, payload)
    }

    fn now(&self) -> Timestamp {
        SystemClock.now()
    }

    fn replica(&self) -> &Replica {
        if self.database_alive.load(Ordering::SeqCst) {
            self.replica.touch();
        }
        &self.replica
    }

    fn frames(&self) -> broadcast::Receiver<Arc<Frame>> {
        match &*lock(&self.frames) {
            Some(frames) => frames.subscribe(),
            None => broadcast::channel(1).1,
        }
    }

    async fn frames_since(&self, revision: Revision) -> Result<Option<Vec<Arc<Frame>>>, SourceUnavailable> {
        let is_held = *lock(&self.log_held) == Some(revision);
        if is_held {
            std::future::pending::<()>().await;
        }
        let log = lock(&self.log);
        let after = log.iter().position(|frame| frame.from == revision);
        Ok(after.map(|place| log.iter().skip(place).take(10).cloned().collect()))
    }

    async fn changes_between(
        &self,
        from: Revision,
        to: Revision,
        most: usize,
    ) -> Result<Option<Vec<Change>>, SourceUnavailable> {
        if !self.archive_reaches_back.load(Ordering::SeqCst) {
            return Ok(None);
        }
        self.archive_reads.fetch_add(1, Ordering::SeqCst);
        let mut held = self.archive_held.subscribe();
        let released = held.wait_for(|held| *held != Some(from)).await.is_ok();
        assert!(released, "the plane lives");
        let archive = lock(&self.archive);
        let frames = archive
            .iter()
            .filter(|frame| frame.from >= from && frame.to <= to);
        let changes: Vec<Change> = frames.flat_map(|frame| frame.changes.clone()).collect();
        Ok((changes.len() <= most).then_some(changes))
    }
}
