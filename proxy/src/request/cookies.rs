//! The cookies of a request (RFC 6265 §4.2), as far as they are the edge's own: the session cookie and those whose names begin
//! like it.
//!
//! Other cookies are let through as they are, whatever is in them. The edge's own must be found by everybody at the same
//! place: a name that only spells one of theirs (in another case, percent-encoded, with dots or brackets where PHP makes
//! underscores), and one behind a comma or a quote, where older parsers begin another cookie, is refused.

use memchr::{memchr, memchr_iter, memchr3_iter};
use sentinel_core::Denial;

/// The name of the session cookie, unless another one is set.
pub const SESSION: &str = "__Host-sentinel";

/// The value of the one cookie named `name` in these `Cookie` lines: one in HTTP/1, crumbs in HTTP/2 (RFC 9113 §8.2.3).
///
/// # Errors
/// [`Denial::CredentialDuplicated`] when there are two, and [`Denial::HeaderInvalid`] when another one could be read as it.
pub fn find<'a>(lines: impl IntoIterator<Item = &'a [u8]>, name: &str) -> Result<Option<&'a [u8]>, Denial> {
    let mut found = None;
    for piece in lines.into_iter().flat_map(pieces) {
        let known = Piece::parse(piece).known(name)?;
        if let Some(value) = known
            .filter(|known| known.name == name.as_bytes())
            .map(|known| known.value)
            && found.replace(value).is_some()
        {
            return Err(Denial::CredentialDuplicated);
        }
    }
    Ok(found)
}

/// A `Cookie` line without the edge's own cookies: those whose names begin with `name`, or with the default one. `None` if it
/// has none of them; an empty line if it has nothing else.
pub fn without(line: &[u8], name: &str) -> Option<Vec<u8>> {
    let is_own = |piece: &&[u8]| {
        [name, SESSION]
            .iter()
            .any(|own| piece.starts_with(own.as_bytes()))
    };
    if !pieces(line).any(|piece| is_own(&piece)) {
        return None;
    }
    let others: Vec<&[u8]> = pieces(line).filter(|piece| !is_own(piece)).collect();
    Some(others.join(b"; ".as_slice()))
}

/// Whether a service sets a cookie of the edge's with this `Set-Cookie` line, or one with which the edge would refuse whatever
/// its browser sends next.
pub fn is_own(line: &[u8], name: &str) -> bool {
    // Browsers send a cookie without a name as its value alone.
    let is_blank = |byte: &u8| byte.is_ascii_whitespace() || *byte == b'=';
    let start = line.iter().position(|byte| !is_blank(byte)).unwrap_or(line.len());
    let pair = pieces(line.get(start..).unwrap_or_default()).next();
    pair.is_some_and(|pair| !matches!(Piece::parse(pair).known(name), Ok(None)))
}

/// The pairs of a line, without the white space around them.
pub fn pieces(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(line);
    let all = std::iter::from_fn(move || {
        let whole = rest?;
        let (piece, behind) = match memchr(b';', whole).and_then(|end| whole.split_at_checked(end)) {
            Some((piece, behind)) => (piece, behind.get(1..)),
            None => (whole, None),
        };
        rest = behind;
        Some(piece.trim_ascii())
    });
    all.filter(|piece| !piece.is_empty())
}

/// A pair, or a name alone.
#[derive(Clone, Copy)]
struct Piece<'a> {
    whole: &'a [u8],
    name: &'a [u8],
    value: &'a [u8],
    is_pair: bool,
}

impl<'a> Piece<'a> {
    fn parse(whole: &'a [u8]) -> Self {
        let (name, value, is_pair) = match memchr(b'=', whole) {
            Some(at) => (
                whole.get(..at).unwrap_or_default(),
                whole.get(at.saturating_add(1)..).unwrap_or_default(),
                true,
            ),
            None => (whole, &[][..], false),
        };
        Self {
            whole,
            name,
            value,
            is_pair,
        }
    }

