//! A whole control plane in a test: on a random port, with its replication and jobs running, on a database and a
//! short-lived store of its own. Actors are made by the real services.

pub(crate) mod github;
pub(crate) mod oidc;
pub(crate) mod routes;

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Method, RequestBuilder, redirect};
use secrecy::ExposeSecret;
use sentinel_access::invitations::Invited;
use sentinel_access::members::Authority;
use sentinel_access::service_apps::{HashedKey, NewServiceApp};
use sentinel_access::users::{NewUser, User};
use sentinel_access::workspaces::NewWorkspace;
use sentinel_control_plane::app::{App, Settings};
use sentinel_control_plane::assemble::{ControlPlane, Services, Setup};
use sentinel_control_plane::extract::client::TrustedProxies;
use sentinel_control_plane::jobs::janitor::Keep;
use sentinel_control_plane::serve::{Listeners, serve};
use sentinel_core::id::{ClientAppId, EdgeId, ServiceAppId, UserId, WorkspaceId};
use sentinel_core::{Clock, ManualClock, Random, SystemRandom, WorkspaceRole};
use sentinel_feed::client::{Follower, FollowerConfig};
use sentinel_feed::{Interest, Need};
use sentinel_identity::{Context, EncryptionKey, Grant, KeysError, Lifetimes, Outbound, ProviderSettings};
use sentinel_store::testing::TestStore;
use sentinel_store::{Database, ShortLived};
use sentinel_token::{AssertionKey, PlainEdgeKey, PlainServiceKey};
use tokio::sync::watch;

/// What a test may want otherwise.
pub(crate) struct Options {
    pub(crate) providers: Vec<ProviderSettings>,
    pub(crate) outbound: Outbound,
    pub(crate) admin_emails: Vec<String>,
    pub(crate) allow_workspaces_by_get: bool,
    pub(crate) logins_per_minute: u64,
    pub(crate) resolves_per_minute: u64,
    pub(crate) page_resolves_per_minute: u64,
    pub(crate) writes_per_minute: u64,
    pub(crate) trusted_proxies: TrustedProxies,
    pub(crate) max_body: usize,
    pub(crate) lifetimes: Lifetimes,
    /// In place of the store's own.
    pub(crate) short_lived: Option<Arc<dyn ShortLived>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            providers: Vec::new(),
            outbound: Outbound::default(),
            admin_emails: Vec::new(),
            allow_workspaces_by_get: true,
            logins_per_minute: 10_000,
            resolves_per_minute: 10_000,
            page_resolves_per_minute: 10_000,
            writes_per_minute: 10_000,
            trusted_proxies: TrustedProxies::default(),
            max_body: 10 * 1024 * 1024,
            lifetimes: LIFETIMES,
            short_lived: None,
        }
    }
}

/// What a control plane runs on, and as what.
struct Ground {
    database: Database,
    short_lived: Arc<dyn ShortLived>,
    clock: Arc<ManualClock>,
    /// The issuer of tokens; the own address if it is the first.
    issuer: Option<String>,
}

pub(crate) const LIFETIMES: Lifetimes = Lifetimes {
    access: Duration::from_mins(15),
    refresh: Duration::from_hours(7 * 24),
    refresh_grace: Duration::from_secs(10),
    session: Duration::from_hours(30 * 24),
    admin: Duration::from_hours(1),
    authz: Duration::from_mins(5),
};

/// A running control plane.
pub(crate) struct TestApp {
    pub(crate) url: String,
    pub(crate) operations: String,
    pub(crate) app: App,
    pub(crate) clock: Arc<ManualClock>,
    /// Follows no redirect and keeps no cookie.
    pub(crate) http: reqwest::Client,
    stop: watch::Sender<bool>,
}

/// What a login hands out.
#[derive(Debug, Clone)]
pub(crate) struct Pair {
    pub(crate) access: String,
    pub(crate) refresh: String,
}

impl TestApp {
    /// A control plane on the store, as it is configured by default.
    pub(crate) async fn start(store: TestStore) -> Self {
        Self::start_with(store, Options::default()).await
    }

