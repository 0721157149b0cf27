//! Networks: an address and how many of its bits count, or one address.

use std::net::IpAddr;

use ipnet::IpNet;
use schemars::{Schema, SchemaGenerator, json_schema};

use super::plain::text;
use crate::section::{Place, Reader, Setting};

impl Setting for IpNet {
    fn read(place: &Place<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let text = text(place, reader)?;
        let Some(network) = parse(text) else {
            reader.problem(
                place,
                format!("`{text}` is not a network: an IP address such as `10.0.0.7` or `2001:db8::7`, or one with the length of its prefix such as `10.0.0.0/8` is expected"),
            );
            return None;
        };
        if network.prefix_len() == 0 {
            reader.problem(
                place,
                format!("`{text}` is every address there is: name those that are meant"),
            );
            return None;
        }
        Some(network)
    }

    fn describe(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "examples": ["10.0.0.7", "10.0.0.0/8", "2001:db8::/32"] })
    }
}

/// An IPv4 network that is written as IPv6 (RFC 4291 §2.5.5.2) is the IPv4 network.
fn parse(text: &str) -> Option<IpNet> {
    let network: IpNet = match text.parse::<IpAddr>() {
        Ok(address) => address.into(),
        Err(_) => text.parse().ok()?,
    };
    let mapped = network
        .prefix_len()
        .checked_sub(96)
        .zip(Some(network.addr().to_canonical()));
    Some(match mapped {
        Some((length, IpAddr::V4(address))) => IpNet::new(address.into(), length).ok()?.trunc(),
        _ => network.trunc(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_network_of_one_and_bits_that_do_not_count_are_left_out() {
        for (text, network) in [
            ("10.0.0.7", "10.0.0.7/32"),
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("2001:db8::7", "2001:db8::7/128"),
            ("2001:db8::7/32", "2001:db8::/32"),
            ("::ffff:10.0.0.7", "10.0.0.7/32"),
            ("::ffff:10.1.2.3/104", "10.0.0.0/8"),
            ("::/0", "::/0"),
        ] {
            assert_eq!(
                parse(text).map(|net| net.to_string()).as_deref(),
                Some(network),
                "{text}"
            );
        }
        for bad in [
            "",
            "10.0.0",
            "10.0.0.0/33",
            "10.0.0.0/",
            "10.0.0.7:80",
            "[::1]",
            "::1/129",
            "proxy.internal",
            "*",
        ] {
            assert_eq!(parse(bad), None, "`{bad}`");
        }
    }
}
