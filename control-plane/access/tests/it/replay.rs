//! One truth: replaying every recorded change gives what the rows mean, after whatever was done.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sentinel_access::AccessError;
use sentinel_access::members::Authority;
use sentinel_access::permissions::{NewResource, Visibility};
use sentinel_access::relations::{Filter, ModelOptions, RelationError, RelationTuple, TupleWrite};
use sentinel_access::roles::NewAction;
use sentinel_access::service_apps::{NewServiceApp, ServiceAppChange};
use sentinel_access::users::User;
use sentinel_access::workspaces::NewWorkspace;
use sentinel_authz::sentinel::{Grantee, ShareLevel};
use sentinel_core::id::{GroupId, PermissionId, RoleId, ServiceActionId, ServiceAppId, UserId, WorkspaceId};
use sentinel_core::name::ServiceName;
use sentinel_core::{Change, Clock as _, EmailKey, Fact, Revision, Tuple, WorkspaceRole};
use sentinel_store::{ChangesAfter, on_both_backends};

use crate::world::{World, document_of, key, token};

/// How many operations a run tries.
const OPERATIONS: u32 = 900;

/// How often the two are compared on the way.
const COMPARE_EVERY: u32 = 60;

const SERVICES: [&str; 2] = ["docs", "wiki"];

/// What must have been there for a comparison to mean anything.
const PARTS: [&str; 8] = [
    "#assignee@user",
    "#assignee@group",
    "#granted@role",
    "model docs ",
    "tuple wiki/folder:",
    "expiring-tuple ",
    "#viewer@role",
    "#viewer@group",
];

/// A generator whose runs can be repeated (`SplitMix64`).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % sides as u64).expect("small")
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> Option<T> {
        (!of.is_empty()).then(|| of[self.roll(of.len())])
    }
}

