//! What a change does to a state: which maps it copies, and how the digest follows.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::Arc;

use sentinel_authz::{Model, Term, TupleChange, sentinel};
use sentinel_core::{Change, Fact, Revision, Tuple};
use sentinel_token::KeySet;

use super::{ApplyError, ReplicaState};
use crate::digest::Digest;

impl ReplicaState {
    /// The state after some changes.
    pub(super) fn changed(&self, to: Revision, changes: &[Change]) -> Result<Self, ApplyError> {
        let mut next = self.clone();
        next.revision = to;
        // Only the last word on a tuple counts, and it changes the digest only if the tuple was not so already.
        let mut tuples: BTreeMap<&Tuple, Option<Term>> = BTreeMap::new();
        for change in changes {
            let (tuple, holds) = match change {
                Change::Put(Fact::Tuple(tuple)) => (tuple, Some(Term::Unlimited)),
                Change::Put(Fact::ExpiringTuple { tuple, until }) => (tuple, Some(Term::Until(*until))),
                Change::Delete(Fact::Tuple(tuple) | Fact::ExpiringTuple { tuple, .. }) => (tuple, None),
                Change::Put(fact) => {
                    let before = next.put(fact.clone());
                    next.digest = next
                        .digest
                        .plus(Digest::of(fact))
                        .minus(digest_of(before.as_ref()));
                    continue;
                }
                Change::Delete(fact) => {
                    let before = next.delete(fact);
                    next.digest = next.digest.minus(digest_of(before.as_ref()));
                    continue;
                }
            };
            tuples.insert(tuple, holds);
        }
        let mut deleted = Vec::new();
        let mut added = Vec::new();
        for (tuple, holds) in tuples {
            let before = self.graph.term(tuple);
            if before == holds {
                continue;
            }
            next.digest = next
                .digest
                .plus(digest_of_tuple(tuple, holds))
                .minus(digest_of_tuple(tuple, before));
            match holds {
                Some(term) => added.push(TupleChange::put(tuple, term)),
                None => deleted.push(TupleChange::Delete(tuple)),
            }
        }
        // What was there and goes need not be allowed by the new model, and what comes need not be by the old one.
        if !Arc::ptr_eq(&next.models, &self.models) {
            next.graph = next.graph.apply(deleted.drain(..))?;
            next.graph = next.graph.with_model(next.model()?)?;
        }
        // In one step else: what it touches is copied once.
        if !deleted.is_empty() || !added.is_empty() {
            next.graph = next.graph.apply(deleted.into_iter().chain(added))?;
        }
        if !Arc::ptr_eq(&next.signing_keys, &self.signing_keys) {
            next.keys = Arc::new(KeySet::from_facts(next.signing_keys.values())?);
        }
        Ok(next)
    }

    /// The model of Sentinel and of all services.
    pub(super) fn model(&self) -> Result<Arc<Model>, ApplyError> {
        let services = self.models.iter();
        Ok(sentinel::model_with(
            services.map(|(service, model)| (service, &*model.text)),
        )?)
    }

    /// Puts a fact that is no tuple and returns the one that it replaces.
    pub(super) fn put(&mut self, fact: Fact) -> Option<Fact> {
        match fact {
            Fact::Tuple(_) | Fact::ExpiringTuple { .. } => None,
            Fact::Model(model) => Arc::make_mut(&mut self.models)
                .insert(model.service.clone(), model)
                .map(Fact::Model),
            Fact::ServiceKey(key) => insert(&mut self.service_keys, key.digest, key).map(Fact::ServiceKey),
            Fact::SigningKey(key) => Arc::make_mut(&mut self.signing_keys)
                .insert(key.kid.clone(), key)
                .map(Fact::SigningKey),
            Fact::RevokedSession { session, until } => insert(&mut self.revoked_sessions, session, until)
                .map(|until| Fact::RevokedSession { session, until }),
            Fact::RevokedToken { token, until } => insert(&mut self.revoked_tokens, token, until)
                .map(|until| Fact::RevokedToken { token, until }),
            Fact::DisabledUser(user) => {
                let new = Arc::make_mut(&mut self.disabled_users).insert(user);
                (!new).then_some(Fact::DisabledUser(user))
            }
        }
    }

    /// Removes the fact, no tuple, that has this one's key, and returns it.
    fn delete(&mut self, fact: &Fact) -> Option<Fact> {
        match fact {
            Fact::Tuple(_) | Fact::ExpiringTuple { .. } => None,
            Fact::Model(model) => {
                let there = self.models.contains_key(&model.service);
                let removed = there.then(|| Arc::make_mut(&mut self.models).remove(&model.service));
                removed.flatten().map(Fact::Model)
            }
            Fact::ServiceKey(key) => remove(&mut self.service_keys, &key.digest).map(Fact::ServiceKey),
            Fact::SigningKey(key) => {
                let there = self.signing_keys.contains_key(&key.kid);
                let removed = there.then(|| Arc::make_mut(&mut self.signing_keys).remove(&key.kid));
                removed.flatten().map(Fact::SigningKey)
            }
            Fact::RevokedSession { session, .. } => {
                remove(&mut self.revoked_sessions, session).map(|until| {
                    let session = *session;
                    Fact::RevokedSession { session, until }
                })
            }
            Fact::RevokedToken { token, .. } => remove(&mut self.revoked_tokens, token).map(|until| {
                let token = *token;
                Fact::RevokedToken { token, until }
            }),
            Fact::DisabledUser(user) => {
                let there = self.disabled_users.contains(user);
                there.then(|| {
                    Arc::make_mut(&mut self.disabled_users).remove(user);
                    Fact::DisabledUser(*user)
                })
            }
        }
    }
}

fn insert<K: Clone + Eq + Hash, V: Clone>(map: &mut Arc<HashMap<K, V>>, key: K, value: V) -> Option<V> {
    Arc::make_mut(map).insert(key, value)
}

/// Removes without copying the map when there is nothing to remove.
fn remove<K: Clone + Eq + Hash, V: Clone>(map: &mut Arc<HashMap<K, V>>, key: &K) -> Option<V> {
    if map.contains_key(key) {
        Arc::make_mut(map).remove(key)
    } else {
        None
    }
}

fn digest_of_tuple(tuple: &Tuple, term: Option<Term>) -> Digest {
    match term {
        None => Digest::EMPTY,
        Some(term) => Digest::of_line(tuple_line(tuple, term).as_bytes()),
    }
}

/// The canonical line of the fact that a tuple holds for so long, without making that fact.
fn tuple_line(tuple: &Tuple, term: Term) -> String {
    match term {
        Term::Unlimited => format!("tuple {tuple}"),
        Term::Until(until) => format!("expiring-tuple {} {tuple}", until.timestamp_micros()),
    }
}

fn digest_of(fact: Option<&Fact>) -> Digest {
    fact.map_or(Digest::EMPTY, Digest::of)
}
