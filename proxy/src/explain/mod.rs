//! Why a request is let through or not: the route, the credentials, the requirement demand by demand, and the tuples that
//! decide. Judged by the code that judges every request, from the replica that an edge keeps on disk.

mod demands;
mod related;
mod report;
mod who;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use secrecy::ExposeSecret as _;
use sentinel_authz::sentinel;
use sentinel_config::edge::{Access, Config, TestRequest, TestToken};
use sentinel_core::id::{UserId, WorkspaceId};
use sentinel_core::principal::{ExternalUser, Service};
use sentinel_core::{Denial, Fact, Timestamp, WorkspaceRole};
use sentinel_feed::{ReplicaState, Stored};
use sentinel_token::PlainEdgeKey;
use uuid::Uuid;

use crate::answer::told;
use crate::decide::Knowledge;
use crate::policy_tests::{Attempt, Caller, Court, Verdict, user};
use crate::routes::Table;
use demands::Judge;

pub use demands::Demand;
pub use report::{Answer, Member, Replica, Report, RouteFound};
pub use who::{InvalidWho, Who};

/// How long the credentials of a caller who is asked about are good.
const VALID: Duration = Duration::from_mins(1);

/// What is asked.
#[derive(Debug, Clone)]
pub struct Question {
    /// The request.
    pub request: TestRequest,
    /// Its header fields, without those that carry credentials.
    pub fields: Vec<(String, String)>,
    /// Who makes it: at most one user and one service.
    pub who: Vec<Who>,
    /// The workspace that the user's token is limited to. Needed if he is a member of several.
    pub workspace: Option<WorkspaceId>,
    /// How the user's token comes.
    pub token: TestToken,
}

/// What the edge of this configuration has on disk. It may be running.
///
/// # Errors
/// It cannot be read, or there is nothing that could be used.
pub fn stored(config: &Config, now: Timestamp) -> Result<Stored> {
    let edge_key: PlainEdgeKey = control_plane_key(config)?;
    let dir: &Path = &config.state_dir;
    let stored = sentinel_feed::stored(dir, edge_key.feed_key(), now)
        .with_context(|| format!("the replica in `{}` cannot be read", dir.display()))?;
    stored.with_context(|| {
        format!(
            "there is no replica in `{}` that this edge's control plane has signed: an edge must have been in touch with it",
            dir.display()
        )
    })
}

fn control_plane_key(config: &Config) -> Result<PlainEdgeKey> {
    let text = config.control_plane.edge_key.expose_secret();
    text.trim().parse().context(
        "`control_plane.edge_key` cannot be used: take the whole line that enrolling this edge printed",
    )
}

/// Why the request would be let through or not.
///
/// # Errors
/// The question leaves something open.
pub fn explain(config: &Config, stored: &Stored, question: &Question, now: Timestamp) -> Result<Report> {
    let table = Table::compile(config)?;
    let state = &stored.state;
    let (caller, workspace) = caller(config, question, state, now)?;
    let unusable = unusable(&caller, state, now);
    let attempt = Attempt::new(
        &question.request,
        &question.fields,
        caller.clone(),
        &config.session_cookie,
    );
    let court = Court {
        table: &table,
        known: Knowledge::replica(state, now),
    };
    let verdict = court.judge(&attempt);
    let route = verdict.route.as_ref();
    let max_staleness = route.map_or(config.max_staleness, |route| route.max_staleness());
    let freshness = match stored.age {
        None => Err(Denial::ReplicaNotReady),
        Some(age) if age > max_staleness => Err(Denial::ReplicaStale),
        Some(_) => Ok(()),
    };
    let asks_nothing = route.is_some_and(|route| *route.access() == Access::Public) && question.is_nobody();
    let decision = match (route, &unusable) {
        (Some(_), Some((denial, _))) => Err(*denial),
        _ => verdict.outcome,
    };
    let outcome = match route {
        Some(_) if !asks_nothing => freshness.and(decision),
        _ => decision,
    };
    Ok(Report {
        request: question.request.to_string(),
        caller: question.names(),
        route: route_found(config, &attempt, &verdict),
        credentials: route.and_then(|route| route.asks_for()),
        notes: unusable.map(|(_, note)| note).into_iter().collect(),
        member: member(&caller, workspace, state)?,
        requirement: requirement(&attempt, &verdict, &court),
        replica: Replica {
            directory: config.state_dir.display().to_string(),
            revision: state.revision().to_string(),
            age_seconds: stored.age.map(|age| age.as_secs()),
            max_staleness_seconds: max_staleness.as_secs(),
        },
        decision: decision.err().map_or("allow", Denial::code),
        answer: Answer {
            allowed: outcome.is_ok(),
            forwarded: outcome.is_ok() || route.is_some_and(|route| route.traffic().is_shadow),
            status: outcome
                .err()
                .map(|denial| told(denial, route.map(AsRef::as_ref)).status()),
            code: outcome.err().map(Denial::code),
        },
    })
}

impl Question {
    fn is_nobody(&self) -> bool {
        self.who.iter().all(|who| *who == Who::Nobody)
    }

    fn names(&self) -> String {
        let names: Vec<String> = self.who.iter().map(ToString::to_string).collect();
        if names.is_empty() {
            Who::Nobody.to_string()
        } else {
            names.join(" with ")
        }
    }
}

