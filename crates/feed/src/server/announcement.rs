//! The key that a subscribed edge signs assertions with, handed on to whoever publishes it.
//!
//! It never ends a subscription: an edge that learns what is true matters more than a key that services cannot fetch yet.

use std::time::Duration;

use sentinel_core::id::EdgeId;
use sentinel_token::AssertionKey;
use tokio::time::{Instant, timeout};
use tonic::Status;

use super::{FeedSource, HEARTBEAT};

/// How often it is said again that the key is in use.
const EVERY: Duration = Duration::from_mins(30);

/// What an edge announced, and when it is handed on next.
pub(super) struct Announcement {
    key: Option<AssertionKey>,
    passed_on: Option<Instant>,
}

impl Announcement {
    /// Reads the field: nothing, or a key.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Status> {
        let key = match bytes {
            [] => None,
            bytes => Some(AssertionKey::from_bytes(bytes.try_into().map_err(|_| {
                Status::invalid_argument("`assertion_key` must have 32 bytes, or none")
            })?)),
        };
        Ok(Self { key, passed_on: None })
    }

    /// Hands it on if it is time to. A database that hangs must not hold back what the edge is to hear: it is tried again.
    pub(super) async fn pass_on(&mut self, source: &dyn FeedSource, edge: EdgeId) {
        let Some(key) = self.key else { return };
        if self.passed_on.is_some_and(|at| at.elapsed() < EVERY) {
            return;
        }
        match timeout(HEARTBEAT, source.announce(edge, key)).await {
            Ok(Ok(())) => self.passed_on = Some(Instant::now()),
            Ok(Err(error)) => {
                let cause = &*error.0 as &(dyn std::error::Error + 'static);
                tracing::warn!(edge.id = %edge, error = cause, "the assertion key of an edge cannot be published yet");
            }
            Err(_) => {
                tracing::warn!(edge.id = %edge, "the assertion key of an edge cannot be published yet: no answer");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use sentinel_core::{Clock as _, SystemClock, SystemRandom};

    use super::*;
    use crate::testing::ControlPlane;

    #[test]
    fn it_is_a_key_or_nothing() {
        assert_eq!(Announcement::parse(&[]).expect("none").key, None);
        let key = Announcement::parse(&[7; 32]).expect("a key").key;
        assert_eq!(key, Some(AssertionKey::from_bytes([7; 32])));
        for length in [1, 31, 33, 64] {
            assert!(Announcement::parse(&vec![7; length]).is_err(), "{length}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_said_again_while_the_edge_stays() {
        let plane = ControlPlane::new([]);
        let edge = EdgeId::generate(SystemClock.now(), &SystemRandom);
        let mut announcement = Announcement::parse(&[7; 32]).expect("a key");
        for (minutes, said) in [(0, 1), (0, 1), (29, 1), (1, 2), (1, 2)] {
            tokio::time::advance(Duration::from_mins(minutes)).await;
            announcement.pass_on(&*plane, edge).await;
            assert_eq!(plane.announced().len(), said);
        }
    }

    #[tokio::test]
    async fn an_edge_without_a_key_announces_none() {
        let plane = ControlPlane::new([]);
        let edge = EdgeId::generate(SystemClock.now(), &SystemRandom);
        let mut announcement = Announcement::parse(&[]).expect("none");
        announcement.pass_on(&*plane, edge).await;
        assert_eq!(plane.announced(), []);
    }
}
