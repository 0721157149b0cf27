//! The control plane's part in a sign-in: a key, and the tokens that are signed with it.

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use sentinel_core::fact::SigningKeyFact;
use sentinel_core::{Fact, Timestamp};
use sentinel_token::PublicJwk;
use serde_json::json;
use uuid::Uuid;

/// When requests are made.
pub(crate) const NOW: Timestamp = Timestamp::UNIX_EPOCH;

/// How many seconds a token is good for.
const LIFETIME: i64 = 900;

/// Signs access tokens.
pub(crate) struct Signer {
    jwk: PublicJwk,
    private: EncodingKey,
}

impl Signer {
    /// The control plane that the tokens are of.
    pub(crate) const ISSUER: &str = "http://127.0.0.1:9003";

    /// With a key of its own.
    pub(crate) fn new() -> Self {
        let pair = KeyPair::generate(KeySize::Rsa2048).expect("a key");
        let public = pair.public_key();
        let jwk = PublicJwk::from_components(
            public.modulus().big_endian_without_leading_zero(),
            public.exponent().big_endian_without_leading_zero(),
        );
        let der: aws_lc_rs::encoding::Pkcs8V1Der<'_> = pair.as_der().expect("PKCS#8");
        let pem = format!(
            "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
            STANDARD.encode(der.as_ref())
        );
        Self {
            jwk: jwk.expect("a good key"),
            private: EncodingKey::from_rsa_pem(pem.as_bytes()).expect("a private key"),
        }
    }

    /// What edges are told of the key.
    pub(crate) fn fact(&self) -> Fact {
        Fact::SigningKey(SigningKeyFact {
            kid: self.jwk.kid().to_owned(),
            jwk: self.jwk.to_json(),
            position: 0,
        })
    }

    /// The access token of a user in a workspace.
    pub(crate) fn token(&self, user: Uuid, workspace: Uuid) -> String {
        let now = NOW.timestamp();
        let claims = json!({
            "iss": Self::ISSUER, "aud": "sentinel:access", "sub": user, "jti": Uuid::from_u128(1), "iat": now,
            "exp": now + LIFETIME, "type": "access", "email": "ann@example.com", "name": "Ann", "wid": workspace,
            "wslug": "acme", "wrole": "viewer", "groups": [], "sid": Uuid::from_u128(2),
        });
        let mut header = Header::new(Algorithm::RS256);
        header.kid = Some(self.jwk.kid().to_owned());
        jsonwebtoken::encode(&header, &claims, &self.private).expect("a signature")
    }
}
