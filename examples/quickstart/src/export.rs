//! `--export`: everything that an outside client needs, as one JSON file that only its owner can read.

use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};

use crate::api::SERVICE;
use crate::provider::people::OPERATOR;
use crate::scene::Session;
use crate::system::{System, write_private};
use crate::tour::{Cast, Document};

/// Writes the file. It has live credentials in it.
///
/// # Errors
/// The file cannot be written.
pub fn write(file: &Path, system: &System, cast: &Cast) -> Result<()> {
    let text = serde_json::to_string_pretty(&describe(system, cast))?;
    write_private(file, &format!("{text}\n"))
}

fn describe(system: &System, cast: &Cast) -> Value {
    let urls = &system.urls;
    json!({
        "control_plane": urls.control_plane,
        "control_plane_admin": urls.control_plane_admin,
        "proxy": urls.proxy,
        "edge_admin": urls.proxy_admin,
        "issuer": urls.control_plane,
        "provider": urls.provider,
        "provider_name": cast.door.provider,
        "upstream": urls.upstream,
        "signing_key_path": system.signing_key,
        "state": system.state.path(""),
        "admin": { "email": OPERATOR.email, "cookie": { "admin_token": cast.admin.expose() } },
        "users": { "alice": user(&cast.alice), "bob": user(&cast.bob) },
        "workspace": { "id": cast.workspace, "slug": "acme" },
        "group": { "id": cast.group, "members": [cast.bob.user] },
        "client_app": { "id": cast.door.client_app, "redirect_uri": cast.door.redirect_uri },
        "service_app": { "id": cast.service_app, "service_name": SERVICE },
        "service_key": cast.key.expose(),
        "documents": {
            "private": document(&cast.private, "alice"),
            "shared": document(&cast.shared, "alice, and the group's members"),
        },
        "routes": routes(cast),
    })
}

fn user(session: &Session) -> Value {
    json!({
        "id": session.user,
        "email": session.person.email,
        "name": session.person.name,
        "access_token": session.access.expose(),
        "refresh_token": session.refresh.expose(),
    })
}

fn document(document: &Document, readers: &str) -> Value {
    json!({ "id": document.id, "permission_id": document.permission, "readers": readers })
}

fn routes(cast: &Cast) -> Value {
    let shared = &cast.shared.id;
    json!([
        { "method": "GET", "path": "/healthz", "credentials": "none" },
        { "method": "GET", "path": format!("/documents/{shared}"), "credentials": "user" },
        { "method": "PUT", "path": format!("/documents/{shared}"), "credentials": "user" },
        { "method": "GET", "path": "/about", "credentials": "user" },
        { "method": "GET", "path": "/admin", "credentials": "user" },
        { "method": "POST", "path": "/internal/reindex", "credentials": "service" },
        { "method": "GET", "path": format!("/reports/{shared}"), "credentials": "user_and_service" },
    ])
}
