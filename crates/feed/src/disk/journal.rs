//! Records in a file: each an envelope behind its length (4 bytes, big endian).

use crate::signed::Signed;

/// A longer record is not one of ours.
const MAX_RECORD: usize = 64 << 20;

/// An envelope as a record.
pub(super) fn record(signed: &Signed) -> Vec<u8> {
    let bytes = signed.to_bytes();
    // INVARIANT: what is received is smaller than `MAX_RECORD`.
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    [&length.to_be_bytes()[..], &bytes].concat()
}

/// The first record, and the bytes after it. `None` where no whole record is left.
pub(super) fn split_record(bytes: &[u8]) -> Option<(Signed, &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    let length = u32::from_be_bytes(*length) as usize;
    if length > MAX_RECORD {
        return None;
    }
    let (record, rest) = rest.split_at_checked(length)?;
    Some((Signed::from_bytes(record)?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signed::Kind;
    use crate::testing::FeedKey;

    #[test]
    fn records_follow_each_other_and_a_torn_one_is_none() {
        let key = FeedKey::generate();
        let (a, b) = (
            key.seal(Kind::Frame, vec![1; 9]),
            key.seal(Kind::Frame, vec![2; 300]),
        );
        let file = [record(&a), record(&b)].concat();
        let (first, rest) = split_record(&file).expect("a record");
        let (second, end) = split_record(rest).expect("a record");
        assert_eq!((first, second, end), (a, b, &[][..]));
        for cut in 0..rest.len() {
            assert!(split_record(&rest[..cut]).is_none());
        }
        assert!(split_record(&[0xff; 64]).is_none());
    }
}
