//! A case: a model, tuples and questions, in words that both engines understand.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::{Value, json};

use crate::schema::Schema;

/// What is compared.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) number: u64,
    /// The whole model.
    pub(crate) text: String,
    /// The part of it that a service writes, or all of it.
    pub(crate) own: String,
    /// Whether the rest of it is Sentinel's.
    pub(crate) beside_sentinel: bool,
    pub(crate) schema: Schema,
    pub(crate) tuples: Vec<Triple>,
    /// Tuples that are there for a while and are gone when the questions are asked.
    pub(crate) passing: Vec<Triple>,
    pub(crate) questions: Vec<Question>,
}

/// A tuple.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Triple {
    /// `doc:1`
    pub(crate) object: String,
    pub(crate) relation: String,
    /// `user:ann`, `user:*` or `team:1#member`
    pub(crate) subject: String,
}

/// A question.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Question {
    Check {
        object: String,
        relation: String,
        subject: String,
    },
    Objects {
        kind: String,
        relation: String,
        subject: String,
    },
    /// Those of a type, or the usersets of one of its relations.
    Subjects {
        object: String,
        relation: String,
        kind: String,
        userset: Option<String>,
    },
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    Holds(bool),
    List(BTreeSet<String>),
    /// There is none, and why.
    None(String),
}

impl Triple {
    pub(crate) fn new(object: &str, relation: &str, subject: String) -> Self {
        Self {
            object: object.to_owned(),
            relation: relation.to_owned(),
            subject,
        }
    }

    fn to_json(&self) -> Value {
        json!({ "object": self.object, "relation": self.relation, "user": self.subject })
    }
}

impl fmt::Display for Triple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}@{}", self.object, self.relation, self.subject)
    }
}

impl Question {
    pub(crate) fn check(object: &str, relation: &str, subject: &str) -> Self {
        Self::Check {
            object: object.to_owned(),
            relation: relation.to_owned(),
            subject: subject.to_owned(),
        }
    }

    pub(crate) fn objects(kind: &str, relation: &str, subject: &str) -> Self {
        Self::Objects {
            kind: kind.to_owned(),
            relation: relation.to_owned(),
            subject: subject.to_owned(),
        }
    }

    pub(crate) fn subjects(object: &str, relation: &str, kind: &str, userset: Option<&str>) -> Self {
        Self::Subjects {
            object: object.to_owned(),
            relation: relation.to_owned(),
            kind: kind.to_owned(),
            userset: userset.map(str::to_owned),
        }
    }
}

/// As the official program writes it in a line about a difference.
impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Check {
                object,
                relation,
                subject,
            } => write!(f, "Check(user={subject},relation={relation},object={object})"),
            Self::Objects {
                kind,
                relation,
                subject,
            } => write!(f, "ListObjects(user={subject},relation={relation},type={kind})"),
            Self::Subjects {
                object,
                relation,
                kind,
                userset,
            } => {
                let (of, id) = object.split_once(':').unwrap_or_default();
                // It prints the place in memory where the name of the relation stands.
                let userset = userset.as_ref().map_or("<nil>", |_| "0x");
                write!(
                    f,
                    "ListUsers(object={{Type:{of} Id:{id}}},relation={relation},user_filter={{Type:{kind} \
                     Relation:{userset}}})"
                )
            }
        }
    }
}

impl Answer {
    /// Whether it is a yes. Who gets no answer denies.
    pub(crate) fn holds(&self) -> bool {
        *self == Self::Holds(true)
    }

    /// What is listed.
    pub(crate) fn listed(&self) -> BTreeSet<String> {
        match self {
            Self::List(list) => list.clone(),
            Self::Holds(_) | Self::None(_) => BTreeSet::new(),
        }
    }
}

impl Case {
    /// The store file for the official program, with the answers that it should give.
    pub(crate) fn store(&self, expected: &[Answer]) -> Value {
        let (mut checks, mut objects, mut users) = (Vec::new(), Vec::new(), Vec::new());
        for (question, answer) in self.questions.iter().zip(expected) {
            match question {
                Question::Check {
                    object,
                    relation,
                    subject,
                } => checks.push(json!({
                    "user": subject, "object": object, "assertions": { relation: answer.holds() },
                })),
                Question::Objects {
                    kind,
                    relation,
                    subject,
                } => objects.push(json!({
                    "user": subject, "type": kind, "assertions": { relation: answer.listed() },
                })),
                Question::Subjects {
                    object,
                    relation,
                    kind,
                    userset,
                } => users.push(json!({
                    "object": object,
                    "user_filter": [match userset {
                        Some(relation) => json!({ "type": kind, "relation": relation }),
                        None => json!({ "type": kind }),
                    }],
                    "assertions": { relation: { "users": answer.listed() } },
                })),
            }
        }
        json!({
            "name": self.number.to_string(),
            "model": self.text,
            "tuples": self.tuples.iter().map(Triple::to_json).collect::<Vec<_>>(),
            "tests": [{
                "name": self.number.to_string(),
                "check": checks,
                "list_objects": objects,
                "list_users": users,
            }],
        })
    }
}
