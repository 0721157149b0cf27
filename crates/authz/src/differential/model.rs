//! Models as data, written out in OpenFGA's language for the engine and read directly by the naive evaluator.

use std::fmt::Write as _;

use proptest::prelude::*;

/// What a relation is made of.
#[derive(Debug, Clone)]
pub(super) enum Expr {
    Direct(Vec<&'static str>),
    Computed(&'static str),
    From(&'static str, &'static str),
    Any(Vec<Expr>),
    All(Vec<Expr>),
    Except(Box<Expr>, Box<Expr>),
}

use Expr::{All, Any, Computed, Direct, From};

/// Types, each with its relations.
#[derive(Debug, Clone)]
pub(super) struct Schema {
    pub(super) types: Vec<(&'static str, Vec<(&'static str, Expr)>)>,
}

impl Schema {
    /// The model in OpenFGA's language.
    pub(super) fn text(&self) -> String {
        let mut text = "model\n  schema 1.1\n".to_owned();
        for (kind, relations) in &self.types {
            writeln!(text, "type {kind}").expect("a string");
            if !relations.is_empty() {
                text.push_str("  relations\n");
            }
            for (name, expr) in relations {
                writeln!(text, "    define {name}: {}", expr.text(true)).expect("a string");
            }
        }
        text
    }

    /// Every relation with its type.
    pub(super) fn relations(&self) -> impl Iterator<Item = (&'static str, &'static str, &Expr)> {
        self.types
            .iter()
            .flat_map(|(kind, relations)| relations.iter().map(|(name, expr)| (*kind, *name, expr)))
    }

    /// Whether no relation depends on its own exclusion, in however many steps: then every question has an answer.
    pub(super) fn is_stratified(&self) -> bool {
        // The largest number of exclusions on a way from each relation grows without end if the way is a circle: by one each
        // time that it has gone round, which takes at most as many turns as there are relations.
        let relations: Vec<_> = self.relations().collect();
        let mut depth = vec![0_usize; relations.len()];
        for _ in 0..(relations.len() + 1).pow(2) {
            for (at, (_, _, expr)) in relations.iter().enumerate() {
                let mut uses = Vec::new();
                expr.uses(false, &mut uses);
                for (relation, excluded) in uses {
                    let same_name = |place: &usize| match relation.split_once('#') {
                        Some((kind, relation)) => {
                            (relations[*place].0, relations[*place].1) == (kind, relation)
                        }
                        None => relations[*place].1 == relation,
                    };
                    let deepest = (0..depth.len()).filter(same_name).map(|place| depth[place]).max();
                    depth[at] = depth[at].max(deepest.unwrap_or(0) + usize::from(excluded));
                }
            }
        }
        depth.into_iter().all(|depth| depth <= relations.len())
    }

    /// Whether `but not` occurs.
    pub(super) fn excludes(&self) -> bool {
        self.relations().any(|(_, _, expr)| expr.excludes())
    }
}

impl Expr {
    fn text(&self, outermost: bool) -> String {
        let joined = |parts: &[Self], by: &str| {
            parts
                .iter()
                .map(|part| part.text(false))
                .collect::<Vec<_>>()
                .join(by)
        };
        let text = match self {
            Direct(kinds) => return format!("[{}]", kinds.join(", ")),
            Computed(relation) => return (*relation).to_owned(),
            From(relation, tupleset) => return format!("{relation} from {tupleset}"),
            Any(parts) => joined(parts, " or "),
            All(parts) => joined(parts, " and "),
            Expr::Except(base, minus) => format!("{} but not {}", base.text(false), minus.text(false)),
        };
        if outermost { text } else { format!("({text})") }
    }

    /// The direct types, which stand first in a definition.
    pub(super) fn direct(&self) -> &[&'static str] {
        match self {
            Direct(kinds) => kinds,
            Any(parts) | All(parts) => parts[0].direct(),
            Expr::Except(base, _) => base.direct(),
            Computed(_) | From(..) => &[],
        }
    }

