//! A hash set of small values that is cheap to copy and change: the values lie in shards, a copy shares all shards,
//! and a change copies the one shard that it touches. There is no overlay to look into first and none to merge.
//!
//! Within a shard values lie where their hash says or behind it (linear probing), so a lookup in a large table costs
//! one cache miss.

use std::hash::BuildHasher as _;
use std::sync::Arc;

use foldhash::fast::RandomState;

/// How many values a shard has on average before the number of shards doubles.
const SHARD: usize = 384;
/// How many shards hang on one node of the directory.
const GROUP_BITS: u32 = 6;

/// A value of a [`Table`].
pub(super) trait Slot: Copy {
    /// Marks a free place; never inserted.
    const VACANT: Self;

    /// Whether this is the mark of a free place.
    fn is_vacant(&self) -> bool;

    /// What is hashed. Values that are equal have equal keys. It is made of numbers that the engine gave out, so the
    /// fast hash serves; it is seeded all the same.
    fn key(&self) -> u64;
}

/// The set. Cloning it copies the directory's root only.
#[derive(Debug, Clone)]
pub(super) struct Table<S> {
    groups: Vec<Arc<[Shard<S>]>>,
    /// The number of shards is two to this power.
    shard_bits: u32,
    len: usize,
    hasher: RandomState,
}

#[derive(Debug, Clone)]
struct Shard<S> {
    slots: Arc<[S]>,
    used: usize,
}

impl<S: Slot> Table<S> {
    /// An empty table.
    pub(super) fn new() -> Self {
        Self::with_shards(0, RandomState::default())
    }

    fn with_shards(shard_bits: u32, hasher: RandomState) -> Self {
        let empty = Shard {
            slots: Arc::default(),
            used: 0,
        };
        let per_group = 1_usize << shard_bits.min(GROUP_BITS);
        let group: Arc<[_]> = vec![empty; per_group].into();
        let groups = vec![group; 1_usize << shard_bits.saturating_sub(GROUP_BITS)];
        Self {
            groups,
            shard_bits,
            len: 0,
            hasher,
        }
    }

    /// How many values there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The value with this key for which `is_it` holds.
    pub(super) fn find(&self, key: u64, mut is_it: impl FnMut(&S) -> bool) -> Option<S> {
        let hash = self.hasher.hash_one(key);
        let (group, within) = split(hash, self.shard_bits);
        let slots = &self.groups.get(group)?.get(within)?.slots;
        let (front, back) = slots.split_at_checked(home(hash, slots.len()))?;
        for slot in back.iter().chain(front) {
            if slot.is_vacant() {
                return None;
            }
            if is_it(slot) {
                return Some(*slot);
            }
        }
        None
    }

    /// Inserts a value that is not there yet.
    pub(super) fn insert(&mut self, value: S) {
        if self.len >= SHARD << self.shard_bits {
            self.double();
        }
        let hash = self.hasher.hash_one(value.key());
        let hasher = self.hasher.clone();
        if let Some(shard) = self.shard_mut(hash) {
            shard.insert(value, hash, &hasher);
            self.len = self.len.saturating_add(1);
        }
    }

    /// Puts another value of the same key in a value's place.
    pub(super) fn replace(&mut self, key: u64, is_it: impl FnMut(&S) -> bool, by: S) {
        let hash = self.hasher.hash_one(key);
        if let Some(shard) = self.shard_mut(hash)
            && let Some(at) = shard.position(hash, is_it)
        {
            shard.put(at, by);
        }
    }

    /// Removes a value, if it is there.
    pub(super) fn remove(&mut self, key: u64, is_it: impl FnMut(&S) -> bool) {
        let hash = self.hasher.hash_one(key);
        let hasher = self.hasher.clone();
        if let Some(shard) = self.shard_mut(hash)
            && let Some(at) = shard.position(hash, is_it)
        {
            shard.remove(at, &hasher);
            self.len = self.len.saturating_sub(1);
        }
    }

    /// All values, in no particular order.
    pub(super) fn iter(&self) -> impl Iterator<Item = S> + '_ {
        let shards = self.groups.iter().flat_map(|group| group.iter());
        shards.flat_map(|shard| shard.slots.iter().copied().filter(|slot| !slot.is_vacant()))
    }

    fn shard_mut(&mut self, hash: u64) -> Option<&mut Shard<S>> {
        let (group, within) = split(hash, self.shard_bits);
        Arc::make_mut(self.groups.get_mut(group)?).get_mut(within)
    }

    /// Doubles the number of shards. Happens when the table has doubled, so it costs little for each insertion.
    fn double(&mut self) {
        let mut larger = Self::with_shards(self.shard_bits.saturating_add(1), self.hasher.clone());
        for value in self.iter() {
            let hash = self.hasher.hash_one(value.key());
            if let Some(shard) = larger.shard_mut(hash) {
                shard.insert(value, hash, &self.hasher);
            }
        }
        larger.len = self.len;
        *self = larger;
    }
}

impl<S: Slot> Shard<S> {
    fn position(&self, hash: u64, mut is_it: impl FnMut(&S) -> bool) -> Option<usize> {
        let start = home(hash, self.slots.len());
        let (front, back) = self.slots.split_at_checked(start)?;
        let places = (start..self.slots.len()).chain(0..start);
        let mut found = places
            .zip(back.iter().chain(front))
            .take_while(|(_, slot)| !slot.is_vacant());
        found.find(|(_, slot)| is_it(slot)).map(|(at, _)| at)
    }

