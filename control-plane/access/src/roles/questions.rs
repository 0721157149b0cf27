//! Who may do which actions. Whether somebody may is answered from a snapshot of the replicated state, without the
//! database; the names of roles and actions, which edges do not know, come from the rows.

use sentinel_authz::{Graph, sentinel};
use sentinel_core::id::{UserId, WorkspaceId};
use sentinel_core::name::{ActionName, ServiceName};
use sentinel_core::principal;
use sentinel_store::Tx;

use super::Roles;
use super::repository::grants;
use crate::error::AccessError;
use crate::permissions::in_scope;

/// Whether a user may do an action in a workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// An action of this service.
    pub service: ServiceName,
    /// Which.
    pub action: ActionName,
    /// Where.
    pub workspace: WorkspaceId,
}

/// Whether a role that the user holds allows it. An action that is not registered is a no.
///
/// # Errors
/// [`AccessError::ServiceScope`] when it is another service's action, and [`AccessError::CrossWorkspaceCheck`] when the
/// user's token is limited to another workspace.
pub fn check(
    graph: &Graph,
    service: &ServiceName,
    user: &principal::User,
    question: &Question,
) -> Result<bool, AccessError> {
    in_scope(service, &question.service)?;
    if question.workspace != user.workspace {
        return Err(AccessError::CrossWorkspaceCheck);
    }
    Ok(sentinel::may_act(
        graph,
        question.workspace,
        user.id,
        &question.service,
        &question.action,
    )?)
}

impl Roles {
    /// The names of the roles by which the user may do it, sorted; none if he may not.
    pub async fn roles_allowing(
        &self,
        tx: &mut Tx,
        user: UserId,
        question: &Question,
    ) -> Result<Vec<String>, AccessError> {
        Ok(grants::roles_allowing(tx, user, question).await?)
    }

    /// The service's actions that the user may do in the workspace, each once, sorted.
    pub async fn actions_of(
        &self,
        tx: &mut Tx,
        workspace: WorkspaceId,
        user: UserId,
        service: &ServiceName,
    ) -> Result<Vec<ActionName>, AccessError> {
        Ok(grants::actions_of(tx, workspace, user, service).await?)
    }

    /// The same, asked by a service about a user whose token it was shown.
    ///
    /// # Errors
    /// [`AccessError::ServiceScope`] when `asked` is another service, and [`AccessError::CrossWorkspaceLookup`] when the
    /// user's token is limited to another workspace.
    pub async fn lookup(
        &self,
        tx: &mut Tx,
        service: &ServiceName,
        user: &principal::User,
        workspace: WorkspaceId,
        asked: &ServiceName,
    ) -> Result<Vec<ActionName>, AccessError> {
        in_scope(service, asked)?;
        if workspace != user.workspace {
            return Err(AccessError::CrossWorkspaceLookup);
        }
        self.actions_of(tx, workspace, user.id, asked).await
    }
}
