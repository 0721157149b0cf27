//! The meaning of a model by definition: all that follows from the tuples, by brute force.

use std::collections::{BTreeSet, HashMap};

use sentinel_core::{Object, Subject, Tuple};

use super::model::{Expr, Schema};

/// What a set of tuples means for one subject. Each list is by object and relation, as [`World::place`] numbers them.
pub(super) struct Meaning {
    /// What certainly holds.
    pub(super) yes: Vec<bool>,
    /// What holds or else certainly does not. The rest holds if it does not hold: no answer is right.
    pub(super) at_most: Vec<bool>,
}

/// A model and tuples, numbered.
pub(super) struct World<'w> {
    objects: Vec<Object>,
    /// The subjects by place.
    subjects: Vec<Vec<&'w Subject>>,
    /// By place: the object and the definition.
    definitions: Vec<(usize, &'w Expr)>,
    places: HashMap<Object, HashMap<&'w str, usize>>,
}

impl<'w> World<'w> {
    /// All objects with these ids, of every type that has relations.
    pub(super) fn new(schema: &'w Schema, ids: &[&str], tuples: &'w BTreeSet<Tuple>) -> Self {
        let relations: Vec<_> = schema.relations().collect();
        let kinds: BTreeSet<&str> = relations.iter().map(|(kind, _, _)| *kind).collect();
        let object = |kind, id: &&str| Object::new(kind, id).expect("an object");
        let objects: Vec<_> = kinds
            .into_iter()
            .flat_map(|kind| ids.iter().map(move |id| object(kind, id)))
            .collect();
        let mut definitions = Vec::new();
        let mut places: HashMap<_, HashMap<_, _>> = HashMap::new();
        for (number, object) in objects.iter().enumerate() {
            let names = places.entry(object.clone()).or_default();
            for (kind, relation, expr) in &relations {
                if *kind == object.kind() {
                    names.insert(*relation, definitions.len());
                    definitions.push((number, *expr));
                }
            }
        }
        let mut world = Self {
            subjects: vec![Vec::new(); definitions.len()],
            objects,
            definitions,
            places,
        };
        for tuple in tuples {
            let object = tuple.object();
            let place = world.place(object, tuple.relation());
            world.subjects[place].push(tuple.subject());
        }
        world
    }

    /// The number of a relation of an object.
    pub(super) fn place(&self, object: &Object, relation: &str) -> usize {
        self.find(object, relation).expect("a relation of its type")
    }

    /// The same; `None` for a relation that the object's type lacks.
    fn find(&self, object: &Object, relation: &str) -> Option<usize> {
        self.places.get(object)?.get(relation).copied()
    }

    /// The well-founded model (Van Gelder, Ross, Schlipf 1991), by the alternating fixpoint: from too little, conclude
    /// too much, from that again too little, and so on until nothing changes.
    pub(super) fn meaning(&self, asked: &Subject) -> Meaning {
        let mut yes = vec![false; self.subjects.len()];
        loop {
            let at_most = self.follows(asked, &yes);
            let at_least = self.follows(asked, &at_most);
            if at_least == yes {
                return Meaning { yes, at_most };
            }
            yes = at_least;
        }
    }

    /// All that follows, where exactly what is in `excluded` counts as excluded.
    fn follows(&self, asked: &Subject, excluded: &[bool]) -> Vec<bool> {
        let mut known = vec![false; self.subjects.len()];
        if let Subject::Userset(object, relation) = asked {
            // A userset stands in its own relation.
            known[self.place(object, relation)] = true;
        }
        loop {
            let mut changed = false;
            for place in 0..known.len() {
                let (_, expr) = self.definitions[place];
                if !known[place] && self.holds(expr, place, asked, &known, excluded) {
                    known[place] = true;
                    changed = true;
                }
            }
            if !changed {
                return known;
            }
        }
    }

    fn holds(&self, expr: &Expr, place: usize, asked: &Subject, known: &[bool], excluded: &[bool]) -> bool {
        let object = &self.objects[self.definitions[place].0];
        let has = |object: &Object, relation: &str| {
            let place = self.find(object, relation);
            place.is_some_and(|place| known[place])
        };
        match expr {
            Expr::Direct(_) => self.subjects[place].iter().any(|subject| match subject {
                Subject::Object(_) => *subject == asked,
                Subject::Wildcard(kind) => match asked {
                    Subject::Object(asked) => asked.kind() == kind,
                    Subject::Wildcard(asked) => asked == kind,
                    Subject::Userset(..) => false,
                },
                Subject::Userset(of, relation) => has(of, relation),
            }),
            Expr::Computed(other) => has(object, other),
            Expr::From(other, tupleset) => {
                let through = self.place(object, tupleset);
                self.subjects[through].iter().any(|subject| match subject {
                    Subject::Object(parent) => has(parent, other),
                    Subject::Userset(..) | Subject::Wildcard(_) => false,
                })
            }
            Expr::Any(parts) => parts
                .iter()
                .any(|part| self.holds(part, place, asked, known, excluded)),
            Expr::All(parts) => parts
                .iter()
                .all(|part| self.holds(part, place, asked, known, excluded)),
            // What is excluded is taken from the other estimate, never from the one that grows. (The models put an
            // exclusion within an exclusion into a relation of its own, so that it has a place in the estimates.)
            Expr::Except(base, minus) => {
                self.holds(base, place, asked, known, excluded)
                    && !self.holds(minus, place, asked, excluded, excluded)
            }
        }
    }
}
