//! The path of a route's pattern: segments between slashes, each a literal or a parameter, and perhaps a tail.

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
    /// One segment that is not empty: `{name}`, or `{name:kind}`.
    Param {
        /// By which it is known.
        name: String,
        /// What may stand there.
        kind: ParamKind,
    },
    /// All the rest of the path, at least one segment, none of them empty: `{name*}`. Always the last one, and no slash
    /// follows it.
    Tail(String),
}

/// What may stand where a parameter is. The later ones are the more specific ones; `int` and `uuid` have no text in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ParamKind {
    /// Anything but nothing.
    Any,
    /// Small letters, digits and hyphens.
    Slug,
    /// A decimal number without a sign and without leading zeros.
    Int,
    /// A UUID in lower case with hyphens (RFC 9562 §4).
    Uuid,
}

impl ParamKind {
    /// All of them, the least specific one first.
    pub const ALL: [Self; 4] = [Self::Any, Self::Slug, Self::Int, Self::Uuid];

    /// What stands behind the colon; nothing for any text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Any => "",
            Self::Slug => "slug",
            Self::Int => "int",
            Self::Uuid => "uuid",
        }
    }

    /// Whether a decoded segment is of this kind. An empty one is of none.
    pub fn accepts(self, segment: &str) -> bool {
        let bytes = segment.as_bytes();
        match self {
            Self::Any => !bytes.is_empty(),
            Self::Slug => {
                !bytes.is_empty()
                    && bytes
                        .iter()
                        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-')
            }
            Self::Int => match bytes {
                [] => false,
                [b'0'] => true,
                [first, rest @ ..] => (b'1'..=b'9').contains(first) && rest.iter().all(u8::is_ascii_digit),
            },
            Self::Uuid => {
                bytes.len() == 36
                    && bytes.iter().enumerate().all(|(at, b)| match at {
                        8 | 13 | 18 | 23 => *b == b'-',
                        _ => b.is_ascii_digit() || (b'a'..=b'f').contains(b),
                    })
            }
        }
    }

    /// A segment of this kind, for messages.
    pub const fn example(self) -> &'static str {
        match self {
            Self::Any | Self::Slug => "x",
            Self::Int => "1",
            Self::Uuid => "0190a0a0-0000-7000-8000-000000000001",
        }
    }
}

/// The most segments that a pattern may have.
const MOST_SEGMENTS: usize = 64;