    /// A control plane on the store.
    pub(crate) async fn start_with(store: TestStore, options: Options) -> Self {
        let ground = Ground {
            database: store.db.clone(),
            short_lived: options
                .short_lived
                .clone()
                .unwrap_or_else(|| Arc::clone(&store.short_lived)),
            clock: Arc::clone(&store.clock),
            issuer: None,
        };
        Self::launch(ground, options).await
    }

    /// Another control plane of the same installation, under the same public address: it shares nothing with the first
    /// but what is stored.
    pub(crate) async fn beside(
        first: &Self,
        database: Database,
        short_lived: Arc<dyn ShortLived>,
        clock: Arc<ManualClock>,
        options: Options,
    ) -> Self {
        let ground = Ground {
            database,
            short_lived,
            clock,
            issuer: Some(first.url.clone()),
        };
        Self::launch(ground, options).await
    }

    async fn launch(ground: Ground, options: Options) -> Self {
        let loopback = "127.0.0.1:0".parse().expect("address");
        let listeners = Listeners::bind(loopback, loopback).await.expect("free ports");
        let url = format!("http://{}", listeners.http.local_addr().expect("address"));
        let operations = format!("http://{}", listeners.admin.local_addr().expect("address"));
        let Ground {
            database,
            short_lived,
            clock,
            issuer,
        } = ground;
        let issuer = issuer.unwrap_or_else(|| url.clone());
        let (time, random): (Arc<dyn Clock>, Arc<dyn Random>) =
            (Arc::clone(&clock) as Arc<dyn Clock>, Arc::new(SystemRandom));
        let encryption = || EncryptionKey::from_bytes(&[7; 32]).expect("32 bytes");
        // Making an RSA key takes a while: one for all tests of the process.
        let services = Services::new(
            &database,
            encryption(),
            &issuer,
            options.lifetimes,
            &time,
            &random,
        );
        match services.keys.import(&token_key().to_owned().into()).await {
            Ok(_) | Err(KeysError::AlreadyThere(_)) => {}
            Err(error) => panic!("token key: {error}"),
        }
        let public_url = issuer.parse().expect("url");
        let setup = Setup {
            database,
            short_lived,
            encryption: encryption(),
            lifetimes: options.lifetimes,
            providers: options.providers,
            outbound: options.outbound,
            admin_emails: options.admin_emails,
            issuer,
            settings: Settings {
                public_url,
                admin_url: "http://admin.test".parse().expect("url"),
                allow_workspaces_by_get: options.allow_workspaces_by_get,
                max_body: options.max_body,
                logins_per_minute: options.logins_per_minute,
                resolves_per_minute: options.resolves_per_minute,
                page_resolves_per_minute: options.page_resolves_per_minute,
                writes_per_minute: options.writes_per_minute,
                trusted_proxies: options.trusted_proxies,
            },
            keep: Keep {
                younger_than: Duration::from_hours(1),
                at_least: 100,
            },
            clock: time,
            random,
        };
        let control_plane = ControlPlane::assemble(setup).await.expect("a control plane");
        let app = control_plane.app().clone();
        let (stop, stopping) = watch::channel(false);
        tokio::spawn(async move {
            serve(control_plane, listeners, stopping).await.expect("served");
        });
        let app = Self {
            url,
            operations,
            app,
            clock,
            http: client(),
            stop,
        };
        app.settle().await;
        app
    }

    /// An edge that is let follow: its id and its key.
    pub(crate) async fn enrol(&self, name: &str) -> (EdgeId, PlainEdgeKey) {
        let feed_key = self.app.keys.feed_key().await.expect("key");
        let key = PlainEdgeKey::generate(&SystemRandom, feed_key.verify_key());
        let mut tx = self.app.database().begin().await.expect("tx");
        let name = name.parse().expect("name");
        let edges = &self.app.access().edges;
        let edge = edges
            .enrol(&mut tx, None, &name, key.digest().as_bytes())
            .await
            .expect("edge");
        tx.commit().await.expect("commit");
        (edge.id, key)
    }

