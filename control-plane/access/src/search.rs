//! Looking for a part of a text, alike on both databases.
//!
//! Neither folds the case of letters beyond ASCII as the other does: PostgreSQL goes by its locale, which here is none,
//! and SQLite knows ASCII only. So ASCII is folded by them, and other letters are looked for in four spellings: as they were
//! typed, all small, all capital, and with a capital at the beginning of each word.

/// What is looked for. Nothing at all is found everywhere.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Search(String);

/// The most characters that are looked for.
const MAX_SEARCH: usize = 255;

/// A text that nobody is looked for by.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a search of more than {MAX_SEARCH} characters, or with a control character")]
pub struct InvalidSearch;

impl std::str::FromStr for Search {
    type Err = InvalidSearch;

    fn from_str(text: &str) -> Result<Self, InvalidSearch> {
        if text.chars().count() > MAX_SEARCH || text.chars().any(char::is_control) {
            return Err(InvalidSearch);
        }
        Ok(Self(text.to_owned()))
    }
}

impl Search {
    /// Patterns for `LOWER(column) LIKE $1 ESCAPE '!'`, of which one has to match. The first also serves for a column
    /// that has ASCII only.
    pub(crate) fn spellings(&self) -> [String; 4] {
        let small = self.0.to_lowercase();
        let spellings = [
            self.0.clone(),
            small.clone(),
            self.0.to_uppercase(),
            titled(&small),
        ];
        spellings.map(|text| pattern(&text.to_ascii_lowercase()))
    }
}

/// A pattern of `LIKE` for whatever contains the text.
fn pattern(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len() + 2);
    pattern.push('%');
    for c in text.chars() {
        if matches!(c, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

/// The text with a capital at the beginning of each word.
fn titled(text: &str) -> String {
    let mut titled = String::with_capacity(text.len());
    let mut begins = true;
    for c in text.chars() {
        if begins {
            titled.extend(c.to_uppercase());
        } else {
            titled.push(c);
        }
        begins = !c.is_alphanumeric();
    }
    titled
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spellings(text: &str) -> [String; 4] {
        text.parse::<Search>().expect(text).spellings()
    }

    #[test]
    fn ascii_is_folded_and_other_letters_are_spelled_in_four_ways() {
        assert_eq!(spellings("AnNa"), ["%anna%"; 4]);
        assert_eq!(
            spellings("\u{f6}ZIL \u{e9}D"),
            [
                "%\u{f6}zil \u{e9}d%",
                "%\u{f6}zil \u{e9}d%",
                "%\u{d6}zil \u{c9}d%",
                "%\u{d6}zil \u{c9}d%"
            ]
        );
        assert_eq!(spellings(""), ["%%"; 4]);
    }

    #[test]
    fn what_is_typed_is_no_pattern() {
        assert_eq!(spellings("100%_!")[0], "%100!%!_!!%");
    }

    #[test]
    fn what_the_database_does_not_take_is_refused() {
        assert!("a\0b".parse::<Search>().is_err());
        assert!("e".repeat(256).parse::<Search>().is_err());
        assert!("\u{eb}".repeat(255).parse::<Search>().is_ok());
    }
}
