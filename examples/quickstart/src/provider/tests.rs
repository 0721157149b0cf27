//! The provider's refusals, over real sockets.

use serde_json::Value;

use super::*;
use crate::http::{Answer, Ask, Browser, Http, forms};

const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const CALLBACK: &str = "http://127.0.0.1:1/callback";

struct Bench {
    provider: Provider,
    http: Http,
}

impl Bench {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let client = Client {
            id: "sentinel".to_owned(),
            secret: "demo secret+".to_owned(),
            redirect_uris: vec![CALLBACK.to_owned()],
        };
        Self {
            provider: Provider::serve(listener, client).expect("serve"),
            http: Http::new().expect("client"),
        }
    }

    /// The authorization request, with some parameters replaced or (`""`) left out.
    async fn authorize(&self, changes: &[(&str, &str)]) -> Answer {
        let mut parameters = vec![
            ("client_id", "sentinel"),
            ("redirect_uri", CALLBACK),
            ("response_type", "code"),
            ("scope", "openid email"),
            ("state", "s 1"),
            ("nonce", "n1"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ];
        for (name, value) in changes {
            parameters.retain(|(found, _)| found != name);
            if !value.is_empty() {
                parameters.push((name, value));
            }
        }
        let url = format!("{}/authorize", self.provider.issuer());
        let url = url::Url::parse_with_params(&url, parameters).expect("url");
        self.http.send(&Ask::get(url)).await.expect("answer")
    }

    /// A code for Alice, through the page.
    async fn code(&self) -> String {
        let page = self.authorize(&[]).await.expect(200).expect("page");
        let form = forms(&page.body).remove(0).with("user", "alice");
        let ask = Ask::get(format!("{}/authorize", self.provider.issuer()));
        let browser = Browser::new(self.http.clone());
        let answer = self
            .http
            .send(&browser.submit(&ask, &form).expect("form"))
            .await
            .expect("answer");
        let back = url::Url::parse(answer.location().expect("redirect")).expect("url");
        let parameter = |name: &str| {
            back.query_pairs()
                .find(|(found, _)| found == name)
                .map(|(_, v)| v.into_owned())
        };
        assert_eq!(parameter("state").as_deref(), Some("s 1"));
        assert_eq!(parameter("iss").as_deref(), Some(self.provider.issuer()));
        parameter("code").expect("code")
    }

    async fn exchange(&self, code: &str, changes: &[(&str, &str)]) -> Answer {
        let mut fields: Vec<(String, String)> = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
            ("client_id", "sentinel"),
            ("client_secret", "demo secret+"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec();
        for (name, value) in changes {
            fields.retain(|(found, _)| found != name);
            fields.push(((*name).to_owned(), (*value).to_owned()));
        }
        let ask = Ask::post(format!("{}/token", self.provider.issuer())).form(fields);
        self.http.send(&ask).await.expect("answer")
    }
}

fn claims(id_token: &str) -> Value {
    let payload = id_token.split('.').nth(1).expect("three parts");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).expect("base64url")).expect("json")
}

#[tokio::test]
async fn the_whole_flow_ends_with_an_id_token_that_carries_the_nonce() {
    let bench = Bench::start().await;
    let code = bench.code().await;
    let tokens = bench.exchange(&code, &[]).await.expect(200).expect("tokens");
    let claims = claims(&tokens.text("id_token").expect("id token"));
    assert_eq!(claims["sub"], "alice");
    assert_eq!(claims["nonce"], "n1");
    assert_eq!(claims["aud"], "sentinel");
    assert_eq!(claims["iss"], bench.provider.issuer());
    assert_eq!(claims["email_verified"], true);
    let token = crate::http::Secret::new("token", tokens.text("access_token").expect("token"));
    let ask = Ask::get(format!("{}/userinfo", bench.provider.issuer())).bearer(&token);
    let info = bench
        .http
        .send(&ask)
        .await
        .expect("answer")
        .expect(200)
        .expect("info");
    assert_eq!(info.text("email").expect("email"), "alice@example.com");
}

#[tokio::test]
async fn a_code_is_good_for_one_try_whether_it_succeeds_or_not() {
    let bench = Bench::start().await;
    let code = bench.code().await;
    bench.exchange(&code, &[]).await.expect(200).expect("first");
    bench.exchange(&code, &[]).await.expect(400).expect("second");
    for wrong in [
        ("code_verifier", "a-verifier-that-is-long-enough-but-not-the-one"),
        ("redirect_uri", "http://127.0.0.1:1/other"),
        ("code_verifier", ""),
    ] {
        let code = bench.code().await;
        let answer = bench.exchange(&code, &[wrong]).await.expect(400).expect("wrong");
        assert_eq!(answer.text("error").expect("error"), "invalid_grant");
        bench.exchange(&code, &[]).await.expect(400).expect("burnt");
    }
}

#[tokio::test]
async fn a_client_must_know_its_secret_in_either_place() {
    let bench = Bench::start().await;
    let code = bench.code().await;
    bench
        .exchange(&code, &[("client_secret", "wrong")])
        .await
        .expect(401)
        .expect("wrong secret");
    bench
        .exchange(&code, &[])
        .await
        .expect(200)
        .expect("the code is still good");
    assert_eq!(
        token::basic("Basic c2VudGluZWw6ZGVtbytzZWNyZXQlMkI="),
        Some(("sentinel".to_owned(), "demo secret+".to_owned()))
    );
}

#[tokio::test]
async fn nothing_is_sent_to_an_address_that_is_not_registered() {
    let bench = Bench::start().await;
    for change in [
        ("client_id", "other"),
        ("redirect_uri", "http://127.0.0.1:1/callback/"),
        ("redirect_uri", ""),
    ] {
        bench.authorize(&[change]).await.expect(400).expect("refused");
    }
}

#[tokio::test]
async fn a_request_without_pkce_or_openid_goes_back_with_an_error() {
    let bench = Bench::start().await;
    for (change, error) in [
        (("code_challenge", ""), "invalid_request"),
        (("code_challenge_method", "plain"), "invalid_request"),
        (("scope", "email"), "invalid_scope"),
        (("response_type", "token"), "unsupported_response_type"),
    ] {
        let answer = bench.authorize(&[change]).await;
        let back = answer.location().expect("redirect");
        assert!(
            back.contains(&format!("error={error}")) && back.contains("state=s+1"),
            "{back}"
        );
    }
}

#[tokio::test]
async fn it_listens_on_loopback_only() {
    let listener = TcpListener::bind("0.0.0.0:0").await.expect("bind");
    let client = Client {
        id: "a".to_owned(),
        secret: "b".to_owned(),
        redirect_uris: Vec::new(),
    };
    let error = Provider::serve(listener, client).expect_err("not loopback");
    assert!(error.to_string().contains("loopback only"), "{error}");
}