/// What has been made so far, dead or alive.
#[derive(Default)]
struct Made {
    users: Vec<User>,
    workspaces: Vec<WorkspaceId>,
    groups: Vec<(WorkspaceId, GroupId)>,
    roles: Vec<(WorkspaceId, RoleId)>,
    actions: Vec<ServiceActionId>,
    resources: Vec<(&'static str, PermissionId)>,
    apps: Vec<ServiceAppId>,
    keys: u8,
}

/// One operation at random. Refusals are part of the story; a fault of ours is not.
async fn step(world: &World, dice: &mut Dice, made: &mut Made) -> Result<(), AccessError> {
    let user = made.users[dice.roll(made.users.len())].clone();
    let other = made.users[dice.roll(made.users.len())].clone();
    let workspace = dice
        .one(&made.workspaces)
        .unwrap_or_else(|| uuid::Uuid::nil().into());
    let (of, group) = dice
        .one(&made.groups)
        .unwrap_or_else(|| (workspace, uuid::Uuid::nil().into()));
    let role = WorkspaceRole::ALL[dice.roll(4)];
    let by = Authority::of_administrator(workspace, Some(user.id));
    let service = SERVICES[dice.roll(2)];
    let visibility = [Visibility::Private, Visibility::Workspace][dice.roll(2)];
    match dice.roll(36) {
        0 => made
            .workspaces
            .push(create_workspace(world, user.id, made.workspaces.len()).await?),
        1 if dice.roll(6) == 0 => {
            world
                .write(async |tx, access| access.workspaces.delete(tx, &by).await)
                .await?;
        }
        1..=4 if dice.roll(8) == 0 => guest(world, dice, made, &by, role).await?,
        1..=4 => {
            let email = other.email.parse().expect("address");
            world
                .write(async |tx, access| access.invitations.invite(tx, &by, &email, role).await)
                .await?;
        }
        5 => {
            world
                .write(async |tx, access| access.members.change_role(tx, &by, other.id, role).await)
                .await?;
        }
        6 => {
            world
                .write(async |tx, access| access.members.remove(tx, &by, other.id).await)
                .await?;
        }
        7 => {
            let name = format!("group {}", dice.roll(8)).parse().expect("name");
            let group = world
                .write(async |tx, access| access.groups.create(tx, &by, name, None).await)
                .await?;
            made.groups.push((workspace, group.id));
        }
        8 if dice.roll(3) == 0 => {
            let by = Authority::of_administrator(of, None);
            world
                .write(async |tx, access| access.groups.delete(tx, &by, group).await)
                .await?;
        }
        8..=10 => {
            let by = Authority::of_administrator(of, None);
            world
                .write(async |tx, access| access.groups.add_member(tx, &by, group, other.id).await)
                .await?;
        }
        11 => {
            let by = Authority::of_administrator(of, None);
            world
                .write(async |tx, access| access.groups.remove_member(tx, &by, group, other.id).await)
                .await?;
        }
        12 | 13 => {
            let name = document_of(service, u128::try_from(dice.roll(40)).expect("small"));
            let new = NewResource {
                name,
                workspace,
                owner: user.id,
                visibility,
            };
            let service_name = service.parse().expect("name");
            let record = world
                .write(async |tx, access| access.permissions.register(tx, &service_name, new).await)
                .await?;
            made.resources.push((service, record.resource.id));
        }
        14..=17 => of_resource(world, dice, made, (&user, &other), (workspace, group), visibility).await?,
        18 => of_app(world, dice, made).await?,
        19..=28 => of_role(world, dice, made, (workspace, group), other.id).await?,
        29..=34 => of_relations(world, dice, made, &other, (workspace, group)).await?,
        _ => {
            let is_active = dice.roll(2) == 0;
            world
                .write(async |tx, access| access.users.set_active(tx, None, user.id, is_active).await)
                .await?;
        }
    }
    Ok(())
}

/// Invites an address without an account, which signs in or does not.
async fn guest(
    world: &World,
    dice: &mut Dice,
    made: &mut Made,
    by: &Authority,
    role: WorkspaceRole,
) -> Result<(), AccessError> {
    let name = format!("guest{}", made.users.len());
    let email = format!("{name}@example.com").parse().expect("address");
    world
        .write(async |tx, access| access.invitations.invite(tx, by, &email, role).await)
        .await?;
    if dice.roll(2) == 0 {
        let user = world.user(&name).await;
        world
            .write(async |tx, access| {
                let vouched = EmailKey::of(&user.email).expect("address");
                access.invitations.accept_all(tx, &user, &vouched).await
            })
            .await?;
        made.users.push(user);
    }
    Ok(())
}

async fn of_resource(
    world: &World,
    dice: &mut Dice,
    made: &Made,
    (user, other): (&User, &User),
    (workspace, group): (WorkspaceId, GroupId),
    visibility: Visibility,
) -> Result<(), AccessError> {
    let Some((service, permission)) = dice.one(&made.resources) else {
        return Ok(());
    };
    let service = service.parse().expect("name");
    let grantee = if dice.roll(2) == 0 {
        Grantee::User(other.id)
    } else {
        Grantee::Group(group)
    };
    let level = [ShareLevel::View, ShareLevel::Edit][dice.roll(2)];
    match dice.roll(8) {
        0 => {
            world
                .write(async |tx, access| {
                    access
                        .permissions
                        .set_visibility(tx, &service, permission, visibility)
                        .await
                })
                .await?;
        }
        1 => {
            let name = document_of(service.as_str(), u128::try_from(dice.roll(40)).expect("small"));
            world
                .write(async |tx, access| access.permissions.deregister(tx, &service, &name).await)
                .await?;
        }
        2 => {
            world
                .write(async |tx, access| {
                    access
                        .permissions
                        .unshare(tx, &service, permission, grantee)
                        .await
                })
                .await?;
        }
        _ => {
            let by = token(user.id, workspace);
            world
                .write(async |tx, access| {
                    access
                        .permissions
                        .share(tx, &service, &by, permission, grantee, level)
                        .await
                })
                .await?;
        }
    }
    Ok(())
}

async fn of_role(
    world: &World,
    dice: &mut Dice,
    made: &mut Made,
    (workspace, group): (WorkspaceId, GroupId),
    user: UserId,
) -> Result<(), AccessError> {
    let nobody = uuid::Uuid::nil();
    let (of, role) = dice.one(&made.roles).unwrap_or((workspace, nobody.into()));
    let action = dice.one(&made.actions).unwrap_or_else(|| nobody.into());
    let by = Authority::of_administrator(of, None);
    match dice.roll(16) {
        0 | 1 => {
            let by = Authority::of_administrator(workspace, None);
            let name = format!("role {}", dice.roll(8)).parse().expect("name");
            let role = world
                .write(async |tx, access| access.roles.create(tx, &by, name, None).await)
                .await?;
            made.roles.push((workspace, role.id));
        }
        2 if dice.roll(3) == 0 => {
            world
                .write(async |tx, access| access.roles.delete(tx, &by, role).await)
                .await?;
        }
        2 | 3 => {
            let service = SERVICES[dice.roll(2)].parse().expect("name");
            let action = format!("reports:{}", dice.roll(6)).parse().expect("name");
            let new = vec![NewAction {
                action,
                description: None,
            }];
            let actions = world
                .write(async |tx, access| access.roles.register(tx, &service, &service, new).await)
                .await?;
            made.actions.extend(actions.iter().map(|action| action.id));
        }
        4 if dice.roll(2) == 0 => {
            world
                .write(async |tx, access| access.roles.delete_action(tx, None, action).await)
                .await?;
        }
        4..=7 => {
            let others = [action, dice.one(&made.actions).unwrap_or(action)];
            world
                .write(async |tx, access| access.roles.add_actions(tx, &by, role, &others).await)
                .await?;
        }
        8 => {
            world
                .write(async |tx, access| access.roles.remove_action(tx, &by, role, action).await)
                .await?;
        }
        9..=11 => {
            world
                .write(async |tx, access| access.roles.give(tx, &by, role, Grantee::User(user)).await)
                .await?;
        }
        12 => {
            world
                .write(async |tx, access| access.roles.take(tx, &by, role, Grantee::User(user)).await)
                .await?;
        }
        13 | 14 => {
            world
                .write(async |tx, access| access.roles.give(tx, &by, role, Grantee::Group(group)).await)
                .await?;
        }
        _ => {
            world
                .write(async |tx, access| access.roles.take(tx, &by, role, Grantee::Group(group)).await)
                .await?;
        }
    }
    Ok(())
}

/// Models that leave out what the other has, so that tuples of one do not fit the other.
const MODELS: [&str; 2] = [
    "model
  schema 1.1
type user
type folder
  relations
    define workspace: [workspace]
    define viewer: [user, group#member, role#assignee]",
    "model
  schema 1.1
type folder
  relations
    define workspace: [workspace]
    define viewer: [user, user:*, group#member, role#assignee]
    define editor: [user, group#member]",
];

async fn of_relations(
    world: &World,
    dice: &mut Dice,
    made: &Made,
    user: &User,
    (workspace, group): (WorkspaceId, GroupId),
) -> Result<(), AccessError> {
    let service: ServiceName = SERVICES[dice.roll(2)].parse().expect("name");
    let (_, role) = dice
        .one(&made.roles)
        .unwrap_or_else(|| (workspace, uuid::Uuid::nil().into()));
    let mut any = |relations: &[&str]| -> Tuple {
        let relation = relations[dice.roll(relations.len())];
        let subject = match (relation, dice.roll(5)) {
            ("workspace", _) => format!("workspace:{workspace}"),
            (_, 0 | 1) => format!("user:{}", user.id),
            (_, 2) => "user:*".to_owned(),
            (_, 3) => format!("role:{role}#assignee"),
            _ => format!("group:{group}#member"),
        };
        let object = format!("{service}/folder:{}", dice.roll(6));
        format!("{object}#{relation}@{subject}").parse().expect("a tuple")
    };
    let (first, second, third) = (
        any(&["viewer", "editor", "workspace"]),
        any(&["viewer", "workspace"]),
        any(&["viewer"]),
    );
    let seconds = i64::try_from(dice.roll(4)).expect("small") * 20;
    let until = (seconds > 0).then(|| world.store.clock.now() + Duration::from_secs(seconds.unsigned_abs()));
    match dice.roll(10) {
        0 | 1 => {
            let text = MODELS[dice.roll(2)];
            world
                .write(async |tx, access| {
                    let options = ModelOptions::default();
                    let draft = access.relations.model_ground(tx, &service).await?.draft(text)?;
                    access.relations.write_model(tx, None, &draft, options).await
                })
                .await?;
        }
        2 => {
            let kind = Some(format!("{service}/folder"));
            let id = dice.roll(6).to_string();
            let filter = Filter::new(kind, Some(&id), None, None, None).expect("a filter");
            world
                .write(async |tx, access| {
                    let candidates = access.relations.candidates(tx, &service, &filter).await?;
                    access
                        .relations
                        .delete(tx, &service, None, &filter, &candidates)
                        .await
                })
                .await?;
        }
        3 => {
            world.store.clock.advance(Duration::from_secs(15));
            world
                .write(async |tx, access| access.relations.purge_expired(tx).await)
                .await?;
        }
        _ => {
            let put = |tuple, until| RelationTuple { tuple, until };
            let asked = TupleWrite {
                puts: vec![put(first, until), put(second, None)],
                deletes: vec![third],
                preconditions: Vec::new(),
            };
            world.store.clock.advance(Duration::from_millis(1));
            match world.tuples.write(&service, asked, None).await {
                Ok(_) => {}
                Err(RelationError::Access(error)) => return Err(error),
                // A refusal leaves nothing behind.
                Err(_) => return Err(AccessError::NoModel),
            }
        }
    }
    Ok(())
}

async fn of_app(world: &World, dice: &mut Dice, made: &mut Made) -> Result<(), AccessError> {
    made.keys = made.keys.wrapping_add(1);
    let fresh = key(made.keys);
    let app = dice.one(&made.apps);
    match (dice.roll(8), app) {
        (0 | 1, _) | (_, None) => {
            let service = SERVICES[dice.roll(2)];
            let new = NewServiceApp {
                name: service.parse().expect("name"),
                service_name: service.parse().expect("name"),
                allowed_origins: Vec::new(),
                allowed_idp_audiences: Vec::new(),
            };
            let app = world
                .write(async |tx, access| access.service_apps.create(tx, None, new, fresh).await)
                .await?;
            made.apps.push(app.id);
        }
        (2..=4, Some(app)) => {
            let overlap = Duration::from_secs(60 * u64::try_from(dice.roll(3)).expect("small"));
            world
                .write(async |tx, access| {
                    access
                        .service_apps
                        .rotate_key(tx, None, app, fresh, overlap)
                        .await
                })
                .await?;
        }
        (5, Some(app)) => {
            let is_active = Some(dice.roll(2) == 0);
            let change = ServiceAppChange {
                is_active,
                ..ServiceAppChange::default()
            };
            world
                .write(async |tx, access| access.service_apps.update(tx, None, app, change).await)
                .await?;
        }
        (6, Some(app)) => {
            world
                .write(async |tx, access| access.service_apps.delete(tx, None, app).await)
                .await?;
        }
        (_, Some(_)) => {
            world.store.clock.advance(Duration::from_secs(45));
            world
                .write(async |tx, access| access.service_apps.purge_expired_keys(tx).await)
                .await?;
        }
    }
    Ok(())
}

async fn create_workspace(world: &World, owner: UserId, number: usize) -> Result<WorkspaceId, AccessError> {
    let new = NewWorkspace {
        name: "Acme".parse().expect("name"),
        slug: format!("acme-{number}").parse().expect("slug"),
        description: None,
    };
    let made = world
        .write(async |tx, access| access.workspaces.create(tx, None, owner, new).await)
        .await?;
    Ok(made.id)
}

/// A fact's key: putting a fact replaces the one with the same key.
fn key_of(fact: &Fact) -> String {
    match fact {
        Fact::ServiceKey(key) => format!("service-key {:?}", key.digest),
        Fact::Tuple(tuple) | Fact::ExpiringTuple { tuple, .. } => format!("tuple {tuple}"),
        Fact::Model(model) => format!("model {}", model.service),
        other => other.to_string(),
    }
}

/// What a replica knows that has applied every change from the beginning.
pub(crate) async fn replayed(world: &World) -> BTreeSet<String> {
    let mut known = Revision {
        epoch: world.store.db.head().await.expect("head").epoch,
        number: 0,
    };
    let mut facts: BTreeMap<String, Fact> = BTreeMap::new();
    loop {
        let ChangesAfter::Changes(logged) = world.store.db.changes_after(known, 100).await.expect("log")
        else {
            panic!("the log begins at the beginning");
        };
        let Some(last) = logged.last() else { break };
        known = last.revision;
        for change in logged.into_iter().flat_map(|logged| logged.changes) {
            match change {
                // That a user is deactivated, or not, is said again whenever somebody says so: see `Users::set_active`.
                Change::Put(fact @ Fact::DisabledUser(_)) => {
                    facts.insert(key_of(&fact), fact);
                }
                Change::Delete(fact @ Fact::DisabledUser(_)) => {
                    facts.remove(&key_of(&fact));
                }
                Change::Put(fact) => {
                    assert!(
                        facts.get(&key_of(&fact)) != Some(&fact),
                        "`{fact}` was recorded though it did not change"
                    );
                    facts.insert(key_of(&fact), fact);
                }
                Change::Delete(fact) => {
                    assert!(
                        facts.remove(&key_of(&fact)).is_some(),
                        "`{fact}` was deleted though it did not hold"
                    );
                }
            }
        }
    }
    facts.into_values().map(|fact| fact.to_string()).collect()
}

on_both_backends! {
    async fn replaying_the_changes_gives_what_the_rows_mean(store: TestStore) {
        let world = World::new(store);
        let mut dice = Dice(0x5e17_1e1a_7ab1_e5ed);
        let mut made = Made::default();
        for number in 0..8 {
            made.users.push(world.user(&format!("user{number}")).await);
        }
        let (mut done, mut refused) = (0_u32, 0_u32);
        let mut seen = BTreeSet::new();
        for number in 1..=OPERATIONS {
            match step(&world, &mut dice, &mut made).await {
                Ok(()) => done += 1,
                Err(error) => {
                    assert_ne!(error.kind(), sentinel_access::ErrorKind::Internal, "{error:?}");
                    refused += 1;
                }
            }
            if number % COMPARE_EVERY == 0 {
                let facts = world.facts().await;
                assert_eq!(replayed(&world).await, facts, "after {number} operations");
                seen.extend(PARTS.into_iter().filter(|part| {
                    facts.iter().any(|fact| fact.contains(part))
                }));
            }
        }
        assert!(done > OPERATIONS / 4 && refused > 0, "{done} done, {refused} refused: too one-sided to mean anything");
        assert_eq!(seen.len(), PARTS.len(), "only {seen:?} were ever there to be compared");
        // The engine takes every tuple of the result.
        world.graph().await;
    }
}
