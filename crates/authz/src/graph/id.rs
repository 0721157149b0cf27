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
    let mut text = String::with_capacity(head.len().saturating_add(LENGTH));
    text.push_str(head);
    if let Some(uuid) = tail {
        push_uuid(&mut text, uuid);
    }
    text
}

/// Adds the canonical text of a UUID.
pub(super) fn push_uuid(text: &mut String, uuid: u128) {
    // All of it is ASCII.
    text.push_str(str::from_utf8(&write_uuid(uuid)).unwrap_or_default());
}

/// The canonical text of a UUID: all of it ASCII.
pub(crate) fn write_uuid(uuid: u128) -> [u8; LENGTH] {
    let mut places = [b'-'; LENGTH];
    let digits = places
        .iter_mut()
        .enumerate()
        .filter(|(place, _)| !matches!(place, 8 | 13 | 18 | 23));
    let halves = uuid
        .to_be_bytes()
        .into_iter()
        .flat_map(|byte| [byte >> 4, byte & 0x0f]);
    for ((_, place), value) in digits.zip(halves) {
        *place = if value < 10 {
            value.wrapping_add(b'0')
        } else {
            value.wrapping_add(b'a').wrapping_sub(10)
        };
    }
    places
}

/// Reads the text in four pieces of eight digits.
fn read(text: &[u8; LENGTH]) -> Option<u128> {
    let fours = [0, 4, 9, 14, 19, 24, 28, 32].map(|start| -> [u8; 4] {
        let found = text.get(start..).and_then(<[u8]>::first_chunk);
        found.copied().unwrap_or_default()
    });
    let (pieces, _) = fours.as_flattened().as_chunks();
    let (mut uuid, mut all_wrong) = (0, 0);
    for piece in pieces {
        let [number, wrong] = digits(*piece);
        uuid = (uuid << 32) | u128::from(number);
        all_wrong |= wrong;
    }
    let hyphens = [8, 13, 18, 23].map(|place| text.get(place) == Some(&b'-'));
    (all_wrong == 0 && hyphens == [true; 4]).then_some(uuid)
}

/// The number that eight lower-case hexadecimal digits make, and something that is not nought if one of them is none:
/// all eight at a time, a byte each.
fn digits(text: [u8; 8]) -> [u64; 2] {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const TOPS: u64 = 0x80 * ONES;
    let bytes = u64::from_be_bytes(text);
    // With the top bit out of the way no byte carries into the next one.
    let low = bytes & !TOPS;
    let from = |first: u8| low.wrapping_add(u64::from(0x80_u8.wrapping_sub(first)).wrapping_mul(ONES)) & TOPS;
    let is_digit = from(b'0') & !from(b'9'.wrapping_add(1));
    let is_letter = from(b'a') & !from(b'f'.wrapping_add(1));
    let wrong = (!(is_digit | is_letter) & TOPS) | (bytes & TOPS);
    // Letters are nine behind their last four bits.
    let values = (low & ONES.wrapping_mul(0x0f)).wrapping_add((is_letter >> 7).wrapping_mul(9));
    // Neighbours are put together: two, four, eight.
    let pairs = (values | (values >> 4)) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs | (pairs >> 8)) & 0x0000_ffff_0000_ffff;
    let number = (fours | (fours >> 16)) & 0xffff_ffff;
    [number, wrong]
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
        fn every_byte_that_is_no_digit_is_seen(digits: [u8; 8], place in 0_usize..36, byte: u8) {
            let expected = str::from_utf8(&digits).ok().filter(|text| {
                text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
            });
            let [number, wrong] = super::digits(digits);
            prop_assert_eq!(wrong == 0, expected.is_some());
            if let Some(text) = expected {
                prop_assert_eq!(Ok(number), u64::from_str_radix(text, 16));
            }
            let mut text = *b"018f4e7a-1111-7000-8000-00000000abcd";
            text[place] = byte;
            let expected = str::from_utf8(&text).ok().filter(|_| match place {
                8 | 13 | 18 | 23 => byte == b'-',
                _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
            });
            let expected = expected.and_then(|text| u128::from_str_radix(&text.replace('-', ""), 16).ok());
            prop_assert_eq!(read(&text), expected);
        }

        #[test]
        fn what_was_cut_is_joined_to_the_same_text(head in "[a-z/é]{0,12}", uuid: Option<u128>) {
            let text = join(&head, uuid);
            prop_assert_eq!(split(&text), (head.as_str(), uuid));
            prop_assert_eq!(text.len(), head.len() + if uuid.is_some() { LENGTH } else { 0 });
        }
    }
}
