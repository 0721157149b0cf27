//! Encryption of private keys at rest: AES-256-GCM under the configured key, bound to the row by associated data.

use std::str::FromStr;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret, SecretBox, SecretSlice, SecretString};
use sentinel_core::Random;
use sentinel_core::random::secret_bytes;

/// The layout of what is stored: this byte, the nonce, the ciphertext with its tag.
const VERSION: u8 = 1;

/// The key that private keys are stored under. It is not stored with them.
pub struct EncryptionKey(SecretBox<[u8; 32]>);

/// A text that is not an encryption key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the encryption key is not 32 bytes: write them as 64 hex digits or as base64url")]
pub struct InvalidEncryptionKey;

impl EncryptionKey {
    /// A fresh key.
    pub fn generate(random: &dyn Random) -> Self {
        Self(SecretBox::new(Box::new(secret_bytes(random))))
    }

    /// A key from its 32 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, InvalidEncryptionKey> {
        let key = <[u8; 32]>::try_from(bytes).map_err(|_| InvalidEncryptionKey)?;
        Ok(Self(SecretBox::new(Box::new(key))))
    }

    /// The key as text (base64url), for the file that it is kept in.
    pub fn to_text(&self) -> SecretString {
        URL_SAFE_NO_PAD.encode(self.0.expose_secret()).into()
    }

    /// Encrypts `plain` for `context`.
    pub(crate) fn seal(&self, context: &str, plain: &[u8], random: &dyn Random) -> Vec<u8> {
        let mut nonce = [0_u8; NONCE_LEN];
        random.fill(&mut nonce);
        let mut sealed = plain.to_vec();
        let done = self.cipher().and_then(|cipher| {
            cipher
                .seal_in_place_append_tag(
                    Nonce::assume_unique_for_key(nonce),
                    Aad::from(context.as_bytes()),
                    &mut sealed,
                )
                .ok()
        });
        // INVARIANT: the cipher takes every 32-byte key, and seals anything below 64 GiB.
        debug_assert!(done.is_some());
        match done {
            Some(()) => [&[VERSION][..], &nonce, &sealed].concat(),
            None => Vec::new(),
        }
    }

    /// Decrypts what was sealed for the same context; `None` if the key, the context or a byte is another one.
    pub(crate) fn open(&self, context: &str, sealed: &[u8]) -> Option<SecretSlice<u8>> {
        let (&version, rest) = sealed.split_first()?;
        if version != VERSION || rest.len() < NONCE_LEN {
            return None;
        }
        let (nonce, ciphertext) = rest.split_at(NONCE_LEN);
        let mut buffer = ciphertext.to_vec();
        let plain = self
            .cipher()?
            .open_in_place(
                Nonce::try_assume_unique_for_key(nonce).ok()?,
                Aad::from(context.as_bytes()),
                &mut buffer,
            )
            .ok()?;
        Some(SecretSlice::from(plain.to_vec()))
    }

    fn cipher(&self) -> Option<LessSafeKey> {
        UnboundKey::new(&AES_256_GCM, self.0.expose_secret())
            .ok()
            .map(LessSafeKey::new)
    }
}

impl FromStr for EncryptionKey {
    type Err = InvalidEncryptionKey;

    fn from_str(text: &str) -> Result<Self, InvalidEncryptionKey> {
        let text = text.trim();
        let bytes = if text.len() == 64 {
            hex(text)
        } else {
            [URL_SAFE_NO_PAD, URL_SAFE, STANDARD, STANDARD_NO_PAD]
                .iter()
                .find_map(|engine| engine.decode(text).ok())
        };
        bytes
            .ok_or(InvalidEncryptionKey)
            .and_then(|bytes| Self::from_bytes(&bytes))
    }
}

impl std::fmt::Debug for EncryptionKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EncryptionKey(…)")
    }
}

fn hex(text: &str) -> Option<Vec<u8>> {
    text.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use sentinel_core::SystemRandom;

    use super::*;

    #[test]
    fn only_the_same_key_and_context_open_what_was_sealed() {
        let (key, other) = (
            EncryptionKey::generate(&SystemRandom),
            EncryptionKey::generate(&SystemRandom),
        );
        let sealed = key.seal("row a", b"private", &SystemRandom);
        assert_eq!(
            key.open("row a", &sealed).expect("opens").expose_secret(),
            b"private"
        );
        assert!(key.open("row b", &sealed).is_none());
        assert!(other.open("row a", &sealed).is_none());
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            assert!(key.open("row a", &changed).is_none(), "byte {index}");
        }
        assert!(key.open("row a", &[]).is_none());
        assert!(key.open("row a", &sealed[..5]).is_none());
    }

    #[test]
    fn a_key_is_read_from_hex_and_base64() {
        let key = EncryptionKey::generate(&SystemRandom);
        let text = key.to_text();
        let again: EncryptionKey = text.expose_secret().parse().expect("own text");
        assert_eq!(again.0.expose_secret(), key.0.expose_secret());
        assert!(format!("{}\n", "ab".repeat(32)).parse::<EncryptionKey>().is_ok());
        for bad in ["", "secret", &"ab".repeat(31), &"zz".repeat(32)] {
            assert!(bad.parse::<EncryptionKey>().is_err(), "`{bad}`");
        }
    }
}
