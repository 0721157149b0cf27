//! The answer to one question: depth first, by the tuples, with bounds.
//!
//! - A relation that is asked of itself in a circle does not hold by that way: a circle of groups is no member.
//! - A circle through `but not` has no answer and is an error.
//! - An error in one part does not decide: `or` still holds if another part does, `and` still fails if another part
//!   fails.
//! - A tuple whose end has come is not there.
//!
//! Searches are compiled twice: once for the usual question, about an object as the subject in a graph where no tuple
//! ends, and once in full.

use super::bounds::{Bounds, Stop};
use super::ends::Moment;
use super::link::{Edge, Link};
use super::memo::{FINAL, Finding, Memo};
use super::names::Node;
use super::recent::Recent;
use super::state::State;
use super::trace::Trace;
use crate::CheckError;
use crate::model::{Form, Relation, RelationId, Rewrite, Shortcut, TypeId};

/// Stands for an object that no tuple mentions, in questions about it and a userset of itself.
pub(super) const UNMENTIONED: u32 = u32::MAX - 1;

/// How many usersets are looked at together: more would push each other out of the nearest cache.
const AHEAD: usize = 8;

/// Whom the question is about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Who {
    pub(super) kind: TypeId,
    /// The subject's number; `None` if no tuple mentions it.
    pub(super) number: Option<u32>,
    /// The relation that makes the subject a userset; [`RelationId::NONE`] for the object itself.
    pub(super) userset: RelationId,
    /// What stands for everyone of the type. No userset is among them.
    pub(super) everyone: Option<u32>,
}

type Outcome = Result<Finding, Stop>;

const NO: Outcome = Ok(Finding::No { unless: FINAL });
const YES: Outcome = Ok(Finding::Yes);

/// One search; `FULL` if the subject may be a userset or tuples may have ended.
pub(super) struct Search<'s, T, const FULL: bool> {
    state: &'s State,
    moment: Moment<'s>,
    recent: Recent<'s>,
    who: Who,
    steps: usize,
    bounds: Bounds,
    memo: Option<Box<Memo>>,
    pub(super) trace: T,
}

/// A relation of an object that is being asked, and those above it.
struct Open<'o> {
    above: Option<&'o Open<'o>>,
    object: u32,
    relation: RelationId,
    depth: usize,
    /// What is open above this depth is asked whether it does *not* hold: coming back to it is a paradox.
    negated_above: usize,
}

impl<'s, T: Trace, const FULL: bool> Search<'s, T, FULL> {
    /// A search that has not begun. Only a full one looks at the moment.
    pub(super) fn new(state: &'s State, moment: Moment<'s>, who: Who, bounds: Bounds, trace: T) -> Self {
        Self {
            state,
            moment,
            recent: Recent::new(),
            who,
            steps: 0,
            bounds,
            memo: None,
            trace,
        }
    }

    /// Takes over what is known of an object that the search may come to: its plain tuples with the subject, as
    /// [`State::pair`] says them.
    pub(super) fn knows(&mut self, object: u32, pair: u32) {
        self.recent.keep(object, pair);
    }

    /// Takes over the tuples that are followed from an object.
    pub(super) fn has(&mut self, object: u32, edges: &'s [Edge]) {
        self.recent.keep_edges(object, edges);
    }

    /// How many steps it has taken.
    pub(super) fn steps(&self) -> usize {
        self.steps
    }

    /// Whether the subject stands in the relation to the object.
    pub(super) fn holds(&mut self, object: u32, relation: RelationId) -> Result<bool, CheckError> {
        Ok(self.ask(object, relation, None, 0)? == Finding::Yes)
    }

    /// What is answered at once in most cases is inlined where it is asked.
    #[inline]
    fn ask(
        &mut self,
        object: u32,
        relation: RelationId,
        above: Option<&Open<'_>>,
        negated_above: usize,
    ) -> Outcome {
        self.steps = self.steps.saturating_add(1);
        if self.steps > self.bounds.steps {
            return Err(Stop::TooWide);
        }
        let Some(definition) = self.state.model.relation(relation) else {
            return NO;
        };
        let depth = above.map_or(0, |open| open.depth.saturating_add(1));
        if depth >= self.bounds.depth {
            return Err(Stop::TooDeep);
        }
        if FULL && self.who.userset != RelationId::NONE {
            // A userset stands in its own relation, and plain tuples are not about it.
            if relation == self.who.userset && Some(object) == self.who.number {
                return YES;
            }
        } else if let Some(known) = self.by_shortcut(definition, object) {
            return known;
        }
        let open = Open {
            above,
            object,
            relation,
            depth,
            negated_above,
        };
        self.ask_on(definition, &open)
    }

