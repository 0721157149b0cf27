//! What a control plane does besides answering. Every control plane runs all of it; two at once do no harm.

pub mod janitor;
pub mod last_used;
