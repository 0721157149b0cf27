//! Routes: for which requests, to which service, for whom.

use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::browser::check_route as check_login;
use super::conditions::Conditions;
use super::issuer::check_route as check_tokens;
use super::path::PathPattern;
use super::pattern::{HostPattern, RoutePattern};
use super::relation::Upstream;
use super::replicate;
use super::requirement::{IdTemplate, Requirement};
use super::ties;
use super::traffic::{Cors, HeaderRules, Mode, RateLimit, Strangers, check_route as check_traffic};
use super::upstream::TIMEOUTS;
use super::{Hosts, STALENESS};
use crate::schema::SectionSchema;
use crate::section::{Place, Reader, Section, Setting, section};
use crate::tree::Data;
use crate::value::{ByteSize, between, read_list, read_text, words};

/// One route.
#[derive(Debug, Clone)]
pub struct Route {
    /// Which requests it is for.
    pub pattern: RoutePattern,
    /// The name of the upstream that they are forwarded to.
    pub to: String,
    /// Who may pass.
    pub access: Access,
    /// Everything else.
    pub settings: RouteSettings,
}

section! {
    /// What a route may say besides its requests, its service and who may pass.
    check check_settings;
    pub struct RouteSettings {
        /// What a request must have besides method, host and path.
        pub when: Conditions = "{}",
        /// Which tokens make a user: `access` (an access token of the control plane), `authz` (an authz token together with
        /// the ID token of an issuer with `tokens: identity`), and the names of issuers with `tokens: access`.
        pub tokens: Vec<String> = r#"["access"]"#,
        /// Whether the access token is also taken from the session cookie. Then a method that changes something must come
        /// from a page of the same origin.
        pub cookie: bool = "false",
        /// Whether a browser without a session is sent to login, by the edge's `login`. Needs `cookie: true`.
        pub login: bool = "false",
        /// How long the service has for its answer, 10ms to 1h. Default: as its upstream says.
        pub timeout: Option<Duration>,
        /// How long the edge decides for this route while it is out of touch with the control plane, 1s to 1d. Default: as
        /// the edge says.
        pub max_staleness: Option<Duration>,
        /// How often a request with an idempotent method is tried again on another connection when the service could not be
        /// reached, 0 to 3.
        pub retries: u32 = "1",
        /// The largest body of a request; a larger one is answered with 413. Default: `limits.max_body`.
        pub max_body: Option<ByteSize>,
        /// How many requests one caller may make.
        pub rate_limit: Option<RateLimit>,
        /// Which pages of other origins may use the route. Default: none.
        pub cors: Option<Cors>,
        /// The path that the service is asked for in place of the one that was matched, such as `/v2/items/{id}`. The
        /// decision is about the path that was matched.
        pub rewrite: Option<PathPattern>,
        /// Changes to the header of requests on the way to the service.
        pub request_headers: HeaderRules = "{}",
        /// Changes to the header of answers on the way to the client.
        pub response_headers: HeaderRules = "{}",
        /// What a caller is told who was recognised and may not.
        pub strangers: Strangers = "forbidden",
        /// Whether the decision counts.
        pub mode: Mode = "enforce",
    }
}

/// Who may pass a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// Everybody, with or without credentials.
    Public,
    /// Whoever shows the credentials of the tier and meets the requirement.
    Protected {
        /// The credentials that are asked for.
        credentials: CredentialTier,
        /// What must hold of the caller.
        require: Requirement,
    },
}

words! {
    /// The credentials that a route asks for.
    pub enum CredentialTier {
        /// A user's access token.
        User = "user",
        /// A service key.
        Service = "service",
        /// Both.
        UserAndService = "user_and_service",
        /// Either, or both.
        UserOrService = "user_or_service",
    }
}

impl CredentialTier {
    /// Whether a user's access token is accepted.
    pub const fn takes_user(self) -> bool {
        !matches!(self, Self::Service)
    }

    /// Whether a service key is accepted.
    pub const fn takes_service(self) -> bool {
        !matches!(self, Self::User)
    }
}

/// The policy: routes of which no two are of equal rank for one request.
#[derive(Debug, Clone)]
pub struct Routes(Vec<Route>);

impl Routes {
    /// The routes, in the order of the file. The order means nothing.
    pub fn iter(&self) -> std::slice::Iter<'_, Route> {
        self.0.iter()
    }
}

