//! A list that is cheap to copy and change: a tree of pages three deep. A copy shares all pages, and a change copies
//! the one page that it touches and the two nodes above it. Places that become free are filled again, the lowest first,
//! and a page without values takes no memory.

use std::sync::Arc;

const BITS: u32 = 6;
const WIDTH: usize = 1 << BITS;
/// A list is sparse with more places than this for each value, and some more.
const SPARSE: usize = 4;
const FEW: usize = 64 * WIDTH;

/// The list.
#[derive(Debug, Clone)]
pub(super) struct Paged<T> {
    nodes: Vec<Node<T>>,
    /// No node before this one has a free place.
    lowest: usize,
    /// How many values there are, and how many places take memory.
    used: usize,
    room: usize,
}

#[derive(Debug, Clone)]
struct Node<T> {
    /// Which pages have a free place, one bit each; those that are not there yet have.
    room: u64,
    pages: Arc<[Page<T>]>,
}

#[derive(Debug, Clone)]
struct Page<T> {
    /// Which places have a value, one bit each.
    used: u64,
    /// All places; none if no place has a value.
    values: Arc<[T]>,
}

impl<T> Default for Node<T> {
    fn default() -> Self {
        Self {
            room: u64::MAX,
            pages: Arc::default(),
        }
    }
}

impl<T> Default for Page<T> {
    fn default() -> Self {
        Self {
            used: 0,
            values: Arc::default(),
        }
    }
}

impl<T: Clone + Default> Paged<T> {
    /// An empty list.
    pub(super) fn new() -> Self {
        Self {
            nodes: Vec::new(),
            lowest: 0,
            used: 0,
            room: 0,
        }
    }

    /// The value at a place. A place that is free has either none or a default one.
    pub(super) fn get(&self, place: u32) -> Option<&T> {
        let (node, page, slot) = split(place);
        self.nodes.get(node)?.pages.get(page)?.values.get(slot)
    }

    /// The value at a place, to be changed.
    pub(super) fn get_mut(&mut self, place: u32) -> Option<&mut T> {
        let (node, page, slot) = split(place);
        let page = Arc::make_mut(&mut self.nodes.get_mut(node)?.pages).get_mut(page)?;
        Arc::make_mut(&mut page.values).get_mut(slot)
    }

    /// Puts a value at the lowest free place and returns the place. `None` if there are as many as numbers.
    pub(super) fn add(&mut self, value: T) -> Option<u32> {
        while self.nodes.get(self.lowest).is_some_and(|node| node.room == 0) {
            self.lowest = self.lowest.saturating_add(1);
        }
        let at_node = self.lowest;
        let first = u32::try_from(at_node).ok()?.checked_mul(1 << (2 * BITS))?;
        if at_node >= self.nodes.len() {
            self.nodes.push(Node::default());
        }
        let node = self.nodes.get_mut(at_node)?;
        let at_page = node.room.trailing_zeros();
        let in_pages = usize::try_from(at_page).ok()?;
        if in_pages >= node.pages.len() {
            let missing = in_pages.saturating_add(1).saturating_sub(node.pages.len());
            let pages = node.pages.iter().cloned();
            node.pages = pages.chain((0..missing).map(|_| Page::default())).collect();
        }
        let page = Arc::make_mut(&mut node.pages).get_mut(in_pages)?;
        if page.values.is_empty() {
            page.values = vec![T::default(); WIDTH].into();
            self.room = self.room.saturating_add(WIDTH);
        }
        let slot = page.used.trailing_ones();
        *Arc::make_mut(&mut page.values).get_mut(usize::try_from(slot).ok()?)? = value;
        page.used |= bit(slot);
        self.used = self.used.saturating_add(1);
        if page.used == u64::MAX {
            node.room &= !bit(at_page);
        }
        first.checked_add((at_page << BITS) | slot)
    }

    /// Takes a value out; its place is free then.
    pub(super) fn remove(&mut self, place: u32) -> Option<T> {
        let (at_node, in_pages, in_page) = split(place);
        let node = self.nodes.get_mut(at_node)?;
        let (at_page, slot) = (u32::try_from(in_pages).ok()?, u32::try_from(in_page).ok()?);
        let page = Arc::make_mut(&mut node.pages).get_mut(in_pages)?;
        if page.used & bit(slot) == 0 {
            return None;
        }
        let value = std::mem::take(Arc::make_mut(&mut page.values).get_mut(in_page)?);
        page.used &= !bit(slot);
        self.used = self.used.saturating_sub(1);
        node.room |= bit(at_page);
        if page.used == 0 {
            *page = Page::default();
            self.room = self.room.saturating_sub(WIDTH);
            if node.pages.iter().all(|page| page.used == 0) {
                *node = Node::default();
            }
        }
        self.lowest = self.lowest.min(at_node);
        while self.nodes.last().is_some_and(|node| node.pages.is_empty()) {
            self.nodes.pop();
        }
        Some(value)
    }

