//! One structured line for each decision: what an auditor asks about, and nothing that could be used against a caller.
//!
//! Never in it: tokens, keys, cookies, e-mail addresses, names, paths and queries.

pub(crate) mod line;

use std::time::Duration;

use sentinel_core::id::{UserId, WorkspaceId};
use sentinel_core::revision::Revision;
use sentinel_core::{Denial, Principal, Timestamp};

use crate::request_id::RequestId;

/// What every line has for its `target` and its `message`.
const TARGET: &str = "sentinel::decision";
const TOLD: &str = "a request was decided";

/// How a request came through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passage {
    /// It is permitted, and forwarded.
    Permitted,
    /// A preflight request (CORS) that the edge answered: the announced request may be sent. Nobody is permitted anything
    /// by that.
    Preflight,
    /// A page of the edge's own, on the way to a login or from it. Nobody is permitted anything by that.
    Login,
}

/// By what a request was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecidedBy {
    /// By what the edge keeps.
    Replica,
    /// By what the control plane said, since the edge does not keep all that it depends on.
    ControlPlane,
}

impl DecidedBy {
    /// The word for it in logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Replica => "replica",
            Self::ControlPlane => "control_plane",
        }
    }
}

/// What was decided: how the request came through, or why it did not.
pub type Outcome = Result<Passage, Denial>;

/// What is told about one decision.
#[derive(Debug)]
pub struct Record<'a> {
    /// When it was decided.
    pub at: Timestamp,
    /// The request's number.
    pub request: &'a RequestId,
    /// The route as the operator wrote it; `None` if there is none.
    pub route: Option<&'a str>,
    /// What was decided.
    pub outcome: Outcome,
    /// Whether the decision did not count: the request was forwarded whatever it was (`mode: shadow`).
    pub is_shadow: bool,
    /// The verified caller, as far as he is known.
    pub principal: Option<&'a Principal>,
    /// By what it was decided; `None` if it did not come that far.
    pub decided_by: Option<DecidedBy>,
    /// The revision that the decision was made at.
    pub revision: Option<Revision>,
    /// How old the replica's knowledge was.
    pub replica_age: Option<Duration>,
    /// How long deciding took.
    pub duration: Duration,
}

/// The word for a decision in logs and metrics.
pub const fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Ok(_) => "allow",
        Err(denial) if denial.status() >= 500 => "undecided",
        Err(_) => "deny",
    }
}

/// The word for its reason.
pub const fn reason(outcome: Outcome) -> &'static str {
    match outcome {
        Ok(Passage::Permitted) => "permitted",
        Ok(Passage::Preflight) => "preflight",
        Ok(Passage::Login) => "login",
        Err(denial) => denial.code(),
    }
}

/// The word for whether it counts.
pub const fn mode(is_shadow: bool) -> &'static str {
    if is_shadow { "shadow" } else { "enforce" }
}

