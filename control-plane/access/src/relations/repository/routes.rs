//! SQL of what edges' routes need.

use std::collections::BTreeSet;

use sentinel_core::Timestamp;
use sentinel_core::id::EdgeId;
use sentinel_core::name::ServiceName;
use sentinel_store::{Sql, StoreError, Tx, execute, fetch_all, fetch_scalar_optional, sql_for_update};
use uuid::Uuid;

use crate::relations::{BrokenRoute, RouteNeed};

#[derive(sqlx::FromRow)]
struct Row {
    edge_id: Uuid,
    edge: String,
    route: String,
    service_name: String,
    kind: String,
    relation: String,
}

impl TryFrom<Row> for BrokenRoute {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let service = row.service_name.parse();
        let corrupt = |_| StoreError::corrupt("edge_routes", "service_name", row.edge_id);
        Ok(Self {
            edge: row.edge,
            need: RouteNeed {
                route: row.route,
                service: service.map_err(corrupt)?,
                object_type: row.kind,
                relation: row.relation,
            },
        })
    }
}

/// What the routes of an edge need.
pub(in crate::relations) async fn of_edge(tx: &mut Tx, edge: EdgeId) -> Result<Vec<RouteNeed>, StoreError> {
    fetch_all!(
        tx,
        Row,
        "SELECT r.edge_id, e.name AS edge, r.route, r.service_name, r.kind, r.relation
           FROM edge_routes AS r JOIN edges AS e ON e.id = r.edge_id
          WHERE r.edge_id = $1",
        edge.as_uuid()
    )
    .await?
    .into_iter()
    .map(|row| BrokenRoute::try_from(row).map(|route| route.need))
    .collect()
}

/// What the routes of all enrolled edges need of a service.
pub(in crate::relations) async fn of_service(
    tx: &mut Tx,
    service: &ServiceName,
) -> Result<Vec<BrokenRoute>, StoreError> {
    fetch_all!(
        tx,
        Row,
        "SELECT r.edge_id, e.name AS edge, r.route, r.service_name, r.kind, r.relation
           FROM edge_routes AS r JOIN edges AS e ON e.id = r.edge_id
          WHERE r.service_name = $1 AND e.revoked_at IS NULL
          ORDER BY e.name, r.route, r.kind, r.relation",
        service.as_str()
    )
    .await?
    .into_iter()
    .map(BrokenRoute::try_from)
    .collect()
}

/// Whoever changes what an edge needs waits here for whoever is at it.
pub(in crate::relations) async fn lock_edge(tx: &mut Tx, edge: EdgeId) -> Result<(), StoreError> {
    const LOCK: Sql = sql_for_update!("SELECT id FROM edges WHERE id = $1");
    fetch_scalar_optional!(tx, Uuid, LOCK, edge.as_uuid()).await?;
    Ok(())
}

pub(in crate::relations) async fn delete_of_edge(tx: &mut Tx, edge: EdgeId) -> Result<(), StoreError> {
    execute!(tx, "DELETE FROM edge_routes WHERE edge_id = $1", edge.as_uuid()).await?;
    Ok(())
}

pub(in crate::relations) async fn insert(
    tx: &mut Tx,
    edge: EdgeId,
    needs: &BTreeSet<RouteNeed>,
    now: Timestamp,
) -> Result<(), StoreError> {
    const INSERT: Sql = Sql::each(
        "INSERT INTO edge_routes (edge_id, route, service_name, kind, relation, announced_at)
         SELECT $1, w.value->>0, w.value->>1, w.value->>2, w.value->>3, $3
           FROM jsonb_array_elements(CAST(CAST($2 AS TEXT) AS JSONB)) AS w (value)
          WHERE true ON CONFLICT DO NOTHING",
        "INSERT INTO edge_routes (edge_id, route, service_name, kind, relation, announced_at)
         SELECT $1, w.value->>0, w.value->>1, w.value->>2, w.value->>3, $3
           FROM json_each($2) AS w
          WHERE true ON CONFLICT DO NOTHING",
    );
    let lines: Vec<[&str; 4]> = needs
        .iter()
        .map(|need| {
            [
                need.route.as_str(),
                need.service.as_str(),
                need.object_type.as_str(),
                need.relation.as_str(),
            ]
        })
        .collect();
    let lines = serde_json::to_string(&lines).map_err(|error| StoreError::Other(error.into()))?;
    execute!(tx, INSERT, edge.as_uuid(), lines, now).await?;
    Ok(())
}
