//! A state out of packed tuples: how a snapshot is read.

use std::sync::Arc;

use sentinel_authz::{Graph, Packed, UnpackError};
use sentinel_core::{Fact, Revision};
use sentinel_token::KeySet;

use super::{ApplyError, ReplicaState};
use crate::digest::Digest;
use crate::snapshot::SnapshotError;

impl ReplicaState {
    /// The state of these tuples and of the other facts. The digest is the caller's to check, before the state is used.
    pub(crate) fn build_packed(
        revision: Revision,
        others: Vec<Fact>,
        packed: &Packed<'_>,
        digest: Digest,
    ) -> Result<Self, SnapshotError> {
        let mut state = Self::empty();
        let expected = others.len().saturating_add(packed.len());
        for fact in others {
            drop(state.put(fact));
        }
        state.graph = Graph::unpack(state.model()?, packed).map_err(|error| match error {
            UnpackError::Model(refused) => SnapshotError::State(refused.into()),
            malformed @ UnpackError::Malformed(_) => malformed.into(),
        })?;
        let keys = KeySet::from_facts(state.signing_keys.values());
        state.keys = Arc::new(keys.map_err(ApplyError::from)?);
        state.revision = revision;
        state.digest = digest;
        if state.len() == expected {
            Ok(state)
        } else {
            Err(ApplyError::Duplicate.into())
        }
    }
}
