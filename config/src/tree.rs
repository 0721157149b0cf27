//! A YAML document as a tree whose every node knows where it was written.
//!
//! The YAML reader stops at the first mistake when it reads into a struct. Here it only has to understand the syntax;
//! what the settings mean is judged by walking the tree, which finds every problem in one go. The tree may hold
//! secrets, so it cannot be printed.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{DuplicateKeyPolicy, Error, Location, MergeKeyPolicy, Spanned};

use crate::problem::Position;

/// A value and where it was written.
pub(crate) struct Node {
    pub(crate) at: Position,
    pub(crate) data: Data,
}

/// What YAML can say.
pub(crate) enum Data {
    Null,
    Bool(bool),
    Integer(i128),
    Float,
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// One key of a mapping. Keys may repeat here; the walk reports it.
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) at: Position,
    pub(crate) node: Node,
}

impl Node {
    /// Reads a document. An empty one is a mapping without keys.
    pub(crate) fn parse(text: &str) -> Result<Self, (Position, String)> {
        let options = serde_saphyr::options! {
            duplicate_keys: DuplicateKeyPolicy::PassThrough,
            merge_keys: MergeKeyPolicy::Error,
            strict_booleans: true,
            reject_unsupported_tags: true,
            with_snippet: false,
        };
        match serde_saphyr::from_str_with_options::<Option<Self>>(text, options) {
            Ok(Some(node)) => Ok(node),
            Ok(None) => Ok(Self {
                at: Position::File { line: 1, column: 1 },
                data: Data::Map(Vec::new()),
            }),
            Err(error) => Err(explain(&error)),
        }
    }

    /// The value of a default. The usual ones need no parser: a large policy leaves hundreds of thousands unwritten.
    pub(crate) fn of_default(text: &str) -> Option<Self> {
        let data = match text {
            "{}" => Data::Map(Vec::new()),
            "[]" => Data::List(Vec::new()),
            "true" => Data::Bool(true),
            "false" => Data::Bool(false),
            other => return Self::parse(other).ok(),
        };
        Some(Self {
            at: Position::Unwritten,
            data,
        })
    }

    /// The value under `key`, if this is a mapping that has it.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        match &self.data {
            Data::Map(entries) => entries
                .iter()
                .find(|entry| entry.key == key)
                .map(|entry| &entry.node),
            _ => None,
        }
    }

    /// The text, if this is one.
    pub(crate) fn as_text(&self) -> Option<&str> {
        match &self.data {
            Data::Text(text) => Some(text),
            _ => None,
        }
    }

    /// What kind of value this is, for messages that must not show the value itself.
    pub(crate) fn kind(&self) -> &'static str {
        match self.data {
            Data::Null => "an empty value",
            Data::Bool(_) => "a yes-or-no value",
            Data::Integer(_) | Data::Float => "a number",
            Data::Text(_) => "a text",
            Data::List(_) => "a list",
            Data::Map(_) => "a section",
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Data>::deserialize(deserializer)?;
        Ok(Self {
            at: position(spanned.referenced),
            data: spanned.value,
        })
    }
}

impl<'de> Deserialize<'de> for Data {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DataVisitor)
    }
}

struct DataVisitor;

impl<'de> Visitor<'de> for DataVisitor {
    type Value = Data;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Data, E> {
        Ok(Data::Null)
    }

