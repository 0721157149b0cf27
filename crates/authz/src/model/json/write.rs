//! From definitions to OpenFGA's JSON, in the shape that OpenFGA's own tools write.

use super::value::Json;
use crate::model::ast::{Form, Name, RelationDef, Restriction, Rewrite, TypeDef};

/// The model.
pub(super) fn json(types: &[TypeDef<'_>]) -> Json {
    Json::map([
        ("schema_version", Json::text("1.1")),
        (
            "type_definitions",
            Json::List(types.iter().map(type_def).collect()),
        ),
    ])
}

fn type_def(def: &TypeDef<'_>) -> Json {
    let relation = |def: &RelationDef<'_>| (def.name.text.to_owned(), rewrite(&def.rewrite));
    let metadata = |def: &RelationDef<'_>| {
        let types = direct(&def.rewrite).iter().map(restriction).collect();
        let metadata = Json::map([("directly_related_user_types", Json::List(types))]);
        (def.name.text.to_owned(), metadata)
    };
    let metadata = if def.relations.is_empty() {
        Json::Null
    } else {
        Json::map([(
            "relations",
            Json::Map(def.relations.iter().map(metadata).collect()),
        )])
    };
    Json::map([
        ("type", Json::text(def.name.text)),
        (
            "relations",
            Json::Map(def.relations.iter().map(relation).collect()),
        ),
        ("metadata", metadata),
    ])
}

/// The types that stand in front of a definition.
fn direct<'d, 't>(rewrite: &'d Rewrite<'t>) -> &'d [Restriction<'t>] {
    match rewrite {
        Rewrite::Direct(restrictions) => restrictions,
        Rewrite::Any(parts) | Rewrite::All(parts) => parts.first().map_or(&[], direct),
        Rewrite::Except(base, _) => direct(base),
        Rewrite::Computed(_) | Rewrite::From { .. } => &[],
    }
}

fn restriction(one: &Restriction<'_>) -> Json {
    let kind = ("type", Json::text(one.kind.text));
    match one.form {
        Form::Object => Json::map([kind]),
        Form::Wildcard => Json::map([kind, ("wildcard", Json::map([]))]),
        Form::Userset(relation) => Json::map([kind, ("relation", Json::text(relation.text))]),
    }
}

fn rewrite(of: &Rewrite<'_>) -> Json {
    let parts =
        |parts: &[Rewrite<'_>]| Json::map([("child", Json::List(parts.iter().map(rewrite).collect()))]);
    let (form, value) = match of {
        Rewrite::Direct(_) => ("this", Json::map([])),
        Rewrite::Computed(relation) => ("computedUserset", userset(relation)),
        Rewrite::From { relation, tupleset } => (
            "tupleToUserset",
            Json::map([
                ("tupleset", userset(tupleset)),
                ("computedUserset", userset(relation)),
            ]),
        ),
        Rewrite::Any(all) => ("union", parts(all)),
        Rewrite::All(all) => ("intersection", parts(all)),
        Rewrite::Except(base, minus) => (
            "difference",
            Json::map([("base", rewrite(base)), ("subtract", rewrite(minus))]),
        ),
    };
    Json::map([(form, value)])
}

fn userset(relation: &Name<'_>) -> Json {
    Json::map([("relation", Json::text(relation.text))])
}
