//! Whose account a sign-in at a provider is. Accounts are keyed by (provider, subject), which a provider never gives to
//! somebody else; an e-mail address decides only when the provider vouches for it and its configuration says so, and that of
//! every provider that the account is known at. Else one whose word is not worth that could make an account with anybody's
//! address beforehand, and whoever made it there would share it with the one whose address it is.
//!
//! Who administers the installation is decided by the address of the *account*, which was vouched for when the account was
//! made. What a provider says about the address later decides nothing: a provider can say what it likes about people who
//! have an account already. And what an administrator has decided is not undone by a sign-in.
//!
//! Name and picture are kept by the provider that the account was first known at. Others may call the person something else,
//! and his applications ask by way of any of them every few minutes.

mod known;
mod linked;
mod rows;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use sentinel_access::text::{Email, Name, avatar_url};
use sentinel_access::users::{NewUser, User};
use sentinel_access::{Access, AccessError};
use sentinel_core::id::{SocialAccountId, UserId};
use sentinel_core::{Clock, EmailKey, Random};
use sentinel_store::{StoreError, Tx, WriteTx};

pub use linked::{SocialAccount, social_accounts};

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

impl From<AccessError> for AccountRefusal {
    fn from(error: AccessError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<StoreError> for AccountRefusal {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.into())
    }
}

/// What a provider says about somebody, as far as it can be taken.
struct Said {
    email: Email,
    is_verified: bool,
    name: Option<Name>,
    picture: Option<String>,
}

impl Said {
    /// Whether the provider vouches for the address of this very account.
    fn vouches_for(&self, user: &User) -> bool {
        self.is_verified && EmailKey::of(&user.email).is_ok_and(|key| key == *self.email.key())
    }

    fn by(identity: &Identity) -> Result<Self, AccountRefusal> {
        if !is_subject(&identity.subject) {
            return Err(AccountRefusal::Subject);
        }
        let address = identity.email.as_deref().ok_or(AccountRefusal::NoEmail)?;
        let is_verified = match identity.email_trust {
            EmailTrust::Verified => true,
            EmailTrust::Claimed => false,
            EmailTrust::Unverified => return Err(AccountRefusal::EmailNotVerified),
        };
        Ok(Self {
            email: address.parse().map_err(|_| AccountRefusal::NoEmail)?,
            is_verified,
            name: identity.name.as_deref().and_then(Name::lenient),
            picture: identity.picture.as_deref().and_then(avatar_url),
        })
    }
}

/// Finds and makes accounts.
#[derive(Clone)]
pub(crate) struct Accounts {
    access: Access,
    admin_emails: Arc<[EmailKey]>,
    /// The providers whose word about an address may lead to an account that is there.
    linking: Arc<BTreeSet<String>>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
}

