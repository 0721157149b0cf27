//! Sets and tokens made by hand: each differs from a good one in one thing.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm as Jwa;
use sentinel_core::Timestamp;
use serde_json::{Value, json};

use super::testing::{
    AUDIENCE, ISSUER, Private, claims, ed, identity_claims, other_rsa, p256, p384, rsa, set,
};
use super::*;
use crate::error::{Part, TokenError};
use crate::testing::NOW;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_timestamp(seconds, 0).expect("in range")
}

fn verifier() -> IssuerVerifier {
    IssuerVerifier::new(
        ISSUER,
        vec!["unused".to_owned(), AUDIENCE.to_owned()],
        Duration::ZERO,
    )
}

fn keys(keys: &[Value]) -> IssuerKeys {
    IssuerKeys::parse(set(keys).as_bytes()).expect("a good set")
}

fn parsed(keys: &[Value]) -> Result<usize, InvalidIssuerKeys> {
    IssuerKeys::parse(set(keys).as_bytes()).map(|keys| keys.len())
}

fn bad(reason: BadKey) -> Result<usize, InvalidIssuerKeys> {
    Err(InvalidIssuerKeys::Key { number: 2, reason })
}

/// The key with members set, beside a good key.
fn with_key(key: &Private, members: &Value) -> Result<usize, InvalidIssuerKeys> {
    let mut jwk = key.jwk("second");
    for (name, value) in members.as_object().expect("an object") {
        jwk[name] = value.clone();
    }
    parsed(&[p256().jwk("first"), jwk])
}

fn header(alg: &str, kid: &str) -> Value {
    json!({"alg": alg, "kid": kid, "typ": "JWT"})
}

fn rsa_keys() -> IssuerKeys {
    keys(&[rsa().jwk("k")])
}

fn token(claims: &Value) -> String {
    rsa().sign(&header("RS256", "k"), &claims.to_string(), Jwa::RS256)
}

fn access(token: &str) -> Result<VerifiedExternal, TokenError> {
    verifier().verify_access(token, &rsa_keys(), at(NOW))
}

fn identity(token: &str) -> Result<VerifiedIdentity, TokenError> {
    verifier().verify_identity(token, &rsa_keys(), at(NOW))
}

fn with(mut claims: Value, name: &str, value: Value) -> String {
    claims[name] = value;
    token(&claims)
}

#[test]
fn every_algorithm_verifies_and_means_one_key() {
    let mut rs512 = other_rsa().jwk("rs512");
    rs512["alg"] = json!("RS512");
    let all = keys(&[
        rsa().jwk("rs256"),
        rs512,
        p256().jwk("es256"),
        p384().jwk("es384"),
        ed().jwk("eddsa"),
    ]);
    assert_eq!(all.len(), 5);
    for (key, alg, kid, jwa) in [
        (rsa(), "RS256", "rs256", Jwa::RS256),
        (other_rsa(), "RS512", "rs512", Jwa::RS512),
        (p256(), "ES256", "es256", Jwa::ES256),
        (p384(), "ES384", "es384", Jwa::ES384),
        (ed(), "EdDSA", "eddsa", Jwa::EdDSA),
        (ed(), "Ed25519", "eddsa", Jwa::EdDSA),
    ] {
        let token = key.sign(&header(alg, kid), &claims().to_string(), jwa);
        let verified = verifier().verify_access(&token, &all, at(NOW)).expect(alg);
        assert_eq!(verified.subject, "auth0|42");
        assert_eq!(verified.expires_at, at(NOW + 890));
        for other in ["rs256", "rs512", "es256", "es384", "eddsa"] {
            let token = key.sign(&header(alg, other), &claims().to_string(), jwa);
            let result = verifier().verify_access(&token, &all, at(NOW));
            assert_eq!(result.is_ok(), other == kid, "{alg} by {other}");
        }
    }
    for (alg, jwa) in [
        ("RS256", Jwa::RS256),
        ("RS384", Jwa::RS384),
        ("RS512", Jwa::RS512),
        ("PS256", Jwa::PS256),
        ("PS384", Jwa::PS384),
        ("PS512", Jwa::PS512),
    ] {
        let mut jwk = rsa().jwk("k");
        jwk["alg"] = json!(alg);
        let set = keys(&[jwk]);
        for (said, used) in [
            ("RS256", Jwa::RS256),
            ("RS512", Jwa::RS512),
            ("PS256", Jwa::PS256),
            (alg, jwa),
        ] {
            let token = rsa().sign(&header(said, "k"), &claims().to_string(), used);
            let result = verifier().verify_access(&token, &set, at(NOW));
            assert_eq!(result.is_ok(), said == alg, "{said} by a key of {alg}");
        }
    }
}

