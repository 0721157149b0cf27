//! What a token is recognized by among those that were verified a moment ago, in place of its text.
//!
//! Every request pays for it, so it is not a hash that anybody could compute but a keyed universal one: the tag of GMAC (NIST
//! SP 800-38D) over the token, under a key that this process made for itself and never shows. Two texts of up to 32 KiB have
//! the same fingerprint with a chance of less than 1 in 2^116, whoever chooses them: GHASH of a text is a polynomial in a secret
//! point, and the difference of two has no more than two thousand and some roots among 2^128. A nonce that is used again would tell the
//! key to those who see tags; nobody does, as they are only compared within the process.

use std::fmt;

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use sentinel_core::Random;

use crate::hash::sha256;

/// How many bytes a fingerprint has.
const LENGTH: usize = 16;

/// The fingerprint of a token. Those of two [`Fingerprinter`]s have nothing to do with each other.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; LENGTH]);

/// Makes fingerprints.
pub struct Fingerprinter(Option<LessSafeKey>);

impl Fingerprinter {
    /// With a key of its own.
    pub fn new(random: &dyn Random) -> Self {
        let mut key = [0_u8; LENGTH];
        random.fill(&mut key);
        // INVARIANT: that is the length of the key, so there is one.
        Self(UnboundKey::new(&AES_128_GCM, &key).ok().map(LessSafeKey::new))
    }

    /// The fingerprint of a token.
    pub fn of(&self, token: &[u8]) -> Fingerprint {
        let tag = self.0.as_ref().and_then(|key| {
            let nonce = Nonce::assume_unique_for_key([0; 12]);
            key.seal_in_place_separate_tag(nonce, Aad::from(token), &mut [])
                .ok()
        });
        let tag = tag.as_ref().and_then(|tag| tag.as_ref().first_chunk().copied());
        // Only a text of more than 2^60 bytes has no tag; its fingerprint is another good one.
        let other = || sha256(token).first_chunk().copied().unwrap_or_default();
        Fingerprint(tag.unwrap_or_else(other))
    }
}

impl Fingerprint {
    /// A number in which every bit is as likely as its opposite.
    pub(crate) fn number(&self) -> u64 {
        self.0.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }

    /// Another such number, of one byte.
    pub(crate) fn last(&self) -> u8 {
        self.0.last().copied().unwrap_or_default()
    }

    #[cfg(test)]
    pub(crate) fn fixed(byte: u8) -> Self {
        Self([byte; LENGTH])
    }
}

/// It is not shown: it stands for a token.
impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprint(…)")
    }
}

/// Its key is not shown.
impl fmt::Debug for Fingerprinter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprinter(…)")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use sentinel_core::SystemRandom;

    use super::*;

    #[test]
    fn one_token_has_one_fingerprint_and_another_has_another() {
        let fingers = Fingerprinter::new(&SystemRandom);
        let token = b"head.claims.signature".repeat(40);
        assert_eq!(fingers.of(&token), fingers.of(&token));
        let mut seen = HashSet::new();
        // Every single bit counts, and so does the length, with whatever the text ends.
        for at in 0..token.len() {
            for bit in 0..8 {
                let mut other = token.clone();
                other[at] ^= 1 << bit;
                assert!(seen.insert(fingers.of(&other).0), "bit {bit} of byte {at}");
            }
        }
        for length in 0..=token.len() {
            assert!(seen.insert(fingers.of(&token[..length]).0), "{length} bytes");
            let zeros = vec![0; length];
            assert!(length == 0 || seen.insert(fingers.of(&zeros).0), "{length} zeros");
        }
    }

    #[test]
    fn nobody_else_can_compute_them_and_nothing_shows() {
        let (one, other) = (
            Fingerprinter::new(&SystemRandom),
            Fingerprinter::new(&SystemRandom),
        );
        assert_ne!(one.of(b"token"), other.of(b"token"));
        assert_ne!(
            one.of(b"token").0[..],
            sha256(b"token")[..LENGTH],
            "it is no plain hash"
        );
        assert_eq!(
            format!("{:?} {one:?}", one.of(b"token")),
            "Fingerprint(…) Fingerprinter(…)"
        );
    }
}
