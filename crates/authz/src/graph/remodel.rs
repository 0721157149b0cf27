//! The same tuples under another model.

use std::sync::{Arc, OnceLock};

use super::state::State;
use super::{Graph, pack};
use crate::{InvalidTupleForModel, Model, TupleChange};

impl Graph {
    /// The same tuples under another model, which is numbered like the one that they are under. Where it is equal to that,
    /// the graph is the same too. Where it has all that the other has, and other relations besides or made of other parts,
    /// nothing moves; only tuples of relations that take less than before are looked at. In every other case all tuples are
    /// laid out anew.
    ///
    /// # Errors
    ///
    /// A tuple that the other model does not allow.
    pub fn with_model(&self, model: Arc<Model>) -> Result<Self, InvalidTupleForModel> {
        let state = &self.inner.state;
        match model.numbered_as(&state.model) {
            Some(same) if same == *state.model => Ok(self.clone()),
            Some(model) => {
                // What it is made from has the same numbers.
                let index = self.inner.index.get().cloned();
                let index = index.map_or_else(OnceLock::new, OnceLock::from);
                Ok(Self::from_parts(state.under(Arc::new(model))?, index))
            }
            None => Ok(Self::from_parts(self.laid_out_under(model)?, OnceLock::new())),
        }
    }

    fn laid_out_under(&self, model: Arc<Model>) -> Result<State, InvalidTupleForModel> {
        if let Some(state) = pack::remodelled(&self.inner.state, Arc::clone(&model))? {
            return Ok(state);
        }
        let mut state = State::new(model);
        for (tuple, term) in self.terms() {
            state.change(TupleChange::put(&tuple, term))?;
        }
        Ok(state)
    }
}

#[cfg(test)]
mod tests {
    use sentinel_core::{Timestamp, Tuple};

    use super::*;
    use crate::{MAX_DEPTH, ObjectsQuery, Packed, Page, Query, SubjectsQuery, Term};

