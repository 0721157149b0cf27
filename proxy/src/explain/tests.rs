use std::path::Path;

use sentinel_config::{Environment, parse_edge};

use super::*;
use crate::testing::{ACME, DOCUMENT, EDDA, NEMO, NOW, OLGA, OTHER, VERA, at, facts, id, membership, state};

const POLICY: &str = r#"
control_plane: { url: http://127.0.0.1:9003, edge_key: some-key }
upstreams: { docs: { url: http://127.0.0.1:9000 } }
state_dir: /var/lib/edge
routes:
  - { match: "GET a.example/healthz", to: docs, public: true }
  - { match: "GET a.example/{rest*}", to: docs, public: true }
  - { match: "GET a.example/documents/{id}", to: docs, require: { role: viewer, permission: "docs/document/{id}#view" } }
  - { match: "GET a.example/reports", to: docs, require: { any_of: [{ role: owner }, { action: "docs/reports:export" }] } }
  - { match: "POST a.example/jobs", to: docs, credentials: user_or_service, require: { any_of: [{ service: indexer }, { role: admin }] } }
  - { match: "GET a.example/hidden", to: docs, require: { role: owner }, strangers: not_found }
  - { match: "GET a.example/watched", to: docs, require: { role: owner }, mode: shadow }
  - { match: "GET a.example/folders/{id}", to: docs, require: { permission: "docs/folder:{id}#can_read" } }
"#;

fn asked(request: &str, who: &[Who], facts: Vec<Fact>, age: Option<u64>) -> Result<Report> {
    let path = Path::new("/etc/edge.yaml");
    let config = parse_edge(POLICY, path, &Environment::new()).unwrap_or_else(|errors| panic!("{errors}"));
    let stored = Stored {
        state: state(facts),
        age: age.map(Duration::from_secs),
    };
    let question = Question {
        request: request.parse().expect("a request"),
        fields: Vec::new(),
        who: who.to_vec(),
        workspace: who.contains(&Who::User(id(OLGA))).then(|| id(ACME)),
        token: TestToken::Access,
    };
    explain(&config, &stored, &question, at(NOW))
}

fn report(request: &str, who: &[Who]) -> Report {
    asked(request, who, facts(), Some(1)).expect("an explanation")
}

fn user_of(number: u128) -> Who {
    Who::User(id(number))
}

fn outcome(request: &str, who: &[Who]) -> (Option<u16>, Option<&'static str>) {
    let answer = report(request, who).answer;
    (answer.status, answer.code)
}

#[test]
fn an_allowed_request_names_the_tuples() {
    let text = report(
        &format!("GET https://a.example/documents/{DOCUMENT}"),
        &[user_of(VERA)],
    )
    .to_string();
    insta::assert_snapshot!(text, @"
    request      GET https://a.example/documents/0190a0a0-0000-7000-8000-000000000001
    caller       user:00000000-0000-0000-0000-00000000000d
    route        GET a.example/documents/{id} -> docs
                 goes before `GET a.example/{rest*}`, which is less specific
    credentials  user: (role viewer and permission docs/document/{id}#view)
    membership   ✓ viewer of 00000000-0000-0000-0000-000000000001
                   by workspace:00000000-0000-0000-0000-000000000001#viewer@user:00000000-0000-0000-0000-00000000000d
    requirement  ✓ all of
                   ✓ role viewer
                     by workspace:00000000-0000-0000-0000-000000000001#viewer@user:00000000-0000-0000-0000-00000000000d
                   ✓ permission docs/document/0190a0a0-0000-7000-8000-000000000001#view
                     by resource:docs/document/0190a0a0-0000-7000-8000-000000000001#workspace@workspace:00000000-0000-0000-0000-000000000001
                     by resource:docs/document/0190a0a0-0000-7000-8000-000000000001#share_view@user:00000000-0000-0000-0000-00000000000d
                     by workspace:00000000-0000-0000-0000-000000000001#viewer@user:00000000-0000-0000-0000-00000000000d
    replica      revision 1763000000.10, 1 s old, and 900 s is allowed; on disk in /var/lib/edge
    answer       ✓ allow
    ");
}

#[test]
fn a_refused_request_names_what_would_be_enough() {
    let text = report(
        &format!("GET https://a.example/documents/{DOCUMENT}"),
        &[user_of(EDDA)],
    )
    .to_string();
    insta::assert_snapshot!(text, @"
    request      GET https://a.example/documents/0190a0a0-0000-7000-8000-000000000001
    caller       user:00000000-0000-0000-0000-00000000000c
    route        GET a.example/documents/{id} -> docs
                 goes before `GET a.example/{rest*}`, which is less specific
    credentials  user: (role viewer and permission docs/document/{id}#view)
    membership   ✓ editor of 00000000-0000-0000-0000-000000000001
                   by workspace:00000000-0000-0000-0000-000000000001#editor@user:00000000-0000-0000-0000-00000000000c
    requirement  ✗ all of
                   ✓ role viewer
                     by workspace:00000000-0000-0000-0000-000000000001#editor@user:00000000-0000-0000-0000-00000000000c
                   ✗ permission docs/document/0190a0a0-0000-7000-8000-000000000001#view (permission_denied)
                     the user is in no group
                     missing; one of these would be enough:
                       resource:docs/document/0190a0a0-0000-7000-8000-000000000001#share_view@user:00000000-0000-0000-0000-00000000000c
                       resource:docs/document/0190a0a0-0000-7000-8000-000000000001#shared_in@workspace:00000000-0000-0000-0000-000000000001
                       resource:docs/document/0190a0a0-0000-7000-8000-000000000001#owner@user:00000000-0000-0000-0000-00000000000c
                       resource:docs/document/0190a0a0-0000-7000-8000-000000000001#share_edit@user:00000000-0000-0000-0000-00000000000c
                       workspace:00000000-0000-0000-0000-000000000001#admin@user:00000000-0000-0000-0000-00000000000c
                       workspace:00000000-0000-0000-0000-000000000001#owner@user:00000000-0000-0000-0000-00000000000c
    replica      revision 1763000000.10, 1 s old, and 900 s is allowed; on disk in /var/lib/edge
    answer       ✗ 403 permission_denied
    ");
}

#[test]
fn alternatives_are_shown_one_by_one() {
    let text = report("GET https://a.example/reports", &[user_of(EDDA)]).to_string();
    insta::assert_snapshot!(text, @"
    request      GET https://a.example/reports
    caller       user:00000000-0000-0000-0000-00000000000c
    route        GET a.example/reports -> docs
                 goes before `GET a.example/{rest*}`, which is less specific
    credentials  user: (role owner or action docs/reports:export)
    membership   ✓ editor of 00000000-0000-0000-0000-000000000001
                   by workspace:00000000-0000-0000-0000-000000000001#editor@user:00000000-0000-0000-0000-00000000000c
    requirement  ✓ at least one of
                   ✗ role owner (role_denied)
                     missing; one of these would be enough:
                       workspace:00000000-0000-0000-0000-000000000001#owner@user:00000000-0000-0000-0000-00000000000c
                   ✓ action docs/reports:export
                     by action:00000000-0000-0000-0000-000000000001/docs/reports|export#granted@role:00000000-0000-0000-0000-000000000015#holder
                     by role:00000000-0000-0000-0000-000000000015#assignee@user:00000000-0000-0000-0000-00000000000c
                     by role:00000000-0000-0000-0000-000000000015#workspace@workspace:00000000-0000-0000-0000-000000000001
                     by workspace:00000000-0000-0000-0000-000000000001#editor@user:00000000-0000-0000-0000-00000000000c
    replica      revision 1763000000.10, 1 s old, and 900 s is allowed; on disk in /var/lib/edge
    answer       ✓ allow
    ");
}

#[test]
fn every_answer_is_the_one_that_the_edge_gives() {
    let indexer = || Who::Service("indexer".parse().expect("a name"));
    let document = format!("GET https://a.example/documents/{DOCUMENT}");
    for (request, who, expected) in [
        ("GET https://a.example/healthz", vec![Who::Nobody], (None, None)),
        (
            "GET https://a.example/x/../y",
            vec![],
            (Some(400), Some("path_not_canonical")),
        ),
        ("PUT https://a.example/x", vec![], (Some(404), Some("no_route"))),
        (document.as_str(), vec![], (Some(401), Some("credential_missing"))),
        (
            document.as_str(),
            vec![user_of(NEMO)],
            (Some(403), Some("role_denied")),
        ),
        (
            document.as_str(),
            vec![indexer()],
            (Some(401), Some("credential_not_accepted")),
        ),
        ("POST https://a.example/jobs", vec![indexer()], (None, None)),
        (
            "POST https://a.example/jobs",
            vec![user_of(OLGA), indexer()],
            (None, None),
        ),
        (
            "POST https://a.example/jobs",
            vec![user_of(VERA)],
            (Some(403), Some("service_denied")),
        ),
        (
            "POST https://a.example/jobs",
            vec![Who::Service("stranger".parse().expect("a name"))],
            (Some(401), Some("service_key_invalid")),
        ),
        (
            "GET https://a.example/hidden",
            vec![user_of(VERA)],
            (Some(404), Some("role_denied")),
        ),
    ] {
        assert_eq!(outcome(request, &who), expected, "{request} {who:?}");
    }
    let watched = report("GET https://a.example/watched", &[user_of(VERA)]).answer;
    assert!(!watched.allowed && watched.forwarded);
}

#[test]
fn what_only_looks_like_a_route_is_told() {
    let text = report("GET https://a.example/Documents/7", &[]).to_string();
    assert!(
        text.contains("no route is for it") && text.contains("`GET a.example/{rest*}` would be"),
        "{text}"
    );
}

#[test]
fn an_old_replica_answers_503_and_the_decision_is_shown_besides() {
    let request = format!("GET https://a.example/documents/{DOCUMENT}");
    for (age, code) in [(Some(901), "replica_stale"), (None, "replica_not_ready")] {
        let report = asked(&request, &[user_of(VERA)], facts(), age).expect("an explanation");
        assert_eq!((report.answer.code, report.decision), (Some(code), "allow"));
        assert!(report.to_string().contains("with a replica that is fresh: allow"));
    }
    let public = asked("GET https://a.example/healthz", &[], facts(), None).expect("an explanation");
    assert!(public.answer.allowed, "nothing has to be known");
}

#[test]
fn a_deactivated_user_is_refused_whatever_his_relations_are() {
    let mut facts = facts();
    facts.push(Fact::DisabledUser(id(VERA)));
    let request = format!("GET https://a.example/documents/{DOCUMENT}");
    let report = asked(&request, &[user_of(VERA)], facts, Some(1)).expect("an explanation");
    assert_eq!(report.answer.code, Some("token_revoked"));
    assert!(report.to_string().contains("account is deactivated"));
}

#[test]
fn who_is_a_member_of_several_workspaces_must_choose_one() {
    let mut facts = facts();
    let Fact::Tuple(elsewhere) = membership(VERA, WorkspaceRole::Viewer) else {
        panic!("a membership is a tuple")
    };
    let text = elsewhere.to_string().replace(
        &Uuid::from_u128(ACME).to_string(),
        &Uuid::from_u128(OTHER).to_string(),
    );
    facts.push(Fact::Tuple(text.parse().expect("a tuple")));
    let error = asked("GET https://a.example/reports", &[user_of(VERA)], facts, Some(1)).expect_err("open");
    let text = error.to_string();
    for workspace in [ACME, OTHER] {
        assert!(text.contains(&Uuid::from_u128(workspace).to_string()), "{text}");
    }
    let two = [user_of(VERA), user_of(EDDA)];
    assert!(asked("GET https://a.example/reports", &two, self::facts(), Some(1)).is_err());
}

#[test]
fn a_relation_of_a_services_model_has_its_tuples_or_what_would_be_enough() {
    let asked_of = |folder: &str, who| {
        let request = format!("GET https://a.example/folders/{folder}");
        asked(&request, &[user_of(who)], crate::testing::folders(), Some(1)).expect("an explanation")
    };
    let allowed = asked_of("7", VERA);
    let demand = allowed.requirement.clone().expect("judged");
    assert_eq!(demand.demand, "relation docs/folder:7#can_read");
    assert_eq!(
        demand.by,
        [
            "docs/folder:7#workspace@workspace:00000000-0000-0000-0000-000000000001",
            "docs/folder:7#parent@docs/folder:1",
            "docs/folder:1#viewer@user:00000000-0000-0000-0000-00000000000d",
        ]
    );
    assert!(allowed.answer.allowed);
    let refused = asked_of("7", EDDA);
    assert_eq!(refused.answer.code, Some("permission_denied"));
    let enough = refused.requirement.expect("judged").enough;
    let person = "user:00000000-0000-0000-0000-00000000000c";
    for way in ["docs/folder:7#viewer", "docs/folder:1#viewer"] {
        assert!(enough.contains(&vec![format!("{way}@{person}")]), "{enough:?}");
    }
    let elsewhere = asked_of("9", VERA).requirement.expect("judged");
    assert_eq!(
        elsewhere.enough,
        [["docs/folder:9#workspace@workspace:00000000-0000-0000-0000-000000000001"]]
    );
    let lacking = asked(
        "GET https://a.example/folders/7",
        &[user_of(VERA)],
        facts(),
        Some(1),
    )
    .expect("judged");
    assert_eq!(lacking.answer.code, Some("model_mismatch"));
    assert!(
        lacking.to_string().contains("the service `docs` has no model"),
        "{lacking}"
    );
}
