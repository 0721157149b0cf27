//! Tuple writes that wait together: they are done in one transaction, and each of them as if it had been alone.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use sentinel_access::AccessError;
use sentinel_access::relations::{
    Filter, Idempotency, Matched, ModelOptions, ModelOutcome, Precondition, RelationError, RelationTuple,
    TupleWrite, Written,
};
use sentinel_core::name::ServiceName;
use sentinel_core::{Change, Clock as _, Revision, Tuple};
use sentinel_store::testing::{Backend, TestStore, run};
use sentinel_store::{ChangesAfter, StoreError, execute, on_both_backends};
use tokio::task::JoinHandle;

use crate::relations::{MODEL, deletes, put, puts, somebody, tuple, viewer, wiki};
use crate::world::{World, docs};

type Answer = Result<Written, RelationError>;

/// Who asks for what, under which key.
type Asked = (ServiceName, TupleWrite, Option<Idempotency>);

fn key(name: &str, request: u8) -> Idempotency {
    Idempotency {
        key: name.parse().expect("a key"),
        request: [request; 32],
    }
}

fn claim(tuple: Tuple) -> TupleWrite {
    TupleWrite {
        puts: vec![put(tuple.clone())],
        preconditions: vec![Precondition {
            tuple,
            must_exist: false,
        }],
        ..TupleWrite::default()
    }
}

fn of_wiki(folder: u128, user: u128) -> Tuple {
    tuple(&format!("wiki/folder:{folder}#viewer@{}", somebody(user)))
}

impl World {
    /// With a model of `docs` and the same of `wiki`.
    async fn of_two(store: TestStore) -> Self {
        let world = Self::with_model(store).await;
        let written = world.model(&wiki(), MODEL, ModelOptions::default()).await;
        assert!(matches!(written, Ok(ModelOutcome::Written(_))), "{written:?}");
        world
    }

    /// Has a request wait for its turn, behind those that wait already.
    async fn enqueue(&self, (service, asked, key): Asked) -> JoinHandle<Answer> {
        let (tuples, before) = (self.tuples.clone(), self.tuples.waiting());
        let task = tokio::spawn(async move { tuples.write(&service, asked, key).await });
        self.until_waiting(before + 1).await;
        task
    }

    async fn until_waiting(&self, count: usize) {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
        while self.tuples.waiting() != count {
            assert!(tokio::time::Instant::now() < deadline, "{count} do not wait");
            tokio::task::yield_now().await;
        }
    }

    /// Has requests wait together, in this order, and gives them their turn.
    async fn together(&self, requests: Vec<Asked>) -> Vec<Answer> {
        let turn = self.store.db.write().await.expect("the turn");
        let mut tasks = Vec::new();
        for request in requests {
            tasks.push(self.enqueue(request).await);
        }
        turn.rollback().await.expect("given back");
        let mut answers = Vec::new();
        for task in tasks {
            answers.push(task.await.expect("no panic"));
        }
        answers
    }

    async fn head(&self) -> Revision {
        self.store.db.head().await.expect("head")
    }

    async fn tuples_of(&self, service: &ServiceName) -> Vec<String> {
        let page = Matched {
            after: None,
            limit: 10_000,
        };
        let filter = Filter::default();
        let page = self
            .read(async |tx, access| access.relations.read(tx, service, &filter, page).await)
            .await
            .expect("a page");
        let text = |row: &RelationTuple| format!("{} {:?}", row.tuple, row.until);
        page.tuples.iter().map(text).collect()
    }

    /// Which revision wrote each tuple last.
    async fn written_at(&self) -> BTreeMap<String, Revision> {
        let head = self.head().await;
        let start = Revision { number: 0, ..head };
        let ChangesAfter::Changes(logged) = self.store.db.changes_after(start, 10_000).await.expect("log")
        else {
            panic!("the log begins at the beginning");
        };
        let mut at = BTreeMap::new();
        for logged in logged {
            for change in logged.changes {
                if let Change::Put(fact) = change {
                    at.insert(fact.to_string(), logged.revision);
                }
            }
        }
        at
    }

