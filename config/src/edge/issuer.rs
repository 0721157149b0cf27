//! Issuers of tokens besides the control plane.

use std::path::PathBuf;
use std::time::Duration;

use super::Config;
use super::requirement::Requirement;
use super::route::{Access, RouteSettings};
use crate::section::{Place, Reader, Section, section};
use crate::tree::{Data, Node};
use crate::value::{HttpUrl, between, words};

section! {
    /// Somebody besides the control plane whose tokens are verified: an identity provider, or another issuer of access
    /// tokens.
    check check;
    pub struct Issuer {
        /// What `iss` must be, exactly.
        pub issuer: String,
        /// What `aud` must have one of, exactly. At least one.
        pub audiences: Vec<String>,
        /// What its tokens are good for.
        pub tokens: IssuedTokens,
        /// Where its keys are (a JWK Set, RFC 7517 §5). They are fetched in the background and kept while it cannot be reached.
        ///
        /// Default: what `<issuer>/.well-known/openid-configuration` says, unless `keys_file` is set.
        pub jwks_url: Option<HttpUrl>,
        /// A file with its keys (a JWK Set), in place of fetching them.
        pub keys_file: Option<PathBuf>,
        /// How often the keys are fetched anew, 1m to 1d.
        pub refresh: Duration = "1h",
        /// How far its clock may be off, 0s to 30s.
        pub leeway: Duration = "10s",
    }
}

words! {
    /// What an issuer's tokens are good for.
    pub enum IssuedTokens {
        /// ID tokens of an identity provider. They say who somebody is and open nothing by themselves: an authz token of the
        /// control plane goes with them (`tokens: [authz]` of a route).
        Identity = "identity",
        /// Access tokens. They are accepted by themselves where a route names the issuer in `tokens`. Their bearer is signed
        /// in and a member of no workspace.
        Access = "access",
    }
}

/// The words of `tokens` that name no issuer.
const OWN_TOKENS: [&str; 2] = ["access", "authz"];

impl Issuer {
    /// Where its discovery document is (OpenID Connect Discovery 1.0 §4.1), if its keys are to be found by that.
    pub fn discovery_url(&self) -> Option<HttpUrl> {
        if self.jwks_url.is_some() || self.keys_file.is_some() {
            return None;
        }
        let base = self.issuer.trim_end_matches('/');
        format!("{base}/.well-known/openid-configuration").parse().ok()
    }
}

fn check(issuer: &Issuer, section: &Section<'_>, reader: &mut Reader<'_>) {
    let name = section
        .place()
        .path
        .rsplit('.')
        .next()
        .unwrap_or_default()
        .to_owned();
    if OWN_TOKENS.contains(&name.as_str()) {
        reader.problem(
            section.place(),
            format!("`{name}` is a word of the control plane's own tokens: give the issuer another name"),
        );
    }
    let twin = issuers(reader).find(|(other, node)| {
        *other != name && node.get("issuer").and_then(|node| node.as_text()) == Some(issuer.issuer.as_str())
    });
    if let Some((twin, _)) = twin.filter(|(twin, _)| **twin < *name) {
        let message =
            format!("`{twin}` is the same issuer: a token could mean either, so write all audiences there");
        reader.problem(&section.place_of("issuer"), message);
    }
    if issuer.audiences.is_empty() {
        reader.problem(&section.place_of("audiences"), "without an audience no token could be accepted: name at least one, as the issuer writes it into `aud`");
    }
    let hours = (Duration::from_mins(1), Duration::from_hours(24));
    between(section, "refresh", issuer.refresh, hours, reader);
    let seconds = (Duration::ZERO, Duration::from_secs(30));
    between(section, "leeway", issuer.leeway, seconds, reader);
    check_source(issuer, section, reader);
}

/// Where the keys come from: one place, which nobody on the way can change.
fn check_source(issuer: &Issuer, section: &Section<'_>, reader: &mut Reader<'_>) {
    let is_safe = |url: &HttpUrl| url.is_https() || url.is_loopback();
    match (&issuer.jwks_url, &issuer.keys_file) {
        (Some(_), Some(_)) => reader.problem(
            &section.place_of("keys_file"),
            "`jwks_url` and `keys_file` contradict each other: keep one",
        ),
        (Some(url), None) if !is_safe(url) => reader.problem(
            &section.place_of("jwks_url"),
            "`http://` is accepted for this machine only, since whoever changes the keys on the way can make tokens: use `https://`",
        ),
        (None, None) if !issuer.discovery_url().as_ref().is_some_and(is_safe) => reader.problem(
            &section.place_of("issuer"),
            "the keys cannot be found by this: it is not an `https` address. Write `jwks_url` or `keys_file`",
        ),
        _ => {}
    }
}

/// The issuers of the file, by name, as they are written.
fn issuers<'n>(reader: &Reader<'n>) -> impl Iterator<Item = (&'n str, &'n Node)> + use<'n> {
    let entries = match reader.root.get("issuers").map(|node| &node.data) {
        Some(Data::Map(entries)) => entries.as_slice(),
        _ => &[],
    };
    entries.iter().map(|entry| (entry.key.as_str(), &entry.node))
}

fn makes(node: &Node, what: IssuedTokens) -> bool {
    node.get("tokens").and_then(|node| node.as_text()) == Some(what.as_str())
}

