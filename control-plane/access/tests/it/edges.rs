//! Enrolled edges, and the keys that they sign assertions with.

use std::time::Duration;

use sentinel_access::AccessError;
use sentinel_access::edges::assertion_keys::{AnnouncedKey, PublishedKey};
use sentinel_core::Timestamp;
use sentinel_core::id::EdgeId;
use sentinel_store::{fetch_scalar, on_both_backends};

use crate::world::World;

const HOUR: Duration = Duration::from_hours(1);

async fn enrol(world: &World, name: &str, digest: u8) -> EdgeId {
    let name = name.parse().expect("name");
    let enrolled = world
        .write(async |tx, access| access.edges.enrol(tx, None, &name, &[digest; 32]).await)
        .await;
    enrolled.expect("enrolled").id
}

fn key(number: u8) -> AnnouncedKey {
    AnnouncedKey {
        kid: format!("kid-{number}"),
        public_key: [number; 32],
    }
}

async fn announce(world: &World, edge: EdgeId, number: u8) -> Result<(), AccessError> {
    world
        .write(async |tx, access| access.edges.announce(tx, edge, &key(number)).await)
        .await
}

async fn is_news(world: &World, edge: EdgeId, number: u8) -> bool {
    let kid = key(number).kid;
    world
        .read(async |tx, access| access.edges.is_news(tx, edge, &kid).await)
        .await
        .expect("answer")
}

/// Names of edges and numbers of their keys.
async fn published(world: &World) -> Vec<(String, u8)> {
    let keys = world
        .read(async |tx, access| access.edges.assertion_keys(tx).await)
        .await
        .expect("keys");
    keys.into_iter()
        .map(|PublishedKey { edge, public_key }| (edge, public_key[0]))
        .collect()
}

async fn last_seen(world: &World, number: u8) -> Timestamp {
    let mut tx = world.store.db.read().await.expect("tx");
    let kid = key(number).kid;
    fetch_scalar!(
        tx,
        Timestamp,
        "SELECT last_seen_at FROM edge_assertion_keys WHERE kid = $1",
        kid
    )
    .await
    .expect("a key")
}

