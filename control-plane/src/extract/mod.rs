//! Extractors: a handler's arguments say who may call it and what it takes.
//!
//! | argument | who | contract |
//! |---|---|---|
//! | [`UserToken`] | a signed-in user | U |
//! | [`WritingUser`] | the same, who is about to change something | U |
//! | [`FlexibleUser`] | a signed-in user, perhaps through a service | U* |
//! | [`ServiceKey`] | a service | K |
//! | [`Asking`] | a service that asks about its own objects | K |
//! | [`ServiceCaller`] | a service, or a page of one | K/O |
//! | [`ServiceAndUser`] | a service on behalf of a user | K+U |
//! | [`Admin`] | an administrator with the admin cookie | A |
//!
//! Put the caller first and [`Json`] last: who calls is checked before what he sent.

pub mod admin;
pub mod asking;
pub mod bearer;
pub mod body;
pub mod client;
pub mod json;
pub mod origin;
pub mod service;
pub mod user;

pub use admin::{ADMIN_COOKIE, Admin};
pub use asking::Asking;
pub use body::{Json, Path, Query};
pub use client::Client;
pub use service::{ServiceAndUser, ServiceCaller, ServiceKey};
pub use user::{FlexibleUser, UserToken, WritingUser};
