//! Which requests a route is for: `GET docs.example.com/documents/{doc_id}`.
//!
//! A pattern has one spelling only, the one that the edge accepts in requests, so that what is compared is what was
//! written.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use super::path::{ParamKind, PathPattern, Segment};

/// The method, host and path that a route is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RoutePattern {
    /// The method. `GET` does not include `HEAD`.
    pub method: Method,
    /// The host.
    pub host: HostPattern,
    /// The path.
    pub path: PathPattern,
}

/// A request method. `CONNECT` and `TRACE` are never forwarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(
    missing_docs,
    reason = "the variants are the methods of RFC 9110 and RFC 5789"
)]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
    Options,
}

/// The host that a route is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// Exactly this host, in lower case and without a port. An IPv6 address is in brackets.
    Exact(String),
    /// One label, whatever it is, before this name: `*.example.com`. A route that names the whole host goes before.
    Wildcard(String),
    /// Any host. Only with `hosts: any`; a route that names the host, or its end, goes before.
    Any,
}

/// Why a text is not a pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPattern {
    /// Not of the form `METHOD host/path`.
    #[error(
        "`{0}` is not a route: a method, a space, a host and a path are expected, as in `GET docs.example.com/documents/{{doc_id}}`"
    )]
    Shape(String),
    /// An unknown method.
    #[error(
        "`{0}` is not a method: one of `GET`, `HEAD`, `POST`, `PUT`, `PATCH`, `DELETE`, `OPTIONS` is expected, one for each route"
    )]
    Method(String),
    /// Something that is no host.
    #[error(
        "`{0}` is not a host: a host name in lower case or an IP address is expected, without a port; `*.` before a name stands for one label"
    )]
    Host(String),
    /// A path segment that a canonical path does not have.
    #[error("`{segment}` cannot stand in a path: {reason}")]
    Segment {
        /// The segment.
        segment: String,
        /// Why not.
        reason: &'static str,
    },
    /// A tail that is not the end of the path.
    #[error("`{{{0}*}}` takes all the rest of the path: nothing can follow it, and no slash")]
    Tail(String),
    /// A path with too many segments.
    #[error("the path has more than {0} segments: take `{{name*}}` for the rest of it")]
    TooLong(usize),
    /// A parameter that occurs twice.
    #[error("the parameter `{{{0}}}` stands twice in the path: give each its own name")]
    RepeatedParam(String),
}

impl Method {
    /// All methods that a route can be for.
    pub const ALL: [Self; 7] = [
        Self::Get,
        Self::Head,
        Self::Post,
        Self::Put,
        Self::Patch,
        Self::Delete,
        Self::Options,
    ];

    /// The method as it stands in a request.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Options => "OPTIONS",
        }
    }
}

impl RoutePattern {
    /// A request that the pattern matches, for messages.
    pub fn example(&self) -> String {
        let mut text = match &self.host {
            HostPattern::Exact(host) => format!("{} {host}", self.method),
            HostPattern::Wildcard(parent) => format!("{} x.{parent}", self.method),
            HostPattern::Any => format!("{} any.example.com", self.method),
        };
        for segment in &self.path.segments {
            text.push('/');
            text.push_str(match segment {
                Segment::Literal(literal) => literal,
                Segment::Param { kind, .. } => kind.example(),
                Segment::Tail(_) => ParamKind::Any.example(),
            });
        }
        if self.path.trailing_slash || self.path.segments.is_empty() {
            text.push('/');
        }
        text
    }

    /// The pattern without the names of its parameters. Patterns of one shape are for the very same requests. In every other
    /// case one of two goes before for a request that both match: an exact host before a wildcard before any host; then,
    /// segment by segment from the left, a literal before `uuid` and `int` (which exclude each other), these before `slug`,
    /// before a parameter of any kind, before a tail.
    pub(crate) fn shape(&self) -> Self {
        let nameless = |segment: &Segment| match segment {
            Segment::Literal(text) => Segment::Literal(text.clone()),
            Segment::Param { kind, .. } => Segment::Param {
                name: String::new(),
                kind: *kind,
            },
            Segment::Tail(_) => Segment::Tail(String::new()),
        };
        Self {
            method: self.method,
            host: self.host.clone(),
            path: PathPattern {
                segments: self.path.segments.iter().map(nameless).collect(),
                trailing_slash: self.path.trailing_slash,
            },
        }
    }
}

impl FromStr for RoutePattern {
    type Err = InvalidPattern;

    fn from_str(text: &str) -> Result<Self, InvalidPattern> {
        let shape = || InvalidPattern::Shape(clip(text));
        let (method, target) = text.split_once(' ').ok_or_else(shape)?;
        let method = Method::ALL
            .into_iter()
            .find(|known| known.as_str() == method)
            .ok_or_else(|| InvalidPattern::Method(clip(method)))?;
        let slash = target.find('/').ok_or_else(shape)?;
        let (host, path) = target.split_at(slash);
        let host = if host.is_empty() {
            HostPattern::Any
        } else if is_host(host) {
            HostPattern::Exact(host.to_owned())
        } else if let Some(parent) = host.strip_prefix("*.").filter(|parent| is_parent(parent)) {
            HostPattern::Wildcard(parent.to_owned())
        } else {
            return Err(InvalidPattern::Host(clip(host)));
        };
        Ok(Self {
            method,
            host,
            path: path.parse()?,
        })
    }
}

