//! Reads along with what a connection receives, to know HTTP/2 from HTTP/1 and to count the frames that cost work and ask
//! for nothing: a flood of `PING` or `SETTINGS` makes the server answer each one (CVE-2019-9512, CVE-2019-9515).
//!
//! It judges frame headers only and keeps nothing of the contents. What a frame means is the HTTP library's matter.

use std::time::Duration;

use tokio::time::Instant;

/// What an HTTP/2 client sends first (RFC 9113 §3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const WINDOW: Duration = Duration::from_secs(1);

const DATA: u8 = 0x0;
const HEADERS: u8 = 0x1;
const WINDOW_UPDATE: u8 = 0x8;
const CONTINUATION: u8 = 0x9;
const END_STREAM: u8 = 0x1;

/// The client sent too many frames that ask for nothing.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many control frames")]
pub(super) struct Flood;

/// The reader.
#[derive(Debug)]
pub(super) struct Frames {
    state: State,
    per_second: u32,
    seen: u32,
    since: Instant,
}

#[derive(Debug)]
enum State {
    /// So many bytes of the preface were there.
    Beginning(usize),
    /// Not HTTP/2.
    Plain,
    /// In a frame's header.
    Header([u8; 9], usize),
    /// In a frame's payload, of which so much is left.
    Payload(usize),
}

impl Frames {
    /// A reader that lets so many control frames pass in a second.
    pub(super) fn new(per_second: u32) -> Self {
        Self {
            state: State::Beginning(0),
            per_second,
            seen: 0,
            since: Instant::now(),
        }
    }

    /// Whether it is known which HTTP is spoken.
    pub(super) fn is_begun(&self) -> bool {
        !matches!(self.state, State::Beginning(_))
    }

    /// Reads what was received.
    pub(super) fn read(&mut self, mut bytes: &[u8]) -> Result<(), Flood> {
        while !bytes.is_empty() {
            match &mut self.state {
                State::Plain => return Ok(()),
                State::Beginning(done) => {
                    let (now, rest) = split(bytes, PREFACE.len() - *done);
                    if now != &PREFACE[*done..*done + now.len()] {
                        self.state = State::Plain;
                        return Ok(());
                    }
                    *done += now.len();
                    if *done == PREFACE.len() {
                        self.state = State::Header([0; 9], 0);
                    }
                    bytes = rest;
                }
                State::Header(header, done) => {
                    let (now, rest) = split(bytes, header.len() - *done);
                    header[*done..*done + now.len()].copy_from_slice(now);
                    *done += now.len();
                    bytes = rest;
                    if *done == header.len() {
                        let [a, b, c, kind, flags, ..] = *header;
                        let length = u32::from_be_bytes([0, a, b, c]) as usize;
                        self.state = State::Payload(length);
                        self.count(kind, flags, length)?;
                    }
                }
                State::Payload(left) => {
                    let (now, rest) = split(bytes, *left);
                    *left -= now.len();
                    bytes = rest;
                }
            }
            if matches!(self.state, State::Payload(0)) {
                self.state = State::Header([0; 9], 0);
            }
        }
        Ok(())
    }

    fn count(&mut self, kind: u8, flags: u8, length: usize) -> Result<(), Flood> {
        // What carries requests is bounded by the limits on streams and heads, and a window is opened as answers are read.
        let asks = match kind {
            DATA => length > 0 || flags & END_STREAM != 0,
            HEADERS | WINDOW_UPDATE | CONTINUATION => true,
            _ => false,
        };
        if asks {
            return Ok(());
        }
        if self.since.elapsed() >= WINDOW {
            self.since = Instant::now();
            self.seen = 0;
        }
        self.seen += 1;
        if self.seen > self.per_second {
            return Err(Flood);
        }
        Ok(())
    }
}

fn split(bytes: &[u8], at: usize) -> (&[u8], &[u8]) {
    bytes.split_at(at.min(bytes.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PING: u8 = 0x6;
    const SETTINGS: u8 = 0x4;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
        let mut frame = vec![length[1], length[2], length[3], kind, flags, 0, 0, 0, 1];
        frame.extend_from_slice(payload);
        frame
    }

    fn begun(per_second: u32) -> Frames {
        let mut frames = Frames::new(per_second);
        frames.read(PREFACE).expect("preface");
        frames
    }

    #[tokio::test]
    async fn the_preface_tells_http2_from_http1() {
        let mut frames = Frames::new(1);
        frames.read(&PREFACE[..10]).expect("a beginning");
        assert!(!frames.is_begun());
        frames.read(&PREFACE[10..]).expect("the rest");
        assert!(frames.is_begun());
        let mut frames = Frames::new(0);
        frames.read(b"POST / HTTP/1.1\r\n").expect("HTTP/1");
        assert!(frames.is_begun());
        frames.read(&frame(PING, 0, &[0; 8])).expect("no frame there");
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_pings_or_settings_is_noticed_and_requests_are_not() {
        for (kind, payload) in [(PING, &[0_u8; 8][..]), (SETTINGS, &[]), (DATA, &[]), (0xff, &[1])] {
            let mut frames = begun(3);
            for _ in 0..3 {
                assert_eq!(frames.read(&frame(kind, 0, payload)), Ok(()), "{kind}");
            }
            assert_eq!(frames.read(&frame(kind, 0, payload)), Err(Flood), "{kind}");
        }
        let mut frames = begun(3);
        for _ in 0..1000 {
            assert_eq!(frames.read(&frame(HEADERS, 0, &[1; 20])), Ok(()));
            assert_eq!(frames.read(&frame(DATA, 0, &[1; 300])), Ok(()));
            assert_eq!(frames.read(&frame(WINDOW_UPDATE, 0, &[0; 4])), Ok(()));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn frames_in_pieces_are_counted_and_a_new_second_begins_anew() {
        let mut frames = begun(2);
        for round in 0..3 {
            for byte in [frame(PING, 0, &[PING; 8]), frame(PING, 0, &[PING; 8])].concat() {
                assert_eq!(frames.read(&[byte]), Ok(()), "{round}");
            }
            tokio::time::advance(WINDOW).await;
        }
    }
}
