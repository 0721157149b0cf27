//! Whoever commits, everybody learns of it.

use std::time::Duration;

use sentinel_core::Revision;
use sentinel_store::testing::{Backend, TestStore, run};
use sentinel_store::{ChangesAfter, Database, fetch_scalar, on_both_backends};
use tokio::time::timeout;

use crate::{change, newer};

async fn commit(db: &Database) -> Revision {
    let mut write = db.write().await.expect("write");
    write.record(change(1));
    write.commit().await.expect("commit").expect("a revision")
}

/// Long enough never to be reached by what works.
async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(30), what).await.expect("in time")
}

on_both_backends! {
    async fn a_commit_of_this_process_is_known_when_it_returns(store: TestStore) {
        let mut head = store.db.subscribe();
        let revision = commit(&store.db).await;
        assert_eq!(*head.borrow_and_update(), revision);
    }

    async fn a_commit_of_another_process_is_seen(store: TestStore) {
        let other = store.another_process().await;
        let start = soon(newer(&store.db, Revision::ZERO)).await;
        assert_eq!(start, store.db.head().await.expect("head"));
        for _ in 0..5 {
            let known = store.db.head().await.expect("head");
            let revision = commit(&other).await;
            assert_eq!(soon(newer(&store.db, known)).await, revision);
        }
    }

    async fn who_follows_needs_no_connection_of_those_who_do_not(store: TestStore) {
        let other = store.another_process().await;
        let known = store.db.head().await.expect("head");
        let mut taken = Vec::new();
        for _ in 0..sentinel_store::DatabaseConfig::new("").max_connections {
            taken.push(store.db.read().await.expect("reader"));
        }
        let revision = commit(&other).await;
        assert_eq!(soon(store.db.newest()).await.expect("newest"), revision);
        let logged = store.db.changes_after(known, 10).await.expect("the log");
        assert!(matches!(logged, ChangesAfter::Changes(one) if one.len() == 1));
        let mut look = store.db.follow().await.expect("a look");
        assert_eq!(look.head().await.expect("head"), revision);
    }

    async fn the_newest_revision_is_never_older_than_the_question(store: TestStore) {
        let other = store.another_process().await;
        for _ in 0..20 {
            let revision = commit(&other).await;
            assert!(soon(store.db.newest()).await.expect("newest") >= revision);
        }
    }

    async fn a_new_epoch_is_seen(store: TestStore) {
        let other = store.another_process().await;
        let known = commit(&store.db).await;
        let begun = other.begin_new_epoch().await.expect("epoch");
        assert_eq!(soon(newer(&store.db, known)).await, begun);
    }
}

#[test]
fn a_lost_listener_misses_nothing() {
    run(Backend::PostgresRedis, |store: TestStore| async move {
        let other = store.another_process().await;
        let known = soon(newer(&store.db, Revision::ZERO)).await;
        let mut tx = other.begin().await.expect("begin");
        let kill = "SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity
                     WHERE datname = current_database() AND pid <> pg_backend_pid()";
        assert!(fetch_scalar!(tx, i64, kill).await.expect("kill") >= 1);
        tx.commit().await.expect("commit");
        let revision = commit(&other).await;
        assert_eq!(soon(newer(&store.db, known)).await, revision);
        let known = revision;
        let revision = commit(&other).await;
        assert_eq!(soon(newer(&store.db, known)).await, revision);
    });
}
