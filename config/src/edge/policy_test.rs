//! Tests of the policy that stand beside it and are run whenever it is loaded.

mod expectation;
mod relation;
mod request;
mod written;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use schemars::{Schema, SchemaGenerator};
use sentinel_core::WorkspaceRole;
use sentinel_core::name::{ResourceType, ServiceName};

use super::issuer::IssuedTokens;
use super::requirement::{ActionRef, IdTemplate, InvalidRequirement, Permission, PermissionTemplate};
use crate::section::{Place, Reader, Section, Setting, section};
use crate::tree::Data;
use crate::value::{read_text, words};

pub use expectation::{Expectation, InvalidExpectation};
pub use relation::{InvalidTestRelation, TestRelation};
pub use request::{InvalidTestRequest, TestRequest};
pub use written::Written;

section! {
    /// A request, who makes it, and what must come of it. A policy with a test that fails is not loaded.
    check check_test;
    pub struct PolicyTest {
        /// Method and address, as in `GET https://docs.example.com/documents/42?draft=true`.
        pub request: TestRequest,
        /// Header fields of the request, by lower-case name. Credentials are not among them: `as` says who calls.
        pub headers: BTreeMap<String, String> = "{}",
        /// Who makes it.
        ///
        /// Default: nobody, without credentials.
        pub r#as: Option<TestCaller>,
        /// `allow`, a status such as `403`, or a reason such as `permission_denied`.
        pub expect: Expectation,
        /// Where the test stands.
        pub written: Written,
    }
}

section! {
    /// A caller. What is not said about him is not so.
    check check_caller;
    pub struct TestCaller {
        /// A user.
        pub user: Option<TestUser>,
        /// The service whose key is shown.
        pub service: Option<ServiceName>,
        /// The issuer whose access token is shown: one of `issuers`.
        pub issuer: Option<String>,
    }
}

section! {
    /// A member of a workspace.
    pub struct TestUser {
        /// His role in his workspace; without one he is no member any more.
        pub role: Option<WorkspaceRole>,
        /// The actions that his roles grant, such as `docs/reports:export`.
        pub actions: Vec<ActionRef> = "[]",
        /// What he may do with objects, such as `docs/document/42#view`. The objects are in his workspace; an object that is
        /// not named is not.
        pub permissions: Vec<TestPermission> = "[]",
        /// Relations of services' own models: those that he has, such as `docs/folder:7#viewer`, and others that lead to them,
        /// such as `docs/folder:7#parent@docs/folder:1`. Objects of types that have a `workspace` are in his, unless one of
        /// these says in which. The service's model is named under `models`.
        pub relations: Vec<TestRelation> = "[]",
        /// How his token comes.
        pub token: TestToken = "access",
    }
}

words! {
    /// How a user's token comes.
    pub enum TestToken {
        /// An access token in `Authorization`.
        Access = "access",
        /// An access token in the session cookie.
        Cookie = "cookie",
        /// An authz token with the ID token that it goes with.
        Authz = "authz",
    }
}

/// A permission on one object: `docs/document/42#view`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestPermission {
    /// The service that owns the object.
    pub service: ServiceName,
    /// The type of the object.
    pub resource_type: ResourceType,
    /// The object's id.
    pub id: String,
    /// What may be done with it.
    pub permission: Permission,
}

/// A text that is no permission on one object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTestPermission {
    /// It is no permission at all.
    #[error(transparent)]
    Permission(#[from] InvalidRequirement),
    /// It has a parameter in place of an object.
    #[error("`{0}` names no object: write the id that the request has in place of `{{{0}}}`")]
    Parameter(String),
}

impl FromStr for TestPermission {
    type Err = InvalidTestPermission;

