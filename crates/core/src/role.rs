//! The four workspace roles.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A member's role in a workspace. Ordered: each includes what the lower ones may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WorkspaceRole {
    /// Reads.
    Viewer,
    /// Changes what is visible to the workspace.
    Editor,
    /// Manages members, groups and every resource.
    Admin,
    /// Manages admins and owners, and the workspace itself.
    Owner,
}

/// A text that names none of the four roles.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a workspace role: one of `viewer`, `editor`, `admin`, `owner` is expected")]
pub struct InvalidRole(String);

impl WorkspaceRole {
    /// All roles, lowest first.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Editor, Self::Admin, Self::Owner];

    /// The role's name on the wire, in the database, and as a relation of `workspace`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Editor => "editor",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }
}

impl FromStr for WorkspaceRole {
    type Err = InvalidRole;

    fn from_str(text: &str) -> Result<Self, InvalidRole> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| InvalidRole(text.chars().take(64).collect()))
    }
}

impl fmt::Display for WorkspaceRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_ordered_and_named() {
        assert!(WorkspaceRole::ALL.is_sorted());
        for role in WorkspaceRole::ALL {
            assert_eq!(role.to_string().parse(), Ok(role));
        }
        assert!("Owner".parse::<WorkspaceRole>().is_err());
        assert!("member".parse::<WorkspaceRole>().is_err());
    }
}
