//! Models as data: written out in OpenFGA's language for both engines, and walked through by the comparison.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;

/// What a relation is made of.
#[derive(Debug, Clone)]
pub(crate) enum Expr {
    Direct(Vec<Allowed>),
    Computed(String),
    From { relation: String, tupleset: String },
    Any(Vec<Expr>),
    All(Vec<Expr>),
    Except(Box<Expr>, Box<Expr>),
}

/// A kind of subject that a relation's tuples may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Allowed {
    pub(crate) kind: String,
    pub(crate) form: Form,
}

/// Which subjects of a type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Form {
    Object,
    Wildcard,
    Userset(String),
}

/// A type and its relations.
#[derive(Debug, Clone)]
pub(crate) struct Kind {
    pub(crate) name: String,
    pub(crate) relations: Vec<(String, Expr)>,
}

/// Types, in the order in which they are written.
#[derive(Debug, Clone, Default)]
pub(crate) struct Schema {
    pub(crate) kinds: Vec<Kind>,
}

impl Schema {
    /// The types as they are written, without the model's head.
    pub(crate) fn types(&self) -> String {
        let mut text = String::new();
        for kind in &self.kinds {
            writeln!(text, "type {}", kind.name).expect("a string");
            if !kind.relations.is_empty() {
                text.push_str("  relations\n");
            }
            for (name, expr) in &kind.relations {
                writeln!(text, "    define {name}: {}", expr.text(true)).expect("a string");
            }
        }
        text
    }

    /// Every relation with its type.
    pub(crate) fn relations(&self) -> impl Iterator<Item = (&str, &str, &Expr)> {
        self.kinds.iter().flat_map(|kind| {
            let relations = kind.relations.iter();
            relations.map(|(name, expr)| (kind.name.as_str(), name.as_str(), expr))
        })
    }

    /// What a relation is made of.
    pub(crate) fn relation(&self, kind: &str, relation: &str) -> Option<&Expr> {
        let kind = self.kinds.iter().find(|found| found.name == kind)?;
        let found = kind.relations.iter().find(|(name, _)| name == relation)?;
        Some(&found.1)
    }

    /// Whether OpenFGA gives wrong answers about a relation of this schema, because it takes usersets of another relation
    /// for the recursion.
    ///
    /// A relation that takes its own usersets (`folder#banned` of a `[folder#banned, folder#owner, robot]`) OpenFGA 1.x
    /// follows by a shortcut of its own (`recursive_resolver.go`; so in 1.22) if no other way to the type of the subject is
    /// longer than one step. A way that does not lead to that type at all is left out of account there
    /// (`UsersetUseRecursiveResolver`), and then the shortcut reads the tuples of such ways too and looks only at their
    /// objects: it takes `folder:1#owner` for `folder:1#banned`, and says yes to who is banned from `folder:1` without
    /// being its owner. With usersets of another type it does the same where that type has a relation of this name. In
    /// 2025 the same mistake was mended in another shortcut of theirs (pull request 2643 of openfga/openfga).
    ///
    /// No such model is made up at random; `pinned.rs` shows what comes of one.
    pub(crate) fn confuses_them(&self) -> bool {
        let leads = self.leads();
        self.relations().any(|(kind, relation, expr)| {
            let usersets = || {
                expr.direct().iter().filter_map(|one| match &one.form {
                    Form::Userset(of) => Some((one.kind.as_str(), of.as_str())),
                    Form::Object | Form::Wildcard => None,
                })
            };
            let recurses = usersets().any(|userset| userset == (kind, relation));
            recurses
                && usersets().any(|(of, other)| {
                    let is_like_it = self.relation(of, relation).is_some();
                    is_like_it && !leads[&(of, other)].is_superset(&leads[&(kind, relation)])
                })
        })
    }

    /// The types of the subjects that each relation may have, at the end of every way.
    fn leads(&self) -> HashMap<(&str, &str), BTreeSet<&str>> {
        let mut leads: HashMap<(&str, &str), BTreeSet<&str>> = self
            .relations()
            .map(|(kind, relation, _)| ((kind, relation), BTreeSet::new()))
            .collect();
        loop {
            let mut grown = false;
            for (kind, relation, expr) in self.relations() {
                let found = self.leads_of(kind, expr, &leads);
                let known = leads.entry((kind, relation)).or_default();
                grown |= found.len() > known.len();
                *known = found;
            }
            if !grown {
                return leads;
            }
        }
    }

