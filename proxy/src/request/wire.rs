//! The head of an HTTP/1 request as bytes, before anybody has parsed it.
//!
//! Pingora's parser accepts line endings without CR, escapes spaces in the target, drops `Content-Length` beside
//! `Transfer-Encoding`, and answers some faults itself. After it none of that can be seen any more, so the bytes are
//! checked first, by the grammar of RFC 9112 and nothing looser.

use std::sync::LazyLock;

use http::Version;
use memchr::{memchr, memmem};
use sentinel_core::Denial;

use super::{HeadLimits, Target, fields, framing, host, method};

/// What stands at the end of a head. Making the search ready takes longer than the search.
static END: LazyLock<memmem::Finder<'static>> = LazyLock::new(|| memmem::Finder::new(b"\r\n\r\n"));

/// Where the head in `bytes` ends, behind the empty line, if it is complete. The first `scanned` bytes were looked at
/// before.
///
/// # Errors
/// [`Denial::HeadTooLarge`] when there are as many bytes as a head may have, and no end; [`Denial::HeaderInvalid`] when a line does not
/// end in CR LF, because others would see an end that must not be waited for.
pub fn end_of_head(bytes: &[u8], scanned: usize, limits: HeadLimits) -> Result<Option<usize>, Denial> {
    let within = bytes.get(..limits.bytes).unwrap_or(bytes);
    let start = scanned.saturating_sub(3);
    let fresh = within.get(start..).unwrap_or_default();
    match END.find(fresh) {
        Some(found) => Ok(start.checked_add(found).and_then(|end| end.checked_add(4))),
        None if bytes.len() >= limits.bytes => Err(Denial::HeadTooLarge),
        None if has_bare_line_break(before(within, start), fresh) => Err(Denial::HeaderInvalid),
        None => Ok(None),
    }
}

/// Whether `bytes` are one head and nothing else, and one that every recipient parses alike: what nearly all requests
/// without a body come as. Where they are not, [`end_of_head`] and [`check`] say why.
pub fn is_one_head(bytes: &[u8], limits: HeadLimits) -> bool {
    // No line of a head that passes is empty, so it ends nowhere else.
    bytes.len() <= limits.bytes && bytes.ends_with(b"\r\n\r\n") && read(bytes, limits).is_ok()
}

/// Whether a head, empty line included, is one that every recipient parses alike.
///
/// # Errors
/// What is wrong with it.
pub fn check(head: &[u8], limits: HeadLimits) -> Result<(), Denial> {
    // Whatever else is wrong with it: a line break without its other half may be none for others.
    let named = |denial| {
        if has_bare_line_break(0, head) {
            Denial::HeaderInvalid
        } else {
            denial
        }
    };
    read(head, limits).map_err(named)
}

/// Goes through the lines of a head once. None that passes holds half a line break: each ends in a whole one, and no part of
/// it may have a control character but tab.
fn read(head: &[u8], limits: HeadLimits) -> Result<(), Denial> {
    let head = head.strip_suffix(b"\r\n").ok_or(Denial::HeaderInvalid)?;
    let mut lines = lines(head);
    let version = request_line(lines.next().flatten().ok_or(Denial::HeaderInvalid)?)?;

    let mut hosts = Two::default();
    let mut lengths = Two::default();
    let mut encodings = Two::default();
    for (index, line) in lines.enumerate() {
        if index >= limits.fields {
            return Err(Denial::HeadTooLarge);
        }
        let (name, value) = line.and_then(field_line).ok_or(Denial::HeaderInvalid)?;
        let values = if name.eq_ignore_ascii_case(b"host") {
            &mut hosts
        } else if name.eq_ignore_ascii_case(b"content-length") {
            &mut lengths
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            &mut encodings
        } else {
            continue;
        };
        values.push(value);
    }
    host::check(hosts.0.into_iter().flatten())?;
    framing::check_values(
        version,
        lengths.0.into_iter().flatten(),
        encodings.0.into_iter().flatten(),
    )
}

/// The first two values of a field that may be there once: more of them are no different from two.
#[derive(Default)]
struct Two<'a>([Option<&'a [u8]>; 2]);

impl<'a> Two<'a> {
    fn push(&mut self, value: &'a [u8]) {
        let [first, second] = &mut self.0;
        let free = if first.is_none() { first } else { second };
        *free = Some(value);
    }
}

