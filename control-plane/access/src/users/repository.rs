//! SQL of users' profiles. A user belongs to no tenant; who may see whom is decided through memberships.

use std::collections::BTreeSet;

use sentinel_core::id::UserId;
use sentinel_core::{EmailKey, Timestamp};
use sentinel_store::{
    Sql, StoreError, Tx, Uuids, execute, fetch_all, fetch_optional, fetch_scalar, fetch_scalar_all,
    fetch_scalar_optional, sql_any_uuid, sql_for_update,
};
use uuid::Uuid;

use super::{ListedUser, User};
use crate::search::Search;

/// The columns of a [`Row`].
macro_rules! user_columns {
    () => {
        "id, email, email_verified_at, signed_out_at, name, avatar_url, is_active, is_admin, created_at, updated_at"
    };
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    email: String,
    email_verified_at: Option<Timestamp>,
    signed_out_at: Option<Timestamp>,
    name: String,
    avatar_url: Option<String>,
    is_active: bool,
    is_admin: bool,
    created_at: Timestamp,
    updated_at: Timestamp,
}

#[derive(sqlx::FromRow)]
struct ListedRow {
    #[sqlx(flatten)]
    user: Row,
    workspace_count: i64,
}

impl From<Row> for User {
    fn from(row: Row) -> Self {
        Self {
            id: row.id.into(),
            email: row.email,
            email_verified_at: row.email_verified_at,
            signed_out_at: row.signed_out_at,
            name: row.name,
            avatar_url: row.avatar_url,
            is_active: row.is_active,
            is_admin: row.is_admin,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

pub(crate) async fn find(tx: &mut Tx, user: UserId) -> Result<Option<User>, StoreError> {
    let row = fetch_optional!(
        tx,
        Row,
        concat!("SELECT ", user_columns!(), " FROM users WHERE id = $1"),
        user.as_uuid()
    )
    .await?;
    Ok(row.map(User::from))
}

/// Shared, so that logins of one user do not wait for each other. SQLite needs no lock, for writers take turns.
const FIND_LOCKED: Sql = Sql::each(
    concat!("SELECT ", user_columns!(), " FROM users WHERE id = $1 FOR SHARE"),
    concat!("SELECT ", user_columns!(), " FROM users WHERE id = $1"),
);

pub(super) async fn find_locked(tx: &mut Tx, user: UserId) -> Result<Option<User>, StoreError> {
    let row = fetch_optional!(tx, Row, FIND_LOCKED, user.as_uuid()).await?;
    Ok(row.map(User::from))
}

const LOCK: Sql = sql_for_update!("SELECT id FROM users WHERE id = $1");

pub(super) async fn lock(tx: &mut Tx, user: UserId) -> Result<(), StoreError> {
    fetch_scalar_optional!(tx, Uuid, LOCK, user.as_uuid()).await?;
    Ok(())
}

/// Nobody has a text that is no address.
pub(crate) async fn find_by_email(tx: &mut Tx, email: &str) -> Result<Option<User>, StoreError> {
    let Ok(key) = EmailKey::of(email) else {
        return Ok(None);
    };
    let row = fetch_optional!(
        tx,
        Row,
        concat!("SELECT ", user_columns!(), " FROM users WHERE email_key = $1"),
        key.as_str()
    )
    .await?;
    Ok(row.map(User::from))
}

/// All tenants' users, for administrators of the installation. `LOWER` folds ASCII only, on both databases.
pub(crate) async fn page(
    tx: &mut Tx,
    search: &Search,
    limit: i64,
    offset: i64,
) -> Result<Vec<ListedUser>, StoreError> {
    let [typed, small, capital, title] = search.spellings();
    let rows = fetch_all!(
        tx,
        ListedRow,
        "SELECT u.id, u.email, u.email_verified_at, u.signed_out_at, u.name, u.avatar_url, u.is_active, u.is_admin, u.created_at,
                u.updated_at,
                (SELECT COUNT(*) FROM workspace_memberships m WHERE m.user_id = u.id) AS workspace_count
         FROM users u
         WHERE u.email_key LIKE $1 ESCAPE '!' OR LOWER(u.name) LIKE $1 ESCAPE '!' OR LOWER(u.name) LIKE $2 ESCAPE '!'
            OR LOWER(u.name) LIKE $3 ESCAPE '!' OR LOWER(u.name) LIKE $4 ESCAPE '!'
         ORDER BY u.created_at DESC, u.id DESC LIMIT $5 OFFSET $6",
        typed.as_str(),
        small.as_str(),
        capital.as_str(),
        title.as_str(),
        limit,
        offset
    )
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| ListedUser {
            user: row.user.into(),
            workspace_count: row.workspace_count,
        })
        .collect())
}

pub(super) async fn count(tx: &mut Tx, search: &Search) -> Result<i64, StoreError> {
    let [typed, small, capital, title] = search.spellings();
    fetch_scalar!(
        tx,
        i64,
        "SELECT COUNT(*) FROM users u
         WHERE u.email_key LIKE $1 ESCAPE '!' OR LOWER(u.name) LIKE $1 ESCAPE '!' OR LOWER(u.name) LIKE $2 ESCAPE '!'
            OR LOWER(u.name) LIKE $3 ESCAPE '!' OR LOWER(u.name) LIKE $4 ESCAPE '!'",
        typed.as_str(),
        small.as_str(),
        capital.as_str(),
        title.as_str()
    )
    .await
}

const KNOWN: Sql = sql_any_uuid!("SELECT id FROM users WHERE id", 1, "ORDER BY id");

/// Those of the ids that are somebody's.
pub(super) async fn known(tx: &mut Tx, users: &BTreeSet<UserId>) -> Result<Vec<UserId>, StoreError> {
    let ids: Uuids = users.iter().map(UserId::as_uuid).collect();
    let ids = fetch_scalar_all!(tx, Uuid, KNOWN, ids).await?;
    Ok(ids.into_iter().map(UserId::from).collect())
}

/// Notes that whoever signed in as the user before now is signed out.
pub(super) async fn note_signed_out(tx: &mut Tx, user: UserId, now: Timestamp) -> Result<(), StoreError> {
    execute!(
        tx,
        "UPDATE users SET signed_out_at = $2 WHERE id = $1",
        user.as_uuid(),
        now
    )
    .await?;
    Ok(())
}

pub(super) async fn insert(tx: &mut Tx, user: &User, key: &EmailKey) -> Result<(), StoreError> {
    execute!(
        tx,
        "INSERT INTO users (id, email, email_key, email_verified_at, name, avatar_url, is_active, is_admin, created_at,
                            updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        user.id.as_uuid(),
        user.email.as_str(),
        key.as_str(),
        user.email_verified_at,
        user.name.as_str(),
        user.avatar_url.as_deref(),
        user.is_active,
        user.is_admin,
        user.created_at,
        user.updated_at
    ).await?;
    Ok(())
}

/// Writes what is given, and nothing else: whoever changes another column at the same time loses nothing.
pub(super) async fn update_profile(
    tx: &mut Tx,
    user: UserId,
    name: Option<&str>,
    avatar_url: Option<&str>,
    now: Timestamp,
) -> Result<Option<User>, StoreError> {
    let row = fetch_optional!(
        tx,
        Row,
        concat!(
            "UPDATE users
         SET updated_at = CASE WHEN COALESCE(CAST($2 AS TEXT), name) <> name
                                 OR COALESCE(CAST($3 AS TEXT), avatar_url, '') <> COALESCE(avatar_url, '')
                               THEN $4 ELSE updated_at END,
             name = COALESCE(CAST($2 AS TEXT), name),
             avatar_url = COALESCE(CAST($3 AS TEXT), avatar_url)
         WHERE id = $1
         RETURNING ",
            user_columns!()
        ),
        user.as_uuid(),
        name,
        avatar_url,
        now
    )
    .await?;
    Ok(row.map(User::from))
}

pub(super) async fn confirm_email(
    tx: &mut Tx,
    user: UserId,
    now: Timestamp,
) -> Result<Option<User>, StoreError> {
    let row = fetch_optional!(
        tx,
        Row,
        concat!("UPDATE users SET email_verified_at = COALESCE(email_verified_at, $2), updated_at = $2 WHERE id = $1
         RETURNING ", user_columns!()),
        user.as_uuid(),
        now
    )
    .await?;
    Ok(row.map(User::from))
}

pub(super) async fn set_active(
    tx: &mut Tx,
    user: UserId,
    is_active: bool,
    now: Timestamp,
) -> Result<Option<User>, StoreError> {
    let row = fetch_optional!(
        tx,
        Row,
        concat!(
            "UPDATE users SET is_active = $2, updated_at = $3 WHERE id = $1
         RETURNING ",
            user_columns!()
        ),
        user.as_uuid(),
        is_active,
        now
    )
    .await?;
    Ok(row.map(User::from))
}

/// Decides whether the user is an administrator, and remembers the moment if it takes that from him.
pub(super) async fn set_admin(
    tx: &mut Tx,
    user: UserId,
    is_admin: bool,
    now: Timestamp,
) -> Result<Option<User>, StoreError> {
    let row = fetch_optional!(
        tx,
        Row,
        concat!(
            "UPDATE users SET is_admin = $2, demoted_at = $3, updated_at = $4 WHERE id = $1
         RETURNING ",
            user_columns!()
        ),
        user.as_uuid(),
        is_admin,
        (!is_admin).then_some(now),
        now
    )
    .await?;
    Ok(row.map(User::from))
}

/// Makes the user an administrator if he was never demoted since somebody made him one; `None` if he was, or is one.
pub(super) async fn promote_listed(
    tx: &mut Tx,
    user: UserId,
    now: Timestamp,
) -> Result<Option<User>, StoreError> {
    let row = fetch_optional!(
        tx,
        Row,
        concat!("UPDATE users SET is_admin = $2, updated_at = $3 WHERE id = $1 AND NOT is_admin AND demoted_at IS NULL
         RETURNING ", user_columns!()),
        user.as_uuid(),
        true,
        now
    )
    .await?;
    Ok(row.map(User::from))
}

pub(super) async fn was_demoted(tx: &mut Tx, user: UserId) -> Result<bool, StoreError> {
    let demoted = fetch_scalar!(
        tx,
        i64,
        "SELECT COUNT(*) FROM users WHERE id = $1 AND demoted_at IS NOT NULL",
        user.as_uuid()
    )
    .await?;
    Ok(demoted > 0)
}

pub(super) async fn active_administrators_but(tx: &mut Tx, user: UserId) -> Result<i64, StoreError> {
    fetch_scalar!(
        tx,
        i64,
        "SELECT COUNT(*) FROM users WHERE is_admin AND is_active AND id <> $1",
        user.as_uuid()
    )
    .await
}

/// Every deactivated user, of all tenants: the replicated state is about them all.
pub(crate) async fn deactivated(tx: &mut Tx) -> Result<Vec<UserId>, StoreError> {
    let ids = fetch_scalar_all!(tx, Uuid, "SELECT id FROM users WHERE NOT is_active").await?;
    Ok(ids.into_iter().map(UserId::from).collect())
}
