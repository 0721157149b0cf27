//! The request target: origin form, in the one spelling that RFC 3986 §6.2.2 calls normalised.

use memchr::memchr;
use percent_encoding::percent_decode;
use sentinel_core::Denial;

use super::characters::{is_invisible, is_lookalike};

/// Path and query of a request, with the path cut into decoded segments.
///
/// INVARIANT: the segments, decoded, are the pieces of the very bytes in `raw`; none but the last is empty, none is a dot
/// segment, and none has a character that a recipient could take for a separator, that is invisible, or white space at
/// its ends. So the slashes of the decoded path are those of the path as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    raw: Box<str>,
    path: usize,
    /// The path with everything decoded, if that is another text.
    decoded: Option<Box<str>>,
}

impl Target {
    /// The target, if it is a path in canonical spelling and perhaps a query.
    ///
    /// # Errors
    /// [`Denial::PathNotCanonical`] for everything that could be read in a second way.
    pub fn parse(raw: &[u8]) -> Result<Self, Denial> {
        Self::canonical(raw).ok_or(Denial::PathNotCanonical)
    }

    /// Path and query, byte for byte as they came and as they go.
    pub fn raw(&self) -> &str {
        &self.raw
    }

    /// The path alone, byte for byte.
    pub fn path(&self) -> &str {
        self.raw.get(..self.path).unwrap_or(&self.raw)
    }

    /// What follows the question mark, byte for byte; empty if there is none.
    pub fn query(&self) -> &str {
        let rest = self.raw.get(self.path..).unwrap_or_default();
        rest.strip_prefix('?').unwrap_or_default()
    }

    /// The decoded segments. `/` has none; a trailing slash gives a last, empty one.
    pub fn segments(&self) -> impl Iterator<Item = &str> + Clone {
        let path = self.decoded.as_deref().unwrap_or_else(|| self.path());
        let rest = path.strip_prefix('/').filter(|inside| !inside.is_empty());
        Segments { rest }
    }

    /// Whether [`Self::parse`] would take it; nothing is kept.
    ///
    /// # Errors
    /// As there.
    pub fn check(raw: &[u8]) -> Result<(), Denial> {
        path_of(raw).map(drop).ok_or(Denial::PathNotCanonical)
    }

    fn canonical(raw: &[u8]) -> Option<Self> {
        let path = path_of(raw)?;
        let decoded = match memchr(b'%', path) {
            None => None,
            Some(_) => Some(String::from_utf8(percent_decode(path).collect()).ok()?.into()),
        };
        Some(Self {
            path: path.len(),
            raw: std::str::from_utf8(raw).ok()?.into(),
            decoded,
        })
    }
}

/// What stands between the slashes of a path.
#[derive(Debug, Clone)]
struct Segments<'t> {
    /// What was not gone through yet; `None` behind the last one.
    rest: Option<&'t str>,
}

impl<'t> Iterator for Segments<'t> {
    type Item = &'t str;

    fn next(&mut self) -> Option<&'t str> {
        let rest = self.rest?;
        let slash = memchr(b'/', rest.as_bytes());
        let (segment, behind) = match slash.and_then(|slash| rest.split_at_checked(slash)) {
            Some((segment, behind)) => (segment, behind.get(1..)),
            None => (rest, None),
        };
        self.rest = behind;
        Some(segment)
    }
}

/// The path of a target in canonical spelling.
fn path_of(raw: &[u8]) -> Option<&[u8]> {
    let (path, query) = match memchr(b'?', raw) {
        Some(end) => (raw.get(..end)?, raw.get(end..)?),
        None => (raw, &[][..]),
    };
    let mut rest = path.strip_prefix(b"/")?;
    if !query.iter().all(|byte| is_query_byte(*byte)) {
        return None;
    }
    while let Some(end) = memchr(b'/', rest) {
        let (piece, behind) = rest.split_at_checked(end)?;
        // Nothing stands behind the last slash, and nowhere else.
        if piece.is_empty() || !is_canonical(piece) {
            return None;
        }
        rest = behind.get(1..)?;
    }
    is_canonical(rest).then_some(path)
}

