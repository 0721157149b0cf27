//! The edge as Pingora calls it. Nothing is decided here: a hook asks [`Edge`], or writes what was decided.

mod served;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::modules::http::HttpModules;
use pingora::proxy::{FailToProxy, ProxyHttp, ProxyWarnLogContext, Session};
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorSource, ErrorType, Result};
use sentinel_core::Denial;

use crate::answer::{Answer, Case};
use crate::client::Client;
use crate::deadline::Deadline;
use crate::edge::{Admission, Admitted, Edge};
use crate::forward::{self, Hop};
use crate::names;
use crate::pace::Pace;
use crate::request::Parsed;
use crate::request_id::RequestId;
use crate::returned;
use crate::upstreams::SILENCE;

pub use served::Served;

/// The hooks of an edge.
pub struct Handler(pub Arc<Edge>);

/// One request and what was decided about it.
pub struct Exchange {
    id: RequestId,
    client: Client,
    admitted: Option<Admitted>,
    body: Pace,
    /// How many bytes of the body may still come.
    room: u64,
    /// How often the service could not be reached.
    misses: u32,
    /// Until the service has said that there is a tunnel.
    handshake: Deadline,
    is_tunnel: bool,
    cut: Option<Denial>,
}

#[async_trait]
impl ProxyHttp for Handler {
    type CTX = Exchange;

    fn new_ctx(&self) -> Exchange {
        Exchange {
            id: RequestId::generate(self.0.random.as_ref()),
            client: Client::default(),
            admitted: None,
            body: Pace::begin(),
            room: 0,
            misses: 0,
            handshake: Deadline::of_this_exchange(),
            is_tunnel: false,
            cut: None,
        }
    }

    /// No modules: nothing changes a body on the way.
    fn init_downstream_modules(&self, _modules: &mut HttpModules) {}

    async fn request_filter(&self, session: &mut Session, exchange: &mut Exchange) -> Result<bool> {
        exchange.client = Client::of(session, &self.0.trusted_proxies);
        let header = session.req_header();
        let parsed = Parsed {
            version: header.version,
            method: header.method.as_str(),
            target: header.raw_path(),
            authority: header.uri.authority().map(http::uri::Authority::as_str),
            fields: &header.headers,
        };
        match self.0.admit(parsed, exchange.client, &exchange.id).await {
            Ok(Admission::Forward(admitted)) => {
                exchange.admitted = Some(*admitted);
                forward::forget_spellings(session.req_header_mut());
                Ok(false)
            }
            Ok(Admission::Answer(answer)) => {
                answer.send(session).await?;
                Ok(true)
            }
            Err(refused) => {
                let case = Case {
                    route: refused.route.as_deref(),
                    asked: Some((&header.method, &header.headers)),
                    retry_after: refused.retry_after,
                };
                let mut answer = Answer::denying(refused.denial, case, &exchange.id);
                answer.add(refused.cookies.into_lines());
                answer.send(session).await?;
                Ok(true)
            }
        }
    }

    async fn upstream_peer(&self, _session: &mut Session, exchange: &mut Exchange) -> Result<Box<HttpPeer>> {
        let admitted = exchange.admitted.as_ref().ok_or_else(defect)?;
        let route = admitted.permit.route();
        let peer = route
            .upstream()
            .peer(route.timeout(), admitted.request.opens_tunnel)
            .await;
        peer.map(Box::new)
            .ok_or_else(|| Error::new_up(ErrorType::ConnectNoRoute))
    }

    async fn upstream_request_filter(
        &self,
        _session: &mut Session,
        upstream: &mut RequestHeader,
        exchange: &mut Exchange,
    ) -> Result<()> {
        let admitted = exchange.admitted.as_ref().ok_or_else(defect)?;
        // Another try sends the body from its beginning.
        exchange.room = admitted.permit.route().traffic().max_body;
        let hop = Hop {
            client: exchange.client,
            id: &exchange.id,
            session_cookie: self.0.authn.session_cookie(),
            user_fields: admitted.bearer.as_ref().and_then(|bearer| bearer.fields()),
        };
        exchange.expect_more();
        forward::write(&admitted.permit, &admitted.request, hop, upstream).map_err(|_| defect())?;
        // Last of all: it is about the request as it goes out.
        self.0
            .assert(admitted, &exchange.id, upstream)
            .map_err(|_| defect())
    }

