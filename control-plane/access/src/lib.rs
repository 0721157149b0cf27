//! The domain behind the API: users' profiles, workspaces, members, groups, resources with their visibility and shares,
//! services' own models and relation tuples, client apps, service apps with their keys, edges, and the activity log; and
//! the facts that edges must know of them.
//!
//! Services take a transaction, decide, write rows and record the change of facts in the same transaction. Only the
//! files named `repository` hold SQL, and only of the tables that this crate owns. Nothing here knows HTTP, signs a
//! token, or sees a secret: keys arrive as digests.

pub mod activity;
pub mod client_apps;
pub mod edges;
mod error;
mod facts;
pub mod groups;
pub mod invitations;
pub mod members;
pub mod permissions;
mod projection;
pub mod relations;
pub mod roles;
mod row;
pub mod search;
pub mod service_apps;
mod sources;
pub mod stats;
pub mod text;
pub mod users;
pub mod web;
pub mod workspaces;

use std::sync::Arc;

use sentinel_core::{Clock, Random};

pub use error::{AccessError, ErrorKind};
pub use facts::facts;

use crate::activity::Activity;
use crate::client_apps::ClientApps;
use crate::edges::Edges;
use crate::groups::Groups;
use crate::invitations::Invitations;
use crate::members::Members;
use crate::permissions::Permissions;
use crate::relations::Relations;
use crate::roles::Roles;
use crate::service_apps::ServiceApps;
use crate::sources::Sources;
use crate::users::Users;
use crate::workspaces::Workspaces;

/// The services of the domain, one for each noun. Cheap to clone; clones share what is kept in memory.
#[derive(Clone)]
pub struct Access {
    /// Profiles of people.
    pub users: Users,
    /// Tenants.
    pub workspaces: Workspaces,
    /// Who is in a workspace, and as what.
    pub members: Members,
    /// Invitations, at once or when their address signs in.
    pub invitations: Invitations,
    /// Groups of members.
    pub groups: Groups,
    /// Actions that services register, and the roles that allow them.
    pub roles: Roles,
    /// Registered resources, their visibility and shares, and questions about them.
    pub permissions: Permissions,
    /// Services' own permission models and relation tuples.
    pub relations: Relations,
    /// Applications that sign users in.
    pub client_apps: ClientApps,
    /// Back-end services and their keys.
    pub service_apps: ServiceApps,
    /// Enrolled edge proxies.
    pub edges: Edges,
    /// What was done, by whom.
    pub activity: Activity,
}

impl Access {
    /// The services, with their sources of time and randomness.
    pub fn new(clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Self {
        let sources = Sources::new(clock, random);
        let activity = Activity::new(sources.clone());
        let permissions = Permissions::new(sources.clone(), activity.clone());
        let members = Members::new(sources.clone(), activity.clone());
        Self {
            users: Users::new(sources.clone(), activity.clone()),
            workspaces: Workspaces::new(sources.clone(), activity.clone()),
            invitations: Invitations::new(sources.clone(), activity.clone(), members.clone()),
            members,
            groups: Groups::new(sources.clone(), activity.clone()),
            roles: Roles::new(sources.clone(), activity.clone()),
            relations: Relations::new(sources.clone(), activity.clone()),
            client_apps: ClientApps::new(sources.clone(), activity.clone()),
            service_apps: ServiceApps::new(sources.clone(), activity.clone(), permissions.clone()),
            edges: Edges::new(sources, activity.clone()),
            permissions,
            activity,
        }
    }
}
