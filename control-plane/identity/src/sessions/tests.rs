mod authz;
mod refresh;

use std::collections::BTreeSet;

use secrecy::ExposeSecret;
use sentinel_access::members::Authority;
use sentinel_core::{Change, Fact, Revision, WorkspaceRole};
use sentinel_store::{ChangesAfter, WriteTx, on_both_backends};

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
    let ChangesAfter::Changes(log) = services
        .store
        .db
        .changes_after(Revision { epoch, number: 0 }, 1000)
        .await
        .expect("log")
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
    claims(&pair.refresh_token)["fid"]
        .as_str()
        .expect("fid")
        .parse()
        .expect("id")
}

fn claims(token: &secrecy::SecretString) -> serde_json::Value {
    use base64::Engine as _;
    let token = token.expose_secret();
    let payload = token.split('.').nth(1).expect("payload");
    let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(payload)
        .expect("base64url");
    serde_json::from_slice(&payload).expect("json")
}

/// Begins a session while `tx`, which has not committed, takes away what the session needs; and commits it then.
async fn start_meanwhile(services: &Services, tx: WriteTx, grant: Grant) -> Result<TokenPair, StartError> {
    let sessions = services.sessions.clone();
    let mut begun = tokio::spawn(async move { sessions.start(&grant).await });
    let waits = tokio::time::timeout(Duration::from_millis(300), &mut begun).await;
    assert!(waits.is_err(), "it waits for what is being decided");
    tx.commit().await.expect("commit");
    begun.await.expect("no panic")
}

