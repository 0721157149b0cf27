//! Settings that are one word out of a few.

/// Defines an enum whose variants are written as words, how it is read, and its JSON Schema.
macro_rules! words {
    (
        $(#[doc = $doc:literal])*
        pub enum $name:ident { $($(#[doc = $variant_doc:literal])* $variant:ident = $word:literal,)+ }
    ) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[doc = $variant_doc])* $variant,)+
        }

        impl $name {
            /// All of them, in the order of their declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The word in the configuration.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl $crate::section::Setting for $name {
            fn read(
                place: &$crate::section::Place<'_>,
                reader: &mut $crate::section::Reader<'_>,
            ) -> Option<Self> {
                let words: &[&str] = &[$($word,)+];
                match place.node.as_text() {
                    $(Some($word) => Some(Self::$variant),)+
                    Some(other) => {
                        reader.problem(place, format!("`{other}` is not accepted: one of `{}` is expected", words.join("`, `")));
                        None
                    }
                    None => {
                        reader.problem(place, format!("one of `{}` is expected", words.join("`, `")));
                        None
                    }
                }
            }

            fn describe(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "enum": [$($word,)+] })
            }
        }
    };
}

pub(crate) use words;