    fn visit_none<E>(self) -> Result<Data, E> {
        Ok(Data::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Data, E> {
        Ok(Data::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Data, E> {
        Ok(Data::Integer(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Data, E> {
        Ok(Data::Integer(value.into()))
    }

    fn visit_f64<E>(self, _value: f64) -> Result<Data, E> {
        Ok(Data::Float)
    }

    fn visit_str<E>(self, value: &str) -> Result<Data, E> {
        Ok(Data::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Data, E> {
        Ok(Data::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Data, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Data::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Data, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<Node>()? {
            let node = map.next_value()?;
            entries.push(Entry {
                key: key_text(key.data),
                at: key.at,
                node,
            });
        }
        Ok(Data::Map(entries))
    }
}

/// A key as text. No setting has a key that is anything else, so the walk refuses what this makes of one.
fn key_text(key: Data) -> String {
    match key {
        Data::Text(text) => text,
        Data::Integer(number) => number.to_string(),
        Data::Bool(value) => value.to_string(),
        Data::Null | Data::Float | Data::List(_) | Data::Map(_) => "?".to_owned(),
    }
}

fn position(location: Location) -> Position {
    if location == Location::UNKNOWN {
        Position::Unwritten
    } else {
        Position::File {
            line: location.line(),
            column: location.column(),
        }
    }
}

/// The reader's own messages speak to programmers and may show what stands near; these do not.
fn explain(error: &Error) -> (Position, String) {
    let message = match error.without_snippet() {
        Error::MultipleDocuments { .. } => {
            "a second YAML document begins here: keep one document in the file"
        }
        Error::MergeKeyNotAllowed { .. } => "merge keys (`<<`) are not accepted: write the settings out",
        Error::UnknownAnchor { .. } => {
            "an alias (`*name`) has no anchor: put a text that begins with `*` in quotes"
        }
        Error::UnsupportedTag { .. } => {
            "tags (`!name`) are not accepted: put a text that begins with `!` in quotes"
        }
        Error::Budget { .. } | Error::AliasReplayLimitExceeded { .. } => {
            "the document is too large or too deep"
        }
        _ => {
            "this is not well-formed YAML: look at the indentation, at brackets and quotes that are not closed, \
             and at texts that need quotes because they contain `: ` or `#` or begin with one of `{ [ * & ! % @`"
        }
    };
    let at = error.location().map_or(Position::Unwritten, position);
    (at, message.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Node {
        Node::parse(text).unwrap_or_else(|(at, message)| panic!("{at:?}: {message}"))
    }

    /// The tree in one line, without positions.
    fn shape(node: &Node) -> String {
        match &node.data {
            Data::Null => "null".to_owned(),
            Data::Bool(value) => value.to_string(),
            Data::Integer(number) => number.to_string(),
            Data::Float => "float".to_owned(),
            Data::Text(text) => format!("{text:?}"),
            Data::List(items) => format!("[{}]", items.iter().map(shape).collect::<Vec<_>>().join(" ")),
            Data::Map(entries) => {
                let pair = |entry: &Entry| format!("{}={}", entry.key, shape(&entry.node));
                format!("{{{}}}", entries.iter().map(pair).collect::<Vec<_>>().join(" "))
            }
        }
    }

    #[test]
    fn a_default_is_what_the_parser_makes_of_it() {
        for text in ["{}", "[]", "true", "false", "12", "enforce", r#"["a"]"#] {
            let default = Node::of_default(text).expect(text);
            assert_eq!(shape(&default), shape(&parse(text)), "`{text}`");
        }
    }

    #[test]
    fn a_scalar_means_what_is_written() {
        for (yaml, expected) in [
            ("12", "12"),
            ("-1", "-1"),
            ("1.5", "float"),
            ("true", "true"),
            ("yes", r#""yes""#),
            ("on", r#""on""#),
            ("No", r#""No""#),
            ("~", "null"),
            ("null", "null"),
            ("15m", r#""15m""#),
            ("'12'", r#""12""#),
            ("\"true\"", r#""true""#),
            ("127.0.0.1:9003", r#""127.0.0.1:9003""#),
            ("GET h/documents/{doc_id}", r#""GET h/documents/{doc_id}""#),
            ("!!str 12", r#""12""#),
        ] {
            assert_eq!(
                shape(&parse(&format!("a: {yaml}"))),
                format!("{{a={expected}}}"),
                "{yaml}"
            );
        }
    }

    #[test]
    fn a_number_with_a_leading_zero_is_never_another_number() {
        let tree = shape(&parse("a: 0755"));
        assert!(tree != "{a=755}" && tree != "{a=493}", "{tree}");
    }

    #[test]
    fn keys_repeat_and_are_kept_in_order() {
        assert_eq!(shape(&parse("b: 1\na: 2\nb: 3")), "{b=1 a=2 b=3}");
        assert_eq!(
            shape(&parse("{ 1: a, true: b, [x]: c }")),
            r#"{1="a" true="b" ?="c"}"#
        );
    }

    #[test]
    fn an_empty_document_is_a_mapping_without_keys() {
        for text in ["", "# nothing\n", "---", "null"] {
            assert_eq!(shape(&parse(text)), "{}", "{text:?}");
        }
    }

    #[test]
    fn keys_and_values_know_where_they_stand() {
        let root = parse("é: x\nlist:\n  - a\n  - { k: v }\ntext: |\n  long\n");
        let Data::Map(entries) = &root.data else {
            panic!("a mapping")
        };
        let at = |line, column| Position::File { line, column };
        let places: Vec<_> = entries
            .iter()
            .map(|entry| (entry.at.clone(), entry.node.at.clone()))
            .collect();
        assert_eq!(places[0], (at(1, 1), at(1, 4)));
        assert_eq!(places[1], (at(2, 1), at(3, 3)));
        assert_eq!(places[2].0, at(5, 1));
        let Some(Data::List(items)) = root.get("list").map(|node| &node.data) else {
            panic!("a list")
        };
        assert_eq!(items[1].get("k").map(|node| node.at.clone()), Some(at(4, 10)));
    }

    #[test]
    fn an_alias_stands_where_it_is_used() {
        let root = parse("a: &x { k: v }\nb: *x\n");
        assert_eq!(shape(&root), r#"{a={k="v"} b={k="v"}}"#);
        assert_eq!(
            root.get("b").map(|node| node.at.clone()),
            Some(Position::File { line: 2, column: 4 })
        );
    }

    #[test]
    fn a_document_that_grows_by_aliases_is_refused() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..9 {
            let before = format!("*a{}, ", level - 1).repeat(10);
            text = format!("{text}a{level}: &a{level} [{before}]\n");
        }
        assert!(Node::parse(&text).is_err());
        assert!(Node::parse(&"[".repeat(100_000)).is_err());
    }
}