impl PathPattern {
    /// The names of the parameters that are one segment each, from the left. The tail is not among them.
    pub fn params(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Param { name, .. } => Some(name.as_str()),
            Segment::Literal(_) | Segment::Tail(_) => None,
        })
    }

    /// The name of the tail, if there is one.
    pub fn tail(&self) -> Option<&str> {
        match self.segments.last() {
            Some(Segment::Tail(name)) => Some(name),
            _ => None,
        }
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
        if segments.len() > MOST_SEGMENTS {
            return Err(InvalidPattern::TooLong(MOST_SEGMENTS));
        }
        let pattern = Self {
            segments,
            trailing_slash,
        };
        let before_last = pattern
            .segments
            .len()
            .saturating_sub(usize::from(!trailing_slash));
        let misplaced = pattern
            .segments
            .iter()
            .take(before_last)
            .find_map(|segment| match segment {
                Segment::Tail(name) => Some(name),
                _ => None,
            });
        if let Some(name) = misplaced {
            return Err(InvalidPattern::Tail(name.clone()));
        }
        let names: Vec<&str> = pattern.params().chain(pattern.tail()).collect();
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
            let (name, kind) = match name.split_once(':') {
                Some((name, kind)) => (name, Some(kind)),
                None => (name, None),
            };
            let (name, is_tail) = match name.strip_suffix('*') {
                Some(name) => (name, true),
                None => (name, false),
            };
            if !is_param(name) {
                return refuse(
                    "a parameter is 1 to 64 characters from `a-z 0-9 _`, the first a letter, in braces; behind it may stand `:uuid`, `:int` or `:slug`, or `*` for all the rest of the path",
                );
            }
            let name = name.to_owned();
            return match kind {
                Some(_) if is_tail => refuse("the rest of the path has no type: remove what follows the `*`"),
                None if is_tail => Ok(Self::Tail(name)),
                None => Ok(Self::Param {
                    name,
                    kind: ParamKind::Any,
                }),
                Some(kind) => match ParamKind::ALL
                    .into_iter()
                    .find(|known| !kind.is_empty() && known.as_str() == kind)
                {
                    Some(kind) => Ok(Self::Param { name, kind }),
                    None => refuse("a parameter is of the type `uuid`, `int` or `slug`, or of none"),
                },
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
            write!(f, "/{segment}")?;
        }
        if self.trailing_slash || self.segments.is_empty() {
            f.write_str("/")?;
        }
        Ok(())
    }
}

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(literal) => f.write_str(literal),
            Self::Param {
                name,
                kind: ParamKind::Any,
            } => write!(f, "{{{name}}}"),
            Self::Param { name, kind } => write!(f, "{{{name}:{}}}", kind.as_str()),
            Self::Tail(name) => write!(f, "{{{name}*}}"),
        }
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
        return Some("there are no wildcards: write `{name}` for one segment, or `{name*}` for all the rest");
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
    match percent_decode_str(segment).decode_utf8() {
        Err(_) => Some("what is percent-encoded is not UTF-8"),
        Ok(decoded) if decoded.trim() != decoded => {
            Some("white space at the end of a segment is refused in requests as well")
        }
        Ok(_) => None,
    }
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

    fn param(name: &str, kind: ParamKind) -> Segment {
        Segment::Param {
            name: name.to_owned(),
            kind,
        }
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
            [literal("a"), param("b", ParamKind::Any)]
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
    fn a_parameter_may_have_a_type_and_the_last_one_may_be_the_rest() {
        assert_eq!(
            path("/{a:uuid}/{b:int}/{c:slug}/{d*}").segments,
            [
                param("a", ParamKind::Uuid),
                param("b", ParamKind::Int),
                param("c", ParamKind::Slug),
                Segment::Tail("d".to_owned()),
            ]
        );
        let pattern = path("/a/{b:int}/{rest*}");
        assert_eq!(pattern.params().collect::<Vec<_>>(), ["b"]);
        assert_eq!(pattern.tail(), Some("rest"));
        assert_eq!(pattern.to_string(), "/a/{b:int}/{rest*}");
        assert_eq!(path("/a/{b}").tail(), None);
        for bad in [
            "/{rest*}/a",
            "/{rest*}/",
            "/{rest*}/{other*}",
            "/{*}",
            "/{*rest}",
            "/{a**}",
            "/{rest*:int}",
            "/{rest:int*}",
            "/{a:}",
            "/{a:INT}",
            "/{a:float}",
            "/{a:int:int}",
            "/{:int}",
            "/{a}/{a*}",
            "/{a:int}/{a}",
            "/%20a",
        ] {
            assert!(bad.parse::<PathPattern>().is_err(), "`{bad}`");
        }
    }

    #[test]
    fn a_path_has_at_most_as_many_segments_as_the_table_is_deep() {
        assert!("/a".repeat(MOST_SEGMENTS).parse::<PathPattern>().is_ok());
        let longer = "/a".repeat(MOST_SEGMENTS + 1);
        assert_eq!(
            longer.parse::<PathPattern>(),
            Err(InvalidPattern::TooLong(MOST_SEGMENTS))
        );
    }

    #[test]
    fn a_kind_has_its_alphabet() {
        let kinds = |text: &str| -> Vec<&str> {
            let accepting = ParamKind::ALL.into_iter().filter(|kind| kind.accepts(text));
            accepting.map(ParamKind::as_str).collect()
        };
        assert_eq!(kinds(""), [""; 0]);
        for number in ["0", "7", "10", "18446744073709551616"] {
            assert_eq!(kinds(number), ["", "slug", "int"], "`{number}`");
        }
        for slug in ["a", "-", "a-b-9", "007", "00", "1e3", "-1"] {
            assert_eq!(kinds(slug), ["", "slug"], "`{slug}`");
        }
        assert_eq!(
            kinds("0190a0a0-0000-7000-8000-00000000000f"),
            ["", "slug", "uuid"]
        );
        for text in [
            "A",
            "a_b",
            "1.0",
            "+1",
            "\u{661}",
            "é",
            "0190A0A0-0000-7000-8000-00000000000F",
            "{0190a0a0-0000-7000-8000-00000000000f}",
        ] {
            assert_eq!(kinds(text), [""], "`{text}`");
        }
        for near in [
            "0190a0a0-0000-7000-8000-00000000000",
            "0190a0a0-0000-7000-8000-00000000000ff",
            "0190a0a00000-7000-8000-00000000000f-",
            "0190a0a0-0000-7000-8000-00000000000g",
            "0190a0a000007000800000000000000f",
        ] {
            assert!(!ParamKind::Uuid.accepts(near), "`{near}`");
        }
        for kind in ParamKind::ALL {
            assert!(kind.accepts(kind.example()), "{kind:?}");
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
