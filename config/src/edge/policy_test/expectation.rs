//! What must come of the request of a test.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use schemars::{Schema, SchemaGenerator, json_schema};
use sentinel_core::{Denial, Status};

use crate::section::{Place, Reader, Setting};
use crate::tree::Data;
use crate::value::read_text;

/// What must come of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expectation {
    /// The policy lets it through.
    Allow,
    /// It is refused, and the client is told this status.
    Status(Status),
    /// It is refused for this reason.
    Denial(Denial),
}

/// A text that says nothing that could come of a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` cannot come of a request: `allow`, a status ({statuses}) or a reason such as `permission_denied` is expected{hint}"
)]
pub struct InvalidExpectation {
    text: String,
    statuses: String,
    hint: String,
}

/// The statuses that a request can be refused with.
fn statuses() -> BTreeSet<Status> {
    Denial::ALL.iter().map(|denial| denial.status()).collect()
}

impl FromStr for Expectation {
    type Err = InvalidExpectation;

    fn from_str(text: &str) -> Result<Self, InvalidExpectation> {
        if text == "allow" {
            return Ok(Self::Allow);
        }
        if let Some(denial) = Denial::ALL.iter().find(|denial| denial.code() == text) {
            return Ok(Self::Denial(*denial));
        }
        let statuses = statuses();
        let status = statuses.iter().copied().find(|status| status.to_string() == text);
        status.map(Self::Status).ok_or_else(|| {
            let shown: Vec<String> = statuses.iter().map(Status::to_string).collect();
            let word = text.replace([' ', '-'], "_").to_ascii_lowercase();
            let near = Denial::ALL
                .iter()
                .map(|denial| denial.code())
                .find(|code| code.starts_with(&word) && word.len() > 3);
            InvalidExpectation {
                text: text.chars().take(64).collect(),
                statuses: shown.join(", "),
                hint: near.map_or_else(String::new, |near| format!("; did you mean `{near}`?")),
            }
        })
    }
}

impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Allow => f.write_str("allow"),
            Self::Status(status) => write!(f, "{status}"),
            Self::Denial(denial) => f.write_str(denial.code()),
        }
    }
}

impl Setting for Expectation {
    fn read(place: &Place<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let Data::Integer(number) = &place.node.data else {
            return read_text(place, reader);
        };
        match number.to_string().parse() {
            Ok(expectation) => Some(expectation),
            Err(error) => {
                reader.problem(place, InvalidExpectation::to_string(&error));
                None
            }
        }
    }

    fn describe(_: &mut SchemaGenerator) -> Schema {
        let words: Vec<&str> = std::iter::once("allow")
            .chain(Denial::ALL.iter().map(|denial| denial.code()))
            .collect();
        let statuses: Vec<Status> = statuses().into_iter().collect();
        json_schema!({ "anyOf": [{ "enum": words }, { "enum": statuses }] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_come_of_a_request_is_read_and_nothing_else() {
        assert_eq!("allow".parse(), Ok(Expectation::Allow));
        assert_eq!("403".parse(), Ok(Expectation::Status(403)));
        assert_eq!("role_denied".parse(), Ok(Expectation::Denial(Denial::RoleDenied)));
        for bad in ["", "Allow", "deny", "200", "418", "+403", "0403", "-1", "99999"] {
            assert!(bad.parse::<Expectation>().is_err(), "`{bad}`");
        }
        let told = "permission"
            .parse::<Expectation>()
            .expect_err("no reason")
            .to_string();
        assert!(told.ends_with("; did you mean `permission_denied`?"), "{told}");
    }
}
