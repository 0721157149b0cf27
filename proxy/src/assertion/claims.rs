//! What an assertion says. Documented for those who verify it in `docs/assertion.md`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sentinel_core::id::WorkspaceId;
use sentinel_core::{Revision, WorkspaceRole};
use sentinel_token::sha256;
use serde::{Serialize, Serializer};

use super::{About, LIFETIME};
use crate::decide::Permit;

/// A longer path or query is given by its SHA-256: servers limit the length of a header, and it has come once already.
const LONGEST: usize = 1024;

/// The claims, in the order in which they are written.
#[derive(Serialize)]
pub(super) struct Claims<'a> {
    iss: &'a str,
    aud: &'a str,
    iat: i64,
    exp: i64,
    jti: &'a str,
    sub: Subject<'a>,
    #[serde(flatten)]
    bound: Bound<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wid: Option<WorkspaceId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wslug: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wrole: Option<WorkspaceRole>,
    #[serde(skip_serializing_if = "Option::is_none")]
    svc: Option<&'a str>,
    route: &'a str,
    rev: Revision,
}

/// The request that it holds for.
#[derive(Serialize)]
pub(super) struct Bound<'a> {
    htm: &'a str,
    host: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    query: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    query_sha256: Option<String>,
}

/// Who is calling, in one word that no two kinds of caller can share.
struct Subject<'a>(&'a Permit);

impl<'a> Claims<'a> {
    pub(super) fn new(issuer: &'a str, about: About<'a>, bound: Bound<'a>) -> Self {
        let permit = about.permit;
        let member = permit.member();
        let user = member.map(|(user, _)| user);
        let now = about.now.timestamp();
        Self {
            iss: issuer,
            aud: permit.route().upstream_name(),
            iat: now,
            exp: now.saturating_add(LIFETIME),
            jti: about.id.as_str(),
            sub: Subject(permit),
            bound,
            email: user.and_then(|user| user.email.as_deref()),
            name: user.and_then(|user| user.name.as_deref()),
            wid: user.map(|user| user.workspace),
            wslug: user.map(|user| user.workspace_slug.as_str()),
            wrole: member.map(|(_, role)| role),
            svc: permit.service().map(|service| service.name.as_str()),
            route: permit.route().name(),
            rev: about.revision,
        }
    }
}

impl<'a> Bound<'a> {
    /// The method, the `Host`, and the target byte for byte.
    pub(super) fn new(method: &'a str, host: &'a str, target: &'a str) -> Self {
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target, None),
        };
        let (path, path_sha256) = short_or_hashed(Some(path));
        let (query, query_sha256) = short_or_hashed(query);
        Self {
            htm: method,
            host,
            path,
            path_sha256,
            query,
            query_sha256,
        }
    }
}

fn short_or_hashed(text: Option<&str>) -> (Option<&str>, Option<String>) {
    match text {
        Some(long) if long.len() > LONGEST => (None, Some(URL_SAFE_NO_PAD.encode(sha256(long.as_bytes())))),
        short => (short, None),
    }
}

impl Serialize for Subject<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Some((user, _)) = self.0.member() {
            serializer.collect_str(&format_args!("user:{}", user.id))
        } else if let Some(user) = self.0.principal().external_user() {
            serializer.collect_str(&format_args!("external:{}|{}", user.issuer, user.subject))
        } else if let Some(service) = self.0.service() {
            serializer.collect_str(&format_args!("service:{}", service.name))
        } else {
            serializer.serialize_str("anonymous")
        }
    }
}
