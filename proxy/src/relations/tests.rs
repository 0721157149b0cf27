use sentinel_config::edge::Config;
use sentinel_config::{Environment, parse_edge};

use super::*;
use crate::routes::InvalidRoutes;
use crate::testing::{FOLDERS, folders, model, revision, state};

/// A policy beside which the model of `docs` is a file.
fn compiled(file: &str, permission: &str) -> Result<(Config, Table), String> {
    let home = tempfile::tempdir().expect("a directory");
    std::fs::write(home.path().join("docs.fga"), file).expect("written");
    let text = format!(
        "control_plane: {{ url: http://127.0.0.1:9003, edge_key: some-key }}
models: {{ docs: ./docs.fga }}
upstreams: {{ docs: {{ url: http://127.0.0.1:9000, service: docs }} }}
routes:
  - {{ match: \"GET a.example/folders/{{id}}\", to: docs, require: {{ permission: \"{permission}\" }} }}
  - {{ match: \"GET a.example/wiki/{{id}}\", to: docs, require: {{ permission: \"wiki/page:{{id}}#viewer\" }} }}
"
    );
    let config = parse_edge(&text, &home.path().join("edge.yaml"), &Environment::new());
    let config = config.unwrap_or_else(|errors| panic!("{errors}"));
    match Table::compile(&config) {
        Ok(table) => Ok((config, table)),
        Err(InvalidRoutes::Models(invalid)) => {
            let home = format!("{}/", home.path().display());
            Err(invalid.to_string().replace(&home, ""))
        }
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn routes_are_checked_against_the_files_that_there_are() {
    let (_, table) = compiled(FOLDERS, "folder:{id}#can_read").expect("they go together");
    assert!(table.declared_model().has_type("docs/folder"));
    assert_eq!(
        Wanted::all(&table).len(),
        2,
        "what has no file is checked when its model comes"
    );
    let json = sentinel_authz::Model::dsl_to_json(FOLDERS).expect("a model");
    assert!(compiled(&json, "folder:{id}#can_read").is_ok());
    for (file, permission, told) in [
        (
            FOLDERS,
            "file:{id}#can_read",
            "edge.yaml:5:85: routes[0].require.permission: the model of `docs` has no type `file`: name one that it has, or define it there",
        ),
        (
            FOLDERS,
            "folder:{id}#can_write",
            "routes[0].require.permission: the type `folder` of `docs` has no relation `can_write`: name one that it has, or define it there",
        ),
        (
            FOLDERS,
            "folder:{id}#child",
            "routes[0].require.permission: no user can ever have `child` to a `folder` of `docs`: name a relation that leads to users",
        ),
        (
            "model\n  schema 1.1\ntype a\n  relations\n    define b: [c]",
            "folder:{id}#can_read",
            "edge.yaml:2:17: models.docs: `docs.fga`: line 5, column 16: ",
        ),
        (
            "{\"schema_version\": 1}",
            "folder:{id}#can_read",
            "edge.yaml:2:17: models.docs: `docs.fga`: ",
        ),
    ] {
        let found = compiled(file, permission).expect_err(permission);
        let (_, wanted) = told.split_once(": ").unwrap_or(("", told));
        assert!(found.contains(wanted), "{found}");
        assert_eq!(found.lines().count(), 2, "{found}");
    }
}

#[test]
fn what_does_not_fit_is_found_when_the_model_comes_and_heals_when_it_fits_again() {
    let (_, table) = compiled(FOLDERS, "folder:{id}#can_read").expect("they go together");
    let present = Present::new(Wanted::all(&table));
    let with = |text: &str| {
        let mut facts = folders();
        facts.retain(|fact| {
            !fact.to_string().contains("docs/folder") && !matches!(fact, sentinel_core::Fact::Model(_))
        });
        facts.push(model(text));
        state(facts)
    };
    let renamed = FOLDERS.replace("can_read", "can_see");
    let routes = |text: &str| -> Vec<String> {
        let mismatches = present.mismatches(&with(text));
        mismatches.into_iter().map(|found| found.relation).collect()
    };
    let missing_wiki = "wiki/page:{id}#viewer";
    assert_eq!(routes(FOLDERS), [missing_wiki]);
    assert_eq!(routes(&renamed), ["docs/folder:{id}#can_read", missing_wiki]);
    assert_eq!(routes(FOLDERS), [missing_wiki]);
    let without = state(folders()).of_interest(sentinel_feed::Interest::new(
        sentinel_feed::Extent::Of(std::collections::BTreeSet::from(["docs"
            .parse()
            .expect("a name")])),
        sentinel_feed::Extent::All,
    ));
    assert_eq!(present.mismatches(&without), [], "what is not kept is not known");
    assert_eq!(without.revision(), revision(10));
}

#[test]
fn what_is_announced_has_the_names_of_the_services_own_text() {
    let (_, table) = compiled(FOLDERS, "folder:{id}#can_read").expect("they go together");
    let announced = Wanted::all(&table)[0].announced();
    assert_eq!(announced.route, "GET a.example/folders/{id}");
    assert_eq!(announced.service.as_str(), "docs");
    assert_eq!(
        (announced.object_type.as_str(), announced.relation.as_str()),
        ("folder", "can_read")
    );
}
