//! Tokens of AuthZ mode and the one session they belong to.

use sentinel_access::service_apps::{HashedKey, NewServiceApp, ServiceAppChange};
use sentinel_core::name::ServiceName;
use sentinel_store::fetch_scalar;

use super::*;

async fn service_app(services: &Services, name: &str) -> ServiceAppId {
    let new = NewServiceApp {
        name: name.parse().expect("name"),
        service_name: name.parse().expect("service name"),
        allowed_origins: Vec::new(),
        allowed_idp_audiences: Vec::new(),
    };
    let digest = sentinel_token::sha256(name.as_bytes());
    let key = HashedKey {
        digest,
        prefix: "sk_".into(),
    };
    let mut tx = services.store.db.write().await.expect("tx");
    let app = services
        .access
        .service_apps
        .create(&mut tx, None, new, key)
        .await
        .expect("app")
        .id;
    tx.commit().await.expect("commit");
    app
}

fn of_app(services: &Services, user: UserId, workspace: WorkspaceId, app: ServiceAppId) -> Grant {
    Grant {
        service_app: Some(app),
        ..services.grant(user, Some(workspace))
    }
}

async fn with_actions(services: &Services, grant: &Grant, actions: Vec<String>) -> AuthzMinted {
    let service: ServiceName = "docs".parse().expect("service");
    let mut tx = services.store.db.begin().await.expect("tx");
    let minted = services
        .sessions
        .mint_authz(&mut tx, grant, &service, "subject-1", actions)
        .await
        .expect("minted");
    tx.commit().await.expect("commit");
    minted
}

async fn mint(sessions: &Sessions, database: &Database, grant: &Grant) -> Result<AuthzMinted, StartError> {
    let service: ServiceName = "docs".parse().expect("service");
    let mut tx = database.begin().await.expect("tx");
    let actions = vec!["documents:read".to_owned()];
    let minted = sessions
        .mint_authz(&mut tx, grant, &service, "subject-1", actions)
        .await?;
    tx.commit().await.map_err(IdentityError::from)?;
    Ok(minted)
}

async fn mint_now(services: &Services, grant: &Grant) -> Result<AuthzMinted, StartError> {
    mint(&services.sessions, &services.store.db, grant).await
}

fn session_of(minted: &AuthzMinted) -> SessionId {
    claims(&minted.token)["sid"]
        .as_str()
        .expect("sid")
        .parse()
        .expect("id")
}

/// Makes a token while `tx`, which has not committed, takes away what it needs; and commits it then.
async fn mint_meanwhile(services: &Services, tx: WriteTx, grant: Grant) -> Result<AuthzMinted, StartError> {
    let (sessions, database) = (services.sessions.clone(), services.store.db.clone());
    let mut minted = tokio::spawn(async move { mint(&sessions, &database, &grant).await });
    let waits = tokio::time::timeout(Duration::from_millis(300), &mut minted).await;
    assert!(waits.is_err(), "it waits for what is being decided");
    tx.commit().await.expect("commit");
    minted.await.expect("no panic")
}

