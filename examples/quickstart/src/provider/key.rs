//! The provider's signing key: RS256 over ID tokens, and its public half as a JWK.

use anyhow::{Result, anyhow};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// The `kid` of the only key there is.
const KID: &str = "demo";

/// A key pair that lives as long as the process.
#[derive(Debug)]
pub(super) struct SigningKey(RsaKeyPair);

impl SigningKey {
    pub(super) fn generate() -> Result<Self> {
        RsaKeyPair::generate(KeySize::Rsa2048)
            .map(Self)
            .map_err(|_| anyhow!("cannot make the demo provider's signing key"))
    }

    /// The published key set (RFC 7517).
    pub(super) fn jwks(&self) -> Value {
        let public = self.0.public_key();
        let number = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        json!({"keys": [{
            "kty": "RSA",
            "use": "sig",
            "alg": "RS256",
            "kid": KID,
            "n": number(public.modulus().big_endian_without_leading_zero()),
            "e": number(public.exponent().big_endian_without_leading_zero()),
        }]})
    }

    /// `claims` as a signed JWT.
    pub(super) fn sign(&self, claims: &Value) -> Result<String> {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let header = json!({"alg": "RS256", "typ": "JWT", "kid": KID});
        let message = format!("{}.{}", part(&header), part(claims));
        let mut signature = vec![0; self.0.public_modulus_len()];
        self.0
            .sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                message.as_bytes(),
                &mut signature,
            )
            .map_err(|_| anyhow!("cannot sign an ID token"))?;
        Ok(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};

    use super::*;

    #[test]
    fn what_is_signed_verifies_with_the_published_key() {
        let key = SigningKey::generate().expect("key");
        let token = key.sign(&json!({"sub": "alice"})).expect("token");
        let (message, signature) = token.rsplit_once('.').expect("three parts");
        let jwk = &key.jwks()["keys"][0];
        let number = |name: &str| {
            URL_SAFE_NO_PAD
                .decode(jwk[name].as_str().expect(name))
                .expect(name)
        };
        let public = RsaPublicKeyComponents {
            n: number("n"),
            e: number("e"),
        };
        let signature = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
        public
            .verify(&RSA_PKCS1_2048_8192_SHA256, message.as_bytes(), &signature)
            .expect("verifies");
        assert_eq!(jwk["e"], "AQAB");
    }
}
