use sentinel_store::on_both_backends;

use super::*;
use crate::testing::{LIFETIMES, keys};

async fn kids(keys: &Keys) -> Vec<String> {
    keys.list()
        .await
        .expect("keys")
        .into_iter()
        .map(|key| key.kid)
        .collect()
}

on_both_backends! {
    async fn several_that_start_at_once_make_one_key_of_each_purpose(store: TestStore) {
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..4 {
            let keys = keys(&store);
            tasks.spawn(async move {
                keys.ensure().await.expect("keys");
                (kids(&keys).await, keys.feed_key().await.expect("feed key").kid().to_owned())
            });
        }
        let all = tasks.join_all().await;
        assert_eq!(all[0].0.len(), 1);
        assert!(all.iter().all(|one| *one == all[0]), "{all:?}");
    }

    async fn rotation_keeps_the_old_key_until_its_last_token_is_over(store: TestStore) {
        let keys = keys(&store);
        keys.ensure().await.expect("keys");
        let [first] = kids(&keys).await.try_into().expect("one");
        let (second, revision) = keys.rotate().await.expect("rotated");
        assert!(revision.is_some(), "edges are told");
        let (third, _) = keys.rotate().await.expect("rotated");
        assert_eq!(kids(&keys).await, [third.clone(), second, first]);
        let listed = keys.list().await.expect("keys");
        assert_eq!(listed[0].publish_until, None);
        assert_eq!(listed[1].publish_until, Some(store.clock.now() + LIFETIMES.refresh + MARGIN));
        let mut tx = store.db.write().await.expect("tx");
        assert_eq!(keys.sweep(&mut tx, store.clock.now()).await.expect("swept"), 0);
        drop(tx);
        store.clock.advance(LIFETIMES.refresh + MARGIN);
        let mut tx = store.db.write().await.expect("tx");
        assert_eq!(keys.sweep(&mut tx, store.clock.now()).await.expect("swept"), 2);
        tx.commit().await.expect("commit");
        assert_eq!(kids(&keys).await, [third]);
    }

    async fn a_key_is_exported_and_imported_and_never_twice(store: TestStore) {
        let keys = keys(&store);
        keys.ensure().await.expect("keys");
        let (kid, pem) = keys.export().await.expect("exported");
        assert!(matches!(keys.import(&pem).await, Err(KeysError::AlreadyThere(there)) if there == kid));
        assert!(matches!(keys.import(&"nothing".to_owned().into()).await, Err(KeysError::Import(_))));
    }

    async fn another_encryption_key_opens_nothing_and_says_so(store: TestStore) {
        let right = keys(&store);
        right.ensure().await.expect("keys");
        let wrong = Keys::new(
            store.db.clone(),
            EncryptionKey::from_bytes(&[8; 32]).expect("32 bytes"),
            LIFETIMES,
            Arc::clone(&store.clock) as Arc<dyn Clock>,
            Arc::new(sentinel_core::SystemRandom),
        );
        let error = wrong.ensure().await.expect_err("wrong key");
        assert!(matches!(error, KeysError::Decrypt(_)));
        assert!(error.to_string().contains("secrets.encryption_key"), "{error}");
    }
}