/// The tokens that a route takes are there, and somebody can pass with them.
pub(super) fn check_route(
    settings: &RouteSettings,
    access: Option<&Access>,
    to: Option<&str>,
    section: &mut Section<'_>,
    reader: &mut Reader<'_>,
) {
    let (written, cookie) = (section.get("tokens"), section.get("cookie"));
    let takes_no_user = match access {
        Some(Access::Public) => Some("a public route asks for no token"),
        Some(Access::Protected { credentials, .. }) if !credentials.takes_user() => {
            Some("the route takes no user's token, by its `credentials`")
        }
        _ => None,
    };
    if let Some(why) = takes_no_user {
        for place in [written, cookie.filter(|_| settings.cookie)]
            .into_iter()
            .flatten()
        {
            reader.problem(&place, format!("{why}: remove the line"));
        }
        return;
    }
    if settings.cookie && !settings.tokens.iter().any(|word| word == "access") {
        let message = "the session cookie carries an access token, which the route does not take: add `access` to `tokens`, or remove the line";
        reader.problem(&section.place_of("cookie"), message);
    }
    let Some(place) = written else { return };
    if settings.tokens.is_empty() {
        reader.problem(
            &place,
            "nobody could pass: name the tokens that the route takes, such as `access`",
        );
    }
    for (index, word) in settings.tokens.iter().enumerate() {
        let item = place.nth(index).unwrap_or_else(|| place.clone());
        if settings.tokens.iter().take(index).any(|earlier| earlier == word) {
            reader.problem(&item, format!("`{word}` stands there twice: keep one"));
        } else {
            check_word(word, to, &item, reader);
        }
    }
    let only_external = !settings
        .tokens
        .iter()
        .any(|word| OWN_TOKENS.contains(&word.as_str()));
    if let Some(Access::Protected { require, .. }) = access
        && only_external
        && asks_for_member(require)
    {
        reader.problem(&section.place_of("require"), "this asks for a member of a workspace, and the bearer of another issuer's token is none: use `signed_in: true`, or add `access` or `authz` to `tokens`");
    }
}

/// One word of `tokens`.
fn check_word(word: &str, to: Option<&str>, place: &Place<'_>, reader: &mut Reader<'_>) {
    match word {
        "access" => {}
        "authz" => {
            if !issuers(reader).any(|(_, node)| makes(node, IssuedTokens::Identity)) {
                reader.problem(place, "an authz token goes with an ID token, and no issuer makes any: add one with `tokens: identity` to `issuers`");
            }
            let upstream = reader
                .root
                .get("upstreams")
                .zip(to)
                .and_then(|(all, to)| all.get(to));
            if upstream.is_some_and(|upstream| upstream.get("service").is_none()) {
                reader.problem(place, "an authz token is made for one service, and the upstream does not say which it is: add `service` to the upstream");
            }
        }
        name => match issuers(reader).find(|(known, _)| *known == name) {
            Some((_, node)) if makes(node, IssuedTokens::Identity) => reader.problem(
                place,
                format!("the ID tokens of `{name}` open nothing by themselves: write `authz`"),
            ),
            Some(_) => {}
            None => {
                let known: Vec<&str> = OWN_TOKENS
                    .into_iter()
                    .chain(
                        issuers(reader)
                            .filter(|(_, node)| makes(node, IssuedTokens::Access))
                            .map(|(name, _)| name),
                    )
                    .collect();
                reader.problem(
                    place,
                    format!("`{name}` is no kind of token: there are `{}`", known.join("`, `")),
                );
            }
        },
    }
}

/// Whether a part of it can be met by members of a workspace only.
fn asks_for_member(requirement: &Requirement) -> bool {
    match requirement {
        Requirement::All(parts) | Requirement::Any(parts) => parts.iter().any(asks_for_member),
        Requirement::Role(_)
        | Requirement::Action(_)
        | Requirement::Permission(_)
        | Requirement::Relation(_) => true,
        Requirement::SignedIn | Requirement::Service(_) => false,
    }
}

/// What must hold of the whole configuration.
pub(super) fn check_root(config: &Config, section: &Section<'_>, reader: &mut Reader<'_>) {
    check_session_cookie(&config.session_cookie, section, reader);
    for (name, issuer) in &config.issuers {
        if issuer.issuer == config.control_plane.issuer() {
            let place = section.place_of("issuers").child(name).child("issuer");
            reader.problem(&place, "this is the control plane itself, whose tokens are known by `control_plane`: remove the issuer");
        }
    }
}

/// The name of the session cookie is one of a cookie that no other host can set (RFC 6265bis §4.1.3.2): whoever could would
/// sign people in as somebody else.
fn check_session_cookie(name: &str, section: &Section<'_>, reader: &mut Reader<'_>) {
    let is_token = name.len() <= 64
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    if !is_token {
        reader.problem(
            &section.place_of("session_cookie"),
            format!("`{name}` is not the name of a cookie: at most 64 characters from `A-Z a-z 0-9 _ -` are expected"),
        );
    } else if !name.starts_with("__Host-") && reader.root.get("login").is_none() {
        reader.problem(
            &section.place_of("session_cookie"),
            format!("a neighbouring host could set a cookie named `{name}`: begin the name with `__Host-`"),
        );
    }
}
