//! A hash set of small values that is cheap to copy and change: the values lie in shards, a copy shares all shards,
//! and a change copies the one shard that it touches. There is no overlay to look into first and none to merge.
//!
//! Within a shard values lie where their hash says or behind it (linear probing), so a lookup in a large table costs
//! one cache miss. The table grows and shrinks by one shard at a time (linear hashing: Litwin 1980), so that no change
//! ever waits for all values to be moved.

use std::hash::BuildHasher as _;
use std::hint::black_box;
use std::sync::Arc;

use foldhash::fast::RandomState;

/// How many values a shard has on average before a shard is added.
const SHARD: usize = 384;
/// How many shards hang on one node of the directory.
const GROUP_BITS: u32 = 6;
const GROUP: usize = 1 << GROUP_BITS;
/// How many bytes memory comes in.
const LINE: usize = 64;
/// A shard with at most so many places is never made smaller.
const SMALL: usize = 16;

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
    /// All but the last are full.
    groups: Vec<Arc<[Shard<S>]>>,
    /// How many shards there are: at least one.
    shards: usize,
    /// The largest power of two that is not above the number of shards.
    level: u32,
    len: usize,
    hasher: RandomState,
}

#[derive(Debug, Clone)]
struct Shard<S> {
    slots: Arc<[S]>,
    used: usize,
}

/// A place where a value may be, that was worked out and not looked at yet.
#[derive(Clone, Copy)]
pub(super) struct Probe<'t, S> {
    slots: &'t [S],
    start: usize,
}

/// What takes long to look at because it has to be fetched from memory.
pub(super) trait Fetch {
    /// Begins to fetch it. Nothing that follows depends on it, so the processor goes on meanwhile: with several places
    /// their waits overlap, whatever is found there.
    fn fetch(&self);
}

impl Fetch for () {
    fn fetch(&self) {}
}

impl<F: Fetch> Fetch for Option<F> {
    fn fetch(&self) {
        if let Some(one) = self {
            one.fetch();
        }
    }
}

impl<F: Fetch, const N: usize> Fetch for [F; N] {
    fn fetch(&self) {
        for one in self {
            one.fetch();
        }
    }
}

impl<S: Slot> Fetch for Probe<'_, S> {
    /// The place, and the line behind it, where the value is if the place was taken.
    fn fetch(&self) {
        let behind = const { LINE.div_ceil(size_of::<S>()) };
        for place in [self.start, self.start.wrapping_add(behind)] {
            black_box(self.slots.get(place).map_or(0, Slot::key));
        }
    }
}

impl<S: Slot> Probe<'_, S> {
    /// The value for which `is_it` holds.
    pub(super) fn find(self, mut is_it: impl FnMut(&S) -> bool) -> Option<S> {
        let (front, back) = self.slots.split_at_checked(self.start)?;
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
}

impl<S: Slot> Table<S> {
    /// An empty table.
    pub(super) fn new() -> Self {
        Self::with_room(0)
    }

    /// An empty table that does not grow until it has so many values.
    pub(super) fn with_room(values: usize) -> Self {
        let shards = values.div_ceil(SHARD).max(1);
        // Some shards have more than the average; a little room spares nearly all of them from growing.
        let most = values.div_ceil(shards);
        let empty = Shard::with_room(if values == 0 {
            0
        } else {
            most.saturating_add(most / 8)
        });
        let group = |count: usize| -> Arc<[Shard<S>]> { (0..count).map(|_| empty.fresh()).collect() };
        let mut groups: Vec<_> = (0..shards / GROUP).map(|_| group(GROUP)).collect();
        if !shards.is_multiple_of(GROUP) {
            groups.push(group(shards % GROUP));
        }
        Self {
            groups,
            shards,
            level: shards.checked_ilog2().unwrap_or(0),
            len: 0,
            hasher: RandomState::default(),
        }
    }

    /// How many values there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// How many values it has room for.
    #[cfg(test)]
    pub(super) fn room(&self) -> usize {
        self.shards().map(|shard| shard.slots.len()).sum()
    }

