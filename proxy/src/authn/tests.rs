mod outside;

use sentinel_core::{Fact, SystemRandom};
use serde_json::json;

use super::issuers::Issuer;
use super::*;
use crate::metrics::Metrics;
use crate::testing::{
    ISSUER, NOW, OLGA, SESSION, TOKEN, at, facts, id, service_key, service_key_fact, state, token, token_of,
};

fn authenticator() -> Authenticator {
    let metrics = Metrics::new().expect("names are fine");
    Authenticator::new(Verifier::new(ISSUER), metrics.tokens(), &SystemRandom)
}

fn presented(bearer: Option<&str>, key: Option<&str>) -> Presented {
    Presented {
        bearer: bearer.map(Into::into),
        service_key: key.map(Into::into),
        ..Presented::default()
    }
}

fn outcome(authn: &Authenticator, bearer: &str, state: &ReplicaState, now: i64) -> Result<(), Denial> {
    authn
        .authenticate(
            &presented(Some(bearer), None),
            &Accepts::default(),
            state,
            at(now),
        )
        .map(drop)
}

fn with(fact: Fact) -> ReplicaState {
    let mut facts = facts();
    facts.push(fact);
    state(facts)
}

#[test]
fn nobody_a_user_a_service_or_both() {
    let (authn, state) = (authenticator(), state(facts()));
    let (token, key) = (token_of(OLGA), service_key());
    for (bearer, key, has_user, has_service) in [
        (None, None, false, false),
        (Some(token.as_str()), None, true, false),
        (None, Some(key.expose()), false, true),
        (Some(token.as_str()), Some(key.expose()), true, true),
    ] {
        let principal = authn
            .authenticate(&presented(bearer, key), &Accepts::default(), &state, at(NOW))
            .expect("good")
            .principal;
        assert_eq!(principal.user().is_some(), has_user);
        assert_eq!(principal.service().is_some(), has_service);
    }
}

#[test]
fn a_bad_credential_is_refused_even_beside_a_good_one() {
    let (authn, state) = (authenticator(), state(facts()));
    let (token, key) = (token_of(OLGA), service_key());
    for (bearer, key, denial) in [
        (Some("nonsense"), Some(key.expose()), Denial::TokenInvalid),
        (Some(""), None, Denial::TokenInvalid),
        (
            Some(token.as_str()),
            Some("sk_nonsense"),
            Denial::ServiceKeyInvalid,
        ),
        (None, Some(""), Denial::ServiceKeyInvalid),
    ] {
        let result = authn.authenticate(&presented(bearer, key), &Accepts::default(), &state, at(NOW));
        assert_eq!(result.err(), Some(denial));
    }
    let foreign = crate::testing::token(OLGA, |claims| claims["iss"] = json!("http://evil.example"));
    assert_eq!(outcome(&authn, &foreign, &state, NOW), Err(Denial::TokenInvalid));
}

#[test]
fn a_remembered_token_is_still_judged_by_time_and_revocation() {
    let authn = authenticator();
    let token = token_of(OLGA);
    let until = at(NOW + 10_000);
    let session = id(SESSION);
    let revoked = id(TOKEN);
    assert_eq!(outcome(&authn, &token, &state(facts()), NOW), Ok(()));
    assert_eq!(outcome(&authn, &token, &state(facts()), NOW), Ok(()));
    assert_eq!(authn.counters.remembered.get(), 1);
    for fact in [
        Fact::RevokedSession { session, until },
        Fact::RevokedToken {
            token: revoked,
            until,
        },
        Fact::DisabledUser(id(OLGA)),
    ] {
        let state = with(fact.clone());
        assert_eq!(
            outcome(&authn, &token, &state, NOW),
            Err(Denial::TokenRevoked),
            "{fact}"
        );
    }
    assert_eq!(authn.counters.verified.get(), 1, "the signature was checked once");
    assert_eq!(outcome(&authn, &token, &state(facts()), NOW + 889), Ok(()));
    assert_eq!(
        outcome(&authn, &token, &state(facts()), NOW + 890),
        Err(Denial::TokenExpired)
    );
    assert_eq!(
        outcome(&authn, &token, &state(facts()), NOW + 891),
        Err(Denial::TokenExpired)
    );
}

#[test]
fn a_token_is_forgotten_with_the_key_that_signed_it() {
    let authn = authenticator();
    let token = token_of(OLGA);
    assert_eq!(outcome(&authn, &token, &state(facts()), NOW), Ok(()));
    let without_key = facts()
        .into_iter()
        .filter(|fact| !matches!(fact, Fact::SigningKey(_)));
    assert_eq!(
        outcome(&authn, &token, &state(without_key.collect()), NOW),
        Err(Denial::TokenInvalid)
    );
}

#[test]
fn a_bad_token_is_never_remembered() {
    let (authn, state) = (authenticator(), state(facts()));
    let mut forged = token(OLGA, |claims| claims["wrole"] = json!("owner"));
    forged.truncate(forged.len() - 4);
    forged.push_str("AAAA");
    for _ in 0..3 {
        assert_eq!(outcome(&authn, &forged, &state, NOW), Err(Denial::TokenInvalid));
    }
    assert_eq!(authn.counters.remembered.get(), 0);
}

#[test]
fn a_service_key_ends_when_its_time_is_over() {
    let authn = authenticator();
    let key = service_key();
    let others = || {
        facts()
            .into_iter()
            .filter(|fact| !matches!(fact, Fact::ServiceKey(_)))
    };
    let expiring = state(others().chain([service_key_fact(Some(at(NOW)))]).collect());
    let withdrawn = state(others().collect());
    let shown = presented(None, Some(key.expose()));
    let result = |state: &ReplicaState, now| {
        authn
            .authenticate(&shown, &Accepts::default(), state, at(now))
            .map(drop)
    };
    assert_eq!(result(&expiring, NOW - 1), Ok(()));
    assert_eq!(result(&expiring, NOW), Err(Denial::ServiceKeyInvalid));
    assert_eq!(result(&withdrawn, NOW), Err(Denial::ServiceKeyInvalid));
}
