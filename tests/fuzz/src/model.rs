//! Permission models of services, in OpenFGA's language and in its JSON form: what is read means the same however it is
//! written down again, and takes nothing away from Sentinel's own types and adds nothing to them.
//!
//! An input that begins with `{` is JSON; any other is in the language.

use sentinel_authz::{JsonModel, Model, ModelError, measure, sentinel};
use sentinel_core::name::ServiceName;

pub(crate) fn check(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    if text.trim_start().starts_with('{') {
        json(text);
    } else {
        language(text);
    }
}

fn language(text: &str) {
    let formatted = match Model::format(text) {
        Ok(formatted) => formatted,
        Err(error) => {
            is_told(text, &error);
            assert!(Model::parse(text).is_err() && measure(text).is_err());
            return;
        }
    };
    let again = Model::format(&formatted);
    assert_eq!(again.as_ref(), Ok(&formatted), "the canonical form has another");
    assert_eq!(measure(text), measure(&formatted));
    let written = Model::dsl_to_json(text).expect("what can be read can be written");
    let read = match JsonModel::read(&written) {
        Ok(read) => read,
        // Only what is no model: in JSON a name that is defined twice cannot even be written.
        Err(error) => {
            assert!(
                Model::parse(text).is_err(),
                "what was written can be read: {error}"
            );
            return;
        }
    };
    is_settled(&read);
    match Model::parse(text) {
        Ok(model) => {
            assert_eq!(Model::parse(&formatted).as_ref(), Ok(&model));
            assert!(Model::parse_json(&written).is_ok());
        }
        Err(error) => {
            is_told(text, &error);
            assert!(Model::parse_json(&written).is_err(), "`{error}` is lost in JSON");
        }
    }
    beside_sentinels(text);
}

fn json(text: &str) {
    let read = match JsonModel::read(text) {
        Ok(read) => read,
        Err(error) => {
            assert!(!error.path.is_empty() && !error.message.is_empty());
            return;
        }
    };
    is_settled(&read);
    if let Err(error) = Model::parse(read.dsl()) {
        let told = read.locate(&error);
        assert!(!told.path.is_empty() && told.message == error.message);
    }
    beside_sentinels(read.dsl());
}

/// Written and read once more it is the same text.
fn is_settled(read: &JsonModel) {
    let written = Model::dsl_to_json(read.dsl()).expect("its text is in the language");
    let again = JsonModel::read(&written).expect("what was written can be read");
    assert_eq!(again.dsl(), read.dsl(), "another text each time");
}

/// The error names a place of the text.
fn is_told(text: &str, error: &ModelError) {
    // Behind the last line there is the end.
    let lines = text.split('\n').count();
    assert!(
        (1..=lines.saturating_add(1)).contains(&error.line) && error.column >= 1,
        "{error}"
    );
    assert!(!error.message.is_empty());
}

/// As the model of a service it has types of its own only, and Sentinel's are what they were.
fn beside_sentinels(text: &str) {
    let service: ServiceName = "docs".parse().expect("a name");
    let Ok(model) = sentinel::model_with([(&service, text)]) else {
        return;
    };
    let before = sentinel::model();
    let relations =
        |model: &Model, kind: &str| -> Vec<String> { model.relations_of(kind).map(str::to_owned).collect() };
    for kind in before.types() {
        assert_eq!(
            relations(&model, kind),
            relations(&before, kind),
            "`{kind}` has changed"
        );
    }
    for kind in model.types().filter(|kind| !before.has_type(kind)) {
        assert!(kind.starts_with("docs/"), "`{kind}` is nobody's");
    }
}
