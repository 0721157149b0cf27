//! Who is asked about, as it is written on the command line.

use std::fmt;
use std::str::FromStr;

use sentinel_core::id::UserId;
use sentinel_core::name::ServiceName;

/// A caller, or one of his credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// A user of the control plane.
    User(UserId),
    /// A service, by its key.
    Service(ServiceName),
    /// A user of another issuer.
    External {
        /// The issuer, by the name that the configuration gives it.
        issuer: String,
        /// Who he is for that issuer.
        subject: String,
    },
    /// Nobody: no credentials.
    Nobody,
}

/// A text that names nobody.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no caller: `user:UUID`, `service:NAME`, `external:ISSUER|SUBJECT` or `nobody` is expected")]
pub struct InvalidWho(String);

impl FromStr for Who {
    type Err = InvalidWho;

    fn from_str(text: &str) -> Result<Self, InvalidWho> {
        let parsed = || match text.split_once(':') {
            None => (text == "nobody").then_some(Self::Nobody),
            Some(("user", id)) => id.parse().ok().map(Self::User),
            Some(("service", name)) => name.parse().ok().map(Self::Service),
            Some(("external", rest)) => rest
                .split_once('|')
                .filter(|(issuer, subject)| !issuer.is_empty() && !subject.is_empty())
                .map(|(issuer, subject)| Self::External {
                    issuer: issuer.to_owned(),
                    subject: subject.to_owned(),
                }),
            Some(_) => None,
        };
        parsed().ok_or_else(|| InvalidWho(text.chars().take(128).collect()))
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(id) => write!(f, "user:{id}"),
            Self::Service(name) => write!(f, "service:{name}"),
            Self::External { issuer, subject } => write!(f, "external:{issuer}|{subject}"),
            Self::Nobody => f.write_str("nobody"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_prints_as_he_is_written() {
        for text in [
            "user:00000000-0000-0000-0000-000000000001",
            "service:indexer",
            "external:corp|auth0|7",
            "nobody",
        ] {
            assert_eq!(text.parse::<Who>().expect(text).to_string(), text);
        }
        for bad in [
            "",
            "user:ann",
            "service:In dexer",
            "external:corp",
            "external:|x",
            "anybody",
            "nobody:",
        ] {
            assert!(bad.parse::<Who>().is_err(), "`{bad}`");
        }
    }
}
