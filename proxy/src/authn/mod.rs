//! Who is calling: from the credentials that were shown to a verified [`Principal`].
//!
//! A credential that is there and bad is refused, even on a route that asks for none. Whether a token was revoked is looked
//! up for every request, also when its signature was checked before.

mod accepts;
mod bearer;
pub mod issuers;
mod outside;

use std::sync::Arc;

use sentinel_config::edge::{Config, IssuedTokens};
use sentinel_core::clock::is_expired;
use sentinel_core::principal::{ExternalUser, Service, User};
use sentinel_core::{Denial, Principal, Random, Timestamp};
use sentinel_feed::ReplicaState;
use sentinel_token::{Fingerprint, Fingerprinter, HashedServiceKey, PlainServiceKey, Remembered, Verifier};

use crate::metrics::TokenCounters;
use crate::request::{Presented, Shown, cookies};

pub use accepts::{Accepts, UserToken};
pub use bearer::Bearer;
use issuers::Issuers;
use outside::Outside;

/// How many verified tokens of a kind are remembered.
const ROOM: usize = 65_536;

/// Verifies credentials against a state of the replica.
#[derive(Debug)]
pub struct Authenticator {
    verifier: Verifier,
    fingerprinter: Fingerprinter,
    remembered: Remembered<Bearer>,
    outside: Outside,
    session_cookie: Box<str>,
    counters: TokenCounters,
}

/// A verified caller.
#[derive(Debug, Clone)]
pub struct Authenticated {
    /// Who it is.
    pub principal: Arc<Principal>,
    /// What is remembered of the user, if it is one of the control plane's.
    pub bearer: Option<Arc<Bearer>>,
}

/// Who stands behind a request, by his token.
enum Person {
    Nobody,
    User(Arc<Bearer>),
    External(Arc<ExternalUser>),
}

impl Authenticator {
    /// For the tokens of one issuer.
    pub fn new(verifier: Verifier, counters: TokenCounters, random: &dyn Random) -> Self {
        Self {
            verifier,
            fingerprinter: Fingerprinter::new(random),
            remembered: Remembered::with_room_for(ROOM),
            outside: Outside::default(),
            session_cookie: cookies::SESSION.into(),
            counters,
        }
    }

    /// As a configuration says, with its other issuers.
    pub fn of(config: &Config, issuers: Arc<Issuers>, counters: TokenCounters, random: &dyn Random) -> Self {
        let verifier = Verifier::new(config.control_plane.issuer());
        Self {
            outside: Outside::of(issuers),
            session_cookie: config.session_cookie.as_str().into(),
            ..Self::new(verifier, counters, random)
        }
    }

    /// The name of the session cookie.
    pub fn session_cookie(&self) -> &str {
        &self.session_cookie
    }

    /// The caller, by what he showed and what `state` knows.
    ///
    /// # Errors
    /// A credential is bad.
    pub fn authenticate(
        &self,
        presented: &Presented,
        accepts: &Accepts,
        state: &ReplicaState,
        now: Timestamp,
    ) -> Result<Authenticated, Denial> {
        let person = self.person(presented, accepts, state, now)?;
        let service = match &presented.service_key {
            Some(key) => Some(Arc::new(service(key.as_str(), state, now)?)),
            None => None,
        };
        Ok(match person {
            Person::Nobody => Principal::verified(None, service).into(),
            Person::User(bearer) => bearer.with(service),
            Person::External(user) => Principal::external(user, service).into(),
        })
    }

    fn person(
        &self,
        presented: &Presented,
        accepts: &Accepts,
        state: &ReplicaState,
        now: Timestamp,
    ) -> Result<Person, Denial> {
        if let Some(authz) = &presented.authz {
            let id_token = presented.bearer.as_ref();
            return self.pair(authz, id_token, accepts, state, now).map(Person::User);
        }
        let takes_cookie = accepts.takes(UserToken::Cookie);
        match (&presented.bearer, &presented.cookie) {
            (Some(token), _) => self.bearer(token, accepts, state, now),
            // A browser attaches it, whoever has made it send the request.
            (None, Some(_)) if takes_cookie && presented.may_be_forged => Err(Denial::CrossSite),
            (None, Some(token)) if takes_cookie => {
                let user = self.access(token, accepts, state, now)?;
                Ok(Person::User(user))
            }
            (None, _) => Ok(Person::Nobody),
        }
    }

