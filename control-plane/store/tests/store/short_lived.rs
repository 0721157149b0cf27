//! The conformance suite of short-lived state: one truth for memory and Redis.

use std::sync::Arc;
use std::time::Duration;

use sentinel_store::{ShortLived, StoreError, on_both_backends};
use tokio::time::timeout;

const LONG: Duration = Duration::from_mins(10);
const SHORT: Duration = Duration::from_millis(30);

/// Waits until the value is gone; a deadline, not a time that is asserted.
async fn gone(state: &Arc<dyn ShortLived>, key: &str) {
    let gone = async {
        while state.get(key).await.expect("get").is_some() {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(30), gone)
        .await
        .expect("its time is over");
}

/// Runs `act` in fifty tasks at once and gives what they answered.
async fn fifty<T: Send + 'static, F: Future<Output = T> + Send + 'static>(act: impl Fn(u32) -> F) -> Vec<T> {
    let tasks: Vec<_> = (0..50).map(|n| tokio::spawn(act(n))).collect();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.expect("task"));
    }
    answers
}

on_both_backends! {
    async fn a_value_is_put_read_replaced_taken_and_removed(store: TestStore) {
        let state = &store.short_lived;
        assert_eq!(state.get("k").await.expect("get"), None);
        state.put("k", "one", LONG).await.expect("put");
        state.put("k", "zwei ☃ \n\0", LONG).await.expect("replace");
        assert_eq!(state.get("k").await.expect("get").as_deref(), Some("zwei ☃ \n\0"));
        assert_eq!(
            state.take("k").await.expect("take").as_deref(),
            Some("zwei ☃ \n\0")
        );
        assert_eq!(state.take("k").await.expect("take"), None);
        assert_eq!(state.get("k").await.expect("get"), None);
        state.put("k", "", LONG).await.expect("put");
        assert_eq!(
            state.get("k").await.expect("get").as_deref(),
            Some(""),
            "an empty value is a value"
        );
        state.remove("k").await.expect("remove");
        state.remove("k").await.expect("nothing to remove");
        assert_eq!(state.get("k").await.expect("get"), None);
    }

    async fn keys_do_not_touch_one_another(store: TestStore) {
        let state = &store.short_lived;
        state.put("a:1", "x", LONG).await.expect("put");
        state.put("a:2", "y", LONG).await.expect("put");
        state.take("a:1").await.expect("take");
        assert_eq!(state.get("a:2").await.expect("get").as_deref(), Some("y"));
        assert_eq!(state.get("a").await.expect("get"), None);
    }

    async fn every_kind_of_value_is_over_in_time(store: TestStore) {
        let state = &store.short_lived;
        state.put("put", "v", SHORT).await.expect("put");
        assert!(state.put_if_absent("absent", "v", SHORT).await.expect("put"));
        assert_eq!(state.increment("count", SHORT).await.expect("count"), 1);
        state
            .put("zero", "v", Duration::ZERO)
            .await
            .expect("no time at all is a millisecond");
        for key in ["put", "absent", "count", "zero"] {
            gone(state, key).await;
            assert_eq!(state.take(key).await.expect("take"), None, "{key}");
        }
        assert!(
            state.put_if_absent("absent", "w", LONG).await.expect("put"),
            "there is room again"
        );
        assert_eq!(
            state.increment("count", LONG).await.expect("count"),
            1,
            "a new window"
        );
    }

    async fn a_put_sets_the_time_anew_and_a_count_does_not(store: TestStore) {
        let state = &store.short_lived;
        state.put("k", "short", SHORT).await.expect("put");
        state.put("k", "long", LONG).await.expect("put");
        state.put("marker", "v", SHORT).await.expect("put");
        gone(state, "marker").await;
        assert_eq!(state.get("k").await.expect("get").as_deref(), Some("long"));
        assert_eq!(state.increment("n", SHORT).await.expect("count"), 1);
        state.increment("n", LONG).await.expect("count");
        gone(state, "n").await;
    }

    async fn one_of_fifty_takes(store: TestStore) {
        store.short_lived.put("code", "secret", LONG).await.expect("put");
        let taken = fifty(|_| {
            let state = Arc::clone(&store.short_lived);
            async move { state.take("code").await.expect("take") }
        })
        .await;
        assert_eq!(taken.into_iter().flatten().collect::<Vec<_>>(), ["secret"]);
    }

    async fn one_of_fifty_puts_if_absent(store: TestStore) {
        let won = fifty(|n| {
            let state = Arc::clone(&store.short_lived);
            async move {
                state
                    .put_if_absent("lock", &n.to_string(), LONG)
                    .await
                    .expect("put")
                    .then_some(n)
            }
        })
        .await;
        let winners: Vec<u32> = won.into_iter().flatten().collect();
        assert_eq!(winners.len(), 1);
        let value = store.short_lived.get("lock").await.expect("get");
        assert_eq!(value, Some(winners[0].to_string()), "the losers changed nothing");
    }

    async fn counting_is_exact(store: TestStore) {
        let mut counts = fifty(|_| {
            let state = Arc::clone(&store.short_lived);
            async move { state.increment("n", LONG).await.expect("count") }
        })
        .await;
        counts.sort_unstable();
        assert_eq!(counts, (1..=50).collect::<Vec<u64>>());
        assert_eq!(
            store.short_lived.get("n").await.expect("get").as_deref(),
            Some("50")
        );
    }

    async fn what_is_no_count_cannot_be_counted(store: TestStore) {
        store.short_lived.put("k", "word", LONG).await.expect("put");
        assert!(matches!(
            store.short_lived.increment("k", LONG).await,
            Err(StoreError::Other(_))
        ));
        assert_eq!(
            store.short_lived.get("k").await.expect("get").as_deref(),
            Some("word")
        );
    }

    async fn it_answers(store: TestStore) {
        store.short_lived.ping().await.expect("ping");
    }
}
