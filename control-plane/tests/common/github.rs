//! A small GitHub for tests: its pages, its token endpoint and its API, which let in whoever the test has chosen, and can
//! be told to misbehave in one way.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::extract::{Form, Path, Query, State};
use axum::http::header::{CONTENT_TYPE, LOCATION};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use sentinel_identity::{Protocol, ProviderSettings};
use sentinel_token::sha256;
use serde_json::{Value, json};

pub(crate) const CLIENT_ID: &str = "Iv1.sentinel";
pub(crate) const CLIENT_SECRET: &str = "a github secret/with+signs";

/// How it misbehaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Twist {
    #[default]
    None,
    /// The code is refused, with status 200.
    CodeRefused,
    NoToken,
    /// A token that is not for a bearer.
    MacToken,
    /// A token that fits into no header.
    OddToken,
    TokenFails,
    /// What follows is about `GET /user`.
    UserFails,
    UserUnknown,
    UserTwisted,
    Huge,
    /// It never answers.
    Slow,
    Redirect,
    Html,
    /// And this about `GET /user/emails`.
    EmailsForbidden,
    EmailsFail,
    /// Everything has been asked for too often.
    Throttled,
    /// Our own credentials are not known any more.
    ClientUnknown,
}

/// Who signs in next.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) id: u64,
    pub(crate) login: String,
    pub(crate) name: Option<String>,
    /// Address, whether it is the primary one, whether it is verified.
    pub(crate) emails: Vec<(String, bool, bool)>,
}

impl Person {
    /// Somebody with a verified primary address, and one more.
    pub(crate) fn new(id: u64, login: &str, email: &str) -> Self {
        Self {
            id,
            login: login.to_owned(),
            name: None,
            emails: vec![
                (format!("{login}@users.noreply.github.com"), false, true),
                (email.to_owned(), true, true),
            ],
        }
    }

    pub(crate) fn with_emails(mut self, emails: &[(&str, bool, bool)]) -> Self {
        self.emails = emails
            .iter()
            .map(|(email, primary, verified)| ((*email).to_owned(), *primary, *verified))
            .collect();
        self
    }
}

/// A status, and how many requests are left.
type Refusal = (StatusCode, [(&'static str, &'static str); 1]);

const THROTTLED: Refusal = (StatusCode::FORBIDDEN, [("x-ratelimit-remaining", "0")]);

/// A running GitHub.
#[derive(Clone)]
pub(crate) struct GitHub {
    pub(crate) url: String,
    state: Arc<Mutex<Script>>,
}

struct Script {
    person: Person,
    twist: Twist,
    codes: HashMap<String, HashMap<String, String>>,
    /// Whose a token is, and which application's.
    tokens: HashMap<String, (Person, String)>,
    issued: u32,
}

impl GitHub {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("free port");
        let github = Self {
            url: format!("http://{}", listener.local_addr().expect("address")),
            state: Arc::new(Mutex::new(Script {
                person: Person::new(0, "nobody", "nobody@example.com"),
                twist: Twist::None,
                codes: HashMap::new(),
                tokens: HashMap::new(),
                issued: 0,
            })),
        };
        let router = Router::new()
            .route("/login/oauth/authorize", get(authorize))
            .route("/login/oauth/access_token", post(access_token))
            .route("/api/v3/user", get(user))
            .route("/api/v3/user/emails", get(emails))
            .route("/api/v3/applications/{client}/token", post(check))
            .with_state(github.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        github
    }

    pub(crate) fn settings(&self, name: &str) -> ProviderSettings {
        ProviderSettings {
            name: name.to_owned(),
            protocol: Protocol::GitHub {
                url: self.url.clone(),
                api_url: format!("{}/api/v3", self.url),
            },
            client_id: CLIENT_ID.to_owned(),
            client_secret: Some(CLIENT_SECRET.to_owned().into()),
            scopes: ["read:user", "user:email"].map(str::to_owned).to_vec(),
            link_by_verified_email: false,
        }
    }

    pub(crate) fn next(&self, person: Person, twist: Twist) {
        let mut script = self.script();
        script.person = person;
        script.twist = twist;
    }

    /// An access token that somebody gave to an application.
    pub(crate) fn token(&self, person: Person, client_id: &str) -> String {
        self.script().token(person, client_id)
    }

    fn script(&self) -> std::sync::MutexGuard<'_, Script> {
        self.state.lock().expect("lock")
    }
}

impl Script {
    fn token(&mut self, person: Person, client_id: &str) -> String {
        self.issued += 1;
        let token = format!("gho_{}", self.issued);
        self.tokens.insert(token.clone(), (person, client_id.to_owned()));
        token
    }

    /// Whose the token of a request to the API is; the refusal of any other.
    fn asked_by(&self, headers: &HeaderMap) -> Result<Person, Refusal> {
        assert_eq!(headers["accept"], "application/vnd.github+json");
        assert_eq!(headers["x-github-api-version"], "2022-11-28");
        if self.twist == Twist::Throttled {
            return Err(THROTTLED);
        }
        let token = headers["authorization"].to_str().expect("text");
        let token = token.strip_prefix("Bearer ").expect("a bearer");
        match self.tokens.get(token) {
            Some((person, _)) => Ok(person.clone()),
            None => Err((StatusCode::UNAUTHORIZED, [("x-ratelimit-remaining", "7")])),
        }
    }
}

