//! The signed statement about a request that the service behind can check by itself (`x-sentinel-assertion`): who is
//! calling, by which route he may, and for which request to which service that holds, for half a minute.
//!
//! The plain headers say the same to a service that only the edge can reach. Where that is not certain, the assertion tells
//! the edge from somebody who imitates it, and a request from a copy of its headers on another one.
//!
//! What is bound is read from the request as it goes out, after everything else has been written. The body is not bound: it
//! is not there yet.

mod claims;
mod key;

use std::sync::Arc;

use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderValue;
use http::header::HOST;
use pingora::http::RequestHeader;
use sentinel_config::edge::Config;
use sentinel_core::{Denial, Random, Revision, Timestamp};
use sentinel_token::AssertionKey;

use crate::decide::Permit;
use crate::names;
use crate::request_id::RequestId;
use claims::{Bound, Claims};
use key::SigningKey;

/// How long an assertion holds, in seconds. Clocks may be some seconds apart, and a request may wait for a connection.
pub const LIFETIME: i64 = 30;

/// What tells an assertion from every other kind of JWT (RFC 8725 §3.11).
const TYPE: &str = "sentinel-assertion+jwt";

/// Signs assertions with the key of this edge. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Assertions(Arc<Signer>);

#[derive(Debug)]
struct Signer {
    key: SigningKey,
    issuer: Box<str>,
    /// The header of every assertion, in base64url, with the dot after it.
    header: Box<str>,
}

/// What an assertion is about, besides the request that goes out.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    /// Who may pass, and where.
    pub permit: &'a Permit,
    /// The request's number.
    pub id: &'a RequestId,
    /// The revision that it was decided by.
    pub revision: Revision,
    /// The present moment.
    pub now: Timestamp,
}

impl Assertions {
    /// Those of an edge with this configuration; `None` if no service wants any. The key is made if there is none.
    ///
    /// # Errors
    /// The key cannot be read, or not be kept.
    pub fn of(config: &Config, random: &dyn Random) -> Result<Option<Self>> {
        if !config.upstreams.values().any(|upstream| upstream.assertion) {
            return Ok(None);
        }
        let key = SigningKey::load_or_make(&config.state_dir, random)?;
        Ok(Some(Self::new(key, config.control_plane.issuer())))
    }

    fn new(key: SigningKey, issuer: &str) -> Self {
        let header = serde_json::json!({ "alg": "EdDSA", "kid": key.public().kid(), "typ": TYPE });
        Self(Arc::new(Signer {
            key,
            issuer: issuer.into(),
            header: (URL_SAFE_NO_PAD.encode(header.to_string()) + ".").into(),
        }))
    }

    /// The public half of the key, to be published.
    pub fn public_key(&self) -> AssertionKey {
        self.0.key.public()
    }

    /// Adds the assertion to a request that is complete but for it.
    ///
    /// # Errors
    /// [`Denial::Internal`] if it cannot be written; the request is not sent then.
    pub fn write(&self, about: About<'_>, upstream: &mut RequestHeader) -> Result<(), Denial> {
        let token = self.sign(about, upstream).ok_or(Denial::Internal)?;
        upstream
            .insert_header(names::ASSERTION, token)
            .map_err(|_| Denial::Internal)
    }

    fn sign(&self, about: About<'_>, upstream: &RequestHeader) -> Option<HeaderValue> {
        let signer = &*self.0;
        let target = std::str::from_utf8(upstream.raw_path()).ok()?;
        let host = upstream.headers.get(HOST)?.to_str().ok()?;
        let bound = Bound::new(upstream.method.as_str(), host, target);
        let claims = Claims::new(&signer.issuer, about, bound);
        let mut json = Vec::with_capacity(768);
        serde_json::to_writer(&mut json, &claims).ok()?;
        // Header, claims, a dot, and a signature of 64 bytes.
        let mut token = String::with_capacity(signer.header.len() + json.len().div_ceil(3) * 4 + 1 + 86);
        token.push_str(&signer.header);
        URL_SAFE_NO_PAD.encode_string(&json, &mut token);
        let signature = signer.key.sign(token.as_bytes());
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        let mut value = HeaderValue::try_from(token).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

#[cfg(test)]
mod tests;
