//! The meaning of a model by definition: all that follows from the tuples, by brute force.

use std::collections::BTreeSet;

use sentinel_core::{Object, Subject, Tuple};

use super::model::{Expr, Schema};

/// What a set of tuples means for one user. Each list is by object and relation, as [`World::place`] numbers them.
pub(super) struct Meaning {
    /// What certainly holds.
    pub(super) yes: Vec<bool>,
    /// What holds or else certainly does not. The rest holds if it does not hold: no answer is right.
    pub(super) at_most: Vec<bool>,
}

/// A model and tuples, numbered.
pub(super) struct World<'w> {
    objects: Vec<&'w Object>,
    relations: Vec<(&'w str, &'w str, &'w Expr)>,
    /// The subjects by place.
    subjects: Vec<Vec<&'w Subject>>,
}

impl<'w> World<'w> {
    pub(super) fn new(schema: &'w Schema, tuples: &'w BTreeSet<Tuple>) -> Self {
        let objects: BTreeSet<_> = tuples.iter().map(Tuple::object).collect();
        let relations: Vec<_> = schema.relations().collect();
        let mut world = Self {
            subjects: vec![Vec::new(); objects.len() * relations.len()],
            objects: objects.into_iter().collect(),
            relations,
        };
        for tuple in tuples {
            let object = tuple.object();
            let place = world
                .place(object.kind(), object.id(), tuple.relation())
                .expect("numbered");
            world.subjects[place].push(tuple.subject());
        }
        world
    }

    /// The number of a relation of an object; `None` if there is no tuple of the object.
    pub(super) fn place(&self, kind: &str, id: &str, relation: &str) -> Option<usize> {
        let object = self
            .objects
            .iter()
            .position(|object| object.kind() == kind && object.id() == id)?;
        let relation = self
            .relations
            .iter()
            .position(|(of, name, _)| *of == kind && *name == relation)?;
        Some(object * self.relations.len() + relation)
    }

    /// The well-founded model (Van Gelder, Ross, Schlipf 1991), by the alternating fixpoint: from too little, conclude
    /// too much, from that again too little, and so on until nothing changes.
    pub(super) fn meaning(&self, user: &str) -> Meaning {
        let mut yes = vec![false; self.subjects.len()];
        loop {
            let at_most = self.follows(user, &yes);
            let at_least = self.follows(user, &at_most);
            if at_least == yes {
                return Meaning { yes, at_most };
            }
            yes = at_least;
        }
    }

    /// All that follows, where exactly what is in `excluded` counts as excluded.
    fn follows(&self, user: &str, excluded: &[bool]) -> Vec<bool> {
        let mut known = vec![false; self.subjects.len()];
        loop {
            let mut changed = false;
            for place in 0..known.len() {
                let (kind, _, expr) = self.relations[place % self.relations.len()];
                let is_its_own = self.objects[place / self.relations.len()].kind() == kind;
                if is_its_own && !known[place] && self.holds(expr, place, user, &known, excluded) {
                    known[place] = true;
                    changed = true;
                }
            }
            if !changed {
                return known;
            }
        }
    }

    fn holds(&self, expr: &Expr, place: usize, user: &str, known: &[bool], excluded: &[bool]) -> bool {
        let object = self.objects[place / self.relations.len()];
        let has = |object: &Object, relation: &str| {
            self.place(object.kind(), object.id(), relation)
                .is_some_and(|place| known[place])
        };
        match expr {
            Expr::Direct(_) => self.subjects[place].iter().any(|subject| match subject {
                Subject::Object(subject) => subject.kind() == "user" && subject.id() == user,
                Subject::Wildcard(kind) => kind == "user",
                Subject::Userset(of, relation) => has(of, relation),
            }),
            Expr::Computed(other) => has(object, other),
            Expr::From(other, tupleset) => {
                let through = self
                    .place(object.kind(), object.id(), tupleset)
                    .expect("numbered");
                self.subjects[through].iter().any(|subject| match subject {
                    Subject::Object(parent) => has(parent, other),
                    Subject::Userset(..) | Subject::Wildcard(_) => false,
                })
            }
            Expr::Any(parts) => parts
                .iter()
                .any(|part| self.holds(part, place, user, known, excluded)),
            Expr::All(parts) => parts
                .iter()
                .all(|part| self.holds(part, place, user, known, excluded)),
            // What is excluded is taken from the other estimate, never from the one that grows. (The models put an
            // exclusion within an exclusion into a relation of its own, so that it has a place in the estimates.)
            Expr::Except(base, minus) => {
                self.holds(base, place, user, known, excluded)
                    && !self.holds(minus, place, user, excluded, excluded)
            }
        }
    }
}
