//! Who or what could be in a list: everything that tuples lead to, in either direction. It may be too much (`and` and
//! `but not` are taken lightly) and never too little; each candidate is then checked.

use std::collections::{HashMap, HashSet};

use foldhash::fast::RandomState;

use super::index::Index;
use super::names::Node;
use super::search::Who;
use super::state::State;
use crate::Model;
use crate::model::{Form, Relation, RelationId, Rewrite, TypeId, is_followed};

type Seen = HashSet<(u32, RelationId), RandomState>;

/// What can make a relation hold.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Source {
    /// Its own tuples.
    Direct,
    /// Another relation of the same object.
    Computed(RelationId),
    /// A relation of what the tupleset leads to.
    From {
        tupleset: RelationId,
        targets: Vec<RelationId>,
    },
}

/// Which parts of a definition are looked into.
#[derive(Clone, Copy)]
enum Of {
    /// All of them, also what comes after `but not`: where everyone has a relation but for some, it matters who is
    /// mentioned at all.
    Every,
    /// Of an `and` the one that needs the fewest tuples followed: where the whole holds, each part does.
    Cheapest,
}

/// The objects to which the subject may stand in the relation, each once, in no particular order; and how many relations
/// of objects were looked at for them.
pub(super) fn objects(state: &State, index: &Index, goal: RelationId, who: Who) -> (Vec<u32>, usize) {
    let plan = Plan::new(&state.model, goal);
    let mut seen = Seen::default();
    let mut open = Vec::new();
    let subjects = [(who.number, who.userset), (who.everyone, RelationId::NONE)];
    for (subject, userset) in subjects {
        let Some(subject) = subject else { continue };
        for relation in &plan.begins {
            let found = index.objects(subject, userset, *relation);
            visit(&mut seen, &mut open, found.map(|object| (object, *relation)));
        }
        if userset != RelationId::NONE && plan.matters(userset, goal) {
            visit(&mut seen, &mut open, [(subject, userset)]);
        }
    }
    let mut objects = Vec::new();
    while let Some((object, relation)) = open.pop() {
        if relation == goal {
            objects.push(object);
        }
        for (to, how) in plan.leads_to.get(&relation).into_iter().flatten() {
            let to = *to;
            match how {
                How::SameObject => visit(&mut seen, &mut open, [(object, to)]),
                How::Userset => {
                    let found = index.objects(object, relation, to);
                    visit(&mut seen, &mut open, found.map(|object| (object, to)));
                }
                How::From(tupleset) => {
                    let found = index.objects(object, RelationId::NONE, *tupleset);
                    visit(&mut seen, &mut open, found.map(|object| (object, to)));
                }
            }
        }
    }
    (objects, seen.len())
}

/// The subjects of a type that may stand in the relation to the object, each once, in no particular order. With a
/// relation of that type, the objects whose usersets may.
pub(super) fn subjects(
    state: &State,
    index: &Index,
    object: u32,
    relation: RelationId,
    kind: TypeId,
    userset: RelationId,
) -> Vec<u32> {
    let mut seen = Seen::default();
    let mut open = Vec::new();
    let mut subjects = HashSet::<u32, RandomState>::default();
    let mut known = HashMap::<RelationId, Vec<Source>, RandomState>::default();
    visit(&mut seen, &mut open, [(object, relation)]);
    while let Some((object, relation)) = open.pop() {
        let Some(definition) = state.model.relation(relation) else {
            continue;
        };
        if relation == userset {
            subjects.insert(object);
        }
        let sources = known
            .entry(relation)
            .or_insert_with(|| sources(&state.model, definition, Of::Every));
        for source in &*sources {
            match source {
                Source::Computed(other) => visit(&mut seen, &mut open, [(object, *other)]),
                Source::Direct => {
                    for edge in index.subjects(object, relation) {
                        if edge.userset != RelationId::NONE {
                            visit(&mut seen, &mut open, [(edge.subject, edge.userset)]);
                        } else if userset == RelationId::NONE && kind_of(state, edge.subject) == Some(kind) {
                            subjects.insert(edge.subject);
                        }
                    }
                }
                Source::From { tupleset, targets } => {
                    for edge in index.subjects(object, *tupleset) {
                        let of_its_type = targets.iter().filter(|target| {
                            let target = state.model.relation(**target).map(|target| target.kind);
                            target == kind_of(state, edge.subject)
                        });
                        visit(
                            &mut seen,
                            &mut open,
                            of_its_type.map(|target| (edge.subject, *target)),
                        );
                    }
                }
            }
        }
    }
    subjects.into_iter().collect()
}