impl<'a> IntoIterator for &'a Routes {
    type Item = &'a Route;
    type IntoIter = std::slice::Iter<'a, Route>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl Setting for Routes {
    fn read(place: &Place<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let routes = read_list(place, reader, Route::read)?;
        ties::report(place, reader);
        routes.into_iter().collect::<Option<Vec<Route>>>().map(Self)
    }

    fn describe(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "array", "items": generator.subschema_for::<Route>() })
    }
}

impl Route {
    fn read(place: &Place<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let mut section = Section::open(place, reader)?;
        let pattern = read_pattern(&mut section, reader);
        let to = read_target(&mut section, reader);
        let upstream = to.as_deref().map(|name| Upstream::named(name, reader));
        let access = read_access(&mut section, pattern.as_ref(), upstream.as_ref(), reader);
        let settings = RouteSettings::take_from(&mut section, reader);
        let browsers = settings
            .as_ref()
            .map_or((false, false), |settings| (settings.cookie, settings.login));
        check_login(browsers, pattern.as_ref(), &section, reader);
        if let Some(settings) = &settings {
            check_tokens(settings, access.as_ref(), to.as_deref(), &mut section, reader);
        }
        if let Some(settings) = &settings {
            check_traffic(settings, pattern.as_ref(), access.as_ref(), &section, reader);
        }
        section.finish(reader);
        Some(Self {
            pattern: pattern?,
            to: to?,
            access: access?,
            settings: settings?,
        })
    }
}

fn check_settings(settings: &RouteSettings, section: &Section<'_>, reader: &mut Reader<'_>) {
    if let Some(timeout) = settings.timeout {
        between(section, "timeout", timeout, TIMEOUTS, reader);
    }
    if let Some(bound) = settings.max_staleness {
        between(section, "max_staleness", bound, STALENESS, reader);
    }
}

impl Setting for PathPattern {
    fn read(place: &Place<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        if place.node.as_text().is_some_and(|text| !text.starts_with('/')) {
            reader.problem(
                place,
                "a path is expected: it begins with `/`, as in `/v2/items/{id}`",
            );
            return None;
        }
        read_text(place, reader)
    }

    fn describe(generator: &mut SchemaGenerator) -> Schema {
        String::describe(generator)
    }
}

fn read_pattern(section: &mut Section<'_>, reader: &mut Reader<'_>) -> Option<RoutePattern> {
    let Some(place) = section.get("match") else {
        section.missing("match", reader);
        return None;
    };
    let pattern: RoutePattern = read_text(&place, reader)?;
    let hosts = reader.root.get("hosts").and_then(|node| node.as_text());
    if pattern.host == HostPattern::Any && hosts != Some(Hosts::Any.as_str()) {
        reader.problem(&place, "the host is missing before the path: name it, or set `hosts: any` to let routes match every host");
        return None;
    }
    Some(pattern)
}

fn read_target(section: &mut Section<'_>, reader: &mut Reader<'_>) -> Option<String> {
    let Some(place) = section.get("to") else {
        section.missing("to", reader);
        return None;
    };
    let name = String::read(&place, reader)?;
    let upstreams = reader.root.get("upstreams").map(|node| &node.data);
    let known: Vec<&str> = match upstreams {
        Some(Data::Map(entries)) => entries.iter().map(|entry| entry.key.as_str()).collect(),
        _ => Vec::new(),
    };
    if known.contains(&name.as_str()) {
        return Some(name);
    }
    let hint = if known.is_empty() {
        "there are none yet".to_owned()
    } else {
        format!("there are `{}`", known.join("`, `"))
    };
    reader.problem(&place, format!("`{name}` is not one of `upstreams`: {hint}"));
    None
}

/// Exactly one of `public: true` and `require`. There is no third way and no default.
fn read_access(
    section: &mut Section<'_>,
    pattern: Option<&RoutePattern>,
    upstream: Option<&Upstream>,
    reader: &mut Reader<'_>,
) -> Option<Access> {
    let public = section.get("public");
    let require = section.get("require");
    let credentials = section.get("credentials");
    match (public, require) {
        (None, None) => {
            let place = section.place().clone();
            reader.problem(
                &place,
                "the route says neither `public: true` nor `require`: say who may pass",
            );
            None
        }
        (Some(public), Some(_)) => {
            reader.problem(&public, "`public` and `require` contradict each other: keep one");
            None
        }
        (Some(public), None) => {
            let is_public = bool::read(&public, reader)?;
            if !is_public {
                reader.problem(
                    &public,
                    "`public: false` does not say who may pass: replace it with `require`",
                );
                return None;
            }
            if let Some(credentials) = credentials {
                reader.problem(&credentials, "a public route asks for no credentials: remove the line, or replace `public` with `require`");
                return None;
            }
            Some(Access::Public)
        }
        (None, Some(require)) => {
            let credentials = match credentials {
                Some(place) => CredentialTier::read(&place, reader),
                None => Some(CredentialTier::User),
            };
            let place = require;
            let require = Requirement::read(&place, upstream, reader, &|demand, place, reader| {
                check_demand(demand, place, credentials, pattern, reader);
            });
            if let Some(require) = &require {
                replicate::check_route(require, &place, reader);
            }
            Some(Access::Protected {
                credentials: credentials?,
                require: require?,
            })
        }
    }
}

