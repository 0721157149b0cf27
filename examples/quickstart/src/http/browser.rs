//! One person's browser, as far as a login needs one: cookies for each origin, redirects one at a time, forms.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use url::Url;

use super::form::Form;
use super::{Answer, Ask, Http};

/// A cookie jar with a client. Cookies are kept for scheme, host and port; their paths are not looked at.
#[derive(Debug, Clone)]
pub struct Browser {
    http: Http,
    cookies: BTreeMap<String, BTreeMap<String, String>>,
}

impl Browser {
    /// A browser without any cookie.
    pub fn new(http: Http) -> Self {
        Self {
            http,
            cookies: BTreeMap::new(),
        }
    }

    /// Sends a request with the cookies of its origin, and keeps those that the answer sets.
    ///
    /// # Errors
    /// As [`Http::send`].
    pub async fn send(&mut self, ask: Ask) -> Result<(Ask, Answer)> {
        let origin = origin(ask.url())?;
        let mut ask = ask;
        if let Some(cookies) = self.cookies.get(&origin).filter(|cookies| !cookies.is_empty()) {
            let pairs: Vec<String> = cookies
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            ask = ask.cookies(&pairs.join("; "));
        }
        let answer = self.http.send(&ask).await?;
        let jar = self.cookies.entry(origin).or_default();
        for (name, value) in &answer.headers {
            if name == "set-cookie" {
                keep(jar, value);
            }
        }
        Ok((ask, answer))
    }

    /// The request that follows a redirect.
    ///
    /// # Errors
    /// The answer does not redirect.
    pub fn follow(&self, ask: &Ask, answer: &Answer) -> Result<Ask> {
        Ok(Ask::get(absolute(ask.url(), answer.location()?)?))
    }

    /// The request that submits `form`, found on the page that answered `ask`.
    ///
    /// # Errors
    /// The form's address makes no sense.
    pub fn submit(&self, ask: &Ask, form: &Form) -> Result<Ask> {
        Ok(Ask::post(absolute(ask.url(), &form.action)?).form(form.fields.clone()))
    }

    /// A cookie of an origin such as `http://127.0.0.1:9003`.
    pub fn cookie(&self, origin: &str, name: &str) -> Option<&str> {
        self.cookies.get(origin)?.get(name).map(String::as_str)
    }
}

fn origin(url: &str) -> Result<String> {
    let url = Url::parse(url).with_context(|| format!("`{url}` is not an address"))?;
    Ok(url.origin().ascii_serialization())
}

fn absolute(base: &str, reference: &str) -> Result<String> {
    let url = Url::parse(base).and_then(|base| base.join(reference));
    url.map(String::from)
        .with_context(|| format!("`{reference}` is not an address"))
}

fn keep(jar: &mut BTreeMap<String, String>, set_cookie: &str) {
    let mut parts = set_cookie.split(';').map(str::trim);
    let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else {
        return;
    };
    let gone = parts.any(|attribute| {
        let attribute = attribute.to_ascii_lowercase();
        attribute == "max-age=0" || (attribute.starts_with("expires=") && attribute.contains("1970"))
    });
    if gone {
        jar.remove(name);
    } else {
        jar.insert(name.to_owned(), value.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_kept_replaced_and_removed() {
        let mut jar = BTreeMap::new();
        keep(&mut jar, "session=one; HttpOnly; Path=/");
        keep(&mut jar, "session=two; Max-Age=600");
        keep(&mut jar, "other=x");
        assert_eq!(jar.get("session").map(String::as_str), Some("two"));
        keep(&mut jar, "session=null; expires=Thu, 01 Jan 1970 00:00:00 GMT");
        keep(&mut jar, "other=; Max-Age=0");
        assert!(jar.is_empty());
    }

    #[test]
    fn origins_have_their_port() {
        assert_eq!(
            origin("http://127.0.0.1:9003/a?b").expect("origin"),
            "http://127.0.0.1:9003"
        );
        assert!(origin("/a").is_err());
    }

    #[test]
    fn references_are_resolved() {
        assert_eq!(absolute("http://h:1/a/b", "/c").expect("path"), "http://h:1/c");
        assert_eq!(
            absolute("http://h:1/a/b", "http://i/").expect("whole"),
            "http://i/"
        );
    }
}
