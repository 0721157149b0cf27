//! `X-Forwarded-For` and `X-Forwarded-Proto`: a client is believed nothing, and a named proxy only about whom it was called
//! by.
//!
//! The first byte chooses who calls; each line after it is a line of the header.

use std::net::IpAddr;

use ipnet::IpNet;
use sentinel_proxy::forwarded::{TrustedProxies, forwarded_for, forwarded_proto};

pub(crate) fn check(input: &[u8]) {
    let networks: [IpNet; 2] = ["10.0.0.0/8", "2001:db8::/32"].map(|text| text.parse().expect("a network"));
    let trusted = TrustedProxies::new(&networks);
    let Some((choice, rest)) = input.split_first() else {
        return;
    };
    let peers = [
        "10.0.0.1",
        "2001:db8::1",
        "::ffff:10.0.0.1",
        "203.0.113.9",
        "2001:db9::1",
    ];
    let peer: IpAddr = peers[usize::from(*choice) % peers.len()]
        .parse()
        .expect("an address");
    let lines: Vec<&[u8]> = rest.split(|byte| *byte == b'\n').collect();
    let client = |lines: &[&[u8]]| forwarded_for(peer, lines.iter().copied(), &trusted);

    let found = client(&lines);
    assert_eq!(found, found.to_canonical(), "one address has two forms");
    let is_believed = trusted.trusts(peer);
    if !is_believed {
        assert_eq!(found, peer.to_canonical(), "a stranger is believed");
    }
    // What a client could have written himself stands left of the address that his proxy has added.
    let appended = [&lines[..], &[b"198.51.100.7"]].concat();
    let expected = if is_believed {
        "198.51.100.7".parse().expect("an address")
    } else {
        peer.to_canonical()
    };
    assert_eq!(client(&appended), expected, "what stands on the left counts");
    let chain = [&lines[..], &[b"198.51.100.7, 10.3.2.1"]].concat();
    assert_eq!(
        client(&chain),
        expected,
        "a proxy in between changes who the client is"
    );
    // Lines are one list (RFC 9110 §5.3).
    let joined = lines.join(&b','.to_owned());
    assert_eq!(
        client(&[&joined]),
        found,
        "one line says something else than many"
    );

    let proto = forwarded_proto(peer, lines.iter().copied(), &trusted);
    if proto.is_some() {
        assert!(is_believed && lines.len() == 1);
        let word = lines.concat().trim_ascii().to_ascii_lowercase();
        assert_eq!(proto, Some(word == b"https"));
        assert!(word == b"https" || word == b"http");
    }
}
