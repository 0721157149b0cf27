//! Enrolled edges.

use sentinel_access::AccessError;
use sentinel_store::on_both_backends;

use crate::world::World;

on_both_backends! {
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
