//! What a transaction keeps and what it does not: after errors, cancelled statements, dropped handles, killed
//! connections.

use std::time::Duration;

use sentinel_store::testing::{Backend, TestStore};
use sentinel_store::{Database, StoreError, Tx, execute, fetch_scalar, on_both_backends};
use tokio::time::timeout;

use crate::{change, id};

async fn add(tx: &mut Tx, slug: &str) -> Result<(), StoreError> {
    execute!(
        tx,
        "INSERT INTO workspaces (id, slug, name, created_at) VALUES ($1, $2, $2, $3)",
        id(),
        slug,
        chrono::DateTime::<chrono::Utc>::UNIX_EPOCH,
    )
    .await
    .map(drop)
}

async fn slugs(db: &Database) -> i64 {
    let mut tx = db.read().await.expect("read");
    fetch_scalar!(tx, i64, "SELECT COUNT(*) FROM workspaces")
        .await
        .expect("count")
}

on_both_backends! {
    async fn an_error_ends_the_transaction_and_nothing_is_kept(store: TestStore) {
        let mut tx = store.db.begin().await.expect("begin");
        add(&mut tx, "acme").await.expect("first");
        add(&mut tx, "acme").await.expect_err("second");
        assert!(matches!(add(&mut tx, "other").await, Err(StoreError::Poisoned)));
        assert!(matches!(tx.commit().await, Err(StoreError::Poisoned)));
        assert_eq!(slugs(&store.db).await, 0);
    }

    async fn an_error_in_a_replicating_write_gives_no_revision(store: TestStore) {
        let before = store.db.head().await.expect("head");
        let mut write = store.db.write().await.expect("write");
        add(&mut write, "acme").await.expect("first");
        write.record(change(1));
        add(&mut write, "acme").await.expect_err("second");
        assert!(matches!(write.commit().await, Err(StoreError::Poisoned)));
        assert_eq!(store.db.head().await.expect("head"), before);
        assert_eq!(slugs(&store.db).await, 0);
    }

    async fn a_dropped_and_a_rolled_back_transaction_leave_nothing(store: TestStore) {
        let mut write = store.db.write().await.expect("write");
        add(&mut write, "acme").await.expect("insert");
        write.record(change(1));
        drop(write);
        let mut write = store.db.write().await.expect("the turn was given back");
        add(&mut write, "acme").await.expect("insert");
        write.rollback().await.expect("rollback");
        assert_eq!(slugs(&store.db).await, 0);
        assert_eq!(store.db.head().await.expect("head").number, 0);
    }

    async fn a_statement_that_was_not_awaited_to_its_end_counts_as_failed(store: TestStore) {
        let mut tx = store.db.begin().await.expect("begin");
        add(&mut tx, "acme").await.expect("insert");
        {
            let mut statement = Box::pin(add(&mut tx, "other"));
            // Polled once, so that it has begun, and then cancelled.
            let cancelled = timeout(Duration::ZERO, &mut statement).await;
            drop(cancelled);
        }
        // Whether the first poll was enough to finish it depends on the driver; it is never half kept.
        match tx.commit().await {
            Err(StoreError::Poisoned) => assert_eq!(slugs(&store.db).await, 0),
            other => {
                other.expect("it had finished");
                assert_eq!(slugs(&store.db).await, 2);
            }
        }
    }

    async fn a_read_is_one_look_whatever_is_committed_meanwhile(store: TestStore) {
        let mut look = store.db.read().await.expect("read");
        let before = look.head().await.expect("head");
        let mut write = store.db.write().await.expect("write");
        add(&mut write, "acme").await.expect("insert");
        write.record(change(1));
        let after = write.commit().await.expect("commit").expect("a revision");
        assert_eq!(look.head().await.expect("head"), before);
        let seen = fetch_scalar!(look, i64, "SELECT COUNT(*) FROM workspaces")
            .await
            .expect("count");
        assert_eq!(seen, 0);
        look.commit().await.expect("end of the look");
        assert!(after > before);
        assert_eq!(slugs(&store.db).await, 1);
    }

    async fn what_a_write_has_checked_holds_until_it_commits(store: TestStore) {
        let processes = [store.db.clone(), store.another_process().await];
        let writers: Vec<_> = (0..8)
            .map(|n| {
                let db = processes[n % 2].clone();
                tokio::spawn(async move {
                    for _ in 0..10 {
                        let mut write = db.write().await.expect("write");
                        let sql = "SELECT COUNT(*) FROM workspaces";
                        let count = fetch_scalar!(write, i64, sql).await.expect("count");
                        // Two writers that saw the same count would collide.
                        add(&mut write, &format!("number-{count}")).await.expect("insert");
                        write.commit().await.expect("commit");
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.await.expect("writer");
        }
        assert_eq!(slugs(&store.db).await, 80);
    }

    async fn many_local_writers_that_read_first_all_succeed(store: TestStore) {
        let processes = [store.db.clone(), store.another_process().await];
        let writers: Vec<_> = (0..8)
            .map(|n| {
                let db = processes[n % 2].clone();
                tokio::spawn(async move {
                    for _ in 0..20 {
                        let mut tx = db.begin().await.expect("begin");
                        fetch_scalar!(tx, i64, "SELECT COUNT(*) FROM workspaces")
                            .await
                            .expect("count");
                        add(&mut tx, &id().simple().to_string()).await.expect("insert");
                        tx.commit().await.expect("commit");
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.await.expect("writer");
        }
        assert_eq!(slugs(&store.db).await, 160);
    }

    async fn a_replicating_write_of_another_process_waits_for_its_turn(store: TestStore) {
        let other = store.another_process().await;
        let mut write = store.db.write().await.expect("write");
        add(&mut write, "acme").await.expect("insert");
        write.record(change(1));
        let waiting = tokio::spawn(async move {
            let mut write = other.write().await.expect("write");
            let seen = fetch_scalar!(write, i64, "SELECT COUNT(*) FROM workspaces")
                .await
                .expect("count");
            write.record(change(2));
            (seen, write.base(), write.commit().await.expect("commit"))
        });
        let first = write.commit().await.expect("commit").expect("a revision");
        let (seen, base, second) = waiting.await.expect("writer");
        let second = second.expect("a revision");
        assert_eq!(second.number, base.number + 1);
        // It began after the first one's commit, or before its lock; never in between.
        if second > first {
            assert_eq!((seen, base), (1, first));
        }
    }
}

#[test]
fn a_connection_that_is_killed_in_the_middle_leaves_nothing_half_done() {
    sentinel_store::testing::run(Backend::PostgresRedis, |store: TestStore| async move {
        let mut write = store.db.write().await.expect("write");
        add(&mut write, "acme").await.expect("insert");
        write.record(change(1));
        let pid = fetch_scalar!(write, i32, "SELECT pg_backend_pid()")
            .await
            .expect("pid");
        let other = store.another_process().await;
        let mut killer = other.begin().await.expect("begin");
        assert!(
            fetch_scalar!(killer, bool, "SELECT pg_terminate_backend($1)", pid)
                .await
                .expect("kill")
        );
        let lost = write.commit().await.expect_err("the connection is gone");
        assert!(matches!(lost, StoreError::Unavailable(_)), "{lost:?}");
        assert_eq!(slugs(&store.db).await, 0);
        assert_eq!(store.db.head().await.expect("head").number, 0);
        let mut write = store.db.write().await.expect("the lock went with the connection");
        write.record(change(1));
        assert_eq!(
            write.commit().await.expect("commit").expect("a revision").number,
            1
        );
    });
}

#[test]
fn a_deadlock_is_busy_for_one_and_nothing_for_the_other() {
    sentinel_store::testing::run(Backend::PostgresRedis, |store: TestStore| async move {
        let mut tx = store.db.begin().await.expect("begin");
        for slug in ["a", "b"] {
            add(&mut tx, slug).await.expect("insert");
        }
        tx.commit().await.expect("commit");
        let update = "UPDATE workspaces SET name = 'x' WHERE slug = $1";
        let (mut one, mut two) = (
            store.db.begin().await.expect("one"),
            store.db.begin().await.expect("two"),
        );
        execute!(one, update, "a").await.expect("one has a");
        execute!(two, update, "b").await.expect("two has b");
        let (first, second) = tokio::join!(
            async {
                let done = execute!(one, update, "b").await;
                drop(one);
                done
            },
            async {
                let done = execute!(two, update, "a").await;
                drop(two);
                done
            },
        );
        let failed: Vec<_> = [first, second].into_iter().filter_map(Result::err).collect();
        assert!(matches!(failed.as_slice(), [StoreError::Busy(_)]), "{failed:?}");
    });
}
