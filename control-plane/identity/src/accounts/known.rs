//! Sign-ins that change nothing, and those that lead nowhere. An application asks again about the same people every few minutes, and for that nobody
//! has to wait for his turn to write.

use sentinel_access::users::User;
use sentinel_store::Tx;

use super::{AccountRefusal, Accounts, Identity, Said, is_subject, keeps_profile, rows};
use crate::error::IdentityError;

impl Accounts {
    /// Whether somebody has signed in as this identity before; nobody has as one that cannot be kept.
    pub(crate) async fn is_known(
        &self,
        tx: &mut Tx,
        provider: &str,
        identity: &Identity,
    ) -> Result<bool, IdentityError> {
        Ok(is_subject(&identity.subject) && rows::user_of(tx, provider, &identity.subject).await?.is_some())
    }

    /// The active user of an identity whose sign-in would change nothing; `None` where [`Accounts::resolve`] has something
    /// to write. Whom that would refuse by what is known now is refused here.
    pub(crate) async fn find_unchanged(
        &self,
        tx: &mut Tx,
        provider: &str,
        identity: &Identity,
    ) -> Result<Option<User>, AccountRefusal> {
        let said = Said::by(identity)?;
        let known = match rows::user_of(tx, provider, &identity.subject).await? {
            Some(id) => Some(self.access.users.get(tx, id).await?),
            None => None,
        };
        let Some(user) = known else {
            let linkable = self.linkable(tx, provider, &said).await?;
            if linkable.is_some_and(|user| !user.is_active) {
                return Err(AccountRefusal::Deactivated);
            }
            return Ok(None);
        };
        if !user.is_active {
            return Err(AccountRefusal::Deactivated);
        }
        let unchanged = !self.is_news(tx, provider, &said, &user).await?;
        Ok(unchanged.then_some(user))
    }

    /// Whether a sign-in of an active user who is known at the provider would change something.
    async fn is_news(
        &self,
        tx: &mut Tx,
        provider: &str,
        said: &Said,
        user: &User,
    ) -> Result<bool, IdentityError> {
        let (users, invitations) = (&self.access.users, &self.access.invitations);
        if said.vouches_for(user) {
            let is_first = user.email_verified_at.is_none();
            if is_first || invitations.pending_for(tx, user, said.email.key()).await? {
                return Ok(true);
            }
        }
        if !user.is_admin && self.is_listed(user) && !users.was_demoted(tx, user.id).await? {
            return Ok(true);
        }
        let is_named = said.name.as_ref().is_none_or(|name| name.as_str() == user.name);
        let is_pictured = said.picture.is_none() || said.picture == user.avatar_url;
        Ok(!(is_named && is_pictured) && keeps_profile(tx, provider, user.id).await?)
    }
}
