//! How many fields a header block has, found out without decoding it (RFC 7541 §6).
//!
//! One byte of a block can stand for a field of any size. What a block makes of itself in memory follows from the number of
//! its fields, so they are counted before anybody decodes them.

/// A block has more fields than it may, or a number in it is larger than any that is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooMany;

/// Counts the fields of one block, piece by piece.
#[derive(Debug)]
pub(super) struct Fields {
    state: State,
    count: usize,
    most: usize,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// Before a field.
    Start,
    /// In a number whose first bits were all ones (RFC 7541 §5.1).
    Number { value: u32, shift: u32, then: Then },
    /// Before the length of a text; `more` follow it.
    Length { more: u8 },
    /// In a text with this much left.
    Text { left: u32, more: u8 },
}

/// What comes after a number.
#[derive(Debug, Clone, Copy)]
enum Then {
    /// The next field.
    Start,
    /// So many texts.
    Texts(u8),
    /// The text whose length it was, and so many more.
    Text(u8),
}

impl Fields {
    /// For a block of at most `most` fields.
    pub(super) fn new(most: usize) -> Self {
        Self {
            state: State::Start,
            count: 0,
            most,
        }
    }

    /// Forgets everything: the next byte begins a block.
    pub(super) fn restart(&mut self) {
        *self = Self::new(self.most);
    }

    /// Looks at the next bytes of the block.
    pub(super) fn take(&mut self, mut bytes: &[u8]) -> Result<(), TooMany> {
        while let Some((&byte, rest)) = bytes.split_first() {
            if let State::Text { left, more } = self.state {
                let here = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                bytes = bytes.get(here..).unwrap_or_default();
                let left = left.saturating_sub(u32::try_from(here).unwrap_or(u32::MAX));
                self.state = if left > 0 {
                    State::Text { left, more }
                } else {
                    texts(more)
                };
            } else {
                bytes = rest;
                self.state = self.next(byte)?;
            }
        }
        Ok(())
    }

    fn next(&mut self, byte: u8) -> Result<State, TooMany> {
        match self.state {
            State::Start => {
                self.count = self.count.saturating_add(1);
                if self.count > self.most {
                    return Err(TooMany);
                }
                Ok(begin(byte))
            }
            State::Number { value, shift, then } => {
                let part = u32::from(byte & 0x7F);
                let part = part.checked_shl(shift).filter(|_| shift <= 21).ok_or(TooMany)?;
                let value = value.checked_add(part).ok_or(TooMany)?;
                Ok(if byte & 0x80 == 0 {
                    after(value, then)
                } else {
                    let shift = shift.saturating_add(7);
                    State::Number { value, shift, then }
                })
            }
            State::Length { more } | State::Text { more, .. } => Ok(number(byte, 0x7F, Then::Text(more))),
        }
    }
}

/// The first byte of a field, or of a change of the table's size, which counts as one.
fn begin(byte: u8) -> State {
    if byte & 0x80 != 0 {
        return number(byte, 0x7F, Then::Start);
    }
    if byte & 0xE0 == 0x20 {
        return number(byte, 0x1F, Then::Start);
    }
    let mask = if byte & 0x40 == 0 { 0x0F } else { 0x3F };
    // A name that is in no table is a text of its own.
    let own_name = byte & mask == 0;
    number(byte, mask, Then::Texts(if own_name { 2 } else { 1 }))
}

/// A number that begins in the bits of `mask`.
fn number(byte: u8, mask: u8, then: Then) -> State {
    let value = u32::from(byte & mask);
    if byte & mask == mask {
        State::Number {
            value,
            shift: 0,
            then,
        }
    } else {
        after(value, then)
    }
}

fn after(value: u32, then: Then) -> State {
    match then {
        Then::Start => State::Start,
        Then::Texts(count) => texts(count),
        Then::Text(more) if value == 0 => texts(more),
        Then::Text(more) => State::Text { left: value, more },
    }
}

