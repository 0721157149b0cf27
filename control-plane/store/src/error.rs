//! What can go wrong with the database and with short-lived state, in words that a caller can act on and that are the
//! same on every backend.

use std::error::Error;

use sqlx::error::{DatabaseError, ErrorKind};

/// The cause of an error, for the log.
type Cause = Box<dyn Error + Send + Sync>;

/// Why the store could not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A row with the same value is there already.
    #[error("`{constraint}` is already taken")]
    Conflict {
        /// The constraint, as `<table>__<column>__<column>` on both databases.
        constraint: String,
    },
    /// The row refers to one that is not there, or others still refer to it.
    #[error("the row refers to one that does not exist, or others still refer to it")]
    ForeignKey,
    /// The values break a rule of the schema.
    #[error("the values break the rule `{constraint}` of the schema")]
    Check {
        /// The rule's name.
        constraint: String,
    },
    /// The database, or Redis, cannot be reached. After a commit it is not known whether it was carried out.
    #[error("the store cannot be reached")]
    Unavailable(#[source] Cause),
    /// Others hold what is needed for too long; the same may work when tried again.
    #[error("the store is busy: try again")]
    Busy(#[source] Cause),
    /// A stored row cannot be turned into what it stands for.
    #[error("`{table}.{column}` of the row `{row}` cannot be read: mend or remove the row")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// Which row: its primary key.
        row: String,
    },
    /// A statement of this transaction failed or was not awaited to its end, so nothing of it will be kept.
    #[error("the transaction had an error before and can only be dropped")]
    Poisoned,
    /// The database's schema is not the one that this program needs.
    #[error("the schema does not fit: {0}")]
    Schema(String),
    /// The URL names no database or Redis that this program can use.
    #[error("the URL cannot be used: {0}")]
    Url(String),
    /// A statement has another number of placeholders than of values: a defect of the program.
    #[error("`{sql}` asks for {expected} values and was given {given}")]
    Placeholders {
        /// The statement.
        sql: &'static str,
        /// The highest placeholder in it.
        expected: usize,
        /// The values that it was given.
        given: usize,
    },
    /// Anything else: a defect of the program, or of the database.
    #[error("the store failed")]
    Other(#[source] Cause),
}

impl StoreError {
    /// A row that cannot be turned into what it stands for.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "callers hand over the id that they have"
    )]
    pub fn corrupt(table: &'static str, column: &'static str, row: impl ToString) -> Self {
        Self::Corrupt {
            table,
            column,
            row: row.to_string(),
        }
    }

    /// The same once more, for another one whom it concerns; what led to it as a text.
    #[must_use]
    pub fn again(&self) -> Self {
        let told = |cause: &Cause| -> Cause { chain(cause.as_ref()).into() };
        match self {
            Self::Conflict { constraint } => Self::Conflict {
                constraint: constraint.clone(),
            },
            Self::ForeignKey => Self::ForeignKey,
            Self::Check { constraint } => Self::Check {
                constraint: constraint.clone(),
            },
            Self::Unavailable(cause) => Self::Unavailable(told(cause)),
            Self::Busy(cause) => Self::Busy(told(cause)),
            Self::Corrupt { table, column, row } => Self::Corrupt {
                table,
                column,
                row: row.clone(),
            },
            Self::Poisoned => Self::Poisoned,
            Self::Schema(what) => Self::Schema(what.clone()),
            Self::Url(what) => Self::Url(what.clone()),
            Self::Placeholders { sql, expected, given } => Self::Placeholders {
                sql,
                expected: *expected,
                given: *given,
            },
            Self::Other(cause) => Self::Other(told(cause)),
        }
    }

    /// Whether it is a conflict on the constraint of this name.
    pub fn is_conflict_on(&self, name: &str) -> bool {
        matches!(self, Self::Conflict { constraint } if constraint == name)
    }
}

