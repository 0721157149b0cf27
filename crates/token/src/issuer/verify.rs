//! From a token of another issuer to what it says of its bearer.

use std::collections::HashSet;
use std::time::Duration;

use sentinel_core::Timestamp;
use sentinel_core::clock::is_expired;

use super::algorithm::Algorithm;
use super::claims::{Claims, REQUIRED};
use super::keys::IssuerKeys;
use crate::claims::{Audience, moment};
use crate::compact::Compact;
use crate::error::{Part, TokenError};
use crate::json::unambiguous_object;

/// The longest subject, in bytes (OpenID Connect Core §2).
const MAX_SUBJECT: usize = 255;
/// The longest tolerance.
const MAX_LEEWAY: Duration = Duration::from_secs(30);

/// Verifies tokens of one other issuer.
#[derive(Debug, Clone)]
pub struct IssuerVerifier {
    issuer: String,
    audiences: Vec<String>,
    leeway: Duration,
}

/// What a verified access token of another issuer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedExternal {
    /// Who somebody is for that issuer (`sub`).
    pub subject: String,
    /// Until when the token is taken: its `exp`, and the tolerance for clocks that differ.
    pub expires_at: Timestamp,
}

/// What a verified ID token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedIdentity {
    /// Who somebody is for the identity provider (`sub`).
    pub subject: String,
    /// His e-mail address, if the provider says that it is verified.
    pub email: Option<String>,
    /// His name.
    pub name: Option<String>,
    /// Until when the token is taken: its `exp`, and the tolerance for clocks that differ.
    pub expires_at: Timestamp,
}

/// What a token is to be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Access,
    Identity,
}

impl IssuerVerifier {
    /// A verifier of the tokens that `issuer` (exactly) makes for one of `audiences` (exactly), forgiving clocks that differ by
    /// `leeway` (at most 30 s).
    pub fn new(issuer: impl Into<String>, audiences: Vec<String>, leeway: Duration) -> Self {
        Self {
            issuer: issuer.into(),
            audiences,
            leeway: leeway.min(MAX_LEEWAY),
        }
    }

    /// The issuer, as its tokens name it.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Verifies an access token (RFC 9068, and the older ones that are written the same without `typ: at+jwt`).
    ///
    /// # Errors
    /// Why it is not accepted.
    pub fn verify_access(
        &self,
        token: &str,
        keys: &IssuerKeys,
        now: Timestamp,
    ) -> Result<VerifiedExternal, TokenError> {
        let claims = self.verify(Purpose::Access, token, keys, now)?;
        Ok(VerifiedExternal {
            expires_at: self.end_of(&claims),
            subject: claims.sub,
        })
    }

    /// Verifies an ID token (OpenID Connect Core §3.1.3.7).
    ///
    /// # Errors
    /// Why it is not accepted.
    pub fn verify_identity(
        &self,
        token: &str,
        keys: &IssuerKeys,
        now: Timestamp,
    ) -> Result<VerifiedIdentity, TokenError> {
        let claims = self.verify(Purpose::Identity, token, keys, now)?;
        // Nothing but `true` is the provider's word: some say "true" of everybody.
        let verified = claims.email_verified == Some(serde_json::Value::Bool(true));
        Ok(VerifiedIdentity {
            expires_at: self.end_of(&claims),
            subject: claims.sub,
            email: claims.email.filter(|_| verified),
            name: claims.name,
        })
    }

    fn verify(
        &self,
        purpose: Purpose,
        token: &str,
        keys: &IssuerKeys,
        now: Timestamp,
    ) -> Result<Claims, TokenError> {
        let compact = Compact::parse_of_others(token)?;
        check_typ(purpose, compact.header.typ.as_deref())?;
        let key = keys
            .meant(compact.header.kid.as_deref())
            .ok_or(TokenError::UnknownKey)?;
        // The algorithm is the key's. What the token says about it may only agree (RFC 8725 §3.1).
        if Algorithm::named(&compact.header.alg) != Some(key.algorithm) {
            return Err(TokenError::WrongAlgorithm);
        }
        if !key.has_signed(compact.message, &compact.signature_bytes) {
            return Err(TokenError::BadSignature);
        }
        let names = unambiguous_object(&compact.payload).map_err(|error| error.of(Part::Payload))?;
        if let Some(missing) = REQUIRED.iter().find(|name| !names.contains(**name)) {
            return Err(TokenError::MissingClaim(missing));
        }
        let claims: Claims =
            serde_json::from_slice(&compact.payload).map_err(|_| TokenError::InvalidClaim)?;
        check_purpose(purpose, &claims, &names)?;
        self.check(purpose, &claims, now)?;
        Ok(claims)
    }

