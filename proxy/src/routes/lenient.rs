//! What readers that are not strict take for a number or a UUID.
//!
//! A route with `{id:int}` or `{id:uuid}` protects what its service finds under that id. Most services read more spellings of
//! an id than the one that the type has, so a request with another spelling must not be judged by a route that is for names.

use sentinel_config::edge::ParamKind;

use crate::request::characters::{fold, is_around};

/// What five groups of digits have at least: `1-1-1-1-1` is a UUID for Java.
const SHORTEST_UUID: usize = 9;

/// Whether somebody could read a segment, which is not of this kind, as one that is. Takes memory only if it is much like one.
pub(super) fn reads_as(kind: ParamKind, segment: &str) -> bool {
    let looks = match kind {
        ParamKind::Any | ParamKind::Slug => return false,
        ParamKind::Int => is_number,
        ParamKind::Uuid => is_uuid,
    };
    if segment.is_ascii() {
        return looks(segment.trim_matches(is_around));
    }
    // Digits of every script are digits for Python and Java.
    let digit = |c: char| if !c.is_ascii() && c.is_numeric() { '1' } else { c };
    let plain: String = fold(segment).chars().map(digit).collect();
    looks(&plain)
}

/// Whether a text is a whole number: with a sign or leading zeros, `1_000`, `0x7`, and what only has the form of a fraction
/// (`7.0`, `7e0`; JavaScript has no other numbers).
fn is_number(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return false;
    }
    let is_of_base = |(prefix, base): (&str, u32)| {
        let halves = unsigned.split_at_checked(2);
        halves.is_some_and(|(head, digits)| {
            head.eq_ignore_ascii_case(prefix)
                && !digits.is_empty()
                && digits.chars().all(|c| c.is_digit(base) || c == '_')
        })
    };
    if [("0x", 16), ("0o", 8), ("0b", 2)].into_iter().any(is_of_base) {
        return true;
    }
    if !unsigned
        .bytes()
        .all(|b| b.is_ascii_digit() || b"_.eE+-".contains(&b))
    {
        return false;
    }
    let number = unsigned.replace('_', "").parse::<f64>();
    number.is_ok_and(|number| number.is_infinite() || number.fract() == 0.0)
}

/// Whether a text is a UUID: in either case, with hyphens anywhere or nowhere, with brackets or a prefix (Python and Go read
/// both at odd places), or in groups that are too short.
fn is_uuid(text: &str) -> bool {
    let bytes = text.as_bytes();
    if bytes.len() < SHORTEST_UUID {
        return false;
    }
    // Go takes any two bytes for the brackets.
    if bytes.len() == 38 && bytes.get(1..37).is_some_and(is_hyphenated) {
        return true;
    }
    let may_be = |b: &u8| b.is_ascii_hexdigit() || b"-{}(),:_+ xurniXURNI".contains(b);
    if !bytes.iter().all(may_be) {
        return false;
    }
    let plain = text.to_ascii_lowercase().replace("urn:", "").replace("uuid:", "");
    // .NET: `{0x…,0x…,0x…,{0x…,…}}`, eleven numbers.
    if plain.starts_with("{0x") && plain.split(',').count() == 11 {
        return true;
    }
    let plain = plain.trim_matches(['{', '}', '(', ')']);
    let is_group = |group: &str| {
        !group.is_empty()
            && group
                .bytes()
                .all(|b| b.is_ascii_hexdigit() || matches!(b, b'_' | b'+' | b'x' | b' '))
    };
    let whole = plain.replace('-', "");
    (whole.len() == 32 && is_group(&whole))
        || (plain.split('-').count() == 5 && plain.split('-').all(is_group))
}

