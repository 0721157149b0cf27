//! Cookies as browsers bring them and as answers set them (RFC 6265bis).
//!
//! Whatever is set here is for this host alone, travels encrypted only, and cannot be read by a script. Values are marked
//! sensitive, so that no log and no compression table of HTTP/2 has them.

use std::time::Duration;

use http::header::{CACHE_CONTROL, COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue};
use pingora::http::ResponseHeader;

use crate::request::cookies::pieces;
use crate::returned::caching;

/// The longest value: browsers forget a cookie whose name, value and attributes are longer than 4096 bytes.
pub(super) const LONGEST_VALUE: usize = 3800;

/// The cookies of a request, in its order.
pub(super) fn all(fields: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    fields
        .get_all(COOKIE)
        .iter()
        .flat_map(|line| pieces(line.as_bytes()))
        // What is no text is nobody's that the edge knows, and hides none of its neighbours.
        .filter_map(|pair| std::str::from_utf8(pair).ok()?.split_once('='))
}

/// The one cookie of that name. Of two nobody can tell which one the edge has set.
pub(super) fn only<'a>(fields: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = all(fields).filter(|(known, _)| *known == name);
    let (_, value) = values.next()?;
    values.next().is_none().then_some(value)
}

/// The cookies that an answer sets and removes.
#[derive(Debug, Clone, Default)]
pub struct SetCookies(Vec<HeaderValue>);

/// A value that no cookie can have, or that browsers would forget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a cookie of {0} bytes cannot be kept by a browser")]
pub(super) struct Unfit(usize);

impl SetCookies {
    /// Sets a cookie for this long.
    pub(super) fn set(&mut self, name: &str, value: &str, life: Duration) -> Result<(), Unfit> {
        if value.len() > LONGEST_VALUE {
            return Err(Unfit(value.len()));
        }
        self.push(name, value, life)
    }

    /// Removes a cookie that the edge has set.
    pub(super) fn remove(&mut self, name: &str) {
        // A name that cannot be written back has not been set here.
        let _ = self.push(name, "", Duration::ZERO);
    }

    fn push(&mut self, name: &str, value: &str, life: Duration) -> Result<(), Unfit> {
        let seconds = life.as_secs();
        let text = format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; Secure; SameSite=Lax");
        let mut written = HeaderValue::try_from(text).map_err(|_| Unfit(value.len()))?;
        written.set_sensitive(true);
        self.0.push(written);
        Ok(())
    }

    /// Adds them to the answer of a service. One that sets a session is kept by nobody.
    ///
    /// # Errors
    /// The header cannot be written.
    pub fn set_on(&self, response: &mut ResponseHeader) -> pingora::Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        for line in &self.0 {
            response.append_header(SET_COOKIE, line)?;
        }
        caching::remove_targeted(response);
        response.insert_header(CACHE_CONTROL, "no-store")
    }

    /// The header lines.
    pub fn into_lines(self) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
        self.0.into_iter().map(|value| (SET_COOKIE, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(lines: &[&'static str]) -> HeaderMap {
        lines
            .iter()
            .map(|line| (COOKIE, HeaderValue::from_static(line)))
            .collect()
    }

    #[test]
    fn cookies_are_read_from_one_line_and_from_crumbs() {
        let found = fields(&["a=1; b=2;c=x=y ; d", "e="]);
        let found: Vec<_> = all(&found).collect();
        assert_eq!(found, [("a", "1"), ("b", "2"), ("c", "x=y"), ("e", "")]);
    }

    #[test]
    fn bytes_that_are_no_text_hide_no_other_cookie() {
        let mut found = HeaderMap::new();
        for line in [b"a=1; x=\xe4; b=2".as_slice(), b"\xff\xfe; c=\xc3\xa4; d=4"] {
            found.append(COOKIE, HeaderValue::from_bytes(line).expect("a line"));
        }
        let all: Vec<_> = all(&found).collect();
        assert_eq!(all, [("a", "1"), ("b", "2"), ("c", "\u{e4}"), ("d", "4")]);
        assert_eq!(only(&found, "b"), Some("2"));
    }

    #[test]
    fn of_two_cookies_of_a_name_none_counts() {
        assert_eq!(only(&fields(&["a=1; b=2"]), "a"), Some("1"));
        assert_eq!(only(&fields(&["a=1; b=2; a=1"]), "a"), None);
        assert_eq!(only(&fields(&["a=1", "a=2"]), "a"), None);
        assert_eq!(only(&fields(&["aa=1; A=2"]), "a"), None);
    }

    #[test]
    fn what_is_set_is_for_this_host_and_for_no_script() {
        let mut set = SetCookies::default();
        set.set("__Host-a", "v1", Duration::from_mins(10)).expect("fits");
        set.remove("__Host-b");
        let lines: Vec<String> = set
            .clone()
            .into_lines()
            .map(|(_, value)| value.to_str().expect("text").to_owned())
            .collect();
        assert_eq!(
            lines,
            [
                "__Host-a=v1; Path=/; Max-Age=600; HttpOnly; Secure; SameSite=Lax",
                "__Host-b=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax",
            ]
        );
        assert!(!format!("{set:?}").contains("v1"));
    }

    #[test]
    fn an_answer_that_sets_a_session_keeps_the_services_cookies_and_is_kept_by_nobody() {
        let mut response = ResponseHeader::build(200, None).expect("a header");
        for (name, value) in [
            ("set-cookie", "theirs=1"),
            ("cache-control", "public, max-age=60"),
            ("cdn-cache-control", "max-age=60"),
            ("surrogate-control", "max-age=60"),
        ] {
            response.append_header(name, value).expect("a line");
        }
        SetCookies::default().set_on(&mut response).expect("nothing");
        assert_eq!(
            response.headers.get(CACHE_CONTROL).expect("theirs"),
            "public, max-age=60"
        );
        let mut set = SetCookies::default();
        set.remove("__Host-a");
        set.set_on(&mut response).expect("written");
        assert_eq!(response.headers.get(CACHE_CONTROL).expect("ours"), "no-store");
        assert_eq!(response.headers.get_all(SET_COOKIE).iter().count(), 2);
        for name in ["cdn-cache-control", "surrogate-control"] {
            assert!(!response.headers.contains_key(name), "{name}");
        }
    }

    #[test]
    fn what_browsers_would_forget_is_not_set() {
        let mut set = SetCookies::default();
        let most = "x".repeat(LONGEST_VALUE);
        assert_eq!(set.set("a", &most, Duration::MAX), Ok(()));
        assert_eq!(
            set.set("a", &(most + "x"), Duration::ZERO),
            Err(Unfit(LONGEST_VALUE + 1))
        );
        assert_eq!(set.set("a", "new\nline", Duration::ZERO), Err(Unfit(8)));
        assert_eq!(set.into_lines().count(), 1);
    }
}
