//! Lists against checks: complete, in order, in pages, and with what has no answer beside them.

use proptest::prelude::*;
use sentinel_core::{Object, Subject};

use super::model::Schema;
use super::naive::World;
use super::{IDS, STRANGER, USERS, user};
use crate::{At, Listed, ObjectsQuery, Page, Query, SubjectsQuery};

/// Every list about a user.
pub(super) fn assert_lists(schema: &Schema, at: At<'_>, world: &World<'_>) -> Result<(), TestCaseError> {
    for subject in USERS.into_iter().chain([STRANGER]).map(user) {
        assert_objects(schema, at, world, &subject)?;
    }
    for (kind, relation, _) in schema.relations() {
        for id in IDS {
            let wanted = SubjectsQuery {
                object_type: kind,
                object_id: id,
                relation,
                subject_type: "user",
                subject_relation: None,
            };
            let listed = whole(|page| at.list_subjects(&wanted, page).expect("a list"))?;
            let object = Object::new(kind, id).expect("an object");
            let check = |user: &Subject| at.check(&Query::new(&object, relation, user));
            let everyone = listed.ids.iter().any(|id| id == "*");
            for id in USERS {
                let holds = check(&user(id));
                let is_listed = listed.ids.iter().any(|listed| listed == id);
                let is_undecided = listed.undecided.iter().any(|(listed, _)| listed == id);
                prop_assert!(
                    !is_listed || holds == Ok(true),
                    "{} is no {} of {}",
                    id,
                    relation,
                    object
                );
                prop_assert!(!is_undecided || holds.is_err());
                prop_assert!(
                    is_listed || everyone || holds != Ok(true),
                    "{} is {} of {}",
                    id,
                    relation,
                    object
                );
            }
            prop_assert_eq!(everyone, check(&user(STRANGER)) == Ok(true));
            prop_assert_eq!(everyone, check(&Subject::Wildcard("user".to_owned())) == Ok(true));
        }
    }
    Ok(())
}

/// Every list of objects for one subject.
pub(super) fn assert_objects(
    schema: &Schema,
    at: At<'_>,
    world: &World<'_>,
    subject: &Subject,
) -> Result<(), TestCaseError> {
    let mut meaning = None;
    for (kind, relation, _) in schema.relations() {
        let any = Object::new(kind, "a").expect("an object");
        let asked = Query::new(&any, relation, subject);
        let list = |id_prefix, page: Page<'_>| {
            let wanted = ObjectsQuery {
                object_type: kind,
                id_prefix,
                relation,
                subject_type: asked.subject_type,
                subject_id: asked.subject_id,
                subject_relation: asked.subject_relation,
            };
            at.list_objects(&wanted, page).expect("a list")
        };
        let listed = whole(|page| list("", page))?;
        for id in IDS {
            let answer = at.check(&Query {
                object_id: id,
                ..asked
            });
            let is_listed = listed.ids.iter().any(|listed| listed == id);
            prop_assert_eq!(is_listed, answer == Ok(true), "{} of {}", relation, id);
            let undecided = listed.undecided.iter().find(|(listed, _)| listed == id);
            if let Some((_, error)) = undecided {
                prop_assert_eq!(answer, Err(error.clone()));
            } else if answer.is_err() {
                // Nothing leads there.
                let object = Object::new(kind, id).expect("an object");
                let meaning = meaning.get_or_insert_with(|| world.meaning(subject));
                prop_assert!(!meaning.at_most[world.place(&object, relation)]);
            }
        }
        let mut begins = listed;
        begins.ids.retain(|id| id.starts_with("x/"));
        begins.undecided.retain(|(id, _)| id.starts_with("x/"));
        prop_assert_eq!(list("x/", Page::ALL), begins);
    }
    Ok(())
}

/// Every list of usersets of one kind.
pub(super) fn assert_usersets(
    schema: &Schema,
    at: At<'_>,
    subject_kind: &str,
    subject_relation: &str,
) -> Result<(), TestCaseError> {
    for (kind, relation, _) in schema.relations() {
        for id in IDS {
            let wanted = SubjectsQuery {
                object_type: kind,
                object_id: id,
                relation,
                subject_type: subject_kind,
                subject_relation: Some(subject_relation),
            };
            let listed = whole(|page| at.list_subjects(&wanted, page).expect("a list"))?;
            for subject_id in IDS {
                let answer = at.check(&Query {
                    object_type: kind,
                    object_id: id,
                    relation,
                    subject_type: subject_kind,
                    subject_id,
                    subject_relation: Some(subject_relation),
                });
                let is_listed = listed.ids.iter().any(|listed| listed == subject_id);
                prop_assert_eq!(is_listed, answer == Ok(true), "{:?} {}", wanted, subject_id);
            }
        }
    }
    Ok(())
}

/// The whole list, which is the same as all its pages.
fn whole(list: impl Fn(Page<'_>) -> Listed) -> Result<Listed, TestCaseError> {
    let all = list(Page::ALL);
    prop_assert!(all.ids.is_sorted() && all.undecided.is_sorted_by_key(|(id, _)| id.clone()) && !all.more);
    for limit in [1, 2] {
        let mut paged = Listed::default();
        let mut after: Option<String> = None;
        loop {
            let page = list(Page {
                after: after.as_deref(),
                limit,
            });
            let size = page.ids.len() + page.undecided.len();
            prop_assert!(size <= limit && (size == limit || !page.more));
            prop_assert_eq!(page.more, page.next.is_some());
            after = page.next;
            paged.ids.extend(page.ids);
            paged.undecided.extend(page.undecided);
            if !page.more {
                break;
            }
        }
        prop_assert_eq!(&paged, &all);
    }
    Ok(all)
}
