//! Characters that are not what they seem: invisible ones, and those that Unicode normalisation (NFKC) or a fold of case
//! makes into others.
//!
//! A service may normalise what it is asked for; the edge judges what it was asked for. So a path that changes under
//! normalisation in a way that matters is refused, and a name that becomes another one is not that other one's rival.

use unicode_normalization::UnicodeNormalization as _;

/// Whether a character has no shape of its own: Unicode's format characters (Cf), line and paragraph separators, variation
/// selectors and everything else that is ignored by default.
pub(crate) fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{600}'..='\u{605}'
            | '\u{61c}'
            | '\u{6dd}'
            | '\u{70f}'
            | '\u{890}'..='\u{891}'
            | '\u{8e2}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{2800}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{110bd}'
            | '\u{110cd}'
            | '\u{13430}'..='\u{1343f}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// Whether a character looks like one that separates, or becomes one under NFKC: slashes, dots, and what is refused in its
/// plain form.
pub(super) fn is_lookalike(c: char) -> bool {
    let slash = matches!(
        c,
        '\u{2044}'
            | '\u{2215}'
            | '\u{2571}'
            | '\u{29f8}'
            | '\u{ff0f}'
            | '\u{2100}'
            | '\u{2101}'
            | '\u{2105}'
            | '\u{2106}'
    );
    let backslash = matches!(
        c,
        '\u{2216}' | '\u{2572}' | '\u{29f5}' | '\u{29f9}' | '\u{fe68}' | '\u{ff3c}'
    );
    let dot = matches!(
        c,
        '\u{2024}'
            ..='\u{2026}'
                | '\u{3002}'
                | '\u{fe12}'
                | '\u{fe19}'
                | '\u{fe30}'
                | '\u{fe52}'
                | '\u{ff0e}'
                | '\u{ff61}'
    );
    let other = matches!(
        c,
        '\u{37e}'
            | '\u{fe14}'
            | '\u{fe54}'
            | '\u{ff1b}'
            | '\u{fe6a}'
            | '\u{ff05}'
            | '\u{fe56}'
            | '\u{ff1f}'
            | '\u{fe5f}'
            | '\u{ff03}'
    );
    slash || backslash || dot || other
}

/// What a careless reader makes of a segment: normalised (NFKC), in one case, without invisible characters, without white
/// space and dots around it. Two segments with the same fold must not lead to different decisions.
pub(crate) fn fold(segment: &str) -> String {
    if segment.is_ascii() {
        return segment.trim_matches(is_around).to_ascii_lowercase();
    }
    let seen: String = segment.chars().filter(|c| !is_invisible(*c)).nfkc().collect();
    // First to upper case: some letters share only that (`ς` and `σ`). What a change of case takes apart is put together
    // again.
    let folded: String = seen.to_uppercase().to_lowercase().nfkc().collect();
    folded.trim_matches(is_around).to_owned()
}

/// The same without taking memory, for a segment of ASCII of which at most as much is left as `room` has; `None` for every
/// other.
pub(crate) fn fold_within<'a>(segment: &'a str, room: &'a mut [u8]) -> Option<&'a str> {
    if !segment.is_ascii() {
        return None;
    }
    let seen = segment.trim_matches(is_around);
    if !seen.bytes().any(|b| b.is_ascii_uppercase()) {
        return Some(seen);
    }
    let room = room.get_mut(..seen.len())?;
    room.copy_from_slice(seen.as_bytes());
    room.make_ascii_lowercase();
    std::str::from_utf8(room).ok()
}

/// What does not belong to a name when it stands at one of its ends.
pub(crate) fn is_around(c: char) -> bool {
    c.is_whitespace() || c.is_control() || c == '.'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disguises_of_a_name_fold_into_it() {
        for disguise in [
            "secret",
            "Secret",
            "SECRET",
            "secret ",
            " secret",
            "secret.",
            "secret. .",
            "secret\u{a0}",
            "secret\u{3000}",
            "secret\u{200b}",
            "se\u{ad}cret",
            "\u{feff}secret",
            "ſecret",
            "ｓｅｃｒｅｔ",
            "secret\0",
            "\u{1d42c}\u{1d41e}\u{1d41c}\u{1d42b}\u{1d41e}\u{1d42d}",
            "\u{24e2}ecret",
            "\u{24c8}ecret",
            "se\u{ad}\u{1d450}ret",
            "secret\u{2024}",
        ] {
            assert_eq!(fold(disguise), "secret", "{disguise:?}");
        }
        for other in ["secrets", "secret.txt", "se cret", "secret-"] {
            assert_ne!(fold(other), "secret", "{other:?}");
        }
    }

    #[test]
    fn equivalent_texts_have_one_fold() {
        for (text, folded) in [
            ("caf\u{e9}", "caf\u{e9}"),
            ("cafe\u{301}", "caf\u{e9}"),
            ("CAFE\u{301}", "caf\u{e9}"),
            ("cafe\u{34f}\u{301}", "caf\u{e9}"),
            ("\u{aa}dmin", "admin"),
            ("\u{fb01}le", "file"),
            ("stra\u{df}e", "strasse"),
            ("\u{212a}elvin", "kelvin"),
            ("\u{390}", "\u{390}"),
            ("\u{1fd3}", "\u{390}"),
            ("\u{ff71}", "\u{30a2}"),
            ("\u{ac00}", "\u{ac00}"),
            ("\u{1100}\u{1161}", "\u{ac00}"),
        ] {
            assert_eq!(fold(text), folded, "{text:?}");
            assert_eq!(fold(folded), folded, "{folded:?}");
        }
    }

    #[test]
    fn ascii_folds_without_memory_into_the_same() {
        for segment in [
            "",
            "secret",
            "Secret",
            " .SECRET. ",
            "...",
            "a.B",
            "\0a\t",
            "A-_~!$&'()*+,=:@9",
            "z.Z.z",
        ] {
            let mut room = [0; 32];
            assert_eq!(
                fold_within(segment, &mut room),
                Some(fold(segment).as_str()),
                "{segment:?}"
            );
        }
        assert_eq!(fold_within("caf\u{e9}", &mut [0; 32]), None);
        assert_eq!(fold_within("ABC", &mut [0; 2]), None);
        assert_eq!(fold_within(".ABC.", &mut [0; 3]), Some("abc"));
    }

    #[test]
    fn ascii_is_what_it_seems() {
        assert!(
            (0..128_u8)
                .map(char::from)
                .all(|c| !is_invisible(c) && !is_lookalike(c))
        );
    }

    #[test]
    fn what_people_write_is_visible_and_no_lookalike() {
        for c in "azAZ09-._~ äéßøжЯ中日本한اﻻ€😀".chars() {
            assert!(!is_invisible(c) && !is_lookalike(c), "{c:?}");
        }
    }
}
