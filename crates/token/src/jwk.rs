//! One public signing key (JWK, RFC 7517), parsed so that a key that exists is a key that may verify.
//!
//! Stricter than the JWT library on purpose: it ignores `use` and `key_ops`, and takes weak keys.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use serde::{Deserialize, Serialize};

use crate::hash::sha256;
use crate::json::unambiguous_object;
use crate::roca;

/// The algorithm of every signing key (RFC 7518 §3.3).
pub const ALGORITHM: &str = "RS256";

const MIN_MODULUS_BITS: usize = 2048;
const MAX_MODULUS_BITS: usize = 8192;

/// A public RSA key that verifies RS256 signatures.
#[derive(Clone)]
pub struct PublicJwk {
    kid: String,
    n: String,
    e: String,
    key: DecodingKey,
}

/// Why a key is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidJwk {
    /// Not one JSON object with exactly the members of a public RSA signing key.
    #[error(
        "the key is not a public RSA key in JWK form (`kty`, `n`, `e`, `use`, `alg`, `kid`): give the public half"
    )]
    Shape,
    /// A member has a value that a signing key of ours cannot have.
    #[error("the key's `{0}` is not accepted: an RS256 signing key is expected")]
    Member(&'static str),
    /// The modulus is too small, too large, or even.
    #[error("the key's modulus has {0} bits or is even: 2048 to 8192 bits are expected")]
    Modulus(usize),
    /// The exponent is even, 1, or too large.
    #[error("the key's exponent is not an odd number from 3 to 2^32: use 65537")]
    Exponent,
    /// The key was made by the generator of CVE-2017-15361.
    #[error(
        "the key was made by the faulty generator of CVE-2017-15361 and can be factored: make another one"
    )]
    Weak,
    /// `kid` is not the key's own thumbprint.
    #[error("the key's `kid` is not its RFC 7638 thumbprint")]
    Kid,
}

/// The members on the wire, in the order of the contract.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Members {
    kty: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key_ops: Option<Vec<String>>,
    n: String,
    e: String,
    r#use: String,
    alg: String,
    kid: String,
}

impl PublicJwk {
    /// Reads a key from JSON. Private members, unknown members and repeated members are refused.
    pub fn parse(json: &str) -> Result<Self, InvalidJwk> {
        unambiguous_object(json.as_bytes()).map_err(|_| InvalidJwk::Shape)?;
        let members: Members = serde_json::from_str(json).map_err(|_| InvalidJwk::Shape)?;
        let expected = [
            ("kty", members.kty == "RSA"),
            ("use", members.r#use == "sig"),
            ("alg", members.alg == ALGORITHM),
            ("key_ops", members.key_ops.is_none_or(|ops| ops == ["verify"])),
        ];
        if let Some((name, _)) = expected.into_iter().find(|(_, holds)| !holds) {
            return Err(InvalidJwk::Member(name));
        }
        let n = URL_SAFE_NO_PAD
            .decode(&members.n)
            .map_err(|_| InvalidJwk::Member("n"))?;
        let e = URL_SAFE_NO_PAD
            .decode(&members.e)
            .map_err(|_| InvalidJwk::Member("e"))?;
        let jwk = Self::from_components(&n, &e)?;
        if jwk.kid == members.kid {
            Ok(jwk)
        } else {
            Err(InvalidJwk::Kid)
        }
    }

    /// A key from modulus and exponent, both big endian without leading zeros. Its `kid` is its thumbprint.
    pub fn from_components(n: &[u8], e: &[u8]) -> Result<Self, InvalidJwk> {
        check_modulus(n)?;
        check_exponent(e)?;
        let key = DecodingKey::from_rsa_raw_components(n, e);
        let (n, e) = (URL_SAFE_NO_PAD.encode(n), URL_SAFE_NO_PAD.encode(e));
        // RFC 7638 §3: the required members only, in lexical order, without white space.
        let thumbprint = sha256(format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#).as_bytes());
        Ok(Self {
            kid: URL_SAFE_NO_PAD.encode(thumbprint),
            n,
            e,
            key,
        })
    }

    /// The key's name: its RFC 7638 thumbprint.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The algorithm that tokens of this key must name.
    pub const fn algorithm(&self) -> &'static str {
        ALGORITHM
    }

    /// The key as a JWK in JSON, in the one spelling that facts and the JWKS use.
    pub fn to_json(&self) -> String {
        let Self { kid, n, e, .. } = self;
        // All values are base64url, so there is nothing to escape.
        format!(
            r#"{{"kty":"RSA","key_ops":["verify"],"n":"{n}","e":"{e}","use":"sig","alg":"{ALGORITHM}","kid":"{kid}"}}"#
        )
    }

    pub(crate) fn decoding_key(&self) -> &DecodingKey {
        &self.key
    }
}

impl PartialEq for PublicJwk {
    fn eq(&self, other: &Self) -> bool {
        (&self.n, &self.e) == (&other.n, &other.e)
    }
}

impl Eq for PublicJwk {}

impl std::fmt::Debug for PublicJwk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PublicJwk")
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}

