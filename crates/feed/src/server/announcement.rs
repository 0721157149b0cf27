//! What a subscribed edge has to say, handed on to whoever keeps it: the key that it signs assertions with, to be
//! published, and what its routes ask of the models of services.
//!
//! It never ends a subscription: an edge that learns what is true matters more than a key that services cannot fetch yet.

use std::time::Duration;

use sentinel_core::id::EdgeId;
use sentinel_token::AssertionKey;
use tokio::time::{Instant, timeout};
use tonic::Status;

use super::{FeedSource, HEARTBEAT, SourceUnavailable};
use crate::need::Need;
use crate::proto;

/// How often it is said again that the key is in use, and the routes are.
const EVERY: Duration = Duration::from_mins(30);

/// What an edge announced, and when it is handed on next.
pub(super) struct Announcement {
    key: Option<AssertionKey>,
    key_passed_on: Option<Instant>,
    needs: Vec<Need>,
    needs_passed_on: Option<Instant>,
}

impl Announcement {
    /// Reads the fields: nothing, or a key; and the needs.
    pub(super) fn parse(key: &[u8], needs: Vec<proto::Need>) -> Result<Self, Status> {
        let key = match key {
            [] => None,
            bytes => Some(AssertionKey::from_bytes(bytes.try_into().map_err(|_| {
                Status::invalid_argument("`assertion_key` must have 32 bytes, or none")
            })?)),
        };
        let needs =
            Need::all_from_proto(needs).map_err(|error| Status::invalid_argument(error.to_string()))?;
        Ok(Self {
            key,
            key_passed_on: None,
            needs,
            needs_passed_on: None,
        })
    }

    /// Hands it on if it is time to. A database that hangs must not hold back what the edge is to hear: it is tried again.
    pub(super) async fn pass_on(&mut self, source: &dyn FeedSource, edge: EdgeId) {
        if let Some(key) = self.key
            && is_due(self.key_passed_on)
        {
            let done = timeout(HEARTBEAT, source.announce(edge, key)).await;
            self.key_passed_on = passed_on(done.ok(), edge, "the assertion key");
        }
        // An edge without any says so as well: it may have had some before.
        if is_due(self.needs_passed_on) {
            let done = timeout(HEARTBEAT, source.announce_routes(edge, &self.needs)).await;
            self.needs_passed_on = passed_on(done.ok(), edge, "what the routes need");
        }
    }
}

fn is_due(passed_on: Option<Instant>) -> bool {
    passed_on.is_none_or(|at| at.elapsed() >= EVERY)
}

fn passed_on(done: Option<Result<(), SourceUnavailable>>, edge: EdgeId, what: &str) -> Option<Instant> {
    match done {
        Some(Ok(())) => return Some(Instant::now()),
        Some(Err(error)) => {
            let cause = &*error.0 as &(dyn std::error::Error + 'static);
            tracing::warn!(edge.id = %edge, error = cause, what, "what an edge announced cannot be taken down yet");
        }
        None => {
            tracing::warn!(edge.id = %edge, what, "what an edge announced cannot be taken down yet: no answer");
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use sentinel_core::{Clock as _, SystemClock, SystemRandom};

    use super::*;
    use crate::testing::ControlPlane;

    fn needs() -> Vec<proto::Need> {
        vec![proto::Need {
            route: "GET docs.example.com/folders/{folder_id}".into(),
            service: "docs".into(),
            object_type: "folder".into(),
            relation: "can_read".into(),
        }]
    }

    #[test]
    fn it_is_a_key_or_nothing() {
        assert_eq!(Announcement::parse(&[], Vec::new()).expect("none").key, None);
        let key = Announcement::parse(&[7; 32], Vec::new()).expect("a key").key;
        assert_eq!(key, Some(AssertionKey::from_bytes([7; 32])));
        for length in [1, 31, 33, 64] {
            assert!(
                Announcement::parse(&vec![7; length], Vec::new()).is_err(),
                "{length}"
            );
        }
        let mut bad = needs();
        bad[0].service = "Docs!".into();
        assert!(Announcement::parse(&[], bad).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_said_again_while_the_edge_stays() {
        let plane = ControlPlane::new([]);
        let edge = EdgeId::generate(SystemClock.now(), &SystemRandom);
        let mut announcement = Announcement::parse(&[7; 32], needs()).expect("a key");
        for (minutes, said) in [(0, 1), (0, 1), (29, 1), (1, 2), (1, 2)] {
            tokio::time::advance(Duration::from_mins(minutes)).await;
            announcement.pass_on(&*plane, edge).await;
            assert_eq!(plane.announced().len(), said);
            assert_eq!(plane.announced_routes().len(), said);
        }
        let told = plane.announced_routes();
        assert_eq!(
            (told[0].0, told[0].1.as_slice()),
            (edge, &Need::all_from_proto(needs()).expect("needs")[..])
        );
    }

    #[tokio::test]
    async fn an_edge_without_a_key_announces_none() {
        let plane = ControlPlane::new([]);
        let edge = EdgeId::generate(SystemClock.now(), &SystemRandom);
        let mut announcement = Announcement::parse(&[], Vec::new()).expect("none");
        announcement.pass_on(&*plane, edge).await;
        assert_eq!(plane.announced(), []);
        assert_eq!(
            plane.announced_routes(),
            [(edge, Vec::new())],
            "it needs nothing any more"
        );
    }
}
