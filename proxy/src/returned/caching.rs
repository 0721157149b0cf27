//! Who may keep an answer (RFC 9111). A cache between browser and edge knows nothing of sessions: unlike `Authorization`, a
//! cookie keeps none of them from giving one person's answer to the next (§3.5).

use http::header::{CACHE_CONTROL, VARY};
use http::{HeaderName, HeaderValue};
use pingora::http::ResponseHeader;

/// What lets caches keep an answer that many people use (RFC 9111 §5.2.2). `must-understand` takes the meaning from `no-store`.
const SHARED: &[&str] = &["public", "s-maxage", "must-understand"];
/// Fields that speak to caches of one kind, which then look at no other (RFC 9213): those that end like this,
const TARGETED: &str = "-cache-control";
/// and those that are older.
const OLDER: &[&str] = &["surrogate-control", "edge-control", "x-accel-expires"];

const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const COOKIE: HeaderValue = HeaderValue::from_static("cookie");

/// Makes an answer one that nobody keeps but the browser that it is for.
///
/// # Errors
/// A field cannot be written.
pub fn keep_private(response: &mut ResponseHeader) -> pingora::Result<()> {
    remove_targeted(response);
    let kept = match said(response) {
        Some(directives) => restrict(&directives),
        None => NO_STORE,
    };
    response.insert_header(CACHE_CONTROL, kept)?;
    let varies = response.headers.get_all(VARY).iter();
    let mut names = varies.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    let is_known = names.any(|name| {
        let name = name.trim_ascii();
        name == b"*" || name.eq_ignore_ascii_case(b"cookie")
    });
    if !is_known {
        response.append_header(VARY, COOKIE)?;
    }
    Ok(())
}

/// Removes what is said to shared caches of one kind.
pub fn remove_targeted(response: &mut ResponseHeader) {
    let is_targeted = |name: &&HeaderName| {
        let name = name.as_str();
        name.ends_with(TARGETED) || OLDER.contains(&name)
    };
    let targeted: Vec<HeaderName> = response.headers.keys().filter(is_targeted).cloned().collect();
    for name in &targeted {
        response.remove_header(name);
    }
}

/// The directives of `Cache-Control`, all lines together; `None` if they cannot be read.
fn said(response: &ResponseHeader) -> Option<Vec<&str>> {
    let mut all = Vec::new();
    for line in response.headers.get_all(CACHE_CONTROL) {
        let mut rest = line.to_str().ok()?;
        loop {
            let (directive, behind) = split(rest)?;
            all.push(directive.trim_matches([' ', '\t']));
            match behind {
                Some(behind) => rest = behind,
                None => break,
            }
        }
    }
    all.retain(|directive| !directive.is_empty());
    Some(all)
}

/// The text before the first comma that is not quoted (RFC 9110 §5.6.4), and the one behind it; `None` if a quote does not
/// end.
fn split(text: &str) -> Option<(&str, Option<&str>)> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            b',' if !is_quoted => {
                let (directive, behind) = text.split_at_checked(at)?;
                return Some((directive, behind.get(1..)));
            }
            _ => {}
        }
    }
    (!is_quoted).then_some((text, None))
}

/// The same directives without those for shared caches, and with `private` unless nobody keeps the answer.
fn restrict(directives: &[&str]) -> HeaderValue {
    let named = |directive: &str, word: &str| {
        let name = directive.split('=').next().unwrap_or_default();
        name.trim_ascii().eq_ignore_ascii_case(word)
    };
    let mut left: Vec<&str> = directives
        .iter()
        .filter(|directive| !SHARED.iter().any(|word| named(directive, word)))
        // With names of fields it is about those alone (RFC 9111 §5.2.2.7).
        .filter(|directive| !named(directive, "private"))
        .copied()
        .collect();
    if !left
        .iter()
        .any(|directive| directive.eq_ignore_ascii_case("no-store"))
    {
        left.push("private");
    }
    HeaderValue::try_from(left.join(", ")).unwrap_or(NO_STORE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(lines: &[(&'static str, &'static str)]) -> ResponseHeader {
        let mut response = ResponseHeader::build(200, None).expect("a header");
        for (name, value) in lines {
            response.append_header(*name, *value).expect("a line");
        }
        keep_private(&mut response).expect("written");
        response
    }

    fn values<'r>(response: &'r ResponseHeader, name: &str) -> Vec<&'r str> {
        let values = response.headers.get_all(name).iter();
        values.map(|value| value.to_str().expect("text")).collect()
    }

    #[test]
    fn only_the_browser_keeps_it() {
        for (said, kept) in [
            (&[] as &[_], "private"),
            (&["public"], "private"),
            (&["Public, max-age=60, S-MaxAge=\"9\""], "max-age=60, private"),
            (&["public , immutable", "s-maxage=5"], "immutable, private"),
            (&["private"], "private"),
            (&["PRIVATE=\"set-cookie, vary\", max-age=1"], "max-age=1, private"),
            (&["no-cache=\"a, public\""], "no-cache=\"a, public\", private"),
            (
                &["no-cache=\"a\\\", public\", public"],
                "no-cache=\"a\\\", public\", private",
            ),
            (&["no-store"], "no-store"),
            (&["NO-STORE, public"], "NO-STORE"),
            (&["no-store=\"x\""], "no-store=\"x\", private"),
            (&["no-store, must-understand, public"], "no-store"),
            (&[", ,", ""], "private"),
            (&["max-age=60, public, x=\"y"], "no-store"),
        ] {
            let lines: Vec<_> = said.iter().map(|line| ("cache-control", *line)).collect();
            assert_eq!(values(&answer(&lines), "cache-control"), [kept], "{said:?}");
        }
        let mut response = ResponseHeader::build(200, None).expect("a header");
        let odd = HeaderValue::from_bytes(b"public, \xe4").expect("a value");
        response.append_header(CACHE_CONTROL, odd).expect("a line");
        keep_private(&mut response).expect("written");
        assert_eq!(values(&response, "cache-control"), ["no-store"]);
    }

    #[test]
    fn caches_are_told_what_it_depends_on() {
        for (said, kept) in [
            (&[] as &[_], &["cookie"] as &[_]),
            (&["accept"], &["accept", "cookie"]),
            (&["accept,Cookie"], &["accept,Cookie"]),
            (&["*"], &["*"]),
            (&["x-cookie"], &["x-cookie", "cookie"]),
        ] {
            let lines: Vec<_> = said.iter().map(|line| ("vary", *line)).collect();
            assert_eq!(values(&answer(&lines), "vary"), kept, "{said:?}");
        }
    }

    #[test]
    fn nothing_is_said_to_a_cache_of_its_own_kind() {
        let names = [
            "cdn-cache-control",
            "cloudflare-cdn-cache-control",
            "surrogate-control",
            "edge-control",
            "x-accel-expires",
        ];
        let mut lines = names.map(|name| (name, "max-age=60")).to_vec();
        lines.push(("expires", "Thu, 01 Jan 1970 00:00:00 GMT"));
        let response = answer(&lines);
        for name in names {
            assert!(values(&response, name).is_empty(), "{name}");
        }
        assert_eq!(values(&response, "expires").len(), 1);
    }
}
