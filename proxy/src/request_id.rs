//! The number under which a request is found in logs, in the answer and in the service's logs.
//!
//! It is always made here. What a client sends as `X-Request-ID` is not taken over: two clients could choose the same.

use http::HeaderValue;
use sentinel_core::Random;

/// How many digits it has.
const DIGITS: usize = 32;

/// 128 random bits, in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId {
    digits: [u8; DIGITS],
    length: usize,
}

impl RequestId {
    /// A fresh number.
    pub fn generate(random: &dyn Random) -> Self {
        let mut bytes = [0_u8; DIGITS / 2];
        random.fill(&mut bytes);
        let digit = |nibble: u8| nibble + if nibble < 10 { b'0' } else { b'a' - 10 };
        let mut digits = [0; DIGITS];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(bytes) {
            pair.copy_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
        }
        Self {
            digits,
            length: DIGITS,
        }
    }

    /// The number as text.
    pub fn as_str(&self) -> &str {
        // INVARIANT: hexadecimal digits are text.
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// The number as a header value.
    pub fn header_value(&self) -> HeaderValue {
        // INVARIANT: hexadecimal digits are a header value.
        HeaderValue::from_bytes(self.as_bytes()).unwrap_or_else(|_| HeaderValue::from_static("-"))
    }

    fn as_bytes(&self) -> &[u8] {
        self.digits.get(..self.length).unwrap_or(&self.digits)
    }

    #[cfg(test)]
    pub(crate) fn fixed(text: &str) -> Self {
        let mut digits = [0; DIGITS];
        digits[..text.len()].copy_from_slice(text.as_bytes());
        Self {
            digits,
            length: text.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use sentinel_core::SystemRandom;

    use super::*;

    #[test]
    fn numbers_differ_and_are_32_digits() {
        let (a, b) = (
            RequestId::generate(&SystemRandom),
            RequestId::generate(&SystemRandom),
        );
        assert_ne!(a, b);
        assert_eq!(a.as_str().len(), 32);
        assert!(a.as_str().bytes().all(|b| b.is_ascii_hexdigit()));
        assert_eq!(a.header_value().as_bytes(), a.as_str().as_bytes());
    }
}
