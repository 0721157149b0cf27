//! The policy, compiled: for a request, the one route that counts.
//!
//! A named host goes before a wildcard, and this before any host; for one host the most specific path wins (`trie`), and
//! for one path the route with the most conditions that are met (`conditions`), whatever the order in the file. What no
//! route is for is nobody's, and so is what only looks like a literal of a path, or like an id where ids are: it is not
//! forwarded.
//!
//! Conditions choose between routes and protect nothing: a client who leaves out, doubles or misspells what they ask for is
//! judged by the next route, so each must ask by itself for all that its service needs.

mod conditions;
mod lenient;
mod shown;
mod trie;

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::HeaderMap;
use percent_encoding::percent_decode_str;
use prometheus::IntCounter;
use sentinel_authz::{Model, sentinel};
use sentinel_config::edge::{
    self, Access, Config, Expected, HostPattern, PathPattern, RoutePattern, RouteSettings, Segment,
};

use crate::authn::Accepts;
use crate::relations::{self, InvalidModels, Wanted};
use crate::request::{CanonicalRequest, Target};
use crate::traffic::{InvalidTraffic, Traffic};
use crate::upstreams::Upstream;
use conditions::Conditions;
pub(crate) use shown::Described;
use trie::{Piece, Trie};

/// One route of the policy.
#[derive(Debug)]
pub struct Route {
    name: Box<str>,
    params: Vec<(Box<str>, usize)>,
    tail: Option<usize>,
    access: Access,
    reads_models: bool,
    upstream_name: Box<str>,
    upstream: Arc<Upstream>,
    max_staleness: Duration,
    timeout: Duration,
    accepts: Accepts,
    traffic: Traffic,
    settings: RouteSettings,
    permitted: OnceLock<IntCounter>,
}

/// All routes.
#[derive(Debug)]
pub struct Table {
    routes: Vec<Arc<Route>>,
    exact: HashMap<Box<str>, Trie<Choices>>,
    /// By what stands behind the first dot.
    wildcard: HashMap<Box<str>, Trie<Choices>>,
    any: Trie<Choices>,
    /// Sentinel's model, and those of services that stand beside the policy as files.
    model: Arc<Model>,
}

/// The routes with one method, host and path, those with the most conditions first.
#[derive(Debug, Default)]
struct Choices(Vec<Choice>);

/// A route, by its number, and what a request must have besides.
#[derive(Debug)]
struct Choice {
    conditions: Conditions,
    route: usize,
}

impl Choices {
    fn pick(&self, fields: &HeaderMap, query: &str) -> Option<usize> {
        let met = self
            .0
            .iter()
            .find(|choice| choice.conditions.are_met(fields, query));
        met.map(|choice| choice.route)
    }
}

/// Why routes are not a policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRoutes {
    /// Two routes are for the same requests.
    #[error(
        "`{first}` and `{second}` are for the same requests, for example {example}: remove one, or make one of them more specific"
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
    /// A condition speaks of a header field that there cannot be.
    #[error("`{route}` asks for the header field `{name}`, and that is no name of one: choose another")]
    Condition {
        /// The route.
        route: String,
        /// The name.
        name: String,
    },
    /// A route has a rule that cannot be followed.
    #[error("`{route}`: {reason}")]
    Traffic {
        /// The route.
        route: String,
        /// What is wrong with the rule.
        reason: InvalidTraffic,
    },
    /// The models of services and the routes do not go together.
    #[error(transparent)]
    Models(#[from] InvalidModels),
}

impl Table {
    /// The routes of a configuration.
    ///
    /// # Errors
    /// Two routes of equal rank, a route without an upstream, or one that asks for what its service's model does not have.
    pub fn compile(config: &Config) -> Result<Self, InvalidRoutes> {
        let mut table = Self::of(config, &config.routes)?;
        table.model = relations::declared(config, &Wanted::all(&table))?;
        Ok(table)
    }

