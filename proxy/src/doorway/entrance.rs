//! Who is let in, and which worker serves him.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use pingora::apps::HttpServerApp as _;
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
    /// least one.
    pub fn new(workers: impl IntoIterator<Item = (Handle, B)>, limits: &Limits) -> Self {
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

    /// Hands a connection to the worker that has fewest.
    fn admit(
        &self,
        connection: TcpStream,
        peer: SocketAddr,
        slot: OwnedSemaphorePermit,
        encryption: Option<Encryption>,
        stop: watch::Receiver<bool>,
    ) {
        let fewest = self
            .desks
            .iter()
            .min_by_key(|desk| desk.open.load(Ordering::Relaxed));
        let Some(desk) = fewest else { return };
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
        let Ok(connection) = connection.into_std() else {
            return;
        };
        let door = Arc::clone(&desk.door);
        desk.worker.spawn(async move {
            if let Ok(connection) = TcpStream::from_std(connection) {
                door.serve(connection, peer, encryption, stop).await;
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

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::{Mutex, PoisonError};
    use std::thread::{self, ThreadId};

    use async_trait::async_trait;
    use pingora::apps::{HttpServerApp, ReusedHttpStream};
    use pingora::protocols::http::ServerSession;
    use pingora::server::ShutdownWatch;
    use sentinel_core::Denial;
    use tokio::io::AsyncWriteExt as _;
    use tokio::sync::mpsc;

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

    #[tokio::test]
    async fn every_worker_has_its_share_of_the_connections_and_the_limits_are_of_all_together() {
        let workers = Workers::start(3).expect("threads");
        let (came, mut arrivals) = mpsc::unbounded_channel();
        let turned_away = Arc::<Mutex<Vec<_>>>::default();
        let keeper = |runtime| {
            let (came, turned_away) = (came.clone(), Arc::clone(&turned_away));
            (runtime, Kept(Arc::new(Keeper { came, turned_away })))
        };
        let limits = Limits {
            per_address: 12,
            ..Limits::default()
        };
        let entrance = Arc::new(Entrance::new(workers.runtimes().map(keeper), &limits));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (stop, stopping) = watch::channel(false);
        let accepting = tokio::spawn(Arc::clone(&entrance).accept(listener, None, stopping));

        let mut clients = Vec::new();
        let mut share = HashMap::<ThreadId, usize>::new();
        for _ in 0..12 {
            let mut client = TcpStream::connect(address).await.expect("a connection");
            client
                .write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
                .await
                .expect("sent");
            clients.push(client);
            let thread = arrivals.recv().await.expect("it came");
            *share.entry(thread).or_default() += 1;
        }
        assert_eq!(share.values().copied().collect::<Vec<_>>(), [4, 4, 4]);

        let one_more = TcpStream::connect(address).await.expect("a connection");
        one_more.readable().await.expect("it is closed");
        assert_eq!(*turned_away.lock().expect("lock"), [TurnedAway::Crowd]);

        stop.send_replace(true);
        accepting.await.expect("it ends");
        entrance.drained().await;
    }
}
