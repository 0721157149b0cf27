//! The RSA key that signs tokens (RS256).

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use sentinel_token::{InvalidJwk, PublicJwk};
use serde::Serialize;

use super::KeysError;
use super::pem::{self, Label};

/// Bytes that are not a key which tokens may be signed with.
#[derive(Debug, thiserror::Error)]
pub enum InvalidTokenKey {
    /// Not a PEM text with one private key.
    #[error("not a PEM file with one `PRIVATE KEY` or `RSA PRIVATE KEY`")]
    Pem,
    /// Not an RSA private key.
    #[error("not an RSA private key of 2048 to 8192 bits")]
    Rsa,
    /// An RSA key that verifiers would refuse.
    #[error("the public half is not accepted by verifiers")]
    Public(#[from] InvalidJwk),
}

/// A private key, ready to sign.
pub(crate) struct TokenKey {
    jwk: PublicJwk,
    pkcs8: SecretSlice<u8>,
    encoding: EncodingKey,
    header: Header,
}

impl TokenKey {
    pub(super) fn generate() -> Result<Self, KeysError> {
        let pair = KeyPair::generate(KeySize::Rsa2048).map_err(|_| KeysError::Generate)?;
        Self::from_pair(&pair).map_err(|_| KeysError::Generate)
    }

    pub(super) fn from_pkcs8(der: &SecretSlice<u8>) -> Result<Self, InvalidTokenKey> {
        let pair = KeyPair::from_pkcs8(der.expose_secret()).map_err(|_| InvalidTokenKey::Rsa)?;
        Self::from_pair(&pair)
    }

    pub(crate) fn from_pem(text: &SecretString) -> Result<Self, InvalidTokenKey> {
        let (label, der) = pem::decode(text).ok_or(InvalidTokenKey::Pem)?;
        let pair = match label {
            Label::PrivateKey => KeyPair::from_pkcs8(der.expose_secret()),
            Label::RsaPrivateKey => KeyPair::from_der(der.expose_secret()),
        };
        Self::from_pair(&pair.map_err(|_| InvalidTokenKey::Rsa)?)
    }

    fn from_pair(pair: &KeyPair) -> Result<Self, InvalidTokenKey> {
        let public = pair.public_key();
        let jwk = PublicJwk::from_components(
            public.modulus().big_endian_without_leading_zero(),
            public.exponent().big_endian_without_leading_zero(),
        )?;
        let der: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| InvalidTokenKey::Rsa)?;
        let pkcs8 = SecretSlice::from(der.as_ref().to_vec());
        let text = pem::encode(pkcs8.expose_secret());
        let encoding =
            EncodingKey::from_rsa_pem(text.expose_secret().as_bytes()).map_err(|_| InvalidTokenKey::Rsa)?;
        let mut header = Header::new(Algorithm::RS256);
        header.kid = Some(jwk.kid().to_owned());
        Ok(Self {
            jwk,
            pkcs8,
            encoding,
            header,
        })
    }

    pub(crate) fn kid(&self) -> &str {
        self.jwk.kid()
    }

    pub(super) fn jwk(&self) -> &PublicJwk {
        &self.jwk
    }

    pub(super) fn pkcs8(&self) -> &[u8] {
        self.pkcs8.expose_secret()
    }

    pub(super) fn to_pem(&self) -> SecretString {
        pem::encode(self.pkcs8.expose_secret())
    }

    /// The claims as a signed JWT.
    pub(crate) fn sign(&self, claims: &impl Serialize) -> Result<SecretString, jsonwebtoken::errors::Error> {
        jsonwebtoken::encode(&self.header, claims, &self.encoding).map(Into::into)
    }
}

impl std::fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TokenKey({})", self.jwk.kid())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_survives_its_pem() {
        let key = TokenKey::generate().expect("key");
        let again = TokenKey::from_pem(&key.to_pem()).expect("own PEM");
        assert_eq!(again.kid(), key.kid());
        let again = TokenKey::from_pkcs8(&SecretSlice::from(key.pkcs8().to_vec())).expect("own DER");
        assert_eq!(again.kid(), key.kid());
        assert!(!format!("{key:?}").contains("PRIVATE"));
    }

    #[test]
    fn what_is_no_key_says_so() {
        let refused = |text: &str| {
            TokenKey::from_pem(&text.to_owned().into())
                .expect_err("refused")
                .to_string()
        };
        assert!(refused("hello").starts_with("not a PEM file"));
        let pem = pem::encode(&[1; 64]);
        assert!(refused(pem.expose_secret()).starts_with("not an RSA private key"));
    }
}
