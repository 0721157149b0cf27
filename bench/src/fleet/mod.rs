//! A control plane on PostgreSQL and Redis with a service that has a model of its own, for measurements with edges.

mod relay;
mod tuples;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use sentinel_quickstart::api::Api;
use sentinel_quickstart::http::{Http, Secret};
use sentinel_quickstart::provider::people::{OPERATOR, guest};
use sentinel_quickstart::scene::{Door, admin_login, arrive, click};
use sentinel_quickstart::system::{Options, PROVIDER, Ports, Programs, Staleness, State, System};
use tempfile::TempDir;
use xtask::postgres::Postgres;
use xtask::redis::Redis;

pub(crate) use relay::Relay;
pub(crate) use tuples::{Change, Tuples};

/// More than anybody here asks for.
const PER_MINUTE: u32 = 100_000;

/// The scope of the service.
pub(crate) const SERVICE: &str = "docs";

/// Its model: folders in folders.
const MODEL: &str = "model
  schema 1.1
type user
type folder
  relations
    define parent: [folder]
    define viewer: [user]
    define reader: viewer or reader from parent
";

/// Everything that runs. It ends with this value.
pub(crate) struct Fleet {
    pub(crate) system: System,
    pub(crate) http: Http,
    pub(crate) programs: Programs,
    /// The service's key.
    pub(crate) key: Secret,
    admin: Secret,
    door: Door,
    workspace: String,
    _postgres: Postgres,
    _redis: Redis,
    pub(crate) dir: TempDir,
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

impl Fleet {
    /// Starts everything, and registers the service and its model.
    ///
    /// # Errors
    /// Something does not start, or the control plane refuses.
    pub(crate) async fn start(programs: &Programs) -> Result<Self> {
        let dir = tempfile::tempdir().context("cannot make a directory")?;
        let postgres = Postgres::start_durable()?;
        let redis = Redis::start()?;
        let http = Http::new()?;
        let options = Options {
            state: State::take(&dir.path().join("state"))?,
            programs: programs.clone(),
            ports: Ports::ANY,
            database_url: Some(postgres.url()),
            redis_url: Some(redis.url()),
            provider: None,
            staleness: Staleness {
                documents: Duration::from_mins(15),
                others: Duration::from_mins(15),
            },
            per_minute: Some(PER_MINUTE),
        };
        let system = System::start(options, &http).await?;
        // Other edges have a part in this, and it would follow every change.
        system.proxy.kill().await;
        let url = &system.urls.control_plane;
        let api = Api::at(url);
        let redirect_uri = format!("{}/signed-in", system.urls.proxy);
        let (admin, _) = admin_login(&http, url, PROVIDER, click(OPERATOR)).await?;
        let create = async |ask| anyhow::Ok(http.send(&ask).await?.expect(201)?);
        let client_app = create(api.create_client_app(&admin, "Bench", &redirect_uri))
            .await?
            .text("id")?;
        let app = create(api.create_service_app(&admin, "Bench")).await?;
        let key = Secret::new("the service's key", app.text("api_key")?);
        let workspace = create(api.create_workspace(&admin, "Bench", "bench"))
            .await?
            .text("id")?;
        create(Tuples::new(url, &key).create_model(MODEL)).await?;
        Ok(Self {
            door: Door {
                control_plane: url.clone(),
                provider: PROVIDER.to_owned(),
                client_app,
                redirect_uri,
            },
            system,
            http,
            programs: programs.clone(),
            key,
            admin,
            workspace,
            _postgres: postgres,
            _redis: redis,
            dir,
        })
    }

    /// Writes and reads the service's tuples.
    pub(crate) fn tuples(&self) -> Tuples {
        Tuples::new(&self.system.urls.control_plane, &self.key)
    }

    /// Where the control plane listens, as `host:port`.
    pub(crate) fn control_plane(&self) -> &str {
        self.system.urls.control_plane.trim_start_matches("http://")
    }

    /// Enrols an edge; the file with its key.
    ///
    /// # Errors
    /// The control plane refuses.
    pub(crate) async fn enrol(&self, name: &str) -> Result<PathBuf> {
        let file = self.dir.path().join(format!("{name}.key"));
        let config = &self.system.control_plane_config;
        self.programs.enrol_edge(config, name, &file).await?;
        Ok(file)
    }

    /// Signs somebody in and makes him a member of the workspace.
    ///
    /// # Errors
    /// A step of the login does not lead on.
    pub(crate) async fn sign_in(&self, number: usize) -> Result<Person> {
        let person = guest(number).context("there are not so many guests")?;
        let api = Api::at(&self.system.urls.control_plane);
        let arrived = arrive(&self.http, &self.door, click(person)).await?;
        let appoint = api.appoint(&self.admin, &self.workspace, person.email, "viewer");
        self.http.send(&appoint).await?.expect(201)?;
        let ask = api.token(&arrived.code, &arrived.verifier, &self.workspace);
        let pair = self.http.send(&ask).await?.expect(200)?;
        let access = Secret::new("an access token", pair.text("access_token")?);
        let me = self.http.send(&api.me(&access)).await?.expect(200)?;
        Ok(Person {
            user: me.text("id")?,
            access,
            refresh: Secret::new("a refresh token", pair.text("refresh_token")?),
        })
    }

    /// Ends the programs gently.
    pub(crate) async fn stop(self) {
        self.system.stop().await;
    }
}
