//! The control plane's API, as far as the tour and the whole-system tests call it: each function is one request.

use reqwest::Method;
use serde_json::{Value, json};

use crate::http::{Ask, Secret};

/// The scope of the demo service.
pub const SERVICE: &str = "docs";

/// The type of its resources.
pub const DOCUMENT: &str = "document";

/// To whom a document is shared.
#[derive(Debug, Clone, Copy)]
pub enum Grantee<'a> {
    /// A user by id.
    User(&'a str),
    /// A group by id.
    Group(&'a str),
}

impl Grantee<'_> {
    fn body(self, permission: &str) -> Value {
        let (kind, id) = match self {
            Self::User(id) => ("user", id),
            Self::Group(id) => ("group", id),
        };
        json!({"grantee_type": kind, "grantee_id": id, "permission": permission})
    }
}

/// A control plane by its address.
#[derive(Debug, Clone)]
pub struct Api(String);

impl Api {
    /// The control plane at `url`.
    pub fn at(url: &str) -> Self {
        Self(url.to_owned())
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }

    /// Whether it is alive.
    pub fn health(&self) -> Ask {
        Ask::get(self.url("/health"))
    }

    /// An administrator registers a browser application.
    pub fn create_client_app(&self, admin: &Secret, name: &str, redirect_uri: &str) -> Ask {
        Ask::post(self.url("/admin/client-apps"))
            .admin(admin)
            .json(json!({"name": name, "redirect_uris": [redirect_uri]}))
    }

    /// An administrator registers a service; the answer has its key.
    pub fn create_service_app(&self, admin: &Secret, name: &str) -> Ask {
        Ask::post(self.url("/admin/service-apps"))
            .admin(admin)
            .json(json!({"name": name, "service_name": SERVICE}))
    }

    /// An administrator makes a workspace.
    pub fn create_workspace(&self, admin: &Secret, name: &str, slug: &str) -> Ask {
        Ask::post(self.url("/admin/workspaces"))
            .admin(admin)
            .json(json!({"name": name, "slug": slug}))
    }

    /// An administrator makes somebody a member of a workspace.
    pub fn appoint(&self, admin: &Secret, workspace: &str, email: &str, role: &str) -> Ask {
        Ask::post(self.url(&format!("/admin/workspaces/{workspace}/members/invite")))
            .admin(admin)
            .json(json!({"email": email, "role": role}))
    }

    /// The workspaces that a code could be exchanged for.
    pub fn workspaces_of_code(&self, code: &str, verifier: &str) -> Ask {
        Ask::post(self.url("/auth/workspaces")).json(json!({"code": code, "code_verifier": verifier}))
    }

    /// Exchanges a code for tokens.
    pub fn token(&self, code: &str, verifier: &str, workspace: &str) -> Ask {
        Ask::post(self.url("/auth/token"))
            .json(json!({"code": code, "code_verifier": verifier, "workspace_id": workspace}))
    }

    /// Exchanges a refresh token for the next pair.
    pub fn refresh(&self, token: &Secret) -> Ask {
        Ask::post(self.url("/auth/refresh")).json(json!({"refresh_token": token.expose()}))
    }

    /// Ends all sessions of the user.
    pub fn logout(&self, token: &Secret) -> Ask {
        Ask::post(self.url("/auth/logout")).bearer(token)
    }

    /// Who the user is.
    pub fn me(&self, token: &Secret) -> Ask {
        Ask::get(self.url("/users/me")).bearer(token)
    }

    /// A member brings somebody else into the workspace.
    pub fn invite(&self, token: &Secret, workspace: &str, email: &str, role: &str) -> Ask {
        Ask::post(self.url(&format!("/workspaces/{workspace}/members/invite")))
            .bearer(token)
            .json(json!({"email": email, "role": role}))
    }

    /// The members of a workspace.
    pub fn members(&self, token: &Secret, workspace: &str) -> Ask {
        Ask::get(self.url(&format!("/workspaces/{workspace}/members"))).bearer(token)
    }

    /// Takes somebody out of a workspace.
    pub fn remove_member(&self, token: &Secret, workspace: &str, user: &str) -> Ask {
        Ask::delete(self.url(&format!("/workspaces/{workspace}/members/{user}"))).bearer(token)
    }

    /// Makes a group.
    pub fn create_group(&self, token: &Secret, workspace: &str, name: &str) -> Ask {
        Ask::post(self.url(&format!("/workspaces/{workspace}/groups")))
            .bearer(token)
            .json(json!({"name": name}))
    }

