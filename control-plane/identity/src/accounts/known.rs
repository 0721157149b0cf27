//! Sign-ins that change nothing. An application asks again about the same people every few minutes, and for that nobody
//! has to wait for his turn to write.

use sentinel_access::users::User;
use sentinel_core::EmailKey;
use sentinel_store::Tx;

use super::{Accounts, Identity, Said, is_subject, rows};
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

    /// The active user of an identity whose sign-in would change nothing; `None` where [`Accounts::resolve`] has
    /// something to write or to refuse.
    pub(crate) async fn find_unchanged(
        &self,
        tx: &mut Tx,
        provider: &str,
        identity: &Identity,
    ) -> Result<Option<User>, IdentityError> {
        let Ok(said) = Said::by(identity) else {
            return Ok(None);
        };
        let Some(id) = rows::user_of(tx, provider, &identity.subject).await? else {
            return Ok(None);
        };
        let user = self.access.users.get(tx, id).await?;
        let is_named = said.name.is_none_or(|name| name.as_str() == user.name);
        let is_pictured = said.picture.is_none() || said.picture == user.avatar_url;
        let is_confirmed = user.email_verified_at.is_some()
            || !said.is_verified
            || EmailKey::of(&user.email).is_ok_and(|key| key != *said.email.key());
        let is_promoted = user.is_admin || !self.is_listed(&user);
        let nothing_to_write = is_named && is_pictured && is_confirmed && is_promoted;
        if !user.is_active || !nothing_to_write || self.access.invitations.pending_for(tx, &user).await? {
            return Ok(None);
        }
        Ok(Some(user))
    }
}