    fn leads_of<'s>(
        &'s self,
        kind: &'s str,
        expr: &'s Expr,
        known: &HashMap<(&'s str, &'s str), BTreeSet<&'s str>>,
    ) -> BTreeSet<&'s str> {
        let of = |kind, relation| known.get(&(kind, relation)).cloned().unwrap_or_default();
        let part = |part| self.leads_of(kind, part, known);
        match expr {
            Expr::Direct(allowed) => {
                let leads = allowed.iter().flat_map(|one| match &one.form {
                    Form::Object | Form::Wildcard => BTreeSet::from([one.kind.as_str()]),
                    Form::Userset(relation) => of(&one.kind, relation),
                });
                leads.collect()
            }
            Expr::Computed(relation) => of(kind, relation),
            Expr::From { relation, tupleset } => {
                let parents = self.relation(kind, tupleset).map(Expr::direct);
                let parents = parents.unwrap_or_default().iter();
                parents.flat_map(|parent| of(&parent.kind, relation)).collect()
            }
            Expr::Any(parts) => parts.iter().flat_map(part).collect(),
            Expr::All(parts) => {
                let common = parts.iter().map(part).reduce(|one, other| &one & &other);
                common.unwrap_or_default()
            }
            Expr::Except(base, _) => part(base),
        }
    }

    /// Whether any relation has a `but not`.
    pub(crate) fn excludes(&self) -> bool {
        self.relations().any(|(_, _, expr)| expr.excludes())
    }
}

impl Expr {
    fn text(&self, outermost: bool) -> String {
        let joined = |parts: &[Self], word: &str| {
            let parts: Vec<String> = parts.iter().map(|part| part.text(false)).collect();
            parts.join(word)
        };
        let text = match self {
            Self::Direct(allowed) => {
                let allowed: Vec<String> = allowed.iter().map(Allowed::text).collect();
                return format!("[{}]", allowed.join(", "));
            }
            Self::Computed(relation) => return relation.clone(),
            Self::From { relation, tupleset } => return format!("{relation} from {tupleset}"),
            Self::Any(parts) => joined(parts, " or "),
            Self::All(parts) => joined(parts, " and "),
            Self::Except(base, minus) => format!("{} but not {}", base.text(false), minus.text(false)),
        };
        if outermost { text } else { format!("({text})") }
    }

    /// The subjects of the relation's own tuples.
    pub(crate) fn direct(&self) -> &[Allowed] {
        match self {
            Self::Direct(allowed) => allowed,
            Self::Any(parts) | Self::All(parts) => parts
                .iter()
                .map(Self::direct)
                .find(|found| !found.is_empty())
                .unwrap_or_default(),
            Self::Except(base, _) => base.direct(),
            Self::Computed(_) | Self::From { .. } => &[],
        }
    }

    fn excludes(&self) -> bool {
        match self {
            Self::Any(parts) | Self::All(parts) => parts.iter().any(Self::excludes),
            Self::Except(..) => true,
            Self::Direct(_) | Self::Computed(_) | Self::From { .. } => false,
        }
    }
}

impl Allowed {
    fn text(&self) -> String {
        match &self.form {
            Form::Object => self.kind.clone(),
            Form::Wildcard => format!("{}:*", self.kind),
            Form::Userset(relation) => format!("{}#{relation}", self.kind),
        }
    }
}

/// `[user]`, `[user:*]`, `[team#member]` as written.
pub(crate) fn allowed(text: &str) -> Allowed {
    let (kind, form) = match (text.strip_suffix(":*"), text.split_once('#')) {
        (Some(kind), _) => (kind, Form::Wildcard),
        (None, Some((kind, relation))) => (kind, Form::Userset(relation.to_owned())),
        (None, None) => (text, Form::Object),
    };
    Allowed {
        kind: kind.to_owned(),
        form,
    }
}

/// `relation from tupleset`
pub(crate) fn from(relation: &str, tupleset: &str) -> Expr {
    Expr::From {
        relation: relation.to_owned(),
        tupleset: tupleset.to_owned(),
    }
}

/// `relation`
pub(crate) fn computed(relation: &str) -> Expr {
    Expr::Computed(relation.to_owned())
}

/// `[one, other]`
pub(crate) fn direct(kinds: &[&str]) -> Expr {
    Expr::Direct(kinds.iter().map(|kind| allowed(kind)).collect())
}

/// `base but not minus`
pub(crate) fn except(base: Expr, minus: Expr) -> Expr {
    Expr::Except(Box::new(base), Box::new(minus))
}
