//! What a token says it is, before anything about it was verified.

use serde::Deserialize;

use crate::claims::TokenKind;
use crate::compact::Compact;

/// The kind that `token` claims to be of, where more than one is taken: it chooses which verification is run, and that
/// verification alone decides. `None` for a text that no verification would accept.
pub fn claimed_kind(token: &str) -> Option<TokenKind> {
    #[derive(Deserialize)]
    struct Claimed {
        r#type: String,
    }
    let payload = Compact::parse(token).ok()?.payload;
    let claimed: Claimed = serde_json::from_slice(&payload).ok()?;
    TokenKind::ALL
        .iter()
        .copied()
        .find(|kind| kind.claim() == claimed.r#type)
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    fn token(payload: &str) -> String {
        let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#);
        format!("{header}.{}.AAAA", URL_SAFE_NO_PAD.encode(payload))
    }

    #[test]
    fn every_kind_is_told_apart_and_nothing_else_is_a_kind() {
        for kind in TokenKind::ALL {
            let text = token(&format!(r#"{{"type":"{}"}}"#, kind.claim()));
            assert_eq!(claimed_kind(&text), Some(*kind));
        }
        for bad in [
            r#"{"type":"other"}"#,
            r#"{"type":7}"#,
            "{}",
            "[]",
            r#"{"type":"access","type":"authz"}"#,
        ] {
            assert_eq!(claimed_kind(&token(bad)), None, "{bad}");
        }
        for bad in ["", "a.b.c", "authz"] {
            assert_eq!(claimed_kind(bad), None, "{bad}");
        }
    }
}
