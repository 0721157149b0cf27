//! Tokens made by hand: each differs from a good one in one thing.

use jsonwebtoken::Algorithm;
use sentinel_core::WorkspaceRole;
use serde_json::{Value, json};

use super::*;
use crate::testing::{ISSUER, NOW, TestKey, access_claims, id};

fn keys() -> KeySet {
    KeySet::from_facts([&TestKey::a().fact(0), &TestKey::b().fact(1)]).expect("good keys")
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_timestamp(seconds, 0).expect("in range")
}

fn verify_at(token: &str, seconds: i64) -> Result<VerifiedAccess, TokenError> {
    Verifier::new(ISSUER).verify_access(token, &keys(), at(seconds))
}

fn error(token: &str) -> TokenError {
    verify_at(token, NOW).expect_err("must be refused")
}

/// The good claims with one of them set.
fn with(name: &str, value: Value) -> String {
    let mut claims = access_claims();
    claims[name] = value;
    TestKey::a().sign(&claims)
}

/// A good payload with a text put in front of its members, for what `serde_json` would not write.
fn payload_beginning_with(members: &str) -> String {
    access_claims()
        .to_string()
        .replacen('{', &format!("{{{members},"), 1)
}

fn payload_without(name: &str) -> Value {
    let mut claims = access_claims();
    claims.as_object_mut().expect("an object").remove(name);
    claims
}

#[test]
fn a_good_token_gives_the_user() {
    let verified = verify_at(&TestKey::a().sign(&access_claims()), NOW).expect("good");
    let user = verified.user();
    assert_eq!(user.id.to_string(), id(1));
    assert_eq!(user.workspace.to_string(), id(3));
    assert_eq!(user.role_at_mint, WorkspaceRole::Editor);
    assert_eq!(
        user.minted_at.map(|rev| rev.to_string()).as_deref(),
        Some("1763797000.42")
    );
    assert_eq!(verified.token().to_string(), id(2));
    assert_eq!(verified.session().to_string(), id(5));
    assert_eq!(verified.expires_at(), at(NOW + 890));
    assert_eq!(verified.claims().amr, ["pwd"]);
}

#[test]
fn the_older_key_still_verifies_and_a_removed_one_does_not() {
    let token = TestKey::b().sign(&access_claims());
    assert!(verify_at(&token, NOW).is_ok());
    let only_a = KeySet::from_facts([&TestKey::a().fact(0)]).expect("good key");
    let refused = Verifier::new(ISSUER).verify_access(&token, &only_a, at(NOW));
    assert_eq!(refused, Err(TokenError::UnknownKey));
}

#[test]
fn expiry_is_judged_by_the_given_time_only() {
    let token = TestKey::a().sign(&access_claims());
    assert!(verify_at(&token, NOW + 889).is_ok());
    assert_eq!(verify_at(&token, NOW + 890), Err(TokenError::Expired));
    assert_eq!(verify_at(&token, NOW + 891), Err(TokenError::Expired));
}

#[test]
fn not_before_is_honoured() {
    assert_eq!(error(&with("nbf", json!(NOW + 1))), TokenError::NotYetValid);
    assert!(verify_at(&with("nbf", json!(NOW)), NOW).is_ok());
    for bad in [json!("0"), json!(1.5), json!(null), json!([0])] {
        assert_eq!(error(&with("nbf", bad)), TokenError::InvalidClaim);
    }
}

#[test]
fn the_algorithm_is_the_keys_and_not_the_tokens() {
    let key = TestKey::a();
    let payload = access_claims().to_string();
    for (alg, signed_with) in [
        ("PS256", Algorithm::PS256),
        ("RS512", Algorithm::RS512),
        ("RS384", Algorithm::RS384),
        ("none", Algorithm::RS256),
        ("None", Algorithm::RS256),
        ("rs256", Algorithm::RS256),
        ("HS256", Algorithm::RS256),
        ("", Algorithm::RS256),
    ] {
        let header = key.header().replace("RS256", alg);
        let token = key.sign_raw(&header, &payload, signed_with);
        assert_eq!(error(&token), TokenError::WrongAlgorithm, "`{alg}`");
    }
    // Says RS256 and was signed with another padding or hash.
    for other in [Algorithm::PS256, Algorithm::RS384, Algorithm::RS512] {
        assert_eq!(
            error(&key.sign_raw(&key.header(), &payload, other)),
            TokenError::BadSignature
        );
    }
}

