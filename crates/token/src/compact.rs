//! The JWS compact serialization (RFC 7515 §7.1), read so strictly that only one reading is left. Nothing here trusts
//! the token: it is done before the signature is checked.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use crate::error::{Part, TokenError};
use crate::json::{JsonError, unambiguous_object};
use crate::verify::MAX_TOKEN_BYTES;

/// A token in its parts. Only the header was read.
pub(crate) struct Compact<'a> {
    pub(crate) header: Header,
    /// What was signed: the first two parts with the dot between them.
    pub(crate) message: &'a [u8],
    /// The payload, decoded from base64url and not looked into.
    pub(crate) payload: Vec<u8>,
    /// The signature as base64url.
    pub(crate) signature: &'a str,
    /// The signature itself.
    pub(crate) signature_bytes: Vec<u8>,
}

/// The members of a JOSE header that count.
#[derive(Deserialize)]
pub(crate) struct Header {
    pub(crate) alg: String,
    pub(crate) kid: Option<String>,
    pub(crate) typ: Option<String>,
}

/// Header members that change what the token means or where its key comes from (RFC 7515 §4.1, RFC 7797, RFC 7516).
/// We never write one, so a token that has one is not ours or was tampered with.
const REFUSED: [&str; 10] = [
    "crit", "b64", "zip", "enc", "jku", "jwk", "x5u", "x5c", "x5t", "x5t#S256",
];

/// The same for tokens of other issuers. Some of them name a key by its certificate's thumbprint besides `kid`, which is
/// not looked at.
const REFUSED_OF_OTHERS: [&str; 8] = ["crit", "b64", "zip", "enc", "jku", "jwk", "x5u", "x5c"];

impl<'a> Compact<'a> {
    /// A token of ours.
    pub(crate) fn parse(token: &'a str) -> Result<Self, TokenError> {
        Self::parse_without(&REFUSED, token)
    }

    /// A token of another issuer.
    pub(crate) fn parse_of_others(token: &'a str) -> Result<Self, TokenError> {
        Self::parse_without(&REFUSED_OF_OTHERS, token)
    }

    fn parse_without(refused: &[&'static str], token: &'a str) -> Result<Self, TokenError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::TooLarge);
        }
        let (message, signature) = token.rsplit_once('.').ok_or(TokenError::NotCompact)?;
        let (header, payload) = message.split_once('.').ok_or(TokenError::NotCompact)?;
        let header = decode(header)?;
        let payload = decode(payload)?;
        let signature_bytes = decode(signature)?;

        let names = unambiguous_object(&header).map_err(|error| error.of(Part::Header))?;
        if let Some(member) = refused.iter().find(|member| names.contains(**member)) {
            return Err(TokenError::HeaderMember(member));
        }
        Ok(Self {
            header: serde_json::from_slice(&header).map_err(|_| TokenError::NotJson(Part::Header))?,
            message: message.as_bytes(),
            payload,
            signature,
            signature_bytes,
        })
    }
}

/// The payload of a token whose length and number of parts are right. Nothing else about it was looked at.
pub(crate) fn payload_of(token: &str) -> Option<Vec<u8>> {
    if token.len() > MAX_TOKEN_BYTES {
        return None;
    }
    let mut parts = token.split('.');
    let (_, payload, _) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    decode(payload).ok()
}

impl JsonError {
    pub(crate) const fn of(self, part: Part) -> TokenError {
        match self {
            Self::NotAnObject => TokenError::NotJson(part),
            Self::Duplicate => TokenError::DuplicateMember(part),
        }
    }
}

pub(crate) fn decode(part: &str) -> Result<Vec<u8>, TokenError> {
    if part.is_empty() {
        return Err(TokenError::NotCompact);
    }
    // This engine refuses padding, the `+/` alphabet, and bits left over in the last character.
    URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError::NotCompact)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(header: &str) -> String {
        format!("{}.e30.AAAA", URL_SAFE_NO_PAD.encode(header))
    }

    fn error(token: &str) -> TokenError {
        Compact::parse(token).err().expect("must be refused")
    }

    #[test]
    fn parts_are_told_apart() {
        let text = token(r#"{"alg":"RS256","kid":"k","typ":"JWT","later":{"x":1}}"#);
        let compact = Compact::parse(&text).expect("well formed");
        assert_eq!(
            (compact.header.alg.as_str(), compact.header.kid.as_deref()),
            ("RS256", Some("k"))
        );
        assert_eq!(compact.payload, b"{}");
        assert_eq!(compact.signature, "AAAA");
        assert!(text.as_bytes().starts_with(compact.message));
    }

    #[test]
    fn only_three_parts_of_strict_base64url_are_a_token() {
        let head = URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256"}"#);
        for bad in [
            String::new(),
            ".".into(),
            "..".into(),
            format!("{head}.e30"),
            format!("{head}.e30."),
            format!(".{head}.e30"),
            format!("{head}..AAAA"),
            format!("{head}.e30.AAAA.AAAA"),
            format!("{head}.e30.AAAA="),
            format!("{head}.e30.AA+A"),
            format!("{head}.e30.AA/A"),
            format!("{head}.e30.AA A"),
            format!("{head}.e30.AAAA\n"),
            format!(" {head}.e30.AAAA"),
            format!("{head}.e31.AAAA"),
        ] {
            assert_eq!(error(&bad), TokenError::NotCompact, "`{bad}`");
        }
    }

    #[test]
    fn length_is_checked_before_anything_is_decoded() {
        assert_eq!(error(&"A".repeat(MAX_TOKEN_BYTES + 1)), TokenError::TooLarge);
        assert_eq!(error(&"A".repeat(MAX_TOKEN_BYTES)), TokenError::NotCompact);
    }

    #[test]
    fn header_members_that_change_the_meaning_are_refused() {
        for member in REFUSED {
            for value in ["[\"exp\"]", "false", "null", "\"DEF\""] {
                let text = token(&format!(r#"{{"alg":"RS256","kid":"k","{member}":{value}}}"#));
                assert_eq!(error(&text), TokenError::HeaderMember(member));
                let refused = Compact::parse_of_others(&text).err();
                assert_eq!(refused.is_none(), member.starts_with("x5t"), "`{member}`");
            }
        }
    }

    #[test]
    fn headers_that_are_no_unambiguous_object_are_refused() {
        assert_eq!(
            error(&token(r#"{"alg":"RS256","alg":"none"}"#)),
            TokenError::DuplicateMember(Part::Header)
        );
        for bad in [
            "[]",
            "\"RS256\"",
            "{",
            r#"{"alg":256}"#,
            r#"{"kid":"k"}"#,
            r#"{"alg":"RS256","kid":7}"#,
        ] {
            assert_eq!(error(&token(bad)), TokenError::NotJson(Part::Header), "`{bad}`");
        }
    }
}
