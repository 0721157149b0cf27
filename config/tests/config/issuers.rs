//! Other issuers and the tokens that routes take: what is accepted, and what is said of the rest.

use crate::support::Home;

const ISSUERS: &str = "
  google: { issuer: https://accounts.google.com, audiences: [web], tokens: identity }
  partner: { issuer: https://partner.example, audiences: [api], tokens: access, jwks_url: https://partner.example/keys }
";

/// An edge with these issuers and routes; `docs` says which service it is and `other` does not.
fn edge(issuers: &str, routes: &str) -> String {
    format!(
        "control_plane: {{ url: http://127.0.0.1:9003, edge_key: k }}
upstreams: {{ docs: {{ url: http://127.0.0.1:9000, service: docs }}, other: {{ url: http://127.0.0.1:9001 }} }}
issuers: {issuers}
routes: {routes}"
    )
}

fn route(rest: &str) -> String {
    format!("[{{ match: GET h/a, {rest} }}]")
}

/// What is said, in one line.
fn told(text: &str) -> String {
    let home = Home::new();
    home.told(home.edge(text))
}

#[track_caller]
fn says(text: &str, what: &str) {
    let told = told(text);
    assert!(told.contains(what), "`{what}` is not in\n{told}\nof\n{text}");
}

#[test]
fn issuers_have_keys_from_one_place() {
    let home = Home::new();
    let issuers = "
  a: { issuer: 'https://a.example/', audiences: [x, y], tokens: identity }
  b: { issuer: not a url, audiences: [x], tokens: access, keys_file: keys.json, leeway: 0s, refresh: 1d }
  c: { issuer: 'http://127.0.0.1:1', audiences: [x], tokens: access }
  d: { issuer: x, audiences: [x], tokens: access, jwks_url: 'http://localhost:1/keys' }
";
    let config = home.edge(&edge(issuers, "[]")).expect("accepted");
    let address = |name: &str| {
        config.issuers[name]
            .discovery_url()
            .map(|url| url.as_str().to_owned())
    };
    assert_eq!(
        address("a").as_deref(),
        Some("https://a.example/.well-known/openid-configuration")
    );
    assert_eq!(address("b"), None);
    assert_eq!(config.issuers["b"].keys_file, Some(home.path().join("keys.json")));
    assert!(address("c").is_some());
    assert_eq!(address("d"), None);
}

#[test]
fn bad_issuers_are_told() {
    for (rest, what) in [
        (
            "issuer: 'http://a.example', audiences: [x]",
            "not an `https` address",
        ),
        ("issuer: a.example, audiences: [x]", "not an `https` address"),
        (
            "issuer: 'https://a.example', audiences: []",
            "without an audience",
        ),
        (
            "issuer: 'https://a.example', audiences: [x], jwks_url: 'http://a.example/k'",
            "`http://` is accepted for this machine only",
        ),
        (
            "issuer: 'https://a.example', audiences: [x], jwks_url: 'https://a.example/k', keys_file: k",
            "contradict each other",
        ),
        (
            "issuer: 'https://a.example', audiences: [x], leeway: 31s",
            "leeway",
        ),
        (
            "issuer: 'https://a.example', audiences: [x], refresh: 59s",
            "refresh",
        ),
        ("issuer: 'https://a.example'", "`audiences` is missing"),
    ] {
        says(
            &edge(&format!("{{ a: {{ tokens: access, {rest} }} }}"), "[]"),
            what,
        );
    }
    let one = "{ issuer: 'https://a.example', audiences: [x], tokens: access }";
    says(
        &edge(&format!("{{ access: {one} }}"), "[]"),
        "give the issuer another name",
    );
    says(
        &edge(&format!("{{ authz: {one} }}"), "[]"),
        "give the issuer another name",
    );
    says(
        &edge(&format!("{{ a: {one}, b: {one} }}"), "[]"),
        "`a` is the same issuer",
    );
    let ours = "{ a: { issuer: 'http://127.0.0.1:9003', audiences: [x], tokens: access } }";
    says(&edge(ours, "[]"), "the control plane itself");
}

#[test]
fn routes_take_tokens_that_there_are() {
    let home = Home::new();
    for rest in [
        "to: docs, require: { signed_in: true }, tokens: [access, authz, partner]",
        "to: other, require: { signed_in: true }, tokens: [partner]",
        "to: docs, require: { role: editor }, tokens: [authz]",
        "to: docs, require: { role: editor }, tokens: [partner, access]",
        "to: docs, require: { role: editor }, cookie: true",
        "to: other, credentials: user_or_service, require: { any_of: [{ service: x }, { signed_in: true }] }, tokens: [partner]",
    ] {
        assert!(home.edge(&edge(ISSUERS, &route(rest))).is_ok(), "{rest}");
    }
    for (rest, what) in [
        (
            "to: docs, require: { signed_in: true }, tokens: [acces]",
            "there are `access`, `authz`, `partner`",
        ),
        (
            "to: docs, require: { signed_in: true }, tokens: [google]",
            "open nothing by themselves: write `authz`",
        ),
        (
            "to: docs, require: { signed_in: true }, tokens: []",
            "nobody could pass",
        ),
        (
            "to: docs, require: { signed_in: true }, tokens: [access, access]",
            "stands there twice",
        ),
        (
            "to: other, require: { signed_in: true }, tokens: [authz]",
            "add `service` to the upstream",
        ),
        (
            "to: other, require: { role: viewer }, tokens: [partner]",
            "asks for a member of a workspace",
        ),
        (
            "to: other, require: { action: 'a/b:c' }, tokens: [partner]",
            "asks for a member of a workspace",
        ),
        (
            "to: other, require: { any_of: [{ signed_in: true }, { role: viewer }] }, tokens: [partner]",
            "asks for a member of a workspace",
        ),
        (
            "to: docs, require: { signed_in: true }, tokens: [authz], cookie: true",
            "add `access` to `tokens`",
        ),
        (
            "to: docs, public: true, tokens: [access]",
            "a public route asks for no token",
        ),
        (
            "to: docs, public: true, cookie: true",
            "a public route asks for no token",
        ),
        (
            "to: docs, credentials: service, require: { service: x }, tokens: [access]",
            "takes no user's token",
        ),
        (
            "to: docs, credentials: service, require: { service: x }, cookie: true",
            "takes no user's token",
        ),
    ] {
        says(&edge(ISSUERS, &route(rest)), what);
    }
    let authz = route("to: docs, require: { signed_in: true }, tokens: [authz]");
    says(&edge("{}", &authz), "add one with `tokens: identity`");
}

#[test]
fn the_session_cookie_is_one_that_no_neighbour_can_set() {
    let named = |name: &str| format!("{}\nsession_cookie: '{name}'", edge("{}", "[]"));
    assert!(Home::new().edge(&named("__Host-app")).is_ok());
    says(&named("session"), "begin the name with `__Host-`");
    says(&named("__Secure-x"), "begin the name with `__Host-`");
    says(&named("__Host-a=b"), "is not the name of a cookie");
    says(&named("__Host-a b"), "is not the name of a cookie");
}
