//! The identity providers that people log in with. What may be written depends on the kind; what comes of it is one
//! [`Provider`] with everything that is needed.

use schemars::{Schema, SchemaGenerator, json_schema};
use secrecy::SecretString;
use serde_json::{Value, json};

use super::PLAINTEXT;
use crate::section::{Place, Reader, Setting};
use crate::value::{HttpUrl, NAME_RULE, is_name, words};

const GOOGLE: &str = "https://accounts.google.com";
const ENTRA: &str = "https://login.microsoftonline.com";
const GITHUB: &str = "https://github.com";
const GITHUB_API: &str = "https://api.github.com";

/// The tenant of all personal accounts, which is what `consumers` means.
const PERSONAL: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";

/// An identity provider.
#[derive(Debug, Clone)]
pub struct Provider {
    /// Its name in addresses and in linked accounts.
    pub name: String,
    /// How to talk to it, and where it is.
    pub endpoint: ProviderEndpoint,
    /// The client id that it gave to this control plane.
    pub client_id: String,
    /// The client secret that it gave to this control plane; always there for GitHub.
    pub client_secret: Option<SecretString>,
    /// The scopes to ask for.
    pub scopes: Vec<String>,
    /// Whether a login links to the account with the same verified e-mail address.
    pub link_by_verified_email: bool,
}

/// How to talk to a provider, and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProviderEndpoint {
    /// OpenID Connect with discovery; also Google.
    Oidc {
        /// The issuer.
        issuer: HttpUrl,
    },
    /// One tenant of Microsoft Entra ID.
    EntraId {
        /// The tenant's GUID, in lower case.
        tenant_id: String,
        /// The tenant's issuer.
        issuer: HttpUrl,
    },
    /// GitHub, or GitHub Enterprise Server.
    GitHub {
        /// Where people log in.
        url: HttpUrl,
        /// Where the API is.
        api_url: HttpUrl,
    },
}

words! {
    /// The kind of an identity provider.
    pub enum ProviderKind {
        /// OpenID Connect with discovery.
        Oidc = "oidc",
        /// Google.
        Google = "google",
        /// Microsoft Entra ID, one tenant.
        EntraId = "entra_id",
        /// GitHub, or GitHub Enterprise Server.
        GitHub = "github",
    }
}

#[expect(unreachable_pub, reason = "sections are declared public")]
mod written {
    use secrecy::SecretString;

    use super::ProviderKind;
    use crate::section::section;
    use crate::value::HttpUrl;

    section! {
        /// An identity provider.
        pub struct Provider {
            /// The name in addresses (`/auth/login/<name>`) and in linked accounts: 1 to 63 characters from `a-z 0-9 _ -`,
            /// the first a letter. It must never change, since accounts are keyed by it.
            ///
            /// Default: the kind; with `kind: oidc` it must be written.
            pub name: Option<String>,
            /// The kind: `oidc` for every OpenID provider with discovery, and three that are known by name. Microsoft Entra
            /// ID is keyed on tenant and object id, and GitHub, which speaks no OpenID Connect, on its numeric id.
            pub kind: ProviderKind = "oidc",
            /// The issuer, of `oidc`. Its discovery document is at `/.well-known/openid-configuration` below it. Of
            /// `entra_id` only where a sovereign cloud has another one than
            /// `https://login.microsoftonline.com/<tenant_id>/v2.0`.
            pub issuer: Option<HttpUrl>,
            /// The tenant, of `entra_id`: its GUID. Who signs in with another tenant is refused.
            pub tenant_id: Option<String>,
            /// Where people log in, of `github`: another address than GitHub's own for GitHub Enterprise Server.
            ///
            /// Default: `https://github.com`.
            pub url: Option<HttpUrl>,
            /// Where the API is, of `github`: for GitHub Enterprise Server usually `/api/v3` below `url`.
            ///
            /// Default: `https://api.github.com`.
            pub api_url: Option<HttpUrl>,
            /// The client id that the provider gave to this control plane.
            pub client_id: Option<String>,
            /// The client secret that the provider gave to this control plane. Left out for a public client, which proves
            /// itself by PKCE alone; `github` has none.
            pub client_secret: Option<SecretString>,
            /// The scopes to ask for. `openid` is one of them; with `github`, `user:email` or `user` is.
            ///
            /// Default: `openid email profile`; with `github`, `read:user user:email`.
            pub scopes: Option<Vec<String>>,
            /// Link a login to an existing account with the same e-mail address, if the provider says that the address is
            /// verified. Only for providers that really verify: whoever controls one controls the accounts. An account is
            /// linked only if every provider that it is known at has this set: one that has not may have made it with
            /// somebody else's address.
            pub link_by_verified_email: bool = "false",
        }
    }
}

