//! The walk over the tree: a small typed reader that collects every problem instead of stopping at the first.

use std::path::PathBuf;

use schemars::{Schema, SchemaGenerator};

use crate::problem::{Position, Problem};
use crate::schema::SectionSchema;
use crate::tree::{Data, Entry, Node};

/// A node of the tree together with its key path.
#[derive(Clone)]
pub(crate) struct Place<'n> {
    pub(crate) node: &'n Node,
    pub(crate) path: String,
}

impl<'n> Place<'n> {
    /// The place of an item, if this is a list that is long enough.
    pub(crate) fn nth(&self, index: usize) -> Option<Self> {
        match &self.node.data {
            Data::List(items) => items.get(index).map(|node| self.item(index, node)),
            _ => None,
        }
    }

    /// The place of a key of this mapping, or of the mapping itself under that key's path if it is not written.
    pub(crate) fn child(&self, key: &str) -> Self {
        Place {
            node: self.node.get(key).unwrap_or(self.node),
            path: if self.path.is_empty() {
                key.to_owned()
            } else {
                format!("{}.{key}", self.path)
            },
        }
    }

    /// The place of an item of this list.
    pub(crate) fn item(&self, index: usize, node: &'n Node) -> Self {
        Place {
            node,
            path: format!("{}[{index}]", self.path),
        }
    }
}

/// What the walk has found so far, and what it needs to know about the file.
pub(crate) struct Reader<'n> {
    pub(crate) file: PathBuf,
    pub(crate) base: PathBuf,
    pub(crate) root: &'n Node,
    pub(crate) problems: Vec<Problem>,
}

impl Reader<'_> {
    /// Records what is wrong at a place.
    pub(crate) fn problem(&mut self, place: &Place<'_>, message: impl Into<String>) {
        self.problem_at(place.node.at.clone(), place.path.clone(), message);
    }

    /// Records that something else is expected at a place, without showing what stands there.
    pub(crate) fn mismatch(&mut self, place: &Place<'_>, expected: &str) {
        if matches!(place.node.data, Data::Null) {
            self.problem(
                place,
                format!("{expected} is expected, and nothing is written: fill it in or remove the line"),
            );
        } else {
            self.problem(
                place,
                format!("{expected} is expected, not {}", place.node.kind()),
            );
        }
    }

    /// Records what is wrong at a position.
    pub(crate) fn problem_at(&mut self, position: Position, key: String, message: impl Into<String>) {
        self.problems.push(Problem {
            file: self.file.clone(),
            position,
            key,
            message: message.into(),
        });
    }
}

/// A type that a setting can have. `read` answers `None` only after it has recorded a problem.
pub(crate) trait Setting: Sized {
    /// The value that is written at `place`.
    fn read(place: &Place<'_>, reader: &mut Reader<'_>) -> Option<Self>;

    /// The JSON Schema of what may be written.
    fn describe(generator: &mut SchemaGenerator) -> Schema;

    /// The setting `key` of a section, its default if it is not written, or a problem if it has none.
    fn take(
        section: &mut Section<'_>,
        key: &str,
        default: Option<&str>,
        reader: &mut Reader<'_>,
    ) -> Option<Self> {
        if let Some(place) = section.get(key) {
            return Self::read(&place, reader);
        }
        let Some(default) = default else {
            section.missing(key, reader);
            return None;
        };
        let mut node = Node::of_default(default)?;
        node.at = Position::Unwritten;
        let path = section.path_of(key);
        Self::read(&Place { node: &node, path }, reader)
    }

    /// Whether the section says anything about `key`.
    fn is_written(section: &mut Section<'_>, key: &str) -> bool {
        section.get(key).is_some()
    }

    /// Adds the setting to the section's JSON Schema.
    fn describe_in(
        section: &mut SectionSchema,
        key: &str,
        doc: &str,
        default: Option<&str>,
        generator: &mut SchemaGenerator,
    ) {
        let schema = Self::describe(generator);
        section.property(key, schema, doc, default);
        if default.is_none() {
            section.require(key);
        }
    }
}

/// A mapping that is being read.
pub(crate) struct Section<'n> {
    place: Place<'n>,
    entries: &'n [Entry],
    known: Vec<String>,
}

impl<'n> Section<'n> {
    /// The section at `place`; a problem if something else stands there. Keys that repeat are problems.
    pub(crate) fn open(place: &Place<'n>, reader: &mut Reader<'_>) -> Option<Self> {
        let Data::Map(entries) = &place.node.data else {
            reader.mismatch(place, "a section with settings");
            return None;
        };
        let section = Self {
            place: place.clone(),
            entries,
            known: Vec::new(),
        };
        for (index, entry) in entries.iter().enumerate() {
            let earlier = entries
                .iter()
                .take(index)
                .find(|earlier| earlier.key == entry.key);
            if let Some(earlier) = earlier {
                let first = match earlier.at {
                    Position::File { line, .. } => format!(", first on line {line}"),
                    _ => String::new(),
                };
                reader.problem_at(
                    entry.at.clone(),
                    section.path_of(&entry.key),
                    format!("the key is written twice{first}: keep one"),
                );
            }
        }
        Some(section)
    }

