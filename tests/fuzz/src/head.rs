//! The head of an HTTP/1 request: what is let through is read alike by the edge, by the parser that Pingora uses, and by
//! whoever gets it behind.

use http::{HeaderMap, HeaderName, HeaderValue, Version};
use sentinel_proxy::request::wire;
use sentinel_proxy::request::{CanonicalRequest, HeadLimits, Parsed};

pub(crate) fn check(input: &[u8]) {
    let limits = HeadLimits::default();
    let whole = wire::end_of_head(input, 0, limits);
    in_pieces(input, whole.ok().flatten(), limits);
    let Ok(Some(end)) = whole else { return };
    let head = input.get(..end).expect("an end is within the bytes");
    if wire::check(head, limits).is_err() {
        return;
    }
    // The other parser reads the same head, to its last byte.
    let mut room = vec![httparse::EMPTY_HEADER; limits.fields];
    let mut other = httparse::Request::new(&mut room);
    let read = other.parse(head).expect("what was accepted is read by others");
    assert_eq!(read, httparse::Status::Complete(head.len()));
    let (method, target) = (other.method.expect("method"), other.path.expect("target"));
    let line = format!("{method} {target} HTTP/1.{}\r\n", other.version.expect("version"));
    assert!(
        head.starts_with(line.as_bytes()),
        "the first line is read in another way: {line:?}"
    );
    let version = if other.version == Some(1) {
        Version::HTTP_11
    } else {
        Version::HTTP_10
    };

    let mut fields = HeaderMap::new();
    let mut again = line.into_bytes();
    for header in other.headers.iter() {
        let name: HeaderName = header.name.parse().expect("a name");
        fields.append(name, HeaderValue::from_bytes(header.value).expect("a value"));
        again.extend([header.name.as_bytes(), b": ", header.value, b"\r\n"].concat());
    }
    again.extend(b"\r\n");
    assert!(
        again.len() > limits.bytes || wire::check(&again, limits).is_ok(),
        "written again, it is refused"
    );

    let count = |name: &str| fields.get_all(name).iter().count();
    assert_eq!(count("host"), 1);
    assert!(
        count("content-length") + count("transfer-encoding") <= 1,
        "two framings"
    );

    let parsed = Parsed {
        version,
        method,
        target: target.as_bytes(),
        authority: None,
        fields: &fields,
    };
    // More is refused here than on the wire, and what is not is the same request.
    if let Ok(request) = CanonicalRequest::parse(parsed, limits) {
        assert_eq!(request.target.raw(), target);
        assert_eq!(request.method.as_str(), method);
        let host = fields.get("host").expect("one");
        assert!(
            request
                .host
                .authority()
                .as_bytes()
                .eq_ignore_ascii_case(host.as_bytes())
        );
    }
}

/// Bytes that come in two pieces have the end that they have in one.
fn in_pieces(input: &[u8], end: Option<usize>, limits: HeadLimits) {
    let Some(end) = end else { return };
    let cut = usize::from(input.first().copied().unwrap_or_default()) * 7 % end;
    let first = input.get(..cut).expect("within");
    match wire::end_of_head(first, 0, limits) {
        Ok(None) => assert_eq!(wire::end_of_head(input, cut, limits), Ok(Some(end))),
        Ok(Some(early)) => panic!("an end at {early}, before {end}"),
        // What is wrong already is not asked again.
        Err(_) => {}
    }
}
