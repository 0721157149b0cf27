use std::collections::BTreeSet;

use secrecy::ExposeSecret;
use sentinel_access::members::Authority;
use sentinel_core::Fact;
use sentinel_store::{ChangesAfter, on_both_backends};

use super::*;
use crate::testing::{LIFETIMES, Services};

fn refresh_of(pair: &TokenPair) -> String {
    pair.refresh_token.expose_secret().to_owned()
}

async fn refresh(services: &Services, token: &str) -> Result<TokenPair, RefreshError> {
    services.sessions.refresh(token, &Context::default()).await
}

/// The sessions that the edges know as revoked, by replaying every change.
async fn revoked(services: &Services) -> BTreeSet<SessionId> {
    let epoch = services.store.db.head().await.expect("head").epoch;
    let ChangesAfter::Changes(log) =
        services.store.db.changes_after(Revision { epoch, number: 0 }, 1000).await.expect("log")
    else {
        panic!("the log is whole");
    };
    let mut sessions = BTreeSet::new();
    for change in log.iter().flat_map(|logged| &logged.changes) {
        match change {
            Change::Put(Fact::RevokedSession { session, .. }) => sessions.insert(*session),
            Change::Delete(Fact::RevokedSession { session, .. }) => sessions.remove(session),
            _ => false,
        };
    }
    sessions
}

/// Replaying the log and reading the tables must come to the same.
async fn revoked_in_tables(services: &Services) -> BTreeSet<SessionId> {
    let mut tx = services.store.db.read().await.expect("tx");
    let facts = crate::facts(&mut tx).await.expect("facts");
    facts
        .into_iter()
        .filter_map(|fact| match fact {
            Fact::RevokedSession { session, .. } => Some(session),
            _ => None,
        })
        .collect()
}

fn session_of(pair: &TokenPair) -> SessionId {
    use base64::Engine as _;
    let token = pair.refresh_token.expose_secret();
    let payload = token.split('.').nth(1).expect("payload");
    let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).expect("base64url");
    let claims: serde_json::Value = serde_json::from_slice(&payload).expect("json");
    claims["fid"].as_str().expect("fid").parse().expect("id")
}

