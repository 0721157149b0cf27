//! SQL of services' models.

use sentinel_core::Timestamp;
use sentinel_core::name::ServiceName;
use sentinel_store::{Sql, StoreError, Texts, Tx, execute, fetch_all, fetch_optional, sql_any_text};
use uuid::Uuid;

use crate::relations::ServiceModel;

#[derive(sqlx::FromRow)]
struct Row {
    service_name: String,
    version: i64,
    text: String,
    created_by: Option<Uuid>,
    created_at: Timestamp,
}

impl TryFrom<Row> for ServiceModel {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let of = format!("{} {}", row.service_name, row.version);
        let corrupt = |column| StoreError::corrupt("service_models", column, &of);
        Ok(Self {
            service: row.service_name.parse().map_err(|_| corrupt("service_name"))?,
            version: row.version.try_into().map_err(|_| corrupt("version"))?,
            text: row.text,
            created_by: row.created_by.map(Into::into),
            created_at: row.created_at,
        })
    }
}

/// The service's current model.
pub(in crate::relations) async fn current(
    tx: &mut Tx,
    service: &ServiceName,
) -> Result<Option<ServiceModel>, StoreError> {
    fetch_optional!(
        tx,
        Row,
        "SELECT service_name, version, text, created_by, created_at FROM service_models
          WHERE service_name = $1 ORDER BY version DESC LIMIT 1",
        service.as_str()
    )
    .await?
    .map(ServiceModel::try_from)
    .transpose()
}

/// Which version the service's current model is, and when it was written.
pub(in crate::relations) async fn head(
    tx: &mut Tx,
    service: &ServiceName,
) -> Result<Option<(u64, Timestamp)>, StoreError> {
    let row = fetch_optional!(
        tx,
        (i64, Timestamp),
        "SELECT version, created_at FROM service_models WHERE service_name = $1 ORDER BY version DESC LIMIT 1",
        service.as_str()
    )
    .await?;
    row.map(|(version, at)| {
        let version = u64::try_from(version);
        let version = version.map_err(|_| StoreError::corrupt("service_models", "version", service))?;
        Ok((version, at))
    })
    .transpose()
}

pub(in crate::relations) async fn find(
    tx: &mut Tx,
    service: &ServiceName,
    version: u64,
) -> Result<Option<ServiceModel>, StoreError> {
    fetch_optional!(
        tx,
        Row,
        "SELECT service_name, version, text, created_by, created_at FROM service_models
          WHERE service_name = $1 AND version = $2",
        service.as_str(),
        i64::try_from(version).unwrap_or(i64::MAX)
    )
    .await?
    .map(ServiceModel::try_from)
    .transpose()
}

/// All versions, the latest first; their texts are empty.
pub(in crate::relations) async fn list(
    tx: &mut Tx,
    service: &ServiceName,
) -> Result<Vec<ServiceModel>, StoreError> {
    fetch_all!(
        tx,
        Row,
        "SELECT service_name, version, '' AS text, created_by, created_at FROM service_models
          WHERE service_name = $1 ORDER BY version DESC",
        service.as_str()
    )
    .await?
    .into_iter()
    .map(ServiceModel::try_from)
    .collect()
}

/// The current model of every service that has one.
pub(crate) async fn all_current(tx: &mut Tx) -> Result<Vec<ServiceModel>, StoreError> {
    fetch_all!(
        tx,
        Row,
        "SELECT m.service_name, m.version, m.text, m.created_by, m.created_at FROM service_models AS m
          WHERE m.version = (SELECT MAX(o.version) FROM service_models AS o WHERE o.service_name = m.service_name)
          ORDER BY m.service_name",
    )
    .await?
    .into_iter()
    .map(ServiceModel::try_from)
    .collect()
}

/// Which version of every service's model is the current one, and when it was written, in the order of [`all_current`].
pub(in crate::relations) async fn heads(tx: &mut Tx) -> Result<Vec<Head>, StoreError> {
    let rows = fetch_all!(
        tx,
        (String, i64, Timestamp),
        "SELECT m.service_name, m.version, m.created_at FROM service_models AS m
          WHERE m.version = (SELECT MAX(o.version) FROM service_models AS o WHERE o.service_name = m.service_name)
          ORDER BY m.service_name",
    )
    .await?;
    rows.into_iter().map(head_of).collect()
}

/// The same of those of some services that have one.
pub(in crate::relations) async fn heads_of(
    tx: &mut Tx,
    services: impl IntoIterator<Item = &ServiceName>,
) -> Result<Vec<Head>, StoreError> {
    const HEADS: Sql = sql_any_text!(
        "SELECT m.service_name, m.version, m.created_at FROM service_models AS m
          WHERE m.version = (SELECT MAX(o.version) FROM service_models AS o WHERE o.service_name = m.service_name)
            AND m.service_name",
        1,
        ""
    );
    let services: Texts = services.into_iter().map(ServiceName::as_str).collect();
    let rows = fetch_all!(tx, (String, i64, Timestamp), HEADS, services).await?;
    rows.into_iter().map(head_of).collect()
}

/// A version of a service's model, and when it was written.
type Head = (ServiceName, u64, Timestamp);

fn head_of((name, version, at): (String, i64, Timestamp)) -> Result<Head, StoreError> {
    let corrupt = |column| StoreError::corrupt("service_models", column, &name);
    let service = name.parse().map_err(|_| corrupt("service_name"))?;
    Ok((service, version.try_into().map_err(|_| corrupt("version"))?, at))
}

pub(in crate::relations) async fn insert(tx: &mut Tx, model: &ServiceModel) -> Result<(), StoreError> {
    execute!(
        tx,
        "INSERT INTO service_models (service_name, version, text, created_by, created_at) VALUES ($1, $2, $3, $4, $5)",
        model.service.as_str(),
        i64::try_from(model.version).unwrap_or(i64::MAX),
        model.text.as_str(),
        model.created_by.map(|user| user.as_uuid()),
        model.created_at
    )
    .await?;
    Ok(())
}
