//! The policy, compiled: for a request, the one route that counts.
//!
//! A named host goes before any host, and on one host the most specific path wins ([`trie`]), whatever the order in the
//! file. What no route is for is nobody's, and so is what only looks like a literal of a path: it is not forwarded.

mod trie;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use sentinel_config::edge::{Access, Config, HostPattern, PathPattern, RoutePattern, RouteSettings, Segment};

use crate::authn::Accepts;
use crate::request::{CanonicalRequest, Target};
use crate::upstreams::Upstream;
use trie::{Piece, Trie};

/// One route of the policy.
#[derive(Debug)]
pub struct Route {
    name: Box<str>,
    params: Vec<(Box<str>, usize)>,
    access: Access,
    upstream_name: Box<str>,
    upstream: Arc<Upstream>,
    max_staleness: Duration,
    timeout: Duration,
    accepts: Accepts,
    settings: RouteSettings,
}

/// All routes.
#[derive(Debug)]
pub struct Table {
    routes: Vec<Arc<Route>>,
    named: HashMap<Box<str>, Trie<usize>>,
    any: Trie<usize>,
}

/// Why routes are not a policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRoutes {
    /// Two routes are for the same requests.
    #[error(
        "`{first}` and `{second}` are for the same requests, for example `{example}`: remove one, or make one of them more specific"
    )]
    Tie {
        /// The one that was there.
        first: String,
        /// The one that came after.
        second: String,
        /// A request that both match.
        example: String,
    },
    /// A route leads nowhere.
    #[error("`{route}` leads to `{to}`, which is not one of the upstreams: name one that is")]
    Upstream {
        /// The route.
        route: String,
        /// Where it leads.
        to: String,
    },
}

impl Table {
    /// The routes of a configuration.
    ///
    /// # Errors
    /// Two routes of equal rank, or a route without an upstream.
    pub fn compile(config: &Config) -> Result<Self, InvalidRoutes> {
        let upstreams: HashMap<&str, Arc<Upstream>> = config
            .upstreams
            .iter()
            .map(|(name, upstream)| (name.as_str(), Arc::new(Upstream::from_config(upstream))))
            .collect();
        let mut table = Self {
            routes: Vec::new(),
            named: HashMap::new(),
            any: Trie::default(),
        };
        for route in &config.routes {
            let upstream = upstreams
                .get(route.to.as_str())
                .ok_or_else(|| InvalidRoutes::Upstream {
                    route: route.pattern.to_string(),
                    to: route.to.clone(),
                })?;
            table.insert(
                &route.pattern,
                Route {
                    name: route.pattern.to_string().into(),
                    params: params(&route.pattern.path),
                    access: route.access.clone(),
                    upstream_name: route.to.as_str().into(),
                    upstream: Arc::clone(upstream),
                    max_staleness: config.max_staleness(route),
                    timeout: config.timeout(route),
                    accepts: Accepts::from_settings(&route.settings),
                    settings: route.settings.clone(),
                },
            )?;
        }
        Ok(table)
    }

    /// The route for a request.
    pub fn find(&self, request: &CanonicalRequest) -> Option<&Arc<Route>> {
        let (path, method) = (request.target.segments(), request.method.as_str());
        let named = self.named.get(request.host.name());
        let named = named
            .map_or(Ok(None), |trie| trie.find(path.clone(), method))
            .ok()?;
        let index = match named {
            Some(index) => index,
            None => self.any.find(path, method).ok()??,
        };
        self.routes.get(index)
    }

    /// All routes, in the order of the file.
    pub fn routes(&self) -> impl ExactSizeIterator<Item = &Route> {
        self.routes.iter().map(AsRef::as_ref)
    }

