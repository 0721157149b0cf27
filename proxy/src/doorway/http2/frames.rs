//! Reading along: which frames a client sends (RFC 9113 §4), and whether an honest one would.
//!
//! Bytes are looked at as they pass and never kept, but for the nine of a frame's head. What is wrong with a frame is for
//! the HTTP/2 library to say; here it is only counted.

use tokio::time::Instant;

use super::budget::Budget;
use super::fields::Fields;
use crate::request::HeadLimits;

/// `PRI * HTTP/2.0` and what follows it (RFC 9113 §3.4).
const PREFACE: usize = 24;
/// The head of a frame (RFC 9113 §4.1).
const HEAD: usize = 9;
/// Fields of a request that HTTP/1 has in its first line, and one for a change of the table's size.
const PSEUDO: usize = 5;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const HAS_PRIORITY: u8 = 0x20;

/// The client floods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Flood;

/// What a connection has sent so far.
#[derive(Debug)]
pub(super) struct Frames {
    state: State,
    budget: Budget,
    fields: Fields,
    block: Block,
    most_in_block: usize,
    since: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Preface {
        left: usize,
    },
    Head {
        bytes: [u8; HEAD],
        filled: usize,
    },
    /// A piece of a header block. `skip` bytes stand before it, and as many as the first of them says behind it.
    Fragment {
        left: usize,
        skip: usize,
        padded: bool,
        padding: usize,
        ends: bool,
    },
    Other {
        left: usize,
        is_data: bool,
    },
}

/// The header block that is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Block {
    None,
    /// With so many bytes so far.
    Open(usize),
}

impl Frames {
    /// A connection whose preface is still to come.
    pub(super) fn new(limits: HeadLimits, now: Instant) -> Self {
        // A head that is a little too large is worth an answer (431), so it is let through to where answers are made. One
        // that is twice as large is an attempt.
        let fields = limits.fields.saturating_add(PSEUDO).saturating_mul(2);
        Self {
            state: State::Preface { left: PREFACE },
            budget: Budget::new(now),
            fields: Fields::new(fields),
            block: Block::None,
            most_in_block: limits.bytes.saturating_mul(2),
            since: Some(now),
        }
    }

    /// Since when something is unfinished that has to be finished soon: the preface, a header block, or a frame that is not
    /// a piece of a body.
    pub(super) fn unfinished_since(&self) -> Option<Instant> {
        self.since
    }

    /// This many bytes were sent to the client.
    pub(super) fn sent(&mut self, bytes: usize) {
        self.budget.sent(bytes);
    }

    /// So many requests have come to be answered since this was last said.
    pub(super) fn requested(&mut self, requests: u32) {
        self.budget.requested(requests);
    }

    /// Looks at the next bytes of the client.
    pub(super) fn take(&mut self, mut bytes: &[u8], now: Instant) -> Result<(), Flood> {
        while !bytes.is_empty() {
            let used = self.step(bytes, now)?;
            bytes = bytes.get(used..).unwrap_or_default();
        }
        Ok(())
    }

    /// Looks at some of `bytes`, and says at how many.
    fn step(&mut self, bytes: &[u8], now: Instant) -> Result<usize, Flood> {
        match self.state {
            State::Preface { left } => {
                let used = left.min(bytes.len());
                let left = left.saturating_sub(used);
                if left > 0 {
                    self.state = State::Preface { left };
                } else {
                    self.at_boundary();
                }
                Ok(used)
            }
            State::Head {
                bytes: mut head,
                filled,
            } => {
                if filled == 0 && self.block == Block::None {
                    self.since = Some(now);
                }
                let used = HEAD.saturating_sub(filled).min(bytes.len());
                let end = filled.saturating_add(used);
                if let (Some(into), Some(from)) = (head.get_mut(filled..end), bytes.get(..used)) {
                    into.copy_from_slice(from);
                }
                if end < HEAD {
                    self.state = State::Head {
                        bytes: head,
                        filled: end,
                    };
                } else {
                    self.begin(head, now)?;
                }
                Ok(used)
            }
            State::Fragment { .. } => self.fragment(bytes),
            State::Other { left, is_data } => {
                let used = left.min(bytes.len());
                let left = left.saturating_sub(used);
                if left > 0 {
                    self.state = State::Other { left, is_data };
                } else {
                    self.at_boundary();
                }
                Ok(used)
            }
        }
    }

