//! `POST /authz/resolve`: who may ask, which tokens are believed, and what comes of them.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use sentinel_access::members::Authority;
use sentinel_access::service_apps::ServiceAppChange;
use sentinel_core::WorkspaceRole;
use sentinel_store::on_both_backends;
use sentinel_store::short_lived::{Redis, RedisConfig};
use sentinel_store::testing::Backend;
use serde_json::{Value, json};

use super::{PAGE, World, ann, bob, claims};
use crate::answer::{Answer, members, send};
use crate::common::As;
use crate::common::oidc::{CLIENT_ID, Person, Twist};

/// What a page of the origin is told.
async fn from_page(world: &World, origin: &str, body: &Value) -> Answer {
    send(
        world
            .app
            .post("/authz/resolve")
            .header("origin", origin)
            .json(body),
    )
    .await
}

/// Whether there is an account with the address.
async fn has_account(world: &World, email: &str) -> bool {
    let mut tx = world.app.app.database().read().await.expect("tx");
    let users = &world.app.app.access().users;
    users
        .find_by_email(&mut tx, email)
        .await
        .expect("users")
        .is_some()
}

async fn logins(world: &World, cookie: &str) -> Value {
    let log = send(world.app.get("/admin/activity?action=user_login").admin(cookie)).await;
    assert_eq!(log.status, 200, "{log:?}");
    log.body["total"].clone()
}

const ALL: [&str; 5] = ["authz_token", "expires_in", "user", "workspace", "workspaces"];

