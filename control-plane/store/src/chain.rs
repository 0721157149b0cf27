//! The chain of the change log: what tells one history from another that has the same epoch and the same numbers, as there
//! is after a database was rolled back and written to again (docs/adr/0014).

use sentinel_core::Revision;
use sentinel_token::hash::Sha256;

use crate::error::StoreError;

/// What a history has come to: a digest of all of its changes, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Chain([u8; 32]);

/// A place in a history: a revision, and what the history has come to there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Mark {
    /// The revision.
    pub revision: Revision,
    /// What the history has come to.
    pub chain: Chain,
}

impl Chain {
    /// What a history has come to in which nothing has happened yet. In the database it is null.
    pub const START: Self = Self([0; 32]);

    /// What it comes to with one more revision, whose changes are these lines.
    #[must_use]
    pub fn next(self, revision: Revision, lines: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(&self.0);
        hash.update(&revision.epoch.to_be_bytes());
        hash.update(&revision.number.to_be_bytes());
        hash.update(lines.as_bytes());
        Self(hash.finish())
    }

    /// The bytes, as they are stored.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// What is stored.
    pub(crate) fn stored(bytes: &[u8], table: &'static str, row: impl ToString) -> Result<Self, StoreError> {
        let bytes = bytes
            .try_into()
            .map_err(|_| StoreError::corrupt(table, "chain", row))?;
        Ok(Self(bytes))
    }
}

impl Mark {
    /// The place of whoever knows nothing yet.
    pub const NOWHERE: Self = Self {
        revision: Revision::ZERO,
        chain: Chain::START,
    };

    /// The place after one more revision, whose changes are these lines.
    pub(crate) fn next(self, lines: &str) -> Self {
        let revision = Revision {
            number: self.revision.number.saturating_add(1),
            ..self.revision
        };
        Self {
            revision,
            chain: self.chain.next(revision, lines),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_the_past_counts() {
        let at = |epoch, number| Revision { epoch, number };
        let first = Chain::START.next(at(7, 1), "+a");
        let all = [
            Chain::START,
            first,
            Chain::START.next(at(7, 1), "+b"),
            Chain::START.next(at(8, 1), "+a"),
            Chain::START.next(at(7, 2), "+a"),
            first.next(at(7, 2), "+a"),
            Chain::START.next(at(7, 1), "+b").next(at(7, 2), "+a"),
        ];
        for (number, one) in all.iter().enumerate() {
            assert!(!all[..number].contains(one), "{number}");
        }
        assert_eq!(first, Chain::START.next(at(7, 1), "+a"));
    }

    #[test]
    fn a_link_has_32_bytes() {
        assert!(Chain::stored(&[1; 32], "change_log", 1).is_ok());
        let error = Chain::stored(&[1; 31], "change_log", 7).expect_err("too short");
        assert_eq!(
            error.to_string(),
            "`change_log.chain` of the row `7` cannot be read: mend or remove the row"
        );
    }
}