    /// A frame has this head.
    fn begin(&mut self, head: [u8; HEAD], now: Instant) -> Result<(), Flood> {
        let [l1, l2, l3, kind, flags, ..] = head;
        let length = u32::from_be_bytes([0, l1, l2, l3]);
        let is_paid = if is_of_request(kind, flags, length) {
            self.budget.spend_for_request(now)
        } else {
            self.budget.spend(cost(kind, length), now)
        };
        if !is_paid {
            return Err(Flood);
        }
        let left = usize::try_from(length).unwrap_or(usize::MAX);
        if matches!(kind, HEADERS | CONTINUATION) {
            let of_headers = |flag: u8| kind == HEADERS && flags & flag != 0;
            if kind == HEADERS || self.block == Block::None {
                self.block = Block::Open(0);
                self.fields.restart();
            }
            let padded = of_headers(PADDED);
            let skip = usize::from(padded).saturating_add(if of_headers(HAS_PRIORITY) { 5 } else { 0 });
            self.state = State::Fragment {
                left,
                skip,
                padded,
                padding: 0,
                ends: flags & END_HEADERS != 0,
            };
            if left == 0 {
                self.after_fragment(flags & END_HEADERS != 0);
            }
            return Ok(());
        }
        let is_data = kind == DATA;
        if is_data && self.block == Block::None {
            // How long a body may take is the business of its request.
            self.since = None;
        }
        self.state = State::Other { left, is_data };
        if left == 0 {
            self.at_boundary();
        }
        Ok(())
    }

    fn fragment(&mut self, bytes: &[u8]) -> Result<usize, Flood> {
        let State::Fragment {
            left,
            skip,
            padded,
            padding,
            ends,
        } = self.state
        else {
            return Ok(bytes.len());
        };
        let bytes = bytes.get(..left.min(bytes.len())).unwrap_or(bytes);
        let (used, skip, padding) = if skip > 0 {
            // The first byte that is skipped says how much padding there is.
            let padding = match bytes.first() {
                Some(length) if padded => usize::from(*length),
                _ => padding,
            };
            let used = if padded { 1 } else { skip.min(bytes.len()) };
            (used, skip.saturating_sub(used), padding)
        } else {
            let fragment = left.saturating_sub(padding).min(bytes.len());
            if fragment > 0 {
                self.in_block(bytes.get(..fragment).unwrap_or_default())?;
                (fragment, 0, padding)
            } else {
                // What is left is padding.
                (bytes.len(), 0, padding.saturating_sub(bytes.len()))
            }
        };
        let left = left.saturating_sub(used);
        if left == 0 {
            self.after_fragment(ends);
        } else {
            self.state = State::Fragment {
                left,
                skip,
                padded: false,
                padding,
                ends,
            };
        }
        Ok(used)
    }

    fn in_block(&mut self, bytes: &[u8]) -> Result<(), Flood> {
        let so_far = match self.block {
            Block::Open(so_far) => so_far,
            Block::None => 0,
        };
        let size = so_far.saturating_add(bytes.len());
        if size > self.most_in_block {
            return Err(Flood);
        }
        self.block = Block::Open(size);
        self.fields.take(bytes).map_err(|_| Flood)
    }

    fn after_fragment(&mut self, ends: bool) {
        if ends {
            self.block = Block::None;
        }
        self.at_boundary();
    }

    fn at_boundary(&mut self) {
        if self.block == Block::None {
            self.since = None;
        }
        self.state = State::Head {
            bytes: [0; HEAD],
            filled: 0,
        };
    }
}

/// Whether a request has few frames like this one: heads, trailers, and ends of bodies. A request pays for them when it comes
/// to be answered; those that belong to none (behind the end of a stream or of the connection, where the library ignores
/// them in silence) are paid for like control frames. So is data without data.
fn is_of_request(kind: u8, flags: u8, length: u32) -> bool {
    match kind {
        HEADERS => true,
        DATA => length == 0 || flags & END_STREAM != 0,
        _ => false,
    }
}

/// What another frame costs. Pieces of bodies are bounded by windows, and by what the library takes of small ones, and cost
/// nothing.
fn cost(kind: u8, length: u32) -> u32 {
    let frame = match kind {
        DATA | HEADERS => return 0,
        PRIORITY | WINDOW_UPDATE => 1,
        RST_STREAM | PING => 5,
        SETTINGS | CONTINUATION => 10,
        // Kinds that are not known are ignored (RFC 9113 §5.5); some clients send a few.
        _ => 2,
    };
    if kind == CONTINUATION {
        frame
    } else {
        // What only has to be read through costs as well.
        frame.saturating_add(length / 256)
    }
}

#[cfg(test)]
mod tests;
