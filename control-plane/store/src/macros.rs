//! The statements' macros: each expands the call once for PostgreSQL and once for SQLite.

/// Every row of a statement: `fetch_all!(tx, Row, "SELECT … WHERE id = $1", id).await?` is a `Vec<Row>`.
#[macro_export]
macro_rules! fetch_all {
    ($tx:expr, $row:ty, $sql:expr $(, $value:expr)* $(,)?) => {
        $crate::__run!(
            $tx, (query_as::<_, $row>), (|query, on| query.fetch_all(on).await), $sql $(, $value)*
        )
    };
}

/// The row of a statement that has exactly one: `fetch_one!(tx, Row, "INSERT … RETURNING *", …).await?` is a `Row`.
#[macro_export]
macro_rules! fetch_one {
    ($tx:expr, $row:ty, $sql:expr $(, $value:expr)* $(,)?) => {
        $crate::__run!(
            $tx, (query_as::<_, $row>), (|query, on| query.fetch_one(on).await), $sql $(, $value)*
        )
    };
}

/// The first row of a statement, if any: an `Option<Row>`.
#[macro_export]
macro_rules! fetch_optional {
    ($tx:expr, $row:ty, $sql:expr $(, $value:expr)* $(,)?) => {
        $crate::__run!(
            $tx, (query_as::<_, $row>), (|query, on| query.fetch_optional(on).await), $sql $(, $value)*
        )
    };
}

/// The single value of a statement: `fetch_scalar!(tx, i64, "SELECT COUNT(*) FROM users").await?` is an `i64`.
#[macro_export]
macro_rules! fetch_scalar {
    ($tx:expr, $value_type:ty, $sql:expr $(, $value:expr)* $(,)?) => {
        $crate::__run!(
            $tx, (query_scalar::<_, $value_type>), (|query, on| query.fetch_one(on).await), $sql $(, $value)*
        )
    };
}

/// The first column of the first row, if any.
#[macro_export]
macro_rules! fetch_scalar_optional {
    ($tx:expr, $value_type:ty, $sql:expr $(, $value:expr)* $(,)?) => {
        $crate::__run!(
            $tx, (query_scalar::<_, $value_type>), (|query, on| query.fetch_optional(on).await), $sql $(, $value)*
        )
    };
}

/// The first column of every row: a `Vec`.
#[macro_export]
macro_rules! fetch_scalar_all {
    ($tx:expr, $value_type:ty, $sql:expr $(, $value:expr)* $(,)?) => {
        $crate::__run!(
            $tx, (query_scalar::<_, $value_type>), (|query, on| query.fetch_all(on).await), $sql $(, $value)*
        )
    };
}

/// Runs a statement: `execute!(tx, "UPDATE … WHERE id = $1", id).await?` is the number of rows it touched.
#[macro_export]
macro_rules! execute {
    ($tx:expr, $sql:expr $(, $value:expr)* $(,)?) => {
        $crate::__run!(
            $tx, (query), (|query, on| query.execute(on).await.map(|done| done.rows_affected())), $sql $(, $value)*
        )
    };
}

/// A statement with a list of ids as its `$n`: `sql_any_uuid!("SELECT * FROM users WHERE id", 1, "ORDER BY id")` says
/// "… where id is any of `$1`"; `$1` is a [`Uuids`](crate::Uuids).
#[macro_export]
macro_rules! sql_any_uuid {
    ($before:literal, $n:literal, $after:literal) => {
        $crate::Sql::each(
            concat!($before, " = ANY($", $n, ") ", $after),
            concat!(
                $before,
                " IN (SELECT unhex(value) FROM json_each($",
                $n,
                ")) ",
                $after
            ),
        )
    };
}

/// A statement with a list of texts as its `$n`, as [`sql_any_uuid!`] has one of ids; `$n` is a
/// [`Texts`](crate::Texts).
#[macro_export]
macro_rules! sql_any_text {
    ($before:literal, $n:literal, $after:literal) => {
        $crate::Sql::each(
            concat!($before, " = ANY($", $n, ") ", $after),
            concat!($before, " IN (SELECT value FROM json_each($", $n, ")) ", $after),
        )
    };
}

/// A statement that locks the rows it selects until the transaction ends. SQLite needs no lock, for writers take turns.
#[macro_export]
macro_rules! sql_for_update {
    ($select:literal) => {
        $crate::Sql::each(concat!($select, " FOR UPDATE"), $select)
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __run {
    ($tx:expr, ($($query:tt)+), (|$ready:ident, $on:ident| $run:expr), $sql:expr $(, $value:expr)*) => {
        async {
            let sql = $crate::Sql::from($sql);
            let tx: &mut $crate::Tx = $tx.start(sql, <[&str]>::len(&[$(stringify!($value)),*]))?;
            let result = match tx.connection() {
                $crate::expand::Connection::Postgres($on) => {
                    let $ready = $crate::expand::sqlx::$($query)+(sql.postgres())$(.bind($value))*;
                    $run
                }
                $crate::expand::Connection::Sqlite($on) => {
                    let $ready = $crate::expand::sqlx::$($query)+(sql.sqlite())$(.bind($value))*;
                    $run
                }
            };
            tx.finish(result)
        }
    };
}