    /// Has the database refuse any tuple about `folder:666`, in the middle of a transaction.
    async fn poison(&self, how: &'static str) {
        let mut tx = self.store.db.begin().await.expect("tx");
        let trigger = match self.store.backend {
            Backend::SqliteMemory => {
                "CREATE TRIGGER poison BEFORE INSERT ON relation_tuples WHEN NEW.object = 'folder:666'
                 BEGIN SELECT RAISE(ABORT, 'poison'); END"
            }
            Backend::PostgresRedis => {
                execute!(tx, how).await.expect("a function");
                "CREATE TRIGGER poison BEFORE INSERT ON relation_tuples
                 FOR EACH ROW WHEN (NEW.object = 'folder:666') EXECUTE FUNCTION poison()"
            }
        };
        execute!(tx, trigger).await.expect("poisoned");
        tx.commit().await.expect("commit");
    }
}

const FAIL: &str = "CREATE FUNCTION poison() RETURNS trigger LANGUAGE plpgsql AS
    $$BEGIN RAISE EXCEPTION 'poison'; END$$";

const SLOW: &str = "CREATE FUNCTION poison() RETURNS trigger LANGUAGE plpgsql AS
    $$BEGIN RAISE EXCEPTION 'poison' USING ERRCODE = 'lock_not_available'; END$$";

const WAIT_AND_FAIL: &str = "CREATE FUNCTION poison() RETURNS trigger LANGUAGE plpgsql AS
    $$BEGIN PERFORM pg_advisory_xact_lock(7); RAISE EXCEPTION 'poison'; END$$";

const HANG_UP: &str = "CREATE FUNCTION poison() RETURNS trigger LANGUAGE plpgsql AS
    $$BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END$$";

fn done(answer: &Answer) -> Written {
    *answer.as_ref().expect("done")
}

/// An answer without its revision.
fn plain(answer: &Answer) -> String {
    match answer {
        Ok(Written { written, deleted, .. }) => format!("{written} {deleted}"),
        Err(RelationError::Precondition {
            index, must_exist, ..
        }) => format!("precondition {index} {must_exist}"),
        Err(RelationError::Faults(faults)) => format!("{faults:?}").replace("wiki", "docs"),
        Err(other) => other.to_string(),
    }
}

/// A dice that falls the same way in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }
}

/// Something about few tuples of a service, so that requests meet.
fn anything(dice: &mut Dice, service: &ServiceName, store: &TestStore) -> (TupleWrite, Option<Idempotency>) {
    let mut some = |most: u64| -> Vec<Tuple> {
        let any = |dice: &mut Dice| {
            let relation = [
                "viewer", "viewer", "viewer", "viewer", "viewer", "viewer", "viewer", "owner",
            ][usize::try_from(dice.roll(8)).expect("small")];
            tuple(&format!(
                "{service}/folder:{}#{relation}@{}",
                dice.roll(3),
                somebody(u128::from(dice.roll(2)))
            ))
        };
        (0..dice.roll(most + 1)).map(|_| any(dice)).collect()
    };
    let (writes, deletes, conditions) = (some(2), some(2), some(1));
    let end = |dice: &mut Dice| {
        (dice.roll(3) == 0).then(|| store.clock.now() + Duration::from_mins(1 + dice.roll(2)))
    };
    let asked = TupleWrite {
        puts: writes
            .into_iter()
            .map(|tuple| RelationTuple {
                tuple,
                until: end(dice),
            })
            .collect(),
        deletes,
        preconditions: conditions
            .into_iter()
            .map(|tuple| Precondition {
                tuple,
                must_exist: dice.roll(2) == 0,
            })
            .collect(),
    };
    let names = ["a", "b", "c"];
    let request = u8::try_from(dice.roll(2)).expect("small");
    let key = (dice.roll(3) == 0).then(|| key(names[usize::try_from(dice.roll(3)).expect("small")], request));
    (asked, key)
}

