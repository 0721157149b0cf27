//! Who sees a resource that was not shared with him.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Who sees a resource without a share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Visibility {
    /// Its owner, and admins of the workspace.
    Private,
    /// The whole workspace; editors may change it too.
    #[default]
    Workspace,
}

impl Visibility {
    /// The word in the database and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::Workspace => "workspace",
        }
    }
}

/// A text that is no visibility.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a visibility: `private` or `workspace` is expected")]
pub struct UnknownVisibility(String);

impl FromStr for Visibility {
    type Err = UnknownVisibility;

    fn from_str(text: &str) -> Result<Self, UnknownVisibility> {
        match text {
            "private" => Ok(Self::Private),
            "workspace" => Ok(Self::Workspace),
            other => Err(UnknownVisibility(other.chars().take(64).collect())),
        }
    }
}

impl fmt::Display for Visibility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_read_back() {
        for visibility in [Visibility::Private, Visibility::Workspace] {
            assert_eq!(visibility.to_string().parse(), Ok(visibility));
        }
        let error = "public".parse::<Visibility>().expect_err("unknown");
        assert_eq!(
            error.to_string(),
            "`public` is not a visibility: `private` or `workspace` is expected"
        );
    }
}
