//! What can go wrong with an operation on the domain, each with the text that clients of the replaced service know.
//!
//! The texts are part of the HTTP contract. Which status a kind gets is the control plane's table, not this crate's.

use sentinel_authz::{CheckError, ModelError};
use sentinel_core::id::InvalidId;
use sentinel_core::name::ServiceName;
use sentinel_core::tuple::InvalidTuple;
use sentinel_store::StoreError;

/// What a caller can do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The request names something that does not fit together.
    BadRequest,
    /// The caller is known, and may not.
    Forbidden,
    /// There is no such thing, or the caller may not know that there is.
    NotFound,
    /// Something that must be unique exists already.
    Conflict,
    /// A value is outside what its place allows.
    Invalid,
    /// The fault is ours.
    Internal,
}

macro_rules! errors {
    ($($(#[$doc:meta])* $name:ident $(($field:ty))? = $kind:ident, $code:literal, $text:literal;)+) => {
        /// Why an operation was not done. Nothing of it has happened once the transaction is dropped.
        #[derive(Debug, thiserror::Error)]
        pub enum AccessError {
            $($(#[$doc])* #[error($text)] $name $(($field))?,)+
            /// The database did not do what it was asked.
            #[error("the database could not do what it was asked")]
            Store(#[from] StoreError),
            /// A row has no form as a relation tuple. Its writer is at fault, and nothing was changed.
            #[error("a row has no form as a relation tuple")]
            Projection(#[from] InvalidTuple),
            /// The permission engine could not finish a question.
            #[error("the permission engine could not answer")]
            Check(#[from] CheckError),
            /// The permission engine knows a resource that nobody can have registered.
            #[error("the permission engine lists a resource whose id is none")]
            Listed(#[from] InvalidId),
        }

        impl AccessError {
            /// What the caller can do about it.
            pub fn kind(&self) -> ErrorKind {
                match self {
                    $(errors!(@pattern $name $(($field))?) => ErrorKind::$kind,)+
                    Self::Store(_) | Self::Projection(_) | Self::Check(_) | Self::Listed(_) => ErrorKind::Internal,
                }
            }

            /// A stable word for it.
            pub fn code(&self) -> &'static str {
                match self {
                    $(errors!(@pattern $name $(($field))?) => $code,)+
                    Self::Store(_) | Self::Projection(_) | Self::Check(_) | Self::Listed(_) => "internal",
                }
            }
        }
    };
    (@pattern $name:ident ($field:ty)) => { Self::$name(_) };
    (@pattern $name:ident) => { Self::$name };
}

errors! {
    /// The user is no member of the workspace now, or his token is limited to another one.
    NotAMember = Forbidden, "not_a_member", "Not a member of this workspace";
    /// The user's role in the workspace is too low.
    InsufficientRole = Forbidden, "insufficient_role", "Insufficient role";
    /// There is no such user.
    UserNotFound = NotFound, "user_not_found", "User not found";
    /// Another account has the e-mail address.
    EmailTaken = Conflict, "email_taken", "A user with this e-mail address already exists";
    /// The only active administrator would be demoted or deactivated, and nobody could let anybody in again.
    LastAdministrator = Forbidden, "last_administrator", "Cannot demote or deactivate the last active administrator";
    /// An administrator would demote or deactivate himself.
    OwnAccount = Forbidden, "own_account", "Administrators cannot demote or deactivate themselves";

    /// There is no such workspace.
    WorkspaceNotFound = NotFound, "workspace_not_found", "Workspace not found";
    /// Another workspace has the slug.
    SlugTaken = Conflict, "slug_taken", "A workspace with this slug already exists";

    /// The user is no member of the workspace that is being administered.
    MembershipNotFound = NotFound, "membership_not_found", "Membership not found";
    /// The invited user is a member already.
    AlreadyMember = BadRequest, "already_member", "User is already a member of this workspace";
    /// An admin invites somebody as owner.
    InviteAsOwner = BadRequest, "owner_required", "Only workspace owners can grant the owner role";
    /// There is no such user who could be made a member.
    InviteeNotFound = BadRequest, "invitee_not_found", "User not found";
    /// The address waits for its first sign-in already.
    AlreadyInvited = Conflict, "already_invited", "An invitation for this address is already pending";
    /// The workspace has invited as many addresses as may wait at a time.
    TooManyInvitations(i64) = Conflict, "too_many_invitations", "This workspace already has {0} pending invitations";
    /// There is no such pending invitation to the workspace.
    InvitationNotFound = NotFound, "invitation_not_found", "Invitation not found";
    /// An admin makes somebody an owner.
    GrantOwner = Forbidden, "owner_required", "Only workspace owners can grant the owner role";
    /// An admin changes an owner's role.
    ChangeOwner = Forbidden, "owner_required", "Only workspace owners can change another owner's role";
    /// An admin removes an owner.
    RemoveOwner = Forbidden, "owner_required", "Only workspace owners can remove another owner";
    /// The only owner would lose that role.
    DemoteLastOwner = Forbidden, "last_owner", "Cannot demote the last workspace owner";
    /// The only owner would be removed.
    RemoveLastOwner = Forbidden, "last_owner", "Cannot remove the last workspace owner";

    /// There is no such group in the workspace.
    GroupNotFound = NotFound, "group_not_found", "Group not found";
    /// The workspace has a group of that name.
    GroupNameTaken = Conflict, "group_name_taken", "A group with this name already exists in this workspace";
    /// The user who should join the group is no member of its workspace.
    GroupMemberNotInWorkspace = BadRequest, "not_a_member", "User is not a member of this workspace";
    /// The user is in the group already.
    AlreadyInGroup = BadRequest, "already_in_group", "User is already a member of this group";
    /// The user is not in the group.
    GroupMembershipNotFound = NotFound, "group_membership_not_found", "Group membership not found";

    /// There is no such registered action.
    ServiceActionNotFound = NotFound, "service_action_not_found", "Service action not found";
    /// There is no such role in the workspace.
    RoleNotFound = NotFound, "role_not_found", "Role not found";
    /// The workspace has a role of that name.
    RoleNameTaken = Conflict, "role_name_taken", "A role with this name already exists in this workspace";
    /// The role does not allow that action.
    RoleActionNotFound = NotFound, "role_action_not_found", "Role action not found";
    /// The user who should get the role is no member of its workspace.
    RoleHolderNotMember = BadRequest, "not_a_member", "User is not a member of this workspace";
    /// The user has the role already.
    AlreadyHasRole = BadRequest, "already_has_role", "Failed to assign role: the user has it already";
    /// The group that should get the role is of another workspace.
    RoleGroupElsewhere = BadRequest, "group_elsewhere", "Group and role belong to different workspaces";
    /// The group has the role already.
    GroupHasRole = Conflict, "group_has_role", "Group is already assigned to this role";
    /// The user or group does not have the role.
    RoleAssignmentNotFound = NotFound, "role_assignment_not_found", "Role assignment not found";
    /// A service asks what a user may do in another workspace than the one that his token is limited to.
    CrossWorkspaceCheck = Forbidden, "cross_workspace", "Cross-workspace check not allowed";

    /// The key's service is not the one that the request or the record is about.
    ServiceScope(ServiceName) = Forbidden, "service_scope", "Service key is not authorized for service '{0}'";
    /// There is no such permission record.
    PermissionNotFound = NotFound, "permission_not_found", "Permission not found";
    /// The resource is not registered.
    ResourceNotFound = NotFound, "resource_not_found", "Resource not found";
    /// The resource is registered in another workspace.
    ResourceElsewhere = Conflict, "resource_elsewhere", "Resource is already registered in another workspace";
    /// The owner to be is no member of the workspace.
    OwnerNotMember = BadRequest, "owner_not_member", "Owner is not a member of this workspace";
    /// The user's token is limited to another workspace than the resource's.
    CrossWorkspaceSharing = Forbidden, "cross_workspace", "Cross-workspace sharing not allowed";
    /// The user asks about another workspace than the one that his token is limited to.
    CrossWorkspaceLookup = Forbidden, "cross_workspace", "Cross-workspace lookup not allowed";
    /// The user is neither the resource's owner nor an admin.
    ShareDenied = Forbidden, "share_denied", "Only the resource owner or workspace admin can share";
    /// The user who should get a share is no member of the resource's workspace.
    GranteeNotMember = BadRequest, "grantee_not_member", "Grantee is not a member of this workspace";
    /// The group that should get a share is of another workspace.
    GranteeGroupElsewhere = BadRequest, "grantee_not_member", "Group does not belong to this workspace";
    /// The user to whom an administrator shares is no member of the resource's workspace.
    GranteeUserElsewhere = BadRequest, "grantee_not_member", "Grantee user is not a member of the resource's workspace";
    /// The group to which an administrator shares is of another workspace than the resource.
    GranteeGroupNotThere = BadRequest, "grantee_not_member", "Grantee group does not belong to the resource's workspace";
    /// The resource is not shared with that user or group.
    ShareNotFound = NotFound, "share_not_found", "Share not found";
    /// Service name and resource type together are too long for a tuple.
    ResourceNameTooLong = Invalid, "resource_name_too_long", "service_name and resource_type together are longer than 218 characters";

    /// There is no such client app.
    ClientAppNotFound = NotFound, "client_app_not_found", "Client app not found";
    /// There is no such service app.
    ServiceAppNotFound = NotFound, "service_app_not_found", "Service app not found";
    /// Another app has the service name.
    ServiceNameTaken(ServiceName) = BadRequest, "service_name_taken", "Failed to create service app: service name '{0}' is already in use";

    /// The service has no permission model, and so no tuples either.
    NoModel = Conflict, "no_model", "This service has no permission model yet: write one first";
    /// There is no such version of the service's permission model.
    ModelNotFound = NotFound, "model_not_found", "Permission model not found";
    /// The text is no permission model.
    InvalidModel(ModelError) = Invalid, "invalid_model", "{0}";
    /// The models of all services together have too many types or relations.
    NoRoomForModel(ServiceName) = Conflict, "no_room_for_model", "The models of all services together are too large, from that of '{0}' on";

    /// There is no such edge.
    EdgeNotFound = NotFound, "edge_not_found", "Edge not found";
    /// Another edge has the name.
    EdgeNameTaken = Conflict, "edge_name_taken", "An edge with this name already exists";
    /// Another edge signs assertions with the key.
    AssertionKeyTaken = Conflict, "assertion_key_taken", "Another edge signs assertions with this key";
    /// An edge that was revoked signed assertions with the key.
    AssertionKeyWithdrawn = Conflict, "assertion_key_withdrawn", "This key was withdrawn with the edge that signed with it";
}

impl AccessError {
    /// Turns the conflict with the constraint into what it means, and leaves every other error as it is.
    pub(crate) fn on_conflict(error: StoreError, constraint: &str, meaning: Self) -> Self {
        if error.is_conflict_on(constraint) {
            meaning
        } else {
            Self::Store(error)
        }
    }

    /// As [`AccessError::on_conflict`], for a row of a workspace that may have been deleted meanwhile.
    pub(crate) fn in_workspace(error: StoreError, constraint: &str, meaning: Self) -> Self {
        match error {
            StoreError::ForeignKey => Self::WorkspaceNotFound,
            other => Self::on_conflict(other, constraint, meaning),
        }
    }

    /// As [`AccessError::in_workspace`], for a row that cannot be in the way of another.
    pub(crate) fn of_workspace(error: StoreError) -> Self {
        match error {
            StoreError::ForeignKey => Self::WorkspaceNotFound,
            other => Self::Store(other),
        }
    }
}
