//! From OpenFGA's JSON to definitions.

use super::JsonModelError;
use super::spot::Spot;
use super::value::Json;
use crate::model::ast::{Form, Name, Place, RelationDef, Restriction, Rewrite, TypeDef};
use crate::model::parser::{MAX_NESTING, check_name};

/// The definitions, and the paths of all names in them: a name's line is the place of its path in the list.
pub(super) fn read(value: &Json) -> Result<(Vec<TypeDef<'_>>, Vec<String>), JsonModelError> {
    let whole = Spot::whole(value);
    let [_id, version, types, conditions] =
        whole.fields(["id", "schema_version", "type_definitions", "conditions"])?;
    let Some(version) = version else {
        return whole.error("`schema_version` is missing; add `\"schema_version\": \"1.1\"`");
    };
    if version.text()? != "1.1" {
        return version.error("only schema `1.1` is known; write `\"1.1\"`");
    }
    if let Some(conditions) = conditions
        && !conditions.entries()?.is_empty()
    {
        return conditions.error("conditions are not supported; remove them");
    }
    let mut reader = Reader { paths: Vec::new() };
    let mut read = Vec::new();
    for def in types.map_or(Ok(Vec::new()), |types| types.list())? {
        read.push(reader.type_def(&def)?);
    }
    Ok((read, reader.paths))
}

struct Reader {
    paths: Vec<String>,
}

/// What a relation's own tuples may have as subjects.
struct Direct<'j> {
    restrictions: Vec<Restriction<'j>>,
    used: bool,
}

impl Reader {
    fn type_def<'j>(&mut self, def: &Spot<'j>) -> Result<TypeDef<'j>, JsonModelError> {
        let [name, relations, metadata] = def.fields(["type", "relations", "metadata"])?;
        let Some(name) = name else {
            return def.error("`type` is missing; add the type's name");
        };
        let name = self.name(name.text()?, &name, "type")?;
        let [of_relations, module, _source] = match metadata {
            Some(metadata) => metadata.fields(["relations", "module", "source_info"])?,
            None => [const { None }; 3],
        };
        no_module(module)?;
        let mut metadata = of_relations.map_or(Ok(Vec::new()), |spot| spot.entries())?;
        let mut read = Vec::new();
        for (relation, rewrite) in relations.map_or(Ok(Vec::new()), |spot| spot.entries())? {
            let at = metadata.iter().position(|(of, _)| *of == relation);
            let own = at.map(|at| metadata.swap_remove(at).1);
            read.push(self.relation(relation, &rewrite, own)?);
        }
        match metadata.first() {
            None => Ok(TypeDef {
                name,
                relations: read,
            }),
            Some((_, spot)) => spot.error("there is no relation of this name; remove this, or define it"),
        }
    }

    fn relation<'j>(
        &mut self,
        name: &'j str,
        spot: &Spot<'j>,
        metadata: Option<Spot<'j>>,
    ) -> Result<RelationDef<'j>, JsonModelError> {
        let name = self.name(name, spot, "relation")?;
        let [types, module, _source] = match metadata {
            Some(metadata) => metadata.fields(["directly_related_user_types", "module", "source_info"])?,
            None => [const { None }; 3],
        };
        no_module(module)?;
        let mut restrictions = Vec::new();
        for one in types.as_ref().map_or(Ok(Vec::new()), Spot::list)? {
            restrictions.push(self.restriction(&one)?);
        }
        let mut direct = Direct {
            restrictions,
            used: false,
        };
        let rewrite = self.rewrite(spot, &mut direct, 0)?;
        if let Some(types) = types
            && !direct.used
            && !direct.restrictions.is_empty()
        {
            return types.error("the relation takes no tuples of its own; remove the types, or add `this`");
        }
        Ok(RelationDef {
            name,
            rewrite: direct_first(rewrite).or_else(|message| spot.error(message))?,
        })
    }

    fn restriction<'j>(&mut self, spot: &Spot<'j>) -> Result<Restriction<'j>, JsonModelError> {
        let [kind, relation, wildcard, condition] =
            spot.fields(["type", "relation", "wildcard", "condition"])?;
        let Some(kind) = kind else {
            return spot.error("`type` is missing; add the type's name");
        };
        if let Some(condition) = condition
            && !condition.text()?.is_empty()
        {
            return condition.error("conditions are not supported; remove this one");
        }
        let kind = self.name(kind.text()?, spot, "type")?;
        let relation = match relation {
            Some(relation) if !relation.text()?.is_empty() => Some(relation),
            _ => None,
        };
        let form = match (relation, wildcard) {
            (None, None) => Form::Object,
            (None, Some(wildcard)) => {
                wildcard.fields([])?;
                Form::Wildcard
            }
            (Some(relation), None) => Form::Userset(self.name(relation.text()?, &relation, "relation")?),
            (Some(_), Some(_)) => {
                return spot.error("`relation` and `wildcard` exclude each other; remove one");
            }
        };
        Ok(Restriction { kind, form })
    }

    fn rewrite<'j>(
        &mut self,
        spot: &Spot<'j>,
        direct: &mut Direct<'j>,
        depth: usize,
    ) -> Result<Rewrite<'j>, JsonModelError> {
        if depth > MAX_NESTING {
            return spot.error("this is nested too deep; define a part as a relation of its own");
        }
        let forms = spot.fields([
            "this",
            "computed_userset",
            "tuple_to_userset",
            "union",
            "intersection",
            "difference",
        ])?;
        match forms {
            [Some(this), None, None, None, None, None] => this.fields([]).and_then(|[]| own(spot, direct)),
            [None, Some(computed), None, None, None, None] => {
                Ok(Rewrite::Computed(self.userset(&computed)?))
            }
            [None, None, Some(through), None, None, None] => self.from(&through),
            [None, None, None, Some(union), None, None] => {
                self.children(&union, direct, depth, Rewrite::Any)
            }
            [None, None, None, None, Some(both), None] => self.children(&both, direct, depth, Rewrite::All),
            [None, None, None, None, None, Some(difference)] => {
                let [base, subtract] = difference.fields(["base", "subtract"])?;
                let (Some(base), Some(subtract)) = (base, subtract) else {
                    return difference.error("`base` and `subtract` are expected here");
                };
                let deeper = depth.saturating_add(1);
                Ok(Rewrite::Except(
                    Box::new(self.rewrite(&base, direct, deeper)?),
                    Box::new(self.rewrite(&subtract, direct, deeper)?),
                ))
            }
            _ => spot.error(
                "exactly one of `this`, `computedUserset`, `tupleToUserset`, `union`, `intersection` and `difference` \
                 is expected here",
            ),
        }
    }

    fn children<'j>(
        &mut self,
        spot: &Spot<'j>,
        direct: &mut Direct<'j>,
        depth: usize,
        join: impl FnOnce(Vec<Rewrite<'j>>) -> Rewrite<'j>,
    ) -> Result<Rewrite<'j>, JsonModelError> {
        let [child] = spot.fields(["child"])?;
        let children = child.map_or(Ok(Vec::new()), |child| child.list())?;
        let mut parts = Vec::new();
        for child in &children {
            parts.push(self.rewrite(child, direct, depth.saturating_add(1))?);
        }
        match (parts.pop(), parts.is_empty()) {
            (None, _) => spot.error("`child` is expected here, with at least one element"),
            (Some(only), true) => Ok(only),
            (Some(last), false) => {
                parts.push(last);
                Ok(join(parts))
            }
        }
    }

    fn from<'j>(&mut self, spot: &Spot<'j>) -> Result<Rewrite<'j>, JsonModelError> {
        let [tupleset, computed] = spot.fields(["tupleset", "computed_userset"])?;
        let (Some(tupleset), Some(computed)) = (tupleset, computed) else {
            return spot.error("`tupleset` and `computedUserset` are expected here");
        };
        Ok(Rewrite::From {
            relation: self.userset(&computed)?,
            tupleset: self.userset(&tupleset)?,
        })
    }

    /// `{"object": "", "relation": "viewer"}`
    fn userset<'j>(&mut self, spot: &Spot<'j>) -> Result<Name<'j>, JsonModelError> {
        let [object, relation] = spot.fields(["object", "relation"])?;
        if let Some(object) = object
            && !object.text()?.is_empty()
        {
            return object.error("no object stands in a model; remove it");
        }
        match relation {
            Some(relation) => self.name(relation.text()?, &relation, "relation"),
            None => spot.error("`relation` is missing; add the relation's name"),
        }
    }

    fn name<'j>(&mut self, text: &'j str, spot: &Spot<'_>, of: &str) -> Result<Name<'j>, JsonModelError> {
        check_name(text, of).or_else(|message| spot.error(message))?;
        let at = Place {
            line: self.paths.len(),
            column: 0,
        };
        self.paths.push(spot.path.clone());
        Ok(Name { text, at })
    }
}