    #[inline(never)]
    fn ask_on(&mut self, definition: &Relation, open: &Open<'_>) -> Outcome {
        if let Some(known) = self.recall(open) {
            return known;
        }
        let mark = self.memo.as_ref().map_or(0, |memo| memo.mark());
        // Who wants to see the way is led as the model was written.
        let parts = if T::RECORDS {
            &definition.rewrite
        } else {
            &definition.plan
        };
        let mut found = self.rewrite(parts, definition, open);
        // It failed only because of itself, or of what is deeper and closed by now: it failed.
        if let Ok(Finding::No { unless }) = &mut found
            && *unless >= open.depth
        {
            *unless = FINAL;
        }
        self.remember(open, mark, found);
        found
    }

    /// What plain tuples between the object and the subject tell.
    #[inline]
    fn by_shortcut(&mut self, definition: &Relation, object: u32) -> Option<Outcome> {
        let Shortcut { slots, decides } = definition.shortcut;
        let mut found = match self.who.number {
            Some(subject) if slots != 0 => self.recent.pair(self.state, object, subject) & slots,
            _ => 0,
        };
        if FULL && found != 0 && self.moment.is_one() {
            found = self.not_ended(definition.kind, object, found);
        }
        if found == 0 {
            return decides.then_some(NO);
        }
        if T::RECORDS {
            let slot = u16::try_from(found.trailing_zeros()).ok()?;
            let relation = self.state.model.relation_in_slot(definition.kind, slot)?;
            let subject = self.who.number?;
            self.trace.step(Link::plain(object, relation, subject));
        }
        Some(YES)
    }

    /// Those of the plain tuples between the object and the subject that have not ended.
    fn not_ended(&self, kind: TypeId, object: u32, slots: u32) -> u32 {
        let holds = |slot: u16| {
            let relation = self.state.model.relation_in_slot(kind, slot)?;
            let link = Link::plain(object, relation, self.who.number?);
            self.lasts(&link)
                .then(|| 1_u32.checked_shl(u32::from(slot)))
                .flatten()
        };
        let left = (0..24).filter_map(holds).fold(0, |all, one| all | one);
        slots & left
    }

    /// Whether a tuple that is there has not ended.
    fn lasts(&self, link: &Link) -> bool {
        !FULL || self.moment.lasts(link)
    }

    /// What is known without asking: from before, or because the very same is open above.
    fn recall(&self, asked: &Open<'_>) -> Option<Outcome> {
        let (object, relation) = (asked.object, asked.relation);
        let mut next = asked.above;
        let mut known = self.memo.as_ref().and_then(|memo| memo.get((object, relation)));
        while let Some(open) = next {
            if open.object == object && open.relation == relation {
                known = Some(Finding::No { unless: open.depth });
                break;
            }
            next = open.above;
        }
        match known? {
            Finding::No { unless } if unless < asked.negated_above => Some(Err(Stop::Paradox)),
            // The way is wanted too, so it has to be gone again.
            Finding::Yes if T::RECORDS => None,
            found => Some(Ok(found)),
        }
    }

    fn remember(&mut self, open: &Open<'_>, mark: usize, found: Outcome) {
        if self.steps > self.bounds.without_memo {
            let memo = self.memo.get_or_insert_default();
            memo.close((open.object, open.relation), open.depth, mark, found.ok());
        }
    }

    fn rewrite(&mut self, rewrite: &Rewrite, definition: &Relation, open: &Open<'_>) -> Outcome {
        match rewrite {
            Rewrite::Direct => self.direct(definition, open),
            Rewrite::Computed(relation) => self.ask(open.object, *relation, Some(open), open.negated_above),
            Rewrite::From {
                tupleset,
                targets,
                only,
            } => self.from(*tupleset, targets, *only, open),
            Rewrite::Any(parts) => any(parts.iter().map(|part| self.rewrite(part, definition, open))),
            Rewrite::All(parts) => self.all(parts, definition, open),
            Rewrite::Except(base, minus) => self.except(base, minus, definition, open),
        }
    }

