//! Why a connection to the control plane ended, and how eagerly it is tried again.

use std::time::Duration;

use sentinel_core::Revision;

use crate::frame::MessageError;
use crate::snapshot::SnapshotError;
use crate::state::ApplyError;

/// Why the control plane is not being followed. The replica keeps what it has, and grows old.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FollowError {
    /// No connection.
    #[error("the control plane cannot be reached")]
    Connect(#[source] tonic::transport::Error),
    /// The control plane answered with an error.
    #[error("the control plane refused: {}", .0.message())]
    Refused(Box<tonic::Status>),
    /// The control plane does not know the edge's key.
    #[error("the control plane does not know this edge's key (any more): enrol the edge again")]
    NotEnrolled,
    /// Somebody else came with the same edge key, and came again.
    #[error(
        "newer subscriptions came with this edge's key: if another edge was given the same one, enrol it by itself"
    )]
    Displaced,
    /// Another subscription could not be begun for so long that the present one is not to be believed any more.
    #[error("the subscription could not be renewed in time")]
    NotRenewed,
    /// Nothing was heard for too long.
    #[error("nothing was heard from the control plane for {} s", .0.as_secs())]
    Silent(Duration),
    /// What is heard was sent long ago.
    #[error("what the control plane says arrives {} ms late", .0.as_millis())]
    Late(Duration),
    /// The stream ended without a reason.
    #[error("the control plane ended the stream")]
    Ended,
    /// The control plane broke the contract.
    #[error("the control plane sent what the contract does not allow: {0}")]
    Protocol(&'static str),
    /// A message that was not signed with the pinned key, is malformed, or is not understood.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// A change that does not follow the state: the edge subscribes again from where it stands.
    #[error("a change is missing")]
    Gap(#[source] ApplyError),
    /// The control plane is at a revision that it sent no change for.
    #[error("the control plane is at revision `{0}` and did not send it")]
    Missing(Revision),
    /// The control plane is behind the edge, and stays there.
    #[error(
        "the control plane is at revision `{head}`, behind the `{at}` of this edge: if its database was restored or has lost commits, run `sentinel-control-plane admin begin-epoch`"
    )]
    Behind {
        /// Where the control plane is.
        head: Revision,
        /// What the edge has.
        at: Revision,
    },
    /// The machine slept, or its time was set forward.
    #[error("the time went on for {} s while this process did not", .0.as_secs())]
    Slept(Duration),
    /// The machine's time was set back.
    #[error("the time of this machine was set back by {} ms", .0.as_millis())]
    SetBack(Duration),
    /// The state is not the control plane's: a fresh one is fetched.
    #[error("the state differs from the control plane's at revision `{0}`")]
    Diverged(Revision),
    /// The control plane asks for a fresh start.
    #[error("the changes since the state of this edge are not available: a snapshot is fetched")]
    Reset,
    /// A snapshot from before what the edge has.
    #[error(
        "the control plane offers the state of revision `{offered}`, which is older than `{at}`: if its database was restored or has lost commits, run `sentinel-control-plane admin begin-epoch`"
    )]
    Older {
        /// What was offered.
        offered: Revision,
        /// What the edge has.
        at: Revision,
    },
    /// A snapshot that is not what was signed.
    #[error("the snapshot cannot be used: {0}")]
    Snapshot(String),
    /// A change that was signed and cannot be applied by this version.
    #[error("a change cannot be applied by this version of the edge")]
    NotApplicable(#[source] ApplyError),
}

impl From<SnapshotError> for FollowError {
    fn from(error: SnapshotError) -> Self {
        match error {
            SnapshotError::Message(message) => Self::Message(message),
            other => Self::Snapshot(other.to_string()),
        }
    }
}

impl From<tonic::Status> for FollowError {
    fn from(status: tonic::Status) -> Self {
        match status.code() {
            tonic::Code::Unauthenticated => Self::NotEnrolled,
            tonic::Code::Aborted => Self::Displaced,
            _ => Self::Refused(Box::new(status)),
        }
    }
}

impl FollowError {
    /// The longest pause before the next try. What only an update or a person can mend is not tried as often.
    pub(super) fn patience(&self) -> Duration {
        match self {
            Self::Message(_)
            | Self::NotApplicable(_)
            | Self::NotEnrolled
            | Self::Displaced
            | Self::Snapshot(_)
            | Self::Older { .. } => Duration::from_secs(30),
            _ => Duration::from_secs(2),
        }
    }

    /// Whether the connection was lost, and nothing that was said is to blame.
    pub(super) fn is_loss(&self) -> bool {
        matches!(
            self,
            Self::Connect(_)
                | Self::Refused(_)
                | Self::Silent(_)
                | Self::NotRenewed
                | Self::Ended
                | Self::Slept(_)
                | Self::SetBack(_)
        )
    }

    /// Whether only a snapshot helps.
    pub(super) fn needs_snapshot(&self) -> bool {
        matches!(self, Self::Diverged(_) | Self::Reset)
    }
}
