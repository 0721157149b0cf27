//! The edge's settings but for the policy: defaults, and what is said of bad ones.

use std::time::Duration;

use insta::assert_snapshot;

use crate::support::Home;

const FOLLOW: &str = "control_plane: { url: http://127.0.0.1:9003/, edge_key: k }\n";

#[test]
fn a_key_and_a_control_plane_are_enough() {
    let home = Home::new();
    let config = home.edge(FOLLOW).expect("accepted");
    assert_eq!(config.control_plane.issuer(), "http://127.0.0.1:9003");
    assert_eq!(config.listen.http.to_string(), "127.0.0.1:8080");
    assert_eq!(config.state_dir, home.path().join("sentinel-edge"));
    assert_eq!(config.max_staleness, Duration::from_mins(15));
    assert_eq!(config.consistency_wait, Duration::from_millis(50));
    assert_eq!(config.limits.max_head.bytes(), 32_768);
    assert_eq!(config.routes.iter().count(), 0);
}

#[test]
fn a_route_has_its_own_bounds_or_those_of_its_upstream_and_edge() {
    let home = Home::new();
    let config = home
        .edge(&format!(
            "{FOLLOW}upstreams: {{ a: {{ url: 'http://127.0.0.1:1', timeout: 5s }} }}\nroutes:\n\
             - {{ match: GET h/a, to: a, require: {{ signed_in: true }} }}\n\
             - {{ match: GET h/b, to: a, require: {{ signed_in: true }}, timeout: 7s, max_staleness: 9s }}\n"
        ))
        .expect("accepted");
    let bounds: Vec<_> = config
        .routes
        .iter()
        .map(|route| {
            (
                config.timeout(route).as_secs(),
                config.max_staleness(route).as_secs(),
            )
        })
        .collect();
    assert_eq!(bounds, [(5, 900), (7, 9)]);
}

#[test]
fn the_certificate_name_is_the_host_or_what_is_written() {
    let home = Home::new();
    let name = |upstream: &str| {
        let config = home
            .edge(&format!("{FOLLOW}upstreams: {{ a: {{ {upstream} }} }}"))
            .expect(upstream);
        config.upstreams["a"].server_name()
    };
    assert_eq!(name("url: 'http://docs.internal:1'"), None);
    assert_eq!(
        name("url: 'https://docs.internal'").as_deref(),
        Some("docs.internal")
    );
    assert_eq!(
        name("url: 'https://10.0.0.7', server_name: docs.internal").as_deref(),
        Some("docs.internal")
    );
    assert_eq!(
        name("url: 'https://a.internal', server_name: b.internal").as_deref(),
        Some("b.internal")
    );
}

