//! Settings that an environment variable may override: secrets, and the few that differ from one deployment of the
//! same file to the next. The environment is an argument; nothing here reads the process's own.

use std::collections::BTreeMap;
use std::path::Path;

use crate::problem::{Position, Problem};
use crate::tree::{Data, Entry, Node};

/// Environment variables by name, as `std::env::vars().collect()` gives them.
pub type Environment = BTreeMap<String, String>;

/// What the names of our variables begin with.
pub(crate) const PREFIX: &str = "SENTINEL__";

/// A setting that may be overridden. `*` in its path is an item of a list, chosen by its `name`, or
/// its `kind` if it has none.
pub(crate) struct Override {
    pub(crate) path: &'static [&'static str],
    pub(crate) secret: bool,
}

/// A plain setting.
pub(crate) const fn plain(path: &'static [&'static str]) -> Override {
    Override { path, secret: false }
}

/// A secret: its `…_FILE` works as well, and either one takes the place of both in the file.
pub(crate) const fn secret(path: &'static [&'static str]) -> Override {
    Override { path, secret: true }
}

/// One variable that matched: which setting, under which last key, in which list item.
struct Found<'a> {
    variable: &'a str,
    setting: &'a Override,
    key: String,
    item: Option<String>,
    value: &'a str,
}

/// Writes the overrides into the tree. Variables of ours that match no setting are problems.
pub(crate) fn overlay(
    root: &mut Node,
    environment: &Environment,
    overrides: &[Override],
    file: &Path,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut found = Vec::new();
    for (variable, value) in environment {
        let Some(name) = variable.strip_prefix(PREFIX) else {
            continue;
        };
        match overrides.iter().find_map(|setting| matches(name, setting)) {
            Some((setting, key, item)) => found.push(Found {
                variable,
                setting,
                key,
                item,
                value,
            }),
            None => problems.push(unknown(file, variable, overrides)),
        }
    }
    for wanted in &found {
        let Some(section) = section_of(root, wanted) else {
            problems.push(Problem {
                file: file.to_owned(),
                position: Position::Environment(wanted.variable.to_owned()),
                key: String::new(),
                message: format!(
                    "`{}` in the file has no item whose name is `{}` when written in upper case with `_` for `-`",
                    wanted.setting.path.iter().take_while(|key| **key != "*").copied().collect::<Vec<_>>().join("."),
                    wanted.item.as_deref().unwrap_or_default(),
                ),
            });
            continue;
        };
        let Data::Map(entries) = &mut section.data else {
            continue;
        };
        let last = wanted.setting.path.last().copied().unwrap_or_default();
        let file_key = format!("{last}_file");
        entries.retain(|entry| {
            let same = entry.key == wanted.key
                || (wanted.setting.secret && (entry.key == last || entry.key == file_key));
            // What another variable has written stays, so that both are seen and refused.
            !same || matches!(entry.at, Position::Environment(_))
        });
        let at = Position::Environment(wanted.variable.to_owned());
        entries.push(Entry {
            key: wanted.key.clone(),
            at: at.clone(),
            node: Node {
                at,
                data: Data::Text(wanted.value.to_owned()),
            },
        });
    }
    problems
}

/// Whether the rest of a variable's name means `setting`; if so, its last key and the list item.
fn matches<'a>(name: &str, setting: &'a Override) -> Option<(&'a Override, String, Option<String>)> {
    let parts: Vec<&str> = name.split("__").collect();
    if parts.len() != setting.path.len() {
        return None;
    }
    let mut item = None;
    let mut key = String::new();
    for (index, (part, wanted)) in parts.iter().zip(setting.path).enumerate() {
        let is_last = index + 1 == parts.len();
        if *wanted == "*" {
            item = Some((*part).to_owned());
        } else if *part == upper(wanted) {
            (*wanted).clone_into(&mut key);
        } else if is_last && setting.secret && *part == format!("{}_FILE", upper(wanted)) {
            key = format!("{wanted}_file");
        } else {
            return None;
        }
    }
    Some((setting, key, item))
}

/// A key as it is written in the name of a variable.
pub(crate) fn upper(key: &str) -> String {
    key.to_ascii_uppercase().replace('-', "_")
}

