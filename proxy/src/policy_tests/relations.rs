//! The relations of services' own models that hold in a test.

use sentinel_authz::{InvalidTupleForModel, Model, sentinel};
use sentinel_config::edge::TestRelation;
use sentinel_core::id::{UserId, WorkspaceId};
use sentinel_core::tuple::InvalidTuple;
use sentinel_core::{Denial, Object, Subject, Tuple};

use crate::relations::says_workspace;

/// Why what a test says about its caller cannot be so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Untrue {
    /// The model does not have it.
    #[error(transparent)]
    Model(#[from] InvalidTupleForModel),
    /// It cannot be written as tuples.
    #[error(transparent)]
    Tuple(#[from] InvalidTuple),
    /// A defect of this program.
    #[error(transparent)]
    Defect(#[from] Denial),
}

/// The tuples that a test names, about this user, and the ones that go without saying: its objects are in his workspace.
///
/// # Errors
/// What is named is no tuple.
pub(super) fn tuples(
    relations: &[TestRelation],
    model: &Model,
    user: UserId,
    workspace: WorkspaceId,
) -> Result<Vec<Tuple>, InvalidTuple> {
    let mut tuples = Vec::new();
    for relation in relations {
        let himself = || Subject::Object(sentinel::user(user));
        let subject = relation.subject.clone().unwrap_or_else(himself);
        tuples.push(Tuple::new(relation.object.clone(), &relation.relation, subject)?);
    }
    let mut homeless: Vec<&Object> = Vec::new();
    for object in relations.iter().flat_map(named) {
        let has_home = relations
            .iter()
            .any(|other| other.object == *object && other.relation == "workspace");
        if !has_home && !homeless.contains(&object) && says_workspace(model, object.kind()) {
            homeless.push(object);
        }
    }
    let home = Subject::Object(sentinel::workspace(workspace));
    for object in homeless {
        tuples.push(Tuple::new(object.clone(), "workspace", home.clone())?);
    }
    Ok(tuples)
}

/// The objects that a relation names: others may have their workspace from the one that it leads to.
fn named(relation: &TestRelation) -> impl Iterator<Item = &Object> {
    let other = match &relation.subject {
        Some(Subject::Object(object) | Subject::Userset(object, _)) => Some(object),
        _ => None,
    };
    [Some(&relation.object), other].into_iter().flatten()
}
