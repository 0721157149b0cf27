//! Relations of services' own models, and replicas that are a part of what the control plane knows.

use std::collections::BTreeSet;
use std::time::Duration;

use sentinel_core::Fact;
use sentinel_feed::{Answer, Answers, Extent, Interest, ReplicaState, Verdict};

use super::tests::{caller, request, route, user};
use super::*;
use crate::relations::{Relations, Wanted};
use crate::testing::{
    ACME, DOCUMENT, EDDA, FOLDERS, NEMO, NOW, OLGA, OTHER, VERA, at, folders, id, model, relation, revision,
    state,
};

const READ: &str = "require: { permission: 'docs/folder:{doc_id}#can_read' }";

fn weighed(
    rule: &str,
    folder: &str,
    who: (u128, u128),
    state: &ReplicaState,
    answered: Option<&Answered>,
) -> Result<Permit, Otherwise> {
    let principal = caller(Some(user(who.0, who.1)), None);
    let known = Knowledge::replica(state, at(NOW));
    let known = answered.map_or(known, |answered| known.with_answers(answered));
    weigh(&route(rule), &request(folder).target, &principal, known)
}

fn word(rule: &str, folder: &str, who: (u128, u128), state: &ReplicaState) -> &'static str {
    match weighed(rule, folder, who, state, None) {
        Ok(_) => "permitted",
        Err(Otherwise::Denied(denial)) => denial.code(),
        Err(Otherwise::Open(_)) => "open",
    }
}

fn only<T: Ord>(one: T) -> Extent<T> {
    Extent::Of(BTreeSet::from([one]))
}

fn without_docs() -> ReplicaState {
    let wiki = only("wiki".parse().expect("a name"));
    state(folders()).of_interest(Interest::new(wiki, Extent::All))
}

fn without_acme() -> ReplicaState {
    state(folders()).of_interest(Interest::new(Extent::All, only(id(OTHER))))
}

#[test]
fn a_relation_holds_in_the_workspace_of_the_token_and_nowhere_else() {
    let state = state(folders());
    for (folder, who, expected) in [
        ("7", (VERA, ACME), "permitted"),
        ("1", (VERA, ACME), "permitted"),
        ("7", (OLGA, ACME), "permitted"),
        ("1", (OLGA, ACME), "permission_denied"),
        ("7", (EDDA, ACME), "permission_denied"),
        ("7", (NEMO, ACME), "role_denied"),
        ("9", (VERA, ACME), "permission_denied"),
        ("9", (OLGA, ACME), "permission_denied"),
        ("9", (OLGA, OTHER), "permitted"),
        ("7", (OLGA, OTHER), "permission_denied"),
        ("8", (OLGA, ACME), "permission_denied"),
        ("a:b", (OLGA, ACME), "permission_denied"),
        ("*", (OLGA, ACME), "permission_denied"),
        ("7@user", (OLGA, ACME), "permission_denied"),
    ] {
        assert_eq!(word(READ, folder, who, &state), expected, "{folder} {who:?}");
    }
    let literal = "require: { permission: 'docs/folder:7#viewer' }";
    assert_eq!(word(literal, "x", (OLGA, ACME), &state), "permitted");
    assert_eq!(word(literal, "x", (VERA, ACME), &state), "permission_denied");
}

#[test]
fn a_service_without_workspaces_decides_by_its_relation_alone() {
    let mut facts = folders();
    let is_workspace =
        |fact: &Fact| fact.to_string().contains("#workspace@") && fact.to_string().contains("docs/folder");
    facts.retain(|fact| !matches!(fact, Fact::Model(_)) && !is_workspace(fact));
    facts.push(model(&FOLDERS.replace("    define workspace: [workspace]\n", "")));
    let state = state(facts);
    assert_eq!(word(READ, "7", (OLGA, OTHER), &state), "permitted");
    assert_eq!(
        word(READ, "7", (NEMO, ACME), &state),
        "role_denied",
        "he must be a member somewhere"
    );
}

