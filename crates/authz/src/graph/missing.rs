//! What would have made a relation hold: for people who ask why the answer was no. Not made for speed.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, HashMap};

use sentinel_core::{Object, Subject, Tuple};

use super::At;
use super::bounds::Budget;
use super::state::State;
use crate::model::{Form, RelationId, Rewrite, TypeId};
use crate::{CheckError, ObjectsQuery, Page, Query, TupleChange};

/// How many answers are given, and how many are looked at for one part of a definition.
const MOST: usize = 16;
/// How many relations in a row are followed.
const DEPTH: usize = 12;
/// How many objects are taken for a place where any would do.
const CANDIDATES: usize = 4;

/// How many relations of objects are looked at in all. What was found until then is the answer.
const LOOKS: usize = 2_000;
/// How many steps all checks and lists take together.
const STEPS: usize = 1 << 19;
/// How many tuples at most are proposed together.
const LARGEST: usize = 32;

/// Tuples that would be enough together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Way {
    tuples: BTreeSet<Tuple>,
    /// How many relations are followed to them: fewer is more direct, and gives less beside what is asked for.
    steps: usize,
}

impl Way {
    /// One tuple, behind so many relations.
    fn of(tuple: Tuple, steps: usize) -> Self {
        Self {
            tuples: BTreeSet::from([tuple]),
            steps,
        }
    }

    /// The same as a way to another relation, which leads through this one.
    fn followed(self) -> Self {
        Self {
            steps: self.steps.saturating_add(1),
            ..self
        }
    }

    fn and(&self, other: &Self) -> Self {
        Self {
            tuples: self.tuples.union(&other.tuples).cloned().collect(),
            steps: self.steps.max(other.steps),
        }
    }
}

impl At<'_> {
    /// Sets of tuples each of which would make the relation hold if it were added: the smallest first, and of those the
    /// most direct, which follow the fewest relations. They come of the model and of what is there; there may be more. Empty if the relation holds, or if nothing that is added could
    /// make it hold, or if the question is about a userset or about everyone.
    ///
    /// # Errors
    ///
    /// As [`At::check`].
    pub fn missing(self, query: &Query<'_>) -> Result<Vec<Vec<Tuple>>, CheckError> {
        if self.check(query)? {
            return Ok(Vec::new());
        }
        let (Ok(object), Ok(subject)) = (
            Object::new(query.object_type, query.object_id),
            Object::new(query.subject_type, query.subject_id),
        ) else {
            return Ok(Vec::new());
        };
        let asked = self.resolve(query)?;
        if query.subject_relation.is_some() {
            return Ok(Vec::new());
        }
        let kind = self.graph.inner.state.model.ask_type(query.object_type)?;
        let finder = Finder {
            at: self,
            subject: &subject,
            kind: asked.who.kind,
            looks: Cell::new(LOOKS),
            budget: Budget::new(STEPS),
            known: RefCell::default(),
            candidates: RefCell::default(),
        };
        let mut ways = finder.ways(&object, kind, asked.relation, DEPTH);
        ways.retain(|way| self.is_enough(way, query));
        Ok(least(ways)
            .into_iter()
            .map(|way| way.tuples.into_iter().collect())
            .collect())
    }

    fn is_enough(self, way: &Way, query: &Query<'_>) -> bool {
        let after = self.graph.apply(way.tuples.iter().map(TupleChange::Put));
        after.is_ok_and(|after| after.at(self.now).check(query).unwrap_or(false))
    }
}

/// What was found for a relation of an object, and how many relations in a row were followed for it.
type Found = (usize, Vec<Way>);

/// Who is to stand in a relation.
struct Finder<'g> {
    at: At<'g>,
    subject: &'g Object,
    kind: TypeId,
    /// How many relations of objects may still be looked at.
    looks: Cell<usize>,
    budget: Budget,
    /// What was found before. While a relation is being looked at
    /// it is known to have no way: one that leads through itself is none.
    known: RefCell<HashMap<(Object, RelationId), Found>>,
    /// What the subject has each relation to.
    candidates: RefCell<HashMap<RelationId, Vec<Object>>>,
}