fn texts(count: u8) -> State {
    match count.checked_sub(1) {
        Some(more) => State::Length { more },
        None => State::Start,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn count(block: &[u8]) -> Result<usize, TooMany> {
        let mut fields = Fields::new(usize::MAX);
        fields.take(block)?;
        Ok(fields.count)
    }

    /// RFC 7541 §5.1.
    fn push_number(block: &mut Vec<u8>, flags: u8, bits: u32, value: usize) {
        let full = (1 << bits) - 1;
        if value < full {
            block.push(flags | u8::try_from(value).expect("small"));
            return;
        }
        block.push(flags | u8::try_from(full).expect("small"));
        let mut rest = value - full;
        while rest >= 128 {
            block.push(u8::try_from(rest % 128).expect("small") | 0x80);
            rest /= 128;
        }
        block.push(u8::try_from(rest).expect("small"));
    }

    fn push_text(block: &mut Vec<u8>, flags: u8, text: &[u8]) {
        push_number(block, flags, 7, text.len());
        block.extend_from_slice(text);
    }

    /// The blocks of RFC 7541, appendix C.3 and C.4.
    #[test]
    fn the_blocks_of_the_standard_are_counted() {
        for (block, fields) in [
            ("828684410f7777772e6578616d706c652e636f6d", 4),
            ("828684be58086e6f2d6361636865", 5),
            ("828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565", 5),
            ("828684418cf1e3c2e5f23a6ba0ab90f4ff", 4),
            ("828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf", 5),
        ] {
            let bytes: Vec<u8> = (0..block.len())
                .step_by(2)
                .map(|at| u8::from_str_radix(&block[at..at + 2], 16).expect("hexadecimal"))
                .collect();
            assert_eq!(count(&bytes), Ok(fields), "{block}");
        }
    }

    #[test]
    fn a_block_may_have_so_many_fields_and_the_next_as_many() {
        let mut fields = Fields::new(3);
        assert_eq!(fields.take(&[0x82, 0x86, 0x84]), Ok(()));
        fields.restart();
        assert_eq!(fields.take(&[0x82, 0x86, 0x84]), Ok(()));
        assert_eq!(
            fields.take(&[0x3F, 0xE1, 0x1F]),
            Err(TooMany),
            "a change of the table's size"
        );
    }

    #[test]
    fn numbers_without_end_are_refused() {
        for start in [0xFF, 0x7F, 0x0F, 0x1F, 0x3F] {
            let mut block = vec![start];
            block.extend([0x80; 8]);
            assert_eq!(count(&block), Err(TooMany), "{start:x}");
        }
        assert_eq!(count(&[0x40, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]), Err(TooMany));
    }

    proptest! {
        /// Whatever the fields are, and wherever a piece ends.
        #[test]
        fn every_field_is_counted_once(
            fields in prop::collection::vec((0_u8..5, 0_usize..5000, prop::collection::vec(any::<u8>(), 0..300)), 0..30),
            piece in 1_usize..64,
        ) {
            let mut block = Vec::new();
            for (kind, index, text) in &fields {
                match kind {
                    0 => push_number(&mut block, 0x80, 7, index + 1),
                    1 => push_number(&mut block, 0x20, 5, *index),
                    2 => { push_number(&mut block, 0x40, 6, index + 1); push_text(&mut block, 0x80, text); }
                    3 => { block.push(0x00); push_text(&mut block, 0, text); push_text(&mut block, 0x80, text); }
                    _ => { push_number(&mut block, 0x10, 4, index + 1); push_text(&mut block, 0, text); }
                }
            }
            let mut counted = Fields::new(usize::MAX);
            for piece in block.chunks(piece) {
                prop_assert_eq!(counted.take(piece), Ok(()));
            }
            prop_assert_eq!(counted.count, fields.len());
        }

        #[test]
        fn any_bytes_are_counted_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
            let _ = count(&bytes);
        }
    }
}