/// Settings that only some kinds have.
const OF_SOME: [(&str, &[ProviderKind]); 4] = [
    ("issuer", &[ProviderKind::Oidc, ProviderKind::EntraId]),
    ("tenant_id", &[ProviderKind::EntraId]),
    ("url", &[ProviderKind::GitHub]),
    ("api_url", &[ProviderKind::GitHub]),
];

impl Setting for Provider {
    fn read(place: &Place<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let before = reader.problems.len();
        let written = written::Provider::read(place, reader)?;
        let kind = written.kind;
        for (key, kinds) in OF_SOME {
            if !kinds.contains(&kind) && place.node.get(key).is_some() {
                let kinds: Vec<&str> = kinds.iter().map(|kind| kind.as_str()).collect();
                reader.problem(
                    &place.child(key),
                    format!(
                        "`{key}` belongs to `kind: {}`, and this is `kind: {kind}`: remove it",
                        kinds.join("` and `kind: ")
                    ),
                );
            }
        }
        let name = name(&written, place, reader);
        let endpoint = endpoint(&written, place, reader);
        let scopes = scopes(&written, place, reader);
        if kind == ProviderKind::GitHub && written.client_secret.is_none() {
            reader.problem_at(
                place.node.at.clone(),
                format!("{}.client_secret", place.path),
                "`client_secret` or `client_secret_file` is missing: GitHub has no public clients",
            );
        }
        if written.client_id.is_none() {
            missing(place, "client_id", reader);
        }
        if reader.problems.len() > before {
            return None;
        }
        Some(Self {
            name: name?,
            endpoint: endpoint?,
            client_id: written.client_id?,
            client_secret: written.client_secret,
            scopes,
            link_by_verified_email: written.link_by_verified_email,
        })
    }

    fn describe(generator: &mut SchemaGenerator) -> Schema {
        let mut all = vec![written::Provider::describe(generator).to_value()];
        all.extend(ProviderKind::ALL.iter().map(|kind| rule(*kind)));
        json_schema!({ "allOf": all })
    }
}

/// What a kind needs and must not have.
fn rule(kind: ProviderKind) -> Value {
    let required: &[&str] = match kind {
        ProviderKind::Oidc => &["client_id", "name", "issuer"],
        ProviderKind::Google | ProviderKind::GitHub => &["client_id"],
        ProviderKind::EntraId => &["client_id", "tenant_id"],
    };
    let others = OF_SOME.iter().filter(|(_, kinds)| !kinds.contains(&kind));
    let none: serde_json::Map<String, Value> =
        others.map(|(key, _)| ((*key).to_owned(), json!(false))).collect();
    // The kind may be left out only where it has its default.
    let is_kind = if kind == ProviderKind::Oidc {
        json!({ "properties": { "kind": { "const": kind.as_str() } } })
    } else {
        json!({ "properties": { "kind": { "const": kind.as_str() } }, "required": ["kind"] })
    };
    json!({ "if": is_kind, "then": { "required": required, "properties": none } })
}

/// Says that a setting without a default is not written.
fn missing(place: &Place<'_>, key: &str, reader: &mut Reader<'_>) {
    reader.problem_at(
        place.node.at.clone(),
        format!("{}.{key}", place.path),
        format!("`{key}` is missing: it has no default"),
    );
}

fn name(written: &written::Provider, place: &Place<'_>, reader: &mut Reader<'_>) -> Option<String> {
    let Some(name) = &written.name else {
        if written.kind == ProviderKind::Oidc {
            missing(place, "name", reader);
            return None;
        }
        return Some(written.kind.as_str().to_owned());
    };
    if !is_name(name) {
        reader.problem(
            &place.child("name"),
            format!("`{name}` is not a name: {NAME_RULE}"),
        );
    }
    Some(name.clone())
}