    fn insert(&mut self, value: S, hash: u64, hasher: &RandomState) {
        // At most three quarters are in use, or probing grows long.
        if self.used.saturating_add(1).saturating_mul(4) > self.slots.len().saturating_mul(3) {
            self.grow(hasher);
        }
        if let Some(at) = self.free_place(hash) {
            self.put(at, value);
            self.used = self.used.saturating_add(1);
        }
    }

    /// Makes room for a quarter more.
    fn grow(&mut self, hasher: &RandomState) {
        let capacity = self
            .slots
            .len()
            .saturating_add(self.slots.len() / 4)
            .saturating_add(8);
        let old = std::mem::replace(&mut self.slots, vec![S::VACANT; capacity].into());
        for value in old.iter().filter(|slot| !slot.is_vacant()) {
            if let Some(at) = self.free_place(hasher.hash_one(value.key())) {
                self.put(at, *value);
            }
        }
    }

    fn free_place(&self, hash: u64) -> Option<usize> {
        let start = home(hash, self.slots.len());
        let (front, back) = self.slots.split_at_checked(start)?;
        let behind = back
            .iter()
            .position(S::is_vacant)
            .map(|step| start.saturating_add(step));
        behind.or_else(|| front.iter().position(S::is_vacant))
    }

    fn put(&mut self, at: usize, value: S) {
        if let Some(slot) = Arc::make_mut(&mut self.slots).get_mut(at) {
            *slot = value;
        }
    }

    /// Takes a value out and moves those behind it up, so that no search stops short at the gap.
    fn remove(&mut self, at: usize, hasher: &RandomState) {
        let capacity = self.slots.len();
        let following = |place: usize| {
            if place.saturating_add(1) < capacity {
                place.saturating_add(1)
            } else {
                0
            }
        };
        let distance = |from: usize, to: usize| {
            if from <= to {
                to.saturating_sub(from)
            } else {
                capacity.saturating_sub(from).saturating_add(to)
            }
        };
        let mut gap = at;
        let mut next = following(at);
        while let Some(value) = self.slots.get(next).copied().filter(|slot| !slot.is_vacant()) {
            let home = home(hasher.hash_one(value.key()), capacity);
            if distance(home, next) >= distance(gap, next) {
                self.put(gap, value);
                gap = next;
            }
            next = following(next);
        }
        self.put(gap, S::VACANT);
        self.used = self.used.saturating_sub(1);
    }
}

/// The shard of a hash, from its upper half: its group and its place there.
fn split(hash: u64, shard_bits: u32) -> (usize, usize) {
    let shard = usize::try_from((hash >> 32) & (1_u64 << shard_bits).wrapping_sub(1)).unwrap_or(0);
    (shard >> GROUP_BITS, shard & ((1 << GROUP_BITS) - 1))
}

/// Where in a shard a value belongs, from the lower half of its hash, spread evenly over any number of places.
fn home(hash: u64, places: usize) -> usize {
    let spread = (hash & u64::from(u32::MAX)).wrapping_mul(places as u64) >> 32;
    usize::try_from(spread).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    impl Slot for u32 {
        const VACANT: Self = u32::MAX;

        fn is_vacant(&self) -> bool {
            *self == u32::MAX
        }

        fn key(&self) -> u64 {
            // Few keys, so that many values share one.
            u64::from(*self % 50)
        }
    }

    fn contents(table: &Table<u32>) -> HashSet<u32> {
        table.iter().collect()
    }

    proptest! {
        #[test]
        fn it_is_a_set_and_older_copies_stay_as_they_were(
            steps in prop::collection::vec((any::<bool>(), 0_u32..300), 0..600)
        ) {
            let mut table = Table::new();
            let mut truth = HashSet::new();
            let mut copies = Vec::new();
            for (number, (insert, value)) in steps.into_iter().enumerate() {
                if number % 100 == 0 {
                    copies.push((table.clone(), truth.clone()));
                }
                if insert && truth.insert(value) {
                    table.insert(value);
                } else if !insert && truth.remove(&value) {
                    table.remove(u64::from(value % 50), |found| *found == value);
                }
                prop_assert_eq!(table.find(u64::from(value % 50), |found| *found == value).is_some(), insert);
            }
            prop_assert_eq!(table.len(), truth.len());
            copies.push((table, truth));
            for (table, truth) in copies {
                prop_assert_eq!(contents(&table), truth);
            }
        }
    }

    #[test]
    fn it_grows_over_many_shards_and_groups() {
        let mut table = Table::new();
        for value in 0..100_000_u32 {
            table.insert(Wide(value));
        }
        assert!(table.groups.len() > 1);
        let before = table.clone();
        for value in 0..50_000_u32 {
            table.remove(u64::from(value), |found| found.0 == value);
        }
        assert_eq!((table.len(), before.len()), (50_000, 100_000));
        for value in 0..100_000_u32 {
            let find = |table: &Table<Wide>| table.find(u64::from(value), |found| found.0 == value).is_some();
            assert!(find(&before));
            assert_eq!(find(&table), value >= 50_000);
        }
    }

    #[derive(Debug, Clone, Copy)]
    struct Wide(u32);

    impl Slot for Wide {
        const VACANT: Self = Self(u32::MAX);

        fn is_vacant(&self) -> bool {
            self.0 == u32::MAX
        }

        fn key(&self) -> u64 {
            u64::from(self.0)
        }
    }
}