#[test]
fn a_public_key_used_as_an_hmac_secret_signs_nothing() {
    let key = TestKey::a();
    let message = key.sign(&access_claims());
    let message = message.rsplit_once('.').expect("a signature").0;
    let secret = jsonwebtoken::EncodingKey::from_secret(key.fact(0).jwk.as_bytes());
    let mac = jsonwebtoken::crypto::sign(message.as_bytes(), &secret, Algorithm::HS256).expect("a MAC");
    assert_eq!(error(&format!("{message}.{mac}")), TokenError::BadSignature);
}

#[test]
fn the_signature_covers_header_and_payload() {
    let key = TestKey::a();
    let (mine, other) = (key.sign(&access_claims()), with("wrole", json!("owner")));
    let part = |token: &str, n: usize| token.split('.').nth(n).expect("a part").to_owned();
    let spliced = format!("{}.{}.{}", part(&mine, 0), part(&other, 1), part(&mine, 2));
    assert_eq!(error(&spliced), TokenError::BadSignature);
    // The other known key's name over this key's signature.
    let renamed = TestKey::b().header();
    assert_eq!(
        error(&key.sign_raw(&renamed, &access_claims().to_string(), Algorithm::RS256)),
        TokenError::BadSignature
    );
    let (message, signature) = mine.rsplit_once('.').expect("a signature");
    let half = signature.len() / 2;
    for bad in ["AAAA", &signature[..half - half % 4], &format!("{signature}AAAA")] {
        assert_eq!(error(&format!("{message}.{bad}")), TokenError::BadSignature);
    }
}

