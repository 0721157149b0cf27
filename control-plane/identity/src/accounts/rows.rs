//! SQL of `social_accounts`.

use sentinel_access::text::Name;
use sentinel_core::Timestamp;
use sentinel_core::id::{SocialAccountId, UserId};
use sentinel_store::{StoreError, Tx, execute, fetch_all, fetch_scalar_optional};
use sqlx::types::Json;
use uuid::Uuid;

use super::SocialAccount;

pub(super) async fn user_of(
    tx: &mut Tx,
    provider: &str,
    subject: &str,
) -> Result<Option<UserId>, StoreError> {
    let user = fetch_scalar_optional!(
        tx,
        Uuid,
        "SELECT user_id FROM social_accounts WHERE provider = $1 AND provider_user_id = $2",
        provider,
        subject,
    )
    .await?;
    Ok(user.map(UserId::from))
}

#[derive(sqlx::FromRow)]
struct LinkedRow {
    id: Uuid,
    provider: String,
    provider_user_id: String,
}

pub(super) async fn of_user(tx: &mut Tx, user: UserId) -> Result<Vec<SocialAccount>, StoreError> {
    let rows = fetch_all!(
        tx,
        LinkedRow,
        "SELECT id, provider, provider_user_id FROM social_accounts WHERE user_id = $1 ORDER BY created_at, id",
        user.as_uuid(),
    )
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| SocialAccount {
            id: row.id.into(),
            provider: row.provider,
            subject: row.provider_user_id,
        })
        .collect())
}

pub(super) async fn insert(
    tx: &mut Tx,
    id: SocialAccountId,
    user: UserId,
    (provider, subject): (&str, &str),
    name: Option<&Name>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let data = serde_json::json!({ "name": name.map(Name::as_str) });
    execute!(
        tx,
        "INSERT INTO social_accounts (id, user_id, provider, provider_user_id, provider_data, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $6)",
        id.as_uuid(),
        user.as_uuid(),
        provider,
        subject,
        Json(data),
        now,
    )
    .await?;
    Ok(())
}
