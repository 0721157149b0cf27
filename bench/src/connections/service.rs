//! The service behind the edge: it answers requests without bodies, and waits for the end of those with one.

use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinHandle;

/// A service that runs until it is dropped.
pub(super) struct Service {
    /// Where it listens.
    pub(super) address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Service {
    pub(super) fn start() -> Result<Self> {
        let socket = TcpSocket::new_v4().context("the service cannot listen")?;
        socket
            .bind(SocketAddr::from(([127, 0, 0, 1], 0)))
            .context("the service cannot listen")?;
        let listener = socket.listen(4096).context("the service cannot listen")?;
        let address = listener.local_addr().context("a listener has no address")?;
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // An edge that goes away ends its connection.
                tokio::spawn(async move { answer_all(stream).await.ok() });
            }
        });
        Ok(Self { address, accepting })
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn answer_all(mut stream: TcpStream) -> std::io::Result<()> {
    let mut request = Vec::new();
    loop {
        if stream.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
        // Bodies never end here, and requests without one come one at a time.
        if request.starts_with(b"POST ") {
            request.truncate(5);
        } else if request.ends_with(b"\r\n\r\n") {
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                .await?;
            request = Vec::new();
        }
    }
}
