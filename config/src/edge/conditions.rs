//! What a request must have besides method, host and path for a route to be meant.
//!
//! Conditions choose between routes; they protect nothing, because it is the client who decides what he sends. So they may
//! not speak of what carries a credential, frames the request or says who somebody is.

use std::collections::BTreeMap;

use schemars::{Schema, SchemaGenerator, json_schema};

use crate::section::{Place, Reader, Section, Setting, section};

section! {
    /// What a request must have besides its method, host and path. All of it must hold; otherwise another route is
    /// looked for. A route with more conditions goes before one with fewer. Conditions choose between routes and protect
    /// nothing: a client can leave out what they ask for.
    check check;
    pub struct Conditions {
        /// Header fields by lower-case name, each with the exact value that must be there once, or `"*"` for any one value.
        pub headers: Expectations = "{}",
        /// Query parameters by name, each with the exact decoded value that must be there once, or `"*"` for any one value.
        pub query: Expectations = "{}",
    }
}

/// What is expected, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expectations(BTreeMap<String, Expected>);

/// What is expected under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// Any one value.
    Any,
    /// Exactly this one.
    Exactly(String),
}

/// How many conditions a route may have.
const MOST_CONDITIONS: usize = 8;

/// Header fields by which a credential or an identity is carried, a request is framed, or another hop is spoken to.
const REFUSED: &[&str] = &[
    "authorization",
    "client-ip",
    "connection",
    "content-length",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "proxy",
    "remote-user",
    "te",
    "trailer",
    "transfer-encoding",
    "true-client-ip",
    "upgrade",
    "x-authz-token",
    "x-client-ip",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-method",
    "x-original-uri",
    "x-original-url",
    "x-real-ip",
    "x-request-id",
    "x-rewrite-url",
    "x-service-key",
];

/// The same for everything that begins so.
const REFUSED_PREFIXES: &[&str] = &["proxy-", "x-auth", "x-forwarded-", "x-sentinel-", "x-user"];

impl Expectations {
    /// Names and what is expected of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Expected)> {
        self.0.iter().map(|(name, expected)| (name.as_str(), expected))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is expected.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What both expect, if one request can have it.
    fn with(&self, other: &Self) -> Option<Self> {
        let mut both = self.clone();
        for (name, expected) in &other.0 {
            match (both.0.get(name), expected) {
                (Some(Expected::Exactly(one)), Expected::Exactly(another)) if one != another => return None,
                (Some(Expected::Exactly(_)), _) => {}
                _ => {
                    both.0.insert(name.clone(), expected.clone());
                }
            }
        }
        Some(both)
    }
}

impl Expected {
    /// A value that is as expected.
    pub fn example(&self) -> &str {
        match self {
            Self::Any => "x",
            Self::Exactly(value) => value,
        }
    }
}

impl Conditions {
    /// None at all.
    pub fn none() -> Self {
        Self {
            headers: Expectations::default(),
            query: Expectations::default(),
        }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.headers.len() + self.query.len()
    }

    /// All of both, if one request can meet them.
    pub fn with(&self, other: &Self) -> Option<Self> {
        Some(Self {
            headers: self.headers.with(&other.headers)?,
            query: self.query.with(&other.query)?,
        })
    }

    /// What a request has that both are met by, if nothing says which of two routes with these conditions goes before: there
    /// are as many of the ones as of the others.
    pub fn tie(&self, other: &Self) -> Option<Self> {
        (self.count() == other.count())
            .then(|| self.with(other))
            .flatten()
    }
}

impl Setting for Expectations {
    fn read(place: &Place<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let section = Section::open(place, reader)?;
        let mut all = BTreeMap::new();
        let mut good = true;
        for (entry, place) in section.entries() {
            match String::read(&place, reader) {
                Some(value) if value == "*" => {
                    all.insert(entry.key.clone(), Expected::Any);
                }
                Some(value) => {
                    all.insert(entry.key.clone(), Expected::Exactly(value));
                }
                None => good = false,
            }
        }
        good.then_some(Self(all))
    }

    fn describe(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "propertyNames": { "minLength": 1 },
            "additionalProperties": { "type": "string", "minLength": 1 },
        })
    }
}

