//! The meaning of the model: the decision list of the service that Sentinel replaces, step by step, against the engine.

use std::fmt::Debug;
use std::str::FromStr;

use sentinel_core::id::{GroupId, RoleId, UserId, WorkspaceId};
use sentinel_core::name::{ActionName, ResourceType, ServiceName};
use sentinel_core::{Tuple, WorkspaceRole};

use super::{Grantee, Permission, ShareLevel};
use crate::{Graph, Page, TupleChange, sentinel};

const LEVELS: [Option<ShareLevel>; 3] = [None, Some(ShareLevel::View), Some(ShareLevel::Edit)];

/// Everything that the decision about one user and one resource depends on.
#[derive(Debug, Clone, Copy)]
struct Case {
    role: Option<WorkspaceRole>,
    is_owner: bool,
    shared_in_workspace: bool,
    user_share: Option<ShareLevel>,
    group_share: Option<ShareLevel>,
    in_group: bool,
}

impl Case {
    /// Every combination.
    fn all() -> Vec<Self> {
        let roles = WorkspaceRole::ALL.into_iter().map(Some).chain([None]);
        let mut cases = Vec::new();
        for role in roles {
            for flags in 0..8 {
                for user_share in LEVELS {
                    for group_share in LEVELS {
                        cases.push(Self {
                            role,
                            is_owner: flags & 1 != 0,
                            shared_in_workspace: flags & 2 != 0,
                            user_share,
                            group_share,
                            in_group: flags & 4 != 0,
                        });
                    }
                }
            }
        }
        cases
    }

    /// The contract's list (section 3.3), first match wins. Membership is live here: who has no role has no token
    /// either. Managing is for the owner and for admins (section 3.5).
    fn expected(self, permission: Permission) -> bool {
        let Some(role) = self.role else { return false };
        if self.is_owner || role >= WorkspaceRole::Admin {
            return true;
        }
        if permission == Permission::Manage {
            return false;
        }
        if self.shared_in_workspace && (permission == Permission::View || role == WorkspaceRole::Editor) {
            return true;
        }
        let enough = |share: Option<ShareLevel>| {
            share.is_some_and(|level| permission == Permission::View || level == ShareLevel::Edit)
        };
        enough(self.user_share) || (self.in_group && enough(self.group_share))
    }

    /// The rows of this case: the resource has the case's number.
    fn tuples(self, number: u32, user: UserId) -> Vec<Tuple> {
        let group = id::<GroupId>(number);
        let mut tuples = resource(
            number,
            workspace(),
            self.shared_in_workspace,
            self.is_owner.then_some(user),
        );
        tuples.extend(
            self.user_share
                .map(|level| share(number, Grantee::User(user), level)),
        );
        tuples.extend(
            self.group_share
                .map(|level| share(number, Grantee::Group(group), level)),
        );
        tuples.extend(self.in_group.then(|| sentinel::group_member(group, user)));
        tuples.extend(
            self.role
                .map(|role| sentinel::membership(workspace(), user, role)),
        );
        tuples
    }
}

/// An identifier made of a number.
fn id<T: FromStr<Err: Debug>>(number: u32) -> T {
    format!("018f4e7a-0000-7000-8000-{number:012}")
        .parse()
        .expect("an id")
}

fn workspace() -> WorkspaceId {
    id(1)
}

fn elsewhere() -> WorkspaceId {
    id(2)
}

fn names() -> (ServiceName, ResourceType) {
    (
        "docs".parse().expect("a name"),
        "document".parse().expect("a name"),
    )
}

fn resource_id(number: u32) -> String {
    id::<UserId>(number).to_string()
}

fn resource(number: u32, workspace: WorkspaceId, shared: bool, owner: Option<UserId>) -> Vec<Tuple> {
    let (service, kind) = names();
    sentinel::resource_tuples(&service, &kind, &resource_id(number), workspace, shared, owner)
        .expect("tuples")
}

fn share(number: u32, to: Grantee, level: ShareLevel) -> Tuple {
    let (service, kind) = names();
    sentinel::share(&service, &kind, &resource_id(number), to, level).expect("a tuple")
}

fn graph(tuples: &[Tuple]) -> Graph {
    let empty = Graph::new(sentinel::model());
    empty
        .apply(tuples.iter().map(TupleChange::Put))
        .expect("allowed tuples")
}

fn without(graph: &Graph, tuple: &Tuple) -> Graph {
    assert!(graph.contains(tuple), "{tuple}");
    graph
        .apply([TupleChange::Delete(tuple)])
        .expect("an allowed tuple")
}

