//! A PostgreSQL database for one test, copied from a template that is migrated once for each schema.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::str::FromStr as _;
use std::sync::Arc;

use sentinel_core::SystemClock;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _};

use crate::{Database, DatabaseConfig};

/// Any number that nobody else locks: one test process at a time makes the template.
const LOCK: i64 = 5_305_270_011;

/// A database of its own, removed in the end.
pub(super) struct Scratch {
    server: PgConnectOptions,
    name: String,
}

/// What a database holds from the beginning.
pub(super) enum Contents {
    /// The schema of this program.
    Tables,
    Nothing,
}

impl Scratch {
    pub(super) async fn create(contents: Contents) -> Self {
        let server = PgConnectOptions::from_str(&super::server("SENTINEL_TEST_POSTGRES_URL"))
            .expect("SENTINEL_TEST_POSTGRES_URL is a URL of PostgreSQL");
        let mut connection = PgConnection::connect_with(&server)
            .await
            .expect("the PostgreSQL of SENTINEL_TEST_POSTGRES_URL answers");
        let template = match contents {
            Contents::Tables => template(&mut connection, &server).await,
            Contents::Nothing => "template1".to_owned(),
        };
        let name = super::unique_name();
        run(
            &mut connection,
            format!("CREATE DATABASE {name} TEMPLATE {template}"),
        )
        .await;
        Self { server, name }
    }

    pub(super) fn url(&self) -> String {
        url(&self.server, &self.name)
    }
}

/// The name of a database that has today's schema and no head, so that each test's history begins by its own clock.
async fn template(connection: &mut PgConnection, server: &PgConnectOptions) -> String {
    let mut hasher = DefaultHasher::new();
    crate::migrate::text().hash(&mut hasher);
    let name = format!("sentinel_template_{:016x}", hasher.finish());
    sqlx::query("SELECT pg_advisory_lock($1)")
        .bind(LOCK)
        .execute(&mut *connection)
        .await
        .expect("lock");
    let exists: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM pg_database WHERE datname = $1)")
        .bind(&name)
        .fetch_one(&mut *connection)
        .await
        .expect("list of databases");
    if !exists {
        // Under another name until it is complete, for the process may be stopped in the middle.
        let draft = super::unique_name();
        run(connection, format!("CREATE DATABASE {draft}")).await;
        let config = DatabaseConfig::new(url(server, &draft));
        let db = Database::connect(&config, Arc::new(SystemClock))
            .await
            .expect("the template answers");
        db.migrate().await.expect("the schema's steps");
        let mut tx = db.begin().await.expect("begin");
        crate::execute!(tx, "DELETE FROM replication_head")
            .await
            .expect("forget the head");
        tx.commit().await.expect("commit");
        db.close().await;
        run(connection, format!("ALTER DATABASE {draft} RENAME TO {name}")).await;
    }
    sqlx::query("SELECT pg_advisory_unlock($1)")
        .bind(LOCK)
        .execute(&mut *connection)
        .await
        .expect("unlock");
    name
}

async fn run(connection: &mut PgConnection, sql: String) {
    connection
        .execute(AssertSqlSafe(sql))
        .await
        .expect("the test's role may create databases");
}

fn url(server: &PgConnectOptions, database: &str) -> String {
    server.clone().database(database).to_url_lossy().into()
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let (server, name) = (self.server.clone(), self.name.clone());
        super::finish(async move {
            let mut connection = PgConnection::connect_with(&server).await?;
            let drop = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
            connection.execute(AssertSqlSafe(drop)).await?;
            connection.close().await
        });
    }
}