impl Finder<'_> {
    fn state(&self) -> &State {
        &self.at.graph.inner.state
    }

    /// What would make the relation hold; the empty way if it does.
    fn ways(&self, object: &Object, kind: TypeId, relation: RelationId, depth: usize) -> Vec<Way> {
        let (Some(depth), Some(definition)) = (depth.checked_sub(1), self.state().model.relation(relation))
        else {
            return Vec::new();
        };
        let place = (object.clone(), relation);
        if let Some((followed, ways)) = self.known.borrow().get(&place)
            && *followed >= depth
        {
            return ways.clone();
        }
        let Some(looks) = self
            .looks
            .get()
            .checked_sub(1)
            .filter(|_| !self.budget.is_spent())
        else {
            return Vec::new();
        };
        self.looks.set(looks);
        self.known
            .borrow_mut()
            .insert(place.clone(), (usize::MAX, Vec::new()));
        let query = Query {
            object_type: object.kind(),
            object_id: object.id(),
            relation: &definition.name,
            subject_type: self.subject.kind(),
            subject_id: self.subject.id(),
            subject_relation: None,
        };
        let asked = self.at.resolve(&query);
        let ways = match asked.and_then(|asked| self.at.is_for(asked, &self.budget)) {
            Ok(true) => vec![Way::default()],
            Ok(false) => least(self.rewritten(object, kind, relation, &definition.rewrite, depth)),
            Err(_) => Vec::new(),
        };
        self.known.borrow_mut().insert(place, (depth, ways.clone()));
        ways
    }

    /// What would make it hold by another relation.
    fn followed(
        &self,
        object: &Object,
        kind: TypeId,
        relation: RelationId,
        depth: usize,
    ) -> impl Iterator<Item = Way> + use<> {
        let ways = self.ways(object, kind, relation, depth);
        ways.into_iter().map(Way::followed)
    }

    fn rewritten(
        &self,
        object: &Object,
        kind: TypeId,
        relation: RelationId,
        rewrite: &Rewrite,
        depth: usize,
    ) -> Vec<Way> {
        match rewrite {
            Rewrite::Direct => self.direct(object, relation, depth),
            Rewrite::Computed(other) => self.followed(object, kind, *other, depth).collect(),
            Rewrite::From {
                tupleset, targets, ..
            } => self.from(object, *tupleset, targets, depth),
            Rewrite::Any(parts) => parts
                .iter()
                .flat_map(|part| self.rewritten(object, kind, relation, part, depth))
                .collect(),
            Rewrite::All(parts) => parts.iter().fold(vec![Way::default()], |before, part| {
                let ways = self.rewritten(object, kind, relation, part, depth);
                let both = before
                    .iter()
                    .flat_map(|one| ways.iter().map(move |other| one.and(other)));
                least(both.filter(|way| way.tuples.len() <= LARGEST).collect())
            }),
            Rewrite::Except(base, _) => self.rewritten(object, kind, relation, base, depth),
        }
    }

    /// A tuple of the relation itself: with the subject, with those he is one of, or a place among those who have one.
    fn direct(&self, object: &Object, relation: RelationId, depth: usize) -> Vec<Way> {
        let model = &self.state().model;
        let Some(definition) = model.relation(relation) else {
            return Vec::new();
        };
        let mut ways = Vec::new();
        let mut put = |subject, steps| {
            ways.extend(
                Tuple::new(object.clone(), &definition.name, subject)
                    .ok()
                    .map(|tuple| Way::of(tuple, steps)),
            );
        };
        for allowed in &definition.direct {
            match allowed.form {
                Form::Object if allowed.kind == self.kind => put(Subject::Object(self.subject.clone()), 0),
                Form::Userset(of) => {
                    let name = model.relation(of).map_or("", |found| &*found.name);
                    for group in self.having(allowed.kind, of) {
                        put(Subject::Userset(group, name.to_owned()), 1);
                    }
                }
                Form::Object | Form::Wildcard => {}
            }
        }
        for (userset, of) in self.targets(object, relation) {
            if let Some((of, kind)) = of.zip(model.type_id(userset.kind())) {
                ways.extend(self.followed(&userset, kind, of, depth));
            }
        }
        ways
    }

    /// A relation to an object that the tupleset leads to, or a tuple of it that leads to one with the relation.
    fn from(
        &self,
        object: &Object,
        tupleset: RelationId,
        targets: &[(TypeId, RelationId)],
        depth: usize,
    ) -> Vec<Way> {
        let model = &self.state().model;
        let mut ways = Vec::new();
        for (target, _) in self.targets(object, tupleset) {
            let kind = model.type_id(target.kind());
            let wanted = targets.iter().find(|(of, _)| Some(*of) == kind);
            if let Some((kind, relation)) = wanted {
                ways.extend(self.followed(&target, *kind, *relation, depth));
            }
        }
        let name = model.relation(tupleset).map_or("", |found| &*found.name);
        for (kind, relation) in targets {
            for target in self.having(*kind, *relation) {
                ways.extend(
                    Tuple::new(object.clone(), name, Subject::Object(target))
                        .ok()
                        .map(|tuple| Way::of(tuple, 1)),
                );
            }
        }
        ways
    }

    /// What the tuples of a relation lead to: objects, and usersets with their relation.
    fn targets(&self, object: &Object, relation: RelationId) -> Vec<(Object, Option<RelationId>)> {
        let state = self.state();
        let number = state
            .model
            .type_id(object.kind())
            .and_then(|kind| state.names.find(kind, object.id()));
        let edges = number.map_or(&[][..], |number| state.edges(number));
        State::edges_of(edges, relation)
            .iter()
            .take(MOST)
            .filter_map(|edge| {
                let userset = (edge.userset != RelationId::NONE).then_some(edge.userset);
                Some((state.object(edge.subject)?, userset))
            })
            .collect()
    }

    /// Some objects of a type to which the subject has the relation.
    fn having(&self, kind: TypeId, relation: RelationId) -> Vec<Object> {
        if let Some(known) = self.candidates.borrow().get(&relation) {
            return known.clone();
        }
        if self.budget.is_spent() {
            return Vec::new();
        }
        let found = self.list(kind, relation);
        self.candidates.borrow_mut().insert(relation, found.clone());
        found
    }

    fn list(&self, kind: TypeId, relation: RelationId) -> Vec<Object> {
        let model = &self.state().model;
        let (Some(kind), Some(relation)) = (model.kind(kind), model.relation(relation)) else {
            return Vec::new();
        };
        let page = Page {
            limit: CANDIDATES,
            ..Page::ALL
        };
        let wanted = ObjectsQuery {
            object_type: &kind.name,
            relation: &relation.name,
            subject_type: self.subject.kind(),
            subject_id: self.subject.id(),
            ..ObjectsQuery::default()
        };
        let listed = self
            .at
            .list_objects_for(&wanted, page, &self.budget)
            .unwrap_or_default();
        listed
            .ids
            .into_iter()
            .filter_map(|id| Object::new(&kind.name, &id).ok())
            .collect()
    }
}

