//! Who is at the other end of the connection, as far as a log may know.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::header::USER_AGENT;
use axum::http::request::Parts;

/// The longest part of a user agent that is kept.
const MAX_USER_AGENT: usize = 200;

/// The address and the user agent of the caller.
#[derive(Debug, Clone, Default)]
pub struct Client {
    /// The peer's address; never a forwarded one, which anybody can write.
    pub ip: Option<IpAddr>,
    /// The beginning of `User-Agent`.
    pub user_agent: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for Client {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Self {
            ip: parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip()),
            user_agent: parts
                .headers
                .get(USER_AGENT)
                .and_then(|value| value.to_str().ok())
                .map(|text| text.chars().take(MAX_USER_AGENT).collect()),
        })
    }
}
