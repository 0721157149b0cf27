//! Tokens of other issuers, ID tokens with authz tokens, and the session cookie.

use std::collections::BTreeMap;
use std::path::Path;

use sentinel_config::parse_edge;

use super::super::issuers::testing::{IssuerKey, authz};
use super::*;
use crate::testing::EDDA;

const PARTNER: &str = "https://partner.example";
const GOOGLE: &str = "https://accounts.google.com";
const OTHER: &str = "https://other.example";

/// An edge that knows the keys of `partner` (access tokens) and `google` (ID tokens), and perhaps those of `other` (ID tokens).
struct World {
    authn: Authenticator,
    issuers: Arc<Issuers>,
    partner: IssuerKey,
    google: IssuerKey,
    other: IssuerKey,
    state: ReplicaState,
}

fn issuers(names: &[&str]) -> Arc<Issuers> {
    let all = [
        (
            "partner",
            format!("{{ issuer: {PARTNER}, audiences: [api], tokens: access }}"),
        ),
        (
            "google",
            format!("{{ issuer: {GOOGLE}, audiences: [web], tokens: identity, leeway: 10s }}"),
        ),
        (
            "other",
            format!("{{ issuer: {OTHER}, audiences: [web], tokens: identity }}"),
        ),
    ];
    let written: Vec<String> = all
        .iter()
        .filter(|(name, _)| names.contains(name))
        .map(|(name, section)| format!("{name}: {section}"))
        .collect();
    let text = format!(
        "control_plane: {{ url: {ISSUER}, edge_key: k }}\nissuers: {{ {} }}",
        written.join(", ")
    );
    let config = parse_edge(&text, Path::new("edge.yaml"), &BTreeMap::new()).expect("a configuration");
    Arc::new(Issuers::load(&config.issuers).expect("nothing to read"))
}

impl World {
    fn new(names: &[&str]) -> Self {
        let world = Self::without_keys(names);
        for (issuer, key) in [
            (PARTNER, &world.partner),
            (GOOGLE, &world.google),
            (OTHER, &world.other),
        ] {
            world.learn(issuer, key);
        }
        world
    }

    fn without_keys(names: &[&str]) -> Self {
        let metrics = Metrics::new().expect("names are fine");
        let issuers = issuers(names);
        Self {
            authn: Authenticator {
                outside: Outside::of(Arc::clone(&issuers)),
                ..Authenticator::new(Verifier::new(ISSUER), metrics.tokens(), &SystemRandom)
            },
            issuers,
            partner: IssuerKey::new("p1"),
            google: IssuerKey::new("g1"),
            other: IssuerKey::new("o1"),
            state: state(facts()),
        }
    }

    fn learn(&self, issuer: &str, key: &IssuerKey) {
        if let Some((_, issuer)) = self.issuers.called(issuer) {
            issuer.learn(sentinel_token::IssuerKeys::parse(key.set().as_bytes()).expect("a set"));
        }
    }

    fn ask(&self, presented: &Presented, accepts: &Accepts, now: i64) -> Result<Principal, Denial> {
        let caller = self
            .authn
            .authenticate(presented, accepts, &self.state, at(now))?;
        Ok(Principal::clone(&caller.principal))
    }

    fn bearer(&self, token: &str, accepts: &Accepts) -> Result<Principal, Denial> {
        self.ask(&presented(Some(token), None), accepts, NOW)
    }

    fn pair(&self, authz: &str, id_token: &str) -> Result<Principal, Denial> {
        self.ask(&both(Some(authz), Some(id_token)), &authz_route(), NOW)
    }
}

fn both(authz: Option<&str>, bearer: Option<&str>) -> Presented {
    Presented {
        authz: authz.map(Into::into),
        ..presented(bearer, None)
    }
}

fn names_partner() -> Accepts {
    Accepts {
        access: false,
        issuers: Box::new(["partner".into()]),
        ..Accepts::default()
    }
}

fn authz_route() -> Accepts {
    Accepts {
        access: false,
        authz: true,
        service: Some("docs".parse().expect("a name")),
        ..Accepts::default()
    }
}