fn endpoint(
    written: &written::Provider,
    place: &Place<'_>,
    reader: &mut Reader<'_>,
) -> Option<ProviderEndpoint> {
    match written.kind {
        ProviderKind::Oidc => {
            if written.issuer.is_none() {
                missing(place, "issuer", reader);
            }
            Some(ProviderEndpoint::Oidc {
                issuer: written.issuer.clone()?,
            })
        }
        ProviderKind::Google => Some(ProviderEndpoint::Oidc {
            issuer: GOOGLE.parse().ok()?,
        }),
        ProviderKind::EntraId => {
            let tenant_id = tenant_id(written, place, reader)?;
            let issuer = match &written.issuer {
                Some(issuer) => issuer.clone(),
                None => format!("{ENTRA}/{tenant_id}/v2.0").parse().ok()?,
            };
            Some(ProviderEndpoint::EntraId { tenant_id, issuer })
        }
        ProviderKind::GitHub => {
            let half = match (&written.url, &written.api_url) {
                (Some(_), None) => Some(("url", "api_url")),
                (None, Some(_)) => Some(("api_url", "url")),
                _ => None,
            };
            if let Some((one, other)) = half {
                reader.problem(
                    &place.child(one),
                    format!(
                        "`{other}` is missing: a GitHub Enterprise Server has an address of its own for both"
                    ),
                );
            }
            let or = |url: Option<&HttpUrl>, default: &str| url.cloned().or_else(|| default.parse().ok());
            Some(ProviderEndpoint::GitHub {
                url: or(written.url.as_ref(), GITHUB)?,
                api_url: or(written.api_url.as_ref(), GITHUB_API)?,
            })
        }
    }
}

/// The tenant's GUID. A word for many tenants would let everybody in who has an account anywhere.
fn tenant_id(written: &written::Provider, place: &Place<'_>, reader: &mut Reader<'_>) -> Option<String> {
    let Some(tenant) = &written.tenant_id else {
        missing(place, "tenant_id", reader);
        return None;
    };
    let message = match tenant.to_ascii_lowercase().as_str() {
        word @ ("common" | "organizations" | "consumers" | PERSONAL) => {
            format!(
                "`{word}` is not one tenant, but lets everybody in: the GUID of your own tenant is expected"
            )
        }
        guid if is_guid(guid) => return Some(guid.to_owned()),
        other => format!(
            "`{other}` is not a tenant: its GUID is expected, such as `8f14e45f-ceea-467f-a5a1-0e3d6ad0b7c2`"
        ),
    };
    reader.problem(&place.child("tenant_id"), message);
    None
}

/// Whether a text is a GUID: 8, 4, 4, 4 and 12 hexadecimal digits.
fn is_guid(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12])
        && parts
            .iter()
            .all(|part| part.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn scopes(written: &written::Provider, place: &Place<'_>, reader: &mut Reader<'_>) -> Vec<String> {
    let is_github = written.kind == ProviderKind::GitHub;
    let Some(scopes) = &written.scopes else {
        let default: &[&str] = if is_github {
            &["read:user", "user:email"]
        } else {
            &["openid", "email", "profile"]
        };
        return default.iter().map(|scope| (*scope).to_owned()).collect();
    };
    let has = |wanted: &str| scopes.iter().any(|scope| scope == wanted);
    let place = place.child("scopes");
    if is_github && !has("user:email") && !has("user") {
        reader.problem(
            &place,
            "`user:email` is missing: without it GitHub does not say which e-mail address is verified",
        );
    } else if !is_github && !has("openid") {
        reader.problem(
            &place,
            "`openid` is missing: without it the provider says nothing about who logged in",
        );
    }
    scopes.clone()
}

impl Provider {
    /// Its addresses that were written by hand carry credentials: they are encrypted or on this machine.
    pub(super) fn check_addresses(&self, place: &Place<'_>, reader: &mut Reader<'_>) {
        let addresses = match &self.endpoint {
            ProviderEndpoint::Oidc { issuer } | ProviderEndpoint::EntraId { issuer, .. } => {
                vec![("issuer", issuer)]
            }
            ProviderEndpoint::GitHub { url, api_url } => vec![("url", url), ("api_url", api_url)],
        };
        for (key, url) in addresses {
            if !url.is_https() && !url.is_loopback() {
                reader.problem(&place.child(key), PLAINTEXT);
            }
        }
    }
}
