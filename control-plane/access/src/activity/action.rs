//! The words of the activity log.

use std::fmt;
use std::str::FromStr;

/// A text that is no word of the activity log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {kind} of the activity log")]
pub struct UnknownWord {
    kind: &'static str,
    text: String,
}

macro_rules! words {
    ($(#[$type_doc:meta])* $type:ident($kind:literal) { $($(#[$doc:meta])* $name:ident = $word:literal;)+ }) => {
        $(#[$type_doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $type {
            $($(#[$doc])* $name,)+
        }

        impl $type {
            /// Every one there is.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The word in the database and on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)+ }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $type {
            type Err = UnknownWord;

            fn from_str(text: &str) -> Result<Self, UnknownWord> {
                Self::ALL
                    .iter()
                    .copied()
                    .find(|word| word.as_str() == text)
                    .ok_or_else(|| UnknownWord { kind: $kind, text: text.chars().take(64).collect() })
            }
        }
    };
}

words! {
    /// What was done.
    Action("an action") {
        /// A user signed in.
        UserLogin = "user_login";
        /// A user signed out.
        UserLogout = "user_logout";
        /// A sign-in was refused.
        LoginFailed = "login_failed";
        /// An administrator signed in to the panel.
        AdminLogin = "admin_login";
        /// An administrator signed out of the panel.
        AdminLogout = "admin_logout";
        /// A sign-in to the panel was refused.
        AdminLoginFailed = "admin_login_failed";
        /// A spent refresh token was shown again.
        RefreshReuseDetected = "refresh_reuse_detected";
        /// A session's refresh tokens were all revoked.
        TokenFamilyRevoked = "token_family_revoked";
        /// An administrator revoked a user's tokens.
        TokensRevoked = "tokens_revoked";
        /// A profile was changed.
        UserUpdated = "user_updated";
        /// An account was activated again.
        UserActivated = "user_activated";
        /// An account was deactivated.
        UserDeactivated = "user_deactivated";
        /// A user became an administrator.
        UserPromotedAdmin = "user_promoted_admin";
        /// A user is an administrator no more.
        UserDemotedAdmin = "user_demoted_admin";
        /// An administrator activated or deactivated several accounts.
        BulkStatusChange = "bulk_status_change";
        /// A workspace was made.
        WorkspaceCreated = "workspace_created";
        /// A workspace's name or description was changed.
        WorkspaceUpdated = "workspace_updated";
        /// A workspace was deleted with everything in it.
        WorkspaceDeleted = "workspace_deleted";
        /// A user became a member, or his address was invited to become one.
        MemberInvited = "member_invited";
        /// An invited address signed in, and its user became a member.
        InvitationAccepted = "invitation_accepted";
        /// An invitation was taken back.
        InvitationRevoked = "invitation_revoked";
        /// An invited address signed in, and the invitation was not good any more.
        InvitationVoid = "invitation_void";
        /// A member got another role.
        MemberRoleChanged = "member_role_changed";
        /// A member was removed.
        MemberRemoved = "member_removed";
        /// A group was made.
        GroupCreated = "group_created";
        /// A group's name or description was changed.
        GroupUpdated = "group_updated";
        /// A group was deleted.
        GroupDeleted = "group_deleted";
        /// A member joined a group.
        GroupMemberAdded = "group_member_added";
        /// A member left a group.
        GroupMemberRemoved = "group_member_removed";
        /// A role was made.
        RoleCreated = "role_created";
        /// A role's name or description was changed.
        RoleUpdated = "role_updated";
        /// A role was deleted.
        RoleDeleted = "role_deleted";
        /// A role allows more actions.
        RoleActionAdded = "role_action_added";
        /// A role allows an action no more.
        RoleActionRemoved = "role_action_removed";
        /// A member got a role.
        RoleMemberAdded = "role_member_added";
        /// A member lost a role.
        RoleMemberRemoved = "role_member_removed";
        /// A group got a role.
        RoleGroupAdded = "role_group_added";
        /// A group lost a role.
        RoleGroupRemoved = "role_group_removed";
        /// An action of a service was forgotten.
        ServiceActionDeleted = "service_action_deleted";
        /// A resource was shared, or a share changed.
        PermissionShared = "permission_shared";
        /// A share was taken back.
        PermissionRevoked = "permission_revoked";
        /// A resource was opened to its workspace, or closed.
        PermissionVisibilityChanged = "permission_visibility_changed";
        /// All resources of a service were forgotten.
        PermissionsPurged = "permissions_purged";
        /// A service got another permission model.
        ModelWritten = "model_written";
        /// Many relation tuples of a service were deleted at once.
        TuplesDeleted = "tuples_deleted";
        /// A client app was made.
        ClientAppCreated = "client_app_created";
        /// A client app was changed.
        ClientAppUpdated = "client_app_updated";
        /// A client app was deleted.
        ClientAppDeleted = "client_app_deleted";
        /// A service app was made.
        ServiceAppCreated = "service_app_created";
        /// A service app was changed.
        ServiceAppUpdated = "service_app_updated";
        /// A service app got a new key.
        ServiceAppKeyRotated = "service_app_key_rotated";
        /// A service app was deleted.
        ServiceAppDeleted = "service_app_deleted";
        /// An edge was enrolled.
        EdgeEnrolled = "edge_enrolled";
        /// An edge's key was withdrawn.
        EdgeRevoked = "edge_revoked";
    }
}

words! {
    /// What kind of thing it was done to.
    TargetKind("a target type") {
        /// A user.
        User = "user";
        /// A workspace.
        Workspace = "workspace";
        /// A group.
        Group = "group";
        /// A role of a workspace.
        Role = "role";
        /// An action that a service registered.
        ServiceAction = "service_action";
        /// A registered resource.
        ResourcePermission = "resource_permission";
        /// All that belongs to a service name.
        Service = "service";
        /// A client app.
        ClientApp = "client_app";
        /// A service app.
        ServiceApp = "service_app";
        /// An edge.
        Edge = "edge";
        /// The control plane itself.
        System = "system";
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn words_are_unique_and_read_back() {
        let words: HashSet<_> = Action::ALL.iter().map(|action| action.as_str()).collect();
        assert_eq!(words.len(), Action::ALL.len());
        for action in Action::ALL {
            assert_eq!(action.as_str().parse(), Ok(*action));
        }
        for kind in TargetKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(*kind));
        }
        let error = "nothing".parse::<Action>().expect_err("unknown");
        assert_eq!(
            error.to_string(),
            "`nothing` is not an action of the activity log"
        );
    }
}
