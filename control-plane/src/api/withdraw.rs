//! What takes something away from somebody, together with the sessions that end with it: one function for each event, for
//! the endpoints of members and those of administrators alike. Whoever adds an endpoint for one of them calls it here.
//!
//! Role, groups and membership are live, so an edge needs none of this to decide. It is for services that read a role or a
//! group out of a token, for what was never meant to be looked up again, and for clients, which are told to get a new token.

use sentinel_access::client_apps::{ClientApp, ClientAppChange};
use sentinel_access::members::{Authority, Membership};
use sentinel_access::service_apps::{ServiceApp, ServiceAppChange};
use sentinel_access::users::User;
use sentinel_core::WorkspaceRole;
use sentinel_core::id::{ClientAppId, GroupId, ServiceAppId, UserId};
use sentinel_identity::EndReason;
use sentinel_store::WriteTx;

use crate::app::App;
use crate::problem::ApiError;

/// Gives a member another role. His sessions in the workspace end, whether he may do more now or less.
pub(super) async fn change_role(
    app: &App,
    tx: &mut WriteTx,
    by: &Authority,
    user: UserId,
    role: WorkspaceRole,
) -> Result<Membership, ApiError> {
    let members = &app.access().members;
    let before = members.role(tx, by.workspace(), user).await?;
    let membership = members.change_role(tx, by, user, role).await?;
    if before != Some(membership.role) {
        app.sessions.end_of_changed(tx, by.workspace(), &[user]).await?;
    }
    Ok(membership)
}

/// Removes a member. His sessions in the workspace end.
pub(super) async fn remove_member(
    app: &App,
    tx: &mut WriteTx,
    by: &Authority,
    user: UserId,
) -> Result<(), ApiError> {
    app.access().members.remove(tx, by, user).await?;
    app.sessions.end_of_member(tx, by.workspace(), user).await?;
    Ok(())
}

/// Takes a user out of a group. His sessions in its workspace end.
pub(super) async fn remove_group_member(
    app: &App,
    tx: &mut WriteTx,
    by: &Authority,
    group: GroupId,
    user: UserId,
) -> Result<(), ApiError> {
    app.access().groups.remove_member(tx, by, group, user).await?;
    app.sessions.end_of_changed(tx, by.workspace(), &[user]).await?;
    Ok(())
}

/// Deletes a group. The sessions of everybody who was in it end, in its workspace.
pub(super) async fn delete_group(
    app: &App,
    tx: &mut WriteTx,
    by: &Authority,
    group: GroupId,
) -> Result<(), ApiError> {
    let groups = &app.access().groups;
    let members = groups.members(tx, by.workspace(), group).await?;
    groups.delete(tx, by, group).await?;
    let users: Vec<UserId> = members.into_iter().map(|member| member.user).collect();
    app.sessions.end_of_changed(tx, by.workspace(), &users).await?;
    Ok(())
}

/// Deletes a workspace, with every session in it.
pub(super) async fn delete_workspace(app: &App, tx: &mut WriteTx, by: &Authority) -> Result<(), ApiError> {
    app.sessions.end_of_workspace(tx, by.workspace()).await?;
    app.access().workspaces.delete(tx, by).await?;
    Ok(())
}

/// Activates or deactivates an account. All sessions of one that is deactivated end.
pub(super) async fn set_active(
    app: &App,
    tx: &mut WriteTx,
    actor: Option<UserId>,
    user: UserId,
    is_active: bool,
) -> Result<User, ApiError> {
    let after = app.access().users.set_active(tx, actor, user, is_active).await?;
    if !is_active {
        app.sessions.end_all_of(tx, user, EndReason::Deactivated).await?;
    }
    Ok(after)
}

/// Makes the user an administrator of the installation, or takes that from him: then all of his sessions end.
pub(super) async fn set_admin(
    app: &App,
    tx: &mut WriteTx,
    actor: Option<UserId>,
    user: UserId,
    is_admin: bool,
) -> Result<User, ApiError> {
    let users = &app.access().users;
    let was_admin = users.get(tx, user).await?.is_admin;
    let after = users.set_admin(tx, actor, user, is_admin).await?;
    if was_admin && !after.is_admin {
        app.sessions.end_all_of(tx, user, EndReason::Demoted).await?;
    }
    Ok(after)
}

/// Ends all of a user's sessions, because an administrator wants it so. Answers how many those were.
pub(super) async fn revoke_tokens(
    app: &App,
    tx: &mut WriteTx,
    actor: Option<UserId>,
    user: UserId,
) -> Result<u64, ApiError> {
    let users = &app.access().users;
    let user = users.get(tx, user).await?.id;
    let ended = app.sessions.end_all_of(tx, user, EndReason::Revoked).await?;
    users.note_revocation(tx, actor, user, ended).await?;
    Ok(ended)
}

/// Changes a client app. If it is asked for, every session that was begun through it ends.
pub(super) async fn update_client_app(
    app: &App,
    tx: &mut WriteTx,
    actor: Option<UserId>,
    client: ClientAppId,
    change: ClientAppChange,
    revoke_sessions: bool,
) -> Result<ClientApp, ApiError> {
    let revoked = if revoke_sessions {
        app.sessions.end_of_client_app(tx, client).await?
    } else {
        0
    };
    let client_apps = &app.access().client_apps;
    Ok(client_apps.update(tx, actor, client, change, revoked).await?)
}

/// Deletes a client app. Every session that was begun through it ends.
pub(super) async fn delete_client_app(
    app: &App,
    tx: &mut WriteTx,
    actor: Option<UserId>,
    client: ClientAppId,
) -> Result<(), ApiError> {
    app.sessions.end_of_client_app(tx, client).await?;
    app.access().client_apps.delete(tx, actor, client).await?;
    Ok(())
}

/// Changes a service app. If it is disabled, the tokens of AuthZ mode that were made through it are over.
pub(super) async fn update_service_app(
    app: &App,
    tx: &mut WriteTx,
    actor: Option<UserId>,
    service: ServiceAppId,
    change: ServiceAppChange,
) -> Result<ServiceApp, ApiError> {
    let service_apps = &app.access().service_apps;
    let updated = service_apps.update(tx, actor, service, change).await?;
    if !updated.is_active {
        app.sessions.end_of_service_app(tx, service).await?;
    }
    Ok(updated)
}

/// Deletes a service app. The tokens of AuthZ mode that were made through it are over.
pub(super) async fn delete_service_app(
    app: &App,
    tx: &mut WriteTx,
    actor: Option<UserId>,
    service: ServiceAppId,
) -> Result<(), ApiError> {
    app.sessions.end_of_service_app(tx, service).await?;
    app.access().service_apps.delete(tx, actor, service).await?;
    Ok(())
}