#[test]
fn the_algorithm_is_the_keys_and_not_the_tokens() {
    for said in ["none", "None", "HS256", "PS256", "RS384", "ES256", "rs256", ""] {
        let token = rsa().sign(&header(said, "k"), &claims().to_string(), Jwa::RS256);
        assert_eq!(access(&token), Err(TokenError::WrongAlgorithm), "`{said}`");
    }
    // It says RS256, and was signed with another padding or hash, with a MAC of the public key, or not at all.
    for used in [Jwa::PS256, Jwa::RS384, Jwa::RS512] {
        let token = rsa().sign(&header("RS256", "k"), &claims().to_string(), used);
        assert_eq!(access(&token), Err(TokenError::BadSignature));
    }
    let good = token(&claims());
    let message = good.rsplit_once('.').expect("a signature").0;
    let secret = jsonwebtoken::EncodingKey::from_secret(set(&[rsa().jwk("k")]).as_bytes());
    let mac = jsonwebtoken::crypto::sign(message.as_bytes(), &secret, Jwa::HS256).expect("a MAC");
    assert_eq!(access(&format!("{message}.{mac}")), Err(TokenError::BadSignature));
    assert_eq!(access(&format!("{message}.")), Err(TokenError::NotCompact));
    assert_eq!(access(&format!("{message}.AAAA")), Err(TokenError::BadSignature));
    // ECDSA without randomness: r = s = 0 (CVE-2022-21449).
    let set = keys(&[p256().jwk("k")]);
    let token = p256().sign(&header("ES256", "k"), &claims().to_string(), Jwa::ES256);
    let message = token.rsplit_once('.').expect("a signature").0;
    let zero = format!("{message}.{}", URL_SAFE_NO_PAD.encode([0; 64]));
    assert_eq!(
        verifier().verify_access(&zero, &set, at(NOW)),
        Err(TokenError::BadSignature)
    );
}

#[test]
fn a_token_without_a_key_name_means_the_only_key() {
    let bare = json!({"alg": "RS256"});
    let token = rsa().sign(&bare, &claims().to_string(), Jwa::RS256);
    assert!(access(&token).is_ok());
    let mut nameless = rsa().jwk("");
    nameless.as_object_mut().expect("an object").remove("kid");
    let one = keys(&[nameless.clone()]);
    assert!(verifier().verify_access(&token, &one, at(NOW)).is_ok());
    // Keys that verify nothing do not count; another one does.
    let mut encrypts = other_rsa().jwk("enc");
    encrypts["use"] = json!("enc");
    let still_one = keys(&[nameless, encrypts]);
    assert!(verifier().verify_access(&token, &still_one, at(NOW)).is_ok());
    let two = keys(&[rsa().jwk("k"), p256().jwk("other")]);
    assert_eq!(
        verifier().verify_access(&token, &two, at(NOW)),
        Err(TokenError::UnknownKey)
    );
    // A name that no key has is unknown, even where there is only one key.
    let named = rsa().sign(&header("RS256", "x"), &claims().to_string(), Jwa::RS256);
    assert_eq!(access(&named), Err(TokenError::UnknownKey));
    assert_eq!(
        verifier().verify_access(&named, &one, at(NOW)),
        Err(TokenError::UnknownKey)
    );
}

