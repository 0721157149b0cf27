//! The last heartbeat on disk, with what the clock of this machine showed when it came.
//!
//! The time that the heartbeat was sent at is the control plane's. An edge whose clock is behind it would take its state
//! for younger than it is, by just that much; one that goes by its own clock does not, however wrong that clock is. It
//! must not have been set back meanwhile: while an edge runs, it sees that and deletes the file.

use std::time::Duration;

use sentinel_core::Timestamp;
use sentinel_token::sha256;

use super::journal::{record, split_record};
use crate::frame::Heartbeat;
use crate::signed::Signed;

/// A heartbeat that was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Contact {
    /// The heartbeat.
    pub(crate) signed: Signed,
    /// What this machine's clock showed.
    pub(crate) heard_at: Timestamp,
    /// How old, by then, was what the heartbeat says.
    pub(crate) age: Duration,
}

impl Contact {
    /// The file: the heartbeat's record, the two numbers in microseconds (8 bytes each, big endian), and the SHA-256 of it
    /// all. The hash finds damage; it proves nothing.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = record(&self.signed);
        bytes.extend(self.heard_at.timestamp_micros().to_be_bytes());
        bytes.extend(
            u64::try_from(self.age.as_micros())
                .unwrap_or(u64::MAX)
                .to_be_bytes(),
        );
        bytes.extend(sha256(&bytes));
        bytes
    }

    /// Reads the file. `None` if it is none.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (content, hash) = bytes.split_last_chunk::<32>()?;
        if sha256(content) != *hash {
            return None;
        }
        let (signed, rest) = split_record(content)?;
        let (heard_at, age) = rest.split_first_chunk::<8>()?;
        Some(Self {
            signed,
            heard_at: Timestamp::from_timestamp_micros(i64::from_be_bytes(*heard_at))?,
            age: Duration::from_micros(u64::from_be_bytes(age.try_into().ok()?)),
        })
    }

    /// How old what the heartbeat says is at `now`, on this machine's clock: by its own word, and at least what the two
    /// clocks together say, which nobody without the control plane's key can make less. `None` if the clock was set back.
    pub(crate) fn age(&self, heartbeat: &Heartbeat, now: Timestamp) -> Option<Duration> {
        let here = (now - self.heard_at).to_std().ok()?;
        let there = (now - heartbeat.sent_at).to_std().unwrap_or_default();
        Some(
            here.saturating_add(self.age)
                .max(there.saturating_add(heartbeat.age)),
        )
    }
}
