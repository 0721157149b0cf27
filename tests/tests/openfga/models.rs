//! Which texts are models, and what they say: OpenFGA's language and its JSON form, read and written by both.

use std::collections::BTreeSet;
use std::path::Path;

use sentinel_authz::{JsonModel, Model, sentinel};
use serde_json::Value;
use tempfile::TempDir;

use crate::compare::is_refused_by_them_alone;
use crate::random::Random;
use crate::schema::Schema;
use crate::{fga, generate, known};

/// How many models are made up.
const MODELS: u64 = 250;

/// The program with a file to read.
struct Official {
    dir: TempDir,
}

impl Official {
    fn new() -> Self {
        xtask::openfga::version().expect("the program");
        Self {
            dir: tempfile::tempdir().expect("a directory"),
        }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn run(&self, text: &str, args: &[&str]) -> Result<String, String> {
        let file = self.path().join("model");
        std::fs::write(&file, text).expect("a file");
        let mut command = fga::command(args);
        let output = fga::run(command.arg("--file").arg(&file));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() {
            Ok(text(&output.stdout))
        } else {
            Err(text(&[output.stdout, output.stderr].concat()))
        }
    }

    /// Whether a text in one of the two forms is a good model.
    fn validate(&self, text: &str, form: &str) -> Result<(), String> {
        let said = self.run(text, &["model", "validate", "--format", form])?;
        if said.contains("\"is_valid\":true") {
            Ok(())
        } else {
            Err(said)
        }
    }

    fn transform(&self, text: &str, from: &str, to: &str) -> String {
        let args = [
            "model",
            "transform",
            "--input-format",
            from,
            "--output-format",
            to,
        ];
        self.run(text, &args)
            .unwrap_or_else(|error| panic!("{error}\n{text}"))
    }
}

/// Whether both take a text, or both refuse it. The text of the difference, if there is one.
fn judged_alike(official: &Official, text: &str, form: &str) -> Result<bool, String> {
    let theirs = official.validate(text, form);
    let ours = match form {
        "json" => Model::parse_json(text)
            .map(drop)
            .map_err(|error| error.to_string()),
        _ => Model::parse(text).map(drop).map_err(|error| error.to_string()),
    };
    match (&ours, &theirs) {
        (Ok(()), Err(error)) if is_refused_by_them_alone(error) => Ok(false),
        _ if ours.is_ok() == theirs.is_ok() => Ok(ours.is_ok()),
        _ => Err(format!("ours: {ours:?}\nOpenFGA: {theirs:?}\n{text}\n")),
    }
}

/// A model means the same to both, whoever turned it from one form into the other.
fn assert_read_alike(official: &Official, text: &str) {
    let json = Model::dsl_to_json(text).expect("a model");
    let meaning = meaning(&json);
    let theirs = official.transform(text, "fga", "json");
    for json in [&json, &theirs] {
        assert_eq!(self::meaning(json), meaning, "{text}");
        let read = JsonModel::read(json).unwrap_or_else(|error| panic!("{error}\n{json}"));
        let again = Model::dsl_to_json(read.dsl()).unwrap_or_else(|error| panic!("{error}\n{json}"));
        assert_eq!(self::meaning(&again), meaning, "{}", read.dsl());
        Model::parse_json(json).unwrap_or_else(|error| panic!("{error}\n{json}"));
    }
    let back = official.transform(&json, "json", "fga");
    for text in [&back, &Model::format(text).expect("a model")] {
        let json = Model::dsl_to_json(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert_eq!(self::meaning(&json), meaning, "{text}");
    }
}

/// What a model in JSON says.
fn meaning(json: &str) -> Value {
    without_defaults(serde_json::from_str(json).expect("JSON"))
}

/// JSON without what says nothing: OpenFGA's own programs write some of it or not.
fn without_defaults(value: Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .into_iter()
            .map(|(name, value)| (name, without_defaults(value)))
            .filter(|(name, value)| match value {
                Value::Null => false,
                Value::Array(several) => !several.is_empty(),
                // These are there or not, and have nothing in them.
                Value::Object(fields) => !fields.is_empty() || ["this", "wildcard"].contains(&name.as_str()),
                _ => true,
            })
            .collect(),
        Value::Array(several) => several.into_iter().map(without_defaults).collect(),
        other => other,
    }
}

fn text_of(schema: &Schema) -> String {
    format!("model\n  schema 1.1\n{}", schema.types())
}

#[test]
fn random_models_are_taken_or_refused_by_both_and_mean_the_same() {
    let official = Official::new();
    let mut differences = Vec::new();
    let (mut good, mut bad) = (0, 0);
    for number in 0..MODELS {
        let random = &mut Random::of_case(7, number);
        let exclusion = random.percent(50);
        let text = text_of(&generate::any_schema(random, exclusion, &[]));
        match judged_alike(&official, &text, "fga") {
            Ok(true) => {
                good += 1;
                assert_read_alike(&official, &text);
            }
            Ok(false) => bad += 1,
            Err(difference) => differences.push(difference),
        }
    }
    println!("{good} good models and {bad} bad ones");
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert!(good * 10 > MODELS && bad * 10 > MODELS, "{good} good, {bad} bad");
}

#[test]
fn models_written_by_hand_mean_the_same() {
    let official = Official::new();
    for text in [sentinel::MODEL.to_owned(), text_of(&known::folders())] {
        assert_eq!(judged_alike(&official, &text, "fga"), Ok(true));
        assert_read_alike(&official, &text);
    }
}

/// Definitions of a type `doc`, beside `user` and `group`. Some are good.
const DEFINITIONS: &[&str] = &[
    "",
    "define a: [user]",
    "define a: [user, user:*, group#member]",
    "define a: [ user , group#member ] # a comment",
    "define a: [user,\n      group#member]",
    "define a: ((([user])))",
    "define a: ([user] or b) and b\n    define b: [user]",
    "define a: (([user] or b) and b) but not (b and b)\n    define b: [user]",
    "define parent: [doc]\n    define a: [user] or a from parent",
    "define parent: [doc, user]\n    define a: [user] or a from parent",
    "define b: [group]\n    define a: member from b",
    "define type: [user]\n    define model: type",
    "define a-b_1: [user]",
    "define a: [group:*]",
    "define a: b or [user]\n    define b: [user]",
    "define a: [user] and [group#member]",
    "define a: [user] or ([group#member] and b)\n    define b: [user]",
    "define a: [user] or b and b\n    define b: [user]",
    "define a: [user] but not b but not b\n    define b: [user]",
    "define a: [user] or\n      b\n    define b: [user]",
    "define a: a",
    "define a: [user] or a",
    "define a: [user] but not a",
    "define a: [user] and b\n    define b: [user] and a",
    "define a: [user:*] or b\n    define b: a",
    "define a: [doc#a]",
    "define a: [doc#b]\n    define b: [doc#a]",
    "define a: [user] or x",
    "define a: x from a",
    "define a: [bad]",
    "define a: [user#x]",
    "define a: [group#x]",
    "define a: [bad:*]",
    "define a: [user]\n    define a: [user]",
    "define parent: [doc] or b\n    define b: [user]\n    define a: [user] or a from parent",
    "define parent: [doc, doc#a]\n    define a: [user] or a from parent",
    "define parent: [doc:*]\n    define a: [user] or a from parent",
    "define parent: [user]\n    define a: [user] or a from parent",
    "define 1a: [user]",
    "define self: [user]",
    "define this: [user]",
    "define from: [user]",
    "define and: [user]",
    "define a: []",
    "define a: [user",
    "define a: user]",
    "define a [user]",
    "define a: [user] or",
    "define a: or [user]",
    "define a: [user]) or (b",
    "define a: ([user]",
    "define a: [user with nothing]",
    "define a: [user:x]",
    "define a: [user#*]",
    "define a: [us er]",
    "define a: [user] xor b\n    define b: [user]",
    "define a: [user] but b\n    define b: [user]",
    "define: [user]",
    "defines a: [user]",
    "define a: [user] // a comment",
    "define é: [user]",
];

/// Whole texts. Some are good.
const TEXTS: &[&str] = &[
    "",
    "model",
    "model\n  schema 1.1",
    "model\n  schema 1.0\ntype user",
    "model\n  schema 2\ntype user",
    "model\nschema 1.1\ntype user",
    "schema 1.1\ntype user",
    "type user",
    "model\n  schema 1.1\ntype user\ntype user",
    "model\n  schema 1.1\ntype user\n  relations",
    "model\n  schema 1.1\ntype user relations",
    "model\n  schema 1.1\ntype 1user",
    "model\n  schema 1.1\ntype self",
    "model\n  schema 1.1\ntype this",
    "model\n  schema 1.1\ntype a#b",
    "model\n  schema 1.1\ntype user\nextend type user",
    "module core\ntype user",
    "model\n  schema 1.1\ntype user\ndefine a: [user]",
    "# a comment\nmodel\n  schema 1.1\n\n\ntype user\n\n",
    "model\r\n  schema 1.1\r\ntype user\r\n",
    "model\n  schema 1.1\ntype user\nnonsense",
    "not a model at all",
    "{}",
];

/// Models in JSON. Some are good.
const JSONS: &[&str] = &[
    "",
    "null",
    "[]",
    "{}",
    r#"{"schema_version": "1.1"}"#,
    r#"{"schema_version": "1.1", "type_definitions": []}"#,
    r#"{"schema_version": "1.1", "type_definitions": [{"type": "user"}]}"#,
    r#"{"schema_version": "1.1", "type_definitions": [{"type": "user", "relations": {}, "metadata": null}]}"#,
    r#"{"schema_version": "1.0", "type_definitions": [{"type": "user"}]}"#,
    r#"{"schema_version": "1.1", "type_definitions": [{"type": "user"}, {"type": "user"}]}"#,
    r#"{"schema_version": "1.1", "type_definitions": [{"type": ""}]}"#,
    r#"{"schema_version": "1.1", "type_definitions": [{"type": 7}]}"#,
    r#"{"schema_version": "1.1", "type_definitions": [{"type": "user", "relations": {"a": {"this": {}}}}]}"#,
    r#"{"schema_version": "1.1", "type_definitions": [{"type": "user"}, {"type": "doc", "relations": {"a": {"this": {}}},
        "metadata": {"relations": {"a": {"directly_related_user_types": [{"type": "user"}]}}}}]}"#,
    r#"{"schema_version": "1.1", "type_definitions": [{"type": "user"}, {"type": "doc", "relations": {"a": {"this": {}}},
        "metadata": {"relations": {"a": {"directly_related_user_types": [{"type": "nobody"}]}}}}]}"#,
    r#"{"schema_version": "1.1", "type_definitions": [{"type": "user"}, {"type": "doc", "relations": {"a": {"this": {}}},
        "metadata": {"relations": {"a": {"directly_related_user_types": []}}}}]}"#,
    r#"{"schema_version": "1.1", "type_definitions": [{"type": "user"}, {"type": "doc",
        "relations": {"a": {"computedUserset": {"relation": "a"}}}}]}"#,
    r#"{"schema_version": "1.1", "type_definitions": [{"type": "user"}, {"type": "doc",
        "relations": {"a": {"computedUserset": {"relation": "b"}}}}]}"#,
    r#"{"schema_version": "1.1", "type_definitions": [{"type": "user"}, {"type": "doc",
        "relations": {"a": {"union": {"child": [{"this": {}}, {"computedUserset": {"relation": "b"}}]}}, "b": {"this": {}}},
        "metadata": {"relations": {"a": {"directly_related_user_types": [{"type": "user", "wildcard": {}}]},
        "b": {"directly_related_user_types": [{"type": "doc", "relation": "a"}]}}}}]}"#,
    r#"{"schema_version": "1.1", "type_definitions": [{"type": "user"}, {"type": "doc",
        "relations": {"a": {"difference": {"base": {"this": {}}}}},
        "metadata": {"relations": {"a": {"directly_related_user_types": [{"type": "user"}]}}}}]}"#,
    r#"{"schema_version": "1.1", "type_definitions": [{"type": "user"}, {"type": "doc",
        "relations": {"a": {"xor": {}}}}]}"#,
];

#[test]
fn broken_models_are_refused_by_both() {
    let official = Official::new();
    let document = |definitions: &str| {
        format!(
            "model\n  schema 1.1\ntype user\ntype group\n  relations\n    define member: [user, group#member]\ntype doc\n  \
             relations\n    {definitions}\n"
        )
    };
    let definitions = DEFINITIONS.iter().map(|text| (document(text), "fga"));
    let texts = TEXTS.iter().map(|text| ((*text).to_owned(), "fga"));
    let jsons = JSONS.iter().map(|text| ((*text).to_owned(), "json"));
    let (mut differences, mut good) = (Vec::new(), BTreeSet::new());
    for (text, form) in definitions.chain(texts).chain(jsons) {
        match judged_alike(&official, &text, form) {
            Ok(true) => drop(good.insert(text)),
            Ok(false) => {}
            Err(difference) => differences.push(difference),
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert!(good.len() > 10);
}
