//! The number under which a request is found in logs, in the answer and in the service's logs.
//!
//! It is always made here. What a client sends as `X-Request-ID` is not taken over: two clients could choose the same.

use http::HeaderValue;
use sentinel_core::Random;

/// 128 random bits, in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(Box<str>);

impl RequestId {
    /// A fresh number.
    pub fn generate(random: &dyn Random) -> Self {
        let mut bytes = [0_u8; 16];
        random.fill(&mut bytes);
        let digit = |nibble: u8| char::from(nibble + if nibble < 10 { b'0' } else { b'a' - 10 });
        let mut text = String::with_capacity(2 * bytes.len());
        for byte in bytes {
            text.push(digit(byte >> 4));
            text.push(digit(byte & 15));
        }
        Self(text.into())
    }

    /// The number as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The number as a header value.
    pub fn header_value(&self) -> HeaderValue {
        // INVARIANT: hexadecimal digits are a header value.
        HeaderValue::from_str(&self.0).unwrap_or_else(|_| HeaderValue::from_static("-"))
    }

    #[cfg(test)]
    pub(crate) fn fixed(text: &str) -> Self {
        Self(text.into())
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
