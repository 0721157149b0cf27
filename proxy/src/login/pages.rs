//! The few pages that people see: small, in one piece, without scripts, in no frame, and kept by nobody.

use std::fmt::{self, Write as _};

use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, REFERRER_POLICY, RETRY_AFTER,
    WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderName, HeaderValue};

use super::jar::SetCookies;
use crate::answer::Answer;
use crate::request_id::RequestId;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:30rem;margin:15vh auto;padding:0 1rem;color:#1c2430;background:#fff}h1{font-size:1.4rem}a,button{font:inherit;color:#0b57d0}button{display:block;width:100%;margin:.5rem 0;padding:.6rem 1rem;text-align:left;border:1px solid #c4cbd6;border-radius:.5rem;background:#f6f8fb;cursor:pointer}small{color:#5b6675}";
/// The digest of [`STYLE`], which is the only style that the page's policy allows.
const STYLE_DIGEST: &str = "ccCEsdQjgHcu0C7OdCnOvyFysvnHEEVQMCEXWIhVi4E=";

/// A page, piece by piece. What is written into it is escaped.
#[derive(Debug)]
pub(super) struct Page {
    status: u16,
    body: String,
    form_action: String,
    retry_after: Option<u64>,
}

impl Page {
    /// A page with a heading and a text.
    pub(super) fn new(status: u16, title: &str, text: &str) -> Self {
        let (title, text) = (Escaped(title), Escaped(text));
        let body = format!(
            "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title><style>{STYLE}</style><h1>{title}</h1><p>{text}</p>"
        );
        Self {
            status,
            body,
            form_action: "'none'".to_owned(),
            retry_after: (status == 503).then_some(1),
        }
    }

    /// Adds a link.
    pub(super) fn link(mut self, to: &str, text: &str) -> Self {
        let (to, text) = (Escaped(to), Escaped(text));
        self.write(format_args!("<p><a href=\"{to}\">{text}</a></p>"));
        self
    }

    /// Adds a button that sends a form without fields. `leads_to` is another origin to which the answer may lead.
    pub(super) fn button(mut self, action: &str, text: &str, note: &str, leads_to: Option<&str>) -> Self {
        self.form_action = match leads_to {
            Some(origin) => format!("'self' {origin}"),
            None => "'self'".to_owned(),
        };
        let (action, text, note) = (Escaped(action), Escaped(text), Escaped(note));
        self.write(format_args!(
            "<form method=\"post\" action=\"{action}\"><button>{text} <small>{note}</small></button></form>"
        ));
        self
    }

