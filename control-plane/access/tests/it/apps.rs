//! Client apps, service apps and their keys.

use std::time::Duration;

use sentinel_access::AccessError;
use sentinel_access::client_apps::ClientAppChange;
use sentinel_access::permissions::Visibility;
use sentinel_access::service_apps::{NewServiceApp, ServiceAppChange};
use sentinel_core::Clock as _;
use sentinel_core::id::ServiceAppId;
use sentinel_store::on_both_backends;

use crate::world::{World, document, document_of, key};

const DAY: Duration = Duration::from_hours(24);

async fn rotate(world: &World, app: ServiceAppId, to: u8, overlap: Duration) {
    world
        .write(async |tx, access| {
            access
                .service_apps
                .rotate_key(tx, None, app, key(to), overlap)
                .await
        })
        .await
        .expect("rotated");
}

/// Digest (its first byte) and end of every key that edges know.
async fn keys(world: &World) -> Vec<(u8, bool)> {
    let facts = world
        .read(async |tx, _| sentinel_access::facts(tx).await)
        .await
        .expect("facts");
    let mut keys: Vec<(u8, bool)> = facts
        .into_iter()
        .filter_map(|fact| match fact {
            sentinel_core::Fact::ServiceKey(key) => Some((key.digest[0], key.expires_at.is_some())),
            _ => None,
        })
        .collect();
    keys.sort_unstable();
    keys
}

