//! Typed identifiers. Each is a UUID on the wire (lower case, hyphenated) and a type of its own in the code, so that
//! a workspace id cannot be handed over where a user id is meant.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::random::Random;

/// A text that should have been an identifier and is not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a {kind} id: a UUID such as `018f4e7a-0000-7000-8000-000000000000` is expected")]
pub struct InvalidId {
    kind: &'static str,
    text: String,
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $kind:literal;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A fresh identifier (UUID version 7, RFC 9562: ordered by time of creation).
            pub fn generate(now: Timestamp, random: &dyn Random) -> Self {
                Self(uuid_v7(now, random))
            }

            /// The UUID inside, for storage.
            pub const fn as_uuid(&self) -> Uuid {
                self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                // Only the one spelling that we write: no braces, no `urn:uuid:`, no upper case.
                match Uuid::try_parse(text) {
                    Ok(id) if id.hyphenated().encode_lower(&mut Uuid::encode_buffer()) == text => Ok(Self(id)),
                    _ => Err(InvalidId { kind: $kind, text: text.chars().take(64).collect() }),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}:{}", $kind, self.0)
            }
        }
    )+};
}

ids! {
    /// A person known to the control plane.
    UserId = "user";
    /// A tenant.
    WorkspaceId = "workspace";
    /// A group of users inside one workspace.
    GroupId = "group";
    /// A role of one workspace, which bundles actions.
    RoleId = "role";
    /// An action that a service registered.
    ServiceActionId = "service action";
    /// That a role allows an action.
    RoleActionId = "role action";
    /// That a user or a group has a role.
    RoleAssignmentId = "role assignment";
    /// One membership of a user in a workspace.
    MembershipId = "membership";
    /// A pending invitation to a workspace.
    InvitationId = "invitation";
    /// One membership of a user in a group.
    GroupMembershipId = "group membership";
    /// The permission record of one registered resource.
    PermissionId = "permission";
    /// The identifier that a service gives to its own resource.
    ResourceId = "resource";
    /// One share of a resource to a user or a group.
    ShareId = "share";
    /// An application whose redirect URIs may receive authorization codes.
    ClientAppId = "client app";
    /// A back-end service that calls with `X-Service-Key`.
    ServiceAppId = "service app";
    /// One key of a service app.
    ServiceKeyId = "service key";
    /// A login session; `sid` in tokens. It is also the refresh-token family (`fid`).
    SessionId = "session";
    /// One token; `jti` in tokens.
    TokenId = "token";
    /// A link between a user and an account at an identity provider.
    SocialAccountId = "social account";
    /// A row of the activity log.
    ActivityId = "activity";
    /// An enrolled edge proxy.
    EdgeId = "edge";
}

fn uuid_v7(now: Timestamp, random: &dyn Random) -> Uuid {
    let mut bytes = [0_u8; 10];
    random.fill(&mut bytes);
    uuid::Builder::from_unix_timestamp_millis(u64::try_from(now.timestamp_millis()).unwrap_or(0), &bytes)
        .into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SystemRandom;

    #[test]
    fn only_the_canonical_spelling_is_an_id() {
        let id = "018f4e7a-1111-7000-8000-00000000abcd";
        assert_eq!(id.parse::<UserId>().expect("canonical").to_string(), id);
        for bad in [
            "",
            "018F4E7A-1111-7000-8000-00000000ABCD",
            "018f4e7a11117000800000000000abcd",
            "{018f4e7a-1111-7000-8000-00000000abcd}",
        ] {
            assert!(bad.parse::<UserId>().is_err(), "`{bad}` must be refused");
        }
    }

    #[test]
    fn ids_of_one_moment_differ_and_ids_of_later_moments_sort_later() {
        let early = Timestamp::from_timestamp_millis(1_000).expect("in range");
        let late = Timestamp::from_timestamp_millis(2_000).expect("in range");
        let (a, b) = (
            UserId::generate(early, &SystemRandom),
            UserId::generate(early, &SystemRandom),
        );
        assert_ne!(a, b);
        assert!(a < UserId::generate(late, &SystemRandom));
    }
}
