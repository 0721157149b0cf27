//! From columns to domain types. A column that says nothing which the domain knows is a fault of the database, named
//! with its table, column and row.

use std::str::FromStr;

use sentinel_store::StoreError;
use uuid::Uuid;

/// The text of a column as the type that it stands for.
pub(crate) fn parse<T: FromStr>(
    table: &'static str,
    column: &'static str,
    row: Uuid,
    text: &str,
) -> Result<T, StoreError> {
    text.parse().map_err(|_| StoreError::corrupt(table, column, row))
}