on_both_backends! {
    async fn of_fifty_who_refresh_at_once_one_wins_and_the_session_ends(store: TestStore) {
        let services = Services::start(store).await;
        let (user, workspace) = services.owner("ann").await;
        let pair = services.sessions.start(&services.grant(user, Some(workspace))).await.expect("session");
        let token = refresh_of(&pair);
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..50 {
            let (sessions, token) = (services.sessions.clone(), token.clone());
            tasks.spawn(async move { sessions.refresh(&token, &Context::default()).await });
        }
        let mut won = Vec::new();
        while let Some(result) = tasks.join_next().await {
            match result.expect("no panic") {
                Ok(pair) => won.push(pair),
                Err(RefreshError::Reused) => {}
                Err(other) => panic!("{other:?}"),
            }
        }
        let [winner] = won.as_slice() else { panic!("{} won", won.len()) };
        assert!(matches!(refresh(&services, &refresh_of(winner)).await, Err(RefreshError::Over)));
        assert_eq!(revoked(&services).await, BTreeSet::from([session_of(&pair)]));
        assert_eq!(revoked_in_tables(&services).await, revoked(&services).await);
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
        assert!(matches!(refresh(&services, &refresh_of(&pairs[4])).await, Err(RefreshError::Over)));
        // Said again it is the same, and other sessions go on.
        assert!(matches!(refresh(&services, &refresh_of(&pairs[1])).await, Err(RefreshError::Reused)));
        refresh(&services, &refresh_of(&other)).await.expect("another session");
        assert_eq!(revoked(&services).await.len(), 1);
    }

    async fn refresh_tokens_end_at_their_second_and_never_after_the_session(store: TestStore) {
        let services = Services::start(store).await;
        let (user, workspace) = services.owner("ann").await;
        let start = async || {
            let grant = services.grant(user, Some(workspace));
            refresh_of(&services.sessions.start(&grant).await.expect("session"))
        };
        let (before, at) = (start().await, start().await);
        services.store.clock.advance(LIFETIMES.refresh.saturating_sub(Duration::from_secs(1)));
        let mut token = refresh_of(&refresh(&services, &before).await.expect("the second before"));
        services.store.clock.advance(Duration::from_secs(1));
        assert!(matches!(refresh(&services, &at).await, Err(RefreshError::Invalid)), "the very second");
        // However often it is refreshed, the session is over after its 30 days.
        for _ in 0..3 {
            services.store.clock.advance(LIFETIMES.refresh.saturating_sub(Duration::from_secs(2)));
            token = refresh_of(&refresh(&services, &token).await.expect("goes on"));
        }
        services.store.clock.advance(Duration::from_hours(48));
        token = refresh_of(&refresh(&services, &token).await.expect("the last day"));
        services.store.clock.advance(Duration::from_hours(24));
        assert!(refresh(&services, &token).await.is_err());
    }

    async fn logout_ends_all_of_a_users_sessions_and_nobody_elses(store: TestStore) {
        let services = Services::start(store).await;
        let (ann, acme) = services.owner("ann").await;
        let (bob, other) = services.owner("bob").await;
        let start = async |user, workspace| {
            services.sessions.start(&services.grant(user, Some(workspace))).await.expect("session")
        };
        let (first, second, bobs) = (start(ann, acme).await, start(ann, acme).await, start(bob, other).await);
        let revision = services.sessions.logout(ann).await.expect("logged out");
        assert_eq!(revision, Some(services.store.db.head().await.expect("head")));
        for pair in [&first, &second] {
            assert!(matches!(refresh(&services, &refresh_of(pair)).await, Err(RefreshError::Over)));
        }
        refresh(&services, &refresh_of(&bobs)).await.expect("somebody else");
        assert_eq!(revoked(&services).await, BTreeSet::from([session_of(&first), session_of(&second)]));
        assert_eq!(services.sessions.logout(ann).await.expect("again"), None, "nothing to tell the edges");
    }

    async fn who_may_not_go_on_loses_his_session(store: TestStore) {
        let services = Services::start(store).await;
        let (ann, acme) = services.owner("ann").await;
        let (bob, _) = services.owner("bob").await;
        let by = Authority::of_administrator(acme, Some(ann));
        let mut tx = services.store.db.write().await.expect("tx");
        let email = "bob@example.com".parse().expect("email");
        services.access.members.invite(&mut tx, &by, &email, sentinel_core::WorkspaceRole::Editor).await.expect("member");
        tx.commit().await.expect("commit");
        let pair = services.sessions.start(&services.grant(bob, Some(acme))).await.expect("session");
        let mut tx = services.store.db.write().await.expect("tx");
        services.access.members.remove(&mut tx, &by, bob).await.expect("removed");
        tx.commit().await.expect("commit");
        assert!(matches!(refresh(&services, &refresh_of(&pair)).await, Err(RefreshError::Over)));
        assert!(revoked(&services).await.contains(&session_of(&pair)));
        let refused = services.sessions.start(&services.grant(bob, Some(acme))).await;
        assert!(matches!(refused, Err(StartError::NotAMember)));
    }

    async fn what_no_token_can_show_any_more_is_removed(store: TestStore) {
        let services = Services::start(store).await;
        let (ann, acme) = services.owner("ann").await;
        services.sessions.start(&services.grant(ann, Some(acme))).await.expect("session");
        services.sessions.logout(ann).await.expect("logged out");
        services.keys.rotate().await.expect("rotated");
        assert_eq!(services.sessions.sweep().await.expect("swept"), Swept::default(), "too early");
        services.store.clock.advance(LONGEST_ACCESS.saturating_sub(Duration::from_secs(1)));
        assert_eq!(services.sessions.sweep().await.expect("swept").revocations, 0);
        services.store.clock.advance(Duration::from_secs(1));
        assert_eq!(services.sessions.sweep().await.expect("swept").revocations, 1);
        assert!(revoked(&services).await.is_empty(), "the edges are told");
        services.store.clock.advance(LIFETIMES.session);
        let swept = services.sessions.sweep().await.expect("swept");
        assert_eq!((swept.signing_keys, swept.sessions, swept.refresh_tokens), (1, 1, 1));
        assert_eq!(services.keys.list().await.expect("keys").len(), 1);
    }

    async fn tokens_of_others_are_not_refreshed(store: TestStore) {
        let services = Services::start(store).await;
        let (ann, acme) = services.owner("ann").await;
        let pair = services.sessions.start(&services.grant(ann, Some(acme))).await.expect("session");
        let access = pair.access_token.expose_secret().to_owned();
        let token = refresh_of(&pair);
        let (head, _) = token.rsplit_once('.').expect("parts");
        for bad in ["", "x", &access, &format!("{head}."), &format!("{token}x")] {
            assert!(matches!(refresh(&services, bad).await, Err(RefreshError::Invalid)), "{bad}");
        }
        refresh(&services, &token).await.expect("untouched");
    }
}
