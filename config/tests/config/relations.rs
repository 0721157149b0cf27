//! Relations of services' own models in routes and tests, the files of models, and what an edge keeps.

use std::time::Duration;

use sentinel_config::edge::{Access, Fallback, IdTemplate, MOST_ASKED, Requirement, Scope};

use crate::support::Home;

const MODEL: &str = "model\n  schema 1.1\n";

fn policy(sections: &str, requirement: &str) -> String {
    format!(
        "control_plane: {{ url: http://127.0.0.1:9003, edge_key: k }}
upstreams: {{ docs: {{ url: http://127.0.0.1:9000, service: docs }}, old: {{ url: http://127.0.0.1:9001 }} }}
{sections}
routes:
  - {{ match: \"GET h/folders/{{folder_id}}\", to: docs, require: {requirement} }}
  - {{ match: \"GET h/old/{{folder_id}}\", to: old, require: {{ signed_in: true }} }}
"
    )
}

fn home() -> Home {
    let home = Home::new();
    home.file("docs.fga", MODEL, 0o644);
    home
}

/// The only problem of a configuration.
fn problem(text: &str) -> String {
    let home = home();
    let told = home.told(home.edge(text));
    assert_eq!(told.lines().count(), 1, "{told}");
    told
}

#[test]
fn a_relation_without_a_service_is_the_upstreams_and_with_one_anybodys() {
    for (text, kind, literal) in [
        ("folder:{folder_id}#can_read", "docs/folder", None),
        ("wiki.v2/page:{folder_id}#can_read", "wiki.v2/page", None),
        ("folder:root#can_read", "docs/folder", Some("root")),
    ] {
        let config = home().edge(&policy("", &format!("{{ permission: \"{text}\" }}")));
        let config = config.unwrap_or_else(|errors| panic!("{errors}"));
        let route = config.routes.iter().next().expect("a route");
        let Access::Protected {
            require: Requirement::Relation(relation),
            ..
        } = &route.access
        else {
            panic!("{:?}", route.access)
        };
        assert_eq!(
            (relation.object_type.as_str(), relation.relation.as_str()),
            (kind, "can_read")
        );
        assert_eq!(kind.split_once('/').expect("both").0, relation.service.as_str());
        match literal {
            None => assert_eq!(relation.id, IdTemplate::Param("folder_id".to_owned())),
            Some(id) => assert_eq!(relation.id, IdTemplate::Literal(id.to_owned())),
        }
    }
}

#[test]
fn what_is_no_relation_is_told_where_it_stands() {
    for (text, message) in [
        (
            "folder:{id}#can_read",
            "the path `/folders/{folder_id}` has no parameter `{id}`: name one that it has",
        ),
        (
            "folder:{folder_id}x#can_read",
            "`{folder_id}x` cannot be the id of an object: a parameter of the path such as `{doc_id}` or a whole id is expected",
        ),
        (
            "Docs/folder:{folder_id}#can_read",
            "`Docs` is not a service name: 1 to 255 characters from `a-z 0-9 _ . -`, the first a letter",
        ),
        (
            "folder:{folder_id}#can read",
            "`can read` is not a type or relation name: 1 to 64 characters from `a-z A-Z 0-9 _ -`, the first a letter",
        ),
    ] {
        let told = problem(&policy("", &format!("{{ permission: \"{text}\" }}")));
        let key = "routes[0].require.permission: ";
        assert!(
            told.starts_with("edge.yaml:5:") && told.ends_with(&format!("{key}{message}")),
            "{told}"
        );
    }
    let unknown =
        policy("", "{ permission: \"folder:{folder_id}#can_read\" }").replace("to: docs", "to: old");
    let told = problem(&unknown);
    assert!(
        told.ends_with("routes[0].require.permission: whose type `folder` is cannot be told: add `service` to the upstream `old`, or write the service before it, as in `docs/folder:…`"),
        "{told}"
    );
    let service = policy(
        "",
        "{ permission: \"folder:{folder_id}#can_read\" }, credentials: service",
    );
    assert!(problem(&service).contains("this asks for a user, and `credentials: service` takes none"));
}

#[test]
fn everything_is_kept_unless_something_is_named() {
    let config = home().edge(&policy("", "{ signed_in: true }")).expect("accepted");
    let replicate = &config.replicate;
    assert_eq!(
        (&replicate.services, &replicate.workspaces),
        (&Scope::All, &Scope::All)
    );
    assert_eq!(
        (replicate.fallback, replicate.budget),
        (Fallback::None, Duration::from_millis(50))
    );
    let id = "0190a0a0-0000-7000-8000-000000000001";
    let named = format!(
        "replicate: {{ services: [docs, wiki], workspaces: [{id}], fallback: control_plane, budget: 20ms }}"
    );
    let config = home()
        .edge(&policy(&named, "{ signed_in: true }"))
        .expect("accepted");
    let name = |text: &str| text.parse().expect("a name");
    assert!(config.replicate.services.has(&name("wiki")) && !config.replicate.services.has(&name("mail")));
    assert!(config.replicate.workspaces.has(&id.parse().expect("an id")));
    assert_eq!(config.replicate.fallback, Fallback::ControlPlane);

    for (section, message) in [
        (
            "services: some",
            "services: `all` or a list is expected, not a text",
        ),
        (
            "services: []",
            "services: the list is empty: name at least one, or write `all`",
        ),
        (
            "services: [docs, docs]",
            "services[1]: this stands there twice: keep one",
        ),
        ("workspaces: [acme]", "workspaces[0]: "),
        (
            "fallback: allow",
            "fallback: `allow` is not accepted: one of `none`, `control_plane` is expected",
        ),
        ("budget: 10s", "budget: "),
    ] {
        let told = problem(&policy(
            &format!("replicate: {{ {section} }}"),
            "{ signed_in: true }",
        ));
        assert!(told.contains(message), "{told}");
    }
}

#[test]
fn a_route_that_nothing_kept_here_could_answer_is_refused_unless_the_control_plane_is_asked() {
    for requirement in [
        "{ permission: \"folder:{folder_id}#can_read\" }",
        "{ permission: \"docs/document/{folder_id}#view\" }",
        "{ action: \"docs/reports:export\" }",
    ] {
        let sections = |more: &str| format!("replicate: {{ services: [wiki]{more} }}");
        let told = problem(&policy(&sections(""), requirement));
        assert!(
            told.contains("nothing is known here of `docs`, so nobody could ever pass: add it to `replicate.services`, or set `replicate.fallback: control_plane`"),
            "{told}"
        );
        let asking = policy(&sections(", fallback: control_plane"), requirement);
        assert!(home().edge(&asking).is_ok());
    }
}

#[test]
fn models_are_files_by_service() {
    let config = home().edge(&policy("models: { docs: ./docs.fga }", "{ signed_in: true }"));
    let config = config.expect("accepted");
    let file = config
        .models
        .get(&"docs".parse().expect("a name"))
        .expect("a model");
    assert_eq!(file.text, MODEL);
    for (section, message) in [
        (
            "{ docs: ./wiki.fga }",
            "edge.yaml:3:17: models.docs: `wiki.fga` cannot be read: ",
        ),
        ("{ docs: . }", "is not a file"),
        (
            "{ Docs: ./docs.fga }",
            "edge.yaml:3:11: models.Docs: `Docs` is not a service name: ",
        ),
        ("[docs]", "a section with settings is expected"),
    ] {
        let told = problem(&policy(&format!("models: {section}"), "{ signed_in: true }"));
        assert!(told.contains(message), "{told}");
    }
}

#[test]
fn a_test_speaks_of_relations_whose_model_is_there() {
    let test = |relation: &str| {
        format!(
            "tests:
  - {{ request: GET https://h/folders/7, as: {{ user: {{ relations: ['{relation}'] }} }}, expect: allow }}"
        )
    };
    let with_model = |relation: &str| format!("models: {{ docs: ./docs.fga }}\n{}", test(relation));
    let accepted = home().edge(&policy(
        &with_model("docs/folder:7#viewer"),
        "{ signed_in: true }",
    ));
    assert!(accepted.is_ok());
    let told = problem(&policy(&test("docs/folder:7#viewer"), "{ signed_in: true }"));
    assert!(
        told.contains("tests[0].as.user.relations[0]: a relation holds by the model of its service: name the file with the model of `docs` under `models`"),
        "{told}"
    );
    let told = problem(&policy(&with_model("folder:7#viewer"), "{ signed_in: true }"));
    assert!(
        told.contains("`folder` is not a type of a service: write the service before it"),
        "{told}"
    );
}

#[test]
fn a_relation_beside_a_list_of_workspaces_needs_somebody_who_knows_them_all() {
    let section =
        |more: &str| format!("replicate: {{ workspaces: [0190a0a0-0000-7000-8000-000000000001]{more} }}");
    let relation = "{ permission: \"folder:{folder_id}#can_read\" }";
    let told = problem(&policy(&section(""), relation));
    assert!(
        told.ends_with("routes[0].require.permission: a group of any workspace may stand in the tuples of `docs`, so nobody could ever pass where only some workspaces are known: set `replicate.workspaces: all` or `replicate.fallback: control_plane`"),
        "{told}"
    );
    let told = problem(&policy(&section(", services: [wiki]"), relation));
    assert!(told.contains("nothing is known here of `docs`"), "{told}");
    assert!(
        home()
            .edge(&policy(&section(", fallback: control_plane"), relation))
            .is_ok()
    );
    for other in [
        "{ permission: \"docs/document/{folder_id}#view\" }",
        "{ role: viewer }",
    ] {
        assert!(home().edge(&policy(&section(""), other)).is_ok(), "{other}");
    }
}

#[test]
fn a_route_does_not_ask_more_than_can_be_asked_at_once() {
    let any_of = |demands: &[String]| format!("{{ any_of: [{}] }}", demands.join(", "));
    let actions = |count: usize| -> Vec<String> {
        (0..count)
            .map(|n| format!("{{ action: \"docs/reports:n{n}\" }}"))
            .collect()
    };
    let asking = "replicate: { services: [wiki], fallback: control_plane }";
    let most = MOST_ASKED;
    let told = problem(&policy(asking, &any_of(&actions(most + 1))));
    assert!(
        told.ends_with("routes[0].require: the control plane may have to be asked 17 questions for one request, and 16 go together: name one action, or one relation of the service's model, that stands for several of them, or keep here what they are about (`replicate`)"),
        "{told}"
    );
    let twice = [actions(most), actions(most)].concat();
    let and_role = [actions(most), vec!["{ role: owner }".to_owned()]].concat();
    let and_kept = [actions(most), vec!["{ action: \"wiki/pages:read\" }".to_owned()]].concat();
    for fits in [&actions(most), &twice, &and_role, &and_kept] {
        let accepted = home().edge(&policy(asking, &any_of(fits)));
        assert!(accepted.is_ok(), "{fits:?}");
    }
    for everything in ["", "replicate: { fallback: control_plane }"] {
        let accepted = home().edge(&policy(everything, &any_of(&actions(most + 1))));
        assert!(accepted.is_ok(), "everything is kept");
    }
    let workspaces =
        "replicate: { workspaces: [0190a0a0-0000-7000-8000-000000000001], fallback: control_plane }";
    assert!(problem(&policy(workspaces, &any_of(&and_role))).contains("asked 17 questions"));
}