on_both_backends! {
    async fn who_waits_together_gets_one_revision_and_his_own_answer(store: TestStore) {
        let world = World::of_two(store).await;
        let base = world.head().await;
        let next = Revision { number: base.number + 1, ..base };
        let answers = world.together(vec![
            (docs(), deletes([viewer(9, 9)]), None),
            (docs(), puts([viewer(1, 1), viewer(1, 2)]), None),
            (wiki(), puts([of_wiki(1, 1)]), None),
            (docs(), puts([viewer(1, 1), viewer(1, 1)]), None),
            (docs(), puts([viewer(1, 2), viewer(1, 3)]), None),
            (docs(), claim(viewer(1, 3)), None),
            (wiki(), deletes([of_wiki(1, 1), of_wiki(1, 2)]), None),
            (docs(), puts([viewer(1, 1)]), None),
        ]).await;
        let told: Vec<String> = answers.iter().map(plain).collect();
        let twice = told[3].clone();
        assert!(twice.contains("Twice"), "{twice}");
        assert_eq!(told, ["0 0", "2 0", "1 0", &twice, "1 0", "precondition 0 false", "0 1", "0 0"]);
        let revisions: Vec<Revision> = answers.iter().flatten().map(|done| done.revision).collect();
        assert_eq!(revisions, [base, next, next, next, next, next], "the first one found everything as it was");
        assert!(matches!(answers[5], Err(RelationError::Precondition { revision, .. }) if revision == next));
        assert_eq!(world.head().await, next);
        assert_eq!(world.tuples_of(&docs()).await.len(), 3);
        assert!(world.tuples_of(&wiki()).await.is_empty());
        world.assert_replayed().await;
        world.graph().await;
    }

    async fn of_those_who_claim_the_same_the_first_gets_it(store: TestStore) {
        let world = World::with_model(store).await;
        let open = || tuple("docs/folder:1#viewer@user:*");
        let claims = (0..5).map(|number| {
            let mut claim = claim(open());
            claim.puts.push(put(viewer(1, number)));
            (docs(), claim, None)
        });
        let answers = world.together(claims.collect()).await;
        assert_eq!(done(&answers[0]).written, 2);
        for lost in &answers[1..] {
            assert!(matches!(lost, Err(RelationError::Precondition { index: 0, must_exist: false, .. })), "{lost:?}");
        }
        assert_eq!(world.tuples_of(&docs()).await.len(), 2, "of those who lost nothing was written");
        world.assert_replayed().await;
    }

    async fn a_key_counts_within_what_is_done_together(store: TestStore) {
        let world = World::of_two(store).await;
        let answers = world.together(vec![
            (docs(), puts([viewer(1, 1)]), Some(key("a", 1))),
            (docs(), deletes([viewer(1, 1)]), None),
            (docs(), puts([viewer(1, 1)]), Some(key("a", 1))),
            (docs(), puts([viewer(2, 2)]), Some(key("a", 2))),
            (wiki(), puts([of_wiki(1, 1)]), Some(key("a", 3))),
        ]).await;
        assert_eq!(done(&answers[0]), done(&answers[2]), "it was not done again");
        assert!(matches!(answers[3], Err(RelationError::KeyReused)));
        assert_eq!(done(&answers[4]).written, 1, "another service's key is another key");
        assert!(world.tuples_of(&docs()).await.is_empty());
        let later = world.together(vec![
            (docs(), puts([viewer(3, 3)]), None),
            (docs(), puts([viewer(1, 1)]), Some(key("a", 1))),
        ]).await;
        assert_eq!(done(&later[1]), done(&answers[0]), "and it is remembered");
        assert_eq!(world.tuples_of(&docs()).await.len(), 1);
        world.assert_replayed().await;
    }

    async fn what_one_undoes_of_another_makes_no_revision(store: TestStore) {
        let world = World::with_model(store).await;
        let base = world.head().await;
        let answers = world.together(vec![
            (docs(), puts([viewer(1, 1)]), Some(key("a", 1))),
            (docs(), deletes([viewer(1, 1)]), None),
            (docs(), claim(viewer(2, 2)), None),
            (docs(), deletes([viewer(2, 2)]), None),
        ]).await;
        let told: Vec<String> = answers.iter().map(plain).collect();
        assert_eq!(told, ["1 0", "0 1", "1 0", "0 1"]);
        for answer in &answers {
            assert_eq!(done(answer).revision, base, "there is no newer one to wait for");
        }
        assert_eq!(world.head().await, base);
        let again = world.together(vec![(docs(), puts([viewer(1, 1)]), Some(key("a", 1)))]).await;
        assert_eq!(done(&again[0]), done(&answers[0]));
        world.assert_replayed().await;
    }

    async fn one_that_the_database_refuses_spoils_nothing_for_the_others(store: TestStore) {
        let world = World::of_two(store).await;
        world.poison(FAIL).await;
        let base = world.head().await;
        let answers = world.together(vec![
            (docs(), puts([viewer(1, 1)]), Some(key("a", 1))),
            (docs(), puts([viewer(2, 1), viewer(666, 1)]), Some(key("b", 1))),
            (wiki(), puts([of_wiki(1, 1)]), None),
            (docs(), claim(viewer(1, 1)), None),
        ]).await;
        let poison = answers[1].as_ref().expect_err("refused");
        assert!(matches!(poison, RelationError::Access(AccessError::Store(StoreError::Other(_)))), "{poison:?}");
        assert_eq!((done(&answers[0]).written, done(&answers[2]).written), (1, 1));
        assert!(matches!(answers[3], Err(RelationError::Precondition { .. })), "in their order");
        assert_eq!(world.head().await.number, base.number + 2, "before it and after it");
        assert_eq!(world.tuples_of(&docs()).await.len(), 1, "and of the refused one nothing");
        world.assert_replayed().await;
    }

    async fn those_who_can_be_done_together_are_still_done_together(store: TestStore) {
        let world = World::with_model(store).await;
        world.poison(FAIL).await;
        let base = world.head().await;
        let folders = (1..=63).chain([666]);
        let requests = folders.map(|folder| (docs(), puts([viewer(folder, 1)]), None));
        let answers = world.together(requests.collect()).await;
        let revisions: Vec<u64> = answers.iter().flatten().map(|done| done.revision.number - base.number).collect();
        let halves = [vec![1; 32], vec![2; 16], vec![3; 8], vec![4; 4], vec![5; 2], vec![6; 1]].concat();
        assert_eq!(revisions, halves, "halves of halves, of which one is refused");
        assert!(answers[63].is_err());
        assert_eq!(world.tuples_of(&docs()).await.len(), 63);
        world.assert_replayed().await;
    }

    async fn without_the_database_all_are_told_so_and_nothing_is_stored(store: TestStore) {
        let world = World::of_two(store).await;
        let other = world.store.another_process().await;
        let before = other.head().await.expect("head");
        let turn = world.store.db.write().await.expect("the turn");
        let first = world.enqueue((docs(), puts([viewer(1, 1)]), None)).await;
        let second = world.enqueue((wiki(), puts([of_wiki(1, 1)]), None)).await;
        let closing = world.store.db.close();
        let ending = async {
            drop(turn);
            for task in [first, second] {
                let error = task.await.expect("no panic").expect_err("refused");
                assert!(
                    matches!(error, RelationError::Access(AccessError::Store(StoreError::Unavailable(_)))),
                    "{error:?}"
                );
            }
        };
        tokio::join!(biased; closing, ending);
        assert_eq!(other.head().await.expect("head"), before);
        assert_eq!(world.tuples.waiting(), 0);
    }

    async fn who_goes_away_before_his_turn_never_asked(store: TestStore) {
        let world = World::with_model(store).await;
        let turn = world.store.db.write().await.expect("the turn");
        let stays = world.enqueue((docs(), puts([viewer(1, 1)]), None)).await;
        let goes = world.enqueue((docs(), puts([viewer(2, 2)]), Some(key("a", 1)))).await;
        let last = world.enqueue((docs(), puts([viewer(3, 3)]), None)).await;
        goes.abort();
        world.until_waiting(2).await;
        turn.rollback().await.expect("given back");
        let (first, last) = (stays.await.expect("no panic"), last.await.expect("no panic"));
        assert_eq!(done(&first).revision, done(&last).revision);
        assert_eq!(world.tuples_of(&docs()).await.len(), 2);
        let again = world.together(vec![(docs(), puts([viewer(4, 4)]), Some(key("a", 2)))]).await;
        assert_eq!(done(&again[0]).written, 1, "nor is his key remembered");
        world.assert_replayed().await;
    }

    async fn when_all_have_gone_away_the_next_one_is_served(store: TestStore) {
        let world = World::with_model(store).await;
        let turn = world.store.db.write().await.expect("the turn");
        let goes = world.enqueue((docs(), puts([viewer(2, 2)]), None)).await;
        goes.abort();
        world.until_waiting(0).await;
        turn.rollback().await.expect("given back");
        let next = world.tuples.write(&docs(), puts([viewer(1, 1)]), None).await;
        assert_eq!(done(&next).written, 1);
        assert_eq!(world.tuples_of(&docs()).await.len(), 1);
    }

    async fn a_service_that_writes_a_lot_holds_up_no_other_one(store: TestStore) {
        let world = World::of_two(store).await;
        let base = world.head().await;
        let large = |number: u128| {
            let tuples = (0..1_000).map(move |user| viewer(number, user));
            (docs(), puts(tuples), None)
        };
        let small = (0..60).map(|number| (wiki(), puts([of_wiki(number, 1)]), None));
        let answers = world.together((0..5).map(large).chain(small).collect()).await;
        for answer in &answers[5..] {
            assert_eq!(done(answer).revision.number, base.number + 1, "with the first of the large ones");
        }
        assert_eq!(done(&answers[4]).written, 1_000);
        assert_eq!(world.tuples_of(&docs()).await.len(), 5_000);
        assert_eq!(world.tuples_of(&wiki()).await.len(), 60);
        world.assert_replayed().await;
    }

    async fn other_writers_get_their_turn_in_between(store: TestStore) {
        let world = World::with_model(store).await;
        let base = world.head().await;
        let turn = world.store.db.write().await.expect("the turn");
        let mut tasks = Vec::new();
        for number in 0..300 {
            tasks.push(world.enqueue((docs(), puts([viewer(number, 1)]), None)).await);
        }
        let mut other = pin!(world.store.db.write());
        let is_waiting = poll_fn(|context| Poll::Ready(other.as_mut().poll(context).is_pending())).await;
        assert!(is_waiting, "it is somebody else's turn");
        turn.rollback().await.expect("given back");
        let other = other.await.expect("the turn");
        assert!(other.base().number <= base.number + 1, "{} after {base}", other.base());
        assert!(world.tuples.waiting() > 0);
        other.rollback().await.expect("given back");
        for task in tasks {
            assert_eq!(done(&task.await.expect("no panic")).written, 1);
        }
        assert_eq!(world.head().await.number, base.number + 3, "128, 128 and the rest");
        world.assert_replayed().await;
    }

    async fn what_waits_is_held_to_the_model_of_its_turn(store: TestStore) {
        let world = World::with_model(store).await;
        // So that the present model is at hand.
        world.tuples.write(&docs(), puts([viewer(1, 1)]), None).await.expect("written");
        let other = MODEL
            .replace("define viewer", "define editor: [user]\n    define viewer")
            .replace("    define parent: [folder]\n", "")
            .replace(" or viewer from parent", "");
        let ground = world.read(async |tx, access| access.relations.model_ground(tx, &docs()).await).await;
        let draft = ground.expect("a ground").draft(&other).expect("a model");
        let mut turn = world.store.db.write().await.expect("the turn");
        let editor = tuple(&format!("docs/folder:1#editor@{}", somebody(1)));
        let new = world.enqueue((docs(), puts([editor]), None)).await;
        let old = world.enqueue((docs(), puts([tuple("docs/folder:1#parent@docs/folder:2")]), None)).await;
        let relations = &world.access.relations;
        let outcome = relations.write_model(&mut turn, None, &draft, ModelOptions::default()).await;
        assert!(matches!(outcome, Ok(ModelOutcome::Written(_))), "{outcome:?}");
        turn.commit().await.expect("commit");
        assert_eq!(done(&new.await.expect("no panic")).written, 1);
        let refused = old.await.expect("no panic");
        assert!(matches!(&refused, Err(RelationError::Faults(faults)) if faults.len() == 1), "{refused:?}");
        world.assert_replayed().await;
    }

    async fn together_comes_to_what_one_after_the_other_does(store: TestStore) {
        let world = World::of_two(store).await;
        let mut dice = Dice(0x5e17_1e1a_7ab1_e5ed);
        let (mut refused, mut repeated) = (0, 0);
        for round in 0..60 {
            let seed = dice.roll(u64::MAX);
            let count = 1 + dice.roll(9);
            let requests = |service: ServiceName| {
                let mut dice = Dice(seed | 1);
                let store = &world.store;
                let one = move |_| {
                    let (asked, key) = anything(&mut dice, &service, store);
                    (service.clone(), asked, key)
                };
                (0..count).map(one).collect::<Vec<Asked>>()
            };
            let mut alone = Vec::new();
            for (service, asked, key) in requests(wiki()) {
                alone.push(world.tuples.write(&service, asked, key).await);
            }
            let head = world.head().await;
            let together = world.together(requests(docs())).await;
            assert!(world.head().await.number <= head.number + 1);
            let told = |answers: &[Answer]| answers.iter().map(plain).collect::<Vec<_>>();
            assert_eq!(told(&together), told(&alone), "round {round}, seed {seed}");
            let as_docs: Vec<String> =
                world.tuples_of(&wiki()).await.iter().map(|text| text.replace("wiki/", "docs/")).collect();
            assert_eq!(world.tuples_of(&docs()).await, as_docs, "round {round}, seed {seed}");
            refused += together.iter().filter(|answer| answer.is_err()).count();
            repeated += together.iter().filter(|answer| matches!(answer, Err(RelationError::KeyReused))).count();
            if round % 7 == 0 {
                world.store.clock.advance(Duration::from_mins(1));
            }
            if round % 20 == 0 {
                world.store.clock.advance(Duration::from_hours(24));
            }
        }
        assert!(refused > 40 && repeated > 5, "{refused} refused, {repeated} by their key");
        world.assert_replayed().await;
    }

    async fn many_at_once_each_get_what_is_theirs(store: TestStore) {
        let world = World::of_two(store).await;
        let mut tasks = Vec::new();
        for number in 0..200_u128 {
            let tuples = world.tuples.clone();
            tasks.push(tokio::spawn(async move {
                let (service, tuple) = if number % 3 == 0 {
                    (wiki(), of_wiki(number, 1))
                } else {
                    (docs(), viewer(number, 1))
                };
                let asked = if number % 5 == 0 { claim(tuple.clone()) } else { puts([tuple.clone()]) };
                let first = tuples.write(&service, asked.clone(), None).await.expect("written");
                assert_eq!(first.written, 1);
                let again = tuples.write(&service, asked, None).await;
                match again {
                    Ok(again) => assert!(again.written == 0 && again.revision >= first.revision),
                    Err(RelationError::Precondition { .. }) => assert_eq!(number % 5, 0),
                    Err(other) => panic!("{other:?}"),
                }
                (tuple, first.revision)
            }));
        }
        let mut named = Vec::new();
        for task in tasks {
            named.push(task.await.expect("no panic"));
        }
        let written_at = world.written_at().await;
        for (tuple, revision) in named {
            assert_eq!(written_at[&format!("tuple {tuple}")], revision);
        }
        world.assert_replayed().await;
    }
}

