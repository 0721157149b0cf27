//! A list that is cheap to copy and change: a tree of pages three deep. A copy shares all pages, and a change copies
//! the one page that it touches and the two nodes above it.

use std::sync::Arc;

const BITS: u32 = 6;
const WIDTH: usize = 1 << BITS;

/// The list. It only grows; places are made free and filled again by its owner.
#[derive(Debug, Clone)]
pub(super) struct Paged<T> {
    nodes: Vec<Arc<[Arc<[T]>]>>,
    len: u32,
}

impl<T: Clone + Default> Paged<T> {
    /// An empty list.
    pub(super) fn new() -> Self {
        Self {
            nodes: Vec::new(),
            len: 0,
        }
    }

    /// The value at a place.
    pub(super) fn get(&self, place: u32) -> Option<&T> {
        let (node, page, slot) = split(place);
        self.nodes.get(node)?.get(page)?.get(slot)
    }

    /// The value at a place, to be changed.
    pub(super) fn get_mut(&mut self, place: u32) -> Option<&mut T> {
        let (node, page, slot) = split(place);
        let page = Arc::make_mut(self.nodes.get_mut(node)?).get_mut(page)?;
        Arc::make_mut(page).get_mut(slot)
    }

    /// Adds one place with a default value and returns it. `None` if there are as many as numbers.
    pub(super) fn add(&mut self) -> Option<u32> {
        let place = self.len;
        self.len = place.checked_add(1)?;
        let (node, page, slot) = split(place);
        if slot == 0 {
            let fresh: Arc<[T]> = vec![T::default(); WIDTH].into();
            match self.nodes.get_mut(node) {
                Some(pages) if page > 0 => *pages = pages.iter().cloned().chain([fresh]).collect(),
                _ => self.nodes.push([fresh].into()),
            }
        }
        Some(place)
    }

    /// All values in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        let pages = self.nodes.iter().flat_map(|node| node.iter());
        pages
            .flat_map(|page| page.iter())
            .take(usize::try_from(self.len).unwrap_or(usize::MAX))
    }
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
    use super::*;

    #[test]
    fn copies_keep_their_values_over_pages_and_nodes() {
        let mut list = Paged::new();
        for number in 0..10_000_u32 {
            let place = list.add().expect("room");
            assert_eq!(place, number);
            *list.get_mut(place).expect("added") = number;
        }
        let before = list.clone();
        for place in [0, 63, 64, 4_095, 4_096, 9_999] {
            *list.get_mut(place).expect("there") = 7;
        }
        assert!(before.iter().copied().eq(0..10_000));
        assert_eq!(list.iter().filter(|value| **value == 7).count(), 7);
        assert_eq!(
            list.get(10_000).copied().unwrap_or(0),
            0,
            "only defaults behind the end"
        );
        assert_eq!(list.get(u32::MAX), None);
    }
}
