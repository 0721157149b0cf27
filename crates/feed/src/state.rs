//! Everything that is true at one revision, as one value that never changes.
//!
//! A change makes a new value. What it does not touch is shared with the old one; a map is copied only when it changes.

mod change;
mod packed;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use sentinel_authz::{Graph, InvalidTupleForModel, ServiceModelError, Term, TupleChange};
use sentinel_core::fact::{ModelFact, ServiceKeyFact, SigningKeyFact};
use sentinel_core::id::{SessionId, TokenId, UserId, WorkspaceId};
use sentinel_core::name::ServiceName;
use sentinel_core::{Change, Fact, Revision, Timestamp, Tuple};
use sentinel_token::{InvalidKeySet, KeySet};

use crate::digest::Digest;
use crate::frame::Frame;
use crate::interest::Interest;

/// The replicated state at one revision. Cheap to clone.
#[derive(Clone)]
pub struct ReplicaState {
    revision: Revision,
    digest: Digest,
    graph: Graph,
    models: Arc<BTreeMap<ServiceName, ModelFact>>,
    service_keys: Arc<HashMap<[u8; 32], ServiceKeyFact>>,
    signing_keys: Arc<BTreeMap<String, SigningKeyFact>>,
    keys: Arc<KeySet>,
    revoked_sessions: Arc<HashMap<SessionId, Timestamp>>,
    revoked_tokens: Arc<HashMap<TokenId, Timestamp>>,
    disabled_users: Arc<HashSet<UserId>>,
    interest: Interest,
}

