//! Why a token is not accepted. The caller logs the variant; the client only ever sees the denial.

use sentinel_core::Denial;

/// Why a token is not accepted. No variant carries anything that stood in the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum TokenError {
    /// Longer than a token may be.
    #[error("the token is longer than {max} bytes", max = crate::verify::MAX_TOKEN_BYTES)]
    TooLarge,
    /// Not three non-empty parts of unpadded base64url.
    #[error("the token is not three parts of base64url")]
    NotCompact,
    /// Header or payload is not one JSON object.
    #[error("the token's {0} is not a JSON object")]
    NotJson(Part),
    /// A member name occurs twice in one object, so that two readers could see two tokens.
    #[error("the token's {0} names a member twice")]
    DuplicateMember(Part),
    /// The header has a member that changes what the token means: `crit`, `b64`, `zip`, or one that brings a key along.
    #[error("the token's header has `{0}`, which is not accepted")]
    HeaderMember(&'static str),
    /// `typ` is missing or names another kind of object.
    #[error("the token's `typ` is not accepted")]
    WrongTyp,
    /// `kid` is missing, or no key of that name is known.
    #[error("the token's `kid` names no known key")]
    UnknownKey,
    /// `alg` is not the algorithm of the key that `kid` names.
    #[error("the token's `alg` is not the algorithm of its key")]
    WrongAlgorithm,
    /// The signature does not fit.
    #[error("the token's signature does not fit")]
    BadSignature,
    /// A claim that every token of this kind has is missing.
    #[error("the token has no `{0}`")]
    MissingClaim(&'static str),
    /// A claim has the wrong JSON type or a value outside its range.
    #[error("a claim of the token has a wrong type or value")]
    InvalidClaim,
    /// Somebody else issued it.
    #[error("the token's `iss` is another issuer")]
    WrongIssuer,
    /// It is meant for somebody else.
    #[error("the token's `aud` is another audience")]
    WrongAudience,
    /// It is another kind of token (`type`).
    #[error("the token's `type` is another kind of token")]
    WrongKind,
    /// It was good once.
    #[error("the token has expired")]
    Expired,
    /// `nbf` is in the future.
    #[error("the token is not valid yet")]
    NotYetValid,
}

/// A part of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// The JOSE header.
    Header,
    /// The claims.
    Payload,
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Header => "header",
            Self::Payload => "payload",
        })
    }
}

impl TokenError {
    /// What the caller of the request is told.
    pub const fn denial(self) -> Denial {
        match self {
            Self::Expired => Denial::TokenExpired,
            _ => Denial::TokenInvalid,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_learns_of_expiry_and_of_nothing_else() {
        assert_eq!(TokenError::Expired.denial(), Denial::TokenExpired);
        assert_eq!(TokenError::BadSignature.denial(), Denial::TokenInvalid);
        assert_eq!(TokenError::MissingClaim("exp").denial(), Denial::TokenInvalid);
    }

    #[test]
    fn the_limit_is_in_the_message() {
        assert_eq!(
            TokenError::TooLarge.to_string(),
            "the token is longer than 8192 bytes"
        );
        assert_eq!(
            TokenError::DuplicateMember(Part::Header).to_string(),
            "the token's header names a member twice"
        );
    }
}
