//! Which host a request is for: exactly one, in a form that every recipient reads alike.

use std::fmt;

use sentinel_core::Denial;

/// The host of a request: lower-case name or address, and the port if one was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    authority: Box<str>,
    name: usize,
}

impl Host {
    /// The host as `Host` carries it upstream, port included.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// The name or address alone; an IPv6 address keeps its brackets.
    pub fn name(&self) -> &str {
        self.authority.get(..self.name).unwrap_or(&self.authority)
    }

    fn parse(text: &[u8]) -> Option<Self> {
        let (text, name) = read(text)?;
        Some(Self {
            name,
            authority: text.to_ascii_lowercase().into(),
        })
    }
}

/// The text of a host, and how long the name or address in it is.
fn read(text: &[u8]) -> Option<(&str, usize)> {
    let text = std::str::from_utf8(text).ok().filter(|text| text.len() <= 261)?;
    let (name, port) = match text.strip_prefix('[') {
        Some(_) => {
            let end = text.find(']')?.checked_add(1)?;
            let (name, rest) = text.split_at_checked(end)?;
            let port = if rest.is_empty() {
                None
            } else {
                Some(rest.strip_prefix(':')?)
            };
            (name, port)
        }
        None => match text.bytes().position(|byte| byte == b':') {
            Some(colon) => (text.get(..colon)?, text.get(colon.checked_add(1)?..)),
            None => (text, None),
        },
    };
    let port_is_plain = port.is_none_or(|port| {
        (1..=5).contains(&port.len())
            && port.bytes().all(|b| b.is_ascii_digit())
            && !port.starts_with('0')
            && port.parse::<u16>().is_ok()
    });
    let name_is_plain = match name.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')) {
        Some(inner) => inner.parse::<std::net::Ipv6Addr>().is_ok(),
        None => is_name_or_ipv4(name),
    };
    (port_is_plain && name_is_plain).then_some((text, name.len()))
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.authority)
    }
}

/// The one host of a request. HTTP/1 wants `Host` (RFC 9112 §3.2); HTTP/2 has `:authority`, and a `Host` beside it must
/// say the same (RFC 9113 §8.3.1).
pub(super) fn parse<'a>(
    hosts: impl IntoIterator<Item = &'a [u8]>,
    authority: Option<&'a str>,
) -> Result<Host, Denial> {
    one_of(hosts, authority)
        .and_then(Host::parse)
        .ok_or(Denial::HostInvalid)
}

/// Whether [`parse`] would take these hosts of an HTTP/1 request; nothing is kept.
pub(super) fn check<'a>(hosts: impl IntoIterator<Item = &'a [u8]>) -> Result<(), Denial> {
    let one = one_of(hosts, None).and_then(read);
    one.map(drop).ok_or(Denial::HostInvalid)
}

fn one_of<'a>(hosts: impl IntoIterator<Item = &'a [u8]>, authority: Option<&'a str>) -> Option<&'a [u8]> {
    let mut hosts = hosts.into_iter();
    let (host, second) = (hosts.next(), hosts.next());
    match (host, authority) {
        (_, _) if second.is_some() => None,
        (Some(host), Some(authority)) => (host == authority.as_bytes()).then_some(host),
        (Some(host), None) => Some(host),
        (None, Some(authority)) => Some(authority.as_bytes()),
        (None, None) => None,
    }
}

/// A DNS name without a trailing dot, or an IPv4 address: both are labels of letters, digits and hyphens. An underscore
/// is let pass because service names in container networks carry it.
fn is_name_or_ipv4(name: &str) -> bool {
    (1..=253).contains(&name.len())
        && name.as_bytes().split(|byte| *byte == b'.').all(|label| {
            (1..=63).contains(&label.len())
                && label
                    .iter()
                    .all(|b| b.is_ascii_alphanumeric() || *b == b'-' || *b == b'_')
                && !label.starts_with(b"-")
                && !label.ends_with(b"-")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(host: &str) -> Result<Host, Denial> {
        parse([host.as_bytes()], None)
    }

    #[test]
    fn a_host_is_a_name_or_an_address_and_perhaps_a_port() {
        for (text, name) in [
            ("docs.example.com", "docs.example.com"),
            ("DOCS.example.com:8080", "docs.example.com"),
            ("127.0.0.1:9000", "127.0.0.1"),
            ("[::1]:9000", "[::1]"),
            ("[2001:db8::1]", "[2001:db8::1]"),
            ("my_service:80", "my_service"),
        ] {
            let host = one(text).expect(text);
            assert_eq!(host.name(), name);
            assert_eq!(host.authority(), text.to_ascii_lowercase());
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for bad in [
            "",
            ".",
            "a.example.",
            "A.EXAMPLE.:80",
            "a..example",
            "a.example,b.example",
            "a.example b.example",
            "a.example/../x",
            "user@a.example",
            "a.example:",
            "a.example:080",
            "a.example:65536",
            "a.example:8o",
            "a.example:80:80",
            "-a.example",
            "[::1",
            "[::1]x",
            "[::1]:",
            "[127.0.0.1]",
            "[fe80::1%25eth0]",
            "a%2eexample",
            "ä.example",
            "*",
        ] {
            assert_eq!(one(bad), Err(Denial::HostInvalid), "`{bad}`");
        }
        assert!(one(&"a.".repeat(200)).is_err());
    }

    #[test]
    fn there_is_exactly_one_host() {
        let none: [&[u8]; 0] = [];
        assert_eq!(parse(none, None), Err(Denial::HostInvalid));
        assert_eq!(
            parse([b"a.example".as_slice(), b"a.example"], None),
            Err(Denial::HostInvalid)
        );
        assert_eq!(
            parse([b"a.example".as_slice()], Some("b.example")),
            Err(Denial::HostInvalid)
        );
        assert!(parse([b"a.example".as_slice()], Some("a.example")).is_ok());
        assert_eq!(
            parse(none, Some("a.example:1")).expect("authority").name(),
            "a.example"
        );
    }
}
