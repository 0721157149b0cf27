//! Whom the Sentinel questions are about: workspaces, each with people in roles and groups and with resources that are
//! seen by all, owned and shared. Everything follows from numbers, workspace by workspace, so that ten million tuples never
//! lie in memory as text.

use anyhow::Result;
use sentinel_authz::sentinel::{self, Grantee, ShareLevel};
use sentinel_core::id::{GroupId, RoleId, UserId, WorkspaceId};
use sentinel_core::name::{ActionName, ResourceType, ServiceName};
use sentinel_core::{Tuple, WorkspaceRole};
use uuid::Uuid;

/// Members of a workspace, groups of it and members of each, roles of it, and resources.
pub(super) const MEMBERS: usize = 100;
const GROUPS: usize = 10;
const GROUP: usize = 12;
const ROLES: usize = 3;
pub(super) const RESOURCES: usize = 223;
/// About how many tuples one workspace has.
pub(super) const PER_WORKSPACE: usize = 1000;

const KINDS: [&str; 3] = ["document", "folder", "sheet"];

/// The names that the tuples are made with.
pub(super) struct World {
    pub(super) service: ServiceName,
    kinds: Vec<ResourceType>,
    actions: Vec<ActionName>,
}

impl World {
    pub(super) fn new() -> Result<Self> {
        Ok(Self {
            service: "docs".parse()?,
            kinds: KINDS
                .into_iter()
                .map(|kind| Ok(kind.parse()?))
                .collect::<Result<_>>()?,
            actions: [
                "reports:export",
                "reports:read",
                "members:invite",
                "settings:change",
            ]
            .into_iter()
            .map(|action| Ok(action.parse()?))
            .collect::<Result<_>>()?,
        })
    }

    /// All tuples of a workspace.
    pub(super) fn tuples(&self, workspace: usize) -> Result<Vec<Tuple>> {
        let at = workspace_id(workspace);
        let mut tuples = Vec::with_capacity(PER_WORKSPACE + 100);
        for number in 0..MEMBERS {
            tuples.push(sentinel::membership(
                at,
                member(workspace, number),
                role_of(number),
            ));
        }
        for number in 0..GROUPS {
            let group = group(workspace, number);
            tuples.push(sentinel::group_in_workspace(group, at));
            for place in 0..GROUP {
                // No group has one member twice: the stride and the number of members have no common divisor.
                let who = (scatter(Kind::Place, workspace * GROUPS + number, MEMBERS) + place * 7) % MEMBERS;
                tuples.push(sentinel::group_member(group, member(workspace, who)));
            }
        }
        for number in 0..ROLES {
            let role: RoleId = id(Kind::Role, workspace * ROLES + number).into();
            tuples.push(sentinel::role_in_workspace(role, at));
            let to = Grantee::Group(group(workspace, number));
            tuples.push(sentinel::role_assignee(role, to));
            tuples.push(sentinel::role_assignee(
                role,
                Grantee::User(member(workspace, number * 9 + 1)),
            ));
            for action in self.actions.iter().skip(number) {
                tuples.push(sentinel::grant(at, &self.service, action, role)?);
            }
        }
        for number in 0..RESOURCES {
            tuples.extend(self.resource(workspace, number)?);
        }
        Ok(tuples)
    }

    fn resource(&self, workspace: usize, number: usize) -> Result<Vec<Tuple>> {
        let at = workspace_id(workspace);
        let global = workspace * RESOURCES + number;
        let (kind, id) = (self.kind(number), resource_id(workspace, number));
        let mut draw = Draw(mix(Kind::Draw, global));
        let owner = (!draw.one_in(20)).then(|| member(workspace, draw.below(MEMBERS)));
        let visible = !draw.one_in(3);
        let mut tuples = sentinel::resource_tuples(&self.service, kind, &id, at, visible, owner)?;
        let mut share = |to, level| -> Result<()> {
            tuples.push(sentinel::share(&self.service, kind, &id, to, level)?);
            Ok(())
        };
        if draw.one_in(2) {
            let to = Grantee::User(member(workspace, draw.below(MEMBERS)));
            let level = if draw.one_in(3) {
                ShareLevel::Edit
            } else {
                ShareLevel::View
            };
            share(to, level)?;
        }
        if draw.one_in(8) {
            let first = draw.below(GROUPS);
            for more in 0..3 {
                share(
                    Grantee::Group(group(workspace, (first + more) % GROUPS)),
                    ShareLevel::View,
                )?;
            }
        }
        Ok(tuples)
    }

    /// The type of a workspace's resource.
    pub(super) fn kind(&self, number: usize) -> &ResourceType {
        // INVARIANT: there are as many kinds as names of them.
        &self.kinds[number % KINDS.len()]
    }
}

fn role_of(member: usize) -> WorkspaceRole {
    match member {
        0 => WorkspaceRole::Owner,
        1..5 => WorkspaceRole::Admin,
        5..35 => WorkspaceRole::Editor,
        _ => WorkspaceRole::Viewer,
    }
}

pub(super) fn workspace_id(number: usize) -> WorkspaceId {
    id(Kind::Workspace, number).into()
}

pub(super) fn member(workspace: usize, number: usize) -> UserId {
    id(Kind::User, workspace * MEMBERS + number).into()
}

fn group(workspace: usize, number: usize) -> GroupId {
    id(Kind::Group, workspace * GROUPS + number).into()
}

/// A resource's id as it stands in paths.
pub(super) fn resource_id(workspace: usize, number: usize) -> String {
    id(Kind::Resource, workspace * RESOURCES + number).to_string()
}

/// What has numbers.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Workspace = 1,
    User,
    Group,
    Role,
    Resource,
    Place,
    Draw,
    Question,
}

/// An id that is as far from its neighbours as a random one.
pub(super) fn id(kind: Kind, number: usize) -> Uuid {
    Uuid::from_u64_pair(mix(kind, number), mix(kind, !number))
}

/// A number below `bound` that looks random.
pub(super) fn scatter(kind: Kind, number: usize, bound: usize) -> usize {
    Draw(mix(kind, number)).below(bound)
}

/// `SplitMix64` (Steele, Lea and Flood 2014).
fn mix(kind: Kind, number: usize) -> u64 {
    let number = u64::try_from(number).unwrap_or(u64::MAX);
    step(number.wrapping_add((kind as u64) << 56))
}

fn step(word: u64) -> u64 {
    let mut word = word.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

/// Numbers that look random, the same in every run.
pub(super) struct Draw(u64);

impl Draw {
    /// Numbers for a purpose.
    pub(super) fn new(kind: Kind, number: usize) -> Self {
        Self(mix(kind, number))
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0 = step(self.0.wrapping_add(0x9e37_79b9_7f4a_7c15));
        let spread = (u128::from(self.0) * bound as u128) >> 64;
        usize::try_from(spread).unwrap_or_default()
    }

    pub(super) fn one_in(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_workspace_has_about_a_thousand_tuples_and_none_twice() {
        let world = World::new().expect("names");
        let tuples: Vec<Tuple> = (0..4).flat_map(|at| world.tuples(at).expect("tuples")).collect();
        let distinct: HashSet<&Tuple> = tuples.iter().collect();
        // An owner with whom his own resource is shared has two tuples with two relations.
        assert_eq!(distinct.len(), tuples.len());
        assert!((3800..4200).contains(&tuples.len()), "{}", tuples.len());
    }
}
