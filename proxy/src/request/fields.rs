//! Header fields: which ones make a request ambiguous, and which ones carry a credential.

use http::header::{AUTHORIZATION, CONNECTION, CONTENT_TYPE, COOKIE, EXPECT};
use http::{HeaderMap, HeaderName, HeaderValue, Version};
use sentinel_core::Denial;
use sentinel_core::revision::Revision;

use super::shown::Shown;
use super::{HeadLimits, cookies};
use crate::names;

/// The credentials that a request came with, unverified: at most one of each kind.
#[derive(Debug, Clone, Default)]
pub struct Presented {
    /// What follows `Bearer` in `Authorization` (RFC 6750 §2.1); empty if nothing readable does.
    pub bearer: Option<Shown>,
    /// The value of `X-Authz-Token`; empty if it is not readable.
    pub authz: Option<Shown>,
    /// The value of the session cookie; empty if it is not readable.
    pub cookie: Option<Shown>,
    /// Whether a page of another site may have caused the request, so that a cookie alone does not count.
    pub may_be_forged: bool,
    /// The value of `X-Service-Key`; empty if it is not readable.
    pub service_key: Option<Shown>,
}

impl Presented {
    /// The credentials in `fields`, of which the cookie named `session` is one. Whether the request may be forged is for
    /// who knows the rest of it.
    ///
    /// # Errors
    /// [`Denial::CredentialDuplicated`] when a header or cookie that carries one is there twice, and
    /// [`Denial::HeaderInvalid`] when another cookie could be read as the session's.
    pub fn parse(fields: &HeaderMap, session: &str) -> Result<Self, Denial> {
        let duplicated = Denial::CredentialDuplicated;
        let authorization = at_most_one(fields, &AUTHORIZATION, duplicated)?;
        let crumbs = fields.get_all(COOKIE).iter().map(HeaderValue::as_bytes);
        let cookie = cookies::find(crumbs, session)?;
        Ok(Self {
            bearer: authorization.and_then(|line| Some(Shown::behind(line, bearer(line)?))),
            authz: at_most_one(fields, &names::AUTHZ_TOKEN, duplicated)?.map(Shown::whole),
            cookie: cookie.map(Shown::from),
            may_be_forged: true,
            service_key: at_most_one(fields, &names::SERVICE_KEY, duplicated)?.map(Shown::whole),
        })
    }
}

impl Presented {
    /// Whether there is none, but for a cookie: that is not looked at unless a route takes it.
    pub fn is_none(&self) -> bool {
        self.bearer.is_none() && self.authz.is_none() && self.service_key.is_none()
    }

    /// Whether it is the session cookie that says who the user is, where a route takes it.
    pub fn counts_by_cookie(&self) -> bool {
        self.cookie.is_some() && self.bearer.is_none() && self.authz.is_none()
    }
}

/// Where the credentials of an `Authorization` header begin if its scheme is `Bearer`: at its end, if nothing readable follows.
/// Other schemes are none of ours.
fn bearer(value: &HeaderValue) -> Option<usize> {
    let value = value.as_bytes();
    let end = value
        .iter()
        .position(|b| !b.is_ascii_alphanumeric() && *b != b'-' && *b != b'_')
        .unwrap_or(value.len());
    let (scheme, rest) = value.split_at_checked(end)?;
    let start = if rest.starts_with(b" ") {
        end.saturating_add(1)
    } else {
        value.len()
    };
    scheme.eq_ignore_ascii_case(b"bearer").then_some(start)
}

/// The value of a header that may be there once.
fn at_most_one<'a>(
    fields: &'a HeaderMap,
    name: &HeaderName,
    doubled: Denial,
) -> Result<Option<&'a HeaderValue>, Denial> {
    let mut values = fields.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() {
        Err(doubled)
    } else {
        Ok(first)
    }
}