/// Three that wait together, one of which the database answers in this way: nothing of any of them is written.
async fn none_is_written(world: &World, how: &'static str) -> Vec<Answer> {
    world.poison(how).await;
    let base = world.head().await;
    let answers = world
        .together(vec![
            (docs(), puts([viewer(1, 1)]), Some(key("a", 1))),
            (docs(), puts([viewer(666, 1)]), None),
            (wiki(), puts([of_wiki(1, 1)]), None),
        ])
        .await;
    assert_eq!(world.head().await, base, "nothing was written");
    assert!(world.tuples_of(&docs()).await.is_empty());
    answers
}

#[test]
fn a_connection_that_is_lost_in_the_middle_loses_all_of_it() {
    run(Backend::PostgresRedis, |store: TestStore| async move {
        let world = World::of_two(store).await;
        for answer in none_is_written(&world, HANG_UP).await {
            let Err(RelationError::Access(AccessError::Store(StoreError::Unavailable(_)))) = answer else {
                panic!("{answer:?}");
            };
        }
        let again = world
            .tuples
            .write(&docs(), puts([viewer(1, 1)]), Some(key("a", 1)))
            .await;
        assert_eq!(done(&again).written, 1, "the next one gets another connection");
    });
}

#[test]
fn where_the_database_is_too_slow_it_is_not_asked_for_each_alone() {
    run(Backend::PostgresRedis, |store: TestStore| async move {
        let world = World::of_two(store).await;
        for answer in none_is_written(&world, SLOW).await {
            let Err(RelationError::Access(AccessError::Store(StoreError::Busy(_)))) = answer else {
                panic!("{answer:?}");
            };
        }
    });
}

