//! Sending a request and looking at what came back.

use reqwest::RequestBuilder;
use serde_json::Value;

/// What came back: the status, the revision if there is one, and the body (null if it is empty).
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) revision: Option<String>,
    pub(crate) body: Value,
}

impl Answer {
    /// The status and the detail of a problem.
    pub(crate) fn problem(&self) -> (u16, &str) {
        (self.status, self.body["detail"].as_str().unwrap_or_default())
    }

    /// A text in the body.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.body[name]
            .as_str()
            .unwrap_or_else(|| panic!("`{name}` is a text in {self:?}"))
    }
}

/// Sends the request.
pub(crate) async fn send(request: RequestBuilder) -> Answer {
    let response = request.send().await.expect("answer");
    let status = response.status().as_u16();
    let revision = response.headers().get("x-sentinel-revision");
    let revision = revision.map(|value| value.to_str().expect("text").to_owned());
    let bytes = response.bytes().await.expect("body");
    let body = if bytes.is_empty() {
        Value::Null
    } else {
        serde_json::from_slice(&bytes).expect("json")
    };
    Answer {
        status,
        revision,
        body,
    }
}

/// The names of an object's members, in order.
pub(crate) fn members(value: &Value) -> Vec<&str> {
    value
        .as_object()
        .map(|object| object.keys().map(String::as_str).collect())
        .unwrap_or_default()
}

/// Whether the text is a moment as the API writes it: `2026-01-01T00:00:00.000000Z`.
pub(crate) fn is_moment(value: &Value) -> bool {
    value
        .as_str()
        .is_some_and(|text| text.len() == 27 && text.ends_with('Z') && text.as_bytes()[19] == b'.')
}
