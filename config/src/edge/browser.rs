//! Browsers: sending a person to login and back.

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use sentinel_core::id::ClientAppId;
use sentinel_core::name::Slug;
use url::Url;

use super::path::{PathPattern, Segment};
use super::pattern::{Method, RoutePattern};
use crate::section::{Place, Reader, Section, section};
use crate::value::{NAME_RULE, between, is_name};

section! {
    /// How the edge signs in the people behind browsers: it sends them to the control plane's login and keeps their tokens in
    /// cookies that scripts cannot read. Routes use it by `cookie: true` and `login: true`.
    check check;
    pub struct Login {
        /// The client app that was registered for this edge at the control plane, with the redirect URI
        /// `https://<host><path>/callback` for every host that is signed in to.
        pub client_id: String,
        /// The identity provider to go to.
        ///
        /// Default: people choose on a page of the edge.
        pub provider: Option<String>,
        /// The slug of the workspace that people sign in to.
        ///
        /// Default: people who are members of several choose on a page of the edge.
        pub workspace: Option<String>,
        /// Where the edge answers by itself, on every host: `<path>/callback`, `<path>/workspace`, `<path>/logout` and
        /// `<path>/login`.
        pub path: String = "/.sentinel",
        /// Where a person is brought after signing out: a path, or an `https` URL.
        pub after_logout: String = "/",
        /// How long a person may take to sign in, 1m to 1h.
        pub patience: Duration = "10m",
        /// The secret that protects what the edge leaves with browsers: at least 32 characters, the same on all edges of a
        /// deployment.
        pub cookie_key: SecretString,
    }
}

/// The path of the edge's own pages where none is written.
const DEFAULT_PATH: &str = "/.sentinel";
/// The prefix that keeps other hosts and plain connections from setting a cookie (RFC 6265bis §4.1.3.2).
const HOST_ONLY: &str = "__Host-";
/// The shortest secret.
const SHORTEST_KEY: usize = 32;

fn check(login: &Login, section: &Section<'_>, reader: &mut Reader<'_>) {
    let mut problem = |key: &str, message: String| reader.problem(&section.place_of(key), message);
    if login.client_id.parse::<ClientAppId>().is_err() {
        problem(
            "client_id",
            "the id of a client app is expected, such as `0190a0a0-0000-7000-8000-000000000001`: the control plane's admin panel shows it".to_owned(),
        );
    }
    if let Some(name) = login.provider.as_deref().filter(|name| !is_name(name)) {
        problem(
            "provider",
            format!("`{name}` is not the name of a provider: {NAME_RULE}"),
        );
    }
    if let Some(slug) = login.workspace.as_deref()
        && let Err(error) = slug.parse::<Slug>()
    {
        problem("workspace", error.to_string());
    }
    if own_path(&login.path).is_none() {
        let path = &login.path;
        problem(
            "path",
            format!(
                "`{path}` is not a path for the edge's own pages: one such as `{DEFAULT_PATH}` is expected, without parameters and without a slash at its end"
            ),
        );
    }
    if !is_place(&login.after_logout) {
        problem(
            "after_logout",
            "a path that begins with one `/`, or a URL that begins with `https://` is expected".to_owned(),
        );
    }
    if login.cookie_key.expose_secret().chars().count() < SHORTEST_KEY {
        problem(
            "cookie_key",
            format!(
                "the secret is too short: at least {SHORTEST_KEY} characters are expected, for example from `openssl rand -base64 32`"
            ),
        );
    }
    let patience = (Duration::from_mins(1), Duration::from_hours(1));
    between(section, "patience", login.patience, patience, reader);
    let named = reader.root.get("session_cookie");
    if let Some(node) = named
        && let Some(name) = node.as_text()
        && !name.starts_with(HOST_ONLY)
    {
        let place = Place {
            node,
            path: "session_cookie".to_owned(),
        };
        reader.problem(&place, format!("the edge's `login` sets this cookie, and without `{HOST_ONLY}` at the beginning of its name a neighbouring host could set another one in its place: begin the name with `{HOST_ONLY}`"));
    }
}

