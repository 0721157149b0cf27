//! SQL of roles, the actions they allow and who has them.

pub(crate) mod actions;
pub(crate) mod grants;
pub(crate) mod holders;
pub(crate) mod roles;
