//! A connection's socket with the limits that the HTTP library has none for: a client that says nothing at first, one
//! that takes no answer, one that sends a flood of control frames; and an end that lets the last answer arrive.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

use super::connections::Limits;
use super::frames::Frames;

/// How much is read and thrown away after the last answer.
const LINGER_BYTES: usize = 1024 * 1024;

/// A guarded socket.
#[derive(Debug)]
pub(super) struct Socket {
    stream: TcpStream,
    frames: Frames,
    write_stall: Duration,
    linger: Duration,
    /// Until when it must be clear which HTTP is spoken.
    beginning: Pin<Box<Sleep>>,
    /// Until when the client must take what is being written.
    stalled: Option<Pin<Box<Sleep>>>,
    /// Until when the rest of what the client sends is read, and how much was.
    lingering: Option<(Pin<Box<Sleep>>, usize)>,
}

impl Socket {
    pub(super) fn new(stream: TcpStream, limits: &Limits) -> Self {
        Self {
            stream,
            frames: Frames::new(limits.control_frames_per_second),
            write_stall: limits.write_stall,
            linger: limits.linger,
            beginning: Box::pin(sleep(limits.head)),
            stalled: None,
            lingering: None,
        }
    }

    /// An answer that is not taken may wait for a while.
    fn written<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let write_stall = self.write_stall;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(write_stall)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(timed_out("the client takes no answer")))
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        if let Poll::Ready(result) = Pin::new(&mut this.stream).poll_read(cx, buffer) {
            result?;
            let read = this.frames.read(&buffer.filled()[before..]);
            return Poll::Ready(read.map_err(|flood| io::Error::new(io::ErrorKind::InvalidData, flood)));
        }
        if !this.frames.is_begun() && this.beginning.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(timed_out("the client says nothing")));
        }
        Poll::Pending
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(cx, bytes);
        this.written(cx, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write_vectored(cx, slices);
        this.written(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    /// Closes our direction, and reads on for a moment: a socket that is closed with something unread resets the
    /// connection, and the client may lose the answer that it was just sent.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.lingering.is_none() {
            ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
        }
        let linger = this.linger;
        let (until, thrown_away) = this.lingering.get_or_insert_with(|| (Box::pin(sleep(linger)), 0));
        let mut bytes = [0_u8; 4096];
        while *thrown_away < LINGER_BYTES && until.as_mut().poll(cx).is_pending() {
            let mut buffer = ReadBuf::new(&mut bytes);
            // An error means that the client is gone, which is all that is waited for.
            if ready!(Pin::new(&mut this.stream).poll_read(cx, &mut buffer)).is_err()
                || buffer.filled().is_empty()
            {
                break;
            }
            *thrown_away += buffer.filled().len();
        }
        Poll::Ready(Ok(()))
    }
}

fn timed_out(text: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, text)
}