/// What a route says about login fits the rest of it, and its path leaves the edge's own pages alone.
pub(super) fn check_route(
    (cookie, login): (bool, bool),
    pattern: Option<&RoutePattern>,
    section: &Section<'_>,
    reader: &mut Reader<'_>,
) {
    if login {
        let place = section.place_of("login");
        if reader.root.get("login").is_none() {
            reader.problem(&place, "there is no `login` section that says how people are signed in: write one beside `routes`, or remove the line");
        }
        if !cookie {
            reader.problem(&place, "a browser that is signed in brings a cookie, which this route does not take: add `cookie: true`");
        }
        if pattern.is_some_and(|pattern| !matches!(pattern.method, Method::Get | Method::Head)) {
            reader.problem(&place, "only a page that is looked at can be left for the login and come back to: `login: true` goes with `GET` and `HEAD`");
        }
    }
    let reserved = reader.root.get("login").map(|login| {
        let path = login.get("path").and_then(|node| node.as_text());
        path.unwrap_or(DEFAULT_PATH)
    });
    if let (Some(reserved), Some(pattern)) = (reserved, pattern)
        && own_path(reserved).is_some_and(|own| is_under(&pattern.path, &own))
    {
        reader.problem(
            &section.place_of("match"),
            format!("what lies under `{reserved}` is answered by the edge itself (`login.path`): choose another path"),
        );
    }
}

/// The segments of a path that the edge can keep for itself: at least one, in the one spelling that requests may have.
fn own_path(path: &str) -> Option<Vec<Segment>> {
    let pattern: PathPattern = path.parse().ok()?;
    let literal = pattern
        .segments
        .iter()
        .all(|segment| matches!(segment, Segment::Literal(_)));
    (literal && !pattern.segments.is_empty() && !pattern.trailing_slash).then_some(pattern.segments)
}

fn is_under(path: &PathPattern, own: &[Segment]) -> bool {
    path.segments.starts_with(own)
}

/// Whether a browser can be sent there: a path of the same host, or a page of any host over an encrypted connection.
fn is_place(text: &str) -> bool {
    let plain = text
        .bytes()
        .all(|b| b.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&b));
    if !plain {
        return false;
    }
    match text.strip_prefix('/') {
        Some(rest) => !rest.starts_with('/'),
        None => Url::parse(text).is_ok_and(|url| {
            text.starts_with("https://") && url.username().is_empty() && url.password().is_none()
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_edges_own_pages_have_a_plain_path_of_their_own() {
        for good in ["/.sentinel", "/auth", "/a/b", "/caf%C3%A9"] {
            assert!(own_path(good).is_some(), "`{good}`");
        }
        for bad in [
            "", "/", "auth", "/auth/", "/{any}", "/a/{any}", "/a//b", "/../a", "/a b", "//a",
        ] {
            assert!(own_path(bad).is_none(), "`{bad}`");
        }
    }

    #[test]
    fn a_path_lies_under_another_by_whole_segments() {
        let own = own_path("/.sentinel").expect("a path");
        let under = |path: &str| is_under(&path.parse().expect(path), &own);
        assert!(under("/.sentinel") && under("/.sentinel/") && under("/.sentinel/{any}"));
        assert!(!under("/") && !under("/.sentinels") && !under("/{any}") && !under("/a/.sentinel"));
    }

    #[test]
    fn a_browser_is_sent_to_a_path_or_over_https() {
        for good in [
            "/",
            "/bye?from=here",
            "https://example.com",
            "https://example.com/bye?a=b#c",
        ] {
            assert!(is_place(good), "`{good}`");
        }
        for bad in [
            "",
            "bye",
            "//evil.example",
            "/\\evil.example",
            "http://example.com",
            "https://",
            "https:evil",
            "https://user:secret@example.com",
            "javascript:alert(1)",
            "/a b",
            "/a\nb",
            "/\"",
        ] {
            assert!(!is_place(bad), "`{bad}`");
        }
    }
}
