//! An explanation, for people and for programs.

use std::fmt;

use serde::Serialize;

use super::Demand;

/// Why a request is let through or not. As JSON it has these fields under these names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The request.
    pub request: String,
    /// Who makes it.
    pub caller: String,
    /// Its route; `None` if the request cannot be read.
    pub route: Option<RouteFound>,
    /// The credentials and the requirement of the route in words; `None` if it is public or there is none.
    pub credentials: Option<String>,
    /// What else there is to say.
    pub notes: Vec<String>,
    /// The user's membership in the workspace that he acts in.
    pub member: Option<Member>,
    /// The requirement, demand by demand; `None` if the request does not come that far.
    pub requirement: Option<Demand>,
    /// What it was judged by.
    pub replica: Replica,
    /// The decision, however old the replica is: `allow`, or the word for the denial.
    pub decision: &'static str,
    /// What the client is told.
    pub answer: Answer,
}

/// The route of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RouteFound {
    /// The route; `None` if there is none.
    pub name: Option<String>,
    /// Its service.
    pub upstream: Option<String>,
    /// Whether its decisions do not count.
    pub shadow: bool,
    /// The other routes that the request matches, all of them less specific.
    pub others: Vec<String>,
}

/// A user in his workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Member {
    /// The workspace.
    pub workspace: String,
    /// His role; `None` if he is no member.
    pub role: Option<&'static str>,
    /// The tuples that make him a member.
    pub by: Vec<String>,
}

/// The replica.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Replica {
    /// Where it was read.
    pub directory: String,
    /// Its revision.
    pub revision: String,
    /// How long ago it was known to be the newest; `None` if that cannot be said.
    pub age_seconds: Option<u64>,
    /// How old it may be for this route.
    pub max_staleness_seconds: u64,
}

/// What the client is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// Whether the request is permitted.
    pub allowed: bool,
    /// Whether it reaches the service: a route on trial forwards what is not permitted.
    pub forwarded: bool,
    /// The status, if it is refused.
    pub status: Option<u16>,
    /// The reason, if it is refused.
    pub code: Option<&'static str>,
}

const MARGIN: &str = "             ";

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "request      {}", self.request)?;
        writeln!(f, "caller       {}", self.caller)?;
        self.write_route(f)?;
        for note in &self.notes {
            writeln!(f, "{MARGIN}{note}")?;
        }
        if let Some(member) = &self.member {
            let mark = mark(member.role.is_some());
            match member.role {
                Some(role) => writeln!(f, "membership   {mark} {role} of {}", member.workspace),
                None => writeln!(f, "membership   {mark} no member of {}", member.workspace),
            }?;
            write_by(f, &member.by, "  ")?;
        }
        if let Some(requirement) = &self.requirement {
            f.write_str("requirement  ")?;
            write_demand(f, requirement, "")?;
        }
        self.write_replica(f)?;
        self.write_answer(f)
    }
}

impl Report {
    fn write_route(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(route) = &self.route else {
            return writeln!(
                f,
                "route        ✗ the request is refused before any route is looked at"
            );
        };
        let Some(name) = &route.name else {
            writeln!(f, "route        ✗ no route is for it")?;
            for other in &route.others {
                writeln!(
                    f,
                    "{MARGIN}`{other}` would be, but a segment looks like a literal of another route and is none"
                )?;
            }
            return Ok(());
        };
        let upstream = route.upstream.as_deref().unwrap_or_default();
        writeln!(f, "route        {name} -> {upstream}")?;
        for other in &route.others {
            writeln!(f, "{MARGIN}goes before `{other}`, which is less specific")?;
        }
        if route.shadow {
            writeln!(
                f,
                "{MARGIN}on trial (`mode: shadow`): what is refused is forwarded all the same"
            )?;
        }
        match &self.credentials {
            Some(demands) => writeln!(f, "credentials  {demands}"),
            None => writeln!(f, "credentials  none: the route is public"),
        }
    }

    fn write_replica(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let replica = &self.replica;
        write!(f, "replica      revision {}, ", replica.revision)?;
        match replica.age_seconds {
            Some(age) => write!(
                f,
                "{age} s old, and {} s is allowed",
                replica.max_staleness_seconds
            ),
            None => f.write_str("and how old it is cannot be told"),
        }?;
        writeln!(f, "; on disk in {}", replica.directory)
    }

    fn write_answer(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let answer = &self.answer;
        match (answer.status, answer.code) {
            (Some(status), Some(code)) => {
                writeln!(f, "answer       ✗ {status} {code}")?;
                if code != self.decision {
                    writeln!(f, "{MARGIN}with a replica that is fresh: {}", self.decision)?;
                }
                Ok(())
            }
            _ => writeln!(f, "answer       ✓ allow"),
        }
    }
}

fn mark(holds: bool) -> char {
    if holds { '✓' } else { '✗' }
}

fn write_by(f: &mut fmt::Formatter<'_>, by: &[String], indent: &str) -> fmt::Result {
    by.iter()
        .try_for_each(|tuple| writeln!(f, "{MARGIN}{indent}by {tuple}"))
}

/// A demand with its parts. Its first line goes on a line that is begun.
fn write_demand(f: &mut fmt::Formatter<'_>, demand: &Demand, indent: &str) -> fmt::Result {
    write!(f, "{} {}", mark(demand.holds), demand.demand)?;
    match demand.code {
        Some(code) if demand.parts.is_empty() => writeln!(f, " ({code})"),
        _ => writeln!(f),
    }?;
    let deeper = format!("{indent}  ");
    write_by(f, &demand.by, &deeper)?;
    for note in &demand.notes {
        writeln!(f, "{MARGIN}{deeper}{note}")?;
    }
    if !demand.enough.is_empty() {
        writeln!(f, "{MARGIN}{deeper}missing; one of these would be enough:")?;
    }
    for way in &demand.enough {
        writeln!(f, "{MARGIN}{deeper}  {}", way.join(" and "))?;
    }
    for part in &demand.parts {
        write!(f, "{MARGIN}{deeper}")?;
        write_demand(f, part, &deeper)?;
    }
    Ok(())
}