#[test]
fn what_is_not_for_signatures_or_not_supported_is_left_out() {
    for members in [
        json!({"use": "enc"}),
        json!({"use": "SIG"}),
        json!({"use": "tls"}),
        json!({"key_ops": ["encrypt", "wrapKey"]}),
        json!({"key_ops": []}),
        json!({"use": "sig", "key_ops": ["decrypt"]}),
        json!({"alg": "RSA-OAEP"}),
        json!({"alg": "RS1"}),
        json!({"kty": "AKP", "alg": "ML-DSA-44", "pub": "AAAA"}),
        json!({"kty": "rsa"}),
    ] {
        assert_eq!(with_key(rsa(), &members), Ok(1), "{members}");
    }
    for members in [
        json!({"crv": "secp256k1"}),
        json!({"crv": "P-521", "alg": "ES512"}),
        json!({"crv": "X25519"}),
    ] {
        assert_eq!(with_key(p256(), &members), Ok(1), "{members}");
    }
    assert_eq!(with_key(ed(), &json!({"crv": "X25519"})), Ok(1));
    assert_eq!(with_key(ed(), &json!({"crv": "P-256"})), Ok(1));
    for members in [
        json!({"use": "sig"}),
        json!({"key_ops": ["verify"]}),
        json!({"use": "sig", "key_ops": ["verify"], "alg": "RS256"}),
        json!({"x5c": ["AAAA"], "x5t": "AAAA", "issuer": "x"}),
    ] {
        assert_eq!(with_key(rsa(), &members), Ok(2), "{members}");
    }
    let mut encrypts = rsa().jwk("k");
    encrypts["use"] = json!("enc");
    assert_eq!(parsed(&[encrypts]), Err(InvalidIssuerKeys::NoKey));
}

#[test]
fn one_bad_key_makes_the_set_bad() {
    let n = rsa().jwk("k")["n"].as_str().expect("n").to_owned();
    let modulus = URL_SAFE_NO_PAD.decode(&n).expect("base64url");
    let text = |bytes: &[u8]| json!(URL_SAFE_NO_PAD.encode(bytes));
    let roca = crate::roca::fingerprinted_for_tests();
    for (members, reason) in [
        (json!({"kty": "oct", "k": "c2VjcmV0"}), BadKey::Symmetric),
        (json!({"kty": "oct"}), BadKey::Symmetric),
        (json!({"kty": "oct", "k": "", "use": "enc"}), BadKey::Symmetric),
        (
            json!({"k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"}),
            BadKey::Symmetric,
        ),
        (json!({"d": "AAAA"}), BadKey::Private),
        (json!({"alg": "HS256"}), BadKey::Algorithm),
        (json!({"alg": "none"}), BadKey::Algorithm),
        (json!({"alg": "ES256"}), BadKey::Algorithm),
        (json!({"alg": "EdDSA"}), BadKey::Algorithm),
        (json!({"n": text(&modulus[..128])}), BadKey::Rsa),
        (json!({"n": text(&modulus.repeat(5))}), BadKey::Rsa),
        (json!({"n": text(&roca)}), BadKey::Rsa),
        (
            json!({"n": text(&[&[0], modulus.as_slice()].concat())}),
            BadKey::Rsa,
        ),
        (json!({"n": format!("{n}==")}), BadKey::Rsa),
        (json!({"n": ""}), BadKey::Rsa),
        (json!({"e": "AQ"}), BadKey::Rsa),
        (json!({"e": "Ag"}), BadKey::Rsa),
        (json!({"e": null}), BadKey::Shape),
        (json!({"n": 7}), BadKey::Shape),
        (json!({"kty": null}), BadKey::Shape),
        (json!({"kty": ["RSA"]}), BadKey::Shape),
        (json!({"use": ["sig"]}), BadKey::Shape),
        (json!({"key_ops": "verify"}), BadKey::Shape),
        (json!({"kid": 7}), BadKey::Shape),
        (json!({"kid": ""}), BadKey::Kid),
        (json!({"kid": "k".repeat(257)}), BadKey::Kid),
    ] {
        assert_eq!(with_key(rsa(), &members), bad(reason), "{members}");
    }
    let other_y = p384().jwk("k")["y"].clone();
    for (members, reason) in [
        (json!({"alg": "ES384"}), BadKey::Algorithm),
        (json!({"alg": "RS256"}), BadKey::Algorithm),
        (json!({"x": text(&[1; 32])}), BadKey::Point),
        (json!({"x": text(&[0; 32]), "y": text(&[0; 32])}), BadKey::Point),
        (json!({"x": text(&[1; 31])}), BadKey::Point),
        (json!({"y": other_y}), BadKey::Point),
        (json!({"crv": "P-384"}), BadKey::Point),
        (json!({"y": null}), BadKey::Shape),
        (json!({"crv": null}), BadKey::Shape),
        (json!({"d": "AAAA"}), BadKey::Private),
    ] {
        assert_eq!(with_key(p256(), &members), bad(reason), "{members}");
    }
    assert_eq!(with_key(ed(), &json!({"x": text(&[1; 31])})), bad(BadKey::Point));
    assert_eq!(with_key(ed(), &json!({"alg": "ES256"})), bad(BadKey::Algorithm));
}

