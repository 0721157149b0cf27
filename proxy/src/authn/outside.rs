//! People whom somebody besides the control plane vouches for: the bearers of another issuer's access tokens, and those who
//! show an ID token of an identity provider with an authz token of ours.

use std::sync::Arc;

use sentinel_config::edge::IssuedTokens;
use sentinel_core::principal::{ExternalUser, User};
use sentinel_core::{Credential, Denial, Timestamp};
use sentinel_token::{Fingerprint, IssuerKeys, KeySet, Lasting, Remembered, VerifiedAuthz, claimed_issuer};

use super::ROOM;
use super::accepts::{Accepts, UserToken};
use super::bearer::Bearer;
use super::issuers::{Issuer, Issuers};

/// Verifies and remembers them.
#[derive(Debug)]
pub(super) struct Outside {
    pub(super) issuers: Arc<Issuers>,
    externals: Remembered<Vouched<ExternalUser>, IssuerKeys>,
    pairs: Remembered<Vouched<Bearer>, (KeySet, IssuerKeys)>,
}

/// Somebody, and the number of the issuer that vouches for him.
#[derive(Debug)]
struct Vouched<T> {
    issuer: usize,
    person: Arc<T>,
}

impl<T: Lasting> Lasting for Vouched<T> {
    fn ends_at(&self) -> Option<Timestamp> {
        self.person.ends_at()
    }
}

impl Default for Outside {
    fn default() -> Self {
        Self::of(Arc::default())
    }
}

impl Outside {
    pub(super) fn of(issuers: Arc<Issuers>) -> Self {
        let room = |makes| {
            let any = issuers.iter().any(|issuer| issuer.makes() == makes);
            if any { ROOM } else { 0 }
        };
        Self {
            externals: Remembered::with_room_for(room(IssuedTokens::Access)),
            pairs: Remembered::with_room_for(room(IssuedTokens::Identity)),
            issuers,
        }
    }

    /// The issuer that a token claims to be of; `None` if that is none of these, and so perhaps the control plane.
    pub(super) fn claimed(&self, token: &str) -> Result<Option<(usize, &Issuer)>, Denial> {
        if self.issuers.is_empty() {
            return Ok(None);
        }
        let claimed = claimed_issuer(token).ok_or(Denial::TokenInvalid)?;
        Ok(self.issuers.called(&claimed))
    }

    /// The bearer of a token that was verified a moment ago, if it is one that the route takes.
    pub(super) fn find(
        &self,
        token: Fingerprint,
        accepts: &Accepts,
        now: Timestamp,
    ) -> Option<Arc<ExternalUser>> {
        let vouched = self.externals.find_where(token, now, |vouched, keys| {
            accepts.takes(UserToken::Issuer(&vouched.person.issuer)) && self.issuers.has(vouched.issuer, keys)
        })?;
        Some(Arc::clone(&vouched.person))
    }

    /// The bearer of an access token of that issuer.
    pub(super) fn verify(
        &self,
        (number, issuer): (usize, &Issuer),
        token: &str,
        fingerprint: Fingerprint,
        now: Timestamp,
    ) -> Result<Arc<ExternalUser>, Denial> {
        let (verified, keys) = issuer.verify_access(token, now)?;
        let person = Arc::new(ExternalUser {
            issuer: issuer.name().to_owned(),
            subject: verified.subject,
            expires_at: verified.expires_at,
        });
        let vouched = Vouched {
            issuer: number,
            person: Arc::clone(&person),
        };
        self.externals
            .remember(fingerprint, &keys, &Arc::new(vouched), now);
        Ok(person)
    }

    /// The user of two tokens that were verified together a moment ago.
    pub(super) fn find_pair(
        &self,
        tokens: Fingerprint,
        keys: &KeySet,
        now: Timestamp,
    ) -> Option<Arc<Bearer>> {
        let vouched = self.pairs.find_where(tokens, now, |vouched, (ours, theirs)| {
            ours == keys && self.issuers.has(vouched.issuer, theirs)
        })?;
        Some(Arc::clone(&vouched.person))
    }

    /// The user of a verified authz token, if the ID token is good and the one that it goes with. How he is called is said by
    /// the ID token; the authz token says neither address nor name.
    pub(super) fn bind(
        &self,
        authz: VerifiedAuthz,
        id_token: &str,
        fingerprint: Fingerprint,
        keys: &KeySet,
        now: Timestamp,
    ) -> Result<Arc<Bearer>, Denial> {
        let (number, issuer) = self
            .claimed(id_token)?
            .filter(|(_, issuer)| issuer.makes() == IssuedTokens::Identity)
            .ok_or(Denial::TokenBindingInvalid)?;
        let (identity, their_keys) = issuer.verify_identity(id_token, now)?;
        let is_his = match &authz.claims().idp_iss {
            Some(iss) => iss == issuer.iss(),
            // An authz token that does not say whose subject it means goes with the only provider that there is.
            None => self.issuers.identity_providers() == 1,
        };
        if !is_his || authz.claims().idp_sub != identity.subject {
            return Err(Denial::TokenBindingInvalid);
        }
        let mut user = User::from(authz);
        if let Credential::AuthzToken { expires_at, .. } = &mut user.credential {
            // The two are worth something only together.
            *expires_at = (*expires_at).min(identity.expires_at);
        }
        user.email = identity.email;
        user.name = identity.name;
        let person = Arc::new(Bearer::new(user));
        let vouched = Vouched {
            issuer: number,
            person: Arc::clone(&person),
        };
        let keys = (keys.clone(), their_keys);
        self.pairs.remember(fingerprint, &keys, &Arc::new(vouched), now);
        Ok(person)
    }
}

/// What two tokens are remembered by together. Neither has a line break in it, being a header field's value.
pub(super) fn both(authz: &[u8], id_token: &[u8]) -> Vec<u8> {
    [authz, id_token].join(b"\n".as_slice())
}

/// An authz token counts at the service that it was made for, and nowhere else.
pub(super) fn check_service(user: &User, accepts: &Accepts) -> Result<(), Denial> {
    match &user.credential {
        Credential::AuthzToken { service, .. } if accepts.service.as_ref() == Some(service) => Ok(()),
        _ => Err(Denial::TokenServiceDenied),
    }
}