fn takes_cookie() -> Accepts {
    Accepts {
        cookie: true,
        ..Accepts::default()
    }
}

fn authz_token() -> String {
    token(OLGA, authz)
}

#[test]
fn an_access_token_of_an_issuer_counts_where_the_route_names_it() {
    let world = World::new(&["partner", "google"]);
    let token = world.partner.access(PARTNER, |_| ());
    for _ in 0..2 {
        let principal = world.bearer(&token, &names_partner()).expect("good");
        let user = principal.external_user().expect("external");
        assert_eq!(
            (user.issuer.as_str(), user.subject.as_str()),
            ("partner", "auth0|4 2")
        );
        assert_eq!(
            user.expires_at,
            at(NOW + 900),
            "with the tolerance of ten seconds"
        );
        assert!(principal.user().is_none());
    }
    assert_eq!(world.authn.counters.verified.get(), 1);
    assert_eq!(world.authn.counters.remembered.get(), 1);
    for other in [Accepts::default(), authz_route(), takes_cookie()] {
        assert_eq!(world.bearer(&token, &other).err(), Some(Denial::TokenInvalid));
    }
    let with_key = presented(Some(&token), Some(service_key().expose()));
    let principal = world.ask(&with_key, &names_partner(), NOW).expect("both");
    assert!(principal.external_user().is_some() && principal.service().is_some());
    let late = |now| {
        world
            .ask(&presented(Some(&token), None), &names_partner(), now)
            .map(drop)
    };
    assert_eq!(late(NOW + 899), Ok(()));
    assert_eq!(late(NOW + 900), Err(Denial::TokenExpired));
}

#[test]
fn our_own_tokens_and_those_of_issuers_do_not_mix() {
    let world = World::new(&["partner", "google"]);
    let ours = token_of(OLGA);
    let mixed = Accepts {
        access: true,
        ..names_partner()
    };
    assert!(world.bearer(&ours, &mixed).expect("ours").user().is_some());
    let refused = world.bearer(&ours, &names_partner()).err();
    assert_eq!(refused, Some(Denial::CredentialNotAccepted));
    // Somebody who says that he is us, or another issuer, and signs with his own key.
    for claimed in [ISSUER, GOOGLE, OTHER, "https://evil.example"] {
        let forged = world.partner.access(claimed, |_| ());
        let refused = world.bearer(&forged, &mixed).err();
        assert_eq!(refused, Some(Denial::TokenInvalid), "{claimed}");
    }
    let forged = token(OLGA, |claims| claims["iss"] = json!(PARTNER));
    assert_eq!(world.bearer(&forged, &mixed).err(), Some(Denial::TokenInvalid));
    for bad in ["", "x", "a.b.c", "eyJhbGciOiJub25lIn0.e30."] {
        assert_eq!(
            world.bearer(bad, &mixed).err(),
            Some(Denial::TokenInvalid),
            "`{bad}`"
        );
    }
}

#[test]
fn a_token_is_forgotten_with_the_keys_that_verified_it() {
    let world = World::new(&["partner"]);
    let token = world.partner.access(PARTNER, |_| ());
    let ask = || world.bearer(&token, &names_partner()).map(drop);
    assert_eq!(ask(), Ok(()));
    world.learn(PARTNER, &world.partner);
    assert_eq!(ask(), Ok(()));
    assert_eq!(
        world.authn.counters.verified.get(),
        1,
        "the same keys again change nothing"
    );
    world.learn(PARTNER, &world.other);
    assert_eq!(ask(), Err(Denial::TokenInvalid));
    world.learn(PARTNER, &world.partner);
    assert_eq!(ask(), Ok(()));
}

#[test]
fn keys_that_are_not_known_are_not_a_no() {
    let world = World::without_keys(&["partner", "google"]);
    let access = world.partner.access(PARTNER, |_| ());
    let refused = world.bearer(&access, &names_partner()).err();
    assert_eq!(refused, Some(Denial::KeysNotReady));
    assert_eq!(
        world.bearer(&access, &Accepts::default()).err(),
        Some(Denial::TokenInvalid)
    );
    let id_token = world.google.identity(GOOGLE, |_| ());
    assert_eq!(
        world.pair(&authz_token(), &id_token).err(),
        Some(Denial::KeysNotReady)
    );
    assert!(world.bearer(&token_of(OLGA), &Accepts::default()).is_ok());
}

