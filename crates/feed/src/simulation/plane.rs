//! A control plane: the real feed service on a replica that follows the database, as the control plane's own does.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use sentinel_core::id::EdgeId;
use sentinel_core::{Clock as _, Fact, Revision, Timestamp};
use sentinel_token::AssertionKey;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{broadcast, mpsc};
use tokio::time::{Instant, sleep};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Server;
use tonic::transport::server::Connected;
use turmoil::net::{TcpListener, TcpStream};

use super::clock::WallClock;
use super::database::{Database, Logged};
use super::stage::PORT;
use crate::frame::Frame;
use crate::replica::Replica;
use crate::server::{FeedSource, SourceUnavailable, service};
use crate::state::{ApplyError, ReplicaState};
use crate::testing::FeedKey;

/// How many frames a control plane remembers. Few, so that edges that were away need snapshots too.
const REMEMBERED: usize = 60;

/// How often the database is asked.
const ASK: Duration = Duration::from_millis(100);

/// What stays of a control plane while its process comes and goes, and what the script of a run turns.
pub(crate) struct Conditions {
    pub(crate) clock: WallClock,
    /// Whether the database answers.
    pub(crate) database_answers: AtomicBool,
    /// How long an answer takes, in milliseconds.
    pub(crate) answer_takes: AtomicU64,
}

impl Default for Conditions {
    fn default() -> Self {
        Self {
            clock: WallClock::default(),
            database_answers: AtomicBool::new(true),
            answer_takes: AtomicU64::new(1),
        }
    }
}

/// One process.
pub(crate) struct Plane {
    key: Arc<FeedKey>,
    edges: Arc<Vec<([u8; 32], EdgeId)>>,
    database: Arc<Mutex<Database>>,
    conditions: Arc<Conditions>,
    replica: Replica,
    frames: broadcast::Sender<Arc<Frame>>,
    recent: Mutex<VecDeque<Arc<Frame>>>,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Plane {
    /// Runs until its host is stopped.
    pub(crate) async fn run(
        key: Arc<FeedKey>,
        edges: Arc<Vec<([u8; 32], EdgeId)>>,
        database: Arc<Mutex<Database>>,
        conditions: Arc<Conditions>,
    ) -> turmoil::Result {
        let plane = Arc::new(Self {
            key,
            edges,
            database,
            conditions,
            replica: Replica::new(),
            frames: broadcast::channel(64).0,
            recent: Mutex::default(),
        });
        tokio::spawn(Arc::clone(&plane).follow());
        let listener = TcpListener::bind((IpAddr::V4(Ipv4Addr::UNSPECIFIED), PORT)).await?;
        let (accepted, incoming) = mpsc::channel(16);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                if accepted
                    .send(Ok::<_, std::io::Error>(Wire(stream)))
                    .await
                    .is_err()
                {
                    return;
                }
            }
        });
        Server::builder()
            .add_service(service(plane))
            .serve_with_incoming(ReceiverStream::new(incoming))
            .await?;
        Ok(())
    }

    /// As the control plane's replication does: what the log has next, and how long ago there was nothing newer.
    async fn follow(self: Arc<Self>) {
        loop {
            if self.look().await.is_err() {
                self.replica.distrust();
                self.reload().await;
            }
            sleep(ASK).await;
        }
    }

    async fn look(&self) -> Result<(), ApplyError> {
        let asked = Instant::now();
        let known = self.replica.load().revision();
        let Some(log) = self.ask(|database| database.after(known)).await else {
            return Ok(());
        };
        let Some(log) = log else {
            self.reload().await;
            return Ok(());
        };
        for logged in log {
            self.advance(logged)?;
        }
        self.replica.touched_ago(asked.elapsed());
        Ok(())
    }

    async fn reload(&self) {
        let asked = Instant::now();
        let all = |database: &Database| {
            let facts: Vec<Fact> = database.facts().values().cloned().collect();
            (database.revision(), facts)
        };
        let Some((revision, facts)) = self.ask(all).await else {
            return;
        };
        if revision < self.replica.load().revision() {
            self.replica.distrust();
        }
        let state = ReplicaState::from_snapshot(revision, facts).expect("good facts");
        let mut recent = lock(&self.recent);
        recent.clear();
        self.replica.install(state);
        self.replica.touched_ago(asked.elapsed());
    }

    /// What the database said when it was asked; the answer takes its time.
    async fn ask<T>(&self, question: impl FnOnce(&Database) -> T) -> Option<T> {
        if !self.conditions.database_answers.load(Ordering::SeqCst) {
            return None;
        }
        let answer = question(&lock(&self.database));
        let takes = self.conditions.answer_takes.load(Ordering::SeqCst);
        sleep(Duration::from_millis(takes)).await;
        Some(answer)
    }

    fn advance(&self, logged: Logged) -> Result<(), ApplyError> {
        let mut recent = lock(&self.recent);
        let frame = self.replica.advance(logged.revision, logged.changes)?;
        recent.push_back(Arc::clone(&frame));
        if recent.len() > REMEMBERED {
            recent.pop_front();
        }
        self.frames.send(frame).ok();
        Ok(())
    }
}

#[async_trait]
impl FeedSource for Plane {
    async fn authenticate(&self, digest: [u8; 32]) -> Result<Option<EdgeId>, SourceUnavailable> {
        let edge = self.edges.iter().find(|(known, _)| *known == digest);
        Ok(edge.map(|(_, id)| *id))
    }

    async fn still_enrolled(&self, _: EdgeId) -> bool {
        true
    }

    async fn announce(&self, _: EdgeId, _: AssertionKey) -> Result<(), SourceUnavailable> {
        Ok(())
    }

    fn sign(&self, context: &str, payload: &[u8]) -> [u8; 64] {
        self.key.sign(context, payload)
    }

    fn now(&self) -> Timestamp {
        self.conditions.clock.now()
    }

    fn replica(&self) -> &Replica {
        &self.replica
    }

    fn frames(&self) -> broadcast::Receiver<Arc<Frame>> {
        self.frames.subscribe()
    }

    async fn frames_since(&self, revision: Revision) -> Result<Option<Vec<Arc<Frame>>>, SourceUnavailable> {
        let recent = lock(&self.recent);
        if revision == self.replica.load().revision() {
            return Ok(Some(Vec::new()));
        }
        let begin = recent.iter().position(|frame| frame.from == revision);
        Ok(begin.map(|begin| recent.iter().skip(begin).take(20).cloned().collect()))
    }
}

/// A connection that the server takes.
struct Wire(TcpStream);

impl Connected for Wire {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
