//! From a text that a client sent to claims that hold: the only way to make a `Verified`.
//!
//! The signature is checked by `jsonwebtoken`; what it leaves open (critical headers, repeated members, types,
//! required claims, size, time as an argument) is closed here. Revocation is not judged here.

use jsonwebtoken::Algorithm;
use sentinel_core::clock::is_expired;
use sentinel_core::id::{SessionId, TokenId, UserId};
use sentinel_core::principal::User;
use sentinel_core::{Credential, Timestamp};

use crate::claims::{AccessClaims, AdminClaims, AuthzClaims, Claims, RefreshClaims, TokenKind, moment};
use crate::compact::Compact;
use crate::error::{Part, TokenError};
use crate::json::unambiguous_object;
use crate::key_set::KeySet;

/// The longest token that is looked at.
pub const MAX_TOKEN_BYTES: usize = 8192;

/// The brand of the audiences: `sentinel:access` and so on.
pub const DEFAULT_BRAND: &str = "sentinel";

/// Claims whose token was verified: signature, issuer, audience, kind and time. Whether the token, its session or its
/// user was revoked is for the caller to look up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified<C> {
    claims: C,
}

/// A verified access token.
pub type VerifiedAccess = Verified<AccessClaims>;
/// A verified refresh token.
pub type VerifiedRefresh = Verified<RefreshClaims>;
/// A verified token of AuthZ mode.
pub type VerifiedAuthz = Verified<AuthzClaims>;
/// A verified admin token.
pub type VerifiedAdmin = Verified<AdminClaims>;

/// Verifies tokens of one issuer.
#[derive(Debug, Clone)]
pub struct Verifier {
    issuer: String,
}

impl Verifier {
    /// A verifier of the tokens of `issuer` (the control plane's public URL, exactly), with the audiences `sentinel:…`. It
    /// forgives no clock that is wrong.
    pub fn new(issuer: impl Into<String>) -> Self {
        Self {
            issuer: issuer.into(),
        }
    }

    /// Verifies an access token.
    pub fn verify_access(
        &self,
        token: &str,
        keys: &KeySet,
        now: Timestamp,
    ) -> Result<VerifiedAccess, TokenError> {
        self.verify(token, keys, now)
    }

    /// Verifies a refresh token.
    pub fn verify_refresh(
        &self,
        token: &str,
        keys: &KeySet,
        now: Timestamp,
    ) -> Result<VerifiedRefresh, TokenError> {
        self.verify(token, keys, now)
    }

    /// Verifies a token of AuthZ mode. That its `svc` and `idp_sub` fit the request is for the caller to compare.
    pub fn verify_authz(
        &self,
        token: &str,
        keys: &KeySet,
        now: Timestamp,
    ) -> Result<VerifiedAuthz, TokenError> {
        self.verify(token, keys, now)
    }

    /// Verifies an admin token.
    pub fn verify_admin(
        &self,
        token: &str,
        keys: &KeySet,
        now: Timestamp,
    ) -> Result<VerifiedAdmin, TokenError> {
        self.verify(token, keys, now)
    }

    fn verify<C: Claims>(
        &self,
        token: &str,
        keys: &KeySet,
        now: Timestamp,
    ) -> Result<Verified<C>, TokenError> {
        let compact = Compact::parse(token)?;
        check_typ(C::KIND, compact.header.typ.as_deref())?;
        check_signature(&compact, keys)?;
        let claims: C = read_claims(&compact.payload)?;
        self.check_claims(&claims, now)?;
        Ok(Verified { claims })
    }

    fn check_claims<C: Claims>(&self, claims: &C, now: Timestamp) -> Result<(), TokenError> {
        let standard = claims.standard();
        if standard.iss != self.issuer {
            return Err(TokenError::WrongIssuer);
        }
        if !standard.aud.contains(&C::KIND.audience(DEFAULT_BRAND)) {
            return Err(TokenError::WrongAudience);
        }
        if standard.r#type != C::KIND.claim() {
            return Err(TokenError::WrongKind);
        }
        if standard.iat > standard.exp {
            return Err(TokenError::InvalidClaim);
        }
        if is_expired(moment(standard.exp), now) {
            return Err(TokenError::Expired);
        }
        if standard.nbf.is_some_and(|nbf| moment(nbf) > now) {
            return Err(TokenError::NotYetValid);
        }
        Ok(())
    }
}

