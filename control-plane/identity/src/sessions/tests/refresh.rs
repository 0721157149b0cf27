//! Rotation, the replay of a lost answer, and reuse.

use sentinel_store::{fetch_optional, fetch_scalar};

use super::*;
use crate::Lifetimes;

const GRACE: Duration = LIFETIMES.refresh_grace;

const WITHOUT_GRACE: Lifetimes = Lifetimes {
    refresh_grace: Duration::ZERO,
    ..LIFETIMES
};

async fn begin(services: &Services) -> TokenPair {
    let (user, workspace) = services.owner("ann").await;
    let grant = services.grant(user, Some(workspace));
    services.sessions.start(&grant).await.expect("session")
}

fn jti(token: &secrecy::SecretString) -> String {
    claims(token)["jti"].as_str().expect("jti").to_owned()
}

/// Shows one refresh token fifty times at once. Answers the pairs that were handed out.
async fn fifty_at_once(services: &Services, token: &str) -> Vec<TokenPair> {
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let (sessions, token) = (services.sessions.clone(), token.to_owned());
        tasks.spawn(async move { sessions.refresh(&token, &Context::default()).await });
    }
    let (mut answers, mut reused) = (Vec::new(), 0);
    while let Some(result) = tasks.join_next().await {
        match result.expect("no panic") {
            Ok(pair) => answers.push(pair),
            Err(RefreshError::Reused) => reused += 1,
            Err(RefreshError::Over) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    assert!(reused > 0, "somebody's reuse ended the session");
    answers
}

/// What the tables say of a session.
#[derive(Debug, PartialEq, Eq)]
struct Rows {
    tokens: i64,
    unspent: i64,
    replayed: i64,
    /// Spent for something that is not there.
    dangling: i64,
    end_reason: Option<String>,
}

async fn rows_of(services: &Services, session: SessionId) -> Rows {
    let mut tx = services.store.db.read().await.expect("tx");
    let id = session.as_uuid();
    Rows {
        tokens: fetch_scalar!(
            tx,
            i64,
            "SELECT COUNT(*) FROM refresh_tokens WHERE session_id = $1",
            id
        )
        .await
        .expect("count"),
        unspent: fetch_scalar!(
            tx,
            i64,
            "SELECT COUNT(*) FROM refresh_tokens WHERE session_id = $1 AND spent_at IS NULL",
            id
        )
        .await
        .expect("count"),
        replayed: fetch_scalar!(
            tx,
            i64,
            "SELECT COUNT(*) FROM refresh_tokens WHERE session_id = $1 AND replayed_at IS NOT NULL",
            id
        )
        .await
        .expect("count"),
        dangling: fetch_scalar!(
            tx,
            i64,
            "SELECT COUNT(*) FROM refresh_tokens r WHERE r.session_id = $1 AND r.successor IS NOT NULL
             AND NOT EXISTS (SELECT 1 FROM refresh_tokens s WHERE s.jti = r.successor AND s.session_id = $1)",
            id
        )
        .await
        .expect("count"),
        end_reason: fetch_optional!(
            tx,
            (Option<String>,),
            "SELECT end_reason FROM sessions WHERE id = $1",
            id
        )
        .await
        .expect("session")
        .expect("there")
        .0,
    }
}

on_both_backends! {
    async fn of_fifty_who_refresh_at_once_without_grace_one_wins_and_the_session_ends(store: TestStore) {
        let services = Services::start_with(store, WITHOUT_GRACE).await;
        let pair = begin(&services).await;
        let answers = fifty_at_once(&services, &refresh_of(&pair)).await;
        let [winner] = answers.as_slice() else { panic!("{} won", answers.len()) };
        assert!(matches!(refresh(&services, &refresh_of(winner)).await, Err(RefreshError::Over)));
        assert_eq!(revoked(&services).await, BTreeSet::from([session_of(&pair)]));
        assert_eq!(revoked_in_tables(&services).await, revoked(&services).await);
        let rows = Rows { tokens: 2, unspent: 1, replayed: 0, dangling: 0, end_reason: Some("reuse".into()) };
        assert_eq!(rows_of(&services, session_of(&pair)).await, rows);
    }

    async fn of_fifty_who_refresh_at_once_two_get_the_same_and_the_session_ends(store: TestStore) {
        let services = Services::start(store).await;
        let pair = begin(&services).await;
        let answers = fifty_at_once(&services, &refresh_of(&pair)).await;
        let texts: BTreeSet<String> = answers.iter().map(refresh_of).collect();
        assert!((1..=2).contains(&answers.len()) && texts.len() == 1, "{} answers, {} tokens", answers.len(), texts.len());
        assert!(matches!(refresh(&services, &refresh_of(&answers[0])).await, Err(RefreshError::Over)));
        assert_eq!(revoked(&services).await, BTreeSet::from([session_of(&pair)]));
        assert_eq!(revoked_in_tables(&services).await, revoked(&services).await);
        let replayed = i64::try_from(answers.len()).expect("few") - 1;
        let rows = Rows { tokens: 2, unspent: 1, replayed, dangling: 0, end_reason: Some("reuse".into()) };
        assert_eq!(rows_of(&services, session_of(&pair)).await, rows);
    }

    async fn a_chain_of_refreshes_goes_on_and_any_spent_link_ends_it(store: TestStore) {
        let services = Services::start(store).await;
        let (user, workspace) = services.owner("ann").await;
        let mut pairs = vec![services.sessions.start(&services.grant(user, Some(workspace))).await.expect("session")];
        for _ in 0..4 {
            let token = refresh_of(pairs.last().expect("pair"));
            pairs.push(refresh(&services, &token).await.expect("refreshed"));
        }
        let other = services.sessions.start(&services.grant(user, Some(workspace))).await.expect("session");
        assert!(matches!(refresh(&services, &refresh_of(&pairs[1])).await, Err(RefreshError::Reused)));
        // Whatever is shown of it now, and other sessions go on.
        for pair in [&pairs[4], &pairs[3], &pairs[1]] {
            assert!(matches!(refresh(&services, &refresh_of(pair)).await, Err(RefreshError::Over)));
        }
        refresh(&services, &refresh_of(&other)).await.expect("another session");
        assert_eq!(revoked(&services).await.len(), 1);
    }

    async fn a_lost_answer_is_sent_again_once_and_the_session_goes_on(store: TestStore) {
        let services = Services::start(store).await;
        let first = begin(&services).await;
        let lost = refresh(&services, &refresh_of(&first)).await.expect("refreshed");
        services.store.clock.advance(GRACE.saturating_sub(Duration::from_micros(1)));
        let again = refresh(&services, &refresh_of(&first)).await.expect("sent again");
        assert_eq!(refresh_of(&again), refresh_of(&lost), "the same token to the letter");
        assert_ne!(jti(&again.access_token), jti(&lost.access_token), "a fresh access token");
        assert!(claims(&again.access_token)["exp"].as_i64() > claims(&lost.access_token)["exp"].as_i64());
        assert!(revoked(&services).await.is_empty());
        // Both are good, until one is used.
        let next = refresh(&services, &refresh_of(&again)).await.expect("goes on");
        let rows = Rows { tokens: 3, unspent: 1, replayed: 1, dangling: 0, end_reason: None };
        assert_eq!(rows_of(&services, session_of(&first)).await, rows);
        // An answer that comes later may be lost as well.
        let lost = refresh(&services, &refresh_of(&next)).await.expect("refreshed");
        let again = refresh(&services, &refresh_of(&next)).await.expect("sent again");
        assert_eq!(refresh_of(&again), refresh_of(&lost));
    }

    async fn what_was_sent_twice_has_no_grace_of_its_own(store: TestStore) {
        let services = Services::start(store).await;
        let first = begin(&services).await;
        // Two have the successor now, one of whom may be a thief; neither can go on along with the other.
        let one = refresh(&services, &refresh_of(&first)).await.expect("refreshed");
        let other = refresh(&services, &refresh_of(&first)).await.expect("sent again");
        let next = refresh(&services, &refresh_of(&one)).await.expect("goes on");
        assert!(matches!(refresh(&services, &refresh_of(&other)).await, Err(RefreshError::Reused)));
        assert!(matches!(refresh(&services, &refresh_of(&next)).await, Err(RefreshError::Over)));
        assert_eq!(revoked(&services).await, BTreeSet::from([session_of(&first)]));
        let rows = Rows { tokens: 3, unspent: 1, replayed: 1, dangling: 0, end_reason: Some("reuse".into()) };
        assert_eq!(rows_of(&services, session_of(&first)).await, rows);
    }

    async fn an_answer_is_not_sent_a_third_time(store: TestStore) {
        let services = Services::start(store).await;
        let first = begin(&services).await;
        let next = refresh(&services, &refresh_of(&first)).await.expect("refreshed");
        refresh(&services, &refresh_of(&first)).await.expect("sent again");
        assert!(matches!(refresh(&services, &refresh_of(&first)).await, Err(RefreshError::Reused)));
        assert!(matches!(refresh(&services, &refresh_of(&next)).await, Err(RefreshError::Over)));
        assert_eq!(revoked(&services).await, BTreeSet::from([session_of(&first)]));
    }

    async fn an_answer_is_not_sent_again_after_the_grace(store: TestStore) {
        let services = Services::start(store).await;
        let first = begin(&services).await;
        refresh(&services, &refresh_of(&first)).await.expect("refreshed");
        services.store.clock.advance(GRACE);
        assert!(matches!(refresh(&services, &refresh_of(&first)).await, Err(RefreshError::Reused)), "the very second");
        assert_eq!(revoked(&services).await, BTreeSet::from([session_of(&first)]));
    }

    async fn an_answer_is_not_sent_again_after_it_was_used(store: TestStore) {
        let services = Services::start(store).await;
        let first = begin(&services).await;
        let next = refresh(&services, &refresh_of(&first)).await.expect("refreshed");
        refresh(&services, &refresh_of(&next)).await.expect("used");
        assert!(matches!(refresh(&services, &refresh_of(&first)).await, Err(RefreshError::Reused)));
        assert_eq!(revoked(&services).await, BTreeSet::from([session_of(&first)]));
        let rows = rows_of(&services, session_of(&first)).await;
        assert_eq!((rows.replayed, rows.end_reason.as_deref()), (0, Some("reuse")));
    }

    async fn without_grace_no_answer_is_sent_again(store: TestStore) {
        let services = Services::start_with(store, WITHOUT_GRACE).await;
        let first = begin(&services).await;
        refresh(&services, &refresh_of(&first)).await.expect("refreshed");
        assert!(matches!(refresh(&services, &refresh_of(&first)).await, Err(RefreshError::Reused)));
    }

    async fn no_answer_is_sent_again_to_who_may_not_go_on(store: TestStore) {
        let services = Services::start(store).await;
        let (ann, acme) = services.owner("ann").await;
        let first = services.sessions.start(&services.grant(ann, Some(acme))).await.expect("session");
        refresh(&services, &refresh_of(&first)).await.expect("refreshed");
        let mut tx = services.store.db.write().await.expect("tx");
        services.access.users.set_active(&mut tx, None, ann, false).await.expect("deactivated");
        tx.commit().await.expect("commit");
        assert!(matches!(refresh(&services, &refresh_of(&first)).await, Err(RefreshError::Over)));
        let rows = Rows { tokens: 2, unspent: 1, replayed: 0, dangling: 0, end_reason: Some("deactivated".into()) };
        assert_eq!(rows_of(&services, session_of(&first)).await, rows);
        assert_eq!(revoked(&services).await, BTreeSet::from([session_of(&first)]));
    }

    async fn refreshing_and_ending_at_once_get_in_nobodys_way(store: TestStore) {
        let services = Services::start(store).await;
        let (ann, acme) = services.owner("ann").await;
        let mut chains = tokio::task::JoinSet::new();
        let (begun, mut goes_on) = tokio::sync::mpsc::unbounded_channel();
        for _ in 0..10 {
            let pair = services.sessions.start(&services.grant(ann, Some(acme))).await.expect("session");
            let (sessions, begun, mut token) = (services.sessions.clone(), begun.clone(), refresh_of(&pair));
            chains.spawn(async move {
                // Until it is over; whatever else comes up is a fault.
                loop {
                    match sessions.refresh(&token, &Context::default()).await {
                        Ok(pair) => token = refresh_of(&pair),
                        Err(RefreshError::Over) => return,
                        Err(other) => panic!("{other:?}"),
                    }
                    let _ = begun.send(());
                }
            });
        }
        for _ in 0..50 {
            goes_on.recv().await.expect("a refresh");
        }
        let mut tx = services.store.db.write().await.expect("tx");
        assert_eq!(services.sessions.end_of_workspace(&mut tx, acme).await.expect("ended"), 10);
        tx.commit().await.expect("commit");
        while let Some(chain) = chains.join_next().await {
            chain.expect("no panic");
        }
        assert_eq!(revoked(&services).await.len(), 10);
    }
}
