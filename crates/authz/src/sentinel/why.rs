//! Why the questions of [`super::ask`] are answered as they are: for people, not for requests.

use sentinel_core::id::{UserId, WorkspaceId};
use sentinel_core::name::{ActionName, ResourceType, ServiceName};
use sentinel_core::{Object, Tuple, WorkspaceRole};

use super::{Permission, ask, words};
use crate::{CheckError, Graph, Listed, ObjectsQuery, Page, Query, SubjectsQuery};

/// An answer with its grounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Why {
    /// The answer: that of the question itself.
    pub holds: bool,
    /// The tuples that it holds by; empty if it does not.
    pub by: Vec<Tuple>,
    /// If it does not hold: sets of tuples each of which would be enough, the smallest first and of those the most direct.
    /// Not every one there is.
    pub enough: Vec<Vec<Tuple>>,
}

/// Why the user has at least this role in the workspace, or not.
///
/// # Errors
///
/// The question has no answer within the engine's bounds.
pub fn why_role(
    graph: &Graph,
    workspace: WorkspaceId,
    user: UserId,
    role: WorkspaceRole,
) -> Result<Why, CheckError> {
    let holds = ask::has_role(graph, workspace, user, role)?;
    let questions = [(words::workspace(workspace), role.as_str(), words::user(user))];
    why(graph, holds, &questions)
}

/// Why a role that the user holds in the workspace allows the service's action, or not.
///
/// # Errors
///
/// The question has no answer within the engine's bounds.
pub fn why_act(
    graph: &Graph,
    workspace: WorkspaceId,
    user: UserId,
    service: &ServiceName,
    action: &ActionName,
) -> Result<Why, CheckError> {
    let holds = ask::may_act(graph, workspace, user, service, action)?;
    match words::action(workspace, service, action) {
        Ok(action) => why(graph, holds, &[(action, "can_perform", words::user(user))]),
        Err(_) => Ok(without_grounds(holds)),
    }
}

/// Why the user may do this with a service's resource, acting in `workspace`, or not.
///
/// # Errors
///
/// The question has no answer within the engine's bounds.
pub fn why_may(
    graph: &Graph,
    workspace: WorkspaceId,
    user: UserId,
    service: &ServiceName,
    kind: &ResourceType,
    id: &str,
    permission: Permission,
) -> Result<Why, CheckError> {
    let holds = ask::may(graph, workspace, user, service, kind, id, permission)?;
    let Ok(resource) = words::resource(service, kind, id) else {
        return Ok(without_grounds(holds));
    };
    let questions = [
        (resource.clone(), "workspace", words::workspace(workspace)),
        (resource, permission.relation(), words::user(user)),
    ];
    why(graph, holds, &questions)
}

/// The workspaces that a resource belongs to: one, if it is registered.
///
/// # Errors
///
/// The model does not know the names.
pub fn workspaces_of_resource(
    graph: &Graph,
    service: &ServiceName,
    kind: &ResourceType,
    id: &str,
) -> Result<Vec<WorkspaceId>, CheckError> {
    let Ok(resource) = words::resource(service, kind, id) else {
        return Ok(Vec::new());
    };
    let query = SubjectsQuery {
        object_type: resource.kind(),
        object_id: resource.id(),
        relation: "workspace",
        subject_type: "workspace",
        subject_relation: None,
    };
    let listed = graph.timeless().list_subjects(&query, Page::ALL)?;
    Ok(parsed(&listed.ids))
}

/// The workspaces that the user is a member of.
///
/// # Errors
///
/// The model does not know the names.
pub fn workspaces_of(graph: &Graph, user: UserId) -> Result<Vec<WorkspaceId>, CheckError> {
    let listed = member_of(graph, "workspace", user)?;
    Ok(parsed(&listed.ids))
}

/// The groups that the user is in, directly or by another group.
///
/// # Errors
///
/// The model does not know the names.
pub fn groups_of(graph: &Graph, user: UserId) -> Result<Vec<Object>, CheckError> {
    let listed = member_of(graph, "group", user)?;
    let group = |id: &String| Object::new("group", id).ok();
    Ok(listed.ids.iter().filter_map(group).collect())
}

fn member_of(graph: &Graph, kind: &str, user: UserId) -> Result<Listed, CheckError> {
    let user = words::user(user);
    let query = ObjectsQuery {
        object_type: kind,
        relation: "member",
        subject_type: user.kind(),
        subject_id: user.id(),
        ..ObjectsQuery::default()
    };
    graph.timeless().list_objects(&query, Page::ALL)
}

fn parsed(ids: &[String]) -> Vec<WorkspaceId> {
    // An id that is none of ours was never written by the control plane, and opens nothing.
    ids.iter().filter_map(|id| id.parse().ok()).collect()
}

fn without_grounds(holds: bool) -> Why {
    Why {
        holds,
        by: Vec::new(),
        enough: Vec::new(),
    }
}