impl StoreError {
    /// Why a transaction could not begin. Whatever the database says then, it is not there for us: it refuses
    /// connections, has another name, another password, or is being restored. That no connection came free in time is
    /// another matter: others have them all, or it takes long to be let in, and nothing was begun.
    pub(crate) fn beginning(error: sqlx::Error) -> Self {
        if matches!(error, sqlx::Error::PoolTimedOut) {
            return Self::Busy(error.into());
        }
        match Self::from(error) {
            Self::Other(cause) => Self::Unavailable(cause),
            known => known,
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(cause) => match of_database(cause.as_ref()) {
                Some(known) => known,
                None => by_code(error),
            },
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => Self::Unavailable(error.into()),
            _ => Self::Other(error.into()),
        }
    }
}

/// An error with all that led to it.
fn chain(error: &(dyn Error + 'static)) -> String {
    let (mut text, mut cause) = (error.to_string(), error.source());
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

fn of_database(error: &dyn DatabaseError) -> Option<StoreError> {
    Some(match error.kind() {
        ErrorKind::UniqueViolation => StoreError::Conflict {
            constraint: constraint(error),
        },
        ErrorKind::ForeignKeyViolation => StoreError::ForeignKey,
        ErrorKind::CheckViolation => StoreError::Check {
            constraint: constraint(error),
        },
        _ => return None,
    })
}

/// The constraint's name. PostgreSQL says it. SQLite says which columns a unique constraint has, from which the name
/// follows, and the name of a check and of an index over expressions.
fn constraint(error: &dyn DatabaseError) -> String {
    if let Some(name) = error.constraint() {
        return name.to_owned();
    }
    let (_, what) = error
        .message()
        .split_once("constraint failed: ")
        .unwrap_or_default();
    if let Some(index) = what
        .strip_prefix("index '")
        .and_then(|rest| rest.strip_suffix('\''))
    {
        return index.to_owned();
    }
    let mut name = String::new();
    for column in what.split(", ") {
        match column.split_once('.') {
            Some((table, column)) if name.is_empty() => name = format!("{table}__{column}"),
            Some((_, column)) => {
                name.push_str("__");
                name.push_str(column);
            }
            None => name.push_str(column),
        }
    }
    name
}

/// SQLSTATE on PostgreSQL (five characters), the extended result code on SQLite (a number).
fn by_code(error: sqlx::Error) -> StoreError {
    let code = match &error {
        sqlx::Error::Database(cause) => cause.code().unwrap_or_default().into_owned(),
        _ => String::new(),
    };
    if code.len() == 5 {
        return match code.as_str() {
            // serialization_failure, deadlock_detected, lock_not_available, query_canceled (statement_timeout)
            "40001" | "40P01" | "55P03" | "57014" => StoreError::Busy(error.into()),
            // connection exceptions, insufficient resources, operator intervention, transaction timeouts
            _ if code.starts_with("08") || code.starts_with("53") || code.starts_with("57P") => {
                StoreError::Unavailable(error.into())
            }
            "25P03" | "25P04" => StoreError::Unavailable(error.into()),
            _ => StoreError::Other(error.into()),
        };
    }
    match code.parse::<u32>().map(|code| code & 0xff) {
        // SQLITE_BUSY, SQLITE_LOCKED
        Ok(5 | 6) => StoreError::Busy(error.into()),
        // SQLITE_IOERR, SQLITE_FULL, SQLITE_CANTOPEN
        Ok(10 | 13 | 14) => StoreError::Unavailable(error.into()),
        _ => StoreError::Other(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn that_no_connection_is_free_does_not_mean_that_the_database_is_away() {
        let busy = StoreError::beginning(sqlx::Error::PoolTimedOut);
        assert!(matches!(busy, StoreError::Busy(_)), "{busy:?}");
        for away in [
            sqlx::Error::PoolClosed,
            sqlx::Error::WorkerCrashed,
            sqlx::Error::RowNotFound,
        ] {
            let away = StoreError::beginning(away);
            assert!(matches!(away, StoreError::Unavailable(_)), "{away:?}");
        }
    }
}
