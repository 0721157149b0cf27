//! Hashes under a secret key of what people and programs outside have chosen: nobody can choose ids that all fall into
//! one place.
//!
//! Words of 64 bits are taken as pairs of 32 bits, a pair `(x, y)` adds the product `(a + x) · (b + y)` modulo 2⁶⁴ under
//! random `a` and `b` of its own, a random number is added once, and the upper 32 bits are the hash. This family is
//! strongly universal: whatever two inputs are chosen without knowing the key, each pair of hashes is as likely as every
//! other, so that they fall together with a probability of exactly 2⁻³² (Lemire and Kaser, "Strongly universal string
//! hashing is fast", The Computer Journal 57, 2014: Multilinear-HM; after the pair-multiply-shift of Black and others'
//! UMAC, 1999, and Thorup, "High speed hashing for integers and strings", 2015). The reason in short: if two inputs differ
//! in `x`, then for every choice of the other keys the difference of their sums contains `b` times a number other than 0
//! and below 2³², which spreads a random `b` evenly over the upper 32 bits. Of texts of different lengths the length,
//! which has a factor of its own, does the same.
//!
//! The place of an entry follows from its hash by a mix with a seed; the proof is about the hashes, and longer texts rest on
//! `SipHash` instead. What it needs is that nobody sees which inputs fall together. Nobody is told a hash, and what one more step
//! costs is a few nanoseconds in a request that crosses a network.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;

/// Up to how many bytes of text there are keys for. Beginnings of ids are shorter, and so are nearly all other ids.
const SHORT: usize = 128;
const PAIRS: usize = SHORT / 8;

/// A random key.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    sum: u64,
    length: u64,
    pairs: [[u64; 2]; PAIRS],
    /// `SipHash`, which takes texts of any length.
    long: RandomState,
}

/// What is hashed under a key.
pub(super) trait Hashed {
    /// The hash.
    fn hashed(&self, keys: &Keys) -> u32;
}

impl Keys {
    /// A new key, from the standard library's random ones: `SipHash` makes as many words of one as are needed.
    pub(super) fn random() -> Self {
        let long = RandomState::new();
        let mut words = (0_u64..).map(|number| long.hash_one(number));
        let mut word = || words.next().unwrap_or_default();
        Self {
            sum: word(),
            length: word(),
            pairs: [(); PAIRS].map(|()| [word(), word()]),
            long,
        }
    }

    /// The hash of a fixed number of words: at most as many as there are pairs.
    pub(super) fn of_words<const N: usize>(&self, words: [u64; N]) -> u32 {
        const { assert!(N <= PAIRS) };
        upper(self.plus(self.sum, words))
    }

    /// The hash of a text.
    pub(super) fn of_text(&self, text: &str) -> u32 {
        let bytes = text.as_bytes();
        if bytes.len() > SHORT {
            return upper(self.long.hash_one(bytes));
        }
        let (whole, rest) = bytes.as_chunks::<8>();
        // The last eight bytes are taken whole where there are so many: what of them was taken before does no harm.
        let last = match bytes.last_chunk() {
            Some(last) => u64::from_le_bytes(*last),
            None => rest
                .iter()
                .rev()
                .fold(0, |word, byte| (word << 8) | u64::from(*byte)),
        };
        let words = whole.iter().map(|word| u64::from_le_bytes(*word));
        let length = self.length.wrapping_mul(bytes.len() as u64);
        let sum = self.sum.wrapping_add(length);
        upper(self.plus(sum, words.chain((!rest.is_empty()).then_some(last))))
    }

    fn plus(&self, sum: u64, words: impl IntoIterator<Item = u64>) -> u64 {
        let pairs = words.into_iter().zip(&self.pairs);
        pairs.fold(sum, |sum, (word, [a, b])| {
            let (x, y) = (word & u64::from(u32::MAX), word >> 32);
            sum.wrapping_add(a.wrapping_add(x).wrapping_mul(b.wrapping_add(y)))
        })
    }
}

fn upper(word: u64) -> u32 {
    u32::try_from(word >> 32).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const KEYS: usize = 4096;

    /// For each two of these inputs, under how many keys the four highest bits are the same is what chance says: a
    /// sixteenth, with a standard deviation of 15.5 in 4096 keys. Seven of them are allowed.
    fn are_apart<T: std::fmt::Debug>(inputs: &[T], hash: impl Fn(&Keys, &T) -> u32) {
        let keys: Vec<Keys> = (0..KEYS).map(|_| Keys::random()).collect();
        let hashes: Vec<Vec<u32>> = inputs
            .iter()
            .map(|input| keys.iter().map(|keys| hash(keys, input) >> 28).collect())
            .collect();
        for (number, one) in hashes.iter().enumerate() {
            for (other, another) in hashes.iter().enumerate().skip(number + 1) {
                let together = one
                    .iter()
                    .zip(another)
                    .filter(|(one, other)| one == other)
                    .count();
                assert!(
                    (148..=364).contains(&together),
                    "{:?} and {:?}: {together}",
                    inputs[number],
                    inputs[other]
                );
            }
        }
    }

    #[test]
    fn chosen_words_fall_together_as_chance_says() {
        let mut inputs = vec![[0; 3], [u64::MAX; 3], [1, 2, 3], [3, 2, 1], [2, 1, 3]];
        for word in 0..3 {
            for bits in [1, 2, 1 << 31, 1 << 32, 1 << 63, 0xffff_ffff, 0xffff_ffff << 32] {
                let mut input = [0; 3];
                input[word] = bits;
                inputs.push(input);
            }
        }
        are_apart(&inputs, |keys, input| keys.of_words(*input));
    }

    #[test]
    fn chosen_texts_fall_together_as_chance_says() {
        // Zeroes are what a text is filled up with, and of the last eight bytes some are taken twice.
        let lengths = [0, 1, 7, 8, 9, 15, 16, 17, 127, 128, 129];
        let mut inputs: Vec<String> = lengths.into_iter().map(|length| "\0".repeat(length)).collect();
        let texts = [
            "docs/document/",
            "docs/document0",
            "docs/folder/",
            "aaaaaaaaaaaaaaab",
            "baaaaaaaaaaaaaaa",
        ];
        inputs.extend(texts.map(str::to_owned));
        are_apart(&inputs, |keys, input| keys.of_text(input));
    }

    #[test]
    fn every_byte_of_a_text_of_any_length_counts() {
        let keys = Keys::random();
        for length in 0..200 {
            let text = "a".repeat(length);
            let mut others: Vec<u32> = (0..length)
                .map(|at| keys.of_text(&format!("{}b{}", &text[..at], &text[at + 1..])))
                .collect();
            others.push(keys.of_text(&text));
            others.push(keys.of_text(&format!("{text}\0")));
            let distinct: HashSet<u32> = others.iter().copied().collect();
            assert!(distinct.len() + 1 >= others.len(), "{length}");
            assert_eq!(keys.of_text(&text), keys.clone().of_text(&text));
        }
    }
}