fn kind_of(state: &State, number: u32) -> Option<TypeId> {
    state.names.node(number).map(Node::kind)
}

fn visit(
    seen: &mut Seen,
    open: &mut Vec<(u32, RelationId)>,
    found: impl IntoIterator<Item = (u32, RelationId)>,
) {
    open.extend(found.into_iter().filter(|place| seen.insert(*place)));
}

/// Which relations matter for a goal, and how one leads to the next.
struct Plan {
    /// Relations whose own tuples may begin the way.
    begins: Vec<RelationId>,
    leads_to: HashMap<RelationId, Vec<(RelationId, How)>, RandomState>,
}

enum How {
    SameObject,
    Userset,
    From(RelationId),
}

impl Plan {
    /// Whether the goal can follow from this relation.
    fn matters(&self, relation: RelationId, goal: RelationId) -> bool {
        relation == goal || self.leads_to.contains_key(&relation)
    }

    fn new(model: &Model, goal: RelationId) -> Self {
        let mut plan = Self {
            begins: Vec::new(),
            leads_to: HashMap::default(),
        };
        let mut open = vec![goal];
        let mut seen: HashSet<RelationId, RandomState> = open.iter().copied().collect();
        while let Some(to) = open.pop() {
            let Some(definition) = model.relation(to) else {
                continue;
            };
            let mut steps = Vec::new();
            for source in sources(model, definition, Of::Cheapest) {
                match source {
                    Source::Direct => {
                        plan.begins.push(to);
                        steps.extend(definition.direct.iter().filter_map(|one| match one.form {
                            Form::Userset(from) => Some((from, How::Userset)),
                            Form::Object | Form::Wildcard => None,
                        }));
                    }
                    Source::Computed(from) => steps.push((from, How::SameObject)),
                    Source::From { tupleset, targets } => {
                        steps.extend(targets.into_iter().map(|from| (from, How::From(tupleset))));
                    }
                }
            }
            for (from, how) in steps {
                plan.leads_to.entry(from).or_default().push((to, how));
                if seen.insert(from) {
                    open.push(from);
                }
            }
        }
        plan
    }
}

/// What can make a relation hold.
fn sources(model: &Model, relation: &Relation, of: Of) -> Vec<Source> {
    let mut found = Vec::new();
    collect(model, &relation.rewrite, of, &mut found);
    // Said twice it is still one.
    let mut seen = HashSet::<Source, RandomState>::default();
    found.retain(|source| seen.insert(source.clone()));
    found
}

fn collect(model: &Model, rewrite: &Rewrite, of: Of, into: &mut Vec<Source>) {
    match rewrite {
        Rewrite::Direct => into.push(Source::Direct),
        Rewrite::Computed(relation) => into.push(Source::Computed(*relation)),
        Rewrite::From {
            tupleset, targets, ..
        } => into.push(Source::From {
            tupleset: *tupleset,
            targets: targets.iter().map(|(_, target)| *target).collect(),
        }),
        Rewrite::Any(parts) => {
            for part in parts {
                collect(model, part, of, into);
            }
        }
        Rewrite::All(parts) => match of {
            Of::Every => {
                for part in parts {
                    collect(model, part, of, into);
                }
            }
            Of::Cheapest => {
                // Nothing but tuples of the object itself is best.
                if let Some(part) = parts.iter().min_by_key(|part| is_followed(model, part)) {
                    collect(model, part, of, into);
                }
            }
        },
        Rewrite::Except(base, minus) => {
            collect(model, base, of, into);
            if let Of::Every = of {
                collect(model, minus, of, into);
            }
        }
    }
}