/// `typ` (RFC 7519 §5.1, RFC 9068 §2.1).
fn check_typ(kind: TokenKind, typ: Option<&str>) -> Result<(), TokenError> {
    match (kind, typ) {
        (_, Some("JWT")) | (TokenKind::Access, Some("at+jwt")) => Ok(()),
        _ => Err(TokenError::WrongTyp),
    }
}

fn check_signature(compact: &Compact<'_>, keys: &KeySet) -> Result<(), TokenError> {
    let kid = compact.header.kid.as_deref().ok_or(TokenError::UnknownKey)?;
    let key = keys.get(kid).ok_or(TokenError::UnknownKey)?;
    // The algorithm is the key's. What the token says about it may only agree (RFC 8725 §3.1).
    if compact.header.alg != key.algorithm() {
        return Err(TokenError::WrongAlgorithm);
    }
    match jsonwebtoken::crypto::verify(
        compact.signature,
        compact.message,
        key.decoding_key(),
        Algorithm::RS256,
    ) {
        Ok(true) => Ok(()),
        _ => Err(TokenError::BadSignature),
    }
}

fn read_claims<C: Claims>(payload: &[u8]) -> Result<C, TokenError> {
    let names = unambiguous_object(payload).map_err(|error| error.of(Part::Payload))?;
    if let Some(missing) = C::REQUIRED.iter().find(|name| !names.contains(**name)) {
        return Err(TokenError::MissingClaim(missing));
    }
    serde_json::from_slice(payload).map_err(|_| TokenError::InvalidClaim)
}

impl<C> Verified<C> {
    /// The claims.
    pub fn claims(&self) -> &C {
        &self.claims
    }
}

macro_rules! verified {
    ($($claims:ident.$session:ident),+) => {$(
        impl Verified<$claims> {
            /// The token's id.
            pub fn token(&self) -> TokenId {
                self.claims.jti
            }

            /// The session that the token belongs to.
            pub fn session(&self) -> SessionId {
                self.claims.$session
            }

            /// The user that the token was issued to.
            pub fn user_id(&self) -> UserId {
                self.claims.sub
            }

            /// When the token ends.
            pub fn expires_at(&self) -> Timestamp {
                moment(self.claims.exp)
            }
        }
    )+};
}

verified!(
    AccessClaims.sid,
    RefreshClaims.fid,
    AdminClaims.sid,
    AuthzClaims.sid
);

impl VerifiedAccess {
    /// The user as a principal.
    pub fn user(&self) -> User {
        let claims = &self.claims;
        User {
            id: claims.sub,
            email: Some(claims.email.clone()),
            name: Some(claims.name.clone()),
            workspace: claims.wid,
            workspace_slug: claims.wslug.clone(),
            role_at_mint: claims.wrole,
            minted_at: claims.rev,
            credential: Credential::AccessToken {
                token: claims.jti,
                session: claims.sid,
                expires_at: self.expires_at(),
            },
        }
    }
}

impl From<VerifiedAccess> for User {
    fn from(verified: VerifiedAccess) -> Self {
        verified.user()
    }
}

impl From<VerifiedAuthz> for User {
    fn from(verified: VerifiedAuthz) -> Self {
        let expires_at = verified.expires_at();
        let claims = verified.claims;
        Self {
            id: claims.sub,
            email: None,
            name: None,
            workspace: claims.wid,
            workspace_slug: claims.wslug,
            role_at_mint: claims.wrole,
            minted_at: claims.rev,
            credential: Credential::AuthzToken {
                token: claims.jti,
                session: claims.sid,
                service: claims.svc,
                idp_subject: claims.idp_sub,
                expires_at,
            },
        }
    }
}

#[cfg(test)]
mod tests;
