//! The people with their tokens, and how they get them: the login as a browser goes through it.

use anyhow::{Context as _, Result, bail};
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sentinel_core::random::{SystemRandom, secret_bytes};
use url::Url;

use crate::http::{Answer, Ask, Browser, Form, Http, Secret, forms};
use crate::provider::people::Person;

/// Redirects and pages of a login, at most.
const LONGEST_LOGIN: usize = 20;

/// A signed-in person.
#[derive(Debug, Clone)]
pub struct Session {
    /// Who.
    pub person: Person,
    /// The person's id in Sentinel.
    pub user: String,
    /// The access token.
    pub access: Secret,
    /// The refresh token.
    pub refresh: Secret,
}

/// Where a login begins and where its code goes.
#[derive(Debug, Clone)]
pub struct Door {
    /// The control plane.
    pub control_plane: String,
    /// The name of the provider there.
    pub provider: String,
    /// The client app's id.
    pub client_app: String,
    /// The client app's redirect URI.
    pub redirect_uri: String,
}

/// A login that has come back with a code, and the proof that goes with it.
#[derive(Debug, Clone)]
pub struct Arrived {
    /// The code.
    pub code: String,
    /// The PKCE verifier.
    pub verifier: String,
    /// Everything that was asked and answered on the way.
    pub exchanges: Vec<(Ask, Answer)>,
}

/// Goes through a login: follows redirects and fills in forms until the browser is sent to an address that begins with
/// `end`. Returns that address and all that happened.
///
/// # Errors
/// The login ends anywhere else.
pub async fn walk(
    browser: &mut Browser,
    start: Ask,
    end: &str,
    fill: impl Fn(Form) -> Form,
) -> Result<(Url, Vec<(Ask, Answer)>)> {
    let mut exchanges = Vec::new();
    let mut ask = start;
    for _ in 0..LONGEST_LOGIN {
        let (sent, answer) = browser.send(ask).await?;
        ask = if answer.status == 200 {
            let form = forms(&answer.body).into_iter().next().with_context(|| {
                format!("the login ended on a page without a form: {}", clip(&answer.body))
            })?;
            browser.submit(&sent, &fill(form))?
        } else {
            let next = browser
                .follow(&sent, &answer)
                .with_context(|| format!("the login ended at {} {}", sent.method(), sent.url()))?;
            if next.url().starts_with(end) {
                exchanges.push((sent, answer));
                return Ok((Url::parse(next.url())?, exchanges));
            }
            next
        };
        exchanges.push((sent, answer));
    }
    bail!("the login did not end within {LONGEST_LOGIN} steps")
}

/// Signs somebody in at the door, up to the code.
///
/// # Errors
/// As [`walk`]; or the state that came back is not the one that was sent.
pub async fn arrive(http: &Http, door: &Door, fill: impl Fn(Form) -> Form) -> Result<Arrived> {
    let (verifier, state) = (random_text(), random_text());
    let start = login_request(door, &verifier, &state)?;
    let mut browser = Browser::new(http.clone());
    let (back, exchanges) = walk(&mut browser, start, &door.redirect_uri, fill).await?;
    let parameter = |name: &str| {
        back.query_pairs()
            .find(|(found, _)| found == name)
            .map(|(_, value)| value.into_owned())
    };
    if parameter("state").as_deref() != Some(&state) {
        bail!("the login came back with another state than it was sent with");
    }
    Ok(Arrived {
        code: parameter("code").context("the login came back without a code")?,
        verifier,
        exchanges,
    })
}

/// The request that begins a login.
///
/// # Errors
/// The control plane's address makes no sense.
pub fn login_request(door: &Door, verifier: &str, state: &str) -> Result<Ask> {
    let challenge = challenge_of(verifier);
    let url = Url::parse_with_params(
        &format!("{}/auth/login/{}", door.control_plane, door.provider),
        [
            ("client_id", door.client_app.as_str()),
            ("redirect_uri", &door.redirect_uri),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
            ("state", state),
        ],
    )?;
    Ok(Ask::get(url))
}

/// The PKCE challenge (method `S256`) of a verifier.
pub fn challenge_of(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()))
}

/// Signs an administrator in, up to the cookie.
///
/// # Errors
/// As [`walk`]; or no cookie was set.
pub async fn admin_login(
    http: &Http,
    control_plane: &str,
    provider: &str,
    fill: impl Fn(Form) -> Form,
) -> Result<(Secret, Vec<(Ask, Answer)>)> {
    let mut browser = Browser::new(http.clone());
    let start = Ask::get(format!("{control_plane}/auth/admin/login/{provider}"));
    let panel = format!("{control_plane}/admin");
    let (_, exchanges) = walk(&mut browser, start, &panel, fill).await?;
    let cookie = browser
        .cookie(control_plane, "admin_token")
        .context("the admin login set no cookie: is this e-mail address an administrator's?")?;
    Ok((Secret::new("the admin cookie", cookie), exchanges))
}

/// A click on somebody's button on the demo provider's page.
pub fn click(person: Person) -> impl Fn(Form) -> Form {
    move |form| form.with("user", person.subject)
}

/// 256 unguessable bits as 43 characters.
pub fn random_text() -> String {
    URL_SAFE_NO_PAD.encode(secret_bytes(&SystemRandom))
}

/// 256 unguessable bits as 64 hexadecimal digits.
pub fn random_hex() -> String {
    secret_bytes(&SystemRandom)
        .iter()
        .fold(String::new(), |mut text, byte| {
            use std::fmt::Write as _;
            let _ = write!(text, "{byte:02x}");
            text
        })
}

fn clip(text: &str) -> String {
    text.chars().take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_login_request_has_the_challenge_and_never_the_verifier() {
        let door = Door {
            control_plane: "http://h:1".to_owned(),
            provider: "demo".to_owned(),
            client_app: "c1".to_owned(),
            redirect_uri: "http://h:2/signed-in".to_owned(),
        };
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        let ask = login_request(&door, verifier, "s1").expect("request");
        assert!(
            ask.url()
                .contains("code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM")
        );
        assert!(!ask.url().contains(verifier));
        assert!(
            ask.url()
                .starts_with("http://h:1/auth/login/demo?client_id=c1&redirect_uri=http%3A%2F%2Fh%3A2")
        );
    }

    #[test]
    fn random_texts_have_their_length_and_differ() {
        assert_eq!((random_text().len(), random_hex().len()), (43, 64));
        assert_ne!(random_text(), random_text());
    }
}
