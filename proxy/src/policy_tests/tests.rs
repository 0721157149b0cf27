use std::path::Path;

use sentinel_config::{Environment, parse_edge};

use super::*;

const POLICY: &str = r#"
control_plane: { url: http://127.0.0.1:9003, edge_key: some-key }
issuers: { corp: { issuer: "https://id.example", audiences: [edge], tokens: access, jwks_url: "https://id.example/keys" } }
upstreams: { docs: { url: http://127.0.0.1:9000 } }
routes:
  - { match: "GET a.example/healthz", to: docs, public: true }
  - { match: "GET a.example/documents/{id}", to: docs, require: { permission: "docs/document/{id}#view" } }
  - { match: "PUT a.example/documents/{id}", to: docs, require: { permission: "docs/document/{id}#edit" } }
  - { match: "GET a.example/documents/new", to: docs, require: { role: editor, action: "docs/reports:export" } }
  - { match: "GET a.example/secret", to: docs, require: { role: owner }, strangers: not_found }
  - { match: "GET a.example/corp", to: docs, tokens: [corp], require: { signed_in: true } }
  - { match: "GET a.example/page", to: docs, cookie: true, require: { signed_in: true } }
  - { match: "POST a.example/page", to: docs, cookie: true, require: { signed_in: true } }
  - { match: "POST a.example/jobs", to: docs, credentials: service, require: { service: indexer } }
  - { match: "GET a.example/both", to: docs, credentials: user_and_service, require: { role: viewer, service: chat } }
  - { match: "GET a.example/watched", to: docs, mode: shadow, require: { role: admin } }
  - { match: "GET a.example/beta", to: docs, when: { headers: { x-beta: "1" } }, require: { role: viewer } }
tests:
"#;

fn run_tests(tests: &str) -> Result<usize, FailedTests> {
    let config = parse_edge(
        &format!("{POLICY}{tests}"),
        Path::new("edge.yaml"),
        &Environment::new(),
    );
    let config = config.unwrap_or_else(|errors| panic!("{errors}"));
    let table = Table::compile(&config).expect("no ties");
    run(&config, &table)
}

/// Each line is a test that must hold: the request, who makes it, and what must come of it.
const HOLDS: &[(&str, &str, &str)] = &[
    ("GET https://a.example/healthz", "", "allow"),
    ("GET https://a.example/healthz", "user: { role: viewer }", "allow"),
    ("GET https://a.example/healthz", "user: {}", "role_denied"),
    ("GET https://a.example/nowhere", "", "no_route"),
    ("GET https://b.example/healthz", "", "404"),
    ("HEAD https://a.example/healthz", "", "no_route"),
    ("GET https://a.example/Healthz", "", "no_route"),
    ("GET https://a.example/x/../healthz", "", "path_not_canonical"),
    ("GET https://a..example/healthz", "", "host_invalid"),
    ("get https://a.example/healthz", "", "method_invalid"),
    ("GET https://a.example/documents/7", "", "credential_missing"),
    (
        "GET https://a.example/documents/7",
        "user: { role: viewer }",
        "permission_denied",
    ),
    (
        "GET https://a.example/documents/7",
        "user: { role: viewer, permissions: [docs/document/7#view] }",
        "allow",
    ),
    (
        "GET https://a.example/documents/8?x=7",
        "user: { role: viewer, permissions: [docs/document/7#view] }",
        "permission_denied",
    ),
    (
        "GET https://a.example/documents/7",
        "user: { permissions: [docs/document/7#view] }",
        "role_denied",
    ),
    (
        "PUT https://a.example/documents/7",
        "user: { role: viewer, permissions: [docs/document/7#view] }",
        "permission_denied",
    ),
    (
        "PUT https://a.example/documents/7",
        "user: { role: viewer, permissions: [docs/document/7#manage] }",
        "allow",
    ),
    (
        "GET https://a.example/documents/new",
        "user: { role: editor }",
        "action_denied",
    ),
    (
        "GET https://a.example/documents/new",
        "user: { role: editor, actions: [docs/reports:export] }",
        "allow",
    ),
    (
        "GET https://a.example/documents/new",
        "user: { role: viewer, actions: [docs/reports:export], permissions: [docs/document/new#view] }",
        "role_denied",
    ),
    (
        "GET https://a.example/secret",
        "user: { role: admin }",
        "role_denied",
    ),
    ("GET https://a.example/secret", "user: { role: admin }", "404"),
    ("GET https://a.example/secret", "", "401"),
    ("GET https://a.example/corp", "issuer: corp", "allow"),
    (
        "GET https://a.example/corp",
        "user: { role: owner }",
        "credential_not_accepted",
    ),
    ("GET https://a.example/page", "issuer: corp", "token_invalid"),
    (
        "GET https://a.example/page",
        "user: { role: viewer, token: cookie }",
        "allow",
    ),
    (
        "GET https://a.example/page",
        "user: { role: viewer, token: authz }",
        "401",
    ),
    (
        "POST https://a.example/page",
        "user: { role: viewer, token: cookie }",
        "cross_site",
    ),
    (
        "GET https://a.example/documents/7",
        "user: { role: viewer, permissions: [docs/document/7#view], token: cookie }",
        "credential_missing",
    ),
    ("POST https://a.example/jobs", "service: indexer", "allow"),
    ("POST https://a.example/jobs", "service: chat", "service_denied"),
    (
        "POST https://a.example/jobs",
        "user: { role: owner }",
        "credential_not_accepted",
    ),
    (
        "GET https://a.example/both",
        "{ user: { role: viewer }, service: chat }",
        "allow",
    ),
    (
        "GET https://a.example/both",
        "user: { role: viewer }",
        "credential_missing",
    ),
    (
        "GET https://a.example/watched",
        "user: { role: viewer }",
        "role_denied",
    ),
    ("GET https://a.example/watched", "user: { role: admin }", "allow"),
    ("GET https://a.example/beta", "user: { role: viewer }", "no_route"),
];

#[test]
fn what_comes_out_is_what_the_edge_decides() {
    for (request, caller, expected) in HOLDS.iter().copied() {
        let caller = match caller {
            "" => String::new(),
            caller if caller.starts_with('{') => format!(", as: {caller}"),
            caller => format!(", as: {{ {caller} }}"),
        };
        let test = |expect: &str| {
            run_tests(&format!(
                "  - {{ request: \"{request}\"{caller}, expect: {expect} }}\n"
            ))
        };
        assert_eq!(test(expected), Ok(1), "{request}{caller}: {expected}");
        let another = if expected == "allow" { "403" } else { "allow" };
        assert!(test(another).is_err(), "{request}{caller}: {another}");
    }
}

#[test]
fn header_fields_count() {
    let test = |headers: &str| {
        run_tests(&format!(
            "  - {{ request: GET https://a.example/beta, headers: {headers}, as: {{ user: {{ role: viewer }} }}, expect: allow }}\n"
        ))
    };
    let page = |headers: &str| {
        run_tests(&format!(
            "  - {{ request: POST https://a.example/page, headers: {headers}, as: {{ user: {{ role: viewer, token: cookie }} }}, expect: allow }}\n"
        ))
    };
    assert_eq!(
        page("{ origin: 'https://a.example' }"),
        Ok(1),
        "a page of the same origin"
    );
    assert!(page("{ origin: 'https://evil.example' }").is_err());
    assert!(page("{ origin: 'http://a.example' }").is_err());
    assert_eq!(test("{ x-beta: '1' }"), Ok(1));
    assert!(test("{ x-beta: '2' }").is_err());
    assert!(
        test("{ x-beta: '1', x_sentinel_user_id: '1' }").is_err(),
        "a name that is refused"
    );
}

#[test]
fn every_failing_test_is_told_with_its_place_and_the_reason() {
    let failed = run_tests(
        "  - { request: GET https://a.example/healthz, expect: allow }
  - { request: GET https://a.example/documents/7, as: { user: { role: viewer } }, expect: allow }
  - request: GET https://a.example/healthz
    expect: 401
  - { request: GET https://a.example/x/../y, as: { issuer: corp, service: chat }, expect: no_route }
  - { request: GET https://a.example/x, as: { user: {} }, expect: 401 }
",
    );
    insta::assert_snapshot!(failed.expect_err("four fail").to_string(), @"
    4 of 5 tests of the policy failed
    edge.yaml:20:5: tests[1]: `GET https://a.example/documents/7` by a user (role viewer, token access): `allow` was expected, and it is refused with 403 (`permission_denied`) by the route `GET a.example/documents/{id}`, which asks for user: permission docs/document/{id}#view
    edge.yaml:21:5: tests[2]: `GET https://a.example/healthz` by nobody: `401` was expected, and it is let through by the route `GET a.example/healthz`, which is public
    edge.yaml:23:5: tests[3]: `GET https://a.example/x/../y` by a user of `corp` with the service `chat`: `no_route` was expected, and it is refused with 400 (`path_not_canonical`) before any route is looked at
    edge.yaml:24:5: tests[4]: `GET https://a.example/x` by a user who is no member (token access): `401` was expected, and it is refused with 404 (`no_route`): no route is for it
    ");
}

#[test]
fn a_protected_route_that_a_public_one_would_stand_in_for_wants_a_test() {
    let notes = |tests: &str| {
        let text = format!(
            "control_plane: {{ url: http://127.0.0.1:9003, edge_key: some-key }}
upstreams: {{ docs: {{ url: http://127.0.0.1:9000 }} }}
routes:
  - {{ match: 'GET a.example/{{rest*}}', to: docs, public: true }}
  - {{ match: 'GET a.example/admin/{{page}}', to: docs, require: {{ role: owner }} }}
  - {{ match: 'PUT a.example/admin/{{page}}', to: docs, require: {{ role: owner }} }}
{tests}"
        );
        let config = parse_edge(&text, Path::new("edge.yaml"), &Environment::new()).expect("valid");
        let table = Table::compile(&config).expect("no ties");
        let notes = unwatched(&config, &table);
        notes
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n")
    };
    assert_eq!(
        notes(""),
        "without `GET a.example/admin/{page}` everybody could pass by `GET a.example/{rest*}`, and no test would notice: \
         add one such as `{ request: \"GET https://a.example/admin/x\", expect: 401 }`"
    );
    let allowed =
        "tests: [{ request: GET https://a.example/admin/x, as: { user: { role: owner } }, expect: allow }]";
    assert!(
        !notes(allowed).is_empty(),
        "it would be allowed by the public route too"
    );
    assert_eq!(
        notes("tests: [{ request: GET https://a.example/admin/y, expect: 401 }]"),
        ""
    );
}

/// The policy with a model, and what becomes of its tests.
fn with_model(tests: &str) -> Result<usize, FailedTests> {
    let home = tempfile::tempdir().expect("a directory");
    let files = "type file
  relations
    define parent: [folder]
    define workspace: workspace from parent
    define viewer: [user]
";
    let model = format!("{}{files}", crate::testing::FOLDERS);
    std::fs::write(home.path().join("docs.fga"), model).expect("written");
    let text = format!(
        "control_plane: {{ url: http://127.0.0.1:9003, edge_key: some-key }}
models: {{ docs: ./docs.fga }}
upstreams: {{ docs: {{ url: http://127.0.0.1:9000, service: docs }} }}
routes:
  - {{ match: \"GET a.example/folders/{{id}}\", to: docs, require: {{ permission: \"folder:{{id}}#can_read\" }} }}
  - {{ match: \"GET a.example/files/{{id}}\", to: docs, require: {{ permission: \"file:{{id}}#viewer\" }} }}
  - {{ match: \"GET a.example/pages/{{id}}\", to: docs, require: {{ permission: \"wiki/page:{{id}}#viewer\" }} }}
tests:
{tests}"
    );
    let config = parse_edge(&text, &home.path().join("edge.yaml"), &Environment::new());
    let config = config.unwrap_or_else(|errors| panic!("{errors}"));
    let table = Table::compile(&config).expect("they go together");
    run(&config, &table)
}

#[test]
fn relations_of_a_services_model_hold_as_a_test_says() {
    let test = |path: &str, relations: &str, expect: &str| {
        format!(
            "  - {{ request: GET https://a.example/{path}, as: {{ user: {{ role: viewer, relations: [{relations}] }} }}, expect: {expect} }}\n"
        )
    };
    let tests = [
        ("folders/7", "'docs/folder:7#viewer'", "allow"),
        ("folders/8", "'docs/folder:7#viewer'", "permission_denied"),
        ("folders/7", "'docs/folder:7#child@docs/folder:1'", "403"),
        (
            "folders/7",
            "'docs/folder:7#parent@docs/folder:1', 'docs/folder:1#viewer'",
            "allow",
        ),
        (
            "folders/7",
            "'docs/folder:7#parent@docs/folder:1', 'docs/folder:1#viewer@user:other'",
            "403",
        ),
        (
            "folders/7",
            "'docs/folder:7#viewer', 'docs/folder:7#workspace@workspace:other'",
            "403",
        ),
        (
            "files/7",
            "'docs/file:7#viewer', 'docs/file:7#parent@docs/folder:1'",
            "allow",
        ),
        (
            "files/7",
            "'docs/file:7#viewer', 'docs/file:7#parent@docs/folder:1', 'docs/folder:1#workspace@workspace:other'",
            "403",
        ),
        ("files/7", "'docs/file:7#viewer'", "403"),
        ("pages/7", "", "model_mismatch"),
    ];
    let written: String = tests
        .iter()
        .map(|(path, relations, expect)| test(path, relations, expect))
        .collect();
    assert_eq!(with_model(&written), Ok(tests.len()));
    let failed = with_model(&test("folders/7", "'docs/folder:7#can_read'", "allow")).expect_err("computed");
    let told = failed.to_string();
    assert!(
        told.contains("cannot be tried: the model does not allow the tuple `docs/folder:7#can_read@user:"),
        "{told}"
    );
    let failed = with_model(&test("pages/7", "", "allow")).expect_err("no model");
    let told = failed.to_string();
    assert!(
        told.contains("(`model_mismatch`)") && told.contains("name the file with its model under `models`"),
        "{told}"
    );
}
