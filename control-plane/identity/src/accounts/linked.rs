//! Which accounts at providers a user signs in with, to look at.

use sentinel_core::id::{SocialAccountId, UserId};
use sentinel_store::Tx;

use super::rows;
use crate::error::IdentityError;

/// A user's account at an identity provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocialAccount {
    /// Which.
    pub id: SocialAccountId,
    /// The provider's name in the configuration.
    pub provider: String,
    /// The provider's own id of the person.
    pub subject: String,
}

/// The accounts that the user signs in with, in the order in which they were linked.
pub async fn social_accounts(tx: &mut Tx, user: UserId) -> Result<Vec<SocialAccount>, IdentityError> {
    Ok(rows::of_user(tx, user).await?)
}
