//! The quickstart: the whole product on one machine with nothing to configure, and a tour that shows its main job.
//!
//! Both programs run as they would in production, as processes of their own; the identity provider and the service
//! behind the proxy are demo programs that live in this process. For development only: the provider asks for no
//! password. The whole-system tests use the same parts.

pub mod api;
pub mod assertion;
pub mod export;
pub mod http;
pub mod provider;
pub mod scene;
pub mod system;
pub mod tour;
pub mod upstream;
