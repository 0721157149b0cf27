//! An issuer that is not the control plane: its keys and what it signs. Also included by the tests in `tests/`, so it names
//! nothing of this crate.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// The tests' present moment, in seconds.
const NOW: i64 = 1_763_797_000;

/// A signing key of the issuer.
pub(crate) struct IssuerKey {
    kid: &'static str,
    pair: EcdsaKeyPair,
}

impl IssuerKey {
    pub(crate) fn new(kid: &'static str) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
        Self { kid, pair }
    }

    pub(crate) fn jwk(&self) -> Value {
        let (x, y) = self.pair.public_key().as_ref()[1..].split_at(32);
        let text = |bytes| URL_SAFE_NO_PAD.encode(bytes);
        json!({"kty": "EC", "crv": "P-256", "kid": self.kid, "use": "sig", "x": text(x), "y": text(y)})
    }

    /// The set of this key alone.
    pub(crate) fn set(&self) -> String {
        json!({"keys": [self.jwk()]}).to_string()
    }

    pub(crate) fn sign(&self, claims: &Value) -> String {
        let header = json!({"alg": "ES256", "kid": self.kid, "typ": "JWT"}).to_string();
        let message = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header),
            URL_SAFE_NO_PAD.encode(claims.to_string())
        );
        let signature = self.pair.sign(&SystemRandom::new(), message.as_bytes());
        format!(
            "{message}.{}",
            URL_SAFE_NO_PAD.encode(signature.expect("signed").as_ref())
        )
    }

    /// An access token of `issuer` for the audience `api`, with whatever `change` makes of its claims.
    pub(crate) fn access(&self, issuer: &str, change: impl FnOnce(&mut Value)) -> String {
        let mut claims =
            json!({"iss": issuer, "aud": "api", "sub": "auth0|4 2", "iat": NOW - 10, "exp": NOW + 890});
        change(&mut claims);
        self.sign(&claims)
    }

    /// An ID token of `issuer` for the client `web`, with whatever `change` makes of its claims.
    pub(crate) fn identity(&self, issuer: &str, change: impl FnOnce(&mut Value)) -> String {
        let mut claims = json!({
            "iss": issuer, "aud": "web", "sub": "g-1", "iat": NOW - 10, "exp": NOW + 890, "nonce": "n",
            "email": "olga@idp.example", "email_verified": true, "name": "Olga I.",
        });
        change(&mut claims);
        self.sign(&claims)
    }
}

/// What makes an access token of the control plane an authz token: for the subject `g-1` and the service `docs`.
pub(crate) fn authz(claims: &mut Value) {
    let Value::Object(members) = claims else {
        panic!("claims are an object")
    };
    for name in ["email", "name", "groups"] {
        members.remove(name);
    }
    for (name, value) in [
        ("aud", "sentinel:authz"),
        ("type", "authz"),
        ("idp_sub", "g-1"),
        ("svc", "docs"),
    ] {
        members.insert(name.to_owned(), json!(value));
    }
}
