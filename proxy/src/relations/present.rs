//! The relations of the policy in the model that counts now. Readers do not wait: what was found out is swapped when the
//! model changes.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::{ArcSwap, Guard};
use sentinel_authz::Model;
use sentinel_feed::ReplicaState;
use serde::Serialize;

use super::{Misfit, Relations, Told, Wanted};

/// The relations of the policy in the model of the replica.
#[derive(Debug)]
pub struct Present {
    wanted: Vec<Wanted>,
    found: ArcSwap<Relations>,
    /// What was told to the operator last. Taken only when the model has changed.
    told: Mutex<Vec<bool>>,
}

/// A route that asks for what its service's model does not have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mismatch {
    /// The route.
    pub route: String,
    /// What it asks for.
    pub relation: String,
    /// What is wrong, and how to mend it.
    pub problem: String,
}

impl Present {
    /// The relations that are wanted, before there is any model of a service.
    pub fn new(wanted: Vec<Wanted>) -> Self {
        let relations = Relations::of(&wanted, &sentinel_authz::sentinel::model());
        Self {
            told: Mutex::new(vec![false; wanted.len()]),
            wanted,
            found: ArcSwap::from_pointee(relations),
        }
    }

    /// What is asked for.
    pub fn wanted(&self) -> &[Wanted] {
        &self.wanted
    }

    /// What they are in this model; `None` if nothing is asked for.
    pub fn wanted_of(&self, model: &Arc<Model>) -> Option<Guard<Arc<Relations>>> {
        (!self.wanted.is_empty()).then(|| self.of(model))
    }

    /// What they are in this model.
    pub fn of(&self, model: &Arc<Model>) -> Guard<Arc<Relations>> {
        let found = self.found.load();
        if found.are_of(model) {
            return found;
        }
        self.found.store(Arc::new(Relations::of(&self.wanted, model)));
        self.found.load()
    }

    /// Looks at the model of a state, and tells the operator what has changed since the last time.
    pub fn look(&self, state: &ReplicaState) {
        let relations = self.of(state.graph().model());
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        for (wanted, told) in self.wanted.iter().zip(told.iter_mut()) {
            let misfit = misfit(wanted, &relations, state);
            if misfit.is_some() == *told {
                continue;
            }
            *told = misfit.is_some();
            let (route, relation) = (&wanted.route, &wanted.relation);
            match misfit {
                Some(misfit) => tracing::error!(
                    route,
                    %relation,
                    problem = %Told(relation, misfit),
                    "a route is answered with 503 until its service has another model"
                ),
                None => {
                    tracing::info!(route, %relation, "the model of its service has what the route asks for");
                }
            }
        }
    }

    /// The routes whose relation the model of a state does not have.
    pub fn mismatches(&self, state: &ReplicaState) -> Vec<Mismatch> {
        let relations = self.of(state.graph().model());
        let all = self.wanted.iter().filter_map(|wanted| {
            let misfit = misfit(wanted, &relations, state)?;
            Some(Mismatch {
                route: wanted.route.clone(),
                relation: wanted.relation.to_string(),
                problem: Told(&wanted.relation, misfit).to_string(),
            })
        });
        all.collect()
    }
}

/// Why nobody can be asked for a relation. The models of services that are not kept here are not known.
fn misfit(wanted: &Wanted, relations: &Relations, state: &ReplicaState) -> Option<Misfit> {
    let is_kept = state.covers(&wanted.relation.service, None);
    is_kept.then(|| relations.find(&wanted.relation).err()).flatten()
}