pub(crate) fn check_modulus(n: &[u8]) -> Result<(), InvalidJwk> {
    let leading = n.first().map_or(8, |byte| byte.leading_zeros() as usize);
    let bits = (n.len() * 8).saturating_sub(leading);
    let odd = n.last().is_some_and(|byte| byte & 1 == 1);
    if leading == 8 {
        return Err(InvalidJwk::Member("n"));
    }
    if !odd || !(MIN_MODULUS_BITS..=MAX_MODULUS_BITS).contains(&bits) {
        return Err(InvalidJwk::Modulus(bits));
    }
    if roca::is_weak(n) {
        Err(InvalidJwk::Weak)
    } else {
        Ok(())
    }
}

pub(crate) fn check_exponent(e: &[u8]) -> Result<(), InvalidJwk> {
    let canonical = (1..=4).contains(&e.len()) && e.first().is_some_and(|byte| *byte != 0);
    let value = e
        .iter()
        .fold(0_u64, |value, byte| (value << 8) | u64::from(*byte));
    if canonical && value > 1 && value % 2 == 1 {
        Ok(())
    } else {
        Err(InvalidJwk::Exponent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The example of RFC 7638 §3.1.
    const N: &str = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
    const KID: &str = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs";

    fn json(kty: &str, n: &str, e: &str, extra: &str) -> String {
        format!(r#"{{"kty":"{kty}","n":"{n}","e":"{e}","use":"sig","alg":"RS256","kid":"{KID}"{extra}}}"#)
    }

    #[test]
    fn the_thumbprint_is_the_one_of_the_rfc() {
        let jwk = PublicJwk::parse(&json("RSA", N, "AQAB", "")).expect("valid");
        assert_eq!(jwk.kid(), KID);
        let again = PublicJwk::parse(&jwk.to_json()).expect("own spelling");
        assert_eq!(again, jwk);
        assert_eq!(again.to_json(), jwk.to_json());
    }

    #[test]
    fn private_unknown_and_repeated_members_are_refused() {
        for extra in [
            r#","d":"AQAB""#,
            r#","p":"AQAB""#,
            r#","k":"AQAB""#,
            r#","x5u":"https://evil.example""#,
            r#","kid":"other""#,
        ] {
            assert_eq!(
                PublicJwk::parse(&json("RSA", N, "AQAB", extra)),
                Err(InvalidJwk::Shape),
                "{extra}"
            );
        }
        for bad in [
            "",
            "[]",
            "{}",
            r#"{"kty":"oct","k":""}"#,
            r#"{"kty":"RSA","n":1,"e":"AQAB"}"#,
        ] {
            assert_eq!(PublicJwk::parse(bad), Err(InvalidJwk::Shape), "{bad}");
        }
    }

    #[test]
    fn a_key_for_another_purpose_is_refused() {
        let good = json("RSA", N, "AQAB", "");
        for (from, to, member) in [
            (r#""sig""#, r#""enc""#, "use"),
            (r#""RS256""#, r#""PS256""#, "alg"),
            (r#""RS256""#, r#""none""#, "alg"),
            (r#""RSA""#, r#""EC""#, "kty"),
            (r#""kty""#, r#""key_ops":["sign"],"kty""#, "key_ops"),
            (r#""kty""#, r#""key_ops":["verify","sign"],"kty""#, "key_ops"),
            ("0vx7", "0vx+", "n"),
        ] {
            assert_eq!(
                PublicJwk::parse(&good.replacen(from, to, 1)),
                Err(InvalidJwk::Member(member))
            );
        }
        assert_eq!(PublicJwk::parse(&good.replace(KID, "mine")), Err(InvalidJwk::Kid));
    }

    #[test]
    fn weak_keys_are_refused() {
        let modulus = URL_SAFE_NO_PAD.decode(N).expect("base64url");
        let of = |n: &[u8], e: &[u8]| PublicJwk::from_components(n, e).map(|_| ());
        let mut even = modulus.clone();
        *even.last_mut().expect("bytes") &= 0xfe;
        let roca = crate::roca::fingerprinted_for_tests();
        assert_eq!(of(&modulus, &[1, 0, 1]), Ok(()));
        assert_eq!(of(&modulus[..128], &[1, 0, 1]), Err(InvalidJwk::Modulus(1024)));
        assert_eq!(of(&even, &[1, 0, 1]), Err(InvalidJwk::Modulus(2048)));
        assert_eq!(
            of(&[&[0], modulus.as_slice()].concat(), &[1, 0, 1]),
            Err(InvalidJwk::Member("n"))
        );
        assert_eq!(of(&[], &[1, 0, 1]), Err(InvalidJwk::Member("n")));
        assert_eq!(
            of(&modulus.repeat(5), &[1, 0, 1]),
            Err(InvalidJwk::Modulus(10_240))
        );
        assert_eq!(of(&roca, &[1, 0, 1]), Err(InvalidJwk::Weak));
        for e in [
            &[][..],
            &[0],
            &[1],
            &[2],
            &[1, 0, 0],
            &[0, 1, 0, 1],
            &[1, 0, 0, 0, 1],
        ] {
            assert_eq!(of(&modulus, e), Err(InvalidJwk::Exponent), "{e:?}");
        }
    }
}
