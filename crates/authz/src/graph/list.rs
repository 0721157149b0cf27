//! Lists: to what a subject stands in a relation, and who stands in a relation to an object.
//!
//! What tuples lead to is gathered first, in numbers; then as many are checked, in the order of their ids, as a page
//! takes. What nothing leads to does not hold, also where a check of it would give up on the way.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::at::Asked;
use super::bounds::{Bounds, Budget};
use super::index::Index;
use super::search::{UNMENTIONED, Who};
use super::{At, Found, Graph, reach};
use crate::model::TypeId;
use crate::{CheckError, ObjectsQuery, Page, SubjectsQuery};

/// How many steps one page of a list takes: those of its checks, and one for each id that is looked at.
const PAGE_STEPS: usize = 1 << 20;

/// A part of a list, in byte order. No id is left out in silence: where a check gave no answer, that is said.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listed {
    /// The ids that the answer is yes for.
    pub ids: Vec<String>,
    /// Those of which it is not known, each with the reason. They are no part of the list; they count as a no, and in the
    /// page's limit.
    pub undecided: Vec<(String, CheckError)>,
    /// Whether there may be another id behind these. A page ends when it is full, and also when it has cost as much as
    /// the engine spends on one: it may then be short, or empty, and the next one goes on from where it ended.
    pub more: bool,
    /// Where the next page begins, if there is more: behind this id, which is the last one that was looked at and need
    /// not be in the list.
    pub next: Option<String>,
}

impl Listed {
    /// Where the next page begins: behind this id. Where there is no more, the last one in the list.
    pub fn last(&self) -> Option<&str> {
        if let Some(next) = &self.next {
            return Some(next);
        }
        let undecided = self.undecided.last().map(|(id, _)| id.as_str());
        self.ids.last().map(String::as_str).max(undecided)
    }

    fn len(&self) -> usize {
        self.ids.len().saturating_add(self.undecided.len())
    }
}

impl At<'_> {
    /// The ids of all objects that [`At::check`] says yes to.
    ///
    /// # Errors
    ///
    /// The model does not know the names.
    pub fn list_objects(self, query: &ObjectsQuery<'_>, page: Page<'_>) -> Result<Listed, CheckError> {
        self.list_objects_for(query, page, &Budget::new(PAGE_STEPS))
    }

    /// The same where the steps that it takes are paid.
    pub(super) fn list_objects_for(
        self,
        query: &ObjectsQuery<'_>,
        page: Page<'_>,
        budget: &Budget,
    ) -> Result<Listed, CheckError> {
        let [subject] = self.graph.find([(query.subject_type, query.subject_id)])?;
        let mut who = self.who(subject, query.subject_id, query.subject_relation)?;
        // A userset stands in its own relation, also where no tuple mentions it.
        let own = query.object_type == query.subject_type && query.subject_relation.is_some();
        if own && who.number.is_none() {
            who.number = Some(UNMENTIONED);
        }
        let own = own.then_some(query.subject_id);
        self.objects(query, own, who, page, budget, |asked| self.is_for(asked, budget))
    }

    /// The same for one subject and those objects that a further condition holds for. An error is a no here: none is
    /// undecided, and the page ends when it is full only.
    pub(crate) fn list_objects_where(
        self,
        query: &ObjectsQuery<'_>,
        subject: Found,
        page: Page<'_>,
        condition: impl Fn(Found) -> bool,
    ) -> Result<Listed, CheckError> {
        let kind = self.graph.inner.state.model.ask_type(query.object_type)?;
        let budget = Budget::new(usize::MAX);
        self.objects(query, None, self.graph.who(subject), page, &budget, |asked| {
            let object = Found {
                kind,
                number: asked.object,
            };
            Ok(condition(object) && self.is(asked, Bounds::ENGINE).unwrap_or(false))
        })
    }

    /// `own` is the id of the object that the subject is a userset of.
    fn objects(
        self,
        query: &ObjectsQuery<'_>,
        own: Option<&str>,
        who: Who,
        page: Page<'_>,
        budget: &Budget,
        check: impl Fn(Asked) -> Result<bool, CheckError>,
    ) -> Result<Listed, CheckError> {
        let state = &self.graph.inner.state;
        let kind = state.model.ask_type(query.object_type)?;
        let relation = state.model.ask_relation(kind, query.relation)?;
        let (candidates, looked_at) = reach::objects(state, self.graph.index(), relation, who);
        let named = candidates.into_iter().filter_map(|number| {
            let id = match own {
                Some(own) if number == UNMENTIONED => Some(own.to_owned()),
                _ => state.names.id(number),
            };
            Some((id?, number))
        });
        let begins = named.filter(|(id, _)| id.starts_with(query.id_prefix));
        let listed = paged(begins, page, budget, |number| {
            check(Asked {
                object: Some(number),
                relation,
                who,
            })
        });
        // What was gathered is needed for a page of any size, and it is paid when the page has its own.
        budget.spend(looked_at);
        Ok(listed)
    }

    /// The ids of all subjects of a type that stand in the relation to the object. Where a tuple such as `user:*` gives
    /// the relation to everyone, `*` is among them: it stands for all those whom no tuple on the way mentions, and who
    /// is mentioned is listed if it holds for him. Of usersets, those are listed that tuples on the way mention.
    ///
    /// # Errors
    ///
    /// The model does not know the names.
    pub fn list_subjects(self, query: &SubjectsQuery<'_>, page: Page<'_>) -> Result<Listed, CheckError> {
        self.list_subjects_for(query, page, &Budget::new(PAGE_STEPS))
    }

    /// The same where the steps that it takes are paid.
    pub(super) fn list_subjects_for(
        self,
        query: &SubjectsQuery<'_>,
        page: Page<'_>,
        budget: &Budget,
    ) -> Result<Listed, CheckError> {
        let state = &self.graph.inner.state;
        let [object] = self.graph.find([(query.object_type, query.object_id)])?;
        let relation = state.model.ask_relation(object.kind, query.relation)?;
        let kind = state.model.ask_type(query.subject_type)?;
        let number = match (object.number, query.subject_relation) {
            (Some(number), _) => number,
            // Only its own usersets may stand in a relation to it.
            (None, Some(_)) if kind == object.kind => UNMENTIONED,
            (None, _) => {
                self.subject(kind, query.subject_relation, UNMENTIONED)?;
                return Ok(Listed::default());
            }
        };
        let userset = self.subject(kind, query.subject_relation, number)?.userset;
        let candidates = reach::subjects(state, self.graph.index(), number, relation, kind, userset);
        let named = candidates.into_iter().filter_map(|number| {
            let id = match number {
                UNMENTIONED => Some(query.object_id.to_owned()),
                _ => state.names.id(number),
            };
            Some((id?, number))
        });
        Ok(paged(named, page, budget, |subject| {
            let asked = Asked {
                object: Some(number),
                relation,
                who: self.subject(kind, query.subject_relation, subject)?,
            };
            self.is_for(asked, budget)
        }))
    }

    fn subject(self, kind: TypeId, userset: Option<&str>, number: u32) -> Result<Who, CheckError> {
        let subject = Found {
            kind,
            number: Some(number),
        };
        self.who(subject, "", userset)
    }
}

