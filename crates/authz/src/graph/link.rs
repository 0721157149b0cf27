//! A tuple in numbers, in the three forms in which the graph holds it.

use super::table::Slot;
use crate::model::RelationId;

/// A tuple.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Link {
    pub(super) object: u32,
    pub(super) edge: Edge,
}

impl Link {
    /// A tuple whose subject is no userset.
    pub(super) fn plain(object: u32, relation: RelationId, subject: u32) -> Self {
        Self {
            object,
            edge: Edge {
                relation,
                userset: RelationId::NONE,
                subject,
            },
        }
    }
}

/// A tuple of a known object. Ordered so that all of one relation lie together, usersets first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Edge {
    pub(super) relation: RelationId,
    /// The subject's relation if it is a userset, [`RelationId::NONE`] otherwise.
    pub(super) userset: RelationId,
    pub(super) subject: u32,
}

/// All plain tuples between one object and one subject: which of the first 24 relations hold, or which of the next
/// 24, and so on. Most pairs have one relation and most types have fewer than 24, so this is one tuple in 12 bytes,
/// and one lookup tells everything about the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) object: u32,
    pub(super) subject: u32,
    /// The number of the page of relations in the upper 8 bits, the relations in the lower 24.
    bits: u32,
}

const PER_PAGE: u16 = 24;
const RELATIONS: u32 = (1 << PER_PAGE) - 1;

impl Pair {
    /// The tuple with the relation in `slot`.
    pub(super) fn new(object: u32, subject: u32, slot: u16) -> Self {
        let page = u32::from(slot / PER_PAGE) & 0xff;
        let bit = 1_u32.checked_shl(u32::from(slot % PER_PAGE)).unwrap_or(0);
        Self {
            object,
            subject,
            bits: (page << PER_PAGE) | bit,
        }
    }

    /// No tuple of the first 24 relations: to look for those that are there.
    pub(super) fn first_page(object: u32, subject: u32) -> Self {
        Self {
            object,
            subject,
            bits: 0,
        }
    }

    /// The relations of the page that hold.
    pub(super) fn relations(self) -> u32 {
        self.bits & RELATIONS
    }

    /// Whether both are about the same object, subject and page.
    pub(super) fn is_beside(&self, other: &Self) -> bool {
        self.object == other.object && self.subject == other.subject && self.page() == other.page()
    }

    /// Whether all tuples of the other are among this one's.
    pub(super) fn includes(&self, other: &Self) -> bool {
        self.bits & other.bits & RELATIONS == other.bits & RELATIONS
    }

    /// The tuples of both.
    pub(super) fn with(self, other: &Self) -> Self {
        Self {
            bits: self.bits | (other.bits & RELATIONS),
            ..self
        }
    }

    /// The tuples of this one that are not the other's; `None` if there is none.
    pub(super) fn without(self, other: &Self) -> Option<Self> {
        let bits = self.bits & !(other.bits & RELATIONS);
        (bits & RELATIONS != 0).then_some(Self { bits, ..self })
    }

    /// The slots of the relations that hold.
    pub(super) fn slots(self) -> impl Iterator<Item = u16> {
        let first = u16::try_from(self.page()).unwrap_or(0).saturating_mul(PER_PAGE);
        let holds = move |place: &u16| self.bits & 1_u32.checked_shl(u32::from(*place)).unwrap_or(0) != 0;
        (0..PER_PAGE)
            .filter(holds)
            .map(move |place| first.saturating_add(place))
    }

    fn page(&self) -> u32 {
        self.bits >> PER_PAGE
    }
}

impl Slot for Pair {
    const VACANT: Self = Self {
        object: u32::MAX,
        subject: u32::MAX,
        bits: 0,
    };

    fn is_vacant(&self) -> bool {
        self.bits == 0
    }

    fn key(&self) -> u64 {
        let page = u64::from(self.page()).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        ((u64::from(self.object) << 32) | u64::from(self.subject)).wrapping_add(page)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_tuple_takes_twelve_bytes() {
        assert_eq!((size_of::<Pair>(), size_of::<Edge>()), (12, 8));
    }

    proptest! {
        #[test]
        fn a_pair_is_a_set_of_slots(a in 0_u16..6_000, b in 0_u16..6_000) {
            let (one, other) = (Pair::new(1, 2, a), Pair::new(1, 2, b));
            prop_assert_eq!(one.is_beside(&other), a / 24 == b / 24);
            prop_assert_eq!(one.slots().collect::<Vec<_>>(), [a]);
            if a != b && one.is_beside(&other) {
                let both = one.with(&other);
                prop_assert!(both.includes(&one) && both.includes(&other) && !one.includes(&other));
                prop_assert_eq!(both.without(&one), Some(other));
                prop_assert_eq!(one.without(&one), None);
                prop_assert_eq!(both.key(), one.key());
            }
        }
    }
}
