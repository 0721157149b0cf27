//! The head before there is one.

use std::sync::Arc;

use sentinel_core::{ManualClock, Timestamp};
use sentinel_store::testing::{Backend, TestStore, run};
use sentinel_store::{Database, DatabaseConfig, StoreError, execute, on_both_backends};

on_both_backends! {
    async fn the_first_epoch_is_the_second_of_the_first_migration(store: TestStore) {
        let head = store.db.head().await.expect("head");
        assert_eq!(head.number, 0);
        assert_eq!(
            head.epoch,
            u64::try_from(store.now().timestamp()).expect("after 1970")
        );
        store.clock.advance(std::time::Duration::from_secs(100));
        store.db.migrate().await.expect("again");
        assert_eq!(store.db.head().await.expect("head"), head, "history goes on");
    }

    async fn a_missing_head_is_an_error_and_not_the_beginning(store: TestStore) {
        let mut tx = store.db.begin().await.expect("begin");
        execute!(tx, "DELETE FROM replication_head")
            .await
            .expect("delete");
        tx.commit().await.expect("commit");
        assert!(matches!(store.db.head().await, Err(StoreError::Schema(_))));
        assert!(matches!(
            store.db.write().await.err(),
            Some(StoreError::Schema(_))
        ));
    }
}

async fn refused(url: &str) -> StoreError {
    let clock = Arc::new(ManualClock::at(Timestamp::UNIX_EPOCH));
    match Database::connect(&DatabaseConfig::new(url), clock).await {
        Ok(_) => panic!("`{url}` must be refused"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn a_url_that_cannot_be_used_is_refused_without_being_repeated() {
    for url in [
        "",
        "mysql://a:hunter2@b/c",
        "sqlite::memory:",
        "sqlite://x?mode=memory",
        "postgres://a:hunter2@b:x/c",
    ] {
        let error = refused(url).await;
        assert!(matches!(error, StoreError::Url(_)), "{error:?}");
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
}

#[tokio::test]
async fn a_database_that_is_not_there_is_unavailable() {
    for url in [
        "postgres://nobody@127.0.0.1:1/none",
        "sqlite:///no/such/directory/file.db",
    ] {
        assert!(matches!(refused(url).await, StoreError::Unavailable(_)), "{url}");
    }
}

#[test]
fn a_database_file_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    run(Backend::SqliteMemory, |store: TestStore| async move {
        let url = store.url();
        let file = url.strip_prefix("sqlite://").expect("a file");
        for suffix in ["", "-wal", "-shm"] {
            let mode = std::fs::metadata(format!("{file}{suffix}"))
                .expect("file")
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600, "{suffix}");
        }
    });
}