#[test]
fn a_tuple_that_ends_decides_until_its_end() {
    let mut facts = folders();
    facts.push(Fact::ExpiringTuple {
        tuple: relation("docs/folder:1#viewer@user:<12>"),
        until: at(NOW + 60),
    });
    let state = state(facts);
    let principal = caller(
        Some(User {
            credential: match user(EDDA, ACME).credential {
                sentinel_core::Credential::AccessToken { token, session, .. } => {
                    sentinel_core::Credential::AccessToken {
                        token,
                        session,
                        expires_at: at(NOW + 900),
                    }
                }
                other => other,
            },
            ..user(EDDA, ACME)
        }),
        None,
    );
    let word = |seconds| {
        let known = Knowledge::replica(&state, at(NOW + seconds));
        weigh(&route(READ), &request("7").target, &principal, known).map(drop)
    };
    assert_eq!(word(59), Ok(()));
    assert_eq!(word(60), Err(Denial::PermissionDenied.into()));
    // What an open exchange began with stays good; what it may reach does not.
    let known = Knowledge::replica(&state, at(NOW + 1000)).with_credentials_at(at(NOW));
    let late = weigh(&route(READ), &request("1").target, &principal, known).map(drop);
    assert_eq!(late, Err(Denial::PermissionDenied.into()));
}

#[test]
fn a_model_that_lacks_the_relation_decides_nothing() {
    let lacking = |text: &str| {
        let mut facts = folders();
        facts.retain(|fact| !fact.to_string().contains("docs/folder") && !matches!(fact, Fact::Model(_)));
        if !text.is_empty() {
            facts.push(model(text));
        }
        state(facts)
    };
    let renamed = FOLDERS.replace("can_read", "can_see");
    let nobody = FOLDERS.replace(
        "define can_read: viewer or can_read from parent",
        "define can_read: child",
    );
    for text in ["", "model\n  schema 1.1\ntype user", &renamed, &nobody] {
        let state = lacking(text);
        assert_eq!(word(READ, "7", (OLGA, ACME), &state), "model_mismatch", "{text}");
        // Found out before or not, it is the same.
        let wanted: Vec<Wanted> = crate::relations::in_access(route(READ).access())
            .into_iter()
            .map(|relation| Wanted {
                route: String::new(),
                relation: relation.clone(),
            })
            .collect();
        let relations = Relations::of(&wanted, state.graph().model());
        let known = Knowledge::replica(&state, at(NOW)).with_relations(&relations);
        let principal = caller(Some(user(OLGA, ACME)), None);
        let found = weigh(&route(READ), &request("7").target, &principal, known).map(drop);
        assert_eq!(found, Err(Denial::ModelMismatch.into()));
    }
    let either = "require: { any_of: [{ permission: 'docs/folder:{doc_id}#can_read' }, { role: editor }] }";
    assert_eq!(word(either, "7", (EDDA, ACME), &lacking("")), "permitted");
    assert_eq!(word(either, "7", (VERA, ACME), &lacking("")), "model_mismatch");
}

#[test]
fn relations_of_another_model_are_not_used() {
    let (old, new) = (state(folders()), state(folders()));
    let none = Relations::of([], old.graph().model());
    let known = Knowledge::replica(&new, at(NOW)).with_relations(&none);
    let principal = caller(Some(user(VERA, ACME)), None);
    let found = weigh(&route(READ), &request("7").target, &principal, known).map(drop);
    assert_eq!(found, Ok(()));
}

#[test]
fn what_is_not_kept_is_neither_a_yes_nor_a_no() {
    let permission = "require: { permission: 'docs/document/{doc_id}#view' }";
    let action = "require: { action: 'docs/reports:export' }";
    let role = "require: { role: viewer }";
    let signed_in = "require: { signed_in: true }";
    for (rule, docs_are_missing, acme_is_missing) in [
        (READ, "open", "open"),
        (permission, "open", "open"),
        (action, "open", "open"),
        (role, "permitted", "open"),
        (signed_in, "permitted", "open"),
        ("public: true", "permitted", "open"),
        (
            "require: { permission: 'wiki/page/{doc_id}#view' }",
            "permission_denied",
            "open",
        ),
    ] {
        assert_eq!(
            word(rule, DOCUMENT, (VERA, ACME), &without_docs()),
            docs_are_missing,
            "{rule}"
        );
        assert_eq!(
            word(rule, DOCUMENT, (VERA, ACME), &without_acme()),
            acme_is_missing,
            "{rule}"
        );
    }
    // A workspace that is kept is judged here, but a relation of a service may lead through another one.
    assert_eq!(word(role, "9", (OLGA, OTHER), &without_acme()), "permitted");
    assert_eq!(word(READ, "9", (OLGA, OTHER), &without_acme()), "open");
}

