use std::path::Path;

use http::{HeaderMap, HeaderValue, Version};
use sentinel_config::parse_edge;

use super::*;
use crate::request::{HeadLimits, Parsed};

fn table(routes: &str) -> Table {
    let text = format!(
        "control_plane: {{ url: http://127.0.0.1:9003, edge_key: some-key }}
hosts: any
upstreams: {{ docs: {{ url: http://127.0.0.1:9000 }} }}
routes:
{routes}"
    );
    let config =
        parse_edge(&text, Path::new("edge.yaml"), &std::collections::BTreeMap::new()).expect("valid");
    Table::compile(&config).expect("no ties")
}

fn request(method: &str, host: &str, path: &str) -> CanonicalRequest {
    let mut fields = HeaderMap::new();
    fields.insert("host", HeaderValue::from_str(host).expect("host"));
    let parsed = Parsed {
        version: Version::HTTP_11,
        method,
        target: path.as_bytes(),
        authority: None,
        fields: &fields,
    };
    CanonicalRequest::parse(parsed, HeadLimits::default()).expect("canonical")
}

fn found(table: &Table, method: &str, host: &str, path: &str) -> Option<String> {
    table
        .find(&request(method, host, path), &HeaderMap::new())
        .map(|route| route.name().to_owned())
}

const POLICY: &str = r#"
  - { match: "GET docs.example/documents/{doc_id}", to: docs, require: { permission: "docs/document/{doc_id}#view" } }
  - { match: "GET docs.example/documents/new", to: docs, require: { role: editor } }
  - { match: "GET docs.example/caf%C3%A9/", to: docs, public: true }
  - { match: "GET /documents/{id}", to: docs, public: true }
  - { match: "GET docs.example/", to: docs, public: true }
"#;

#[test]
fn a_named_host_goes_before_any_and_a_literal_before_a_parameter() {
    let table = table(POLICY);
    for (host, path, route) in [
        (
            "docs.example",
            "/documents/7",
            Some("GET docs.example/documents/{doc_id}"),
        ),
        (
            "DOCS.example:8080",
            "/documents/7?x=1",
            Some("GET docs.example/documents/{doc_id}"),
        ),
        (
            "docs.example",
            "/documents/new",
            Some("GET docs.example/documents/new"),
        ),
        ("other.example", "/documents/new", Some("GET /documents/{id}")),
        ("docs.example", "/caf%C3%A9/", Some("GET docs.example/caf%C3%A9/")),
        ("docs.example", "/caf%c3%a9/", Some("GET docs.example/caf%C3%A9/")),
        ("docs.example", "/caf%C3%A9", None),
        ("docs.example", "/", Some("GET docs.example/")),
        ("other.example", "/", None),
        ("docs.example", "/documents/", None),
        ("docs.example", "/Documents/7", None),
    ] {
        assert_eq!(found(&table, "GET", host, path).as_deref(), route, "{host}{path}");
    }
    assert_eq!(found(&table, "HEAD", "docs.example", "/documents/7"), None);
    assert_eq!(found(&table, "POST", "docs.example", "/documents/7"), None);
}

#[test]
fn a_parameter_is_one_decoded_segment() {
    let table = table(POLICY);
    let request = request("GET", "docs.example", "/documents/a%20b");
    let route = table.find(&request, &HeaderMap::new()).expect("a route");
    assert_eq!(route.param("doc_id", &request.target), Some("a b"));
    assert_eq!(route.param("id", &request.target), None);
}

#[test]
fn the_table_can_be_read() {
    let table = table(
        r#"
  - match: "POST docs.example/reports"
    to: docs
    credentials: user_or_service
    require: { signed_in: true, any_of: [{ role: editor, action: "docs/reports:export" }, { service: indexer }] }
    max_staleness: 5s
  - { match: "GET docs.example/documents/{doc_id}", to: docs, require: { permission: "docs/document/{doc_id}#view" } }
  - { match: "GET docs.example/healthz", to: docs, public: true }
"#,
    );
    let lines: Vec<String> = table.routes().map(ToString::to_string).collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
    POST docs.example/reports -> docs  user_or_service: (signed in and ((role editor and action docs/reports:export) or service indexer))  (max_staleness 5s, timeout 30s)
    GET docs.example/documents/{doc_id} -> docs  user: permission docs/document/{doc_id}#view  (max_staleness 900s, timeout 30s)
    GET docs.example/healthz -> docs  public  (max_staleness 900s, timeout 30s)
    ");
}

/// What the services behind would read as the protected document, page or item, in another spelling.
#[test]
fn no_spelling_of_an_id_or_a_literal_leads_to_a_laxer_route() {
    let table = table(
        r#"
  - { match: "GET h/documents/{id:uuid}", to: docs, require: { permission: "docs/document/{id}#view" } }
  - { match: "GET h/documents/{name}", to: docs, public: true }
  - { match: "GET h/items/{id:int}", to: docs, require: { role: editor } }
  - { match: "GET h/items/{rest*}", to: docs, public: true }
  - { match: "GET h/admin", to: docs, require: { role: owner } }
  - { match: "GET h/caf%C3%A9", to: docs, require: { role: owner } }
  - { match: "GET h/{x}", to: docs, public: true }
  - { match: "GET /{rest*}", to: docs, public: true }
"#,
    );
    for path in [
        "/documents/0190A0A0-0000-7000-8000-000000000001",
        "/documents/0190a0a000007000800000000000000a",
        "/documents/%7B0190a0a0-0000-7000-8000-000000000001%7D",
        "/documents/urn:uuid:0190a0a0-0000-7000-8000-000000000001",
        "/documents/%EF%BC%90190a0a0-0000-7000-8000-000000000001",
        "/items/007",
        "/items/+7",
        "/items/7.0",
        "/items/%EF%BC%97",
        "/items/%D9%A7",
        "/items/007/more",
        "/%F0%9D%90%9Admin",
        "/%E2%93%90dmin",
        "/%C2%AAdmin",
        "/cafe%CC%81",
    ] {
        assert_eq!(found(&table, "GET", "h", path), None, "{path}");
    }
    for (path, route) in [
        ("/documents/readme", "GET h/documents/{name}"),
        ("/items/new", "GET h/items/{rest*}"),
        ("/items/v1.2.3", "GET h/items/{rest*}"),
        ("/caf%C3%A8", "GET h/{x}"),
        ("/cafe", "GET h/{x}"),
    ] {
        assert_eq!(found(&table, "GET", "h", path).as_deref(), Some(route), "{path}");
    }
}

const WIDE: &str = r#"
  - { match: "GET *.example/files/{rest*}", to: docs, public: true }
  - { match: "GET a.example/files/{id:int}", to: docs, public: true }
  - { match: "GET /files/{rest*}", to: docs, require: { signed_in: true } }
  - { match: "GET a.example/search", to: docs, public: true }
  - { match: "GET a.example/search", to: docs, public: true, when: { headers: { x-tenant: acme } } }
  - { match: "GET a.example/search", to: docs, public: true, when: { headers: { x-tenant: acme }, query: { draft: "*" } } }
"#;

#[test]
fn an_exact_host_goes_before_a_wildcard_and_this_before_any() {
    let table = table(WIDE);
    for (host, path, route) in [
        ("a.example", "/files/7", Some("GET a.example/files/{id:int}")),
        ("a.example", "/files/x", Some("GET *.example/files/{rest*}")),
        ("b.example", "/files/7", Some("GET *.example/files/{rest*}")),
        ("a.b.example", "/files/7", Some("GET /files/{rest*}")),
        ("example", "/files/7", Some("GET /files/{rest*}")),
        ("a.example", "/files/", None),
        ("a.example", "/Files/7", None),
    ] {
        assert_eq!(found(&table, "GET", host, path).as_deref(), route, "{host}{path}");
    }
}

#[test]
fn a_lookalike_on_the_exact_host_is_not_led_to_a_wider_one() {
    let table = table(WIDE);
    assert_eq!(found(&table, "GET", "a.example", "/SEARCH"), None);
    assert_eq!(
        found(&table, "GET", "a.example", "/FILES/x"),
        None,
        "the wildcard's route is not asked"
    );
}

#[test]
fn the_tail_is_what_stands_in_the_target() {
    let table = table(WIDE);
    let sent = request("GET", "b.example", "/files/a%20b/c?x=/y");
    let route = table.find(&sent, &HeaderMap::new()).expect("a route");
    assert_eq!(route.tail(&sent.target), Some("a%20b/c"));
    assert_eq!(route.param("rest", &sent.target), None);
    let sent = request("GET", "a.example", "/files/7");
    let route = table.find(&sent, &HeaderMap::new()).expect("a route");
    assert_eq!(
        (route.tail(&sent.target), route.param("id", &sent.target)),
        (None, Some("7"))
    );
}

#[test]
fn the_most_conditions_that_are_met_win() {
    let table = table(WIDE);
    let named = |tenants: &[&'static str], path: &str| {
        let mut fields = HeaderMap::new();
        for tenant in tenants {
            fields.append("x-tenant", HeaderValue::from_static(tenant));
        }
        let route = table.find(&request("GET", "a.example", path), &fields);
        route.map(|route| route.name().to_owned())
    };
    let plain = "GET a.example/search".to_owned();
    let tenant = format!("{plain} when x-tenant: acme");
    let draft = format!("{tenant}, ?draft=*");
    assert_eq!(named(&[], "/search?draft=1"), Some(plain.clone()));
    assert_eq!(named(&["acme"], "/search"), Some(tenant.clone()));
    assert_eq!(named(&["acme"], "/search?draft=1"), Some(draft));
    // What is there twice is not there.
    assert_eq!(named(&["acme"], "/search?draft=1&draft=1"), Some(tenant));
    assert_eq!(named(&["acme", "acme"], "/search?draft=1"), Some(plain));
}
