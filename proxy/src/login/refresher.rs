//! One refresh for all who need the same one: a page that loads makes many requests at once, and a refresh token is good for
//! one exchange.
//!
//! The exchange goes on when the client that began it has gone, since what it spent cannot be spent again. What came of it is
//! remembered for a while for requests that were on their way when the browser learned of the new cookies.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use sentinel_token::sha256;
use tokio::sync::watch;
use tokio::time::Instant;

use super::control_plane::{Caller, ControlPlane, Failure};
use super::tokens::Pair;

/// How long it is remembered what a token was exchanged for: longer than most answers take that bring the new cookies.
const REMEMBERED: Duration = Duration::from_mins(1);
/// How many exchanges are remembered.
const ROOM: usize = 8192;

/// What came of an exchange.
#[derive(Debug, Clone)]
pub(super) enum Outcome {
    /// The next pair.
    Renewed(Arc<Pair>),
    /// The session is over.
    Ended,
    /// It cannot be known now.
    Unavailable,
}

/// Exchanges refresh tokens.
pub(super) struct Refresher {
    control_plane: Arc<ControlPlane>,
    known: Mutex<HashMap<[u8; 32], Known>>,
}

struct Known {
    outcome: watch::Receiver<Option<Outcome>>,
    until: Instant,
}

impl Refresher {
    /// One that asks this control plane.
    pub(super) fn new(control_plane: Arc<ControlPlane>) -> Arc<Self> {
        Arc::new(Self {
            control_plane,
            known: Mutex::default(),
        })
    }

    /// What `token` is exchanged for, or was exchanged for a moment ago.
    pub(super) async fn refresh(self: &Arc<Self>, token: &SecretString, caller: &Caller) -> Outcome {
        let digest = sha256(token.expose_secret().as_bytes());
        let Some(mut outcome) = self.join(digest, token, caller) else {
            return Outcome::Unavailable;
        };
        let ended = outcome.wait_for(Option::is_some).await;
        if let Ok(Some(outcome)) = ended.map(|outcome| outcome.clone()) {
            return outcome;
        }
        // The exchange came to no end, which is a defect; the next one who asks shall not suffer from it.
        self.known().remove(&digest);
        Outcome::Unavailable
    }

    /// The exchange that is under way, or one that begins; `None` if too many are.
    fn join(
        self: &Arc<Self>,
        digest: [u8; 32],
        token: &SecretString,
        caller: &Caller,
    ) -> Option<watch::Receiver<Option<Outcome>>> {
        let now = Instant::now();
        let mut known = self.known();
        if let Some(one) = known.get(&digest).filter(|one| now < one.until) {
            return Some(one.outcome.clone());
        }
        let place = self.control_plane.place()?;
        if known.len() >= ROOM {
            known.retain(|_, one| now < one.until);
        }
        if known.len() >= ROOM {
            // Those that are under way are waited for by whoever joined them, and need no place in the memory.
            known.clear();
        }
        let (tell, outcome) = watch::channel(None);
        let until = now + REMEMBERED;
        known.insert(
            digest,
            Known {
                outcome: outcome.clone(),
                until,
            },
        );
        drop(known);
        let (this, token, caller) = (Arc::clone(self), token.clone(), caller.clone());
        tokio::spawn(async move {
            let outcome = match this.control_plane.refresh(&token, &caller).await {
                Ok(pair) => Outcome::Renewed(Arc::new(pair)),
                Err(Failure::Refused(401)) => Outcome::Ended,
                Err(Failure::Refused(_) | Failure::Unavailable) => Outcome::Unavailable,
            };
            if matches!(outcome, Outcome::Unavailable) {
                this.known().remove(&digest);
            }
            drop(place);
            tell.send_replace(Some(outcome));
        });
        Some(outcome)
    }

    fn known(&self) -> MutexGuard<'_, HashMap<[u8; 32], Known>> {
        // Nothing is left half done under the lock.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