on_both_backends! {
    async fn a_token_says_what_it_is_for_and_no_address_name_or_group(store: TestStore) {
        let services = Services::start(store).await;
        let (ann, acme) = services.owner("ann").await;
        let app = service_app(&services, "docs").await;
        let minted = mint_now(&services, &of_app(&services, ann, acme, app)).await.expect("minted");
        assert_eq!((minted.expires_in, minted.role, minted.workspace.id), (300, WorkspaceRole::Owner, acme));
        let claims = claims(&minted.token);
        let now = services.store.clock.now().timestamp();
        let expected = serde_json::json!({
            "iss": crate::testing::ISSUER, "aud": "sentinel:authz", "type": "authz", "sub": ann, "jti": claims["jti"],
            "iat": now, "exp": now + 300, "idp_sub": "subject-1", "svc": "docs", "wid": acme, "wslug": "ann",
            "wrole": "owner", "actions": ["documents:read"], "oid": null, "oslug": null, "opub": false,
            "sid": session_of(&minted), "rev": services.store.db.head().await.expect("head").to_string(),
        });
        assert_eq!(claims, expected);
    }

    async fn fifty_tokens_made_at_once_belong_to_one_session(store: TestStore) {
        let services = Services::start(store).await;
        let (ann, acme) = services.owner("ann").await;
        let app = service_app(&services, "docs").await;
        let grant = of_app(&services, ann, acme, app);
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..50 {
            let (sessions, database, grant) = (services.sessions.clone(), services.store.db.clone(), grant.clone());
            tasks.spawn(async move { mint(&sessions, &database, &grant).await });
        }
        let mut found = BTreeSet::new();
        while let Some(minted) = tasks.join_next().await {
            found.insert(session_of(&minted.expect("no panic").expect("minted")));
        }
        assert_eq!(found.len(), 1);
        let mut tx = services.store.db.read().await.expect("tx");
        assert_eq!(fetch_scalar!(tx, i64, "SELECT COUNT(*) FROM sessions").await.expect("count"), 1);
        assert_eq!(fetch_scalar!(tx, i64, "SELECT COUNT(*) FROM refresh_tokens").await.expect("count"), 0);
    }

    async fn a_session_is_of_one_user_workspace_and_app(store: TestStore) {
        let services = Services::start(store).await;
        let ((ann, acme), (bob, other)) = (services.owner("ann").await, services.owner("bob").await);
        let (docs, wiki) = (service_app(&services, "docs").await, service_app(&services, "wiki").await);
        let mut found = BTreeSet::new();
        for (user, workspace, app) in [(ann, acme, docs), (ann, acme, wiki), (bob, other, docs)] {
            let minted = mint_now(&services, &of_app(&services, user, workspace, app)).await.expect("minted");
            found.insert(session_of(&minted));
        }
        assert_eq!(found.len(), 3);
    }

    async fn a_session_goes_on_with_each_token_and_a_new_one_follows_one_that_was_ended(store: TestStore) {
        let services = Services::start(store).await;
        let (ann, acme) = services.owner("ann").await;
        let app = service_app(&services, "docs").await;
        let grant = of_app(&services, ann, acme, app);
        let first = session_of(&mint_now(&services, &grant).await.expect("minted"));
        services.store.clock.advance(LIFETIMES.authz);
        assert_eq!(session_of(&mint_now(&services, &grant).await.expect("minted")), first);
        // Longer than a revocation lasts after the first token: that of the second one counts.
        services.store.clock.advance(REVOCATION_LIFE.saturating_sub(Duration::from_secs(1)));
        services.sessions.logout(ann, None).await.expect("logged out");
        assert_eq!(revoked(&services).await, BTreeSet::from([first]));
        let next = session_of(&mint_now(&services, &grant).await.expect("minted"));
        assert_ne!(next, first);
        assert_eq!(revoked(&services).await, BTreeSet::from([first]), "he signed in again");
        services.store.clock.advance(LIFETIMES.authz + REVOCATION_LIFE);
        assert_eq!(services.sessions.sweep().await.expect("swept").sessions, 2);
    }

    async fn a_withdrawn_service_app_takes_its_tokens_along(store: TestStore) {
        let services = Services::start(store).await;
        let ((ann, acme), (bob, other)) = (services.owner("ann").await, services.owner("bob").await);
        let (docs, wiki) = (service_app(&services, "docs").await, service_app(&services, "wiki").await);
        let anns = mint_now(&services, &of_app(&services, ann, acme, docs)).await.expect("minted");
        let bobs = mint_now(&services, &of_app(&services, bob, other, docs)).await.expect("minted");
        mint_now(&services, &of_app(&services, ann, acme, wiki)).await.expect("minted");
        services.sessions.start(&services.grant(ann, Some(acme))).await.expect("session");
        let mut tx = services.store.db.write().await.expect("tx");
        assert_eq!(services.sessions.end_of_service_app(&mut tx, docs).await.expect("ended"), 2);
        tx.commit().await.expect("commit");
        assert_eq!(revoked(&services).await, BTreeSet::from([session_of(&anns), session_of(&bobs)]));
        assert_eq!(revoked_in_tables(&services).await, revoked(&services).await);
    }

    async fn no_token_slips_in_while_what_it_needs_is_taken_away(store: TestStore) {
        let services = Services::start(store).await;
        let (ann, acme) = services.owner("ann").await;
        let app = service_app(&services, "docs").await;
        let grant = || of_app(&services, ann, acme, app);
        mint_now(&services, &grant()).await.expect("minted");
        let (access, sessions) = (&services.access, &services.sessions);

        let mut tx = services.store.db.write().await.expect("tx");
        let off = ServiceAppChange { is_active: Some(false), ..ServiceAppChange::default() };
        access.service_apps.update(&mut tx, None, app, off).await.expect("disabled");
        sessions.end_of_service_app(&mut tx, app).await.expect("ended");
        let minted = mint_meanwhile(&services, tx, grant()).await;
        assert!(matches!(minted, Err(StartError::AppNotFound)), "{minted:?}");
        let mut tx = services.store.db.write().await.expect("tx");
        let on = ServiceAppChange { is_active: Some(true), ..ServiceAppChange::default() };
        access.service_apps.update(&mut tx, None, app, on).await.expect("enabled");
        tx.commit().await.expect("commit");

        // A role is taken away while a token is made: the token has the new one, and its session goes on.
        let (bob, _) = services.owner("bob").await;
        let by = Authority::of_administrator(acme, Some(ann));
        let email = "bob@example.com".parse().expect("email");
        let mut tx = services.store.db.write().await.expect("tx");
        access.invitations.invite(&mut tx, &by, &email, WorkspaceRole::Admin).await.expect("member");
        tx.commit().await.expect("commit");
        let bobs = || of_app(&services, bob, acme, app);
        let before = mint_now(&services, &bobs()).await.expect("minted");
        let mut tx = services.store.db.write().await.expect("tx");
        access.members.change_role(&mut tx, &by, bob, WorkspaceRole::Viewer).await.expect("changed");
        sessions.end_of_changed(&mut tx, acme, &[bob]).await.expect("ended");
        let after = mint_meanwhile(&services, tx, bobs()).await.expect("minted");
        assert_eq!(after.role, WorkspaceRole::Viewer);
        let gone = revoked(&services).await;
        assert!(gone.contains(&session_of(&before)) && !gone.contains(&session_of(&after)));

        let mut tx = services.store.db.write().await.expect("tx");
        access.members.remove(&mut tx, &by, bob).await.expect("removed");
        sessions.end_of_member(&mut tx, acme, bob).await.expect("ended");
        let minted = mint_meanwhile(&services, tx, bobs()).await;
        assert!(matches!(minted, Err(StartError::NotAMember)), "{minted:?}");

        let mut tx = services.store.db.write().await.expect("tx");
        access.users.set_active(&mut tx, None, ann, false).await.expect("deactivated");
        sessions.end_all_of(&mut tx, ann, EndReason::Deactivated).await.expect("ended");
        let minted = mint_meanwhile(&services, tx, grant()).await;
        assert!(matches!(minted, Err(StartError::UserNotFound)), "{minted:?}");
    }

    async fn an_end_waits_for_a_token_that_is_being_made(store: TestStore) {
        let services = Services::start(store).await;
        let (ann, acme) = services.owner("ann").await;
        let app = service_app(&services, "docs").await;
        let grant = of_app(&services, ann, acme, app);
        let (docs, by) = ("docs".parse().expect("service"), Authority::of_administrator(acme, Some(ann)));
        let mut tx = services.store.db.write().await.expect("tx");
        let group = services.access.groups.create(&mut tx, &by, "eng".parse().expect("name"), None).await.expect("group");
        services.access.groups.add_member(&mut tx, &by, group.id, ann).await.expect("member");
        tx.commit().await.expect("commit");

        let mut minting = services.store.db.begin().await.expect("tx");
        let minted = services.sessions.mint_authz(&mut minting, &grant, &docs, "subject-1", Vec::new()).await.expect("minted");
        let (database, access, sessions) = (services.store.db.clone(), services.access.clone(), services.sessions.clone());
        let mut leaving = tokio::spawn(async move {
            let mut tx = database.write().await.expect("tx");
            access.groups.remove_member(&mut tx, &by, group.id, ann).await.expect("removed");
            let ended = sessions.end_of_changed(&mut tx, acme, &[ann]).await.expect("ended");
            tx.commit().await.expect("commit");
            ended
        });
        let waits = tokio::time::timeout(Duration::from_millis(300), &mut leaving).await;
        assert!(waits.is_err(), "it waits for the token that is being made");
        minting.commit().await.expect("commit");
        assert_eq!(leaving.await.expect("no panic"), 1);
        assert_eq!(revoked(&services).await, BTreeSet::from([session_of(&minted)]));
    }

    async fn a_token_names_as_many_actions_as_fit_or_none(store: TestStore) {
        let services = Services::start(store).await;
        let (ann, acme) = services.owner("ann").await;
        let app = service_app(&services, "docs").await;
        let grant = of_app(&services, ann, acme, app);
        for (count, named) in [(61, 61), (62, 0)] {
            let minted = with_actions(&services, &grant, vec!["a".repeat(64); count]).await;
            assert_eq!(claims(&minted.token)["actions"].as_array().map(Vec::len), Some(named));
        }
    }

    async fn what_is_not_there_makes_no_token(store: TestStore) {
        let services = Services::start(store).await;
        let ((ann, acme), (_, other)) = (services.owner("ann").await, services.owner("bob").await);
        let app = service_app(&services, "docs").await;
        let gone = ServiceAppId::generate(services.store.clock.now(), &sentinel_core::SystemRandom);
        let refused = mint_now(&services, &of_app(&services, ann, acme, gone)).await;
        assert!(matches!(refused, Err(StartError::AppNotFound)), "{refused:?}");
        let refused = mint_now(&services, &services.grant(ann, Some(acme))).await;
        assert!(matches!(refused, Err(StartError::AppNotFound)), "{refused:?}");
        let refused = mint_now(&services, &of_app(&services, ann, other, app)).await;
        assert!(matches!(refused, Err(StartError::NotAMember)), "{refused:?}");
        let refused = mint_now(&services, &Grant { workspace: None, ..of_app(&services, ann, acme, app) }).await;
        assert!(matches!(refused, Err(StartError::WorkspaceNotFound)), "{refused:?}");
    }
}
