//! The clients: those that want answers, and those that want the edge to have none.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Result, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep, timeout};

use crate::statistics::percentile;

/// Connections from one address of the crowd: fewer than the edge lets one address have.
const PER_ADDRESS: usize = 1000;
/// How often a byte comes of what comes byte by byte.
const DRIP: Duration = Duration::from_secs(1);
/// How long the crowd has to come together.
const GATHERING: Duration = Duration::from_mins(2);
/// Good clients, and how often each asks.
const GOOD: usize = 16;
const EVERY: Duration = Duration::from_millis(10);
/// After so many requests a good client takes a new connection.
const RENEWED: usize = 20;
/// How long a good client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n";

/// What a useless connection does.
#[derive(Debug, Clone, Copy)]
enum Way {
    Silent,
    DrippingHead,
    DrippingBody,
}

/// A crowd that stays until this is dropped. Whoever is turned away comes back.
pub(super) struct Crowd {
    open: Arc<AtomicUsize>,
    _members: JoinSet<()>,
}

impl Crowd {
    /// Waits until all of them are there.
    pub(super) async fn gather(edge: SocketAddr, size: usize) -> Result<Self> {
        let open = Arc::new(AtomicUsize::new(0));
        let mut members = JoinSet::new();
        for number in 0..size {
            let way = match number % 3 {
                0 => Way::Silent,
                1 => Way::DrippingHead,
                _ => Way::DrippingBody,
            };
            let host = u8::try_from(2 + number / PER_ADDRESS).unwrap_or(u8::MAX);
            members.spawn(annoy(edge, [127, 0, 0, host], way, Arc::clone(&open)));
            if number % 100 == 99 {
                // As fast as the listener's queue takes them.
                sleep(Duration::from_millis(20)).await;
            }
        }
        let until = Instant::now() + GATHERING;
        // A few are always on their way back.
        let enough = size - size / 50;
        while open.load(Ordering::Relaxed) < enough {
            ensure!(
                Instant::now() < until,
                "only {} of {size} connections are open",
                open.load(Ordering::Relaxed)
            );
            sleep(Duration::from_millis(50)).await;
        }
        Ok(Self {
            open,
            _members: members,
        })
    }

    /// How many are open now.
    pub(super) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }
}

async fn annoy(edge: SocketAddr, from: [u8; 4], way: Way, open: Arc<AtomicUsize>) {
    loop {
        if let Ok(stream) = connect(edge, from).await {
            open.fetch_add(1, Ordering::Relaxed);
            // However it ends, there is a next time.
            let _ = waste(stream, way).await;
            open.fetch_sub(1, Ordering::Relaxed);
        }
        sleep(Duration::from_millis(100)).await;
    }
}

async fn connect(edge: SocketAddr, from: [u8; 4]) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((from, 0)))?;
    socket.connect(edge).await
}

/// Uses a connection until the edge closes it.
async fn waste(mut stream: TcpStream, way: Way) -> std::io::Result<()> {
    let begin: &[u8] = match way {
        Way::Silent => b"",
        Way::DrippingHead => b"GET / HTTP/1.1\r\nHost: a.example\r\nX-Drip: ",
        Way::DrippingBody => b"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 1000000\r\n\r\n",
    };
    stream.write_all(begin).await?;
    let mut drips = interval(DRIP);
    let mut answer = [0; 256];
    loop {
        tokio::select! {
            read = stream.read(&mut answer) => if read? == 0 { return Ok(()) },
            _ = drips.tick(), if !matches!(way, Way::Silent) => stream.write_all(b"x").await?,
        }
    }
}

/// The good clients.
pub(super) struct Good {
    edge: SocketAddr,
}

/// What they saw.
#[derive(Debug, Default)]
pub(super) struct Watched {
    /// Requests.
    pub(super) sent: usize,
    /// Ascending.
    answered: Vec<Duration>,
}

impl Watched {
    /// How many of all were answered.
    pub(super) fn share(&self) -> f64 {
        let count = |number: usize| f64::from(u32::try_from(number).unwrap_or(u32::MAX));
        count(self.answered.len()) / count(self.sent.max(1))
    }

    /// The latency that so many of the answered are not above.
    pub(super) fn percentile(&self, percent: usize) -> Duration {
        percentile(&self.answered, percent).unwrap_or(PATIENCE)
    }
}

impl Good {
    pub(super) fn new(edge: SocketAddr) -> Self {
        Self { edge }
    }

    /// Asks for so long, at a steady rate.
    pub(super) async fn watch(&self, time: Duration) -> Watched {
        let until = Instant::now() + time;
        let mut clients = JoinSet::new();
        for _ in 0..GOOD {
            clients.spawn(ask(self.edge, until));
        }
        let mut all = Watched::default();
        while let Some(client) = clients.join_next().await {
            let Ok(client) = client else { continue };
            all.sent += client.sent;
            all.answered.extend(client.answered);
        }
        all.answered.sort_unstable();
        all
    }
}

async fn ask(edge: SocketAddr, until: Instant) -> Watched {
    let mut watched = Watched::default();
    let mut turns = interval(EVERY);
    let mut connection = None;
    while Instant::now() < until {
        turns.tick().await;
        if watched.sent % RENEWED == 0 {
            connection = None;
        }
        let begun = Instant::now();
        watched.sent += 1;
        let exchange = async {
            let mut stream = match connection.take() {
                Some(stream) => stream,
                None => connect(edge, [127, 0, 0, 1]).await?,
            };
            stream.write_all(REQUEST).await?;
            let mut answer = Vec::with_capacity(512);
            while !answer.ends_with(b"\r\n\r\nok") {
                if stream.read_buf(&mut answer).await? == 0 {
                    return Err(std::io::ErrorKind::UnexpectedEof.into());
                }
            }
            std::io::Result::Ok(stream)
        };
        if let Ok(Ok(stream)) = timeout(PATIENCE, exchange).await {
            watched.answered.push(begun.elapsed());
            connection = Some(stream);
        }
    }
    watched
}
