//! The calls that must not work, as tables: what is called, with which ids, by whom, and what the answer is.

use std::fmt::Display;

use reqwest::Method;
use sentinel_core::id::{UserId, WorkspaceId};
use serde_json::{Value, json};
use uuid::Uuid;

use super::Tenant;
use crate::login;

pub(super) const NOT_A_MEMBER: (u16, &str) = (403, "Not a member of this workspace");
const NO_GROUP: (u16, &str) = (404, "Group not found");
const NO_MEMBERSHIP: (u16, &str) = (404, "Membership not found");
const NO_RESOURCE: (u16, &str) = (404, "Resource not found");
const LOOKUP: (u16, &str) = (403, "Cross-workspace lookup not allowed");
const OTHER_SERVICE: (u16, &str) = (403, "Service key is not authorized for service 'docs'");
const OTHER_TOKEN: (u16, &str) = (403, "Authz token was issued for a different service");

/// With which credentials of the first tenant a call is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    /// None but what is in the body.
    Body,
    /// The owner.
    Owner,
    /// The owner: alone, through `docs`, and with a token of AuthZ mode.
    OwnerAnyhow,
    /// The key of `docs`.
    Docs,
    /// The key of `wiki`, which is another service.
    Wiki,
    /// The key of `docs`, for the owner.
    DocsAndOwner,
    /// The key of `wiki`, for the owner.
    WikiAndOwner,
    /// The key of `wiki`, with a token of AuthZ mode that was made for `docs`.
    WikiAndAuthz,
}

