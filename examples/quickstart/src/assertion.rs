//! How a service behind the edge makes sure that a request comes from an edge, was allowed, and is the very request that
//! was allowed. Copy this file: it needs `jsonwebtoken`, `reqwest`, `serde` and a SHA-256, and nothing of Sentinel.
//!
//! The edge has to be told to sign: `assertion: true` at the upstream. What each claim means is in `docs/assertion.md`.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use axum::http::{HeaderMap, HeaderName, Method, Uri, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header, get_current_timestamp};
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// Where the assertion is.
pub const HEADER: &str = "x-sentinel-assertion";

/// The plain headers that are percent-encoded.
const ENCODED: [&str; 3] = ["x-sentinel-email", "x-sentinel-name", "x-sentinel-subject"];
/// The type that tells an assertion from every other JWT.
const TYPE: &str = "sentinel-assertion+jwt";
/// How long an assertion may hold, in seconds.
const LONGEST: u64 = 30;
/// How far the edge's clock may be from this one, in seconds.
const LEEWAY: u64 = 5;
/// How long the edges' keys are used before they are fetched again: after that a revoked edge is not believed any more.
const FRESH: Duration = Duration::from_mins(1);
/// How often they are fetched at most, whatever keys tokens claim to be signed with.
const SELDOM: Duration = Duration::from_secs(10);

/// What an edge has said about a request. Members that are not there are not true of the caller.
#[derive(Debug, Clone, Deserialize)]
pub struct Assertion {
    /// Who is calling: `user:<id>`, `external:<issuer>|<id>`, `service:<name>` or `anonymous`.
    pub sub: String,
    /// The number of the request, which no other one has.
    pub jti: String,
    /// The user's e-mail address.
    pub email: Option<String>,
    /// The user's name.
    pub name: Option<String>,
    /// The workspace that the user acts in.
    pub wid: Option<String>,
    /// That workspace's slug.
    pub wslug: Option<String>,
    /// The user's role there.
    pub wrole: Option<String>,
    /// The calling service.
    pub svc: Option<String>,
    iat: u64,
    exp: u64,
    htm: String,
    host: String,
    path: Option<String>,
    path_sha256: Option<String>,
    query: Option<String>,
    query_sha256: Option<String>,
}

/// Why a request is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused(pub &'static str);

/// Believes edges of one control plane about requests to one service. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Verifier(Arc<Inner>);

struct Inner {
    http: reqwest::Client,
    keys_url: String,
    rules: Validation,
    keys: RwLock<Keys>,
    /// When the keys were asked for; locked while they are fetched.
    asked: Mutex<Option<Instant>>,
}

#[derive(Default)]
struct Keys {
    known: Vec<(String, DecodingKey)>,
    fetched: Option<Instant>,
}

impl Verifier {
    /// `issuer` is the control plane's address, as the edges have it; `audience` is what the edge calls this service under
    /// `upstreams`.
    pub fn new(http: reqwest::Client, issuer: &str, audience: &str) -> Self {
        let mut rules = Validation::new(Algorithm::EdDSA);
        rules.set_issuer(&[issuer]);
        rules.set_audience(&[audience]);
        rules.set_required_spec_claims(&["iss", "aud", "sub", "exp"]);
        rules.leeway = LEEWAY;
        Self(Arc::new(Inner {
            http,
            keys_url: format!(
                "{}/.well-known/sentinel-edges/jwks.json",
                issuer.trim_end_matches('/')
            ),
            rules,
            keys: RwLock::default(),
            asked: Mutex::default(),
        }))
    }

