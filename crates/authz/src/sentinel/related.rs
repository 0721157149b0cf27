//! Relations of services' own models, found once for all questions under one model.

use std::sync::Arc;

use crate::model::{RelationId, TypeId};
use crate::{CheckError, Model};

/// A relation of a type of a service's own model. It may be kept: where the graph that is asked has another model by now,
/// the names are looked up again.
#[derive(Debug, Clone)]
pub struct ServiceRelation {
    model: Arc<Model>,
    numbers: Numbers,
}

/// A type and its relations in numbers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Numbers {
    pub(super) kind: TypeId,
    pub(super) relation: RelationId,
    /// The relation to the workspace that an object belongs to, if it has to be the member's.
    pub(super) workspace: Option<RelationId>,
}

impl ServiceRelation {
    /// The relation of a type, which is called `service/type`. `in_workspace` says that the objects belong to workspaces:
    /// then they have to stand in the relation `workspace` to the member's.
    ///
    /// # Errors
    ///
    /// The model lacks it.
    pub fn find(
        model: &Arc<Model>,
        object_type: &str,
        relation: &str,
        in_workspace: bool,
    ) -> Result<Self, CheckError> {
        let kind = model.ask_type(object_type)?;
        let belongs = in_workspace.then(|| model.ask_relation(kind, "workspace"));
        Ok(Self {
            model: Arc::clone(model),
            numbers: Numbers {
                kind,
                relation: model.ask_relation(kind, relation)?,
                workspace: belongs.transpose()?,
            },
        })
    }

    /// The model that it was found in.
    pub fn model(&self) -> &Arc<Model> {
        &self.model
    }

    /// The same in a graph's model.
    pub(super) fn numbers_in(&self, model: &Arc<Model>) -> Result<Numbers, CheckError> {
        if Arc::ptr_eq(&self.model, model) {
            return Ok(self.numbers);
        }
        let Numbers {
            kind,
            relation,
            workspace,
        } = self.numbers;
        // What was found has a name.
        let kind = self.model.kind(kind).map_or("", |kind| &*kind.name);
        let relation = self
            .model
            .relation(relation)
            .map_or("", |relation| &*relation.name);
        Self::find(model, kind, relation, workspace.is_some()).map(|found| found.numbers)
    }
}
