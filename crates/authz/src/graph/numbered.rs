//! Values that are given a small number while something refers to them, and found by value or by number.

use std::hint::black_box;
use std::sync::Arc;

use super::keyed::{Hashed, Keys};
use super::paged::Paged;
use super::table::{Fetch, Probe, Slot, Table};

/// No value has this number.
const NO_NUMBER: u32 = u32::MAX;

/// Values and their numbers. The values are chosen by people and programs outside, so they are hashed under a secret
/// key.
#[derive(Debug, Clone)]
pub(super) struct Numbered<T: Keyed> {
    index: Table<Entry>,
    records: Paged<Record<T>>,
    keys: Arc<Keys>,
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
pub(super) struct Entry {
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

/// A place in the index where a value's number is expected.
#[derive(Clone, Copy)]
pub(super) struct Expected<'n> {
    tag: u32,
    probe: Probe<'n, Entry>,
}

impl Expected<'_> {
    /// The number that the value has unless the hash of another value is the same.
    pub(super) fn guess(self) -> Option<u32> {
        let found = self.probe.find(|entry| entry.tag == self.tag);
        found.map(|entry| entry.number)
    }
}

impl Fetch for Expected<'_> {
    fn fetch(&self) {
        self.probe.fetch();
    }
}

/// A record that is to be fetched.
struct ToFetch<'n, T: Keyed>(Option<&'n Record<T>>);

impl<T: Keyed> Fetch for ToFetch<'_, T> {
    fn fetch(&self) {
        black_box(self.0.map_or(0, |record| record.references));
    }
}

/// What a value is found by.
pub(super) trait Keyed {
    /// A type of which records have the alignment.
    type Align: std::fmt::Debug + Clone + Copy;

    /// The part of the value that tells it from others.
    type Key<'k>: Hashed;

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
            keys: Arc::new(Keys::random()),
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

    /// Where the index says what number the value with this key has.
    pub(super) fn expect(&self, key: &T::Key<'_>) -> Expected<'_> {
        let tag = self.tag(key);
        Expected {
            tag,
            probe: self.index.probe(u64::from(tag)),
        }
    }

    /// The value with this number, to be fetched.
    pub(super) fn record(&self, number: u32) -> impl Fetch {
        ToFetch(self.records.get(number))
    }

    /// The value with this key and its number, out of what [`Expected::guess`] says.
    pub(super) fn confirm(&self, key: &T::Key<'_>, guess: Option<u32>) -> Option<(u32, &T)> {
        let number = guess?;
        match self.get(number) {
            Some(value) if value.has_key(key) => Some((number, value)),
            _ => {
                let number = self.find(key)?;
                Some((number, self.get(number)?))
            }
        }
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
        key.hashed(&self.keys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A value whose hash many others have.
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
    struct Word(u32);

    impl Hashed for Word {
        fn hashed(&self, _: &Keys) -> u32 {
            self.0 % 3
        }
    }

    impl Keyed for Word {
        type Align = u8;
        type Key<'k> = Self;

        fn has_key(&self, key: &Self) -> bool {
            self == key
        }

        fn key(&self) -> Self {
            *self
        }
    }

    #[test]
    fn a_guess_that_is_wrong_is_seen() {
        let mut values = Numbered::new();
        let numbers: Vec<u32> = (0..30)
            .map(|word| values.add(Word(word), 1).expect("a number"))
            .collect();
        let mut wrong = 0;
        for (word, number) in (0_u32..).map(Word).zip(numbers) {
            let guess = values.expect(&word).guess();
            wrong += usize::from(guess != Some(number));
            assert_eq!(values.confirm(&word, guess), Some((number, &word)));
            assert_eq!(values.find(&word), Some(number));
        }
        assert_eq!(wrong, 27, "three have the number that their hash leads to");
        let unknown = Word(30);
        assert_eq!(values.confirm(&unknown, values.expect(&unknown).guess()), None);
    }
}
