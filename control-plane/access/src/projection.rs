//! From rows to the facts that edges know. The one place that says what a row means to them: the full projection
//! (`facts`) and every recorded change are made here, so replaying the changes gives what a projection of the rows gives.

use sentinel_authz::sentinel::{self, Grantee, ShareLevel};
use sentinel_core::fact::{ModelFact, ServiceKeyFact};
use sentinel_core::id::{GroupId, RoleId, UserId, WorkspaceId};
use sentinel_core::tuple::InvalidTuple;
use sentinel_core::{Change, Fact};

use crate::groups::Group;
use crate::members::Membership;
use crate::permissions::{Resource, ResourceName, Visibility};
use crate::relations::{RelationTuple, ServiceModel};
use crate::roles::repository::grants::Grant;
use crate::service_apps::{ServiceApp, ServiceKey};

/// The fact of a membership: the one role.
pub(crate) fn membership(row: &Membership) -> Fact {
    Fact::Tuple(sentinel::membership(row.workspace, row.user, row.role))
}

/// The fact of a group: its workspace.
pub(crate) fn group(row: &Group) -> Fact {
    Fact::Tuple(sentinel::group_in_workspace(row.id, row.workspace))
}

/// The fact that a user is in a group.
pub(crate) fn group_membership(group: GroupId, user: UserId) -> Fact {
    Fact::Tuple(sentinel::group_member(group, user))
}

/// The fact of a role: its workspace.
pub(crate) fn role(role: RoleId, workspace: WorkspaceId) -> Fact {
    Fact::Tuple(sentinel::role_in_workspace(role, workspace))
}

/// The fact that somebody has a role.
pub(crate) fn role_holder(role: RoleId, to: Grantee) -> Fact {
    Fact::Tuple(sentinel::role_assignee(role, to))
}

/// The fact that a role allows an action.
pub(crate) fn grant(row: &Grant) -> Result<Fact, InvalidTuple> {
    sentinel::grant(row.workspace, &row.service, &row.action, row.role).map(Fact::Tuple)
}

/// The facts of a resource, without its shares: its workspace, whether it is open to it, its owner.
pub(crate) fn resource(row: &Resource) -> Result<Vec<Fact>, InvalidTuple> {
    let name = &row.name;
    let open = row.visibility == Visibility::Workspace;
    let id = name.id().to_string();
    let tuples = sentinel::resource_tuples(name.service(), name.kind(), &id, row.workspace, open, row.owner)?;
    Ok(tuples.into_iter().map(Fact::Tuple).collect())
}

/// The fact of one share.
pub(crate) fn share(name: &ResourceName, grantee: Grantee, level: ShareLevel) -> Result<Fact, InvalidTuple> {
    let id = name.id().to_string();
    sentinel::share(name.service(), name.kind(), &id, grantee, level).map(Fact::Tuple)
}

/// The facts of a service app: its keys that have a slot, while it is active.
pub(crate) fn service_app(app: &ServiceApp, keys: &[ServiceKey]) -> Vec<Fact> {
    keys.iter()
        .filter(|_| app.is_active)
        .map(|key| {
            Fact::ServiceKey(ServiceKeyFact {
                digest: key.digest,
                app: app.id,
                service: app.service_name.clone(),
                expires_at: key.expires_at,
            })
        })
        .collect()
}

/// The fact of a service's current model.
pub(crate) fn model(row: &ServiceModel) -> Fact {
    Fact::Model(ModelFact {
        service: row.service.clone(),
        version: row.version,
        text: row.text.clone(),
    })
}

/// The fact of a service's own relation tuple.
pub(crate) fn relation_tuple(row: &RelationTuple) -> Fact {
    let tuple = row.tuple.clone();
    match row.until {
        Some(until) => Fact::ExpiringTuple { tuple, until },
        None => Fact::Tuple(tuple),
    }
}

/// The fact of an account that is deactivated.
pub(crate) fn disabled(user: UserId) -> Fact {
    Fact::DisabledUser(user)
}

