//! A sorted set that is cheap to copy and change: pages of neighbouring values behind one directory. A copy shares
//! all pages, and a change copies the one page that it touches.

use std::sync::Arc;

/// A page with more values than this is cut in two.
const PAGE: usize = 1024;

/// The set. No page is empty.
#[derive(Debug, Clone)]
pub(super) struct Ordered<K> {
    pages: Vec<Arc<Vec<K>>>,
}

impl<K: Ord + Copy> Ordered<K> {
    /// The set of these values.
    pub(super) fn new(mut values: Vec<K>) -> Self {
        values.sort_unstable();
        values.dedup();
        let pages = values
            .chunks(PAGE / 2)
            .map(|page| Arc::new(page.to_vec()))
            .collect();
        Self { pages }
    }

    /// Adds a value.
    pub(super) fn insert(&mut self, value: K) {
        let at = self.page_of(&value);
        let Some(page) = self.pages.get_mut(at) else {
            self.pages.push(Arc::new(vec![value]));
            return;
        };
        let page = Arc::make_mut(page);
        if let Err(place) = page.binary_search(&value) {
            page.insert(place, value);
        }
        if page.len() > PAGE {
            let rest = page.split_off(PAGE / 2);
            self.pages.insert(at.saturating_add(1), Arc::new(rest));
        }
    }

    /// Removes a value.
    pub(super) fn remove(&mut self, value: &K) {
        let at = self.page_of(value);
        let Some(page) = self.pages.get_mut(at) else {
            return;
        };
        let page = Arc::make_mut(page);
        if let Ok(place) = page.binary_search(value) {
            page.remove(place);
        }
        if page.is_empty() {
            self.pages.remove(at);
        }
    }

    /// The values from this one on, in order.
    pub(super) fn from(&self, value: K) -> impl Iterator<Item = K> + '_ {
        let pages = self.pages.get(self.page_of(&value)..).unwrap_or_default();
        pages
            .iter()
            .flat_map(|page| page.iter().copied())
            .skip_while(move |other| *other < value)
    }

    /// The page where a value is or would be: the last one that does not begin behind it.
    fn page_of(&self, value: &K) -> usize {
        let behind = self
            .pages
            .partition_point(|page| page.first().is_some_and(|first| first <= value));
        behind.saturating_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_sorted_set_and_older_copies_stay_as_they_were(
            first in prop::collection::vec(0_u32..5_000, 0..3_000),
            steps in prop::collection::vec((any::<bool>(), 0_u32..5_000), 0..3_000),
            from in 0_u32..5_000,
        ) {
            let mut set = Ordered::new(first.clone());
            let mut truth: BTreeSet<u32> = first.into_iter().collect();
            let (before, truth_before) = (set.clone(), truth.clone());
            for (insert, value) in steps {
                if insert {
                    set.insert(value);
                    truth.insert(value);
                } else {
                    set.remove(&value);
                    truth.remove(&value);
                }
            }
            prop_assert!(set.from(from).eq(truth.range(from..).copied()));
            prop_assert!(before.from(0).eq(truth_before.iter().copied()));
            prop_assert!(set.pages.iter().all(|page| !page.is_empty() && page.len() <= PAGE));
        }
    }

    #[test]
    fn pages_are_cut_when_they_grow() {
        let mut set = Ordered::new(Vec::new());
        (0..5_000_u32).for_each(|value| set.insert(value * 7 % 5_000));
        assert!(set.pages.len() > 4);
        assert!(set.from(4_990).eq(4_990..5_000));
    }
}
