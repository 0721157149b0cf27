//! What a frame did: how each fact that it names stood before, and stands after.

use std::collections::HashSet;
use std::sync::Arc;

use sentinel_core::id::{SessionId, TokenId, UserId};
use sentinel_core::name::ServiceName;
use sentinel_core::{Fact, Tuple};

use crate::frame::Frame;
use crate::state::ReplicaState;

/// What a fact is known by: putting one replaces the one with the same key.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) enum Key<'f> {
    Tuple(&'f Tuple),
    Model(&'f ServiceName),
    Service(&'f [u8; 32]),
    Signing(&'f str),
    Session(SessionId),
    Token(TokenId),
    User(UserId),
}

/// The key of a fact.
pub(crate) fn key_of(fact: &Fact) -> Key<'_> {
    match fact {
        Fact::Tuple(tuple) | Fact::ExpiringTuple { tuple, .. } => Key::Tuple(tuple),
        Fact::Model(model) => Key::Model(&model.service),
        Fact::ServiceKey(key) => Key::Service(&key.digest),
        Fact::SigningKey(key) => Key::Signing(&key.kid),
        Fact::RevokedSession { session, .. } => Key::Session(*session),
        Fact::RevokedToken { token, .. } => Key::Token(*token),
        Fact::DisabledUser(user) => Key::User(*user),
    }
}

/// A frame with what it did.
#[derive(Debug)]
pub(super) struct Effects {
    pub(super) frame: Arc<Frame>,
    /// Each fact that really changed, once: before and after.
    pub(super) changed: Vec<(Option<Fact>, Option<Fact>)>,
}

impl Effects {
    pub(super) fn new(before: &ReplicaState, after: &ReplicaState, frame: &Arc<Frame>) -> Self {
        let mut seen = HashSet::new();
        let facts = frame.changes.iter().map(sentinel_core::Change::fact);
        let changed = facts
            .filter(|fact| seen.insert(key_of(fact)))
            .map(|fact| (before.held(fact), after.held(fact)))
            .filter(|(before, after)| before != after)
            .collect();
        Self {
            frame: Arc::clone(frame),
            changed,
        }
    }
}
