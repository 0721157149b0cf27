//! The same model in the numbers of another one. What is held in numbers, all tuples, then stays as it is when a model
//! takes the place of the other: a service that writes a new model moves nothing of what others have.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use super::order::Order;
use super::{
    Allowed, Form, MAX_SLOTS, Model, Relation, RelationId, Rewrite, Shortcut, Type, TypeId, shortcut,
};
use crate::sentinel::Numbers;

/// What a relation leads to, by type.
type Targets = Arc<[(TypeId, RelationId)]>;

/// The numbers in place of a model's own.
struct Renumbered {
    /// By the type's own number.
    types: Vec<TypeId>,
    /// By the relation's own number.
    relations: Vec<RelationId>,
    /// By where the model's own are: many definitions may share them.
    targets: RefCell<HashMap<*const [(TypeId, RelationId)], Targets>>,
}

impl Model {
    /// The same model in the numbers of `other`; what that has not comes behind. `None` where tuples cannot stay as they are:
    /// it lacks a type or relation of the other's, or follows the tuples of one that the other does not follow; and where
    /// questions would take other steps than in a graph that was made under this model, because a relation has come to lie
    /// on the other side of those that a shortcut finds.
    pub(crate) fn numbered_as(&self, other: &Self) -> Option<Self> {
        let numbers = Renumbered::of(self, other)?;
        let mut types: Vec<(TypeId, Type)> = Vec::with_capacity(self.types.len());
        for (kind, number) in self.types.iter().zip(&numbers.types) {
            types.push((*number, numbers.kind(kind, other.kind(*number))?));
        }
        types.sort_by_key(|(number, _)| *number);
        let types: Vec<Type> = types.into_iter().map(|(_, kind)| kind).collect();
        let mut relations: Vec<(RelationId, Relation)> = Vec::with_capacity(self.relations.len());
        for (relation, number) in self.relations.iter().zip(&numbers.relations) {
            let kind = numbers.type_id(relation.kind)?;
            let slots = &types.get(kind.index())?.slots;
            let slot = match slots.iter().position(|other| other == number) {
                Some(slot) => {
                    let slot = u16::try_from(slot).ok()?;
                    let is_found_alike = shortcut::may_find(relation.slot) == shortcut::may_find(slot);
                    (relation.is_tupleset || relation.direct.is_empty() || is_found_alike).then_some(slot)?
                }
                // One without tuples: its slot is not looked at.
                None => other.relation(*number).map_or(0, |other| other.slot),
            };
            relations.push((*number, numbers.relation(relation, kind, slot)?));
        }
        relations.sort_by_key(|(number, _)| *number);
        let mut model = Self {
            numbers: (0..=u16::MAX)
                .zip(&types)
                .map(|(number, kind)| (kind.name.clone(), TypeId(number)))
                .collect(),
            types,
            relations: relations.into_iter().map(|(_, relation)| relation).collect(),
            own: None,
        };
        let order = Order::of(&model);
        shortcut::prepare(&mut model, &order);
        model.own = Numbers::of(&model).ok();
        Some(model)
    }

    /// The relations that take less than in `other`, whose numbers this model has; they ascend.
    pub(crate) fn narrower_than(&self, other: &Self) -> Vec<RelationId> {
        let both = (0..=u16::MAX).zip(self.relations.iter().zip(&other.relations));
        both.filter(|(_, (relation, other))| other.direct.iter().any(|one| !relation.direct.contains(one)))
            .map(|(number, _)| RelationId(number))
            .collect()
    }
}

impl Renumbered {
    fn of(model: &Model, other: &Model) -> Option<Self> {
        let mut next = other.types.len();
        let mut types = Vec::with_capacity(model.types.len());
        for kind in &model.types {
            let known = other.type_id(&kind.name);
            types.push(match known {
                Some(known) => known,
                None => TypeId(take(&mut next)?),
            });
        }
        // As many as there are: none of the other's is missing, and none of the new ones leaves a gap.
        if next != model.types.len() {
            return None;
        }
        let mut next = other.relations.len();
        let mut relations = Vec::with_capacity(model.relations.len());
        for relation in &model.relations {
            let kind = *types.get(relation.kind.index())?;
            relations.push(match other.relation_id(kind, &relation.name) {
                Some(known) if other.relation(known)?.is_tupleset == relation.is_tupleset => known,
                Some(_) => return None,
                None => RelationId(take(&mut next)?),
            });
        }
        (next == model.relations.len()).then(|| Self {
            types,
            relations,
            targets: RefCell::default(),
        })
    }