/// The revision that the client says it has seen.
pub(super) fn seen_revision(fields: &HeaderMap) -> Result<Option<Revision>, Denial> {
    let invalid = Denial::RevisionInvalid;
    at_most_one(fields, &names::REVISION, invalid)?
        .map(|value| {
            value
                .to_str()
                .ok()
                .and_then(|text| text.parse().ok())
                .ok_or(invalid)
        })
        .transpose()
}

/// Whether there are too many or too large fields; HTTP/2 has no head in bytes, so its size is what HTTP/1 would need.
pub(super) fn check_size(target: usize, fields: &HeaderMap, limits: HeadLimits) -> Result<(), Denial> {
    let size = fields.iter().fold(target, |sum, (name, value)| {
        sum.saturating_add(name.as_str().len())
            .saturating_add(value.len())
            .saturating_add(4)
    });
    if fields.len() > limits.fields || size > limits.bytes {
        return Err(Denial::HeadTooLarge);
    }
    Ok(())
}

/// Whether every field can be read in one way only.
pub(super) fn check(version: Version, fields: &HeaderMap) -> Result<(), Denial> {
    let invalid = Denial::HeaderInvalid;
    let plain = fields
        .iter()
        .all(|(name, value)| is_plain_value(value.as_bytes()) && !names::is_refused(name.as_str()));
    let this_hop = fields
        .get_all(CONNECTION)
        .iter()
        .all(|value| names_only_this_hop(value.as_bytes()));
    let expected = at_most_one(fields, &EXPECT, invalid)?
        .is_none_or(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"));
    at_most_one(fields, &CONTENT_TYPE, invalid)?;
    // HTTP/2 may send a cookie in crumbs (RFC 9113 §8.2.3), HTTP/1 may not (RFC 6265 §5.4).
    if version != Version::HTTP_2 {
        at_most_one(fields, &COOKIE, invalid)?;
    }
    if plain && this_hop && expected {
        Ok(())
    } else {
        Err(invalid)
    }
}

/// Whether a value has no control character but tab.
pub(super) fn is_plain_value(value: &[u8]) -> bool {
    // To the end in every case, and nothing is counted: without a way out many bytes are looked at at once.
    let rank = |byte: &u8| match *byte {
        b'\t' => u8::MAX,
        127 => 0,
        byte => byte,
    };
    value.iter().map(rank).fold(u8::MAX, u8::min) >= b' '
}

/// Whether `Connection` nominates nothing but what belongs to this connection. Any other name would ask the edge to
/// remove a header on the way (RFC 9110 §7.6.1).
fn names_only_this_hop(value: &[u8]) -> bool {
    value.split(|b| *b == b',').map(<[u8]>::trim_ascii).all(|token| {
        token.is_empty()
            || [b"close".as_slice(), b"keep-alive", b"upgrade", b"te"]
                .iter()
                .any(|known| token.eq_ignore_ascii_case(known))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut fields = HeaderMap::new();
        for (name, value) in lines {
            fields.append(*name, HeaderValue::from_static(value));
        }
        fields
    }

    fn parse(lines: &[(&'static str, &'static str)]) -> Result<Presented, Denial> {
        Presented::parse(&fields(lines), cookies::SESSION)
    }

    #[test]
    fn a_cookie_alone_is_no_credential_yet() {
        let presented = parse(&[("cookie", "a=1; __Host-sentinel=x.y.z")]).expect("one");
        assert!(presented.is_none());
        let other = Presented::parse(&fields(&[("cookie", "__Host-app=x")]), "__Host-app").expect("one");
        assert_eq!(other.cookie.as_ref().map(Shown::as_str), Some("x"));
        let twice = parse(&[("cookie", "__Host-sentinel=a"), ("cookie", "__Host-sentinel=a")]);
        assert_eq!(twice.err(), Some(Denial::CredentialDuplicated));
    }

    #[test]
    fn a_bearer_token_is_found_whatever_the_case_of_its_scheme() {
        for (value, token) in [
            ("Bearer a.b.c", Some("a.b.c")),
            ("bearer a.b.c", Some("a.b.c")),
            ("BEARER  a", Some(" a")),
            ("Bearer", Some("")),
            ("Bearer\ta", Some("")),
            ("Bearer=a", Some("")),
            ("Basic dXNlcg==", None),
            ("Bearerx a", None),
            ("", None),
        ] {
            let presented = parse(&[("authorization", value)]).expect("one");
            assert_eq!(presented.bearer.as_ref().map(Shown::as_str), token, "`{value}`");
        }
    }

    #[test]
    fn a_credential_given_twice_is_refused() {
        for name in ["authorization", "x-service-key", "x-authz-token"] {
            let twice = parse(&[(name, "Bearer a"), (name, "Bearer a")]);
            assert_eq!(twice.err(), Some(Denial::CredentialDuplicated), "`{name}`");
        }
    }

    #[test]
    fn secrets_do_not_print() {
        let presented = parse(&[
            ("authorization", "Bearer hush"),
            ("x-service-key", "hush"),
            ("x-authz-token", "hush"),
            ("cookie", "__Host-sentinel=hush"),
        ])
        .expect("one of each");
        assert!(presented.cookie.is_some() && presented.authz.is_some());
        assert!(presented.may_be_forged, "until somebody has looked");
        assert!(!format!("{presented:?}").contains("hush"));
    }

    #[test]
    fn connection_may_only_speak_of_this_connection() {
        for good in ["close", "keep-alive, Upgrade", "TE", ""] {
            assert!(
                check(Version::HTTP_11, &fields(&[("connection", good)])).is_ok(),
                "`{good}`"
            );
        }
        for bad in [
            "x-sentinel-user-id",
            "close, authorization",
            "x-service-key",
            "host",
            "\"close\"",
        ] {
            assert!(
                check(Version::HTTP_11, &fields(&[("connection", bad)])).is_err(),
                "`{bad}`"
            );
        }
    }

    #[test]
    fn fields_that_can_be_read_twice_are_refused() {
        for bad in [
            &[("x_sentinel_user_id", "1")] as &[_],
            &[("x-rewrite-url", "/admin")],
            &[("expect", "y 100-continue")],
            &[("expect", "100-continue"), ("expect", "100-continue")],
            &[("cookie", "a=1"), ("cookie", "b=2")],
            &[
                ("content-type", "text/plain"),
                ("content-type", "application/json"),
            ],
        ] {
            assert_eq!(
                check(Version::HTTP_11, &fields(bad)),
                Err(Denial::HeaderInvalid),
                "{bad:?}"
            );
        }
        assert!(check(Version::HTTP_2, &fields(&[("cookie", "a=1"), ("cookie", "b=2")])).is_ok());
        assert!(
            check(
                Version::HTTP_11,
                &fields(&[("expect", "100-Continue"), ("cookie", "a=1")])
            )
            .is_ok()
        );
    }

    #[test]
    fn a_seen_revision_is_one_or_none() {
        assert_eq!(seen_revision(&fields(&[])), Ok(None));
        assert_eq!(
            seen_revision(&fields(&[("x-sentinel-revision", "7.9")])),
            Ok(Some(Revision { epoch: 7, number: 9 }))
        );
        for bad in [
            &[("x-sentinel-revision", "nine")] as &[_],
            &[("x-sentinel-revision", "7.9"), ("x-sentinel-revision", "7.9")],
        ] {
            assert_eq!(seen_revision(&fields(bad)), Err(Denial::RevisionInvalid));
        }
    }

    #[test]
    fn many_or_large_fields_are_too_large() {
        let limits = HeadLimits::default();
        let mut many = HeaderMap::new();
        for _ in 0..=limits.fields {
            many.append("x-a", HeaderValue::from_static("1"));
        }
        assert_eq!(check_size(1, &many, limits), Err(Denial::HeadTooLarge));
        many.remove("x-a");
        many.insert(
            "x-a",
            HeaderValue::from_bytes(&vec![b'a'; limits.bytes]).expect("value"),
        );
        assert_eq!(check_size(1, &many, limits), Err(Denial::HeadTooLarge));
        assert_eq!(check_size(1, &HeaderMap::new(), limits), Ok(()));
    }
}