impl Record<'_> {
    /// Writes the line.
    pub fn write(&self) {
        if !line::write(self) {
            self.hand_over();
        }
    }

    /// Leaves the line to the log of the process, whatever its form is. What is here is in [`mod@line`] as well.
    fn hand_over(&self) {
        let user: Option<UserId> = self.principal.and_then(|p| p.user()).map(|user| user.id);
        let workspace: Option<WorkspaceId> = self.principal.and_then(|p| p.user()).map(|user| user.workspace);
        let external = self.principal.and_then(|p| p.external_user());
        let issuer = external.map(|user| user.issuer.as_str());
        let service = self.principal.and_then(|p| p.service()).map(|s| s.name.as_str());
        tracing::info!(
            target: TARGET,
            route = self.route,
            request.id = self.request.as_str(),
            decision = word(self.outcome),
            decision.reason = reason(self.outcome),
            mode = mode(self.is_shadow),
            user.id = user.map(tracing::field::display),
            workspace.id = workspace.map(tracing::field::display),
            issuer = issuer,
            service = service,
            decided_by = self.decided_by.map(DecidedBy::as_str),
            revision = self.revision.map(tracing::field::display),
            replica.age_ms = self.replica_age.map(milliseconds),
            duration_ms = milliseconds(self.duration),
            "{TOLD}"
        );
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a log line needs no more than 53 bits of microseconds"
)]
fn milliseconds(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use sentinel_core::Credential;
    use sentinel_core::principal::{ExternalUser, Service, User};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("lock").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// The line as the general formatter writes it in the programs.
    pub(super) fn formatted(record: &Record<'_>) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .flatten_event(true)
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, || record.hand_over());
        String::from_utf8(lines.0.lock().expect("lock").clone()).expect("text")
    }

    /// Nobody (0), a user (1), a service (2) or both (3); a user of another issuer (4), with a service (5).
    pub(super) fn principal(who: usize) -> Option<Principal> {
        let id = uuid::Uuid::from_u128(7);
        let user = User {
            id: id.into(),
            email: Some("ada@example.com".into()),
            name: Some("Ada Lovelace".into()),
            workspace: id.into(),
            workspace_slug: "acme".parse().expect("slug"),
            role_at_mint: sentinel_core::WorkspaceRole::Owner,
            minted_at: None,
            credential: Credential::AccessToken {
                token: id.into(),
                session: id.into(),
                expires_at: Timestamp::UNIX_EPOCH,
            },
        };
        let service = Service {
            app: id.into(),
            name: "docs".parse().expect("name"),
            expires_at: None,
        };
        let user = (who % 2 == 1).then(|| Arc::new(user));
        if who >= 4 {
            let external = Arc::new(ExternalUser {
                issuer: "partner".into(),
                subject: "ada".into(),
                expires_at: Timestamp::UNIX_EPOCH,
            });
            return Some(Principal::external(
                external,
                (who == 5).then(|| Arc::new(service)),
            ));
        }
        let service = (who >= 2).then(|| Arc::new(service));
        (who > 0).then(|| Principal::verified(user, service))
    }

    fn written(record: &Record<'_>) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .without_time()
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, || record.write());
        String::from_utf8(lines.0.lock().expect("lock").clone()).expect("text")
    }

    #[test]
    fn a_line_says_who_what_and_why_and_no_more() {
        let principal = principal(3).expect("both");
        let line = written(&Record {
            at: Timestamp::UNIX_EPOCH,
            request: &RequestId::fixed("r1"),
            route: Some("GET docs.example/documents/{id}"),
            outcome: Err(Denial::PermissionDenied),
            is_shadow: true,
            principal: Some(&principal),
            decided_by: Some(DecidedBy::ControlPlane),
            revision: Some(Revision { epoch: 1, number: 2 }),
            replica_age: Some(Duration::from_millis(12)),
            duration: Duration::from_micros(250),
        });
        let value: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        insta::assert_json_snapshot!(value["fields"], @r#"
        {
          "decided_by": "control_plane",
          "decision": "deny",
          "decision.reason": "permission_denied",
          "duration_ms": 0.25,
          "message": "a request was decided",
          "mode": "shadow",
          "replica.age_ms": 12.0,
          "request.id": "r1",
          "revision": "1.2",
          "route": "GET docs.example/documents/{id}",
          "service": "docs",
          "user.id": "00000000-0000-0000-0000-000000000007",
          "workspace.id": "00000000-0000-0000-0000-000000000007"
        }
        "#);
        assert!(!line.contains("ada@") && !line.contains("Ada"));
    }

    #[test]
    fn nobody_on_no_route_is_logged_too() {
        let line = written(&Record {
            at: Timestamp::UNIX_EPOCH,
            request: &RequestId::fixed("r1"),
            route: None,
            outcome: Err(Denial::NoRoute),
            is_shadow: false,
            principal: None,
            decided_by: None,
            revision: None,
            replica_age: None,
            duration: Duration::ZERO,
        });
        assert!(line.contains(r#""decision.reason":"no_route""#));
        assert!(!line.contains("user.id"));
    }

    #[test]
    fn not_knowing_is_not_denying() {
        assert_eq!(word(Err(Denial::ReplicaStale)), "undecided");
        assert_eq!(word(Err(Denial::RoleDenied)), "deny");
        assert_eq!(word(Ok(Passage::Permitted)), "allow");
        assert_eq!(reason(Ok(Passage::Preflight)), "preflight");
    }
}
