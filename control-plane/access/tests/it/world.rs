//! People, workspaces and apps for tests, made through the services themselves.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use sentinel_access::activity::{Filter, Record};
use sentinel_access::members::Authority;
use sentinel_access::permissions::{self, NewResource, ResourceName, Visibility};
use sentinel_access::relations::TupleWriter;
use sentinel_access::service_apps::{HashedKey, NewServiceApp, ServiceApp};
use sentinel_access::users::{NewUser, User};
use sentinel_access::workspaces::NewWorkspace;
use sentinel_access::{Access, AccessError, facts};
use sentinel_authz::sentinel::{self, ShareLevel};
use sentinel_authz::{Graph, Term, TupleChange};
use sentinel_core::id::{GroupId, ResourceId, UserId, WorkspaceId};
use sentinel_core::name::ServiceName;
use sentinel_core::principal::{self, Credential};
use sentinel_core::{Clock, Fact, SystemRandom, WorkspaceRole};
use sentinel_store::testing::TestStore;
use sentinel_store::{Tx, WriteTx};

/// A database with the services over it.
pub(crate) struct World {
    pub(crate) store: TestStore,
    pub(crate) access: Access,
    pub(crate) tuples: TupleWriter,
}

/// The service whose key calls.
pub(crate) fn docs() -> ServiceName {
    "docs".parse().expect("name")
}

/// A resource of `docs`.
pub(crate) fn document(number: u128) -> ResourceName {
    document_of("docs", number)
}

/// A resource of any service.
pub(crate) fn document_of(service: &str, number: u128) -> ResourceName {
    let id = ResourceId::from(uuid::Uuid::from_u128(number));
    ResourceName::new(
        service.parse().expect("name"),
        "document".parse().expect("name"),
        id,
    )
    .expect("short")
}

/// A key that nobody knows, with this digest.
pub(crate) fn key(number: u8) -> HashedKey {
    HashedKey {
        digest: [number; 32],
        prefix: format!("sk_{number:04}****"),
    }
}

/// The user as a token for `workspace` says him to be.
pub(crate) fn token(user: UserId, workspace: WorkspaceId) -> principal::User {
    let nil = uuid::Uuid::nil();
    principal::User {
        id: user,
        email: Some("somebody@example.com".to_owned()),
        name: Some("Somebody".to_owned()),
        workspace,
        workspace_slug: "acme".parse().expect("slug"),
        // What it says about roles must not matter.
        role_at_mint: WorkspaceRole::Owner,
        minted_at: None,
        credential: Credential::ServiceKey { app: nil.into() },
    }
}

impl World {
    pub(crate) fn new(store: TestStore) -> Self {
        let clock = Arc::clone(&store.clock) as Arc<dyn Clock>;
        let access = Access::new(clock, Arc::new(SystemRandom));
        let tuples = TupleWriter::new(store.db.clone(), access.relations.clone());
        Self {
            store,
            access,
            tuples,
        }
    }

    /// Does something in a transaction of its own, a moment after what was done before.
    pub(crate) async fn write<T>(
        &self,
        work: impl AsyncFnOnce(&mut WriteTx, &Access) -> Result<T, AccessError>,
    ) -> Result<T, AccessError> {
        self.store.clock.advance(Duration::from_millis(1));
        let mut tx = self.store.db.write().await?;
        let done = work(&mut tx, &self.access).await?;
        tx.commit().await?;
        Ok(done)
    }

    /// Looks at something.
    pub(crate) async fn read<T>(
        &self,
        look: impl AsyncFnOnce(&mut Tx, &Access) -> Result<T, AccessError>,
    ) -> Result<T, AccessError> {
        let mut tx = self.store.db.read().await?;
        look(&mut tx, &self.access).await
    }

    pub(crate) async fn user(&self, name: &str) -> User {
        let local: String = name.chars().filter(char::is_ascii).collect();
        let new = NewUser {
            email: format!("{local}@example.com").parse().expect("address"),
            email_verified: true,
            name: name.parse().expect("name"),
            avatar_url: None,
            is_admin: false,
        };
        self.write(async |tx, access| access.users.create(tx, new).await)
            .await
            .expect("user")
    }

    pub(crate) async fn workspace(&self, slug: &str, owner: UserId) -> WorkspaceId {
        let new = NewWorkspace {
            name: slug.parse().expect("name"),
            slug: slug.parse().expect("slug"),
            description: None,
        };
        self.write(async |tx, access| access.workspaces.create(tx, Some(owner), owner, new).await)
            .await
            .expect("workspace")
            .id
    }

