//! Who is let in, and which worker serves him.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use pingora::apps::HttpServerApp as _;
use sentinel_core::Random;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::sleep;

use super::addresses::{Addresses, Counted};
use super::tls::Encryption;
use super::{Behind, Door, Limits, TurnedAway};

/// Where connections come in. Its limits hold for all listeners and all workers together.
pub struct Entrance<B> {
    desks: Box<[Desk<B>]>,
    connections: usize,
    slots: Arc<Semaphore>,
    addresses: Arc<Addresses>,
    random: Arc<dyn Random>,
}

/// A worker, as the entrance knows it.
struct Desk<B> {
    worker: Handle,
    door: Arc<Door<B>>,
    open: Arc<AtomicUsize>,
}

/// A connection's place at a worker and in the counts, for as long as it is kept.
struct Place {
    open: Arc<AtomicUsize>,
    _slot: OwnedSemaphorePermit,
    _counted: Counted,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<B: Behind> Entrance<B> {
    /// An entrance to `workers`: for each the runtime that its connections are served on, and who serves them. There is at
    /// least one. By `random` it is drawn which of them a connection may come to.
    pub fn new(
        workers: impl IntoIterator<Item = (Handle, B)>,
        limits: &Limits,
        random: Arc<dyn Random>,
    ) -> Self {
        let desk = |(worker, behind)| Desk {
            worker,
            door: Arc::new(Door::new(Arc::new(behind), limits.clone())),
            open: Arc::default(),
        };
        Self {
            desks: workers.into_iter().map(desk).collect(),
            connections: limits.connections,
            slots: Arc::new(Semaphore::new(limits.connections)),
            addresses: Addresses::new(limits.per_address, Arc::clone(&limits.exempt)),
            random,
        }
    }

    /// Lets in who comes to `listener` until `stop` says so; encrypted if there is an `encryption`.
    pub async fn accept(
        self: Arc<Self>,
        listener: TcpListener,
        encryption: Option<Encryption>,
        stop: watch::Receiver<bool>,
    ) {
        let mut stopping = stop.clone();
        loop {
            // The connection first, then room for it: a listener that waits for clients must not keep a place from another.
            let next = async {
                let accepted = listener.accept().await;
                (accepted, Arc::clone(&self.slots).acquire_owned().await)
            };
            let (accepted, slot) = tokio::select! {
                biased;
                _ = stopping.wait_for(|stop| *stop) => return,
                next = next => next,
            };
            let (connection, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    // Out of file descriptors, most likely: every further try would fail at once.
                    sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            // INVARIANT: the semaphore is never closed.
            let Ok(slot) = slot else { return };
            self.admit(connection, peer, slot, encryption.clone(), stop.clone());
        }
    }

    /// The worker for the next connection: two are drawn, which may be the same one, and it is the one that has fewer
    /// connections. Fewest of all would be a rule that clients could use: whoever keeps connections open that cost him
    /// nothing, where others have none, would send everybody else to one worker.
    fn desk(&self) -> Option<&Desk<B>> {
        let mut lots = [0; 8];
        self.random.fill(&mut lots);
        let lots = u64::from_le_bytes(lots);
        let all = u64::try_from(self.desks.len()).ok()?;
        let draw = |lot: u64| self.desks.get(usize::try_from(lot.checked_rem(all)?).ok()?);
        let (one, other) = (draw(lots >> 32)?, draw(lots & u64::from(u32::MAX))?);
        let fewer = other.open.load(Ordering::Relaxed) < one.open.load(Ordering::Relaxed);
        Some(if fewer { other } else { one })
    }

    /// Hands a connection to a worker.
    fn admit(
        &self,
        connection: TcpStream,
        peer: SocketAddr,
        slot: OwnedSemaphorePermit,
        encryption: Option<Encryption>,
        stop: watch::Receiver<bool>,
    ) {
        let Some(desk) = self.desk() else { return };
        let Some(counted) = self.addresses.count(peer.ip()) else {
            desk.door.behind.turned_away(TurnedAway::Crowd);
            return;
        };
        desk.open.fetch_add(1, Ordering::Relaxed);
        let place = Place {
            open: Arc::clone(&desk.open),
            _slot: slot,
            _counted: counted,
        };
        // From now on the worker's runtime hears of what comes in, and no other.
        let connection = match connection.into_std() {
            Ok(connection) => connection,
            Err(error) => return lost(&error),
        };
        let door = Arc::clone(&desk.door);
        desk.worker.spawn(async move {
            match TcpStream::from_std(connection) {
                Ok(connection) => door.serve(connection, peer, encryption, stop).await,
                Err(error) => lost(&error),
            }
            drop(place);
        });
    }

    /// Waits until everybody has gone; nobody may be let in any more.
    pub async fn drained(&self) {
        for desk in &self.desks {
            desk.door.behind.app().http_cleanup().await;
        }
        let all = u32::try_from(self.connections).unwrap_or(u32::MAX);
        let _all = self.slots.acquire_many(all).await;
    }
}

fn lost(error: &io::Error) {
    tracing::warn!(%error, "a connection could not be handed to a worker");
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::atomic::AtomicU64;
    use std::sync::{Mutex, PoisonError};
    use std::thread::{self, ThreadId};

    use async_trait::async_trait;
    use pingora::apps::{HttpServerApp, ReusedHttpStream};
    use pingora::protocols::http::ServerSession;
    use pingora::server::ShutdownWatch;
    use sentinel_core::Denial;
    use tokio::io::AsyncWriteExt as _;
    use tokio::sync::mpsc;
    use tokio::task::JoinHandle;

    use super::*;
    use crate::workers::Workers;

    /// Keeps every request until the edge stops, and tells on which thread it came.
    struct Keeper {
        came: mpsc::UnboundedSender<ThreadId>,
        turned_away: Arc<Mutex<Vec<TurnedAway>>>,
    }

    #[async_trait]
    impl HttpServerApp for Keeper {
        async fn process_new_http(
            self: &Arc<Self>,
            _session: ServerSession,
            shutdown: &ShutdownWatch,
        ) -> Option<ReusedHttpStream> {
            self.came.send(thread::current().id()).expect("somebody counts");
            let _ = shutdown.clone().wait_for(|stop| *stop).await;
            None
        }
    }

    struct Kept(Arc<Keeper>);

    impl Behind for Kept {
        type App = Keeper;

        fn app(&self) -> &Arc<Keeper> {
            &self.0
        }

        fn refuse(&self, denial: Denial) -> Vec<u8> {
            panic!("{denial:?}")
        }

        fn overdue(&self) {}

        fn turned_away(&self, why: TurnedAway) {
            let mut all = self.0.turned_away.lock().unwrap_or_else(PoisonError::into_inner);
            all.push(why);
        }
    }

    /// Draws that look like any, and are the same in every run.
    struct Lots(AtomicU64);

    impl Random for Lots {
        fn fill(&self, bytes: &mut [u8]) {
            for byte in bytes {
                let next = |state: u64| Some(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
                let state = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
                *byte = state.expect("always one").to_be_bytes()[0];
            }
        }
    }

    /// An entrance to three workers that keep every request.
    struct Lobby {
        entrance: Arc<Entrance<Kept>>,
        address: SocketAddr,
        arrivals: mpsc::UnboundedReceiver<ThreadId>,
        turned_away: Arc<Mutex<Vec<TurnedAway>>>,
        stop: watch::Sender<bool>,
        accepting: JoinHandle<()>,
        clients: Vec<TcpStream>,
        _workers: Workers,
    }

    impl Lobby {
        async fn open(per_address: usize) -> Self {
            let workers = Workers::start(3).expect("threads");
            let (came, arrivals) = mpsc::unbounded_channel();
            let turned_away = Arc::<Mutex<Vec<_>>>::default();
            let keeper = |runtime| {
                let (came, turned_away) = (came.clone(), Arc::clone(&turned_away));
                (runtime, Kept(Arc::new(Keeper { came, turned_away })))
            };
            let limits = Limits {
                per_address,
                ..Limits::default()
            };
            let lots = Arc::new(Lots(AtomicU64::new(1)));
            let entrance = Arc::new(Entrance::new(workers.runtimes().map(keeper), &limits, lots));
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let address = listener.local_addr().expect("an address");
            let (stop, stopping) = watch::channel(false);
            let accepting = tokio::spawn(Arc::clone(&entrance).accept(listener, None, stopping));
            Self {
                entrance,
                address,
                arrivals,
                turned_away,
                stop,
                accepting,
                clients: Vec::new(),
                _workers: workers,
            }
        }

        /// So many clients come, one after the other: how many of them came to each thread, the fewest first.
        async fn shares(&mut self, clients: usize) -> Vec<usize> {
            let mut shares = HashMap::<ThreadId, usize>::new();
            for _ in 0..clients {
                let mut client = TcpStream::connect(self.address).await.expect("a connection");
                client
                    .write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
                    .await
                    .expect("sent");
                self.clients.push(client);
                let thread = self.arrivals.recv().await.expect("it came");
                *shares.entry(thread).or_default() += 1;
            }
            let mut shares: Vec<usize> = shares.into_values().collect();
            shares.sort_unstable();
            shares
        }

        async fn close(self) {
            self.stop.send_replace(true);
            self.accepting.await.expect("it ends");
            self.entrance.drained().await;
        }
    }

    #[tokio::test]
    async fn every_worker_has_its_share_of_the_connections_and_the_limits_are_of_all_together() {
        let mut lobby = Lobby::open(48).await;
        let shares = lobby.shares(48).await;
        assert!(
            shares.len() == 3 && shares.iter().all(|share| (13..=19).contains(share)),
            "{shares:?}"
        );

        let one_more = TcpStream::connect(lobby.address).await.expect("a connection");
        one_more.readable().await.expect("it is closed");
        assert_eq!(*lobby.turned_away.lock().expect("lock"), [TurnedAway::Crowd]);
        lobby.close().await;
    }

    /// Whoever has filled all workers but one sends the others there more often than not, and no more than that.
    #[tokio::test]
    async fn nobody_can_send_everybody_else_to_one_worker() {
        let mut lobby = Lobby::open(64).await;
        for full in lobby.entrance.desks.iter().skip(1) {
            full.open.fetch_add(1000, Ordering::Relaxed);
        }
        // Five of nine draws have the one in them.
        let shares = lobby.shares(64).await;
        assert!(
            shares.len() == 3 && shares.iter().all(|share| (8..=44).contains(share)),
            "{shares:?}"
        );
        lobby.close().await;
    }
}