/// Why a change is not applied. The state stays as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// The frame does not begin where the replica stands: something in between is missing.
    #[error("a change from revision `{from}` to `{to}` does not follow `{at}`")]
    Gap {
        /// Where the replica stands.
        at: Revision,
        /// Where the frame begins.
        from: Revision,
        /// Where the frame ends.
        to: Revision,
    },
    /// The state after the change is not the one that the control plane has.
    #[error("the state at revision `{at}` has digest {actual} and {expected} is expected")]
    Diverged {
        /// The revision that was to be reached.
        at: Revision,
        /// The control plane's digest.
        expected: Digest,
        /// Ours.
        actual: Digest,
    },
    /// A snapshot has two facts under one key.
    #[error("a fact is there twice")]
    Duplicate,
    /// The signing keys are not a set that tokens can be verified with.
    #[error(transparent)]
    Keys(#[from] InvalidKeySet),
    /// A tuple that the permission model does not allow.
    #[error(transparent)]
    Model(#[from] InvalidTupleForModel),
    /// The models of services and Sentinel's are not one model.
    #[error(transparent)]
    Models(#[from] ServiceModelError),
}

impl ReplicaState {
    /// The state before any history: no facts.
    pub fn empty() -> Self {
        Self {
            revision: Revision::ZERO,
            digest: Digest::EMPTY,
            graph: Graph::new(sentinel_authz::sentinel::model()),
            models: Arc::default(),
            service_keys: Arc::default(),
            signing_keys: Arc::default(),
            keys: Arc::default(),
            revoked_sessions: Arc::default(),
            revoked_tokens: Arc::default(),
            disabled_users: Arc::default(),
            interest: Interest::all(),
        }
    }

    /// The state that consists of these facts. Two facts with one key make the whole of it bad.
    pub fn from_snapshot(
        revision: Revision,
        facts: impl IntoIterator<Item = Fact>,
    ) -> Result<Self, ApplyError> {
        let facts: Vec<Fact> = facts.into_iter().collect();
        let digest = facts
            .iter()
            .fold(Digest::EMPTY, |sum, fact| sum.plus(Digest::of(fact)));
        Self::build(revision, facts, digest)
    }

    /// The same, when the digest of the facts was computed already.
    pub(crate) fn build(revision: Revision, facts: Vec<Fact>, digest: Digest) -> Result<Self, ApplyError> {
        let mut state = Self::empty();
        let expected = facts.len();
        let mut tuples = Vec::new();
        for fact in facts {
            match fact {
                Fact::Tuple(tuple) => tuples.push((tuple, Term::Unlimited)),
                Fact::ExpiringTuple { tuple, until } => tuples.push((tuple, Term::Until(until))),
                other => drop(state.put(other)),
            }
        }
        if !state.models.is_empty() {
            state.graph = Graph::new(state.model()?);
        }
        state.graph = state
            .graph
            .apply(tuples.iter().map(|(tuple, term)| TupleChange::put(tuple, *term)))?;
        state.keys = Arc::new(KeySet::from_facts(state.signing_keys.values())?);
        state.revision = revision;
        state.digest = digest;
        if state.len() == expected {
            Ok(state)
        } else {
            Err(ApplyError::Duplicate)
        }
    }

    /// The state after a frame, which must begin here and end in a state with the frame's digest.
    pub fn apply(&self, frame: &Frame) -> Result<Self, ApplyError> {
        let follows = frame.from == self.revision
            && frame.to.epoch == frame.from.epoch
            && frame.to.number > frame.from.number;
        if !follows {
            return Err(ApplyError::Gap {
                at: self.revision,
                from: frame.from,
                to: frame.to,
            });
        }
        let next = self.changed(frame.to, &frame.changes)?;
        if next.digest == frame.digest {
            Ok(next)
        } else {
            Err(ApplyError::Diverged {
                at: frame.to,
                expected: frame.digest,
                actual: next.digest,
            })
        }
    }

    /// The state after the changes of the very next revision, and the frame that takes others there: how the control
    /// plane makes frames.
    pub fn advance(&self, to: Revision, changes: Vec<Change>) -> Result<(Self, Frame), ApplyError> {
        let at = self.revision;
        if to.epoch != at.epoch || at.number.checked_add(1) != Some(to.number) {
            return Err(ApplyError::Gap { at, from: at, to });
        }
        let next = self.changed(to, &changes)?;
        let frame = Frame {
            from: self.revision,
            to,
            changes,
            digest: next.digest,
        };
        Ok((next, frame))
    }

    /// The revision that this is the state of.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// The digest of all facts.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Which facts it is made of.
    pub fn interest(&self) -> &Interest {
        &self.interest
    }

    /// The same facts, known to be those of an interest.
    #[must_use]
    pub fn of_interest(mut self, interest: Interest) -> Self {
        self.interest = interest;
        self
    }

    /// Whether everything about a service in a workspace is here, so that a tuple which is missing means no; with
    /// `None`, about the service in all workspaces, as questions of its own model need: a group of any workspace may
    /// stand in its tuples. Where it is not, the control plane has to be asked.
    pub fn covers(&self, service: &ServiceName, workspace: Option<WorkspaceId>) -> bool {
        self.interest.covers(service, workspace)
    }

    /// Whether everything about the members, groups and roles of a workspace is here.
    pub fn covers_people(&self, workspace: WorkspaceId) -> bool {
        self.interest.covers_people(Some(workspace))
    }

    /// The relation tuples, ready to be asked.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// What is known of the service key with that SHA-256. Whether it has expired is for the caller to judge.
    pub fn service_key(&self, digest: &[u8; 32]) -> Option<&ServiceKeyFact> {
        self.service_keys.get(digest)
    }

    /// The keys that tokens are verified with.
    pub fn keys(&self) -> &KeySet {
        &self.keys
    }

    /// Whether no token of the session counts any more.
    pub fn is_session_revoked(&self, session: SessionId) -> bool {
        self.revoked_sessions.contains_key(&session)
    }

    /// Whether this one token does not count any more.
    pub fn is_token_revoked(&self, token: TokenId) -> bool {
        self.revoked_tokens.contains_key(&token)
    }

    /// Whether the user is deactivated.
    pub fn is_user_disabled(&self, user: UserId) -> bool {
        self.disabled_users.contains(&user)
    }

    /// How many facts there are.
    pub fn len(&self) -> usize {
        [
            self.graph.len(),
            self.models.len(),
            self.service_keys.len(),
            self.signing_keys.len(),
            self.revoked_sessions.len(),
            self.revoked_tokens.len(),
            self.disabled_users.len(),
        ]
        .into_iter()
        .sum()
    }

    /// Whether there is no fact at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The fact that is here under the key of this one.
    pub(crate) fn held(&self, fact: &Fact) -> Option<Fact> {
        match fact {
            Fact::Tuple(tuple) | Fact::ExpiringTuple { tuple, .. } => {
                let term = self.graph.term(tuple)?;
                Some(tuple_fact(tuple.clone(), term))
            }
            Fact::Model(model) => self.models.get(&model.service).cloned().map(Fact::Model),
            Fact::ServiceKey(key) => self.service_keys.get(&key.digest).cloned().map(Fact::ServiceKey),
            Fact::SigningKey(key) => self.signing_keys.get(&key.kid).cloned().map(Fact::SigningKey),
            Fact::RevokedSession { session, .. } => {
                let (session, until) = (*session, *self.revoked_sessions.get(session)?);
                Some(Fact::RevokedSession { session, until })
            }
            Fact::RevokedToken { token, .. } => {
                let (token, until) = (*token, *self.revoked_tokens.get(token)?);
                Some(Fact::RevokedToken { token, until })
            }
            Fact::DisabledUser(user) => self
                .disabled_users
                .contains(user)
                .then_some(Fact::DisabledUser(*user)),
        }
    }

    /// Every fact, in no particular order.
    pub fn facts(&self) -> impl Iterator<Item = Fact> + '_ {
        let tuples = self.graph.terms();
        tuples
            .map(|(tuple, term)| tuple_fact(tuple, term))
            .chain(self.other_facts())
    }

    /// Every fact that is no tuple, in no particular order.
    pub(crate) fn other_facts(&self) -> impl Iterator<Item = Fact> + '_ {
        let sessions = self.revoked_sessions.iter();
        let tokens = self.revoked_tokens.iter();
        let models = self.models.values().cloned().map(Fact::Model);
        models
            .chain(self.service_keys.values().cloned().map(Fact::ServiceKey))
            .chain(self.signing_keys.values().cloned().map(Fact::SigningKey))
            .chain(sessions.map(|(&session, &until)| Fact::RevokedSession { session, until }))
            .chain(tokens.map(|(&token, &until)| Fact::RevokedToken { token, until }))
            .chain(self.disabled_users.iter().copied().map(Fact::DisabledUser))
    }
}

/// The fact that a tuple holds for this long.
fn tuple_fact(tuple: Tuple, term: Term) -> Fact {
    match term {
        Term::Unlimited => Fact::Tuple(tuple),
        Term::Until(until) => Fact::ExpiringTuple { tuple, until },
    }
}

impl fmt::Debug for ReplicaState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplicaState")
            .field("revision", &self.revision)
            .field("digest", &self.digest)
            .field("facts", &self.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