impl Accounts {
    pub(crate) fn new(
        access: Access,
        admin_emails: impl IntoIterator<Item = String>,
        linking: impl IntoIterator<Item = String>,
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
            linking: Arc::new(linking.into_iter().collect()),
            clock,
            random,
        }
    }

    /// The user that signed in; made at his first sign-in. The transaction is a [`WriteTx`], so that of two first
    /// sign-ins at once one makes the account and the other finds it. Invitations of his address are accepted in it, if
    /// the provider vouches for it.
    ///
    /// With `admins_only` nobody is made who is no administrator.
    pub(crate) async fn resolve(
        &self,
        tx: &mut WriteTx,
        provider: &str,
        identity: &Identity,
        admins_only: bool,
    ) -> Result<User, AccountRefusal> {
        let said = Said::by(identity)?;
        let known = rows::user_of(tx, provider, &identity.subject).await?;
        let user = match known {
            Some(id) => self.known(tx, id, &said).await?,
            None => self.stranger(tx, provider, &said, admins_only).await?,
        };
        if !user.is_active {
            return Err(AccountRefusal::Deactivated);
        }
        let user = self.promoted(tx, user).await?;
        if admins_only && !user.is_admin {
            return Err(AccountRefusal::NotAdmin);
        }
        if known.is_none() {
            self.link(tx, &user, provider, identity, said.name.as_ref())
                .await?;
        }
        if said.vouches_for(&user) {
            self.access
                .invitations
                .accept_all(tx, &user, said.email.key())
                .await?;
        }
        if !keeps_profile(tx, provider, user.id).await? {
            return Ok(user);
        }
        Ok(self
            .access
            .users
            .update_profile(tx, user.id, said.name, said.picture)
            .await?)
    }

    /// The user of an account at the provider that signed in before. That a provider now vouches for the address of the
    /// account is kept; what it says about any other address is not.
    async fn known(&self, tx: &mut Tx, id: UserId, said: &Said) -> Result<User, AccountRefusal> {
        let user = self.access.users.get(tx, id).await?;
        if said.vouches_for(&user) {
            return Ok(self.access.users.confirm_email(tx, user).await?);
        }
        Ok(user)
    }

    /// The user of an account at the provider that nobody has signed in with: whoever has its address, if that may
    /// decide, or else somebody new.
    async fn stranger(
        &self,
        tx: &mut Tx,
        provider: &str,
        said: &Said,
        admins_only: bool,
    ) -> Result<User, AccountRefusal> {
        match self.linkable(tx, provider, said).await? {
            Some(user) => Ok(user),
            None => self.made(tx, said, admins_only).await,
        }
    }

    /// The user whose address it is, to whom an account at the provider that nobody has signed in with may be linked; `None`
    /// if it is nobody's.
    async fn linkable(
        &self,
        tx: &mut Tx,
        provider: &str,
        said: &Said,
    ) -> Result<Option<User>, AccountRefusal> {
        let users = &self.access.users;
        let Some(user) = users.find_by_email(tx, said.email.as_str()).await? else {
            return Ok(None);
        };
        // An account whose address nobody vouched for may have been made by anybody, to be found by the one whose
        // address it is.
        if !said.is_verified || user.email_verified_at.is_none() || !self.linking.contains(provider) {
            return Err(AccountRefusal::EmailUsed);
        }
        for account in rows::of_user(tx, user.id).await? {
            // Two accounts at one provider are two people who share an address there.
            if account.provider == provider || !self.linking.contains(&account.provider) {
                return Err(AccountRefusal::EmailUsed);
            }
        }
        Ok(Some(user))
    }

    async fn made(&self, tx: &mut Tx, said: &Said, admins_only: bool) -> Result<User, AccountRefusal> {
        let is_admin = said.is_verified && self.admin_emails.contains(said.email.key());
        if admins_only && !is_admin {
            return Err(AccountRefusal::NotAdmin);
        }
        let local = || said.email.as_str().split('@').next()?.parse().ok();
        let new = NewUser {
            email: said.email.clone(),
            email_verified: said.is_verified,
            name: said.name.clone().or_else(local).ok_or(AccountRefusal::NoEmail)?,
            avatar_url: said.picture.clone(),
            is_admin,
        };
        Ok(self.access.users.create(tx, new).await?)
    }

    /// The user, as an administrator if the address of his account is listed as one's.
    async fn promoted(&self, tx: &mut Tx, user: User) -> Result<User, AccountRefusal> {
        if self.is_listed(&user) {
            return Ok(self.access.users.promote_listed(tx, user).await?);
        }
        Ok(user)
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
        Ok(rows::insert(tx, id, user.id, (provider, &identity.subject), name, now).await?)
    }
}

/// Whether the user's name and picture are what this provider says: whether it is the one of his that he was first known
/// at.
async fn keeps_profile(tx: &mut Tx, provider: &str, user: UserId) -> Result<bool, StoreError> {
    let accounts = rows::of_user(tx, user).await?;
    Ok(accounts.first().is_some_and(|first| first.provider == provider))
}

/// Whether a provider's id of a person can be kept, and repeated in tokens. OpenID Connect Core §2 allows 255 characters of
/// ASCII; some providers write others. PostgreSQL takes no NUL.
pub(crate) fn is_subject(subject: &str) -> bool {
    (1..=255).contains(&subject.chars().count()) && !subject.chars().any(char::is_control)
}