    /// The piece, if it is one of the edge's own.
    fn known(self, name: &str) -> Result<Option<Self>, Denial> {
        let mut is_own = false;
        for own in [name, SESSION] {
            if folded(self.name).take(own.len()).eq(folded(own.as_bytes())) {
                let is_plain = self.is_pair
                    && self.name.starts_with(own.as_bytes())
                    && self
                        .name
                        .iter()
                        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
                if !is_plain {
                    return Err(Denial::HeaderInvalid);
                }
                is_own = true;
            } else if hides(self.whole, own.as_bytes()) {
                return Err(Denial::HeaderInvalid);
            }
        }
        Ok(is_own.then_some(self))
    }
}

/// Whether `own` stands in a piece behind something that some parser takes for the end of a cookie.
fn hides(piece: &[u8], own: &[u8]) -> bool {
    let mut ends = memchr3_iter(b',', b'"', b' ', piece).chain(memchr_iter(b'\t', piece));
    ends.any(|at| {
        piece
            .get(at.saturating_add(1)..)
            .and_then(|rest| rest.get(..own.len()))
            .is_some_and(|there| there.eq_ignore_ascii_case(own))
    })
}

/// A name as the most forgiving reader would see it: decoded, in lower case, with underscores for what PHP puts them for.
/// What stands before it and is not visible (white space of any alphabet, control characters, marks of byte order) is skipped.
fn folded(name: &[u8]) -> impl Iterator<Item = u8> + '_ {
    let visible = decoded(name).skip_while(|byte| !byte.is_ascii_graphic());
    visible.map(|byte| match byte {
        b'.' | b' ' | b'+' | b'[' => b'_',
        byte => byte.to_ascii_lowercase(),
    })
}