    /// A token in `Authorization` that stands for itself. Which verification is run is chosen by what the token says about
    /// itself; whoever shows one of an issuer that the route does not name learns no more than that it is not valid.
    fn bearer(
        &self,
        token: &Shown,
        accepts: &Accepts,
        state: &ReplicaState,
        now: Timestamp,
    ) -> Result<Person, Denial> {
        let fingerprint = self.fingerprinter.of(token.as_bytes());
        if let Some(user) = self.known(fingerprint, state, now) {
            return admit(user, accepts, state).map(Person::User);
        }
        if let Some(user) = self.outside.find(fingerprint, accepts, now) {
            self.counters.remembered.inc();
            return Ok(Person::External(user));
        }
        self.counters.verified.inc();
        let token = token.as_str();
        match self.outside.claimed(token)? {
            None => {
                let user = self.verify(token, fingerprint, state, now)?;
                admit(user, accepts, state).map(Person::User)
            }
            Some((number, issuer))
                if issuer.makes() == IssuedTokens::Access
                    && accepts.takes(UserToken::Issuer(issuer.name())) =>
            {
                let user = self.outside.verify((number, issuer), token, fingerprint, now)?;
                Ok(Person::External(user))
            }
            Some((_, issuer)) if issuer.makes() == IssuedTokens::Identity && accepts.authz => {
                Err(Denial::TokenBindingInvalid)
            }
            Some(_) => Err(Denial::TokenInvalid),
        }
    }

    /// An access token of the control plane, and nothing else.
    fn access(
        &self,
        token: &Shown,
        accepts: &Accepts,
        state: &ReplicaState,
        now: Timestamp,
    ) -> Result<Arc<Bearer>, Denial> {
        let fingerprint = self.fingerprinter.of(token.as_bytes());
        let user = if let Some(user) = self.known(fingerprint, state, now) {
            user
        } else {
            self.counters.verified.inc();
            self.verify(token.as_str(), fingerprint, state, now)?
        };
        admit(user, accepts, state)
    }

    /// The user of an access token that was verified a moment ago.
    fn known(&self, token: Fingerprint, state: &ReplicaState, now: Timestamp) -> Option<Arc<Bearer>> {
        let user = self.remembered.find(token, state.keys(), now)?;
        self.counters.remembered.inc();
        Some(user)
    }

    fn verify(
        &self,
        token: &str,
        fingerprint: Fingerprint,
        state: &ReplicaState,
        now: Timestamp,
    ) -> Result<Arc<Bearer>, Denial> {
        let verified = self
            .verifier
            .verify_access(token, state.keys(), now)
            .map_err(sentinel_token::TokenError::denial)?;
        let bearer = Arc::new(Bearer::new(verified.into()));
        self.remembered.remember(fingerprint, state.keys(), &bearer, now);
        Ok(bearer)
    }

    /// An authz token with the ID token that it goes with.
    fn pair(
        &self,
        authz: &Shown,
        id_token: Option<&Shown>,
        accepts: &Accepts,
        state: &ReplicaState,
        now: Timestamp,
    ) -> Result<Arc<Bearer>, Denial> {
        if !accepts.authz {
            return Err(Denial::CredentialNotAccepted);
        }
        let id_token = id_token.ok_or(Denial::TokenBindingInvalid)?;
        let both = outside::both(authz.as_bytes(), id_token.as_bytes());
        let fingerprint = self.fingerprinter.of(&both);
        let user = if let Some(user) = self.outside.find_pair(fingerprint, state.keys(), now) {
            self.counters.remembered.inc();
            user
        } else {
            self.counters.verified.inc();
            let verified = self
                .verifier
                .verify_authz(authz.as_str(), state.keys(), now)
                .map_err(sentinel_token::TokenError::denial)?;
            self.outside
                .bind(verified, id_token.as_str(), fingerprint, state.keys(), now)?
        };
        check_revocation(user.user(), state)?;
        outside::check_service(user.user(), accepts)?;
        Ok(user)
    }
}

/// The user of an access token, where the route takes one and the token still counts.
fn admit(bearer: Arc<Bearer>, accepts: &Accepts, state: &ReplicaState) -> Result<Arc<Bearer>, Denial> {
    check_revocation(bearer.user(), state)?;
    if accepts.access {
        Ok(bearer)
    } else {
        Err(Denial::CredentialNotAccepted)
    }
}

/// Whether the token, its session and its user count still.
fn check_revocation(user: &User, state: &ReplicaState) -> Result<(), Denial> {
    let (session, token) = user.credential.token().ok_or(Denial::TokenInvalid)?;
    let is_revoked =
        state.is_session_revoked(session) || state.is_token_revoked(token) || state.is_user_disabled(user.id);
    if is_revoked {
        Err(Denial::TokenRevoked)
    } else {
        Ok(())
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

impl From<Principal> for Authenticated {
    fn from(principal: Principal) -> Self {
        Self {
            principal: Arc::new(principal),
            bearer: None,
        }
    }
}

#[cfg(test)]
mod tests;
