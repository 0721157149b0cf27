//! The user of a token that was verified, with everything that is the same for all requests that show it.

use std::sync::Arc;

use sentinel_core::principal::{Service, User};
use sentinel_core::{Principal, Timestamp};
use sentinel_token::Lasting;

use super::Authenticated;
use crate::forward::UserFields;

/// Whoever shows a token, which says that he is this user. All of it lies in one place, so that little memory is looked at.
#[derive(Debug)]
pub struct Bearer {
    user: Arc<User>,
    /// The user, and no service beside him.
    alone: Arc<Principal>,
    fields: Option<UserFields>,
}

impl Bearer {
    /// The bearer of a user's token.
    pub(super) fn new(user: User) -> Self {
        let user = Arc::new(user);
        let alone = Principal::verified(Some(Arc::clone(&user)), None);
        Self {
            alone: Arc::new(alone),
            fields: UserFields::of(&user),
            user,
        }
    }

    /// What services are told about him, unless it is too long to be kept.
    pub fn fields(&self) -> Option<&UserFields> {
        self.fields.as_ref()
    }

    pub(super) fn user(&self) -> &User {
        &self.user
    }

    /// The caller, with the service whose key is shown beside the token.
    pub(super) fn with(self: Arc<Self>, service: Option<Arc<Service>>) -> Authenticated {
        let principal = match service {
            None => Arc::clone(&self.alone),
            Some(_) => Arc::new(Principal::verified(Some(Arc::clone(&self.user)), service)),
        };
        Authenticated {
            principal,
            bearer: Some(self),
        }
    }
}

impl Lasting for Bearer {
    fn ends_at(&self) -> Option<Timestamp> {
        self.user.ends_at()
    }
}
