//! What can be known about a relation without asking on: for example that a workspace's viewers are those who have a
//! tuple as viewer, editor, admin or owner, and nobody else.

use super::order::Order;
use super::{Form, Model, Relation, RelationId, Rewrite};

/// Relations of the same object whose plain tuples are enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Shortcut {
    /// The slots of those relations, as far as they are below 24.
    pub(crate) slots: u32,
    /// Whether without such a tuple the relation does not hold.
    pub(crate) decides: bool,
}

/// Works out every relation's shortcut. The model has no relation that is computed from itself, so that what one is
/// computed from is known before it.
pub(super) fn prepare(model: &mut Model, order: &Order) {
    for id in &order.relations {
        let Some(relation) = model.relation(*id) else {
            continue;
        };
        let shortcut = of_rewrite(model, relation, &relation.rewrite);
        let is_followed = is_followed(model, &relation.rewrite);
        if let Some(relation) = model.relations.get_mut(usize::from(id.0)) {
            relation.shortcut = shortcut;
            relation.is_followed = is_followed;
        }
    }
    let plans: Vec<Rewrite> = model
        .relations
        .iter()
        .map(|relation| ordered(model, &relation.rewrite))
        .collect();
    for (relation, plan) in model.relations.iter_mut().zip(plans) {
        relation.plan = plan;
    }
}

/// The cheapest parts first. Neither `or` nor `and` depends on the order of its parts, not even where one is an error.
fn ordered(model: &Model, rewrite: &Rewrite) -> Rewrite {
    let sorted = |parts: &[Rewrite]| {
        let mut parts: Vec<Rewrite> = parts.iter().map(|part| ordered(model, part)).collect();
        parts.sort_by_cached_key(|part| cost(model, part));
        parts.into_boxed_slice()
    };
    match rewrite {
        Rewrite::Any(parts) => Rewrite::Any(sorted(parts)),
        Rewrite::All(parts) => Rewrite::All(sorted(parts)),
        Rewrite::Except(base, minus) => {
            Rewrite::Except(Box::new(ordered(model, base)), Box::new(ordered(model, minus)))
        }
        Rewrite::Direct | Rewrite::Computed(_) | Rewrite::From { .. } => rewrite.clone(),
    }
}

/// 0 if one look at the object's own tuples decides, 1 if one look at each of a few others does, more otherwise.
fn cost(model: &Model, rewrite: &Rewrite) -> u8 {
    let decides = |other: &RelationId| model.relation(*other).is_some_and(|other| other.shortcut.decides);
    match rewrite {
        Rewrite::Computed(other) if decides(other) => 0,
        Rewrite::From { targets, .. } if targets.iter().all(|(_, target)| decides(target)) => 1,
        Rewrite::Direct | Rewrite::Computed(_) => 2,
        Rewrite::All(parts) | Rewrite::Any(parts) => {
            let dearest = parts.iter().map(|part| cost(model, part)).max();
            dearest.unwrap_or(0).saturating_add(1)
        }
        Rewrite::From { .. } | Rewrite::Except(..) => 3,
    }
}

/// Whether a shortcut finds the tuples of the relation in this slot.
pub(super) fn may_find(slot: u16) -> bool {
    slot < 24
}

fn of_rewrite(model: &Model, relation: &Relation, rewrite: &Rewrite) -> Shortcut {
    match rewrite {
        Rewrite::Direct if !relation.is_tupleset && may_find(relation.slot) => Shortcut {
            slots: 1_u32.checked_shl(u32::from(relation.slot)).unwrap_or(0),
            decides: relation.direct.iter().all(|one| one.form == Form::Object),
        },
        Rewrite::Computed(other) => model
            .relation(*other)
            .map_or_else(Shortcut::default, |other| other.shortcut),
        Rewrite::Any(parts) => {
            let all = Shortcut {
                slots: 0,
                decides: true,
            };
            parts
                .iter()
                .map(|part| of_rewrite(model, relation, part))
                .fold(all, |all, one| Shortcut {
                    slots: all.slots | one.slots,
                    decides: all.decides && one.decides,
                })
        }
        Rewrite::Direct | Rewrite::From { .. } | Rewrite::All(_) | Rewrite::Except(..) => Shortcut::default(),
    }
}

/// Whether a list of what could have this part takes more than the tuples of the objects themselves.
pub(crate) fn is_followed(model: &Model, rewrite: &Rewrite) -> bool {
    match rewrite {
        Rewrite::Direct => false,
        Rewrite::Computed(other) => model.relation(*other).is_some_and(|other| other.is_followed),
        Rewrite::From { .. } => true,
        Rewrite::Any(parts) => parts.iter().any(|part| is_followed(model, part)),
        Rewrite::All(parts) => parts.iter().all(|part| is_followed(model, part)),
        Rewrite::Except(base, _) => is_followed(model, base),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_tuples_of_the_same_object_are_a_shortcut() {
        let model = Model::parse(
            "model
               schema 1.1
             type user
             type doc
               relations
                 define parent: [doc]
                 define owner: [user]
                 define editor: [user] or owner
                 define reader: [user, user:*] or editor
                 define viewer: editor or viewer from parent
                 define both: editor and reader
                 define left: editor but not owner",
        )
        .expect("a model");
        let kind = model.type_id("doc").expect("a type");
        let shortcut = |name| {
            let relation = model.relation_id(kind, name).and_then(|id| model.relation(id));
            let Shortcut { slots, decides } = relation.expect("a relation").shortcut;
            (slots, decides)
        };
        assert_eq!(shortcut("parent"), (0, false), "its tuples are followed");
        assert_eq!(shortcut("owner"), (0b10, true));
        assert_eq!(shortcut("editor"), (0b110, true));
        assert_eq!(shortcut("reader"), (0b1110, false), "everyone may be a reader");
        assert_eq!(shortcut("viewer"), (0b110, false));
        assert_eq!(shortcut("both"), (0, false));
        assert_eq!(shortcut("left"), (0, false));
    }
}