    fn insert(&mut self, pattern: &RoutePattern, route: Route) -> Result<(), InvalidRoutes> {
        let trie = match &pattern.host {
            HostPattern::Exact(host) => self.named.entry(host.as_str().into()).or_default(),
            HostPattern::Any => &mut self.any,
        };
        trie.insert(&pieces(&pattern.path), pattern.method.as_str(), self.routes.len())
            .map_err(|earlier| InvalidRoutes::Tie {
                first: self
                    .routes
                    .get(earlier)
                    .map_or("", |first| first.name())
                    .to_owned(),
                second: route.name().to_owned(),
                example: pattern.example(),
            })?;
        self.routes.push(Arc::new(route));
        Ok(())
    }
}

impl Route {
    /// The route as the operator wrote it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Who may pass.
    pub fn access(&self) -> &Access {
        &self.access
    }

    /// The service that the route leads to.
    pub fn upstream(&self) -> &Arc<Upstream> {
        &self.upstream
    }

    /// How old the replica's knowledge may be.
    pub fn max_staleness(&self) -> Duration {
        self.max_staleness
    }

    /// How long the service has for its answer.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// How a user may show who he is.
    pub fn accepts(&self) -> &Accepts {
        &self.accepts
    }

    /// Everything else that the operator said about the route.
    pub fn settings(&self) -> &RouteSettings {
        &self.settings
    }

    /// The decoded segment that a parameter of the path stands for.
    pub fn param<'t>(&self, name: &str, target: &'t Target) -> Option<&'t str> {
        let (_, index) = self.params.iter().find(|(known, _)| **known == *name)?;
        target.segments().nth(*index).filter(|value| !value.is_empty())
    }
}

/// The line of a route in the table that `check` prints.
impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {}", self.name, self.upstream_name)?;
        match &self.access {
            Access::Public => f.write_str("  public"),
            Access::Protected { credentials, require } => {
                write!(f, "  {credentials}: {}", Described(require))
            }
        }?;
        write!(
            f,
            "  (max_staleness {:?}, timeout {:?})",
            self.max_staleness, self.timeout
        )
    }
}

/// A requirement in words.
struct Described<'a>(&'a sentinel_config::edge::Requirement);

impl fmt::Display for Described<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use sentinel_config::edge::{IdTemplate, Requirement};
        let joined = |f: &mut fmt::Formatter<'_>, all: &[Requirement], word: &str| {
            f.write_str("(")?;
            for (index, one) in all.iter().enumerate() {
                if index > 0 {
                    f.write_str(word)?;
                }
                Described(one).fmt(f)?;
            }
            f.write_str(")")
        };
        match self.0 {
            Requirement::All(all) => joined(f, all, " and "),
            Requirement::Any(any) => joined(f, any, " or "),
            Requirement::SignedIn => f.write_str("signed in"),
            Requirement::Role(role) => write!(f, "role {role}"),
            Requirement::Action(action) => write!(f, "action {}/{}", action.service, action.action),
            Requirement::Service(service) => write!(f, "service {service}"),
            Requirement::Permission(template) => {
                write!(f, "permission {}/{}/", template.service, template.resource_type)?;
                match &template.id {
                    IdTemplate::Param(name) => write!(f, "{{{name}}}"),
                    IdTemplate::Literal(id) => f.write_str(id),
                }?;
                write!(f, "#{}", template.permission)
            }
        }
    }
}

fn pieces(path: &PathPattern) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = path
        .segments
        .iter()
        .map(|segment| match segment {
            // INVARIANT: a literal of a pattern is UTF-8 when decoded; what were not could never match.
            Segment::Literal(text) => Piece::Literal(percent_decode_str(text).decode_utf8_lossy().into()),
            Segment::Param(_) => Piece::Parameter,
        })
        .collect();
    if path.trailing_slash {
        pieces.push(Piece::Literal("".into()));
    }
    pieces
}

fn params(path: &PathPattern) -> Vec<(Box<str>, usize)> {
    let named = path.segments.iter().enumerate();
    named
        .filter_map(|(index, segment)| match segment {
            Segment::Param(name) => Some((name.as_str().into(), index)),
            Segment::Literal(_) => None,
        })
        .collect()
}

#[cfg(test)]
mod tests;
