//! Words, marks and line ends of a model's text. Knows no grammar.

use super::ast::Place;

/// The marks of the language.
pub(super) const MARKS: [char; 8] = [':', ',', '[', ']', '(', ')', '#', '*'];

/// The smallest part of a text that means something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// Letters, digits, `_`, `-` and `.` in a row.
    Word(&'a str),
    /// Any other character that is no white space. Only those of [`MARKS`] have a meaning.
    Mark(char),
    /// The end of a line that is not empty.
    LineEnd,
    /// The end of the text.
    End,
}

/// Cuts a text into tokens. The last one is always [`Token::End`].
pub(super) fn tokens(text: &str) -> Vec<(Token<'_>, Place)> {
    let mut found = Vec::new();
    let mut end = Place { line: 1, column: 1 };
    for (number, line) in text.lines().enumerate() {
        end = read_line(line, number.saturating_add(1), &mut found);
    }
    found.push((Token::End, end));
    found
}

/// Reads one line and says where it ends.
fn read_line<'a>(line: &'a str, number: usize, found: &mut Vec<(Token<'a>, Place)>) -> Place {
    let mut rest = line;
    let mut at = Place {
        line: number,
        column: 1,
    };
    let mut before = ' ';
    let mut empty = true;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            // A comment, unless it joins two names as in `group#member`. OpenFGA knows it by the space before it.
            '#' if before == ' ' || empty => break,
            _ if is_word(first) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
            _ => first.len_utf8(),
        };
        let (taken, left) = rest.split_at_checked(length).unwrap_or((rest, ""));
        if is_word(first) {
            found.push((Token::Word(taken), at));
        } else if !is_space(first) {
            found.push((Token::Mark(first), at));
        }
        before = first;
        empty &= is_space(first);
        at.column = at.column.saturating_add(taken.chars().count());
        rest = left;
    }
    if !empty {
        found.push((Token::LineEnd, at));
    }
    at
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t')
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<Token<'_>> {
        tokens(text).into_iter().map(|(token, _)| token).collect()
    }

    #[test]
    fn a_number_sign_after_a_space_begins_a_comment_and_joins_names_otherwise() {
        use Token::{End, LineEnd, Mark, Word};
        assert_eq!(kinds("# nothing\n\n  # here\n\t# there"), [End]);
        assert_eq!(
            kinds("a\t# b"),
            [Word("a"), Mark('#'), Word("b"), LineEnd, End],
            "a tab is no space"
        );
        assert_eq!(
            kinds("[g#m] # who"),
            [
                Mark('['),
                Word("g"),
                Mark('#'),
                Word("m"),
                Mark(']'),
                LineEnd,
                End
            ]
        );
    }

    #[test]
    fn places_count_characters_from_one() {
        let found = tokens("type é b\r\n  x");
        let place = |line, column| Place { line, column };
        assert_eq!(found.get(2), Some(&(Token::Word("b"), place(1, 8))));
        assert_eq!(found.get(4), Some(&(Token::Word("x"), place(2, 3))));
        assert_eq!(found.last(), Some(&(Token::End, place(2, 4))));
    }
}
