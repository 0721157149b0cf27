//! A history that was replaced by another one is never gone on in, whatever its numbers are.

use sentinel_core::{Revision, Timestamp};
use sentinel_store::testing::TestStore;
use sentinel_store::{
    Chain, ChangesAfter, Continuation, Database, Mark, execute, fetch_scalar, on_both_backends,
};

use crate::change;

async fn committed(db: &Database, numbers: impl IntoIterator<Item = u128>) {
    for number in numbers {
        let mut write = db.write().await.expect("write");
        write.record(change(number));
        write.commit().await.expect("commit");
    }
}

async fn mark(db: &Database) -> Mark {
    db.read().await.expect("read").mark().await.expect("mark")
}

async fn go_on(db: &Database, known: Mark) -> Continuation {
    db.continue_from(known, 100).await.expect("an answer")
}

/// The numbers of the revisions that follow, if they do.
async fn numbers(db: &Database, known: Mark) -> Option<Vec<u64>> {
    match go_on(db, known).await {
        Continuation::Changes(changes) => {
            Some(changes.iter().map(|(mark, _)| mark.revision.number).collect())
        }
        Continuation::TooOld(_) | Continuation::Replaced(_) => None,
    }
}

/// As a program of before writes it, which knows of no chain.
async fn committed_without_a_link(db: &Database, now: Timestamp, numbers: impl IntoIterator<Item = u64>) {
    for number in numbers {
        let (changes, number) = (
            change(u128::from(number)).to_string(),
            i64::try_from(number).expect("small"),
        );
        let mut tx = db.begin().await.expect("tx");
        execute!(
            tx,
            "UPDATE replication_head SET revision = $1 WHERE id = 1",
            number
        )
        .await
        .expect("head");
        let insert = "INSERT INTO change_log (revision, changes, created_at) VALUES ($1, $2, $3)";
        execute!(tx, insert, number, changes, now).await.expect("log");
        tx.commit().await.expect("commit");
    }
}

/// As a backup of that moment has it.
async fn roll_back_to(store: &TestStore, back: Mark) {
    let mut tx = store.db.begin().await.expect("tx");
    let number = i64::try_from(back.revision.number).expect("small");
    execute!(tx, "DELETE FROM change_log WHERE revision > $1", number)
        .await
        .expect("log");
    execute!(
        tx,
        "UPDATE replication_head SET revision = $1, chain = $2 WHERE id = 1",
        number,
        back.chain.as_bytes().to_vec()
    )
    .await
    .expect("head");
    tx.commit().await.expect("commit");
}

