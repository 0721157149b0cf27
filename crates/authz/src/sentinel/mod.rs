//! Sentinel's own permissions in the engine's terms: the model, the vocabulary of its tuples and the questions that
//! both planes ask. Nothing else in the product spells a type, a relation or an object id of this model.

#[cfg(test)]
mod agree;
mod ask;
mod member;
mod named;
mod numbers;
mod project;
mod related;
#[cfg(test)]
mod rules;
mod why;
mod words;

use std::sync::{Arc, OnceLock};

use sentinel_core::name::ServiceName;

use crate::model::compose;
use crate::{Model, ServiceModelError};

pub use ask::{accessible, has_role, is_member, may, may_act, role_of};
pub use member::{Member, MemberAndAction, MemberAndResource};
pub use named::{ActionWords, ResourceWords};
pub(crate) use numbers::Numbers;
pub use project::{
    Grantee, ShareLevel, grant, group_in_workspace, group_member, membership, resource as resource_tuples,
    role_assignee, role_in_workspace, share,
};
pub use related::ServiceRelation;
pub use why::{Why, groups_of, why_act, why_may, why_role, workspaces_of, workspaces_of_resource};
pub use words::{
    Permission, UnknownPermission, action, group, is_subject_type, is_type, resource, role, user, workspace,
};

/// The model's text, in OpenFGA's language.
pub const MODEL: &str = include_str!("sentinel.fga");

/// The compiled model.
pub fn model() -> Arc<Model> {
    static COMPILED: OnceLock<Arc<Model>> = OnceLock::new();
    // A test holds that the text is a model. Without one every question would be an error, that is, a no.
    let compiled = COMPILED.get_or_init(|| Arc::new(compose(MODEL, []).unwrap_or_default()));
    Arc::clone(compiled)
}

/// Sentinel's model and, beside it, those of services, in OpenFGA's language. Their types are called `service/type` there;
/// in a service's own text they are called by their name alone, and `user`, `group` and Sentinel's other types are known.
/// A text may declare them as they are, so that it is a model by itself.
///
/// # Errors
///
/// A text is no model, or defines one of Sentinel's types.
pub fn model_with<'t>(
    services: impl IntoIterator<Item = (&'t ServiceName, &'t str)>,
) -> Result<Arc<Model>, ServiceModelError> {
    compose(MODEL, services).map(Arc::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(name: &str) -> ServiceName {
        name.parse().expect("a name")
    }

    #[test]
    fn services_have_types_of_their_own_beside_each_other() {
        let (docs, wiki) = (service("docs"), service("wiki"));
        let folder = "model
  schema 1.1
type user
type folder
  relations
    define parent: [folder]
    define viewer: [user, group#member] or viewer from parent";
        let model = model_with([(&docs, folder), (&wiki, folder)]).expect("a model");
        for (tuple, allowed) in [
            ("docs/folder:1#viewer@user:ann", true),
            ("docs/folder:1#viewer@group:g#member", true),
            ("wiki/folder:1#parent@wiki/folder:2", true),
            ("wiki/folder:1#parent@docs/folder:2", false),
            ("folder:1#viewer@user:ann", false),
            ("other/folder:1#viewer@user:ann", false),
        ] {
            let tuple = tuple.parse().expect("a tuple");
            assert_eq!(model.validate(&tuple).is_ok(), allowed, "{tuple}");
        }
    }

    #[test]
    fn a_service_does_not_change_what_is_sentinels() {
        let docs = service("docs");
        let text = "model
  schema 1.1
type user
type group
  relations
    define member: [user:*]";
        let error = model_with([(&docs, text)]).expect_err("refused");
        assert_eq!((error.service, error.error.line), (docs.clone(), 6));
        for (types, place) in [
            ("type user\ntype user", Some((4, 6))),
            (
                "type group\n  relations\n    define member: [user, group#member]\n    define workspace: [workspace]",
                None,
            ),
            (
                "type group\n  relations\n    define member: [user, group#member]",
                Some((3, 6)),
            ),
            (
                "type group\n  relations\n    define member: [group#member, user]",
                Some((5, 12)),
            ),
            (
                "type group\n  relations\n    define workspace: [workspace]\n    define workspace: [workspace]",
                Some((6, 12)),
            ),
        ] {
            let text = format!("model\n  schema 1.1\n{types}");
            let error = model_with([(&docs, text.as_str())]).err();
            let found = error.map(|found| (found.error.line, found.error.column));
            assert_eq!(found, place, "{types}");
        }
        let error = model_with([(
            &docs,
            "model\n  schema 1.1\ntype a\n  relations\n    define b: [c]",
        )])
        .expect_err("refused");
        assert_eq!((error.error.line, error.error.column), (5, 16));
    }
}
