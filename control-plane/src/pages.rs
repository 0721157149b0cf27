//! The few pages that people see: errors of a login, since a browser is at the other end of those requests.
//!
//! Everything shown is escaped; the page's policy allows no script.

use askama::Template;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};

use crate::middleware::request_id::RequestId;
use crate::problem::ApiError;

/// An error page.
#[derive(Debug, Clone)]
pub struct Page {
    error: ApiError,
    title: &'static str,
    text: &'static str,
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'a> {
    title: &'a str,
    text: &'a str,
    status: u16,
    request_id: &'a str,
}

impl Page {
    /// A page for a refusal.
    pub fn new(status: StatusCode, title: &'static str, text: &'static str) -> Self {
        Self::of(ApiError::new(status, "login", title), title, text)
    }

    /// A page in place of an error's problem document.
    pub fn of(error: ApiError, title: &'static str, text: &'static str) -> Self {
        Self { error, title, text }
    }

    /// The same page with what led to it, for the log.
    #[must_use]
    pub fn caused_by(mut self, cause: impl Into<anyhow::Error>) -> Self {
        self.error = self.error.caused_by(cause);
        self
    }
}

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        let mut response = self.error.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// The layer that writes the pages.
pub(crate) async fn render<F>(request: Request, next: impl FnOnce(Request) -> F) -> Response
where
    F: Future<Output = Response>,
{
    let id = request
        .extensions()
        .get::<RequestId>()
        .cloned()
        .unwrap_or_default();
    let mut response = next(request).await;
    let Some(page) = response.extensions_mut().remove::<Page>() else {
        return response;
    };
    page.error.log(&id);
    let template = ErrorPage {
        title: page.title,
        text: page.text,
        status: page.error.status().as_u16(),
        request_id: id.as_str(),
    };
    let html = template.render().unwrap_or_else(|_| page.title.to_owned());
    let mut shown = (page.error.status(), Html(html)).into_response();
    shown.headers_mut().extend(
        response
            .headers()
            .iter()
            .map(|(name, value)| (name.clone(), value.clone())),
    );
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_escaped() {
        let page = ErrorPage {
            title: "<script>",
            text: "a & b",
            status: 400,
            request_id: "\"><img>",
        };
        let html = page.render().expect("renders");
        assert!(!html.contains("<script>") && !html.contains("<img>"), "{html}");
        assert!(html.contains("Error 400"), "{html}");
    }
}
