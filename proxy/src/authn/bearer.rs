//! The user of a token that was verified, with everything that is the same for all requests that show it.

use std::sync::Arc;

use sentinel_core::principal::{Service, User};
use sentinel_core::{Principal, Timestamp};
use sentinel_token::Lasting;

use super::Authenticated;
use crate::forward::UserFields;

/// Whoever shows a token, which says that he is this user.
#[derive(Debug)]
pub(super) struct Bearer {
    user: Arc<User>,
    /// The user, and no service beside him.
    alone: Authenticated,
}

impl Bearer {
    /// The bearer of a user's token.
    pub(super) fn new(user: User) -> Self {
        let user = Arc::new(user);
        let principal = Principal::verified(Some(Arc::clone(&user)), None);
        let fields = UserFields::of(&user);
        Self {
            alone: Authenticated {
                principal: Arc::new(principal),
                fields: fields.map(Arc::new),
            },
            user,
        }
    }

    pub(super) fn user(&self) -> &User {
        &self.user
    }

    /// The caller, with the service whose key is shown beside the token.
    pub(super) fn with(&self, service: Option<Arc<Service>>) -> Authenticated {
        let Some(service) = service else {
            return self.alone.clone();
        };
        let principal = Principal::verified(Some(Arc::clone(&self.user)), Some(service));
        Authenticated {
            principal: Arc::new(principal),
            fields: self.alone.fields.clone(),
        }
    }
}

impl Lasting for Bearer {
    fn ends_at(&self) -> Option<Timestamp> {
        self.user.ends_at()
    }
}
