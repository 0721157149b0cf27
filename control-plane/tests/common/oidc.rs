//! A small OpenID provider for tests: approves whoever the test has chosen, and can be told to misbehave in one way.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use axum::extract::{Form, Query, State};
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use sentinel_core::{Clock, ManualClock};
use sentinel_identity::{Protocol, ProviderSettings};
use sentinel_token::sha256;
use serde_json::{Value, json};

pub(crate) const CLIENT_ID: &str = "sentinel";
pub(crate) const CLIENT_SECRET: &str = "a secret/with+signs";

/// How the provider misbehaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Twist {
    #[default]
    None,
    WrongIssuer,
    WrongAudience,
    WrongNonce,
    NoNonce,
    AlgNone,
    HmacByPublicKey,
    UnknownKid,
    ForeignSignature,
    Expired,
    /// The token names another client as the one it was given to.
    WrongAuthorizedParty,
    /// The token is from the future.
    IssuedLater,
    /// The sign-in is.
    SignedInLater,
    NoIdToken,
    WrongIssParameter,
    NoIssParameter,
    /// The e-mail address is only told at the user-info endpoint.
    UserInfo,
    /// The same, and about somebody else.
    UserInfoOfAnother,
    Huge,
    Redirect,
}

/// A document that the provider serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Document {
    Discovery,
    Keys,
    Tokens,
}

/// What is wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    Huge,
    /// It does not end.
    Slow,
    /// It is somewhere else, so it says.
    Redirect,
    Garbage,
    Error,
}

impl Flaw {
    pub(crate) const ALL: [Self; 5] = [Self::Huge, Self::Slow, Self::Redirect, Self::Garbage, Self::Error];

    async fn answer(self) -> Response {
        match self {
            Self::Huge => Json(json!({ "issuer": "a".repeat(2 << 20) })).into_response(),
            Self::Slow => std::future::pending().await,
            Self::Redirect => (StatusCode::TEMPORARY_REDIRECT, [(LOCATION, "/elsewhere")]).into_response(),
            Self::Garbage => Json(json!({ "issuer": 7, "keys": {}, "id_token": [] })).into_response(),
            Self::Error => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        }
    }
}

/// Who signs in next.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) sub: String,
    pub(crate) claims: Value,
}

impl Person {
    /// Somebody with a verified address.
    pub(crate) fn new(sub: &str, email: &str) -> Self {
        Self {
            sub: sub.to_owned(),
            claims: json!({ "email": email, "email_verified": true, "name": format!("Name of {sub}") }),
        }
    }

    /// The same with one claim changed.
    pub(crate) fn with(mut self, claim: &str, value: Value) -> Self {
        self.claims[claim] = value;
        self
    }
}

/// A running provider.
#[derive(Clone)]
pub(crate) struct Provider {
    pub(crate) issuer: String,
    state: Arc<Mutex<Script>>,
    clock: Arc<ManualClock>,
}

struct Script {
    person: Person,
    twist: Twist,
    flaw: Option<(Document, Flaw)>,
    /// How often somebody came who followed a redirect.
    strayed: u32,
    codes: HashMap<String, HashMap<String, String>>,
    issued: u32,
}

impl Provider {
    pub(crate) async fn start(clock: Arc<ManualClock>) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("free port");
        let issuer = format!("http://{}", listener.local_addr().expect("address"));
        let script = Script {
            person: Person::new("nobody", "nobody@example.com"),
            twist: Twist::None,
            flaw: None,
            strayed: 0,
            codes: HashMap::new(),
            issued: 0,
        };
        let provider = Self {
            issuer,
            state: Arc::new(Mutex::new(script)),
            clock,
        };
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/jwks", get(jwks))
            .route("/authorize", get(authorize))
            .route("/token", post(token))
            .route("/userinfo", get(userinfo))
            .route("/elsewhere", get(elsewhere).post(elsewhere))
            .with_state(provider.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        provider
    }

    pub(crate) fn settings(&self, name: &str) -> ProviderSettings {
        ProviderSettings {
            name: name.to_owned(),
            protocol: Protocol::Oidc {
                issuer: self.issuer.clone(),
            },
            client_id: CLIENT_ID.to_owned(),
            client_secret: Some(CLIENT_SECRET.to_owned().into()),
            scopes: ["openid", "email", "profile"].map(str::to_owned).to_vec(),
            link_by_verified_email: false,
        }
    }

