//! What a request must have besides method, host and path: header fields and query parameters, each exactly once.
//!
//! A name that is there twice is not met by either value: which of the two the service reads is not known.

use http::{HeaderMap, HeaderName, HeaderValue};
use sentinel_config::edge::{self, Expected};

/// The conditions of one route, compiled.
#[derive(Debug)]
pub(super) struct Conditions {
    fields: Vec<(HeaderName, Wanted)>,
    query: Vec<(Box<str>, Wanted)>,
}

/// A value that is wanted, or any one.
type Wanted = Option<Box<str>>;

/// A name that no header field can have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NoSuchField(pub(super) String);

impl Conditions {
    /// The conditions as the operator wrote them.
    ///
    /// # Errors
    /// A name that no header field can have.
    pub(super) fn compile(conditions: &edge::Conditions) -> Result<Self, NoSuchField> {
        let wanted = |expected: &Expected| match expected {
            Expected::Any => None,
            Expected::Exactly(value) => Some(value.as_str().into()),
        };
        let field = |(name, expected): (&str, &Expected)| {
            let known = HeaderName::from_bytes(name.as_bytes()).map_err(|_| NoSuchField(name.to_owned()))?;
            Ok((known, wanted(expected)))
        };
        let parameter = |(name, expected): (&str, &Expected)| (name.into(), wanted(expected));
        Ok(Self {
            fields: conditions.headers.iter().map(field).collect::<Result<_, _>>()?,
            query: conditions.query.iter().map(parameter).collect(),
        })
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.fields.len().saturating_add(self.query.len())
    }

    /// Whether a request with these header fields and this query has everything that is wanted.
    pub(super) fn are_met(&self, fields: &HeaderMap, query: &str) -> bool {
        let field = |(name, wanted): &(HeaderName, Wanted)| {
            let is_wanted = |value: &HeaderValue| {
                wanted
                    .as_deref()
                    .is_none_or(|wanted| value.as_bytes() == wanted.as_bytes())
            };
            only(fields.get_all(name).iter()).is_some_and(is_wanted)
        };
        let parameter = |(name, wanted): &(Box<str>, Wanted)| {
            let named = parameters(query).filter(|(raw, _)| reads(raw, name));
            only(named).is_some_and(|(_, raw)| wanted.as_deref().is_none_or(|wanted| reads(raw, wanted)))
        };
        self.fields.iter().all(field) && self.query.iter().all(parameter)
    }
}

/// The one item of an iterator that has no second one.
fn only<T>(mut items: impl Iterator<Item = T>) -> Option<T> {
    let first = items.next()?;
    items.next().is_none().then_some(first)
}

/// Names and values of a query, as they stand there.
fn parameters(query: &str) -> impl Iterator<Item = (&str, &str)> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

/// Whether a part of a query means `text`, as forms encode it (WHATWG URL, `application/x-www-form-urlencoded`).
fn reads(raw: &str, text: &str) -> bool {
    let mut rest = raw.as_bytes();
    let decoded = std::iter::from_fn(|| {
        let (first, after) = rest.split_first()?;
        rest = after;
        Some(match first {
            b'+' => b' ',
            b'%' => match escape(after) {
                Some((byte, after)) => {
                    rest = after;
                    byte
                }
                None => b'%',
            },
            plain => *plain,
        })
    });
    decoded.eq(text.bytes())
}

/// The byte that two hexadecimal digits stand for, and what follows them.
fn escape(after_percent: &[u8]) -> Option<(u8, &[u8])> {
    let (digits, rest) = after_percent.split_at_checked(2)?;
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let value = match digits {
        [high, low] => digit(high)?.checked_mul(16)?.checked_add(digit(low)?)?,
        _ => return None,
    };
    Some((u8::try_from(value).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wants(fields: &[(&'static str, &str)], query: &[(&str, &str)]) -> Conditions {
        let wanted = |value: &str| (value != "*").then(|| value.into());
        Conditions {
            fields: fields
                .iter()
                .map(|(name, value)| (HeaderName::from_static(name), wanted(value)))
                .collect(),
            query: query
                .iter()
                .map(|(name, value)| ((*name).into(), wanted(value)))
                .collect(),
        }
    }

    fn fields(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut fields = HeaderMap::new();
        for (name, value) in lines {
            fields.append(*name, HeaderValue::from_static(value));
        }
        fields
    }

    #[test]
    fn a_field_is_there_once_with_the_very_value() {
        let acme = wants(&[("x-tenant", "acme")], &[]);
        let any = wants(&[("x-tenant", "*")], &[]);
        for (lines, is_acme, is_any) in [
            (&[("x-tenant", "acme")] as &[_], true, true),
            (&[("x-tenant", "Acme")], false, true),
            (&[("x-tenant", "acme, acme")], false, true),
            (&[("x-tenant", "")], false, true),
            (&[("x-tenant", "acme"), ("x-tenant", "acme")], false, false),
            (&[("x-other", "acme")], false, false),
            (&[], false, false),
        ] {
            let fields = fields(lines);
            assert_eq!(acme.are_met(&fields, ""), is_acme, "{lines:?}");
            assert_eq!(any.are_met(&fields, ""), is_any, "{lines:?}");
        }
    }

    #[test]
    fn a_parameter_is_there_once_with_the_very_decoded_value() {
        let none = HeaderMap::new();
        let exact = wants(&[], &[("a b", "1+é")]);
        let any = wants(&[], &[("a b", "*")]);
        for (query, is_exact, is_any) in [
            ("a+b=1%2B%C3%A9", true, true),
            ("a%20b=1%2b%c3%a9&c=2", true, true),
            ("&&a+b=1%2B%C3%A9&", true, true),
            ("a+b=1+%C3%A9", false, true),
            ("a+b=", false, true),
            ("a+b", false, true),
            ("a+b=1%2B%C3%A9&a%20b=1%2B%C3%A9", false, false),
            ("a+b&a+b", false, false),
            ("a%2Bb=1", false, false),
            ("ab=1", false, false),
            ("A+b=1", false, false),
            ("", false, false),
        ] {
            assert_eq!(exact.are_met(&none, query), is_exact, "`{query}`");
            assert_eq!(any.are_met(&none, query), is_any, "`{query}`");
        }
    }

    #[test]
    fn a_percent_sign_that_encodes_nothing_stays() {
        for (raw, text, same) in [
            ("%", "%", true),
            ("%4", "%4", true),
            ("%zz", "%zz", true),
            ("%41", "A", true),
            ("%41", "%41", false),
            ("%ff", "\u{ff}", false),
            ("a=b", "a=b", true),
        ] {
            assert_eq!(reads(raw, text), same, "`{raw}`");
        }
    }

    #[test]
    fn all_conditions_must_hold() {
        let both = wants(&[("x-tenant", "acme"), ("accept", "*")], &[("draft", "1")]);
        assert_eq!(both.count(), 3);
        let all = fields(&[("x-tenant", "acme"), ("accept", "text/html")]);
        assert!(both.are_met(&all, "draft=1"));
        assert!(!both.are_met(&all, "draft=2"));
        assert!(!both.are_met(&fields(&[("x-tenant", "acme")]), "draft=1"));
        assert!(wants(&[], &[]).are_met(&HeaderMap::new(), ""));
    }
}
