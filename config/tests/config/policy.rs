//! The policy: what becomes of a route, what is refused, and that a slip of the pen never opens one.

use insta::assert_snapshot;
use proptest::prelude::*;
use sentinel_config::edge::{
    Access, Config, HostPattern, ParamKind, Requirement, Route, RoutePattern, Segment,
};

use crate::samples;
use crate::support::{Home, with_routes};

#[test]
fn routes_become_typed_values() {
    let home = Home::new();
    let text = with_routes(
        "
- { match: 'GET docs.example.com/', to: docs, public: true }
- match: GET docs.example.com/documents/{doc_id}
  to: docs
  require: { permission: 'docs/document/{doc_id}#view' }
- match: POST docs.example.com/reports/
  to: docs
  credentials: user_or_service
  require: { role: editor, action: 'docs/reports:export', any_of: [{ service: indexer }, { signed_in: true }] }
",
    );
    let config = home.edge(&text).expect("accepted");
    let shown: Vec<String> = config
        .routes
        .iter()
        .map(|route| format!("{} {:?}", route.pattern, route.access))
        .collect();
    assert_snapshot!(shown.join("\n"), @r#"
    GET docs.example.com/ Public
    GET docs.example.com/documents/{doc_id} Protected { credentials: User, require: Permission(PermissionTemplate { service: ServiceName("docs"), resource_type: ResourceType("document"), id: Param("doc_id"), permission: View }) }
    POST docs.example.com/reports/ Protected { credentials: UserOrService, require: All([Role(Editor), Action(ActionRef { service: ServiceName("docs"), action: ActionName("reports:export") }), Any([Service(ServiceName("indexer")), SignedIn])]) }
    "#);
}

#[test]
fn a_pattern_has_one_spelling() {
    for good in [
        "GET docs.example.com/",
        "GET localhost/a",
        "GET 127.0.0.1/a",
        "GET [::1]/a",
        "DELETE docs.example.com/a/{b}/c/{d_2}",
        "PUT docs.example.com/a/",
        "GET docs.example.com/a%20b/%C3%A9",
        "GET docs.example.com/a:b@c,d+e=f!$&'()~._-",
        "OPTIONS /a",
        "GET *.example.com/{id:uuid}/{n:int}/{name:slug}/{rest*}",
    ] {
        let pattern: RoutePattern = good.parse().expect(good);
        assert_eq!(pattern.to_string(), good);
    }
}

#[test]
fn every_bad_pattern_is_told() {
    let told: Vec<String> = [
        "GET",
        "",
        "GET docs.example.com",
        "/documents",
        "get docs.example.com/",
        "CONNECT docs.example.com/",
        "GET,POST docs.example.com/",
        "GET  docs.example.com/",
        "GET Docs.example.com/",
        "GET docs.example.com:8080/",
        "GET *.0.0.1/",
        "GET a.*.example.com/",
        "GET https://docs.example.com/",
        "GET 1.2.3/",
        "GET [::01]/",
        "GET docs.example.com//",
        "GET docs.example.com/a//b",
        "GET docs.example.com/a/./b",
        "GET docs.example.com/a/..",
        "GET docs.example.com/%2e%2E/a",
        "GET docs.example.com/%2E/a",
        "GET docs.example.com/%2F",
        "GET docs.example.com/%5C",
        "GET docs.example.com/%00",
        "GET docs.example.com/%252e",
        "GET docs.example.com/%61",
        "GET docs.example.com/%c3%a9",
        "GET docs.example.com/%FF",
        "GET docs.example.com/%4",
        "GET docs.example.com/é",
        "GET docs.example.com/a b",
        "GET docs.example.com/a;b",
        "GET docs.example.com/a\\b",
        "GET docs.example.com/a?b",
        "GET docs.example.com/a#b",
        "GET docs.example.com/*",
        "GET docs.example.com/{}",
        "GET docs.example.com/{Id}",
        "GET docs.example.com/v{id}",
        "GET docs.example.com/{*rest}",
        "GET docs.example.com/{id}/{id}",
        "GET docs.example.com/{id:int}/{id*}",
        "GET docs.example.com/{id:number}",
        "GET docs.example.com/{rest*:int}",
        "GET docs.example.com/{rest*}/edit",
        "GET docs.example.com/{rest*}/",
        "GET docs.example.com/a%20",
    ]
    .iter()
    .map(|bad| format!("{bad}\n    {}", bad.parse::<RoutePattern>().expect_err(bad)))
    .collect();
    assert_snapshot!(told.join("\n"), @r"
    GET
        `GET` is not a route: a method, a space, a host and a path are expected, as in `GET docs.example.com/documents/{doc_id}`

        `` is not a route: a method, a space, a host and a path are expected, as in `GET docs.example.com/documents/{doc_id}`
    GET docs.example.com
        `GET docs.example.com` is not a route: a method, a space, a host and a path are expected, as in `GET docs.example.com/documents/{doc_id}`
    /documents
        `/documents` is not a route: a method, a space, a host and a path are expected, as in `GET docs.example.com/documents/{doc_id}`
    get docs.example.com/
        `get` is not a method: one of `GET`, `HEAD`, `POST`, `PUT`, `PATCH`, `DELETE`, `OPTIONS` is expected, one for each route
    CONNECT docs.example.com/
        `CONNECT` is not a method: one of `GET`, `HEAD`, `POST`, `PUT`, `PATCH`, `DELETE`, `OPTIONS` is expected, one for each route
    GET,POST docs.example.com/
        `GET,POST` is not a method: one of `GET`, `HEAD`, `POST`, `PUT`, `PATCH`, `DELETE`, `OPTIONS` is expected, one for each route
    GET  docs.example.com/
        ` docs.example.com` is not a host: a host name in lower case or an IP address is expected, without a port; `*.` before a name stands for one label
    GET Docs.example.com/
        `Docs.example.com` is not a host: a host name in lower case or an IP address is expected, without a port; `*.` before a name stands for one label
    GET docs.example.com:8080/
        `docs.example.com:8080` is not a host: a host name in lower case or an IP address is expected, without a port; `*.` before a name stands for one label
    GET *.0.0.1/
        `*.0.0.1` is not a host: a host name in lower case or an IP address is expected, without a port; `*.` before a name stands for one label
    GET a.*.example.com/
        `a.*.example.com` is not a host: a host name in lower case or an IP address is expected, without a port; `*.` before a name stands for one label
    GET https://docs.example.com/
        `https:` is not a host: a host name in lower case or an IP address is expected, without a port; `*.` before a name stands for one label
    GET 1.2.3/
        `1.2.3` is not a host: a host name in lower case or an IP address is expected, without a port; `*.` before a name stands for one label
    GET [::01]/
        `[::01]` is not a host: a host name in lower case or an IP address is expected, without a port; `*.` before a name stands for one label
    GET docs.example.com//
        `` cannot stand in a path: a segment between two slashes is not empty
    GET docs.example.com/a//b
        `` cannot stand in a path: a segment between two slashes is not empty
    GET docs.example.com/a/./b
        `.` cannot stand in a path: dot segments are refused in requests as well
    GET docs.example.com/a/..
        `..` cannot stand in a path: dot segments are refused in requests as well
    GET docs.example.com/%2e%2E/a
        `%2e%2E` cannot stand in a path: `%` must be followed by two hexadecimal digits in upper case
    GET docs.example.com/%2E/a
        `%2E` cannot stand in a path: this character is not percent-encoded in a canonical path: write it as it is
    GET docs.example.com/%2F
        `%2F` cannot stand in a path: encoded separators, `%25` and control characters are refused in requests as well
    GET docs.example.com/%5C
        `%5C` cannot stand in a path: encoded separators, `%25` and control characters are refused in requests as well
    GET docs.example.com/%00
        `%00` cannot stand in a path: encoded separators, `%25` and control characters are refused in requests as well
    GET docs.example.com/%252e
        `%252e` cannot stand in a path: encoded separators, `%25` and control characters are refused in requests as well
    GET docs.example.com/%61
        `%61` cannot stand in a path: this character is not percent-encoded in a canonical path: write it as it is
    GET docs.example.com/%c3%a9
        `%c3%a9` cannot stand in a path: `%` must be followed by two hexadecimal digits in upper case
    GET docs.example.com/%FF
        `%FF` cannot stand in a path: what is percent-encoded is not UTF-8
    GET docs.example.com/%4
        `%4` cannot stand in a path: `%` must be followed by two hexadecimal digits in upper case
    GET docs.example.com/é
        `é` cannot stand in a path: this character must be percent-encoded
    GET docs.example.com/a b
        `a b` cannot stand in a path: this character must be percent-encoded
    GET docs.example.com/a;b
        `a;b` cannot stand in a path: `;` and `\` are refused in requests as well
    GET docs.example.com/a\b
        `a\b` cannot stand in a path: `;` and `\` are refused in requests as well
    GET docs.example.com/a?b
        `a?b` cannot stand in a path: a pattern ends with the path
    GET docs.example.com/a#b
        `a#b` cannot stand in a path: a pattern ends with the path
    GET docs.example.com/*
        `*` cannot stand in a path: there are no wildcards: write `{name}` for one segment, or `{name*}` for all the rest
    GET docs.example.com/{}
        `{}` cannot stand in a path: a parameter is 1 to 64 characters from `a-z 0-9 _`, the first a letter, in braces; behind it may stand `:uuid`, `:int` or `:slug`, or `*` for all the rest of the path
    GET docs.example.com/{Id}
        `{Id}` cannot stand in a path: a parameter is 1 to 64 characters from `a-z 0-9 _`, the first a letter, in braces; behind it may stand `:uuid`, `:int` or `:slug`, or `*` for all the rest of the path
    GET docs.example.com/v{id}
        `v{id}` cannot stand in a path: a parameter takes a whole segment, as in `/documents/{doc_id}`
    GET docs.example.com/{*rest}
        `{*rest}` cannot stand in a path: a parameter is 1 to 64 characters from `a-z 0-9 _`, the first a letter, in braces; behind it may stand `:uuid`, `:int` or `:slug`, or `*` for all the rest of the path
    GET docs.example.com/{id}/{id}
        the parameter `{id}` stands twice in the path: give each its own name
    GET docs.example.com/{id:int}/{id*}
        the parameter `{id}` stands twice in the path: give each its own name
    GET docs.example.com/{id:number}
        `{id:number}` cannot stand in a path: a parameter is of the type `uuid`, `int` or `slug`, or of none
    GET docs.example.com/{rest*:int}
        `{rest*:int}` cannot stand in a path: the rest of the path has no type: remove what follows the `*`
    GET docs.example.com/{rest*}/edit
        `{rest*}` takes all the rest of the path: nothing can follow it, and no slash
    GET docs.example.com/{rest*}/
        `{rest*}` takes all the rest of the path: nothing can follow it, and no slash
    GET docs.example.com/a%20
        `a%20` cannot stand in a path: white space at the end of a segment is refused in requests as well
    ");
}

/// Each route, and what is said of it.
fn table(cases: &[&str]) -> String {
    let home = Home::new();
    let row = |case: &&str| {
        let told = home.told(home.edge(&with_routes(&format!("- {case}\n"))));
        format!("{case}\n    {}", told.replace('\n', "\n    "))
    };
    cases.iter().map(row).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_bad_route_is_told() {
    let cases = [
        "{ to: docs, public: true }",
        "{ match: GET h/a, public: true }",
        "{ match: GET h/a, to: docs }",
        "{ match: GET h/a, to: docs, public: false }",
        "{ match: GET h/a, to: docs, public: 1 }",
        "{ match: GET h/a, to: docs, public: }",
        "{ match: GET h/a, to: docs, public: true, require: { signed_in: true } }",
        "{ match: GET h/a, to: docs, public: true, credentials: user }",
        "{ match: GET h/a, to: docs, require: }",
        "{ match: GET h/a, to: docs, require: editor }",
        "{ match: GET h/a, to: docs, credentials: anyone, require: { signed_in: true } }",
        "{ match: GET h/a, to: nowhere, public: true }",
        "{ match: GET /a, to: docs, public: true }",
        "{ match: GET h/a, to: docs, public: true, timeout: 0s, max_staleness: 25h }",
        "public",
    ];
    assert_snapshot!(table(&cases), @"
    { to: docs, public: true }
        edge.yaml:4:3: routes[0].match: `match` is missing: it has no default
    { match: GET h/a, public: true }
        edge.yaml:4:3: routes[0].to: `to` is missing: it has no default
    { match: GET h/a, to: docs }
        edge.yaml:4:3: routes[0]: the route says neither `public: true` nor `require`: say who may pass
    { match: GET h/a, to: docs, public: false }
        edge.yaml:4:39: routes[0].public: `public: false` does not say who may pass: replace it with `require`
    { match: GET h/a, to: docs, public: 1 }
        edge.yaml:4:39: routes[0].public: `true` or `false` is expected, not a number
    { match: GET h/a, to: docs, public: }
        edge.yaml:4:37: routes[0].public: `true` or `false` is expected, and nothing is written: fill it in or remove the line
    { match: GET h/a, to: docs, public: true, require: { signed_in: true } }
        edge.yaml:4:39: routes[0].public: `public` and `require` contradict each other: keep one
    { match: GET h/a, to: docs, public: true, credentials: user }
        edge.yaml:4:58: routes[0].credentials: a public route asks for no credentials: remove the line, or replace `public` with `require`
    { match: GET h/a, to: docs, require: }
        edge.yaml:4:38: routes[0].require: a section with settings is expected, and nothing is written: fill it in or remove the line
    { match: GET h/a, to: docs, require: editor }
        edge.yaml:4:40: routes[0].require: a section with settings is expected, not a text
    { match: GET h/a, to: docs, credentials: anyone, require: { signed_in: true } }
        edge.yaml:4:44: routes[0].credentials: `anyone` is not accepted: one of `user`, `service`, `user_and_service`, `user_or_service` is expected
    { match: GET h/a, to: nowhere, public: true }
        edge.yaml:4:25: routes[0].to: `nowhere` is not one of `upstreams`: there are `docs`
    { match: GET /a, to: docs, public: true }
        edge.yaml:4:12: routes[0].match: the host is missing before the path: name it, or set `hosts: any` to let routes match every host
    { match: GET h/a, to: docs, public: true, timeout: 0s, max_staleness: 25h }
        edge.yaml:4:54: routes[0].timeout: `0ms` is out of bounds: 10ms to 1h is accepted
        edge.yaml:4:73: routes[0].max_staleness: `25h` is out of bounds: 1s to 1d is accepted
    public
        edge.yaml:4:3: routes[0]: a section with settings is expected, not a text
    ");
}

#[test]
fn every_bad_requirement_is_told() {
    let cases = [
        "{ match: GET h/a, to: docs, require: {} }",
        "{ match: GET h/a, to: docs, require: { rol: editor } }",
        "{ match: GET h/a, to: docs, require: { role: editor, role: viewer } }",
        "{ match: GET h/a, to: docs, require: { role: boss } }",
        "{ match: GET h/a, to: docs, require: { signed_in: false } }",
        "{ match: GET h/a, to: docs, require: { any_of: [] } }",
        "{ match: GET h/a, to: docs, require: { any_of: { role: viewer } } }",
        "{ match: GET h/a, to: docs, require: { any_of: [{ role: viewer }, {}] } }",
        "{ match: GET h/a, to: docs, require: { any_of: [{ role: viewer }, { service: indexer }] } }",
        "{ match: GET h/a, to: docs, require: { action: export } }",
        "{ match: GET h/a, to: docs, require: { action: docs/Export } }",
        "{ match: GET h/a, to: docs, require: { permission: 'docs/document/{id}#view' } }",
        "{ match: 'GET h/{id}', to: docs, require: { permission: 'docs/document/{id}' } }",
        "{ match: 'GET h/{id}', to: docs, require: { permission: 'docs/{id}#view' } }",
        "{ match: 'GET h/{id}', to: docs, require: { permission: 'docs/document/{id}#own' } }",
        "{ match: 'GET h/{id}', to: docs, require: { permission: 'docs/document/a-{id}#view' } }",
        "{ match: 'GET h/{id}', to: docs, require: { permission: 'docs/document/a/{id}#view' } }",
        "{ match: 'GET h/{id}', to: docs, require: { permission: 'docs/document/#view' } }",
        "{ match: GET h/a, to: docs, require: { service: indexer } }",
        "{ match: GET h/a, to: docs, credentials: service, require: { role: viewer } }",
    ];
    assert_snapshot!(table(&cases), @"
    { match: GET h/a, to: docs, require: {} }
        edge.yaml:4:40: routes[0].require: nothing is required here: name at least one of `role`, `action`, `permission`, `service`, `signed_in`, `any_of`
    { match: GET h/a, to: docs, require: { rol: editor } }
        edge.yaml:4:40: routes[0].require: nothing is required here: name at least one of `role`, `action`, `permission`, `service`, `signed_in`, `any_of`
        edge.yaml:4:42: routes[0].require.rol: `rol` is not a setting here: did you mean `role`?
    { match: GET h/a, to: docs, require: { role: editor, role: viewer } }
        edge.yaml:4:56: routes[0].require.role: the key is written twice, first on line 4: keep one
    { match: GET h/a, to: docs, require: { role: boss } }
        edge.yaml:4:48: routes[0].require.role: `boss` is not a workspace role: one of `viewer`, `editor`, `admin`, `owner` is expected
    { match: GET h/a, to: docs, require: { signed_in: false } }
        edge.yaml:4:53: routes[0].require.signed_in: `signed_in: false` would require nothing: remove the line, or make the route `public: true`
    { match: GET h/a, to: docs, require: { any_of: [] } }
        edge.yaml:4:50: routes[0].require.any_of: the list is empty, so nobody could ever pass: name at least one alternative
    { match: GET h/a, to: docs, require: { any_of: { role: viewer } } }
        edge.yaml:4:50: routes[0].require.any_of: a list is expected, not a section
    { match: GET h/a, to: docs, require: { any_of: [{ role: viewer }, {}] } }
        edge.yaml:4:69: routes[0].require.any_of[1]: nothing is required here: name at least one of `role`, `action`, `permission`, `service`, `signed_in`, `any_of`
    { match: GET h/a, to: docs, require: { any_of: [{ role: viewer }, { service: indexer }] } }
        edge.yaml:4:80: routes[0].require.any_of[1].service: this asks for a service, and `credentials: user` takes no service key: use `service`, `user_and_service` or `user_or_service`
    { match: GET h/a, to: docs, require: { action: export } }
        edge.yaml:4:50: routes[0].require.action: `export` is not an action: a service, `/` and the action are expected, as in `docs/reports:export`
    { match: GET h/a, to: docs, require: { action: docs/Export } }
        edge.yaml:4:50: routes[0].require.action: `Export` is not a valid action: 1 to 255 characters from `a-z 0-9 _ . : -`, the first a letter
    { match: GET h/a, to: docs, require: { permission: 'docs/document/{id}#view' } }
        edge.yaml:4:54: routes[0].require.permission: the path `/a` has no parameter `{id}`: name one that it has
    { match: 'GET h/{id}', to: docs, require: { permission: 'docs/document/{id}' } }
        edge.yaml:4:59: routes[0].require.permission: `docs/document/{id}` is not a permission: service, type, object and permission are expected, as in `docs/document/{doc_id}#view`
    { match: 'GET h/{id}', to: docs, require: { permission: 'docs/{id}#view' } }
        edge.yaml:4:59: routes[0].require.permission: `docs/{id}#view` is not a permission: service, type, object and permission are expected, as in `docs/document/{doc_id}#view`
    { match: 'GET h/{id}', to: docs, require: { permission: 'docs/document/{id}#own' } }
        edge.yaml:4:59: routes[0].require.permission: `own` is not a permission on an object: one of `view`, `edit`, `manage` is expected after the `#`
    { match: 'GET h/{id}', to: docs, require: { permission: 'docs/document/a-{id}#view' } }
        edge.yaml:4:59: routes[0].require.permission: `a-{id}` cannot be the id of an object: a parameter of the path such as `{doc_id}` or a whole id is expected
    { match: 'GET h/{id}', to: docs, require: { permission: 'docs/document/a/{id}#view' } }
        edge.yaml:4:59: routes[0].require.permission: `a/{id}` cannot be the id of an object: a parameter of the path such as `{doc_id}` or a whole id is expected
    { match: 'GET h/{id}', to: docs, require: { permission: 'docs/document/#view' } }
        edge.yaml:4:59: routes[0].require.permission: `` cannot be the id of an object: a parameter of the path such as `{doc_id}` or a whole id is expected
    { match: GET h/a, to: docs, require: { service: indexer } }
        edge.yaml:4:51: routes[0].require.service: this asks for a service, and `credentials: user` takes no service key: use `service`, `user_and_service` or `user_or_service`
    { match: GET h/a, to: docs, credentials: service, require: { role: viewer } }
        edge.yaml:4:70: routes[0].require.role: this asks for a user, and `credentials: service` takes none: use `user`, `user_and_service` or `user_or_service`
    ");
}

#[test]
fn routes_of_equal_rank_are_refused_with_an_example() {
    let home = Home::new();
    let text = with_routes(
        "
- { match: 'GET h/documents/{id}', to: docs, require: { signed_in: true } }
- { match: 'GET h/documents/new', to: docs, public: true }
- { match: 'GET h/documents/{name}', to: docs, public: true }
- { match: 'GET h/documents/{id}/', to: docs, public: true }
- { match: 'POST h/documents/{id}', to: docs, public: true }
- { match: 'GET other/documents/{id}', to: docs, public: true }
- { match: 'GET h/{a}/new', to: docs, public: true }
- { match: 'GET h/documents/new', to: docs, require: { role: boss } }
",
    );
    assert_snapshot!(home.told(home.edge(&text)), @"
    edge.yaml:7:12: routes[2].match: `routes[0]` is for the same requests, for example `GET h/documents/x`: remove one, or make one more specific
    edge.yaml:12:12: routes[7].match: `routes[1]` is for the same requests, for example `GET h/documents/new`: remove one, or make one more specific
    edge.yaml:12:62: routes[7].require.role: `boss` is not a workspace role: one of `viewer`, `editor`, `admin`, `owner` is expected
    ");
}

/// Two routes for `GET h/a` with these conditions, and what is said of them.
fn conditional(one: &str, other: &str) -> String {
    let home = Home::new();
    let text = with_routes(&format!(
        "- {{ match: GET h/a, to: docs, public: true, when: {one} }}\n- {{ match: GET h/a, to: docs, public: true, when: {other} }}\n"
    ));
    match home.edge(&text) {
        Ok(_) => format!("{one} | {other}\n    accepted"),
        refused => format!(
            "{one} | {other}\n    {}",
            home.told(refused).replace('\n', "\n    ")
        ),
    }
}

#[test]
fn conditions_tell_routes_apart_only_if_they_can_be_told_apart() {
    let told = [
        ("{}", "{ headers: { x-tenant: acme } }"),
        (
            "{ headers: { x-tenant: acme } }",
            "{ headers: { x-tenant: other } }",
        ),
        (
            "{ headers: { x-tenant: acme } }",
            "{ headers: { x-tenant: '*' }, query: { a: '1' } }",
        ),
        ("{}", "{ headers: {}, query: {} }"),
        (
            "{ headers: { x-tenant: acme } }",
            "{ headers: { x-tenant: '*' } }",
        ),
        (
            "{ headers: { x-tenant: acme, x-a: '*' } }",
            "{ query: { 'page[size]': '10 %', b: '*' } }",
        ),
    ]
    .map(|(one, other)| conditional(one, other));
    assert_snapshot!(told.join("\n"), @"
    {} | { headers: { x-tenant: acme } }
        accepted
    { headers: { x-tenant: acme } } | { headers: { x-tenant: other } }
        accepted
    { headers: { x-tenant: acme } } | { headers: { x-tenant: '*' }, query: { a: '1' } }
        accepted
    {} | { headers: {}, query: {} }
        edge.yaml:5:12: routes[1].match: `routes[0]` is for the same requests, for example `GET h/a`: remove one, or make one more specific
    { headers: { x-tenant: acme } } | { headers: { x-tenant: '*' } }
        edge.yaml:5:12: routes[1].match: `routes[0]` is for the same requests, for example `GET h/a` with `x-tenant: acme`: remove one, or make one more specific
    { headers: { x-tenant: acme, x-a: '*' } } | { query: { 'page[size]': '10 %', b: '*' } }
        edge.yaml:5:12: routes[1].match: `routes[0]` is for the same requests, for example `GET h/a?b=x&page%5Bsize%5D=10%20%25` with `x-a: x` and `x-tenant: acme`: remove one, or make one more specific
    ");
}

#[test]
fn typed_routes_and_wildcards_tie_only_with_their_like() {
    let home = Home::new();
    let text = with_routes(
        "
- { match: 'GET *.h/{id:int}', to: docs, public: true }
- { match: 'GET *.h/{id:uuid}', to: docs, public: true }
- { match: 'GET *.h/{id:slug}', to: docs, public: true }
- { match: 'GET *.h/{id}', to: docs, public: true }
- { match: 'GET *.h/{rest*}', to: docs, public: true }
- { match: 'GET *.x.h/{id:int}', to: docs, public: true }
- { match: 'GET x.h/{id:int}', to: docs, public: true }
- { match: 'GET *.h/{number:int}', to: docs, public: true }
- { match: 'GET *.h/{r*}', to: docs, public: true }
",
    );
    assert_snapshot!(home.told(home.edge(&text)), @"
    edge.yaml:12:12: routes[7].match: `routes[0]` is for the same requests, for example `GET x.h/1`: remove one, or make one more specific
    edge.yaml:13:12: routes[8].match: `routes[4]` is for the same requests, for example `GET x.h/x`: remove one, or make one more specific
    ");
}

#[test]
fn every_bad_condition_is_told() {
    let cases = [
        "{ match: GET h/a, to: docs, public: true, when: { headers: { X-Tenant: a } } }",
        "{ match: GET h/a, to: docs, public: true, when: { headers: { authorization: '*' } } }",
        "{ match: GET h/a, to: docs, public: true, when: { headers: { x-sentinel-user-id: '*' } } }",
        "{ match: GET h/a, to: docs, public: true, when: { headers: { x-tenant: ' a' } } }",
        "{ match: GET h/a, to: docs, public: true, when: { headers: { x-tenant: 1 } } }",
        "{ match: GET h/a, to: docs, public: true, when: { headers: { x-tenant: a, x-tenant: b } } }",
        "{ match: GET h/a, to: docs, public: true, when: { query: { '': a } } }",
        "{ match: GET h/a, to: docs, public: true, when: { query: { a: '1', b: '1', c: '1', d: '1', e: '1', f: '1', g: '1', h: '1', i: '1' } } }",
        "{ match: GET h/a, to: docs, public: true, when: { cookies: {} } }",
        "{ match: 'GET h/{rest*}', to: docs, require: { permission: 'docs/document/{rest}#view' } }",
    ];
    assert_snapshot!(table(&cases), @"
    { match: GET h/a, to: docs, public: true, when: { headers: { X-Tenant: a } } }
        edge.yaml:4:74: routes[0].when.headers.X-Tenant: `X-Tenant` cannot be a condition: the name of a header field is 1 to 64 characters from `a-z 0-9 -`, the first a letter
    { match: GET h/a, to: docs, public: true, when: { headers: { authorization: '*' } } }
        edge.yaml:4:79: routes[0].when.headers.authorization: `authorization` cannot be a condition: it carries a credential or an identity, frames the request, or is the edge's own; who may pass is said by `require`
    { match: GET h/a, to: docs, public: true, when: { headers: { x-sentinel-user-id: '*' } } }
        edge.yaml:4:84: routes[0].when.headers.x-sentinel-user-id: `x-sentinel-user-id` cannot be a condition: it carries a credential or an identity, frames the request, or is the edge's own; who may pass is said by `require`
    { match: GET h/a, to: docs, public: true, when: { headers: { x-tenant: ' a' } } }
        edge.yaml:4:74: routes[0].when.headers.x-tenant: no header field has this value: visible ASCII characters are expected, and spaces between them
    { match: GET h/a, to: docs, public: true, when: { headers: { x-tenant: 1 } } }
        edge.yaml:4:74: routes[0].when.headers.x-tenant: a text is expected, not a number: put it in quotes
    { match: GET h/a, to: docs, public: true, when: { headers: { x-tenant: a, x-tenant: b } } }
        edge.yaml:4:77: routes[0].when.headers.x-tenant: the key is written twice, first on line 4: keep one
    { match: GET h/a, to: docs, public: true, when: { query: { '': a } } }
        edge.yaml:4:66: routes[0].when.query.: a query parameter has a name, and no control characters
    { match: GET h/a, to: docs, public: true, when: { query: { a: '1', b: '1', c: '1', d: '1', e: '1', f: '1', g: '1', h: '1', i: '1' } } }
        edge.yaml:4:51: routes[0].when: there are more than 8 conditions: keep those that tell this route from others
    { match: GET h/a, to: docs, public: true, when: { cookies: {} } }
        edge.yaml:4:53: routes[0].when.cookies: `cookies` is not a setting here: the settings here are `headers`, `query`
    { match: 'GET h/{rest*}', to: docs, require: { permission: 'docs/document/{rest}#view' } }
        edge.yaml:4:62: routes[0].require.permission: `{rest*}` takes several segments, and an object has one id: name a parameter of one segment
    ");
}

#[test]
fn only_so_many_routes_are_told_apart_by_conditions_alone() {
    let home = Home::new();
    let route = |tenant: usize| {
        format!(
            "- {{ match: GET h/a, to: docs, public: true, when: {{ headers: {{ x-tenant: t{tenant} }} }} }}\n"
        )
    };
    let routes = |count: usize| with_routes(&(0..count).map(route).collect::<String>());
    assert!(home.edge(&routes(64)).is_ok());
    assert_snapshot!(home.told(home.edge(&routes(65))), @"edge.yaml:68:12: routes[64].match: more than 64 routes are for `GET h/a`: let the service choose by itself");
}

#[test]
fn a_policy_of_ten_thousand_routes_is_accepted() {
    let home = Home::new();
    let route = |number: usize| {
        format!(
            "- match: GET h{}.example.com/a{number}/{{id:uuid}}/b/{{rest*}}\n  to: docs\n  when: {{ headers: {{ x-a: b }} }}\n  require: {{ permission: 'docs/document/{{id}}#view' }}\n",
            number % 7
        )
    };
    let text = with_routes(&(0..10_000).map(route).collect::<String>());
    assert_eq!(home.edge(&text).expect("accepted").routes.iter().count(), 10_000);
}

#[test]
fn any_host_must_be_asked_for() {
    let home = Home::new();
    let text = with_routes(
        "- { match: GET /a, to: docs, public: true }\n- { match: GET h/a, to: docs, public: true }\n",
    );
    assert!(home.edge(&text).is_err());
    let config = home.edge(&format!("hosts: any\n{text}")).expect("accepted");
    let hosts: Vec<_> = config
        .routes
        .iter()
        .map(|route| route.pattern.host.clone())
        .collect();
    assert_eq!(hosts, [HostPattern::Any, HostPattern::Exact("h".to_owned())]);
}

/// The route for a request as the edge chooses it: the most specific one.
fn chosen<'c>(config: &'c Config, pattern: &RoutePattern) -> Option<&'c Route> {
    let request: Vec<String> = pattern
        .path
        .segments
        .iter()
        .map(|segment| match segment {
            Segment::Literal(text) => text.clone(),
            Segment::Param { kind, .. } => kind.example().to_owned(),
            Segment::Tail(_) => "x".to_owned(),
        })
        .collect();
    let fits = |route: &&Route| {
        let other = &route.pattern;
        other.method == pattern.method
            && (other.host == HostPattern::Any || other.host == pattern.host)
            && other.path.trailing_slash == pattern.path.trailing_slash
            && other.path.segments.len() == request.len()
            && other
                .path
                .segments
                .iter()
                .zip(&request)
                .all(|(segment, text)| match segment {
                    Segment::Literal(literal) => literal == text,
                    Segment::Param { kind, .. } => kind.accepts(text),
                    Segment::Tail(_) => true,
                })
    };
    let rank = |route: &&Route| {
        let params: Vec<u8> = route
            .pattern
            .path
            .segments
            .iter()
            .map(|segment| match segment {
                Segment::Literal(_) => 0,
                Segment::Param {
                    kind: ParamKind::Any, ..
                } => 2,
                Segment::Param { .. } => 1,
                Segment::Tail(_) => 3,
            })
            .collect();
        (route.pattern.host == HostPattern::Any, params)
    };
    config.routes.iter().filter(fits).min_by_key(rank)
}

/// Whether a request that was protected before is still protected, or not forwarded at all.
fn nothing_was_opened(home: &Home, before: &Config, text: &str) {
    let Ok(after) = home.edge(text) else { return };
    for route in &before.routes {
        let is_open = chosen(&after, &route.pattern).is_some_and(|route| route.access == Access::Public);
        assert!(
            !is_open || route.access == Access::Public,
            "`{}` was opened by\n{text}",
            route.pattern
        );
    }
}

#[test]
fn deleting_lines_of_the_policy_never_opens_a_protected_route() {
    let home = samples::home();
    let before = home.edge(samples::EDGE).expect("the sample");
    assert!(
        before
            .routes
            .iter()
            .filter(|route| route.access != Access::Public)
            .count()
            >= 7
    );
    let lines: Vec<&str> = samples::EDGE
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .collect();
    // Every single line, and every two lines that are not far from each other.
    for first in 0..lines.len() {
        for second in first..lines.len().min(first + 3) {
            let kept = lines
                .iter()
                .enumerate()
                .filter(|(at, _)| *at != first && *at != second);
            let text: Vec<&str> = kept.map(|(_, line)| *line).collect();
            nothing_was_opened(&home, &before, &text.join("\n"));
        }
    }
}

#[test]
fn a_tier_or_a_demand_that_is_deleted_never_leaves_a_route_without_demands() {
    let home = samples::home();
    for skip in 0..samples::EDGE.lines().count() {
        let kept: Vec<&str> = samples::EDGE
            .lines()
            .enumerate()
            .filter(|(at, _)| *at != skip)
            .map(|(_, line)| line)
            .collect();
        let Ok(config) = home.edge(&kept.join("\n")) else {
            continue;
        };
        for route in &config.routes {
            if let Access::Protected {
                require: Requirement::All(all) | Requirement::Any(all),
                ..
            } = &route.access
            {
                assert!(!all.is_empty(), "`{}`", route.pattern);
            }
        }
    }
}

#[test]
fn every_bad_test_is_told() {
    let tests = |test: &str| {
        let routes = "  - { match: GET h/a, to: docs, public: true }\n";
        let issuers = "issuers: { corp: { issuer: 'https://id.example', audiences: [a], tokens: access }, idp: { issuer: 'https://idp.example', audiences: [a], tokens: identity } }";
        format!("{issuers}\n{}tests:\n  - {test}\n", with_routes(routes))
    };
    let home = Home::new();
    let mut told = Vec::new();
    for test in [
        "{}",
        "{ request: GET https://h/a }",
        "{ request: GET h/a, expect: allow }",
        "{ request: GET https://h, expect: allow }",
        "{ request: GET https://h/a, expect: deny }",
        "{ request: GET https://h/a, expect: 200 }",
        "{ request: GET https://h/a, expect: permission_deny }",
        "{ request: GET https://h/a, expect: allow, as: {} }",
        "{ request: GET https://h/a, expect: allow, as: nobody }",
        "{ request: GET https://h/a, expect: allow, as: { user: { role: boss } } }",
        "{ request: GET https://h/a, expect: allow, as: { user: { roles: viewer } } }",
        "{ request: GET https://h/a, expect: allow, as: { user: { actions: [export] } } }",
        "{ request: GET https://h/a, expect: allow, as: { user: { permissions: [docs/document/7] } } }",
        "{ request: GET https://h/a, expect: allow, as: { user: { permissions: ['docs/document/{id}#view'] } } }",
        "{ request: GET https://h/a, expect: allow, as: { user: { token: bearer } } }",
        "{ request: GET https://h/a, expect: allow, as: { service: In dexer } }",
        "{ request: GET https://h/a, expect: allow, as: { issuer: nowhere } }",
        "{ request: GET https://h/a, expect: allow, as: { issuer: idp } }",
        "{ request: GET https://h/a, expect: allow, as: { issuer: corp, user: {} } }",
        "{ request: GET https://h/a, expect: allow, headers: { Accept: x } }",
        "{ request: GET https://h/a, expect: allow, headers: { authorization: x } }",
        "{ request: OPTIONS https://h/a, expect: allow, headers: { access-control-request-method: PUT } }",
        "{ request: GET https://h/a, expect: allow, headers: { cookie: 'a=b; __Host-sentinel=x' } }",
        "{ request: GET https://h/a, expect: allow, headers: { x-a: \"1\\r\\nx-b: 2\" } }",
    ] {
        told.push(test.to_owned());
        let errors = home.told(home.edge(&tests(test)));
        told.extend(errors.lines().map(|line| format!("    {line}")));
    }
    assert_snapshot!(told.join("\n"), @r#"
    {}
        edge.yaml:7:5: tests[0].request: `request` is missing: it has no default
        edge.yaml:7:5: tests[0].expect: `expect` is missing: it has no default
    { request: GET https://h/a }
        edge.yaml:7:5: tests[0].expect: `expect` is missing: it has no default
    { request: GET h/a, expect: allow }
        edge.yaml:7:16: tests[0].request: `GET h/a` is not a request: a method and an address are expected, as in `GET https://docs.example.com/documents/42`
    { request: GET https://h, expect: allow }
        edge.yaml:7:16: tests[0].request: `GET https://h` is not a request: a method and an address are expected, as in `GET https://docs.example.com/documents/42`
    { request: GET https://h/a, expect: deny }
        edge.yaml:7:41: tests[0].expect: `deny` cannot come of a request: `allow`, a status (400, 401, 403, 404, 413, 429, 431, 500, 502, 503, 504) or a reason such as `permission_denied` is expected
    { request: GET https://h/a, expect: 200 }
        edge.yaml:7:41: tests[0].expect: `200` cannot come of a request: `allow`, a status (400, 401, 403, 404, 413, 429, 431, 500, 502, 503, 504) or a reason such as `permission_denied` is expected
    { request: GET https://h/a, expect: permission_deny }
        edge.yaml:7:41: tests[0].expect: `permission_deny` cannot come of a request: `allow`, a status (400, 401, 403, 404, 413, 429, 431, 500, 502, 503, 504) or a reason such as `permission_denied` is expected
    { request: GET https://h/a, expect: allow, as: {} }
        edge.yaml:7:52: tests[0].as: nobody is named here: write `user`, `service` or `issuer`, or leave `as` out for a caller without credentials
    { request: GET https://h/a, expect: allow, as: nobody }
        edge.yaml:7:52: tests[0].as: a section with settings is expected, not a text
    { request: GET https://h/a, expect: allow, as: { user: { role: boss } } }
        edge.yaml:7:68: tests[0].as.user.role: `boss` is not a workspace role: one of `viewer`, `editor`, `admin`, `owner` is expected
    { request: GET https://h/a, expect: allow, as: { user: { roles: viewer } } }
        edge.yaml:7:62: tests[0].as.user.roles: `roles` is not a setting here: did you mean `role`?
    { request: GET https://h/a, expect: allow, as: { user: { actions: [export] } } }
        edge.yaml:7:72: tests[0].as.user.actions[0]: `export` is not an action: a service, `/` and the action are expected, as in `docs/reports:export`
    { request: GET https://h/a, expect: allow, as: { user: { permissions: [docs/document/7] } } }
        edge.yaml:7:76: tests[0].as.user.permissions[0]: `docs/document/7` is not a permission: service, type, object and permission are expected, as in `docs/document/{doc_id}#view`
    { request: GET https://h/a, expect: allow, as: { user: { permissions: ['docs/document/{id}#view'] } } }
        edge.yaml:7:76: tests[0].as.user.permissions[0]: `id` names no object: write the id that the request has in place of `{id}`
    { request: GET https://h/a, expect: allow, as: { user: { token: bearer } } }
        edge.yaml:7:69: tests[0].as.user.token: `bearer` is not accepted: one of `access`, `cookie`, `authz` is expected
    { request: GET https://h/a, expect: allow, as: { service: In dexer } }
        edge.yaml:7:63: tests[0].as.service: `In dexer` is not a service name: 1 to 255 characters from `a-z 0-9 _ . -`, the first a letter
    { request: GET https://h/a, expect: allow, as: { issuer: nowhere } }
        edge.yaml:7:62: tests[0].as.issuer: `nowhere` is not one of `issuers`: there are `corp`, `idp`
    { request: GET https://h/a, expect: allow, as: { issuer: idp } }
        edge.yaml:7:62: tests[0].as.issuer: the tokens of `idp` open nothing by themselves: use `user` with `token: authz`
    { request: GET https://h/a, expect: allow, as: { issuer: corp, user: {} } }
        edge.yaml:7:62: tests[0].as.issuer: one person cannot show two tokens: keep `user` or `issuer`
    { request: GET https://h/a, expect: allow, headers: { Accept: x } }
        edge.yaml:7:59: tests[0].headers.Accept: `Accept` is not a name: 1 to 63 characters from `a-z 0-9 _ -`, the first a letter
    { request: GET https://h/a, expect: allow, headers: { authorization: x } }
        edge.yaml:7:74: tests[0].headers.authorization: `authorization` cannot be set: `request` says which host it is for, and `as` says who calls
    { request: OPTIONS https://h/a, expect: allow, headers: { access-control-request-method: PUT } }
        edge.yaml:7:94: tests[0].headers.access-control-request-method: preflight requests are answered by what `cors` says, whoever calls: test the request that it announces
    { request: GET https://h/a, expect: allow, headers: { cookie: 'a=b; __Host-sentinel=x' } }
        edge.yaml:7:67: tests[0].headers.cookie: the session cookie cannot be set: say `as: { user: { token: cookie } }`
    { request: GET https://h/a, expect: allow, headers: { x-a: "1\r\nx-b: 2" } }
        edge.yaml:7:64: tests[0].headers.x-a: the value of `x-a` has a control character, which no header field may have
    "#);
    assert!(
        home.edge(&tests(
            "{ request: GET https://h/a, expect: 401, as: { issuer: corp } }"
        ))
        .is_ok()
    );
}

#[test]
fn a_test_knows_where_it_stands() {
    let home = Home::new();
    let text = with_routes(
        "  - { match: GET h/a, to: docs, public: true }\ntests:\n  - request: GET https://h/a\n    expect: allow\n",
    );
    let config = home.edge(&text).expect("accepted");
    let problem = config
        .tests
        .first()
        .expect("one")
        .written
        .problem("it fails".to_owned());
    let told = problem
        .to_string()
        .replace(&format!("{}/", home.path().display()), "");
    assert_eq!(told, "edge.yaml:6:5: tests[0]: it fails");
}

proptest! {
    #[test]
    fn any_text_in_place_of_a_policy_is_judged_without_a_panic(text in "[a-z{}/:# \\n\\[\\]\"',*&!|>%-]{0,80}") {
        let home = Home::new();
        let _ = home.edge(&text);
        let _ = home.edge(&with_routes(&text));
        let _ = text.parse::<RoutePattern>();
    }

    #[test]
    fn a_pattern_that_is_accepted_prints_as_it_was_written(text in "GET [a-z.]{1,8}(/([a-zA-Z0-9._~%;{}-]{0,5}|\\{[a-z]{1,3}\\})){1,4}") {
        if let Ok(pattern) = text.parse::<RoutePattern>() {
            prop_assert_eq!(pattern.to_string(), text);
            prop_assert!(pattern.example().parse::<RoutePattern>().is_ok());
        }
    }
}