on_both_backends! {
    async fn a_rotated_key_works_on_for_the_overlap_and_no_third_one_does(store: TestStore) {
        let world = World::new(store);
        let app = world.service_app("docs", key(1)).await;
        assert_eq!(app.key_prefix, "sk_0001****");
        assert_eq!(keys(&world).await, [(1, false)]);
        rotate(&world, app.id, 2, DAY).await;
        assert_eq!(keys(&world).await, [(1, true), (2, false)]);
        rotate(&world, app.id, 3, DAY).await;
        assert_eq!(keys(&world).await, [(2, true), (3, false)], "at most two keys work");
        rotate(&world, app.id, 4, Duration::ZERO).await;
        assert_eq!(keys(&world).await, [(4, false)], "without an overlap the old ones end at once");
        let app = world.read(async |tx, access| access.service_apps.get(tx, app.id).await).await.expect("app");
        assert_eq!(app.key_prefix, "sk_0004****");
        assert_eq!(world.last_action().await, "service_app_key_rotated");
    }

    async fn expired_keys_leave_the_replicated_state(store: TestStore) {
        let world = World::new(store);
        let app = world.service_app("docs", key(1)).await;
        world.service_app("wiki", key(9)).await;
        rotate(&world, app.id, 2, Duration::from_mins(1)).await;
        let purge = async || world.write(async |tx, access| access.service_apps.purge_expired_keys(tx).await).await;
        assert_eq!(purge().await.expect("purged"), 0);
        world.store.clock.advance(Duration::from_mins(1));
        assert_eq!(purge().await.expect("purged"), 1);
        assert_eq!(keys(&world).await, [(2, false), (9, false)]);
        assert_eq!(purge().await.expect("purged"), 0);
        let head = world.store.db.head().await.expect("head");
        purge().await.expect("purged");
        assert_eq!(world.store.db.head().await.expect("head"), head, "nothing changed, so no revision");
    }

    async fn an_inactive_app_has_no_keys_at_the_edges(store: TestStore) {
        let world = World::new(store);
        let app = world.service_app("docs", key(1)).await;
        let set = async |is_active| {
            let change = ServiceAppChange { is_active: Some(is_active), ..ServiceAppChange::default() };
            world
                .write(async |tx, access| access.service_apps.update(tx, None, app.id, change).await)
                .await
                .expect("updated")
        };
        assert!(!set(false).await.is_active);
        assert_eq!(keys(&world).await, []);
        rotate(&world, app.id, 2, DAY).await;
        assert_eq!(keys(&world).await, [], "a new key of an inactive app does not work either");
        set(true).await;
        assert_eq!(keys(&world).await, [(1, true), (2, false)]);
    }

    async fn a_service_name_is_taken_once(store: TestStore) {
        let world = World::new(store);
        world.service_app("docs", key(1)).await;
        let new = NewServiceApp {
            name: "Docs again".parse().expect("name"),
            service_name: "docs".parse().expect("name"),
            allowed_origins: Vec::new(),
            allowed_idp_audiences: Vec::new(),
        };
        let refused = world
            .write(async |tx, access| access.service_apps.create(tx, None, new, key(2)).await)
            .await
            .expect_err("taken");
        assert_eq!(refused.to_string(), "Failed to create service app: service name 'docs' is already in use");
        assert_eq!(keys(&world).await, [(1, false)]);
    }

    async fn deleting_an_app_forgets_its_keys_and_its_resources(store: TestStore) {
        let world = World::new(store);
        let alice = world.user("alice").await;
        let workspace = world.workspace("acme", alice.id).await;
        world.register(workspace, alice.id, document_of("wiki", 5), Visibility::Workspace).await;
        let before = world.facts().await;
        let app = world.service_app("docs", key(1)).await;
        rotate(&world, app.id, 2, DAY).await;
        for number in 1..4 {
            world.register(workspace, alice.id, document(number), Visibility::Workspace).await;
        }
        world
            .write(async |tx, access| access.service_apps.delete(tx, Some(alice.id), app.id).await)
            .await
            .expect("deleted");
        assert_eq!(world.facts().await, before);
        let log = world.activity().await;
        let purged = log.iter().find(|record| record.action == "permissions_purged").expect("logged");
        assert_eq!(purged.detail, Some(serde_json::json!({ "service_name": "docs", "deleted_count": 3 })));
        let gone = world.read(async |tx, access| access.service_apps.get(tx, app.id).await).await;
        assert!(matches!(gone, Err(AccessError::ServiceAppNotFound)), "{gone:?}");
    }

    async fn uses_are_written_in_batches_and_only_forwards(store: TestStore) {
        let world = World::new(store);
        let app = world.service_app("docs", key(1)).await;
        assert_eq!(app.last_used_at, None);
        let now = world.store.clock.now();
        let earlier = now - Duration::from_secs(5);
        let uses = [([1; 32], now), ([77; 32], now)];
        world.write(async |tx, access| access.service_apps.record_use(tx, &uses).await).await.expect("noted");
        world
            .write(async |tx, access| access.service_apps.record_use(tx, &[([1; 32], earlier)]).await)
            .await
            .expect("noted");
        rotate(&world, app.id, 2, Duration::ZERO).await;
        let app = world.read(async |tx, access| access.service_apps.get(tx, app.id).await).await.expect("app");
        assert_eq!(app.last_used_at, Some(now), "also of a key that is gone");
    }

    async fn a_client_app_accepts_its_own_addresses_while_it_is_active(store: TestStore) {
        let world = World::new(store);
        let alice = world.user("alice").await;
        let home = "https://app.example.com/cb";
        let uris = ["https://app.example.com/cb", "http://localhost:3000/cb", "https://app.example.com/cb"];
        let uris = uris.map(|uri| uri.parse().expect("address")).to_vec();
        let name = "Front end".parse().expect("name");
        let app = world
            .write(async |tx, access| access.client_apps.create(tx, Some(alice.id), name, uris).await)
            .await
            .expect("made");
        assert_eq!(app.redirect_uris, [home, "http://localhost:3000/cb"], "each once");
        assert!(app.accepts(home));
        assert!(!app.accepts("https://app.example.com/cb/") && !app.accepts("https://app.example.com/"));
        let accepting = async || {
            let apps = world.read(async |tx, access| access.client_apps.accepting(tx, home).await).await;
            apps.expect("apps").len()
        };
        assert_eq!(accepting().await, 1);
        let off = ClientAppChange { is_active: Some(false), ..ClientAppChange::default() };
        let app = world
            .write(async |tx, access| access.client_apps.update(tx, Some(alice.id), app.id, off, 0).await)
            .await
            .expect("updated");
        assert!(!app.accepts(home));
        assert_eq!(accepting().await, 0);
        let origins = world.read(async |tx, access| access.client_apps.active_redirect_uris(tx).await).await;
        assert!(origins.expect("addresses").is_empty());
        world.write(async |tx, access| access.client_apps.delete(tx, None, app.id).await).await.expect("deleted");
        let again = world.write(async |tx, access| access.client_apps.delete(tx, None, app.id).await).await;
        assert!(matches!(again, Err(AccessError::ClientAppNotFound)), "{again:?}");
        assert_eq!(world.last_action().await, "client_app_deleted");
    }
}
