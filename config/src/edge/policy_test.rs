//! Tests of the policy that stand beside it and are run whenever it is loaded.

use std::collections::BTreeMap;

use sentinel_core::WorkspaceRole;

use crate::section::{Place, Reader, Setting, section};
use crate::value::{read_text, words};

section! {
    /// A request, who makes it, and what must come of it. A policy with a test that fails is not loaded.
    pub struct PolicyTest {
        /// Method and address, as in `GET https://docs.example.com/documents/42?draft=true`.
        pub request: String,
        /// Header fields of the request, by lower-case name.
        pub headers: BTreeMap<String, String> = "{}",
        /// Who makes it.
        ///
        /// Default: nobody, without credentials.
        pub r#as: Option<TestCaller>,
        /// `allow`, a status such as `403`, or a reason such as `permission_denied`.
        pub expect: String,
    }
}

section! {
    /// A caller. What is not said about him is not so.
    pub struct TestCaller {
        /// A user.
        pub user: Option<TestUser>,
        /// The service whose key is shown.
        pub service: Option<String>,
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
        pub actions: Vec<String> = "[]",
        /// What he may do with objects, such as `docs/document/42#view`.
        pub permissions: Vec<String> = "[]",
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

impl Setting for WorkspaceRole {
    fn read(place: &Place<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        read_text(place, reader)
    }

    fn describe(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let words: Vec<&str> = Self::ALL.iter().map(|role| role.as_str()).collect();
        schemars::json_schema!({ "enum": words })
    }
}
