//! The composition root: every service is made here, once, from what it is handed, and nothing reaches for anything else.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use sentinel_access::Access;
use sentinel_access::relations::TupleWriter;
use sentinel_core::{Clock, Random};
use sentinel_identity::{
    Authz, EncryptionKey, Keys, Lifetimes, Login, LoginSettings, Outbound, ProviderSettings, Providers,
    Sessions, Tokens,
};
use sentinel_store::{Database, ShortLived};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::api;
use crate::app::{App, Parts, Settings};
use crate::jobs::{janitor, last_used};
use crate::metrics::Metrics;
use crate::replication::{Enrolment, Replication, Source};

/// What a control plane is made of, from the configuration or from a test.
pub struct Setup {
    /// The database, connected and migrated.
    pub database: Database,
    /// The short-lived store.
    pub short_lived: Arc<dyn ShortLived>,
    /// The key that private signing keys are stored under.
    pub encryption: EncryptionKey,
    /// How long tokens and sessions last.
    pub lifetimes: Lifetimes,
    /// The identity providers.
    pub providers: Vec<ProviderSettings>,
    /// What calls the identity providers.
    pub outbound: Outbound,
    /// Who becomes an administrator by signing in.
    pub admin_emails: Vec<String>,
    /// The issuer of tokens, exactly as they name it: the public URL.
    pub issuer: String,
    /// What requests depend on.
    pub settings: Settings,
    /// How much of the change log is kept.
    pub keep: janitor::Keep,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub random: Arc<dyn Random>,
}

/// The services that also work without a running server: what the `admin` commands use.
#[derive(Clone)]
pub struct Services {
    /// The domain.
    pub access: Access,
    /// Signing keys.
    pub keys: Keys,
    /// Tokens.
    pub tokens: Tokens,
    /// Sessions.
    pub sessions: Sessions,
}

impl Services {
    /// The services on a database.
    pub fn new(
        database: &Database,
        encryption: EncryptionKey,
        issuer: &str,
        lifetimes: Lifetimes,
        clock: &Arc<dyn Clock>,
        random: &Arc<dyn Random>,
    ) -> Self {
        let access = Access::new(Arc::clone(clock), Arc::clone(random));
        let keys = Keys::new(
            database.clone(),
            encryption,
            lifetimes,
            Arc::clone(clock),
            Arc::clone(random),
        );
        let tokens = Tokens::new(
            keys.clone(),
            issuer,
            lifetimes,
            Arc::clone(clock),
            Arc::clone(random),
        );
        let sessions = Sessions::new(
            database.clone(),
            access.clone(),
            keys.clone(),
            tokens.clone(),
            lifetimes,
            Arc::clone(clock),
            Arc::clone(random),
        );
        Self {
            access,
            keys,
            tokens,
            sessions,
        }
    }
}

/// A control plane that is ready to serve.
pub struct ControlPlane {
    app: App,
    replication: Arc<Replication>,
    source: Arc<Source>,
    keep: janitor::Keep,
}

impl ControlPlane {
    /// Makes the services, the first keys if there are none, and loads the replica.
    pub async fn assemble(setup: Setup) -> anyhow::Result<Self> {
        let Setup {
            database,
            short_lived,
            encryption,
            lifetimes,
            providers,
            outbound,
            admin_emails,
            issuer,
            settings,
            keep,
            clock,
            random,
        } = setup;
        let services = Services::new(&database, encryption, &issuer, lifetimes, &clock, &random);
        services
            .keys
            .ensure()
            .await
            .context("the signing keys cannot be used")?;
        let providers = Providers::new(providers, &outbound, &clock)
            .context("the identity providers cannot be set up")?;
        let login = Login::new(
            LoginSettings {
                public_url: settings.public_url.clone(),
                admin_emails: admin_emails.clone(),
            },
            providers.clone(),
            database.clone(),
            Arc::clone(&short_lived),
            services.access.clone(),
            services.sessions.clone(),
            Arc::clone(&clock),
            Arc::clone(&random),
        );
        let authz = Authz::new(
            settings.public_url.clone(),
            admin_emails,
            providers,
            database.clone(),
            Arc::clone(&short_lived),
            services.access.clone(),
            services.sessions.clone(),
            Arc::clone(&clock),
            Arc::clone(&random),
        );
        let replication = Arc::new(Replication::new(database.clone()));
        replication
            .load()
            .await
            .context("the replicated state cannot be loaded")?;
        let enrolment = Enrolment {
            database: database.clone(),
            access: services.access.clone(),
        };
        let feed_key = services.keys.feed_key().await?;
        let cursor_key = services.keys.feed_key().await?;
        let metrics = Metrics::new().context("the metrics cannot be registered")?;
        let source = Arc::new(Source::new(
            Arc::clone(&replication),
            enrolment,
            feed_key,
            Arc::clone(&clock),
            metrics.feed(),
        ));
        let app = App::new(Parts {
            tuples: TupleWriter::new(database.clone(), services.access.relations.clone()),
            database,
            short_lived,
            access: services.access,
            login,
            authz,
            sessions: services.sessions,
            tokens: services.tokens,
            keys: services.keys,
            replica: replication.replica().clone(),
            replication: Arc::clone(&replication),
            questions: api::authz::Questions::new(cursor_key),
            clock,
            random,
            settings,
            last_used: last_used::LastUsed::default(),
            origins: crate::middleware::cors::AllowedOrigins::default(),
            stats: api::admin::stats::KeptStats::default(),
            metrics,
        });
        Ok(Self {
            app,
            replication,
            source,
            keep,
        })
    }

    /// The application.
    pub fn app(&self) -> &App {
        &self.app
    }

    /// The API and, beside it, the feed.
    pub fn router(&self) -> Router {
        let feed = sentinel_feed::service(Arc::clone(&self.source) as Arc<dyn sentinel_feed::FeedSource>);
        api::router(&self.app)
            .with_state(self.app.clone())
            .route_service(sentinel_feed::server::PATH, feed)
    }

    /// The admin listener's router.
    pub fn operations(&self) -> Router {
        api::operations::router(self.app.clone())
    }

    /// Starts what runs beside the requests: the replication and the jobs. All of it ends when `stopping` turns true.
    pub fn start_background(&self, stopping: &watch::Receiver<bool>) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        let (replication, stop) = (Arc::clone(&self.replication), stopping.clone());
        tasks.spawn(async move { replication.run(stop).await });
        let (replication, mut stop) = (Arc::clone(&self.replication), stopping.clone());
        tasks.spawn(async move {
            // An error means that whoever could stop us is gone, which is the same.
            let _ = stop.wait_for(|stop| *stop).await;
            replication.stop();
        });
        tasks.spawn(janitor::run(self.app.clone(), self.keep, stopping.clone()));
        tasks.spawn(last_used::run(self.app.clone(), stopping.clone()));
        tasks
    }
}

/// How long open requests may go on after the signal to stop.
pub const GRACE: Duration = Duration::from_secs(10);
