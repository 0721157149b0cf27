//! Objects that were looked up, and questions about them: for those who ask several things about the same few.

use sentinel_core::Timestamp;

use super::bounds::Bounds;
use super::ends::Moment;
use super::link::Edge;
use super::names::Node;
use super::search::{Search, Who};
use super::state::Between;
use super::trace::Untraced;
use super::{Graph, id};
use crate::model::{RelationId, TypeId};
use crate::{CheckError, Model};

/// Something that may be asked about: a type that the model has, and the number of an object of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found {
    pub(super) kind: TypeId,
    /// `None` if no tuple mentions the object.
    pub(super) number: Option<u32>,
}

/// An object to look up: its type, and its id in two parts, a UUID and a text before it.
pub(crate) type Wanted<'a> = (TypeId, &'a str, Option<u128>);

/// What is known of an object that was looked up beside a subject: the tuples that are followed from it; and the plain
/// ones from it to the subject, of relations in the first slots of its type, one bit each.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known<'g> {
    object: Found,
    edges: &'g [Edge],
    ties: u32,
}

impl Graph {
    /// Objects and subjects to ask about, each by its type and its id.
    pub(super) fn find<const N: usize>(&self, wanted: [(&str, &str); N]) -> Result<[Found; N], CheckError> {
        let model = self.model();
        let mut kinds = [TypeId::default(); N];
        for (kind, (name, _)) in kinds.iter_mut().zip(&wanted) {
            *kind = model.ask_type(name)?;
        }
        let mut kinds = kinds.into_iter();
        let wanted = wanted.map(|(_, id)| {
            let (head, tail) = id::split(id);
            (kinds.next().unwrap_or_default(), head, tail)
        });
        let state = &self.inner.state;
        let mut kinds = wanted.map(|(kind, _, _)| kind).into_iter();
        let (found, _) = state.names.find_all(wanted, |numbers| {
            let subject = numbers.last().copied().flatten();
            numbers.map(|object| Some(state.expect_pair(object?, subject?)))
        });
        Ok(found.map(|found| Found {
            kind: kinds.next().unwrap_or_default(),
            number: found.map(|(number, _)| number),
        }))
    }

    /// A subject, and what is known of objects beside it.
    pub(crate) fn find_beside<const N: usize, const ALL: usize>(
        &self,
        wanted: [Wanted<'_>; ALL],
    ) -> ([Known<'_>; N], Found) {
        const { assert!(N + 1 == ALL) };
        let state = &self.inner.state;
        let mut kinds = wanted.map(|(kind, _, _)| kind).into_iter();
        let (found, ties) = state.names.find_all(wanted, |numbers| {
            let subject = numbers.last().copied().flatten();
            let mut objects = numbers.iter().copied();
            [(); N].map(|()| Some(state.expect_pair(objects.next()??, subject?)))
        });
        let subject = found.last().copied().flatten().map(|(number, _)| number);
        let mut found = found.into_iter();
        let known = ties.map(|ties| {
            let found = found.next().flatten();
            let kind = kinds.next().unwrap_or_default();
            self.known(kind, found, subject, ties)
        });
        let kind = kinds.next().unwrap_or_default();
        (
            known,
            Found {
                kind,
                number: subject,
            },
        )
    }

    /// What is known of an object beside a subject that was found already.
    pub(crate) fn find_near(&self, wanted: Wanted<'_>, subject: Found) -> Known<'_> {
        let state = &self.inner.state;
        let ([found], ties) = state.names.find_all([wanted], |[object]| {
            object
                .zip(subject.number)
                .map(|(object, subject)| state.expect_pair(object, subject))
        });
        self.known(wanted.0, found, subject.number, ties)
    }

    fn known<'g>(
        &'g self,
        kind: TypeId,
        found: Option<(u32, &'g Node)>,
        subject: Option<u32>,
        ties: Option<Between<'g>>,
    ) -> Known<'g> {
        let number = found.map(|(number, _)| number);
        Known {
            object: Found { kind, number },
            edges: found.map_or(&[], |(_, node)| node.edges.as_slice()),
            ties: number.zip(subject).map_or(0, |(object, subject)| match ties {
                Some(ties) if ties.are_of(object, subject) => ties.relations(),
                // Their numbers are not those that were likely.
                _ => self.inner.state.pair(object, subject),
            }),
        }
    }

    /// Whether the subject stands in the relation to the object, where no tuple on the way ends, as none of Sentinel's
    /// own do. What is `known` beside the very subject is not looked up again.
    pub(crate) fn holds<'g>(
        &'g self,
        object: &Known<'g>,
        relation: RelationId,
        subject: Found,
        known: &[Known<'g>],
    ) -> Result<bool, CheckError> {
        self.search::<false>(Moment::ANY, object, relation, subject, known)
    }

    /// The same where nothing is known but the object's number.
    pub(crate) fn stands(
        &self,
        object: Found,
        relation: RelationId,
        subject: Found,
    ) -> Result<bool, CheckError> {
        let edges = object
            .number
            .map_or(&[][..], |number| self.inner.state.edges(number));
        let known = Known {
            object,
            edges,
            ties: 0,
        };
        self.holds(&known, relation, subject, &[])
    }

    /// The same at a moment, where tuples may have ended.
    pub(crate) fn holds_at<'g>(
        &'g self,
        now: Timestamp,
        object: &Known<'g>,
        relation: RelationId,
        subject: Found,
        known: &[Known<'g>],
    ) -> Result<bool, CheckError> {
        let moment = self.inner.state.ends.at(now);
        if moment.is_one() {
            self.search::<true>(moment, object, relation, subject, known)
        } else {
            self.search::<false>(moment, object, relation, subject, known)
        }
    }

    fn search<'g, const FULL: bool>(
        &'g self,
        moment: Moment<'g>,
        object: &Known<'g>,
        relation: RelationId,
        subject: Found,
        known: &[Known<'g>],
    ) -> Result<bool, CheckError> {
        let Some(number) = object.object.number else {
            return Ok(false);
        };
        let who = self.who(subject);
        let mut search = Search::<_, FULL>::new(&self.inner.state, moment, who, Bounds::ENGINE, Untraced);
        search.has(number, object.edges);
        for Known { object, ties, .. } in known {
            if let Some(number) = object.number {
                search.knows(number, *ties);
            }
        }
        search.holds(number, relation)
    }

    /// A subject that is an object and no userset.
    pub(super) fn who(&self, subject: Found) -> Who {
        Who {
            kind: subject.kind,
            number: subject.number,
            userset: RelationId::NONE,
            everyone: self.inner.state.everyone(subject.kind),
        }
    }
}

impl Known<'_> {
    /// The object itself.
    pub(crate) fn object(&self) -> Found {
        self.object
    }

    /// Whether the subject beside which it was found stands in the relation, if plain tuples are enough to tell.
    pub(crate) fn decide(&self, model: &Model, relation: RelationId) -> Option<bool> {
        let shortcut = model.relation(relation)?.shortcut;
        let holds = self.ties & shortcut.slots != 0;
        (holds || shortcut.decides).then_some(holds)
    }

    /// Whether there is a tuple to another object by a relation that is followed.
    pub(crate) fn leads_to(&self, relation: RelationId, other: Found) -> bool {
        let userset = RelationId::NONE;
        let edge = |subject| Edge {
            relation,
            userset,
            subject,
        };
        other
            .number
            .is_some_and(|subject| self.edges.binary_search(&edge(subject)).is_ok())
    }
}
