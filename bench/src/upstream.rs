//! The service behind every proxy: it answers each request with the same few bytes, as cheaply as can be.

use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// The body of every answer.
pub(crate) const BODY: &str = r#"{"id":"0190a0a0-0000-7000-8000-000000000001","title":"A document","words":1234,"folder":"inbox","tag":""}"#;

/// A service that runs until it is dropped, on the threads of whoever started it.
#[derive(Debug)]
pub(crate) struct Upstream {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Upstream {
    pub(crate) async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .context("the service cannot listen")?;
        let address = listener.local_addr().context("a listener has no address")?;
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // A proxy that goes away ends its connection.
                tokio::spawn(async move { answer_all(stream).await.ok() });
            }
        });
        Ok(Self { address, accepting })
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Answers requests without bodies, one after the other.
async fn answer_all(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{BODY}",
        BODY.len()
    );
    let mut request = Vec::with_capacity(16 * 1024);
    loop {
        if stream.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
        // There is one request at a time on a connection, so its end is the end of what came.
        if request.ends_with(b"\r\n\r\n") {
            stream.write_all(answer.as_bytes()).await?;
            request.clear();
        }
    }
}
