//! Services' own models and tuples, as the domain keeps them.

use std::sync::Arc;
use std::time::Duration;

use sentinel_access::activity::Action;
use sentinel_access::members::Authority;
use sentinel_access::relations::{
    Fault, FaultPlace, Filter, Idempotency, Matched, Misfits, ModelOptions, ModelOutcome, Precondition,
    RelationError, RelationTuple, RouteNeed, TupleWrite, WhatIsWrong, Written,
};
use sentinel_access::{AccessError, ErrorKind};
use sentinel_core::id::EdgeId;
use sentinel_core::name::ServiceName;
use sentinel_core::{Clock as _, Timestamp, Tuple};
use sentinel_store::on_both_backends;
use sentinel_store::testing::TestStore;
use uuid::Uuid;

use crate::replay::replayed;
use crate::world::{World, docs};

pub(crate) const MODEL: &str = "model
  schema 1.1
type user
type folder
  relations
    define workspace: [workspace]
    define parent: [folder]
    define viewer: [user, user:*, group#member, role#assignee] or viewer from parent
";

pub(crate) fn wiki() -> ServiceName {
    "wiki".parse().expect("a name")
}

/// A user's id that nobody has.
pub(crate) fn somebody(number: u128) -> String {
    format!("user:{}", Uuid::from_u128(number))
}

pub(crate) fn tuple(text: &str) -> Tuple {
    text.parse().expect("a tuple")
}

pub(crate) fn viewer(folder: u128, user: u128) -> Tuple {
    tuple(&format!("docs/folder:{folder}#viewer@{}", somebody(user)))
}

pub(crate) fn put(tuple: Tuple) -> RelationTuple {
    RelationTuple { tuple, until: None }
}

pub(crate) fn puts(tuples: impl IntoIterator<Item = Tuple>) -> TupleWrite {
    TupleWrite {
        puts: tuples.into_iter().map(put).collect(),
        ..TupleWrite::default()
    }
}

pub(crate) fn deletes(tuples: impl IntoIterator<Item = Tuple>) -> TupleWrite {
    TupleWrite {
        deletes: tuples.into_iter().collect(),
        ..TupleWrite::default()
    }
}

impl World {
    pub(crate) async fn model(
        &self,
        service: &ServiceName,
        text: &str,
        options: ModelOptions,
    ) -> Result<ModelOutcome, AccessError> {
        self.write(async |tx, access| {
            let draft = access.relations.model_ground(tx, service).await?.draft(text)?;
            access.relations.write_model(tx, None, &draft, options).await
        })
        .await
    }

    pub(crate) async fn with_model(store: TestStore) -> Self {
        let world = Self::new(store);
        let outcome = world
            .model(&docs(), MODEL, ModelOptions::default())
            .await
            .expect("a model");
        assert!(matches!(outcome, ModelOutcome::Written(_)), "{outcome:?}");
        world
    }

    async fn put(&self, asked: &TupleWrite, key: Option<&Idempotency>) -> Result<Written, RelationError> {
        self.store.clock.advance(Duration::from_millis(1));
        self.tuples.write(&docs(), asked.clone(), key.cloned()).await
    }

    async fn tuples(&self, filter: &Filter) -> Vec<String> {
        let page = Matched {
            after: None,
            limit: 1_000,
        };
        let page = self
            .read(async |tx, access| access.relations.read(tx, &docs(), filter, page).await)
            .await
            .expect("a page");
        page.tuples.iter().map(|found| found.tuple.to_string()).collect()
    }

    async fn all_tuples(&self) -> Vec<String> {
        self.tuples(&Filter::default()).await
    }

    /// An edge whose route `folders` needs these relations of `docs`' folders.
    async fn edge_needing(&self, name: &str, relations: &[&str]) -> EdgeId {
        let mut tx = self.store.db.begin().await.expect("tx");
        let digest = [name.as_bytes()[0]; 32];
        let edge = self
            .access
            .edges
            .enrol(&mut tx, None, &name.parse().expect("name"), &digest)
            .await
            .expect("edge");
        let needs: Vec<RouteNeed> = relations.iter().map(|relation| need(relation)).collect();
        let relations = &self.access.relations;
        assert_eq!(
            relations
                .is_news(&mut tx, edge.id, &needs)
                .await
                .expect("an answer"),
            !needs.is_empty()
        );
        relations
            .announce_routes(&mut tx, edge.id, &needs)
            .await
            .expect("announced");
        let again: Vec<RouteNeed> = needs.iter().rev().chain(&needs).cloned().collect();
        assert!(
            !relations
                .is_news(&mut tx, edge.id, &again)
                .await
                .expect("an answer")
        );
        tx.commit().await.expect("commit");
        edge.id
    }

    /// What the rows mean is what the changes said.
    pub(crate) async fn assert_replayed(&self) {
        assert_eq!(replayed(self).await, self.facts().await);
    }
}

fn need(relation: &str) -> RouteNeed {
    RouteNeed {
        route: "folders".to_owned(),
        service: docs(),
        object_type: "folder".to_owned(),
        relation: relation.to_owned(),
    }
}

fn faults(error: RelationError) -> Vec<Fault> {
    match error {
        RelationError::Faults(faults) => faults,
        other => panic!("faults are expected, not {other:?}"),
    }
}

on_both_backends! {
    async fn a_write_is_one_revision_and_what_changes_nothing_is_none(store: TestStore) {
        let world = World::with_model(store).await;
        let first = world.put(&puts([viewer(1, 1), viewer(1, 2)]), None).await.expect("written");
        assert_eq!((first.written, first.deleted), (2, 0));
        assert_eq!(world.store.db.head().await.expect("head"), first.revision);
        let again = world.put(&puts([viewer(1, 1), viewer(1, 2)]), None).await.expect("written");
        assert_eq!(again, Written { written: 0, deleted: 0, revision: first.revision });
        let nothing = world.put(&deletes([viewer(9, 9)]), None).await.expect("nothing to delete");
        assert_eq!(nothing.revision, first.revision);
        let mut both = puts([viewer(1, 3)]);
        both.deletes = vec![viewer(1, 1), viewer(9, 9)];
        let both = world.put(&both, None).await.expect("written");
        assert_eq!((both.written, both.deleted, both.revision.number), (1, 1, first.revision.number + 1));
        assert_eq!(world.all_tuples().await, [viewer(1, 2), viewer(1, 3)].map(|found| found.to_string()));
        world.assert_replayed().await;
        world.graph().await;
    }

    async fn a_tuple_gets_another_end_or_none(store: TestStore) {
        let world = World::with_model(store).await;
        let now = world.store.clock.now();
        let ending = |until: Option<Timestamp>| TupleWrite {
            puts: vec![RelationTuple { tuple: viewer(1, 1), until }],
            ..TupleWrite::default()
        };
        let minute = Some(now + Duration::from_mins(1));
        for (until, written) in [(minute, 1), (minute, 0), (None, 1), (None, 0), (minute, 1)] {
            let done = world.put(&ending(until), None).await.expect("written");
            assert_eq!(done.written, written, "{until:?}");
            world.assert_replayed().await;
        }
        world.store.clock.advance(Duration::from_mins(1));
        assert!(world.all_tuples().await.is_empty(), "its end has come");
        let must = |must_exist| TupleWrite {
            preconditions: vec![Precondition { tuple: viewer(1, 1), must_exist }],
            ..TupleWrite::default()
        };
        assert!(matches!(world.put(&must(true), None).await, Err(RelationError::Precondition { index: 0, .. })));
        world.put(&must(false), None).await.expect("what has ended does not exist");
        let purged = world.write(async |tx, access| access.relations.purge_expired(tx).await).await;
        assert_eq!(purged.expect("purged"), 1);
        assert_eq!(world.facts().await.len(), 1, "the model alone is left");
        world.assert_replayed().await;
        let later = Some(world.store.clock.now() + Duration::from_mins(1));
        world.put(&ending(later), None).await.expect("written anew");
        let past = faults(world.put(&ending(Some(now)), None).await.expect_err("in the past"));
        assert_eq!(past, [Fault { place: FaultPlace::Writes, index: 0, what: WhatIsWrong::Past }]);
        let far = Timestamp::from_timestamp(253_402_300_800, 0);
        let far = faults(world.put(&ending(far), None).await.expect_err("no database knows it"));
        assert_eq!(far[0].what, WhatIsWrong::Late);
    }

    async fn everything_that_is_wrong_is_said_at_once_and_nothing_is_done(store: TestStore) {
        use FaultPlace::{Deletes, Preconditions, Writes};
        let world = World::with_model(store).await;
        let head = world.store.db.head().await.expect("head");
        let asked = TupleWrite {
            puts: vec![
                put(viewer(1, 1)),
                put(tuple(&format!("docs/folder:1#owner@{}", somebody(1)))),
                put(tuple(&format!("wiki/folder:1#viewer@{}", somebody(1)))),
                put(tuple("docs/folder:1#viewer@user:ann")),
                put(viewer(1, 1)),
            ],
            deletes: vec![viewer(1, 1), tuple(&format!("group:{}#member@{}", Uuid::nil(), somebody(1)))],
            preconditions: vec![Precondition { tuple: tuple("docs/file:1#viewer@user:*"), must_exist: true }],
        };
        let found = faults(world.put(&asked, None).await.expect_err("refused"));
        let places: Vec<_> = found.iter().map(|fault| (fault.place, fault.index)).collect();
        assert_eq!(places, [(Writes, 1), (Writes, 2), (Writes, 3), (Writes, 4), (Deletes, 0), (Deletes, 1), (Preconditions, 0)]);
        assert_eq!(found[3].what, WhatIsWrong::Twice { place: Writes, index: 0 });
        assert_eq!(world.store.db.head().await.expect("head"), head);
        assert!(world.all_tuples().await.is_empty());
        match world.tuples.write(&wiki(), puts([]), None).await {
            Err(RelationError::Access(error)) => assert_eq!(error.kind(), ErrorKind::Conflict),
            other => panic!("{other:?}"),
        }
    }

    async fn a_key_answers_again_for_a_day_and_for_the_same_request_only(store: TestStore) {
        let world = World::with_model(store).await;
        let key = |name: &str, request: u8| Idempotency { key: name.parse().expect("a key"), request: [request; 32] };
        let asked = puts([viewer(1, 1)]);
        let first = world.put(&asked, Some(&key("a", 1))).await.expect("written");
        world.put(&deletes([viewer(1, 1)]), None).await.expect("deleted");
        assert_eq!(world.put(&asked, Some(&key("a", 1))).await.expect("an answer"), first);
        assert!(world.all_tuples().await.is_empty(), "it was not done again");
        assert!(matches!(world.put(&asked, Some(&key("a", 2))).await, Err(RelationError::KeyReused)));
        assert!(matches!(
            world.put(&puts([viewer(1, 1), viewer(1, 1)]), Some(&key("b", 1))).await,
            Err(RelationError::Faults(_))
        ));
        world.put(&asked, Some(&key("b", 2))).await.expect("what was refused is forgotten");
        world.store.clock.advance(Duration::from_hours(24));
        let purged = world.write(async |tx, access| access.relations.purge_idempotency_keys(tx).await).await;
        assert_eq!(purged.expect("purged"), 2);
        assert!(world.put(&asked, Some(&key("a", 2))).await.is_ok());
    }

    async fn of_two_who_want_to_be_the_first_one_is(store: TestStore) {
        let world = Arc::new(World::with_model(store).await);
        let mut tasks = Vec::new();
        for number in 1..=8 {
            let world = Arc::clone(&world);
            tasks.push(tokio::spawn(async move {
                let open = tuple("docs/folder:1#viewer@user:*");
                let asked = TupleWrite {
                    puts: vec![put(viewer(1, number)), put(open.clone())],
                    preconditions: vec![Precondition {
                        tuple: open,
                        must_exist: false,
                    }],
                    ..TupleWrite::default()
                };
                match world.put(&asked, None).await {
                    Ok(_) => 1,
                    Err(RelationError::Precondition { must_exist: false, .. }) => 0,
                    Err(other) => panic!("{other:?}"),
                }
            }));
        }
        let mut won = 0;
        for task in tasks {
            won += task.await.expect("no panic");
        }
        assert_eq!(won, 1);
        assert_eq!(world.all_tuples().await.len(), 2);
        world.assert_replayed().await;
    }

    async fn tuples_are_read_by_any_of_their_parts_and_in_pages(store: TestStore) {
        let world = World::with_model(store).await;
        let all = [
            "docs/folder:1#parent@docs/folder:2".to_owned(),
            format!("docs/folder:1#viewer@{}", somebody(1)),
            "docs/folder:1#viewer@user:*".to_owned(),
            "docs/folder:10#parent@docs/folder:1".to_owned(),
            format!("docs/folder:10#viewer@{}", somebody(1)),
            format!("docs/folder:10#viewer@group:{}#member", Uuid::from_u128(5)),
            "docs/folder:~\u{10ffff}#viewer@user:*".to_owned(),
        ];
        world.put(&puts(all.iter().map(|text| tuple(text))), None).await.expect("written");
        let of = |kind: Option<&str>, id, relation: Option<&str>, subject_type: Option<&str>, subject: Option<&str>| {
            let subject = subject.map(|text| text.parse().expect("a subject"));
            Filter::new(kind.map(Into::into), id, relation.map(Into::into), subject_type.map(Into::into), subject)
                .expect("a filter")
        };
        let folder = Some("docs/folder");
        let ann = somebody(1);
        let mut sorted = all.to_vec();
        sorted.sort_by_key(|text| {
            let tuple = tuple(text);
            (tuple.object().to_string(), tuple.relation().to_owned(), tuple.subject().to_string())
        });
        for (filter, found) in [
            (of(None, None, None, None, None), (0..7).collect::<Vec<_>>()),
            (of(folder, None, None, None, None), (0..7).collect()),
            (of(Some("docs/file"), None, None, None, None), vec![]),
            (of(folder, Some("1"), None, None, None), vec![0, 1, 2]),
            (of(folder, Some("1"), Some("viewer"), None, None), vec![1, 2]),
            (of(None, None, Some("parent"), None, None), vec![0, 3]),
            (of(None, None, None, None, Some(&ann)), vec![1, 4]),
            (of(folder, None, Some("viewer"), Some("user"), Some(&ann)), vec![1, 4]),
            (of(folder, Some("10"), None, None, Some(&ann)), vec![4]),
            (of(None, None, None, Some("user"), None), vec![1, 2, 4, 6]),
            (of(None, None, None, Some("docs/folder"), None), vec![0, 3]),
            (of(None, None, None, None, Some("user:*")), vec![2, 6]),
        ] {
            let mut expected: Vec<&String> = found.iter().map(|at: &usize| &all[*at]).collect();
            expected.sort_by_key(|text| sorted.iter().position(|other| other == *text));
            assert_eq!(world.tuples(&filter).await.iter().collect::<Vec<_>>(), expected, "{filter:?}");
            let mut paged = Vec::new();
            let mut after: Option<Tuple> = None;
            loop {
                let page = Matched { after: after.as_ref(), limit: 2 };
                let page = world
                    .read(async |tx, access| access.relations.read(tx, &docs(), &filter, page).await)
                    .await
                    .expect("a page");
                paged.extend(page.tuples.iter().map(|found| found.tuple.to_string()));
                assert_eq!(page.more, paged.len() < expected.len());
                after = page.tuples.last().map(|last| last.tuple.clone());
                if !page.more {
                    break;
                }
            }
            assert_eq!(paged.iter().collect::<Vec<_>>(), expected, "{filter:?}");
        }
        let removed = world
            .write(async |tx, access| {
                let filter = of(folder, Some("1"), None, None, None);
                let candidates = access.relations.candidates(tx, &docs(), &filter).await?;
                access.relations.delete(tx, &docs(), None, &filter, &candidates).await
            })
            .await
            .expect("deleted");
        assert_eq!((removed.deleted, removed.more), (3, false));
        assert_eq!(world.last_action().await, Action::TuplesDeleted.as_str());
        assert_eq!(world.all_tuples().await.len(), 4);
        world.assert_replayed().await;
        assert!(Filter::new(None, Some("1"), None, None, None).is_err());
        assert!(Filter::new(None, None, Some("a\0b".to_owned()), None, None).is_err());
    }

    async fn many_are_deleted_a_thousand_at_a_time(store: TestStore) {
        let world = World::with_model(store).await;
        for part in 0..2_u128 {
            let many = (0..900).map(|number| viewer(part * 1_000 + number, 1));
            world.put(&puts(many), None).await.expect("written");
        }
        let filter = Filter::new(Some("docs/folder".to_owned()), None, None, None, None).expect("a filter");
        for (deleted, more) in [(1_000, true), (800, false), (0, false)] {
            let removed = world
                .write(async |tx, access| {
                    let candidates = access.relations.candidates(tx, &docs(), &filter).await?;
                    access.relations.delete(tx, &docs(), None, &filter, &candidates).await
                })
                .await
                .expect("deleted");
            assert_eq!((removed.deleted, removed.more), (deleted, more));
        }
        world.assert_replayed().await;
    }

    async fn what_is_gone_meanwhile_is_not_deleted_again(store: TestStore) {
        let world = World::with_model(store).await;
        world.put(&puts([viewer(1, 1), viewer(2, 1)]), None).await.expect("written");
        let filter = Filter::new(Some("docs/folder".to_owned()), None, None, None, None).expect("a filter");
        let candidates = world
            .read(async |tx, access| access.relations.candidates(tx, &docs(), &filter).await)
            .await
            .expect("candidates");
        world.put(&deletes([viewer(1, 1)]), None).await.expect("deleted");
        world.put(&puts([viewer(3, 1)]), None).await.expect("written");
        let removed = world
            .write(async |tx, access| access.relations.delete(tx, &docs(), None, &filter, &candidates).await)
            .await
            .expect("deleted");
        assert_eq!((removed.deleted, removed.more), (1, true), "another one came");
        assert_eq!(world.all_tuples().await.len(), 1);
        world.assert_replayed().await;
    }

    async fn what_comes_to_match_before_it_is_deleted_is_told(store: TestStore) {
        let world = World::with_model(store).await;
        let kind = Some("docs/folder".to_owned());
        let filter = Filter::new(kind, Some("1"), Some("viewer".to_owned()), None, None).expect("a filter");
        let later = Some(world.store.now() + Duration::from_hours(1));
        let renewed = TupleWrite {
            puts: vec![RelationTuple { tuple: viewer(1, 1), until: later }],
            ..TupleWrite::default()
        };
        let owner = tuple("docs/folder:1#parent@docs/folder:2");
        for (number, (between, more)) in [
            (vec![puts([viewer(2, 1), owner])], false),
            (vec![renewed], false),
            (vec![puts([viewer(1, 2)]), deletes([viewer(1, 2)])], false),
            (vec![puts([viewer(1, 2)]), puts([viewer(2, 3)])], true),
            ((100..150).map(|number| puts([viewer(number, 1)])).collect(), false),
        ]
        .into_iter()
        .enumerate()
        {
            world.put(&puts([viewer(1, 1)]), None).await.expect("written");
            let candidates = world
                .read(async |tx, access| access.relations.candidates(tx, &docs(), &filter).await)
                .await
                .expect("candidates");
            for write in between {
                world.put(&write, None).await.expect("written");
            }
            let removed = world
                .write(async |tx, access| access.relations.delete(tx, &docs(), None, &filter, &candidates).await)
                .await
                .expect("deleted");
            assert_eq!(removed.more, more, "{number}");
            let left = Matched { after: None, limit: 10 };
            let left = world.read(async |tx, access| access.relations.read(tx, &docs(), &filter, left).await).await;
            assert_eq!(left.expect("a page").tuples.is_empty(), !more, "{number}");
        }
        // Too old to be known.
        let candidates = world
            .read(async |tx, access| access.relations.candidates(tx, &docs(), &filter).await)
            .await
            .expect("candidates");
        world.put(&puts([viewer(2, 9)]), None).await.expect("written");
        world.put(&puts([viewer(2, 10)]), None).await.expect("written");
        world.store.clock.advance(Duration::from_secs(1));
        world.store.db.trim_change_log(world.store.now(), 1).await.expect("trimmed");
        let removed = world
            .write(async |tx, access| access.relations.delete(tx, &docs(), None, &filter, &candidates).await)
            .await
            .expect("deleted");
        assert!(removed.more, "it may be so");
    }

    async fn a_draft_counts_beside_what_it_was_compiled_beside(store: TestStore) {
        let world = World::with_model(store).await;
        let wider = MODEL.replace("define viewer", "define editor: [user]\n    define viewer");
        let ground = world.read(async |tx, access| access.relations.model_ground(tx, &docs()).await).await;
        let draft = ground.expect("a ground").draft(&wider).expect("a model");
        let options = ModelOptions::default();
        let other = "wiki".parse().expect("a name");
        world.model(&other, MODEL, options).await.expect("written");
        let outcome = world.write(async |tx, access| access.relations.write_model(tx, None, &draft, options).await).await;
        assert_eq!(outcome.expect("an outcome"), ModelOutcome::Outdated);
        world.assert_replayed().await;
    }

    async fn models_have_versions_and_the_same_one_makes_none(store: TestStore) {
        let world = World::with_model(store).await;
        let head = world.store.db.head().await.expect("head");
        let same = MODEL.replace('\n', "\r\n");
        let outcome = world.model(&docs(), &same, ModelOptions::default()).await.expect("an outcome");
        assert!(matches!(outcome, ModelOutcome::Unchanged(model) if model.version == 1));
        assert_eq!(world.store.db.head().await.expect("head"), head);
        let wider = MODEL.replace("define viewer", "define editor: [user]\n    define viewer");
        let dry = ModelOptions { dry_run: true, ..ModelOptions::default() };
        assert!(matches!(world.model(&docs(), &wider, dry).await, Ok(ModelOutcome::DryRun(2, _))));
        let outcome = world.model(&docs(), &wider, ModelOptions::default()).await.expect("an outcome");
        assert!(matches!(outcome, ModelOutcome::Written(model) if model.version == 2));
        let models = world.read(async |tx, access| access.relations.models(tx, &docs()).await).await;
        let versions: Vec<u64> = models.expect("models").iter().map(|model| model.version).collect();
        assert_eq!(versions, [2, 1]);
        let first = world.read(async |tx, access| access.relations.model(tx, &docs(), 1).await).await;
        assert_eq!(first.expect("the first").text, MODEL);
        let of_wiki = world.read(async |tx, access| access.relations.current_model(tx, &wiki()).await).await;
        assert!(matches!(of_wiki, Err(AccessError::ModelNotFound)), "another's is not this one's");
        let editor = tuple(&format!("docs/folder:1#editor@{}", somebody(1)));
        world.put(&puts([editor]), None).await.expect("the last one counts");
        let error = world
            .model(&docs(), "model\n  schema 1.1\ntype a\n  relations\n    define b: [c]", ModelOptions::default())
            .await
            .expect_err("no model");
        assert!(matches!(error, AccessError::InvalidModel(error) if (error.line, error.column) == (5, 16)));
        world.assert_replayed().await;
    }

    async fn a_model_that_stored_tuples_do_not_fit_is_refused(store: TestStore) {
        let world = World::with_model(store).await;
        let many = (0..12).map(|number| tuple(&format!("docs/folder:{number:02}#viewer@user:*")));
        world.put(&puts(many.chain([viewer(1, 1)])), None).await.expect("written");
        let narrower = MODEL.replace("user:*, ", "");
        let ModelOutcome::Refused(report) =
            world.model(&docs(), &narrower, ModelOptions { accept_broken_routes: true, dry_run: false }).await.expect("an outcome")
        else {
            panic!("it must be refused")
        };
        let Misfits { count, examples } = report.misfits;
        assert_eq!((count, examples.len()), (12, 10));
        assert_eq!(examples[0].to_string(), "docs/folder:00#viewer@user:*");
        let without_users = MODEL.replace("[user, user:*, ", "[");
        let dry = ModelOptions { dry_run: true, ..ModelOptions::default() };
        let Ok(ModelOutcome::DryRun(2, report)) = world.model(&docs(), &without_users, dry).await else {
            panic!("a report")
        };
        assert_eq!(report.misfits.count, 13);
        let outcome = world.model(&wiki(), &narrower, ModelOptions::default()).await.expect("an outcome");
        assert!(matches!(outcome, ModelOutcome::Written(_)), "the tuples of another service do not matter");
    }

    async fn a_model_that_breaks_a_route_is_refused_unless_that_is_accepted(store: TestStore) {
        let world = World::with_model(store).await;
        let wider = MODEL.replace("define viewer", "define editor: [user]\n    define viewer");
        world.model(&docs(), &wider, ModelOptions::default()).await.expect("an outcome");
        world.edge_needing("north", &["viewer", "editor", "never_there"]).await;
        let gone = world.edge_needing("south", &["editor"]).await;
        world.edge_needing("west", &[]).await;
        world.write(async |tx, access| access.edges.revoke(tx, None, gone).await).await.expect("revoked");
        let ModelOutcome::Refused(report) =
            world.model(&docs(), MODEL, ModelOptions::default()).await.expect("an outcome")
        else {
            panic!("it must be refused")
        };
        let broken: Vec<_> = report.broken_routes.iter().map(|route| (route.edge.as_str(), &route.need)).collect();
        assert_eq!(broken, [("north", &need("editor"))], "neither what was broken before nor what a revoked edge says");
        let nobody = wider.replace("define editor: [user]", "define editor: [folder]");
        let outcome = world.model(&docs(), &nobody, ModelOptions::default()).await.expect("an outcome");
        assert!(matches!(outcome, ModelOutcome::Refused(_)), "no user can ever have it");
        let accept = ModelOptions { accept_broken_routes: true, dry_run: false };
        let outcome = world.model(&docs(), MODEL, accept).await.expect("an outcome");
        assert!(matches!(outcome, ModelOutcome::Written(model) if model.version == 3));
        assert_eq!(world.last_action().await, Action::ModelWritten.as_str());
    }

    async fn tuples_go_with_the_group_the_role_and_the_workspace_that_they_name(store: TestStore) {
        let world = World::with_model(store).await;
        let owner = world.user("Owner").await;
        let workspace = world.workspace("acme", owner.id).await;
        let by = Authority::of_administrator(workspace, None);
        let name = "readers".parse().expect("name");
        let role = world.write(async |tx, access| access.roles.create(tx, &by, name, None).await).await.expect("role");
        let (first, second) = (world.group(workspace, "one", &[]).await, world.group(workspace, "two", &[]).await);
        let named = [
            format!("docs/folder:1#viewer@group:{first}#member"),
            format!("docs/folder:1#viewer@group:{second}#member"),
            format!("docs/folder:1#viewer@role:{}#assignee", role.id),
            format!("docs/folder:1#workspace@workspace:{workspace}"),
            format!("docs/folder:1#viewer@user:{}", owner.id),
        ];
        world.put(&puts(named.iter().map(|text| tuple(text))), None).await.expect("written");
        world.write(async |tx, access| access.groups.delete(tx, &by, first).await).await.expect("deleted");
        let left = world.all_tuples().await;
        assert_eq!(left.len(), 4);
        assert!(!left.contains(&named[0]));
        world.assert_replayed().await;
        world.write(async |tx, access| access.workspaces.delete(tx, &by).await).await.expect("deleted");
        assert_eq!(world.all_tuples().await, [named[4].clone()]);
        world.assert_replayed().await;
    }

    async fn models_and_tuples_outlive_the_app_of_their_service(store: TestStore) {
        let world = World::with_model(store).await;
        let app = world.service_app("docs", crate::world::key(1)).await;
        world.put(&puts([viewer(1, 1)]), None).await.expect("written");
        world.write(async |tx, access| access.service_apps.delete(tx, None, app.id).await).await.expect("deleted");
        assert_eq!(world.all_tuples().await.len(), 1);
        world.assert_replayed().await;
    }
}
