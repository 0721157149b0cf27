//! When tuples end that do not hold for ever. Most graphs have none, and then nobody looks.

use sentinel_core::Timestamp;

use super::link::Link;
use super::table::{Slot, Table};
use crate::model::RelationId;

/// The tuples that have an end.
#[derive(Debug, Clone)]
pub(super) struct Ends {
    table: Table<End>,
    len: usize,
}

/// A tuple and its end in microseconds since 1970.
#[derive(Debug, Clone, Copy)]
struct End {
    link: Link,
    until: i64,
}

/// A moment in a graph. The end of a tuple has come at it, not after it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment<'e> {
    /// `None` if no tuple ends.
    ends: Option<&'e Ends>,
    now: i64,
}

impl Moment<'_> {
    /// Where every tuple lasts.
    pub(super) const ANY: Self = Self { ends: None, now: 0 };

    /// Whether it matters which moment it is.
    pub(super) fn is_one(self) -> bool {
        self.ends.is_some()
    }

    /// Whether a tuple that is there has not ended.
    pub(super) fn lasts(self, link: &Link) -> bool {
        let end = self
            .ends
            .and_then(|ends| ends.table.find(key(link), |end| end.link == *link));
        end.is_none_or(|end| end.until > self.now)
    }
}

impl Slot for End {
    const VACANT: Self = Self {
        link: Link {
            object: u32::MAX,
            edge: super::link::Edge {
                relation: RelationId::NONE,
                userset: RelationId::NONE,
                subject: u32::MAX,
            },
        },
        until: 0,
    };

    fn is_vacant(&self) -> bool {
        self.link.object == u32::MAX
    }

    fn key(&self) -> u64 {
        key(&self.link)
    }
}

fn key(link: &Link) -> u64 {
    (u64::from(link.object) << 32) | u64::from(link.edge.subject)
}

impl Ends {
    /// No tuple ends.
    pub(super) fn new() -> Self {
        Self {
            table: Table::new(),
            len: 0,
        }
    }

    /// Whether every tuple holds for ever.
    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// When the tuple ends; `None` if it does not.
    pub(super) fn of(&self, link: &Link) -> Option<Timestamp> {
        if self.is_empty() {
            return None;
        }
        let found = self.table.find(key(link), |end| end.link == *link)?;
        // What was a time is one.
        Timestamp::from_timestamp_micros(found.until)
    }

    /// This moment, for a search that heeds the ends.
    pub(super) fn at(&self, now: Timestamp) -> Moment<'_> {
        Moment {
            ends: (!self.is_empty()).then_some(self),
            now: now.timestamp_micros(),
        }
    }

    /// Sets or takes away the end of a tuple.
    pub(super) fn set(&mut self, link: Link, until: Option<Timestamp>) {
        let before = self.of(&link).is_some();
        let key = key(&link);
        match until.map(|until| End {
            link,
            until: until.timestamp_micros(),
        }) {
            Some(end) if before => self.table.replace(key, |other| other.link == link, end),
            Some(end) => {
                self.table.insert(end);
                self.len = self.len.saturating_add(1);
            }
            None if before => {
                self.table.remove(key, |other| other.link == link);
                self.len = self.len.saturating_sub(1);
            }
            None => {}
        }
    }
}