#[test]
fn any_private_member_of_an_rsa_key_gives_it_away() {
    for name in ["d", "p", "q", "dp", "dq", "qi"] {
        for value in [json!("AAAA"), json!(""), json!(7)] {
            let members = json!({name: value});
            assert_eq!(with_key(rsa(), &members), bad(BadKey::Private), "{members}");
        }
        let unused = json!({name: "AAAA", "use": "enc"});
        assert_eq!(with_key(rsa(), &unused), bad(BadKey::Private), "{unused}");
        assert_eq!(
            with_key(rsa(), &json!({name: null})),
            Ok(2),
            "`{name}` is not there"
        );
    }
    let several = json!({"oth": [{"r": "AAAA", "d": "AAAA", "t": "AAAA"}]});
    assert_eq!(with_key(rsa(), &several), bad(BadKey::Private));
    // A type that is not known may call a public member so.
    assert_eq!(
        with_key(rsa(), &json!({"kty": "DSA", "p": "AAAA", "q": "AAAA"})),
        Ok(1)
    );
}

#[test]
fn one_name_for_two_keys_is_refused_whatever_they_are_for() {
    let duplicate = Err(InvalidIssuerKeys::Duplicate(2));
    assert_eq!(parsed(&[rsa().jwk("k"), other_rsa().jwk("k")]), duplicate);
    assert_eq!(parsed(&[rsa().jwk("k"), rsa().jwk("k")]), duplicate);
    let mut encrypts = other_rsa().jwk("k");
    encrypts["use"] = json!("enc");
    assert_eq!(parsed(&[rsa().jwk("k"), encrypts]), duplicate);
}

