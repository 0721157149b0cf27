//! The token endpoint (OpenID Connect Core 1.0, §3.1.3) and the user info endpoint.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use axum::extract::State;
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::{Form, Json};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use sentinel_core::clock::{Clock as _, SystemClock};
use serde::Deserialize;
use serde_json::{Value, json};
use url::form_urlencoded;

use super::people::Person;
use super::{Desk, Grant};

const TOKEN_TTL: Duration = Duration::from_mins(5);

/// What a client sends.
#[derive(Debug, Deserialize)]
pub(super) struct Exchange {
    grant_type: String,
    code: String,
    redirect_uri: String,
    code_verifier: Option<String>,
    client_id: Option<String>,
    client_secret: Option<String>,
}

/// `POST /token`
pub(super) async fn exchange(
    State(desk): State<Arc<Desk>>,
    headers: HeaderMap,
    Form(exchange): Form<Exchange>,
) -> Response {
    if !is_client(&desk, &headers, &exchange) {
        let challenge = [(WWW_AUTHENTICATE, "Basic realm=\"demo provider\"")];
        return (challenge, error(StatusCode::UNAUTHORIZED, "invalid_client")).into_response();
    }
    if exchange.grant_type != "authorization_code" {
        return error(StatusCode::BAD_REQUEST, "unsupported_grant_type");
    }
    // Taken out before anything is checked: a code is good for one try.
    let grant = desk.codes.take(&exchange.code);
    match grant.filter(|grant| fits(grant, &exchange)) {
        None => error(StatusCode::BAD_REQUEST, "invalid_grant"),
        Some(grant) => match tokens(&desk, &grant) {
            Ok(tokens) => ([(CACHE_CONTROL, "no-store")], Json(tokens)).into_response(),
            Err(_) => error(StatusCode::INTERNAL_SERVER_ERROR, "server_error"),
        },
    }
}

/// `GET /userinfo`
pub(super) async fn userinfo(State(desk): State<Arc<Desk>>, headers: HeaderMap) -> Response {
    let token = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "));
    match token.and_then(|token| desk.tokens.look(token)) {
        Some(person) => Json(identity(person)).into_response(),
        None => error(StatusCode::UNAUTHORIZED, "invalid_token"),
    }
}

fn is_client(desk: &Desk, headers: &HeaderMap, exchange: &Exchange) -> bool {
    let (id, secret) = match headers.get(AUTHORIZATION) {
        Some(value) => match value.to_str().ok().and_then(basic) {
            Some(pair) => pair,
            None => return false,
        },
        None => (
            exchange.client_id.clone().unwrap_or_default(),
            exchange.client_secret.clone().unwrap_or_default(),
        ),
    };
    id == desk.client.id && verify_slices_are_equal(secret.as_bytes(), desk.client.secret.as_bytes()).is_ok()
}

/// Name and secret of HTTP Basic, form-encoded inside (RFC 6749 §2.3.1).
pub(super) fn basic(value: &str) -> Option<(String, String)> {
    let pair = STANDARD.decode(value.strip_prefix("Basic ")?).ok()?;
    let pair = String::from_utf8(pair).ok()?;
    let (id, secret) = pair.split_once(':')?;
    let decode = |text: &str| {
        form_urlencoded::parse(text.as_bytes())
            .next()
            .map(|(name, _)| name.into_owned())
    };
    Some((decode(id)?, decode(secret)?))
}

fn fits(grant: &Grant, exchange: &Exchange) -> bool {
    let verifier = exchange.code_verifier.as_deref().unwrap_or_default();
    let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()));
    grant.request.redirect_uri == exchange.redirect_uri && grant.request.code_challenge == challenge
}

fn tokens(desk: &Desk, grant: &Grant) -> Result<Value> {
    let now = SystemClock.now().timestamp();
    let mut claims = identity(grant.person);
    claims["iss"] = json!(desk.issuer);
    claims["aud"] = json!(desk.client.id);
    claims["iat"] = json!(now);
    claims["auth_time"] = json!(now);
    claims["exp"] = json!(now + i64::try_from(TOKEN_TTL.as_secs())?);
    if let Some(nonce) = &grant.request.nonce {
        claims["nonce"] = json!(nonce);
    }
    Ok(json!({
        "access_token": desk.tokens.put(grant.person, TOKEN_TTL),
        "token_type": "Bearer",
        "expires_in": TOKEN_TTL.as_secs(),
        "id_token": desk.key.sign(&claims)?,
    }))
}

fn identity(person: Person) -> Value {
    json!({
        "sub": person.subject,
        "name": person.name,
        "email": person.email,
        "email_verified": true,
    })
}

fn error(status: StatusCode, code: &str) -> Response {
    (
        status,
        [(CACHE_CONTROL, "no-store")],
        Json(json!({"error": code})),
    )
        .into_response()
}