#[test]
fn a_no_that_is_known_is_not_asked_about() {
    let state = without_docs();
    for (rule, who, expected) in [
        (READ, (NEMO, ACME), "role_denied"),
        (
            "require: { role: owner, permission: 'docs/folder:{doc_id}#can_read' }",
            (VERA, ACME),
            "role_denied",
        ),
        (
            "require: { any_of: [{ permission: 'docs/folder:{doc_id}#can_read' }, { role: viewer }] }",
            (VERA, ACME),
            "permitted",
        ),
        (
            "require: { any_of: [{ permission: 'docs/folder:{doc_id}#can_read' }, { role: owner }] }",
            (VERA, ACME),
            "open",
        ),
        (
            "credentials: user_and_service, require: { permission: 'docs/folder:{doc_id}#can_read' }",
            (VERA, ACME),
            "credential_missing",
        ),
    ] {
        assert_eq!(word(rule, "7", who, &state), expected, "{rule}");
    }
    assert_eq!(
        word(READ, "*", (VERA, ACME), &state),
        "permission_denied",
        "no object has that id"
    );
}

/// The answers of somebody who knows everything, with `change` made to them.
fn answered(questions: Vec<Question>, change: impl FnOnce(&mut Vec<Answer>)) -> Answered {
    let whole = state(folders());
    let mut answers = questions
        .iter()
        .map(|question| question.answered_by(&whole, at(NOW)))
        .collect();
    change(&mut answers);
    Answered {
        questions,
        answers: Answers {
            answers,
            revision: revision(10),
            age: Duration::ZERO,
        },
    }
}

#[test]
fn with_the_answers_it_is_decided_as_if_everything_were_kept() {
    let rules = [
        READ,
        "require: { permission: 'docs/document/{doc_id}#view' }",
        "require: { action: 'docs/reports:export' }",
        "require: { role: editor }",
        "require: { signed_in: true }",
        "public: true",
        "require: { role: editor, permission: 'docs/folder:{doc_id}#can_read' }",
        "require: { any_of: [{ role: owner }, { action: 'docs/reports:export' }, { permission: 'docs/folder:{doc_id}#can_read' }] }",
    ];
    let whole = state(folders());
    for rule in rules {
        for part in [without_docs(), without_acme()] {
            for who in [OLGA, EDDA, VERA, NEMO]
                .map(|who| (who, ACME))
                .into_iter()
                .chain([(OLGA, OTHER)])
            {
                for object in ["7", "9", DOCUMENT] {
                    let expected = weighed(rule, object, who, &whole, None);
                    let mut found = weighed(rule, object, who, &part, None);
                    if let Err(Otherwise::Open(questions)) = found {
                        let told = answered(questions, |_| ());
                        found = weighed(rule, object, who, &part, Some(&told));
                    }
                    match (&expected, &found) {
                        (Ok(expected), Ok(found)) => {
                            assert_eq!(
                                expected.member().map(|(_, role)| role),
                                found.member().map(|(_, role)| role)
                            );
                        }
                        (Err(Otherwise::Denied(_)), Err(Otherwise::Denied(denial))) => {
                            assert_eq!(denial.status(), 403, "{rule} {object} {who:?}");
                        }
                        other => panic!("{rule} {object} {who:?}: {other:?}"),
                    }
                }
            }
        }
    }
}

