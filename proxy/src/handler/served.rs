//! The edge behind its door: what [`crate::doorway`] hands requests to, and asks what to say to those it does not.

use std::sync::Arc;

use pingora::proxy::HttpProxy;
use sentinel_core::Denial;

use super::Handler;
use crate::answer::Answer;
use crate::doorway::{Behind, TurnedAway};
use crate::edge::Edge;
use crate::request_id::RequestId;

/// The edge behind its door.
pub struct Served {
    edge: Arc<Edge>,
    app: Arc<HttpProxy<Handler>>,
}

impl Served {
    /// An edge and the Pingora application that calls it.
    pub fn new(edge: Arc<Edge>, app: Arc<HttpProxy<Handler>>) -> Self {
        Self { edge, app }
    }
}

impl Behind for Served {
    type App = HttpProxy<Handler>;

    fn app(&self) -> &Arc<Self::App> {
        &self.app
    }

    fn refuse(&self, denial: Denial) -> Vec<u8> {
        let id = RequestId::generate(self.edge.random.as_ref());
        self.edge.refused(denial, &id);
        Answer::to(denial, &id).closing()
    }

    fn overdue(&self) {
        tracing::warn!(
            "an exchange was dropped: a service that was asked for a tunnel, or a client within a body, fell silent"
        );
    }

    fn turned_away(&self, why: TurnedAway) {
        self.edge.metrics.turned_away(why.word());
        tracing::debug!(reason = why.word(), "a connection was closed without an answer");
    }
}
