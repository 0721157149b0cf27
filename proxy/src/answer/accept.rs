//! Whether the client would rather read a page than a document (RFC 9110 §12.4, §12.5.1). It is told by what the request
//! accepts and by nothing else: browsers name `text/html` when somebody looks at a page, programs do not.

use http::header::ACCEPT;
use http::{HeaderMap, HeaderValue, Method};

/// A quality in thousandths.
type Quality = u16;

/// Whether an answer to a request is to be a page: it asks for something to read, and for `text/html` before JSON.
pub fn prefers_page(method: &Method, fields: &HeaderMap) -> bool {
    if !matches!(*method, Method::GET | Method::HEAD) {
        return false;
    }
    let lines = || fields.get_all(ACCEPT).iter().map(HeaderValue::as_bytes);
    let html = quality(lines(), "text", "html");
    let json = quality(lines(), "application", "problem+json").max(quality(lines(), "application", "json"));
    html > json
}

/// How much a media type is wanted: by the most specific range that names it. What cannot be read says nothing.
fn quality<'v>(lines: impl Iterator<Item = &'v [u8]>, kind: &str, subtype: &str) -> Quality {
    let ranges = lines.flat_map(|line| line.split(|byte| *byte == b','));
    let fitting = ranges.filter_map(|range| {
        let (wanted_kind, wanted_subtype, quality) = media_range(range)?;
        let specific = match (wanted_kind, wanted_subtype) {
            ("*", "*") => 0,
            (wanted, "*") if wanted.eq_ignore_ascii_case(kind) => 1,
            (one, two) if one.eq_ignore_ascii_case(kind) && two.eq_ignore_ascii_case(subtype) => 2,
            _ => return None,
        };
        Some((specific, quality))
    });
    fitting.max().map_or(0, |(_, quality)| quality)
}

/// Type, subtype and quality of one range.
fn media_range(range: &[u8]) -> Option<(&str, &str, Quality)> {
    let mut parts = std::str::from_utf8(range).ok()?.split(';').map(str::trim);
    let (kind, subtype) = parts.next()?.split_once('/')?;
    let mut quality = 1000;
    for (name, value) in parts.filter_map(|parameter| parameter.split_once('=')) {
        if name.trim_end().eq_ignore_ascii_case("q") {
            quality = thousandths(value.trim_start())?;
        }
    }
    Some((kind, subtype, quality))
}

/// A weight (RFC 9110 §12.4.2): 0 to 1 with at most three digits behind the point.
fn thousandths(text: &str) -> Option<Quality> {
    let (whole, digits) = text.split_once('.').unwrap_or((text, ""));
    if digits.len() > 3 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let part: Quality = format!("{digits:0<3}").parse().ok()?;
    match whole {
        "0" => Some(part),
        "1" if part == 0 => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefers(method: &Method, accept: &[&'static str]) -> bool {
        let mut fields = HeaderMap::new();
        for line in accept {
            fields.append(ACCEPT, HeaderValue::from_static(line));
        }
        prefers_page(method, &fields)
    }

    #[test]
    fn a_browser_gets_a_page_and_a_program_does_not() {
        for (accept, page) in [
            (
                &["text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"] as &[_],
                true,
            ),
            (&["text/html"], true),
            (&["TEXT/HTML ; Q=0.5"], true),
            (&["text/*"], true),
            (&["application/json;q=0.9", "text/html"], true),
            (&["text/html;q=0.5, application/json;q=0.4"], true),
            (&["text/html;charset=utf-8"], true),
            (&["*/*;q=0.1, text/html;q=0.2"], true),
            (&[], false),
            (&["*/*"], false),
            (&["application/json"], false),
            (&["application/problem+json, text/html;q=0.9"], false),
            (&["text/html, application/json"], false),
            (&["text/html;q=0, */*"], false),
            (&["text/html;q=0.5, */*"], false),
            (&["text/html;q=2"], false),
            (&["text/html;q=0.1234"], false),
            (&["text/html;q="], false),
            (&["text/htmlx, html, /, ;;q=1, \t"], false),
        ] {
            assert_eq!(prefers(&Method::GET, accept), page, "{accept:?}");
            assert_eq!(prefers(&Method::HEAD, accept), page, "{accept:?}");
            assert!(!prefers(&Method::POST, accept), "{accept:?}");
        }
    }
}
