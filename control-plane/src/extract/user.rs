//! A signed-in user, from an access token or a token of AuthZ mode. The role in the token decides nothing; ask
//! [`UserToken::require`], which reads the live one.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use sentinel_access::members::Authority;
use sentinel_authz::sentinel::role_of;
use sentinel_core::id::{SessionId, TokenId, UserId, WorkspaceId};
use sentinel_core::principal::{Service, User};
use sentinel_core::{Timestamp, WorkspaceRole};
use sentinel_feed::ReplicaState;
use sentinel_store::{Tx, WriteTx};

use crate::app::App;
use crate::extract::bearer::{
    AUTHZ_TOKEN_HEADER, Accepted, authz_token, bearer, revision_asked, single, verify,
};
use crate::extract::service::ServiceKey;
use crate::middleware::rate;
use crate::problem::ApiError;

/// A user whose token was verified and is not revoked. As an argument of a handler it takes an access token only
/// (contract: U).
#[derive(Clone)]
pub struct UserToken {
    user: User,
    state: Arc<ReplicaState>,
}

impl UserToken {
    /// Who, with the claims of the token.
    pub fn user(&self) -> &User {
        &self.user
    }

    /// The user's id.
    pub fn id(&self) -> UserId {
        self.user.id
    }

    /// The workspace that the token is limited to.
    pub fn workspace(&self) -> WorkspaceId {
        self.user.workspace
    }

    /// The replicated state that the request is answered from: not older than the token, nor than the request's
    /// `X-Sentinel-Revision`.
    pub fn state(&self) -> &Arc<ReplicaState> {
        &self.state
    }

    /// The token's session, id and expiry.
    pub fn token(&self) -> Option<(SessionId, TokenId, Timestamp)> {
        let (session, token) = self.user.credential.token()?;
        Some((session, token, self.user.credential.expires_at()?))
    }

    /// The user's live role in the token's workspace; `None` if he is no member any more.
    pub fn live_role(&self) -> Result<Option<WorkspaceRole>, ApiError> {
        role_of(self.state.graph(), self.user.workspace, self.user.id).map_err(ApiError::internal)
    }

    /// The user's live role, if the token is for `workspace` and the role is at least `minimum`.
    ///
    /// # Errors
    /// 403 `Not a member of this workspace` or 403 `Insufficient role`.
    pub fn require(&self, workspace: WorkspaceId, minimum: WorkspaceRole) -> Result<WorkspaceRole, ApiError> {
        let not_a_member = || ApiError::forbidden("Not a member of this workspace").with_code("not_a_member");
        if workspace != self.user.workspace {
            return Err(not_a_member());
        }
        let revision = self.state.revision();
        let role = self.live_role()?;
        let role = role.ok_or_else(|| not_a_member().decided_at(revision))?;
        if role < minimum {
            let refused = ApiError::forbidden("Insufficient role").with_code("role_denied");
            return Err(refused.decided_at(revision));
        }
        Ok(role)
    }
}

impl UserToken {
    /// The user of the request's `Authorization`.
    pub(crate) async fn of_bearer(
        parts: &Parts,
        app: &App,
        accepted: Accepted<'_>,
    ) -> Result<Self, ApiError> {
        Self::of_token(parts, app, bearer(&parts.headers)?, accepted).await
    }

    async fn of_token(
        parts: &Parts,
        app: &App,
        token: &str,
        accepted: Accepted<'_>,
    ) -> Result<Self, ApiError> {
        let asked = revision_asked(&parts.headers)?;
        let (user, state) = verify(app, token, accepted, asked).await?;
        Ok(Self { user, state })
    }
}

impl FromRequestParts<App> for UserToken {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        Self::of_bearer(parts, app, Accepted::Access).await
    }
}

/// A signed-in user who is about to change something (contract: U). He is counted.
#[derive(Clone)]
pub struct WritingUser(UserToken);

impl WritingUser {
    /// The turn that all writers share, and the user's authority in the workspace by its own rows.
    ///
    /// The replica is asked first: whoever may not must not keep others waiting. What decides is the transaction.
    ///
    /// # Errors
    /// As [`UserToken::require`]; 503 when the turn does not come.
    pub async fn write(
        &self,
        app: &App,
        workspace: WorkspaceId,
        minimum: WorkspaceRole,
    ) -> Result<(WriteTx, Authority), ApiError> {
        self.require(workspace, minimum)?;
        let mut tx = app.database().write().await?;
        let by = self.authority(app, &mut tx, workspace, minimum).await?;
        Ok((tx, by))
    }

    /// The same for rows that no edge knows, which need no turn.
    ///
    /// # Errors
    /// As [`WritingUser::write`].
    pub async fn begin(
        &self,
        app: &App,
        workspace: WorkspaceId,
        minimum: WorkspaceRole,
    ) -> Result<(Tx, Authority), ApiError> {
        self.require(workspace, minimum)?;
        let mut tx = app.database().begin().await?;
        let by = self.authority(app, &mut tx, workspace, minimum).await?;
        Ok((tx, by))
    }

    async fn authority(
        &self,
        app: &App,
        tx: &mut Tx,
        workspace: WorkspaceId,
        minimum: WorkspaceRole,
    ) -> Result<Authority, ApiError> {
        let members = &app.access().members;
        Ok(members.authorize(tx, self.user(), workspace, minimum).await?)
    }
}

impl std::ops::Deref for WritingUser {
    type Target = UserToken;

    fn deref(&self) -> &UserToken {
        &self.0
    }
}

impl FromRequestParts<App> for WritingUser {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let user = UserToken::from_request_parts(parts, app).await?;
        rate::write(app, user.id()).await?;
        Ok(Self(user))
    }
}

/// A signed-in user, however he calls (contract: U*).
///
/// With a good service key the service calls for him, with an access token or an AuthZ token that was made for this very
/// service. Without one he calls by himself: with an AuthZ token in `X-Authz-Token`, beside which `Authorization` carries
/// the identity provider's own token and is not looked at, or else with an access token. A key that is not good counts
/// for nothing here.
#[derive(Clone)]
pub struct FlexibleUser {
    user: UserToken,
    service: Option<Service>,
}

impl FlexibleUser {
    /// The user.
    pub fn user(&self) -> &UserToken {
        &self.user
    }

    /// The service that calls for him, if one does.
    pub fn service(&self) -> Option<&Service> {
        self.service.as_ref()
    }
}

impl std::ops::Deref for FlexibleUser {
    type Target = UserToken;

    fn deref(&self) -> &UserToken {
        &self.user
    }
}

impl FromRequestParts<App> for FlexibleUser {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        single(&parts.headers, &AUTHZ_TOKEN_HEADER)?;
        let key = match ServiceKey::shown(&parts.headers, app).await {
            Ok(key) => key,
            Err(error) if error.status() == StatusCode::UNAUTHORIZED => None,
            Err(error) => return Err(error),
        };
        let user = if let Some(key) = &key {
            UserToken::of_bearer(parts, app, Accepted::AccessOrAuthzFor(key.name())).await?
        } else if let Some(token) = authz_token(&parts.headers)? {
            UserToken::of_token(parts, app, token, Accepted::Authz).await?
        } else {
            UserToken::of_bearer(parts, app, Accepted::Access).await?
        };
        Ok(Self {
            user,
            service: key.map(ServiceKey::into_service),
        })
    }
}
