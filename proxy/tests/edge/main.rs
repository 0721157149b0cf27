//! The edge as a whole: real sockets, Pingora, a service that records every byte it gets, and a replica that is filled
//! without a control plane.

mod answers;
mod assertion;
mod authz_tokens;
mod bodies;
mod connections;
mod cookies;
mod cors;
mod decisions;
mod disguises;
mod encrypted;
mod freshness;
mod h2;
mod harness;
mod headers;
mod identity;
mod idp;
#[path = "../../src/authn/issuers/testing.rs"]
mod issuer_keys;
mod issuers;
mod login;
mod operator;
mod proxies;
mod rates;
mod relations;
mod retries;
mod rewrites;
mod shadow;
mod streams;
#[path = "../../src/testing.rs"]
mod testing;
mod tls;
mod tunnels;
mod workers;
