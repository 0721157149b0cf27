//! A control plane on PostgreSQL and Redis without an edge of its own, and a tenant there: apps, a workspace, and people who
//! are signed in. What measurements begin with.

use std::time::Duration;

use anyhow::{Context as _, Result};
use sentinel_quickstart::api::Api;
use sentinel_quickstart::http::{Answer, Ask, Http, Secret};
use sentinel_quickstart::provider::people::{OPERATOR, guest};
use sentinel_quickstart::scene::{Door, admin_login, arrive, click};
use sentinel_quickstart::system::{Options, PROVIDER, Ports, Programs, Staleness, State, System, Urls};
use tempfile::TempDir;
use xtask::postgres::Postgres;
use xtask::redis::Redis;

/// More than anybody here asks for: what is measured is no refusal.
const PER_MINUTE: u32 = 100_000;

/// Everything that runs. It ends with this value.
pub(crate) struct Plane {
    pub(crate) system: System,
    pub(crate) http: Http,
    pub(crate) postgres: Postgres,
    pub(crate) redis: Redis,
    pub(crate) dir: TempDir,
}

impl Plane {
    /// Starts everything.
    ///
    /// # Errors
    /// Something does not start.
    pub(crate) async fn start(programs: &Programs) -> Result<Self> {
        let dir = tempfile::tempdir().context("cannot make a directory")?;
        let postgres = Postgres::start_durable()?;
        let redis = Redis::start()?;
        let http = Http::new()?;
        let usual = Duration::from_mins(15);
        let options = Options {
            state: State::take(&dir.path().join("state"))?,
            programs: programs.clone(),
            ports: Ports::ANY,
            database_url: Some(postgres.url()),
            redis_url: Some(redis.url()),
            provider: None,
            staleness: Staleness {
                documents: usual,
                others: usual,
            },
            per_minute: Some(PER_MINUTE),
        };
        let system = System::start(options, &http).await?;
        // The quickstart's edge has no part in this, and would follow every change.
        system.proxy.kill().await;
        Ok(Self {
            system,
            http,
            postgres,
            redis,
            dir,
        })
    }
}

/// A workspace and the apps beside it, as their administrator sees them.
#[derive(Debug, Clone)]
pub(crate) struct Tenant {
    pub(crate) http: Http,
    pub(crate) api: Api,
    /// The service's key.
    pub(crate) key: Secret,
    /// The workspace's id.
    pub(crate) workspace: String,
    admin: Secret,
    door: Door,
}

/// A signed-in member of the workspace.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    /// His id.
    pub(crate) user: String,
    /// His access token.
    pub(crate) access: Secret,
    /// What he gets the next one with.
    pub(crate) refresh: Secret,
}

impl Tenant {
    /// Registers the apps and makes the workspace.
    ///
    /// # Errors
    /// The control plane refuses.
    pub(crate) async fn register(http: &Http, urls: &Urls) -> Result<Self> {
        let api = Api::at(&urls.control_plane);
        let redirect_uri = format!("{}/signed-in", urls.proxy);
        let (admin, _) = admin_login(http, &urls.control_plane, PROVIDER, click(OPERATOR)).await?;
        let create = async |ask: Ask| anyhow::Ok(http.send(&ask).await?.expect(201)?);
        let client_app = create(api.create_client_app(&admin, "Bench", &redirect_uri))
            .await?
            .text("id")?;
        let key = create(api.create_service_app(&admin, "Bench"))
            .await?
            .text("api_key")?;
        let workspace = create(api.create_workspace(&admin, "Bench", "bench"))
            .await?
            .text("id")?;
        Ok(Self {
            api,
            key: Secret::new("the service's key", key),
            workspace,
            admin,
            door: Door {
                control_plane: urls.control_plane.clone(),
                provider: PROVIDER.to_owned(),
                client_app,
                redirect_uri,
            },
            http: http.clone(),
        })
    }

    /// Asks, and expects the status.
    ///
    /// # Errors
    /// Another status, or no answer.
    pub(crate) async fn ask(&self, ask: Ask, status: u16) -> Result<Answer> {
        let answer = self.http.send(&ask).await?.expect(status);
        answer.with_context(|| format!("{} {}", ask.method(), ask.url()))
    }

    /// Signs a guest in as a browser would, with that role in the workspace.
    ///
    /// # Errors
    /// A step of the login does not lead on.
    pub(crate) async fn sign_in(&self, number: usize, role: &str) -> Result<Person> {
        let person = guest(number).context("there are not so many guests")?;
        let arrived = arrive(&self.http, &self.door, click(person)).await?;
        let appoint = self.api.appoint(&self.admin, &self.workspace, person.email, role);
        self.ask(appoint, 201).await?;
        let ask = self.api.token(&arrived.code, &arrived.verifier, &self.workspace);
        let pair = self.ask(ask, 200).await?;
        let access = Secret::new("an access token", pair.text("access_token")?);
        let me = self.ask(self.api.me(&access), 200).await?;
        Ok(Person {
            user: me.text("id")?,
            access,
            refresh: Secret::new("a refresh token", pair.text("refresh_token")?),
        })
    }
}
