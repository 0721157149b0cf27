//! The pages of other origins that may use a route.

use std::time::Duration;

use super::headers::is_field_name;
use crate::section::{Reader, Section, section};
use crate::value::{HttpUrl, between};

section! {
    /// Which pages of other origins may use a route from a browser (the Fetch standard's CORS protocol). Preflight requests
    /// are answered by the edge and never forwarded.
    check check;
    pub struct Cors {
        /// The origins, such as `https://app.example.com`, exactly; `"*"` alone for every origin, without credentials.
        pub origins: Vec<String>,
        /// The header fields that a page may send besides the safelisted ones, by lower-case name; `authorization` is one
        /// of them.
        pub headers: Vec<String> = "[]",
        /// The header fields of an answer that a page may read besides the safelisted ones, by lower-case name.
        pub expose: Vec<String> = "[]",
        /// Whether a page may send credentials (cookies).
        pub credentials: bool = "false",
        /// How long a browser may remember the answer to a preflight request, 0s to 1d.
        pub max_age: Duration = "10m",
    }
}

/// Stands for every origin.
const ANY: &str = "*";

fn check(cors: &Cors, section: &Section<'_>, reader: &mut Reader<'_>) {
    let origins = section.place_of("origins");
    if cors.origins.is_empty() {
        reader.problem(
            &origins,
            "without an origin no page may use the route: name one, or remove `cors`",
        );
    }
    for (index, origin) in cors.origins.iter().enumerate() {
        let place = origins.nth(index).unwrap_or_else(|| origins.clone());
        if origin == ANY {
            if cors.origins.len() > 1 {
                reader.problem(
                    &place,
                    "`*` is every origin: keep it alone, or name the origins that are meant",
                );
            }
            if cors.credentials {
                reader.problem(
                    &place,
                    "`*` together with `credentials: true` would let every page act for whoever looks at it: name the origins, or remove `credentials`",
                );
            }
        } else if let Some(reason) = why_not_origin(origin) {
            reader.problem(&place, format!("`{}` is not an origin: {reason}", clip(origin)));
        }
    }
    for (key, names) in [("headers", &cors.headers), ("expose", &cors.expose)] {
        let list = section.place_of(key);
        for (index, name) in names.iter().enumerate().filter(|(_, name)| !is_field_name(name)) {
            let place = list.nth(index).unwrap_or_else(|| list.clone());
            reader.problem(
                &place,
                format!("`{}` is not the name of a header field: one in lower case such as `x-tenant` is expected, and there is no `*`", clip(name)),
            );
        }
    }
    let ages = (Duration::ZERO, Duration::from_hours(24));
    between(section, "max_age", cors.max_age, ages, reader);
}

/// Why a text is not an origin as browsers write it (HTML standard, serialization of an origin), if it is not.
fn why_not_origin(text: &str) -> Option<String> {
    if text == "null" {
        return Some("`null` is sent by every page that hides where it comes from".to_owned());
    }
    if text.contains('*') {
        return Some("there are no patterns, only every origin by `*` alone: name each one".to_owned());
    }
    match text.parse::<HttpUrl>() {
        Err(_) => Some("`http://` or `https://`, a host and perhaps a port is expected".to_owned()),
        Ok(url) => {
            let written = url.as_url().origin().ascii_serialization();
            (written != text).then(|| format!("browsers write `{written}`"))
        }
    }
}

/// So much of a text as a message shows.
fn clip(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_what_a_browser_sends() {
        for good in [
            "https://app.example.com",
            "http://localhost:3000",
            "https://app.example.com:8443",
            "http://127.0.0.1:3000",
            "http://[::1]:3000",
            "http://[::1]",
        ] {
            assert_eq!(why_not_origin(good), None, "`{good}`");
        }
        for bad in [
            "",
            "null",
            "app.example.com",
            "//app.example.com",
            "https://",
            "https://app.example.com/",
            "https://app.example.com/path",
            "https://app.example.com?x",
            "https://app.example.com#x",
            "https://user@app.example.com",
            "https://App.example.com",
            "HTTPS://app.example.com",
            "https://*.example.com",
            "https://app.example.com:443",
            "http://app.example.com:80",
            "http://app.example.com:080",
            "https://app.example.com:",
            "https://app.example.com:99999",
            "https://caf\u{e9}.example",
            "https://a.example, https://b.example",
            "https://a.example\r\nx: y",
            "chrome-extension://abcdef",
        ] {
            assert!(why_not_origin(bad).is_some(), "`{bad}`");
        }
    }
}
