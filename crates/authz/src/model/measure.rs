//! How large a model is, before anything is made of it.

use super::{ModelError, parser};

/// What a text defines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelSize {
    /// How many types it defines or declares.
    pub types: usize,
    /// How many relations they have in all.
    pub relations: usize,
}

/// Counts what a text in OpenFGA's language defines. The text is read and nothing is compiled: the time that it takes is
/// in proportion to the text's length. The names in it need not lead anywhere.
///
/// # Errors
///
/// The text is not one in OpenFGA's language.
pub fn measure(dsl: &str) -> Result<ModelSize, ModelError> {
    let types = parser::parse(dsl)?;
    Ok(ModelSize {
        types: types.len(),
        relations: types.iter().map(|def| def.relations.len()).sum(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_and_relations_are_counted_however_they_are_laid_out() {
        let text =
            "model\n\tschema 1.1\ntype\tuser\n\ttype  doc\n\trelations\ndefine\ta: [user]\n\tdefine b:a";
        let size = measure(text).expect("a model");
        assert_eq!((size.types, size.relations), (2, 2));
        assert!(measure("model\n schema 1.1\ntype").is_err());
    }
}
