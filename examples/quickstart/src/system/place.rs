//! Loopback ports: the usual ones if they are free, other ones if not.

use anyhow::{Context as _, Result};
use tokio::net::TcpListener;

use super::Urls;

/// The ports to take if they are free; 0 takes any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    /// The control plane.
    pub control_plane: u16,
    /// The control plane's metrics and readiness.
    pub control_plane_admin: u16,
    /// The proxy.
    pub proxy: u16,
    /// The proxy's metrics and readiness.
    pub proxy_admin: u16,
    /// The demo provider.
    pub provider: u16,
    /// The service behind the proxy.
    pub upstream: u16,
}

impl Ports {
    /// The ports that the documentation names.
    pub const USUAL: Self = Self {
        control_plane: 9003,
        control_plane_admin: 9004,
        proxy: 8080,
        proxy_admin: 8081,
        provider: 9010,
        upstream: 9000,
    };

    /// Whatever is free.
    pub const ANY: Self = Self {
        control_plane: 0,
        control_plane_admin: 0,
        proxy: 0,
        proxy_admin: 0,
        provider: 0,
        upstream: 0,
    };

    /// Chooses the ports. What runs in this process keeps its listener; the others are let go, all at the end, so that
    /// none is chosen twice.
    pub(super) async fn take(self) -> Result<Places> {
        let control_plane = listen(self.control_plane).await?;
        let control_plane_admin = listen(self.control_plane_admin).await?;
        let proxy = listen(self.proxy).await?;
        let proxy_admin = listen(self.proxy_admin).await?;
        Ok(Places {
            control_plane: port(&control_plane)?,
            control_plane_admin: port(&control_plane_admin)?,
            proxy: port(&proxy)?,
            proxy_admin: port(&proxy_admin)?,
            provider: listen(self.provider).await?,
            upstream: listen(self.upstream).await?,
        })
    }
}

/// The chosen ports.
#[derive(Debug)]
pub(super) struct Places {
    control_plane: u16,
    control_plane_admin: u16,
    proxy: u16,
    proxy_admin: u16,
    pub(super) provider: TcpListener,
    pub(super) upstream: TcpListener,
}

impl Places {
    pub(super) fn urls(&self) -> Urls {
        let url = |port: u16| format!("http://127.0.0.1:{port}");
        Urls {
            control_plane: url(self.control_plane),
            control_plane_admin: url(self.control_plane_admin),
            proxy: url(self.proxy),
            proxy_admin: url(self.proxy_admin),
            provider: url(port(&self.provider).unwrap_or_default()),
            upstream: url(port(&self.upstream).unwrap_or_default()),
        }
    }
}

async fn listen(preferred: u16) -> Result<TcpListener> {
    match TcpListener::bind(("127.0.0.1", preferred)).await {
        Ok(listener) => Ok(listener),
        Err(_) => TcpListener::bind(("127.0.0.1", 0))
            .await
            .context("no loopback port is free"),
    }
}

fn port(listener: &TcpListener) -> Result<u16> {
    Ok(listener.local_addr().context("a listener has no address")?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_that_is_taken_is_replaced() {
        let taken = TcpListener::bind(("127.0.0.1", 0)).await.expect("bind");
        let taken_port = port(&taken).expect("port");
        let other = listen(taken_port).await.expect("another port");
        assert_ne!(port(&other).expect("port"), taken_port);
    }

    #[tokio::test]
    async fn all_addresses_differ() {
        let urls = Ports::ANY.take().await.expect("ports").urls();
        let all = [
            urls.control_plane,
            urls.control_plane_admin,
            urls.proxy,
            urls.proxy_admin,
            urls.provider,
            urls.upstream,
        ];
        let distinct: std::collections::BTreeSet<&String> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
    }
}