    /// An edge's follower of this control plane.
    pub(crate) fn follower(&self, edge_key: PlainEdgeKey, state_dir: &Path) -> Follower {
        self.follower_announcing(edge_key, state_dir, None)
    }

    /// The same of one that signs assertions.
    pub(crate) fn follower_announcing(
        &self,
        edge_key: PlainEdgeKey,
        state_dir: &Path,
        assertion_key: Option<AssertionKey>,
    ) -> Follower {
        self.following(FollowerConfig {
            assertion_key,
            ..self.follower_config(edge_key, state_dir)
        })
    }

    /// The same of one that keeps a part, with routes that need relations of services' models.
    pub(crate) fn follower_of(
        &self,
        edge_key: PlainEdgeKey,
        state_dir: &Path,
        interest: Interest,
        needs: Vec<Need>,
    ) -> Follower {
        self.following(FollowerConfig {
            interest,
            needs,
            ..self.follower_config(edge_key, state_dir)
        })
    }

    /// What a follower of everything is made with.
    fn follower_config(&self, edge_key: PlainEdgeKey, state_dir: &Path) -> FollowerConfig {
        FollowerConfig {
            url: self.url.clone(),
            edge_key,
            state_dir: state_dir.to_owned(),
            ca_certificate: None,
            danger_plaintext: false,
            assertion_key: None,
            interest: Interest::all(),
            needs: Vec::new(),
        }
    }

    fn following(&self, config: FollowerConfig) -> Follower {
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        Follower::new(config, clock, Arc::new(SystemRandom)).expect("follower")
    }

    /// Tells it to stop.
    pub(crate) fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Waits until the own replica has what the database has.
    pub(crate) async fn settle(&self) {
        let head = self.app.database().head().await.expect("head");
        assert!(
            self.app.replica().wait_for(head, Duration::from_secs(10)).await,
            "the replica follows"
        );
        let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
        while self.app.require_fresh().is_err() {
            assert!(tokio::time::Instant::now() < deadline, "the replica is in touch");
            tokio::task::yield_now().await;
        }
    }

