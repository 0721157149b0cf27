//! JSON Web Tokens: what verifies was signed by us, byte for byte, and says what it must.
//!
//! The first byte chooses what the rest is: a token; changes to a good token; the payload of a token with a good signature; its
//! header; and the same for the tokens of another issuer. The keys are made when the program starts.

use std::sync::LazyLock;
use std::time::Duration;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey};
use sentinel_core::Timestamp;
use sentinel_core::fact::SigningKeyFact;
use sentinel_token::{IssuerKeys, IssuerVerifier, KeySet, PublicJwk, Verifier, claimed_issuer, claimed_kind};
use serde_json::{Value, json};

const ISSUER: &str = "https://auth.example.com";
const OTHER: &str = "https://idp.example";
const AUDIENCE: &str = "https://api.example";
const NOW: i64 = 1_763_797_000;

struct World {
    private: EncodingKey,
    kid: String,
    keys: KeySet,
    issuer_keys: IssuerKeys,
    verifier: Verifier,
    issuer: IssuerVerifier,
    now: Timestamp,
    /// A good token of ours, and one of the other issuer's.
    good: [String; 2],
}

static WORLD: LazyLock<World> = LazyLock::new(World::new);

pub(crate) fn check(input: &[u8]) {
    let Some((choice, rest)) = input.split_first() else {
        return;
    };
    let world = &*WORLD;
    let of_other = usize::from(choice / 4 % 2);
    match choice % 4 {
        0 => {
            let Ok(text) = std::str::from_utf8(rest) else {
                return;
            };
            // Whatever it is, nobody has signed it: the keys are younger.
            world.refuses(text);
            let _ = (claimed_kind(text), claimed_issuer(text));
        }
        1 => {
            let good = &world.good[of_other];
            let changed = changed(good, rest);
            if changed != *good {
                world.refuses(&changed);
            }
        }
        2 => {
            let token = world.sign(world.header().as_bytes(), rest);
            world.says_what_it_must(&token, rest);
        }
        _ => {
            let payload = [ours(), others()][of_other].to_string();
            let token = world.sign(rest, payload.as_bytes());
            if world.accepts(&token) {
                let header: Value = serde_json::from_slice(rest).expect("JSON");
                assert_eq!(header["alg"], "RS256");
                assert!(
                    header.get("crit").is_none(),
                    "what is critical is not understood here"
                );
                assert!(header.get("kid").is_none_or(|kid| kid == world.kid.as_str()));
                assert!(header.get("b64").is_none_or(|b64| b64 == true));
            }
        }
    }
}

/// The token with bytes in other places: a place of two bytes, and what stands there then.
fn changed(token: &str, changes: &[u8]) -> String {
    let mut bytes = token.as_bytes().to_vec();
    for change in changes.chunks_exact(3) {
        let at = usize::from(u16::from_be_bytes([change[0], change[1]])) % bytes.len();
        bytes[at] = change[2] & 0x7F;
    }
    String::from_utf8(bytes).expect("ASCII")
}