    /// Makes the user a member, on behalf of an administrator.
    pub(crate) async fn join(&self, workspace: WorkspaceId, user: &User, role: WorkspaceRole) {
        let by = Authority::of_administrator(workspace, None);
        self.write(async |tx, access| access.members.add(tx, &by, user.clone(), role).await)
            .await
            .expect("member");
    }

    /// The user's authority as his membership gives it now.
    pub(crate) async fn authority(
        &self,
        workspace: WorkspaceId,
        user: UserId,
        at_least: WorkspaceRole,
    ) -> Result<Authority, AccessError> {
        self.read(async |tx, access| {
            access
                .members
                .authorize(tx, &token(user, workspace), workspace, at_least)
                .await
        })
        .await
    }

    pub(crate) async fn group(&self, workspace: WorkspaceId, name: &str, members: &[UserId]) -> GroupId {
        let by = Authority::of_administrator(workspace, None);
        let name = name.parse().expect("name");
        self.write(async |tx, access| {
            let group = access.groups.create(tx, &by, name, None).await?;
            for member in members {
                access.groups.add_member(tx, &by, group.id, *member).await?;
            }
            Ok(group.id)
        })
        .await
        .expect("group")
    }

    pub(crate) async fn register(
        &self,
        workspace: WorkspaceId,
        owner: UserId,
        name: ResourceName,
        visibility: Visibility,
    ) -> permissions::Record {
        let service = name.service().clone();
        let new = NewResource {
            name,
            workspace,
            owner,
            visibility,
        };
        self.write(async |tx, access| access.permissions.register(tx, &service, new).await)
            .await
            .expect("registered")
    }

    pub(crate) async fn service_app(&self, service: &str, key: HashedKey) -> ServiceApp {
        let new = NewServiceApp {
            name: service.parse().expect("name"),
            service_name: service.parse().expect("name"),
            allowed_origins: Vec::new(),
            allowed_idp_audiences: Vec::new(),
        };
        self.write(async |tx, access| access.service_apps.create(tx, None, new, key).await)
            .await
            .expect("app")
    }

    /// Every fact of the rows, as lines.
    pub(crate) async fn facts(&self) -> BTreeSet<String> {
        let facts = self.read(async |tx, _| facts(tx).await).await.expect("facts");
        let lines: BTreeSet<String> = facts.iter().map(ToString::to_string).collect();
        assert_eq!(lines.len(), facts.len(), "no fact is said twice");
        lines
    }

    /// The tuples of the rows, in the engine.
    pub(crate) async fn graph(&self) -> Graph {
        let facts = self.read(async |tx, _| facts(tx).await).await.expect("facts");
        let tuples = facts.iter().filter_map(|fact| match fact {
            Fact::Tuple(tuple) => Some(TupleChange::Put(tuple)),
            Fact::ExpiringTuple { tuple, until } => Some(TupleChange::put(tuple, Term::Until(*until))),
            _ => None,
        });
        let models = facts.iter().filter_map(|fact| match fact {
            Fact::Model(model) => Some((&model.service, model.text.as_str())),
            _ => None,
        });
        Graph::new(sentinel::model_with(models).expect("models beside each other"))
            .apply(tuples)
            .expect("the model knows every tuple")
    }

    /// Whether the user may see and change the document, by the engine.
    pub(crate) async fn may(
        &self,
        user: UserId,
        workspace: WorkspaceId,
        name: &ResourceName,
    ) -> (bool, bool) {
        let question = |permission| permissions::Question {
            resource: name.clone(),
            permission,
        };
        let questions = [sentinel::Permission::View, sentinel::Permission::Edit].map(question);
        let caller = token(user, workspace);
        let graph = self.graph().await;
        match permissions::check(&graph, name.service(), &caller, &questions)
            .expect("answers")
            .as_slice()
        {
            [view, edit] => (*view, *edit),
            other => panic!("two answers are expected, not {}", other.len()),
        }
    }

    /// The activity log, newest first.
    pub(crate) async fn activity(&self) -> Vec<Record> {
        self.read(async |tx, access| access.activity.list(tx, &Filter::default(), 1, 100).await)
            .await
            .expect("log")
            .items
    }

    /// The action at the top of the log.
    pub(crate) async fn last_action(&self) -> String {
        self.activity()
            .await
            .first()
            .map(|record| record.action.clone())
            .unwrap_or_default()
    }
}

/// Shares a document of `docs` on behalf of a member.
pub(crate) async fn share(
    world: &World,
    by: principal::User,
    record: &permissions::Record,
    grantee: sentinel::Grantee,
    level: ShareLevel,
) -> Result<(), AccessError> {
    let id = record.resource.id;
    world
        .write(async |tx, access| {
            access
                .permissions
                .share(tx, &docs(), &by, id, grantee, level)
                .await
        })
        .await
}
