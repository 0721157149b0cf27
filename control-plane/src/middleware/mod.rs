//! The layers around every route, in the order in which a request meets them.

pub mod body_limit;
pub mod cors;
pub mod log;
pub mod rate;
pub mod request_id;
pub mod security;
