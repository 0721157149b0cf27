//! The authorization endpoint (OpenID Connect Core 1.0, §3.1.2): checks the request, shows one button a person, and
//! sends the browser back with a code.

use std::sync::Arc;

use axum::Form;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use serde::Deserialize;
use url::Url;

use super::{CODE_TTL, Desk, Grant, PAGE_TTL, WARNING, people};

/// The parameters as they come. All are optional here, so that each one that is missing gets the protocol's own error.
#[derive(Debug, Deserialize)]
pub(super) struct Parameters {
    client_id: Option<String>,
    redirect_uri: Option<String>,
    response_type: Option<String>,
    scope: Option<String>,
    state: Option<String>,
    nonce: Option<String>,
    code_challenge: Option<String>,
    code_challenge_method: Option<String>,
}

/// A request that may be answered with a code.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) redirect_uri: String,
    pub(super) state: Option<String>,
    pub(super) nonce: Option<String>,
    pub(super) code_challenge: String,
}

/// What the page's form sends.
#[derive(Debug, Deserialize)]
pub(super) struct Choice {
    request: String,
    user: String,
}

/// `GET /authorize`
pub(super) async fn page(State(desk): State<Arc<Desk>>, Query(parameters): Query<Parameters>) -> Response {
    // Until client and redirect URI are known to belong together nothing may be sent there (RFC 6749 §4.1.2.1).
    if parameters.client_id.as_deref() != Some(&desk.client.id) {
        return refused("this client is not registered");
    }
    let redirect_uri = parameters.redirect_uri.clone().unwrap_or_default();
    if !desk.client.redirect_uris.contains(&redirect_uri) {
        return refused("this redirect URI is not registered for the client");
    }
    match accept(parameters, redirect_uri.clone()) {
        Ok(request) => Html(render(&desk.pages.put(request, PAGE_TTL))).into_response(),
        Err((error, state)) => back(&desk, &redirect_uri, &[("error", error)], state.as_deref()),
    }
}

/// `POST /authorize`: somebody clicked.
pub(super) async fn choose(State(desk): State<Arc<Desk>>, Form(choice): Form<Choice>) -> Response {
    let Some(person) = people::find(&choice.user) else {
        return refused("nobody has that name here");
    };
    let Some(request) = desk.pages.take(&choice.request) else {
        return refused("this page is too old, please begin again");
    };
    let (redirect_uri, state) = (request.redirect_uri.clone(), request.state.clone());
    let code = desk.codes.put(Grant { request, person }, CODE_TTL);
    back(&desk, &redirect_uri, &[("code", &code)], state.as_deref())
}

fn accept(parameters: Parameters, redirect_uri: String) -> Result<Request, (&'static str, Option<String>)> {
    let Parameters { state, nonce, .. } = parameters;
    let scopes = parameters.scope.unwrap_or_default();
    let error = if parameters.response_type.as_deref() != Some("code") {
        "unsupported_response_type"
    } else if !scopes.split(' ').any(|scope| scope == "openid") {
        "invalid_scope"
    } else if parameters.code_challenge_method.as_deref() != Some("S256") {
        "invalid_request"
    } else {
        match parameters.code_challenge {
            Some(code_challenge) if code_challenge.len() == 43 => {
                return Ok(Request {
                    redirect_uri,
                    state,
                    nonce,
                    code_challenge,
                });
            }
            _ => "invalid_request",
        }
    };
    Err((error, state))
}

/// Sends the browser back to the client, with the issuer beside the answer (RFC 9207).
fn back(desk: &Desk, redirect_uri: &str, answer: &[(&str, &str)], state: Option<&str>) -> Response {
    let Ok(mut url) = Url::parse(redirect_uri) else {
        return refused("this redirect URI is not an address");
    };
    url.query_pairs_mut()
        .extend_pairs(answer)
        .extend_pairs(state.map(|state| ("state", state)))
        .append_pair("iss", &desk.issuer);
    Redirect::to(url.as_str()).into_response()
}

fn refused(why: &str) -> Response {
    (
        StatusCode::BAD_REQUEST,
        Html(format!("<h1>{why}</h1><p>{WARNING}</p>")),
    )
        .into_response()
}

fn render(request: &str) -> String {
    // Only constants and a base64url ticket go into the page: there is nothing to escape.
    let button = |person: &people::Person| {
        let people::Person {
            subject, name, part, ..
        } = person;
        format!("<p><button name=\"user\" value=\"{subject}\">{name}</button> {part}</p>\n")
    };
    let buttons = people::PEOPLE.iter().map(button).collect::<Vec<_>>().concat();
    format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>Demo sign-in</title>\n\
         <h1>Who are you?</h1>\n<p><strong>{WARNING}.</strong></p>\n\
         <form method=\"post\" action=\"/authorize\">\n\
         <input type=\"hidden\" name=\"request\" value=\"{request}\">\n{buttons}</form></html>\n"
    )
}
