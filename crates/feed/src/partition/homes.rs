//! The workspaces that resources, groups and roles belong to, as their tuples tell.

use std::collections::HashMap;

use sentinel_core::Fact;
use sentinel_core::id::WorkspaceId;
use sentinel_core::tuple::Object;

use super::{homed, workspace_said_by};
use crate::digest::Digest;
use crate::state::ReplicaState;

/// One entry for each object, known by a hash of its name.
#[derive(Debug, Default)]
pub(crate) struct Homes {
    of: HashMap<Digest, Home>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Home {
    /// The smallest, if tuples should name several.
    workspace: Option<WorkspaceId>,
    /// How many tuples the object has.
    tuples: u32,
}

/// An object with tuples came to be another workspace's: what is known about where its tuples belong does not hold.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Moved;

impl Homes {
    /// Those of the tuples of a state.
    pub(crate) fn of_state(state: &ReplicaState) -> Self {
        let mut homes = Self::default();
        for fact in state.facts() {
            let Some(tuple) = homed(&fact) else { continue };
            let home = homes.of.entry(name(tuple.object())).or_default();
            home.tuples = home.tuples.saturating_add(1);
            if let Some(said) = workspace_said_by(tuple) {
                home.workspace = Some(home.workspace.map_or(said, |other| other.min(said)));
            }
        }
        homes
    }

    /// The workspace that an object belongs to.
    pub(crate) fn of(&self, object: &Object) -> Option<WorkspaceId> {
        self.of.get(&name(object))?.workspace
    }

    /// Takes in what changed. On the way nothing is forgotten: objects that have gone are still known, until
    /// [`Self::forget`].
    pub(super) fn change(&mut self, changed: &[(Option<Fact>, Option<Fact>)]) -> Result<Touched, Moved> {
        let mut touched: HashMap<Digest, (Home, Option<WorkspaceId>)> = HashMap::new();
        for (before, after) in changed {
            let (old, new) = (before.as_ref().and_then(homed), after.as_ref().and_then(homed));
            let Some(tuple) = new.or(old) else { continue };
            let name = name(tuple.object());
            let present = self.of.get(&name).copied().unwrap_or_default();
            let (next, _) = touched
                .entry(name)
                .or_insert_with(|| (present, present.workspace));
            match (old, new) {
                (None, Some(tuple)) => {
                    next.tuples = next.tuples.saturating_add(1);
                    if let Some(said) = workspace_said_by(tuple) {
                        next.workspace = Some(next.workspace.map_or(said, |other| other.min(said)));
                    }
                }
                (Some(tuple), None) => {
                    next.tuples = next.tuples.saturating_sub(1);
                    let said = workspace_said_by(tuple);
                    if said.is_some() && said == next.workspace {
                        next.workspace = None;
                    }
                }
                _ => {}
            }
        }
        let mut gone = Vec::new();
        for (name, (next, was)) in touched {
            let had = self.of.get(&name).map_or(0, |home| home.tuples);
            let is_sound = match (was, next.workspace) {
                (None, Some(_)) => had == 0,
                (Some(_), None) => next.tuples == 0,
                (was, is) => was == is,
            };
            if !is_sound {
                return Err(Moved);
            }
            if next.tuples == 0 {
                gone.push(name);
            } else {
                self.of.insert(name, next);
            }
        }
        Ok(Touched { gone })
    }

    /// Forgets the objects that have no tuple any more.
    pub(super) fn forget(&mut self, touched: &Touched) {
        for name in &touched.gone {
            self.of.remove(name);
        }
    }
}

/// What a change left behind.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Touched {
    gone: Vec<Digest>,
}

fn name(object: &Object) -> Digest {
    Digest::of_line(object.to_string().as_bytes())
}