/// What has to be recorded when a row, or several, meant `before` and mean `after` now.
pub(crate) fn difference(before: &[Fact], after: Vec<Fact>) -> Vec<Change> {
    let mut changes = Vec::new();
    for fact in before {
        if !after.iter().any(|other| same_key(fact, other)) {
            changes.push(Change::Delete(fact.clone()));
        }
    }
    changes.extend(
        after
            .into_iter()
            .filter(|fact| !before.contains(fact))
            .map(Change::Put),
    );
    changes
}

/// Putting one of the two replaces the other.
fn same_key(a: &Fact, b: &Fact) -> bool {
    match (a, b) {
        (Fact::ServiceKey(a), Fact::ServiceKey(b)) => a.digest == b.digest,
        _ => a == b,
    }
}

#[cfg(test)]
mod tests {
    use sentinel_core::Timestamp;
    use uuid::Uuid;

    use super::*;

    fn lines(facts: &[Fact]) -> Vec<String> {
        facts.iter().map(ToString::to_string).collect()
    }

    fn example(visibility: Visibility, owner: Option<UserId>) -> Resource {
        Resource {
            id: Uuid::from_u128(9).into(),
            name: ResourceName::new(
                "docs".parse().expect("name"),
                "document".parse().expect("name"),
                Uuid::from_u128(3).into(),
            )
            .expect("short"),
            workspace: Uuid::from_u128(1).into(),
            owner,
            visibility,
            created_at: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn a_resource_is_open_to_its_workspace_only_when_visible_there() {
        let id = |n: u128| Uuid::from_u128(n).to_string();
        let object = format!("resource:docs/document/{}", id(3));
        assert_eq!(
            lines(
                &resource(&example(Visibility::Workspace, Some(Uuid::from_u128(2).into()))).expect("tuples")
            ),
            [
                format!("tuple {object}#workspace@workspace:{}", id(1)),
                format!("tuple {object}#shared_in@workspace:{}", id(1)),
                format!("tuple {object}#owner@user:{}", id(2)),
            ]
        );
        assert_eq!(
            lines(&resource(&example(Visibility::Private, None)).expect("tuples")),
            [format!("tuple {object}#workspace@workspace:{}", id(1))]
        );
    }

    #[test]
    fn a_group_share_is_for_its_members() {
        let name = example(Visibility::Private, None).name;
        let group = Grantee::Group(Uuid::from_u128(7).into());
        let fact = share(&name, group, ShareLevel::Edit).expect("tuple").to_string();
        assert!(
            fact.ends_with("#share_edit@group:00000000-0000-0000-0000-000000000007#member"),
            "{fact}"
        );
    }

    #[test]
    fn a_grant_is_for_holders_of_the_role() {
        let id = |n: u128| Uuid::from_u128(n).to_string();
        let row = Grant {
            role: Uuid::from_u128(5).into(),
            workspace: Uuid::from_u128(1).into(),
            service: "s".repeat(255).parse().expect("name"),
            action: "reports:export".parse().expect("name"),
        };
        assert_eq!(
            grant(&row)
                .expect("the longest service name has room")
                .to_string(),
            format!(
                "tuple action:{}/{}/reports|export#granted@role:{}#holder",
                id(1),
                "s".repeat(255),
                id(5)
            )
        );
    }

    #[test]
    fn a_difference_says_only_what_changed() {
        let private = resource(&example(Visibility::Private, None)).expect("tuples");
        let open = resource(&example(Visibility::Workspace, None)).expect("tuples");
        assert_eq!(difference(&open, open.clone()), []);
        assert_eq!(difference(&private, open.clone()).len(), 1);
        assert!(matches!(difference(&private, open.clone())[0], Change::Put(_)));
        assert!(matches!(difference(&open, private)[0], Change::Delete(_)));
    }

    #[test]
    fn a_key_that_gets_an_end_is_put_and_not_deleted() {
        let fact = |expires_at| {
            Fact::ServiceKey(ServiceKeyFact {
                digest: [1; 32],
                app: Uuid::nil().into(),
                service: "docs".parse().expect("name"),
                expires_at,
            })
        };
        let ending = fact(Some(Timestamp::UNIX_EPOCH));
        assert_eq!(
            difference(&[fact(None)], vec![ending.clone()]),
            [Change::Put(ending)]
        );
    }
}
