//! Where the body ends: told in one way, or not accepted (RFC 9112 §6).

use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, Version};
use sentinel_core::Denial;

pub(super) fn check(version: Version, fields: &HeaderMap) -> Result<(), Denial> {
    let lengths = fields
        .get_all(CONTENT_LENGTH)
        .into_iter()
        .map(HeaderValue::as_bytes);
    let encodings = fields
        .get_all(TRANSFER_ENCODING)
        .into_iter()
        .map(HeaderValue::as_bytes);
    check_values(version, lengths, encodings)
}

/// At most one of the two, once, and plain: a decimal number, or `chunked` and nothing else.
pub(super) fn check_values<'a>(
    version: Version,
    lengths: impl IntoIterator<Item = &'a [u8]>,
    encodings: impl IntoIterator<Item = &'a [u8]>,
) -> Result<(), Denial> {
    let (mut lengths, mut encodings) = (lengths.into_iter(), encodings.into_iter());
    let plain = match (lengths.next(), encodings.next()) {
        (None, None) => true,
        (Some(length), None) => lengths.next().is_none() && is_plain_length(length),
        (None, Some(encoding)) => {
            encodings.next().is_none()
                && version == Version::HTTP_11
                && encoding.eq_ignore_ascii_case(b"chunked")
        }
        (Some(_), Some(_)) => false,
    };
    if plain {
        Ok(())
    } else {
        Err(Denial::FramingInvalid)
    }
}

fn is_plain_length(value: &[u8]) -> bool {
    (1..=18).contains(&value.len())
        && value.iter().all(u8::is_ascii_digit)
        && (value.len() == 1 || !value.starts_with(b"0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(version: Version, lengths: &[&str], encodings: &[&str]) -> bool {
        let lengths: Vec<&[u8]> = lengths.iter().map(|v| v.as_bytes()).collect();
        let encodings: Vec<&[u8]> = encodings.iter().map(|v| v.as_bytes()).collect();
        check_values(version, lengths, encodings).is_ok()
    }

    #[test]
    fn one_plain_framing_passes() {
        assert!(plain(Version::HTTP_11, &[], &[]));
        assert!(plain(Version::HTTP_11, &["0"], &[]));
        assert!(plain(Version::HTTP_10, &["42"], &[]));
        assert!(plain(Version::HTTP_11, &[], &["chunked"]));
        assert!(plain(Version::HTTP_11, &[], &["Chunked"]));
    }

    #[test]
    fn two_readings_are_refused() {
        for bad in [
            "",
            " ",
            "+1",
            "-1",
            "0x1",
            "1,1",
            "1 1",
            "01",
            "1.0",
            "9999999999999999999",
        ] {
            assert!(!plain(Version::HTTP_11, &[bad], &[]), "`{bad}`");
        }
        for bad in [
            "",
            "identity",
            "gzip, chunked",
            "chunked, chunked",
            "x, chunked",
            "chunked;q=1",
            "xchunked",
            "\tchunked",
        ] {
            assert!(!plain(Version::HTTP_11, &[], &[bad]), "`{bad}`");
        }
        assert!(!plain(Version::HTTP_11, &["1", "1"], &[]));
        assert!(!plain(Version::HTTP_11, &["1", "2"], &[]));
        assert!(!plain(Version::HTTP_11, &["1"], &["chunked"]));
        assert!(!plain(Version::HTTP_11, &[], &["chunked", "chunked"]));
        assert!(!plain(Version::HTTP_10, &[], &["chunked"]));
        assert!(!plain(Version::HTTP_2, &[], &["chunked"]));
    }
}