fn check(conditions: &Conditions, section: &Section<'_>, reader: &mut Reader<'_>) {
    let headers = section.place_of("headers");
    for (name, expected) in conditions.headers.iter() {
        if let Some(reason) = why_not_header(name) {
            reader.problem(
                &headers.child(name),
                format!("`{name}` cannot be a condition: {reason}"),
            );
        }
        if !is_field_value(expected.example()) {
            reader.problem(&headers.child(name), "no header field has this value: visible ASCII characters are expected, and spaces between them");
        }
    }
    let query = section.place_of("query");
    for (name, expected) in conditions.query.iter() {
        if name.is_empty()
            || name
                .chars()
                .chain(expected.example().chars())
                .any(char::is_control)
        {
            reader.problem(
                &query.child(name),
                "a query parameter has a name, and no control characters",
            );
        }
    }
    if conditions.count() > MOST_CONDITIONS {
        let place = section.place().clone();
        reader.problem(
            &place,
            format!("there are more than {MOST_CONDITIONS} conditions: keep those that tell this route from others"),
        );
    }
}

/// Why routes cannot be told apart by a header field, if they cannot.
fn why_not_header(name: &str) -> Option<&'static str> {
    let is_plain = (1..=64).contains(&name.len())
        && name.as_bytes().first().is_some_and(u8::is_ascii_lowercase)
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if !is_plain {
        return Some("the name of a header field is 1 to 64 characters from `a-z 0-9 -`, the first a letter");
    }
    let is_refused =
        REFUSED.contains(&name) || REFUSED_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    is_refused.then_some(
        "it carries a credential or an identity, frames the request, or is the edge's own; who may pass is said by `require`",
    )
}

/// Whether a header field can have this value (RFC 9110 §5.5), of ASCII alone.
fn is_field_value(value: &str) -> bool {
    value.trim() == value && value.bytes().all(|b| b.is_ascii_graphic() || b == b' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conditions(headers: &[(&str, &str)], query: &[(&str, &str)]) -> Conditions {
        let all = |pairs: &[(&str, &str)]| {
            let expected = |value: &str| match value {
                "*" => Expected::Any,
                value => Expected::Exactly(value.to_owned()),
            };
            Expectations(
                pairs
                    .iter()
                    .map(|(name, value)| ((*name).to_owned(), expected(value)))
                    .collect(),
            )
        };
        Conditions {
            headers: all(headers),
            query: all(query),
        }
    }

    fn ties(one: &Conditions, other: &Conditions) -> bool {
        let tie = one.tie(other).is_some();
        assert_eq!(tie, other.tie(one).is_some());
        tie
    }

    #[test]
    fn as_many_conditions_tie_unless_they_exclude_each_other() {
        let none = Conditions::none();
        let tenant = conditions(&[("x-tenant", "acme")], &[]);
        assert!(ties(&none, &none) && ties(&tenant, &tenant));
        assert!(!ties(&none, &tenant), "one has more");
        for (other, tied) in [
            (conditions(&[("x-tenant", "other")], &[]), false),
            (conditions(&[("x-tenant", "*")], &[]), true),
            (conditions(&[("x-version", "2")], &[]), true),
            (conditions(&[], &[("x-tenant", "other")]), true),
            (conditions(&[("x-tenant", "acme")], &[("a", "1")]), false),
        ] {
            assert_eq!(ties(&tenant, &other), tied, "{other:?}");
        }
        let two = |a: &str, b: &str| conditions(&[("a", a)], &[("b", b)]);
        assert!(ties(&two("1", "*"), &two("*", "2")));
        assert!(!ties(&two("1", "*"), &two("2", "*")));
    }

    #[test]
    fn what_both_ask_for_keeps_the_exact_values() {
        let both = conditions(&[("a", "1"), ("b", "*")], &[])
            .with(&conditions(&[("a", "*"), ("b", "2")], &[("c", "*")]));
        let both = both.expect("nothing excludes anything");
        let expected = conditions(&[("a", "1"), ("b", "2")], &[("c", "*")]);
        assert_eq!((both.headers, both.query), (expected.headers, expected.query));
    }

    #[test]
    fn some_header_fields_are_no_ground_to_choose_by() {
        for name in [
            "accept",
            "x-tenant",
            "content-type",
            "sec-fetch-mode",
            "x-sentinel",
        ] {
            assert_eq!(why_not_header(name), None, "`{name}`");
        }
        for name in [
            "",
            "Accept",
            "x_tenant",
            "x tenant",
            ":path",
            "1a",
            "authorization",
            "cookie",
            "host",
            "x-service-key",
            "x-authz-token",
            "x-sentinel-user-id",
            "x-forwarded-for",
            "proxy-authorization",
            "content-length",
            "x-user-id",
            "x-auth-request-user",
            "x-request-id",
            "x-original-url",
        ] {
            assert!(why_not_header(name).is_some(), "`{name}`");
        }
        for (value, good) in [
            ("a b", true),
            ("text/html, */*", true),
            (" a", false),
            ("a\t", false),
            ("é", false),
        ] {
            assert_eq!(is_field_value(value), good, "`{value}`");
        }
    }
}
