//! A whole system of one test: its own databases, its own directory, its own ports.

use std::time::Duration;

use anyhow::{Context as _, Result};
use sentinel_quickstart::http::Http;
use sentinel_quickstart::system::{Options, Outside, Ports, Programs, Staleness, State, System};
use tempfile::TempDir;
use xtask::postgres::Postgres;
use xtask::redis::Redis;
use xtask::scratch::free_port;

/// A running system. Everything ends, and every file goes, with this value.
#[derive(Debug)]
pub struct Whole {
    /// The programs and the demo programs.
    pub system: System,
    /// The client.
    pub http: Http,
    /// The database server, if it is not the embedded one.
    pub postgres: Option<Postgres>,
    /// Redis, if short-lived state is not in memory.
    pub redis: Option<Redis>,
    _dir: TempDir,
}

/// Longer than any outage of a test.
const STALENESS: Staleness = Staleness {
    documents: Duration::from_mins(5),
    others: Duration::from_mins(5),
};

impl Whole {
    /// On the embedded defaults: SQLite and memory.
    ///
    /// # Errors
    /// A program was not built or does not become ready.
    pub async fn on_sqlite() -> Result<Self> {
        Self::start(None, None, None, free_port()?).await
    }

    /// As a deployment: PostgreSQL and Redis, each a server of its own.
    ///
    /// # Errors
    /// As [`Whole::on_sqlite`], or a server is not installed.
    pub async fn on_postgres() -> Result<Self> {
        Self::start(
            Some(Postgres::start()?),
            Some(Redis::start()?),
            None,
            free_port()?,
        )
        .await
    }

    /// On the embedded defaults, with a login provider that runs already; the control plane gets the port for which it
    /// is registered there.
    ///
    /// # Errors
    /// As [`Whole::on_sqlite`].
    pub async fn with_provider(provider: Outside, control_plane: u16) -> Result<Self> {
        Self::start(None, None, Some(provider), control_plane).await
    }

    /// The same as a deployment: PostgreSQL and Redis, each a server of its own.
    ///
    /// # Errors
    /// As [`Whole::on_postgres`].
    pub async fn with_provider_on_postgres(provider: Outside, control_plane: u16) -> Result<Self> {
        let (postgres, redis) = (Postgres::start()?, Redis::start()?);
        Self::start(Some(postgres), Some(redis), Some(provider), control_plane).await
    }

    async fn start(
        postgres: Option<Postgres>,
        redis: Option<Redis>,
        provider: Option<Outside>,
        control_plane: u16,
    ) -> Result<Self> {
        let dir = tempfile::tempdir().context("cannot make a directory")?;
        let http = Http::new()?;
        let options = Options {
            state: State::take(&dir.path().join("state"))?,
            programs: Programs::in_dir(&xtask::cargo::target_dir())?,
            ports: Ports {
                control_plane,
                control_plane_admin: free_port()?,
                proxy: free_port()?,
                proxy_admin: free_port()?,
                ..Ports::ANY
            },
            database_url: postgres.as_ref().map(Postgres::url),
            redis_url: redis.as_ref().map(Redis::url),
            provider,
            staleness: STALENESS,
            per_minute: Some(100_000),
        };
        let system = System::start(options, &http).await?;
        Ok(Self {
            system,
            http,
            postgres,
            redis,
            _dir: dir,
        })
    }

    /// The logs of both programs, for the message of a test that fails.
    pub fn logs(&self) -> String {
        [&self.system.control_plane, &self.system.proxy]
            .map(|child| {
                let log = std::fs::read_to_string(child.log()).unwrap_or_default();
                // Every request has its decision there; what went wrong is in the other lines.
                let lines: Vec<&str> = log
                    .lines()
                    .filter(|line| !line.contains("a request was decided"))
                    .collect();
                let tail = lines.get(lines.len().saturating_sub(60)..).unwrap_or_default();
                format!("-- the end of the log of {}\n{}\n", child.name(), tail.join("\n"))
            })
            .concat()
    }
}
