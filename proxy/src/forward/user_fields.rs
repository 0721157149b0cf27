//! What a service is told about a user, as header fields that are ready to be written: they are the same for all requests
//! with one token, so they are made once.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use sentinel_core::principal::User;
use sentinel_core::{Denial, WorkspaceRole};

use super::encoded;
use crate::names;

/// How many bytes are kept for one token. A provider may let people choose names of kilobytes.
const LONGEST: usize = 1024;

/// The fields of one user, but for his role. All values are parts of one text, so that little memory is looked at.
#[derive(Debug)]
pub(super) struct Lines {
    /// `None` for what is not told.
    values: [Option<HeaderValue>; NAMES.len()],
    /// How many bytes they are together.
    length: usize,
}

/// The names of the fields, in the order of the values.
static NAMES: [HeaderName; 5] = [
    names::USER_ID,
    names::WORKSPACE_ID,
    names::WORKSPACE_SLUG,
    names::USER_EMAIL,
    names::USER_NAME,
];

/// The fields of the user of one token, kept beside it.
#[derive(Debug)]
pub struct UserFields {
    user: Arc<User>,
    lines: Lines,
}

impl Lines {
    /// # Errors
    /// [`Denial::Internal`] if one cannot be written.
    pub(super) fn of(user: &User) -> Result<Self, Denial> {
        let texts: [Option<Cow<'_, str>>; NAMES.len()] = [
            Some(user.id.to_string().into()),
            Some(user.workspace.to_string().into()),
            Some(user.workspace_slug.as_str().into()),
            user.email.as_deref().map(encoded),
            user.name.as_deref().map(encoded),
        ];
        let mut whole = String::new();
        let parts = texts.map(|text| {
            let start = whole.len();
            whole.push_str(&text?);
            Some(start..whole.len())
        });
        let whole = Bytes::from(whole);
        let mut lines = Self {
            length: whole.len(),
            values: [const { None }; NAMES.len()],
        };
        for (value, part) in lines.values.iter_mut().zip(parts) {
            let made = part.map(|part| HeaderValue::from_maybe_shared(whole.slice(part)));
            *value = made.transpose().map_err(|_| Denial::Internal)?;
        }
        Ok(lines)
    }

    /// Writes them, and the role that the user has now.
    pub(super) fn write(&self, role: WorkspaceRole, fields: &mut HeaderMap) -> Result<(), Denial> {
        let mut set = |name: HeaderName, value| {
            let inserted = fields.try_insert(name, value);
            inserted.map(drop).map_err(|_| Denial::Internal)
        };
        for (name, value) in NAMES.iter().zip(&self.values) {
            if let Some(value) = value {
                set(name.clone(), value.clone())?;
            }
        }
        set(names::WORKSPACE_ROLE, HeaderValue::from_static(role.as_str()))
    }
}

impl UserFields {
    /// Those of a user; `None` if they are too long to be kept: then they are made for each request.
    pub fn of(user: &Arc<User>) -> Option<Self> {
        let lines = Lines::of(user).ok()?;
        (lines.length <= LONGEST).then(|| Self {
            lines,
            user: Arc::clone(user),
        })
    }

    /// The fields, if they are about this very user, as this very token calls him.
    pub(super) fn about(&self, user: &User) -> Option<&Lines> {
        std::ptr::eq(&raw const *self.user, user).then_some(&self.lines)
    }
}