fn may(graph: &Graph, workspace: WorkspaceId, user: UserId, number: u32, permission: Permission) -> bool {
    let (service, kind) = names();
    sentinel::may(
        graph,
        workspace,
        user,
        &service,
        &kind,
        &resource_id(number),
        permission,
    )
    .expect("an answer")
}

fn accessible(
    graph: &Graph,
    workspace: WorkspaceId,
    user: UserId,
    permission: Permission,
    page: Page<'_>,
) -> Vec<String> {
    let (service, kind) = names();
    sentinel::accessible(graph, workspace, user, &service, &kind, permission, page).expect("a list")
}

#[test]
fn every_case_is_decided_as_the_contract_says() {
    for (number, case) in (100..).zip(Case::all()) {
        let user = id(50);
        let graph = graph(&case.tuples(number, user));
        for permission in Permission::ALL {
            let expected = case.expected(permission);
            assert_eq!(
                may(&graph, workspace(), user, number, permission),
                expected,
                "{permission} in {case:?}"
            );
            assert!(
                !may(&graph, elsewhere(), user, number, permission),
                "a token for elsewhere, {case:?}"
            );
            assert!(
                !may(&graph, workspace(), user, 99, permission),
                "a resource that is not there, {case:?}"
            );
            assert!(
                !may(&graph, workspace(), id(51), number, permission),
                "somebody else, {case:?}"
            );
            let listed = accessible(&graph, workspace(), user, permission, Page::ALL);
            assert_eq!(
                listed.contains(&resource_id(number)),
                expected,
                "{permission} listed in {case:?}"
            );
            assert!(accessible(&graph, elsewhere(), user, permission, Page::ALL).is_empty());
        }
    }
}

#[test]
fn leaving_the_workspace_takes_everything_at_once_and_returning_brings_it_back() {
    let (user, group) = (id(50), id(60));
    let membership = sentinel::membership(workspace(), user, WorkspaceRole::Viewer);
    let mut tuples = vec![membership.clone(), sentinel::group_member(group, user)];
    tuples.extend(resource(100, workspace(), false, Some(user)));
    tuples.extend(resource(101, workspace(), true, None));
    tuples.extend(resource(102, workspace(), false, None));
    tuples.push(share(102, Grantee::Group(group), ShareLevel::Edit));
    let inside = graph(&tuples);
    let outside = without(&inside, &membership);
    for number in [100, 101, 102] {
        assert!(may(&inside, workspace(), user, number, Permission::View));
        assert!(!may(&outside, workspace(), user, number, Permission::View));
    }
    assert!(!sentinel::is_member(&outside, workspace(), user).expect("an answer"));
    let back = outside
        .apply([TupleChange::Put(&membership)])
        .expect("an allowed tuple");
    assert!(may(&back, workspace(), user, 102, Permission::Edit));
}

#[test]
fn a_resource_of_another_workspace_is_out_of_reach_even_for_a_member_of_both() {
    let user = id(50);
    let mut tuples = resource(100, elsewhere(), true, Some(user));
    tuples.push(sentinel::membership(workspace(), user, WorkspaceRole::Owner));
    tuples.push(sentinel::membership(elsewhere(), user, WorkspaceRole::Owner));
    let graph = graph(&tuples);
    assert!(!may(&graph, workspace(), user, 100, Permission::View));
    assert!(may(&graph, elsewhere(), user, 100, Permission::Manage));
    assert!(accessible(&graph, workspace(), user, Permission::View, Page::ALL).is_empty());
}

#[test]
fn each_role_includes_the_lower_ones() {
    for role in WorkspaceRole::ALL {
        let user = id(50);
        let graph = graph(&[sentinel::membership(workspace(), user, role)]);
        for asked in WorkspaceRole::ALL {
            let has =
                |workspace, user| sentinel::has_role(&graph, workspace, user, asked).expect("an answer");
            assert_eq!(has(workspace(), user), asked <= role, "{role} as {asked}");
            assert!(!has(elsewhere(), user) && !has(workspace(), id(51)));
        }
        assert_eq!(sentinel::is_member(&graph, workspace(), user), Ok(true));
        assert_eq!(sentinel::role_of(&graph, workspace(), user), Ok(Some(role)));
        assert_eq!(sentinel::role_of(&graph, elsewhere(), user), Ok(None));
    }
}