#[test]
fn an_id_token_opens_nothing_by_itself() {
    let world = World::new(&["partner", "google"]);
    let id_token = world
        .google
        .identity(GOOGLE, |claims| claims["aud"] = json!(["web"]));
    for (accepts, denial) in [
        (Accepts::default(), Denial::TokenInvalid),
        (names_partner(), Denial::TokenInvalid),
        (authz_route(), Denial::TokenBindingInvalid),
    ] {
        assert_eq!(world.bearer(&id_token, &accepts).err(), Some(denial));
    }
    // Not even where somebody wrote its issuer among those of access tokens.
    let careless = Accepts {
        issuers: Box::new(["google".into()]),
        ..Accepts::default()
    };
    assert_eq!(
        world.bearer(&id_token, &careless).err(),
        Some(Denial::TokenInvalid)
    );
}

#[test]
fn two_tokens_that_go_together_are_a_user() {
    let world = World::new(&["google"]);
    let id_token = world.google.identity(GOOGLE, |_| ());
    for _ in 0..2 {
        let principal = world.pair(&authz_token(), &id_token).expect("good");
        let user = principal.user().expect("a user");
        assert_eq!(user.id, id(OLGA));
        assert_eq!(user.email.as_deref(), Some("olga@idp.example"));
        assert_eq!(user.name.as_deref(), Some("Olga I."));
        assert_eq!(user.credential.expires_at(), Some(at(NOW + 890)));
    }
    assert_eq!(world.authn.counters.verified.get(), 1);
    let unverified = world
        .google
        .identity(GOOGLE, |claims| claims["email_verified"] = json!("true"));
    let principal = world.pair(&authz_token(), &unverified).expect("good");
    assert_eq!(principal.user().and_then(|user| user.email.as_deref()), None);
    // What ends first ends both.
    let short = world
        .google
        .identity(GOOGLE, |claims| claims["exp"] = json!(NOW + 5));
    let late = |now| {
        world
            .ask(&both(Some(&authz_token()), Some(&short)), &authz_route(), now)
            .map(drop)
    };
    assert_eq!(late(NOW + 14), Ok(()));
    assert_eq!(late(NOW + 15), Err(Denial::TokenExpired));
    assert_eq!(late(NOW + 889), Err(Denial::TokenExpired));
}

