//! The request of a test, in one line.

use std::fmt;
use std::str::FromStr;

use schemars::{Schema, SchemaGenerator};

use crate::schema::text_schema;
use crate::section::{Place, Reader, Setting};
use crate::value::read_text;

/// A request in one line: `GET https://docs.example.com/documents/42?draft=true`.
///
/// The parts are what a client would send, and no more is known of them: whether the edge takes such a request is the
/// edge's to say, and a test may be about just that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestRequest {
    /// The method.
    pub method: String,
    /// Whether the connection is encrypted: `https`.
    pub secure: bool,
    /// What stands in `Host`: the host, perhaps with a port.
    pub host: String,
    /// Path and query, from the first `/` on.
    pub target: String,
}

/// A text that is no request in one line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a request: a method and an address are expected, as in `GET https://docs.example.com/documents/42`"
)]
pub struct InvalidTestRequest(String);

impl FromStr for TestRequest {
    type Err = InvalidTestRequest;

    fn from_str(text: &str) -> Result<Self, InvalidTestRequest> {
        let parts = || -> Option<Self> {
            let (method, address) = text.split_once(' ')?;
            let (secure, rest) = match address.strip_prefix("https://") {
                Some(rest) => (true, rest),
                None => (false, address.strip_prefix("http://")?),
            };
            let (host, target) = rest.split_at_checked(rest.find('/')?)?;
            let is_plain = !method.is_empty() && !host.is_empty() && !text.contains(char::is_control);
            (is_plain && !address.contains(' ')).then(|| Self {
                method: method.to_owned(),
                secure,
                host: host.to_owned(),
                target: target.to_owned(),
            })
        };
        parts().ok_or_else(|| InvalidTestRequest(text.chars().take(128).collect()))
    }
}

impl fmt::Display for TestRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secure { "https" } else { "http" };
        write!(f, "{} {scheme}://{}{}", self.method, self.host, self.target)
    }
}

impl Setting for TestRequest {
    fn read(place: &Place<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        read_text(place, reader)
    }

    fn describe(_: &mut SchemaGenerator) -> Schema {
        text_schema("^[A-Z-]+ https?://[^/ ]+/[^ ]*$")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_a_method_and_an_address_and_prints_as_it_was_written() {
        for text in [
            "GET https://docs.example.com/documents/42?draft=true",
            "POST http://docs.example.com:8080/",
            "get https://a/../b",
        ] {
            let request: TestRequest = text.parse().expect(text);
            assert_eq!(request.to_string(), text);
        }
        let request: TestRequest = "GET https://a:1/b/c?d=/e".parse().expect("a request");
        assert_eq!(
            (request.host.as_str(), request.target.as_str()),
            ("a:1", "/b/c?d=/e")
        );
        for bad in [
            "",
            "GET",
            "GET /documents/42",
            "GET docs.example.com/documents",
            "GET https://docs.example.com",
            "GET ftp://docs.example.com/",
            "GET https:///documents",
            " https://a/b",
            "GET https://a/b c",
            "GET  https://a/b",
            "GET https://a/b\r\nX-A: 1",
        ] {
            let error = bad.parse::<TestRequest>().expect_err(bad);
            assert!(error.to_string().contains("is not a request"), "{error}");
        }
    }
}
