//! PEM (RFC 7468) of private keys: the two labels that RSA keys have, and nothing else.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretSlice, SecretString};

/// What a PEM file says it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Label {
    /// PKCS#8.
    PrivateKey,
    /// PKCS#1.
    RsaPrivateKey,
}

const LABELS: [(Label, &str); 2] = [
    (Label::PrivateKey, "PRIVATE KEY"),
    (Label::RsaPrivateKey, "RSA PRIVATE KEY"),
];

/// The one key of a PEM text.
pub(super) fn decode(text: &SecretString) -> Option<(Label, SecretSlice<u8>)> {
    let text = text.expose_secret();
    let (label, name) = LABELS
        .into_iter()
        .find(|(_, name)| text.contains(&format!("-----BEGIN {name}-----")))?;
    let (_, rest) = text.split_once(&format!("-----BEGIN {name}-----"))?;
    let (body, after) = rest.split_once(&format!("-----END {name}-----"))?;
    if after.contains("-----BEGIN") {
        return None;
    }
    let body: String = body.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let der = STANDARD.decode(body).ok()?;
    Some((label, SecretSlice::from(der)))
}

/// PKCS#8 as PEM.
pub(super) fn encode(pkcs8: &[u8]) -> SecretString {
    let body = STANDARD.encode(pkcs8);
    let mut text = String::from("-----BEGIN PRIVATE KEY-----\n");
    for line in body.as_bytes().chunks(64) {
        text.extend(line.iter().map(|&byte| char::from(byte)));
        text.push('\n');
    }
    text.push_str("-----END PRIVATE KEY-----\n");
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let text = encode(&[7; 100]);
        let (label, der) = decode(&text).expect("own text");
        assert_eq!(label, Label::PrivateKey);
        assert_eq!(der.expose_secret(), [7; 100]);
    }

    #[test]
    fn anything_but_one_private_key_is_refused() {
        let one = encode(&[7; 10]).expose_secret().to_owned();
        for bad in [
            String::new(),
            one.replace("PRIVATE", "PUBLIC"),
            format!("{one}{one}"),
            one.replace("END", "STOP"),
            one.replace("Bw", "!!"),
        ] {
            assert!(decode(&bad.clone().into()).is_none(), "{bad}");
        }
    }
}