#[test]
fn two_tokens_that_do_not_go_together_are_nobody() {
    let world = World::new(&["partner", "google"]);
    let good_id = world.google.identity(GOOGLE, |_| ());
    let good_authz = authz_token();
    let changed = |name: &'static str, value: &'static str| {
        token(OLGA, |claims| {
            authz(claims);
            claims[name] = json!(value);
        })
    };
    let binding = Denial::TokenBindingInvalid;
    for (authz, id_token, denial) in [
        (changed("idp_sub", "g-2"), good_id.clone(), binding),
        (changed("idp_sub", ""), good_id.clone(), binding),
        (
            changed("idp_iss", "https://evil.example"),
            good_id.clone(),
            binding,
        ),
        (
            good_authz.clone(),
            world
                .google
                .identity(GOOGLE, |claims| claims["sub"] = json!("g-2")),
            binding,
        ),
        (
            good_authz.clone(),
            world
                .partner
                .access(PARTNER, |claims| claims["sub"] = json!("g-1")),
            binding,
        ),
        (good_authz.clone(), token_of(OLGA), binding),
        (good_authz.clone(), good_authz.clone(), binding),
        (good_id.clone(), good_authz.clone(), Denial::TokenInvalid),
        (token_of(OLGA), good_id.clone(), Denial::TokenInvalid),
        (String::new(), good_id.clone(), Denial::TokenInvalid),
        (good_authz.clone(), String::new(), Denial::TokenInvalid),
        (
            good_authz.clone(),
            world.partner.identity(GOOGLE, |_| ()),
            Denial::TokenInvalid,
        ),
        (
            good_authz.clone(),
            world
                .google
                .identity(GOOGLE, |claims| claims["aud"] = json!("elsewhere")),
            Denial::TokenInvalid,
        ),
        (
            good_authz.clone(),
            world
                .google
                .identity(GOOGLE, |claims| claims["exp"] = json!(NOW - 10)),
            Denial::TokenExpired,
        ),
        (
            changed("svc", "mail"),
            good_id.clone(),
            Denial::TokenServiceDenied,
        ),
    ] {
        let refused = world.pair(&authz, &id_token).err();
        assert_eq!(refused, Some(denial), "{authz}\n{id_token}");
    }
    let ask = |presented: &Presented, accepts: &Accepts| world.ask(presented, accepts, NOW).err();
    assert_eq!(ask(&both(Some(&good_authz), None), &authz_route()), Some(binding));
    assert_eq!(ask(&both(None, Some(&good_id)), &authz_route()), Some(binding));
    assert_eq!(
        ask(&both(None, Some(&good_authz)), &authz_route()),
        Some(Denial::TokenInvalid)
    );
    let good = both(Some(&good_authz), Some(&good_id));
    for elsewhere in [Accepts::default(), names_partner(), takes_cookie()] {
        assert_eq!(ask(&good, &elsewhere), Some(Denial::CredentialNotAccepted));
    }
    let nameless = Accepts {
        service: None,
        ..authz_route()
    };
    assert_eq!(ask(&good, &nameless), Some(Denial::TokenServiceDenied));
    assert!(world.pair(&good_authz, &good_id).is_ok());
    assert_eq!(
        ask(&good, &nameless),
        Some(Denial::TokenServiceDenied),
        "remembered or not"
    );
}

#[test]
fn one_subject_at_two_providers_is_two_people() {
    let world = World::new(&["google", "other"]);
    let of = |iss: Option<&str>| {
        token(OLGA, |claims| {
            authz(claims);
            if let Some(iss) = iss {
                claims["idp_iss"] = json!(iss);
            }
        })
    };
    let (google, other) = (
        world.google.identity(GOOGLE, |_| ()),
        world.other.identity(OTHER, |_| ()),
    );
    assert!(world.pair(&of(Some(GOOGLE)), &google).is_ok());
    assert!(world.pair(&of(Some(OTHER)), &other).is_ok());
    for (authz, id_token) in [
        (of(Some(GOOGLE)), &other),
        (of(Some(OTHER)), &google),
        (of(None), &google),
        (of(None), &other),
    ] {
        assert_eq!(
            world.pair(&authz, id_token).err(),
            Some(Denial::TokenBindingInvalid)
        );
    }
}

#[test]
fn a_pair_is_judged_by_revocation_and_both_key_sets() {
    let mut world = World::new(&["google"]);
    let (authz, id_token) = (authz_token(), world.google.identity(GOOGLE, |_| ()));
    assert!(world.pair(&authz, &id_token).is_ok());
    let until = at(NOW + 10_000);
    for fact in [
        Fact::RevokedSession {
            session: id(SESSION),
            until,
        },
        Fact::RevokedToken {
            token: id(TOKEN),
            until,
        },
        Fact::DisabledUser(id(OLGA)),
    ] {
        world.state = with(fact);
        assert_eq!(world.pair(&authz, &id_token).err(), Some(Denial::TokenRevoked));
    }
    world.state = state(facts());
    world.learn(GOOGLE, &world.other);
    assert_eq!(world.pair(&authz, &id_token).err(), Some(Denial::TokenInvalid));
    world.learn(GOOGLE, &world.google);
    assert!(world.pair(&authz, &id_token).is_ok());
    let keyless = facts()
        .into_iter()
        .filter(|fact| !matches!(fact, Fact::SigningKey(_)));
    world.state = state(keyless.collect());
    assert_eq!(world.pair(&authz, &id_token).err(), Some(Denial::TokenInvalid));
}

