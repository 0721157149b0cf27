//! The path of a route's pattern: segments between slashes, each a literal or a parameter.

use std::fmt;
use std::str::FromStr;

use percent_encoding::percent_decode_str;

use super::pattern::{InvalidPattern, clip};

/// The path that a route is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PathPattern {
    /// What stands between the slashes; none for the path `/`.
    pub segments: Vec<Segment>,
    /// Whether a slash follows the last segment. `/a` and `/a/` are two paths.
    pub trailing_slash: bool,
}

/// What stands between two slashes of a path.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Segment {
    /// Exactly this, in the canonical spelling of a request path (percent-encoded where it must be).
    Literal(String),
    /// Any one segment that is not empty, known by this name.
    Param(String),
}

impl PathPattern {
    /// The names of the parameters, from the left.
    pub fn params(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Param(name) => Some(name.as_str()),
            Segment::Literal(_) => None,
        })
    }
}

impl FromStr for PathPattern {
    type Err = InvalidPattern;

    fn from_str(path: &str) -> Result<Self, InvalidPattern> {
        let inner = path
            .strip_prefix('/')
            .ok_or_else(|| InvalidPattern::Shape(clip(path)))?;
        let (inner, trailing_slash) = match inner.strip_suffix('/') {
            Some(inner) => (inner, true),
            None => (inner, false),
        };
        if inner.is_empty() && !trailing_slash {
            return Ok(Self {
                segments: Vec::new(),
                trailing_slash: false,
            });
        }
        let segments = inner
            .split('/')
            .map(Segment::from_str)
            .collect::<Result<Vec<_>, _>>()?;
        let pattern = Self {
            segments,
            trailing_slash,
        };
        let names: Vec<&str> = pattern.params().collect();
        let repeated = names
            .iter()
            .enumerate()
            .find(|(index, name)| names.iter().take(*index).any(|n| n == *name));
        match repeated {
            Some((_, name)) => Err(InvalidPattern::RepeatedParam((*name).to_owned())),
            None => Ok(pattern),
        }
    }
}

impl FromStr for Segment {
    type Err = InvalidPattern;

    fn from_str(segment: &str) -> Result<Self, InvalidPattern> {
        let refuse = |reason| {
            Err(InvalidPattern::Segment {
                segment: clip(segment),
                reason,
            })
        };
        if let Some(name) = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            return if is_param(name) {
                Ok(Self::Param(name.to_owned()))
            } else {
                refuse("a parameter is 1 to 64 characters from `a-z 0-9 _`, the first a letter, in braces")
            };
        }
        match why_not_literal(segment) {
            Some(reason) => refuse(reason),
            None => Ok(Self::Literal(segment.to_owned())),
        }
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for segment in &self.segments {
            match segment {
                Segment::Literal(literal) => write!(f, "/{literal}")?,
                Segment::Param(name) => write!(f, "/{{{name}}}")?,
            }
        }
        if self.trailing_slash || self.segments.is_empty() {
            f.write_str("/")?;
        }
        Ok(())
    }
}

/// Why a text is not a canonical path segment (RFC 3986 §3.3), if it is not.
fn why_not_literal(segment: &str) -> Option<&'static str> {
    if segment.is_empty() {
        return Some("a segment between two slashes is not empty");
    }
    if segment == "." || segment == ".." {
        return Some("dot segments are refused in requests as well");
    }
    if segment.contains(['{', '}']) {
        return Some("a parameter takes a whole segment, as in `/documents/{doc_id}`");
    }
    if segment.contains('*') {
        return Some("there are no wildcards: write `{name}` for one segment");
    }
    if segment.contains(['?', '#']) {
        return Some("a pattern ends with the path");
    }
    if segment.contains([';', '\\']) {
        return Some("`;` and `\\` are refused in requests as well");
    }
    let mut rest = segment.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let (high, low) = (rest.next().and_then(upper_hex), rest.next().and_then(upper_hex));
            let (Some(high), Some(low)) = (high, low) else {
                return Some("`%` must be followed by two hexadecimal digits in upper case");
            };
            if let Some(reason) = why_not_escape(high << 4 | low) {
                return Some(reason);
            }
        } else if !is_unreserved(byte) && !b"!$&'()+,=:@".contains(&byte) {
            return Some("this character must be percent-encoded");
        }
    }
    percent_decode_str(segment)
        .decode_utf8()
        .is_err()
        .then_some("what is percent-encoded is not UTF-8")
}

fn why_not_escape(byte: u8) -> Option<&'static str> {
    match byte {
        b'/' | b'\\' | b'%' | 0..=0x1F | 0x7F => {
            Some("encoded separators, `%25` and control characters are refused in requests as well")
        }
        byte if is_unreserved(byte) => {
            Some("this character is not percent-encoded in a canonical path: write it as it is")
        }
        _ => None,
    }
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

fn upper_hex(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

fn is_param(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.as_bytes().first().is_some_and(u8::is_ascii_lowercase)
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> PathPattern {
        text.parse().expect(text)
    }

    #[test]
    fn a_path_is_segments_and_perhaps_a_slash() {
        let literal = |text: &str| Segment::Literal(text.to_owned());
        assert_eq!(
            path("/"),
            PathPattern {
                segments: Vec::new(),
                trailing_slash: false
            }
        );
        assert_eq!(
            path("/a"),
            PathPattern {
                segments: vec![literal("a")],
                trailing_slash: false
            }
        );
        assert_eq!(
            path("/a/"),
            PathPattern {
                segments: vec![literal("a")],
                trailing_slash: true
            }
        );
        assert_eq!(
            path("/a/{b}").segments,
            [literal("a"), Segment::Param("b".to_owned())]
        );
        assert_eq!(path("/{b}/a/{c}").params().collect::<Vec<_>>(), ["b", "c"]);
        assert!("a".parse::<PathPattern>().is_err() && "".parse::<PathPattern>().is_err());
    }

    #[test]
    fn each_byte_has_one_spelling_or_none() {
        let accepts = |path: &str| path.parse::<PathPattern>().is_ok();
        for byte in 0..=0x7F_u8 {
            let raw = accepts(&format!("/x{}x", char::from(byte))) && byte != b'/';
            let escaped = accepts(&format!("/x%{byte:02X}x"));
            if is_unreserved(byte) {
                assert!(raw && !escaped, "{byte:#x}");
            }
            if byte.is_ascii_control() || matches!(byte, b'/' | b'\\' | b'%') {
                assert!(!raw && !escaped, "{byte:#x}");
            }
            // Escapes in lower case are a second spelling.
            let lower = format!("{byte:02x}");
            assert!(
                !accepts(&format!("/x%{lower}x")) || lower == lower.to_uppercase(),
                "{byte:#x}"
            );
        }
    }

    #[test]
    fn dots_are_refused_only_where_they_climb() {
        for good in ["/.well-known", "/a..b", "/...", "/a."] {
            assert!(good.parse::<PathPattern>().is_ok(), "`{good}`");
        }
        for bad in ["/.", "/..", "/./", "/a/../b"] {
            assert!(bad.parse::<PathPattern>().is_err(), "`{bad}`");
        }
    }
}