/// `method SP request-target SP HTTP-version` (RFC 9112 §3), the target in origin form.
fn request_line(line: &[u8]) -> Result<Version, Denial> {
    let mut parts = line.split(|b| *b == b' ');
    let method = std::str::from_utf8(parts.next().unwrap_or_default()).unwrap_or_default();
    method::parse(method)?;
    Target::check(parts.next().unwrap_or_default())?;
    match (parts.next(), parts.next()) {
        (Some(b"HTTP/1.1"), None) => Ok(Version::HTTP_11),
        (Some(b"HTTP/1.0"), None) => Ok(Version::HTTP_10),
        // A space too many is a target with a space in it.
        _ => Err(Denial::PathNotCanonical),
    }
}

/// `field-name ":" OWS field-value OWS` (RFC 9112 §5), without line folding.
fn field_line(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = line.iter().position(|byte| !is_token_byte(*byte))?;
    let (name, rest) = line.split_at_checked(end)?;
    let value = trim(rest.strip_prefix(b":")?);
    (!name.is_empty() && fields::is_plain_value(value)).then_some((name, value))
}

/// A value without the optional white space around it, and no other (RFC 9110 §5.6.3).
fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// `tchar` (RFC 9110 §5.6.2).
fn is_token_byte(byte: u8) -> bool {
    const IS_TOKEN: [bool; 256] = {
        let (mut table, mut byte) = ([false; 256], 0_u8);
        while byte < 128 {
            table[byte as usize] = matches!(
                byte,
                b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-'
                    | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
            );
            byte += 1;
        }
        table
    };
    IS_TOKEN.get(usize::from(byte)).copied().unwrap_or_default()
}

/// The lines of a head, each without its end; `None` for one that does not end in CR LF.
fn lines(head: &[u8]) -> impl Iterator<Item = Option<&[u8]>> {
    let mut rest = head;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (line, behind) = match memchr(b'\n', rest).and_then(|end| rest.split_at_checked(end)) {
            Some((line, behind)) => (line.strip_suffix(b"\r"), behind.get(1..)),
            None => (None, None),
        };
        rest = behind.unwrap_or_default();
        Some(line)
    })
}

/// The byte in front of `start`.
fn before(bytes: &[u8], start: usize) -> u8 {
    let index = start.checked_sub(1);
    index
        .and_then(|index| bytes.get(index))
        .copied()
        .unwrap_or_default()
}