#[test]
fn every_bad_setting_is_told() {
    let home = Home::new();
    let cases = [
        "max_stalenes: 5s",
        "max_staleness: 0s",
        "max_staleness: 7d",
        "consistency_wait: 1m",
        "hosts: all",
        "limits: { max_head: 1B, max_headers: 5 }",
        "listen: { http: '127.0.0.1:1', admin: '127.0.0.1:1' }",
        "upstreams: []",
        "upstreams: { Docs: { url: 'http://127.0.0.1:1' } }",
        "upstreams: { docs: {} }",
        "upstreams: { docs: 'http://127.0.0.1:1' }",
        "upstreams: { docs: { url: 'http://127.0.0.1:1/api' } }",
        "upstreams: { docs: { url: 'unix:/run/docs.sock' } }",
        "upstreams: { docs: { url: 'https://127.0.0.1:1' } }",
        "upstreams: { docs: { url: 'http://docs', server_name: docs } }",
        "upstreams: { docs: { url: 'https://docs', server_name: Docs } }",
        "upstreams: { docs: { url: 'http://docs', timeout: 1ms, connect_timeout: 2m } }",
        "upstreams: { docs: { url: 'http://a' }, docs: { url: 'http://b' } }",
        "routes: {}",
        "allow_all: true",
    ];
    let told: Vec<String> = cases
        .iter()
        .map(|case| {
            format!(
                "{case}\n    {}",
                home.told(home.edge(&format!("{FOLLOW}{case}")))
                    .replace('\n', "\n    ")
            )
        })
        .collect();
    assert_snapshot!(told.join("\n"), @"
    max_stalenes: 5s
        edge.yaml:2:1: max_stalenes: `max_stalenes` is not a setting here: did you mean `max_staleness`?
    max_staleness: 0s
        edge.yaml:2:16: max_staleness: `0ms` is out of bounds: 1s to 1d is accepted
    max_staleness: 7d
        edge.yaml:2:16: max_staleness: `7d` is out of bounds: 1s to 1d is accepted
    consistency_wait: 1m
        edge.yaml:2:19: consistency_wait: `1m` is out of bounds: 0ms to 10s is accepted
    hosts: all
        edge.yaml:2:8: hosts: `all` is not accepted: one of `named`, `any` is expected
    limits: { max_head: 1B, max_headers: 5 }
        edge.yaml:2:21: limits.max_head: `1B` is out of bounds: 1KiB to 1MiB is accepted
        edge.yaml:2:38: limits.max_headers: `5` is out of bounds: 10 to 256 is accepted
    listen: { http: '127.0.0.1:1', admin: '127.0.0.1:1' }
        edge.yaml:2:39: listen.admin: `http` and `admin` are the same address: take two ports
    upstreams: []
        edge.yaml:2:12: upstreams: a section with settings is expected, not a list
    upstreams: { Docs: { url: 'http://127.0.0.1:1' } }
        edge.yaml:2:14: upstreams.Docs: `Docs` is not a name: 1 to 63 characters from `a-z 0-9 _ -`, the first a letter
    upstreams: { docs: {} }
        edge.yaml:2:20: upstreams.docs.url: `url` is missing: it has no default
    upstreams: { docs: 'http://127.0.0.1:1' }
        edge.yaml:2:20: upstreams.docs: a section with settings is expected, not a text
    upstreams: { docs: { url: 'http://127.0.0.1:1/api' } }
        edge.yaml:2:27: upstreams.docs.url: the address of a service has no path: remove what follows the host and port
    upstreams: { docs: { url: 'unix:/run/docs.sock' } }
        edge.yaml:2:27: upstreams.docs.url: the URL must begin with `http://` or `https://`
    upstreams: { docs: { url: 'https://127.0.0.1:1' } }
        edge.yaml:2:27: upstreams.docs.url: an `https` address with an IP address needs `server_name`: the name that the certificate must show
    upstreams: { docs: { url: 'http://docs', server_name: docs } }
        edge.yaml:2:55: upstreams.docs.server_name: `server_name` has no effect with `http`: remove it, or use `https`
    upstreams: { docs: { url: 'https://docs', server_name: Docs } }
        edge.yaml:2:56: upstreams.docs.server_name: `Docs` is not a host name: one such as `docs.internal` in lower case is expected
    upstreams: { docs: { url: 'http://docs', timeout: 1ms, connect_timeout: 2m } }
        edge.yaml:2:51: upstreams.docs.timeout: `1ms` is out of bounds: 10ms to 1h is accepted
        edge.yaml:2:73: upstreams.docs.connect_timeout: `2m` is out of bounds: 10ms to 1m is accepted
    upstreams: { docs: { url: 'http://a' }, docs: { url: 'http://b' } }
        edge.yaml:2:41: upstreams.docs: the key is written twice, first on line 2: keep one
    routes: {}
        edge.yaml:2:9: routes: a list is expected, not a section
    allow_all: true
        edge.yaml:2:1: allow_all: `allow_all` is not a setting here: the settings here are `listen`, `control_plane`, `state_dir`, `max_staleness`, `consistency_wait`, `limits`, `log`, `tls`, `trusted_proxies`, `issuers`, `session_cookie`, `login`, `hosts`, `danger_world_readable_secrets`, `replicate`, `models`, `upstreams`, `routes`, `tests`
    ");
}

#[test]
fn the_edge_key_does_not_travel_in_clear_text() {
    let home = Home::new();
    let with = |rest: &str| {
        home.edge(&format!(
            "control_plane: {{ url: 'http://auth.internal', edge_key: k{rest} }}"
        ))
    };
    assert_snapshot!(home.told(with("")), @"edge.yaml:1:23: control_plane.url: `http://` is accepted for this machine only: use `https://`, or set `danger_plaintext: true` to send the edge key in clear text");
    assert!(with(", danger_plaintext: true").is_ok());
}

#[test]
fn all_problems_are_told_at_once_in_the_order_of_the_file() {
    let home = Home::new();
    let text = "
listen:
  http: nowhere
  htpp: 127.0.0.1:1
control_plane:
  url: http://auth.example.com
max_staleness: 5
upstreams:
  docs:
    url: http://127.0.0.1:9000/api
routes:
  - match: GET docs.example.com/documents/{doc_id}
    to: dosc
    require: { permission: 'docs/document/{id}#view', role: boss }
  - match: GET docs.example.com/documents/{name}
    to: docs
  - match: get docs.example.com//a
    public: true
    require: { signed_in: true }
";
    assert_snapshot!(home.told(home.edge(text)), @"
    edge.yaml:3:9: listen.http: `nowhere` is not an address to listen on: an IP address and a port such as `127.0.0.1:9003` or `[::1]:9003` is expected
    edge.yaml:4:3: listen.htpp: `htpp` is not a setting here: did you mean `http`?
    edge.yaml:6:3: control_plane.edge_key: `edge_key` or `edge_key_file` is missing
    edge.yaml:7:16: max_staleness: a number without a unit: a duration with its unit is expected, such as `250ms`, `30s`, `15m`, `24h` or `7d`
    edge.yaml:10:10: upstreams.docs.url: the address of a service has no path: remove what follows the host and port
    edge.yaml:13:9: routes[0].to: `dosc` is not one of `upstreams`: there are `docs`
    edge.yaml:14:28: routes[0].require.permission: the path `/documents/{doc_id}` has no parameter `{id}`: name one that it has
    edge.yaml:14:61: routes[0].require.role: `boss` is not a workspace role: one of `viewer`, `editor`, `admin`, `owner` is expected
    edge.yaml:15:5: routes[1]: the route says neither `public: true` nor `require`: say who may pass
    edge.yaml:15:12: routes[1].match: `routes[0]` is for the same requests, for example `GET docs.example.com/documents/x`: remove one, or make one more specific
    edge.yaml:17:5: routes[2].to: `to` is missing: it has no default
    edge.yaml:17:12: routes[2].match: `get` is not a method: one of `GET`, `HEAD`, `POST`, `PUT`, `PATCH`, `DELETE`, `OPTIONS` is expected, one for each route
    edge.yaml:18:13: routes[2].public: `public` and `require` contradict each other: keep one
    ");
}
