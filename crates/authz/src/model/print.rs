//! A model in OpenFGA's language, always in the same form: what was read is written with other white space, fewer
//! parentheses and no comments, and means the same.

use std::fmt::{self, Write as _};

use super::ast::{Form, RelationDef, Restriction, Rewrite, TypeDef};

/// The text of a model.
pub(super) fn dsl(types: &[TypeDef<'_>]) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write_model(&mut text, types);
    text
}

/// The text of what a relation is made of.
pub(super) fn rewrite(rewrite: &Rewrite<'_>) -> String {
    let mut text = String::new();
    let _ = write_rewrite(&mut text, rewrite, true);
    text
}

fn write_model(text: &mut String, types: &[TypeDef<'_>]) -> fmt::Result {
    text.write_str("model\n  schema 1.1\n")?;
    for TypeDef { name, relations } in types {
        writeln!(text, "\ntype {}", name.text)?;
        if !relations.is_empty() {
            text.write_str("  relations\n")?;
        }
        for RelationDef { name, rewrite } in relations {
            write!(text, "    define {}: ", name.text)?;
            write_rewrite(text, rewrite, true)?;
            text.write_char('\n')?;
        }
    }
    Ok(())
}

fn write_rewrite(text: &mut String, rewrite: &Rewrite<'_>, outermost: bool) -> fmt::Result {
    let is_one = matches!(
        rewrite,
        Rewrite::Direct(_) | Rewrite::Computed(_) | Rewrite::From { .. }
    );
    let in_parentheses = !outermost && !is_one;
    if in_parentheses {
        text.write_char('(')?;
    }
    match rewrite {
        Rewrite::Direct(restrictions) => write_restrictions(text, restrictions)?,
        Rewrite::Computed(relation) => text.write_str(relation.text)?,
        Rewrite::From { relation, tupleset } => write!(text, "{} from {}", relation.text, tupleset.text)?,
        Rewrite::Any(parts) => write_joined(text, parts, " or ")?,
        Rewrite::All(parts) => write_joined(text, parts, " and ")?,
        Rewrite::Except(base, minus) => {
            write_rewrite(text, base, false)?;
            text.write_str(" but not ")?;
            write_rewrite(text, minus, false)?;
        }
    }
    if in_parentheses {
        text.write_char(')')?;
    }
    Ok(())
}

fn write_joined(text: &mut String, parts: &[Rewrite<'_>], by: &str) -> fmt::Result {
    for (number, part) in parts.iter().enumerate() {
        if number > 0 {
            text.write_str(by)?;
        }
        write_rewrite(text, part, false)?;
    }
    Ok(())
}

fn write_restrictions(text: &mut String, restrictions: &[Restriction<'_>]) -> fmt::Result {
    text.write_char('[')?;
    for (number, Restriction { kind, form }) in restrictions.iter().enumerate() {
        if number > 0 {
            text.write_str(", ")?;
        }
        text.write_str(kind.text)?;
        match form {
            Form::Object => {}
            Form::Wildcard => text.write_str(":*")?,
            Form::Userset(relation) => write!(text, "#{}", relation.text)?,
        }
    }
    text.write_char(']')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::parser;

    #[test]
    fn a_model_is_written_in_one_form() {
        let text = "# mine
model
 schema 1.1
type user # people

type doc
 relations
  define  parent:[doc]
  define a : ((([ user,
     user:* , doc#b ])))
  define b: ((a or b from parent) and (a)) but not (a or (b from parent and a))";
        let written = dsl(&parser::parse(text).expect("a model"));
        assert_eq!(
            written,
            "model
  schema 1.1

type user

type doc
  relations
    define parent: [doc]
    define a: [user, user:*, doc#b]
    define b: ((a or b from parent) and a) but not (a or (b from parent and a))
"
        );
        assert_eq!(dsl(&parser::parse(&written).expect("a model")), written);
    }
}
