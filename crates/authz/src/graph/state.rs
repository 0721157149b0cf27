//! The tuples themselves and how a set of them becomes another. No question is answered here.

use std::sync::Arc;

use sentinel_core::{Object, Subject, Timestamp, Tuple};

use super::ends::Ends;
use super::link::{Edge, Link, Pair};
use super::names::{Names, Node};
use super::table::{Fetch, Probe, Slot as _, Table};
use crate::error::TupleFault;
use crate::model::{Form, Placed, RelationId, TypeId};
use crate::{InvalidTupleForModel, Model, Term, TupleChange};

/// So many tuples of an object are gone through one by one.
const FEW: usize = 4;

/// A model and tuples. Cloning it shares everything; a change then copies the pages that it touches.
#[derive(Debug, Clone)]
pub(super) struct State {
    pub(super) model: Arc<Model>,
    pub(super) names: Names,
    /// Plain tuples, found by object and subject together.
    pairs: Table<Pair>,
    /// What stands for everyone of a type, by type.
    everyone: Arc<[Option<u32>]>,
    pub(super) ends: Ends,
    len: usize,
}

/// The plain tuples between two objects.
#[derive(Clone, Copy)]
pub(super) struct Between<'s> {
    wanted: Pair,
    probe: Probe<'s, Pair>,
}

impl Fetch for Between<'_> {
    fn fetch(&self) {
        self.probe.fetch();
    }
}

impl Between<'_> {
    /// Whether they are those of these two objects.
    pub(super) fn are_of(&self, object: u32, subject: u32) -> bool {
        (self.wanted.object, self.wanted.subject) == (object, subject)
    }

    /// The relations in the first 24 slots that hold: one bit each.
    pub(super) fn relations(self) -> u32 {
        let found = self.probe.find(|pair| pair.is_beside(&self.wanted));
        found.map_or(0, Pair::relations)
    }
}

/// A tuple in numbers, and where it is kept.
#[derive(Debug, Clone, Copy)]
struct Located {
    link: Link,
    /// Found by object and subject together in this slot; from the object if there is none.
    slot: Option<u16>,
}

impl State {
    /// No tuples.
    pub(super) fn new(model: Arc<Model>) -> Self {
        let mut names = Names::new();
        let mut everyone = Vec::new();
        for kind in model.type_ids() {
            everyone.push(names.add_everyone(kind));
        }
        Self {
            model,
            names,
            pairs: Table::new(),
            everyone: everyone.into(),
            ends: Ends::new(),
            len: 0,
        }
    }

    /// Takes over the tuples of a whole graph: those that are found by object and subject together, and how many there are
    /// in all. The others lie with their objects already.
    pub(super) fn fill(&mut self, pairs: Table<Pair>, len: usize) {
        self.pairs = pairs;
        self.len = len;
    }

    /// The same tuples under a model that has the numbers of this one's, and more behind them.
    ///
    /// # Errors
    /// A tuple that the other model does not allow.
    pub(super) fn under(&self, model: Arc<Model>) -> Result<Self, InvalidTupleForModel> {
        let narrower = model.narrower_than(&self.model);
        if !narrower.is_empty() {
            let is_refused = |link: &Link| {
                narrower.binary_search(&link.edge.relation).is_ok() && self.takes(&model, link) != Some(true)
            };
            for link in self.links().filter(is_refused) {
                // INVARIANT: every link was made from a tuple.
                if let Some(tuple) = self.tuple(link) {
                    model.validate(&tuple)?;
                }
            }
        }
        let mut names = self.names.clone();
        let mut everyone = self.everyone.to_vec();
        for kind in model.type_ids().skip(everyone.len()) {
            everyone.push(names.add_everyone(kind));
        }
        Ok(Self {
            model,
            names,
            everyone: everyone.into(),
            ..self.clone()
        })
    }

    /// Whether a model with the numbers of this one's takes a tuple.
    fn takes(&self, model: &Model, link: &Link) -> Option<bool> {
        let subject = self.names.node(link.edge.subject)?;
        let form = match link.edge.userset {
            RelationId::NONE if subject.is_everyone() => Form::Wildcard,
            RelationId::NONE => Form::Object,
            userset => Form::Userset(userset),
        };
        Some(model.relation(link.edge.relation)?.takes(subject.kind(), form))
    }

    /// For how many plain tuples there is room.
    #[cfg(test)]
    pub(super) fn room(&self) -> usize {
        self.pairs.room()
    }

    /// How many tuples there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// What stands for everyone of a type.
    pub(super) fn everyone(&self, kind: TypeId) -> Option<u32> {
        self.everyone.get(kind.index()).copied().flatten()
    }

