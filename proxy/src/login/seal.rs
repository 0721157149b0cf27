//! What the edge leaves with a browser so that nobody, the browser included, can read it, change it, or use it under
//! another name or at another host: AES-256-GCM with a key derived from the configured secret (HKDF, RFC 5869).

use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret as _, SecretString};
use sentinel_core::Random;

/// Separates this use of the secret from any other.
const PURPOSE: &[u8] = b"sentinel-proxy login cookies 1";
/// Far more than anything that is sealed.
const LONGEST: usize = 8192;

/// Seals and opens.
pub(super) struct Sealer {
    key: LessSafeKey,
    random: Arc<dyn Random>,
}

impl Sealer {
    /// With the key that `secret` stands for.
    pub(super) fn new(secret: &SecretString, random: Arc<dyn Random>) -> Result<Self, Unspecified> {
        let derived = Salt::none(HKDF_SHA256).extract(secret.expose_secret().as_bytes());
        let key = UnboundKey::from(derived.expand(&[PURPOSE], &AES_256_GCM)?);
        Ok(Self {
            key: LessSafeKey::new(key),
            random,
        })
    }

    /// `plain`, sealed for the cookie `name` of `host`.
    pub(super) fn seal(&self, name: &str, host: &str, plain: &[u8]) -> Result<String, Unspecified> {
        let mut nonce = [0; NONCE_LEN];
        self.random.fill(&mut nonce);
        let mut sealed = plain.to_vec();
        let bound_to = Aad::from(context(name, host));
        let with = Nonce::assume_unique_for_key(nonce);
        self.key.seal_in_place_append_tag(with, bound_to, &mut sealed)?;
        Ok(URL_SAFE_NO_PAD.encode([&nonce, sealed.as_slice()].concat()))
    }

    /// What was sealed for the cookie `name` of `host`, if it was.
    pub(super) fn open(&self, name: &str, host: &str, text: &str) -> Option<Vec<u8>> {
        if text.len() > LONGEST {
            return None;
        }
        let mut bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (nonce, sealed) = bytes.split_at_mut_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let bound_to = Aad::from(context(name, host));
        let plain = self.key.open_in_place(nonce, bound_to, sealed).ok()?;
        Some(plain.to_vec())
    }
}

/// What is authenticated besides. Neither a cookie's name nor a host can have a NUL.
fn context(name: &str, host: &str) -> Vec<u8> {
    [name.as_bytes(), b"\0", host.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use sentinel_core::SystemRandom;

    use super::*;

    fn sealer(secret: &str) -> Sealer {
        Sealer::new(&secret.into(), Arc::new(SystemRandom)).expect("a key")
    }

    #[test]
    fn what_is_sealed_is_opened_under_its_name_at_its_host_with_its_key_only() {
        let one = sealer("one secret of thirty-two letters");
        let text = one.seal("__Host-a", "a.example", b"hush").expect("sealed");
        assert_eq!(
            one.open("__Host-a", "a.example", &text).as_deref(),
            Some(b"hush".as_slice())
        );
        assert_eq!(one.open("__Host-b", "a.example", &text), None);
        assert_eq!(one.open("__Host-a", "b.example", &text), None);
        let other = sealer("another secret of thirty letters");
        assert_eq!(other.open("__Host-a", "a.example", &text), None);
        let again = sealer("one secret of thirty-two letters");
        assert!(
            again.open("__Host-a", "a.example", &text).is_some(),
            "the same key"
        );
    }

    #[test]
    fn no_changed_byte_is_missed() {
        let one = sealer("one secret of thirty-two letters");
        let text = one.seal("a", "h", b"0123456789").expect("sealed");
        let bytes = URL_SAFE_NO_PAD.decode(&text).expect("base64");
        for index in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[index] ^= 1;
            assert_eq!(
                one.open("a", "h", &URL_SAFE_NO_PAD.encode(changed)),
                None,
                "{index}"
            );
        }
        for bad in [
            "",
            "a",
            "####",
            &text[..text.len() - 4],
            &"A".repeat(LONGEST + 1),
            &text[..12],
        ] {
            assert_eq!(one.open("a", "h", bad), None, "`{bad}`");
        }
    }

    #[test]
    fn the_same_text_is_never_sealed_alike() {
        let one = sealer("one secret of thirty-two letters");
        let seal = || one.seal("a", "h", b"hush").expect("sealed");
        assert_ne!(seal(), seal());
    }
}
