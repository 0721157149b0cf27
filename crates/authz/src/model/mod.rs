//! Types and relations, compiled. Read from OpenFGA's language; every name in it is resolved and every relation can
//! hold before a model exists.

mod ast;
mod compile;
mod compose;
mod endings;
mod json;
mod lexer;
mod measure;
mod order;
mod parser;
mod print;
mod renumber;
mod shortcut;
mod views;

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;
use sentinel_core::{Subject, Tuple};

pub use self::compose::ServiceModelError;
pub(crate) use self::compose::compose;
pub use self::json::{JsonModel, JsonModelError};
pub use self::measure::{ModelSize, measure};
pub(crate) use self::shortcut::{Shortcut, is_followed};
pub use self::views::SubjectForm;
use crate::error::TupleFault;
use crate::sentinel::Numbers;
use crate::{CheckError, InvalidTupleForModel};

/// How many relations of one type may have tuples of their own: as many as the graph has room for.
pub(crate) const MAX_SLOTS: usize = 24 << 8;

/// How many parts one definition has, and how many kinds of subjects: a search looks at each of them in one step.
pub(crate) const MAX_PARTS: usize = 256;

/// A number in place of a type's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct TypeId(u16);

impl TypeId {
    /// The number itself.
    pub(crate) fn number(self) -> u16 {
        self.0
    }

    /// The number, as a place in a list of all types.
    pub(crate) fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// A number in place of a relation's name and its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct RelationId(u16);

impl RelationId {
    /// Stands where a subject is an object and no userset. It sorts behind every relation.
    pub(crate) const NONE: Self = Self(u16::MAX);
    /// It sorts before every other relation.
    pub(crate) const FIRST: Self = Self(0);
}

/// Types and relations: what tuples may be written and what follows from them. Two are equal if they have the same types
/// and relations, in the same order and made of the same parts: however they were laid out, whatever was said beside.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Model {
    types: Vec<Type>,
    relations: Vec<Relation>,
    numbers: HashMap<Box<str>, TypeId, RandomState>,
    /// Sentinel's own types and relations, if they are all there.
    own: Option<Numbers>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Type {
    pub(crate) name: Box<str>,
    /// Whether it is one of Sentinel's own.
    is_sentinels: bool,
    relations: HashMap<Box<str>, RelationId, RandomState>,
    /// The relations that have tuples, by slot.
    slots: Vec<RelationId>,
}

/// One relation of one type.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Relation {
    pub(crate) kind: TypeId,
    pub(crate) name: Box<str>,
    /// What subjects its tuples may have; empty if it is computed only.
    pub(crate) direct: Box<[Allowed]>,
    /// Its place among the relations of its type that have tuples.
    pub(crate) slot: u16,
    /// Whether another relation follows it (`… from this`): then its tuples are found from the object.
    pub(crate) is_tupleset: bool,
    /// Whether its tuples may have usersets as subjects.
    pub(crate) takes_usersets: bool,
    pub(crate) shortcut: Shortcut,
    /// Whether a list of what could have it takes more than the tuples of the objects themselves.
    pub(crate) is_followed: bool,
    /// What it is made of, as it was written.
    pub(crate) rewrite: Rewrite,
    /// The same with the parts of each `or` and `and` in the order in which they are asked: what one look tells comes
    /// first. Which way is found then differs, and the answer does not.
    pub(crate) plan: Rewrite,
}

/// A kind of subject that a relation's tuples may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Allowed {
    pub(crate) kind: TypeId,
    pub(crate) form: Form,
}

/// Which subjects of a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Object,
    Wildcard,
    Userset(RelationId),
}

/// What a relation is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Rewrite {
    /// The relation's own tuples.
    Direct,
    /// Another relation of the same object.
    Computed(RelationId),
    /// A relation of the objects that `tupleset` leads to, by their type.
    From {
        tupleset: RelationId,
        targets: Arc<[(TypeId, RelationId)]>,
        /// The target, if the tupleset leads to one type only.
        only: Option<RelationId>,
    },
    Any(Box<[Rewrite]>),
    All(Box<[Rewrite]>),
    Except(Box<Rewrite>, Box<Rewrite>),
}

/// A tuple's names as numbers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Placed {
    pub(crate) object: TypeId,
    pub(crate) relation: RelationId,
    pub(crate) subject: Allowed,
}

/// A text that is not a model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct ModelError {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is wrong and how to mend it.
    pub message: String,
}