    /// What the edge says about this request.
    ///
    /// # Errors
    /// The request is not to be answered: nothing says that an edge has let it through.
    pub async fn verify(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Result<Assertion, Refused> {
        let token = only(headers, HEADER)?.ok_or(Refused("no assertion of an edge"))?;
        let header = decode_header(token).map_err(|_| Refused("the assertion is not a JWT"))?;
        if header.typ.as_deref() != Some(TYPE) || header.alg != Algorithm::EdDSA {
            return Err(Refused("the token is not an assertion"));
        }
        let kid = header.kid.ok_or(Refused("the assertion names no key"))?;
        let key = self
            .key(&kid)
            .await
            .ok_or(Refused("no enrolled edge has this key"))?;
        let said: Assertion = decode(token, &key, &self.0.rules)
            .map_err(|_| Refused("the assertion's signature, issuer, audience or time is wrong"))?
            .claims;
        if said.iat > get_current_timestamp() + LEEWAY || said.exp.saturating_sub(said.iat) > LONGEST {
            return Err(Refused("the assertion is not of now"));
        }
        let sent_host = only(headers, header::HOST.as_str())?;
        let is_this_request = said.htm == method.as_str()
            && Some(said.host.as_str()) == sent_host
            && is(
                Some(uri.path()),
                said.path.as_deref(),
                said.path_sha256.as_deref(),
            )
            && is(uri.query(), said.query.as_deref(), said.query_sha256.as_deref());
        if !is_this_request {
            return Err(Refused("the assertion is of another request"));
        }
        agrees(&said, headers)?;
        Ok(said)
    }

    /// The key of that name. One that is not known may be new: it is asked for, but not every time.
    async fn key(&self, kid: &str) -> Option<DecodingKey> {
        let (known, fresh) = self.known(kid);
        if known.is_none() {
            self.fetch().await;
            return self.known(kid).0;
        }
        if !fresh {
            // This request need not wait, and where the control plane is away the keys are what they were.
            let again = self.clone();
            tokio::spawn(async move { again.fetch().await });
        }
        known
    }

    fn known(&self, kid: &str) -> (Option<DecodingKey>, bool) {
        let keys = self.0.keys.read().unwrap_or_else(PoisonError::into_inner);
        let key = keys.known.iter().find(|(known, _)| known == kid);
        let fresh = keys.fetched.is_some_and(|at| at.elapsed() < FRESH);
        (key.map(|(_, key)| key.clone()), fresh)
    }

    /// Fetches the keys, unless that was done a moment ago. Whoever comes meanwhile waits for the same answer.
    async fn fetch(&self) {
        let mut asked = self.0.asked.lock().await;
        if asked.is_some_and(|at| at.elapsed() < SELDOM) {
            return;
        }
        *asked = Some(Instant::now());
        if let Some(known) = self.ask().await {
            let fetched = Some(Instant::now());
            *self.0.keys.write().unwrap_or_else(PoisonError::into_inner) = Keys { known, fetched };
        }
    }

    async fn ask(&self) -> Option<Vec<(String, DecodingKey)>> {
        #[derive(Deserialize)]
        struct Document {
            keys: Vec<Jwk>,
        }
        #[derive(Deserialize)]
        struct Jwk {
            kid: String,
            kty: String,
            crv: String,
            x: String,
        }
        let answer = self.0.http.get(&self.0.keys_url).send().await.ok()?;
        let document: Document = answer.error_for_status().ok()?.json().await.ok()?;
        document
            .keys
            .into_iter()
            .filter(|key| key.kty == "OKP" && key.crv == "Ed25519")
            .map(|key| Some((key.kid, DecodingKey::from_ed_components(&key.x).ok()?)))
            .collect()
    }
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Verifier({})", self.keys_url)
    }
}

/// The one header of that name, if it is there.
fn only<'h>(headers: &'h HeaderMap, name: &str) -> Result<Option<&'h str>, Refused> {
    let mut all = headers.get_all(name).iter();
    match (all.next(), all.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value
            .to_str()
            .map(Some)
            .map_err(|_| Refused("a header is not text")),
        _ => Err(Refused("a header is there twice")),
    }
}

/// Whether a part of the target is what was signed: as it is, or by its SHA-256 if it is long.
fn is(part: Option<&str>, plain: Option<&str>, hash: Option<&str>) -> bool {
    match hash {
        None => part == plain,
        Some(hash) => {
            let of = |part: &str| URL_SAFE_NO_PAD.encode(digest(&SHA256, part.as_bytes()));
            plain.is_none() && part.is_some_and(|part| of(part) == hash)
        }
    }
}

/// The plain headers say the same, all of them. A service that reads only the assertion need not look.
fn agrees(said: &Assertion, headers: &HeaderMap) -> Result<(), Refused> {
    let external = said.sub.strip_prefix("external:");
    let (issuer, subject) = external.and_then(|whole| whole.split_once('|')).unzip();
    let all = [
        ("x-request-id", Some(said.jti.as_str())),
        ("x-sentinel-user-id", said.sub.strip_prefix("user:")),
        ("x-sentinel-email", said.email.as_deref()),
        ("x-sentinel-name", said.name.as_deref()),
        ("x-sentinel-workspace-id", said.wid.as_deref()),
        ("x-sentinel-workspace-slug", said.wslug.as_deref()),
        ("x-sentinel-workspace-role", said.wrole.as_deref()),
        ("x-sentinel-issuer", issuer),
        ("x-sentinel-subject", subject),
        ("x-sentinel-service", said.svc.as_deref()),
    ];
    for (name, signed) in all {
        let plain = only(headers, name)?;
        let agrees = match (plain, signed) {
            (Some(plain), Some(signed)) if ENCODED.contains(&name) => decodes_to(plain, signed),
            (plain, signed) => plain == signed,
        };
        if !agrees {
            return Err(Refused("a plain header says something else than the assertion"));
        }
    }
    let is_known = |name: &str| name == HEADER || all.iter().any(|(known, _)| *known == name);
    let mut names = headers.keys().map(HeaderName::as_str);
    if names.any(|name| name.starts_with("x-sentinel-") && !is_known(name)) {
        return Err(Refused("a plain header says what the assertion does not"));
    }
    Ok(())
}

/// Whether `plain` is `text`, percent-encoded.
fn decodes_to(plain: &str, text: &str) -> bool {
    let mut rest = plain.bytes();
    let mut expected = text.bytes();
    while let Some(byte) = rest.next() {
        let decoded = if byte == b'%' {
            let mut digit = || char::from(rest.next()?).to_digit(16);
            let both = digit().zip(digit());
            both.and_then(|(high, low)| u8::try_from(high * 16 + low).ok())
        } else {
            Some(byte)
        };
        if decoded.is_none() || decoded != expected.next() {
            return false;
        }
    }
    expected.next().is_none()
}

#[cfg(test)]
pub(crate) mod tests;
