//! The name of an app's scope, which is stricter than what a service may be called in requests.

use std::str::FromStr;

use sentinel_core::name::ServiceName;
use serde::{Deserialize, Serialize};

/// A service name that a new app may have: 2 to 255 characters from `a-z 0-9 -`, beginning with a letter and not ending
/// with `-`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct AppServiceName(ServiceName);

/// A text that no new app may have as its service name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` cannot be the service name of an app: 2 to 255 characters from `a-z 0-9 -` are expected, the first a letter and the last not `-`"
)]
pub struct InvalidAppServiceName(String);

impl FromStr for AppServiceName {
    type Err = InvalidAppServiceName;

    fn from_str(text: &str) -> Result<Self, InvalidAppServiceName> {
        let plain = text.len() >= 2 && !text.contains(['_', '.']) && !text.ends_with('-');
        match text.parse() {
            Ok(name) if plain => Ok(Self(name)),
            _ => Err(InvalidAppServiceName(text.chars().take(64).collect())),
        }
    }
}

impl TryFrom<String> for AppServiceName {
    type Error = InvalidAppServiceName;

    fn try_from(text: String) -> Result<Self, InvalidAppServiceName> {
        text.parse()
    }
}

impl From<AppServiceName> for ServiceName {
    fn from(name: AppServiceName) -> Self {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_apps_name_is_a_slug() {
        for good in ["docs", "d2", "docs-api"] {
            assert!(good.parse::<AppServiceName>().is_ok(), "`{good}`");
        }
        for bad in ["", "d", "2docs", "docs-", "docs_api", "docs.api", "Docs"] {
            assert!(bad.parse::<AppServiceName>().is_err(), "`{bad}`");
        }
    }
}
