//! A client's connection as Pingora wants it: bytes both ways, and what is known about the other end.
//!
//! Pingora's own type does the same and holds buffers from the first moment on. Here there is one for what is written, and
//! only while something is in it, so that a connection that waits costs next to nothing.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd as _, RawFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use async_trait::async_trait;
use bytes::{Buf as _, BytesMut};
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::tls::SslDigest;
use pingora::protocols::{
    GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, TimingDigest,
    UniqueID,
};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// What is gathered before it is written: the head of an answer and a short body go out together.
const GATHERED: usize = 2048;
/// Room for the head of most answers, and a short body.
const USUAL: usize = 640;

/// A connection, plain or encrypted.
pub(super) struct Wire<T> {
    io: T,
    file: RawFd,
    socket: Arc<SocketDigest>,
    tls: Option<Arc<SslDigest>>,
    gathered: BytesMut,
}

impl Wire<TcpStream> {
    /// A connection that is not encrypted.
    pub(super) fn plain(io: TcpStream, peer: SocketAddr) -> Self {
        let file = io.as_raw_fd();
        Self::new(io, file, peer, None)
    }
}

impl Wire<TlsStream<TcpStream>> {
    /// A connection that is encrypted, after its handshake.
    pub(super) fn encrypted(io: TlsStream<TcpStream>, peer: SocketAddr) -> Self {
        let (socket, session) = io.get_ref();
        let file = socket.as_raw_fd();
        let cipher = session
            .negotiated_cipher_suite()
            .and_then(|suite| suite.suite().as_str());
        let version = session.protocol_version().and_then(|version| version.as_str());
        let digest = SslDigest::new(
            cipher.unwrap_or_default(),
            version.unwrap_or_default(),
            None,
            None,
            Vec::new(),
        );
        Self::new(io, file, peer, Some(Arc::new(digest)))
    }

    /// Whether the client chose HTTP/2 (RFC 7301).
    pub(super) fn speaks_http2(&self) -> bool {
        self.io.get_ref().1.alpn_protocol() == Some(b"h2")
    }
}

impl<T> Wire<T> {
    fn new(io: T, file: RawFd, peer: SocketAddr, tls: Option<Arc<SslDigest>>) -> Self {
        let socket = SocketDigest::from_raw_fd(file);
        // INVARIANT: the cell is new, so it is empty.
        let _ = socket.peer_addr.set(Some(peer.into()));
        Self {
            io,
            file,
            socket: Arc::new(socket),
            tls,
            gathered: BytesMut::new(),
        }
    }
}

impl<T: AsyncWrite + Unpin> Wire<T> {
    /// Writes what was gathered.
    fn poll_gathered(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.gathered.is_empty() {
            let written = ready!(Pin::new(&mut self.io).poll_write(cx, &self.gathered))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.gathered.advance(written);
        }
        self.gathered = BytesMut::new();
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Wire<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, into)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Wire<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.gathered.len().saturating_add(bytes.len()) > GATHERED {
            ready!(self.poll_gathered(cx))?;
        }
        if bytes.len() >= GATHERED {
            return Pin::new(&mut self.io).poll_write(cx, bytes);
        }
        if self.gathered.is_empty() {
            self.gathered.reserve(bytes.len().max(USUAL));
        }
        self.gathered.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_gathered(cx))?;
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_gathered(cx))?;
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[async_trait]
impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Shutdown for Wire<T> {
    async fn shutdown(&mut self) {
        // Whether the client heard it does not matter any more.
        let _ = AsyncWriteExt::shutdown(self).await;
    }
}

impl<T> UniqueID for Wire<T> {
    fn id(&self) -> RawFd {
        self.file
    }
}

impl<T> Ssl for Wire<T> {
    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        self.tls.clone()
    }
}

impl<T> GetTimingDigest for Wire<T> {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        Vec::new()
    }
}

impl<T> GetProxyDigest for Wire<T> {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        None
    }
}

impl<T> GetSocketDigest for Wire<T> {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        Some(Arc::clone(&self.socket))
    }
}

impl<T> Peek for Wire<T> {}

impl<T> fmt::Debug for Wire<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire")
            .field("file", &self.file)
            .field("encrypted", &self.tls.is_some())
            .finish_non_exhaustive()
    }
}