    async fn request_body_filter(
        &self,
        _session: &mut Session,
        body: &mut Option<Bytes>,
        end: bool,
        exchange: &mut Exchange,
    ) -> Result<()> {
        if end {
            exchange.body.ended();
        }
        self.judge_again(exchange)?;
        if exchange.is_tunnel {
            return Ok(());
        }
        let piece = body.as_ref().map_or(0, Bytes::len);
        match exchange
            .room
            .checked_sub(u64::try_from(piece).unwrap_or(u64::MAX))
        {
            Some(room) => exchange.room = room,
            None => return Err(self.cut(exchange, Denial::BodyTooLarge)),
        }
        // Pingora would write the end of a chunked body twice, and the service would take the second for another request.
        if end && piece == 0 {
            *body = None;
            return Ok(());
        }
        if exchange.body.keeps_up(piece) {
            return Ok(());
        }
        Err(Error::new_down(ErrorType::ReadTimedout))
    }

    fn response_body_filter(
        &self,
        _session: &mut Session,
        _body: &mut Option<Bytes>,
        end: bool,
        exchange: &mut Exchange,
    ) -> Result<Option<std::time::Duration>> {
        self.judge_again(exchange)?;
        if end {
            exchange.handshake.lift();
        } else {
            exchange.expect_more();
        }
        Ok(None)
    }

    async fn response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        exchange: &mut Exchange,
    ) -> Result<()> {
        self.judge_again(exchange)?;
        if response.status == http::StatusCode::SWITCHING_PROTOCOLS {
            // Nobody asked for it: whoever stands in front of the edge would believe in a tunnel.
            if !exchange.asks_for_tunnel() {
                return Err(Error::new_up(ErrorType::InvalidHTTPHeader));
            }
            exchange.is_tunnel = true;
            exchange.handshake.lift();
            session.set_read_timeout(Some(SILENCE));
        }
        exchange.expect_more();
        if let Some(admitted) = &exchange.admitted {
            let fields = &session.req_header().headers;
            returned::write(admitted, fields, self.0.authn.session_cookie(), response)?;
        }
        response.insert_header(names::REQUEST_ID, exchange.id.header_value())
    }

    /// What cannot have reached the service may be tried again, if trying twice is harmless anyway.
    fn fail_to_connect(
        &self,
        session: &mut Session,
        _peer: &HttpPeer,
        exchange: &mut Exchange,
        mut error: Box<Error>,
    ) -> Box<Error> {
        error.set_retry(exchange.may_try_again(session));
        error
    }

    /// The same for a kept connection that turned out to be closed. An answer that was begun and broken off is not asked
    /// for again.
    fn error_while_proxy(
        &self,
        _peer: &HttpPeer,
        session: &mut Session,
        mut error: Box<Error>,
        exchange: &mut Exchange,
        is_kept: bool,
    ) -> Box<Error> {
        let is_whole = !session.as_ref().retry_buffer_truncated();
        if is_kept && is_whole && exchange.cut.is_none() && exchange.may_try_again(session) {
            error.retry.decide_reuse(true);
        } else {
            error.set_retry(false);
        }
        error
    }

    async fn fail_to_proxy(
        &self,
        session: &mut Session,
        error: &Error,
        exchange: &mut Exchange,
    ) -> FailToProxy {
        exchange.handshake.lift();
        let denial = exchange.cut.unwrap_or_else(|| cause(error));
        let is_ours = exchange.cut.is_none() && !is_gone(error);
        if let Some(admitted) = exchange.admitted.as_ref().filter(|_| is_ours) {
            let route = admitted.permit.route().name();
            self.0.metrics.failed(route, denial);
            tracing::warn!(
                request.id = exchange.id.as_str(),
                route,
                reason = denial.code(),
                error.kind = error.etype().as_str(),
                error.source = error.esource().as_str(),
                "a request that was let through was not answered"
            );
        }
        let mut error_code = 0;
        if session.response_written().is_none() && !is_gone(error) {
            error_code = denial.status();
            session.set_keepalive(None);
            let header = session.req_header();
            let admitted = exchange.admitted.as_ref();
            let case = Case {
                route: admitted.map(|admitted| &**admitted.permit.route()),
                asked: Some((&header.method, &header.headers)),
                retry_after: None,
            };
            let mut answer = Answer::denying(denial, case, &exchange.id);
            if let Some(admitted) = admitted {
                answer.add(admitted.cookies.clone().into_lines());
            }
            // A client that has gone needs no answer.
            let _ = answer.send(session).await;
        }
        FailToProxy {
            error_code,
            can_reuse_downstream: false,
        }
    }

    /// Pingora's own line names path and query; ours is written above.
    fn suppress_error_log(&self, _session: &Session, _exchange: &Exchange, _error: &Error) -> bool {
        true
    }

    /// And so does its line about another try.
    fn suppress_proxy_warn_log(
        &self,
        _session: &Session,
        exchange: &Exchange,
        error: &Error,
        _context: ProxyWarnLogContext,
    ) -> bool {
        tracing::info!(
            request.id = exchange.id.as_str(),
            error.kind = error.etype().as_str(),
            tries = exchange.misses,
            "a service could not be reached, and is tried again"
        );
        true
    }
}

