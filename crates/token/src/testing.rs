//! What the tests of this crate share: keys, good claims, and tokens signed by hand.

use std::sync::LazyLock;

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey};
use sentinel_core::fact::SigningKeyFact;
use serde_json::{Value, json};

use crate::jwk::PublicJwk;

/// A signing key. The private half exists in tests only.
pub(crate) struct TestKey {
    jwk: PublicJwk,
    private: EncodingKey,
}

static A: LazyLock<TestKey> = LazyLock::new(TestKey::generate);
static B: LazyLock<TestKey> = LazyLock::new(TestKey::generate);

impl TestKey {
    pub(crate) fn a() -> &'static Self {
        &A
    }

    pub(crate) fn b() -> &'static Self {
        &B
    }

    fn generate() -> Self {
        let pair = KeyPair::generate(KeySize::Rsa2048).expect("a key");
        let public = pair.public_key();
        let jwk = PublicJwk::from_components(
            public.modulus().big_endian_without_leading_zero(),
            public.exponent().big_endian_without_leading_zero(),
        );
        let der: aws_lc_rs::encoding::Pkcs8V1Der<'_> = pair.as_der().expect("PKCS#8");
        let pem = format!(
            "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
            base64::engine::general_purpose::STANDARD.encode(der.as_ref())
        );
        Self {
            jwk: jwk.expect("a good key"),
            private: EncodingKey::from_rsa_pem(pem.as_bytes()).expect("a private key"),
        }
    }

    pub(crate) fn kid(&self) -> &str {
        self.jwk.kid()
    }

    pub(crate) fn fact(&self, position: u32) -> SigningKeyFact {
        SigningKeyFact {
            kid: self.kid().to_owned(),
            jwk: self.jwk.to_json(),
            position,
        }
    }

    /// A token of exactly these bytes, with a good signature by `algorithm`.
    pub(crate) fn sign_raw(&self, header: &str, payload: &str, algorithm: Algorithm) -> String {
        let message = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header),
            URL_SAFE_NO_PAD.encode(payload)
        );
        let signature =
            jsonwebtoken::crypto::sign(message.as_bytes(), &self.private, algorithm).expect("signed");
        format!("{message}.{signature}")
    }

    /// A token with the header that we write.
    pub(crate) fn sign(&self, claims: &Value) -> String {
        self.sign_raw(&self.header(), &claims.to_string(), Algorithm::RS256)
    }

    /// The header that we write.
    pub(crate) fn header(&self) -> String {
        json!({"alg": "RS256", "kid": self.kid(), "typ": "JWT"}).to_string()
    }
}

pub(crate) const ISSUER: &str = "https://auth.example.com";
/// The tests' present moment, in seconds.
pub(crate) const NOW: i64 = 1_763_797_000;

pub(crate) fn id(number: u128) -> String {
    uuid::Uuid::from_u128(number).to_string()
}

pub(crate) fn access_claims() -> Value {
    json!({
        "iss": ISSUER, "aud": "sentinel:access", "sub": id(1), "jti": id(2), "iat": NOW - 10, "exp": NOW + 890,
        "type": "access", "email": "ada@example.com", "name": "Ada", "wid": id(3), "wslug": "acme",
        "wrole": "editor", "groups": [id(4)], "oid": null, "oslug": null, "opub": false, "sid": id(5),
        "rev": "1763797000.42", "auth_time": NOW - 20, "amr": ["pwd"],
    })
}
