//! A TCP relay between an edge and the control plane, to be cut.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

#[derive(Clone)]
pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    wires: Arc<Wires>,
}

struct Wires {
    open: AtomicBool,
    /// Whether what comes is passed on.
    deaf: watch::Sender<bool>,
    /// Each new connection is cut once it has brought the edge so many bytes.
    limit: AtomicU64,
    cuts: watch::Sender<u64>,
}

impl Relay {
    pub(crate) async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let wires = Arc::new(Wires {
            open: AtomicBool::new(true),
            deaf: watch::Sender::new(false),
            limit: AtomicU64::new(u64::MAX),
            cuts: watch::Sender::new(0),
        });
        let relay = Self { address, wires };
        tokio::spawn({
            let wires = Arc::clone(&relay.wires);
            async move {
                while let Ok((edge, _)) = listener.accept().await {
                    if wires.open.load(Ordering::SeqCst) {
                        tokio::spawn(pass(edge, target, Arc::clone(&wires)));
                    }
                }
            }
        });
        relay
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Breaks every connection. New ones are accepted if the relay is open.
    pub(crate) fn cut(&self) {
        self.wires.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Breaks every connection and lets none through.
    pub(crate) fn close(&self) {
        self.wires.open.store(false, Ordering::SeqCst);
        self.cut();
    }

    pub(crate) fn open(&self) {
        self.wires.open.store(true, Ordering::SeqCst);
    }

    /// Nothing is passed on any more, and no connection is closed: as where the network swallows everything.
    pub(crate) fn swallow(&self) {
        self.wires.deaf.send_replace(true);
    }

    /// New connections break after so many bytes to the edge.
    pub(crate) fn limit(&self, bytes: u64) {
        self.wires.limit.store(bytes, Ordering::SeqCst);
    }
}

async fn pass(mut edge: TcpStream, target: SocketAddr, wires: Arc<Wires>) {
    let Ok(mut plane) = TcpStream::connect(target).await else {
        return;
    };
    let mut cuts = wires.cuts.subscribe();
    let mut deaf = wires.deaf.subscribe();
    let mut left = wires.limit.load(Ordering::SeqCst);
    let (mut up, mut down) = (vec![0; 16 << 10], vec![0; 16 << 10]);
    loop {
        tokio::select! {
            read = edge.read(&mut up) => match read {
                Ok(n @ 1..) if plane.write_all(&up[..n]).await.is_ok() => {}
                _ => return,
            },
            read = plane.read(&mut down) => match read {
                Ok(n @ 1..) => {
                    let passed = left.min(n as u64);
                    let bytes = &down[..usize::try_from(passed).expect("at most the buffer")];
                    if edge.write_all(bytes).await.is_err() || passed < n as u64 {
                        return;
                    }
                    left -= passed;
                }
                _ => return,
            },
            _ = cuts.changed() => return,
            _ = deaf.changed() => {
                cuts.changed().await.ok();
                return;
            }
        }
    }
}
