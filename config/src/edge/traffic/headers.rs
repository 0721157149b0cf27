//! Header fields that a route changes on the way.

use std::collections::BTreeMap;

use crate::section::{Place, Reader, Section, section};

section! {
    /// Header fields that are changed on the way.
    check check;
    pub struct HeaderRules {
        /// Fields that get this value, by lower-case name, whatever they had before.
        pub set: BTreeMap<String, String> = "{}",
        /// Fields that are taken away, by lower-case name.
        pub remove: Vec<String> = "[]",
    }
}

/// What frames a message, belongs to one connection, opens a tunnel, or is decided by the edge in another way.
const REFUSED: &[&str] = &[
    "connection",
    "content-length",
    "date",
    "expect",
    "forwarded",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-request-id",
    "x-service-key",
];

/// The same for everything that begins so.
const REFUSED_PREFIXES: &[&str] = &["access-control-", "sec-websocket-", "x-forwarded-", "x-sentinel-"];

fn check(rules: &HeaderRules, section: &Section<'_>, reader: &mut Reader<'_>) {
    let set = section.place_of("set");
    for (name, value) in &rules.set {
        if name == "x-authz-token" {
            reader.problem(
                &set.child(name),
                "nobody but its owner shows an authz token: remove the line",
            );
        }
        check_name(name, &set.child(name), reader);
        if !is_field_value(value) {
            reader.problem(
                &set.child(name),
                "no header field can have this value: visible ASCII characters are expected, and spaces between them",
            );
        }
    }
    let remove = section.place_of("remove");
    for (index, name) in rules.remove.iter().enumerate() {
        let place = remove.nth(index).unwrap_or_else(|| remove.clone());
        check_name(name, &place, reader);
        if rules.set.contains_key(name) {
            reader.problem(
                &place,
                format!("`{name}` is set as well, and that takes away what was there: keep one of the two"),
            );
        }
    }
}

fn check_name(name: &str, place: &Place<'_>, reader: &mut Reader<'_>) {
    // `_` and `.` are field-name characters, but they fold into `-` in many services, and so into names that mean
    // something else.
    if !is_field_name(name) || name.contains(|c: char| !c.is_ascii_alphanumeric() && c != '-') {
        reader.problem(
            place,
            "this is not the name of a header field that can be changed: one of `a-z 0-9 -` such as `x-tenant` is expected",
        );
    } else if name.starts_with("access-control-") {
        reader.problem(place, format!("`{name}` is not changed by hand: use `cors`"));
    } else if REFUSED.contains(&name) || REFUSED_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
        reader.problem(
            place,
            format!("`{name}` frames the message, belongs to the connection, or is the edge's to write: leave it out"),
        );
    }
}

/// Whether a text is the name of a header field (a token, RFC 9110 §5.6.2) in lower case.
pub(super) fn is_field_name(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"!#$%&'+-.^_`|~".contains(&byte)
        })
}

/// Whether a header field can have this value (RFC 9110 §5.5), of ASCII alone.
fn is_field_value(value: &str) -> bool {
    value.trim() == value && value.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ')
}
