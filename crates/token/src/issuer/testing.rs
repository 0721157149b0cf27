//! Keys and tokens of an issuer that is not us.

use std::sync::LazyLock;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair as _,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm as Jwa;
use serde_json::{Value, json};

use crate::testing::{NOW, TestKey};

pub(super) const ISSUER: &str = "https://idp.example";
pub(super) const AUDIENCE: &str = "https://api.example";

/// A private key of the issuer.
pub(super) enum Private {
    Rsa(&'static TestKey),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

static P256: LazyLock<Private> =
    LazyLock::new(|| Private::Ec(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key")));
static P384: LazyLock<Private> =
    LazyLock::new(|| Private::Ec(EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).expect("a key")));
static ED: LazyLock<Private> = LazyLock::new(|| Private::Ed(Ed25519KeyPair::generate().expect("a key")));
static RSA: LazyLock<Private> = LazyLock::new(|| Private::Rsa(TestKey::a()));
static OTHER_RSA: LazyLock<Private> = LazyLock::new(|| Private::Rsa(TestKey::b()));

pub(super) fn rsa() -> &'static Private {
    &RSA
}

pub(super) fn other_rsa() -> &'static Private {
    &OTHER_RSA
}

pub(super) fn p256() -> &'static Private {
    &P256
}

pub(super) fn p384() -> &'static Private {
    &P384
}

pub(super) fn ed() -> &'static Private {
    &ED
}

impl Private {
    /// The public half, with this `kid` and without `alg` and `use`.
    pub(super) fn jwk(&self, kid: &str) -> Value {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match self {
            Self::Rsa(key) => {
                let jwk: Value = serde_json::from_str(&key.fact(0).jwk).expect("JSON");
                json!({"kty": "RSA", "kid": kid, "n": jwk["n"], "e": jwk["e"]})
            }
            Self::Ec(pair) => {
                let point = &pair.public_key().as_ref()[1..];
                let (x, y) = point.split_at(point.len() / 2);
                let crv = if x.len() == 32 { "P-256" } else { "P-384" };
                json!({"kty": "EC", "kid": kid, "crv": crv, "x": text(x), "y": text(y)})
            }
            Self::Ed(pair) => {
                json!({"kty": "OKP", "kid": kid, "crv": "Ed25519", "x": text(pair.public_key().as_ref())})
            }
        }
    }

    /// A token of exactly these bytes, with a good signature. `jwa` is how an RSA key signs.
    pub(super) fn sign(&self, header: &Value, payload: &str, jwa: Jwa) -> String {
        let header = header.to_string();
        let message = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(&header),
            URL_SAFE_NO_PAD.encode(payload)
        );
        let signature = match self {
            Self::Rsa(key) => return key.sign_raw(&header, payload, jwa),
            Self::Ec(pair) => pair
                .sign(&SystemRandom::new(), message.as_bytes())
                .expect("signed")
                .as_ref()
                .to_vec(),
            Self::Ed(pair) => pair.sign(message.as_bytes()).as_ref().to_vec(),
        };
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// A set of keys as a document.
pub(super) fn set(keys: &[Value]) -> String {
    json!({ "keys": keys }).to_string()
}

/// The claims of a good access token.
pub(super) fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": [AUDIENCE, "https://other.example"], "sub": "auth0|42", "iat": NOW - 100,
        "exp": NOW + 890, "jti": "x", "client_id": "app", "scope": "read",
    })
}

/// The claims of a good ID token.
pub(super) fn identity_claims() -> Value {
    json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": "auth0|42", "iat": NOW - 100, "exp": NOW + 890, "nonce": "n",
        "at_hash": "h", "azp": AUDIENCE, "email": "ada@example.com", "email_verified": true, "name": "Ada",
    })
}
