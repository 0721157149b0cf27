//! How to reach the database.

use std::fmt;

use secrecy::SecretString;

/// Where the database is, and how many connections it may be asked for.
#[derive(Clone)]
pub struct DatabaseConfig {
    /// `postgres://user:password@host:port/database`, or `sqlite:///directory/file.db`. Secret, for it may hold a
    /// password.
    pub url: SecretString,
    /// Connections that transactions may use at once (default 10). On SQLite these are readers; writers take turns.
    pub max_connections: u32,
}

impl DatabaseConfig {
    /// The database at `url`, with the default number of connections.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: SecretString::from(url.into()),
            max_connections: 10,
        }
    }
}

impl fmt::Debug for DatabaseConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatabaseConfig")
            .field("max_connections", &self.max_connections)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_printed() {
        let config = DatabaseConfig::new("postgres://sentinel:hunter2@db/sentinel");
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
