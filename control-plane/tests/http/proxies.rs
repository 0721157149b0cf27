//! Behind a load balancer: who the client is.

use std::time::Duration;

use reqwest::RequestBuilder;
use sentinel_store::on_both_backends;
use serde_json::json;

use crate::answer::send;
use crate::common::{As as _, LIFETIMES, Options, TestApp};

/// A control plane with one login a minute, behind a load balancer on this machine and one in 10.0.0.0/8.
fn behind_proxies() -> Options {
    let networks = ["127.0.0.1/32", "10.0.0.0/8"];
    Options {
        logins_per_minute: 1,
        trusted_proxies: networks.iter().map(|one| one.parse().expect("network")).collect(),
        ..Options::default()
    }
}

fn refresh(app: &TestApp, forwarded: &[&str]) -> RequestBuilder {
    let request = app.post("/auth/refresh").json(&json!({ "refresh_token": "x" }));
    forwarded.iter().fold(request, |request, value| {
        request.header("x-forwarded-for", *value)
    })
}

on_both_backends! {
    async fn clients_behind_a_load_balancer_are_counted_one_by_one(store: TestStore) {
        let app = TestApp::start_with(store, behind_proxies()).await;
        let ask = async |forwarded: &[&str]| send(refresh(&app, forwarded)).await.status;
        assert_eq!(ask(&["198.51.100.1"]).await, 401);
        assert_eq!(ask(&["198.51.100.2"]).await, 401);
        for the_same in [
            &["198.51.100.1"][..],
            &["203.0.113.9, 198.51.100.1"],
            &["203.0.113.10", "198.51.100.1, 10.0.0.7"],
            &["unknown, 198.51.100.1:4711", "10.0.0.8"],
            &["::ffff:198.51.100.1"],
        ] {
            assert_eq!(ask(the_same).await, 429, "{the_same:?}");
        }
        assert_eq!(ask(&[]).await, 401, "the load balancer itself");
        assert_eq!(ask(&["198.51.100.3, unknown"]).await, 429, "is all that is known of this one");
    }

    async fn what_anybody_else_forwards_counts_for_nothing(store: TestStore) {
        let networks = ["10.0.0.0/8".parse().expect("network")];
        let options = Options { trusted_proxies: networks.into_iter().collect(), ..behind_proxies() };
        let app = TestApp::start_with(store, options).await;
        let ask = async |forwarded: &[&str]| send(refresh(&app, forwarded)).await.status;
        assert_eq!(ask(&["198.51.100.1"]).await, 401);
        assert_eq!(ask(&["198.51.100.2"]).await, 429);
        assert_eq!(ask(&["198.51.100.3, 10.0.0.1"]).await, 429);
    }

    async fn the_activity_log_says_the_clients_address(store: TestStore) {
        let lifetimes = sentinel_identity::Lifetimes { refresh_grace: Duration::ZERO, ..LIFETIMES };
        let app = TestApp::start_with(store, Options { logins_per_minute: 10, lifetimes, ..behind_proxies() }).await;
        let (_, cookie) = app.admin("root@example.com").await;
        let (_, _, pair) = app.owner("ann@example.com", "acme").await;
        let body = json!({ "refresh_token": pair.refresh });
        for status in [200, 401] {
            let request = app.post("/auth/refresh").header("x-forwarded-for", "203.0.113.9, 198.51.100.1").json(&body);
            assert_eq!(send(request).await.status, status);
        }
        let log = send(app.get("/admin/activity?action=refresh_reuse_detected").admin(&cookie)).await;
        assert_eq!(log.body["items"][0]["detail"]["ip"], "198.51.100.1", "{log:?}");
    }
}
