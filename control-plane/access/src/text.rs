//! Texts that people type: names, descriptions, addresses. Parsed once, at the door, into types that the database and
//! every page can take as they are.
//!
//! Markup is removed as the replaced service did it (ammonia with no tag allowed, and only where there is a `<`). What
//! is nothing but markup is refused, because an empty name names nothing.

use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;

use sentinel_core::{EmailKey, InvalidEmail};
use serde::{Deserialize, Serialize};
use url::Url;

/// A text that cannot be taken, and what would be taken instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidText {
    /// Too short or too long, counted in characters before markup is removed.
    #[error("{kind} of {length} characters: {min} to {max} are expected")]
    Length {
        /// What the text should have been.
        kind: &'static str,
        /// How long it is.
        length: usize,
        /// The least that is taken.
        min: usize,
        /// The most that is taken.
        max: usize,
    },
    /// Nothing that can be seen is left once markup and surrounding white space are gone.
    #[error(
        "{kind} that is empty without its markup and invisible characters: at least one visible character is expected"
    )]
    Empty {
        /// What the text should have been.
        kind: &'static str,
    },
    /// A control character, which no name has and PostgreSQL may not even store.
    #[error("{kind} with a control character: visible characters and spaces are expected")]
    Control {
        /// What the text should have been.
        kind: &'static str,
    },
    /// Not `local@domain`.
    #[error(transparent)]
    Email(#[from] InvalidEmail),
}

macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident = $parse:expr;)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(String);

        impl $name {
            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidText;

            fn from_str(text: &str) -> Result<Self, InvalidText> {
                let parse: fn(&str) -> Result<String, InvalidText> = $parse;
                parse(text).map(Self)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidText;

            fn try_from(text: String) -> Result<Self, InvalidText> {
                text.parse()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )+};
}

texts! {
    /// The name of a person, workspace, group or app: 1 to 255 characters, without markup or control characters.
    Name = |text| {
        let name = clean(bounded("a name", text, 1, 255)?);
        if !name.chars().any(is_visible) {
            return Err(InvalidText::Empty { kind: "a name" });
        }
        if name.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')) {
            return Err(InvalidText::Control { kind: "a name" });
        }
        Ok(name)
    };
    /// A longer text about something: at most 10,000 characters, without markup. Line breaks and tabs may be in it.
    Description = |text| {
        let description = clean(bounded("a description", text, 0, 10_000)?);
        if description.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
            return Err(InvalidText::Control { kind: "a description" });
        }
        Ok(description)
    };
}

/// An e-mail address as identity providers hand it out. Kept as it is written; two with one [`EmailKey`] are one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Email {
    text: String,
    key: EmailKey,
}

impl Email {
    /// The address as it is written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What decides whether it is the same as another.
    pub fn key(&self) -> &EmailKey {
        &self.key
    }
}

impl FromStr for Email {
    type Err = InvalidText;

    fn from_str(text: &str) -> Result<Self, InvalidText> {
        let text = text.trim_matches(' ');
        Ok(Self {
            text: text.to_owned(),
            key: EmailKey::of(text)?,
        })
    }
}

impl TryFrom<String> for Email {
    type Error = InvalidText;

    fn try_from(text: String) -> Result<Self, InvalidText> {
        text.parse()
    }
}

impl Name {
    /// The name that somebody else gives a person: what no name has is taken out, and what is too long is cut off.
    /// `None` if nothing visible is left.
    pub fn lenient(text: &str) -> Option<Self> {
        let plain: String = text
            .chars()
            .map(|c| if c.is_whitespace() { ' ' } else { c })
            .filter(|c| !c.is_control())
            .take(10_000)
            .collect();
        let short: String = clean(&plain).chars().take(255).collect();
        short.parse().ok()
    }
}

/// The address of a picture: `None` for whatever is not a plain http(s) URL, because a picture is never worth refusing
/// a sign-in or a change of name for.
pub fn avatar_url(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    let plain = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.as_str().len() <= 2_048;
    plain.then(|| url.into())
}

fn bounded<'a>(kind: &'static str, text: &'a str, min: usize, max: usize) -> Result<&'a str, InvalidText> {
    let length = text.chars().count();
    if (min..=max).contains(&length) {
        Ok(text)
    } else {
        Err(InvalidText::Length {
            kind,
            length,
            min,
            max,
        })
    }
}

/// Without markup, without characters that turn the direction of what stands beside them, and trimmed.
fn clean(text: &str) -> String {
    let text = without_markup(text);
    if text.contains(is_bidi_control) {
        text.replace(is_bidi_control, "").trim().to_owned()
    } else {
        text
    }
}

