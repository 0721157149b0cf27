//! Request targets: what is let through means the same to everybody, and nothing gets past a protected prefix.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;

use percent_encoding::percent_decode_str;
use sentinel_config::edge::Access;
use sentinel_config::parse_edge;
use sentinel_proxy::request::Target;
use sentinel_proxy::routes::Table;
use url::Url;

/// A protected place in the middle of an open one.
const POLICY: &str = "
control_plane: { url: http://127.0.0.1:9003, edge_key: some-key }
upstreams: { docs: { url: http://127.0.0.1:9000 } }
routes:
  - { match: GET h/admin, to: docs, require: { role: admin } }
  - { match: 'GET h/admin/{rest*}', to: docs, require: { role: admin } }
  - { match: 'GET h/{rest*}', to: docs, public: true }
";

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let config = parse_edge(POLICY, Path::new("edge.yaml"), &BTreeMap::new()).expect("a policy");
    Table::compile(&config).expect("no ties")
});

pub(crate) fn check(input: &[u8]) {
    let Ok(target) = Target::parse(input) else { return };
    assert_eq!(target.raw().as_bytes(), input, "it was repaired");
    assert!(target.raw().is_ascii());
    let segments: Vec<&str> = target.segments().collect();
    let inside = target.path().strip_prefix('/').expect("origin form");
    let raw: Vec<&str> = if inside.is_empty() {
        Vec::new()
    } else {
        inside.split('/').collect()
    };
    assert_eq!(segments.len(), raw.len());
    for (index, (segment, raw)) in segments.iter().zip(&raw).enumerate() {
        let once = percent_decode_str(raw).decode_utf8().expect("text");
        assert_eq!(once, *segment);
        let twice = percent_decode_str(segment).decode_utf8().expect("text");
        assert_eq!(twice, *segment, "decoded twice, it is another one");
        assert!(
            !segment.is_empty() || index + 1 == segments.len(),
            "an empty segment in the middle"
        );
        assert!(*segment != "." && *segment != "..");
        assert!(!segment.contains(['/', '\\', ';', '\0', '\r', '\n']));
    }
    // Browsers and many services read by the WHATWG's rules, which repair: here is nothing to repair.
    let url = Url::parse(&format!("http://h{}", target.raw())).expect("a URL");
    assert_eq!(url.path(), target.path());

    let Ok((request, fields)) = crate::canonical("GET", b"h", input) else {
        return;
    };
    let route = TABLE.find(&request, &fields);
    if route.is_some_and(|route| *route.access() == Access::Public) {
        let first = segments.first().copied().unwrap_or_default();
        let careless = first.trim().trim_matches('.').to_uppercase().to_lowercase();
        assert_ne!(careless, "admin", "`{}` is open", target.raw());
    }
}