#[test]
fn a_cookie_counts_where_the_route_takes_it_and_nobody_else_sent_it() {
    let world = World::new(&["partner", "google"]);
    let ask = |cookie: &str, bearer: Option<&str>, may_be_forged: bool, accepts: &Accepts| {
        let shown = Presented {
            cookie: Some(cookie.into()),
            may_be_forged,
            ..presented(bearer, None)
        };
        let principal = world.ask(&shown, accepts, NOW)?;
        Ok(principal.user().map(|user| user.id))
    };
    let (olga, edda) = (token_of(OLGA), token(EDDA, |_| ()));
    assert_eq!(ask(&olga, None, false, &takes_cookie()), Ok(Some(id(OLGA))));
    assert_eq!(ask(&olga, None, true, &takes_cookie()), Err(Denial::CrossSite));
    assert_eq!(
        ask(&olga, None, true, &Accepts::default()),
        Ok(None),
        "not looked at"
    );
    assert_eq!(ask("bad", None, false, &Accepts::default()), Ok(None));
    assert_eq!(
        ask("bad", None, false, &takes_cookie()),
        Err(Denial::TokenInvalid)
    );
    assert_eq!(ask("", None, false, &takes_cookie()), Err(Denial::TokenInvalid));
    // The bearer was chosen by the page's script and counts, so nothing can be forged.
    assert_eq!(ask(&olga, Some(&edda), true, &takes_cookie()), Ok(Some(id(EDDA))));
    assert_eq!(
        ask(&olga, Some("bad"), false, &takes_cookie()),
        Err(Denial::TokenInvalid)
    );
    let foreign = world.partner.access(PARTNER, |_| ());
    let everything = Accepts {
        access: true,
        cookie: true,
        ..names_partner()
    };
    assert_eq!(ask(&foreign, None, false, &everything), Err(Denial::TokenInvalid));
    assert_eq!(
        ask(&authz_token(), None, false, &everything),
        Err(Denial::TokenInvalid)
    );
    let without_access = Accepts {
        access: false,
        ..everything
    };
    assert_eq!(ask(&olga, None, false, &without_access), Ok(None));
}

#[test]
fn a_file_of_keys_is_read_at_the_beginning() {
    let directory = tempfile::tempdir().expect("a directory");
    let load = |content: &str| {
        std::fs::write(directory.path().join("keys.json"), content).expect("written");
        let text = format!(
            "control_plane: {{ url: {ISSUER}, edge_key: k }}
issuers: {{ partner: {{ issuer: {PARTNER}, audiences: [api], tokens: access, keys_file: keys.json }} }}"
        );
        let file = directory.path().join("edge.yaml");
        let config = parse_edge(&text, &file, &BTreeMap::new()).expect("a configuration");
        Issuers::load(&config.issuers)
    };
    let key = IssuerKey::new("p1");
    let issuers = load(&key.set()).expect("good");
    assert!(issuers.iter().next().and_then(Issuer::age).is_some());
    for bad in [
        "",
        "{}",
        r#"{"keys":[]}"#,
        r#"{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}"#,
    ] {
        let error = load(bad).expect_err("bad").to_string();
        assert!(
            error.contains("keys.json") && error.contains("`partner`"),
            "{error}"
        );
        assert!(!error.contains("c2VjcmV0"));
    }
    let long = load(&(key.set() + &" ".repeat(300_000)))
        .expect_err("long")
        .to_string();
    assert!(long.contains("longer than"), "{long}");
    std::fs::remove_file(directory.path().join("keys.json")).expect("removed");
    let text = format!(
        "control_plane: {{ url: {ISSUER}, edge_key: k }}
issuers: {{ partner: {{ issuer: {PARTNER}, audiences: [api], tokens: access, keys_file: keys.json }} }}"
    );
    let config =
        parse_edge(&text, &directory.path().join("edge.yaml"), &BTreeMap::new()).expect("a configuration");
    let error = Issuers::load(&config.issuers).expect_err("gone").to_string();
    assert!(error.contains("keys.json"), "{error}");
}