    fn from_str(text: &str) -> Result<Self, InvalidTestPermission> {
        let template: PermissionTemplate = text.parse()?;
        match template.id {
            IdTemplate::Literal(id) => Ok(Self {
                service: template.service,
                resource_type: template.resource_type,
                id,
                permission: template.permission,
            }),
            IdTemplate::Param(name) => Err(InvalidTestPermission::Parameter(name)),
        }
    }
}

impl fmt::Display for TestPermission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (service, kind) = (&self.service, &self.resource_type);
        write!(f, "{service}/{kind}/{}#{}", self.id, self.permission)
    }
}

impl Setting for TestPermission {
    fn read(place: &Place<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        read_text(place, reader)
    }

    fn describe(generator: &mut SchemaGenerator) -> Schema {
        String::describe(generator)
    }
}

impl Setting for ActionRef {
    fn read(place: &Place<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        read_text(place, reader)
    }

    fn describe(generator: &mut SchemaGenerator) -> Schema {
        String::describe(generator)
    }
}

impl Setting for WorkspaceRole {
    fn read(place: &Place<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        read_text(place, reader)
    }

    fn describe(_: &mut SchemaGenerator) -> Schema {
        let words: Vec<&str> = Self::ALL.iter().map(|role| role.as_str()).collect();
        schemars::json_schema!({ "enum": words })
    }
}

/// Header fields that carry a credential, say whom the request is for, or say how long it is.
const NOT_FREE: [&str; 6] = [
    "authorization",
    "x-service-key",
    "x-authz-token",
    "host",
    "content-length",
    "transfer-encoding",
];

fn check_test(test: &PolicyTest, section: &Section<'_>, reader: &mut Reader<'_>) {
    let place = section.place_of("headers");
    let root = reader.root;
    let cookie = root.get("session_cookie").and_then(|node| node.as_text());
    for (name, value) in &test.headers {
        let message = if NOT_FREE.contains(&name.as_str()) {
            format!("`{name}` cannot be set: `request` says which host it is for, and `as` says who calls")
        } else if name == "access-control-request-method" && test.request.method == "OPTIONS" {
            "preflight requests are answered by what `cors` says, whoever calls: test the request that it announces".to_owned()
        } else if name == "cookie" && value.contains(cookie.unwrap_or("__Host-sentinel")) {
            "the session cookie cannot be set: say `as: { user: { token: cookie } }`".to_owned()
        } else if value.contains(char::is_control) {
            format!("the value of `{name}` has a control character, which no header field may have")
        } else {
            continue;
        };
        reader.problem(&place.child(name), message);
    }
}

fn check_caller(caller: &TestCaller, section: &Section<'_>, reader: &mut Reader<'_>) {
    if caller.user.is_none() && caller.service.is_none() && caller.issuer.is_none() {
        reader.problem(
            section.place(),
            "nobody is named here: write `user`, `service` or `issuer`, or leave `as` out for a caller without credentials",
        );
    }
    let Some(name) = &caller.issuer else { return };
    let place = section.place_of("issuer");
    if caller.user.is_some() {
        reader.problem(
            &place,
            "one person cannot show two tokens: keep `user` or `issuer`",
        );
    }
    let root = reader.root;
    let Some(Data::Map(issuers)) = root.get("issuers").map(|node| &node.data) else {
        reader.problem(
            &place,
            format!("`{name}` is not one of `issuers`: there are none yet"),
        );
        return;
    };
    let Some(issuer) = issuers.iter().find(|entry| entry.key == *name) else {
        let known: Vec<&str> = issuers.iter().map(|entry| entry.key.as_str()).collect();
        reader.problem(
            &place,
            format!(
                "`{name}` is not one of `issuers`: there are `{}`",
                known.join("`, `")
            ),
        );
        return;
    };
    let tokens = issuer.node.get("tokens").and_then(|node| node.as_text());
    if tokens == Some(IssuedTokens::Identity.as_str()) {
        reader.problem(
            &place,
            format!("the tokens of `{name}` open nothing by themselves: use `user` with `token: authz`"),
        );
    }
}