/// The mapping that holds the setting, made if the file does not have it.
fn section_of<'n>(root: &'n mut Node, wanted: &Found<'_>) -> Option<&'n mut Node> {
    let at = Position::Environment(wanted.variable.to_owned());
    let sections = wanted
        .setting
        .path
        .split_last()
        .map_or(&[][..], |(_, sections)| sections);
    let mut node = root;
    for key in sections {
        if !matches!(node.data, Data::List(_) | Data::Map(_)) {
            // Something else stands where the section should be; the walk reports it.
            return Some(node);
        }
        node = match &mut node.data {
            Data::List(items) if *key == "*" => items
                .iter_mut()
                .find(|item| name_in(item).map(upper) == wanted.item)?,
            Data::Map(entries) => {
                let index = match entries.iter().position(|entry| entry.key == *key) {
                    Some(index) => index,
                    None if wanted.item.is_some() => return None,
                    None => {
                        entries.push(Entry {
                            key: (*key).to_owned(),
                            at: at.clone(),
                            node: Node {
                                at: at.clone(),
                                data: Data::Map(Vec::new()),
                            },
                        });
                        entries.len() - 1
                    }
                };
                &mut entries.get_mut(index)?.node
            }
            _ => return None,
        };
    }
    Some(node)
}

/// The name of a list item; one of a kind that is known by name may leave it out.
fn name_in(item: &Node) -> Option<&str> {
    item.get("name")
        .or_else(|| item.get("kind"))
        .and_then(Node::as_text)
}

fn unknown(file: &Path, variable: &str, overrides: &[Override]) -> Problem {
    let names: Vec<String> = overrides.iter().map(name_of).collect();
    Problem {
        file: file.to_owned(),
        position: Position::Environment(variable.to_owned()),
        key: String::new(),
        message: format!("there is no such override: there are `{}`", names.join("`, `")),
    }
}

/// The name of the variable for a setting, for documentation and messages.
pub(crate) fn name_of(setting: &Override) -> String {
    let parts: Vec<String> = setting
        .path
        .iter()
        .map(|key| {
            if *key == "*" {
                "<NAME>".to_owned()
            } else {
                upper(key)
            }
        })
        .collect();
    let file = if setting.secret { "[_FILE]" } else { "" };
    format!("{PREFIX}{}{file}", parts.join("__"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OVERRIDES: &[Override] = &[
        plain(&["log", "level"]),
        secret(&["database", "url"]),
        secret(&["login", "providers", "*", "client_secret"]),
    ];

    fn found(name: &str) -> Option<(String, Option<String>)> {
        OVERRIDES
            .iter()
            .find_map(|setting| matches(name, setting))
            .map(|(_, key, item)| (key, item))
    }

    #[test]
    fn a_name_means_one_setting() {
        assert_eq!(found("LOG__LEVEL"), Some(("level".to_owned(), None)));
        assert_eq!(found("DATABASE__URL"), Some(("url".to_owned(), None)));
        assert_eq!(found("DATABASE__URL_FILE"), Some(("url_file".to_owned(), None)));
        assert_eq!(
            found("LOGIN__PROVIDERS__ENTRA_ID__CLIENT_SECRET_FILE"),
            Some(("client_secret_file".to_owned(), Some("ENTRA_ID".to_owned())))
        );
    }

    #[test]
    fn a_name_that_is_nearly_right_means_nothing() {
        for name in [
            "",
            "LOG",
            "LOG__",
            "LOG_LEVEL",
            "log__level",
            "LOG__LEVEL_FILE",
            "LOG__LEVEL__X",
            "DATABASE_FILE__URL",
            "DATABASE__URL_FILE_FILE",
            "LOGIN__PROVIDERS__CLIENT_SECRET",
        ] {
            assert_eq!(found(name), None, "`{name}`");
        }
    }

    #[test]
    fn names_are_told_as_they_are_written() {
        let names: Vec<String> = OVERRIDES.iter().map(name_of).collect();
        assert_eq!(
            names,
            [
                "SENTINEL__LOG__LEVEL",
                "SENTINEL__DATABASE__URL[_FILE]",
                "SENTINEL__LOGIN__PROVIDERS__<NAME>__CLIENT_SECRET[_FILE]",
            ]
        );
    }

    #[test]
    fn a_secret_takes_the_place_of_both_ways_to_write_it() {
        let Ok(mut root) = Node::parse("database: { url_file: old, max: 1 }") else {
            panic!("YAML")
        };
        let environment = [("SENTINEL__DATABASE__URL".to_owned(), "new".to_owned())].into();
        assert!(overlay(&mut root, &environment, OVERRIDES, Path::new("f")).is_empty());
        let database = root.get("database").expect("the section");
        assert_eq!(database.get("url").and_then(Node::as_text), Some("new"));
        assert!(database.get("url_file").is_none() && database.get("max").is_some());
    }
}
