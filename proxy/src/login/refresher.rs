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
use tokio::time::{Instant, sleep_until};

use super::control_plane::{Caller, ControlPlane, Failure, Purpose};
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
    pub(super) async fn refresh(
        self: &Arc<Self>,
        token: &SecretString,
        caller: &Caller,
        purpose: Purpose,
    ) -> Outcome {
        let digest = sha256(token.expose_secret().as_bytes());
        let Some(mut outcome) = self.join(digest, token, caller, purpose) else {
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
        purpose: Purpose,
    ) -> Option<watch::Receiver<Option<Outcome>>> {
        let now = Instant::now();
        let mut known = self.known();
        if let Some(one) = known.get(&digest).filter(|one| now < one.until) {
            return Some(one.outcome.clone());
        }
        let place = self.control_plane.place(purpose)?;
        if known.len() >= ROOM {
            // One that is under way is waited for by whoever joined it, and needs no place in the memory.
            let oldest = known.iter().min_by_key(|(_, one)| one.until);
            let oldest = oldest.map(|(digest, _)| *digest);
            oldest.and_then(|digest| known.remove(&digest));
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
            let is_remembered = !matches!(outcome, Outcome::Unavailable);
            if !is_remembered {
                this.forget(&digest, until);
            }
            drop((place, token, caller));
            tell.send_replace(Some(outcome));
            drop(tell);
            if is_remembered {
                sleep_until(until).await;
                this.forget(&digest, until);
            }
        });
        Some(outcome)
    }

    /// Forgets the exchange that is remembered until then, and none that came after it.
    fn forget(&self, digest: &[u8; 32], until: Instant) {
        let mut known = self.known();
        if known.get(digest).is_some_and(|one| one.until == until) {
            known.remove(digest);
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<[u8; 32], Known>> {
        // Nothing is left half done under the lock.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use http::HeaderMap;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio::time::{advance, pause};

    use super::*;
    use crate::request_id::RequestId;

    /// A control plane for which every session is over.
    async fn nobody() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.read(&mut [0; 4096]).await;
                let answer = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
                stream.write_all(answer).await.expect("answered");
            }
        });
        address
    }

    async fn refresher() -> Arc<Refresher> {
        let url = format!("http://{}", nobody().await);
        Refresher::new(Arc::new(ControlPlane::at(&url).expect("a control plane")))
    }

    async fn refresh(refresher: &Arc<Refresher>, token: &str) -> Outcome {
        let caller = Caller::of(None, &HeaderMap::new(), &RequestId::fixed("r1"));
        refresher.refresh(&token.into(), &caller, Purpose::Renewal).await
    }

    #[tokio::test]
    async fn an_exchange_is_forgotten_after_its_minute_by_itself() {
        let refresher = refresher().await;
        assert!(matches!(refresh(&refresher, "one").await, Outcome::Ended));
        assert_eq!(refresher.known().len(), 1);
        pause();
        advance(REMEMBERED).await;
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
        assert_eq!(refresher.known().len(), 0, "somebody has to come for it");
    }

    #[tokio::test]
    async fn when_there_is_no_room_the_oldest_goes_alone() {
        let refresher = refresher().await;
        let (_tell, outcome) = watch::channel(Some(Outcome::Ended));
        let later = Instant::now() + REMEMBERED;
        let digest = |number: usize| sha256(&number.to_be_bytes());
        for number in 0..ROOM {
            let until = later + Duration::from_millis(u64::try_from(number).expect("few"));
            let outcome = outcome.clone();
            refresher.known().insert(digest(number), Known { outcome, until });
        }
        assert!(matches!(refresh(&refresher, "one").await, Outcome::Ended));
        let known = refresher.known();
        assert_eq!(known.len(), ROOM);
        assert!(!known.contains_key(&digest(0)) && known.contains_key(&digest(1)));
    }
}