    /// The relation's own tuples: the subject itself, everyone, or a userset that has the subject.
    fn direct(&mut self, definition: &Relation, open: &Open<'_>) -> Outcome {
        let Who {
            kind,
            number,
            userset,
            everyone,
        } = self.who;
        // A userset as the subject is found where the usersets of the tuples lead to it.
        let is_object = !FULL || userset == RelationId::NONE;
        // The shortcut has looked for the subject itself already.
        let slot = 1_u32.checked_shl(u32::from(definition.slot)).unwrap_or(0);
        let number = number.filter(|_| definition.shortcut.slots & slot == 0);
        for (subject, form) in [(number, Form::Object), (everyone, Form::Wildcard)] {
            if let Some(subject) = subject
                && is_object
                && definition.takes(kind, form)
                && self.has_tuple(definition, open, subject)
            {
                self.trace.step(Link::plain(open.object, open.relation, subject));
                return YES;
            }
        }
        if !definition.takes_usersets {
            return NO;
        }
        let usersets = self.recent.edges(self.state, open.object, open.relation);
        self.fetch(usersets);
        any(usersets.iter().map(|edge| self.follow(open, *edge, edge.userset)))
    }

    /// Begins to fetch what the search will look at if it follows these tuples, before it follows the first one: so the
    /// waits overlap.
    fn fetch(&self, edges: &[Edge]) {
        if let Some(subject) = self.who.number {
            for edge in edges.iter().take(AHEAD) {
                self.state.fetch(edge.subject, subject);
            }
        }
    }

    fn has_tuple(&mut self, definition: &Relation, open: &Open<'_>, subject: u32) -> bool {
        let wanted = Link::plain(open.object, open.relation, subject);
        let is_there = if definition.is_tupleset {
            let edges = self.recent.edges(self.state, open.object, open.relation);
            edges.binary_search(&wanted.edge).is_ok()
        } else {
            self.state.has_pair(open.object, subject, definition.slot)
        };
        is_there && self.lasts(&wanted)
    }

    /// A relation of the objects that the tupleset leads to: `only` or, by their type, one of the targets.
    fn from(
        &mut self,
        tupleset: RelationId,
        targets: &[(TypeId, RelationId)],
        only: Option<RelationId>,
        open: &Open<'_>,
    ) -> Outcome {
        let state = self.state;
        let parents = self.recent.edges(state, open.object, tupleset).iter();
        any(parents.map(|edge| {
            let target = only.or_else(|| {
                let kind = state.names.node(edge.subject).map(Node::kind);
                let target = targets.iter().find(|(of, _)| Some(*of) == kind);
                target.map(|(_, target)| *target)
            });
            target.map_or(NO, |target| self.follow(open, *edge, target))
        }))
    }

    /// Goes along a tuple and asks a relation of its subject.
    fn follow(&mut self, open: &Open<'_>, edge: Edge, relation: RelationId) -> Outcome {
        let link = Link {
            object: open.object,
            edge,
        };
        if !self.lasts(&link) {
            return NO;
        }
        let mark = self.trace.mark();
        self.trace.step(link);
        let found = self.ask(edge.subject, relation, Some(open), open.negated_above);
        if found != YES {
            self.trace.back_to(mark);
        }
        found
    }

    fn all(&mut self, parts: &[Rewrite], definition: &Relation, open: &Open<'_>) -> Outcome {
        let mark = self.trace.mark();
        let mut result = YES;
        for part in parts {
            match self.rewrite(part, definition, open) {
                Ok(Finding::Yes) => {}
                Ok(no) => {
                    result = Ok(no);
                    break;
                }
                Err(stop) => result = Err(stop),
            }
        }
        if result != YES {
            self.trace.back_to(mark);
        }
        result
    }