/// A demand can be met with the route's credentials, and speaks of parameters that the path has.
fn check_demand(
    demand: &Requirement,
    place: &Place<'_>,
    credentials: Option<CredentialTier>,
    pattern: Option<&RoutePattern>,
    reader: &mut Reader<'_>,
) {
    let of_user = matches!(
        demand,
        Requirement::Role(_) | Requirement::Action(_) | Requirement::Permission(_) | Requirement::Relation(_)
    );
    let of_service = matches!(demand, Requirement::Service(_));
    if let Some(tier) = credentials {
        if of_user && !tier.takes_user() {
            reader.problem(place, format!("this asks for a user, and `credentials: {tier}` takes none: use `user`, `user_and_service` or `user_or_service`"));
        }
        if of_service && !tier.takes_service() {
            reader.problem(place, format!("this asks for a service, and `credentials: {tier}` takes no service key: use `service`, `user_and_service` or `user_or_service`"));
        }
    }
    replicate::check_demand(demand, place, reader);
    let id = match demand {
        Requirement::Permission(template) => &template.id,
        Requirement::Relation(template) => &template.id,
        _ => return,
    };
    let (IdTemplate::Param(name), Some(pattern)) = (id, pattern) else {
        return;
    };
    if pattern.path.tail() == Some(name) {
        reader.problem(
            place,
            format!("`{{{name}*}}` takes several segments, and an object has one id: name a parameter of one segment"),
        );
    } else if !pattern.path.params().any(|param| param == name) {
        let path = &pattern.path;
        reader.problem(
            place,
            format!("the path `{path}` has no parameter `{{{name}}}`: name one that it has"),
        );
    }
}

impl JsonSchema for Route {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Route".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut section = SectionSchema::new("A route: for which requests, to which service, for whom.");
        let text = |generator: &mut SchemaGenerator| String::describe(generator);
        let doc = "The method, host and path of the requests, for example `GET docs.example.com/documents/{doc_id}`. `*.example.com` is any one label before `example.com`. `{name}` is one segment; `{name:uuid}`, `{name:int}` and `{name:slug}` ask for its form; `{name*}` at the end is all the rest, one segment or more. `GET` does not include `HEAD`, and `/a` is not `/a/`.";
        let mut pattern = text(generator);
        pattern.insert(
            "pattern".to_owned(),
            "^(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) (\\*\\.)?[a-z0-9.:\\[\\]-]*/".into(),
        );
        section.property("match", pattern, doc, None);
        section.property(
            "to",
            text(generator),
            "The upstream that requests are forwarded to.",
            None,
        );
        section.property(
            "public",
            json_schema!({ "const": true }),
            "Everybody may pass, with or without credentials. Stands in place of `require`.",
            None,
        );
        let require = generator.subschema_for::<Requirement>();
        section.property(
            "require",
            require,
            "What must hold of the caller. Several keys must all hold.",
            None,
        );
        let tier = CredentialTier::describe(generator);
        let doc = "The credentials that the route asks for. Only together with `require`.";
        section.property("credentials", tier, doc, Some("user"));
        RouteSettings::describe_into(&mut section, generator);
        section.require("match");
        section.require("to");
        section
            .rule(serde_json::json!({ "oneOf": [{ "required": ["public"] }, { "required": ["require"] }] }));
        section.rule(serde_json::json!({ "not": { "required": ["public", "credentials"] } }));
        section.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tier_takes_what_its_name_says() {
        let takes = |tier: CredentialTier| (tier.takes_user(), tier.takes_service());
        assert_eq!(takes(CredentialTier::User), (true, false));
        assert_eq!(takes(CredentialTier::Service), (false, true));
        assert_eq!(takes(CredentialTier::UserAndService), (true, true));
        assert_eq!(takes(CredentialTier::UserOrService), (true, true));
        assert_eq!(CredentialTier::ALL.len(), 4);
    }
}