    /// Where a value with this key would be.
    pub(super) fn probe(&self, key: u64) -> Probe<'_, S> {
        let hash = self.hasher.hash_one(key);
        let (group, within) = self.place(hash);
        let shard = self.groups.get(group).and_then(|group| group.get(within));
        let slots = shard.map_or(&[][..], |shard| &shard.slots);
        Probe {
            slots,
            start: home(hash, slots.len()),
        }
    }

    /// The value with this key for which `is_it` holds.
    pub(super) fn find(&self, key: u64, is_it: impl FnMut(&S) -> bool) -> Option<S> {
        self.probe(key).find(is_it)
    }

    /// Inserts a value that is not there yet.
    pub(super) fn insert(&mut self, value: S) {
        if self.len >= SHARD.saturating_mul(self.shards) {
            self.split();
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
            if self.len.saturating_mul(2) < SHARD.saturating_mul(self.shards.saturating_sub(1)) {
                self.merge();
            }
        }
    }

    /// All values, in no particular order.
    pub(super) fn iter(&self) -> impl Iterator<Item = S> + '_ {
        self.shards().flat_map(Shard::values)
    }

    fn shards(&self) -> impl Iterator<Item = &Shard<S>> {
        self.groups.iter().flat_map(|group| group.iter())
    }

    fn shard_mut(&mut self, hash: u64) -> Option<&mut Shard<S>> {
        let (group, within) = self.place(hash);
        Arc::make_mut(self.groups.get_mut(group)?).get_mut(within)
    }

    /// The shard of a hash, from its upper half: its group and its place there.
    fn place(&self, hash: u64) -> (usize, usize) {
        let upper = usize::try_from(hash >> 32).unwrap_or(0);
        let half = 1_usize.wrapping_shl(self.level);
        let wide = upper & half.wrapping_mul(2).wrapping_sub(1);
        // A shard that was not split yet has the values of the one that will come out of it. Without a branch, which
        // would be guessed wrongly as often as not.
        let shard = wide.wrapping_sub(half.wrapping_mul(usize::from(wide >= self.shards)));
        (shard >> GROUP_BITS, shard & (GROUP - 1))
    }

    /// Adds a shard, which takes about half of another one's values.
    fn split(&mut self) {
        let from = self.shards.saturating_sub(1_usize.wrapping_shl(self.level));
        let values = self.take(from);
        self.shards = self.shards.saturating_add(1);
        self.level = self.shards.checked_ilog2().unwrap_or(0);
        let last = match self.groups.last_mut() {
            Some(last) if last.len() < GROUP => last,
            _ => {
                self.groups.push(Arc::default());
                match self.groups.last_mut() {
                    Some(last) => last,
                    None => return,
                }
            }
        };
        *last = last.iter().cloned().chain([Shard::with_room(0)]).collect();
        self.give(values);
    }

    /// Takes the last shard away; its values go where they came from.
    fn merge(&mut self) {
        let values = self.take(self.shards.saturating_sub(1));
        let Some(last) = self.groups.last_mut() else {
            return;
        };
        let left = last.len().saturating_sub(1);
        if left > 0 {
            *last = last.iter().take(left).cloned().collect();
        } else {
            self.groups.pop();
        }
        self.shards = self.shards.saturating_sub(1);
        self.level = self.shards.checked_ilog2().unwrap_or(0);
        self.give(values);
    }

    /// Empties a shard.
    fn take(&mut self, shard: usize) -> Vec<S> {
        let group = self.groups.get_mut(shard >> GROUP_BITS);
        let shard = group.and_then(|group| Arc::make_mut(group).get_mut(shard & (GROUP - 1)));
        shard.map_or_else(Vec::new, |shard| {
            let values = shard.values().collect();
            *shard = Shard::with_room(0);
            values
        })
    }

    /// Puts values that are counted already where they belong.
    fn give(&mut self, values: Vec<S>) {
        let hasher = self.hasher.clone();
        for value in values {
            let hash = hasher.hash_one(value.key());
            if let Some(shard) = self.shard_mut(hash) {
                shard.insert(value, hash, &hasher);
            }
        }
    }
}

impl<S: Slot> Shard<S> {
    /// No values, and room for so many.
    fn with_room(values: usize) -> Self {
        let places = values.saturating_add(values / 2);
        Self {
            slots: vec![S::VACANT; places].into(),
            used: 0,
        }
    }

    /// The same without sharing.
    fn fresh(&self) -> Self {
        Self {
            slots: self.slots.to_vec().into(),
            used: self.used,
        }
    }

    fn values(&self) -> impl Iterator<Item = S> + '_ {
        self.slots.iter().copied().filter(|slot| !slot.is_vacant())
    }

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
        let capacity = self.slots.len().saturating_add(self.slots.len() / 4);
        self.resize(capacity.saturating_add(8), hasher);
    }

    fn resize(&mut self, capacity: usize, hasher: &RandomState) {
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
        if capacity > SMALL && self.used.saturating_mul(3) < capacity {
            self.resize(self.used.saturating_add(self.used / 2).saturating_add(8), hasher);
        }
    }
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
            prop_assert!(table.room() <= truth.len() * 3 + SMALL);
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
        let most = table.room();
        assert!(most < 200_000, "{most}");
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
        for value in 50_000..99_990_u32 {
            table.remove(u64::from(value), |found| found.0 == value);
        }
        assert_eq!((table.len(), table.shards, table.groups.len()), (10, 1, 1));
        assert!(table.room() < 100 && before.room() == most);
        assert!(
            (99_990..100_000_u32)
                .all(|value| table.find(u64::from(value), |found| found.0 == value).is_some())
        );
    }

    #[test]
    fn room_that_was_asked_for_is_hardly_ever_too_little() {
        for count in [1, 383, 385, 30_000, 100_000_u32] {
            let mut table = Table::with_room(usize::try_from(count).expect("small"));
            let shards = table.shards;
            (0..count).for_each(|value| table.insert(Wide(value)));
            assert_eq!(table.shards, shards);
            assert!((0..count).all(|value| table.find(u64::from(value), |found| found.0 == value).is_some()));
            assert!(
                table.room() <= table.len() * 2 + SMALL,
                "{} for {count}",
                table.room()
            );
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
