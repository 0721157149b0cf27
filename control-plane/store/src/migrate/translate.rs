//! Turns a step's text into each database's spelling. Comments, strings and quoted names stay as they are.
//!
//! On SQLite, types get SQLite's names, and tables are `STRICT`, so that a value of the wrong type is refused as
//! PostgreSQL does. On PostgreSQL, texts get the collation "C": they compare, sort and fold case by bytes, as on
//! SQLite, whatever the locale of the database, and no index breaks when the machine's locale changes.

/// The types that a step may use, and SQLite's for them.
const SQLITE_TYPES: &[(&str, &str)] = &[
    ("UUID", "BLOB"),
    ("BYTEA", "BLOB"),
    ("JSONB", "TEXT"),
    ("TIMESTAMPTZ", "TEXT"),
    ("BIGINT", "INTEGER"),
    ("BOOLEAN", "INTEGER"),
];

const POSTGRES_TYPES: &[(&str, &str)] = &[("TEXT", "TEXT COLLATE \"C\"")];

pub(super) fn to_sqlite(step: &str) -> String {
    translate(step, SQLITE_TYPES, " STRICT")
}

pub(super) fn to_postgres(step: &str) -> String {
    translate(step, POSTGRES_TYPES, "")
}

/// Puts `types` for their names, and `table` at the end of each statement that creates a table.
fn translate(step: &str, types: &[(&str, &str)], table: &str) -> String {
    let mut out = String::with_capacity(step.len());
    let mut rest = step;
    // The words of the statement so far, as many as tell what it is.
    let mut opening: Vec<&str> = Vec::new();
    while let Some((kind, token, after)) = next(rest) {
        match kind {
            Kind::Word => {
                if opening.len() < 2 {
                    opening.push(token);
                }
                let other = types.iter().find(|(name, _)| *name == token);
                out.push_str(other.map_or(token, |(_, other)| other));
            }
            Kind::End => {
                if opening == ["CREATE", "TABLE"] {
                    out.push_str(table);
                }
                opening.clear();
                out.push_str(token);
            }
            Kind::Other => out.push_str(token),
        }
        rest = after;
    }
    out
}

enum Kind {
    /// A bare word: a keyword, a type, a name.
    Word,
    /// The semicolon that ends a statement.
    End,
    /// A comment, a string, a quoted name, or a single character of anything else.
    Other,
}

/// The first token of `text`, and the text after it.
fn next(text: &str) -> Option<(Kind, &str, &str)> {
    let first = text.chars().next()?;
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let (kind, length) = match first {
        '-' if text.starts_with("--") => (Kind::Other, text.find('\n').unwrap_or(text.len())),
        '/' if text.starts_with("/*") => (Kind::Other, text.find("*/").map_or(text.len(), |end| end + 2)),
        // A doubled quote inside is read as two strings side by side, which is the same text.
        '\'' | '"' => (
            Kind::Other,
            text.char_indices()
                .skip(1)
                .find(|(_, c)| *c == first)
                .map_or(text.len(), |(end, _)| end + 1),
        ),
        ';' => (Kind::End, 1),
        c if is_word(c) => (Kind::Word, text.find(|c| !is_word(c)).unwrap_or(text.len())),
        c => (Kind::Other, c.len_utf8()),
    };
    let (token, after) = text.split_at(length);
    Some((kind, token, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_translated_as_whole_words_only() {
        assert_eq!(
            to_sqlite("CREATE TABLE t (id UUID, at TIMESTAMPTZ, n BIGINT, uuid_of UUID, MYUUID TEXT);"),
            "CREATE TABLE t (id BLOB, at TEXT, n INTEGER, uuid_of BLOB, MYUUID TEXT) STRICT;"
        );
    }

    #[test]
    fn comments_strings_and_quoted_names_stay() {
        for same in [
            "-- a UUID; and more\nSELECT 1;",
            "/* BYTEA; */ SELECT 1;",
            "SELECT 'UUID; ''JSONB''', \"BIGINT\";",
            "SELECT 'ünïcode UUID';",
            "CREATE INDEX t_of ON t (id);",
            "SELECT 'never closed UUID",
        ] {
            assert_eq!(to_sqlite(same), same);
        }
    }

    #[test]
    fn texts_compare_by_bytes_on_postgres() {
        assert_eq!(
            to_postgres("CREATE TABLE t (id UUID, name TEXT NOT NULL); -- TEXT"),
            "CREATE TABLE t (id UUID, name TEXT COLLATE \"C\" NOT NULL); -- TEXT"
        );
    }

    #[test]
    fn only_tables_are_strict() {
        assert_eq!(
            to_sqlite(
                "CREATE TABLE a (x TEXT);\nCREATE UNIQUE INDEX i ON a (x);\n-- c\nCREATE TABLE b (x TEXT);"
            ),
            "CREATE TABLE a (x TEXT) STRICT;\nCREATE UNIQUE INDEX i ON a (x);\n-- c\nCREATE TABLE b (x TEXT) STRICT;"
        );
    }
}
