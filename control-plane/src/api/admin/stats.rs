//! How much there is of everything: the first page of the panel.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use sentinel_access::stats::{Stats, TopWorkspace, stats};
use sentinel_core::id::WorkspaceId;
use sentinel_core::name::Slug;
use serde::Serialize;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::users::AdminUserBody;
use crate::app::App;
use crate::extract::{Admin, Json};
use crate::problem::ApiError;

/// How long an answer is given again. Whole tables are counted for it, and a panel asks often.
const KEPT: Duration = Duration::from_secs(5);

/// `/admin/stats`.
pub(super) fn routes() -> Router<App> {
    Router::new().route("/admin/stats", get(show))
}

/// The last answer, for as long as it is given again.
#[derive(Debug, Default)]
pub struct KeptStats(Mutex<Option<(Instant, Arc<Stats>)>>);

impl KeptStats {
    /// Whoever comes while it is counted waits for that, and does not count as well.
    async fn current(&self, app: &App) -> Result<Arc<Stats>, ApiError> {
        let mut kept = self.0.lock().await;
        if let Some((at, stats)) = &*kept
            && at.elapsed() < KEPT
        {
            return Ok(Arc::clone(stats));
        }
        let mut tx = app.database().read().await?;
        let counted = Arc::new(stats(&mut tx).await?);
        *kept = Some((Instant::now(), Arc::clone(&counted)));
        Ok(counted)
    }
}

#[derive(Serialize)]
struct StatsBody {
    total_users: i64,
    total_workspaces: i64,
    total_groups: i64,
    total_resources: i64,
    active_users: i64,
    inactive_users: i64,
    recent_users: Vec<AdminUserBody>,
    top_workspaces: Vec<TopWorkspaceBody>,
}

#[derive(Serialize)]
struct TopWorkspaceBody {
    id: WorkspaceId,
    name: String,
    slug: Slug,
    member_count: i64,
}

impl From<TopWorkspace> for TopWorkspaceBody {
    fn from(workspace: TopWorkspace) -> Self {
        Self {
            id: workspace.id,
            name: workspace.name,
            slug: workspace.slug,
            member_count: workspace.member_count,
        }
    }
}

impl From<Stats> for StatsBody {
    fn from(stats: Stats) -> Self {
        Self {
            total_users: stats.users,
            total_workspaces: stats.workspaces,
            total_groups: stats.groups,
            total_resources: stats.resources,
            active_users: stats.active_users,
            inactive_users: stats.users - stats.active_users,
            recent_users: stats.recent_users.into_iter().map(Into::into).collect(),
            top_workspaces: stats.top_workspaces.into_iter().map(Into::into).collect(),
        }
    }
}

async fn show(State(app): State<App>, _: Admin) -> Result<Json<StatsBody>, ApiError> {
    let stats = app.stats.current(&app).await?;
    Ok(Json(Stats::clone(&stats).into()))
}