/// Whether a segment has one spelling and one reading.
fn is_canonical(segment: &[u8]) -> bool {
    if segment == b"." || segment == b".." {
        return false;
    }
    // Of what needs no encoding nothing can be taken for anything else.
    segment.iter().all(|byte| is(*byte, PCHAR))
        || (is_plainly_encoded(segment)
            && percent_decode(segment)
                .decode_utf8()
                .is_ok_and(|text| is_plain(&text)))
}

/// Whether a decoded segment is the same for every reader.
fn is_plain(segment: &str) -> bool {
    // A `%` that is left would be decoded by whoever decodes twice.
    let splits = |c: char| c.is_control() || matches!(c, '/' | '\\' | ';' | '%');
    // No character of ASCII is invisible or looks like another one.
    let clean = if segment.is_ascii() {
        !segment.bytes().any(|byte| splits(char::from(byte)))
    } else {
        !segment
            .chars()
            .any(|c| splits(c) || is_invisible(c) || is_lookalike(c))
    };
    // Some file systems and frameworks drop white space at the ends of a name.
    clean && segment.trim() == segment
}

/// Whether a segment has only `pchar`s (RFC 3986 §3.3) but `;`, and encodes only what has to be encoded.
fn is_plainly_encoded(mut bytes: &[u8]) -> bool {
    while let Some((&byte, rest)) = bytes.split_first() {
        bytes = rest;
        if byte == b'%' {
            let Some((value, after)) = escape(rest) else {
                return false;
            };
            if is_unreserved(value) {
                return false;
            }
            bytes = after;
        } else if !is(byte, PCHAR) {
            return false;
        }
    }
    true
}