    /// Some routes of a configuration: to find out what would be without the others.
    ///
    /// # Errors
    /// Two routes of equal rank, or a route without an upstream.
    pub fn of<'r>(
        config: &Config,
        routes: impl IntoIterator<Item = &'r edge::Route>,
    ) -> Result<Self, InvalidRoutes> {
        let upstreams: HashMap<&str, Arc<Upstream>> = config
            .upstreams
            .iter()
            .map(|(name, upstream)| (name.as_str(), Arc::new(Upstream::from_config(upstream))))
            .collect();
        let mut table = Self {
            routes: Vec::new(),
            exact: HashMap::new(),
            wildcard: HashMap::new(),
            any: Trie::default(),
            model: sentinel::model(),
        };
        for (number, route) in routes.into_iter().enumerate() {
            let upstream = upstreams
                .get(route.to.as_str())
                .ok_or_else(|| InvalidRoutes::Upstream {
                    route: route.pattern.to_string(),
                    to: route.to.clone(),
                })?;
            table.insert(
                route,
                Route {
                    name: name(route).into(),
                    params: params(&route.pattern.path),
                    tail: tail(&route.pattern.path),
                    access: route.access.clone(),
                    reads_models: !relations::in_access(&route.access).is_empty(),
                    upstream_name: route.to.as_str().into(),
                    upstream: Arc::clone(upstream),
                    max_staleness: config.max_staleness(route),
                    timeout: config.timeout(route),
                    accepts: Accepts::from_settings(
                        &route.settings,
                        config
                            .upstream(route)
                            .and_then(|upstream| upstream.service.as_ref()),
                    ),
                    traffic: Traffic::compile(config, route, number).map_err(|reason| {
                        InvalidRoutes::Traffic {
                            route: route.pattern.to_string(),
                            reason,
                        }
                    })?,
                    settings: route.settings.clone(),
                    permitted: OnceLock::new(),
                },
            )?;
        }
        Ok(table)
    }

    /// The route for a request with these header fields.
    pub fn find(&self, request: &CanonicalRequest, fields: &HeaderMap) -> Option<&Arc<Route>> {
        let host = request.host.name();
        let exact = self.exact.get(host);
        let wildcard = || {
            let (_, parent) = host.split_once('.').filter(|_| !self.wildcard.is_empty())?;
            self.wildcard.get(parent)
        };
        let path = request.target.segments();
        let pick = |choices: &Choices| choices.pick(fields, request.target.query());
        let find = |trie: &Trie<Choices>| trie.find(path.clone(), request.method.as_str(), &pick);
        // What looks like a literal leads nowhere, and not to a host that is less specific.
        let found = exact.map_or(Ok(None), find).ok()?;
        let found = match found {
            None => wildcard().map_or(Ok(None), find).ok()?,
            found => found,
        };
        let found = match found {
            None => find(&self.any).ok()?,
            found => found,
        };
        self.routes.get(found?)
    }

    /// Sentinel's model, and those of services that stand beside the policy as files: its tests are judged by it, and no
    /// request.
    pub fn declared_model(&self) -> &Arc<Model> {
        &self.model
    }

    /// All routes, in the order of the file.
    pub fn routes(&self) -> impl ExactSizeIterator<Item = &Route> {
        self.routes.iter().map(AsRef::as_ref)
    }

    fn insert(&mut self, from: &edge::Route, route: Route) -> Result<(), InvalidRoutes> {
        let RoutePattern { method, host, path } = &from.pattern;
        let trie = match host {
            HostPattern::Exact(host) => self.exact.entry(host.as_str().into()).or_default(),
            HostPattern::Wildcard(parent) => self.wildcard.entry(parent.as_str().into()).or_default(),
            HostPattern::Any => &mut self.any,
        };
        let conditions =
            Conditions::compile(&from.settings.when).map_err(|field| InvalidRoutes::Condition {
                route: route.name().to_owned(),
                name: field.0,
            })?;
        let Choices(alike) = trie.entry(&pieces(path), method.as_str());
        for known in alike.iter() {
            let earlier = self.routes.get(known.route);
            let both = earlier.and_then(|earlier| earlier.settings.when.tie(&from.settings.when));
            if let (Some(earlier), Some(both)) = (earlier, both) {
                return Err(InvalidRoutes::Tie {
                    first: earlier.name().to_owned(),
                    second: route.name().to_owned(),
                    example: edge::example_request(&from.pattern, &both),
                });
            }
        }
        let at = alike.partition_point(|known| known.conditions.count() >= conditions.count());
        let new = Choice {
            conditions,
            route: self.routes.len(),
        };
        alike.insert(at, new);
        self.routes.push(Arc::new(route));
        Ok(())
    }
}

impl Route {
    /// The route as the operator wrote it, with its conditions.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Who may pass.
    pub fn access(&self) -> &Access {
        &self.access
    }

    /// Whether relations of services' own models decide about it.
    pub fn reads_models(&self) -> bool {
        self.reads_models
    }

    /// The counter of requests that were permitted by this route, which `find` finds by the route's name the first time.
    pub fn permitted(&self, find: impl FnOnce(&str) -> IntCounter) -> &IntCounter {
        self.permitted.get_or_init(|| find(&self.name))
    }

    /// The service that the route leads to.
    pub fn upstream(&self) -> &Arc<Upstream> {
        &self.upstream
    }

    /// What the operator called that service.
    pub fn upstream_name(&self) -> &str {
        &self.upstream_name
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

    /// What the route does with requests besides deciding about them.
    pub fn traffic(&self) -> &Traffic {
        &self.traffic
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

    /// What the tail of the path stands for, as it stands in the target: segments in canonical spelling with slashes between
    /// them, and none before.
    pub fn tail<'t>(&self, target: &'t Target) -> Option<&'t str> {
        let (slash, _) = target.path().match_indices('/').nth(self.tail?)?;
        target.path().get(slash.checked_add(1)?..)
    }
}

/// What a route is known by: its pattern and, behind `when`, what else a request must have.
fn name(route: &edge::Route) -> String {
    let when = &route.settings.when;
    let mut name = route.pattern.to_string();
    let shown = |expected: &Expected| match expected {
        Expected::Any => "*".to_owned(),
        Expected::Exactly(value) => value.clone(),
    };
    let fields = when
        .headers
        .iter()
        .map(|(field, expected)| format!("{field}: {}", shown(expected)));
    let parameters = when
        .query
        .iter()
        .map(|(parameter, expected)| format!("?{parameter}={}", shown(expected)));
    let conditions: Vec<String> = fields.chain(parameters).collect();
    if !conditions.is_empty() {
        name.push_str(" when ");
        name.push_str(&conditions.join(", "));
    }
    name
}

fn pieces(path: &PathPattern) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = path
        .segments
        .iter()
        .map(|segment| match segment {
            // INVARIANT: a literal of a pattern is UTF-8 when decoded; what were not could never match.
            Segment::Literal(text) => Piece::Literal(percent_decode_str(text).decode_utf8_lossy().into()),
            Segment::Param { kind, .. } => Piece::Parameter(*kind),
            Segment::Tail(_) => Piece::Tail,
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
            Segment::Param { name, .. } => Some((name.as_str().into(), index)),
            Segment::Literal(_) | Segment::Tail(_) => None,
        })
        .collect()
}

fn tail(path: &PathPattern) -> Option<usize> {
    let is_tail = |segment: &Segment| matches!(segment, Segment::Tail(_));
    path.segments.iter().position(is_tail)
}

#[cfg(test)]
mod differential;
#[cfg(test)]
mod tests;
