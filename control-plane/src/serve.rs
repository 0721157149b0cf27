//! Running a control plane on sockets until it is told to stop.

mod body;
mod connections;
mod frames;
mod socket;

use std::net::SocketAddr;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::timeout;

pub(crate) use body::Stalled;
use connections::{Limits, listen};

use crate::assemble::{ControlPlane, GRACE};
use crate::extract::client::TrustedProxies;

/// The sockets of a control plane.
pub struct Listeners {
    /// API and feed.
    pub http: TcpListener,
    /// Metrics and readiness.
    pub admin: TcpListener,
}

impl Listeners {
    /// Binds both.
    pub async fn bind(http: SocketAddr, admin: SocketAddr) -> anyhow::Result<Self> {
        let bind = async |name: &str, address: SocketAddr| {
            TcpListener::bind(address).await.with_context(|| {
                format!("`listen.{name}` cannot listen on `{address}`: is another program using the port?")
            })
        };
        Ok(Self {
            http: bind("http", http).await?,
            admin: bind("admin", admin).await?,
        })
    }
}

/// Serves until `stopping` turns true, then lets open requests end.
pub async fn serve(
    control_plane: ControlPlane,
    listeners: Listeners,
    stopping: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let mut background = control_plane.start_background(&stopping);
    let limits = Limits::DEFAULT;
    let proxies = control_plane.app().settings.trusted_proxies.clone();
    let http = listen(
        listeners.http,
        control_plane.router(),
        limits,
        proxies,
        stopping.clone(),
    );
    let admin = listen(
        listeners.admin,
        control_plane.operations(),
        limits,
        TrustedProxies::default(),
        stopping.clone(),
    );
    let serving = async { tokio::join!(http, admin) };
    tokio::select! {
        ((), ()) = serving => {}
        () = overdue(stopping) => tracing::warn!("requests that did not end in time were cut off"),
    }
    // The jobs end by themselves at the same sign; one that hangs is not waited for.
    let ended = timeout(GRACE, async { while background.join_next().await.is_some() {} }).await;
    if ended.is_err() {
        tracing::warn!("a background job did not end in time");
    }
    Ok(())
}

/// Ends some time after the sign to stop.
async fn overdue(mut stopping: watch::Receiver<bool>) {
    let _ = stopping.wait_for(|stop| *stop).await;
    tokio::time::sleep(GRACE).await;
}
