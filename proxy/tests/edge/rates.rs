//! How many requests one caller may make.

use std::time::Duration;

use crate::harness::{Answer, Client, World, bearer, get, let_pass};
use crate::testing::{EDDA, OLGA, VERA, service_key, token, token_of};

const ROUTES: &str = r#"
trusted_proxies: [127.0.0.1]
routes:
  - { match: "GET a.example/address", to: docs, public: true, rate_limit: { per: address, requests: 2 } }
  - { match: "GET a.example/guess", to: docs, require: { signed_in: true }, rate_limit: { per: address, requests: 2 } }
  - match: GET a.example/principal
    to: docs
    credentials: user_or_service
    require: { signed_in: true }
    rate_limit: { per: principal, requests: 2 }
  - { match: "GET a.example/owners", to: docs, require: { role: owner }, rate_limit: { per: principal, requests: 1 } }
  - { match: "GET a.example/free", to: docs, public: true }
"#;

async fn from(world: &World, address: &str, path: &str) -> Answer {
    world.get(path, &[&format!("X-Forwarded-For: {address}")]).await
}

#[tokio::test]
async fn an_address_has_so_many_requests_and_gets_them_back() {
    let world = World::with_policy(ROUTES).await;
    for _ in 0..2 {
        assert_eq!(world.get("/address", &[]).await.status, 200);
    }
    let answer = world.get("/address", &[]).await;
    assert_eq!(answer.word(), (429, "rate_limited".to_owned()));
    let seconds: u64 = answer
        .header("retry-after")
        .expect("a time")
        .parse()
        .expect("seconds");
    assert!((1..=30).contains(&seconds), "{seconds}");
    assert_eq!(world.get("/free", &[]).await.status, 200);
    assert_eq!(world.service.requests().len(), 3);
    let_pass(Duration::from_secs(seconds)).await;
    assert_eq!(world.get("/address", &[]).await.status, 200);
    assert_eq!(world.get("/address", &[]).await.status, 429);
}

#[tokio::test]
async fn every_address_counts_for_itself_and_a_network_of_one_client_once() {
    let world = World::with_policy(ROUTES).await;
    for address in [
        "198.51.100.1",
        "198.51.100.2",
        "2001:db8:0:1::1",
        "2001:db8:0:2::1",
    ] {
        for status in [200, 200, 429] {
            assert_eq!(
                from(&world, address, "/address").await.status,
                status,
                "{address}"
            );
        }
    }
    for same in ["2001:db8:0:1:ffff::7", "::ffff:198.51.100.1"] {
        assert_eq!(from(&world, same, "/address").await.status, 429, "{same}");
    }
}

/// A client who is not behind a proxy cannot say where he is.
#[tokio::test]
async fn nobody_gets_more_by_claiming_addresses() {
    let routes = ROUTES.replace("127.0.0.1", "192.0.2.1");
    let world = World::with_policy(&routes).await;
    for status in [200, 200, 429, 429] {
        let address = format!("198.51.100.{status}");
        assert_eq!(from(&world, &address, "/address").await.status, status);
    }
}

/// Guessing is bounded before anything is verified: even the right credential comes too late.
#[tokio::test]
async fn an_address_is_asked_before_credentials_are() {
    let world = World::with_policy(ROUTES).await;
    for guess in ["Authorization: Bearer guess", "X-Service-Key: guess"] {
        assert_eq!(world.get("/guess", &[guess]).await.status, 401);
    }
    let right = bearer(&token_of(OLGA));
    assert_eq!(world.get("/guess", &[&right]).await.status, 429);
    let elsewhere = world
        .get("/guess", &[&right, "X-Forwarded-For: 198.51.100.1"])
        .await;
    assert_eq!(elsewhere.status, 200);
}

#[tokio::test]
async fn a_caller_is_counted_whatever_token_and_address_he_uses() {
    let world = World::with_policy(ROUTES).await;
    let other_token = token(OLGA, |claims| {
        claims["jti"] = uuid::Uuid::from_u128(99).to_string().into();
    });
    for (credential, address, status) in [
        (token_of(OLGA), "198.51.100.1", 200),
        (other_token.clone(), "198.51.100.2", 200),
        (other_token, "198.51.100.3", 429),
        (token_of(VERA), "198.51.100.1", 200),
    ] {
        let lines = [bearer(&credential), format!("X-Forwarded-For: {address}")];
        let answer = world.get("/principal", &[&lines[0], &lines[1]]).await;
        assert_eq!(answer.status, status, "{address}");
    }
    let key = format!("X-Service-Key: {}", service_key().expose());
    for status in [200, 200, 429] {
        assert_eq!(world.get("/principal", &[&key]).await.status, status);
    }
    let both = [key.as_str(), &bearer(&token_of(OLGA))];
    assert_eq!(
        world.get("/principal", &both).await.status,
        200,
        "both together are another caller"
    );
}

#[tokio::test]
async fn who_may_not_pass_uses_nothing_up_and_learns_nothing() {
    let world = World::with_policy(ROUTES).await;
    for _ in 0..3 {
        assert_eq!(
            world.get("/owners", &[&bearer(&token_of(EDDA))]).await.status,
            403
        );
        assert_eq!(world.get("/owners", &[]).await.status, 401);
    }
    assert_eq!(
        world.get("/owners", &[&bearer(&token_of(OLGA))]).await.status,
        200
    );
    assert_eq!(
        world.get("/owners", &[&bearer(&token_of(OLGA))]).await.status,
        429
    );
}

#[tokio::test]
async fn a_refused_request_leaves_the_connection_usable() {
    let world = World::with_policy(ROUTES).await;
    let mut client = Client::connect(world.running.http()).await;
    for (path, status) in [
        ("/address", 200),
        ("/address", 200),
        ("/address", 429),
        ("/free", 200),
    ] {
        client.write(get(path, &[]).as_bytes()).await;
        assert_eq!(client.read_answer().await.status, status);
    }
}