    /// The same as one tenant of Microsoft Entra ID.
    pub(crate) fn entra(&self, name: &str, tenant: &str) -> ProviderSettings {
        ProviderSettings {
            protocol: Protocol::Entra {
                tenant: tenant.parse().expect("a GUID"),
                issuer: self.issuer.clone(),
            },
            ..self.settings(name)
        }
    }

    pub(crate) fn next(&self, person: Person, twist: Twist) {
        let mut script = self.state.lock().expect("lock");
        script.person = person;
        script.twist = twist;
    }

    /// An ID token of somebody, as an application gets it by itself.
    pub(crate) fn id_token(&self, person: &Person, twist: Twist, nonce: &str) -> String {
        id_token(self, person, twist, nonce)
    }

    /// From now on there is something wrong with a document.
    pub(crate) fn spoil(&self, document: Document, flaw: Flaw) {
        self.state.lock().expect("lock").flaw = Some((document, flaw));
    }

    /// How often somebody followed a redirect.
    pub(crate) fn strayed(&self) -> u32 {
        self.state.lock().expect("lock").strayed
    }

    fn flaw_of(&self, document: Document) -> Option<Flaw> {
        let flaw = self.state.lock().expect("lock").flaw;
        flaw.filter(|(spoilt, _)| *spoilt == document)
            .map(|(_, flaw)| flaw)
    }

    fn twist(&self) -> Twist {
        self.state.lock().expect("lock").twist
    }
}

async fn elsewhere(State(provider): State<Provider>) -> StatusCode {
    provider.state.lock().expect("lock").strayed += 1;
    StatusCode::NOT_FOUND
}

async fn discovery(State(provider): State<Provider>) -> Response {
    if let Some(flaw) = provider.flaw_of(Document::Discovery) {
        return flaw.answer().await;
    }
    let issuer = &provider.issuer;
    Json(json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "userinfo_endpoint": format!("{issuer}/userinfo"),
        "jwks_uri": format!("{issuer}/jwks"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        // What it claims to support does not make us accept it.
        "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"],
        "authorization_response_iss_parameter_supported": true,
    }))
    .into_response()
}

async fn jwks(State(provider): State<Provider>) -> Response {
    if let Some(flaw) = provider.flaw_of(Document::Keys) {
        return flaw.answer().await;
    }
    Json(json!({ "keys": [jwk(key(), "k1")] })).into_response()
}

async fn authorize(
    State(provider): State<Provider>,
    Query(asked): Query<HashMap<String, String>>,
) -> Response {
    let get = |name: &str| asked.get(name).cloned().unwrap_or_default();
    assert_eq!(get("client_id"), CLIENT_ID);
    assert_eq!(get("response_type"), "code");
    assert_eq!(get("code_challenge_method"), "S256");
    assert!(get("scope").split(' ').any(|scope| scope == "openid"));
    assert!(!get("nonce").is_empty() && !get("state").is_empty());
    let mut script = provider.state.lock().expect("lock");
    script.issued += 1;
    let code = format!("code-{}", script.issued);
    let iss = match script.twist {
        Twist::WrongIssParameter => "&iss=https://evil.example".to_owned(),
        Twist::NoIssParameter => String::new(),
        _ => format!("&iss={}", provider.issuer),
    };
    let back = format!("{}?code={code}&state={}{iss}", get("redirect_uri"), get("state"));
    script.codes.insert(code, asked);
    (StatusCode::FOUND, [(LOCATION, back)]).into_response()
}

async fn token(
    State(provider): State<Provider>,
    headers: HeaderMap,
    Form(form): Form<HashMap<String, String>>,
) -> Response {
    if let Some(flaw) = provider.flaw_of(Document::Tokens) {
        return flaw.answer().await;
    }
    let mut script = provider.state.lock().expect("lock");
    let twist = script.twist;
    let Some(asked) = form.get("code").and_then(|code| script.codes.remove(code)) else {
        return (StatusCode::BAD_REQUEST, Json(json!({ "error": "invalid_grant" }))).into_response();
    };
    // RFC 6749 §2.3.1: both halves are form-encoded first.
    let basic = STANDARD.encode(format!("{CLIENT_ID}:a+secret%2Fwith%2Bsigns"));
    assert_eq!(headers["authorization"], format!("Basic {basic}"));
    assert_eq!(form["redirect_uri"], asked["redirect_uri"]);
    let challenge = URL_SAFE_NO_PAD.encode(sha256(form["code_verifier"].as_bytes()));
    assert_eq!(challenge, asked["code_challenge"], "PKCE towards the provider");
    match twist {
        Twist::Redirect => {
            return (StatusCode::FOUND, [(LOCATION, "http://127.0.0.1:1/")]).into_response();
        }
        Twist::Huge => return Json(json!({ "access_token": "a".repeat(2 << 20) })).into_response(),
        _ => {}
    }
    let mut answer = json!({ "access_token": "at", "token_type": "Bearer", "expires_in": 60 });
    if twist != Twist::NoIdToken {
        answer["id_token"] = id_token(&provider, &script.person, twist, &asked["nonce"]).into();
    }
    Json(answer).into_response()
}

