//! Yes-or-no values, numbers, texts, paths, addresses, lists, and settings that may be left out.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::net::SocketAddr;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

use schemars::{Schema, SchemaGenerator, json_schema};

use crate::problem::Position;
use crate::schema::SectionSchema;
use crate::section::{Place, Reader, Section, Setting};
use crate::tree::Data;

impl Setting for bool {
    fn read(place: &Place<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        match (&place.node.data, &place.node.at) {
            (Data::Bool(value), _) => Some(*value),
            (Data::Text(text), Position::Environment(_)) if text == "true" || text == "false" => {
                Some(text == "true")
            }
            _ => {
                reader.mismatch(place, "`true` or `false`");
                None
            }
        }
    }

    fn describe(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "boolean" })
    }
}

impl Setting for u32 {
    fn read(place: &Place<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let number = match (&place.node.data, &place.node.at) {
            (Data::Integer(number), _) => Self::try_from(*number).ok(),
            (Data::Text(text), Position::Environment(_)) => text.parse().ok(),
            _ => None,
        };
        if number.is_none() {
            reader.problem(
                place,
                format!("a whole number from 0 to {} is expected", Self::MAX),
            );
        }
        number
    }

    fn describe(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": 0, "maximum": u32::MAX })
    }
}

impl Setting for String {
    fn read(place: &Place<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let text = text(place, reader)?;
        if text.trim().is_empty() {
            reader.problem(place, "the text is empty: fill it in or remove the line");
            return None;
        }
        Some(text.to_owned())
    }

    fn describe(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1 })
    }
}

impl Setting for PathBuf {
    fn read(place: &Place<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let path = String::read(place, reader)?;
        Some(resolve(&reader.base, Path::new(&path)))
    }

    fn describe(generator: &mut SchemaGenerator) -> Schema {
        String::describe(generator)
    }
}

/// A path as the configuration means it: relative to the directory of the configuration file.
fn resolve(base: &Path, path: &Path) -> PathBuf {
    let plain = path
        .components()
        .filter(|part| !matches!(part, Component::CurDir));
    base.join(plain.collect::<PathBuf>())
}

impl Setting for SocketAddr {
    fn read(place: &Place<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let text = text(place, reader)?;
        let address = text.parse().ok();
        if address.is_none() {
            reader.problem(
                place,
                format!("`{text}` is not an address to listen on: an IP address and a port such as `127.0.0.1:9003` or `[::1]:9003` is expected"),
            );
        }
        address
    }

    fn describe(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "examples": ["127.0.0.1:9003", "[::]:9003"] })
    }
}

impl<T: Setting> Setting for Vec<T> {
    fn read(place: &Place<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        // One bad item makes the whole list bad, but every item is looked at.
        let items: Vec<Option<T>> = read_list(place, reader, T::read)?;
        items.into_iter().collect()
    }

    fn describe(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "array", "items": T::describe(generator) })
    }
}

/// Reads each item of a list.
pub(crate) fn read_list<T>(
    place: &Place<'_>,
    reader: &mut Reader<'_>,
    mut read: impl FnMut(&Place<'_>, &mut Reader<'_>) -> T,
) -> Option<Vec<T>> {
    let Data::List(nodes) = &place.node.data else {
        reader.mismatch(place, "a list");
        return None;
    };
    let mut items = Vec::with_capacity(nodes.len());
    for (index, node) in nodes.iter().enumerate() {
        items.push(read(&place.item(index, node), reader));
    }
    Some(items)
}

/// A section whose keys are names that the operator chooses.
impl<T: Setting> Setting for BTreeMap<String, T> {
    fn read(place: &Place<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let section = Section::open(place, reader)?;
        let mut values = Self::new();
        let mut good = true;
        for (entry, place) in section.entries() {
            if !is_name(&entry.key) {
                good = false;
                reader.problem_at(
                    entry.at.clone(),
                    place.path.clone(),
                    format!("`{}` is not a name: {NAME_RULE}", entry.key),
                );
            }
            match T::read(&place, reader) {
                Some(value) => {
                    values.insert(entry.key.clone(), value);
                }
                None => good = false,
            }
        }
        good.then_some(values)
    }

    fn describe(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "propertyNames": { "pattern": "^[a-z][a-z0-9_-]{0,62}$" },
            "additionalProperties": T::describe(generator),
        })
    }
}

/// What a name that the operator chooses may look like.
pub(crate) const NAME_RULE: &str = "1 to 63 characters from `a-z 0-9 _ -`, the first a letter";

/// Whether a text is a name by [`NAME_RULE`].
pub(crate) fn is_name(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.as_bytes().first().is_some_and(u8::is_ascii_lowercase)
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-'))
}

/// A setting that may be left out.
impl<T: Setting> Setting for Option<T> {
    fn read(place: &Place<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        T::read(place, reader).map(Some)
    }

    fn describe(generator: &mut SchemaGenerator) -> Schema {
        T::describe(generator)
    }

    fn take(
        section: &mut Section<'_>,
        key: &str,
        default: Option<&str>,
        reader: &mut Reader<'_>,
    ) -> Option<Self> {
        if T::is_written(section, key) {
            T::take(section, key, default, reader).map(Some)
        } else {
            Some(None)
        }
    }

    fn describe_in(
        section: &mut SectionSchema,
        key: &str,
        doc: &str,
        _: Option<&str>,
        generator: &mut SchemaGenerator,
    ) {
        T::describe_in(section, key, doc, Some("null"), generator);
    }
}

/// The text at a place, or a problem.
pub(crate) fn text<'n>(place: &Place<'n>, reader: &mut Reader<'_>) -> Option<&'n str> {
    match &place.node.data {
        Data::Text(text) => Some(text),
        Data::Bool(_) | Data::Integer(_) | Data::Float => {
            let found = place.node.kind();
            reader.problem(
                place,
                format!("a text is expected, not {found}: put it in quotes"),
            );
            None
        }
        _ => {
            reader.mismatch(place, "a text");
            None
        }
    }
}

/// A value that has its own text form and says itself what is wrong with it.
pub(crate) fn read_text<T>(place: &Place<'_>, reader: &mut Reader<'_>) -> Option<T>
where
    T: FromStr,
    T::Err: Display,
{
    match text(place, reader)?.parse() {
        Ok(value) => Some(value),
        Err(error) => {
            reader.problem(place, T::Err::to_string(&error));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_count_from_the_directory_of_the_file() {
        let from = |base: &str, path: &str| resolve(Path::new(base), Path::new(path));
        assert_eq!(
            from("/etc/sentinel", "edge.key"),
            Path::new("/etc/sentinel/edge.key")
        );
        assert_eq!(
            from("/etc/sentinel", "./keys/./edge.key"),
            Path::new("/etc/sentinel/keys/edge.key")
        );
        assert_eq!(
            from("/etc/sentinel", "../edge.key"),
            Path::new("/etc/sentinel/../edge.key")
        );
        assert_eq!(from("/etc/sentinel", "/run/edge.key"), Path::new("/run/edge.key"));
        assert_eq!(from("", "edge.key"), Path::new("edge.key"));
    }

    #[test]
    fn names_have_their_alphabet() {
        for good in ["a", "docs", "entra_id", "a-1", &"a".repeat(63)] {
            assert!(is_name(good), "`{good}`");
        }
        for bad in ["", "1a", "_a", "A", "a.b", "a b", "a/b", "ä", &"a".repeat(64)] {
            assert!(!is_name(bad), "`{bad}`");
        }
    }
}