/// Whether a CR or an LF stands without the other.
fn has_bare_line_break(previous: u8, bytes: &[u8]) -> bool {
    let is_bare = |(previous, byte): (&u8, &u8)| (*byte == b'\n') != (*previous == b'\r');
    let rest = bytes.get(1..).unwrap_or_default();
    // To the end in every case: without a way out the comparison is made for many bytes at once.
    let within = bytes
        .iter()
        .zip(rest)
        .fold(false, |found, pair| found | is_bare(pair));
    within | bytes.first().is_some_and(|first| is_bare((&previous, first)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: HeadLimits = HeadLimits {
        bytes: 32 * 1024,
        fields: 100,
    };

    fn head(text: &str) -> Result<(), Denial> {
        check(text.replace('\n', "\r\n").as_bytes(), LIMITS)
    }

    #[test]
    fn a_plain_head_passes() {
        for text in [
            "GET / HTTP/1.1\nHost: a.example\n\n",
            "GET /a?b=c HTTP/1.1\nHost: a.example:80\nAccept: */*\nX-Empty:\n\n",
            "POST /a HTTP/1.1\nhost:a.example\nContent-Length: 3\n\n",
            "POST /a HTTP/1.1\nHost:\ta.example\nTransfer-Encoding: chunked\n\n",
            "GET / HTTP/1.0\nHost: a.example\n\n",
            "GET / HTTP/1.1\nHost: a.example\nX-Note: caf\u{e9}\n\n",
        ] {
            assert_eq!(head(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn what_pingora_repairs_drops_or_answers_itself_is_refused_first() {
        use Denial::{FramingInvalid, HeaderInvalid, HostInvalid, MethodInvalid, PathNotCanonical};
        for (text, denial) in [
            ("GET admin/secret HTTP/1.1\nHost: a\n\n", PathNotCanonical),
            ("GET  / HTTP/1.1\nHost: a\n\n", PathNotCanonical),
            ("GET /a b HTTP/1.1\nHost: a\n\n", PathNotCanonical),
            ("GET / HTTP/1.1 \nHost: a\n\n", PathNotCanonical),
            ("GET / HTTP/2.0\nHost: a\n\n", PathNotCanonical),
            ("GET /\nHost: a\n\n", PathNotCanonical),
            ("GET http://a/ HTTP/1.1\nHost: a\n\n", PathNotCanonical),
            ("GET /a\"b HTTP/1.1\nHost: a\n\n", PathNotCanonical),
            ("PRI * HTTP/2.0\n\nSM\n\n", MethodInvalid),
            ("CONNECT a:80 HTTP/1.1\nHost: a\n\n", MethodInvalid),
            ("get / HTTP/1.1\nHost: a\n\n", MethodInvalid),
            ("\nGET / HTTP/1.1\nHost: a\n\n", MethodInvalid),
            ("GET / HTTP/1.1\nHost: a\n folded\n\n", HeaderInvalid),
            ("GET / HTTP/1.1\nHost : a\n\n", HeaderInvalid),
            ("GET / HTTP/1.1\n: a\n\n", HeaderInvalid),
            ("GET / HTTP/1.1\nHost: a\nnothing\n\n", HeaderInvalid),
            ("GET / HTTP/1.1\nHost: a\nX-A: \0\n\n", HeaderInvalid),
            ("GET / HTTP/1.1\nHost: a\nX(A): 1\n\n", HeaderInvalid),
            ("GET / HTTP/1.1\n\n", HostInvalid),
            ("GET / HTTP/1.0\n\n", HostInvalid),
            ("GET / HTTP/1.1\nHost: a\nHost: a\n\n", HostInvalid),
            ("GET / HTTP/1.1\nHost: a,b\n\n", HostInvalid),
            (
                "POST / HTTP/1.1\nHost: a\nContent-Length: 1\nTransfer-Encoding: chunked\n\n",
                FramingInvalid,
            ),
            (
                "POST / HTTP/1.1\nHost: a\nContent-Length: 1,1\n\n",
                FramingInvalid,
            ),
            (
                "POST / HTTP/1.1\nHost: a\nTransfer-Encoding: x, chunked\n\n",
                FramingInvalid,
            ),
            (
                "POST / HTTP/1.0\nHost: a\nTransfer-Encoding: chunked\n\n",
                FramingInvalid,
            ),
        ] {
            assert_eq!(head(text), Err(denial), "{text}");
        }
    }

    #[test]
    fn line_breaks_come_in_pairs() {
        for bad in [
            b"GET / HTTP/1.1\nHost: a\r\n\r\n".as_slice(),
            b"GET / HTTP/1.1\r\nHost: a\nX: 1\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\rX: 1\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\r\n\r\n",
        ] {
            assert_eq!(check(bad, LIMITS), Err(Denial::HeaderInvalid));
        }
        assert_eq!(
            end_of_head(b"GET / HTTP/1.1\nHost: a\n\n", 0, LIMITS),
            Err(Denial::HeaderInvalid)
        );
    }

    #[test]
    fn one_head_is_one_that_ends_where_the_bytes_do_and_passes() {
        let one = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        let twice = one.repeat(2);
        let body = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n\r\n\r\n";
        for (bytes, is_one) in [
            (one, true),
            (&one[..one.len() - 1], false),
            (&one[..one.len() - 2], false),
            (&twice, false),
            (body, false),
            ("GET / HTTP/1.1\r\n\r\n", false),
            ("GET / HTTP/1.1\r\nHost: a\nX: 1\r\n\r\n", false),
            ("\r\n\r\n", false),
            ("", false),
        ] {
            assert_eq!(is_one_head(bytes.as_bytes(), LIMITS), is_one, "{bytes:?}");
            let end = end_of_head(bytes.as_bytes(), 0, LIMITS);
            let passes = end == Ok(Some(bytes.len())) && check(bytes.as_bytes(), LIMITS).is_ok();
            assert_eq!(passes, is_one, "{bytes:?}");
        }
        let short = HeadLimits {
            bytes: one.len() - 1,
            ..LIMITS
        };
        assert!(!is_one_head(one.as_bytes(), short));
    }

    #[test]
    fn the_end_is_found_and_the_size_is_bounded() {
        assert_eq!(
            end_of_head(b"GET / HTTP/1.1\r\n\r\nbody", 0, LIMITS),
            Ok(Some(18))
        );
        assert_eq!(end_of_head(b"GET / HTTP/1.1\r\n\r", 0, LIMITS), Ok(None));
        assert_eq!(end_of_head(b"", 0, LIMITS), Ok(None));
        assert_eq!(
            end_of_head(&vec![b'a'; LIMITS.bytes], 0, LIMITS),
            Err(Denial::HeadTooLarge)
        );
        let whole = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        for piece in 1..whole.len() {
            let mut scanned = 0;
            let mut end = None;
            for upto in (piece..whole.len()).step_by(piece).chain([whole.len()]) {
                end = end_of_head(&whole[..upto], scanned, LIMITS).expect("well formed");
                scanned = upto;
            }
            assert_eq!(end, Some(whole.len()), "in pieces of {piece}");
        }
        let many = format!("GET / HTTP/1.1\nHost: a\n{}\n", "X-A: 1\n".repeat(LIMITS.fields));
        assert_eq!(head(&many), Err(Denial::HeadTooLarge));
    }
}
