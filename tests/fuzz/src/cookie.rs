//! `Cookie`: of the edge's own cookies at most one is found, in one place, and none is left for the service behind, not even
//! for one that reads cookies in an older way.
//!
//! Each line of the input is a line of the header.

use percent_encoding::percent_decode;
use sentinel_proxy::request::cookies::{SESSION, find, without};

pub(crate) fn check(input: &[u8]) {
    // Other control characters are refused in every field.
    if input
        .iter()
        .any(|byte| byte.is_ascii_control() && !b"\t\n".contains(byte))
    {
        return;
    }
    let lines: Vec<&[u8]> = input.split(|byte| *byte == b'\n').collect();
    let Ok(found) = find(lines.iter().copied(), SESSION) else {
        return;
    };
    let named: Vec<&[u8]> = lines
        .iter()
        .flat_map(|line| pairs(line))
        .filter(|(name, _)| *name == SESSION.as_bytes())
        .map(|(_, value)| value)
        .collect();
    assert!(named.len() <= 1, "two cookies, and one of them is taken");
    assert_eq!(named.first().copied(), found);
    for line in &lines {
        let is_own = |name: &[u8]| name.starts_with(SESSION.as_bytes());
        let others = || pairs(line).filter(|(name, _)| !is_own(name));
        let Some(rest) = without(line, SESSION) else {
            assert_eq!(
                others().count(),
                pairs(line).count(),
                "nothing is taken out of {line:?}"
            );
            continue;
        };
        assert!(pairs(&rest).eq(others()), "another cookie is changed in {line:?}");
        assert_eq!(find([rest.as_slice()], SESSION), Ok(None));
        assert_eq!(without(&rest, SESSION), None);
    }
    // Nobody who reads what is forwarded finds a cookie of the edge's there.
    for line in &lines {
        let rest = without(line, SESSION);
        let rest = rest.as_deref().unwrap_or(line);
        let own = SESSION.to_ascii_lowercase().into_bytes();
        for name in names(rest, b";").map(spelled_out) {
            assert!(!name.starts_with(&own), "{rest:?} holds a cookie of the edge's");
        }
        // A comma ends a cookie for readers of RFC 2965.
        for name in names(rest, b";,").map(<[u8]>::to_ascii_lowercase) {
            assert!(
                !name.starts_with(&own),
                "{rest:?} holds a cookie of the edge's behind a comma"
            );
        }
    }
}

/// Names and values (RFC 6265 §5.4, read from its other end).
fn pairs(line: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let pieces = line.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
    pieces.filter(|piece| !piece.is_empty()).map(|piece| {
        let at = piece.iter().position(|byte| *byte == b'=').unwrap_or(piece.len());
        let (name, value) = piece.split_at(at);
        (name, value.strip_prefix(b"=").unwrap_or(value))
    })
}

/// The names between these separators.
fn names<'l>(line: &'l [u8], separators: &'static [u8]) -> impl Iterator<Item = &'l [u8]> {
    let pieces = line.split(|byte| separators.contains(byte));
    pieces.map(|piece| {
        piece
            .split(|byte| *byte == b'=')
            .next()
            .unwrap_or_default()
            .trim_ascii()
    })
}

/// A name with everything undone that frameworks undo.
fn spelled_out(name: &[u8]) -> Vec<u8> {
    let decoded: Vec<u8> = percent_decode(name).collect();
    let letter = |byte: &u8| match byte {
        b'.' | b' ' | b'+' | b'[' => b'_',
        other => other.to_ascii_lowercase(),
    };
    decoded.trim_ascii().iter().map(letter).collect()
}
