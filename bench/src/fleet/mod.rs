//! A control plane on PostgreSQL and Redis with a service that has a model of its own, for measurements with edges.

mod relay;
mod tuples;

use std::path::PathBuf;

use anyhow::Result;
use sentinel_quickstart::http::{Http, Secret};
use sentinel_quickstart::system::{Programs, System};
use tempfile::TempDir;
use xtask::postgres::Postgres;
use xtask::redis::Redis;

pub(crate) use relay::Relay;
pub(crate) use tuples::{Change, Tuples};

pub(crate) use crate::plane::Person;
use crate::plane::{Plane, Tenant};

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
    tenant: Tenant,
    _postgres: Postgres,
    _redis: Redis,
    pub(crate) dir: TempDir,
}

impl Fleet {
    /// Starts everything, and registers the service and its model.
    ///
    /// # Errors
    /// Something does not start, or the control plane refuses.
    pub(crate) async fn start(programs: &Programs) -> Result<Self> {
        let Plane {
            system,
            http,
            postgres,
            redis,
            dir,
        } = Plane::start(programs).await?;
        let tenant = Tenant::register(&http, &system.urls).await?;
        let model = Tuples::new(&system.urls.control_plane, &tenant.key).create_model(MODEL);
        tenant.ask(model, 201).await?;
        Ok(Self {
            system,
            http,
            programs: programs.clone(),
            key: tenant.key.clone(),
            tenant,
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
        self.tenant.sign_in(number, "viewer").await
    }

    /// Ends the programs gently.
    pub(crate) async fn stop(self) {
        self.system.stop().await;
    }
}
