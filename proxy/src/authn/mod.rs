//! Who is calling: from the credentials that were shown to a verified [`Principal`].
//!
//! A credential that is there and bad is refused, even on a route that asks for none. Whether a token was revoked is looked
//! up for every request, also when its signature was checked before.

mod cache;

use std::sync::Arc;

use arc_swap::ArcSwap;
use secrecy::ExposeSecret as _;
use sentinel_core::clock::is_expired;
use sentinel_core::principal::{Service, User};
use sentinel_core::{Denial, Principal, Timestamp};
use sentinel_feed::ReplicaState;
use sentinel_token::{HashedServiceKey, KeySet, PlainServiceKey, Verifier, sha256};

use crate::metrics::TokenCounters;
use crate::request::Presented;
use cache::{Cache, Entry};

/// How many verified tokens are remembered.
const REMEMBERED: usize = 65_536;

/// Verifies credentials against a state of the replica.
#[derive(Debug)]
pub struct Authenticator {
    verifier: Verifier,
    cache: Cache,
    keys: ArcSwap<KeySet>,
    counters: TokenCounters,
}

impl Authenticator {
    /// For the tokens of one issuer.
    pub fn new(verifier: Verifier, counters: TokenCounters) -> Self {
        Self {
            verifier,
            cache: Cache::with_room_for(REMEMBERED),
            keys: ArcSwap::default(),
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
        state: &ReplicaState,
        now: Timestamp,
    ) -> Result<Principal, Denial> {
        let user = match &presented.bearer {
            Some(token) => Some(self.user(token.expose_secret(), state, now)?),
            None => None,
        };
        let service = match &presented.service_key {
            Some(key) => Some(service(key.expose_secret(), state, now)?),
            None => None,
        };
        Ok(Principal::verified(user, service))
    }

    fn user(&self, token: &str, state: &ReplicaState, now: Timestamp) -> Result<User, Denial> {
        let digest = sha256(token.as_bytes());
        let user = if let Some(user) = self.cache.get(&digest, state.keys(), now) {
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
        Ok(User::clone(&user))
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
        let expires_at = verified.expires_at();
        let user = Arc::new(User::from(verified));
        let entry = Entry {
            digest,
            keys: self.shared(state.keys()),
            expires_at,
            user: Arc::clone(&user),
        };
        self.cache.put(entry, now);
        Ok(user)
    }

    /// One copy of the key set for all entries that were verified with it.
    fn shared(&self, keys: &KeySet) -> Arc<KeySet> {
        let known = self.keys.load_full();
        if *known == *keys {
            return known;
        }
        let keys = Arc::new(keys.clone());
        self.keys.store(Arc::clone(&keys));
        keys
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
