//! Values that are given a small number while something refers to them, and found by value or by number.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hash};
use std::hint::black_box;

use super::paged::Paged;
use super::table::{Slot, Table};

/// No value has this number.
const NO_NUMBER: u32 = u32::MAX;

/// Values and their numbers. The values are chosen by people and programs outside, so they are hashed with `SipHash`
/// under a random key (the standard library's default): nobody can choose ids that all fall into one place.
#[derive(Debug, Clone)]
pub(super) struct Numbered<T: Keyed> {
    index: Table<Entry>,
    records: Paged<Record<T>>,
    hasher: RandomState,
}

#[derive(Debug, Clone)]
struct Record<T: Keyed> {
    /// Where records begin.
    _align: [T::Align; 0],
    value: T,
    /// How many refer to it.
    references: u32,
}

impl<T: Keyed + Default> Default for Record<T> {
    fn default() -> Self {
        Self {
            _align: [],
            value: T::default(),
            references: 0,
        }
    }
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
    /// A type of which records have the alignment.
    type Align: std::fmt::Debug + Clone + Copy;

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

    /// The numbers that several values have unless the hash of another value has the same beginning: to be looked up
    /// with [`Numbered::get`] and, where it is another one, found with [`Numbered::find`]. What takes long is waiting
    /// for memory, so the waits are made to overlap.
    pub(super) fn guess_all<const N: usize>(&self, keys: &[Option<T::Key<'_>>; N]) -> [Option<u32>; N] {
        let tags = keys.each_ref().map(|key| key.as_ref().map(|key| self.tag(key)));
        // The processor looks some hundred instructions ahead: what is to overlap must be close together.
        let probes = tags.map(|tag| Some((tag?, self.index.probe(u64::from(tag?)))));
        for (_, probe) in probes.iter().flatten() {
            probe.touch();
        }
        let guesses = probes.map(|probe| {
            let (tag, probe) = probe?;
            probe.find(|entry| entry.tag == tag).map(|entry| entry.number)
        });
        for guess in guesses.into_iter().flatten() {
            black_box(self.records.get(guess).map_or(0, |record| record.references));
        }
        guesses
    }

    /// The numbers of several values, out of what [`Numbered::guess_all`] says.
    pub(super) fn confirm_all<const N: usize>(
        &self,
        keys: &[Option<T::Key<'_>>; N],
        guesses: [Option<u32>; N],
    ) -> [Option<u32>; N] {
        let mut keys = keys.iter();
        guesses.map(|guess| {
            let (key, number) = (keys.next()?.as_ref()?, guess?);
            match self.get(number) {
                Some(value) if value.has_key(key) => Some(number),
                _ => self.find(key),
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

    /// Makes room for so many values more, which costs as much as adding those that are there again.
    pub(super) fn reserve(&mut self, more: usize) {
        let mut index = Table::with_room(self.len().saturating_add(more));
        self.index.iter().for_each(|entry| index.insert(entry));
        self.index = index;
    }

    /// Gives a number to a value that has none and that so many refer to. `None` if no number is left.
    pub(super) fn add(&mut self, value: T, references: u32) -> Option<u32> {
        let tag = self.tag(&value.key());
        let number = self.records.add(Record {
            _align: [],
            value,
            references,
        })?;
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
        let value = self.records.remove(number)?.value;
        let tag = self.tag(&value.key());
        self.index.remove(u64::from(tag), |entry| entry.number == number);
        Some(value)
    }

    /// Whether it takes far more memory than its values need.
    pub(super) fn is_sparse(&self) -> bool {
        self.records.is_sparse()
    }

    /// How many values it has room for, in the records and in the index.
    #[cfg(test)]
    pub(super) fn room(&self) -> (usize, usize) {
        (self.records.room(), self.index.room())
    }

    /// How many values there are.
    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    /// The numbers and values, in no particular order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.records
            .iter()
            .map(|(number, record)| (number, &record.value))
    }

    fn tag(&self, key: &T::Key<'_>) -> u32 {
        let hash = self.hasher.hash_one(key);
        u32::try_from(hash >> 32).unwrap_or(0)
    }
}
