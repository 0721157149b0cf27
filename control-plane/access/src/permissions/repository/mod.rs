//! SQL of resources and their shares. Queries begin with the workspace or the service, or with a resource that was found
//! in one of them.

pub(super) mod enriched;
pub(super) mod listing;
pub(crate) mod resources;
pub(crate) mod shares;

pub(crate) use resources::delete_of_workspace;
pub(crate) use shares::{
    delete_of_grantee as delete_shares_of_grantee, delete_of_workspace as delete_shares_of_workspace,
};
