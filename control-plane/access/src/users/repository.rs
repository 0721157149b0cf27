//! SQL of users' profiles. A user belongs to no tenant; who may see whom is decided through memberships.

use sentinel_core::Timestamp;
use sentinel_core::id::UserId;
use sentinel_store::{StoreError, Tx, execute, fetch_optional, fetch_scalar_all};
use uuid::Uuid;

use super::User;

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    email: String,
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
        "SELECT id, email, name, avatar_url, is_active, is_admin, created_at, updated_at FROM users WHERE id = $1",
        user.as_uuid()
    ).await?;
    Ok(row.map(User::from))
}

pub(crate) async fn find_by_email(tx: &mut Tx, email: &str) -> Result<Option<User>, StoreError> {
    let row = fetch_optional!(
        tx,
        Row,
        "SELECT id, email, name, avatar_url, is_active, is_admin, created_at, updated_at FROM users WHERE email_key = $1",
        email.to_lowercase()
    ).await?;
    Ok(row.map(User::from))
}

pub(crate) async fn insert(tx: &mut Tx, user: &User) -> Result<(), StoreError> {
    execute!(
        tx,
        "INSERT INTO users (id, email, email_key, name, avatar_url, is_active, is_admin, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        user.id.as_uuid(),
        user.email.as_str(),
        user.email.to_lowercase(),
        user.name.as_str(),
        user.avatar_url.as_deref(),
        user.is_active,
        user.is_admin,
        user.created_at,
        user.updated_at
    ).await?;
    Ok(())
}

pub(crate) async fn update(tx: &mut Tx, user: &User) -> Result<(), StoreError> {
    execute!(
        tx,
        "UPDATE users SET name = $2, avatar_url = $3, is_active = $4, is_admin = $5, updated_at = $6 WHERE id = $1",
        user.id.as_uuid(),
        user.name.as_str(),
        user.avatar_url.as_deref(),
        user.is_active,
        user.is_admin,
        user.updated_at
    ).await?;
    Ok(())
}

/// Every deactivated user, of all tenants: the replicated state is about them all.
pub(crate) async fn deactivated(tx: &mut Tx) -> Result<Vec<UserId>, StoreError> {
    let ids = fetch_scalar_all!(tx, Uuid, "SELECT id FROM users WHERE NOT is_active").await?;
    Ok(ids.into_iter().map(UserId::from).collect())
}