    /// Makes one change. Returns what became of it: nothing if it was so already.
    pub(super) fn change(&mut self, change: TupleChange<'_>) -> Result<Option<Link>, InvalidTupleForModel> {
        match change {
            TupleChange::Put(tuple) => self.put_until(tuple, None),
            TupleChange::PutUntil(tuple, until) => self.put_until(tuple, Some(until)),
            TupleChange::Delete(tuple) => {
                let placed = self.model.place(tuple)?;
                let located = self.locate(placed, tuple);
                Ok(located
                    .filter(|located| self.delete(*located))
                    .map(|located| located.link))
            }
        }
    }

    /// Returns the link if it is a new one.
    fn put_until(
        &mut self,
        tuple: &Tuple,
        until: Option<Timestamp>,
    ) -> Result<Option<Link>, InvalidTupleForModel> {
        let refused = |reason| InvalidTupleForModel {
            tuple: Box::new(tuple.clone()),
            reason: Box::new(reason),
        };
        let placed = self.model.place(tuple)?;
        let kind = tuple.object().kind();
        if until.is_some() && self.model.is_sentinels(kind) {
            return Err(refused(TupleFault::Lasting(kind.to_owned())));
        }
        let located = self
            .intern(placed, tuple)
            .ok_or_else(|| refused(TupleFault::Full))?;
        let is_new = self.put(located);
        self.ends.set(located.link, until);
        Ok(is_new.then_some(located.link))
    }

    /// How long a tuple holds; `None` if it is not there.
    pub(super) fn term(&self, tuple: &Tuple) -> Option<Term> {
        let placed = self.model.place(tuple).ok()?;
        let located = self.locate(placed, tuple)?;
        self.holds(located).then(|| self.term_of(&located.link))
    }

    /// How long a tuple that is there holds.
    pub(super) fn term_of(&self, link: &Link) -> Term {
        self.ends.of(link).map_or(Term::Unlimited, Term::Until)
    }

    /// Whether the very tuple is there.
    pub(super) fn contains(&self, tuple: &Tuple) -> bool {
        let Ok(placed) = self.model.place(tuple) else {
            return false;
        };
        self.locate(placed, tuple)
            .is_some_and(|located| self.holds(located))
    }

    /// Whether a plain tuple is there, for a relation whose tuples are found by object and subject together.
    pub(super) fn has_pair(&self, object: u32, subject: u32, slot: u16) -> bool {
        let wanted = Pair::new(object, subject, slot);
        let found = self.pairs.find(wanted.key(), |pair| pair.is_beside(&wanted));
        found.is_some_and(|pair| pair.includes(&wanted))
    }

    /// The plain tuples between two objects, of relations in the first 24 slots: one bit each.
    pub(super) fn pair(&self, object: u32, subject: u32) -> u32 {
        self.expect_pair(object, subject).relations()
    }