async fn userinfo(State(provider): State<Provider>) -> Json<Value> {
    let mut info = provider.state.lock().expect("lock").person.claims.clone();
    let sub = provider.state.lock().expect("lock").person.sub.clone();
    info["sub"] = match provider.twist() {
        Twist::UserInfoOfAnother => "somebody else".into(),
        _ => sub.into(),
    };
    Json(info)
}

fn id_token(provider: &Provider, person: &Person, twist: Twist, nonce: &str) -> String {
    let now = provider.clock.now().timestamp();
    let mut claims = json!({
        "iss": provider.issuer, "aud": CLIENT_ID, "azp": CLIENT_ID, "sub": person.sub, "iat": now, "exp": now + 300,
        "auth_time": now - 7, "amr": ["pwd", "otp"], "nonce": nonce,
    });
    if !matches!(twist, Twist::UserInfo | Twist::UserInfoOfAnother) {
        for (name, value) in person.claims.as_object().expect("object") {
            claims[name] = value.clone();
        }
    }
    match twist {
        Twist::WrongIssuer => claims["iss"] = "https://evil.example".into(),
        Twist::WrongAudience => claims["aud"] = "another client".into(),
        Twist::WrongNonce => claims["nonce"] = "another".into(),
        Twist::NoNonce => {
            claims.as_object_mut().expect("object").remove("nonce");
        }
        Twist::Expired => claims["exp"] = (now - 1).into(),
        Twist::WrongAuthorizedParty => claims["azp"] = "another".into(),
        Twist::IssuedLater => claims["iat"] = (now + 301).into(),
        Twist::SignedInLater => claims["auth_time"] = (now + 301).into(),
        _ => {}
    }
    let (alg, kid) = match twist {
        Twist::AlgNone => ("none", "k1"),
        Twist::HmacByPublicKey => ("HS256", "k1"),
        Twist::UnknownKid => ("RS256", "k2"),
        _ => ("RS256", "k1"),
    };
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!(
        "{}.{}",
        part(&json!({ "alg": alg, "kid": kid, "typ": "JWT" })),
        part(&claims)
    );
    let signature = match twist {
        Twist::AlgNone => String::new(),
        Twist::HmacByPublicKey => hmac(&message),
        Twist::UnknownKid | Twist::ForeignSignature => sign(foreign_key(), &message),
        _ => sign(key(), &message),
    };
    format!("{message}.{signature}")
}

/// Signed with what everybody knows or the client secret, as if it were a shared key.
fn hmac(message: &str) -> String {
    use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
    URL_SAFE_NO_PAD.encode(sign(
        &Key::new(HMAC_SHA256, CLIENT_SECRET.as_bytes()),
        message.as_bytes(),
    ))
}

fn sign(key: &KeyPair, message: &str) -> String {
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(
        &RSA_PKCS1_SHA256,
        &SystemRandom::new(),
        message.as_bytes(),
        &mut signature,
    )
    .expect("signature");
    URL_SAFE_NO_PAD.encode(signature)
}

fn jwk(key: &KeyPair, kid: &str) -> Value {
    let public = key.public_key();
    json!({
        "kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid,
        "n": URL_SAFE_NO_PAD.encode(public.modulus().big_endian_without_leading_zero()),
        "e": URL_SAFE_NO_PAD.encode(public.exponent().big_endian_without_leading_zero()),
    })
}

fn key() -> &'static KeyPair {
    static KEY: OnceLock<KeyPair> = OnceLock::new();
    KEY.get_or_init(|| KeyPair::generate(KeySize::Rsa2048).expect("key"))
}

fn foreign_key() -> &'static KeyPair {
    static KEY: OnceLock<KeyPair> = OnceLock::new();
    KEY.get_or_init(|| KeyPair::generate(KeySize::Rsa2048).expect("key"))
}
