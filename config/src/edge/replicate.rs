//! Which part of what the control plane knows the edge keeps, and what it does about the rest.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use schemars::{Schema, SchemaGenerator, json_schema};
use sentinel_core::id::WorkspaceId;
use sentinel_core::name::ServiceName;

use super::requirement::Requirement;
use crate::section::{Place, Reader, Section, Setting, section};
use crate::tree::{Data, Node};
use crate::value::{between, read_list, read_text, words};

section! {
    /// Which part of what the control plane knows the edge keeps.
    check check;
    pub struct Replicate {
        /// The services whose objects are known here: `all`, or a list of their names.
        pub services: Scope<ServiceName> = "all",
        /// The workspaces whose members, groups, roles and objects are known here: `all`, or a list of their ids.
        pub workspaces: Scope<WorkspaceId> = "all",
        /// What becomes of a request that cannot be decided by what is known here.
        pub fallback: Fallback = "none",
        /// How long the control plane has for its answer to such a request, 1ms to 5s. Then the request is answered with 503.
        pub budget: Duration = "50ms",
    }
}

words! {
    /// What becomes of a request that cannot be decided by what is known here.
    pub enum Fallback {
        /// It is answered with 503.
        None = "none",
        /// The control plane is asked. A request waits for it then.
        ControlPlane = "control_plane",
    }
}

/// All, or some that are named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope<T> {
    /// All of them, also those that come later.
    All,
    /// These. Never empty.
    Only(BTreeSet<T>),
}

impl<T: Ord> Scope<T> {
    /// Whether it is one of them.
    pub fn has(&self, one: &T) -> bool {
        match self {
            Self::All => true,
            Self::Only(some) => some.contains(one),
        }
    }
}

impl<T> Setting for Scope<T>
where
    T: FromStr<Err: Display> + Ord,
{
    fn read(place: &Place<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        match &place.node.data {
            Data::Text(text) if text == "all" => return Some(Self::All),
            Data::List(items) if items.is_empty() => {
                reader.problem(place, "the list is empty: name at least one, or write `all`");
                return None;
            }
            Data::List(_) => {}
            _ => {
                reader.mismatch(place, "`all` or a list");
                return None;
            }
        }
        let items = read_list(place, reader, read_text::<T>)?;
        let mut some = BTreeSet::new();
        for (index, one) in items
            .into_iter()
            .collect::<Option<Vec<T>>>()?
            .into_iter()
            .enumerate()
        {
            if !some.insert(one) {
                let item = place.nth(index).unwrap_or_else(|| place.clone());
                reader.problem(&item, "this stands there twice: keep one");
            }
        }
        Some(Self::Only(some))
    }

    fn describe(generator: &mut SchemaGenerator) -> Schema {
        let names = Vec::<String>::describe(generator);
        json_schema!({ "anyOf": [{ "const": "all" }, names] })
    }
}

/// The bounds of `budget`.
const BUDGETS: (Duration, Duration) = (Duration::from_millis(1), Duration::from_secs(5));

fn check(replicate: &Replicate, section: &Section<'_>, reader: &mut Reader<'_>) {
    between(section, "budget", replicate.budget, BUDGETS, reader);
}

/// How many questions the control plane can be asked together, for one request.
pub const MOST_ASKED: usize = 16;

/// What the section says, as the file has it: routes are read beside it.
struct Kept<'t> {
    /// The services, if they are named.
    services: Option<&'t [Node]>,
    /// Whether workspaces are named.
    names_workspaces: bool,
    /// Whether the control plane is asked about the rest.
    asks: bool,
}

impl<'t> Kept<'t> {
    fn of(reader: &Reader<'t>) -> Option<Self> {
        let section = reader.root.get("replicate")?;
        let items = |key| match section.get(key).map(|node| &node.data) {
            Some(Data::List(items)) => Some(items.as_slice()),
            _ => None,
        };
        let fallback = section.get("fallback").and_then(|node| node.as_text());
        Some(Self {
            services: items("services"),
            names_workspaces: items("workspaces").is_some(),
            asks: fallback == Some(Fallback::ControlPlane.as_str()),
        })
    }

    fn has(&self, service: &ServiceName) -> bool {
        let named = |node: &Node| node.as_text() == Some(service.as_str());
        self.services.is_none_or(|services| services.iter().any(named))
    }

    /// Whether the control plane may have to be asked about a demand.
    fn may_leave_open(&self, demand: &Requirement) -> bool {
        let is_kept = service_of(demand).is_none_or(|service| self.has(service));
        !is_kept || (self.names_workspaces && is_of_user(demand))
    }
}

/// The service that a demand speaks of.
fn service_of(demand: &Requirement) -> Option<&ServiceName> {
    match demand {
        Requirement::Action(action) => Some(&action.service),
        Requirement::Permission(permission) => Some(&permission.service),
        Requirement::Relation(relation) => Some(&relation.service),
        _ => None,
    }
}

/// Whether a demand is about what a user is or may do.
fn is_of_user(demand: &Requirement) -> bool {
    matches!(demand, Requirement::Role(_)) || service_of(demand).is_some()
}

/// A demand speaks of what is known here, or the control plane is asked.
pub(super) fn check_demand(demand: &Requirement, place: &Place<'_>, reader: &mut Reader<'_>) {
    let Some(kept) = Kept::of(reader).filter(|kept| !kept.asks) else {
        return;
    };
    let Some(service) = service_of(demand) else {
        return;
    };
    if !kept.has(service) {
        reader.problem(
            place,
            format!("nothing is known here of `{service}`, so nobody could ever pass: add it to `replicate.services`, or set `replicate.fallback: control_plane`"),
        );
    } else if kept.names_workspaces && matches!(demand, Requirement::Relation(_)) {
        reader.problem(
            place,
            format!("a group of any workspace may stand in the tuples of `{service}`, so nobody could ever pass where only some workspaces are known: set `replicate.workspaces: all` or `replicate.fallback: control_plane`"),
        );
    }
}

/// What a route leaves open can be asked about at once.
pub(super) fn check_route(require: &Requirement, place: &Place<'_>, reader: &mut Reader<'_>) {
    let Some(kept) = Kept::of(reader).filter(|kept| kept.asks) else {
        return;
    };
    let mut open = Vec::new();
    collect(require, &kept, &mut open);
    let count = open.len();
    if count > MOST_ASKED {
        reader.problem(
            place,
            format!("the control plane may have to be asked {count} questions for one request, and {MOST_ASKED} go together: name one action, or one relation of the service's model, that stands for several of them, or keep here what they are about (`replicate`)"),
        );
    }
}

fn collect<'r>(requirement: &'r Requirement, kept: &Kept<'_>, open: &mut Vec<&'r Requirement>) {
    match requirement {
        Requirement::All(parts) | Requirement::Any(parts) => {
            for part in parts {
                collect(part, kept, open);
            }
        }
        demand if kept.may_leave_open(demand) && !open.contains(&demand) => open.push(demand),
        _ => {}
    }
}
