//! Protected routes that a public one would stand in for if they were lost, with no test that would notice.
//!
//! A route that vanishes from the file leaves its requests to the next less specific one. Where that is public, whoever edits
//! the file by mistake opens what was closed, and nothing but a test can tell.

use std::fmt;

use sentinel_config::edge::{Access, Config, Route, TestRequest};

use super::{Attempt, Caller, try_out};
use crate::routes::Table;

/// A route that nobody would miss.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unwatched {
    route: String,
    public: String,
    example: TestRequest,
}

impl fmt::Display for Unwatched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (route, public, example) = (&self.route, &self.public, &self.example);
        write!(
            f,
            "without `{route}` everybody could pass by `{public}`, and no test would notice: add one such as `{{ request: \"{example}\", expect: 401 }}`"
        )
    }
}

/// The protected routes whose requests a public route matches as well, and about which no test says that somebody is refused.
pub fn unwatched(config: &Config, table: &Table) -> Vec<Unwatched> {
    let public: Vec<(&Route, Table)> = config
        .routes
        .iter()
        .filter(|route| route.access == Access::Public)
        .filter_map(|route| Some((route, Table::of(config, [route]).ok()?)))
        .collect();
    if public.is_empty() {
        return Vec::new();
    }
    let watched = watched(config, table);
    let protected = config
        .routes
        .iter()
        .filter(|route| route.access != Access::Public);
    protected
        .filter_map(|route| {
            let example = example(route)?;
            let attempt = Attempt::new(&example, &[], Caller::default(), &config.session_cookie);
            let (request, fields) = attempt.request().ok()?;
            let (other, _) = public
                .iter()
                .find(|(_, alone)| alone.find(request, fields).is_some())?;
            let own = Table::of(config, [route]).ok()?;
            let name = own.routes().next()?.name().to_owned();
            (!watched.contains(&name)).then(|| Unwatched {
                route: name,
                public: other.pattern.to_string(),
                example,
            })
        })
        .collect()
}

/// The names of the routes by which a test is refused.
fn watched(config: &Config, table: &Table) -> Vec<String> {
    let verdicts = config
        .tests
        .iter()
        .filter_map(|test| try_out(config, table, test).ok());
    verdicts
        .filter(|(_, verdict)| verdict.outcome.is_err())
        .filter_map(|(_, verdict)| verdict.route)
        .map(|route| route.name().to_owned())
        .collect()
}

/// A request that the route is for, leaving its conditions aside.
fn example(route: &Route) -> Option<TestRequest> {
    let text = route.pattern.example();
    let (method, address) = text.split_once(' ')?;
    format!("{method} https://{address}").parse().ok()
}