    /// The groups of a workspace.
    pub fn groups(&self, token: &Secret, workspace: &str) -> Ask {
        Ask::get(self.url(&format!("/workspaces/{workspace}/groups"))).bearer(token)
    }

    /// Puts a member into a group.
    pub fn join_group(&self, token: &Secret, workspace: &str, group: &str, user: &str) -> Ask {
        Ask::post(self.url(&format!("/workspaces/{workspace}/groups/{group}/members/{user}"))).bearer(token)
    }

    /// The service registers a private document of `owner`.
    pub fn register_document(&self, key: &Secret, workspace: &str, document: &str, owner: &str) -> Ask {
        Ask::post(self.url("/permissions/register"))
            .service_key(key)
            .json(json!({
                "service_name": SERVICE,
                "resource_type": DOCUMENT,
                "resource_id": document,
                "workspace_id": workspace,
                "owner_id": owner,
                "visibility": "private",
            }))
    }

    /// Shares a document, on behalf of the user of `token`. `permission` is the id that registering it returned.
    pub fn share(&self, key: &Secret, token: &Secret, permission: &str, grantee: Grantee<'_>) -> Ask {
        Ask::post(self.url(&format!("/permissions/{permission}/share")))
            .service_key(key)
            .bearer(token)
            .json(grantee.body("view"))
    }

    /// Takes a share back.
    pub fn unshare(&self, key: &Secret, permission: &str, grantee: Grantee<'_>) -> Ask {
        Ask::new(
            Method::DELETE,
            self.url(&format!("/permissions/{permission}/share")),
        )
        .service_key(key)
        .json(grantee.body("view"))
    }

    /// What is registered about a document.
    pub fn document(&self, key: &Secret, document: &str) -> Ask {
        Ask::get(self.url(&format!("/permissions/resource/{SERVICE}/{DOCUMENT}/{document}"))).service_key(key)
    }

    /// The service writes the next version of its model, in OpenFGA's language.
    pub fn write_model(&self, key: &Secret, text: &str) -> Ask {
        Ask::post(self.url("/authz/models"))
            .service_key(key)
            .text("text/plain", text)
    }

    /// The service writes and deletes tuples, given as `folder:7#viewer@user:…`, all or none of them.
    pub fn change_tuples(&self, key: &Secret, writes: &[String], deletes: &[String]) -> Ask {
        let bodies = |tuples: &[String]| tuples.iter().map(|tuple| tuple_body(tuple)).collect::<Value>();
        Ask::post(self.url("/authz/tuples"))
            .service_key(key)
            .json(json!({"writes": bodies(writes), "deletes": bodies(deletes)}))
    }

    /// Asks the control plane itself whether the user may view a document.
    pub fn check(&self, key: &Secret, token: &Secret, document: &str) -> Ask {
        Ask::post(self.url("/permissions/check"))
            .service_key(key)
            .bearer(token)
            .json(json!({"checks": [{
                "service_name": SERVICE,
                "resource_type": DOCUMENT,
                "resource_id": document,
                "action": "view",
            }]}))
    }
}

/// The three parts of a tuple. A text that has not all of them is refused by the control plane.
fn tuple_body(tuple: &str) -> Value {
    let (object, rest) = tuple.split_once('#').unwrap_or((tuple, ""));
    let (relation, subject) = rest.split_once('@').unwrap_or((rest, ""));
    json!({"object": object, "relation": relation, "subject": subject})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_go_where_the_contract_says() {
        let api = Api::at("http://h:1");
        let key = Secret::new("docs' key", "sk_x");
        let token = Secret::new("alice's token", "eyJ");
        assert_eq!(
            api.share(&key, &token, "p1", Grantee::Group("g1")).to_string(),
            "POST http://h:1/permissions/p1/share  X-Service-Key: <docs' key>  Authorization: Bearer <alice's token>  \
             {\"grantee_id\":\"g1\",\"grantee_type\":\"group\",\"permission\":\"view\"}"
        );
        assert_eq!(
            api.remove_member(&token, "w1", "u1").to_string(),
            "DELETE http://h:1/workspaces/w1/members/u1  Authorization: Bearer <alice's token>"
        );
        let tuple = ["folder:7#viewer@group:g#member".to_owned()];
        assert_eq!(
            api.change_tuples(&key, &tuple, &[]).to_string(),
            "POST http://h:1/authz/tuples  X-Service-Key: <docs' key>  {\"deletes\":[],\"writes\":[{\"object\":\"folder:7\",\
             \"relation\":\"viewer\",\"subject\":\"group:g#member\"}]}"
        );
    }
}
