//! What came back.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

/// An answer, read to its end.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The headers in their order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body as text.
    pub body: String,
    /// From the first byte sent to the last byte received.
    pub took: Duration,
}

impl Answer {
    /// The first header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The answer itself, if it has that status.
    ///
    /// # Errors
    /// It has another one; the text has the beginning of the body.
    pub fn expect(self, status: u16) -> Result<Self> {
        if self.status == status {
            return Ok(self);
        }
        let body: String = self.body.chars().take(300).collect();
        bail!("status {status} was expected and {} came: {body}", self.status)
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// It is not JSON.
    pub fn json(&self) -> Result<Value> {
        let clipped = || format!("not JSON: {}", self.body.chars().take(200).collect::<String>());
        serde_json::from_str(&self.body).with_context(clipped)
    }

    /// A text field of the body's top level.
    ///
    /// # Errors
    /// The body is not a JSON object with that field.
    pub fn text(&self, field: &str) -> Result<String> {
        let body = self.json()?;
        let text = body.get(field).and_then(Value::as_str);
        text.map(str::to_owned)
            .with_context(|| format!("the answer has no text `{field}`"))
    }

    /// The stable word of a denial (RFC 9457 document).
    pub fn code(&self) -> Option<String> {
        self.text("code").ok()
    }

    /// Where the answer redirects to.
    ///
    /// # Errors
    /// It does not redirect.
    pub fn location(&self) -> Result<&str> {
        match (self.status, self.header("location")) {
            (301 | 302 | 303 | 307 | 308, Some(location)) => Ok(location),
            _ => bail!(
                "a redirect was expected and status {} came: {}",
                self.status,
                self.body.chars().take(300).collect::<String>()
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer {
            status,
            headers: vec![("location".to_owned(), "/next".to_owned())],
            body: body.to_owned(),
            took: Duration::ZERO,
        }
    }

    #[test]
    fn the_wrong_status_is_told_with_the_body() {
        let error = answer(403, r#"{"code":"role_denied"}"#)
            .expect(200)
            .expect_err("403");
        assert_eq!(
            error.to_string(),
            r#"status 200 was expected and 403 came: {"code":"role_denied"}"#
        );
        assert!(answer(200, "").expect(200).is_ok());
    }

    #[test]
    fn only_a_redirect_has_a_location() {
        assert_eq!(answer(302, "").location().expect("redirect"), "/next");
        assert!(answer(200, "").location().is_err());
    }

    #[test]
    fn fields_and_codes_are_read() {
        let answer = answer(403, r#"{"code":"role_denied","n":1}"#);
        assert_eq!(answer.code().as_deref(), Some("role_denied"));
        assert!(answer.text("n").is_err());
        assert_eq!(answer.header("Location"), Some("/next"));
    }
}
