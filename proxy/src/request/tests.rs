use http::HeaderValue;

use super::*;

fn parse(
    version: Version,
    method: &str,
    target: &str,
    lines: &[(&'static str, &str)],
) -> Result<CanonicalRequest, Denial> {
    let mut fields = HeaderMap::new();
    for (name, value) in lines {
        fields.append(*name, HeaderValue::from_str(value).expect("value"));
    }
    CanonicalRequest::parse(
        Parsed {
            version,
            method,
            target: target.as_bytes(),
            authority: (version == Version::HTTP_2).then_some("docs.example"),
            fields: &fields,
        },
        HeadLimits::default(),
    )
}

fn h1(method: &str, target: &str, lines: &[(&'static str, &str)]) -> Result<CanonicalRequest, Denial> {
    parse(Version::HTTP_11, method, target, lines)
}

#[test]
fn a_canonical_request_has_everything_a_decision_needs() {
    let request = h1(
        "GET",
        "/documents/7?full=1",
        &[
            ("host", "Docs.Example:8080"),
            ("authorization", "Bearer a.b.c"),
            ("x-service-key", "sk_1"),
            ("x-sentinel-revision", "1.2"),
            ("x-sentinel-user-id", "forged"),
        ],
    )
    .expect("canonical");
    assert_eq!(request.method, http::Method::GET);
    assert_eq!(request.host.authority(), "docs.example:8080");
    assert_eq!(request.target.path(), "/documents/7");
    assert_eq!(request.seen, Some(Revision { epoch: 1, number: 2 }));
    assert_eq!(request.presented.bearer.expect("bearer").as_str(), "a.b.c");
    assert_eq!(request.presented.service_key.expect("key").as_str(), "sk_1");
}

#[test]
fn each_gate_has_its_own_word() {
    let host = ("host", "docs.example");
    for (result, denial) in [
        (h1("get", "/", &[host]), Denial::MethodInvalid),
        (h1("TRACE", "/", &[host]), Denial::MethodInvalid),
        (h1("GET", "admin", &[host]), Denial::PathNotCanonical),
        (h1("GET", "/a/../b", &[host]), Denial::PathNotCanonical),
        (h1("GET", "/", &[]), Denial::HostInvalid),
        (h1("GET", "/", &[host, host]), Denial::HostInvalid),
        (
            h1("POST", "/", &[host, ("content-length", "1,1")]),
            Denial::FramingInvalid,
        ),
        (
            h1("GET", "/", &[host, ("x_service_key", "1")]),
            Denial::HeaderInvalid,
        ),
        (
            h1("GET", "/", &[host, ("x-original-url", "/admin")]),
            Denial::HeaderInvalid,
        ),
        (
            h1(
                "GET",
                "/",
                &[host, ("authorization", "Bearer a"), ("authorization", "Bearer b")],
            ),
            Denial::CredentialDuplicated,
        ),
        (
            h1("GET", "/", &[host, ("x-sentinel-revision", "x")]),
            Denial::RevisionInvalid,
        ),
        (
            h1(
                "GET",
                "/",
                &[host, ("x-big", &"a".repeat(HeadLimits::default().bytes))],
            ),
            Denial::HeadTooLarge,
        ),
    ] {
        assert_eq!(result.err(), Some(denial));
    }
}

#[test]
fn http_2_goes_through_the_same_gate() {
    let h2 = |target: &str, lines: &[(&'static str, &str)]| parse(Version::HTTP_2, "GET", target, lines);
    let crumbs = h2("/", &[("cookie", "a=1"), ("cookie", "b=2")]).expect("crumbs are HTTP/2's way");
    assert_eq!(crumbs.host.name(), "docs.example");
    assert_eq!(h2("/a/..", &[]).err(), Some(Denial::PathNotCanonical));
    assert_eq!(
        h2("/", &[("host", "evil.example")]).err(),
        Some(Denial::HostInvalid)
    );
    assert_eq!(
        h2("/", &[("x.sentinel.user.id", "1")]).err(),
        Some(Denial::HeaderInvalid)
    );
}

mod whatever_a_client_sends {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        /// A target that passes has the same segments for whoever decodes it once, twice or not at all.
        #[test]
        fn a_target_that_passes_has_one_reading(raw in "/?[/a.%2eEfF5cC0;\\\\?#~ ]{0,24}") {
            if let Ok(target) = Target::parse(raw.as_bytes()) {
                prop_assert_eq!(target.raw(), raw.as_str());
                let last = target.segments().count().saturating_sub(1);
                for (index, segment) in target.segments().enumerate() {
                    let twice = percent_encoding::percent_decode_str(segment).decode_utf8_lossy();
                    prop_assert_eq!(twice.as_ref(), segment);
                    prop_assert!(segment != "." && segment != "..");
                    prop_assert!(!segment.contains(['/', '\\', ';', '%', '\0']));
                    prop_assert!(!segment.is_empty() || index == last);
                }
                prop_assert!(!target.path().contains(['\\', ';', '#', ' ']));
            }
        }

        /// No bytes make the gate panic.
        #[test]
        fn bytes_are_refused_and_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let limits = HeadLimits::default();
            let _ = wire::end_of_head(&bytes, 0, limits);
            let _ = wire::check(&bytes, limits);
            let _ = Target::parse(&bytes);
        }
    }
}
