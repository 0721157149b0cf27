//! Whether a request is a person looking at a page, who can be led away and back: by what the request accepts and by what
//! browsers say about what it is for (Fetch Metadata), never by the name of a program.

use http::{HeaderMap, HeaderName, Method};

use crate::answer::prefers_page;

const FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// Whether the answer will be shown to somebody as a page of its own.
pub(super) fn is_navigation(method: &Method, fields: &HeaderMap) -> bool {
    // Browsers say it or are too old to; programs do not know the words.
    let may_say = |name: &HeaderName, word: &str| {
        let mut values = fields.get_all(name).iter();
        values
            .next()
            .is_none_or(|value| value.as_bytes() == word.as_bytes())
            && values.next().is_none()
    };
    prefers_page(method, fields) && may_say(&FETCH_MODE, "navigate") && may_say(&FETCH_DEST, "document")
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn fields(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut fields = HeaderMap::new();
        for (name, value) in lines {
            fields.append(*name, HeaderValue::from_static(value));
        }
        fields
    }

    const PAGE: (&str, &str) = (
        "accept",
        "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    );

    #[test]
    fn a_browser_that_shows_a_page_navigates() {
        for lines in [
            &[
                PAGE,
                ("sec-fetch-mode", "navigate"),
                ("sec-fetch-dest", "document"),
            ] as &[_],
            &[PAGE],
        ] {
            assert!(is_navigation(&Method::GET, &fields(lines)), "{lines:?}");
            assert!(is_navigation(&Method::HEAD, &fields(lines)), "{lines:?}");
            assert!(!is_navigation(&Method::POST, &fields(lines)), "{lines:?}");
        }
    }

    #[test]
    fn a_program_a_script_and_a_frame_do_not() {
        for lines in [
            &[] as &[_],
            &[("accept", "*/*")],
            &[("accept", "application/json")],
            &[
                ("accept", "*/*"),
                ("sec-fetch-mode", "navigate"),
                ("sec-fetch-dest", "document"),
            ],
            &[PAGE, ("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty")],
            &[PAGE, ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")],
            &[
                PAGE,
                ("sec-fetch-mode", "navigate"),
                ("sec-fetch-mode", "navigate"),
            ],
            &[PAGE, ("sec-fetch-mode", "")],
        ] {
            assert!(!is_navigation(&Method::GET, &fields(lines)), "{lines:?}");
        }
    }
}
