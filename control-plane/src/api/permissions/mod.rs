//! The service surface of permissions: what services register, ask and share, with their keys.

mod questions;
mod resources;
mod sharing;

use axum::Router;
use sentinel_access::permissions::{Record, Share, Visibility};
use sentinel_authz::sentinel::{Grantee, ShareLevel};
use sentinel_core::id::{GroupId, PermissionId, ResourceId, ShareId, UserId, WorkspaceId};
use sentinel_core::name::{ResourceType, ServiceName};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::wire::Moment;
use crate::app::App;

/// `/permissions`.
pub fn routes() -> Router<App> {
    Router::new()
        .merge(questions::routes())
        .merge(resources::routes())
        .merge(sharing::routes())
}

/// `user` or `group`.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum GranteeType {
    User,
    Group,
}

/// `view` or `edit`.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    View,
    Edit,
}

/// A share to be given or taken back. Taking back does not ask which permission it was.
#[derive(Deserialize)]
pub(super) struct ShareRequest {
    pub(super) grantee_type: GranteeType,
    pub(super) grantee_id: Uuid,
    pub(super) permission: Level,
}

/// Who shall see a resource without a share.
#[derive(Deserialize)]
pub(super) struct VisibilityBody {
    pub(super) visibility: Visibility,
}

/// Whom a share is for, on the wire.
pub(super) fn grantee(kind: GranteeType, id: Uuid) -> Grantee {
    match kind {
        GranteeType::User => Grantee::User(UserId::from(id)),
        GranteeType::Group => Grantee::Group(GroupId::from(id)),
    }
}

/// A share on the wire.
#[derive(Serialize)]
pub(super) struct ShareBody {
    id: ShareId,
    grantee_type: GranteeType,
    grantee_id: Uuid,
    permission: Level,
    granted_by: Option<UserId>,
    granted_at: Moment,
}

impl From<Share> for ShareBody {
    fn from(share: Share) -> Self {
        let (grantee_type, grantee_id) = match share.grantee {
            Grantee::User(user) => (GranteeType::User, user.as_uuid()),
            Grantee::Group(group) => (GranteeType::Group, group.as_uuid()),
        };
        Self {
            id: share.id,
            grantee_type,
            grantee_id,
            permission: match share.level {
                ShareLevel::View => Level::View,
                ShareLevel::Edit => Level::Edit,
            },
            granted_by: share.granted_by,
            granted_at: share.granted_at.into(),
        }
    }
}

#[derive(Serialize)]
struct PermissionBody {
    id: PermissionId,
    service_name: ServiceName,
    resource_type: ResourceType,
    resource_id: ResourceId,
    workspace_id: WorkspaceId,
    owner_id: Option<UserId>,
    visibility: Visibility,
    created_at: Moment,
    shares: Vec<ShareBody>,
}

impl From<Record> for PermissionBody {
    fn from(record: Record) -> Self {
        let resource = record.resource;
        Self {
            id: resource.id,
            service_name: resource.name.service().clone(),
            resource_type: resource.name.kind().clone(),
            resource_id: resource.name.id(),
            workspace_id: resource.workspace,
            owner_id: resource.owner,
            visibility: resource.visibility,
            created_at: resource.created_at.into(),
            shares: record.shares.into_iter().map(Into::into).collect(),
        }
    }
}
