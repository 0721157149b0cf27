//! Where the two engines mean different things: `but not` over tuples that go in a circle.

use std::collections::{HashMap, HashSet};

use crate::case::Case;
use crate::schema::{Expr, Form};

/// An object and a relation of it.
type Place = (String, String);

/// Which relations of objects depend, through tuples, on a `but not` that comes back to where it was while it is worked
/// out.
///
/// OpenFGA answers no as soon as a check under or around a `but not` meets itself again, even where the excluded part
/// holds for nobody ("cycle detected" in its `exclusion`). Ours goes on: a circle of groups has no member, so it excludes
/// nobody; and it refuses to answer where something is excluded by itself. OpenFGA's lists do not follow its own checks
/// there either.
pub(crate) struct Circles(HashSet<Place>);

impl Circles {
    pub(crate) fn of(case: &Case) -> Self {
        if !case.schema.excludes() {
            return Self(HashSet::new());
        }
        let walk = Walk::of(case);
        let places: Vec<&Place> = walk.uses.keys().collect();
        let reach: HashMap<&Place, HashSet<&Place>> =
            places.iter().map(|place| (*place, walk.reach(place))).collect();
        let circular: HashSet<&Place> = places
            .iter()
            .copied()
            .filter(|place| reach[*place].contains(*place))
            .collect();
        let touched = |place: &Place| {
            let mut all = reach[place].iter().copied().chain([place]);
            all.any(|used| {
                let mut under = reach[used].iter().chain([&used]);
                walk.excluding.contains(used) && under.any(|under| circular.contains(*under))
            })
        };
        Self(
            places
                .into_iter()
                .filter(|place| touched(place))
                .cloned()
                .collect(),
        )
    }

    pub(crate) fn contain(&self, object: &str, relation: &str) -> bool {
        self.0.contains(&(object.to_owned(), relation.to_owned()))
    }
}

/// Everything that a relation of an object is computed from, one step further.
struct Walk {
    uses: HashMap<Place, Vec<Place>>,
    /// Those that are computed with `but not`.
    excluding: HashSet<Place>,
}

impl Walk {
    fn of(case: &Case) -> Self {
        let mut subjects: HashMap<(&str, &str), Vec<&str>> = HashMap::new();
        let mut objects: HashSet<&str> = HashSet::new();
        for tuple in &case.tuples {
            let found = subjects.entry((&tuple.object, &tuple.relation)).or_default();
            found.push(&tuple.subject);
            objects.insert(&tuple.object);
            objects.insert(tuple.subject.split('#').next().unwrap_or_default());
        }
        let mut walk = Self {
            uses: HashMap::new(),
            excluding: HashSet::new(),
        };
        for object in objects {
            for (kind, relation, expr) in case.schema.relations() {
                if object.split(':').next() != Some(kind) {
                    continue;
                }
                let place = (object.to_owned(), relation.to_owned());
                let mut uses = Vec::new();
                if collect(expr, &place, &subjects, case, &mut uses) {
                    walk.excluding.insert(place.clone());
                }
                walk.uses.insert(place, uses);
            }
        }
        walk
    }

    fn reach<'w>(&'w self, start: &'w Place) -> HashSet<&'w Place> {
        let mut seen = HashSet::new();
        let mut next: Vec<&Place> = self.uses.get(start).into_iter().flatten().collect();
        while let Some(place) = next.pop() {
            // What no tuple mentions leads nowhere.
            let Some((place, uses)) = self.uses.get_key_value(place) else {
                continue;
            };
            if seen.insert(place) {
                next.extend(uses);
            }
        }
        seen
    }
}

/// Collects what an expression uses, and says whether it excludes.
fn collect<'t>(
    expr: &'t Expr,
    place: &'t Place,
    subjects: &'t HashMap<(&'t str, &'t str), Vec<&'t str>>,
    case: &Case,
    into: &mut Vec<Place>,
) -> bool {
    match expr {
        Expr::Direct(allowed) => {
            if allowed.iter().any(|one| matches!(one.form, Form::Userset(_))) {
                let usersets = of(subjects, &place.0, &place.1).filter_map(|subject| subject.split_once('#'));
                into.extend(usersets.map(|(object, relation)| (object.to_owned(), relation.to_owned())));
            }
            false
        }
        Expr::Computed(relation) => {
            into.push((place.0.clone(), relation.clone()));
            false
        }
        Expr::From { relation, tupleset } => {
            let parents = of(subjects, &place.0, tupleset).filter(|parent| {
                let kind = parent.split(':').next().unwrap_or_default();
                case.schema.relation(kind, relation).is_some()
            });
            into.extend(parents.map(|parent| ((*parent).to_owned(), relation.clone())));
            false
        }
        Expr::Any(parts) | Expr::All(parts) => {
            let mut excludes = false;
            for part in parts {
                excludes |= collect(part, place, subjects, case, into);
            }
            excludes
        }
        Expr::Except(base, minus) => {
            collect(base, place, subjects, case, into);
            collect(minus, place, subjects, case, into);
            true
        }
    }
}

/// The subjects of a relation's own tuples.
fn of<'t>(
    subjects: &'t HashMap<(&'t str, &'t str), Vec<&'t str>>,
    object: &'t str,
    relation: &'t str,
) -> std::slice::Iter<'t, &'t str> {
    let found = subjects.get(&(object, relation));
    found.map(Vec::as_slice).unwrap_or_default().iter()
}
