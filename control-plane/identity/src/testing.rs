//! For this crate's tests: the services on a fresh store, with people and workspaces made by the real services.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sentinel_access::Access;
use sentinel_access::users::NewUser;
use sentinel_access::workspaces::NewWorkspace;
use sentinel_core::id::{UserId, WorkspaceId};
use sentinel_core::{Clock, Random, SystemRandom};
use sentinel_store::testing::TestStore;

use crate::sessions::{Context, Grant};
use crate::{EncryptionKey, Keys, Lifetimes, Sessions, Tokens};

pub(crate) const ISSUER: &str = "http://127.0.0.1:9003";

pub(crate) const LIFETIMES: Lifetimes = Lifetimes {
    access: Duration::from_mins(15),
    refresh: Duration::from_hours(7 * 24),
    refresh_grace: Duration::from_secs(10),
    session: Duration::from_hours(30 * 24),
    admin: Duration::from_hours(1),
    authz: Duration::from_mins(5),
};

/// The services on a store.
pub(crate) struct Services {
    pub(crate) store: TestStore,
    pub(crate) access: Access,
    pub(crate) keys: Keys,
    pub(crate) sessions: Sessions,
}

/// The keys service on a store; every call is another process.
pub(crate) fn keys(store: &TestStore) -> Keys {
    let (clock, random) = sources(store);
    let encryption = EncryptionKey::from_bytes(&[7; 32]).expect("32 bytes");
    Keys::new(store.db.clone(), encryption, LIFETIMES, clock, random)
}

fn sources(store: &TestStore) -> (Arc<dyn Clock>, Arc<dyn Random>) {
    (Arc::clone(&store.clock) as Arc<dyn Clock>, Arc::new(SystemRandom))
}

impl Services {
    pub(crate) async fn start(store: TestStore) -> Self {
        Self::start_with(store, LIFETIMES).await
    }

    pub(crate) async fn start_with(store: TestStore, lifetimes: Lifetimes) -> Self {
        let (clock, random) = sources(&store);
        let access = Access::new(Arc::clone(&clock), Arc::clone(&random));
        let keys = keys(&store);
        keys.import(&pem().to_owned().into()).await.expect("key");
        keys.ensure().await.expect("keys");
        let tokens = Tokens::new(
            keys.clone(),
            ISSUER,
            lifetimes,
            Arc::clone(&clock),
            Arc::clone(&random),
        );
        let sessions = Sessions::new(
            store.db.clone(),
            access.clone(),
            keys.clone(),
            tokens,
            lifetimes,
            clock,
            random,
        );
        Self {
            store,
            access,
            keys,
            sessions,
        }
    }

    /// A user with a workspace of his own.
    pub(crate) async fn owner(&self, name: &str) -> (UserId, WorkspaceId) {
        let mut tx = self.store.db.write().await.expect("tx");
        let new = NewUser {
            email: format!("{name}@example.com").parse().expect("email"),
            email_verified: true,
            name: name.parse().expect("name"),
            avatar_url: None,
            is_admin: false,
        };
        let user = self.access.users.create(&mut tx, new).await.expect("user").id;
        let new = NewWorkspace {
            name: name.parse().expect("name"),
            slug: name.parse().expect("slug"),
            description: None,
        };
        let workspace = self
            .access
            .workspaces
            .create(&mut tx, Some(user), user, new)
            .await
            .expect("workspace");
        tx.commit().await.expect("commit");
        (user, workspace.id)
    }

    pub(crate) fn grant(&self, user: UserId, workspace: Option<WorkspaceId>) -> Grant {
        Grant {
            user,
            workspace,
            client_app: None,
            service_app: None,
            arrived_at: self.store.clock.now(),
            provider: "demo".into(),
            auth_time: self.store.clock.now(),
            amr: vec!["pwd".into()],
            context: Context::default(),
        }
    }
}

/// The key that signs tokens in tests.
pub(crate) fn token_key() -> crate::keys::TokenKey {
    crate::keys::TokenKey::from_pem(&pem().to_owned().into()).expect("key")
}

/// One RSA key for all tests of the process: making one takes a while.
fn pem() -> &'static str {
    static KEY: OnceLock<String> = OnceLock::new();
    KEY.get_or_init(|| {
        let pair = KeyPair::generate(KeySize::Rsa2048).expect("key");
        let der: Pkcs8V1Der<'_> = pair.as_der().expect("der");
        let body = STANDARD.encode(der.as_ref());
        format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n")
    })
}
