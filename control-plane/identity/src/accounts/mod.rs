//! Whose account a sign-in at a provider is. Accounts are keyed by (provider, subject), which a provider never gives to
//! somebody else; an e-mail address decides only when the provider vouches for it and its configuration says so.
//!
//! Who administers the installation is decided by the address of the *account*, which was vouched for when the account was
//! made. What a provider says about the address later decides nothing: a provider can say what it likes about people who
//! have an account already. And what an administrator has decided is not undone by a sign-in.

mod rows;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use sentinel_access::Access;
use sentinel_access::text::{Email, Name, avatar_url};
use sentinel_access::users::{NewUser, User};
use sentinel_core::id::SocialAccountId;
use sentinel_core::{Clock, EmailKey, Random};
use sentinel_store::{StoreError, Tx};

use crate::error::IdentityError;

/// What a provider says about somebody, after its answer was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The provider's own id of the person.
    pub subject: String,
    /// The e-mail address.
    pub email: Option<String>,
    /// What the provider's word about the address is worth.
    pub email_trust: EmailTrust,
    /// The name.
    pub name: Option<String>,
    /// Where a picture is.
    pub picture: Option<String>,
}

/// What a provider's word about an e-mail address is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EmailTrust {
    /// The provider says, with the JSON value `true`, that the address is the person's.
    Verified,
    /// The provider's directory has it, and nobody says whose it is (Microsoft Entra ID without `xms_edov`): an account
    /// may have it, but it decides nothing.
    Claimed,
    /// The provider does not vouch for it.
    Unverified,
}

/// Why a sign-in leads to no account.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AccountRefusal {
    #[error("the provider's id of the person is not 1 to 255 characters without control characters")]
    Subject,
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
    admin_emails: Arc<[EmailKey]>,
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
        let admin_emails = admin_emails
            .into_iter()
            .filter_map(|email| EmailKey::of(&email).ok())
            .collect();
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
        if !is_subject(&identity.subject) {
            return Err(AccountRefusal::Subject);
        }
        let address = identity.email.as_deref().ok_or(AccountRefusal::NoEmail)?;
        let is_verified = identity.email_trust == EmailTrust::Verified;
        if identity.email_trust == EmailTrust::Unverified {
            return Err(AccountRefusal::EmailNotVerified);
        }
        let email: Email = address.parse().map_err(|_| AccountRefusal::NoEmail)?;
        let given: Option<Name> = identity.name.as_deref().and_then(Name::lenient);
        let picture = identity.picture.as_deref().and_then(avatar_url);

        let known = rows::user_of(tx, provider, &identity.subject)
            .await
            .map_err(IdentityError::from)?;
        let (user, is_new_account) = match known {
            Some(id) => (
                self.access.users.get(tx, id).await.map_err(IdentityError::from)?,
                false,
            ),
            None => match self
                .access
                .users
                .find_by_email(tx, email.as_str())
                .await
                .map_err(IdentityError::from)?
            {
                // An account whose address nobody vouched for may have been made by anybody, to be found by the one
                // whose address it is.
                Some(user) if link_by_verified_email && is_verified && user.email_verified_at.is_some() => {
                    (user, true)
                }
                Some(_) => return Err(AccountRefusal::EmailUsed),
                None => {
                    let is_admin = is_verified && self.admin_emails.contains(email.key());
                    if admins_only && !is_admin {
                        return Err(AccountRefusal::NotAdmin);
                    }

                    let local = email
                        .as_str()
                        .split('@')
                        .next()
                        .and_then(|local| local.parse().ok());
                    let new = NewUser {
                        email,
                        email_verified: is_verified,
                        name: given.clone().or(local).ok_or(AccountRefusal::NoEmail)?,
                        avatar_url: picture.clone(),
                        is_admin,
                    };
                    (
                        self.access
                            .users
                            .create(tx, new)
                            .await
                            .map_err(IdentityError::from)?,
                        true,
                    )
                }
            },
        };
        if !user.is_active {
            return Err(AccountRefusal::Deactivated);
        }
        let mut user = user;
        if self.is_listed(&user) {
            user = self
                .access
                .users
                .promote_listed(tx, user)
                .await
                .map_err(IdentityError::from)?;
        }
        if admins_only && !user.is_admin {
            return Err(AccountRefusal::NotAdmin);
        }
        if is_new_account {
            self.link(tx, &user, provider, identity, given.as_ref()).await?;
        }
        Ok(self
            .access
            .users
            .update_profile(tx, user.id, given, picture)
            .await
            .map_err(IdentityError::from)?)
    }

    /// Whether the address of the account, which was vouched for, is an administrator's.
    fn is_listed(&self, user: &User) -> bool {
        user.email_verified_at.is_some()
            && EmailKey::of(&user.email).is_ok_and(|key| self.admin_emails.contains(&key))
    }

    async fn link(
        &self,
        tx: &mut Tx,
        user: &User,
        provider: &str,
        identity: &Identity,
        name: Option<&Name>,
    ) -> Result<(), AccountRefusal> {
        let now = self.clock.now();
        let id = SocialAccountId::generate(now, &*self.random);
        match rows::insert(tx, id, user.id, (provider, &identity.subject), name, now).await {
            Ok(()) => Ok(()),
            // The user has another account at this very provider: two people share an address there.
            Err(StoreError::Conflict { .. }) => Err(AccountRefusal::EmailUsed),
            Err(error) => Err(IdentityError::from(error).into()),
        }
    }
}

/// OpenID Connect Core §2 allows 255 characters of ASCII; some providers write others. PostgreSQL takes no NUL.
fn is_subject(subject: &str) -> bool {
    (1..=255).contains(&subject.chars().count()) && !subject.chars().any(char::is_control)
}
