//! What the tests share: a signing key, tokens, service keys and a small world of workspaces. Also included by the tests in
//! `tests/`, so it names nothing of this crate.

use std::sync::LazyLock;

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey};
use sentinel_authz::sentinel::{self, Grantee, ShareLevel};
use sentinel_core::fact::{ModelFact, ServiceKeyFact, SigningKeyFact};
use sentinel_core::id::{UserId, WorkspaceId};
use sentinel_core::{Fact, Revision, Timestamp, Tuple, WorkspaceRole};
use sentinel_feed::ReplicaState;
use sentinel_token::{PlainServiceKey, PublicJwk};
use serde_json::{Value, json};
use uuid::Uuid;

pub(crate) const ISSUER: &str = "http://127.0.0.1:9003";
/// The tests' present moment, in seconds.
pub(crate) const NOW: i64 = 1_763_797_000;

/// The workspace that everything happens in, and another one.
pub(crate) const ACME: u128 = 1;
pub(crate) const OTHER: u128 = 2;
/// The people: owner, editor and viewer of `ACME`, and somebody who is nobody there.
pub(crate) const OLGA: u128 = 11;
pub(crate) const EDDA: u128 = 12;
pub(crate) const VERA: u128 = 13;
pub(crate) const NEMO: u128 = 14;
/// A private document of Olga's, shared with Vera; and one in `OTHER`.
pub(crate) const DOCUMENT: &str = "0190a0a0-0000-7000-8000-000000000001";
pub(crate) const FOREIGN: &str = "0190a0a0-0000-7000-8000-000000000002";
/// The session and the id of every token.
pub(crate) const SESSION: u128 = 31;
pub(crate) const TOKEN: u128 = 32;

struct SigningKey {
    jwk: PublicJwk,
    private: EncodingKey,
}

static KEY: LazyLock<SigningKey> = LazyLock::new(generate);

fn generate() -> SigningKey {
    let pair = KeyPair::generate(KeySize::Rsa2048).expect("a key");
    let public = pair.public_key();
    let jwk = PublicJwk::from_components(
        public.modulus().big_endian_without_leading_zero(),
        public.exponent().big_endian_without_leading_zero(),
    );
    let der: aws_lc_rs::encoding::Pkcs8V1Der<'_> = pair.as_der().expect("PKCS#8");
    let pem = format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        STANDARD.encode(der.as_ref())
    );
    SigningKey {
        jwk: jwk.expect("a good key"),
        private: EncodingKey::from_rsa_pem(pem.as_bytes()).expect("a private key"),
    }
}

pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_timestamp(seconds, 0).expect("in range")
}

pub(crate) fn id<I: From<Uuid>>(number: u128) -> I {
    Uuid::from_u128(number).into()
}

pub(crate) fn revision(number: u64) -> Revision {
    Revision {
        epoch: 1_763_000_000,
        number,
    }
}

/// The access token of a member of `ACME`, with whatever `change` makes of its claims.
pub(crate) fn token(user: u128, change: impl FnOnce(&mut Value)) -> String {
    let text = |number| Uuid::from_u128(number).to_string();
    let mut claims = json!({
        "iss": ISSUER, "aud": "sentinel:access", "sub": text(user), "jti": text(TOKEN), "iat": NOW - 10,
        "exp": NOW + 890, "type": "access", "email": "olga+x@example.com", "name": "Ölga, the 1st",
        "wid": text(ACME), "wslug": "acme", "wrole": "viewer", "groups": [], "sid": text(SESSION),
    });
    change(&mut claims);
    let header = json!({"alg": "RS256", "kid": KEY.jwk.kid(), "typ": "JWT"}).to_string();
    let message = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(claims.to_string())
    );
    let signature =
        jsonwebtoken::crypto::sign(message.as_bytes(), &KEY.private, Algorithm::RS256).expect("signed");
    format!("{message}.{signature}")
}

/// The same with nothing changed.
pub(crate) fn token_of(user: u128) -> String {
    token(user, |_| ())
}

/// The key of the service `indexer`.
pub(crate) fn service_key() -> PlainServiceKey {
    format!("sk_{}", "A".repeat(43)).parse().expect("a key")
}