    /// Says in how many seconds it is worth another try.
    pub(super) fn later(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// The answer that shows the page.
    pub(super) fn answer(mut self, cookies: SetCookies, request: &RequestId) -> Answer {
        self.write(format_args!(
            "<p><small>{}</small></p></html>\n",
            Escaped(request.as_str())
        ));
        let mut headers = private(if self.has_form() {
            // A form needs an origin to show, and `no-referrer` makes it `null` (Fetch §4.5).
            "strict-origin"
        } else {
            "no-referrer"
        });
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{STYLE_DIGEST}'; base-uri 'none'; frame-ancestors 'none'; form-action {}",
            self.form_action
        );
        // INVARIANT: the origin in it was checked with the configuration, and is visible ASCII.
        let policy = HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"));
        headers.extend([
            (CONTENT_SECURITY_POLICY, policy),
            (CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
            (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
            (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
        ]);
        if self.status == 401 {
            let challenge = HeaderValue::from_static(r#"Bearer realm="sentinel""#);
            headers.push((WWW_AUTHENTICATE, challenge));
        }
        if let Some(seconds) = self.retry_after {
            headers.push((RETRY_AFTER, HeaderValue::from(seconds)));
        }
        headers.extend(cookies.into_lines());
        Answer::new(self.status, headers, Bytes::from(self.body), request)
    }

    fn has_form(&self) -> bool {
        self.form_action != "'none'"
    }

    fn write(&mut self, piece: fmt::Arguments<'_>) {
        // INVARIANT: writing to a string cannot fail.
        let _ = self.body.write_fmt(piece);
    }
}

/// The answer that sends a browser elsewhere, by GET.
pub(super) fn redirect(to: &str, cookies: SetCookies, request: &RequestId) -> Option<Answer> {
    let location = HeaderValue::try_from(to).ok()?;
    let mut headers = private("no-referrer");
    headers.push((LOCATION, location));
    headers.extend(cookies.into_lines());
    Some(Answer::new(303, headers, Bytes::new(), request))
}

/// What every answer of the login has: it is about one person, and nobody is told from where he came.
fn private(referrer: &'static str) -> Vec<(HeaderName, HeaderValue)> {
    vec![
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (REFERRER_POLICY, HeaderValue::from_static(referrer)),
    ]
}

/// A text that is safe in HTML and in an attribute between double quotes.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '&' => f.write_str("&amp;"),
                '<' => f.write_str("&lt;"),
                '>' => f.write_str("&gt;"),
                '"' => f.write_str("&quot;"),
                '\'' => f.write_str("&#x27;"),
                other => f.write_char(other),
            }?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use sentinel_token::sha256;

    use super::*;

    fn shown(page: Page) -> String {
        let id = RequestId::fixed("r1");
        String::from_utf8(page.answer(SetCookies::default(), &id).closing()).expect("text")
    }

    #[test]
    fn the_policy_allows_our_style_and_no_other() {
        assert_eq!(STYLE_DIGEST, STANDARD.encode(sha256(STYLE.as_bytes())));
    }

    #[test]
    fn what_is_written_into_a_page_is_escaped() {
        let page = Page::new(403, "<script>", "a & \"b\" '")
            .link("/x\"><img>", "<b>")
            .button("/y\"><img>", "<i>", "<u>", None);
        let text = shown(page);
        for bad in ["<script>", "<img>", "<b>", "<i>", "<u>", "& "] {
            assert!(!text.contains(bad), "{bad}: {text}");
        }
    }

    #[test]
    fn a_page_is_kept_by_nobody_framed_by_nobody_and_runs_nothing() {
        let head = shown(Page::new(401, "Title", "Text"));
        for line in [
            "HTTP/1.1 401 Unauthorized\r\n",
            "cache-control: no-store\r\n",
            "referrer-policy: no-referrer\r\n",
            "x-frame-options: DENY\r\n",
            "x-content-type-options: nosniff\r\n",
            "www-authenticate: Bearer realm=\"sentinel\"\r\n",
            "frame-ancestors 'none'; form-action 'none'\r\n",
        ] {
            assert!(head.contains(line), "{line}: {head}");
        }
        assert!(!head.contains("unsafe-inline"));
    }

    #[test]
    fn a_form_shows_its_origin_and_leads_where_it_is_told() {
        let page =
            Page::new(200, "Title", "Text").button("/.sentinel/logout", "Go", "", Some("https://b.example"));
        let text = shown(page);
        assert!(text.contains("referrer-policy: strict-origin\r\n"), "{text}");
        assert!(
            text.contains("form-action 'self' https://b.example\r\n"),
            "{text}"
        );
    }

    #[test]
    fn a_redirect_is_kept_by_nobody() {
        let id = RequestId::fixed("r1");
        let answer = redirect("/a", SetCookies::default(), &id).expect("an answer");
        let text = String::from_utf8(answer.closing()).expect("text");
        assert!(text.starts_with("HTTP/1.1 303 See Other\r\n"), "{text}");
        assert!(
            text.contains("location: /a\r\n") && text.contains("cache-control: no-store\r\n"),
            "{text}"
        );
        assert!(redirect("/a\r\nx: y", SetCookies::default(), &id).is_none());
    }
}
