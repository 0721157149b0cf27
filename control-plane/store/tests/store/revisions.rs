//! Revisions have no gaps, follow the order of commits, and none is seen before its rows are.

use std::time::Duration;

use sentinel_core::Revision;
use sentinel_store::{ChangesAfter, Database, StoreError, execute, fetch_scalar_all, on_both_backends};
use uuid::Uuid;

use crate::{change, id, newer};

const INSERT: &str = "INSERT INTO revocations (kind, id, until, created_at) VALUES ('token', $1, $2, $2)";

/// Writes a row and a change that names it, or fails on the way, as `fate` says.
async fn write_one(db: &Database, fate: u32) -> Option<Revision> {
    let mut write = db.write().await.expect("write");
    let row = id();
    let at = chrono::DateTime::<chrono::Utc>::UNIX_EPOCH;
    execute!(write, INSERT, row, at).await.expect("insert");
    write.record(change(row.as_u128()));
    match fate {
        0 => drop(write),
        1 => write.rollback().await.expect("rollback"),
        2 => {
            assert!(
                execute!(write, INSERT, row, at).await.is_err(),
                "the same row twice"
            );
            assert!(matches!(write.commit().await, Err(StoreError::Poisoned)));
        }
        _ => return write.commit().await.expect("commit"),
    }
    None
}

/// Reads on from `known` until `count` revisions were seen, checking each: it is the next one, and the row that its
/// change names is visible.
async fn read_on(db: &Database, mut known: Revision, count: u64) -> Revision {
    let end = known.number + count;
    while known.number < end {
        let mut tx = db.read().await.expect("read");
        let ChangesAfter::Changes(new) = tx.changes_after(known, 3).await.expect("changes") else {
            panic!("the log goes back to {known}");
        };
        let rows: Vec<Uuid> = fetch_scalar_all!(tx, Uuid, "SELECT id FROM revocations")
            .await
            .expect("rows");
        tx.commit().await.expect("end");
        for logged in new {
            assert_eq!(
                logged.revision,
                Revision {
                    number: known.number + 1,
                    ..known
                }
            );
            assert!(
                rows.iter().any(|row| logged.changes == [change(row.as_u128())]),
                "{} is not visible",
                logged.revision
            );
            known = logged.revision;
        }
        let last = known.number.min(end - 1);
        newer(
            db,
            Revision {
                number: last,
                ..known
            },
        )
        .await;
    }
    known
}

async fn committed(db: &Database, count: u128) {
    for number in 0..count {
        let mut write = db.write().await.expect("write");
        write.record(change(number));
        write.commit().await.expect("commit");
    }
}

fn numbers(changes: ChangesAfter) -> Vec<u64> {
    match changes {
        ChangesAfter::Changes(logged) => logged.into_iter().map(|logged| logged.revision.number).collect(),
        ChangesAfter::TooOld => panic!("too old"),
    }
}

