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
        .find(&request(method, host, path))
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
    let route = table.find(&request).expect("a route");
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
