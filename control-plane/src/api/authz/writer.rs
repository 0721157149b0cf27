//! On whose behalf something is written.

use sentinel_core::id::{ServiceAppId, UserId};
use sentinel_store::WriteTx;

use crate::api::admin;
use crate::app::App;
use crate::extract::Admin;
use crate::problem::ApiError;

/// Whoever writes. The writer's turn is taken as late as possible: what can be found out before it is found out first.
pub(in crate::api) enum Writer<'a> {
    /// The service itself, by its key.
    Service(ServiceAppId),
    /// An administrator.
    Admin(&'a Admin),
}

impl Writer<'_> {
    /// The administrator who writes.
    pub(super) fn user(&self) -> Option<UserId> {
        match self {
            Self::Service(_) => None,
            Self::Admin(admin) => Some(admin.id),
        }
    }

    /// Takes the writer's turn.
    ///
    /// # Errors
    /// An administrator who is none any more.
    pub(super) async fn begin(&self, app: &App) -> Result<WriteTx, ApiError> {
        match self {
            Self::Service(_) => Ok(app.database().write().await?),
            Self::Admin(admin) => admin::write(app, admin).await,
        }
    }
}