/// A name with what is percent-encoded decoded.
fn decoded(name: &[u8]) -> impl Iterator<Item = u8> + '_ {
    let mut rest = name;
    std::iter::from_fn(move || {
        let (first, behind) = rest.split_first()?;
        let decoded = match (first, behind) {
            (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)),
            _ => None,
        };
        Some(if let Some((high, low)) = decoded {
            rest = behind.get(2..).unwrap_or_default();
            (high << 4) | low
        } else {
            rest = behind;
            *first
        })
    })
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session<'a>(lines: &[&'a str]) -> Result<Option<&'a str>, Denial> {
        let found = find(lines.iter().map(|line| line.as_bytes()), SESSION)?;
        Ok(found.map(|value| std::str::from_utf8(value).expect("text")))
    }

    fn left(line: &str) -> Option<String> {
        without(line.as_bytes(), SESSION).map(|line| String::from_utf8(line).expect("text"))
    }

    #[test]
    fn the_session_is_found_among_others_and_in_crumbs() {
        for lines in [
            &["__Host-sentinel=a.b.c"] as &[_],
            &["x=1; __Host-sentinel=a.b.c; y=\"2; z"],
            &["x=1;__Host-sentinel=a.b.c;"],
            &["; ;\t__Host-sentinel=a.b.c ;"],
            &["x=1", "__Host-sentinel=a.b.c", "y=2"],
            &["__Host-sentinel-refresh=r; __Host-sentinel=a.b.c; __Host-sentinel-login-1=l"],
        ] {
            assert_eq!(session(lines), Ok(Some("a.b.c")), "{lines:?}");
        }
        for lines in [
            &[] as &[_],
            &[""],
            &["x=__Host-sentinel"],
            &["x=1=2; y; =3; ;;"],
            &["__Host-sentine=a; sentinel=b; Host-sentinel=c"],
            &["__Host-sentinel-refresh=r"],
            &["x={\"a\":[1, 2]}, y; z=ä%zz%"],
        ] {
            assert_eq!(session(lines), Ok(None), "{lines:?}");
        }
        assert_eq!(session(&["__Host-sentinel="]), Ok(Some("")));
        assert_eq!(session(&["__Host-sentinel=\"a.b.c\""]), Ok(Some("\"a.b.c\"")));
        assert_eq!(session(&["__Host-sentinel=a=b"]), Ok(Some("a=b")));
    }

    #[test]
    fn two_are_refused() {
        for lines in [
            &["__Host-sentinel=a; __Host-sentinel=a"] as &[_],
            &["__Host-sentinel=a; x=1; __Host-sentinel="],
            &["__Host-sentinel=a", "__Host-sentinel=b"],
        ] {
            assert_eq!(session(lines), Err(Denial::CredentialDuplicated), "{lines:?}");
        }
    }

    #[test]
    fn what_another_reader_would_take_for_it_is_refused() {
        for line in [
            "__host-sentinel=a",
            "%0a__Host-sentinel=a",
            "%20__Host-sentinel=a",
            "\u{a0}__Host-sentinel=a",
            "\u{feff}__Host-sentinel=a",
            "__HOST-SENTINEL=a",
            "__Host-sentinel =a",
            "__Host-sentinel\t=a",
            "__Host-sentinel",
            "__Host-sentinel-x y=a",
            "__Host-Sentinel-refresh=a",
            "__%48ost-sentinel=a",
            "%5F%5fHost%2dsentinel=a",
            "..Host-sentinel=a",
            "._Host-sentinel=a",
            "[_Host-sentinel=a",
            "__Host-sentinel[0]=a",
            "__Host-sentinel.a=a",
            "x=1, __Host-sentinel=a",
            "x=1,__Host-sentinel=a",
            "x=\"__Host-sentinel=a\"",
            "x=1 __Host-sentinel=a",
            "x=1\t__HOST-sentinel=a",
            "$Version=1, __Host-sentinel=a",
        ] {
            assert_eq!(session(&[line]), Err(Denial::HeaderInvalid), "`{line}`");
        }
        let named = |line: &'static str| find([line.as_bytes()], "__Host-other").map(|found| found.is_some());
        assert_eq!(named("__Host-other=a; __Host-sentinel=b"), Ok(true));
        assert_eq!(named("__host-sentinel=b"), Err(Denial::HeaderInvalid));
        assert_eq!(named("__Host-Other=b"), Err(Denial::HeaderInvalid));
    }

    #[test]
    fn what_is_left_has_none_of_ours() {
        assert_eq!(left("x=1; y=2"), None);
        assert_eq!(left("__Host-sentinel=a"), Some(String::new()));
        assert_eq!(
            left("x=1; __Host-sentinel=a;__Host-sentinel-refresh=b; y=2 ;__Host-sentinel-login-7=c; z"),
            Some("x=1; y=2; z".to_owned())
        );
        let other = without(
            b"__Host-app=a; __Host-app-refresh=b; __Host-sentinel=c; d=e",
            "__Host-app",
        );
        assert_eq!(other.as_deref(), Some(b"d=e".as_slice()));
    }

    #[test]
    fn what_a_service_sets_is_not_ours() {
        let own = |line: &str| is_own(line.as_bytes(), "__Host-app");
        for line in [
            "__Host-app=a; Path=/; Secure",
            "__Host-app-refresh=a",
            "__Host-sentinel=a; Max-Age=0",
            "__HOST-Sentinel-login-1=a",
            " \t__host-app = a",
            "=__Host-app=a; Path=/",
            "= =__Host-app=a",
            "__%48ost-app=a",
            "x=\"a __Host-app=b\"; Path=/",
        ] {
            assert!(own(line), "`{line}`");
        }
        for line in [
            "",
            "=",
            "app=a; Path=/__Host-app",
            "theirs=__Host-app",
            "__Host-ap=a",
            "x=\u{e4}; comment=, __Host-app=a",
        ] {
            assert!(!own(line), "`{line}`");
        }
    }

    #[test]
    fn whatever_is_not_refused_leaves_nothing_of_ours() {
        use proptest::prelude::*;
        let part = prop::sample::select(vec![
            "__Host-sentinel",
            "__host-sentinel",
            "-refresh",
            "=",
            ";",
            "; ",
            " ",
            ",",
            "\"",
            "%48",
            "%5f",
            "_",
            ".",
            "x",
            "[",
            "\t",
            "\u{e4}",
            "%",
            "__",
            "Host-sentinel",
        ]);
        let lines = prop::collection::vec(part, 0..12).prop_map(|parts| parts.concat());
        proptest!(|(line in lines)| {
            if find([line.as_bytes()], SESSION).is_ok() {
                let left = without(line.as_bytes(), SESSION).unwrap_or_else(|| line.clone().into_bytes());
                prop_assert_eq!(find([left.as_slice()], SESSION), Ok(None));
                let names = String::from_utf8_lossy(&left).to_ascii_lowercase();
                let starts = names.split(';').any(|piece| piece.trim().starts_with("__host-sentinel"));
                prop_assert!(!starts, "{}", names);
            }
        });
    }
}
