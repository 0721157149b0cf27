//! A requirement, judged part by part. A part may hold, not hold, or depend on what is not known here.

use sentinel_authz::CheckError;
use sentinel_authz::sentinel::ActionWords;
use sentinel_config::edge::{ActionRef, IdTemplate, PermissionTemplate, RelationTemplate, Requirement};
use sentinel_core::name::ServiceName;
use sentinel_core::principal::User;
use sentinel_core::{Denial, Object, Principal, WorkspaceRole};
use sentinel_feed::{Question, Verdict};

use super::found::{FoundUser, permission};
use super::{Knowledge, Otherwise};
use crate::request::Target;
use crate::routes::Route;

/// What a requirement is judged by.
pub(super) struct Case<'a> {
    pub(super) route: &'a Route,
    pub(super) target: &'a Target,
    pub(super) principal: &'a Principal,
    /// The caller in the graph, if he is a user of the control plane.
    pub(super) found: Option<FoundUser<'a>>,
    pub(super) standing: Standing,
    pub(super) known: Knowledge<'a>,
}

/// Where the caller stands in the workspace of his token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// He is no user who has one.
    None,
    /// A member.
    Member(WorkspaceRole),
    /// Who is a member is not known here.
    Open,
}

impl Case<'_> {
    pub(super) fn meets(&self, requirement: &Requirement) -> Result<(), Otherwise> {
        match requirement {
            Requirement::All(all) => self.meets_all(all),
            Requirement::Any(any) => self.meets_any(any),
            // The tier has been checked.
            Requirement::SignedIn => holds(!self.principal.is_anonymous(), Denial::CredentialMissing),
            Requirement::Role(least) => self.has_role(*least),
            Requirement::Action(wanted) => self.may_act(wanted),
            Requirement::Permission(wanted) => self.may(wanted),
            Requirement::Relation(wanted) => self.is_related(wanted),
            Requirement::Service(name) => {
                let service = self.principal.service();
                let is = service.is_some_and(|service| service.name == *name);
                holds(is, Denial::ServiceDenied)
            }
        }
    }

    /// One that does not hold decides, whatever is open.
    fn meets_all(&self, parts: &[Requirement]) -> Result<(), Otherwise> {
        let mut open = Vec::new();
        for part in parts {
            match self.meets(part) {
                Ok(()) => {}
                Err(Otherwise::Open(questions)) => also(&mut open, questions),
                Err(denied) => return Err(denied),
            }
        }
        if open.is_empty() {
            Ok(())
        } else {
            Err(Otherwise::Open(open))
        }
    }

    /// One alternative is enough. If there is none, the first one's reason is told, but an alternative that could not be
    /// judged is more than a no, and so is one that may yet hold.
    fn meets_any(&self, alternatives: &[Requirement]) -> Result<(), Otherwise> {
        let (mut reason, mut open) = (None, Vec::new());
        for alternative in alternatives {
            match self.meets(alternative) {
                Ok(()) => return Ok(()),
                Err(Otherwise::Open(questions)) => also(&mut open, questions),
                Err(Otherwise::Denied(denial)) if denial.status() >= 500 => reason = Some(denial),
                Err(Otherwise::Denied(denial)) => reason = reason.or(Some(denial)),
            }
        }
        if open.is_empty() {
            Err(reason.unwrap_or(Denial::Internal).into())
        } else {
            Err(Otherwise::Open(open))
        }
    }

    fn has_role(&self, least: WorkspaceRole) -> Result<(), Otherwise> {
        match self.standing {
            Standing::Member(role) => holds(role >= least, Denial::RoleDenied),
            Standing::None => Err(Denial::RoleDenied.into()),
            Standing::Open => {
                let user = self.user(Denial::RoleDenied)?;
                self.ask(role_question(user, least), Denial::RoleDenied)
            }
        }
    }

    fn may_act(&self, wanted: &ActionRef) -> Result<(), Otherwise> {
        let user = self.user(Denial::ActionDenied)?;
        let ActionRef { service, action } = wanted;
        if !self.covers(user, service) {
            let question = Question::Action {
                workspace: user.workspace,
                user: user.id,
                service: service.clone(),
                action: action.clone(),
            };
            return self.ask(question, Denial::ActionDenied);
        }
        let member = self.found(Denial::ActionDenied)?.member();
        let may = member.may_act(&ActionWords::new(service, action));
        holds(may.map_err(|error| undecidable(&error))?, Denial::ActionDenied)
    }

    fn may(&self, wanted: &PermissionTemplate) -> Result<(), Otherwise> {
        let user = self.user(Denial::PermissionDenied)?;
        let id = self.object_id(&wanted.id)?;
        let (service, kind) = (&wanted.service, &wanted.resource_type);
        if !self.covers(user, service) {
            if !Object::is_id(id) {
                return Err(Denial::PermissionDenied.into());
            }
            let question = Question::Permission {
                workspace: user.workspace,
                user: user.id,
                service: service.clone(),
                resource_type: kind.clone(),
                id: id.to_owned(),
                permission: permission(wanted.permission),
            };
            return self.ask(question, Denial::PermissionDenied);
        }
        let may = self.found(Denial::PermissionDenied)?.may(wanted, id);
        holds(
            may.map_err(|error| undecidable(&error))?,
            Denial::PermissionDenied,
        )
    }

    /// A relation of a service's own model. Where objects of the type belong to workspaces, the object must be of the one
    /// that the user's token is limited to.
    fn is_related(&self, wanted: &RelationTemplate) -> Result<(), Otherwise> {
        let user = self.user(Denial::PermissionDenied)?;
        let id = self.object_id(&wanted.id)?;
        if !Object::is_id(id) {
            return Err(Denial::PermissionDenied.into());
        }
        // A group of any workspace may stand in the tuples of a service.
        if !self.known.covers(&wanted.service, None) {
            let kind = wanted.object_type.split_once('/').map_or("", |(_, kind)| kind);
            let question = Question::Relation {
                workspace: user.workspace,
                user: user.id,
                service: wanted.service.clone(),
                object_type: kind.to_owned(),
                object_id: id.to_owned(),
                relation: wanted.relation.clone(),
            };
            return self.ask(question, Denial::PermissionDenied);
        }
        let relation = self.known.relation(wanted).map_err(|_| Denial::ModelMismatch)?;
        let member = self.found(Denial::PermissionDenied)?.member();
        let is = member.is_related(self.known.now(), &relation, id);
        holds(is.map_err(|error| undecidable(&error))?, Denial::PermissionDenied)
    }

    /// Whether everything is known here that answers questions about what Sentinel keeps for a service.
    fn covers(&self, user: &User, service: &ServiceName) -> bool {
        self.known.covers(service, Some(user.workspace)) && self.known.covers_people(user.workspace)
    }

    /// What the control plane said to a question, or that it has to be asked.
    fn ask(&self, question: Question, otherwise: Denial) -> Result<(), Otherwise> {
        match self.known.answer_to(&question) {
            Some(Verdict::Yes) => Ok(()),
            Some(Verdict::No) => Err(otherwise.into()),
            Some(Verdict::Undecidable) => Err(Denial::Undecidable.into()),
            None => Err(Otherwise::Open(vec![question])),
        }
    }

    fn object_id<'t>(&'t self, id: &'t IdTemplate) -> Result<&'t str, Denial> {
        object_id(self.route, self.target, id)
    }

    fn user(&self, otherwise: Denial) -> Result<&User, Denial> {
        self.principal.user().ok_or(otherwise)
    }

    fn found(&self, otherwise: Denial) -> Result<&FoundUser<'_>, Denial> {
        self.found.as_ref().ok_or(otherwise)
    }
}

