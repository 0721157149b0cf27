//! HTTP/2, frame by frame (RFC 9113): a client that writes whatever bytes a test wants, and reads frames.

mod floods;
mod limits;
mod requests;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use crate::encrypted::Encrypted;
use crate::harness::{Client, PATIENCE};

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 0x1;
pub(crate) const END_HEADERS: u8 = 0x4;

/// The reason of a GOAWAY for clients that flood.
pub(crate) const ENHANCE_YOUR_CALM: u32 = 0xB;

/// The bytes of a frame.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend(stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// A header block of literals that go into no table (RFC 7541 §6.2.2), in plain text.
#[derive(Clone, Default)]
pub(crate) struct Block(pub(crate) Vec<u8>);

impl Block {
    /// A request with its four pseudo fields, to `a.example`.
    pub(crate) fn request(method: &str, path: &str) -> Self {
        Self::default()
            .field(":method", method)
            .field(":scheme", "https")
            .field(":authority", "a.example")
            .field(":path", path)
    }

    pub(crate) fn field(mut self, name: &str, value: &str) -> Self {
        self.0.push(0x00);
        for text in [name, value] {
            self.length(text.len());
            self.0.extend_from_slice(text.as_bytes());
        }
        self
    }

    /// RFC 7541 §5.1, with a prefix of seven bits.
    fn length(&mut self, length: usize) {
        if length < 127 {
            self.0.push(u8::try_from(length).expect("short"));
            return;
        }
        self.0.push(127);
        let mut rest = length - 127;
        while rest >= 128 {
            self.0.push(u8::try_from(rest % 128).expect("short") | 0x80);
            rest /= 128;
        }
        self.0.push(u8::try_from(rest).expect("short"));
    }
}

/// A frame that the edge sent.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

/// What came of a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// An answer with this body.
    Answered(String),
    /// The stream was reset for this reason.
    Reset(u32),
    /// The connection ended, with this reason if one was said.
    Closed(Option<u32>),
}

impl Outcome {
    /// The code of the problem document that came as the answer.
    pub(crate) fn code(&self) -> String {
        let Self::Answered(body) = self else {
            panic!("no answer: {self:?}");
        };
        let document: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
        document["code"].as_str().unwrap_or_default().to_owned()
    }
}

/// A client that has sent its preface and its settings.
pub(crate) struct Peer {
    stream: TlsStream<TcpStream>,
    read: Vec<u8>,
    next: u32,
}

impl Peer {
    /// With settings that are the standard's.
    pub(crate) async fn connect(edge: &Encrypted) -> Self {
        Self::with_settings(edge, &[]).await
    }

    /// With settings of its own (RFC 9113 §6.5.1).
    pub(crate) async fn with_settings(edge: &Encrypted, settings: &[(u16, u32)]) -> Self {
        let mut peer = Self {
            stream: edge.stream("h2").await,
            read: Vec::new(),
            next: 1,
        };
        let mut payload = Vec::new();
        for (name, value) in settings {
            payload.extend(name.to_be_bytes());
            payload.extend(value.to_be_bytes());
        }
        peer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
        peer.write(&frame(SETTINGS, 0, 0, &payload)).await;
        peer
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.expect("sent");
        self.stream.flush().await.expect("sent");
    }

    /// Writes what the edge may not want to read any more.
    pub(crate) async fn write_anyway(&mut self, bytes: &[u8]) {
        // That the edge has closed is seen by reading.
        let _ = timeout(PATIENCE, self.stream.write_all(bytes))
            .await
            .expect("in time");
        let _ = self.stream.flush().await;
    }

    /// The number of the next stream.
    pub(crate) fn stream(&mut self) -> u32 {
        let stream = self.next;
        self.next += 2;
        stream
    }

    /// Opens a stream with a whole request that has no body.
    pub(crate) async fn open(&mut self, block: &Block) -> u32 {
        let stream = self.stream();
        self.write(&frame(HEADERS, END_HEADERS | END_STREAM, stream, &block.0))
            .await;
        stream
    }

    /// Sends a request without a body and waits for what comes of it.
    pub(crate) async fn send(&mut self, block: &Block) -> Outcome {
        let stream = self.open(block).await;
        self.outcome(stream).await
    }

    /// Waits for what comes of a stream, and acknowledges what has to be.
    pub(crate) async fn outcome(&mut self, stream: u32) -> Outcome {
        let mut body = Vec::new();
        let mut reason = None;
        loop {
            let Some(frame) = self.frame().await else {
                return Outcome::Closed(reason);
            };
            match frame.kind {
                GOAWAY => reason = Some(number(&frame.payload[4..8])),
                RST_STREAM if frame.stream == stream => return Outcome::Reset(number(&frame.payload)),
                DATA if frame.stream == stream => body.extend(frame.payload),
                _ => {}
            }
            let ends = matches!(frame.kind, DATA | HEADERS) && frame.flags & END_STREAM != 0;
            if ends && frame.stream == stream {
                return Outcome::Answered(String::from_utf8(body).expect("text"));
            }
        }
    }

    /// Waits until the connection ends: the reason, if one was said.
    pub(crate) async fn closed(&mut self) -> Option<u32> {
        match self.outcome(u32::MAX).await {
            Outcome::Closed(reason) => reason,
            other => panic!("{other:?}"),
        }
    }

    /// The next frame; `None` if the connection has ended. Settings and pings are acknowledged.
    pub(crate) async fn frame(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.take() {
                if matches!(frame.kind, SETTINGS | PING) && frame.flags & 1 == 0 {
                    let acknowledged = if frame.kind == PING {
                        frame.payload.as_slice()
                    } else {
                        &[]
                    };
                    let bytes = self::frame(frame.kind, 1, 0, acknowledged);
                    self.write_anyway(&bytes).await;
                    continue;
                }
                return Some(frame);
            }
            let read = timeout(PATIENCE, self.stream.read_buf(&mut self.read))
                .await
                .expect("in time");
            // A reset is an end as well.
            if read.unwrap_or(0) == 0 {
                return None;
            }
        }
    }

    fn take(&mut self) -> Option<Frame> {
        let head: [u8; 9] = self.read.get(..9)?.try_into().ok()?;
        let length = usize::try_from(number(&[0, head[0], head[1], head[2]])).expect("small");
        let payload = self.read.get(9..9 + length)?.to_vec();
        self.read.drain(..9 + length);
        Some(Frame {
            kind: head[3],
            flags: head[4],
            stream: number(&head[5..9]),
            payload,
        })
    }
}

fn number(bytes: &[u8]) -> u32 {
    u32::from_be_bytes(bytes.try_into().expect("four bytes"))
}

/// A counter of the edge, as the operator sees it.
pub(crate) async fn counted(edge: &Encrypted, line: &str) -> bool {
    let mut client = Client::connect(edge.world.running.admin()).await;
    client.write(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n").await;
    client.read_answer().await.body.lines().any(|known| known == line)
}

/// Waits until the operator sees that so many connections were turned away for a reason.
pub(crate) async fn turned_away(edge: &Encrypted, reason: &str, count: usize) {
    let line = format!("sentinel_edge_connections_turned_away_total{{reason=\"{reason}\"}} {count}");
    let seen = async {
        while !counted(edge, &line).await {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, seen).await.expect("counted");
}
