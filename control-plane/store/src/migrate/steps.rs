//! The steps, as this program was built with them.

use std::borrow::Cow;

use sqlx::error::BoxDynError;
use sqlx::migrate::{Migration, MigrationSource, MigrationType};
use sqlx::{AssertSqlSafe, SqlSafeStr as _};

use super::translate::{to_postgres, to_sqlite};

/// Whose spelling is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    Postgres,
    Sqlite,
}

/// All steps in one spelling.
#[derive(Debug)]
pub(super) struct Steps(pub(super) Dialect);

struct Step {
    version: i64,
    name: &'static str,
    postgres: &'static str,
    /// The same text, unless the two cannot share one.
    sqlite: &'static str,
}

macro_rules! steps {
    ($($version:literal $name:literal: $file:literal;)+) => {
        &[$(Step {
            version: $version,
            name: $name,
            postgres: include_str!(concat!("../../../../migrations/", $file, ".sql")),
            sqlite: include_str!(concat!("../../../../migrations/", $file, ".sql")),
        },)+]
    };
}

const STEPS: &[Step] = steps! {
    1 "identity, access, replication": "0001_identity_access_replication";
    2 "roles and actions": "0002_roles_and_actions";
    3 "invitations and authz sessions": "0003_invitations_and_authz_sessions";
    4 "edge assertion keys": "0004_edge_assertion_keys";
    5 "models and relation tuples": "0005_models_and_relation_tuples";
    6 "chain of the change log": "0006_chain_of_the_change_log";
};

/// The numbers of all steps, in order.
pub(super) fn versions() -> Vec<i64> {
    STEPS.iter().map(|step| step.version).collect()
}

/// All steps as one text for PostgreSQL, to tell one schema from another.
pub(crate) fn text() -> String {
    STEPS.iter().map(|step| to_postgres(step.postgres)).collect()
}

impl Step {
    fn migration(&self, dialect: Dialect) -> Migration {
        let (source, sql) = match dialect {
            Dialect::Postgres => (self.postgres, to_postgres(self.postgres)),
            Dialect::Sqlite => (self.sqlite, to_sqlite(self.sqlite)),
        };
        // The checksum is the file's, so that it outlives changes in how it is translated.
        let name = Cow::Borrowed(self.name);
        let mut migration = Migration::new(
            self.version,
            name,
            MigrationType::Simple,
            source.into_sql_str(),
            false,
        );
        migration.sql = AssertSqlSafe(sql).into_sql_str();
        migration
    }
}

impl MigrationSource<'static> for Steps {
    fn resolve(
        self,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<Vec<Migration>, BoxDynError>> + Send + 'static>> {
        Box::pin(async move { Ok(STEPS.iter().map(|step| step.migration(self.0)).collect()) })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn every_file_is_a_step_and_numbers_have_no_gaps() {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations");
        let mut files: Vec<String> = fs::read_dir(directory)
            .expect("migrations")
            .map(|entry| entry.expect("entry").file_name().into_string().expect("UTF-8"))
            .filter(|name| {
                Path::new(name)
                    .extension()
                    .is_some_and(|extension| extension == "sql")
            })
            .collect();
        files.sort();
        let numbers: Vec<i64> = files
            .iter()
            .map(|name| name[..4].parse().expect("four digits"))
            .collect();
        assert_eq!(numbers, versions());
        assert_eq!(
            versions(),
            (1..=i64::try_from(files.len()).expect("few")).collect::<Vec<_>>()
        );
    }

    #[test]
    fn a_step_has_one_checksum_however_it_is_spelled() {
        for step in STEPS {
            let (postgres, sqlite) = (step.migration(Dialect::Postgres), step.migration(Dialect::Sqlite));
            assert_eq!(postgres.checksum, sqlite.checksum);
            assert_ne!(postgres.sql.as_str(), sqlite.sql.as_str());
        }
    }
}
