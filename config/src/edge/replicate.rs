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
use crate::tree::Data;
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

/// A demand speaks of a service that is known here, or the control plane is asked.
pub(super) fn check_demand(demand: &Requirement, place: &Place<'_>, reader: &mut Reader<'_>) {
    let service = match demand {
        Requirement::Action(action) => &action.service,
        Requirement::Permission(permission) => &permission.service,
        Requirement::Relation(relation) => &relation.service,
        _ => return,
    };
    let Some(replicate) = reader.root.get("replicate") else {
        return;
    };
    let asks =
        replicate.get("fallback").and_then(|node| node.as_text()) == Some(Fallback::ControlPlane.as_str());
    let Some(Data::List(services)) = replicate.get("services").map(|node| &node.data) else {
        return;
    };
    let is_known = services
        .iter()
        .any(|node| node.as_text() == Some(service.as_str()));
    if !asks && !is_known {
        reader.problem(
            place,
            format!("nothing is known here of `{service}`, so nobody could ever pass: add it to `replicate.services`, or set `replicate.fallback: control_plane`"),
        );
    }
}