    fn check(&self, purpose: Purpose, claims: &Claims, now: Timestamp) -> Result<(), TokenError> {
        if claims.iss != self.issuer {
            return Err(TokenError::WrongIssuer);
        }
        self.check_audience(purpose, claims)?;
        let is_subject =
            (1..=MAX_SUBJECT).contains(&claims.sub.len()) && !claims.sub.chars().any(char::is_control);
        if !is_subject || claims.iat > claims.exp {
            return Err(TokenError::InvalidClaim);
        }
        if is_expired(self.end_of(claims), now) {
            return Err(TokenError::Expired);
        }
        if claims.nbf.is_some_and(|nbf| moment(nbf) - self.leeway > now) {
            return Err(TokenError::NotYetValid);
        }
        Ok(())
    }

    /// Times in claims end with the year 9999, so adding and subtracting half a minute stays in range.
    fn end_of(&self, claims: &Claims) -> Timestamp {
        moment(claims.exp) + self.leeway
    }

    /// An access token may be for other services too. An ID token may not: whoever else it is for has it, and could use it
    /// here (OpenID Connect Core §3.1.3.7, items 3 to 5).
    fn check_audience(&self, purpose: Purpose, claims: &Claims) -> Result<(), TokenError> {
        let is_ours = |audience: &str| self.audiences.iter().any(|ours| ours == audience);
        let one;
        let audiences = match &claims.aud {
            Audience::One(audience) => {
                one = [audience.clone()];
                &one[..]
            }
            Audience::Many(audiences) => audiences,
        };
        let meant = match purpose {
            Purpose::Access => audiences.iter().any(|audience| is_ours(audience)),
            Purpose::Identity => {
                let several = audiences.len() > 1;
                let party = claims.azp.as_deref().filter(|_| several);
                !audiences.is_empty()
                    && audiences.iter().all(|audience| is_ours(audience))
                    && party.is_none_or(is_ours)
            }
        };
        if meant {
            Ok(())
        } else {
            Err(TokenError::WrongAudience)
        }
    }
}

/// `typ` of the header: a media type without `application/`, whose case means nothing (RFC 7515 §4.1.9).
fn check_typ(purpose: Purpose, typ: Option<&str>) -> Result<(), TokenError> {
    let Some(typ) = typ else { return Ok(()) };
    let is = |name: &str| typ.eq_ignore_ascii_case(name);
    let accepted = is("JWT") || (purpose == Purpose::Access && (is("at+jwt") || is("application/at+jwt")));
    if accepted {
        Ok(())
    } else {
        Err(TokenError::WrongTyp)
    }
}

/// What issuers write into tokens of the other kinds that they sign with the same keys and make for the same audience:
/// refresh tokens, logout tokens, tokens that are bound to a key of their bearer (RFC 7800) and prove nothing without it. Only
/// an ID token answers to a request for a sign-in (`nonce`) or vouches for what came with it (`at_hash`, `c_hash`, `s_hash`).
fn check_purpose(purpose: Purpose, claims: &Claims, names: &HashSet<String>) -> Result<(), TokenError> {
    let (typ, token_use, elsewhere): (_, _, &[&str]) = match purpose {
        Purpose::Access => (
            "Bearer",
            "access",
            &["events", "cnf", "nonce", "at_hash", "c_hash", "s_hash"],
        ),
        Purpose::Identity => ("ID", "id", &["events"]),
    };
    let says = |claim: &Option<String>, expected: &str| claim.as_deref().is_none_or(|word| word == expected);
    let fits = says(&claims.typ, typ)
        && says(&claims.token_use, token_use)
        && !elsewhere.iter().any(|name| names.contains(*name));
    if fits { Ok(()) } else { Err(TokenError::WrongKind) }
}
