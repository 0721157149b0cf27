//! Where the services take the time and fresh identifiers from.

use std::sync::Arc;

use sentinel_core::{Clock, Random, Timestamp};

/// The clock and the randomness that every service was handed.
#[derive(Clone)]
pub(crate) struct Sources {
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
}

impl Sources {
    pub(crate) fn new(clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Self {
        Self { clock, random }
    }

    /// The present moment.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The source that identifiers are generated from.
    pub(crate) fn random(&self) -> &dyn Random {
        self.random.as_ref()
    }
}