    fn type_id(&self, kind: TypeId) -> Option<TypeId> {
        self.types.get(kind.index()).copied()
    }

    fn relation_id(&self, relation: RelationId) -> Option<RelationId> {
        self.relations.get(usize::from(relation.0)).copied()
    }

    /// A type; where the other model has it, with that one's slots, and those behind that are new.
    fn kind(&self, kind: &Type, other: Option<&Type>) -> Option<Type> {
        let mut relations = kind.relations.clone();
        for number in relations.values_mut() {
            *number = self.relation_id(*number)?;
        }
        let mut slots = other.map_or_else(Vec::new, |other| other.slots.clone());
        for own in &kind.slots {
            let number = self.relation_id(*own)?;
            if !slots.contains(&number) {
                slots.push(number);
            }
        }
        (slots.len() <= MAX_SLOTS).then(|| Type {
            name: kind.name.clone(),
            is_sentinels: kind.is_sentinels,
            relations,
            slots,
        })
    }

    fn relation(&self, relation: &Relation, kind: TypeId, slot: u16) -> Option<Relation> {
        let direct: Option<Box<[Allowed]>> = relation.direct.iter().map(|one| self.allowed(*one)).collect();
        Some(Relation {
            kind,
            name: relation.name.clone(),
            direct: direct?,
            slot,
            is_tupleset: relation.is_tupleset,
            takes_usersets: relation.takes_usersets,
            rewrite: self.rewrite(&relation.rewrite)?,
            // They follow from the rest.
            shortcut: Shortcut::default(),
            is_followed: false,
            plan: Rewrite::Direct,
        })
    }

    fn allowed(&self, one: Allowed) -> Option<Allowed> {
        Some(Allowed {
            kind: self.type_id(one.kind)?,
            form: match one.form {
                Form::Userset(relation) => Form::Userset(self.relation_id(relation)?),
                form @ (Form::Object | Form::Wildcard) => form,
            },
        })
    }

    fn targets(&self, own: &Targets) -> Option<Targets> {
        let place = Arc::as_ptr(own);
        if let Some(known) = self.targets.borrow().get(&place) {
            return Some(Arc::clone(known));
        }
        let target = |(kind, relation): &(TypeId, RelationId)| {
            Some((self.type_id(*kind)?, self.relation_id(*relation)?))
        };
        let targets: Option<Targets> = own.iter().map(target).collect();
        let targets = targets?;
        self.targets.borrow_mut().insert(place, Arc::clone(&targets));
        Some(targets)
    }

    fn rewrite(&self, rewrite: &Rewrite) -> Option<Rewrite> {
        let all = |parts: &[Rewrite]| -> Option<Box<[Rewrite]>> {
            parts.iter().map(|part| self.rewrite(part)).collect()
        };
        Some(match rewrite {
            Rewrite::Direct => Rewrite::Direct,
            Rewrite::Computed(relation) => Rewrite::Computed(self.relation_id(*relation)?),
            Rewrite::From {
                tupleset,
                targets,
                only,
            } => {
                let targets = self.targets(targets)?;
                Rewrite::From {
                    tupleset: self.relation_id(*tupleset)?,
                    targets,
                    only: match only {
                        Some(only) => Some(self.relation_id(*only)?),
                        None => None,
                    },
                }
            }
            Rewrite::Any(parts) => Rewrite::Any(all(parts)?),
            Rewrite::All(parts) => Rewrite::All(all(parts)?),
            Rewrite::Except(base, minus) => {
                Rewrite::Except(Box::new(self.rewrite(base)?), Box::new(self.rewrite(minus)?))
            }
        })
    }
}

/// The next number.
fn take(next: &mut usize) -> Option<u16> {
    let number = u16::try_from(*next).ok()?;
    *next = next.checked_add(1)?;
    Some(number)
}
