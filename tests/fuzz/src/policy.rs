//! The edge's configuration with its policy: what loads is complete, has no ties, and opens nothing that is not written.
//!
//! An input that begins with `-` is a list of routes; any other is a whole file.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

use sentinel_config::edge::{Access, Requirement, Route, RoutePattern};
use sentinel_config::parse_edge;
use sentinel_proxy::routes::Table;

const BEFORE: &str = "
control_plane: { url: http://127.0.0.1:9003, edge_key: some-key }
hosts: any
upstreams: { docs: { url: http://127.0.0.1:9000 } }
routes:
";

pub(crate) fn check(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    // A file of secrets that the text names would be read.
    if text.contains("_file") || text.contains("certificate") {
        return;
    }
    let text: Cow<'_, str> = if text.starts_with('-') {
        format!("{BEFORE}{text}").into()
    } else {
        text.into()
    };
    let path = Path::new("/nonexistent/edge.yaml");
    let config = match parse_edge(&text, path, &BTreeMap::new()) {
        Ok(config) => config,
        Err(errors) => {
            assert!(!errors.problems().is_empty());
            assert!(
                errors
                    .problems()
                    .iter()
                    .all(|problem| !problem.message.is_empty())
            );
            return;
        }
    };
    let routes: Vec<&Route> = config.routes.iter().collect();
    let open = routes
        .iter()
        .filter(|route| route.access == Access::Public)
        .count();
    assert!(
        text.matches("public").count() >= open,
        "a route is open, and it is not written"
    );
    for route in &routes {
        if let Access::Protected { require, .. } = &route.access {
            assert!(is_complete(require), "`{}` asks for nothing", route.pattern);
        }
        let shown = route.pattern.to_string();
        assert_eq!(shown.parse::<RoutePattern>().as_ref(), Ok(&route.pattern));
    }
    let Ok(table) = Table::compile(&config) else {
        // Rules of routes may be refused here, but not for being ambiguous.
        if let Err(error) = Table::compile(&config) {
            assert!(!error.to_string().contains("same requests"), "{error}");
        }
        return;
    };
    let reversed = Table::of(&config, routes.iter().rev().copied()).expect("the order means nothing");
    for route in &routes {
        let example = route.pattern.example();
        let (method, rest) = example.split_once(' ').expect("a method");
        let (host, target) = rest.split_at(rest.find('/').expect("a path"));
        // A literal may hold characters that no request may have.
        let Ok((request, fields)) = crate::canonical(method, host.as_bytes(), target.as_bytes()) else {
            continue;
        };
        let name = |table: &Table| table.find(&request, &fields).map(|route| route.name().to_owned());
        assert_eq!(
            name(&table),
            name(&reversed),
            "the order of the routes decides about `{example}`"
        );
        let alone = Table::of(&config, [*route]).expect("one route");
        let is_met = route.settings.when.count() == 0;
        assert_eq!(
            alone.find(&request, &fields).is_some(),
            is_met,
            "`{example}` and its own route"
        );
    }
}

fn is_complete(requirement: &Requirement) -> bool {
    match requirement {
        Requirement::All(all) | Requirement::Any(all) => !all.is_empty() && all.iter().all(is_complete),
        _ => true,
    }
}
