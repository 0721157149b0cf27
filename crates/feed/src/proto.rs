//! What `build.rs` makes of `feed.proto`. Nothing outside the conversions in this crate looks at it.

#![expect(
    unreachable_pub,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::pedantic,
    reason = "generated; the contract is documented in feed.proto"
)]

tonic::include_proto!("sentinel.feed.v1");