/// The caller as he would be with good credentials, and the workspace that his token is limited to.
fn caller(
    config: &Config,
    question: &Question,
    state: &ReplicaState,
    now: Timestamp,
) -> Result<(Caller, Option<WorkspaceId>)> {
    let mut caller = Caller::default();
    let mut chosen = None;
    for who in &question.who {
        let is_second = match who {
            Who::User(_) | Who::External { .. } => caller.user.is_some() || caller.external.is_some(),
            Who::Service(_) => caller.service.is_some(),
            Who::Nobody => question.who.len() > 1,
        };
        if is_second {
            bail!(
                "`--as` is given twice for one kind of caller: one user and one service at most, or `nobody` alone"
            );
        }
        match who {
            Who::User(id) => {
                let workspace = workspace_of(*id, question.workspace, state)?;
                let acting = workspace.unwrap_or_else(|| Uuid::nil().into());
                let user = user(*id, acting, question.token, now + VALID)?;
                caller.user = Some((question.token, Arc::new(user)));
                chosen = Some(acting);
            }
            Who::External { issuer, subject } => {
                if !config.issuers.contains_key(issuer) {
                    let known: Vec<&str> = config.issuers.keys().map(String::as_str).collect();
                    bail!(
                        "`{issuer}` is not one of `issuers`: there are `{}`",
                        known.join("`, `")
                    );
                }
                caller.external = Some(Arc::new(ExternalUser {
                    issuer: issuer.clone(),
                    subject: subject.clone(),
                    expires_at: now + VALID,
                }));
            }
            Who::Service(name) => {
                caller.service = Some(Arc::new(Service {
                    app: Uuid::nil().into(),
                    name: name.clone(),
                    expires_at: None,
                }));
            }
            Who::Nobody => {}
        }
    }
    Ok((caller, chosen))
}

/// The workspace that the user acts in: the one that is said, or the only one.
fn workspace_of(
    user: UserId,
    said: Option<WorkspaceId>,
    state: &ReplicaState,
) -> Result<Option<WorkspaceId>> {
    if said.is_some() {
        return Ok(said);
    }
    let all = sentinel::workspaces_of(state.graph(), user)?;
    if all.len() > 1 {
        let all: Vec<String> = all.iter().map(ToString::to_string).collect();
        bail!(
            "the user is a member of several workspaces, and a token is for one: add `--workspace` with one of\n  {}",
            all.join("\n  ")
        );
    }
    Ok(all.first().copied())
}

/// Why nobody has such credentials now, whatever the route.
fn unusable(caller: &Caller, state: &ReplicaState, now: Timestamp) -> Option<(Denial, String)> {
    if let Some((_, user)) = &caller.user
        && state.is_user_disabled(user.id)
    {
        let note = "the user's account is deactivated: none of his tokens counts".to_owned();
        return Some((Denial::TokenRevoked, note));
    }
    let service = caller.service.as_ref()?;
    let has_key = state.facts().any(|fact| match fact {
        Fact::ServiceKey(key) => {
            key.service == service.name && key.expires_at.is_none_or(|until| until > now)
        }
        _ => false,
    });
    (!has_key).then(|| {
        let note = format!(
            "there is no key of the service `{}`: nobody can call as it",
            service.name
        );
        (Denial::ServiceKeyInvalid, note)
    })
}

/// The route, and the others that the request matches.
fn route_found(config: &Config, attempt: &Attempt, verdict: &Verdict) -> Option<RouteFound> {
    let (request, fields) = attempt.request().ok()?;
    let others = config.routes.iter().filter_map(|route| {
        let alone = Table::of(config, [route]).ok()?;
        let found = alone.find(request, fields)?;
        let is_other = verdict
            .route
            .as_ref()
            .is_none_or(|chosen| chosen.name() != found.name());
        is_other.then(|| found.name().to_owned())
    });
    Some(RouteFound {
        name: verdict.route.as_ref().map(|route| route.name().to_owned()),
        upstream: verdict
            .route
            .as_ref()
            .map(|route| route.upstream_name().to_owned()),
        shadow: verdict
            .route
            .as_ref()
            .is_some_and(|route| route.traffic().is_shadow),
        others: others.collect(),
    })
}

fn member(caller: &Caller, workspace: Option<WorkspaceId>, state: &ReplicaState) -> Result<Option<Member>> {
    let (Some((_, user)), Some(workspace)) = (&caller.user, workspace) else {
        return Ok(None);
    };
    let role = sentinel::role_of(state.graph(), workspace, user.id)?;
    let by = match role {
        Some(role) => sentinel::why_role(state.graph(), workspace, user.id, role)?.by,
        None => Vec::new(),
    };
    Ok(Some(Member {
        workspace: workspace.to_string(),
        role: role.map(WorkspaceRole::as_str),
        by: by.iter().map(ToString::to_string).collect(),
    }))
}

fn requirement(attempt: &Attempt, verdict: &Verdict, court: &Court<'_>) -> Option<Demand> {
    let (request, _) = attempt.request().ok()?;
    let route = verdict.route.as_ref()?;
    let Access::Protected { require, .. } = route.access() else {
        return None;
    };
    let judge = Judge {
        route,
        target: &request.target,
        principal: verdict.principal.as_deref()?,
        known: court.known,
    };
    Some(judge.demand(require))
}

#[cfg(test)]
mod tests;