/// The smallest ways, of those the most direct, without those that another one is a part of.
fn least(mut ways: Vec<Way>) -> Vec<Way> {
    let size = |way: &Way| (way.tuples.len(), way.steps);
    ways.sort_by(|a, b| size(a).cmp(&size(b)).then_with(|| a.tuples.cmp(&b.tuples)));
    let mut kept: Vec<Way> = Vec::new();
    for way in ways {
        if kept.len() < MOST && !kept.iter().any(|smaller| smaller.tuples.is_subset(&way.tuples)) {
            kept.push(way);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;
    use std::sync::Arc;

    use super::*;
    use crate::{Graph, Model};

    const MODEL: &str = "
        model
          schema 1.1
        type user
        type group
          relations
            define member: [user, group#member]
        type folder
          relations
            define viewer: [user]
        type doc
          relations
            define parent: [folder]
            define owner: [user]
            define paid: [user]
            define banned: [user]
            define viewer: [user, group#member] or owner or viewer from parent
            define premium: viewer and paid
            define reader: viewer but not banned
    ";

    fn missing(texts: &[&str], relation: &str) -> Vec<String> {
        let tuples: Vec<Tuple> = texts.iter().map(|text| text.parse().expect("a tuple")).collect();
        let graph = Graph::new(Arc::new(Model::parse(MODEL).expect("a model")))
            .apply(tuples.iter().map(TupleChange::Put))
            .expect("allowed tuples");
        let query = Query {
            object_type: "doc",
            object_id: "1",
            relation,
            subject_type: "user",
            subject_id: "ann",
            subject_relation: None,
        };
        let ways = graph.timeless().missing(&query).expect("an answer");
        let words = |way: &Vec<Tuple>| way.iter().map(Tuple::to_string).collect::<Vec<_>>().join(" + ");
        for way in &ways {
            let all = way.iter().map(TupleChange::Put);
            assert_eq!(
                graph.apply(all).expect("allowed").timeless().check(&query),
                Ok(true),
                "{}",
                words(way)
            );
            for left_out in 0..way.len() {
                let rest = way.iter().enumerate().filter(|(at, _)| *at != left_out);
                let rest = graph.apply(rest.map(|(_, tuple)| TupleChange::Put(tuple)));
                assert_eq!(
                    rest.expect("allowed").timeless().check(&query),
                    Ok(false),
                    "{}",
                    words(way)
                );
            }
        }
        ways.iter().map(words).collect()
    }

    #[test]
    fn every_way_that_the_model_has_is_named_and_the_most_direct_first() {
        assert_eq!(
            missing(
                &[
                    "group:eng#member@user:ann",
                    "folder:mine#viewer@user:ann",
                    "doc:1#parent@folder:0",
                    "doc:1#viewer@group:ops#member",
                ],
                "viewer"
            ),
            [
                "doc:1#viewer@user:ann",
                "doc:1#owner@user:ann",
                "doc:1#parent@folder:mine",
                "doc:1#viewer@group:eng#member",
                "folder:0#viewer@user:ann",
                "group:ops#member@user:ann",
                "group:ops#member@group:eng#member",
            ]
        );
    }

    #[test]
    fn what_is_there_already_is_not_missing() {
        assert_eq!(
            missing(&["doc:1#owner@user:ann"], "premium"),
            ["doc:1#paid@user:ann"]
        );
        assert_eq!(
            missing(&[], "premium"),
            [
                "doc:1#paid@user:ann + doc:1#viewer@user:ann",
                "doc:1#owner@user:ann + doc:1#paid@user:ann",
            ]
        );
        assert!(missing(&["doc:1#owner@user:ann"], "viewer").is_empty());
    }

    #[test]
    fn where_something_is_in_the_way_nothing_that_is_added_helps() {
        assert!(missing(&["doc:1#banned@user:ann"], "reader").is_empty());
        assert_eq!(
            missing(&[], "reader"),
            ["doc:1#viewer@user:ann", "doc:1#owner@user:ann"]
        );
    }

    #[test]
    fn groups_that_are_members_of_each_other_end_the_search() {
        let ring = [
            "doc:1#viewer@group:a#member",
            "group:a#member@group:b#member",
            "group:b#member@group:a#member",
        ];
        let found = missing(&ring, "viewer");
        assert!(found.contains(&"group:b#member@user:ann".to_owned()), "{found:?}");
    }

    #[test]
    fn folders_in_many_folders_end_the_search() {
        let model = "model
          schema 1.1
        type user
        type folder
          relations
            define parent: [folder]
            define viewer: [user] or viewer from parent
            define both: viewer and viewer from parent";
        let tuples: Vec<Tuple> = (0..12)
            .flat_map(|level| (0..256).map(move |pair| (level, pair / 16, pair % 16)))
            .map(|(level, one, other)| format!("folder:{level}-{one}#parent@folder:{}-{other}", level + 1))
            .map(|text| text.parse().expect("a tuple"))
            .collect();
        let graph = Graph::new(Arc::new(Model::parse(model).expect("a model")))
            .apply(tuples.iter().map(TupleChange::Put))
            .expect("allowed tuples");
        for (relation, first) in [("viewer", 1), ("both", 1)] {
            let query = Query {
                object_type: "folder",
                object_id: "0-0",
                relation,
                subject_type: "user",
                subject_id: "ann",
                subject_relation: None,
            };
            let ways = graph.timeless().missing(&query).expect("an answer");
            assert_eq!(ways.len(), MOST, "{relation}");
            assert_eq!(ways.first().map(Vec::len), Some(first), "{relation}");
        }
    }

    #[test]
    fn a_definition_that_shares_parts_on_many_levels_ends_the_search() {
        let mut model = String::from(
            "model\n  schema 1.1\ntype user\ntype doc\n  relations\n    define parent: [doc]\n    define a0: [user]\n    define b0: [user]\n",
        );
        for level in 1..=11 {
            let below = level - 1;
            for name in ["a", "b"] {
                let parts = [
                    format!("a{below} from parent"),
                    format!("b{below} from parent"),
                    format!("a{below}"),
                    format!("b{below}"),
                ];
                let parts = parts.join(" and ");
                writeln!(model, "    define {name}{level}: {parts}").expect("written");
            }
        }
        let tuples: Vec<Tuple> = (0..400)
            .map(|at| format!("doc:{}#parent@doc:{}", at / 20, at % 20))
            .map(|text| text.parse().expect("a tuple"))
            .collect();
        let graph = Graph::new(Arc::new(Model::parse(&model).expect("a model")))
            .apply(tuples.iter().map(TupleChange::Put))
            .expect("allowed tuples");
        let query = Query {
            object_type: "doc",
            object_id: "0",
            relation: "a11",
            subject_type: "user",
            subject_id: "ann",
            subject_relation: None,
        };
        assert!(graph.timeless().missing(&query).is_ok());
    }
}
