//! Several changes one after the other as one: of all that is said about a fact only the last word counts.

use std::collections::HashMap;

use sentinel_core::Change;

use crate::partition::key_of;

/// The places of those changes that are the last of their fact.
fn last_places(changes: &[Change]) -> Vec<bool> {
    let mut last = HashMap::with_capacity(changes.len());
    for (place, change) in changes.iter().enumerate() {
        last.insert(key_of(change.fact()), place);
    }
    let mut is_last = vec![false; changes.len()];
    for place in last.into_values() {
        if let Some(is_last) = is_last.get_mut(place) {
            *is_last = true;
        }
    }
    is_last
}

/// Of all changes of one fact only the last, in the order of those.
pub(crate) fn last_words(changes: Vec<Change>) -> Vec<Change> {
    let is_last = last_places(&changes);
    let changes = changes.into_iter().zip(is_last);
    changes
        .filter(|(_, is_last)| *is_last)
        .map(|(change, _)| change)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::repeated_changes;

    #[test]
    fn only_the_last_word_on_each_fact_is_said() {
        let changes = repeated_changes();
        assert_eq!(last_words(changes.clone()), changes[2..]);
        assert_eq!(last_words(Vec::new()), Vec::new());
    }
}