fn is_host(host: &str) -> bool {
    if let Some(address) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return address
            .parse::<Ipv6Addr>()
            .is_ok_and(|ip| ip.to_string() == address);
    }
    host.parse::<Ipv4Addr>().is_ok() || is_host_name(host)
}

/// Whether a name can have one more label before it.
fn is_parent(name: &str) -> bool {
    is_host_name(name) && name.len() <= 251
}

/// Whether a text is a host name in lower case (RFC 1123 §2.1). One whose last label is a number would be read as an
/// address by some and as a name by others.
pub(crate) fn is_host_name(host: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    let last_is_number = host
        .rsplit('.')
        .next()
        .is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
    (1..=253).contains(&host.len()) && host.split('.').all(is_label) && !last_is_number
}

pub(super) fn clip(text: &str) -> String {
    text.chars().take(64).collect()
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for RoutePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.method)?;
        match &self.host {
            HostPattern::Exact(host) => f.write_str(host)?,
            HostPattern::Wildcard(parent) => write!(f, "*.{parent}")?,
            HostPattern::Any => {}
        }
        self.path.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ties(a: &str, b: &str) -> bool {
        let (a, b): (RoutePattern, RoutePattern) = (a.parse().expect(a), b.parse().expect(b));
        a.shape() == b.shape()
    }

    #[test]
    fn only_patterns_that_differ_in_names_tie() {
        assert!(ties("GET h/a", "GET h/a"));
        assert!(ties("GET h/{x}/b/{y}", "GET h/{p}/b/{q}"));
        assert!(ties("GET /{x}", "GET /{y}"));
        assert!(ties("GET *.h/{x:int}/{r*}", "GET *.h/{y:int}/{s*}"));
        for (a, b) in [
            ("GET h/a", "POST h/a"),
            ("GET h/a", "GET g/a"),
            ("GET h/a", "GET /a"),
            ("GET h/a", "GET h/a/"),
            ("GET h/{x}", "GET h/a"),
            ("GET h/{x}/b", "GET h/a/{y}"),
            ("GET h/{x}", "GET h/{x}/{y}"),
            ("GET h/", "GET h/{x}"),
            ("GET *.h/a", "GET h/a"),
            ("GET *.h/a", "GET x.h/a"),
            ("GET *.h/a", "GET *.g/a"),
            ("GET *.h/a", "GET /a"),
            ("GET h/{x}", "GET h/{x:int}"),
            ("GET h/{x:uuid}", "GET h/{x:int}"),
            ("GET h/{x:slug}", "GET h/{x:int}"),
            ("GET h/{x}", "GET h/{x*}"),
        ] {
            assert!(!ties(a, b), "`{a}` and `{b}`");
        }
    }

    #[test]
    fn an_example_is_a_request_of_the_pattern() {
        let example = |text: &str| text.parse::<RoutePattern>().expect(text).example();
        assert_eq!(example("GET h/"), "GET h/");
        assert_eq!(example("GET h/a/{b}/"), "GET h/a/x/");
        assert_eq!(example("PUT /a"), "PUT any.example.com/a");
        assert_eq!(
            example("GET *.h/{a:int}/{b:slug}/{c:uuid}/{d*}"),
            "GET x.h/1/x/0190a0a0-0000-7000-8000-000000000001/x"
        );
    }

    #[test]
    fn a_wildcard_is_one_label_before_a_name() {
        let host = |text: &str| text.parse::<RoutePattern>().map(|pattern| pattern.host);
        let wildcard = |parent: &str| Ok(HostPattern::Wildcard(parent.to_owned()));
        assert_eq!(host("GET *.example.com/"), wildcard("example.com"));
        assert_eq!(host("GET *.internal/"), wildcard("internal"));
        let long = format!("GET *.{}a.example/", "a.".repeat(122));
        for bad in [
            "GET */",
            "GET *./",
            "GET *.*.example.com/",
            "GET a.*.example.com/",
            "GET *a.example.com/",
            "GET *.0.0.1/",
            "GET *.[::1]/",
            "GET *.Example.com/",
            "GET *.example.com:80/",
            &long,
        ] {
            assert!(host(bad).is_err(), "`{bad}`");
        }
    }

    #[test]
    fn hosts_have_one_spelling() {
        for good in [
            "h",
            "docs.example.com",
            "a-b.c",
            "127.0.0.1",
            "[::1]",
            "[2001:db8::1]",
            "xn--bcher-kva.example",
        ] {
            assert!(is_host(good), "`{good}`");
        }
        let long = format!("{}.example", "a".repeat(64));
        for bad in [
            "",
            ".",
            "a.",
            ".a",
            "a..b",
            "-a",
            "a-",
            "A",
            "a_b",
            "a:1",
            "a b",
            "1.2.3",
            "256.1.1.1",
            "::1",
            "[::1",
            "[1.2.3.4]",
            "[0:0::1]",
            "[FE80::1]",
            "[fe80::1%eth0]",
            "bücher.example",
            "0x7f.1",
            &long,
        ] {
            assert!(!is_host(bad), "`{bad}`");
        }
    }
}