/// One call that must not work.
pub(super) struct Case {
    pub(super) method: Method,
    pub(super) route: &'static str,
    pub(super) path: String,
    pub(super) body: Value,
    pub(super) by: By,
    pub(super) expected: (u16, &'static str),
}

impl Case {
    /// A call of the route with these ids in its path.
    pub(super) fn new(
        method: Method,
        route: &'static str,
        ids: &[&dyn Display],
        by: By,
        expected: (u16, &'static str),
    ) -> Self {
        let mut path = String::new();
        let mut ids = ids.iter();
        for part in route.split('/').skip(1) {
            path.push('/');
            if part.starts_with('{') {
                path += &ids.next().expect("an id for each part").to_string();
            } else {
                path += part;
            }
        }
        assert!(ids.next().is_none(), "too many ids for {route}");
        Self {
            method,
            route,
            path,
            body: Value::Null,
            by,
            expected,
        }
    }

    pub(super) fn body(mut self, body: Value) -> Self {
        self.body = body;
        self
    }

    fn query(mut self, query: &str) -> Self {
        self.path = format!("{}?{query}", self.path);
        self
    }
}

/// Method, route, the ids in it, the caller, the answer, and the body if there is one.
macro_rules! cases {
    ($($method:ident $route:literal [$($id:expr),*] $by:ident $expected:expr $(, $body:expr)?;)+) => {
        vec![$(Case::new(Method::$method, $route, &[$(&$id),*], By::$by, $expected)$(.body($body))?),+]
    };
}

/// The user surface with ids of `b`: all of them, or one beside the own workspace.
pub(super) fn of_users(a: &Tenant, b: &Tenant) -> Vec<Case> {
    let name = || json!({ "name": "Taken over" });
    let role = || json!({ "role": "viewer" });
    let invited = json!({ "email": "member@anna.example", "role": "owner" });
    let mut cases = cases! {
        GET "/workspaces/{workspace}" [b.workspace] Owner NOT_A_MEMBER;
        PATCH "/workspaces/{workspace}" [b.workspace] Owner NOT_A_MEMBER, name();
        DELETE "/workspaces/{workspace}" [b.workspace] Owner NOT_A_MEMBER;
        GET "/workspaces/{workspace}/members" [b.workspace] OwnerAnyhow NOT_A_MEMBER;
        POST "/workspaces/{workspace}/members/invite" [b.workspace] Owner NOT_A_MEMBER, invited;
        GET "/workspaces/{workspace}/groups" [b.workspace] OwnerAnyhow NOT_A_MEMBER;
        POST "/workspaces/{workspace}/groups" [b.workspace] Owner NOT_A_MEMBER, name();
        GET "/workspaces/{workspace}/invitations" [b.workspace] Owner NOT_A_MEMBER;
        DELETE "/workspaces/{workspace}/invitations/{invitation}" [b.workspace, b.invitation] Owner NOT_A_MEMBER;
        DELETE "/workspaces/{workspace}/invitations/{invitation}" [a.workspace, b.invitation] Owner
            (404, "Invitation not found");
        POST "/workspaces/{workspace}/groups/{group}/members/{user}" [a.workspace, a.group, b.member] Owner
            (400, "User is not a member of this workspace");
        DELETE "/workspaces/{workspace}/groups/{group}/members/{user}" [a.workspace, a.group, b.member] Owner
            (404, "Group membership not found");
    };
    // The workspace of the one with what is the other's, and the other way round.
    for (of, at, no_member, no_group) in [
        (b.workspace, b, NOT_A_MEMBER, NOT_A_MEMBER),
        (b.workspace, a, NOT_A_MEMBER, NOT_A_MEMBER),
        (a.workspace, b, NO_MEMBERSHIP, NO_GROUP),
    ] {
        cases.extend(cases! {
            PATCH "/workspaces/{workspace}/members/{user}" [of, at.member] Owner no_member, role();
            DELETE "/workspaces/{workspace}/members/{user}" [of, at.member] Owner no_member;
            PATCH "/workspaces/{workspace}/groups/{group}" [of, at.group] Owner no_group, name();
            DELETE "/workspaces/{workspace}/groups/{group}" [of, at.group] Owner no_group;
            GET "/workspaces/{workspace}/groups/{group}/members" [of, at.group] OwnerAnyhow no_group;
            POST "/workspaces/{workspace}/groups/{group}/members/{user}" [of, at.group, a.owner] Owner no_group;
            DELETE "/workspaces/{workspace}/groups/{group}/members/{user}" [of, at.group, at.member] Owner no_group;
        });
    }
    cases
}

/// The service surface: another tenant's resource within a service, and another service's within a tenant.
pub(super) fn of_services(a: &Tenant, b: &Tenant) -> Vec<Case> {
    let fresh = Uuid::nil();
    let sharing = (403, "Cross-workspace sharing not allowed");
    let mut cases = cases! {
        POST "/permissions/register" [] Docs (409, "Resource is already registered in another workspace"),
            registration(b.document, a.workspace, a.owner);
        POST "/permissions/register" [] Docs (400, "Owner is not a member of this workspace"),
            registration(fresh, a.workspace, b.owner);
        POST "/permissions/register" [] Wiki OTHER_SERVICE, registration(fresh, a.workspace, a.owner);
        POST "/permissions/check" [] WikiAndOwner OTHER_SERVICE, json!({ "checks": [item(a.document, "view")] });
        POST "/permissions/accessible" [] DocsAndOwner LOOKUP, listing(b.workspace);
        POST "/permissions/accessible" [] WikiAndOwner OTHER_SERVICE, listing(a.workspace);

        POST "/permissions/{permission}/share" [b.record] DocsAndOwner sharing, to("user", &a.owner);
        POST "/permissions/{permission}/share" [b.record] DocsAndOwner sharing, to("user", &b.member);
        POST "/permissions/{permission}/share" [a.record] DocsAndOwner
            (400, "Grantee is not a member of this workspace"), to("user", &b.member);
        POST "/permissions/{permission}/share" [a.record] DocsAndOwner
            (400, "Group does not belong to this workspace"), to("group", &b.group);
        POST "/permissions/{permission}/share" [a.record] WikiAndOwner OTHER_SERVICE, to("user", &a.member);
        DELETE "/permissions/{permission}/share" [a.record] Docs (404, "Share not found"), to("user", &b.member);
        DELETE "/permissions/{permission}/share" [a.record] Wiki OTHER_SERVICE, to("user", &a.member);
        PATCH "/permissions/{permission}/visibility" [a.record] Wiki OTHER_SERVICE, json!({ "visibility": "private" });

        GET "/permissions/resource/{service}/{kind}/{id}" ["docs", "document", a.document] Wiki OTHER_SERVICE;
        GET "/permissions/resource/{service}/{kind}/{id}" ["wiki", "document", a.document] Wiki NO_RESOURCE;
        GET "/permissions/resource/{service}/{kind}/{id}/enriched" ["docs", "document", a.document] Wiki OTHER_SERVICE;
        GET "/permissions/resource/{service}/{kind}/{id}/enriched" ["wiki", "document", a.document] Wiki NO_RESOURCE;
        DELETE "/permissions/resource/{service}/{kind}/{id}" ["docs", "document", a.document] Wiki OTHER_SERVICE;
        DELETE "/permissions/resource/{service}/{kind}/{id}" ["wiki", "document", a.document] Wiki NO_RESOURCE;

        POST "/roles/actions/register" [] Wiki OTHER_SERVICE,
            json!({ "service_name": "docs", "actions": [{ "action": "taken-over" }] });
        POST "/roles/check-action" [] DocsAndOwner (403, "Cross-workspace check not allowed"), action(b.workspace);
        POST "/roles/check-action" [] WikiAndOwner OTHER_SERVICE, action(a.workspace);
    };
    cases.extend(cases! {
        POST "/permissions/check" [] WikiAndAuthz OTHER_TOKEN, json!({ "checks": [] });
        POST "/permissions/accessible" [] WikiAndAuthz OTHER_TOKEN, listing(a.workspace);
        POST "/permissions/{permission}/share" [a.record] WikiAndAuthz OTHER_TOKEN, to("user", &a.member);
        POST "/roles/check-action" [] WikiAndAuthz OTHER_TOKEN, action(a.workspace);
        GET "/workspaces/{workspace}/members" [a.workspace] WikiAndAuthz OTHER_TOKEN;
        GET "/workspaces/{workspace}/groups" [a.workspace] WikiAndAuthz OTHER_TOKEN;
        GET "/workspaces/{workspace}/groups/{group}/members" [a.workspace, a.group] WikiAndAuthz OTHER_TOKEN;
        GET "/users/me" [] WikiAndAuthz OTHER_TOKEN;
    });
    for (workspace, by, expected) in [
        (b.workspace, By::DocsAndOwner, LOOKUP),
        (a.workspace, By::WikiAndOwner, OTHER_SERVICE),
        (a.workspace, By::WikiAndAuthz, OTHER_TOKEN),
    ] {
        let case = Case::new(Method::GET, "/roles/user-actions", &[], by, expected);
        cases.push(case.query(&format!("workspace_id={workspace}&service_name=docs")));
    }
    cases
}

/// Getting a token for the other's workspace.
pub(super) fn of_logins(a: &Tenant, b: &Tenant) -> Vec<Case> {
    let token = json!({ "code": a.code, "workspace_id": b.workspace, "code_verifier": login::VERIFIER });
    let resolve =
        json!({ "idp_token": a.id_token, "provider": "demo", "workspace_id": b.workspace, "nonce": "n1" });
    cases! {
        POST "/auth/token" [] Body (403, "Cannot issue tokens for this workspace"), token;
        POST "/authz/resolve" [] Docs (403, "User is not a member of this workspace"), resolve;
    }
}

/// A document of `docs` to be.
fn registration(id: Uuid, workspace: WorkspaceId, owner: UserId) -> Value {
    json!({
        "service_name": "docs", "resource_type": "document", "resource_id": id, "workspace_id": workspace,
        "owner_id": owner,
    })
}

/// A question about a document of `docs`.
pub(super) fn item(id: Uuid, action: &str) -> Value {
    json!({ "service_name": "docs", "resource_type": "document", "resource_id": id, "action": action })
}

/// A question about all documents of `docs`.
pub(super) fn listing(workspace: WorkspaceId) -> Value {
    json!({
        "service_name": "docs", "resource_type": "document", "action": "view", "workspace_id": workspace, "limit": 10,
    })
}

/// A question about an action of `docs`.
fn action(workspace: WorkspaceId) -> Value {
    json!({ "service_name": "docs", "action": "reports:export", "workspace_id": workspace })
}

/// A share for somebody.
fn to(kind: &str, id: &dyn Display) -> Value {
    json!({ "grantee_type": kind, "grantee_id": id.to_string(), "permission": "edit" })
}
