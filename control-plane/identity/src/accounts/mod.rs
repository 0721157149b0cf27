//! Whose account a sign-in at a provider is. Accounts are keyed by (provider, subject), which a provider never gives to
//! somebody else; an e-mail address decides only when the provider vouches for it and its configuration says so.

mod rows;

use std::sync::Arc;

use sentinel_access::Access;
use sentinel_access::text::{Email, Name, avatar_url};
use sentinel_access::users::{NewUser, User};
use sentinel_core::id::SocialAccountId;
use sentinel_core::{Clock, Random};
use sentinel_store::{StoreError, Tx};

use crate::error::IdentityError;

/// What a provider says about somebody, after its answer was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The provider's own id of the person.
    pub subject: String,
    /// The e-mail address.
    pub email: Option<String>,
    /// Whether the provider said, with the JSON value `true`, that the address is the person's.
    pub email_verified: bool,
    /// The name.
    pub name: Option<String>,
    /// Where a picture is.
    pub picture: Option<String>,
}

/// Why a sign-in leads to no account.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AccountRefusal {
    #[error("the provider gave no e-mail address")]
    NoEmail,
    #[error("the provider does not vouch for the e-mail address")]
    EmailNotVerified,
    #[error("another account has the e-mail address")]
    EmailUsed,
    #[error("the account is deactivated")]
    Deactivated,
    #[error("the user is no administrator")]
    NotAdmin,
    #[error(transparent)]
    Failed(#[from] IdentityError),
}

/// Finds and makes accounts.
#[derive(Clone)]
pub(crate) struct Accounts {
    access: Access,
    admin_emails: Arc<[String]>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
}

impl Accounts {
    pub(crate) fn new(
        access: Access,
        admin_emails: impl IntoIterator<Item = String>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Self {
        let admin_emails = admin_emails.into_iter().map(|email| email.to_lowercase()).collect();
        Self {
            access,
            admin_emails,
            clock,
            random,
        }
    }

    /// The user that signed in; made at his first sign-in. The transaction is a `WriteTx`'s, so that of two first
    /// sign-ins at once one makes the account and the other finds it.
    ///
    /// With `admins_only` nobody is made who is no administrator.
    pub(crate) async fn resolve(
        &self,
        tx: &mut Tx,
        provider: &str,
        link_by_verified_email: bool,
        identity: &Identity,
        admins_only: bool,
    ) -> Result<User, AccountRefusal> {
        let address = identity.email.as_deref().ok_or(AccountRefusal::NoEmail)?;
        if !identity.email_verified {
            return Err(AccountRefusal::EmailNotVerified);
        }
        let email: Email = address.parse().map_err(|_| AccountRefusal::NoEmail)?;
        let named_admin = self.admin_emails.contains(&email.as_str().to_lowercase());
        let given: Option<Name> = identity.name.as_deref().and_then(|name| name.parse().ok());
        let picture = identity.picture.as_deref().and_then(avatar_url);

        let known = rows::user_of(tx, provider, &identity.subject).await.map_err(IdentityError::from)?;
        let (user, is_new_account) = match known {
            Some(id) => (self.access.users.get(tx, id).await.map_err(IdentityError::from)?, false),
            None => match self.access.users.find_by_email(tx, email.as_str()).await.map_err(IdentityError::from)? {
                Some(user) if link_by_verified_email => (user, true),
                Some(_) => return Err(AccountRefusal::EmailUsed),
                None if admins_only && !named_admin => return Err(AccountRefusal::NotAdmin),
                None => {
                    let local = email.as_str().split('@').next().and_then(|local| local.parse().ok());
                    let new = NewUser {
                        email,
                        name: given.clone().or(local).ok_or(AccountRefusal::NoEmail)?,
                        avatar_url: picture.clone(),
                        is_admin: named_admin,
                    };
                    (self.access.users.create(tx, new).await.map_err(IdentityError::from)?, true)
                }
            },
        };
        if !user.is_active {
            return Err(AccountRefusal::Deactivated);
        }
        if admins_only && !user.is_admin && !named_admin {
            return Err(AccountRefusal::NotAdmin);
        }
        if is_new_account {
            self.link(tx, &user, provider, identity).await?;
        }
        let mut user = self
            .access
            .users
            .update_profile(tx, user.id, given, picture)
            .await
            .map_err(IdentityError::from)?;
        if named_admin && !user.is_admin {
            user = self
                .access
                .users
                .set_admin(tx, None, user.id, true)
                .await
                .map_err(IdentityError::from)?;
        }
        Ok(user)
    }

    async fn link(&self, tx: &mut Tx, user: &User, provider: &str, identity: &Identity) -> Result<(), AccountRefusal> {
        let now = self.clock.now();
        let id = SocialAccountId::generate(now, &*self.random);
        match rows::insert(tx, id, user.id, provider, identity, now).await {
            Ok(()) => Ok(()),
            // The user has another account at this very provider: two people share an address there.
            Err(StoreError::Conflict { .. }) => Err(AccountRefusal::EmailUsed),
            Err(error) => Err(IdentityError::from(error).into()),
        }
    }
}
