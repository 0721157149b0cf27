//! Names that people and services choose, each with its own alphabet. Parsed once, at the door.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

/// A text that is outside a name's alphabet or length.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a {kind}: {rule}")]
pub struct InvalidName {
    kind: &'static str,
    rule: &'static str,
    text: String,
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident($kind:literal, $rule:literal, $valid:expr);)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// What is wrong with a text that is refused.
            pub const RULE: &'static str = $rule;

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, InvalidName> {
                let valid: fn(&str) -> bool = $valid;
                if valid(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(InvalidName { kind: $kind, rule: $rule, text: text.chars().take(64).collect() })
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )+};
}

names! {
    /// The scope of a service app: what `service_name` says in permission calls (contract: `SVC`).
    ServiceName(
        "service name",
        "1 to 255 characters from `a-z 0-9 _ . -`, the first a letter",
        |text| (1..=255).contains(&text.len()) && starts_with_letter(text) && text.bytes().all(|b| is_lower_digit(b) || b"_.-".contains(&b))
    );
    /// The type of a resource, chosen by the service that owns it (contract: `SVC`).
    ResourceType(
        "resource type",
        "1 to 255 characters from `a-z 0-9 _ . -`, the first a letter",
        |text| (1..=255).contains(&text.len()) && starts_with_letter(text) && text.bytes().all(|b| is_lower_digit(b) || b"_.-".contains(&b))
    );
    /// An RBAC action that a service registers, for example `reports:export`.
    ActionName(
        "valid action",
        "1 to 255 characters from `a-z 0-9 _ . : -`, the first a letter",
        |text| (1..=255).contains(&text.len()) && starts_with_letter(text) && text.bytes().all(|b| is_lower_digit(b) || b"_.:-".contains(&b))
    );
    /// A workspace's short name in URLs and tokens.
    Slug(
        "slug",
        "2 to 100 characters from `a-z 0-9 -`, not beginning or ending with `-`",
        |text| (2..=100).contains(&text.len())
            && text.bytes().all(|b| is_lower_digit(b) || b == b'-')
            && !text.starts_with('-')
            && !text.ends_with('-')
    );
}

fn starts_with_letter(text: &str) -> bool {
    text.as_bytes().first().is_some_and(u8::is_ascii_lowercase)
}

fn is_lower_digit(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_has_its_alphabet() {
        assert!("docs".parse::<ServiceName>().is_ok());
        assert!("docs.v1_x-y".parse::<ServiceName>().is_ok());
        assert!("reports:export".parse::<ActionName>().is_ok());
        assert!("acme-inc".parse::<Slug>().is_ok());
        for bad in ["", "1docs", "Docs", "docs/evil", "docs#x", "döcs", "a b"] {
            assert!(bad.parse::<ServiceName>().is_err(), "`{bad}`");
            assert!(bad.parse::<ResourceType>().is_err(), "`{bad}`");
            assert!(bad.parse::<ActionName>().is_err(), "`{bad}`");
        }
        for bad in ["a", "-a", "a-", "a_b", "A1"] {
            assert!(bad.parse::<Slug>().is_err(), "`{bad}`");
        }
        assert!("a".repeat(256).parse::<ServiceName>().is_err());
    }

    #[test]
    fn the_error_says_what_and_how_to_mend_it() {
        let error = "Docs".parse::<ServiceName>().expect_err("upper case");
        assert_eq!(
            error.to_string(),
            "`Docs` is not a service name: 1 to 255 characters from `a-z 0-9 _ . -`, the first a letter"
        );
    }
}