/// The byte that two hexadecimal digits stand for, and what follows them.
fn escape(after_percent: &[u8]) -> Option<(u8, &[u8])> {
    let (digits, rest) = after_percent.split_at_checked(2)?;
    let mut value = 0_u8;
    for digit in digits {
        let digit = char::from(*digit).to_digit(16)?;
        value = value.checked_mul(16)?.checked_add(u8::try_from(digit).ok()?)?;
    }
    Some((value, rest))
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// Classes of bytes, a bit each.
const PCHAR: u8 = 1;
const QUERY: u8 = 2;

/// The classes of every byte.
const CLASSES: [u8; 256] = {
    let (mut table, mut byte) = ([0; 256], 0_u8);
    while byte < 128 {
        if matches!(byte, b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'.' | b'_' | b'~')
            || matches!(
                byte,
                b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b'=' | b':' | b'@'
            )
        {
            table[byte as usize] |= PCHAR;
        }
        if byte.is_ascii_graphic() && !matches!(byte, b'"' | b'#' | b'<' | b'>') {
            table[byte as usize] |= QUERY;
        }
        byte += 1;
    }
    table
};

fn is(byte: u8, class: u8) -> bool {
    CLASSES.get(usize::from(byte)).is_some_and(|of| of & class != 0)
}

/// Queries are looser than RFC 3986 because browsers are (WHATWG URL, query state); they decide nothing here. What Pingora
/// would have to escape before it forwards is refused.
fn is_query_byte(byte: u8) -> bool {
    is(byte, QUERY)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// What is only checked is checked like what is kept, and what is kept reads like its decoded path.
        #[test]
        fn a_checked_target_is_a_parsed_one(raw in r"/([a./%;?~ -]|%2[0-9a-fA-F]|%C3%A9|//){0,12}") {
            let parsed = Target::parse(raw.as_bytes());
            prop_assert_eq!(Target::check(raw.as_bytes()).is_ok(), parsed.is_ok());
            if let Ok(target) = parsed {
                let decoded = percent_encoding::percent_decode_str(target.path()).decode_utf8_lossy();
                let inside = decoded.strip_prefix('/').filter(|inside| !inside.is_empty());
                let expected: Vec<&str> = inside.into_iter().flat_map(|inside| inside.split('/')).collect();
                prop_assert_eq!(target.segments().collect::<Vec<_>>(), expected);
            }
        }
    }

    #[test]
    fn canonical_paths_keep_their_bytes_and_give_decoded_segments() {
        for (raw, segments) in [
            ("/", &[] as &[&str]),
            ("/a", &["a"]),
            ("/a/b/c?x=/../y&z=%2e", &["a", "b", "c"]),
            ("/a/", &["a", ""]),
            ("/a%20b", &["a b"]),
            ("/caf%C3%A9", &["café"]),
            ("/a..b/...", &["a..b", "..."]),
            ("/a:b@c!$&'()*+,=~", &["a:b@c!$&'()*+,=~"]),
            ("/?q={a|b}", &[]),
        ] {
            let target = Target::parse(raw.as_bytes()).expect(raw);
            assert_eq!(target.raw(), raw);
            assert_eq!(target.segments().collect::<Vec<_>>(), segments, "`{raw}`");
            let (path, query) = raw.split_once('?').unwrap_or((raw, ""));
            assert_eq!((target.path(), target.query()), (path, query));
        }
    }

    #[test]
    fn every_disguise_is_refused() {
        for bad in [
            // No origin form.
            "",
            "*",
            "admin/secret",
            "?x=1",
            "a.example:80",
            "http://a.example/admin",
            "%20/",
            // Dot segments.
            "/.",
            "/..",
            "/public/../admin",
            "/public/./admin",
            "/public/..",
            "/%2e%2e/admin",
            "/%2E%2E/admin",
            "/.%2e/admin",
            "/a/%2e",
            "/..%2fadmin",
            // Separators in other spellings.
            "//admin",
            "/a//b",
            "/a//",
            "//",
            "/a\\b",
            "/a%5cb",
            "/a%2fb",
            "/a%2Fb",
            "/a%00b",
            "/a;b",
            "/a/..;/b",
            "/a%3bb",
            "/a%0ab",
            "/a%7f",
            "/a%c2%85",
            // Encoded twice.
            "/%252e%252e/admin",
            "/a%252fb",
            "/100%25",
            // White space at an end.
            "/a%20",
            "/%20a",
            "/%20",
            "/a/%20/b",
            "/a%C2%A0",
            "/a%E3%80%80",
            // Invisible characters.
            "/a%E2%80%8B",
            "/a%E2%80%8Db",
            "/%EF%BB%BFa",
            "/a%C2%ADb",
            "/a%E2%80%AEb",
            "/a%E2%80%A8b",
            "/a%F3%A0%80%A0",
            // Slashes and dots in disguise.
            "/%EF%BC%8E%EF%BC%8E/admin",
            "/%EF%BC%8E",
            "/a%EF%BC%8Fadmin",
            "/a%E2%88%95admin",
            "/a%E2%81%84admin",
            "/%E2%80%A5/admin",
            "/a%EF%BC%BCb",
            "/a%EF%BC%85b",
            "/a%EF%BC%9Bb",
            // Encoded without need.
            "/%61dmin",
            "/a%7Eb",
            // Not text.
            "/a%ff",
            "/a%c0%af",
            "/a%zz",
            "/a%2",
            "/a%",
            "/a b",
            "/a\tb",
            "/a\"b",
            "/a<b>",
            "/a[b]",
            "/a|b",
            "/ä",
            "/a#b",
            "/a?b#c",
            "/a?b c",
            "/a?\"",
            "/a?\u{e4}",
        ] {
            assert_eq!(
                Target::parse(bad.as_bytes()),
                Err(Denial::PathNotCanonical),
                "`{bad}`"
            );
        }
        assert_eq!(Target::parse(b"/a\xff"), Err(Denial::PathNotCanonical));
        assert_eq!(Target::parse(b"/a\0"), Err(Denial::PathNotCanonical));
    }
}
