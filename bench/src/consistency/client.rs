//! Requests to one edge over a kept connection, which is opened anew whenever it is lost.

use std::net::SocketAddr;

use anyhow::Result;

use crate::load::Connection;

/// What an edge said to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    /// It went through to the service.
    Allowed,
    /// 403.
    Denied,
    /// 503: it cannot know now.
    Unavailable,
    /// The connection was lost before there was an answer.
    Nothing,
}

/// A client of one edge.
#[derive(Debug)]
pub(super) struct Client {
    address: SocketAddr,
    connection: Option<Connection>,
}

impl Client {
    pub(super) fn of(address: SocketAddr) -> Self {
        Self {
            address,
            connection: None,
        }
    }

    /// Sends a request.
    ///
    /// # Errors
    /// The answer is none that a healthy edge gives to it.
    pub(super) async fn send(&mut self, request: &[u8]) -> Result<Said> {
        let opened = match self.connection.take() {
            Some(connection) => Ok(connection),
            None => Connection::open(self.address).await,
        };
        let Ok(mut connection) = opened else {
            return Ok(Said::Nothing);
        };
        let Ok((status, body)) = connection.send(request).await else {
            return Ok(Said::Nothing);
        };
        let said = match status {
            200 => Said::Allowed,
            403 => Said::Denied,
            502..=504 => Said::Unavailable,
            _ => anyhow::bail!("an edge answered {status}: {}", String::from_utf8_lossy(body)),
        };
        self.connection = Some(connection);
        Ok(said)
    }
}
