//! What the proxies in front of this edge say about the client: `X-Forwarded-For` and `X-Forwarded-Proto`.
//!
//! They are believed only when the connection itself comes from a proxy that the operator named. Every proxy appends the
//! address that it was called from, so the list is read from its right end: addresses of named proxies are stepped over,
//! and the first other one is the client. What stands left of it was written by the client himself and is not looked at.
//!
//! Where the next entry to the left cannot be read, nothing of the list is believed and the connection's own address
//! counts. Refusing the request would let anybody be locked out behind a proxy that appends what it does not know.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

/// The networks of the proxies in front of the edge.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies(Box<[IpNet]>);

impl TrustedProxies {
    /// Those of a configuration.
    pub fn new(networks: &[IpNet]) -> Self {
        Self(networks.into())
    }

    /// Whether what a proxy at this address says is believed.
    pub fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// The address of the client behind `peer`, by the `X-Forwarded-For` lines in the order in which they came.
pub fn forwarded_for<'v>(
    peer: IpAddr,
    lines: impl DoubleEndedIterator<Item = &'v [u8]>,
    trusted: &TrustedProxies,
) -> IpAddr {
    let peer = peer.to_canonical();
    let mut client = peer;
    if !trusted.trusts(peer) {
        return client;
    }
    for entry in lines.rev().flat_map(|line| line.rsplit(|byte| *byte == b',')) {
        let Some(address) = address(entry) else {
            return peer;
        };
        client = address;
        if !trusted.trusts(client) {
            break;
        }
    }
    client
}

/// Whether the client's connection to the proxy at `peer` was encrypted, by the `X-Forwarded-Proto` lines; `None` if
/// nothing is said that is believed and can be read in one way.
pub fn forwarded_proto<'v>(
    peer: IpAddr,
    mut lines: impl Iterator<Item = &'v [u8]>,
    trusted: &TrustedProxies,
) -> Option<bool> {
    let (only, more) = (lines.next()?, lines.next());
    if more.is_some() || !trusted.trusts(peer) {
        return None;
    }
    let word = only.trim_ascii();
    if word.eq_ignore_ascii_case(b"https") {
        Some(true)
    } else {
        word.eq_ignore_ascii_case(b"http").then_some(false)
    }
}

/// The address of one entry: alone, in brackets, or with a port.
fn address(entry: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(entry.trim_ascii()).ok()?;
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let address = match bare {
        Some(inside) => IpAddr::V6(inside.parse().ok()?),
        None => text
            .parse()
            .or_else(|_| text.parse().map(|with_port: SocketAddr| with_port.ip()))
            .ok()?,
    };
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn trusted() -> TrustedProxies {
        TrustedProxies::new(
            &["10.0.0.0/8", "2001:db8::/32"].map(|network| network.parse().expect("a network")),
        )
    }

    fn client(peer: &str, lines: &[&str]) -> String {
        let peer = peer.parse().expect("an address");
        forwarded_for(peer, lines.iter().map(|line| line.as_bytes()), &trusted()).to_string()
    }

    #[test]
    fn the_first_address_from_the_right_that_is_no_proxy_is_the_client() {
        for (peer, lines, expected) in [
            ("10.0.0.1", &[] as &[&str], "10.0.0.1"),
            ("10.0.0.1", &["203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1", &["203.0.113.9, 10.1.1.1"], "203.0.113.9"),
            (
                "10.0.0.1",
                &["198.51.100.1", "203.0.113.9,10.1.1.1"],
                "203.0.113.9",
            ),
            ("10.0.0.1", &["203.0.113.9", "10.1.1.1"], "203.0.113.9"),
            ("10.0.0.1", &["203.0.113.9:4711"], "203.0.113.9"),
            ("10.0.0.1", &["[2001:db9::7]:443"], "2001:db9::7"),
            ("10.0.0.1", &["[2001:db9::7]"], "2001:db9::7"),
            ("10.0.0.1", &["2001:db9::7"], "2001:db9::7"),
            ("10.0.0.1", &["::ffff:203.0.113.9"], "203.0.113.9"),
            ("::ffff:10.0.0.1", &["203.0.113.9"], "203.0.113.9"),
            ("2001:db8::1", &["203.0.113.9"], "203.0.113.9"),
            // Only proxies: the one that is furthest away.
            ("10.0.0.1", &["10.2.2.2, 10.1.1.1"], "10.2.2.2"),
        ] {
            assert_eq!(client(peer, lines), expected, "{peer} {lines:?}");
        }
    }

    #[test]
    fn what_the_client_wrote_himself_counts_for_nothing() {
        for forged in ["10.9.9.9", "127.0.0.1", "garbage", ",,,", "198.51.100.1, unknown"] {
            assert_eq!(
                client("10.0.0.1", &[&format!("{forged}, 203.0.113.9")]),
                "203.0.113.9",
                "`{forged}`"
            );
            assert_eq!(
                client("10.0.0.1", &[forged, "203.0.113.9"]),
                "203.0.113.9",
                "`{forged}`"
            );
        }
    }

    #[test]
    fn a_stranger_is_not_believed() {
        assert_eq!(client("192.0.2.1", &["203.0.113.9"]), "192.0.2.1");
        assert_eq!(client("::ffff:192.0.2.1", &["203.0.113.9"]), "192.0.2.1");
        let none = TrustedProxies::default();
        let peer = IpAddr::from([10, 0, 0, 1]);
        assert_eq!(
            forwarded_for(peer, [b"203.0.113.9".as_slice()].into_iter(), &none),
            peer
        );
    }

    #[test]
    fn where_the_next_entry_cannot_be_read_the_connection_counts() {
        for bad in [
            "",
            "unknown",
            "_hidden",
            "203.0.113.9,",
            "203.0.113.009",
            "203.0.113",
            "[203.0.113.9]",
            "203.0.113.9:99999",
            "2001:db9::7%eth0",
            "203.0.113.9 198.51.100.1",
            "for=203.0.113.9",
            "\"203.0.113.9\"",
            "garbage, 10.1.1.1",
        ] {
            assert_eq!(client("10.0.0.1", &[bad]), "10.0.0.1", "`{bad}`");
        }
    }

    #[test]
    fn the_scheme_is_believed_in_one_word_from_a_proxy() {
        let proto = |peer: [u8; 4], lines: &[&str]| {
            forwarded_proto(peer.into(), lines.iter().map(|line| line.as_bytes()), &trusted())
        };
        assert_eq!(proto([10, 0, 0, 1], &["https"]), Some(true));
        assert_eq!(proto([10, 0, 0, 1], &["HTTPS "]), Some(true));
        assert_eq!(proto([10, 0, 0, 1], &["http"]), Some(false));
        for bad in [
            &["https, http"] as &[&str],
            &["https", "https"],
            &["wss"],
            &[""],
            &[],
        ] {
            assert_eq!(proto([10, 0, 0, 1], bad), None, "{bad:?}");
        }
        assert_eq!(proto([192, 0, 2, 1], &["https"]), None);
    }

    proptest! {
        /// Whatever a client writes, he is where the nearest proxy saw him.
        #[test]
        fn nothing_left_of_the_client_moves_him(lines in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..4)) {
            let mut lines = lines;
            lines.push(b"203.0.113.9, 10.3.3.3".to_vec());
            let seen = forwarded_for([10, 0, 0, 1].into(), lines.iter().map(Vec::as_slice), &trusted());
            prop_assert_eq!(seen, IpAddr::from([203, 0, 113, 9]));
        }
    }
}
