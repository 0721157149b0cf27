//! From names to numbers. A name that leads nowhere is an error at its place.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use super::ast::{self, Name, RelationDef, TypeDef};
use super::{
    Allowed, Form, MAX_PARTS, MAX_SLOTS, Model, ModelError, Relation, RelationId, Rewrite, Shortcut, Type,
    TypeId,
};

/// Compiles definitions.
pub(super) fn compile(types: &[TypeDef<'_>]) -> Result<Model, ModelError> {
    let mut model = Model::default();
    let known = Known::default();
    for def in types {
        declare(&mut model, def)?;
    }
    for (def, kind) in types.iter().zip(model.type_ids().collect::<Vec<_>>()) {
        for relation in &def.relations {
            let compiler = Compiler {
                model: &model,
                kind,
                siblings: &def.relations,
                known: &known,
            };
            if parts(&relation.rewrite) > MAX_PARTS {
                return Err(ModelError::at(
                    relation.name.at,
                    format!(
                        "`{}` has more than {MAX_PARTS} parts; define some of them as a relation of their own",
                        relation.name.text
                    ),
                ));
            }
            let direct = compiler.direct(&relation.rewrite)?;
            set(&mut model, kind, relation, |found| {
                found.takes_usersets = direct.iter().any(|one| matches!(one.form, Form::Userset(_)));
                found.direct = direct;
            });
        }
    }
    // Only now it is known which relations lead to which types.
    for (def, kind) in types.iter().zip(model.type_ids().collect::<Vec<_>>()) {
        let mut slots = Vec::new();
        for relation in &def.relations {
            let compiler = Compiler {
                model: &model,
                kind,
                siblings: &def.relations,
                known: &known,
            };
            let rewrite = compiler.rewrite(&relation.rewrite)?;
            if slots.len() >= MAX_SLOTS {
                return Err(ModelError::at(
                    relation.name.at,
                    "the type has too many relations with direct types".to_owned(),
                ));
            }
            mark_tuplesets(&mut model, &rewrite);
            let id = model.relation_id(kind, relation.name.text);
            set(&mut model, kind, relation, |found| {
                found.rewrite = rewrite;
                // There are fewer relations than numbers, so the slot fits.
                found.slot = u16::try_from(slots.len()).unwrap_or(u16::MAX);
                slots.extend(id.filter(|_| !found.direct.is_empty()));
            });
        }
        if let Some(found) = model.types.get_mut(kind.index()) {
            found.slots = slots;
        }
    }
    Ok(model)
}

/// How many relations, and kinds of subjects, a definition names.
fn parts(rewrite: &ast::Rewrite<'_>) -> usize {
    match rewrite {
        ast::Rewrite::Direct(restrictions) => restrictions.len(),
        ast::Rewrite::Computed(_) | ast::Rewrite::From { .. } => 1,
        ast::Rewrite::Any(all) | ast::Rewrite::All(all) => {
            all.iter().map(parts).fold(0, usize::saturating_add)
        }
        ast::Rewrite::Except(base, minus) => parts(base).saturating_add(parts(minus)),
    }
}

/// Gives numbers to a type and its relations.
fn declare(model: &mut Model, def: &TypeDef<'_>) -> Result<(), ModelError> {
    let too_many =
        |name: &Name<'_>| ModelError::at(name.at, "the model has too many types or relations".to_owned());
    let kind = u16::try_from(model.types.len()).map_err(|_| too_many(&def.name))?;
    if model.numbers.insert(def.name.text.into(), TypeId(kind)).is_some() {
        return Err(twice(&def.name, "type"));
    }
    let mut relations = HashMap::default();
    for relation in &def.relations {
        let number = u16::try_from(model.relations.len()).map_err(|_| too_many(&relation.name))?;
        if RelationId(number) == RelationId::NONE {
            return Err(too_many(&relation.name));
        }
        if relations
            .insert(relation.name.text.into(), RelationId(number))
            .is_some()
        {
            return Err(twice(&relation.name, "relation"));
        }
        model.relations.push(Relation {
            kind: TypeId(kind),
            name: relation.name.text.into(),
            direct: Box::default(),
            slot: 0,
            is_tupleset: false,
            takes_usersets: false,
            shortcut: Shortcut::default(),
            is_followed: false,
            rewrite: Rewrite::Direct,
            plan: Rewrite::Direct,
        });
    }
    model.types.push(Type {
        name: def.name.text.into(),
        is_sentinels: false,
        relations,
        slots: Vec::new(),
    });
    Ok(())
}

pub(super) fn twice(name: &Name<'_>, what: &str) -> ModelError {
    ModelError::at(
        name.at,
        format!(
            "the {what} `{}` is defined twice; remove or rename one",
            name.text
        ),
    )
}

fn set(model: &mut Model, kind: TypeId, relation: &RelationDef<'_>, change: impl FnOnce(&mut Relation)) {
    if let Some(RelationId(number)) = model.relation_id(kind, relation.name.text)
        && let Some(found) = model.relations.get_mut(usize::from(number))
    {
        change(found);
    }
}

fn mark_tuplesets(model: &mut Model, rewrite: &Rewrite) {
    match rewrite {
        Rewrite::Direct | Rewrite::Computed(_) => {}
        Rewrite::From { tupleset, .. } => {
            if let Some(found) = model.relations.get_mut(usize::from(tupleset.0)) {
                found.is_tupleset = true;
            }
        }
        Rewrite::Any(parts) | Rewrite::All(parts) => {
            for part in parts {
                mark_tuplesets(model, part);
            }
        }
        Rewrite::Except(base, minus) => {
            mark_tuplesets(model, base);
            mark_tuplesets(model, minus);
        }
    }
}

/// What each `relation from tupleset` leads to, worked out once: a tupleset may lead to many types, and many definitions
/// may follow it.
type Known = RefCell<HashMap<(RelationId, Box<str>), Arc<[(TypeId, RelationId)]>>>;

/// Compiles the definition of one relation.
struct Compiler<'m> {
    model: &'m Model,
    kind: TypeId,
    siblings: &'m [RelationDef<'m>],
    known: &'m Known,
}

