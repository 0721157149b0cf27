//! What a route does with requests besides deciding about them, compiled when the policy is loaded.

use sentinel_config::edge::{Config, Mode, Route};

use crate::cors::CorsPolicy;
use crate::header_rules::HeaderChanges;
use crate::limits::Rate;
use crate::rewrite::Rewrite;

/// The rules of one route.
#[derive(Debug, Clone)]
pub struct Traffic {
    /// Whether a decision against a request is only logged and counted.
    pub is_shadow: bool,
    /// The largest body of a request, in bytes.
    pub max_body: u64,
    /// How often a service that could not be reached is tried again.
    pub retries: u32,
    /// How many requests one caller may make.
    pub rate: Option<Rate>,
    /// Which pages of other origins may use it.
    pub cors: Option<CorsPolicy>,
    /// The path that the service is asked for.
    pub rewrite: Option<Rewrite>,
    /// Changes to requests.
    pub request_headers: HeaderChanges,
    /// Changes to answers of the service.
    pub response_headers: HeaderChanges,
}

/// A rule that cannot be followed, by the text that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTraffic {
    /// A header field that cannot be written.
    #[error("`{0}` cannot be written in a header field")]
    Field(String),
    /// A parameter that the path of the route does not have.
    #[error("`rewrite` names the parameter `{0}`, which the path of the route does not have")]
    Parameter(String),
}

impl Traffic {
    /// The rules of the route with this number.
    ///
    /// # Errors
    /// A rule cannot be followed. A configuration that was read has none.
    pub fn compile(config: &Config, route: &Route, number: usize) -> Result<Self, InvalidTraffic> {
        let settings = &route.settings;
        let rewrite = settings.rewrite.as_ref();
        Ok(Self {
            is_shadow: settings.mode == Mode::Shadow,
            max_body: settings.max_body.unwrap_or(config.limits.max_body).bytes(),
            retries: settings.retries,
            rate: settings.rate_limit.as_ref().map(|limit| Rate::new(limit, number)),
            cors: match &settings.cors {
                Some(cors) => Some(CorsPolicy::compile(cors).map_err(InvalidTraffic::Field)?),
                None => None,
            },
            rewrite: rewrite
                .map(|to| Rewrite::compile(to, &route.pattern.path))
                .transpose()
                .map_err(InvalidTraffic::Parameter)?,
            request_headers: HeaderChanges::compile(&settings.request_headers)
                .map_err(InvalidTraffic::Field)?,
            response_headers: HeaderChanges::compile(&settings.response_headers)
                .map_err(InvalidTraffic::Field)?,
        })
    }
}