    /// Every relation that is mentioned, and whether within an exclusion. Of a relation without a type only the name
    /// counts, whatever the type.
    fn uses(&self, excluded: bool, into: &mut Vec<(&'static str, bool)>) {
        match self {
            Direct(kinds) => into.extend(
                kinds
                    .iter()
                    .filter(|kind| kind.contains('#'))
                    .map(|kind| (*kind, excluded)),
            ),
            Computed(relation) | From(relation, _) => into.push((relation, excluded)),
            Any(parts) | All(parts) => parts.iter().for_each(|part| part.uses(excluded, into)),
            Expr::Except(base, minus) => {
                base.uses(excluded, into);
                minus.uses(true, into);
            }
        }
    }

    fn excludes(&self) -> bool {
        match self {
            Any(parts) | All(parts) => parts.iter().any(Self::excludes),
            Expr::Except(..) => true,
            Direct(_) | Computed(_) | From(..) => false,
        }
    }
}

fn except(base: Expr, minus: Expr) -> Expr {
    Expr::Except(Box::new(base), Box::new(minus))
}

/// Sentinel's own model, written a second time.
pub(super) fn sentinel() -> Schema {
    let role = |lower| Any(vec![Direct(vec!["user"]), Computed(lower)]);
    let member = || From("member", "workspace");
    let admin = || From("admin", "workspace");
    Schema {
        types: vec![
            ("user", vec![]),
            (
                "workspace",
                vec![
                    ("owner", Direct(vec!["user"])),
                    ("admin", role("owner")),
                    ("editor", role("admin")),
                    ("viewer", role("editor")),
                    ("member", Computed("viewer")),
                ],
            ),
            (
                "group",
                vec![
                    ("workspace", Direct(vec!["workspace"])),
                    ("member", Direct(vec!["user", "group#member"])),
                ],
            ),
            (
                "role",
                vec![
                    ("workspace", Direct(vec!["workspace"])),
                    ("assignee", Direct(vec!["user", "group#member"])),
                    ("holder", All(vec![Computed("assignee"), member()])),
                ],
            ),
            (
                "action",
                vec![
                    ("granted", Direct(vec!["role#holder"])),
                    ("can_perform", Computed("granted")),
                ],
            ),
            (
                "resource",
                vec![
                    ("workspace", Direct(vec!["workspace"])),
                    ("shared_in", Direct(vec!["workspace"])),
                    ("owner", Direct(vec!["user"])),
                    ("share_edit", Direct(vec!["user", "group#member"])),
                    ("share_view", Direct(vec!["user", "group#member"])),
                    (
                        "can_manage",
                        Any(vec![All(vec![Computed("owner"), member()]), admin()]),
                    ),
                    (
                        "can_edit",
                        Any(vec![
                            All(vec![
                                Any(vec![Computed("owner"), Computed("share_edit")]),
                                member(),
                            ]),
                            admin(),
                            From("editor", "shared_in"),
                        ]),
                    ),
                    (
                        "can_view",
                        Any(vec![
                            All(vec![Computed("share_view"), member()]),
                            Computed("can_edit"),
                            From("viewer", "shared_in"),
                        ]),
                    ),
                ],
            ),
        ],
    }
}

/// Folders in folders, parents of two types, groups in groups, everyone, and people who are banned.
pub(super) fn folders() -> Schema {
    Schema {
        types: vec![
            ("user", vec![]),
            (
                "group",
                vec![("member", Direct(vec!["user", "user:*", "group#member"]))],
            ),
            ("org", vec![("viewer", Direct(vec!["user", "group#member"]))]),
            (
                "folder",
                vec![
                    ("parent", Direct(vec!["folder", "org"])),
                    (
                        "banned",
                        Any(vec![
                            Direct(vec!["user", "group#member"]),
                            From("banned", "parent"),
                        ]),
                    ),
                    (
                        "viewer",
                        except(
                            Any(vec![
                                Direct(vec!["user", "user:*", "group#member", "folder#viewer"]),
                                From("viewer", "parent"),
                            ]),
                            Computed("banned"),
                        ),
                    ),
                    ("both", All(vec![Computed("viewer"), From("viewer", "parent")])),
                ],
            ),
        ],
    }
}

/// Relations that exclude one another in a circle: there are tuples for which nothing is true.
pub(super) fn paradoxes() -> Schema {
    let kinds = || Direct(vec!["user", "group#member", "group#out"]);
    Schema {
        types: vec![
            ("user", vec![]),
            (
                "group",
                vec![("out", kinds()), ("member", except(kinds(), Computed("out")))],
            ),
        ],
    }
}

const NAMES: [&str; 4] = ["r0", "r1", "r2", "r3"];

/// Some expression over four relations and a parent.
fn expr(with_exclusion: bool) -> impl Strategy<Value = Expr> {
    let leaf = || {
        prop_oneof![
            prop::sample::select(&NAMES[..]).prop_map(Computed),
            prop::sample::select(&NAMES[..]).prop_map(|relation| From(relation, "parent")),
        ]
    };
    let direct = prop::sample::subsequence(vec!["user", "user:*", "node#r0", "node#r1", "node#r3"], 1..4);
    let rest = prop::collection::vec(leaf(), 1..3);
    let inner = (leaf(), leaf(), 0..3).prop_map(|(one, other, how)| match how {
        0 => Any(vec![one, other]),
        1 => All(vec![one, other]),
        _ => one,
    });
    let shapes = if with_exclusion { 0..7 } else { 0..5 };
    (direct.prop_map(Direct), rest, inner, leaf(), shapes).prop_map(
        |(direct, mut rest, inner, minus, how)| {
            rest.insert(0, direct);
            match how {
                0 => rest.swap_remove(0),
                1 => Any(rest),
                2 => All(rest),
                3 => Any(vec![rest.swap_remove(0), inner]),
                4 => All(vec![Any(rest), inner]),
                5 => Any(vec![except(Any(rest), minus), inner]),
                _ => except(Any(rest), inner),
            }
        },
    )
}

/// A model made up at random. The engine refuses some, because a relation never ends.
pub(super) fn random(with_exclusion: bool) -> impl Strategy<Value = Schema> {
    prop::collection::vec(expr(with_exclusion), 4).prop_map(|exprs| Schema {
        types: vec![
            ("user", vec![]),
            (
                "node",
                std::iter::once(("parent", Direct(vec!["node"])))
                    .chain(NAMES.into_iter().zip(exprs))
                    .collect(),
            ),
        ],
    })
}