impl Handler {
    /// Every piece of an exchange that has been open for a while is judged like a request, in both directions: an event
    /// stream, a long poll or a download is no more the client's than the next request would be.
    fn judge_again(&self, exchange: &mut Exchange) -> Result<()> {
        let admitted = exchange.admitted.as_mut().ok_or_else(defect)?;
        if !exchange.is_tunnel && admitted.is_undisputed() {
            return Ok(());
        }
        let still = self.0.still_admits(admitted);
        still.map_err(|denial| self.cut(exchange, denial))
    }

    /// Ends an exchange that was let through.
    #[expect(
        clippy::unnecessary_box_returns,
        reason = "Pingora's errors are boxed everywhere"
    )]
    fn cut(&self, exchange: &mut Exchange, denial: Denial) -> Box<Error> {
        let route = exchange.admitted.as_ref().map(|admitted| admitted.permit.route());
        if let (None, Some(route)) = (exchange.cut.replace(denial), route) {
            self.0.metrics.failed(route.name(), denial);
            tracing::info!(
                request.id = exchange.id.as_str(),
                route = route.name(),
                reason = denial.code(),
                "an open exchange was cut"
            );
        }
        Error::explain(ErrorType::ConnectionClosed, denial.code())
    }
}

impl Exchange {
    /// Whether a request that did not reach the service may be sent again; counts that it did not.
    fn may_try_again(&mut self, session: &Session) -> bool {
        let retries = self
            .admitted
            .as_ref()
            .map_or(0, |admitted| admitted.permit.route().traffic().retries);
        self.misses = self.misses.saturating_add(1);
        self.misses <= retries && session.req_header().method.is_idempotent()
    }

    fn asks_for_tunnel(&self) -> bool {
        let admitted = self.admitted.as_ref();
        admitted.is_some_and(|admitted| admitted.request.opens_tunnel)
    }

    /// A service that was asked for a tunnel has its usual time for the next word, until there is one.
    fn expect_more(&self) {
        if let Some(admitted) = &self.admitted
            && admitted.request.opens_tunnel
            && !self.is_tunnel
        {
            self.handshake.set(admitted.permit.route().timeout());
        }
    }
}

/// What an error of Pingora's is called in our words.
fn cause(error: &Error) -> Denial {
    match (error.esource(), error.etype()) {
        (ErrorSource::Upstream, ErrorType::ReadTimedout | ErrorType::WriteTimedout) => {
            Denial::UpstreamTimeout
        }
        (ErrorSource::Upstream, _) => Denial::UpstreamUnreachable,
        (ErrorSource::Downstream, _) => Denial::FramingInvalid,
        (ErrorSource::Internal | ErrorSource::Unset, _) => Denial::Internal,
    }
}

/// Whether there is nobody left to answer.
fn is_gone(error: &Error) -> bool {
    *error.esource() == ErrorSource::Downstream
        && matches!(
            error.etype(),
            ErrorType::ReadError
                | ErrorType::WriteError
                | ErrorType::ConnectionClosed
                | ErrorType::ReadTimedout
                | ErrorType::WriteTimedout
        )
}

/// A request without a permit got further than it can.
#[expect(
    clippy::unnecessary_box_returns,
    reason = "Pingora's errors are boxed everywhere"
)]
fn defect() -> Box<Error> {
    Error::new_in(ErrorType::InternalError)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_our_words() {
        for (error, denial) in [
            (
                Error::new_up(ErrorType::ConnectTimedout),
                Denial::UpstreamUnreachable,
            ),
            (Error::new_up(ErrorType::ReadTimedout), Denial::UpstreamTimeout),
            (
                Error::new_down(ErrorType::InvalidHTTPHeader),
                Denial::FramingInvalid,
            ),
            (Error::new_in(ErrorType::InternalError), Denial::Internal),
        ] {
            assert_eq!(cause(&error), denial);
        }
        assert!(is_gone(&Error::new_down(ErrorType::ConnectionClosed)));
        assert!(!is_gone(&Error::new_up(ErrorType::ConnectionClosed)));
    }
}
