//! Sizes in bytes: a whole number and its unit.

use std::fmt;
use std::str::FromStr;

use schemars::{Schema, SchemaGenerator};

use super::plain::read_text;
use crate::schema::text_schema;
use crate::section::{Place, Reader, Setting};

/// A number of bytes. Written with a unit: `64KiB`, `10MiB`, `1GiB`, or `512B`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(u64);

const UNITS: [(&str, u64); 4] = [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];

impl ByteSize {
    /// The number of bytes.
    pub fn bytes(self) -> u64 {
        self.0
    }

    /// The number of bytes as a length in memory.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

/// A text that is not a size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a size: a whole number with its unit is expected, such as `512B`, `64KiB` or `10MiB`")]
pub struct InvalidSize(String);

impl FromStr for ByteSize {
    type Err = InvalidSize;

    fn from_str(text: &str) -> Result<Self, InvalidSize> {
        let parse = || {
            let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
            let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit)?;
            number.parse::<u64>().ok()?.checked_mul(*factor).map(Self)
        };
        parse().ok_or_else(|| InvalidSize(text.chars().take(64).collect()))
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, factor) = UNITS
            .iter()
            .rev()
            .find(|(_, factor)| self.0 > 0 && self.0.is_multiple_of(*factor))
            .unwrap_or(&UNITS[0]);
        write!(f, "{}{unit}", self.0 / factor)
    }
}

impl Setting for ByteSize {
    fn read(place: &Place<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        read_text(place, reader)
    }

    fn describe(_: &mut SchemaGenerator) -> Schema {
        text_schema("^[0-9]+(B|KiB|MiB|GiB)$")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_survive_a_round_trip() {
        for (text, bytes) in [
            ("512B", 512),
            ("64KiB", 65_536),
            ("10MiB", 10_485_760),
            ("3GiB", 3 << 30),
        ] {
            let size: ByteSize = text.parse().expect(text);
            assert_eq!(size.bytes(), bytes);
            assert_eq!(size.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for bad in [
            "",
            "10",
            "10MB",
            "1.5MiB",
            "-1B",
            "10 MiB",
            "10mib",
            "99999999999999GiB",
        ] {
            assert!(bad.parse::<ByteSize>().is_err(), "`{bad}`");
        }
    }
}