    /// The keys and values, in the order of the file.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&'n Entry, Place<'n>)> {
        self.entries.iter().map(|entry| {
            let path = self.path_of(&entry.key);
            (
                entry,
                Place {
                    node: &entry.node,
                    path,
                },
            )
        })
    }

    /// What is written under `key`, which is thereby known to be a setting of this section.
    pub(crate) fn get(&mut self, key: &str) -> Option<Place<'n>> {
        if !self.known.iter().any(|known| known == key) {
            self.known.push(key.to_owned());
        }
        let entry = self.entries.iter().find(|entry| entry.key == key)?;
        Some(Place {
            node: &entry.node,
            path: self.path_of(key),
        })
    }

    /// The place of `key`, or of the section itself if the key is not written.
    pub(crate) fn place_of(&self, key: &str) -> Place<'n> {
        self.place.child(key)
    }

    /// The place of the section itself.
    pub(crate) fn place(&self) -> &Place<'n> {
        &self.place
    }

    /// The full path of a key of this section.
    pub(crate) fn path_of(&self, key: &str) -> String {
        if self.place.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.place.path)
        }
    }

    /// Records that a setting without a default is not written.
    pub(crate) fn missing(&self, key: &str, reader: &mut Reader<'_>) {
        let path = self.path_of(key);
        reader.problem_at(
            self.place.node.at.clone(),
            path,
            format!("`{key}` is missing: it has no default"),
        );
    }

    /// Records every key that nobody asked for. Called when all settings have been read.
    pub(crate) fn finish(&self, reader: &mut Reader<'_>) {
        for entry in self.entries {
            if self.known.contains(&entry.key) {
                continue;
            }
            let near = self
                .known
                .iter()
                .filter(|known| looks_like(known, &entry.key))
                .min();
            let hint = match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("the settings here are `{}`", self.known.join("`, `")),
            };
            reader.problem_at(
                entry.at.clone(),
                self.path_of(&entry.key),
                format!("`{}` is not a setting here: {hint}", entry.key),
            );
        }
    }
}

/// Whether two keys are so alike that one is probably the other mistyped: at most two letters differ.
fn looks_like(known: &str, written: &str) -> bool {
    let (known, written): (Vec<char>, Vec<char>) = (known.chars().collect(), written.chars().collect());
    let mut row: Vec<usize> = (0..=written.len()).collect();
    for (i, a) in known.iter().enumerate() {
        let mut next = vec![i + 1];
        for (j, b) in written.iter().enumerate() {
            let swap = row.get(j).map_or(usize::MAX, |cost| cost + usize::from(a != b));
            let insert = next.last().map_or(usize::MAX, |cost| cost + 1);
            let delete = row.get(j + 1).map_or(usize::MAX, |cost| cost + 1);
            next.push(swap.min(insert).min(delete));
        }
        row = next;
    }
    row.last()
        .is_some_and(|distance| *distance <= 2 && *distance < known.len())
}

