//! SQL of services' models, relation tuples, idempotency keys and announced routes. Every query begins with the service, or
//! with the edge that announced, but for the projection, what runs beside requests, and what goes with somebody of ours.

pub(super) mod keys;
pub(crate) mod models;
pub(super) mod routes;
pub(crate) mod tuples;