/// The explicit directional formatting characters (Unicode UAX #9 §2).
fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{61C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// Whether anything is seen of the character when it stands alone: no white space, no default ignorable code point
/// (Unicode `DerivedCoreProperties`) and no blank letter.
fn is_visible(c: char) -> bool {
    let ignorable = matches!(c,
        '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}' | '\u{180B}'..='\u{180F}'
        | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{2800}' | '\u{3164}'
        | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}' | '\u{1BCA0}'..='\u{1BCA3}'
        | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}');
    !(c.is_whitespace() || c.is_control() || ignorable)
}

fn without_markup(text: &str) -> String {
    if text.contains('<') {
        let clean = ammonia::Builder::default()
            .tags(HashSet::new())
            .clean(text)
            .to_string();
        clean.trim().to_owned()
    } else {
        text.trim().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_removed_and_the_rest_kept() {
        for (typed, kept) in [
            ("  Alice  ", "Alice"),
            ("<b>Alice</b>", "Alice"),
            ("Al<script>alert(1)</script>ice", "Alice"),
            ("R & D", "R & D"),
            ("Zoë \u{1F600}", "Zoë \u{1F600}"),
        ] {
            assert_eq!(typed.parse::<Name>().expect(typed).as_str(), kept);
        }
    }

    #[test]
    fn what_becomes_empty_is_refused() {
        for empty in ["   ", "<b></b>", "<script>x</script>", " <i> </i> "] {
            assert_eq!(
                empty.parse::<Name>(),
                Err(InvalidText::Empty { kind: "a name" }),
                "`{empty}`"
            );
        }
        assert!("".parse::<Name>().is_err());
        assert_eq!(
            "<b></b>".parse::<Description>().expect("may be empty").as_str(),
            ""
        );
    }

    #[test]
    fn lengths_are_counted_in_characters() {
        assert!("ë".repeat(255).parse::<Name>().is_ok());
        let error = "ë".repeat(256).parse::<Name>().expect_err("too long");
        assert_eq!(
            error.to_string(),
            "a name of 256 characters: 1 to 255 are expected"
        );
    }

    #[test]
    fn control_characters_are_refused() {
        for bad in ["a\0b", "a\nb", "a\u{1b}[0m"] {
            assert!(bad.parse::<Name>().is_err(), "{bad:?}");
        }
        assert!("two\nlines".parse::<Description>().is_ok());
        assert!("a\0b".parse::<Description>().is_err());
    }

    #[test]
    fn what_nobody_can_see_is_no_name() {
        for unseen in [
            "\u{200B}",
            "\u{200D}\u{FE0F}",
            "\u{2800}",
            "\u{3164}",
            "\u{202E}",
            " \u{E0061} ",
            "\u{FEFF}<b></b>",
        ] {
            assert_eq!(
                unseen.parse::<Name>(),
                Err(InvalidText::Empty { kind: "a name" }),
                "{unseen:?}"
            );
        }
        let family = "\u{1F468}\u{200D}\u{1F469}";
        assert_eq!(family.parse::<Name>().expect("an emoji of two").as_str(), family);
    }

    #[test]
    fn nothing_turns_the_text_around() {
        let name: Name = "\u{202E}nimda\u{202C} \u{2067}x\u{2069}\u{200F}"
            .parse()
            .expect("name");
        assert_eq!(name.as_str(), "nimda x");
        assert!("a\u{2028}b".parse::<Name>().is_err());
        assert_eq!("a\u{202E}b".parse::<Description>().expect("text").as_str(), "ab");
    }

    #[test]
    fn a_name_from_a_provider_is_made_to_fit() {
        let lenient = |text: &str| Name::lenient(text).map(|name| name.as_str().to_owned());
        assert_eq!(lenient("An\0n\n \u{202E}<b>Lee</b>").as_deref(), Some("Ann  Lee"));
        assert_eq!(
            lenient(&"ë".repeat(9_000)).map(|name| name.chars().count()),
            Some(255)
        );
        assert_eq!(lenient("\u{200B}\0"), None);
    }

    #[test]
    fn addresses_have_two_sides() {
        assert_eq!(
            "bob@example.com".parse::<Email>().expect("address").as_str(),
            "bob@example.com"
        );
        for bad in [
            "",
            "bob",
            "@example.com",
            "bob@",
            "b ob@example.com",
            "bob\0@example.com",
            "<bob@example.com>",
            "bo\u{212A}@example.com",
        ] {
            assert!(bad.parse::<Email>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn only_web_addresses_are_pictures() {
        assert!(avatar_url("https://example.com/a.png").is_some());
        for bad in [
            "javascript:alert(1)",
            "data:image/png;base64,AA",
            "/a.png",
            "https://u:p@example.com/a",
            "",
        ] {
            assert!(avatar_url(bad).is_none(), "`{bad}`");
        }
    }

    #[test]
    fn a_bad_text_in_json_says_what_is_wrong() {
        let error = serde_json::from_str::<Name>("\"<b></b>\"").expect_err("empty");
        assert!(error.to_string().contains("empty without its markup"));
    }
}
