//! Object ids in small: nearly all of them are a UUID, or a UUID behind one of a few beginnings.

/// How long the canonical text of a UUID is.
const LENGTH: usize = 36;

/// Cuts the canonical text of a UUID (RFC 9562, lower case) off the end of an id.
pub(crate) fn split(id: &str) -> (&str, Option<u128>) {
    let cut = id
        .len()
        .checked_sub(LENGTH)
        .and_then(|at| id.split_at_checked(at));
    let Some((head, tail)) = cut else {
        return (id, None);
    };
    match tail.as_bytes().first_chunk().and_then(read) {
        Some(uuid) => (head, Some(uuid)),
        None => (id, None),
    }
}

/// Puts an id together again.
pub(super) fn join(head: &str, tail: Option<u128>) -> String {
    let Some(uuid) = tail else {
        return head.to_owned();
    };
    let field = |shift: u32, digits: u32| {
        let mask = u128::MAX.checked_shr(u128::BITS.saturating_sub(digits.saturating_mul(4)));
        uuid.checked_shr(shift).unwrap_or(0) & mask.unwrap_or(0)
    };
    format!(
        "{head}{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        field(96, 8),
        field(80, 4),
        field(64, 4),
        field(48, 4),
        field(0, 12)
    )
}

/// What a byte means as a lower-case hexadecimal digit; more than 15 if it is none.
fn digit(byte: u8) -> u8 {
    match byte {
        b'0'..=b'9' => byte.wrapping_sub(b'0'),
        b'a'..=b'f' => byte.wrapping_sub(b'a').wrapping_add(10),
        _ => u8::MAX,
    }
}

fn read(text: &[u8; LENGTH]) -> Option<u128> {
    let mut halves = [0_u64; 2];
    // Bits of everything that is not as it must be.
    let mut wrong = 0;
    let (first, second) = text.split_at_checked(19)?;
    for (half, part) in halves.iter_mut().zip([first, second]) {
        for (place, byte) in part.iter().enumerate() {
            // Counted within its half, hyphens stand at 8, 13 and 18 of the first and at 4 of the second.
            let hyphen = if part.len() == 19 {
                matches!(place, 8 | 13 | 18)
            } else {
                place == 4
            };
            if hyphen {
                wrong |= byte ^ b'-';
            } else {
                let digit = digit(*byte);
                wrong |= digit & 0xf0;
                *half = (*half << 4) | u64::from(digit & 0x0f);
            }
        }
    }
    let [high, low] = halves;
    (wrong == 0).then_some((u128::from(high) << 64) | u128::from(low))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_the_canonical_spelling_at_the_end_is_cut_off() {
        let uuid = "018f4e7a-1111-7000-8000-00000000abcd";
        let value = 0x018f_4e7a_1111_7000_8000_0000_0000_abcd;
        assert_eq!(split(uuid), ("", Some(value)));
        assert_eq!(
            split(&format!("docs/document/{uuid}")),
            ("docs/document/", Some(value))
        );
        assert_eq!(split(&format!("é{uuid}")), ("é", Some(value)));
        for whole in [
            "",
            "bob",
            "018F4e7a-1111-7000-8000-00000000abcd",
            "018f4e7a-1111-7000-8000-00000000abcg",
            "018f4e7a01111-7000-8000-00000000abcd",
            "018f4e7a-1111-7000-800-000000000abcd",
            "018f4e7a-1111-7000-8000-00000000abcd/x",
            "éééééééééééééééééééé",
        ] {
            assert_eq!(split(whole), (whole, None), "`{whole}`");
        }
    }

    proptest! {
        #[test]
        fn what_was_cut_is_joined_to_the_same_text(head in "[a-z/é]{0,12}", uuid: Option<u128>) {
            let text = join(&head, uuid);
            prop_assert_eq!(split(&text), (head.as_str(), uuid));
            prop_assert_eq!(text.len(), head.len() + if uuid.is_some() { LENGTH } else { 0 });
        }
    }
}