#[test]
fn only_a_set_of_bounded_size_is_read() {
    let good = set(&[rsa().jwk("k")]);
    let parse = |text: &str| IssuerKeys::parse(text.as_bytes()).map(|keys| keys.len());
    assert_eq!(parse(&good), Ok(1));
    for text in [
        String::new(),
        "[]".into(),
        "{}".into(),
        r#"{"keys":{}}"#.into(),
        r#"{"keys":null}"#.into(),
        good.replacen('{', r#"{"keys":[],"#, 1),
        good.replacen(r#""kty""#, r#""kty":"oct","kty""#, 1),
        format!("{good}x"),
        format!("\u{feff}{good}"),
        "<html>".into(),
        format!(r#"{{"keys":[{}]}}"#, "[".repeat(5_000)),
    ] {
        assert_eq!(parse(&text), Err(InvalidIssuerKeys::NotASet), "`{text:.80}`");
    }
    assert!(matches!(
        parse(r#"{"keys":["k"]}"#),
        Err(InvalidIssuerKeys::Key {
            number: 1,
            reason: BadKey::Shape
        })
    ));
    assert_eq!(parse(r#"{"keys":[]}"#), Err(InvalidIssuerKeys::NoKey));
    let many: Vec<Value> = (0..=MAX_KEYS).map(|n| ed().jwk(&n.to_string())).collect();
    assert_eq!(parsed(&many), Err(InvalidIssuerKeys::TooMany));
    assert_eq!(parsed(&many[1..]), Ok(MAX_KEYS));
    let long = good + &" ".repeat(MAX_KEYS_BYTES);
    assert_eq!(parse(&long), Err(InvalidIssuerKeys::TooLong));
}

#[test]
fn headers_are_strict() {
    for (name, value, expected) in [
        ("crit", json!(["exp"]), TokenError::HeaderMember("crit")),
        ("b64", json!(false), TokenError::HeaderMember("b64")),
        ("zip", json!("DEF"), TokenError::HeaderMember("zip")),
        (
            "jku",
            json!("https://evil.example"),
            TokenError::HeaderMember("jku"),
        ),
        ("jwk", rsa().jwk("k"), TokenError::HeaderMember("jwk")),
        ("x5c", json!(["AAAA"]), TokenError::HeaderMember("x5c")),
        ("kid", json!(7), TokenError::NotJson(Part::Header)),
        ("typ", json!("logout+jwt"), TokenError::WrongTyp),
        ("typ", json!("secevent+jwt"), TokenError::WrongTyp),
        ("typ", json!("dpop+jwt"), TokenError::WrongTyp),
        ("typ", json!(""), TokenError::WrongTyp),
    ] {
        let mut header = header("RS256", "k");
        header[name] = value;
        let token = rsa().sign(&header, &claims().to_string(), Jwa::RS256);
        assert_eq!(access(&token), Err(expected), "{header}");
    }
    let typed = |typ: &str| {
        let header = json!({"alg": "RS256", "kid": "k", "typ": typ, "x5t": "AAAA"});
        (
            rsa().sign(&header, &claims().to_string(), Jwa::RS256),
            rsa().sign(&header, &identity_claims().to_string(), Jwa::RS256),
        )
    };
    for (typ, as_identity) in [
        ("JWT", true),
        ("jwt", true),
        ("at+jwt", false),
        ("application/at+jwt", false),
    ] {
        let (access_token, id_token) = typed(typ);
        assert!(access(&access_token).is_ok(), "`{typ}`");
        assert_eq!(identity(&id_token).is_ok(), as_identity, "`{typ}`");
    }
}

#[test]
fn every_required_claim_is_required_and_has_one_type() {
    for name in ["iss", "aud", "sub", "exp", "iat"] {
        let mut without = claims();
        without.as_object_mut().expect("an object").remove(name);
        assert_eq!(access(&token(&without)), Err(TokenError::MissingClaim(name)));
        assert_eq!(
            access(&with(claims(), name, json!(null))),
            Err(TokenError::InvalidClaim)
        );
    }
    for (name, value) in [
        ("iss", json!([ISSUER, "https://evil.example"])),
        ("aud", json!([AUDIENCE, 7])),
        ("aud", json!({"a": AUDIENCE})),
        ("sub", json!(42)),
        ("sub", json!("")),
        ("sub", json!("x".repeat(256))),
        ("sub", json!("ä".repeat(128))),
        ("sub", json!("a\nb")),
        ("exp", json!("9999999999")),
        ("exp", json!(1_863_797_000.5)),
        ("exp", json!(u64::MAX)),
        ("exp", json!(-1)),
        ("iat", json!("0")),
        ("iat", json!(NOW + 10_000)),
        ("nbf", json!("0")),
        ("nbf", json!(null)),
        ("typ", json!(null)),
        ("azp", json!(7)),
        ("email", json!(["a@b.example"])),
    ] {
        let refused = access(&with(claims(), name, value.clone()));
        assert_eq!(refused, Err(TokenError::InvalidClaim), "{name}: {value}");
    }
    assert!(access(&with(claims(), "sub", json!("ä".repeat(127)))).is_ok());
}

#[test]
fn issuer_audience_and_time_are_exact() {
    for issuer in [
        "https://idp.example/",
        "HTTPS://idp.example",
        "https://evil.example",
        "",
    ] {
        let refused = access(&with(claims(), "iss", json!(issuer)));
        assert_eq!(refused, Err(TokenError::WrongIssuer));
    }
    for audience in [
        json!("https://api.example/"),
        json!([]),
        json!("https"),
        json!(["x"]),
    ] {
        let refused = access(&with(claims(), "aud", audience.clone()));
        assert_eq!(refused, Err(TokenError::WrongAudience), "{audience}");
    }
    assert_eq!(
        access(&with(claims(), "exp", json!(NOW))),
        Err(TokenError::Expired)
    );
    assert_eq!(
        access(&with(claims(), "nbf", json!(NOW + 1))),
        Err(TokenError::NotYetValid)
    );
    let lenient = IssuerVerifier::new(ISSUER, vec![AUDIENCE.to_owned()], Duration::from_hours(1));
    let verify = |token: &str| lenient.verify_access(token, &rsa_keys(), at(NOW));
    let late = verify(&with(claims(), "exp", json!(NOW - 29))).expect("leeway");
    assert_eq!(late.expires_at, at(NOW + 1));
    assert_eq!(
        verify(&with(claims(), "exp", json!(NOW - 30))),
        Err(TokenError::Expired)
    );
    assert!(verify(&with(claims(), "nbf", json!(NOW + 30))).is_ok());
    assert_eq!(
        verify(&with(claims(), "nbf", json!(NOW + 31))),
        Err(TokenError::NotYetValid)
    );
}

#[test]
fn repeated_members_and_other_json_are_refused() {
    let sign = |payload: &str| rsa().sign(&header("RS256", "k"), payload, Jwa::RS256);
    let good = claims().to_string();
    for members in [
        r#""sub":"x""#,
        r#""\u0073ub":"x""#,
        r#""roles":1,"roles":2"#,
        r#""x":[{"a":1,"a":1}]"#,
    ] {
        let payload = good.replacen('{', &format!("{{{members},"), 1);
        let refused = access(&sign(&payload));
        assert_eq!(
            refused,
            Err(TokenError::DuplicateMember(Part::Payload)),
            "{members}"
        );
    }
    for payload in ["[]", "null", "{", &format!("{good}x"), &format!("\u{feff}{good}")] {
        assert_eq!(access(&sign(payload)), Err(TokenError::NotJson(Part::Payload)));
    }
    let long = with(claims(), "x", json!("x".repeat(9_000)));
    assert_eq!(access(&long), Err(TokenError::TooLarge));
}

#[test]
fn a_token_for_another_purpose_is_none() {
    for (name, value) in [
        ("typ", json!("Refresh")),
        ("typ", json!("Offline")),
        ("typ", json!("ID")),
        ("typ", json!("Logout")),
        ("typ", json!("DPoP")),
        ("typ", json!("bearer")),
        ("token_use", json!("id")),
        (
            "events",
            json!({"http://schemas.openid.net/event/backchannel-logout": {}}),
        ),
        ("cnf", json!({"jkt": "x"})),
        ("nonce", json!("x")),
        ("at_hash", json!("x")),
        ("c_hash", json!("x")),
        ("s_hash", json!("x")),
    ] {
        let refused = access(&with(claims(), name, value.clone()));
        assert_eq!(refused, Err(TokenError::WrongKind), "{name}: {value}");
    }
    assert!(access(&with(claims(), "typ", json!("Bearer"))).is_ok());
    assert!(access(&with(claims(), "token_use", json!("access"))).is_ok());
    for (name, value) in [
        ("typ", json!("Bearer")),
        ("typ", json!("Refresh")),
        ("token_use", json!("access")),
        ("events", json!({})),
    ] {
        let refused = identity(&with(identity_claims(), name, value.clone()));
        assert_eq!(refused, Err(TokenError::WrongKind), "{name}: {value}");
    }
    assert!(identity(&with(identity_claims(), "typ", json!("ID"))).is_ok());
    assert!(identity(&with(identity_claims(), "token_use", json!("id"))).is_ok());
}

#[test]
fn an_id_token_says_what_the_provider_verified() {
    let verified = identity(&token(&identity_claims())).expect("good");
    assert_eq!(verified.email.as_deref(), Some("ada@example.com"));
    assert_eq!(verified.name.as_deref(), Some("Ada"));
    assert_eq!(verified.subject, "auth0|42");
    for value in [json!("true"), json!(1), json!(false), json!(null)] {
        let other = identity(&with(identity_claims(), "email_verified", value.clone())).expect("good");
        assert_eq!(other.email, None, "{value}");
    }
}

#[test]
fn an_id_token_is_for_us_and_nobody_else() {
    let mut claims = identity_claims();
    for (aud, azp, accepted) in [
        (json!(AUDIENCE), json!(AUDIENCE), true),
        (json!([AUDIENCE]), json!("android-app"), true),
        (json!([AUDIENCE, "unused"]), json!("unused"), true),
        (json!([AUDIENCE, "unused"]), json!("evil"), false),
        (json!([AUDIENCE, "evil"]), json!(AUDIENCE), false),
        (json!(["evil", AUDIENCE]), json!("evil"), false),
        (json!([]), json!(AUDIENCE), false),
        (json!("evil"), json!(AUDIENCE), false),
    ] {
        claims["aud"] = aud.clone();
        claims["azp"] = azp.clone();
        assert_eq!(identity(&token(&claims)).is_ok(), accepted, "{aud} {azp}");
    }
}

#[test]
fn equal_documents_are_equal_keys() {
    let (one, again, other) = (
        keys(&[rsa().jwk("k")]),
        keys(&[rsa().jwk("k")]),
        keys(&[rsa().jwk("x")]),
    );
    assert_eq!(one, one.clone());
    assert_eq!(one, again);
    assert_ne!(one, other);
    assert!(!format!("{one:?}").contains("AQAB"));
}

#[test]
fn the_claimed_issuer_is_read_from_a_token_of_bounded_size_only() {
    assert_eq!(claimed_issuer(&token(&claims())).as_deref(), Some(ISSUER));
    let payload = |text: &str| format!("e30.{}.AAAA", URL_SAFE_NO_PAD.encode(text));
    assert_eq!(claimed_issuer(&payload(r#"{"iss":"x"}"#)).as_deref(), Some("x"));
    for bad in [
        r#"{"iss":"x","iss":"y"}"#,
        r#"{"iss":["x"]}"#,
        r#"{"iss":7}"#,
        "{}",
        "[]",
        "x",
    ] {
        assert_eq!(claimed_issuer(&payload(bad)), None, "{bad}");
    }
    for bad in ["", "a", "a.b", "e30.eyJpc3MiOiJ4In0", "e30.eyJpc3MiOiJ4In0.a.b"] {
        assert_eq!(claimed_issuer(bad), None, "`{bad}`");
    }
    assert_eq!(
        claimed_issuer(&with(claims(), "x", json!("x".repeat(9_000)))),
        None
    );
}