/// Defines a section: its struct, how it is read, and its JSON Schema, from one text. A field is
/// `name: Type = "default as YAML"`, or `name: Type` if it must be written; `check` names a function over
/// `(&Self, &Section, &mut Reader)` that judges the settings together.
macro_rules! section {
    (
        $(#[doc = $doc:literal])*
        $(check $check:path;)?
        pub struct $name:ident {
            $($(#[doc = $field_doc:literal])* $vis:vis $field:ident: $ty:ty $(= $default:literal)?,)*
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone)]
        pub struct $name {
            $(
                $(#[doc = $field_doc])*
                $(#[doc = concat!("\n\nDefault: `", $default, "`.")])?
                $vis $field: $ty,
            )*
        }

        impl $name {
            /// Reads the settings of this section out of one that is open, which may have others beside them.
            pub(crate) fn take_from(
                section: &mut $crate::section::Section<'_>,
                reader: &mut $crate::section::Reader<'_>,
            ) -> Option<Self> {
                $(
                    let $field = <$ty as $crate::section::Setting>::take(
                        section,
                        stringify!($field).trim_start_matches("r#"),
                        $crate::section::section!(@default $($default)?),
                        reader,
                    );
                )*
                let this = Self { $($field: $field?,)* };
                $($check(&this, section, reader);)?
                Some(this)
            }

            /// Adds the settings of this section to the schema of one that has others beside them.
            pub(crate) fn describe_into(
                section: &mut $crate::schema::SectionSchema,
                generator: &mut schemars::SchemaGenerator,
            ) {
                $(
                    <$ty as $crate::section::Setting>::describe_in(
                        section,
                        stringify!($field).trim_start_matches("r#"),
                        concat!($($field_doc, "\n"),*),
                        $crate::section::section!(@default $($default)?),
                        generator,
                    );
                )*
            }
        }

        impl $crate::section::Setting for $name {
            fn read(
                place: &$crate::section::Place<'_>,
                reader: &mut $crate::section::Reader<'_>,
            ) -> Option<Self> {
                let mut section = $crate::section::Section::open(place, reader)?;
                let this = Self::take_from(&mut section, reader);
                section.finish(reader);
                this
            }

            fn describe(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                generator.subschema_for::<Self>()
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                let mut section = $crate::schema::SectionSchema::new(concat!($($doc, "\n"),*));
                Self::describe_into(&mut section, generator);
                section.finish()
            }
        }
    };
    (@default) => { None };
    (@default $default:literal) => { Some($default) };
}

pub(crate) use section;

#[cfg(test)]
#[expect(unreachable_pub, reason = "sections are declared public")]
mod tests {
    use super::*;

    section! {
        /// Made for these tests.
        check check;
        pub struct Sample {
            /// Must be written.
            pub name: String,
            /// A number.
            pub count: u32 = "3",
            /// May be left out.
            pub note: Option<String>,
            /// A section in the section.
            pub inner: Inner = "{}",
        }
    }

    section! {
        /// A section in a section.
        pub struct Inner {
            /// Names.
            pub names: Vec<String> = r#"["a", "b"]"#,
        }
    }

    fn check(sample: &Sample, section: &Section<'_>, reader: &mut Reader<'_>) {
        if sample.name == "bad" {
            reader.problem(&section.place_of("name"), "it is bad");
        }
    }

    fn read(text: &str) -> (Option<Sample>, Vec<String>) {
        let Ok(root) = Node::parse(text) else {
            panic!("`{text}` is not YAML")
        };
        let mut reader = Reader {
            file: "f.yaml".into(),
            base: PathBuf::new(),
            root: &root,
            problems: Vec::new(),
        };
        let place = Place {
            node: &root,
            path: String::new(),
        };
        let sample = Sample::read(&place, &mut reader);
        (sample, reader.problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn what_is_not_written_has_its_default() {
        let (sample, problems) = read("name: x");
        assert_eq!(problems, Vec::<String>::new());
        let sample = sample.expect("accepted");
        assert_eq!((sample.name.as_str(), sample.count, sample.note), ("x", 3, None));
        assert_eq!(sample.inner.names, ["a", "b"]);
    }

    #[test]
    fn what_is_written_goes_before_the_default() {
        let (sample, _) = read("{ name: x, count: 4, note: n, inner: { names: [] } }");
        let sample = sample.expect("accepted");
        assert_eq!((sample.count, sample.note.as_deref()), (4, Some("n")));
        assert!(sample.inner.names.is_empty());
    }

    #[test]
    fn nothing_is_answered_without_a_problem_and_every_problem_is_kept() {
        let (sample, problems) =
            read("{ count: x, inner: { nams: [1], names: [2, [3]] }, note: 5, naem: y }");
        assert!(sample.is_none());
        assert_eq!(
            problems,
            [
                "f.yaml:1:1: name: `name` is missing: it has no default",
                "f.yaml:1:10: count: a whole number from 0 to 4294967295 is expected",
                "f.yaml:1:58: note: a text is expected, not a number: put it in quotes",
                "f.yaml:1:41: inner.names[0]: a text is expected, not a number: put it in quotes",
                "f.yaml:1:44: inner.names[1]: a text is expected, not a list",
                "f.yaml:1:22: inner.nams: `nams` is not a setting here: did you mean `names`?",
                "f.yaml:1:61: naem: `naem` is not a setting here: did you mean `name`?",
            ]
        );
    }

    #[test]
    fn settings_are_judged_together_once_each_is_good() {
        assert_eq!(read("name: bad").1, ["f.yaml:1:7: name: it is bad"]);
        assert_eq!(read("{ name: bad, count: -1 }").1.len(), 1);
    }

    #[test]
    fn a_key_that_is_written_twice_is_a_problem_even_with_one_value() {
        let (_, problems) = read("name: x\ncount: 1\ncount: 1");
        assert_eq!(
            problems,
            ["f.yaml:3:1: count: the key is written twice, first on line 2: keep one"]
        );
    }

    #[test]
    fn only_a_small_slip_is_taken_for_another_key() {
        for (known, written) in [
            ("listen", "lisen"),
            ("listen", "listne"),
            ("url", "uri"),
            ("routes", "route"),
        ] {
            assert!(looks_like(known, written), "{known} {written}");
        }
        for (known, written) in [("listen", "routes"), ("to", "xy"), ("url", ""), ("log", "match")] {
            assert!(!looks_like(known, written), "{known} {written}");
        }
    }
}
