//! Every endpoint and every member of a request, read from the sources, so that a test about all of them forgets none.

use std::collections::BTreeSet;
use std::path::Path;

use reqwest::Method;

/// An endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(crate) method: Method,
    /// With `{names}`.
    pub(crate) path: String,
    /// The members of the bodies and queries of its file.
    pub(crate) members: BTreeSet<String>,
}

/// Every endpoint of the API.
pub(crate) fn endpoints() -> Vec<Endpoint> {
    let mut found = Vec::new();
    for source in sources() {
        let members = members(&source);
        for call in source.split(".route(").skip(1) {
            let Some(path) = literal(call) else { continue };
            let whole = until_closed(call);
            for (word, method) in [
                ("get(", Method::GET),
                ("post(", Method::POST),
                ("put(", Method::PUT),
                ("patch(", Method::PATCH),
                ("delete(", Method::DELETE),
            ] {
                let is_called = whole.match_indices(word).any(|(at, _)| {
                    let before = whole[..at].chars().next_back();
                    !before.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_')
                });
                if is_called {
                    found.push(Endpoint {
                        method,
                        path: path.to_owned(),
                        members: members.clone(),
                    });
                }
            }
        }
    }
    found.sort_by_key(|endpoint| (endpoint.path.clone(), endpoint.method.to_string()));
    found.dedup();
    assert!(found.len() > 50, "the sources were read: {found:?}");
    assert!(
        found
            .iter()
            .any(|endpoint| endpoint.members.contains("redirect_uris")),
        "members were read"
    );
    found
}

/// The name of every member of a body or a query that a source declares.
fn members(source: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for after in source.split("#[derive(").skip(1) {
        let Some((derived, rest)) = after.split_once(")]") else {
            continue;
        };
        let Some((head, body)) = rest.split_once('{') else {
            continue;
        };
        if !derived.contains("Deserialize") || !head.contains("struct") {
            continue;
        }
        let fields = body.split('}').next().unwrap_or_default();
        for line in fields.lines().map(str::trim) {
            let name = line.trim_start_matches("pub(super) ").split(':').next();
            if let Some(name) = name
                && line.contains(": ")
                && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
            {
                found.insert(name.to_owned());
            }
        }
    }
    found
}

/// The text of every file of endpoints, without its tests.
pub(crate) fn sources() -> Vec<String> {
    let mut found = Vec::new();
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/api"), &mut found);
    found
}

fn read(dir: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(dir).expect("the directory of the API") {
        let path = entry.expect("entry").path();
        if path.is_dir() {
            read(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).expect("source");
            // Tests of a file are not its endpoints.
            found.push(text.split("#[cfg(test)]").next().unwrap_or_default().to_owned());
        }
    }
}

/// The first string of a call.
fn literal(call: &str) -> Option<&str> {
    let rest = call.trim_start().strip_prefix('"')?;
    rest.split('"').next()
}

/// The text of a call up to the bracket that ends it.
fn until_closed(call: &str) -> &str {
    let mut open = 1_u32;
    for (at, c) in call.char_indices() {
        match c {
            '(' => open += 1,
            ')' => open -= 1,
            _ => {}
        }
        if open == 0 {
            return &call[..at];
        }
    }
    call
}
