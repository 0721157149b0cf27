use std::path::Path;

use http::{HeaderMap, HeaderValue, Version};
use sentinel_config::{Environment, parse_edge};
use sentinel_core::{Credential, Fact};
use sentinel_feed::ReplicaState;

use super::*;
use crate::request::{CanonicalRequest, HeadLimits, Parsed};
use crate::routes::Table;
use crate::testing::{
    ACME, DOCUMENT, EDDA, FOREIGN, NEMO, NOW, OLGA, OTHER, SESSION, TOKEN, VERA, at, facts, id, membership,
    state,
};

pub(super) fn route(rule: &str) -> Arc<Route> {
    let text = format!(
        "control_plane: {{ url: http://127.0.0.1:9003, edge_key: some-key }}
upstreams: {{ docs: {{ url: http://127.0.0.1:9000 }} }}
routes: [{{ match: \"GET a.example/documents/{{doc_id}}\", to: docs, {rule} }}]"
    );
    let config = parse_edge(&text, Path::new("edge.yaml"), &Environment::new()).expect("valid");
    let table = Table::compile(&config).expect("no ties");
    Arc::clone(
        table
            .find(&request(DOCUMENT), &http::HeaderMap::new())
            .expect("a route"),
    )
}

pub(super) fn request(document: &str) -> CanonicalRequest {
    let mut fields = HeaderMap::new();
    fields.insert("host", HeaderValue::from_static("a.example"));
    let target = format!("/documents/{document}");
    let parsed = Parsed {
        version: Version::HTTP_11,
        method: "GET",
        target: target.as_bytes(),
        authority: None,
        fields: &fields,
    };
    CanonicalRequest::parse(parsed, HeadLimits::default()).expect("canonical")
}

pub(super) fn user(number: u128, workspace: u128) -> User {
    User {
        id: id(number),
        email: Some("x@example.com".into()),
        name: Some("X".into()),
        workspace: id(workspace),
        workspace_slug: "acme".parse().expect("slug"),
        role_at_mint: WorkspaceRole::Owner,
        minted_at: None,
        credential: Credential::AccessToken {
            token: id(TOKEN),
            session: id(SESSION),
            expires_at: at(NOW + 1),
        },
    }
}

fn service(name: &str) -> Service {
    Service {
        app: id(41),
        name: name.parse().expect("name"),
        expires_at: None,
    }
}

pub(super) fn caller(user: Option<User>, service: Option<Service>) -> Arc<Principal> {
    Arc::new(Principal::verified(user.map(Arc::new), service.map(Arc::new)))
}

fn judge(
    rule: &str,
    document: &str,
    principal: &Arc<Principal>,
    state: &ReplicaState,
) -> Result<Permit, Denial> {
    decide(
        &route(rule),
        &request(document).target,
        principal,
        state.graph(),
        at(NOW),
    )
}

fn word(rule: &str, document: &str, principal: &Arc<Principal>) -> &'static str {
    match judge(rule, document, principal, &state(facts())) {
        Ok(_) => "permitted",
        Err(denial) => denial.code(),
    }
}

const VIEW: &str = "require: { permission: 'docs/document/{doc_id}#view' }";

#[test]
fn each_requirement_holds_for_those_it_is_meant_for() {
    let of = |number| caller(Some(user(number, ACME)), None);
    let role = "require: { role: editor }";
    let action = "require: { action: 'docs/reports:export' }";
    let edit = "require: { permission: 'docs/document/{doc_id}#edit' }";
    let both = "require: { role: editor, permission: 'docs/document/{doc_id}#view' }";
    let either = "require: { any_of: [{ role: owner }, { permission: 'docs/document/{doc_id}#view' }] }";
    let literal = &format!("require: {{ permission: 'docs/document/{DOCUMENT}#view' }}");
    for (rule, document, who, expected) in [
        ("require: { signed_in: true }", DOCUMENT, VERA, "permitted"),
        (role, DOCUMENT, OLGA, "permitted"),
        (role, DOCUMENT, EDDA, "permitted"),
        (role, DOCUMENT, VERA, "role_denied"),
        (action, DOCUMENT, EDDA, "permitted"),
        (action, DOCUMENT, OLGA, "action_denied"),
        (VIEW, DOCUMENT, OLGA, "permitted"),
        (VIEW, DOCUMENT, VERA, "permitted"),
        (VIEW, DOCUMENT, EDDA, "permission_denied"),
        (VIEW, "no-such-document", OLGA, "permission_denied"),
        (VIEW, "a:b", OLGA, "permission_denied"),
        (VIEW, "*", OLGA, "permission_denied"),
        (edit, DOCUMENT, OLGA, "permitted"),
        (edit, DOCUMENT, VERA, "permission_denied"),
        (both, DOCUMENT, OLGA, "permitted"),
        (both, DOCUMENT, VERA, "role_denied"),
        (both, DOCUMENT, EDDA, "permission_denied"),
        (either, DOCUMENT, VERA, "permitted"),
        (either, FOREIGN, OLGA, "permitted"),
        (either, DOCUMENT, EDDA, "role_denied"),
        (literal, "whatever", VERA, "permitted"),
        (literal, "whatever", EDDA, "permission_denied"),
    ] {
        assert_eq!(
            word(rule, document, &of(who)),
            expected,
            "{rule} {document} {who}"
        );
    }
}

#[test]
fn the_tier_says_which_credentials_are_taken() {
    let user = || Some(user(OLGA, ACME));
    let service = || Some(service("indexer"));
    let rule = |tier: &str| format!("credentials: {tier}, require: {{ signed_in: true }}");
    for (tier, [none, user_only, service_only, both]) in [
        (
            "user",
            [
                "credential_missing",
                "permitted",
                "credential_not_accepted",
                "credential_not_accepted",
            ],
        ),
        (
            "service",
            [
                "credential_missing",
                "credential_not_accepted",
                "permitted",
                "credential_not_accepted",
            ],
        ),
        (
            "user_and_service",
            [
                "credential_missing",
                "credential_missing",
                "credential_missing",
                "permitted",
            ],
        ),
        (
            "user_or_service",
            ["credential_missing", "permitted", "permitted", "permitted"],
        ),
    ] {
        let rule = rule(tier);
        assert_eq!(word(&rule, DOCUMENT, &caller(None, None)), none, "{tier}");
        assert_eq!(word(&rule, DOCUMENT, &caller(user(), None)), user_only, "{tier}");
        assert_eq!(
            word(&rule, DOCUMENT, &caller(None, service())),
            service_only,
            "{tier}"
        );
        assert_eq!(word(&rule, DOCUMENT, &caller(user(), service())), both, "{tier}");
    }
}

#[test]
fn a_service_is_known_by_its_scope_and_is_no_user() {
    let indexer = || caller(None, Some(service("indexer")));
    let only = |name: &str| format!("credentials: service, require: {{ service: {name} }}");
    assert_eq!(word(&only("indexer"), DOCUMENT, &indexer()), "permitted");
    assert_eq!(word(&only("other"), DOCUMENT, &indexer()), "service_denied");
    let either =
        "credentials: user_or_service, require: { any_of: [{ role: editor }, { service: indexer }] }";
    assert_eq!(word(either, DOCUMENT, &indexer()), "permitted");
    assert_eq!(
        word(either, DOCUMENT, &caller(Some(user(VERA, ACME)), None)),
        "role_denied"
    );
    let role = "credentials: user_or_service, require: { role: viewer }";
    assert_eq!(word(role, DOCUMENT, &indexer()), "role_denied");
}

#[test]
fn every_user_must_be_a_member_still_whatever_his_token_says() {
    for rule in ["public: true", "require: { signed_in: true }", VIEW] {
        let nobody = caller(Some(user(NEMO, ACME)), None);
        assert_eq!(word(rule, DOCUMENT, &nobody), "role_denied", "{rule}");
    }
    let removed: Vec<Fact> = facts()
        .into_iter()
        .filter(|fact| *fact != membership(VERA, WorkspaceRole::Viewer))
        .collect();
    let vera = caller(Some(user(VERA, ACME)), None);
    assert!(judge(VIEW, DOCUMENT, &vera, &state(facts())).is_ok());
    let after = judge(VIEW, DOCUMENT, &vera, &state(removed));
    assert_eq!(
        after.err(),
        Some(Denial::RoleDenied),
        "a share does not outlive the membership"
    );
}

#[test]
fn a_token_reaches_no_further_than_its_workspace() {
    let in_acme = caller(Some(user(OLGA, ACME)), None);
    let in_other = caller(Some(user(OLGA, OTHER)), None);
    assert_eq!(word(VIEW, FOREIGN, &in_other), "permitted");
    assert_eq!(word(VIEW, FOREIGN, &in_acme), "permission_denied");
    assert_eq!(word(VIEW, DOCUMENT, &in_other), "permission_denied");
}

#[test]
fn a_permit_carries_the_live_role() {
    let permit = judge(
        "public: true",
        DOCUMENT,
        &caller(Some(user(VERA, ACME)), None),
        &state(facts()),
    );
    let permit = permit.expect("a member");
    let (member, role) = permit.member().expect("a user");
    assert_eq!((member.id, role), (id(VERA), WorkspaceRole::Viewer));
    assert_eq!(member.role_at_mint, WorkspaceRole::Owner);
    assert!(permit.service().is_none());
    let anonymous = judge("public: true", DOCUMENT, &caller(None, None), &state(facts()));
    assert!(anonymous.expect("public").member().is_none());
}

#[test]
fn an_expired_token_is_over_whoever_checked_it_before() {
    let principal = caller(Some(user(OLGA, ACME)), None);
    let state = state(facts());
    let at_time = |now| {
        decide(
            &route(VIEW),
            &request(DOCUMENT).target,
            &principal,
            state.graph(),
            at(now),
        )
        .err()
    };
    assert_eq!(at_time(NOW), None);
    assert_eq!(at_time(NOW + 1), Some(Denial::TokenExpired));
}

#[test]
fn an_unrelated_tuple_changes_nothing() {
    let mut more = facts();
    more.push(membership(NEMO, WorkspaceRole::Owner));
    let (before, after) = (state(facts()), state(more));
    for who in [OLGA, EDDA, VERA] {
        for rule in [VIEW, "require: { role: admin }"] {
            let principal = caller(Some(user(who, ACME)), None);
            assert_eq!(
                judge(rule, DOCUMENT, &principal, &before).map(drop),
                judge(rule, DOCUMENT, &principal, &after).map(drop)
            );
        }
    }
}
