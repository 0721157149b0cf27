//! SQL of users' profiles. A user belongs to no tenant; who may see whom is decided through memberships.

use sentinel_core::id::UserId;
use sentinel_core::{EmailKey, Timestamp};
use sentinel_store::{
    Sql, StoreError, Tx, execute, fetch_optional, fetch_scalar, fetch_scalar_all, fetch_scalar_optional,
    sql_for_update,
};
use uuid::Uuid;

use super::User;

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    email: String,
    email_verified_at: Option<Timestamp>,
    name: String,
    avatar_url: Option<String>,
    is_active: bool,
    is_admin: bool,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl From<Row> for User {
    fn from(row: Row) -> Self {
        Self {
            id: row.id.into(),
            email: row.email,
            email_verified_at: row.email_verified_at,
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
        "SELECT id, email, email_verified_at, name, avatar_url, is_active, is_admin, created_at, updated_at FROM users WHERE id = $1",
        user.as_uuid()
    ).await?;
    Ok(row.map(User::from))
}

/// Shared, so that logins of one user do not wait for each other. SQLite needs no lock, for writers take turns.
const FIND_LOCKED: Sql = Sql::each(
    "SELECT id, email, email_verified_at, name, avatar_url, is_active, is_admin, created_at, updated_at FROM users WHERE id = $1 FOR SHARE",
    "SELECT id, email, email_verified_at, name, avatar_url, is_active, is_admin, created_at, updated_at FROM users WHERE id = $1",
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
        "SELECT id, email, email_verified_at, name, avatar_url, is_active, is_admin, created_at, updated_at FROM users WHERE email_key = $1",
        key.as_str()
    ).await?;
    Ok(row.map(User::from))
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
        "UPDATE users
         SET updated_at = CASE WHEN COALESCE(CAST($2 AS TEXT), name) <> name
                                 OR COALESCE(CAST($3 AS TEXT), avatar_url, '') <> COALESCE(avatar_url, '')
                               THEN $4 ELSE updated_at END,
             name = COALESCE(CAST($2 AS TEXT), name),
             avatar_url = COALESCE(CAST($3 AS TEXT), avatar_url)
         WHERE id = $1
         RETURNING id, email, email_verified_at, name, avatar_url, is_active, is_admin, created_at, updated_at",
        user.as_uuid(),
        name,
        avatar_url,
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
        "UPDATE users SET is_active = $2, updated_at = $3 WHERE id = $1
         RETURNING id, email, email_verified_at, name, avatar_url, is_active, is_admin, created_at, updated_at",
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
        "UPDATE users SET is_admin = $2, demoted_at = $3, updated_at = $4 WHERE id = $1
         RETURNING id, email, email_verified_at, name, avatar_url, is_active, is_admin, created_at, updated_at",
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
        "UPDATE users SET is_admin = $2, updated_at = $3 WHERE id = $1 AND NOT is_admin AND demoted_at IS NULL
         RETURNING id, email, email_verified_at, name, avatar_url, is_active, is_admin, created_at, updated_at",
        user.as_uuid(),
        true,
        now
    )
    .await?;
    Ok(row.map(User::from))
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