impl World {
    fn new() -> Self {
        let pair = KeyPair::generate(KeySize::Rsa2048).expect("a key");
        let public = pair.public_key();
        let (n, e) = (public.modulus(), public.exponent());
        let jwk = PublicJwk::from_components(
            n.big_endian_without_leading_zero(),
            e.big_endian_without_leading_zero(),
        )
        .expect("a good key");
        let der: Pkcs8V1Der<'_> = pair.as_der().expect("PKCS#8");
        let pem = format!(
            "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
            STANDARD.encode(der.as_ref())
        );
        let fact = SigningKeyFact {
            kid: jwk.kid().to_owned(),
            jwk: jwk.to_json(),
            position: 0,
        };
        let document = format!(r#"{{"keys":[{}]}}"#, jwk.to_json());
        let mut world = Self {
            private: EncodingKey::from_rsa_pem(pem.as_bytes()).expect("a private key"),
            kid: jwk.kid().to_owned(),
            keys: KeySet::from_facts([&fact]).expect("a set"),
            issuer_keys: IssuerKeys::parse(document.as_bytes()).expect("a set"),
            verifier: Verifier::new(ISSUER),
            issuer: IssuerVerifier::new(OTHER, vec![AUDIENCE.to_owned()], Duration::ZERO),
            now: Timestamp::from_timestamp(NOW, 0).expect("a time"),
            good: Default::default(),
        };
        let header = world.header();
        world.good =
            [ours(), others()].map(|claims| world.sign(header.as_bytes(), claims.to_string().as_bytes()));
        assert!(
            world
                .verifier
                .verify_access(&world.good[0], &world.keys, world.now)
                .is_ok()
        );
        assert!(
            world
                .issuer
                .verify_access(&world.good[1], &world.issuer_keys, world.now)
                .is_ok()
        );
        world
    }

    fn header(&self) -> String {
        json!({"alg": "RS256", "kid": self.kid, "typ": "JWT"}).to_string()
    }

    fn sign(&self, header: &[u8], payload: &[u8]) -> String {
        let message = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header),
            URL_SAFE_NO_PAD.encode(payload)
        );
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &self.private, Algorithm::RS256);
        format!("{message}.{}", signature.expect("a signature"))
    }

    fn accepts(&self, token: &str) -> bool {
        let (keys, now) = (&self.keys, self.now);
        self.verifier.verify_access(token, keys, now).is_ok()
            || self.verifier.verify_refresh(token, keys, now).is_ok()
            || self.verifier.verify_authz(token, keys, now).is_ok()
            || self.verifier.verify_admin(token, keys, now).is_ok()
            || self.issuer.verify_access(token, &self.issuer_keys, now).is_ok()
            || self.issuer.verify_identity(token, &self.issuer_keys, now).is_ok()
    }

    fn refuses(&self, token: &str) {
        assert!(!self.accepts(token), "nobody has signed this: {token}");
    }

    /// A token with a good signature is accepted for what its payload says, and nothing less.
    fn says_what_it_must(&self, token: &str, payload: &[u8]) {
        let claims = || -> Value { serde_json::from_slice(payload).expect("JSON") };
        let lives = |claims: &Value| {
            assert!(
                claims["exp"].as_f64().expect("a number") > 1_763_797_000.0,
                "it has ended"
            );
            let begins = claims.get("nbf").and_then(Value::as_f64).unwrap_or_default();
            assert!(begins <= 1_763_797_000.0, "it has not begun");
        };
        if let Ok(verified) = self.verifier.verify_access(token, &self.keys, self.now) {
            let claims = claims();
            lives(&claims);
            assert_eq!(
                (&claims["iss"], &claims["type"]),
                (&ISSUER.into(), &"access".into())
            );
            assert!(is_for(&claims["aud"], "sentinel:access"));
            assert_eq!(claims["sub"], verified.user_id().to_string());
            assert!(claims["jti"].is_string() && claims["sid"].is_string());
            assert!(self.verifier.verify_refresh(token, &self.keys, self.now).is_err());
            assert!(self.verifier.verify_admin(token, &self.keys, self.now).is_err());
        }
        if let Ok(verified) = self.issuer.verify_access(token, &self.issuer_keys, self.now) {
            let claims = claims();
            lives(&claims);
            assert_eq!(claims["iss"], OTHER);
            assert!(is_for(&claims["aud"], AUDIENCE));
            assert_eq!(claims["sub"], verified.subject);
            assert!(!verified.subject.is_empty());
        }
        if let Ok(verified) = self.issuer.verify_identity(token, &self.issuer_keys, self.now) {
            let claims = claims();
            lives(&claims);
            assert!(is_for(&claims["aud"], AUDIENCE));
            assert!(
                verified.email.is_none() || claims["email_verified"] == true,
                "an address that nobody vouches for"
            );
        }
    }
}

fn is_for(audience: &Value, expected: &str) -> bool {
    audience == expected
        || audience
            .as_array()
            .is_some_and(|all| all.iter().any(|one| one == expected))
}

/// What a token of ours says.
fn ours() -> Value {
    let id = |number: u8| format!("00000000-0000-0000-0000-0000000000{number:02}");
    json!({
        "iss": ISSUER, "aud": "sentinel:access", "sub": id(1), "jti": id(2), "iat": NOW - 10, "exp": NOW + 890,
        "type": "access", "email": "ada@example.com", "name": "Ada", "wid": id(3), "wslug": "acme",
        "wrole": "editor", "groups": [id(4)], "oid": null, "oslug": null, "opub": false, "sid": id(5),
        "rev": "1763797000.42", "auth_time": NOW - 20, "amr": ["pwd"],
    })
}

/// What a token of the other issuer says.
fn others() -> Value {
    json!({"iss": OTHER, "aud": AUDIENCE, "sub": "ada", "iat": NOW - 10, "exp": NOW + 890})
}