    const MODEL: &str = "
        model
          schema 1.1
        type user
        type group
          relations
            define member: [user, group#member]
        type doc
          relations
            define parent: [doc]
            define near: [doc]
            define owner: [user]
            define viewer: [user, user:*, group#member] or owner or viewer from parent
            define both: viewer and owner
        type wiki
          relations
            define reader: [user, group#member]
            define writer: [user]
    ";

    const TUPLES: [&str; 12] = [
        "group:a#member@user:ann",
        "group:b#member@group:a#member",
        "doc:1#parent@doc:0",
        "doc:1#near@doc:0",
        "doc:0#owner@user:bob",
        "doc:1#owner@user:ann",
        "doc:0#viewer@group:b#member",
        "doc:2#viewer@user:*",
        "wiki:1#reader@group:b#member",
        "wiki:1#writer@user:bob",
        "wiki:1#reader@user:bob",
        "wiki:2#reader@user:eve",
    ];

    fn tuple(text: &str) -> Tuple {
        text.parse().expect("a tuple")
    }

    fn model(text: &str) -> Arc<Model> {
        Arc::new(Model::parse(text).expect("a model"))
    }

    fn with(model: Arc<Model>, texts: &[&str]) -> Graph {
        let tuples: Vec<Tuple> = texts.iter().map(|text| tuple(text)).collect();
        Graph::new(model)
            .apply(tuples.iter().map(TupleChange::Put))
            .expect("allowed tuples")
    }

    fn graph() -> Graph {
        with(model(MODEL), &TUPLES)
    }

    /// Asks for a list, so that there is an index.
    fn with_index(graph: Graph) -> Graph {
        answers(&graph);
        assert!(has_index(&graph));
        graph
    }

    fn has_index(graph: &Graph) -> bool {
        graph.inner.index.get().is_some()
    }

    /// Everything that can be asked, and the answers.
    fn answers(graph: &Graph) -> Vec<String> {
        let model = graph.model();
        let at = graph.timeless();
        let (ids, users) = (["0", "1", "2", "a", "b"], ["ann", "bob", "eve", "*"]);
        let mut all = Vec::new();
        let mut types: Vec<&str> = model.types().collect();
        types.sort_unstable();
        for kind in types {
            let mut relations: Vec<&str> = model.relations_of(kind).collect();
            relations.sort_unstable();
            for relation in relations {
                for user in users {
                    for id in ids {
                        let query = Query {
                            object_type: kind,
                            object_id: id,
                            relation,
                            subject_type: "user",
                            subject_id: user,
                            subject_relation: None,
                        };
                        all.push(format!("{kind}:{id}#{relation}@{user} {:?}", at.check(&query)));
                    }
                    let query = ObjectsQuery {
                        object_type: kind,
                        id_prefix: "",
                        relation,
                        subject_type: "user",
                        subject_id: user,
                        subject_relation: None,
                    };
                    let listed = at.list_objects(&query, Page::ALL);
                    all.push(format!("{kind}#{relation}@{user} {listed:?}"));
                }
                for id in ids {
                    let query = SubjectsQuery {
                        object_type: kind,
                        object_id: id,
                        relation,
                        subject_type: "user",
                        subject_relation: None,
                    };
                    let listed = at.list_subjects(&query, Page::ALL);
                    all.push(format!("{kind}:{id}#{relation} {listed:?}"));
                }
            }
        }
        all
    }

    #[test]
    fn a_model_that_says_the_same_leaves_the_graph_as_it_is() {
        let graph = graph();
        let under = |text: &str| graph.with_model(model(text)).expect("allowed tuples");
        let same = under(&format!("# mine\n{MODEL}\n # all of it"));
        assert!(Arc::ptr_eq(&same.inner, &graph.inner));
        for (from, to) in [
            ("viewer and owner", "viewer or owner"),
            ("viewer and owner", "viewer and near"),
            ("[user, group#member]", "[user, user:*, group#member]"),
            ("both", "each"),
        ] {
            let changed = MODEL.replace(from, to);
            let other = under(&changed);
            let is_same = Arc::ptr_eq(&other.inner, &graph.inner);
            assert_eq!((is_same, other.len()), (changed == MODEL, TUPLES.len()), "{to}");
        }
    }

    /// What is changed, and whether tuples stay where they are.
    const CHANGES: [(&str, &str, bool); 9] = [
        ("viewer and owner", "viewer but not owner", true),
        ("define owner", "define first: [user]\n define owner", true),
        (
            "define member",
            "define boss: [user]\n define all: boss or member\n define member",
            true,
        ),
        (
            "type group",
            "type folder\n relations\n define inside: [doc, folder]\n define can: viewer from inside\ntype group",
            true,
        ),
        (
            "[user, group#member]\n            define writer",
            "[user:*, user, group#member, doc#viewer]\n define writer",
            true,
        ),
        (
            "define writer: [user]",
            "define writer: [user]\n define all: writer or reader\n define more: [wiki, doc]",
            true,
        ),
        (
            "define both",
            "define other: owner from near\n define both",
            false,
        ),
        ("define both: viewer and owner\n", "", false),
        ("define both", "define each", false),
    ];

    /// Up to 24 relations of a type are found by a shortcut, which saves a step: it must be those of a graph that was made
    /// under the model.
    #[test]
    fn the_deepest_answer_does_not_depend_on_the_models_before() {
        let many = |first: &str, count: usize| {
            let others: Vec<String> = (0..count)
                .map(|at| format!("    define r{at}: [user]\n"))
                .collect();
            let others = others.concat();
            let head = "model\n  schema 1.1\ntype user\ntype node\n  relations\n    define parent: [node]\n";
            format!("{head}{first}{others}    define above: owner or above from parent\n")
        };
        let before = many("", 24).replace("owner or", "r0 or");
        let after = many("    define owner: [user]\n", 24);
        let links = (0..MAX_DEPTH - 1).map(|at| format!("node:{at}#parent@node:{}", at + 1));
        let texts: Vec<String> = links.collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let owner = tuple(&format!("node:{}#owner@user:ann", MAX_DEPTH - 1));
        let query = Query {
            object_type: "node",
            object_id: "0",
            relation: "above",
            subject_type: "user",
            subject_id: "ann",
            subject_relation: None,
        };
        let asked = |graph: Graph| {
            let graph = graph.apply([TupleChange::Put(&owner)]).expect("an allowed tuple");
            graph.timeless().check(&query)
        };
        let made = asked(with(model(&after), &texts));
        assert_eq!(made, Ok(true));
        let moved = with(model(&before), &texts).with_model(model(&after));
        assert_eq!(asked(moved.expect("allowed tuples")), made);
    }

    #[test]
    fn a_graph_under_another_model_is_the_one_that_is_made_under_it() {
        for (from, to, stays) in CHANGES {
            let text = MODEL.replacen(from, to, 1);
            assert_ne!(text, MODEL);
            let graph = with_index(graph())
                .with_model(model(&text))
                .expect("allowed tuples");
            assert_eq!(has_index(&graph), stays, "{to}");
            let made = with(model(&text), &TUPLES);
            assert_eq!(
                (graph.len(), answers(&graph)),
                (made.len(), answers(&made)),
                "{to}"
            );

            // And it goes on as one: changes, one model more, and there and back again.
            let (gone, more) = (tuple(TUPLES[8]), tuple("doc:0#parent@doc:2"));
            let everyone = tuple("doc:1#viewer@user:*");
            let changes = [
                TupleChange::Delete(&gone),
                TupleChange::Put(&more),
                TupleChange::Put(&everyone),
            ];
            let [graph, made] = [graph, made].map(|graph| graph.apply(changes).expect("allowed tuples"));
            assert_eq!(
                (graph.len(), answers(&graph)),
                (made.len(), answers(&made)),
                "{to}"
            );
            let back = graph.with_model(model(MODEL)).expect("allowed tuples");
            let made = made.with_model(model(MODEL)).expect("allowed tuples");
            assert_eq!(answers(&back), answers(&made), "{to}");
            let mut bytes = Vec::new();
            graph.pack(&mut bytes).expect("not too many");
            let packed = Packed::read(&bytes).expect("bytes of a graph");
            let read = Graph::unpack(model(&text), &packed).expect("the same tuples");
            assert_eq!(answers(&read), answers(&graph), "{to}");
        }
    }

    #[test]
    fn what_a_new_model_brings_can_be_used() {
        let text = MODEL.replace("type group", "type robot\ntype group").replace(
            "define writer: [user]",
            "define writer: [user, robot, robot:*]\n define ends: [user]",
        );
        let graph = with_index(graph())
            .with_model(model(&text))
            .expect("allowed tuples");
        let (everyone, ends) = (tuple("wiki:1#writer@robot:*"), tuple("wiki:2#ends@user:ann"));
        let until = Timestamp::from_timestamp(10, 0).expect("in range");
        let changes = [TupleChange::Put(&everyone), TupleChange::PutUntil(&ends, until)];
        let graph = graph.apply(changes).expect("allowed tuples");
        let asked = |text: &str| {
            let tuple = tuple(text);
            let query = Query::new(tuple.object(), tuple.relation(), tuple.subject());
            graph.at(Timestamp::UNIX_EPOCH).check(&query)
        };
        assert_eq!(asked("wiki:1#writer@robot:any"), Ok(true));
        assert_eq!(asked("wiki:1#writer@user:eve"), Ok(false));
        assert_eq!(asked("wiki:2#ends@user:ann"), Ok(true));
        // The end stays one, whether tuples stay where they are or not.
        for text in [text.clone() + "\ntype more\n", text.replace("both", "each")] {
            let other = graph.with_model(model(&text)).expect("allowed tuples");
            assert_eq!(other.term(&ends), Some(Term::Until(until)));
        }
    }

    #[test]
    fn a_tuple_that_the_new_model_does_not_allow_is_an_error() {
        for (from, to, refused) in [
            (
                "[user, user:*, group#member]",
                "[user, group#member]",
                "doc:2#viewer@user:*",
            ),
            (
                "define writer: [user]",
                "define writer: [group]",
                "wiki:1#writer@user:bob",
            ),
            (
                "define writer: [user]",
                "define writer: reader",
                "wiki:1#writer@user:bob",
            ),
            ("define near: [doc]", "define next: [doc]", "doc:1#near@doc:0"),
        ] {
            let text = MODEL.replace(from, to);
            let error = graph().with_model(model(&text)).expect_err(to);
            assert_eq!(error.tuple(), &tuple(refused), "{to}");
        }
        // What no tuple has may be taken away.
        let narrower = MODEL.replace("define parent: [doc]", "define parent: [doc, wiki]");
        let wider = graph().with_model(model(&narrower)).expect("allowed tuples");
        assert!(wider.with_model(model(MODEL)).is_ok());
    }
}