#[test]
fn for_who_has_gone_away_nothing_is_tried_again() {
    run(Backend::PostgresRedis, |store: TestStore| async move {
        let world = World::with_model(store).await;
        world.poison(WAIT_AND_FAIL).await;
        let mut closed = world.store.db.begin().await.expect("tx");
        execute!(closed, "SELECT pg_advisory_xact_lock(7)")
            .await
            .expect("locked");
        let turn = world.store.db.write().await.expect("the turn");
        let stays = world.enqueue((docs(), puts([viewer(1, 1)]), None)).await;
        let goes = world.enqueue((docs(), puts([viewer(2, 2)]), None)).await;
        let poison = world.enqueue((docs(), puts([viewer(666, 1)]), None)).await;
        turn.rollback().await.expect("given back");
        world.until_waiting(0).await;
        goes.abort();
        assert!(goes.await.expect_err("aborted").is_cancelled());
        closed.rollback().await.expect("unlocked");
        assert_eq!(done(&stays.await.expect("no panic")).written, 1);
        assert!(poison.await.expect("no panic").is_err());
        assert_eq!(world.tuples_of(&docs()).await.len(), 1, "of those who stayed");
        world.assert_replayed().await;
    });
}

#[test]
fn a_write_that_meets_the_end_of_the_runtime_ends() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let world = runtime.block_on(async {
        let world = World::with_model(TestStore::start(Backend::SqliteMemory).await).await;
        let written = world.tuples.write(&docs(), puts([viewer(1, 1)]), None).await;
        assert_eq!(done(&written).written, 1, "so that the model is at hand");
        world
    });
    let handle = runtime.handle().clone();
    drop(runtime);
    let (tell, told) = std::sync::mpsc::channel();
    // On its own: were it to wait for itself, it would for ever.
    std::thread::spawn(move || {
        let _runtime = handle.enter();
        let service = docs();
        let mut write = Box::pin(world.tuples.write(&service, puts([viewer(2, 2)]), None));
        let ended = write
            .as_mut()
            .poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
        let is_away = matches!(
            ended,
            Poll::Ready(Err(RelationError::Access(AccessError::Store(
                StoreError::Unavailable(_)
            ))))
        );
        drop(write);
        let _ = tell.send((is_away, world.tuples.waiting()));
    });
    let ended = told.recv_timeout(Duration::from_secs(20));
    assert_eq!(ended.expect("it ends"), (true, 0));
}