    fn except(&mut self, base: &Rewrite, minus: &Rewrite, definition: &Relation, open: &Open<'_>) -> Outcome {
        let mark = self.trace.mark();
        let found = self.rewrite(base, definition, open);
        if let Ok(Finding::No { .. }) = found {
            return found;
        }
        let negated = Open {
            negated_above: open.depth.saturating_add(1),
            ..*open
        };
        let after_base = self.trace.mark();
        let excluded = self.rewrite(minus, definition, &negated);
        self.trace.back_to(after_base);
        let result = match excluded {
            Ok(Finding::Yes) => NO,
            Ok(Finding::No { .. }) => found,
            // Either one is without an answer, so that the whole is.
            Err(stop) => found.and(Err(stop)),
        };
        if result != YES {
            self.trace.back_to(mark);
        }
        result
    }
}

/// Holds if one part does; has no answer if none does and one has none.
fn any(parts: impl Iterator<Item = Outcome>) -> Outcome {
    let mut result = NO;
    for part in parts {
        match (part, result) {
            (Ok(Finding::Yes), _) => return YES,
            (Err(_), Ok(_)) => result = part,
            (Ok(Finding::No { unless: one }), Ok(Finding::No { unless: other })) => {
                result = Ok(Finding::No {
                    unless: one.min(other),
                });
            }
            _ => {}
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use sentinel_core::Tuple;

    use crate::graph::Graph;
    use crate::{CheckError, MAX_DEPTH, Model, Query, TupleChange};

    const MODEL: &str = "
        model
          schema 1.1
        type user
        type group
          relations
            define out: [user, group#member]
            define member: [user, user:*, group#member] but not out
            define leader: [user, group#leader]
            define parent: [group]
            define above: [user] or above from parent
    ";

    fn graph(tuples: impl IntoIterator<Item = String>) -> Graph {
        let tuples: Vec<Tuple> = tuples
            .into_iter()
            .map(|tuple| tuple.parse().expect("a tuple"))
            .collect();
        let model = Model::parse(MODEL).expect("a model");
        let graph = Graph::new(Arc::new(model));
        graph
            .apply(tuples.iter().map(TupleChange::Put))
            .expect("allowed tuples")
    }

    fn ask(graph: &Graph, group: &str, relation: &str) -> Result<bool, CheckError> {
        graph.timeless().check(&Query {
            object_type: "group",
            object_id: group,
            relation,
            subject_type: "user",
            subject_id: "ann",
            subject_relation: None,
        })
    }

    #[test]
    fn a_circle_of_groups_grants_nothing_and_is_no_error() {
        let ring = |size| {
            let link = move |at| format!("group:{at}#leader@group:{}#leader", (at + 1) % size);
            (0..size).map(link)
        };
        for size in [1, 2, 90] {
            assert_eq!(ask(&graph(ring(size)), "0", "leader"), Ok(false), "{size} groups");
            let with_ann = ring(size).chain([format!("group:{}#leader@user:ann", size - 1)]);
            assert_eq!(ask(&graph(with_ann), "0", "leader"), Ok(true), "{size} groups");
        }
        let parents = [
            "group:a#parent@group:b".to_owned(),
            "group:b#parent@group:a".to_owned(),
        ];
        assert_eq!(ask(&graph(parents), "a", "above"), Ok(false));
    }

    #[test]
    fn many_ways_to_the_same_place_are_gone_once() {
        // Every group is in every other one: there are more ways than could ever be gone.
        let size = 40;
        let pairs = (0..size).flat_map(|a| (0..size).map(move |b| (a, b)));
        let all: Vec<_> = pairs
            .map(|(a, b)| format!("group:{a}#leader@group:{b}#leader"))
            .collect();
        assert_eq!(ask(&graph(all.clone()), "0", "leader"), Ok(false));
        assert_eq!(
            ask(
                &graph(all.into_iter().chain(["group:39#leader@user:ann".to_owned()])),
                "0",
                "leader"
            ),
            Ok(true)
        );
        // A ladder of two groups a rung, with exclusions.
        let rungs = (0..40).flat_map(|rung| {
            let link = move |(a, b)| format!("group:{rung}{a}#member@group:{}{b}#member", rung + 1);
            [("a", "a"), ("a", "b"), ("b", "a"), ("b", "b")].map(link)
        });
        let rungs: Vec<_> = rungs.collect();
        assert_eq!(ask(&graph(rungs.clone()), "0a", "member"), Ok(false));
        assert_eq!(
            ask(
                &graph(rungs.into_iter().chain(["group:40b#member@user:ann".to_owned()])),
                "0a",
                "member"
            ),
            Ok(true)
        );
    }

    #[test]
    fn too_deep_is_an_error_and_a_shorter_way_still_grants() {
        let chain = |length| (0..length).map(|at| format!("group:{at}#leader@group:{}#leader", at + 1));
        let chain_to_ann = |length| chain(length).chain([format!("group:{length}#leader@user:ann")]);
        assert_eq!(ask(&graph(chain_to_ann(MAX_DEPTH - 1)), "0", "leader"), Ok(true));
        assert_eq!(
            ask(&graph(chain_to_ann(MAX_DEPTH)), "0", "leader"),
            Err(CheckError::TooDeep)
        );
        assert_eq!(
            ask(&graph(chain(MAX_DEPTH)), "0", "leader"),
            Err(CheckError::TooDeep)
        );
        let short_cut = chain_to_ann(MAX_DEPTH).chain(["group:0#leader@group:z#leader".to_owned()]);
        let short_cut = short_cut.chain(["group:z#leader@user:ann".to_owned()]);
        assert_eq!(ask(&graph(short_cut), "0", "leader"), Ok(true));
    }

    #[test]
    fn the_deepest_question_about_the_deepest_definition_fits_on_a_thread() {
        let nested = (0..7).fold("a from parent".to_owned(), |inner, _| {
            format!("b and (none or ({inner}))")
        });
        let model = format!(
            "model\n schema 1.1\ntype user\ntype node\n relations\n  define parent: [node]\n  \
             define b: [user:*]\n  define none: [user]\n  define a: [user] or ({nested})"
        );
        let model = Model::parse(&model).expect("a model");
        let everyone = |at| format!("node:{at}#b@user:*");
        let texts = (0..200).flat_map(|at| [everyone(at), format!("node:{at}#parent@node:{}", at + 1)]);
        let tuples: Vec<Tuple> = texts.map(|text| text.parse().expect("a tuple")).collect();
        let graph = Graph::new(Arc::new(model))
            .apply(tuples.iter().map(TupleChange::Put))
            .expect("allowed tuples");
        let query = Query {
            object_type: "node",
            object_id: "0",
            relation: "a",
            subject_type: "user",
            subject_id: "ann",
            subject_relation: None,
        };
        let graph = graph.timeless();
        assert_eq!(graph.check(&query), Err(CheckError::TooDeep));
        assert_eq!(graph.explain(&query), Err(CheckError::TooDeep));
    }

    #[test]
    fn too_wide_is_an_error() {
        let graph = graph((0..100).map(|at| format!("group:all#leader@group:{at}#leader")));
        let query = Query {
            object_type: "group",
            object_id: "all",
            relation: "leader",
            subject_type: "user",
            subject_id: "ann",
            subject_relation: None,
        };
        let asked = graph.timeless().resolve(&query).expect("known names");
        let ask = |steps| {
            let bounds = super::Bounds {
                steps,
                ..super::Bounds::ENGINE
            };
            graph.timeless().is(asked, bounds)
        };
        assert_eq!(ask(101), Ok(false));
        assert_eq!(ask(100), Err(CheckError::TooWide));
    }

    #[test]
    fn a_relation_that_excludes_itself_has_no_answer() {
        let graph = graph([
            "group:a#member@user:ann".to_owned(),
            "group:a#out@group:a#member".to_owned(),
        ]);
        assert_eq!(ask(&graph, "a", "member"), Err(CheckError::Paradox));
        assert_eq!(ask(&graph, "a", "out"), Err(CheckError::Paradox));
        assert_eq!(ask(&graph, "a", "leader"), Ok(false), "it does not touch others");
    }

    #[test]
    fn everyone_is_everyone_but_those_who_are_out() {
        let everyone = "group:a#member@user:*".to_owned();
        assert_eq!(ask(&graph([everyone.clone()]), "a", "member"), Ok(true));
        assert_eq!(
            ask(
                &graph([everyone, "group:a#out@user:ann".to_owned()]),
                "a",
                "member"
            ),
            Ok(false)
        );
    }
}