on_both_backends! {
    async fn a_history_goes_on_from_each_of_its_places(store: TestStore) {
        let start = mark(&store.db).await;
        assert_eq!(start.chain, Chain::START);
        committed(&store.db, 1..=5).await;
        let Continuation::Changes(all) = go_on(&store.db, start).await else { panic!("it goes on") };
        assert_eq!(all.len(), 5);
        assert_eq!(all[4].0, mark(&store.db).await, "the end is the head");
        for (number, (known, changes)) in (1..).zip(&all) {
            assert_eq!((known.revision.number, changes.as_slice()), (number, [change(u128::from(number))].as_slice()));
            let rest = numbers(&store.db, *known).await.expect("it goes on");
            assert_eq!(rest, (number + 1..=5).collect::<Vec<_>>());
        }
        let Continuation::Changes(page) = store.db.continue_from(start, 2).await.expect("an answer") else {
            panic!("it goes on")
        };
        assert_eq!(page, all[..2]);
    }

    async fn another_history_of_the_same_numbers_is_another_one(store: TestStore) {
        committed(&store.db, 1..=3).await;
        let back = mark(&store.db).await;
        committed(&store.db, 4..=6).await;
        let (old, in_between) = (mark(&store.db).await, Mark { revision: Revision { number: 4, ..back.revision }, ..back });
        roll_back_to(&store, back).await;
        assert!(matches!(go_on(&store.db, old).await, Continuation::TooOld(head) if head == back.revision));
        committed(&store.db, [14]).await;
        assert!(matches!(go_on(&store.db, old).await, Continuation::TooOld(_)));
        committed(&store.db, [15, 16]).await;
        let head = mark(&store.db).await;
        assert_eq!((head.revision, head.chain == old.chain), (old.revision, false));
        assert_eq!(go_on(&store.db, old).await, Continuation::Replaced(head.revision), "as many revisions");
        committed(&store.db, [17]).await;
        assert!(matches!(go_on(&store.db, old).await, Continuation::Replaced(_)), "and one more");
        assert!(matches!(go_on(&store.db, in_between).await, Continuation::Replaced(_)));
        assert_eq!(numbers(&store.db, back).await, Some(vec![4, 5, 6, 7]), "what both have goes on");
    }

    async fn the_same_changes_in_the_same_order_are_the_same_history(store: TestStore) {
        committed(&store.db, 1..=3).await;
        let back = mark(&store.db).await;
        committed(&store.db, 4..=5).await;
        let known = mark(&store.db).await;
        roll_back_to(&store, back).await;
        committed(&store.db, 4..=6).await;
        assert_eq!(numbers(&store.db, known).await, Some(vec![6]));
        roll_back_to(&store, back).await;
        committed(&store.db, [5, 4, 6]).await;
        assert!(matches!(go_on(&store.db, known).await, Continuation::Replaced(_)));
    }

    async fn a_row_that_was_changed_is_noticed(store: TestStore) {
        let start = mark(&store.db).await;
        committed(&store.db, 1..=3).await;
        let mut tx = store.db.begin().await.expect("tx");
        let other = change(9).to_string();
        execute!(tx, "UPDATE change_log SET changes = $1 WHERE revision = 2", other).await.expect("changed");
        tx.commit().await.expect("commit");
        assert!(matches!(go_on(&store.db, start).await, Continuation::Replaced(_)));
    }

    async fn what_was_trimmed_is_too_old_and_the_rest_goes_on(store: TestStore) {
        let start = mark(&store.db).await;
        committed(&store.db, 1..=3).await;
        let known = mark(&store.db).await;
        committed(&store.db, 4..=5).await;
        store.clock.advance(std::time::Duration::from_secs(1));
        assert_eq!(store.db.trim_change_log(store.now(), 2).await.expect("trimmed"), 3);
        assert!(matches!(go_on(&store.db, start).await, Continuation::TooOld(_)));
        assert_eq!(numbers(&store.db, known).await, Some(vec![4, 5]));
        let begun = store.db.begin_new_epoch().await.expect("epoch");
        assert_eq!(go_on(&store.db, known).await, Continuation::TooOld(begun));
        assert_eq!(mark(&store.db).await, Mark { revision: begun, chain: Chain::START });
    }

    async fn a_log_from_before_the_chain_is_gone_on_with(store: TestStore) {
        committed(&store.db, 1..=3).await;
        let mut tx = store.db.begin().await.expect("tx");
        // As the step that brings the chain finds it.
        execute!(tx, "UPDATE change_log SET chain = NULL").await.expect("log");
        execute!(tx, "UPDATE replication_head SET chain = NULL").await.expect("head");
        tx.commit().await.expect("commit");
        let start = Mark { revision: Revision { number: 0, ..mark(&store.db).await.revision }, chain: Chain::START };
        let before = mark(&store.db).await;
        assert_eq!(numbers(&store.db, start).await, Some(vec![1, 2, 3]));
        committed(&store.db, [4]).await;
        // A program of before, which is being replaced.
        committed_without_a_link(&store.db, store.now(), [5]).await;
        let between = mark(&store.db).await;
        committed(&store.db, [6]).await;
        for (known, rest) in [(start, vec![1, 2, 3, 4, 5, 6]), (before, vec![4, 5, 6]), (between, vec![6])] {
            assert_eq!(numbers(&store.db, known).await, Some(rest), "{known:?}");
        }
        let other = Mark { chain: Chain::START.next(before.revision, "+x"), ..before };
        assert!(matches!(go_on(&store.db, other).await, Continuation::Replaced(_)));
    }

    async fn rows_without_a_link_lead_to_the_head_or_nowhere(store: TestStore) {
        committed(&store.db, 1..=3).await;
        let back = mark(&store.db).await;
        committed(&store.db, 4..=6).await;
        let old = mark(&store.db).await;
        roll_back_to(&store, back).await;
        committed_without_a_link(&store.db, store.now(), 4..=7).await;
        let head = mark(&store.db).await.revision;
        assert_eq!(go_on(&store.db, old).await, Continuation::Replaced(head), "nothing is handed out before");
        assert_eq!(numbers(&store.db, back).await, Some(vec![4, 5, 6, 7]));
        // The last row is the head, also when as many were asked for as there are.
        let one = store.db.continue_from(old, 1).await.expect("an answer");
        assert_eq!(one, Continuation::Replaced(head));
    }

    async fn a_log_that_ends_before_the_head_is_not_up_to_date(store: TestStore) {
        let start = mark(&store.db).await;
        committed(&store.db, 1..=2).await;
        let known = mark(&store.db).await;
        committed(&store.db, 3..=5).await;
        let head = mark(&store.db).await;
        let mut tx = store.db.begin().await.expect("tx");
        execute!(tx, "DELETE FROM change_log WHERE revision > 3").await.expect("lost");
        tx.commit().await.expect("commit");
        for from in [start, known] {
            assert_eq!(go_on(&store.db, from).await, Continuation::TooOld(head.revision));
            let by_number = store.db.changes_after(from.revision, 100).await.expect("an answer");
            assert_eq!(by_number, ChangesAfter::TooOld);
        }
        let Continuation::Changes(page) = store.db.continue_from(known, 1).await.expect("an answer") else {
            panic!("as far as there is something")
        };
        assert_eq!(page.len(), 1);
        assert_eq!(go_on(&store.db, page[0].0).await, Continuation::TooOld(head.revision));
        assert_eq!(numbers(&store.db, head).await, Some(Vec::new()), "what was read anew goes on");
        committed(&store.db, [6]).await;
        assert_eq!(numbers(&store.db, head).await, Some(vec![6]));
    }

    async fn every_commit_has_a_link(store: TestStore) {
        committed(&store.db, 1..=3).await;
        let mut write = store.db.write().await.expect("write");
        write.record_all([change(4), change(5)]);
        write.commit().await.expect("commit");
        let mut tx = store.db.read().await.expect("read");
        let unlinked = "SELECT COUNT(*) FROM change_log WHERE chain IS NULL";
        assert_eq!(fetch_scalar!(tx, i64, unlinked).await.expect("count"), 0);
        let same = "SELECT COUNT(*) FROM change_log AS l JOIN replication_head AS h
                     ON h.revision = l.revision AND h.chain = l.chain";
        assert_eq!(fetch_scalar!(tx, i64, same).await.expect("count"), 1, "the head has the last one");
    }
}
