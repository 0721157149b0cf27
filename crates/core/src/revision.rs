//! The number of a committed change, and the history it belongs to.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A point in the control plane's history. Written `epoch.number`, for example `1763797000.42`, in one way only: digits
/// without a sign, and no zero before others.
///
/// Within one epoch numbers have no gaps and follow the order of commits. An epoch begins when history was replaced
/// (a restored backup) and is larger than every epoch before it, so revisions order by epoch first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision {
    /// Which history. Seconds since 1970 at which it began.
    pub epoch: u64,
    /// Which change of that history; 0 is the empty beginning.
    pub number: u64,
}

/// A text that is not a revision.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a revision: `epoch.number` is expected, as in an answer's `X-Sentinel-Revision`")]
pub struct InvalidRevision(String);

impl Revision {
    /// Before any history: older than every revision that a control plane hands out.
    pub const ZERO: Self = Self { epoch: 0, number: 0 };
}

impl FromStr for Revision {
    type Err = InvalidRevision;

    fn from_str(text: &str) -> Result<Self, InvalidRevision> {
        let number = |digits: &str| -> Option<u64> {
            let is_plain = digits.len() <= 20 && digits.bytes().all(|b| b.is_ascii_digit());
            // Two spellings of one revision would be two texts to whoever compares them.
            let is_shortest = digits.len() == 1 || !digits.starts_with('0');
            (is_plain && is_shortest).then(|| digits.parse().ok()).flatten()
        };
        text.split_once('.')
            .and_then(|(epoch, n)| {
                Some(Self {
                    epoch: number(epoch)?,
                    number: number(n)?,
                })
            })
            .ok_or_else(|| InvalidRevision(text.chars().take(64).collect()))
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch, self.number)
    }
}

impl Serialize for Revision {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Revision {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_epoch_is_newer_whatever_its_number() {
        assert!(Revision { epoch: 2, number: 0 } > Revision { epoch: 1, number: 99 });
        assert!(Revision { epoch: 1, number: 2 } > Revision { epoch: 1, number: 1 });
    }

    #[test]
    fn the_text_form_is_strict() {
        assert_eq!(
            "17.42".parse(),
            Ok(Revision {
                epoch: 17,
                number: 42
            })
        );
        assert_eq!("0.0".parse(), Ok(Revision::ZERO));
        for bad in [
            "",
            "17",
            "17.",
            ".42",
            "+1.2",
            "1.2.3",
            "1.-2",
            " 1.2",
            "99999999999999999999.1",
            "01.5",
            "1.05",
            "00.1",
            "1.00",
            "1.+2",
        ] {
            assert!(bad.parse::<Revision>().is_err(), "`{bad}` must be refused");
        }
    }
}
