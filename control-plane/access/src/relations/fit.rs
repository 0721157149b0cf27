//! Which tuples a service may write: about its own objects, of its own model, with subjects that can exist.

use sentinel_authz::{InvalidTupleForModel, Model, sentinel};
use sentinel_core::name::ServiceName;
use sentinel_core::{Object, Subject, Tuple};
use uuid::Uuid;

/// The longest id of an object in a service's tuples, in bytes.
pub const MAX_ID: usize = 512;

/// A tuple that the service may not write.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Misplaced {
    /// The object is of a type of Sentinel's or of another service.
    #[error("`{0}` is not a type of this service: only its own objects are written about")]
    ForeignObject(String),
    /// The subject is of a type of another service, or one of Sentinel's that is nobody.
    #[error(
        "`{0}` cannot be the type of a subject: the service's own types, `user`, `workspace`, `group` and `role` can"
    )]
    ForeignSubject(String),
    /// The subject is one of Sentinel's, whose id is none that Sentinel gives.
    #[error("`{0}` is not an id of Sentinel's: a UUID is expected, in lower case and with hyphens")]
    Id(String),
    /// An id is too long.
    #[error("an id has {0} bytes, and at most {MAX_ID} are accepted")]
    TooLong(usize),
    /// The model does not allow it.
    #[error(transparent)]
    Model(#[from] InvalidTupleForModel),
}

/// Whether a service with this model may write the tuple.
pub(super) fn check(service: &ServiceName, model: &Model, tuple: &Tuple) -> Result<(), Misplaced> {
    is_placed(service, tuple)?;
    Ok(model.validate(tuple)?)
}

/// Whether a tuple is one that the service can speak of at all, whatever its model: about an object of its own, with a
/// subject that can exist. What comes with a question is held to it as what is stored.
///
/// # Errors
/// What it is not.
pub fn is_placed(service: &ServiceName, tuple: &Tuple) -> Result<(), Misplaced> {
    let object = tuple.object();
    if own_name(service, object.kind()).is_none() {
        return Err(Misplaced::ForeignObject(object.kind().to_owned()));
    }
    short(object)?;
    match tuple.subject() {
        Subject::Object(subject) | Subject::Userset(subject, _) => {
            if own_name(service, subject.kind()).is_some() {
                short(subject)?;
            } else if !sentinel::is_subject_type(subject.kind()) {
                return Err(Misplaced::ForeignSubject(subject.kind().to_owned()));
            } else if !is_our_id(subject.id()) {
                return Err(Misplaced::Id(subject.id().chars().take(64).collect()));
            }
        }
        Subject::Wildcard(kind) => {
            if own_name(service, kind).is_none() && !sentinel::is_subject_type(kind) {
                return Err(Misplaced::ForeignSubject(kind.clone()));
            }
        }
    }
    Ok(())
}

/// The own name of one of the service's types: `docs/folder` is `folder`.
pub(super) fn own_name<'k>(service: &ServiceName, kind: &'k str) -> Option<&'k str> {
    kind.strip_prefix(service.as_str())
        .and_then(|rest| rest.strip_prefix('/'))
}

fn short(object: &Object) -> Result<(), Misplaced> {
    match object.id().len() {
        length if length > MAX_ID => Err(Misplaced::TooLong(length)),
        _ => Ok(()),
    }
}

/// Whether it is an id as tuples have ours: two spellings of one would be two subjects.
fn is_our_id(id: &str) -> bool {
    Uuid::try_parse(id).is_ok_and(|uuid| uuid.hyphenated().to_string() == id)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODEL: &str = "model
  schema 1.1
type user
type team
  relations
    define member: [user, group#member, role#assignee]
type folder
  relations
    define viewer: [user, user:*, team#member]";

    #[test]
    fn a_service_writes_about_its_own_with_subjects_that_can_exist() {
        let docs: ServiceName = "docs".parse().expect("a name");
        let model = sentinel::model_with([(&docs, MODEL)]).expect("a model");
        let id = Uuid::from_u128(0xab);
        let long = "x".repeat(MAX_ID);
        for good in [
            format!("docs/folder:1#viewer@user:{id}"),
            format!("docs/folder:{long}#viewer@docs/team:{long}#member"),
            format!("docs/team:1#member@group:{id}#member"),
            format!("docs/team:1#member@role:{id}#assignee"),
            "docs/folder:1#viewer@user:*".to_owned(),
        ] {
            let tuple = good.parse().expect("a tuple");
            assert_eq!(check(&docs, &model, &tuple), Ok(()), "{good}");
        }
        for (bad, message) in [
            (
                format!("wiki/folder:1#viewer@user:{id}"),
                "not a type of this service",
            ),
            (
                format!("group:{id}#member@user:{id}"),
                "not a type of this service",
            ),
            ("docs/folder:1#viewer@user:ann".to_owned(), "a UUID is expected"),
            (
                format!("docs/folder:1#viewer@user:{}", id.to_string().to_uppercase()),
                "a UUID is expected",
            ),
            (
                format!("docs/folder:1#viewer@user:{}", id.simple()),
                "a UUID is expected",
            ),
            (
                format!("docs/folder:1#viewer@resource:wiki/page/{id}"),
                "cannot be the type of a subject",
            ),
            (
                "docs/folder:1#viewer@wiki/team:1#member".to_owned(),
                "cannot be the type of a subject",
            ),
            (
                "docs/folder:1#viewer@resource:*".to_owned(),
                "cannot be the type of a subject",
            ),
            (format!("docs/folder:{long}x#viewer@user:{id}"), "at most 512"),
            (format!("docs/folder:1#owner@user:{id}"), "no relation `owner`"),
        ] {
            let tuple = bad.parse().expect("a tuple");
            let error = check(&docs, &model, &tuple).expect_err(&bad).to_string();
            assert!(error.contains(message), "{bad}: {error}");
        }
    }
}
