//! What a decision is made by, and how far it goes.

use std::borrow::Cow;

use sentinel_authz::Graph;
use sentinel_authz::sentinel::ServiceRelation;
use sentinel_config::edge::RelationTemplate;
use sentinel_core::id::WorkspaceId;
use sentinel_core::name::ServiceName;
use sentinel_core::{Timestamp, WorkspaceRole};
use sentinel_feed::{Answers, Question, ReplicaState, Verdict};

use crate::relations::{Misfit, Relations, fit};

/// What a decision is made by. Nothing in it changes.
#[derive(Debug, Clone, Copy)]
pub struct Knowledge<'a> {
    graph: &'a Graph,
    /// Where the graph has not everything: how far it goes.
    state: Option<&'a ReplicaState>,
    relations: Option<&'a Relations>,
    answered: Option<&'a Answered>,
    now: Timestamp,
    credentials_at: Timestamp,
}

/// What the control plane said of somebody's place in a workspace.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told {
    /// His role; `None` if he is no member.
    pub(super) role: Option<WorkspaceRole>,
}

/// Questions that the replica could not answer, and what the control plane said to them, all at one revision.
#[derive(Debug, Clone)]
pub struct Answered {
    /// The questions. All are about one user in one workspace.
    pub questions: Vec<Question>,
    /// An answer for each.
    pub answers: Answers,
}

impl<'a> Knowledge<'a> {
    /// A graph beside which there is nothing.
    pub fn whole(graph: &'a Graph, now: Timestamp) -> Self {
        Self {
            graph,
            state: None,
            relations: None,
            answered: None,
            now,
            credentials_at: now,
        }
    }

    /// A replica, which may be a part of what the control plane knows.
    pub fn replica(state: &'a ReplicaState, now: Timestamp) -> Self {
        Self {
            state: Some(state),
            ..Self::whole(state.graph(), now)
        }
    }

    /// The same, where it was found out before what the policy's relations are in its model.
    #[must_use]
    pub fn with_relations(self, relations: &'a Relations) -> Self {
        Self {
            relations: Some(relations),
            ..self
        }
    }

    /// The same with what the control plane said.
    #[must_use]
    pub fn with_answers(self, answered: &'a Answered) -> Self {
        Self {
            answered: Some(answered),
            ..self
        }
    }

    /// The same, where the caller's credentials have to be good at another moment than now: the one at which an exchange
    /// began that is still open.
    #[must_use]
    pub fn with_credentials_at(self, credentials_at: Timestamp) -> Self {
        Self {
            credentials_at,
            ..self
        }
    }

    /// The relations.
    pub fn graph(&self) -> &'a Graph {
        self.graph
    }

    /// The present moment.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// When the caller's credentials have to be good.
    pub(super) fn credentials_at(&self) -> Timestamp {
        self.credentials_at
    }

    /// Whether everything about the members, groups and roles of a workspace is known here.
    pub(super) fn covers_people(&self, workspace: WorkspaceId) -> bool {
        self.state.is_none_or(|state| state.covers_people(workspace))
    }

    /// Whether everything about a service in a workspace is known here; with `None`, in all workspaces.
    pub(super) fn covers(&self, service: &ServiceName, workspace: Option<WorkspaceId>) -> bool {
        self.state.is_none_or(|state| state.covers(service, workspace))
    }

    /// What a relation is in the model of the graph.
    pub(super) fn relation(&self, wanted: &RelationTemplate) -> Result<Cow<'a, ServiceRelation>, Misfit> {
        let model = self.graph.model();
        match self.relations.filter(|relations| relations.are_of(model)) {
            Some(relations) => relations.find(wanted).map(Cow::Borrowed),
            None => fit(model, wanted).map(Cow::Owned),
        }
    }

    /// What the control plane said to a question; `None` if it was not asked.
    pub(super) fn answer_to(&self, question: &Question) -> Option<Verdict> {
        let Answered { questions, answers } = self.answered?;
        let asked = questions.iter().zip(&answers.answers);
        let mut found = asked.filter(|(asked, _)| *asked == question);
        found.next().map(|(_, answer)| answer.verdict)
    }

    /// The user's role in his workspace as the control plane said it: none if he is no member. `None` if it was not asked.
    pub(super) fn role_told(&self) -> Option<Told> {
        let answers = &self.answered?.answers.answers;
        answers.first().map(|answer| Told { role: answer.role })
    }
}
