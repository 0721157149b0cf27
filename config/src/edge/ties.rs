//! Two routes that one request could meet, with nothing to choose between them, are a mistake: the order in the file must
//! not decide who may pass.

use std::collections::HashMap;
use std::fmt::Write as _;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::conditions::Conditions;
use super::pattern::RoutePattern;
use crate::section::{Place, Reader, Setting};

/// How many routes may be for the same method, host and path, told apart by their conditions alone.
const MOST_ALTERNATIVES: usize = 64;

/// What a query needs no percent-encoding for (RFC 3986 §2.3).
const QUERY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A request that has all of `conditions` and matches `pattern`, for messages.
pub fn example_request(pattern: &RoutePattern, conditions: &Conditions) -> String {
    let mut text = format!("`{}", pattern.example());
    for (index, (name, expected)) in conditions.query.iter().enumerate() {
        let encoded = |text| utf8_percent_encode(text, QUERY);
        let separator = if index == 0 { '?' } else { '&' };
        // Writing to a string does not fail.
        let _ = write!(
            text,
            "{separator}{}={}",
            encoded(name),
            encoded(expected.example())
        );
    }
    text.push('`');
    for (index, (name, expected)) in conditions.headers.iter().enumerate() {
        let word = if index == 0 { "with" } else { "and" };
        let _ = write!(text, " {word} `{name}: {}`", expected.example());
    }
    text
}

/// Reports routes that tie. Looks at patterns and conditions alone, so that other mistakes do not hide this one.
pub(super) fn report(routes: &Place<'_>, reader: &mut Reader<'_>) {
    let mut seen: HashMap<RoutePattern, Vec<(Conditions, String)>> = HashMap::new();
    for item in (0..).map_while(|index| routes.nth(index)) {
        let text = item.node.get("match").and_then(|node| node.as_text());
        let Some(pattern) = text.and_then(|text| text.parse::<RoutePattern>().ok()) else {
            continue;
        };
        let Some(conditions) = conditions(&item, reader) else {
            continue;
        };
        let alike = seen.entry(pattern.shape()).or_default();
        if alike.len() >= MOST_ALTERNATIVES {
            reader.problem(
                &item.child("match"),
                format!(
                    "more than {MOST_ALTERNATIVES} routes are for `{}`: let the service choose by itself",
                    pattern.example()
                ),
            );
            continue;
        }
        let tied = alike
            .iter()
            .find_map(|(other, path)| Some((path, other.tie(&conditions)?)));
        if let Some((first, both)) = tied {
            let example = example_request(&pattern, &both);
            reader.problem(
                &item.child("match"),
                format!("`{first}` is for the same requests, for example {example}: remove one, or make one more specific"),
            );
        }
        alike.push((conditions, item.path));
    }
}

/// The conditions of a route, if there is nothing wrong with them: what is, is reported where they are read.
fn conditions(route: &Place<'_>, reader: &Reader<'_>) -> Option<Conditions> {
    if route.node.get("when").is_none() {
        return Some(Conditions::none());
    }
    let mut aside = Reader {
        file: reader.file.clone(),
        base: reader.base.clone(),
        root: reader.root,
        problems: Vec::new(),
    };
    Conditions::read(&route.child("when"), &mut aside).filter(|_| aside.problems.is_empty())
}
