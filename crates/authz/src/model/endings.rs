//! Relations that can never hold, or that would be asked of themselves for ever, are mistakes of the model.

use super::ast::{RelationDef, TypeDef};
use super::{Form, Model, ModelError, RelationId, Rewrite, TypeId};

/// Checks every relation of a compiled model.
pub(super) fn check(model: &Model, types: &[TypeDef<'_>]) -> Result<(), ModelError> {
    let definitions: Vec<&RelationDef<'_>> = types.iter().flat_map(|def| &def.relations).collect();
    let can_hold = relations_that_can_hold(model, |_| true);
    for (((id, _), def), can_hold) in model.relations().zip(definitions).zip(can_hold) {
        let name = def.name.text;
        if reaches(model, id, id) {
            let message =
                format!("`{name}` is computed from itself and never ends; take it out of its own definition");
            return Err(ModelError::at(def.name.at, message));
        }
        if !can_hold {
            let message = format!(
                "`{name}` can never hold, whatever tuples there are; give it direct types, such as `[user]`"
            );
            return Err(ModelError::at(def.name.at, message));
        }
    }
    Ok(())
}

/// Whether `relation` is computed from `goal` on the same object, in however many steps.
fn reaches(model: &Model, relation: RelationId, goal: RelationId) -> bool {
    let mut seen = vec![relation];
    let mut next = 0;
    while let Some(id) = seen.get(next).copied() {
        next = next.saturating_add(1);
        let mut computed = Vec::new();
        if let Some(relation) = model.relation(id) {
            collect_computed(&relation.rewrite, &mut computed);
        }
        if computed.contains(&goal) {
            return true;
        }
        computed.retain(|id| !seen.contains(id));
        computed.sort_unstable();
        computed.dedup();
        seen.extend(computed);
    }
    false
}

fn collect_computed(rewrite: &Rewrite, into: &mut Vec<RelationId>) {
    match rewrite {
        Rewrite::Computed(relation) => into.push(*relation),
        Rewrite::Direct | Rewrite::From { .. } => {}
        Rewrite::Any(parts) | Rewrite::All(parts) => {
            for part in parts {
                collect_computed(part, into);
            }
        }
        Rewrite::Except(base, minus) => {
            collect_computed(base, into);
            collect_computed(minus, into);
        }
    }
}

/// For each relation, whether some set of tuples makes it hold for a subject of one of these types: the least set that
/// the definitions allow.
pub(super) fn relations_that_can_hold(model: &Model, of_type: impl Fn(TypeId) -> bool) -> Vec<bool> {
    let mut known = vec![false; model.relations.len()];
    loop {
        let next: Vec<bool> = model
            .relations
            .iter()
            .map(|relation| {
                let holds = |id: RelationId| known.get(usize::from(id.0)).copied().unwrap_or(false);
                let direct = relation.direct.iter().any(|one| match one.form {
                    Form::Object | Form::Wildcard => of_type(one.kind),
                    Form::Userset(of) => holds(of),
                });
                can_hold(&relation.rewrite, direct, &holds)
            })
            .collect();
        if next == known {
            return known;
        }
        known = next;
    }
}

fn can_hold(rewrite: &Rewrite, direct: bool, holds: &impl Fn(RelationId) -> bool) -> bool {
    match rewrite {
        Rewrite::Direct => direct,
        Rewrite::Computed(relation) => holds(*relation),
        // What is followed always may have tuples.
        Rewrite::From { targets, .. } => targets.iter().any(|(_, target)| holds(*target)),
        Rewrite::Any(parts) => parts.iter().any(|part| can_hold(part, direct, holds)),
        Rewrite::All(parts) => parts.iter().all(|part| can_hold(part, direct, holds)),
        // What is taken away may be nothing.
        Rewrite::Except(base, _) => can_hold(base, direct, holds),
    }
}
