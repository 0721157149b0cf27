//! The state that every handler works with: the database, the services, the own replica, and where time and randomness
//! come from. There is nothing global beside it, so two instances can run in one process.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use sentinel_access::Access;
use sentinel_access::relations::TupleWriter;
use sentinel_core::{Clock, Random, Revision, Timestamp};
use sentinel_feed::{Replica, ReplicaState};
use sentinel_identity::{Authz, Keys, Login, Sessions, Tokens};
use sentinel_store::{Database, ShortLived};
use tokio::time::timeout;
use url::Url;

use crate::api::admin::stats::KeptStats;
use crate::api::authz::Questions;
use crate::extract::client::TrustedProxies;
use crate::jobs::last_used::LastUsed;
use crate::metrics::Metrics;
use crate::middleware::cors::AllowedOrigins;
use crate::problem::ApiError;
use crate::replication::Replication;

/// For how long the own replica may be out of touch with the database before this control plane stops answering from it.
pub const REPLICA_FRESHNESS: Duration = Duration::from_secs(5);

/// How long a request waits for the own replica to reach the revision that its credential was made at.
const REVISION_WAIT: Duration = Duration::from_secs(2);

/// How long a question waits for the revision that it brings with it. Whoever asks has somebody waiting himself.
const QUESTION_WAIT: Duration = Duration::from_millis(50);

/// The application. Cheap to clone; axum's state.
#[derive(Clone)]
pub struct App(Arc<Parts>);

/// What an [`App`] is made of. Built once, by the composition root.
pub struct Parts {
    /// The database: `app.database().read()`, `.begin()`, `.write()`.
    pub database: Database,
    /// What may be lost: login state, codes, rate limits.
    pub short_lived: Arc<dyn ShortLived>,
    /// Users, workspaces, members, groups, permissions, apps, edges, the activity log.
    pub access: Access,
    /// Writes services' tuples: requests that wait together are one transaction.
    pub tuples: TupleWriter,
    /// Login through outside providers.
    pub login: Login,
    /// AuthZ mode: tokens of identity providers, and what they are worth here.
    pub authz: Authz,
    /// Sessions and refresh tokens.
    pub sessions: Sessions,
    /// Makes and verifies tokens.
    pub tokens: Tokens,
    /// Signing keys.
    pub keys: Keys,
    /// This control plane's own copy of the replicated state.
    pub replica: Replica,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Ids and secrets.
    pub random: Arc<dyn Random>,
    /// What of the configuration requests depend on.
    pub settings: Settings,
    /// Which service keys were used since they were last written down.
    pub last_used: LastUsed,
    /// Origins that browsers may call from.
    pub origins: AllowedOrigins,
    /// How much there is of everything, as it was last counted.
    pub stats: KeptStats,
    /// What keeps the own replica up: the states of a moment ago, and the changes as they come.
    pub replication: Arc<Replication>,
    /// What the endpoints of questions share.
    pub questions: Questions,
    /// Counters and their registry.
    pub metrics: Metrics,
}

/// What of the configuration requests depend on.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The control plane's public URL: the issuer of tokens.
    pub public_url: Url,
    /// Where the admin login ends.
    pub admin_url: Url,
    /// Whether `GET /auth/workspaces?code=` is answered.
    pub allow_workspaces_by_get: bool,
    /// The longest request body, in bytes.
    pub max_body: usize,
    /// How many requests a minute one address may make to the endpoints that begin or renew a login.
    pub logins_per_minute: u64,
    /// How many requests a minute one service app may make to resolve tokens of identity providers.
    pub resolves_per_minute: u64,
    /// How many such requests a minute one address may make without a service key, as a page.
    pub page_resolves_per_minute: u64,
    /// How many requests a minute one user may make to change something.
    pub writes_per_minute: u64,
    /// The peers whose `X-Forwarded-For` is believed.
    pub trusted_proxies: TrustedProxies,
}

impl App {
    /// Closes the parts into an application.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// The database.
    pub fn database(&self) -> &Database {
        &self.0.database
    }

    /// Users, workspaces, members, groups, permissions, apps, edges, the activity log.
    pub fn access(&self) -> &Access {
        &self.0.access
    }

    /// This control plane's own copy of the replicated state, however old. Handlers ask [`App::state`] instead.
    pub fn replica(&self) -> &Replica {
        &self.0.replica
    }

    /// Where randomness comes from.
    pub fn random(&self) -> &dyn Random {
        &*self.0.random
    }

    /// Whether browsers reach this control plane by TLS.
    pub fn is_https(&self) -> bool {
        self.0.settings.public_url.scheme() == "https"
    }

    /// The present moment.
    pub fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// The replicated state to answer from: fresh, and not older than `at_least`.
    ///
    /// # Errors
    /// 503 when the replica has been out of touch with the database for more than [`REPLICA_FRESHNESS`], or does not reach
    /// the revision in time. An old answer is never given.
    pub async fn state(&self, at_least: Option<Revision>) -> Result<Arc<ReplicaState>, ApiError> {
        let replica = self.replica();
        self.require_fresh()?;
        if let Some(revision) = at_least
            && replica.load().revision() < revision
        {
            // A revision that does not exist yet is not worth waiting for: nobody was given it.
            let known = *self.database().subscribe().borrow();
            let exists = revision <= known || revision <= self.database().newest().await?;
            if !exists || !replica.wait_for(revision, REVISION_WAIT).await {
                return Err(revision_not_reached(replica.load().revision()));
            }
        }
        Ok(replica.load_full())
    }

    /// As [`App::state`], for a question: whoever asks it does not wait for more than a moment.
    ///
    /// # Errors
    /// As [`App::state`].
    pub async fn state_for_question(
        &self,
        at_least: Option<Revision>,
    ) -> Result<Arc<ReplicaState>, ApiError> {
        let state = timeout(QUESTION_WAIT, self.state(at_least))
            .await
            .map_err(|_| revision_not_reached(self.replica().load().revision()))??;
        // It can have gone back meanwhile: to a database that lost commits.
        if at_least.is_some_and(|revision| state.revision() < revision) {
            return Err(revision_not_reached(state.revision()));
        }
        Ok(state)
    }

    /// 503 unless the own replica is in touch with the database.
    pub fn require_fresh(&self) -> Result<(), ApiError> {
        match self.replica().age() {
            Some(age) if age <= REPLICA_FRESHNESS => Ok(()),
            _ => Err(ApiError::unavailable("Access cannot be decided now").with_code("replica_stale")),
        }
    }
}

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// 503 of a state that is older than what was asked for.
pub(crate) fn revision_not_reached(here: Revision) -> ApiError {
    ApiError::unavailable("This revision has not been reached here")
        .with_code("revision_not_reached")
        .decided_at(here)
}