    /// All values and their places, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        let pages = (0_u32..)
            .step_by(WIDTH * WIDTH)
            .zip(&self.nodes)
            .flat_map(|(first, node)| {
                let places = (first..).step_by(WIDTH);
                places.zip(node.pages.iter())
            });
        pages.flat_map(|(first, page)| {
            let slots = (0_u32..).zip(page.values.iter());
            let used = slots.filter(|(slot, _)| page.used & bit(*slot) != 0);
            used.map(move |(slot, value)| (first | slot, value))
        })
    }

    /// How many places take memory.
    #[cfg(test)]
    pub(super) fn room(&self) -> usize {
        self.room
    }

    /// Whether nearly all places that take memory are free: what is left is spread over pages that hold little else.
    pub(super) fn is_sparse(&self) -> bool {
        self.room > self.used.saturating_mul(SPARSE).saturating_add(FEW)
    }
}

fn bit(place: u32) -> u64 {
    1_u64.wrapping_shl(place)
}

fn split(place: u32) -> (usize, usize, usize) {
    let place = usize::try_from(place).unwrap_or(usize::MAX);
    (
        place >> (2 * BITS),
        (place >> BITS) & (WIDTH - 1),
        place & (WIDTH - 1),
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn copies_keep_their_values_over_pages_and_nodes() {
        let mut list = Paged::new();
        for number in 0..10_000_u32 {
            assert_eq!(list.add(number), Some(number));
        }
        let before = list.clone();
        for place in [0, 63, 64, 4_095, 4_096, 9_999] {
            *list.get_mut(place).expect("there") = 7;
        }
        assert!(before.iter().all(|(place, value)| place == *value) && before.iter().count() == 10_000);
        assert_eq!(list.iter().filter(|(_, value)| **value == 7).count(), 7);
        assert_eq!(
            list.get(10_000).copied().unwrap_or(0),
            0,
            "only defaults behind the end"
        );
        assert_eq!(list.get(u32::MAX), None);
    }

    #[test]
    fn free_places_are_filled_again_and_empty_pages_take_nothing() {
        let mut list = Paged::new();
        for number in 0..20_000_u32 {
            assert_eq!(list.add(number), Some(number));
        }
        for place in (0..20_000).filter(|place| !(9_000..9_064).contains(place)) {
            assert_eq!(list.remove(place), Some(place));
            assert_eq!(list.remove(place), None);
        }
        assert!(list.room() <= 2 * WIDTH, "{}", list.room());
        assert_eq!(list.get(9_001), Some(&9_001));
        assert_eq!((list.add(1), list.add(2)), (Some(0), Some(1)));
        for place in (0..2).chain(9_000..9_064) {
            assert!(list.remove(place).is_some());
        }
        assert_eq!((list.room(), list.nodes.len()), (0, 0));
    }

    proptest! {
        #[test]
        fn it_gives_out_the_lowest_free_place(steps in prop::collection::vec((any::<bool>(), 0_u32..400), 0..900)) {
            let mut list = Paged::new();
            let mut truth = BTreeMap::new();
            for (number, (add, place)) in (0_u32..).zip(steps) {
                if add {
                    let lowest = (0_u32..1_000).find(|place| !truth.contains_key(place)).expect("one is free");
                    prop_assert_eq!(list.add(number), Some(lowest));
                    truth.insert(lowest, number);
                } else {
                    prop_assert_eq!(list.remove(place), truth.remove(&place));
                }
            }
            let all: BTreeMap<u32, u32> = list.iter().map(|(place, value)| (place, *value)).collect();
            prop_assert_eq!(list.used, truth.len());
            let pages = list.nodes.iter().flat_map(|node| node.pages.iter());
            prop_assert_eq!(list.room(), pages.map(|page| page.values.len()).sum::<usize>());
            prop_assert_eq!(all, truth);
        }
    }
}
