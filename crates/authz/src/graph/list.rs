//! Lists: to what a subject stands in a relation, and who stands in a relation to an object.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::index::Index;
use super::trace::Untraced;
use super::{Found, Graph, reach};
use crate::model::RelationId;
use crate::{CheckError, Page};

impl Graph {
    /// The ids of all objects of a type whose id begins with `id_prefix` and to which the subject stands in the
    /// relation: every object that [`Graph::check`] says yes to, in byte order.
    ///
    /// # Errors
    ///
    /// The model does not know the names.
    pub fn list_objects(
        &self,
        object_type: &str,
        id_prefix: &str,
        relation: &str,
        subject_type: &str,
        subject_id: &str,
        page: Page<'_>,
    ) -> Result<Vec<String>, CheckError> {
        let [subject] = self.find([(subject_type, subject_id)])?;
        self.list_objects_where(object_type, id_prefix, relation, subject, page, |_| true)
    }

    /// The same for those objects that a further condition holds for.
    pub(crate) fn list_objects_where(
        &self,
        object_type: &str,
        id_prefix: &str,
        relation: &str,
        subject: Found,
        page: Page<'_>,
        condition: impl Fn(Found) -> bool,
    ) -> Result<Vec<String>, CheckError> {
        let state = &self.inner.state;
        let kind = state.model.ask_type(object_type)?;
        let relation = state.model.ask_relation(kind, relation)?;
        let wanted =
            |id: &String| id.starts_with(id_prefix) && page.after.is_none_or(|after| id.as_str() > after);
        let candidates = reach::objects(state, self.index(), relation, self.who(subject));
        let mut ordered: BinaryHeap<_> = candidates
            .into_iter()
            .filter_map(|number| Some(Reverse((state.names.id(number).filter(wanted)?, number))))
            .collect();
        let mut found = Vec::new();
        while found.len() < page.limit
            && let Some(Reverse((id, number))) = ordered.pop()
        {
            let object = Found {
                kind,
                number: Some(number),
            };
            if condition(object) && self.is_yes(object, relation, subject) {
                found.push(id);
            }
        }
        Ok(found)
    }

    /// The ids of all subjects of a type that stand in the relation to the object, in byte order. Where a tuple such
    /// as `user:*` gives the relation to everyone, `*` is among them: it stands for all those whom no tuple on the way
    /// mentions, and who is mentioned is listed if it holds for him.
    ///
    /// # Errors
    ///
    /// The model does not know the names.
    pub fn list_subjects(
        &self,
        object_type: &str,
        object_id: &str,
        relation: &str,
        subject_type: &str,
    ) -> Result<Vec<String>, CheckError> {
        let state = &self.inner.state;
        let [object] = self.find([(object_type, object_id)])?;
        let relation = state.model.ask_relation(object.kind, relation)?;
        let kind = state.model.ask_type(subject_type)?;
        let Some(number) = object.number else {
            return Ok(Vec::new());
        };
        let mut found: Vec<String> = reach::subjects(state, self.index(), number, relation, kind)
            .into_iter()
            .map(|number| Found {
                kind,
                number: Some(number),
            })
            .filter(|subject| self.is_yes(object, relation, *subject))
            .filter_map(|subject| state.names.id(subject.number?))
            .collect();
        found.sort_unstable();
        Ok(found)
    }

    /// An error is a no, here as in a check.
    fn is_yes(&self, object: Found, relation: RelationId, subject: Found) -> bool {
        let answer = self.search(object, relation, subject, Untraced);
        answer.is_ok_and(|(holds, _)| holds)
    }

    fn index(&self) -> &Index {
        self.inner.index.get_or_init(|| Index::new(&self.inner.state))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use sentinel_core::Tuple;

    use crate::{Graph, Model, TupleChange};

    #[test]
    fn where_everyone_has_a_relation_those_who_are_mentioned_are_listed_one_by_one() {
        let model = Model::parse(
            "model
               schema 1.1
             type user
             type doc
               relations
                 define pardoned: [user]
                 define banned: [user, user:*] but not pardoned
                 define reader: [user, user:*] but not banned",
        );
        let empty = Graph::new(Arc::new(model.expect("a model")));
        let readers = |texts: &[&str]| {
            let tuples: Vec<Tuple> = texts.iter().map(|text| text.parse().expect("a tuple")).collect();
            let graph = empty
                .apply(tuples.iter().map(TupleChange::Put))
                .expect("allowed tuples");
            graph
                .list_subjects("doc", "1", "reader", "user")
                .expect("a list")
                .join(" ")
        };
        let everyone = "doc:1#reader@user:*";
        assert_eq!(readers(&[everyone]), "*");
        assert_eq!(
            readers(&[everyone, "doc:1#banned@user:ann", "doc:1#reader@user:bob"]),
            "* bob"
        );
        assert_eq!(
            readers(&[everyone, "doc:1#banned@user:*", "doc:1#pardoned@user:ann"]),
            "ann"
        );
        assert_eq!(readers(&[everyone, "doc:1#banned@user:*"]), "");
    }
}