#[test]
fn headers_are_strict() {
    let key = TestKey::a();
    let kid = key.kid();
    let payload = access_claims().to_string();
    for (header, expected) in [
        (json!({"alg": "RS256", "typ": "JWT"}), TokenError::UnknownKey),
        (
            json!({"alg": "RS256", "kid": null, "typ": "JWT"}),
            TokenError::UnknownKey,
        ),
        (
            json!({"alg": "RS256", "kid": "", "typ": "JWT"}),
            TokenError::UnknownKey,
        ),
        (
            json!({"alg": "RS256", "kid": "../../etc", "typ": "JWT"}),
            TokenError::UnknownKey,
        ),
        (json!({"alg": "RS256", "kid": kid}), TokenError::WrongTyp),
        (
            json!({"alg": "RS256", "kid": kid, "typ": "jwt+x"}),
            TokenError::WrongTyp,
        ),
        (
            json!({"alg": "RS256", "kid": kid, "typ": "logout+jwt"}),
            TokenError::WrongTyp,
        ),
        (
            json!({"alg": "RS256", "kid": kid, "typ": "JWT", "crit": ["exp"]}),
            TokenError::HeaderMember("crit"),
        ),
        (
            json!({"alg": "RS256", "kid": kid, "typ": "JWT", "crit": ["b64"], "b64": false}),
            TokenError::HeaderMember("crit"),
        ),
        (
            json!({"alg": "RS256", "kid": kid, "typ": "JWT", "zip": "DEF"}),
            TokenError::HeaderMember("zip"),
        ),
        (
            json!({"alg": "RS256", "kid": kid, "typ": "JWT", "jku": "https://evil.example/jwks"}),
            TokenError::HeaderMember("jku"),
        ),
    ] {
        let token = key.sign_raw(&header.to_string(), &payload, Algorithm::RS256);
        assert_eq!(error(&token), expected, "{header}");
    }
    let twice = format!(r#"{{"alg":"RS256","kid":"other","kid":"{kid}","typ":"JWT"}}"#);
    assert_eq!(
        error(&key.sign_raw(&twice, &payload, Algorithm::RS256)),
        TokenError::DuplicateMember(Part::Header)
    );
    let profile = json!({"alg": "RS256", "kid": kid, "typ": "at+jwt"}).to_string();
    assert!(verify_at(&key.sign_raw(&profile, &payload, Algorithm::RS256), NOW).is_ok());
}

#[test]
fn repeated_members_are_refused_wherever_they_are() {
    let key = TestKey::a();
    for members in [
        r#""wrole":"viewer""#,
        r#""exp":1"#,
        r#""iss":"https://evil.example""#,
        r#""\u0077role":"viewer""#,
        r#""custom":{"a":1,"a":2}"#,
        r#""custom":[{"a":1,"a":2}]"#,
    ] {
        let token = key.sign_raw(&key.header(), &payload_beginning_with(members), Algorithm::RS256);
        assert_eq!(
            error(&token),
            TokenError::DuplicateMember(Part::Payload),
            "{members}"
        );
    }
    let once = key.sign_raw(
        &key.header(),
        &payload_beginning_with(r#""custom":{"a":1}"#),
        Algorithm::RS256,
    );
    assert!(
        verify_at(&once, NOW).is_ok(),
        "a claim that we do not know is no harm"
    );
}

#[test]
fn payloads_that_are_no_object_are_refused() {
    let key = TestKey::a();
    let good = access_claims().to_string();
    let deep = payload_beginning_with(&format!(r#""x":{}{}"#, "[".repeat(1_000), "]".repeat(1_000)));
    for bad in [
        "[]",
        "null",
        "\"x\"",
        "{",
        &format!("{good}x"),
        &format!("\u{feff}{good}"),
        &format!("{good}{good}"),
        &deep,
    ] {
        let token = key.sign_raw(&key.header(), bad, Algorithm::RS256);
        assert_eq!(error(&token), TokenError::NotJson(Part::Payload));
    }
}

#[test]
fn a_long_token_is_not_looked_at() {
    assert_eq!(
        error(&with("name", json!("x".repeat(9_000)))),
        TokenError::TooLarge
    );
}

#[test]
fn every_required_claim_is_required() {
    for name in [
        "iss", "aud", "sub", "jti", "iat", "exp", "type", "email", "name", "wid", "wslug", "wrole", "sid",
    ] {
        let token = TestKey::a().sign(&payload_without(name));
        assert_eq!(error(&token), TokenError::MissingClaim(name));
        assert_eq!(
            error(&with(name, json!(null))),
            TokenError::InvalidClaim,
            "`{name}` is null"
        );
    }
    for name in ["groups", "oid", "oslug", "opub", "rev", "auth_time", "amr"] {
        assert!(
            verify_at(&TestKey::a().sign(&payload_without(name)), NOW).is_ok(),
            "`{name}`"
        );
    }
}

#[test]
fn claims_have_one_type_each() {
    for (name, bad) in [
        ("iss", json!([ISSUER, "evil"])),
        ("iss", json!([ISSUER])),
        ("iss", json!(7)),
        ("sub", json!(1)),
        ("sub", json!([id(1)])),
        ("sub", json!("not-a-uuid")),
        ("sub", json!("00000000000000000000000000000001")),
        ("sub", json!("00000000-0000-0000-0000-00000000000A")),
        ("jti", json!("")),
        ("sid", json!("x")),
        ("aud", json!(["sentinel:access", 1])),
        ("aud", json!({"sentinel:access": 1})),
        ("exp", json!("9999999999")),
        ("exp", json!(1.5e9)),
        ("exp", json!(1_863_797_000.5)),
        ("exp", json!(u64::MAX)),
        ("exp", json!(i64::MAX)),
        ("exp", json!(253_402_300_800_i64)),
        ("exp", json!(-1)),
        ("exp", json!(true)),
        ("iat", json!("0")),
        ("iat", json!(-1)),
        ("iat", json!(NOW + 10_000)),
        ("auth_time", json!("now")),
        ("wrole", json!("Owner")),
        ("wrole", json!("superuser")),
        ("wslug", json!("A b")),
        ("rev", json!("42")),
        ("rev", json!(42)),
        ("groups", json!("all")),
        ("amr", json!("pwd")),
    ] {
        assert_eq!(
            error(&with(name, bad.clone())),
            TokenError::InvalidClaim,
            "{name}: {bad}"
        );
    }
    let exponent = access_claims()
        .to_string()
        .replace(&(NOW + 890).to_string(), "1e12");
    let key = TestKey::a();
    assert_eq!(
        error(&key.sign_raw(&key.header(), &exponent, Algorithm::RS256)),
        TokenError::InvalidClaim
    );
}

#[test]
fn issuer_and_audience_are_exact() {
    for bad in [
        "https://evil.example",
        "https://auth.example.com/",
        "HTTPS://auth.example.com",
        "",
    ] {
        assert_eq!(
            error(&with("iss", json!(bad))),
            TokenError::WrongIssuer,
            "`{bad}`"
        );
    }
    for bad in [
        json!("sentinel:admin"),
        json!("sentinel:access2"),
        json!("duar:access"),
        json!(""),
        json!([]),
        json!(["x", "sentinel"]),
    ] {
        assert_eq!(
            error(&with("aud", bad.clone())),
            TokenError::WrongAudience,
            "{bad}"
        );
    }
    let both = with("aud", json!(["sentinel:access", "duar:access"]));
    assert!(verify_at(&both, NOW).is_ok());
}

#[test]
fn one_kind_of_token_never_passes_for_another() {
    let verifier = Verifier::new(ISSUER);
    let refresh = json!({
        "iss": ISSUER, "aud": "sentinel:refresh", "sub": id(1), "jti": id(2), "iat": NOW, "exp": NOW + 60,
        "type": "refresh", "fid": id(5),
    });
    let admin = json!({
        "iss": ISSUER, "aud": "sentinel:admin", "sub": id(1), "jti": id(2), "iat": NOW, "exp": NOW + 60,
        "type": "admin_access", "email": "ada@example.com", "name": "Ada", "admin": true, "sid": id(5),
    });
    let sign = |claims: &Value| TestKey::a().sign(claims);
    let good = verifier
        .verify_refresh(&sign(&refresh), &keys(), at(NOW))
        .expect("good");
    assert_eq!(good.session().to_string(), id(5));
    let good = verifier
        .verify_admin(&sign(&admin), &keys(), at(NOW))
        .expect("good");
    assert_eq!(good.claims().email, "ada@example.com");

    assert!(verifier.verify_access(&sign(&refresh), &keys(), at(NOW)).is_err());
    assert!(verifier.verify_access(&sign(&admin), &keys(), at(NOW)).is_err());
    assert!(
        verifier
            .verify_admin(&sign(&access_claims()), &keys(), at(NOW))
            .is_err()
    );
    assert!(
        verifier
            .verify_refresh(&sign(&access_claims()), &keys(), at(NOW))
            .is_err()
    );

    // Even one that names every audience is only what its `type` says.
    let mut greedy = access_claims();
    greedy["aud"] = json!(["sentinel:access", "sentinel:admin"]);
    greedy["admin"] = json!(true);
    assert_eq!(
        verifier.verify_admin(&sign(&greedy), &keys(), at(NOW)),
        Err(TokenError::WrongKind)
    );
    let mut not_admin = admin;
    not_admin["admin"] = json!(false);
    assert_eq!(
        verifier.verify_admin(&sign(&not_admin), &keys(), at(NOW)),
        Err(TokenError::InvalidClaim)
    );
}