pub(crate) fn service_key_fact(expires_at: Option<Timestamp>) -> Fact {
    Fact::ServiceKey(ServiceKeyFact {
        digest: *service_key().digest().as_bytes(),
        app: id(41),
        service: "indexer".parse().expect("a name"),
        expires_at,
    })
}

pub(crate) fn signing_key_fact() -> Fact {
    Fact::SigningKey(SigningKeyFact {
        kid: KEY.jwk.kid().to_owned(),
        jwk: KEY.jwk.to_json(),
        position: 0,
    })
}

pub(crate) fn membership(user: u128, role: WorkspaceRole) -> Fact {
    Fact::Tuple(sentinel::membership(id(ACME), id(user), role))
}

/// Everything that is true in the beginning.
pub(crate) fn facts() -> Vec<Fact> {
    let name = |text: &str| text.parse().expect("a name");
    let (service, kind) = (name("docs"), "document".parse().expect("a type"));
    let (olga, vera): (UserId, UserId) = (id(OLGA), id(VERA));
    let resource = |document, workspace: u128| {
        let workspace: WorkspaceId = id(workspace);
        sentinel::resource_tuples(&service, &kind, document, workspace, false, Some(olga)).expect("valid")
    };
    let share = sentinel::share(&service, &kind, DOCUMENT, Grantee::User(vera), ShareLevel::View);
    let action = "reports:export".parse().expect("an action");
    let mut tuples = resource(DOCUMENT, ACME);
    tuples.extend(resource(FOREIGN, OTHER));
    tuples.push(share.expect("valid"));
    tuples.push(sentinel::role_in_workspace(id(21), id(ACME)));
    tuples.push(sentinel::role_assignee(id(21), Grantee::User(id(EDDA))));
    tuples.push(sentinel::grant(id(ACME), &service, &action, id(21)).expect("valid"));
    tuples.push(sentinel::membership(id(OTHER), olga, WorkspaceRole::Owner));
    let mut facts: Vec<Fact> = tuples.into_iter().map(Fact::Tuple).collect();
    facts.extend([
        signing_key_fact(),
        service_key_fact(None),
        membership(OLGA, WorkspaceRole::Owner),
        membership(EDDA, WorkspaceRole::Editor),
        membership(VERA, WorkspaceRole::Viewer),
    ]);
    facts
}

/// The model of the service `docs`.
pub(crate) const FOLDERS: &str = "model
  schema 1.1
type user
type folder
  relations
    define workspace: [workspace]
    define parent: [folder]
    define viewer: [user, group#member]
    define can_read: viewer or can_read from parent
    define child: [folder]
";

pub(crate) fn model(text: &str) -> Fact {
    Fact::Model(ModelFact {
        service: "docs".parse().expect("a name"),
        version: 1,
        text: text.to_owned(),
    })
}

/// A tuple, with a person's or a workspace's number in angle brackets in place of his id.
pub(crate) fn tuple(text: &str) -> Fact {
    Fact::Tuple(relation(text))
}

pub(crate) fn relation(text: &str) -> Tuple {
    let id = |number: &str| Uuid::from_u128(number.parse().expect("a number")).to_string();
    let text = match text.split_once('<') {
        Some((before, number)) => format!("{before}{}", id(number.trim_end_matches('>'))),
        None => text.to_owned(),
    };
    text.parse().expect("a tuple")
}

/// The folders 7 (in 1) and 1 of `ACME`, which Vera may read, and 9 of `OTHER`, which Olga may read as well as 7.
pub(crate) fn folders() -> Vec<Fact> {
    let mut all = facts();
    all.push(model(FOLDERS));
    all.extend(
        [
            "docs/folder:7#workspace@workspace:<1>",
            "docs/folder:1#workspace@workspace:<1>",
            "docs/folder:9#workspace@workspace:<2>",
            "docs/folder:7#parent@docs/folder:1",
            "docs/folder:1#viewer@user:<13>",
            "docs/folder:7#viewer@user:<11>",
            "docs/folder:9#viewer@user:<11>",
            "docs/folder:9#viewer@user:<13>",
        ]
        .map(tuple),
    );
    all
}

/// The state with these facts at revision 10.
pub(crate) fn state(facts: Vec<Fact>) -> ReplicaState {
    ReplicaState::from_snapshot(revision(10), facts).expect("consistent")
}