fn own<'j>(spot: &Spot<'_>, direct: &mut Direct<'j>) -> Result<Rewrite<'j>, JsonModelError> {
    if direct.used {
        return spot.error("`this` stands twice in the relation; define a part as a relation of its own");
    }
    if direct.restrictions.is_empty() {
        return spot.error(
            "`this` takes no types; name them in `metadata`, as the relation's `directly_related_user_types`",
        );
    }
    direct.used = true;
    Ok(Rewrite::Direct(direct.restrictions.clone()))
}

fn no_module(module: Option<Spot<'_>>) -> Result<(), JsonModelError> {
    match module {
        Some(module) if !module.text()?.is_empty() => {
            module.error("modules are not supported; write all types into one model")
        }
        _ => Ok(()),
    }
}

/// The same with the types in front, where the language has them. The parts of a union and of an intersection may
/// change places.
fn direct_first(rewrite: Rewrite<'_>) -> Result<Rewrite<'_>, &'static str> {
    match rewrite {
        Rewrite::Any(parts) => in_front_of(parts).map(Rewrite::Any),
        Rewrite::All(parts) => in_front_of(parts).map(Rewrite::All),
        Rewrite::Except(_, minus) if has_direct(&minus) => Err(
            "`this` stands in a `subtract`, for which the language has no form; define what is subtracted as a \
             relation of its own",
        ),
        Rewrite::Except(base, minus) => Ok(Rewrite::Except(Box::new(direct_first(*base)?), minus)),
        Rewrite::Direct(_) | Rewrite::Computed(_) | Rewrite::From { .. } => Ok(rewrite),
    }
}

fn in_front_of(mut parts: Vec<Rewrite<'_>>) -> Result<Vec<Rewrite<'_>>, &'static str> {
    if let Some(at) = parts.iter().position(has_direct) {
        let part = direct_first(parts.remove(at))?;
        parts.insert(0, part);
    }
    Ok(parts)
}

fn has_direct(rewrite: &Rewrite<'_>) -> bool {
    match rewrite {
        Rewrite::Direct(_) => true,
        Rewrite::Computed(_) | Rewrite::From { .. } => false,
        Rewrite::Any(parts) | Rewrite::All(parts) => parts.iter().any(has_direct),
        Rewrite::Except(base, minus) => has_direct(base) || has_direct(minus),
    }
}