/// One page of those that a check says yes to or has no answer for.
fn paged(
    candidates: impl Iterator<Item = (String, u32)>,
    page: Page<'_>,
    budget: &Budget,
    check: impl Fn(u32) -> Result<bool, CheckError>,
) -> Listed {
    let behind = candidates.filter(|(id, _)| page.after.is_none_or(|after| id.as_str() > after));
    let mut all: Vec<_> = behind.map(Reverse).collect();
    if page.limit < all.len() {
        // Only those that the page takes have to be in order.
        let mut ordered = BinaryHeap::from(all);
        take(std::iter::from_fn(|| ordered.pop()), page.limit, budget, check)
    } else {
        all.sort_unstable_by(|a, b| b.cmp(a));
        take(all.into_iter(), page.limit, budget, check)
    }
}

fn take(
    ordered: impl Iterator<Item = Reverse<(String, u32)>>,
    limit: usize,
    budget: &Budget,
    check: impl Fn(u32) -> Result<bool, CheckError>,
) -> Listed {
    let mut listed = Listed::default();
    let mut last = None;
    for Reverse((id, number)) in ordered {
        // One is looked at in any case: every page goes on.
        if budget.is_spent() && last.is_some() {
            listed.more = true;
            break;
        }
        let answer = check(number);
        budget.spend(1);
        if answer != Ok(false) {
            if listed.len() >= limit {
                listed.more = true;
                break;
            }
            match answer {
                Ok(_) => listed.ids.push(id.clone()),
                Err(error) => listed.undecided.push((id.clone(), error)),
            }
        }
        last = Some(id);
    }
    listed.next = last.filter(|_| listed.more);
    listed
}