on_both_backends! {
    async fn a_key_is_published_while_its_edge_is_enrolled(store: TestStore) {
        let world = World::new(store);
        let (first, second) = (enrol(&world, "edge-1", 1).await, enrol(&world, "edge-2", 2).await);
        assert_eq!(published(&world).await, []);
        announce(&world, second, 12).await.expect("announced");
        announce(&world, first, 11).await.expect("announced");
        let both = [("edge-1".to_owned(), 11), ("edge-2".to_owned(), 12)];
        assert_eq!(published(&world).await, both);

        world.write(async |tx, access| access.edges.revoke(tx, None, first).await).await.expect("revoked");
        assert_eq!(published(&world).await, both[1..]);
        let late = announce(&world, first, 13).await;
        assert!(matches!(late, Err(AccessError::EdgeNotFound)), "{late:?}");
    }

    async fn a_key_of_a_revoked_edge_is_nobodys_ever_again(store: TestStore) {
        let world = World::new(store);
        let (first, second) = (enrol(&world, "edge-1", 1).await, enrol(&world, "edge-2", 2).await);
        announce(&world, first, 11).await.expect("announced");
        world.write(async |tx, access| access.edges.revoke(tx, None, first).await).await.expect("revoked");
        // The machine is enrolled again, and has kept its state directory.
        let again = enrol(&world, "edge-1b", 3).await;
        for edge in [first, second, again] {
            assert!(is_news(&world, edge, 11).await);
            let refused = announce(&world, edge, 11).await;
            assert!(matches!(refused, Err(AccessError::AssertionKeyWithdrawn)), "{refused:?}");
        }
        assert_eq!(published(&world).await, []);
        announce(&world, again, 13).await.expect("announced");
        assert_eq!(published(&world).await, [("edge-1b".to_owned(), 13)]);
    }

    async fn a_key_belongs_to_who_announced_it_first(store: TestStore) {
        let world = World::new(store);
        let (first, second) = (enrol(&world, "edge-1", 1).await, enrol(&world, "edge-2", 2).await);
        announce(&world, first, 11).await.expect("announced");
        assert!(is_news(&world, second, 11).await);
        let stolen = announce(&world, second, 11).await;
        assert!(matches!(stolen, Err(AccessError::AssertionKeyTaken)), "{stolen:?}");
        assert_eq!(published(&world).await, [("edge-1".to_owned(), 11)]);
    }

    async fn that_a_key_is_in_use_is_written_down_once_an_hour(store: TestStore) {
        let world = World::new(store);
        let edge = enrol(&world, "edge-1", 1).await;
        assert!(is_news(&world, edge, 11).await);
        announce(&world, edge, 11).await.expect("announced");
        let begun = last_seen(&world, 11).await;
        world.store.clock.advance(HOUR.saturating_sub(Duration::from_secs(1)));
        assert!(!is_news(&world, edge, 11).await);
        announce(&world, edge, 11).await.expect("announced");
        assert_eq!(last_seen(&world, 11).await, begun);
        world.store.clock.advance(Duration::from_secs(1));
        assert!(is_news(&world, edge, 11).await);
        announce(&world, edge, 11).await.expect("announced");
        assert!(last_seen(&world, 11).await >= begun + HOUR);
    }

    async fn an_edge_keeps_its_latest_keys_and_none_that_is_not_seen_any_more(store: TestStore) {
        let world = World::new(store);
        let (edge, other) = (enrol(&world, "edge-1", 1).await, enrol(&world, "edge-2", 2).await);
        announce(&world, other, 99).await.expect("announced");
        for number in 11..=15 {
            announce(&world, edge, number).await.expect("announced");
            world.store.clock.advance(Duration::from_mins(1));
        }
        let of_edge = async || {
            let mut keys = published(&world).await;
            keys.retain(|(name, _)| name == "edge-1");
            keys.into_iter().map(|(_, number)| number).collect::<Vec<_>>()
        };
        assert_eq!(of_edge().await, [12, 13, 14, 15]);
        // One is seen again and again; the others are not, and go when a new one comes.
        world.store.clock.advance(23 * HOUR);
        announce(&world, edge, 13).await.expect("announced");
        world.store.clock.advance(HOUR);
        assert_eq!(of_edge().await, [12, 13, 14, 15]);
        announce(&world, edge, 16).await.expect("announced");
        assert_eq!(of_edge().await, [13, 16]);
        assert!(published(&world).await.contains(&("edge-2".to_owned(), 99)), "another edge's stay");
    }

    async fn an_edge_is_known_by_its_digest_until_it_is_revoked(store: TestStore) {
        let world = World::new(store);
        let name = "edge-1".parse().expect("name");
        let edge = world
            .write(async |tx, access| access.edges.enrol(tx, None, &name, &[7; 32]).await)
            .await
            .expect("enrolled");
        let known = async |digest: [u8; 32]| {
            world.read(async |tx, access| access.edges.authenticate(tx, &digest).await).await.expect("answer")
        };
        assert_eq!(known([7; 32]).await, Some(edge.id));
        assert_eq!(known([8; 32]).await, None);
        world.write(async |tx, access| access.edges.seen(tx, edge.id).await).await.expect("seen");
        let listed = world.read(async |tx, access| access.edges.list(tx).await).await.expect("list");
        assert!(listed[0].last_seen_at.is_some());

        let again = world.write(async |tx, access| access.edges.enrol(tx, None, &name, &[9; 32]).await).await;
        assert!(matches!(again, Err(AccessError::EdgeNameTaken)), "{again:?}");

        for _ in 0..2 {
            world.write(async |tx, access| access.edges.revoke(tx, None, edge.id).await).await.expect("revoked");
        }
        assert_eq!(known([7; 32]).await, None);
        let enrolled = world.read(async |tx, access| access.edges.is_enrolled(tx, edge.id).await).await;
        assert!(!enrolled.expect("answer"));
        let revocations = world.activity().await.iter().filter(|record| record.action == "edge_revoked").count();
        assert_eq!(revocations, 1, "the second time changed nothing");
    }
}
