//! One number for a set of facts, whatever their order: two replicas that have it in common have the same facts.
//!
//! It finds divergence (a defect), not forgery: what is not ours is kept out by signatures.

use std::fmt;

use sentinel_core::Fact;
use sentinel_token::sha256;

/// The sum, modulo 2^128, of the first 16 bytes of each fact's SHA-256. Adding and removing a fact costs the same
/// however many there are.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Digest(u128);

impl Digest {
    /// The digest of no facts.
    pub const EMPTY: Self = Self(0);

    /// The digest of the one fact that has this canonical line.
    pub fn of_line(line: &[u8]) -> Self {
        let mut half = [0_u8; 16];
        for (to, from) in half.iter_mut().zip(sha256(line)) {
            *to = from;
        }
        Self(u128::from_be_bytes(half))
    }

    /// The digest of one fact.
    pub fn of(fact: &Fact) -> Self {
        Self::of_line(fact.to_string().as_bytes())
    }

    /// The digest of two disjoint sets together.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.wrapping_add(other.0))
    }

    /// The digest of what is left without a subset.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self(self.0.wrapping_sub(other.0))
    }

    /// The 16 bytes on the wire.
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// A digest from the wire.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(bytes))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fact(line: &str) -> Fact {
        line.parse().expect(line)
    }

    #[test]
    fn it_is_part_of_the_contract() {
        // The first half of SHA-256 of the line, as `sha256sum` prints it.
        let digest = Digest::of(&fact("tuple group:1#member@user:2"));
        assert_eq!(digest.to_string(), "4e4808359a487e55a431692b6244b873");
        assert_eq!(Digest::from_bytes(digest.to_bytes()), digest);
    }

    #[test]
    fn order_does_not_count_and_removal_undoes_addition() {
        let (a, b) = (
            Digest::of(&fact("tuple group:1#member@user:2")),
            Digest::of(&fact("tuple group:1#member@user:3")),
        );
        assert_eq!(a.plus(b), b.plus(a));
        assert_eq!(Digest::EMPTY.minus(a).plus(b).plus(a), b);
        assert_ne!(a, b);
    }
}