impl Graph {
    pub(super) fn index(&self) -> &Index {
        let inner = &self.inner;
        let make = || match &inner.behind {
            Some(behind) => behind.index(),
            None => Index::new(&inner.state),
        };
        inner.index.get_or_init(make)
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;
    use std::sync::Arc;

    use sentinel_core::Tuple;

    use super::*;
    use crate::{Model, TupleChange, sentinel};

    fn graph(model: &str, tuples: impl IntoIterator<Item = String>) -> Graph {
        let tuples: Vec<Tuple> = tuples
            .into_iter()
            .map(|text| text.parse().expect("a tuple"))
            .collect();
        Graph::new(Arc::new(Model::parse(model).expect("a model")))
            .apply(tuples.iter().map(TupleChange::Put))
            .expect("allowed tuples")
    }

    #[test]
    fn where_everyone_has_a_relation_those_who_are_mentioned_are_listed_one_by_one() {
        let model = "model
               schema 1.1
             type user
             type doc
               relations
                 define pardoned: [user]
                 define banned: [user, user:*] but not pardoned
                 define reader: [user, user:*] but not banned";
        let readers = |texts: &[&str]| {
            let graph = graph(model, texts.iter().map(|text| (*text).to_owned()));
            let query = SubjectsQuery {
                object_type: "doc",
                object_id: "1",
                relation: "reader",
                subject_type: "user",
                subject_relation: None,
            };
            let listed = graph.timeless().list_subjects(&query, Page::ALL);
            listed.expect("a list").ids.join(" ")
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

    const GROUPS: &str = "model
           schema 1.1
         type user
         type group
           relations
             define out: [user, group#member]
             define member: [user, group#member] but not out
             define known: member or out";

    #[test]
    fn what_has_no_answer_is_named_beside_the_list_and_pages_go_on_behind_it() {
        let paradox = |id: &str| {
            [
                format!("group:{id}#member@user:ann"),
                format!("group:{id}#out@group:{id}#member"),
            ]
        };
        let plain = |id: &str| [format!("group:{id}#member@user:ann")];
        let tuples = plain("a")
            .into_iter()
            .chain(paradox("b"))
            .chain(plain("c"))
            .chain(paradox("d"));
        let graph = graph(GROUPS, tuples);
        let query = ObjectsQuery {
            object_type: "group",
            relation: "member",
            subject_type: "user",
            subject_id: "ann",
            ..ObjectsQuery::default()
        };
        let undecided = |id: &str| (id.to_owned(), CheckError::Paradox);
        let all = graph.timeless().list_objects(&query, Page::ALL).expect("a list");
        assert_eq!((all.ids.join(" ").as_str(), all.more), ("a c", false));
        assert_eq!(all.undecided, [undecided("b"), undecided("d")]);
        let mut pages = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let page = Page {
                after: after.as_deref(),
                limit: 3,
            };
            let listed = graph.timeless().list_objects(&query, page).expect("a list");
            after = listed.last().map(str::to_owned);
            let more = listed.more;
            pages.push((listed.ids.join(" "), listed.undecided, more));
            if !more {
                break;
            }
        }
        assert_eq!(
            pages,
            [
                ("a c".to_owned(), vec![undecided("b")], true),
                (String::new(), vec![undecided("d")], false)
            ]
        );
        let subjects = SubjectsQuery {
            object_type: "group",
            object_id: "b",
            relation: "member",
            subject_type: "user",
            subject_relation: None,
        };
        let listed = graph
            .timeless()
            .list_subjects(&subjects, Page::ALL)
            .expect("a list");
        assert_eq!((listed.ids.len(), listed.undecided), (0, vec![undecided("ann")]));
    }

    #[test]
    fn a_page_ends_when_it_has_cost_enough_and_the_next_one_goes_on_behind_it() {
        // Everyone is out of all groups but the last one.
        let tuples = (0..20).flat_map(|at| {
            let out = (at < 19).then(|| format!("group:{at:02}#out@user:ann"));
            out.into_iter().chain([format!("group:{at:02}#member@user:ann")])
        });
        let graph = graph(GROUPS, tuples);
        let at = graph.timeless();
        let groups = ObjectsQuery {
            object_type: "group",
            relation: "member",
            subject_type: "user",
            subject_id: "ann",
            ..ObjectsQuery::default()
        };
        let users = SubjectsQuery {
            object_type: "group",
            object_id: "19",
            relation: "known",
            subject_type: "user",
            subject_relation: None,
        };
        for (steps, least) in [(1, 20), (10, 2), (1_000, 1)] {
            let (mut pages, mut found, mut after) = (0, Vec::new(), None::<String>);
            loop {
                let page = Page {
                    after: after.as_deref(),
                    limit: 5,
                };
                let listed = at
                    .list_objects_for(&groups, page, &Budget::new(steps))
                    .expect("a list");
                pages += 1;
                assert_eq!(listed.more, listed.next.is_some());
                assert!(listed.next.is_none() || listed.next > after, "it goes on");
                assert_eq!(
                    listed.next.as_deref().or(listed.ids.last().map(String::as_str)),
                    listed.last()
                );
                found.extend(listed.ids);
                after = listed.next;
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(found, ["19"]);
            assert!(pages >= least && pages <= 20, "{pages} pages of {steps} steps");
        }
        let listed = at
            .list_subjects_for(&users, Page::ALL, &Budget::new(0))
            .expect("a list");
        assert_eq!((listed.ids.join(" ").as_str(), listed.more), ("ann", false));
    }

    #[test]
    fn a_list_of_a_relation_that_shares_parts_on_many_levels_ends() {
        let mut model = String::from(
            "model\n  schema 1.1\ntype user\ntype doc\n  relations\n    define a0: [user]\n    define b0: [user]\n",
        );
        for level in 1..=60 {
            for (name, joined) in [("a", "and"), ("b", "or")] {
                let below = level - 1;
                writeln!(
                    model,
                    "    define {name}{level}: (a{below} or b{below}) {joined} (b{below} and a{below})"
                )
                .expect("written");
            }
        }
        let graph = graph(
            &model,
            ["doc:1#a0@user:ann".to_owned(), "doc:1#b0@user:ann".to_owned()],
        );
        let query = ObjectsQuery {
            object_type: "doc",
            relation: "a60",
            subject_type: "user",
            subject_id: "ann",
            ..ObjectsQuery::default()
        };
        let listed = graph.timeless().list_objects(&query, Page::ALL).expect("a list");
        assert_eq!(listed.ids, ["1"]);
        let query = SubjectsQuery {
            object_type: "doc",
            object_id: "1",
            relation: "a60",
            subject_type: "user",
            subject_relation: None,
        };
        let listed = graph.timeless().list_subjects(&query, Page::ALL).expect("a list");
        assert_eq!(listed.ids, ["ann"]);
    }

    #[test]
    fn what_is_accessible_is_not_cut_short_by_an_error() {
        let id = |number: u32| format!("018f4e7a-0000-7000-8000-{number:012}");
        let (workspace, person) = (id(1), id(2));
        let deep = (100..220).map(|at| format!("group:{}#member@group:{}#member", id(at), id(at + 1)));
        let tuples = deep.chain([
            format!("workspace:{workspace}#viewer@user:{person}"),
            format!("group:{}#member@user:{person}", id(220)),
            format!("resource:docs/document/a#share_view@group:{}#member", id(100)),
            format!("resource:docs/document/b#share_view@user:{person}"),
            format!("resource:docs/document/a#workspace@workspace:{workspace}"),
            format!("resource:docs/document/b#workspace@workspace:{workspace}"),
        ]);
        let tuples: Vec<Tuple> = tuples.map(|text| text.parse().expect("a tuple")).collect();
        let graph = Graph::new(sentinel::model())
            .apply(tuples.iter().map(TupleChange::Put))
            .expect("allowed tuples");
        let page = Page {
            after: None,
            limit: 1,
        };
        let found = sentinel::accessible(
            &graph,
            workspace.parse().expect("an id"),
            person.parse().expect("an id"),
            &"docs".parse().expect("a name"),
            &"document".parse().expect("a name"),
            sentinel::Permission::View,
            page,
        );
        assert_eq!(found, Ok(vec!["b".to_owned()]));
    }

    #[test]
    fn usersets_are_listed_by_the_tuples_on_the_way_and_stand_in_their_own_relation() {
        let tuples = [
            "group:all#member@group:eng#member",
            "group:eng#member@group:ops#member",
            "group:all#out@group:hr#member",
        ];
        let graph = graph(GROUPS, tuples.map(str::to_owned));
        let at = graph.timeless();
        let usersets = |id, relation| {
            let query = SubjectsQuery {
                object_type: "group",
                object_id: id,
                relation,
                subject_type: "group",
                subject_relation: Some("member"),
            };
            at.list_subjects(&query, Page::ALL).expect("a list").ids.join(" ")
        };
        assert_eq!(usersets("all", "member"), "all eng ops");
        assert_eq!(usersets("all", "known"), "all eng hr ops");
        assert_eq!(usersets("new", "known"), "new", "no tuple mentions it");
        assert_eq!(usersets("new", "out"), "");
        let groups = |id, relation| {
            let query = ObjectsQuery {
                object_type: "group",
                relation,
                subject_type: "group",
                subject_id: id,
                subject_relation: Some("member"),
                ..ObjectsQuery::default()
            };
            at.list_objects(&query, Page::ALL).expect("a list").ids.join(" ")
        };
        assert_eq!(groups("ops", "member"), "all eng ops");
        assert_eq!(groups("hr", "out"), "all");
        assert_eq!(groups("new", "known"), "new");
        assert_eq!(groups("new", "out"), "");
    }
}
