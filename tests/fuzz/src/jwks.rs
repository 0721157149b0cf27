//! JWK sets of other issuers, and our own keys: what is accepted holds no weak key and no secret.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sentinel_token::{IssuerKeys, PublicJwk};
use serde_json::Value;

pub(crate) fn check(input: &[u8]) {
    if let Ok(keys) = IssuerKeys::parse(input) {
        let document: Value = serde_json::from_slice(input).expect("JSON");
        let all = document["keys"].as_array().expect("a list");
        assert!(!keys.is_empty() && keys.len() <= all.len());
        for key in all {
            assert!(
                key["kty"].is_string() && key["kty"] != "oct",
                "a secret is published"
            );
            let is_absent = |name: &&str| key.get(*name).is_none_or(Value::is_null);
            assert!(["k", "d"].iter().all(is_absent), "a secret is published");
            assert!(
                key["kty"] != "RSA" || ["p", "q", "dp", "dq", "qi", "oth"].iter().all(is_absent),
                "a private half is published"
            );
        }
        if let [only] = all.as_slice()
            && only["kty"] == "RSA"
        {
            is_strong(
                only["n"].as_str().expect("modulus"),
                only["e"].as_str().expect("exponent"),
            );
        }
        let again = IssuerKeys::parse(input).expect("accepted once, accepted again");
        assert_eq!(again, keys);
    }
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    if let Ok(key) = PublicJwk::parse(text) {
        let again = PublicJwk::parse(&key.to_json()).expect("its own spelling is accepted");
        assert_eq!((again.kid(), &again), (key.kid(), &key));
        let members: Value = serde_json::from_str(text).expect("JSON");
        assert!(members.get("d").is_none() && members["kty"] == "RSA" && members["alg"] == "RS256");
        is_strong(
            members["n"].as_str().expect("modulus"),
            members["e"].as_str().expect("exponent"),
        );
    }
}

/// 2048 bits and more, both numbers odd, and an exponent that is not 1.
fn is_strong(modulus: &str, exponent: &str) {
    let (n, e) = (URL_SAFE_NO_PAD.decode(modulus), URL_SAFE_NO_PAD.decode(exponent));
    let (n, e) = (n.expect("base64url"), e.expect("base64url"));
    let is_odd = |number: &[u8]| number.last().is_some_and(|byte| byte % 2 == 1);
    let is_long = n.len() > 256 || (n.len() == 256 && n[0] >= 0x80);
    assert!(is_long && is_odd(&n), "a weak modulus of {} bytes", n.len());
    assert!(is_odd(&e) && e != [1], "a weak exponent");
}
