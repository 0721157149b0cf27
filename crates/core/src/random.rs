//! Randomness as an argument. Ids and secrets come from the source that a caller was handed.

use rand::Rng as _;

/// A source of bytes that cannot be predicted.
pub trait Random: Send + Sync + 'static {
    /// Fills the whole of `bytes`.
    fn fill(&self, bytes: &mut [u8]);
}

/// The process's cryptographically secure generator (`ChaCha`, seeded and reseeded by the operating system).
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that asks for ambient randomness"
    )]
    fn fill(&self, bytes: &mut [u8]) {
        rand::rng().fill_bytes(bytes);
    }
}

/// 256 bits from `random`, the size of every secret that Sentinel makes.
pub fn secret_bytes(random: &dyn Random) -> [u8; 32] {
    let mut bytes = [0_u8; 32];
    random.fill(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_secrets_differ() {
        assert_ne!(secret_bytes(&SystemRandom), secret_bytes(&SystemRandom));
    }
}