on_both_backends! {
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
        let revision = services.sessions.logout(ann, None).await.expect("logged out");
        assert_eq!(revision, Some(services.store.db.head().await.expect("head")));
        for pair in [&first, &second] {
            assert!(matches!(refresh(&services, &refresh_of(pair)).await, Err(RefreshError::Over)));
        }
        refresh(&services, &refresh_of(&bobs)).await.expect("somebody else");
        assert_eq!(revoked(&services).await, BTreeSet::from([session_of(&first), session_of(&second)]));
        assert_eq!(services.sessions.logout(ann, None).await.expect("again"), None, "nothing to tell the edges");
    }

    async fn who_may_not_go_on_loses_his_session(store: TestStore) {
        let services = Services::start(store).await;
        let (ann, acme) = services.owner("ann").await;
        let (bob, _) = services.owner("bob").await;
        let by = Authority::of_administrator(acme, Some(ann));
        let mut tx = services.store.db.write().await.expect("tx");
        let email = "bob@example.com".parse().expect("email");
        services.access.invitations.invite(&mut tx, &by, &email, WorkspaceRole::Editor).await.expect("member");
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
        services.sessions.logout(ann, None).await.expect("logged out");
        services.keys.rotate().await.expect("rotated");
        assert_eq!(services.sessions.sweep().await.expect("swept"), Swept::default(), "too early");
        services.store.clock.advance(REVOCATION_LIFE.saturating_sub(Duration::from_secs(1)));
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
    async fn no_session_slips_in_while_its_user_is_deactivated(store: TestStore) {
        let services = Services::start(store).await;
        let (ann, acme) = services.owner("ann").await;
        let mut tx = services.store.db.write().await.expect("tx");
        services.access.users.set_active(&mut tx, None, ann, false).await.expect("deactivated");
        services.sessions.end_all_of(&mut tx, ann, EndReason::Deactivated).await.expect("ended");
        let begun = start_meanwhile(&services, tx, services.grant(ann, Some(acme))).await;
        assert!(matches!(begun, Err(StartError::UserNotFound)), "{begun:?}");
    }

    async fn no_session_slips_in_while_its_member_is_removed(store: TestStore) {
        let services = Services::start(store).await;
        let (ann, acme) = services.owner("ann").await;
        let (bob, _) = services.owner("bob").await;
        let by = Authority::of_administrator(acme, Some(ann));
        let email = "bob@example.com".parse().expect("email");
        let mut tx = services.store.db.write().await.expect("tx");
        services.access.invitations.invite(&mut tx, &by, &email, WorkspaceRole::Editor).await.expect("member");
        tx.commit().await.expect("commit");
        let mut tx = services.store.db.write().await.expect("tx");
        services.access.members.remove(&mut tx, &by, bob).await.expect("removed");
        services.sessions.end_of_member(&mut tx, acme, bob).await.expect("ended");
        let begun = start_meanwhile(&services, tx, services.grant(bob, Some(acme))).await;
        assert!(matches!(begun, Err(StartError::NotAMember)), "{begun:?}");
    }

    async fn a_deleted_workspace_takes_its_sessions_along(store: TestStore) {
        let services = Services::start(store).await;
        let (ann, acme) = services.owner("ann").await;
        let (bob, other) = services.owner("bob").await;
        let pair = services.sessions.start(&services.grant(ann, Some(acme))).await.expect("session");
        let bobs = services.sessions.start(&services.grant(bob, Some(other))).await.expect("session");
        let by = Authority::of_administrator(acme, Some(ann));
        let mut tx = services.store.db.write().await.expect("tx");
        assert!(services.access.workspaces.delete(&mut tx, &by).await.is_err(), "not with a session in it");
        drop(tx);
        let mut tx = services.store.db.write().await.expect("tx");
        assert_eq!(services.sessions.end_of_workspace(&mut tx, acme).await.expect("ended"), 1);
        services.access.workspaces.delete(&mut tx, &by).await.expect("deleted");
        let begun = start_meanwhile(&services, tx, services.grant(ann, Some(acme))).await;
        assert!(matches!(begun, Err(StartError::WorkspaceNotFound)), "{begun:?}");
        assert_eq!(revoked(&services).await, BTreeSet::from([session_of(&pair)]));
        assert_eq!(revoked_in_tables(&services).await, revoked(&services).await);
        assert!(refresh(&services, &refresh_of(&pair)).await.is_err());
        refresh(&services, &refresh_of(&bobs)).await.expect("another workspace");
    }

    async fn logging_out_revokes_the_session_that_is_shown_whatever_became_of_it(store: TestStore) {
        let services = Services::start(store).await;
        let (ann, _) = services.owner("ann").await;
        let gone = SessionId::generate(services.store.clock.now(), &sentinel_core::SystemRandom);
        assert!(services.sessions.logout(ann, Some(gone)).await.expect("logged out").is_some());
        assert_eq!(revoked(&services).await, BTreeSet::from([gone]));
        assert_eq!(services.sessions.logout(ann, Some(gone)).await.expect("again"), None, "they know");
    }

    async fn a_token_names_a_few_groups_or_none(store: TestStore) {
        let services = Services::start(store).await;
        let (ann, acme) = services.owner("ann").await;
        let by = Authority::of_administrator(acme, Some(ann));
        let named = async |from: u32, to: u32| {
            let mut tx = services.store.db.write().await.expect("tx");
            for number in from..to {
                let name = format!("group {number}").parse().expect("name");
                let group = services.access.groups.create(&mut tx, &by, name, None).await.expect("group");
                services.access.groups.add_member(&mut tx, &by, group.id, ann).await.expect("member");
            }
            tx.commit().await.expect("commit");
            let pair = services.sessions.start(&services.grant(ann, Some(acme))).await.expect("session");
            assert!(pair.access_token.expose_secret().len() < 4096, "short enough for every header");
            claims(&pair.access_token)["groups"].as_array().expect("list").len()
        };
        assert_eq!(named(0, 50).await, 50);
        assert_eq!(named(50, 140).await, 0);
    }

    async fn what_an_administrator_writes_is_written_by_one(store: TestStore) {
        let services = Services::start(store).await;
        let ((ann, acme), (bob, _)) = (services.owner("ann").await, services.owner("bob").await);
        let mut tx = services.store.db.write().await.expect("tx");
        for user in [ann, bob] {
            services.access.users.set_admin(&mut tx, None, user, true).await.expect("promoted");
        }
        let token = services.sessions.start_admin(&mut tx, &services.grant(ann, None)).await.expect("session");
        tx.commit().await.expect("commit");
        let sessions = &services.sessions;
        let keys = services.keys.published(&mut services.store.db.read().await.expect("tx")).await.expect("keys");
        let verified = sessions.tokens.verify_admin(token.token.expose_secret(), &keys, services.store.now()).expect("verified");
        let session = sessions.admin(&verified).await.expect("an administrator").session;
        let other = services.sessions.start(&services.grant(ann, Some(acme))).await.expect("session");
        let mut tx = services.store.db.write().await.expect("tx");
        let sessions = &services.sessions;
        sessions.confirm_admin(&mut tx, ann, session).await.expect("she is one");
        let refused = sessions.confirm_admin(&mut tx, ann, session_of(&other)).await;
        assert!(matches!(refused, Err(AdminRefusal::NotAdmin)), "{refused:?}");
        let refused = sessions.confirm_admin(&mut tx, bob, session).await;
        assert!(matches!(refused, Err(AdminRefusal::Revoked)), "another's session: {refused:?}");
        services.access.users.set_admin(&mut tx, Some(bob), ann, false).await.expect("demoted");
        let refused = sessions.confirm_admin(&mut tx, ann, session).await;
        assert!(matches!(refused, Err(AdminRefusal::PrivilegesRevoked)), "{refused:?}");
        services.access.users.set_active(&mut tx, Some(bob), ann, false).await.expect("deactivated");
        let refused = sessions.confirm_admin(&mut tx, ann, session).await;
        assert!(matches!(refused, Err(AdminRefusal::Deactivated)), "{refused:?}");
        sessions.end(&mut tx, session, EndReason::Revoked).await.expect("ended");
        let refused = sessions.confirm_admin(&mut tx, ann, session).await;
        assert!(matches!(refused, Err(AdminRefusal::Revoked)), "{refused:?}");
    }
    async fn no_session_slips_in_while_its_app_is_withdrawn(store: TestStore) {
        let services = Services::start(store).await;
        let (ann, acme) = services.owner("ann").await;
        let apps = &services.access.client_apps;
        let mut tx = services.store.db.write().await.expect("tx");
        let uris = vec!["https://spa.example.com/callback".parse().expect("URI")];
        let app = apps.create(&mut tx, None, "spa".parse().expect("name"), uris).await.expect("app").id;
        tx.commit().await.expect("commit");
        let grant = || Grant { client_app: Some(app), ..services.grant(ann, Some(acme)) };
        services.sessions.start(&grant()).await.expect("session");
        let mut tx = services.store.db.write().await.expect("tx");
        assert_eq!(services.sessions.end_of_client_app(&mut tx, app).await.expect("ended"), 1);
        let off = sentinel_access::client_apps::ClientAppChange { name: None, redirect_uris: None, is_active: Some(false) };
        apps.update(&mut tx, None, app, off, 1).await.expect("withdrawn");
        let begun = start_meanwhile(&services, tx, grant()).await;
        assert!(matches!(begun, Err(StartError::AppNotFound)), "{begun:?}");
    }
}
