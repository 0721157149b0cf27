//! The configuration files of both programs, as an operator would write them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;

use super::{PROVIDER, State, Urls};
use crate::provider::Client;
use crate::scene::random_hex;

/// The model of the service's own types, which its folders are judged by.
pub const MODEL: &str = include_str!("docs.fga");

/// How long the edge goes on deciding without the control plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Staleness {
    /// On the routes to documents.
    pub documents: Duration,
    /// On all other routes.
    pub others: Duration,
}

/// What the control plane's file is made from.
pub(super) struct ControlPlane<'a> {
    pub(super) state: &'a State,
    pub(super) urls: &'a Urls,
    pub(super) client: &'a Client,
    pub(super) admin_email: &'a str,
    pub(super) database_url: Option<&'a str>,
    pub(super) redis_url: Option<&'a str>,
    pub(super) per_minute: Option<u32>,
}

/// What the proxy's file is made from.
pub(super) struct Proxy<'a> {
    pub(super) state: &'a State,
    pub(super) urls: &'a Urls,
    pub(super) edge_key: &'a Path,
    pub(super) staleness: Staleness,
}

/// Writes the control plane's file.
pub(super) fn control_plane(from: &ControlPlane<'_>) -> Result<PathBuf> {
    let secret = from.state.write("provider.secret", &from.client.secret)?;
    let general = format!(
        "# Written by the quickstart, for development only.\n\
         listen: {{ http: {http}, admin: {admin} }}\n\
         public_url: {url}\n\
         data_dir: {data}\n",
        http = address(&from.urls.control_plane),
        admin = address(&from.urls.control_plane_admin),
        url = from.urls.control_plane,
        data = quoted(&from.state.path("control-plane").to_string_lossy()),
    );
    let database = match from.database_url {
        None => String::new(),
        Some(url) => {
            let key = from.state.write("encryption.key", &random_hex())?;
            let (url, key) = (quoted(url), quoted(&key.to_string_lossy()));
            format!("database: {{ url: {url} }}\nsecrets: {{ encryption_key_file: {key} }}\n")
        }
    };
    let short_lived = from.redis_url.map_or_else(String::new, |url| {
        format!("short_lived: {{ redis_url: {} }}\n", quoted(url))
    });
    let limits = from.per_minute.map_or_else(String::new, |number| {
        format!("limits: {{ logins_per_minute: {number}, writes_per_minute: {number} }}\n")
    });
    let login = format!(
        "login:\n\
         \x20 admin_emails: [{email}]\n\
         \x20 providers:\n\
         \x20   - name: {PROVIDER}\n\
         \x20     kind: oidc\n\
         \x20     issuer: {issuer}\n\
         \x20     client_id: {client}\n\
         \x20     client_secret_file: {secret}\n",
        email = from.admin_email,
        issuer = from.urls.provider,
        client = from.client.id,
        secret = quoted(&secret.to_string_lossy()),
    );
    from.state.write(
        "control-plane.yaml",
        &[general, database, short_lived, limits, login].concat(),
    )
}

/// Writes the proxy's file.
pub(super) fn proxy(from: &Proxy<'_>) -> Result<PathBuf> {
    let text = format!(
        "# Written by the quickstart, for development only.\n\
         listen: {{ http: {http}, admin: {admin} }}\n\
         control_plane: {{ url: {control_plane}, edge_key_file: {key} }}\n\
         state_dir: {data}\n\
         max_staleness: {others}s\n\
         hosts: any\n\
         models: {{ docs: ./docs.fga }}\n\
         upstreams:\n\
         \x20 docs: {{ url: {upstream}, assertion: true }}\n\
         {routes}",
        http = address(&from.urls.proxy),
        admin = address(&from.urls.proxy_admin),
        control_plane = from.urls.control_plane,
        key = quoted(&from.edge_key.to_string_lossy()),
        data = quoted(&from.state.path("proxy").to_string_lossy()),
        others = from.staleness.others.as_secs(),
        routes = routes(from.staleness.documents),
        upstream = from.urls.upstream,
    );
    from.state.write("docs.fga", MODEL)?;
    from.state.write("edge.yaml", &text)
}

/// The policy. Damage to it is tried out in the proxy's own tests.
fn routes(staleness: Duration) -> String {
    format!(
        "routes:\n\
         \x20 - match: GET /healthz\n\
         \x20   to: docs\n\
         \x20   public: true\n\
         \x20 - match: GET /signed-in\n\
         \x20   to: docs\n\
         \x20   public: true\n\
         \x20 - match: GET /documents/{{doc_id}}\n\
         \x20   to: docs\n\
         \x20   require: {{ permission: \"docs/document/{{doc_id}}#view\" }}\n\
         \x20   max_staleness: {documents}s\n\
         \x20 - match: PUT /documents/{{doc_id}}\n\
         \x20   to: docs\n\
         \x20   require: {{ permission: \"docs/document/{{doc_id}}#edit\" }}\n\
         \x20   max_staleness: {documents}s\n\
         \x20 - match: GET /folders/{{folder_id}}\n\
         \x20   to: docs\n\
         \x20   require: {{ permission: \"docs/folder:{{folder_id}}#can_read\" }}\n\
         \x20 - match: GET /about\n\
         \x20   to: docs\n\
         \x20   require: {{ role: viewer }}\n\
         \x20 - match: GET /admin\n\
         \x20   to: docs\n\
         \x20   require: {{ role: owner }}\n\
         \x20 - match: POST /internal/reindex\n\
         \x20   to: docs\n\
         \x20   credentials: service\n\
         \x20   require: {{ service: docs }}\n\
         \x20 - match: GET /reports/{{doc_id}}\n\
         \x20   to: docs\n\
         \x20   credentials: user_and_service\n\
         \x20   require: {{ service: docs, permission: \"docs/document/{{doc_id}}#view\" }}\n",
        documents = staleness.as_secs(),
    )
}

fn address(url: &str) -> &str {
    url.trim_start_matches("http://")
}

/// A text as YAML reads it back unchanged: JSON's quoting is YAML's as well.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_is_the_one_that_the_proxys_tests_damage() {
        let damaged = include_str!("../../../../proxy/tests/policies/quickstart.yaml");
        assert!(damaged.ends_with(&routes(Duration::from_secs(5))), "{damaged}");
        assert_eq!(MODEL, include_str!("../../../../proxy/tests/policies/docs.fga"));
    }

    #[test]
    fn texts_are_quoted_and_addresses_are_cut() {
        assert_eq!(quoted(r#"/a "b" \c"#), r#""/a \"b\" \\c""#);
        assert_eq!(address("http://127.0.0.1:9003"), "127.0.0.1:9003");
    }
}