#[test]
fn an_answer_that_says_too_little_opens_nothing() {
    let open = |state: &ReplicaState| match weighed(READ, "7", (VERA, ACME), state, None) {
        Err(Otherwise::Open(questions)) => questions,
        other => panic!("{other:?}"),
    };
    let outcome = |told: &Answered| {
        let found = weighed(READ, "7", (VERA, ACME), &without_acme(), Some(told));
        found.map(drop).map_err(Otherwise::denial)
    };
    let questions = open(&without_acme());
    assert_eq!(outcome(&answered(questions.clone(), |_| ())), Ok(()));
    let stranger = answered(questions.clone(), |answers| answers[0].role = None);
    assert_eq!(outcome(&stranger), Err(Denial::RoleDenied));
    let undecided = answered(questions.clone(), |answers| {
        answers[0].verdict = Verdict::Undecidable;
    });
    assert_eq!(outcome(&undecided), Err(Denial::Undecidable));
    let nothing = answered(questions.clone(), Vec::clear);
    assert_eq!(outcome(&nothing), Err(Denial::ReplicaIncomplete));
    let other = Question::Relation {
        workspace: id(ACME),
        user: id(VERA),
        service: "docs".parse().expect("a name"),
        object_type: "folder".to_owned(),
        object_id: "1".to_owned(),
        relation: "can_read".to_owned(),
    };
    assert_eq!(
        outcome(&answered(vec![other], |_| ())),
        Err(Denial::ReplicaIncomplete)
    );
}

#[test]
fn nothing_is_asked_twice() {
    let count = |rule: &str| match weighed(rule, "7", (VERA, ACME), &without_docs(), None) {
        Err(Otherwise::Open(questions)) => questions.len(),
        other => panic!("{other:?}"),
    };
    let read = "{ permission: 'docs/folder:{doc_id}#can_read' }";
    let export = "{ action: 'docs/reports:export' }";
    let many = [read, export].repeat(20).join(", ");
    for (rule, expected) in [
        (format!("require: {{ any_of: [{many}] }}"), 2),
        (
            format!("require: {{ permission: 'docs/folder:{{doc_id}}#can_read', any_of: [{many}] }}"),
            2,
        ),
        (
            format!("require: {{ any_of: [{{ any_of: [{many}] }}, {many}] }}"),
            2,
        ),
    ] {
        assert_eq!(count(&rule), expected);
    }
}

/// Folders that say their workspace, and files that have it from the folder that they lie in.
const FILES: &str = "
type file
  relations
    define parent: [folder]
    define workspace: workspace from parent
    define viewer: [user]
type draft
  relations
    define owner: [user]
    define workspace: [workspace] and owner
    define viewer: [user]
type note
  relations
    define workspace: [user]
    define viewer: [user]
";

#[test]
fn a_workspace_that_comes_from_another_object_counts_as_well() {
    let mut facts = folders();
    facts.retain(|fact| !matches!(fact, Fact::Model(_)));
    facts.push(model(&format!("{FOLDERS}{FILES}")));
    facts.extend(
        [
            "docs/file:here#parent@docs/folder:7",
            "docs/file:here#viewer@user:<11>",
            "docs/file:there#parent@docs/folder:9",
            "docs/file:there#viewer@user:<11>",
            "docs/file:nowhere#viewer@user:<11>",
            "docs/draft:7#workspace@workspace:<1>",
            "docs/draft:7#viewer@user:<11>",
            "docs/note:7#viewer@user:<11>",
        ]
        .map(crate::testing::tuple),
    );
    let state = state(facts);
    for (object, workspace, expected) in [
        ("file:here", ACME, "permitted"),
        ("file:there", ACME, "permission_denied"),
        ("file:nowhere", ACME, "permission_denied"),
        ("file:there", OTHER, "permitted"),
        ("file:here", OTHER, "permission_denied"),
        ("draft:7", ACME, "permission_denied"),
        ("note:7", ACME, "permitted"),
    ] {
        let rule = format!("require: {{ permission: 'docs/{object}#viewer' }}");
        let found = word(&rule, "x", (OLGA, workspace), &state);
        assert_eq!(found, expected, "{object} {workspace}");
    }
}
