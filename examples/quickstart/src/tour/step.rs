//! One step of the tour while it is taken.

use std::fmt;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::http::{Answer, Ask, Http, masked};
use crate::system::System;

/// A step has failed, and that was reported where it happened.
#[derive(Debug)]
pub struct Failed(pub String);

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failed {}

/// One step: asks, and prints what was asked and answered.
#[derive(Debug)]
pub struct Step<'a> {
    /// The client, for what is not printed.
    pub http: &'a Http,
    /// The system that is toured.
    pub system: &'a System,
    printed: bool,
}

impl<'a> Step<'a> {
    pub(super) fn new(http: &'a Http, system: &'a System, printed: bool) -> Self {
        Self {
            http,
            system,
            printed,
        }
    }

    /// Asks, prints both sides, and expects the status.
    ///
    /// # Errors
    /// No answer came, or one with another status.
    pub async fn ask(&self, ask: Ask, status: u16) -> Result<Answer> {
        let answer = self.http.send(&ask).await?;
        self.show(&ask, &answer);
        answer.expect(status)
    }

    /// Prints a request and its answer.
    pub fn show(&self, ask: &Ask, answer: &Answer) {
        self.show_text(&ask.to_string(), answer);
    }

    /// Prints a request, as it was written, and its answer.
    pub fn show_text(&self, request: &str, answer: &Answer) {
        if !self.printed {
            return;
        }
        println!("    > {request}");
        println!("    < {}  in {}", summary(answer), millis(answer.took));
    }

    /// Prints a remark.
    pub fn note(&self, text: impl fmt::Display) {
        if self.printed {
            println!("    = {text}");
        }
    }

    /// Does something in which nothing may reach the upstream.
    ///
    /// # Errors
    /// Something reached it.
    pub async fn unseen<T>(&self, act: impl AsyncFnOnce() -> Result<T>) -> Result<T> {
        let before = self.system.upstream.count();
        let value = act().await?;
        let arrived = self.system.upstream.count() - before;
        if arrived != 0 {
            bail!("{arrived} requests reached the upstream although none may");
        }
        self.note("nothing reached the upstream");
        Ok(value)
    }
}

/// Milliseconds with as many digits as make sense.
pub(super) fn millis(time: Duration) -> String {
    let millis = time.as_secs_f64() * 1_000.0;
    if millis < 100.0 {
        format!("{millis:.1} ms")
    } else {
        format!("{millis:.0} ms")
    }
}

fn summary(answer: &Answer) -> String {
    let mut parts = vec![answer.status.to_string()];
    for name in [
        "location",
        "www-authenticate",
        "retry-after",
        "x-sentinel-revision",
    ] {
        if let Some(value) = answer.header(name) {
            let value = value.split_once('?').map_or(value, |(path, _)| path);
            parts.push(format!("{name}: {value}"));
        }
    }
    let kind = answer.header("content-type").unwrap_or_default();
    if kind.starts_with("application/problem+json")
        && let (Some(code), Ok(title)) = (answer.code(), answer.text("title"))
    {
        parts.push(format!("problem {code}: {title}"));
    } else if kind.contains("json")
        && let Ok(body) = answer.json()
    {
        let body = masked(body, &["access_token", "refresh_token", "api_key"]).to_string();
        let clipped: String = body.chars().take(160).collect();
        parts.push(format!(
            "{clipped}{}",
            if clipped.len() < body.len() { "…" } else { "" }
        ));
    } else if !answer.body.is_empty() {
        parts.push(format!("({} bytes)", answer.body.len()));
    }
    parts.join("  ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_has_what_matters_and_no_secret() {
        let answer = Answer {
            status: 200,
            headers: vec![
                ("content-type".to_owned(), "application/json".to_owned()),
                ("x-sentinel-revision".to_owned(), "7.42".to_owned()),
                ("location".to_owned(), "http://h/cb?code=secret".to_owned()),
            ],
            body: r#"{"access_token":"eyJ","expires_in":900}"#.to_owned(),
            took: Duration::ZERO,
        };
        assert_eq!(
            summary(&answer),
            r#"200  location: http://h/cb  x-sentinel-revision: 7.42  {"access_token":"…","expires_in":900}"#
        );
    }

    #[test]
    fn a_problem_is_summed_up_by_its_code() {
        let answer = Answer {
            status: 403,
            headers: vec![("content-type".to_owned(), "application/problem+json".to_owned())],
            body: r#"{"code":"role_denied","title":"Access is denied","status":403}"#.to_owned(),
            took: Duration::ZERO,
        };
        assert_eq!(summary(&answer), "403  problem role_denied: Access is denied");
    }

    #[test]
    fn times_are_readable() {
        assert_eq!(millis(Duration::from_micros(1_234)), "1.2 ms");
        assert_eq!(millis(Duration::from_millis(3_049)), "3049 ms");
    }
}
