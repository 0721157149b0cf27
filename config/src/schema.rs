//! Building the JSON Schema (draft 2020-12) of a section, for editors that complete and check while one types.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

/// The schema of a section that is being put together.
pub(crate) struct SectionSchema {
    doc: String,
    properties: Map<String, Value>,
    required: Vec<Value>,
    rules: Vec<Value>,
}

impl SectionSchema {
    /// A section without settings yet.
    pub(crate) fn new(doc: &str) -> Self {
        Self {
            doc: flow(doc),
            properties: Map::new(),
            required: Vec::new(),
            rules: Vec::new(),
        }
    }

    /// Adds a setting.
    pub(crate) fn property(&mut self, key: &str, schema: Schema, doc: &str, default: Option<&str>) {
        let mut schema = schema;
        if !doc.trim().is_empty() {
            schema.insert("description".to_owned(), flow(doc).into());
        }
        if let Some(default) = default.and_then(default_value) {
            schema.insert("default".to_owned(), default);
        }
        self.properties.insert(key.to_owned(), schema.into());
    }

    /// The setting must be written.
    pub(crate) fn require(&mut self, key: &str) {
        self.required.push(key.into());
    }

    /// A further rule that the section must satisfy.
    pub(crate) fn rule(&mut self, rule: Value) {
        self.rules.push(rule);
    }

    /// The schema of the section: no key but these.
    pub(crate) fn finish(self) -> Schema {
        let mut schema = json_schema!({
            "type": "object",
            "description": self.doc,
            "properties": self.properties,
            "additionalProperties": false,
        });
        if !self.required.is_empty() {
            schema.insert("required".to_owned(), self.required.into());
        }
        if !self.rules.is_empty() {
            schema.insert("allOf".to_owned(), self.rules.into());
        }
        schema
    }
}

/// The schema of a whole file.
pub(crate) fn root<T: JsonSchema>(title: &str) -> Schema {
    let mut schema = SchemaGenerator::default().into_root_schema_for::<T>();
    schema.insert("title".to_owned(), title.into());
    schema
}

/// A text that must match `pattern`.
pub(crate) fn text_schema(pattern: &str) -> Schema {
    json_schema!({ "type": "string", "pattern": pattern })
}

/// A default as JSON. Empty sections are left out: what they hold has its own defaults.
fn default_value(yaml: &str) -> Option<Value> {
    let value: Value = match yaml {
        "{}" | "null" => return None,
        "[]" => json!([]),
        text => serde_json::from_str(text).unwrap_or_else(|_| text.into()),
    };
    Some(value)
}

/// A doc comment as running text: lines are joined, paragraphs are kept.
fn flow(doc: &str) -> String {
    let paragraphs: Vec<String> = doc
        .split("\n\n")
        .map(|paragraph| paragraph.split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|paragraph| !paragraph.is_empty())
        .collect();
    paragraphs.join("\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doc_comments_become_running_text() {
        assert_eq!(
            flow(" One line\n that goes on.\n\n A paragraph.\n"),
            "One line that goes on.\n\nA paragraph."
        );
        assert_eq!(flow("\n"), "");
    }

    #[test]
    fn defaults_keep_their_type() {
        assert_eq!(default_value("10"), Some(json!(10)));
        assert_eq!(default_value("false"), Some(json!(false)));
        assert_eq!(default_value("15m"), Some(json!("15m")));
        assert_eq!(default_value("127.0.0.1:1"), Some(json!("127.0.0.1:1")));
        assert_eq!(default_value("[]"), Some(json!([])));
        assert_eq!(default_value(r#"["a", "b"]"#), Some(json!(["a", "b"])));
        assert_eq!(default_value("{}"), None);
        assert_eq!(default_value("null"), None);
    }
}