#[test]
fn an_action_needs_a_role_that_grants_it_and_membership() {
    let (user, friend, group): (_, _, GroupId) = (id(50), id(51), id(60));
    let role: RoleId = id(70);
    let (service, _) = names();
    let [export, import] =
        ["reports:export", "reports:import"].map(|name| name.parse::<ActionName>().expect("a name"));
    let membership = sentinel::membership(workspace(), friend, WorkspaceRole::Viewer);
    let grant = sentinel::grant(workspace(), &service, &export, role).expect("a tuple");
    assert_eq!(
        grant.to_string(),
        format!(
            "action:{}/docs/reports|export#granted@role:{role}#holder",
            workspace()
        )
    );
    let tuples = [
        grant.clone(),
        sentinel::role_in_workspace(role, workspace()),
        sentinel::role_assignee(role, Grantee::User(user)),
        sentinel::role_assignee(role, Grantee::Group(group)),
        sentinel::group_in_workspace(group, workspace()),
        sentinel::group_member(group, friend),
        sentinel::membership(workspace(), user, WorkspaceRole::Viewer),
        membership.clone(),
        // An owner has no actions unless a role grants them.
        sentinel::membership(workspace(), id(52), WorkspaceRole::Owner),
    ];
    let graph = graph(&tuples);
    let may_act = |graph: &Graph, workspace, user, action| {
        sentinel::may_act(graph, workspace, user, &service, action).expect("an answer")
    };
    assert!(may_act(&graph, workspace(), user, &export));
    assert!(may_act(&graph, workspace(), friend, &export), "by the group");
    assert!(
        !may_act(&graph, workspace(), id(52), &export),
        "the owner without the role"
    );
    assert!(
        !may_act(&graph, workspace(), user, &import),
        "an action that is not granted"
    );
    assert!(!may_act(&graph, elsewhere(), user, &export), "another workspace");
    assert!(
        !may_act(&without(&graph, &membership), workspace(), friend, &export),
        "no member any more"
    );
    assert!(!may_act(&without(&graph, &grant), workspace(), user, &export));
}

#[test]
fn accessible_resources_come_in_pages_and_of_the_asked_type_only() {
    let user = id(50);
    let mut tuples = vec![sentinel::membership(workspace(), user, WorkspaceRole::Viewer)];
    tuples.extend((100..110).flat_map(|number| resource(number, workspace(), number % 2 == 0, None)));
    let other: ResourceType = "sheet".parse().expect("a name");
    let (service, _) = names();
    let sheet = sentinel::resource_tuples(&service, &other, &resource_id(100), workspace(), true, Some(user));
    tuples.extend(sheet.expect("tuples"));
    let graph = graph(&tuples);
    let mut found = Vec::new();
    loop {
        let after = found.last().cloned();
        let page = Page {
            after: after.as_deref(),
            limit: 2,
        };
        let next = accessible(&graph, workspace(), user, Permission::View, page);
        let last = next.len() < 2;
        found.extend(next);
        if last {
            break;
        }
    }
    assert_eq!(found, [100, 102, 104, 106, 108].map(resource_id));
    assert!(accessible(&graph, workspace(), user, Permission::Edit, Page::ALL).is_empty());
}

#[test]
fn long_names_are_asked_for_like_short_ones() {
    let user = id(50);
    let service: ServiceName = "s".repeat(255).parse().expect("a name");
    let kind: ResourceType = "t".repeat(255).parse().expect("a name");
    let mut tuples =
        sentinel::resource_tuples(&service, &kind, &resource_id(1), workspace(), false, Some(user))
            .expect("the longest id has room");
    tuples.push(sentinel::membership(workspace(), user, WorkspaceRole::Viewer));
    let graph = graph(&tuples);
    let asked = sentinel::may(
        &graph,
        workspace(),
        user,
        &service,
        &kind,
        &resource_id(1),
        Permission::Manage,
    );
    assert_eq!(asked, Ok(true));
    let hostile = "1#owner@user:x";
    let asked = sentinel::may(
        &graph,
        workspace(),
        user,
        &service,
        &kind,
        hostile,
        Permission::View,
    );
    assert_eq!(asked, Ok(false));
}

#[test]
fn a_graph_without_a_model_says_no() {
    let graph = Graph::new(std::sync::Arc::default());
    assert!(sentinel::is_member(&graph, workspace(), id(50)).is_err());
    assert!(
        sentinel::model()
            .validate(&sentinel::group_in_workspace(id(60), workspace()))
            .is_ok()
    );
}

#[test]
fn permissions_are_spelled_as_on_the_wire() {
    for permission in Permission::ALL {
        assert_eq!(permission.to_string().parse(), Ok(permission));
    }
    let error = "View".parse::<Permission>().expect_err("upper case");
    assert_eq!(
        error.to_string(),
        "`View` is not a permission: one of `view`, `edit`, `manage` is expected"
    );
}