async fn authorize(State(github): State<GitHub>, Query(asked): Query<HashMap<String, String>>) -> Response {
    let get = |name: &str| asked.get(name).cloned().unwrap_or_default();
    assert_eq!(get("client_id"), CLIENT_ID);
    assert_eq!(get("code_challenge_method"), "S256");
    assert_eq!(get("scope"), "read:user user:email");
    assert!(!get("state").is_empty());
    let mut script = github.script();
    script.issued += 1;
    let code = format!("code-{}", script.issued);
    let back = format!("{}?code={code}&state={}", get("redirect_uri"), get("state"));
    script.codes.insert(code, asked);
    (StatusCode::FOUND, [(LOCATION, back)]).into_response()
}

async fn access_token(
    State(github): State<GitHub>,
    headers: HeaderMap,
    Form(form): Form<HashMap<String, String>>,
) -> Response {
    assert_eq!(headers["accept"], "application/json");
    assert_eq!(form["client_id"], CLIENT_ID);
    assert_eq!(form["client_secret"], CLIENT_SECRET);
    let mut script = github.script();
    let asked = script.codes.remove(&form["code"]);
    let Some(asked) = asked.filter(|_| script.twist != Twist::CodeRefused) else {
        let refused =
            json!({ "error": "bad_verification_code", "error_description": "The code is incorrect." });
        return Json(refused).into_response();
    };
    assert_eq!(form["redirect_uri"], asked["redirect_uri"]);
    let challenge = URL_SAFE_NO_PAD.encode(sha256(form["code_verifier"].as_bytes()));
    assert_eq!(challenge, asked["code_challenge"], "PKCE towards GitHub");
    if script.twist == Twist::TokenFails {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    let person = script.person.clone();
    let token = script.token(person, CLIENT_ID);
    Json(match script.twist {
        Twist::NoToken => json!({ "token_type": "bearer", "scope": "" }),
        Twist::MacToken => json!({ "access_token": token, "token_type": "mac" }),
        Twist::OddToken => json!({ "access_token": "a\nb", "token_type": "bearer" }),
        _ => json!({ "access_token": token, "token_type": "bearer", "scope": "read:user,user:email" }),
    })
    .into_response()
}

async fn user(State(github): State<GitHub>, headers: HeaderMap) -> Response {
    let (twist, asked_by) = {
        let script = github.script();
        (script.twist, script.asked_by(&headers))
    };
    let person = match asked_by {
        Ok(person) => person,
        Err(refusal) => return refusal.into_response(),
    };
    let account = json!({
        "id": person.id, "login": person.login, "name": person.name, "email": "public@example.com", "type": "User",
        "avatar_url": format!("https://avatars.example.com/{}", person.id),
    });
    match twist {
        Twist::UserFails => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Twist::UserUnknown => StatusCode::UNAUTHORIZED.into_response(),
        Twist::UserTwisted => Json(json!({ "id": "7", "login": "ann" })).into_response(),
        Twist::Huge => Json(json!({ "id": 7, "login": "a".repeat(2 << 20) })).into_response(),
        Twist::Slow => std::future::pending().await,
        Twist::Redirect => (
            StatusCode::FOUND,
            [(LOCATION, format!("{}/elsewhere", github.url))],
        )
            .into_response(),
        Twist::Html => ([(CONTENT_TYPE, "text/html")], account.to_string()).into_response(),
        _ => Json(account).into_response(),
    }
}

async fn emails(State(github): State<GitHub>, headers: HeaderMap) -> Response {
    let script = github.script();
    let person = match script.asked_by(&headers) {
        Ok(person) => person,
        Err(refusal) => return refusal.into_response(),
    };
    match script.twist {
        Twist::EmailsForbidden => return StatusCode::NOT_FOUND.into_response(),
        Twist::EmailsFail => return StatusCode::BAD_GATEWAY.into_response(),
        _ => {}
    }
    let emails: Vec<Value> = person
        .emails
        .iter()
        .map(|(email, primary, verified)| {
            json!({ "email": email, "primary": primary, "verified": verified, "visibility": null })
        })
        .collect();
    Json(emails).into_response()
}

async fn check(
    State(github): State<GitHub>,
    Path(client): Path<String>,
    headers: HeaderMap,
    Json(asked): Json<Value>,
) -> Response {
    assert_eq!(client, CLIENT_ID);
    let script = github.script();
    match script.twist {
        Twist::ClientUnknown => return StatusCode::UNAUTHORIZED.into_response(),
        Twist::Throttled => {
            return THROTTLED.into_response();
        }
        _ => {}
    }
    let basic = STANDARD.encode(format!("{CLIENT_ID}:{CLIENT_SECRET}"));
    assert_eq!(headers["authorization"], format!("Basic {basic}"));
    let token = asked["access_token"].as_str().expect("a token");
    match script.tokens.get(token) {
        // GitHub itself answers with 404 for the token of another application.
        Some((_, app)) if app == CLIENT_ID || app == "lies" => {
            Json(json!({ "app": { "client_id": app, "name": "Sentinel" }, "expires_at": null }))
                .into_response()
        }
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}
