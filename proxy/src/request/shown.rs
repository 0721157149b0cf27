//! A credential as it was shown: the end of a line of the request's own head, which is shared and not copied. Wiping a copy
//! would leave the head that it was copied from.

use std::fmt;

use http::HeaderValue;

/// A credential, unverified. It does not print.
#[derive(Clone)]
pub struct Shown {
    line: HeaderValue,
    /// Where it begins in the line; it goes on to its end.
    start: usize,
}

impl Shown {
    /// The whole value of a header.
    pub fn whole(line: &HeaderValue) -> Self {
        Self::behind(line, 0)
    }

    /// What stands in a header behind the first `start` bytes of its value.
    pub fn behind(line: &HeaderValue, start: usize) -> Self {
        Self {
            line: line.clone(),
            start,
        }
    }

    /// The credential; empty if it is no text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.line.as_bytes().get(self.start..).unwrap_or_default()
    }
}

/// A credential that is no header by itself. What no header could carry becomes the empty credential, which is never good.
impl From<&[u8]> for Shown {
    fn from(bytes: &[u8]) -> Self {
        let line = HeaderValue::from_bytes(bytes).unwrap_or_else(|_| HeaderValue::from_static(""));
        Self::whole(&line)
    }
}

impl From<&str> for Shown {
    fn from(text: &str) -> Self {
        text.as_bytes().into()
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shown(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_is_the_end_of_its_line() {
        let line = HeaderValue::from_static("Bearer a.b.c");
        let shown = Shown::behind(&line, 7);
        assert_eq!((shown.as_str(), shown.as_bytes()), ("a.b.c", b"a.b.c".as_slice()));
        assert_eq!(Shown::whole(&line).as_str(), "Bearer a.b.c");
        assert_eq!(Shown::behind(&line, 12).as_str(), "");
        assert_eq!(Shown::behind(&line, 13).as_str(), "");
    }

    #[test]
    fn what_is_no_text_is_empty_and_nothing_prints() {
        let line = HeaderValue::from_bytes(b"\xff\xfe").expect("opaque bytes are a value");
        assert_eq!(Shown::whole(&line).as_str(), "");
        assert_eq!(Shown::whole(&line).as_bytes(), b"\xff\xfe");
        assert_eq!(Shown::from("a\nb").as_str(), "");
        assert_eq!(Shown::from("a.b.c").as_str(), "a.b.c");
        assert!(!format!("{:?}", Shown::from("hush")).contains("hush"));
    }
}
