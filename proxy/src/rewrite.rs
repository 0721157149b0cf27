//! The path that a service is asked for in place of the one that was matched.
//!
//! It is made after the decision and changes nothing about it. Each value is a decoded segment of the canonical path and is
//! encoded again as one segment, so whatever a client sends, it cannot become two, a dot segment, or a query.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sentinel_config::edge::{PathPattern, Segment};

use crate::request::Target;

/// Everything that a path segment has to encode (RFC 3986 §3.3: all but `pchar`), `;` besides, and nothing that it must
/// not: the only spelling that [`Target`] accepts.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b'=')
    .remove(b':')
    .remove(b'@');

/// A path template, compiled against the path of its route.
#[derive(Debug, Clone)]
pub struct Rewrite {
    pieces: Box<[Piece]>,
    trailing_slash: bool,
}

#[derive(Debug, Clone)]
enum Piece {
    /// As it is written, encoded.
    Literal(Box<str>),
    /// The segment of the matched path at this index.
    Segment(usize),
    /// All segments from this index on.
    Tail(usize),
}

impl Rewrite {
    /// The template `to` for requests that matched `from`.
    ///
    /// # Errors
    /// The name of the parameter that `from` does not have.
    pub fn compile(to: &PathPattern, from: &PathPattern) -> Result<Self, String> {
        let position = |wanted: &dyn Fn(&Segment) -> bool, name: &String| {
            let found = from.segments.iter().position(wanted);
            found.ok_or_else(|| name.clone())
        };
        let piece = |segment: &Segment| match segment {
            Segment::Literal(text) => Ok(Piece::Literal(text.as_str().into())),
            Segment::Param { name, .. } => {
                let is_it =
                    |other: &Segment| matches!(other, Segment::Param { name: known, .. } if known == name);
                position(&is_it, name).map(Piece::Segment)
            }
            Segment::Tail(name) => {
                let is_it = |other: &Segment| matches!(other, Segment::Tail(known) if known == name);
                position(&is_it, name).map(Piece::Tail)
            }
        };
        Ok(Self {
            pieces: to.segments.iter().map(piece).collect::<Result<_, _>>()?,
            trailing_slash: to.trailing_slash,
        })
    }

    /// Path and query for the service. The query is the client's, byte for byte.
    pub fn apply(&self, target: &Target) -> String {
        let query = target.raw().strip_prefix(target.path()).unwrap_or_default();
        let mut out = String::with_capacity(target.raw().len());
        for piece in &self.pieces {
            match piece {
                Piece::Literal(text) => {
                    out.push('/');
                    out.push_str(text);
                }
                Piece::Segment(at) => push(&mut out, target.segments().skip(*at).take(1)),
                Piece::Tail(from) => push(&mut out, target.segments().skip(*from)),
            }
        }
        if self.trailing_slash || self.pieces.is_empty() {
            out.push('/');
        }
        out.push_str(query);
        out
    }
}

fn push<'t>(out: &mut String, segments: impl Iterator<Item = &'t str>) {
    for segment in segments {
        out.push('/');
        out.extend(utf8_percent_encode(segment, SEGMENT));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pattern(text: &str) -> PathPattern {
        text.parse().expect(text)
    }

    fn rewritten(from: &str, to: &str, target: &str) -> String {
        let rewrite = Rewrite::compile(&pattern(to), &pattern(from)).expect("compiles");
        rewrite.apply(&Target::parse(target.as_bytes()).expect(target))
    }

    #[test]
    fn values_take_their_new_places() {
        for (from, to, target, expected) in [
            ("/a/{x}/{y}", "/v2/{y}/{x}", "/a/1/2", "/v2/2/1"),
            ("/a/{x}", "/{x}/b/", "/a/1?q=/../&r=%2e", "/1/b/?q=/../&r=%2e"),
            ("/files/{rest*}", "/data/{rest*}", "/files/b/c/d", "/data/b/c/d"),
            ("/files/{id}/{rest*}", "/{rest*}", "/files/1/a%20b/c", "/a%20b/c"),
            ("/a/{x}", "/", "/a/1", "/"),
            ("/a/{x}", "/caf%C3%A9/{x}", "/a/1?", "/caf%C3%A9/1?"),
        ] {
            assert_eq!(rewritten(from, to, target), expected, "{from} -> {to}");
        }
    }

    #[test]
    fn a_value_stays_one_segment_whatever_it_is() {
        for value in [
            "...",
            "..a",
            "a..",
            "!$&'()*+,=:@",
            "a%20b",
            "%3F",
            "%23",
            "%3Fx=1&y%23",
            "caf%C3%A9",
            "%7B%7D",
            "%22%3C%3E%7C%5E%60",
            "%5B::1%5D",
            "http:",
        ] {
            let path = rewritten("/a/{x}", "/v2/{x}/end", &format!("/a/{value}?q"));
            let target = Target::parse(path.as_bytes()).expect("canonical");
            assert_eq!(target.segments().count(), 3, "`{value}`");
            let before = Target::parse(format!("/a/{value}").as_bytes()).expect("canonical");
            assert_eq!(target.segments().nth(1), before.segments().nth(1), "`{value}`");
            assert!(path.ends_with("/end?q"), "{path}");
        }
    }

    #[test]
    fn a_parameter_that_the_path_does_not_have_does_not_compile() {
        let compile = |from, to| Rewrite::compile(&pattern(to), &pattern(from)).map(drop);
        assert_eq!(compile("/a/{x}", "/{y}"), Err("y".to_owned()));
        assert_eq!(compile("/a/{x}", "/{x*}"), Err("x".to_owned()));
        assert_eq!(compile("/a/{x*}", "/{x}"), Err("x".to_owned()));
    }

    proptest! {
        /// Whatever the edge accepts as a segment is written so that it would accept it again, with the same meaning.
        #[test]
        fn what_is_written_is_canonical(text in "\\PC{1,20}") {
            let encoded: String = utf8_percent_encode(&text, NON_ALPHANUMERIC).to_string();
            let plain: String = utf8_percent_encode(&text, SEGMENT).to_string();
            for value in [encoded, plain] {
                let Ok(before) = Target::parse(format!("/a/{value}").as_bytes()) else { continue };
                let path = rewritten("/a/{x}", "/b/{x}", &format!("/a/{value}?q"));
                let after = Target::parse(path.as_bytes());
                let after = after.map(|target| target.segments().map(str::to_owned).collect::<Vec<_>>());
                let expected = vec!["b".to_owned(), before.segments().nth(1).unwrap_or_default().to_owned()];
                prop_assert_eq!(after, Ok(expected));
            }
        }
    }
}
