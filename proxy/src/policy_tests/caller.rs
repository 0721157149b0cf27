//! The caller of a test: verified credentials without a signature, and the relations that make him what he is.

use std::sync::Arc;

use sentinel_authz::sentinel::{self, Grantee, ShareLevel};
use sentinel_authz::{Graph, Model, TupleChange};
use sentinel_config::edge::{Permission, TestCaller, TestToken, TestUser};
use sentinel_core::id::{RoleId, UserId, WorkspaceId};
use sentinel_core::principal::{ExternalUser, Service, User};
use sentinel_core::{Credential, Denial, Principal, Timestamp, Tuple, WorkspaceRole};
use uuid::Uuid;

use super::relations::{self, Untrue};
use crate::authn::{Accepts, UserToken};
use crate::request::Presented;

/// The person, his workspace and his role. They are in no other graph than that of their test.
const WORKSPACE: Uuid = Uuid::from_u128(1);
const USER: Uuid = Uuid::from_u128(2);
const ROLE: Uuid = Uuid::from_u128(3);
/// Everything else that a token or a key has, and no decision depends on.
const ANYTHING: Uuid = Uuid::from_u128(4);

/// Somebody who calls, as the edge would know him once his credentials were verified.
#[derive(Debug, Clone, Default)]
pub struct Caller {
    /// The user's token, and who it is.
    pub user: Option<(TestToken, Arc<User>)>,
    /// A user of another issuer.
    pub external: Option<Arc<ExternalUser>>,
    /// The service.
    pub service: Option<Arc<Service>>,
}

impl Caller {
    /// The caller that a test describes. His credentials are good for at least as long as a test takes.
    ///
    /// # Errors
    /// [`Denial::Internal`]: a defect of this program.
    pub fn of_test(caller: Option<&TestCaller>, until: Timestamp) -> Result<Self, Denial> {
        let Some(caller) = caller else {
            return Ok(Self::default());
        };
        let user = match &caller.user {
            Some(user) => Some((
                user.token,
                Arc::new(self::user(USER.into(), WORKSPACE.into(), user.token, until)?),
            )),
            None => None,
        };
        Ok(Self {
            user,
            external: caller.issuer.as_ref().map(|issuer| {
                Arc::new(ExternalUser {
                    issuer: issuer.clone(),
                    subject: "somebody".to_owned(),
                    expires_at: until,
                })
            }),
            service: caller.service.as_ref().map(|name| {
                Arc::new(Service {
                    app: ANYTHING.into(),
                    name: name.clone(),
                    expires_at: None,
                })
            }),
        })
    }

    /// Who calls a route that takes these credentials with a request that presents them. A session cookie where none is
    /// taken is nobody's.
    ///
    /// # Errors
    /// The route does not take them, or a page of another site may have sent the cookie.
    pub(super) fn on(&self, accepts: &Accepts, presented: &Presented) -> Result<Principal, Denial> {
        let service = self.service.clone();
        if let Some(external) = &self.external {
            return if accepts.takes(UserToken::Issuer(&external.issuer)) {
                Ok(Principal::external(Arc::clone(external), service))
            } else {
                // A token is not verified for a route that does not name its issuer.
                Err(Denial::TokenInvalid)
            };
        }
        let Some((token, user)) = &self.user else {
            return Ok(Principal::verified(None, service));
        };
        let is_accepted = accepts.takes(match token {
            TestToken::Access => UserToken::Access,
            TestToken::Cookie => UserToken::Cookie,
            TestToken::Authz => UserToken::Authz,
        });
        match (is_accepted, token) {
            (true, TestToken::Cookie) if presented.may_be_forged => Err(Denial::CrossSite),
            (true, _) => Ok(Principal::verified(Some(Arc::clone(user)), service)),
            (false, TestToken::Cookie) => Ok(Principal::verified(None, service)),
            (false, _) => Err(Denial::CredentialNotAccepted),
        }
    }
}

/// A user whose token was verified.
///
/// # Errors
/// [`Denial::Internal`]: a defect of this program.
pub fn user(id: UserId, workspace: WorkspaceId, token: TestToken, until: Timestamp) -> Result<User, Denial> {
    let credential = match token {
        TestToken::Access | TestToken::Cookie => Credential::AccessToken {
            token: ANYTHING.into(),
            session: ANYTHING.into(),
            expires_at: until,
        },
        TestToken::Authz => Credential::AuthzToken {
            token: ANYTHING.into(),
            session: ANYTHING.into(),
            // That it is the service of the route is checked before anybody is a user.
            service: "any".parse().map_err(|_| Denial::Internal)?,
            idp_subject: "somebody".to_owned(),
            expires_at: until,
        },
    };
    Ok(User {
        id,
        email: None,
        name: None,
        workspace,
        workspace_slug: "any".parse().map_err(|_| Denial::Internal)?,
        role_at_mint: WorkspaceRole::Viewer,
        minted_at: None,
        credential,
    })
}

/// What is true about the caller of a test, and nothing else, in this model.
///
/// # Errors
/// The model does not allow what the test says.
pub fn graph_of(caller: Option<&TestCaller>, model: &Arc<Model>) -> Result<Graph, Untrue> {
    let user = caller.and_then(|caller| caller.user.as_ref());
    let mut all = user.map_or(Ok(Vec::new()), tuples)?;
    if let Some(user) = user {
        all.extend(relations::tuples(
            &user.relations,
            model,
            USER.into(),
            WORKSPACE.into(),
        )?);
    }
    let graph = Graph::new(Arc::clone(model)).apply(all.iter().map(TupleChange::Put))?;
    Ok(graph)
}

fn tuples(user: &TestUser) -> Result<Vec<Tuple>, sentinel_core::tuple::InvalidTuple> {
    let (workspace, person, role): (WorkspaceId, UserId, RoleId) =
        (WORKSPACE.into(), USER.into(), ROLE.into());
    let mut tuples: Vec<Tuple> = user
        .role
        .map(|role| sentinel::membership(workspace, person, role))
        .into_iter()
        .collect();
    if !user.actions.is_empty() {
        tuples.push(sentinel::role_in_workspace(role, workspace));
        tuples.push(sentinel::role_assignee(role, Grantee::User(person)));
    }
    for action in &user.actions {
        tuples.push(sentinel::grant(workspace, &action.service, &action.action, role)?);
    }
    for wanted in &user.permissions {
        let (service, kind, id) = (&wanted.service, &wanted.resource_type, wanted.id.as_str());
        let owner = (wanted.permission == Permission::Manage).then_some(person);
        tuples.extend(sentinel::resource_tuples(
            service, kind, id, workspace, false, owner,
        )?);
        let level = match wanted.permission {
            Permission::View => ShareLevel::View,
            Permission::Edit => ShareLevel::Edit,
            Permission::Manage => continue,
        };
        tuples.push(sentinel::share(service, kind, id, Grantee::User(person), level)?);
    }
    Ok(tuples)
}
