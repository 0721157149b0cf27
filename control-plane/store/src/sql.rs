//! Constant statements: one text for both databases, or one for each where no text serves both.

use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::{Encode, Postgres, Sqlite, Type};
use uuid::Uuid;

use crate::error::StoreError;

/// A statement. A plain `&'static str` is one that serves both databases.
#[derive(Debug, Clone, Copy)]
pub struct Sql {
    postgres: &'static str,
    sqlite: &'static str,
}

impl Sql {
    /// A statement that PostgreSQL and SQLite spell differently. Rarely needed: see
    /// [`sql_any_uuid!`](crate::sql_any_uuid), [`sql_any_text!`](crate::sql_any_text) and
    /// [`sql_for_update!`](crate::sql_for_update) first.
    pub const fn each(postgres: &'static str, sqlite: &'static str) -> Self {
        Self { postgres, sqlite }
    }

    #[doc(hidden)]
    pub const fn postgres(self) -> &'static str {
        self.postgres
    }

    #[doc(hidden)]
    pub const fn sqlite(self) -> &'static str {
        self.sqlite
    }

    /// Refuses a statement that has not exactly one value for each placeholder: SQLite would take null for a missing
    /// one, and answer wrongly without an error.
    pub(crate) fn check_values(self, given: usize) -> Result<(), StoreError> {
        for sql in [self.postgres, self.sqlite] {
            let expected = highest_placeholder(sql);
            if expected != given {
                return Err(StoreError::Placeholders { sql, expected, given });
            }
        }
        Ok(())
    }
}

impl From<&'static str> for Sql {
    fn from(both: &'static str) -> Self {
        Self::each(both, both)
    }
}

fn highest_placeholder(sql: &str) -> usize {
    sql.split('$')
        .skip(1)
        .filter_map(|rest| {
            let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            rest.get(..digits)?.parse().ok()
        })
        .max()
        .unwrap_or(0)
}

/// A list of ids, for a statement made with [`sql_any_uuid!`](crate::sql_any_uuid).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Uuids(Vec<Uuid>);

/// A list of texts, for a statement made with [`sql_any_text!`](crate::sql_any_text).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Texts(Vec<String>);

impl FromIterator<Uuid> for Uuids {
    fn from_iter<I: IntoIterator<Item = Uuid>>(ids: I) -> Self {
        Self(ids.into_iter().collect())
    }
}

impl<T: Into<String>> FromIterator<T> for Texts {
    fn from_iter<I: IntoIterator<Item = T>>(texts: I) -> Self {
        Self(texts.into_iter().map(Into::into).collect())
    }
}

macro_rules! lists {
    ($($list:ident of $item:ty, as json $json:expr;)+) => {$(
        impl Type<Postgres> for $list {
            fn type_info() -> <Postgres as sqlx::Database>::TypeInfo {
                <Vec<$item> as Type<Postgres>>::type_info()
            }
        }

        impl Encode<'_, Postgres> for $list {
            fn encode_by_ref(
                &self,
                buffer: &mut <Postgres as sqlx::Database>::ArgumentBuffer,
            ) -> Result<IsNull, BoxDynError> {
                <Vec<$item> as Encode<'_, Postgres>>::encode_by_ref(&self.0, buffer)
            }
        }

        impl Type<Sqlite> for $list {
            fn type_info() -> <Sqlite as sqlx::Database>::TypeInfo {
                <String as Type<Sqlite>>::type_info()
            }
        }

        impl Encode<'_, Sqlite> for $list {
            fn encode_by_ref(
                &self,
                buffer: &mut <Sqlite as sqlx::Database>::ArgumentBuffer,
            ) -> Result<IsNull, BoxDynError> {
                let items: Vec<String> = self.0.iter().map($json).collect();
                <String as Encode<'_, Sqlite>>::encode(serde_json::to_string(&items)?, buffer)
            }
        }
    )+};
}

lists! {
    Uuids of Uuid, as json |id| id.simple().to_string();
    Texts of String, as json Clone::clone;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_counted_by_their_highest_number() {
        for (sql, highest) in [
            ("SELECT 1", 0),
            ("SELECT $1", 1),
            ("SELECT $2, $1, $2", 2),
            ("SELECT $12::text", 12),
        ] {
            assert_eq!(highest_placeholder(sql), highest, "{sql}");
        }
    }

    #[test]
    fn a_missing_and_a_superfluous_value_are_refused() {
        assert!(Sql::from("SELECT $1").check_values(1).is_ok());
        let error = Sql::from("SELECT $1, $2")
            .check_values(1)
            .expect_err("one is missing");
        assert_eq!(
            error.to_string(),
            "`SELECT $1, $2` asks for 2 values and was given 1"
        );
        assert!(Sql::each("SELECT $1", "SELECT 1").check_values(1).is_err());
    }
}