/// The id of the object that a request is about.
pub(super) fn object_id<'t>(
    route: &Route,
    target: &'t Target,
    id: &'t IdTemplate,
) -> Result<&'t str, Denial> {
    match id {
        IdTemplate::Literal(id) => Ok(id),
        // A parameter that the path does not have is a defect of the policy, and opens nothing.
        IdTemplate::Param(name) => route.param(name, target).ok_or(Denial::Internal),
    }
}

/// Nothing is asked twice: only so many questions go together, and a route is counted by the different ones.
fn also(open: &mut Vec<Question>, more: Vec<Question>) {
    for question in more {
        if !open.contains(&question) {
            open.push(question);
        }
    }
}

/// Whether the user has at least this role in the workspace of his token.
pub(super) fn role_question(user: &User, least: WorkspaceRole) -> Question {
    Question::Role {
        workspace: user.workspace,
        user: user.id,
        least,
    }
}

/// An error of the engine is neither a yes nor a no.
pub(super) fn undecidable(error: &CheckError) -> Denial {
    match error {
        CheckError::UnknownType(_) | CheckError::UnknownRelation { .. } => Denial::ModelMismatch,
        _ => Denial::Undecidable,
    }
}

fn holds(condition: bool, otherwise: Denial) -> Result<(), Otherwise> {
    if condition { Ok(()) } else { Err(otherwise.into()) }
}
