//! Sentinel's own permissions in the engine's terms: the model, the vocabulary of its tuples and the questions that
//! both planes ask. Nothing else in the product spells a type, a relation or an object id of this model.

mod ask;
mod project;
#[cfg(test)]
mod rules;
mod why;
mod words;

use std::sync::{Arc, OnceLock};

use crate::Model;

pub use ask::{accessible, has_role, is_member, may, may_act, role_of};
pub use project::{
    Grantee, ShareLevel, grant, group_in_workspace, group_member, membership, resource as resource_tuples,
    role_assignee, role_in_workspace, share,
};
pub use why::{Why, groups_of, why_act, why_may, why_role, workspaces_of, workspaces_of_resource};
pub use words::{Permission, UnknownPermission, action, group, resource, role, user, workspace};

/// The model's text, in OpenFGA's language.
pub const MODEL: &str = include_str!("sentinel.fga");

/// The compiled model.
pub fn model() -> Arc<Model> {
    static COMPILED: OnceLock<Arc<Model>> = OnceLock::new();
    // A test holds that the text is a model. Without one every question would be an error, that is, a no.
    let compiled = COMPILED.get_or_init(|| Arc::new(Model::parse(MODEL).unwrap_or_default()));
    Arc::clone(compiled)
}
