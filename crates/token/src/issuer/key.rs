//! One key of another issuer (JWK, RFC 7517 §4), read so that a key that exists may verify by one algorithm only.

use aws_lc_rs::signature::{ParsedPublicKey, RsaPublicKeyComponents};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::algorithm::Algorithm;
use crate::compact::decode;
use crate::jwk::{InvalidJwk, check_exponent, check_modulus};

/// The longest name of a key.
const MAX_KID: usize = 256;

/// A public key, and the one algorithm that it is for.
#[derive(Clone)]
pub(super) struct Key {
    pub(super) kid: Option<Box<str>>,
    pub(super) algorithm: Algorithm,
    public: ParsedPublicKey,
}

/// Why a key is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// A member that a key of its type has is missing, or has the wrong type.
    #[error("it is not a JWK: `kty` or another member is missing or has the wrong type")]
    Shape,
    /// It is a secret, and whoever can verify with it could sign.
    #[error("it is symmetric, and a published secret protects nothing")]
    Symmetric,
    /// The private half is published with it.
    #[error("its private half stands there too, so that everybody can sign")]
    Private,
    /// `alg` belongs to another type of key.
    #[error("its `alg` is for another type of key")]
    Algorithm,
    /// An RSA key that is too weak or has an odd form.
    #[error(
        "its RSA key is not accepted: 2048 to 8192 bits, an odd exponent from 3, and a sound generator are expected"
    )]
    Rsa,
    /// A point that is not on its curve, or is not written in full.
    #[error("its point is not one of its curve")]
    Point,
    /// `kid` is empty or very long.
    #[error("its `kid` is empty or longer than {MAX_KID} bytes")]
    Kid,
}

/// The members that are looked at. A set may have others.
#[derive(Deserialize)]
struct Members {
    kty: String,
    kid: Option<String>,
    r#use: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    k: Option<IgnoredAny>,
    d: Option<IgnoredAny>,
    p: Option<IgnoredAny>,
    q: Option<IgnoredAny>,
    dp: Option<IgnoredAny>,
    dq: Option<IgnoredAny>,
    qi: Option<IgnoredAny>,
    oth: Option<IgnoredAny>,
}

/// What a member of a set is.
pub(super) struct Entry {
    /// Its name, whatever it is.
    pub(super) kid: Option<Box<str>>,
    /// The key, if it is one that verifies signatures by an algorithm that is supported here.
    pub(super) key: Option<Key>,
}

impl Entry {
    pub(super) fn read(json: serde_json::Value) -> Result<Self, BadKey> {
        let members: Members = serde_json::from_value(json).map_err(|_| BadKey::Shape)?;
        if members.kty == "oct" || members.k.is_some() {
            return Err(BadKey::Symmetric);
        }
        if members.is_private() {
            return Err(BadKey::Private);
        }
        let kid: Option<Box<str>> = members.kid.as_deref().map(Box::from);
        let is_odd = |kid: &str| kid.is_empty() || kid.len() > MAX_KID;
        if kid.as_deref().is_some_and(is_odd) {
            return Err(BadKey::Kid);
        }
        let key = members.public_key()?.map(|(algorithm, public)| Key {
            kid: kid.clone(),
            algorithm,
            public,
        });
        Ok(Self { kid, key })
    }
}

impl Members {
    /// Whether a member is there that only its owner knows. Any of an RSA key's gives its private half away (RFC 7518 §6.3.2);
    /// other types may have public members of these names.
    fn is_private(&self) -> bool {
        let factors = [&self.p, &self.q, &self.dp, &self.dq, &self.qi, &self.oth];
        self.d.is_some() || (self.kty == "RSA" && factors.into_iter().any(Option::is_some))
    }

    /// The key; `None` if it is for something else, or of a type that is not supported.
    fn public_key(&self) -> Result<Option<(Algorithm, ParsedPublicKey)>, BadKey> {
        let signs = self.r#use.as_deref().is_none_or(|purpose| purpose == "sig")
            && self
                .key_ops
                .as_ref()
                .is_none_or(|ops| ops.iter().any(|op| op == "verify"));
        if !signs || !matches!(self.kty.as_str(), "RSA" | "EC" | "OKP") {
            return Ok(None);
        }
        let algorithm = match self.alg.as_deref() {
            Some("none" | "HS256" | "HS384" | "HS512") => return Err(BadKey::Algorithm),
            Some(name) => match Algorithm::named(name) {
                Some(algorithm) => Some(algorithm),
                None => return Ok(None),
            },
            None => None,
        };
        if self.kty == "RSA" {
            // A key has one algorithm (RFC 8725 §3.1). Where the set does not say which, it is the one of ID tokens (OpenID
            // Connect Core §2).
            return self.rsa(algorithm.unwrap_or(Algorithm::Rs256)).map(Some);
        }
        let curve = self.crv.as_deref().ok_or(BadKey::Shape)?;
        let fits = matches!(
            (self.kty.as_str(), curve),
            ("EC", "P-256" | "P-384") | ("OKP", "Ed25519")
        );
        let Some((of_curve, parameters, length)) = Algorithm::of_curve(curve).filter(|_| fits) else {
            return Ok(None);
        };
        if algorithm.is_some_and(|algorithm| algorithm != of_curve) {
            return Err(BadKey::Algorithm);
        }
        let coordinate = |text: &Option<String>| {
            let bytes = decode(text.as_deref().ok_or(BadKey::Shape)?).map_err(|_| BadKey::Point)?;
            (bytes.len() == length).then_some(bytes).ok_or(BadKey::Point)
        };
        let mut point = coordinate(&self.x)?;
        if self.kty == "EC" {
            // SEC 1 §2.3.3: 4 means that both coordinates follow.
            point.insert(0, 4);
            point.extend(coordinate(&self.y)?);
        }
        let public = ParsedPublicKey::new(parameters, point).map_err(|_| BadKey::Point)?;
        Ok(Some((of_curve, public)))
    }

    fn rsa(&self, algorithm: Algorithm) -> Result<(Algorithm, ParsedPublicKey), BadKey> {
        let parameters = algorithm.rsa().ok_or(BadKey::Algorithm)?;
        let number =
            |text: &Option<String>| decode(text.as_deref().ok_or(BadKey::Shape)?).map_err(|_| BadKey::Rsa);
        let (n, e) = (number(&self.n)?, number(&self.e)?);
        let weak = |_: InvalidJwk| BadKey::Rsa;
        check_modulus(&n).map_err(weak)?;
        check_exponent(&e).map_err(weak)?;
        let public = RsaPublicKeyComponents { n, e }
            .to_parsed_public_key(parameters)
            .map_err(|_| BadKey::Rsa)?;
        Ok((algorithm, public))
    }
}

impl Key {
    /// Whether `signature` is one of this key over `message`.
    pub(super) fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        self.public.verify_sig(message, signature).is_ok()
    }
}