on_both_backends! {
    async fn a_service_lists_workspaces_and_mints_a_token(store: TestStore) {
        let world = World::start(store).await;
        let (_, cookie) = world.app.admin("root@example.com").await;
        let body = json!({ "idp_token": world.id_token(&ann()), "provider": "demo", "workspace_id": null, "nonce": null });
        let first = world.resolve(&body).await;
        assert_eq!(first.status, 200, "{first:?}");
        assert_eq!(members(&first.body), ALL);
        let user = first.body["user"].clone();
        assert_eq!((&user["email"], &user["name"]), (&json!("ann@example.com"), &json!("Name of 1")));
        assert_eq!(first.body["workspaces"], json!([]), "a first sign-in makes an account");

        let id = user["id"].as_str().expect("id").parse().expect("id");
        let workspace = world.app.workspace(id, "acme").await;
        let listed = world.resolve(&body).await;
        assert_eq!(listed.body["workspaces"], json!([{ "id": workspace, "name": "acme", "slug": "acme", "role": "owner" }]));
        assert!(listed.body["workspace"].is_null() && listed.body["authz_token"].is_null() && listed.body["expires_in"].is_null());

        let minted = world.resolve(&world.asked(&ann(), workspace)).await;
        assert_eq!(minted.status, 200, "{minted:?}");
        assert_eq!(members(&minted.body), ALL);
        assert_eq!(minted.body["user"], user);
        assert_eq!(minted.body["workspace"], json!({ "id": workspace, "slug": "acme", "role": "owner" }));
        assert_eq!((&minted.body["expires_in"], &minted.body["workspaces"]), (&json!(300), &Value::Null));
        let said = claims(minted.text("authz_token"));
        assert_eq!((&said["aud"], &said["type"]), (&json!("sentinel:authz"), &json!("authz")));
        assert_eq!((&said["sub"], &said["idp_sub"], &said["svc"]), (&user["id"], &json!("1"), &json!("docs")));
        assert_eq!(said["idp_iss"], claims(&world.id_token(&ann()))["iss"]);
        assert_eq!((&said["wid"], &said["wslug"], &said["wrole"]), (&json!(workspace), &json!("acme"), &json!("owner")));
        assert_eq!(said["actions"], json!([]));
        assert_eq!(said["exp"].as_i64().expect("exp") - said["iat"].as_i64().expect("iat"), 300);
        assert!(said.get("email").is_none() && said.get("name").is_none() && said.get("groups").is_none(), "{said}");
        assert_eq!(logins(&world, &cookie).await, 1, "only the first time is a login");
    }

    async fn what_a_user_may_do_is_in_his_token(store: TestStore) {
        let world = World::start(store).await;
        let app = &world.app;
        let (_, cookie) = app.admin("root@example.com").await;
        let user = world.user(&ann()).await;
        let workspace = app.workspace(user, "acme").await;
        let actions = json!({ "service_name": "docs", "actions": [{ "action": "docs:export" }, { "action": "docs:print" }] });
        let registered = send(app.post("/roles/actions/register").header("x-service-key", &world.key).json(&actions)).await;
        assert_eq!(registered.status, 201, "{registered:?}");
        let role = send(app.post(&format!("/admin/workspaces/{workspace}/roles")).admin(&cookie).json(&json!({ "name": "Exporter" }))).await;
        assert_eq!(role.status, 201, "{role:?}");
        let role = format!("/admin/roles/{}", role.text("id"));
        let export = json!({ "service_action_ids": [registered.body[0]["id"]] });
        assert_eq!(send(app.post(&format!("{role}/actions")).admin(&cookie).json(&export)).await.status, 201);
        assert_eq!(send(app.post(&format!("{role}/members/{user}")).admin(&cookie)).await.status, 201);

        let token = world.mint(&ann(), workspace).await;
        assert_eq!(claims(&token)["actions"], json!(["docs:export"]));
        for (action, allowed) in [("docs:export", true), ("docs:print", false)] {
            let body = json!({ "service_name": "docs", "action": action, "workspace_id": workspace });
            let check = app.post("/roles/check-action").header("x-service-key", &world.key).bearer_auth(&token).json(&body);
            let answer = send(check).await;
            assert_eq!((answer.status, &answer.body["allowed"]), (200, &json!(allowed)), "{answer:?}");
        }
    }

    async fn a_page_lists_and_cannot_mint(store: TestStore) {
        let world = World::start(store).await;
        let user = world.user(&ann()).await;
        let workspace = world.app.workspace(user, "acme").await;
        let list = json!({ "idp_token": world.id_token(&ann()), "provider": "demo" });
        let listed = from_page(&world, PAGE, &list).await;
        assert_eq!((listed.status, &listed.body["workspaces"][0]["id"]), (200, &json!(workspace)), "{listed:?}");
        let refused = from_page(&world, PAGE, &world.asked(&ann(), workspace)).await;
        assert_eq!(refused.problem(), (403,
            "Minting an authz token requires a service key. Call this endpoint from your backend with X-Service-Key."));
        for origin in ["https://evil.example", "null", "https://docs.example.com.evil.example", "http://docs.example.com", ""] {
            let refused = from_page(&world, origin, &list).await;
            assert_eq!(refused.problem(), (401, "Missing service API key or unregistered origin"), "{origin}");
        }
        let nobody = send(world.app.post("/authz/resolve").json(&list)).await;
        assert_eq!(nobody.problem(), (401, "Missing service API key or unregistered origin"));
        // A key comes before the origin, also one that is not good.
        let bad = world.app.post("/authz/resolve").header("origin", PAGE).header("x-service-key", "sk_no").json(&list);
        assert_eq!(send(bad).await.problem(), (401, "Invalid or missing service API key"));
        let twice = world.app.post("/authz/resolve").header("origin", PAGE).header("origin", PAGE).json(&list);
        assert_eq!(send(twice).await.status, 400);
        let elsewhere = world.app.get(&format!("/permissions/resource/docs/document/{workspace}")).header("origin", PAGE);
        assert_eq!(send(elsewhere).await.problem(), (401, "Service key required"));

        world.change(ServiceAppChange { is_active: Some(false), ..ServiceAppChange::default() }).await;
        let refused = from_page(&world, PAGE, &list).await;
        assert_eq!(refused.problem(), (401, "Missing service API key or unregistered origin"));
        assert_eq!(world.resolve(&list).await.problem(), (401, "Invalid or missing service API key"));
    }

    async fn a_page_may_read_the_answer_and_no_other(store: TestStore) {
        let world = World::start(store).await;
        let preflight = async |origin: &str| {
            let request = world.app.request(Method::OPTIONS, "/authz/resolve").header("origin", origin)
                .header("access-control-request-method", "POST").header("access-control-request-headers", "content-type");
            request.send().await.expect("answer").status().as_u16()
        };
        assert_eq!(preflight(PAGE).await, 200);
        assert_eq!(preflight("https://evil.example").await, 400);
        let list = json!({ "idp_token": world.id_token(&ann()), "provider": "demo" });
        let answer = world.app.post("/authz/resolve").header("origin", PAGE).json(&list).send().await.expect("answer");
        assert_eq!(answer.headers()["access-control-allow-origin"], PAGE);
        assert_eq!(answer.headers()["cache-control"], "no-store");
    }

    async fn hostile_id_tokens_make_no_account(store: TestStore) {
        let world = World::start(store).await;
        let ask = async |token: &str| {
            world.resolve(&json!({ "idp_token": token, "provider": "demo", "nonce": "n1" })).await
        };
        let plain = ann();
        let twisted = |twist| world.provider.id_token(&plain, twist, "n1");
        let said = |person: &Person| world.provider.id_token(person, Twist::None, "n1");
        let exact = [
            (twisted(Twist::Expired), "Token expired"),
            (twisted(Twist::WrongNonce), "Nonce mismatch"),
            (twisted(Twist::NoNonce), "Nonce mismatch"),
            (said(&ann().with("email_verified", json!(false))), "Email not verified"),
            (said(&ann().with("email_verified", json!("true"))), "Invalid token"),
            (said(&ann().with("email_verified", Value::Null)), "Email not verified"),
            (said(&ann().with("email", Value::Null)), "IdP token carries no email address"),
            (said(&ann().with("email", json!("no address"))), "IdP token carries no email address"),
            (said(&Person::new("a\0b", "ann@example.com")), "Invalid token"),
            (said(&ann().with("padding", json!("x".repeat(9_000)))), "Invalid token"),
            (twisted(Twist::WrongIssuer), "Invalid token"),
            (twisted(Twist::WrongAudience), "Invalid token"),
            (twisted(Twist::WrongAuthorizedParty), "Invalid token"),
            (twisted(Twist::AlgNone), "Invalid token"),
            (twisted(Twist::HmacByPublicKey), "Invalid token"),
            (twisted(Twist::UnknownKid), "Invalid token"),
            (twisted(Twist::ForeignSignature), "Invalid token"),
            (twisted(Twist::IssuedLater), "Invalid token"),
            (twisted(Twist::SignedInLater), "Invalid token"),
            (String::new(), "Invalid token"),
            ("a.b.c".to_owned(), "Invalid token"),
            ("\0".to_owned(), "Invalid token"),
        ];
        for (token, detail) in exact {
            let answer = ask(&token).await;
            assert_eq!(answer.status, 400, "{detail}: {answer:?}");
            assert!(answer.text("detail").starts_with(detail), "{detail}: {answer:?}");
        }
        assert!(!has_account(&world, "ann@example.com").await);
        let good = ask(&twisted(Twist::None)).await;
        assert_eq!(good.status, 200, "{good:?}");
        let unknown = world.resolve(&json!({ "idp_token": "x", "provider": "x\0y" })).await;
        assert_eq!(unknown.problem(), (400, "Unsupported provider: xy"));
        let unbound = json!({ "idp_token": twisted(Twist::NoNonce), "provider": "demo" });
        assert_eq!(world.resolve(&unbound).await.status, 200, "who asks for no nonce needs none");
    }

    async fn one_of_our_own_tokens_is_no_token_of_a_provider(store: TestStore) {
        let world = World::start(store).await;
        let user = world.user(&ann()).await;
        let workspace = world.app.workspace(user, "acme").await;
        let token = world.mint(&ann(), workspace).await;
        let pair = world.app.tokens(user, workspace).await;
        for token in [token, pair.access, pair.refresh] {
            let answer = world.resolve(&json!({ "idp_token": token, "provider": "demo" })).await;
            assert_eq!(answer.status, 400, "{answer:?}");
        }
    }

    async fn audiences_of_the_service_take_the_place_of_ours(store: TestStore) {
        let world = World::start(store).await;
        let spa = || ann().with("aud", json!("spa")).with("azp", json!("spa"));
        let ask = async |person: &Person| {
            world.resolve(&json!({ "idp_token": world.id_token(person), "provider": "demo" })).await.status
        };
        assert_eq!((ask(&ann()).await, ask(&spa()).await), (200, 400));
        let audiences = Some(vec!["spa".parse().expect("name"), "app".parse().expect("name")]);
        world.change(ServiceAppChange { allowed_idp_audiences: audiences, ..ServiceAppChange::default() }).await;
        assert_eq!((ask(&ann()).await, ask(&spa()).await), (400, 200));
        let elsewhere = ann().with("aud", json!(["spa", "elsewhere"])).with("azp", json!("elsewhere"));
        assert_eq!(ask(&elsewhere).await, 400, "it was given to another client");
        let page = json!({ "idp_token": world.id_token(&spa()), "provider": "demo" });
        assert_eq!(from_page(&world, PAGE, &page).await.status, 200, "a page of the service is held to the same");
        let ours = json!({ "idp_token": world.id_token(&ann().with("aud", json!(CLIENT_ID))), "provider": "demo" });
        assert_eq!(from_page(&world, PAGE, &ours).await.status, 400);
    }

    async fn who_may_not_gets_no_token(store: TestStore) {
        let world = World::start(store).await;
        let owner = world.user(&ann()).await;
        let workspace = world.app.workspace(owner, "acme").await;
        let other = world.user(&bob()).await;
        for target in [workspace.to_string(), "018f4e7a-1111-7000-8000-000000000001".to_owned()] {
            let refused = world.resolve(&world.asked(&bob(), target)).await;
            assert_eq!(refused.problem(), (403, "User is not a member of this workspace"));
        }
        let no_id = world.resolve(&world.asked(&bob(), "acme")).await;
        assert_eq!(no_id.status, 422);

        let stranger = Person::new("3", "ann@example.com");
        let refused = world.resolve(&json!({ "idp_token": world.id_token(&stranger), "provider": "demo" })).await;
        assert_eq!((refused.status, refused.text("code")), (409, "email_conflict"));
        assert_eq!(refused.text("detail"), "Another account has the email address ann@example.com. Sign in the way you did before.");

        let mut tx = world.app.app.database().write().await.expect("tx");
        world.app.app.access().users.set_active(&mut tx, None, other, false).await.expect("deactivated");
        tx.commit().await.expect("commit");
        for body in [world.asked(&bob(), workspace), json!({ "idp_token": world.id_token(&bob()), "provider": "demo" })] {
            assert_eq!(world.resolve(&body).await.problem(), (403, "User account is inactive"));
        }
    }

    async fn a_sign_in_accepts_invitations_and_keeps_the_profile_fresh(store: TestStore) {
        let world = World::start(store).await;
        let owner = world.user(&ann()).await;
        let workspace = world.app.workspace(owner, "acme").await;
        let invite = async |email: &str| {
            let mut tx = world.app.app.database().write().await.expect("tx");
            let by = Authority::of_administrator(workspace, None);
            let invitations = &world.app.app.access().invitations;
            invitations.invite(&mut tx, &by, &email.parse().expect("email"), WorkspaceRole::Editor).await.expect("invited");
            tx.commit().await.expect("commit");
        };
        invite("bob@example.com").await;
        let list = json!({ "idp_token": world.id_token(&bob()), "provider": "demo" });
        let first = world.resolve(&list).await;
        assert_eq!(first.body["workspaces"][0]["role"], "editor", "{first:?}");
        assert!(first.revision.is_some(), "edges are told, and the answer waited for that");
        let token = world.mint(&bob(), workspace).await;
        let me = world.app.get("/users/me").header("x-authz-token", &token).send().await.expect("answer");
        assert_eq!(me.status().as_u16(), 200);

        let renamed = bob().with("name", json!("Bobby"));
        let again = world.resolve(&json!({ "idp_token": world.id_token(&renamed), "provider": "demo" })).await;
        assert_eq!(again.body["user"]["name"], "Bobby");
        assert_eq!(again.revision, None);
    }

    async fn a_known_user_waits_for_nobody_who_writes(store: TestStore) {
        let postgres = store.backend == Backend::PostgresRedis;
        let world = World::start(store).await;
        let user = world.user(&ann()).await;
        let workspace = world.app.workspace(user, "acme").await;
        world.mint(&ann(), workspace).await;
        let before = world.app.app.database().head().await.expect("head");
        let turn = world.app.app.database().write().await.expect("tx");
        let list = json!({ "idp_token": world.id_token(&ann()), "provider": "demo" });
        assert_eq!(world.resolve(&list).await.status, 200, "while somebody else has the turn");
        // SQLite has one writer of any kind.
        if postgres {
            world.mint(&ann(), workspace).await;
        }
        drop(turn);
        world.mint(&ann(), workspace).await;
        assert_eq!(world.app.app.database().head().await.expect("head"), before, "and no edge has anything to learn");
    }

    async fn nobody_waits_for_a_turn_to_write_in_order_to_write_nothing(store: TestStore) {
        let world = World::start_with(store, |options| {
            options.admin_emails = vec!["root@example.com".into()];
            let strict = sentinel_identity::ProviderSettings { name: "strict".into(), ..options.providers[0].clone() };
            options.providers[0].link_by_verified_email = true;
            let second = sentinel_identity::ProviderSettings { name: "second".into(), ..options.providers[0].clone() };
            options.providers.extend([second, strict]);
        })
        .await;
        world.app.admin("another-root@example.com").await;
        let ask = async |provider: &str, person: &Person| {
            world.resolve(&json!({ "idp_token": world.id_token(person), "provider": provider })).await
        };
        let annie = Person::new("annie", "ann@example.com").with("name", json!("Annie"));
        let root = Person::new("root", "root@example.com");
        let (root_id, bob_id) = (world.user(&root).await, world.user(&bob()).await);
        let first = ask("demo", &ann()).await;
        world.app.clock.advance(Duration::from_millis(1));
        assert_eq!(ask("second", &annie).await.body, first.body, "linked, and not renamed");
        let users = &world.app.app.access().users;
        let mut tx = world.app.app.database().write().await.expect("tx");
        assert!(users.set_admin(&mut tx, None, root_id, false).await.is_ok_and(|user| !user.is_admin));
        users.set_active(&mut tx, None, bob_id, false).await.expect("deactivated");
        tx.commit().await.expect("commit");

        let turn = world.app.app.database().write().await.expect("tx");
        for (provider, person) in [("demo", &ann()), ("second", &annie), ("demo", &ann()), ("second", &annie)] {
            let answer = ask(provider, person).await;
            assert_eq!((answer.status, &answer.body), (200, &first.body), "{provider}");
        }
        let demoted = ask("demo", &root).await;
        assert_eq!((demoted.status, demoted.body["user"]["id"].as_str()), (200, Some(root_id.to_string().as_str())));
        for (provider, person, status, code) in [
            ("demo", bob(), 403, "account_deactivated"),
            ("second", Person::new("b", "bob@example.com"), 403, "account_deactivated"),
            ("demo", Person::new("3", "ann@example.com"), 409, "email_conflict"),
            ("second", Person::new("3", "ann@example.com"), 409, "email_conflict"),
            ("strict", ann(), 409, "email_conflict"),
            ("demo", ann().with("email", json!("no address")), 400, "idp_token_invalid"),
            ("demo", Person::new("4", "no address"), 400, "idp_token_invalid"),
        ] {
            let refused = ask(provider, &person).await;
            assert_eq!((refused.status, refused.text("code")), (status, code), "{provider}: {person:?}");
        }
        drop(turn);
    }

    async fn a_subject_that_cannot_be_kept_makes_nothing(store: TestStore) {
        const TENANT: &str = "8f14e45f-ceea-467f-a5a1-0e3d6ad0b7c2";
        let world = World::start_with(store, |options| {
            let oidc = options.providers[0].clone();
            let sentinel_identity::Protocol::Oidc { issuer } = &oidc.protocol else { panic!("{:?}", oidc.protocol) };
            let protocol = sentinel_identity::Protocol::Entra { tenant: TENANT.parse().expect("a GUID"), issuer: issuer.clone() };
            options.providers.push(sentinel_identity::ProviderSettings { name: "entra".into(), protocol, ..oidc });
        })
        .await;
        let owner = world.user(&bob()).await;
        let workspace = world.app.workspace(owner, "acme").await;
        for sub in ["s".repeat(256), "a\0b".to_owned(), "a\nb".to_owned()] {
            let person = Person::new(&sub, "ann@example.com").with("tid", json!(TENANT)).with("oid", json!("ann"));
            for provider in ["demo", "entra"] {
                let mut body = world.asked(&person, workspace);
                body["provider"] = json!(provider);
                let refused = world.resolve(&body).await;
                assert_eq!(refused.problem(), (400, "Invalid token: its subject cannot be kept"), "{provider} {sub:?}");
            }
        }
        assert!(!has_account(&world, "ann@example.com").await);
    }

    async fn many_at_once_are_one_account_and_one_session(store: TestStore) {
        let world = World::start(store).await;
        let list = json!({ "idp_token": world.id_token(&ann()), "provider": "demo" });
        let first = futures_util::future::join_all((0..8).map(|_| world.resolve(&list))).await;
        let user = first[0].body["user"]["id"].clone();
        for answer in &first {
            assert_eq!((answer.status, &answer.body["user"]["id"]), (200, &user), "{answer:?}");
        }
        let id = user.as_str().expect("id").parse().expect("id");
        let workspace = world.app.workspace(id, "acme").await;
        let person = ann();
        let minted = futures_util::future::join_all((0..8).map(|_| world.mint(&person, workspace))).await;
        let sessions: HashSet<String> = minted.iter().map(|token| claims(token)["sid"].to_string()).collect();
        assert_eq!(sessions.len(), 1);
        let tokens: HashSet<String> = minted.iter().map(|token| claims(token)["jti"].to_string()).collect();
        assert_eq!(tokens.len(), 8);
    }

    async fn it_needs_no_short_lived_store(store: TestStore) {
        // Nobody listens there.
        let away = Redis::new(&RedisConfig::new("redis://127.0.0.1:1")).expect("url");
        let world = World::start_with(store, |options| options.short_lived = Some(Arc::new(away))).await;
        let user = world.user(&ann()).await;
        let workspace = world.app.workspace(user, "acme").await;
        let token = world.mint(&ann(), workspace).await;
        let me = send(world.app.get("/users/me").header("x-authz-token", &token)).await;
        assert_eq!(me.status, 200);
    }

    async fn a_provider_that_is_away_is_503(store: TestStore) {
        let world = World::start_with(store, |options| {
            // Nobody listens there.
            let away = sentinel_identity::ProviderSettings {
                name: "away".to_owned(),
                protocol: sentinel_identity::Protocol::Oidc { issuer: "http://127.0.0.1:1".to_owned() },
                ..options.providers[0].clone()
            };
            options.providers.push(away);
        })
        .await;
        let answer = world.resolve(&json!({ "idp_token": world.id_token(&ann()), "provider": "away" })).await;
        assert_eq!((answer.status, answer.text("code")), (503, "provider_unavailable"));
    }

    async fn pages_that_ask_too_often_are_told_so_before_anything_is_looked_up(store: TestStore) {
        let world = World::start_with(store, |options| options.page_resolves_per_minute = 2).await;
        let body = json!({ "idp_token": world.id_token(&ann()), "provider": "demo" });
        assert_eq!(from_page(&world, "https://evil.example", &body).await.status, 401);
        for _ in 0..2 {
            assert_eq!(from_page(&world, PAGE, &body).await.status, 200);
        }
        assert_eq!(world.resolve(&body).await.status, 200, "the service itself is counted by itself");
        world.change(ServiceAppChange { is_active: Some(false), ..ServiceAppChange::default() }).await;
        assert_eq!(from_page(&world, PAGE, &body).await.status, 429, "the database would say 401");
        world.app.clock.advance(Duration::from_mins(1));
        let refused = from_page(&world, PAGE, &body).await;
        assert_eq!(refused.problem(), (401, "Missing service API key or unregistered origin"));
    }

    async fn a_service_that_asks_too_often_is_told_when_to_come_back(store: TestStore) {
        let world = World::start_with(store, |options| options.resolves_per_minute = 2).await;
        let (_, other) = world.app.service("wiki").await;
        let body = json!({ "idp_token": world.id_token(&ann()), "provider": "demo" });
        let ask = async |key: &str| {
            send(world.app.post("/authz/resolve").header("x-service-key", key).json(&body)).await.status
        };
        assert_eq!((ask(&world.key).await, ask(&world.key).await, ask(&world.key).await), (200, 200, 429));
        assert_eq!(ask(&other).await, 200, "another service is counted by itself");
        assert_eq!(from_page(&world, PAGE, &body).await.status, 200, "and so are pages");
        world.app.clock.advance(Duration::from_mins(1));
        assert_eq!(ask(&world.key).await, 200);
    }
}
