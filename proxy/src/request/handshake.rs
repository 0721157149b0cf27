//! The opening handshake of a WebSocket (RFC 6455 §4.1): complete, or refused.
//!
//! A request that is only dressed as one would get a tunnel's patience without being a tunnel, and a service could read
//! another handshake in it than the edge does.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    CONNECTION, CONTENT_LENGTH, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Version};
use sentinel_core::Denial;

/// How many random bytes a key stands for.
const KEY_BYTES: usize = 16;

/// Whether the request opens a WebSocket. An `Upgrade` to anything else is none, and is not forwarded.
///
/// # Errors
/// [`Denial::HeaderInvalid`] if it names the protocol and is not its handshake.
pub(super) fn check(version: Version, method: &Method, fields: &HeaderMap) -> Result<bool, Denial> {
    let asked = tokens(fields, &UPGRADE).any(|token| is_websocket(protocol_name(token)));
    if !asked {
        return Ok(false);
    }
    let sole = |name: &HeaderName| sole(fields, name).map(HeaderValue::as_bytes);
    let complete = version == Version::HTTP_11
        && *method == Method::GET
        && sole(&UPGRADE).is_some_and(is_websocket)
        && tokens(fields, &CONNECTION).any(|token| token.eq_ignore_ascii_case(b"upgrade"))
        && !fields.contains_key(CONTENT_LENGTH)
        && !fields.contains_key(TRANSFER_ENCODING)
        && sole(&SEC_WEBSOCKET_VERSION) == Some(b"13")
        && sole(&SEC_WEBSOCKET_KEY).is_some_and(is_key);
    if complete {
        Ok(true)
    } else {
        Err(Denial::HeaderInvalid)
    }
}

/// The elements of a header that is a list (RFC 9110 §5.6.1).
fn tokens<'a>(fields: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
    let values = fields.get_all(name).into_iter();
    values.flat_map(|value| value.as_bytes().split(|b| *b == b',').map(<[u8]>::trim_ascii))
}

/// `protocol-name ["/" protocol-version]` (RFC 9110 §7.8) without the version.
fn protocol_name(token: &[u8]) -> &[u8] {
    token.split(|b| *b == b'/').next().unwrap_or(token).trim_ascii()
}

fn is_websocket(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"websocket")
}

fn is_key(value: &[u8]) -> bool {
    STANDARD.decode(value).is_ok_and(|key| key.len() == KEY_BYTES)
}

/// The value of a header that is there exactly once.
fn sole<'a>(fields: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut values = fields.get_all(name).into_iter();
    values.next().filter(|_| values.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: (&str, &str) = ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    const VERSION: (&str, &str) = ("sec-websocket-version", "13");
    const CONNECT: (&str, &str) = ("connection", "keep-alive, Upgrade");
    const WEBSOCKET: (&str, &str) = ("upgrade", "websocket");

    fn verdict(
        version: Version,
        method: &Method,
        lines: &[(&'static str, &'static str)],
    ) -> Result<bool, Denial> {
        let mut fields = HeaderMap::new();
        for (name, value) in lines {
            fields.append(*name, HeaderValue::from_static(value));
        }
        check(version, method, &fields)
    }

    fn get(lines: &[(&'static str, &'static str)]) -> Result<bool, Denial> {
        verdict(Version::HTTP_11, &Method::GET, lines)
    }

    #[test]
    fn a_complete_handshake_is_one() {
        assert_eq!(get(&[KEY, VERSION, CONNECT, WEBSOCKET]), Ok(true));
        assert_eq!(get(&[KEY, VERSION, CONNECT, ("upgrade", "WebSocket")]), Ok(true));
    }

    #[test]
    fn other_protocols_are_none() {
        for lines in [
            &[] as &[_],
            &[("upgrade", "h2c"), CONNECT],
            &[KEY, VERSION],
            &[("upgrade", "")],
        ] {
            assert_eq!(get(lines), Ok(false), "{lines:?}");
        }
    }

    #[test]
    fn half_a_handshake_is_refused() {
        let refused = Err(Denial::HeaderInvalid);
        for lines in [
            &[WEBSOCKET] as &[_],
            &[KEY, VERSION, WEBSOCKET],
            &[KEY, VERSION, ("connection", "close"), WEBSOCKET],
            &[VERSION, CONNECT, WEBSOCKET],
            &[KEY, CONNECT, WEBSOCKET],
            &[KEY, KEY, VERSION, CONNECT, WEBSOCKET],
            &[KEY, VERSION, VERSION, CONNECT, WEBSOCKET],
            &[KEY, ("sec-websocket-version", "8"), CONNECT, WEBSOCKET],
            &[("sec-websocket-key", "c2hvcnQ="), VERSION, CONNECT, WEBSOCKET],
            &[
                ("sec-websocket-key", "no key at all"),
                VERSION,
                CONNECT,
                WEBSOCKET,
            ],
            &[KEY, VERSION, CONNECT, WEBSOCKET, WEBSOCKET],
            &[KEY, VERSION, CONNECT, ("upgrade", "h2c, websocket")],
            &[KEY, VERSION, CONNECT, ("upgrade", "websocket/13")],
            &[KEY, VERSION, CONNECT, ("upgrade", "h2c"), WEBSOCKET],
            &[KEY, VERSION, CONNECT, WEBSOCKET, ("content-length", "0")],
            &[KEY, VERSION, CONNECT, WEBSOCKET, ("transfer-encoding", "chunked")],
        ] {
            assert_eq!(get(lines), refused, "{lines:?}");
        }
        let whole = [KEY, VERSION, CONNECT, WEBSOCKET];
        assert_eq!(verdict(Version::HTTP_10, &Method::GET, &whole), refused);
        assert_eq!(verdict(Version::HTTP_11, &Method::POST, &whole), refused);
    }
}
