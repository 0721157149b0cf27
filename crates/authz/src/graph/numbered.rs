//! Values that are given a small number while something refers to them, and found by value or by number.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hash};

use super::paged::Paged;
use super::table::{Slot, Table};

/// The list of free numbers ends here.
const NO_NUMBER: u32 = u32::MAX;

/// Values and their numbers. The values are chosen by people and programs outside, so they are hashed with `SipHash`
/// under a random key (the standard library's default): nobody can choose ids that all fall into one place.
#[derive(Debug, Clone)]
pub(super) struct Numbered<T> {
    index: Table<Entry>,
    records: Paged<Record<T>>,
    free: u32,
    hasher: RandomState,
}

#[derive(Debug, Clone, Default)]
struct Record<T> {
    value: T,
    /// How many refer to it; nought is a free number.
    references: u32,
    /// The next free number, if this one is free.
    next_free: u32,
}

/// A part of the value's hash, and its number.
#[derive(Debug, Clone, Copy)]
struct Entry {
    tag: u32,
    number: u32,
}

impl Slot for Entry {
    const VACANT: Self = Self {
        tag: 0,
        number: NO_NUMBER,
    };

    fn is_vacant(&self) -> bool {
        self.number == NO_NUMBER
    }

    fn key(&self) -> u64 {
        u64::from(self.tag)
    }
}

/// What a value is found by.
pub(super) trait Keyed {
    /// The part of the value that tells it from others.
    type Key<'k>: Hash;

    /// Whether the value has this key.
    fn has_key(&self, key: &Self::Key<'_>) -> bool;

    /// The value's key.
    fn key(&self) -> Self::Key<'_>;
}

impl<T: Keyed + Clone + Default> Numbered<T> {
    /// No values.
    pub(super) fn new() -> Self {
        Self {
            index: Table::new(),
            records: Paged::new(),
            free: NO_NUMBER,
            hasher: RandomState::new(),
        }
    }

    /// The number of the value with this key.
    pub(super) fn find(&self, key: &T::Key<'_>) -> Option<u32> {
        self.find_tagged(self.tag(key), key)
    }

    fn find_tagged(&self, tag: u32, key: &T::Key<'_>) -> Option<u32> {
        let has_key = |number: u32| self.get(number).is_some_and(|value| value.has_key(key));
        let found = self
            .index
            .find(u64::from(tag), |entry| entry.tag == tag && has_key(entry.number));
        found.map(|entry| entry.number)
    }

    /// The numbers of several values. What takes long is waiting for memory, so the waits are made to overlap: first
    /// all places in the index are looked up, then all values that they point to.
    pub(super) fn find_all<const N: usize>(&self, keys: &[Option<T::Key<'_>>; N]) -> [Option<u32>; N] {
        let tags = keys.each_ref().map(|key| key.as_ref().map(|key| self.tag(key)));
        let candidates =
            tags.map(|tag| tag.and_then(|tag| self.index.find(u64::from(tag), |entry| entry.tag == tag)));
        let mut keys = keys.iter();
        candidates.map(|candidate| {
            let (key, entry) = (keys.next()?.as_ref()?, candidate?);
            // Another value may have the same tag.
            match self.get(entry.number) {
                Some(value) if value.has_key(key) => Some(entry.number),
                _ => self.find_tagged(entry.tag, key),
            }
        })
    }

    /// The value with this number.
    pub(super) fn get(&self, number: u32) -> Option<&T> {
        self.records.get(number).map(|record| &record.value)
    }

    /// The value with this number, to be changed in what is not its key.
    pub(super) fn get_mut(&mut self, number: u32) -> Option<&mut T> {
        self.records.get_mut(number).map(|record| &mut record.value)
    }

    /// Gives a number to a value that has none. Nothing refers to it yet. `None` if no number is left.
    pub(super) fn add(&mut self, value: T) -> Option<u32> {
        let tag = self.tag(&value.key());
        let number = if self.free == NO_NUMBER {
            self.records.add()?
        } else {
            self.free
        };
        let reused = number == self.free;
        let record = self.records.get_mut(number)?;
        if reused {
            self.free = record.next_free;
        }
        *record = Record {
            value,
            references: 0,
            next_free: NO_NUMBER,
        };
        self.index.insert(Entry { tag, number });
        Some(number)
    }

    /// One more refers to the value.
    pub(super) fn retain(&mut self, number: u32) {
        if let Some(record) = self.records.get_mut(number) {
            record.references = record.references.saturating_add(1);
        }
    }

    /// One less refers to the value. Returns the value if it was the last one; the number is free then.
    pub(super) fn release(&mut self, number: u32) -> Option<T> {
        let record = self.records.get_mut(number)?;
        record.references = record.references.saturating_sub(1);
        if record.references > 0 {
            return None;
        }
        record.next_free = self.free;
        self.free = number;
        let value = std::mem::take(&mut record.value);
        let tag = self.tag(&value.key());
        self.index.remove(u64::from(tag), |entry| entry.number == number);
        Some(value)
    }

    /// How many values there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    /// The numbers and values, in no particular order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        let used = (0_u32..)
            .zip(self.records.iter())
            .filter(|(_, record)| record.references > 0);
        used.map(|(number, record)| (number, &record.value))
    }

    fn tag(&self, key: &T::Key<'_>) -> u32 {
        let hash = self.hasher.hash_one(key);
        u32::try_from(hash >> 32).unwrap_or(0)
    }
}
