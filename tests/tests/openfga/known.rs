//! Models that were written by hand: Sentinel's own, and one that has everything that people build with such models.

use crate::schema::{Expr, Kind, Schema, computed, direct, except, from};

fn kind(name: &str, relations: Vec<(&str, Expr)>) -> Kind {
    Kind {
        name: name.to_owned(),
        relations: relations
            .into_iter()
            .map(|(name, expr)| (name.to_owned(), expr))
            .collect(),
    }
}

/// Sentinel's types, written a second time, so that tuples and questions can be made up for them. Both engines are given
/// the model that the product has.
pub(crate) fn sentinel() -> Schema {
    let role = |lower| Expr::Any(vec![direct(&["user"]), computed(lower)]);
    let member = || from("member", "workspace");
    let admin = || from("admin", "workspace");
    let people = || direct(&["user", "group#member"]);
    Schema {
        kinds: vec![
            kind("user", vec![]),
            kind(
                "workspace",
                vec![
                    ("owner", direct(&["user"])),
                    ("admin", role("owner")),
                    ("editor", role("admin")),
                    ("viewer", role("editor")),
                    ("member", computed("viewer")),
                ],
            ),
            kind(
                "group",
                vec![("workspace", direct(&["workspace"])), ("member", people())],
            ),
            kind(
                "role",
                vec![
                    ("workspace", direct(&["workspace"])),
                    ("assignee", people()),
                    ("holder", Expr::All(vec![computed("assignee"), member()])),
                ],
            ),
            kind(
                "action",
                vec![
                    ("granted", direct(&["role#holder"])),
                    ("can_perform", computed("granted")),
                ],
            ),
            kind(
                "resource",
                vec![
                    ("workspace", direct(&["workspace"])),
                    ("shared_in", direct(&["workspace"])),
                    ("owner", direct(&["user"])),
                    ("share_edit", people()),
                    ("share_view", people()),
                    (
                        "can_manage",
                        Expr::Any(vec![Expr::All(vec![computed("owner"), member()]), admin()]),
                    ),
                    (
                        "can_edit",
                        Expr::Any(vec![
                            Expr::All(vec![
                                Expr::Any(vec![computed("owner"), computed("share_edit")]),
                                member(),
                            ]),
                            admin(),
                            from("editor", "shared_in"),
                        ]),
                    ),
                    (
                        "can_view",
                        Expr::Any(vec![
                            Expr::All(vec![computed("share_view"), member()]),
                            computed("can_edit"),
                            from("viewer", "shared_in"),
                        ]),
                    ),
                ],
            ),
        ],
    }
}

/// Folders in folders, parents of two types, teams in teams, everyone, people who are banned and some who are pardoned.
pub(crate) fn folders() -> Schema {
    let viewer = || from("viewer", "parent");
    Schema {
        kinds: vec![
            kind("user", vec![]),
            kind("robot", vec![]),
            kind(
                "team",
                vec![("member", direct(&["user", "user:*", "team#member"]))],
            ),
            kind(
                "org",
                vec![
                    ("owner", direct(&["user", "robot"])),
                    (
                        "viewer",
                        Expr::Any(vec![
                            direct(&["user", "robot:*", "team#member"]),
                            computed("owner"),
                        ]),
                    ),
                ],
            ),
            kind(
                "folder",
                vec![
                    ("parent", direct(&["folder", "org"])),
                    ("pardoned", direct(&["user", "team#member"])),
                    (
                        "banned",
                        except(
                            Expr::Any(vec![
                                direct(&["user", "user:*", "team#member"]),
                                from("banned", "parent"),
                            ]),
                            computed("pardoned"),
                        ),
                    ),
                    (
                        "viewer",
                        except(
                            Expr::Any(vec![
                                direct(&["user", "user:*", "robot", "team#member", "folder#viewer"]),
                                viewer(),
                            ]),
                            computed("banned"),
                        ),
                    ),
                    ("both", Expr::All(vec![computed("viewer"), viewer()])),
                    ("only_here", except(computed("viewer"), viewer())),
                ],
            ),
        ],
    }
}
