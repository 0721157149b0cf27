//! A request before it is sent, and how it is shown.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde_json::Value;

/// A credential with the words that stand for it where people read.
#[derive(Clone)]
pub struct Secret {
    shown: String,
    value: String,
}

impl Secret {
    /// A credential that is shown as `<shown>`.
    pub fn new(shown: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            shown: shown.into(),
            value: value.into(),
        }
    }

    /// The credential itself.
    pub fn expose(&self) -> &str {
        &self.value
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}>", self.shown)
    }
}

#[derive(Debug, Clone)]
enum Content {
    Json(Value),
    Form(Vec<(String, String)>),
    Text { kind: String, text: String },
}

#[derive(Debug, Clone)]
struct Header {
    name: String,
    value: String,
    shown: Option<String>,
}

/// A request.
#[derive(Debug, Clone)]
pub struct Ask {
    method: Method,
    url: String,
    headers: Vec<Header>,
    content: Option<Content>,
}

impl Ask {
    /// A request with a method and an address.
    pub fn new(method: Method, url: impl Into<String>) -> Self {
        Self {
            method,
            url: url.into(),
            headers: Vec::new(),
            content: None,
        }
    }

    /// `GET url`.
    pub fn get(url: impl Into<String>) -> Self {
        Self::new(Method::GET, url)
    }

    /// `POST url`.
    pub fn post(url: impl Into<String>) -> Self {
        Self::new(Method::POST, url)
    }

    /// `DELETE url`.
    pub fn delete(url: impl Into<String>) -> Self {
        Self::new(Method::DELETE, url)
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push(Header {
            name: name.to_owned(),
            value: value.to_owned(),
            shown: Some(value.to_owned()),
        });
        self
    }

    /// Adds a user's access token.
    #[must_use]
    pub fn bearer(self, token: &Secret) -> Self {
        let value = format!("Bearer {}", token.value);
        self.secret("Authorization", value, format!("Bearer <{}>", token.shown))
    }

    /// Adds a name and a password (RFC 7617), as an `OAuth` client has them.
    #[must_use]
    pub fn basic(self, name: &str, password: &Secret) -> Self {
        let pair = STANDARD.encode(format!("{name}:{}", password.value));
        self.secret(
            "Authorization",
            format!("Basic {pair}"),
            format!("Basic <{}>", password.shown),
        )
    }

    /// Adds a service key.
    #[must_use]
    pub fn service_key(self, key: &Secret) -> Self {
        self.secret("X-Service-Key", key.value.clone(), format!("<{}>", key.shown))
    }

    /// Adds an administrator's cookie, and the header that shows that no foreign page made the request.
    #[must_use]
    pub fn admin(self, cookie: &Secret) -> Self {
        let value = format!("admin_token={}", cookie.value);
        self.secret("Cookie", value, format!("admin_token=<{}>", cookie.shown))
            .header("X-Requested-With", "quickstart")
    }

    /// Adds a header of a request that was seen before, which is not shown.
    #[must_use]
    pub(crate) fn again(mut self, name: &str, value: &str) -> Self {
        self.headers.push(Header {
            name: name.to_owned(),
            value: value.to_owned(),
            shown: None,
        });
        self
    }

    /// Adds cookies, which are not shown.
    #[must_use]
    pub(crate) fn cookies(self, value: &str) -> Self {
        self.again("Cookie", value)
    }

    /// Sends `body` as JSON.
    #[must_use]
    pub fn json(mut self, body: Value) -> Self {
        self.content = Some(Content::Json(body));
        self
    }

    /// Sends `fields` as a form.
    #[must_use]
    pub fn form(mut self, fields: Vec<(String, String)>) -> Self {
        self.content = Some(Content::Form(fields));
        self
    }

    /// Sends `text` with that `Content-Type`.
    #[must_use]
    pub fn text(mut self, kind: &str, text: &str) -> Self {
        self.content = Some(Content::Text {
            kind: kind.to_owned(),
            text: text.to_owned(),
        });
        self
    }