on_both_backends! {
    async fn many_writers_leave_no_gap_and_readers_skip_nothing(store: TestStore) {
        let other = store.another_process().await;
        let start = store.db.head().await.expect("head");
        let readers: Vec<_> = [store.db.clone(), other.clone()]
            .map(|db| tokio::spawn(async move { read_on(&db, start, 48).await }))
            .into();
        let writers: Vec<_> = (0..12_u32)
            .map(|writer| {
                let db = if writer % 2 == 0 {
                    store.db.clone()
                } else {
                    other.clone()
                };
                tokio::spawn(async move {
                    let mut made = Vec::new();
                    for turn in 0..7 {
                        made.extend(write_one(&db, (writer + turn) % 7).await);
                    }
                    made
                })
            })
            .collect();
        let mut made = Vec::new();
        for writer in writers {
            let mine = writer.await.expect("writer");
            assert!(mine.is_sorted(), "a writer's own revisions grow");
            made.extend(mine);
        }
        made.sort();
        let expected: Vec<u64> = (1..=48).collect();
        assert_eq!(
            made.iter().map(|revision| revision.number).collect::<Vec<_>>(),
            expected
        );
        for reader in readers {
            let seen = tokio::time::timeout(Duration::from_mins(1), reader)
                .await
                .expect("in time")
                .expect("reader");
            assert_eq!(Some(&seen), made.last());
        }
    }

    async fn a_write_without_changes_has_no_revision(store: TestStore) {
        let mut write = store.db.write().await.expect("write");
        execute!(write, INSERT, id(), chrono::DateTime::<chrono::Utc>::UNIX_EPOCH)
            .await
            .expect("insert");
        assert_eq!(write.commit().await.expect("commit"), None);
        assert_eq!(store.db.head().await.expect("head").number, 0);
    }

    async fn changes_come_back_as_they_were_recorded_and_in_pages(store: TestStore) {
        let start = store.db.head().await.expect("head");
        let mut write = store.db.write().await.expect("write");
        write.record_all([change(1), change(2), change(1)]);
        assert_eq!(write.next_revision(), Revision { number: 1, ..start });
        let first = write.commit().await.expect("commit").expect("a revision");
        committed(&store.db, 2).await;
        let ChangesAfter::Changes(page) = store.db.changes_after(start, 2).await.expect("changes") else {
            panic!("too old")
        };
        assert_eq!(page[0].revision, first);
        assert_eq!(page[0].changes, [change(1), change(2), change(1)]);
        assert_eq!(page.len(), 2);
        let rest = store
            .db
            .changes_after(page[1].revision, 2)
            .await
            .expect("changes");
        assert_eq!(numbers(rest), [3]);
        let head = store.db.head().await.expect("head");
        assert_eq!(
            numbers(store.db.changes_after(head, 2).await.expect("changes")),
            [0; 0]
        );
    }

    async fn a_reader_from_another_history_or_the_future_is_told_so(store: TestStore) {
        committed(&store.db, 1).await;
        let head = store.db.head().await.expect("head");
        for strange in [
            Revision::ZERO,
            Revision {
                epoch: head.epoch - 1,
                number: 1,
            },
            Revision {
                epoch: head.epoch + 1,
                number: 0,
            },
            Revision { number: 2, ..head },
            Revision {
                number: u64::MAX,
                ..head
            },
        ] {
            assert_eq!(
                store.db.changes_after(strange, 10).await.expect("changes"),
                ChangesAfter::TooOld,
                "{strange}"
            );
        }
    }

    async fn the_log_is_trimmed_from_its_old_end_by_age_and_number(store: TestStore) {
        let start = store.db.head().await.expect("head");
        committed(&store.db, 5).await;
        store.clock.advance(Duration::from_mins(1));
        committed(&store.db, 5).await;
        let minute = store.now();
        assert_eq!(
            store.db.trim_change_log(minute, 8).await.expect("trim"),
            2,
            "eight are kept"
        );
        assert_eq!(
            store.db.trim_change_log(minute, 0).await.expect("trim"),
            3,
            "the young are kept"
        );
        assert_eq!(
            store.db.changes_after(start, 10).await.expect("changes"),
            ChangesAfter::TooOld
        );
        let oldest = Revision { number: 5, ..start };
        assert_eq!(
            numbers(store.db.changes_after(oldest, 10).await.expect("changes")),
            [6, 7, 8, 9, 10]
        );
        store.clock.advance(Duration::from_mins(1));
        assert_eq!(store.db.trim_change_log(store.now(), 0).await.expect("trim"), 5);
        let head = store.db.head().await.expect("head");
        assert_eq!(head.number, 10, "the head does not go back");
        assert_eq!(
            numbers(store.db.changes_after(head, 10).await.expect("changes")),
            [0; 0]
        );
        assert_eq!(
            store
                .db
                .changes_after(Revision { number: 9, ..head }, 10)
                .await
                .expect("changes"),
            ChangesAfter::TooOld
        );
    }

    async fn a_clock_that_goes_back_makes_no_hole_in_the_log(store: TestStore) {
        let start = store.now();
        store.clock.advance(Duration::from_mins(1));
        committed(&store.db, 2).await;
        store.clock.set(start);
        committed(&store.db, 2).await;
        store.clock.advance(Duration::from_mins(2));
        committed(&store.db, 1).await;
        let cut = start + Duration::from_secs(30);
        assert_eq!(
            store.db.trim_change_log(cut, 0).await.expect("trim"),
            0,
            "what is before it is young"
        );
    }

    async fn a_new_epoch_is_newer_and_empty(store: TestStore) {
        committed(&store.db, 3).await;
        let before = store.db.head().await.expect("head");
        let begun = store.db.begin_new_epoch().await.expect("epoch");
        assert_eq!(
            begun,
            Revision {
                epoch: before.epoch + 1,
                number: 0
            },
            "the clock stands still"
        );
        store.clock.advance(Duration::from_secs(1_000));
        let begun = store.db.begin_new_epoch().await.expect("epoch");
        assert_eq!(
            begun.epoch,
            u64::try_from(store.now().timestamp()).expect("after 1970")
        );
        assert_eq!(
            store.db.changes_after(before, 10).await.expect("changes"),
            ChangesAfter::TooOld
        );
        committed(&store.db, 1).await;
        assert_eq!(
            numbers(store.db.changes_after(begun, 10).await.expect("changes")),
            [1]
        );
    }

    async fn a_log_that_cannot_be_read_is_never_passed_over(store: TestStore) {
        let start = store.db.head().await.expect("head");
        committed(&store.db, 3).await;
        let mut tx = store.db.begin().await.expect("begin");
        execute!(
            tx,
            "UPDATE change_log SET changes = '+future-kind 1' WHERE revision = 3"
        )
        .await
        .expect("damage");
        tx.commit().await.expect("commit");
        let error = store.db.changes_after(start, 10).await.expect_err("unknown kind");
        assert_eq!(
            error.to_string(),
            "`change_log.changes` of the row `3` cannot be read: mend or remove the row"
        );
        let mut tx = store.db.begin().await.expect("begin");
        execute!(tx, "DELETE FROM change_log WHERE revision = 2")
            .await
            .expect("damage");
        tx.commit().await.expect("commit");
        let error = store.db.changes_after(start, 10).await.expect_err("a hole");
        assert!(
            matches!(
                error,
                StoreError::Corrupt {
                    column: "revision",
                    ..
                }
            ),
            "{error:?}"
        );
    }

    async fn a_change_that_would_not_read_back_is_refused(store: TestStore) {
        let mut write = store.db.write().await.expect("write");
        write.record(sentinel_core::Change::Put(sentinel_core::Fact::SigningKey(
            sentinel_core::fact::SigningKeyFact {
                kid: "k".into(),
                jwk: "{\n}".into(),
                position: 0,
            },
        )));
        assert!(matches!(write.commit().await, Err(StoreError::Other(_))));
        assert_eq!(store.db.head().await.expect("head").number, 0);
    }
}
