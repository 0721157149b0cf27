//! Who is calling: from the credentials that were shown to a verified [`Principal`].
//!
//! A credential that is there and bad is refused, even on a route that asks for none. Whether a token was revoked is looked
//! up for every request, also when its signature was checked before.

mod accepts;

use std::sync::Arc;

use secrecy::ExposeSecret as _;
use sentinel_core::clock::is_expired;
use sentinel_core::principal::{Service, User};
use sentinel_core::{Denial, Principal, Timestamp};
use sentinel_feed::ReplicaState;
use sentinel_token::{HashedServiceKey, PlainServiceKey, Remembered, Verifier, sha256};

use crate::metrics::TokenCounters;
use crate::request::Presented;

pub use accepts::Accepts;

/// How many verified tokens are remembered.
const ROOM: usize = 65_536;

/// Verifies credentials against a state of the replica.
#[derive(Debug)]
pub struct Authenticator {
    verifier: Verifier,
    remembered: Remembered,
    counters: TokenCounters,
}

impl Authenticator {
    /// For the tokens of one issuer.
    pub fn new(verifier: Verifier, counters: TokenCounters) -> Self {
        Self {
            verifier,
            remembered: Remembered::with_room_for(ROOM),
            counters,
        }
    }

    /// The caller, by what he showed and what `state` knows.
    ///
    /// # Errors
    /// A credential is bad.
    pub fn authenticate(
        &self,
        presented: &Presented,
        _accepts: &Accepts,
        state: &ReplicaState,
        now: Timestamp,
    ) -> Result<Principal, Denial> {
        let user = match &presented.bearer {
            Some(token) => Some(self.user(token.expose_secret(), state, now)?),
            None => None,
        };
        let service = match &presented.service_key {
            Some(key) => Some(Arc::new(service(key.expose_secret(), state, now)?)),
            None => None,
        };
        Ok(Principal::verified(user, service))
    }

    fn user(&self, token: &str, state: &ReplicaState, now: Timestamp) -> Result<Arc<User>, Denial> {
        let digest = sha256(token.as_bytes());
        let user = if let Some(user) = self.remembered.find(&digest, state.keys(), now) {
            self.counters.remembered.inc();
            user
        } else {
            self.counters.verified.inc();
            self.verify(token, digest, state, now)?
        };
        let (session, token) = user.credential.token().ok_or(Denial::TokenInvalid)?;
        if state.is_session_revoked(session)
            || state.is_token_revoked(token)
            || state.is_user_disabled(user.id)
        {
            return Err(Denial::TokenRevoked);
        }
        Ok(user)
    }

    fn verify(
        &self,
        token: &str,
        digest: [u8; 32],
        state: &ReplicaState,
        now: Timestamp,
    ) -> Result<Arc<User>, Denial> {
        let verified = self
            .verifier
            .verify_access(token, state.keys(), now)
            .map_err(sentinel_token::TokenError::denial)?;
        let user = Arc::new(User::from(verified));
        self.remembered.remember(digest, state.keys(), &user, now);
        Ok(user)
    }
}

fn service(key: &str, state: &ReplicaState, now: Timestamp) -> Result<Service, Denial> {
    let invalid = Denial::ServiceKeyInvalid;
    let digest = key.parse::<PlainServiceKey>().map_err(|_| invalid)?.digest();
    let known = state.service_key(digest.as_bytes()).ok_or(invalid)?;
    let counts = HashedServiceKey::from_bytes(known.digest) == digest
        && known.expires_at.is_none_or(|until| !is_expired(until, now));
    if !counts {
        return Err(invalid);
    }
    Ok(Service {
        app: known.app,
        name: known.service.clone(),
        expires_at: known.expires_at,
    })
}

#[cfg(test)]
mod tests;