    /// The method.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The address.
    pub fn url(&self) -> &str {
        &self.url
    }

    fn secret(mut self, name: &str, value: String, shown: String) -> Self {
        self.headers.push(Header {
            name: name.to_owned(),
            value,
            shown: Some(shown),
        });
        self
    }

    pub(crate) fn request(&self, client: &reqwest::Client) -> reqwest::RequestBuilder {
        let mut request = client.request(self.method.clone(), &self.url);
        for header in &self.headers {
            request = request.header(&header.name, &header.value);
        }
        match &self.content {
            Some(Content::Json(body)) => request.json(body),
            Some(Content::Form(fields)) => request.form(fields),
            Some(Content::Text { kind, text }) => request.header(CONTENT_TYPE, kind).body(text.clone()),
            None => request,
        }
    }
}

/// The request on one line, without its secrets.
impl fmt::Display for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Queries of a login carry states and challenges that nobody reads.
        let url: String = match self.url.split_once('?') {
            Some((path, query)) if query.len() > 40 => format!("{path}?…"),
            _ => self.url.clone(),
        };
        write!(f, "{} {url}", self.method)?;
        for header in &self.headers {
            if let Some(shown) = &header.shown {
                write!(f, "  {}: {shown}", header.name)?;
            }
        }
        match &self.content {
            Some(Content::Json(body)) => write!(
                f,
                "  {}",
                masked(body.clone(), &["code", "code_verifier", "refresh_token"])
            ),
            Some(Content::Form(fields)) => {
                let names: Vec<&str> = fields.iter().map(|(name, _)| name.as_str()).collect();
                write!(f, "  form: {}", names.join(", "))
            }
            Some(Content::Text { kind, text }) => write!(f, "  {kind}: {} bytes", text.len()),
            None => Ok(()),
        }
    }
}

/// A body without the values of these fields.
pub(crate) fn masked(mut body: Value, secrets: &[&str]) -> Value {
    if let Value::Object(fields) = &mut body {
        for name in secrets {
            if let Some(value) = fields.get_mut(*name) {
                *value = Value::from("…");
            }
        }
    }
    body
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_and_cookies_are_sent_and_not_shown() {
        let ask = Ask::post("http://127.0.0.1:1/x")
            .bearer(&Secret::new("alice's access token", "eyJ"))
            .service_key(&Secret::new("docs' key", "sk_123"))
            .cookies("session=abc")
            .json(json!({"a": 1, "code": "c0de"}));
        let shown = ask.to_string();
        assert_eq!(
            shown,
            "POST http://127.0.0.1:1/x  Authorization: Bearer <alice's access token>  X-Service-Key: <docs' key>  \
             {\"a\":1,\"code\":\"…\"}"
        );
        let sent: Vec<&str> = ask.headers.iter().map(|header| header.value.as_str()).collect();
        assert_eq!(sent, ["Bearer eyJ", "sk_123", "session=abc"]);
        assert!(!format!("{:?}", Secret::new("shown", "hidden")).contains("hidden"));
        let ask = Ask::get("http://h/").basic("app", &Secret::new("its secret", "x"));
        assert_eq!(
            ask.to_string(),
            "GET http://h/  Authorization: Basic <its secret>"
        );
        assert!(ask.headers.iter().any(|header| header.value == "Basic YXBwOng="));
    }

    #[test]
    fn a_long_query_is_cut_and_a_form_shows_its_names() {
        let query = "x".repeat(50);
        let ask =
            Ask::post(format!("http://h/p?{query}")).form(vec![("user".to_owned(), "alice".to_owned())]);
        assert_eq!(ask.to_string(), "POST http://h/p?…  form: user");
        assert_eq!(Ask::get("http://h/p?q=1").to_string(), "GET http://h/p?q=1");
    }
}