fn is_hyphenated(bytes: &[u8]) -> bool {
    bytes.len() == 36
        && bytes.iter().enumerate().all(|(at, b)| match at {
            8 | 13 | 18 | 23 => *b == b'-',
            _ => b.is_ascii_hexdigit(),
        })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn spellings_of_a_number_are_known() {
        for text in [
            "007",
            "00",
            "+7",
            "-7",
            "+007",
            "7.",
            "7.0",
            "7.00",
            ".7e1",
            "7e0",
            "7E0",
            "70e-1",
            "1_000",
            "0x7",
            "0X7F",
            "0b111",
            "0o7",
            " 7",
            "7\0",
            "\u{ff17}",
            "\u{ff0b}7",
            "\u{667}",
            "1\u{667}",
            "\u{1d7d5}",
            "7\u{200b}",
            &format!("+{}", "9".repeat(400)),
            &format!("{}7", "0".repeat(400)),
        ] {
            assert!(reads_as(ParamKind::Int, text), "{text:?}");
        }
        for text in [
            "",
            "+",
            "-",
            "a",
            "x7",
            "7a",
            "a7",
            "e7",
            "1.5",
            "1.2.3",
            "v1",
            "2024-01",
            "7-7",
            "++7",
            "0x",
            "0xg",
            "0bad",
            "inf",
            "nan",
            "infinity",
            "e",
            "...",
            "_",
            "caf\u{e9}",
            "\u{e9}7",
            "7,0",
        ] {
            assert!(!reads_as(ParamKind::Int, text), "{text:?}");
        }
    }

    #[test]
    fn spellings_of_a_uuid_are_known() {
        const UUID: &str = "0190a0a0-0000-7000-8000-000000000001";
        let bare = UUID.replace('-', "");
        let upper = UUID.to_uppercase();
        let wide = UUID.replace('1', "\u{ff11}");
        for text in [
            upper.as_str(),
            &bare,
            &bare.to_uppercase(),
            &format!("{{{UUID}}}"),
            &format!("{{{UUID}"),
            &format!("({UUID})"),
            &format!("\"{UUID}\""),
            &format!("z{UUID}z"),
            &format!("{{{bare}}}"),
            &format!("urn:uuid:{UUID}"),
            &format!("URN:UUID:{upper}"),
            &format!("uuid:{bare}"),
            &format!("urn:{bare}"),
            &format!("{{urn:uuid:{UUID}}}"),
            &format!("0190a0a0-urn:{}", &UUID[9..]),
            &format!("-{bare}-"),
            "0190-a0a0-0000-7000-8000-0000-0000-0001",
            "1_90a0a0000070008000000000000001",
            "+190a0a0000070008000000000000001",
            "190a0a0-0-7000-8000-1",
            "1-1-1-1-1",
            "+190a0a0-0-7000-8000-+1",
            "{0x0190a0a0,0x0000,0x7000,{0x80,0x00,0x00,0x00,0x00,0x00,0x00,0x01}}",
            &format!("{UUID} "),
            &format!("{UUID}."),
            &format!("{UUID}\u{200b}"),
            &wide,
            "12345678901234567890123456789012",
        ] {
            assert!(reads_as(ParamKind::Uuid, text), "{text:?}");
        }
        for text in [
            "",
            "new",
            "bad",
            "face",
            "decade",
            "2024-01-01",
            "abcdefabcdef",
            "a-b-c-d",
            "a-b-c-d-e-f",
            "a--c-d-e",
            "x-y-z-a-b",
            &bare[1..],
            &format!("{bare}0"),
            &format!("x{bare}"),
            &format!("doc-{UUID}"),
            &format!("{UUID}.pdf"),
            "caf\u{e9}-a-b-c-d",
            "{}{}{}{}{}{}{}{}{}{}{}{}{}{}{}{}",
        ] {
            assert!(!reads_as(ParamKind::Uuid, text), "{text:?}");
        }
        for kind in [ParamKind::Any, ParamKind::Slug] {
            assert!(!reads_as(kind, &upper) && !reads_as(kind, "007"));
        }
    }

    proptest! {
        #[test]
        fn what_the_library_reads_is_known(bits: u128, how in 0_usize..5, upper: bool) {
            let id = uuid::Uuid::from_u128(bits);
            let text = match how {
                0 => id.simple().to_string(),
                1 => id.urn().to_string(),
                2 => id.braced().to_string(),
                _ => id.hyphenated().to_string(),
            };
            let text = if upper { text.to_uppercase() } else { text };
            let other = ParamKind::Uuid.accepts(&text);
            prop_assert!(other || reads_as(ParamKind::Uuid, &text), "{}", text);
        }

        #[test]
        fn numbers_in_disguise_are_known(number: i64, zeros in 0_usize..30, sign in "[+-]?") {
            let text = format!("{sign}{}{}", "0".repeat(zeros), number.unsigned_abs());
            prop_assert!(ParamKind::Int.accepts(&text) || reads_as(ParamKind::Int, &text), "{}", text);
        }

        #[test]
        fn nothing_is_too_odd(segment: String) {
            for kind in ParamKind::ALL {
                reads_as(kind, &segment);
            }
        }
    }
}
