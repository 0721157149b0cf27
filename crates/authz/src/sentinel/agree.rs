//! What is asked of a [`Member`] against the same questions asked of the engine one by one, in words, on random tuples.

use std::fmt::Debug;
use std::str::FromStr;
use std::sync::Arc;

use proptest::prelude::*;
use proptest::sample::subsequence;
use sentinel_core::id::{GroupId, UserId, WorkspaceId};
use sentinel_core::name::{ActionName, ResourceType, ServiceName};
use sentinel_core::{Object, Timestamp, Tuple, WorkspaceRole};

use super::{ActionWords, Grantee, Member, Permission, ResourceWords, ServiceRelation, ShareLevel, words};
use crate::{CheckError, Graph, Query, TupleChange, sentinel};

const FOLDERS: &str = "model
  schema 1.1
type folder
  relations
    define workspace: [workspace]
    define parent: [folder]
    define viewer: [user, user:*, group#member] or member from workspace or viewer from parent
    define banned: [user]
    define reader: viewer but not banned
";

/// How long a share of a folder holds that ends.
const END: i64 = 1_000_000;

fn id<T: FromStr<Err: Debug>>(number: usize) -> T {
    format!("018f4e7a-0000-7000-8000-{number:012}")
        .parse()
        .expect("an id")
}

fn name<T: FromStr<Err: Debug>>(text: &str) -> T {
    text.parse().expect("a name")
}

/// Ids of every shape that is put together in its own way, and one for which there is no room on the stack.
fn resource_ids() -> [String; 4] {
    [
        id::<UserId>(70).to_string(),
        "plain".to_owned(),
        format!("before-{}", id::<UserId>(70)),
        "long".repeat(50),
    ]
}

fn actions() -> [ActionName; 2] {
    [name("reports:export"), name("read")]
}

/// Everything that may be true of two workspaces, three users, two groups and two roles. The third user and the third
/// workspace are in nearly none of it.
fn all_tuples() -> Vec<Tuple> {
    let (service, kind) = (name::<ServiceName>("docs"), name::<ResourceType>("document"));
    let mut tuples = Vec::new();
    for workspace in 0..2 {
        let at: WorkspaceId = id(workspace);
        for user in 0..2 {
            for role in WorkspaceRole::ALL {
                tuples.push(sentinel::membership(at, id(10 + user), role));
            }
        }
        tuples.push(sentinel::group_in_workspace(id(20 + workspace), at));
        tuples.push(sentinel::role_in_workspace(id(30 + workspace), at));
        for action in actions() {
            let grant = sentinel::grant(at, &service, &action, id(30 + workspace));
            tuples.push(grant.expect("a tuple"));
        }
        for number in resource_ids() {
            let owner = Some(id(10 + workspace));
            let resource = sentinel::resource_tuples(&service, &kind, &number, at, true, owner);
            tuples.extend(resource.expect("tuples"));
            for level in [ShareLevel::View, ShareLevel::Edit] {
                for to in [Grantee::User(id(11)), Grantee::Group(id(20 + workspace))] {
                    let share = sentinel::share(&service, &kind, &number, to, level);
                    tuples.push(share.expect("a tuple"));
                }
            }
        }
    }
    for group in 0..2 {
        for user in 0..3 {
            tuples.push(sentinel::group_member(id(20 + group), id(10 + user)));
        }
        for to in [Grantee::User(id(10 + group)), Grantee::Group(id(20 + group))] {
            tuples.push(sentinel::role_assignee(id(30), to));
        }
    }
    tuples.extend(folder_tuples());
    tuples
}

fn folder_tuples() -> Vec<Tuple> {
    let (user, group) = (id::<UserId>(10), id::<GroupId>(20));
    let mut texts = vec![
        "docs/folder:a#parent@docs/folder:b".to_owned(),
        "docs/folder:b#parent@docs/folder:a".to_owned(),
    ];
    for folder in ["a", "b"] {
        texts.push(format!("docs/folder:{folder}#viewer@user:{user}"));
        texts.push(format!("docs/folder:{folder}#viewer@user:*"));
        texts.push(format!("docs/folder:{folder}#viewer@group:{group}#member"));
        texts.push(format!("docs/folder:{folder}#banned@user:{user}"));
        texts.push(format!(
            "docs/folder:{folder}#workspace@workspace:{}",
            id::<WorkspaceId>(0)
        ));
    }
    texts.iter().map(|text| text.parse().expect("a tuple")).collect()
}

/// A question in words.
fn ask(
    graph: &Graph,
    now: Timestamp,
    object: &Object,
    relation: &str,
    subject: &Object,
) -> Result<bool, CheckError> {
    graph.at(now).check(&Query {
        object_type: object.kind(),
        object_id: object.id(),
        relation,
        subject_type: subject.kind(),
        subject_id: subject.id(),
        subject_relation: None,
    })
}

struct World {
    graph: Graph,
    service: ServiceName,
    kind: ResourceType,
}

impl World {
    fn new(tuples: &[Tuple], ending: usize) -> Self {
        let service: ServiceName = name("docs");
        let model = sentinel::model_with([(&service, FOLDERS)]).expect("a model");
        let until = Timestamp::from_timestamp_micros(END).expect("a time");
        let changes = tuples.iter().enumerate().map(|(number, tuple)| {
            if tuple.object().kind() == "docs/folder" && number % 3 == ending {
                TupleChange::PutUntil(tuple, until)
            } else {
                TupleChange::Put(tuple)
            }
        });
        Self {
            graph: Graph::new(model).apply(changes).expect("allowed tuples"),
            service,
            kind: name("document"),
        }
    }

    /// All questions about one user in one workspace.
    fn compare(&self, workspace: WorkspaceId, user: UserId) -> Result<(), TestCaseError> {
        let Self { graph, service, kind } = self;
        let (at, who) = (words::workspace(workspace), words::user(user));
        let timeless = Timestamp::MIN_UTC;
        let member = Member::find(graph, workspace, user).expect("Sentinel's model");
        let mut highest = None;
        for role in WorkspaceRole::ALL {
            let has = ask(graph, timeless, &at, role.as_str(), &who);
            if has == Ok(true) {
                highest = Some(role);
            }
            prop_assert_eq!(member.has_role(role), has);
        }
        prop_assert_eq!(member.role(), Ok(highest));
        prop_assert_eq!(member.is_member(), ask(graph, timeless, &at, "member", &who));
        for number in resource_ids() {
            let words = ResourceWords::new(service, kind, &number);
            let resource = words::resource(service, kind, &number).expect("an object");
            let found = Member::find_with_resource(graph, workspace, user, &words);
            let found = found.expect("Sentinel's model");
            prop_assert_eq!(found.member().role(), Ok(highest));
            let is_here = ask(graph, timeless, &resource, "workspace", &at)?;
            for permission in Permission::ALL {
                let may = ask(graph, timeless, &resource, permission.relation(), &who)?;
                prop_assert_eq!(
                    found.may(permission),
                    Ok(is_here && may),
                    "{} {}",
                    resource,
                    permission
                );
                prop_assert_eq!(member.may(&words, permission), Ok(is_here && may));
            }
        }
        for action in actions() {
            let object = words::action(workspace, service, &action).expect("an object");
            let may = ask(graph, timeless, &object, "can_perform", &who);
            let words = ActionWords::new(service, &action);
            let found = Member::find_with_action(graph, workspace, user, &words);
            let found = found.expect("Sentinel's model");
            prop_assert_eq!(found.member().role(), Ok(highest));
            prop_assert_eq!(found.may(), may.clone());
            prop_assert_eq!(member.may_act(&words), may);
        }
        for now in [END - 1, END] {
            let now = Timestamp::from_timestamp_micros(now).expect("a time");
            self.compare_folders(now, &member, &at, &who)?;
        }
        Ok(())
    }

    fn compare_folders(
        &self,
        now: Timestamp,
        member: &Member<'_>,
        at: &Object,
        who: &Object,
    ) -> Result<(), TestCaseError> {
        let graph = &self.graph;
        // The second one is of a model that says the same of folders under other numbers.
        let other: ServiceName = name("books");
        let beside = sentinel::model_with([(&other, FOLDERS), (&self.service, FOLDERS)]).expect("a model");
        for model in [graph.model(), &beside] {
            for relation in ["viewer", "reader", "workspace"] {
                for in_workspace in [false, true] {
                    let wanted = ServiceRelation::find(model, "docs/folder", relation, in_workspace);
                    let wanted = wanted.expect("a relation");
                    prop_assert!(Arc::ptr_eq(wanted.model(), model));
                    for folder in ["a", "b", "c"] {
                        let object = Object::new("docs/folder", folder).expect("an object");
                        let is_here = !in_workspace || ask(graph, now, &object, "workspace", at)?;
                        let expected = ask(graph, now, &object, relation, who).map(|is| is_here && is);
                        prop_assert_eq!(member.is_related(now, &wanted, folder), expected);
                    }
                }
            }
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_member_is_answered_as_the_engine_answers(
        tuples in subsequence(all_tuples(), 0..=all_tuples().len()),
        ending in 0_usize..4,
    ) {
        let world = World::new(&tuples, ending);
        for workspace in 0..3 {
            for user in 10..13 {
                world.compare(id(workspace), id(user))?;
            }
        }
    }
}

#[test]
fn names_that_a_model_lacks_are_errors() {
    let model = Arc::new(crate::Model::parse("model\n  schema 1.1\ntype user").expect("a model"));
    let graph = Graph::new(model);
    let found = Member::find(&graph, id(1), id(2)).map(|_| ());
    assert_eq!(found, Err(CheckError::UnknownType("workspace".to_owned())));
    let service: ServiceName = name("docs");
    let model = sentinel::model_with([(&service, FOLDERS)]).expect("a model");
    let relation = ServiceRelation::find(&model, "docs/folder", "viewer", false).expect("a relation");
    assert!(ServiceRelation::find(&model, "docs/folder", "owner", false).is_err());
    // The relation is gone by now.
    let graph = Graph::new(sentinel::model());
    let member = Member::find(&graph, id(1), id(2)).expect("Sentinel's model");
    let asked = member.is_related(Timestamp::MIN_UTC, &relation, "a");
    assert_eq!(asked, Err(CheckError::UnknownType("docs/folder".to_owned())));
}
