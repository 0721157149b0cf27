//! The meaning of what [`At::expand`] answers: its trees put together and evaluated, without the engine.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use sentinel_core::{Object, Subject};

use crate::{At, Expansion, Userset};

/// Everything that an expansion leads to, expanded.
pub(super) struct Unfolded {
    trees: BTreeMap<Userset, Expansion>,
}

impl Unfolded {
    /// All expansions that matter for a relation of an object.
    pub(super) fn new(at: At<'_>, object: &Object, relation: &str) -> Self {
        let mut open = vec![Userset {
            object: object.clone(),
            relation: relation.to_owned(),
        }];
        let mut trees = BTreeMap::new();
        while let Some(userset) = open.pop() {
            if let Entry::Vacant(place) = trees.entry(userset) {
                let Userset { object, relation } = place.key();
                let tree = at.expand(object, relation).expect("an expansion");
                leads_to(&tree, &mut open);
                place.insert(tree);
            }
        }
        Self { trees }
    }

    /// Whether the user is in the userset; `None` if neither answer is right. By the alternating fixpoint.
    pub(super) fn has(&self, object: &Object, relation: &str, user: &str) -> Option<bool> {
        let wanted = Userset {
            object: object.clone(),
            relation: relation.to_owned(),
        };
        let user = Subject::Object(Object::new("user", user).expect("an object"));
        let nothing: BTreeMap<_, _> = self.trees.keys().map(|userset| (userset, false)).collect();
        let mut yes = nothing.clone();
        loop {
            let at_most = self.follows(&user, &nothing, &yes);
            let at_least = self.follows(&user, &nothing, &at_most);
            if at_least == yes {
                return (yes[&wanted] == at_most[&wanted]).then(|| yes[&wanted]);
            }
            yes = at_least;
        }
    }

    fn follows<'u>(
        &'u self,
        user: &Subject,
        nothing: &BTreeMap<&'u Userset, bool>,
        excluded: &BTreeMap<&'u Userset, bool>,
    ) -> BTreeMap<&'u Userset, bool> {
        let mut known = nothing.clone();
        loop {
            let found = self
                .trees
                .iter()
                .find(|(userset, tree)| !known[userset] && is_in(user, tree, &known, excluded));
            match found {
                Some((userset, _)) => known.insert(userset, true),
                None => return known,
            };
        }
    }
}

fn leads_to(tree: &Expansion, into: &mut Vec<Userset>) {
    match tree {
        Expansion::Leaf(subjects) => into.extend(subjects.iter().filter_map(userset)),
        Expansion::Computed(userset) => into.push(userset.clone()),
        Expansion::From { computed, .. } => into.extend(computed.iter().cloned()),
        Expansion::Union(parts) | Expansion::Intersection(parts) => {
            for part in parts {
                leads_to(part, into);
            }
        }
        Expansion::Difference(base, minus) => {
            leads_to(base, into);
            leads_to(minus, into);
        }
    }
}

fn userset(subject: &Subject) -> Option<Userset> {
    match subject {
        Subject::Userset(object, relation) => Some(Userset {
            object: object.clone(),
            relation: relation.clone(),
        }),
        Subject::Object(_) | Subject::Wildcard(_) => None,
    }
}

fn is_in(
    user: &Subject,
    tree: &Expansion,
    known: &BTreeMap<&Userset, bool>,
    excluded: &BTreeMap<&Userset, bool>,
) -> bool {
    match tree {
        Expansion::Leaf(subjects) => subjects.iter().any(|subject| {
            let everyone = matches!(subject, Subject::Wildcard(kind) if kind == "user");
            everyone || subject == user || userset(subject).is_some_and(|userset| known[&userset])
        }),
        Expansion::Computed(userset) => known[userset],
        Expansion::From { computed, .. } => computed.iter().any(|userset| known[userset]),
        Expansion::Union(parts) => parts.iter().any(|part| is_in(user, part, known, excluded)),
        Expansion::Intersection(parts) => parts.iter().all(|part| is_in(user, part, known, excluded)),
        Expansion::Difference(base, minus) => {
            is_in(user, base, known, excluded) && !is_in(user, minus, excluded, excluded)
        }
    }
}