impl Compiler<'_> {
    /// The subjects that a relation's tuples may have. They stand first in a definition.
    fn direct(&self, rewrite: &ast::Rewrite<'_>) -> Result<Box<[Allowed]>, ModelError> {
        match rewrite {
            ast::Rewrite::Direct(restrictions) => {
                let mut allowed = Vec::with_capacity(restrictions.len());
                for restriction in restrictions {
                    let one = self.allowed(restriction)?;
                    // Said twice it is still one, as with OpenFGA.
                    if !allowed.contains(&one) {
                        allowed.push(one);
                    }
                }
                Ok(allowed.into())
            }
            ast::Rewrite::Any(parts) | ast::Rewrite::All(parts) => parts
                .first()
                .map_or_else(|| Ok(Box::default()), |first| self.direct(first)),
            ast::Rewrite::Except(base, _) => self.direct(base),
            ast::Rewrite::Computed(_) | ast::Rewrite::From { .. } => Ok(Box::default()),
        }
    }

    fn allowed(&self, restriction: &ast::Restriction<'_>) -> Result<Allowed, ModelError> {
        let kind = self.model.type_id(restriction.kind.text).ok_or_else(|| {
            let name = restriction.kind.text;
            ModelError::at(
                restriction.kind.at,
                format!("there is no type `{name}`; define it with `type {name}`"),
            )
        })?;
        let form = match &restriction.form {
            ast::Form::Object => Form::Object,
            ast::Form::Wildcard => Form::Wildcard,
            ast::Form::Userset(relation) => Form::Userset(self.find(kind, relation)?),
        };
        Ok(Allowed { kind, form })
    }

    fn rewrite(&self, rewrite: &ast::Rewrite<'_>) -> Result<Rewrite, ModelError> {
        Ok(match rewrite {
            ast::Rewrite::Direct(_) => Rewrite::Direct,
            ast::Rewrite::Computed(relation) => Rewrite::Computed(self.find(self.kind, relation)?),
            ast::Rewrite::From { relation, tupleset } => self.from(relation, tupleset)?,
            ast::Rewrite::Any(parts) => Rewrite::Any(self.rewrites(parts)?),
            ast::Rewrite::All(parts) => Rewrite::All(self.rewrites(parts)?),
            ast::Rewrite::Except(base, minus) => {
                Rewrite::Except(Box::new(self.rewrite(base)?), Box::new(self.rewrite(minus)?))
            }
        })
    }

    fn rewrites(&self, parts: &[ast::Rewrite<'_>]) -> Result<Box<[Rewrite]>, ModelError> {
        parts.iter().map(|part| self.rewrite(part)).collect()
    }

    /// `relation from tupleset`: the tupleset leads to plain objects, and some of them have the relation.
    fn from(&self, relation: &Name<'_>, tupleset: &Name<'_>) -> Result<Rewrite, ModelError> {
        let through = self.find(self.kind, tupleset)?;
        let error = |name: &Name<'_>, message| Err(ModelError::at(name.at, message));
        let Some(leads) = self.model.relation(through) else {
            return error(tupleset, format!("there is no relation `{}`", tupleset.text));
        };
        let only_objects =
            !leads.direct.is_empty() && leads.direct.iter().all(|one| one.form == Form::Object);
        if !only_objects || !self.is_direct_only(through) {
            let message = format!(
                "`{}` is followed by `from` and must be defined as plain types only, such as `[folder]`",
                tupleset.text
            );
            return error(tupleset, message);
        }
        let place = (through, Box::from(relation.text));
        let targets = Arc::clone(self.known.borrow_mut().entry(place).or_insert_with(|| {
            let leads = leads.direct.iter();
            leads
                .filter_map(|one| Some((one.kind, self.model.relation_id(one.kind, relation.text)?)))
                .collect()
        }));
        if targets.is_empty() {
            let message = format!(
                "no type that `{}` leads to has a relation `{}`; define it there",
                tupleset.text, relation.text
            );
            return error(relation, message);
        }
        let only = match (&*leads.direct, &*targets) {
            ([_], [(_, target)]) => Some(*target),
            _ => None,
        };
        Ok(Rewrite::From {
            tupleset: through,
            targets,
            only,
        })
    }

    /// Whether a relation of this type consists of its tuples alone.
    fn is_direct_only(&self, relation: RelationId) -> bool {
        // The relations of a type have numbers in a row.
        let first = self.siblings.first();
        let first = first.and_then(|def| self.model.relation_id(self.kind, def.name.text));
        let place = first.and_then(|first| relation.0.checked_sub(first.0));
        place
            .and_then(|place| self.siblings.get(usize::from(place)))
            .is_some_and(|def| matches!(def.rewrite, ast::Rewrite::Direct(_)))
    }

    fn find(&self, kind: TypeId, relation: &Name<'_>) -> Result<RelationId, ModelError> {
        self.model.relation_id(kind, relation.text).ok_or_else(|| {
            let kind = self.model.kind(kind).map_or("", |found| &*found.name);
            let name = relation.text;
            ModelError::at(
                relation.at,
                format!("the type `{kind}` has no relation `{name}`; define it with `define {name}: …`"),
            )
        })
    }
}
