//! SQL of the list of all records, for administrators of the installation.

use sentinel_core::name::ServiceName;
use sentinel_store::{StoreError, Tx, fetch_all, fetch_scalar};
use uuid::Uuid;

use super::super::{Filter, Listed, Order, Sort};
use super::resources::Row as ResourceRow;
use crate::search::Search;

#[derive(sqlx::FromRow)]
struct Row {
    #[sqlx(flatten)]
    resource: ResourceRow,
    owner_email: Option<String>,
    share_count: i64,
}

// Casts give PostgreSQL the type of a parameter that is only asked whether it is null; SQLite keeps null as null.
macro_rules! listed {
    ($what:literal, $rest:literal) => {
        concat!(
            "SELECT ",
            $what,
            " FROM resource_permissions p LEFT JOIN users u ON u.id = p.owner_id
             WHERE (CAST($1 AS UUID) IS NULL OR p.workspace_id = $1)
               AND (CAST($2 AS TEXT) IS NULL OR p.service_name = $2)
               AND (CAST($3 AS UUID) IS NULL OR (p.resource_id >= $3 AND p.resource_id <= $4))
               AND (CAST($5 AS TEXT) IS NULL OR u.email_key LIKE $5 ESCAPE '!')",
            $rest
        )
    };
}

macro_rules! page_by {
    ($order:literal) => {
        listed!(
            "p.id, p.service_name, p.resource_type, p.resource_id, p.workspace_id, p.owner_id, p.visibility, p.created_at,
             u.email AS owner_email,
             (SELECT COUNT(*) FROM resource_shares s WHERE s.permission_id = p.id) AS share_count",
            $order
        )
    };
}

/// A filter's conditions, in the order of their placeholders.
struct Values<'a> {
    workspace: Option<Uuid>,
    service: Option<&'a str>,
    first: Option<Uuid>,
    last: Option<Uuid>,
    owner: Option<String>,
}

impl<'a> From<&'a Filter> for Values<'a> {
    fn from(filter: &'a Filter) -> Self {
        let owner = filter.owner.as_ref().map(Search::spellings);
        Self {
            workspace: filter.workspace.map(|workspace| workspace.as_uuid()),
            service: filter.service.as_ref().map(ServiceName::as_str),
            first: filter.resource.map(|range| range.first),
            last: filter.resource.map(|range| range.last),
            owner: owner.map(|[typed, ..]| typed),
        }
    }
}

pub(crate) async fn page(
    tx: &mut Tx,
    filter: &Filter,
    order: (Sort, Order),
    limit: i64,
    offset: i64,
) -> Result<Vec<Listed>, StoreError> {
    let sql = match order {
        (Sort::CreatedAt, Order::Ascending) => page_by!(" ORDER BY p.created_at, p.id LIMIT $6 OFFSET $7"),
        (Sort::CreatedAt, Order::Descending) => {
            page_by!(" ORDER BY p.created_at DESC, p.id DESC LIMIT $6 OFFSET $7")
        }
        (Sort::Shares, Order::Ascending) => {
            page_by!(" ORDER BY share_count, p.created_at, p.id LIMIT $6 OFFSET $7")
        }
        (Sort::Shares, Order::Descending) => {
            page_by!(" ORDER BY share_count DESC, p.created_at DESC, p.id DESC LIMIT $6 OFFSET $7")
        }
    };
    let values = Values::from(filter);
    let rows = fetch_all!(
        tx,
        Row,
        sql,
        values.workspace,
        values.service,
        values.first,
        values.last,
        values.owner.as_deref(),
        limit,
        offset
    )
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Listed {
                resource: row.resource.try_into()?,
                owner_email: row.owner_email,
                share_count: row.share_count,
            })
        })
        .collect()
}

pub(crate) async fn count(tx: &mut Tx, filter: &Filter) -> Result<i64, StoreError> {
    let values = Values::from(filter);
    fetch_scalar!(
        tx,
        i64,
        listed!("COUNT(*)", ""),
        values.workspace,
        values.service,
        values.first,
        values.last,
        values.owner.as_deref()
    )
    .await
}