    /// A request to the API by anybody.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url))
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.request(Method::GET, path)
    }

    pub(crate) fn post(&self, path: &str) -> RequestBuilder {
        self.request(Method::POST, path)
    }

    /// A user who has an account.
    pub(crate) async fn user(&self, email: &str) -> User {
        let name = email.split('@').next().expect("local part");
        let new = NewUser {
            email: email.parse().expect("email"),
            email_verified: true,
            name: name.parse().expect("name"),
            avatar_url: None,
            is_admin: false,
        };
        let mut tx = self.app.database().write().await.expect("tx");
        let user = self.app.access().users.create(&mut tx, new).await.expect("user");
        tx.commit().await.expect("commit");
        user
    }

    /// A workspace that belongs to `owner`.
    pub(crate) async fn workspace(&self, owner: UserId, slug: &str) -> WorkspaceId {
        let new = NewWorkspace {
            name: slug.parse().expect("name"),
            slug: slug.parse().expect("slug"),
            description: None,
        };
        let mut tx = self.app.database().write().await.expect("tx");
        let workspace = self
            .app
            .access()
            .workspaces
            .create(&mut tx, Some(owner), owner, new)
            .await
            .expect("workspace");
        tx.commit().await.expect("commit");
        self.settle().await;
        workspace.id
    }

    /// Makes a user a member.
    pub(crate) async fn member(&self, workspace: WorkspaceId, email: &str, role: WorkspaceRole) {
        let by = Authority::of_administrator(workspace, None);
        let mut tx = self.app.database().write().await.expect("tx");
        let invitations = &self.app.access().invitations;
        let invited = invitations
            .invite(&mut tx, &by, &email.parse().expect("email"), role)
            .await
            .expect("invited");
        assert!(matches!(invited, Invited::Member(_)), "{invited:?}");
        tx.commit().await.expect("commit");
        self.settle().await;
    }

    /// The tokens that a login of the user to the workspace hands out.
    pub(crate) async fn tokens(&self, user: UserId, workspace: WorkspaceId) -> Pair {
        let pair = self
            .app
            .sessions
            .start(&self.grant(user, Some(workspace)))
            .await
            .expect("session");
        Pair {
            access: pair.access_token.expose_secret().to_owned(),
            refresh: pair.refresh_token.expose_secret().to_owned(),
        }
    }

    /// A user of a workspace of his own, and his tokens.
    pub(crate) async fn owner(&self, email: &str, slug: &str) -> (User, WorkspaceId, Pair) {
        let user = self.user(email).await;
        let workspace = self.workspace(user.id, slug).await;
        let pair = self.tokens(user.id, workspace).await;
        (user, workspace, pair)
    }

    /// An administrator, and the `Cookie` header of his panel.
    pub(crate) async fn admin(&self, email: &str) -> (User, String) {
        let user = self.user(email).await;
        let mut tx = self.app.database().write().await.expect("tx");
        let user = self
            .app
            .access()
            .users
            .set_admin(&mut tx, None, user.id, true)
            .await
            .expect("admin");
        let token = self
            .app
            .sessions
            .start_admin(&mut tx, &self.grant(user.id, None))
            .await
            .expect("session");
        tx.commit().await.expect("commit");
        (user, format!("admin_token={}", token.token.expose_secret()))
    }

    /// A service app and its key.
    pub(crate) async fn service(&self, name: &str) -> (ServiceAppId, String) {
        let key = PlainServiceKey::generate(&SystemRandom);
        let new = NewServiceApp {
            name: name.parse().expect("name"),
            service_name: name.parse().expect("service name"),
            allowed_origins: Vec::new(),
            allowed_idp_audiences: Vec::new(),
        };
        let hashed = HashedKey {
            digest: *key.digest().as_bytes(),
            prefix: key.display_prefix(),
        };
        let mut tx = self.app.database().write().await.expect("tx");
        let app = self
            .app
            .access()
            .service_apps
            .create(&mut tx, None, new, hashed)
            .await
            .expect("service app");
        tx.commit().await.expect("commit");
        self.settle().await;
        (app.id, key.expose().to_owned())
    }

    /// A client app with these redirect URIs.
    pub(crate) async fn client_app(&self, name: &str, redirect_uris: &[&str]) -> ClientAppId {
        let uris = redirect_uris
            .iter()
            .map(|uri| uri.parse().expect("redirect URI"))
            .collect();
        let mut tx = self.app.database().write().await.expect("tx");
        let apps = &self.app.access().client_apps;
        let app = apps
            .create(&mut tx, None, name.parse().expect("name"), uris)
            .await
            .expect("client app");
        tx.commit().await.expect("commit");
        app.id
    }

    fn grant(&self, user: UserId, workspace: Option<WorkspaceId>) -> Grant {
        Grant {
            user,
            workspace,
            client_app: None,
            service_app: None,
            arrived_at: self.clock.now(),
            provider: "demo".into(),
            auth_time: self.clock.now(),
            amr: vec!["pwd".into()],
            context: Context::default(),
        }
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The user's part of a request.
pub(crate) trait As {
    fn bearer(self, pair: &Pair) -> Self;
    fn admin(self, cookie: &str) -> Self;
}

impl As for RequestBuilder {
    fn bearer(self, pair: &Pair) -> Self {
        self.bearer_auth(&pair.access)
    }

    fn admin(self, cookie: &str) -> Self {
        self.header("cookie", cookie).header("x-requested-with", "test")
    }
}

#[expect(clippy::disallowed_methods, reason = "the client of tests")]
fn client() -> reqwest::Client {
    reqwest::Client::builder()
        .redirect(redirect::Policy::none())
        .no_proxy()
        .build()
        .expect("client")
}

/// One RSA key for all tests of the process, as PEM.
fn token_key() -> &'static str {
    static KEY: OnceLock<String> = OnceLock::new();
    KEY.get_or_init(|| {
        let pair = KeyPair::generate(KeySize::Rsa2048).expect("key");
        let der: Pkcs8V1Der<'_> = pair.as_der().expect("der");
        format!(
            "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
            STANDARD.encode(der.as_ref())
        )
    })
}