impl ModelError {
    fn at(place: ast::Place, message: String) -> Self {
        Self {
            line: place.line,
            column: place.column,
            message,
        }
    }
}

impl Model {
    /// Reads a model in OpenFGA's language, schema 1.1, without modules and conditions.
    pub fn parse(dsl: &str) -> Result<Self, ModelError> {
        Self::of(&parser::parse(dsl)?)
    }

    fn of(types: &[ast::TypeDef<'_>]) -> Result<Self, ModelError> {
        let mut model = compile::compile(types)?;
        let order = order::Order::of(&model);
        endings::check(&model, &order, types)?;
        shortcut::prepare(&mut model, &order);
        model.own = Numbers::of(&model).ok();
        Ok(model)
    }

    /// Sentinel's own types and relations in numbers.
    ///
    /// # Errors
    ///
    /// One of them is not there.
    pub(crate) fn own(&self) -> Result<&Numbers, CheckError> {
        match &self.own {
            Some(own) => Ok(own),
            // Says which.
            None => Err(Numbers::of(self)
                .err()
                .unwrap_or_else(|| CheckError::UnknownType(String::new()))),
        }
    }

    /// Whether the model allows the tuple.
    pub fn validate(&self, tuple: &Tuple) -> Result<(), InvalidTupleForModel> {
        self.place(tuple).map(|_| ())
    }

    /// A tuple's names as numbers, if the model allows it.
    pub(crate) fn place(&self, tuple: &Tuple) -> Result<Placed, InvalidTupleForModel> {
        self.find_place(tuple).map_err(|reason| InvalidTupleForModel {
            tuple: Box::new(tuple.clone()),
            reason: Box::new(reason),
        })
    }

    fn find_place(&self, tuple: &Tuple) -> Result<Placed, TupleFault> {
        let no_type = |name: &str| TupleFault::Type(name.to_owned());
        let no_relation = |kind: &str, relation: &str| TupleFault::Relation {
            kind: kind.to_owned(),
            relation: relation.to_owned(),
        };
        let kind = tuple.object().kind();
        let object = self.type_id(kind).ok_or_else(|| no_type(kind))?;
        let relation = self
            .relation_id(object, tuple.relation())
            .ok_or_else(|| no_relation(kind, tuple.relation()))?;
        let (subject_kind, userset) = match tuple.subject() {
            Subject::Object(subject) => (subject.kind(), None),
            Subject::Userset(subject, relation) => (subject.kind(), Some(relation)),
            Subject::Wildcard(kind) => (kind.as_str(), None),
        };
        let kind = self.type_id(subject_kind).ok_or_else(|| no_type(subject_kind))?;
        let form = match (tuple.subject(), userset) {
            (Subject::Wildcard(_), _) => Form::Wildcard,
            (_, None) => Form::Object,
            (_, Some(name)) => Form::Userset(
                self.relation_id(kind, name)
                    .ok_or_else(|| no_relation(subject_kind, name))?,
            ),
        };
        let subject = Allowed { kind, form };
        let definition = self.relation(relation);
        match definition {
            Some(Relation { direct, .. }) if direct.contains(&subject) => Ok(Placed {
                object,
                relation,
                subject,
            }),
            Some(Relation { direct, .. }) if !direct.is_empty() => Err(TupleFault::Subject {
                relation: tuple.relation().to_owned(),
                allowed: self.describe(direct),
            }),
            _ => Err(TupleFault::Computed {
                relation: tuple.relation().to_owned(),
            }),
        }
    }

    /// What subjects a relation takes, for a message.
    fn describe(&self, direct: &[Allowed]) -> String {
        let name = |kind| self.kind(kind).map_or("", |found| &*found.name);
        let describe = |allowed: &Allowed| match allowed.form {
            Form::Object => format!("`{}`", name(allowed.kind)),
            Form::Wildcard => format!("`{}:*`", name(allowed.kind)),
            Form::Userset(relation) => {
                let relation = self.relation(relation).map_or("", |found| &*found.name);
                format!("`{}#{relation}`", name(allowed.kind))
            }
        };
        direct.iter().map(describe).collect::<Vec<_>>().join(", ")
    }

    /// Whether a type is one of Sentinel's own, beside which services have theirs: its tuples mirror what Sentinel knows,
    /// do not end and are written by nobody else.
    pub fn is_sentinels(&self, kind: &str) -> bool {
        let kind = self.type_id(kind).and_then(|kind| self.kind(kind));
        kind.is_some_and(|kind| kind.is_sentinels)
    }

    /// A type's number.
    pub(crate) fn type_id(&self, name: &str) -> Option<TypeId> {
        // Sentinel's own types come first, and nearly all questions are about them.
        let first = self.types.iter().take(8).position(|kind| *kind.name == *name);
        match first.map(u16::try_from) {
            Some(Ok(number)) => Some(TypeId(number)),
            _ => self.numbers.get(name).copied(),
        }
    }

    /// The type with this number.
    pub(crate) fn kind(&self, kind: TypeId) -> Option<&Type> {
        self.types.get(usize::from(kind.0))
    }

    /// All types.
    pub(crate) fn type_ids(&self) -> impl Iterator<Item = TypeId> {
        (0..=u16::MAX).zip(&self.types).map(|(number, _)| TypeId(number))
    }

    /// The number of a type's relation.
    pub(crate) fn relation_id(&self, kind: TypeId, name: &str) -> Option<RelationId> {
        self.kind(kind)?.relations.get(name).copied()
    }

    /// The relation in a slot of a type.
    pub(crate) fn relation_in_slot(&self, kind: TypeId, slot: u16) -> Option<RelationId> {
        self.kind(kind)?.slots.get(usize::from(slot)).copied()
    }

    /// The relation with this number.
    pub(crate) fn relation(&self, relation: RelationId) -> Option<&Relation> {
        self.relations.get(usize::from(relation.0))
    }

    /// A type's number, for a question.
    pub(crate) fn ask_type(&self, name: &str) -> Result<TypeId, CheckError> {
        self.type_id(name)
            .ok_or_else(|| CheckError::UnknownType(name.chars().take(64).collect()))
    }

    /// The number of a type's relation, for a question.
    pub(crate) fn ask_relation(&self, kind: TypeId, name: &str) -> Result<RelationId, CheckError> {
        self.relation_id(kind, name)
            .ok_or_else(|| CheckError::UnknownRelation {
                kind: self
                    .kind(kind)
                    .map_or_else(String::new, |found| found.name.to_string()),
                relation: name.chars().take(64).collect(),
            })
    }
}

impl Relation {
    /// Whether the relation takes these subjects.
    pub(crate) fn takes(&self, kind: TypeId, form: Form) -> bool {
        self.direct.contains(&Allowed { kind, form })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Types around the definitions that a test is about.
    fn document(definitions: &str) -> String {
        let types = "type user\ntype group\n  relations\n    define member: [user, group#member]\n";
        let indented = definitions.replace('\n', "\n    ");
        format!("model\n  schema 1.1\n{types}type doc\n  relations\n    {indented}\n")
    }

    fn assert_refused(definitions: &str, line: usize, column: usize, message: &str) {
        let error = Model::parse(&document(definitions)).expect_err(definitions);
        let found = (error.line, error.column, error.message.as_str());
        assert_eq!(found, (line, column, message), "`{definitions}`");
    }

    #[test]
    fn every_form_of_definition_is_read() {
        for definitions in [
            "define a: [user]",
            "define a: [user, user:*, group#member]",
            "define a: [user, user]",
            "define a: [ user , user:* ] # a comment",
            "define a: [\n  user,\n  group#member\n]",
            "define a: [user]\ndefine b: a or a",
            "define a: [user] or b\ndefine b: [user]",
            "define a: ([user] or b) and b\ndefine b: [user]",
            "define a: ((([user])))",
            "define a: [user] but not (b and c)\ndefine b: [user]\ndefine c: [user]",
            "define parent: [doc]\ndefine a: [user] or a from parent",
            "define owner: [group]\ndefine a: member from owner",
            "define type: [user]\ndefine module: type",
        ] {
            let read = Model::parse(&document(definitions));
            assert!(read.is_ok(), "`{definitions}`: {}", read.expect_err("refused"));
        }
        assert!(Model::parse("model\r\n  schema 1.1\r\n\r\ntype user").is_ok());
    }

    #[test]
    fn what_is_no_definition_is_refused_where_it_stands() {
        // Line 9 is the first definition; its text begins in column 5.
        for (definitions, line, column, message) in [
            (
                "a: [user]",
                9,
                5,
                "`define name: …` is expected after `relations`",
            ),
            (
                "define a [user]",
                9,
                14,
                "`:` is expected after the relation's name",
            ),
            ("define a: ", 9, 15, "the name of a relation is expected here"),
            ("define a: [user", 9, 20, "`,` or `]` is expected here"),
            ("define a: []", 9, 16, "the name of a type is expected here"),
            ("define a: [user:x]", 9, 21, "`*` is expected after `:`"),
            (
                "define a: [user with late]",
                9,
                21,
                "conditions are not supported; remove `with` and the condition's name",
            ),
            ("define a: ([user] or b", 9, 27, "`)` is expected here"),
            (
                "define a: [user] b",
                9,
                22,
                "the end of the line is expected here",
            ),
            ("define a: [user] but b", 9, 26, "`not` is expected after `but`"),
            (
                "define a: [user] or b and c",
                9,
                27,
                "different operators stand side by side; put parentheses around one of them",
            ),
            (
                "define a: b or [user]",
                9,
                20,
                "the types in `[…]` come first in a definition, and once; move them to its beginning",
            ),
            (
                "define or: [user]",
                9,
                12,
                "`or` cannot be the name of a relation; choose another",
            ),
            (
                "define 1a: [user]",
                9,
                12,
                "`1a` is not a name: 1 to 64 characters from `a-z A-Z 0-9 _ -`, the first a letter",
            ),
            (
                "define a: [user] or ä",
                9,
                25,
                "`ä` has no meaning in a model; remove it",
            ),
        ] {
            assert_refused(definitions, line, column, message);
        }
    }

    #[test]
    fn white_space_and_comments_are_read_as_openfga_reads_them() {
        // What its own tool says of each, as of 0.8.2.
        let base = "define b: [user]\ndefine c: [user]\n";
        for (definition, accepted) in [
            ("define a: [user] # x", true),
            ("define a: [user] #x", true),
            ("define a: [user]\t# x", false),
            ("define a: [user]# x", false),
            ("# x\n\ndefine a: [user]", true),
            ("define a:[user]", true),
            ("define a : [user]", true),
            ("define  a:\t[user]  or\tb", true),
            ("define a: [\n\n  user # who\n  , group#member\n]", true),
            ("define a: (b or\nc) and b", false),
            ("define a: b or\nc", false),
            ("define a:\n[user]", false),
            ("define a: [user]or b", false),
            ("define a: (b)or c", false),
            ("define a: b and(b or c)", false),
            ("define a: b but not(c)", false),
            ("define a: ( b or c )  and b", true),
            ("define a: b but  not c", false),
            ("define a: [user :*]", false),
            ("define a: [user: *]", false),
            ("define a: [group #member]", false),
            ("define a: [group# member]", false),
            ("define a: [user,]", false),
            ("define a:\u{a0}[user]", false),
            ("define a: ([user] and c) or b", true),
            ("define a: b or ([user] and c)", false),
            ("define a: b but not c but not b", false),
            ("define model: [user]", true),
            ("define relation: [user]", true),
            ("define relations: [user]", false),
            ("define condition: [user]", false),
            ("define in: [user]", false),
            ("define self: [user]", false),
        ] {
            let read = Model::parse(&document(&format!("{base}{definition}")));
            assert_eq!(read.is_ok(), accepted, "`{definition}`: {:?}", read.err());
        }
    }

    #[test]
    fn names_that_lead_nowhere_and_relations_that_never_end_are_refused_where_they_stand() {
        for (definitions, line, column, message) in [
            (
                "define a: [user]\ndefine a: [user]",
                10,
                12,
                "the relation `a` is defined twice; remove or rename one",
            ),
            (
                "define a: [person]",
                9,
                16,
                "there is no type `person`; define it with `type person`",
            ),
            (
                "define a: [group#owner]",
                9,
                22,
                "the type `group` has no relation `owner`; define it with `define owner: …`",
            ),
            (
                "define a: b",
                9,
                15,
                "the type `doc` has no relation `b`; define it with `define b: …`",
            ),
            (
                "define a: [user]\ndefine b: a from c",
                10,
                22,
                "the type `doc` has no relation `c`; define it with `define c: …`",
            ),
            (
                "define p: [group]\ndefine a: viewer from p",
                10,
                15,
                "no type that `p` leads to has a relation `viewer`; define it there",
            ),
            (
                "define p: [group#member]\ndefine a: member from p",
                10,
                27,
                "`p` is followed by `from` and must be defined as plain types only, such as `[folder]`",
            ),
            (
                "define p: [group] or q\ndefine q: [group]\ndefine a: member from p",
                11,
                27,
                "`p` is followed by `from` and must be defined as plain types only, such as `[folder]`",
            ),
            (
                "define a: [user] or b\ndefine b: [user] or a",
                9,
                12,
                "`a` is computed from itself and never ends; take it out of its own definition",
            ),
            (
                "define a: [doc#a]",
                9,
                12,
                "`a` can never hold, whatever tuples there are; give it direct types, such as `[user]`",
            ),
            (
                "define p: [doc]\ndefine a: a from p",
                10,
                12,
                "`a` can never hold, whatever tuples there are; give it direct types, such as `[user]`",
            ),
        ] {
            assert_refused(definitions, line, column, message);
        }
    }

    #[test]
    fn what_is_no_model_is_refused_where_it_stands() {
        let deep = format!("define a: {}[user]{}", "(".repeat(17), ")".repeat(17));
        for (text, place, message) in [
            (
                "",
                (1, 1),
                "a model begins with `model` and, on the next line, `schema 1.1`",
            ),
            (
                "type user",
                (1, 1),
                "a model begins with `model` and, on the next line, `schema 1.1`",
            ),
            ("model\n", (1, 6), "`schema 1.1` is expected after `model`"),
            (
                "model\n schema 1.2",
                (2, 9),
                "only schema `1.1` is known; write `schema 1.1`",
            ),
            (
                "model\n schema 1.1\nuser",
                (3, 1),
                "`type` or the end of the model is expected here",
            ),
            (
                "model\n schema 1.1\ncondition c(x: int) {}",
                (3, 1),
                "conditions are not supported; remove the condition",
            ),
            (
                "model\n schema 1.1\nextend type user",
                (3, 1),
                "modules are not supported; write all types into one model",
            ),
            (
                "model\n schema 1.1\ntype",
                (3, 5),
                "the name of a type is expected here",
            ),
            (
                "model\n schema 1.1\ntype user\ntype user",
                (4, 6),
                "the type `user` is defined twice; remove or rename one",
            ),
            (
                "model\n schema 1.1\ntype user\n  relations\ntype group",
                (5, 1),
                "`define name: …` is expected after `relations`",
            ),
            (
                &document(&deep),
                (9, 31),
                "parentheses are nested too deep; define a part as a relation of its own",
            ),
        ] {
            let error = Model::parse(text).expect_err(text);
            assert_eq!(
                ((error.line, error.column), error.message.as_str()),
                (place, message),
                "`{text}`"
            );
        }
        let error = Model::parse("model\n schema 2").expect_err("another schema");
        assert_eq!(
            error.to_string(),
            "line 2, column 9: only schema `1.1` is known; write `schema 1.1`"
        );
    }

    #[test]
    fn a_type_has_room_for_as_many_relations_as_the_graph() {
        let many = |count: usize| {
            let define = |number| format!("define r{number}: [user]");
            document(&(0..count).map(define).collect::<Vec<_>>().join("\n"))
        };
        assert!(Model::parse(&many(MAX_SLOTS)).is_ok());
        let error = Model::parse(&many(MAX_SLOTS + 1)).expect_err("too many");
        assert_eq!(error.message, "the type has too many relations with direct types");
    }

    #[test]
    fn tuples_are_allowed_as_the_model_says() {
        let model = Model::parse(&document(
            "define a: [user:*, group#member]\ndefine b: a\ndefine c: [user]",
        ));
        let model = model.expect("a model");
        let verdict = |tuple: &str| {
            model
                .validate(&tuple.parse().expect("a tuple"))
                .map_err(|e| e.to_string())
        };
        for allowed in [
            "doc:1#a@user:*",
            "doc:1#a@group:1#member",
            "doc:1#c@user:1",
            "group:1#member@user:1",
        ] {
            assert_eq!(verdict(allowed), Ok(()));
        }
        for (tuple, reason) in [
            ("file:1#a@user:*", "there is no type `file`"),
            ("doc:1#c@person:1", "there is no type `person`"),
            ("doc:1#x@user:1", "the type `doc` has no relation `x`"),
            ("doc:1#a@group:1#x", "the type `group` has no relation `x`"),
            ("doc:1#b@user:1", "`b` is computed and has no tuples of its own"),
            ("doc:1#a@user:1", "`a` takes `user:*`, `group#member`"),
            ("doc:1#a@group:1", "`a` takes `user:*`, `group#member`"),
            ("doc:1#c@user:*", "`c` takes `user`"),
            ("doc:1#c@group:1#member", "`c` takes `user`"),
        ] {
            assert_eq!(
                verdict(tuple),
                Err(format!("the model does not allow the tuple `{tuple}`: {reason}"))
            );
        }
    }
}