/// The grounds of an answer that needs all of these relations: the tuples of each, or what the first one lacks.
fn why(graph: &Graph, holds: bool, questions: &[(Object, &str, Object)]) -> Result<Why, CheckError> {
    let mut why = without_grounds(holds);
    for (object, relation, subject) in questions {
        let query = Query {
            object_type: object.kind(),
            object_id: object.id(),
            relation,
            subject_type: subject.kind(),
            subject_id: subject.id(),
            subject_relation: None,
        };
        let graph = graph.timeless();
        if holds {
            why.by.extend(graph.explain(&query)?.unwrap_or_default());
        } else {
            why.enough = graph.missing(&query)?;
            if !why.enough.is_empty() {
                break;
            }
        }
    }
    Ok(why)
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;
    use std::str::FromStr;

    use super::*;
    use crate::TupleChange;
    use crate::sentinel::{self, Grantee, ShareLevel};

    fn id<T: FromStr<Err: Debug>>(number: u32) -> T {
        format!("018f4e7a-0000-7000-8000-{number:012}")
            .parse()
            .expect("an id")
    }

    fn graph(tuples: &[Tuple]) -> Graph {
        Graph::new(sentinel::model())
            .apply(tuples.iter().map(TupleChange::Put))
            .expect("allowed tuples")
    }

    fn words(tuples: &[Tuple]) -> String {
        let words: Vec<String> = tuples.iter().map(ToString::to_string).collect();
        words
            .join(" + ")
            .replace("018f4e7a-0000-7000-8000-0000000000", "")
    }

    /// The user 50 in workspace 1, his group 60, the role 70, and the document 99 of workspace 1.
    fn world() -> Vec<Tuple> {
        let (service, kind) = (
            "docs".parse().expect("a name"),
            "document".parse().expect("a name"),
        );
        let action = "reports:export".parse().expect("a name");
        let workspace = id(1);
        let document = id::<UserId>(99).to_string();
        let mut tuples =
            sentinel::resource_tuples(&service, &kind, &document, workspace, false, None).expect("tuples");
        tuples.extend([
            sentinel::membership(workspace, id(50), WorkspaceRole::Viewer),
            sentinel::group_member(id(60), id(50)),
            sentinel::role_in_workspace(id(70), workspace),
            sentinel::grant(workspace, &service, &action, id(70)).expect("a tuple"),
        ]);
        tuples
    }

    fn may(tuples: &[Tuple], workspace: u32, permission: Permission) -> Why {
        let (service, kind) = (
            "docs".parse().expect("a name"),
            "document".parse().expect("a name"),
        );
        let document = id::<UserId>(99).to_string();
        let graph = graph(tuples);
        why_may(
            &graph,
            id(workspace),
            id(50),
            &service,
            &kind,
            &document,
            permission,
        )
        .expect("an answer")
    }

    #[test]
    fn a_yes_has_its_tuples_and_a_no_what_would_be_enough() {
        let no = may(&world(), 1, Permission::View);
        assert!(!no.holds && no.by.is_empty());
        let enough: Vec<String> = no.enough.iter().map(|way| words(way)).collect();
        assert_eq!(
            enough,
            [
                "resource:docs/document/99#share_view@user:50",
                "resource:docs/document/99#shared_in@workspace:01",
                "resource:docs/document/99#owner@user:50",
                "resource:docs/document/99#share_edit@user:50",
                "resource:docs/document/99#share_view@group:60#member",
                "workspace:01#admin@user:50",
                "resource:docs/document/99#share_edit@group:60#member",
                "workspace:01#owner@user:50",
            ]
        );
        let mut tuples = world();
        let (service, kind) = (
            "docs".parse().expect("a name"),
            "document".parse().expect("a name"),
        );
        let document = id::<UserId>(99).to_string();
        let share = sentinel::share(
            &service,
            &kind,
            &document,
            Grantee::Group(id(60)),
            ShareLevel::View,
        );
        tuples.push(share.expect("a tuple"));
        let yes = may(&tuples, 1, Permission::View);
        assert!(yes.holds && yes.enough.is_empty());
        assert_eq!(
            words(&yes.by),
            "resource:docs/document/99#workspace@workspace:01 + \
             resource:docs/document/99#share_view@group:60#member + group:60#member@user:50 + \
             resource:docs/document/99#workspace@workspace:01 + workspace:01#viewer@user:50"
        );
    }

    #[test]
    fn a_resource_of_another_workspace_lacks_its_workspace_first() {
        let no = may(&world(), 2, Permission::View);
        assert_eq!(
            words(&no.enough.concat()),
            "resource:docs/document/99#workspace@workspace:02"
        );
        let (service, kind) = (
            "docs".parse().expect("a name"),
            "document".parse().expect("a name"),
        );
        let document = id::<UserId>(99).to_string();
        let home = workspaces_of_resource(&graph(&world()), &service, &kind, &document);
        assert_eq!(home, Ok(vec![id(1)]));
    }

    #[test]
    fn an_action_lacks_the_role_that_grants_it_or_the_grant() {
        let (service, action) = (
            "docs".parse().expect("a name"),
            "reports:export".parse().expect("a name"),
        );
        let ask =
            |tuples: &[Tuple]| why_act(&graph(tuples), id(1), id(50), &service, &action).expect("an answer");
        let no = ask(&world());
        let enough: Vec<String> = no.enough.iter().map(|way| words(way)).collect();
        assert_eq!(
            enough,
            ["role:70#assignee@user:50", "role:70#assignee@group:60#member"]
        );
        let mut tuples = world();
        tuples.push(sentinel::role_assignee(id(70), Grantee::User(id(50))));
        assert!(ask(&tuples).holds);
    }

    #[test]
    fn a_role_lacks_itself_or_a_higher_one_and_memberships_and_groups_are_listed() {
        let graph = graph(&world());
        let no = why_role(&graph, id(1), id(50), WorkspaceRole::Admin).expect("an answer");
        let enough: Vec<String> = no.enough.iter().map(|way| words(way)).collect();
        assert_eq!(
            enough,
            ["workspace:01#admin@user:50", "workspace:01#owner@user:50"]
        );
        let yes = why_role(&graph, id(1), id(50), WorkspaceRole::Viewer).expect("an answer");
        assert_eq!(words(&yes.by), "workspace:01#viewer@user:50");
        assert_eq!(workspaces_of(&graph, id(50)), Ok(vec![id(1)]));
        assert_eq!(workspaces_of(&graph, id(51)), Ok(Vec::new()));
        let groups = groups_of(&graph, id(50)).expect("a list");
        assert_eq!(groups.len(), 1);
    }
}