    /// The same, to be fetched.
    pub(super) fn expect_pair(&self, object: u32, subject: u32) -> Between<'_> {
        let wanted = Pair::first_page(object, subject);
        let probe = self.pairs.probe(wanted.key());
        Between { wanted, probe }
    }

    /// Begins to fetch what is known of an object and of its plain tuples with a subject.
    pub(super) fn fetch(&self, object: u32, subject: u32) {
        let (pair, node) = (self.expect_pair(object, subject), self.names.expect(object));
        pair.fetch();
        node.fetch();
    }

    /// All tuples that are followed from an object.
    pub(super) fn edges(&self, object: u32) -> &[Edge] {
        self.names.node(object).map_or(&[], |node| node.edges.as_slice())
    }

    /// Those of one relation, out of all.
    pub(super) fn edges_of(edges: &[Edge], relation: RelationId) -> &[Edge] {
        let is_before = |edge: &Edge| edge.relation < relation;
        let is_of = |edge: &Edge| edge.relation == relation;
        // Nearly all objects have few, and then going through them is faster than halving.
        let (start, count) = if edges.len() <= FEW {
            let start = edges.iter().take_while(|edge| is_before(edge)).count();
            (start, edges.iter().filter(|edge| is_of(edge)).count())
        } else {
            let start = edges.partition_point(is_before);
            let rest = edges.get(start..).unwrap_or_default();
            (start, rest.partition_point(is_of))
        };
        edges
            .get(start..)
            .and_then(|rest| rest.get(..count))
            .unwrap_or_default()
    }

    /// Every tuple, in no particular order.
    pub(super) fn links(&self) -> impl Iterator<Item = Link> + '_ {
        let pairs = self.pairs.iter().flat_map(move |pair| {
            let kind = self.names.node(pair.object).map(Node::kind);
            pair.slots().filter_map(move |slot| {
                let relation = self.model.relation_in_slot(kind?, slot)?;
                Some(Link::plain(pair.object, relation, pair.subject))
            })
        });
        let edges = self.names.iter().flat_map(|(object, node)| {
            node.edges
                .as_slice()
                .iter()
                .map(move |edge| Link { object, edge: *edge })
        });
        pairs.chain(edges)
    }

    /// A tuple in words. Every link of this graph has one.
    pub(super) fn tuple(&self, link: Link) -> Option<Tuple> {
        let object = self.object(link.object)?;
        let relation = &self.model.relation(link.edge.relation)?.name;
        let subject = if self.names.node(link.edge.subject)?.is_everyone() {
            Subject::Wildcard(self.kind_name(link.edge.subject)?.to_owned())
        } else if link.edge.userset == RelationId::NONE {
            Subject::Object(self.object(link.edge.subject)?)
        } else {
            let relation = self.model.relation(link.edge.userset)?.name.to_string();
            Subject::Userset(self.object(link.edge.subject)?, relation)
        };
        // What came out of a tuple goes into one.
        Tuple::new(object, relation, subject).ok()
    }

    /// An object in words.
    pub(super) fn object(&self, number: u32) -> Option<Object> {
        Object::new(self.kind_name(number)?, &self.names.id(number)?).ok()
    }

    fn kind_name(&self, number: u32) -> Option<&str> {
        let kind = self.names.node(number)?.kind();
        self.model.kind(kind).map(|found| &*found.name)
    }

    /// A tuple in numbers, if both its objects have one.
    fn locate(&self, placed: Placed, tuple: &Tuple) -> Option<Located> {
        let object = self.names.find(placed.object, tuple.object().id())?;
        let subject = match tuple.subject() {
            Subject::Object(subject) | Subject::Userset(subject, _) => {
                self.names.find(placed.subject.kind, subject.id())?
            }
            Subject::Wildcard(_) => self.everyone(placed.subject.kind)?,
        };
        Some(self.located(placed, object, subject))
    }

    /// A tuple in numbers; its objects are given numbers if they have none.
    fn intern(&mut self, placed: Placed, tuple: &Tuple) -> Option<Located> {
        let object = self.names.intern(placed.object, tuple.object().id())?;
        let subject = match tuple.subject() {
            Subject::Object(subject) | Subject::Userset(subject, _) => {
                self.names.intern(placed.subject.kind, subject.id())?
            }
            Subject::Wildcard(_) => self.everyone(placed.subject.kind)?,
        };
        Some(self.located(placed, object, subject))
    }

    fn located(&self, placed: Placed, object: u32, subject: u32) -> Located {
        let userset = match placed.subject.form {
            Form::Userset(relation) => relation,
            Form::Object | Form::Wildcard => RelationId::NONE,
        };
        let relation = self.model.relation(placed.relation);
        let by_pair = relation.filter(|relation| userset == RelationId::NONE && !relation.is_tupleset);
        Located {
            link: Link {
                object,
                edge: Edge {
                    relation: placed.relation,
                    userset,
                    subject,
                },
            },
            slot: by_pair.map(|relation| relation.slot),
        }
    }

    fn holds(&self, located: Located) -> bool {
        let Link { object, edge } = located.link;
        match located.slot {
            Some(slot) => self.has_pair(object, edge.subject, slot),
            None => self
                .names
                .node(object)
                .is_some_and(|node| node.edges.as_slice().binary_search(&edge).is_ok()),
        }
    }

    fn put(&mut self, located: Located) -> bool {
        if self.holds(located) {
            return false;
        }
        let Link { object, edge } = located.link;
        match located.slot {
            Some(slot) => {
                let wanted = Pair::new(object, edge.subject, slot);
                let beside = |pair: &Pair| pair.is_beside(&wanted);
                match self.pairs.find(wanted.key(), beside) {
                    Some(found) => self.pairs.replace(wanted.key(), beside, found.with(&wanted)),
                    None => self.pairs.insert(wanted),
                }
            }
            None => {
                if let Some(node) = self.names.node_mut(object) {
                    node.edges.insert(edge);
                }
            }
        }
        self.names.retain(object);
        self.names.retain(edge.subject);
        self.len = self.len.saturating_add(1);
        true
    }

    fn delete(&mut self, located: Located) -> bool {
        if !self.holds(located) {
            return false;
        }
        let Link { object, edge } = located.link;
        match located.slot {
            Some(slot) => {
                let wanted = Pair::new(object, edge.subject, slot);
                let beside = |pair: &Pair| pair.is_beside(&wanted);
                match self
                    .pairs
                    .find(wanted.key(), beside)
                    .and_then(|found| found.without(&wanted))
                {
                    Some(left) => self.pairs.replace(wanted.key(), beside, left),
                    None => self.pairs.remove(wanted.key(), beside),
                }
            }
            None => {
                if let Some(node) = self.names.node_mut(object) {
                    node.edges.remove(edge);
                }
            }
        }
        self.ends.set(located.link, None);
        self.names.release(object);
        self.names.release(edge.subject);
        self.len = self.len.saturating_sub(1);
        true
    }
}
