//! An edge that cannot know says so, and never answers from a state older than it was asked for.

use std::time::Duration;

use sentinel_core::{Change, WorkspaceRole};
use sentinel_proxy::doorway::Limits;

use crate::harness::{World, bearer};
use crate::testing::{NEMO, OLGA, facts, membership, revision, token, token_of};

fn unavailable(code: &str) -> (u16, String) {
    (503, code.to_owned())
}

#[tokio::test]
async fn without_ever_having_been_in_touch_only_the_public_is_served() {
    let world = World::out_of_touch(facts(), Limits::default()).await;
    let olga = bearer(&token_of(OLGA));
    assert_eq!(world.get("/public", &[]).await.status, 200);
    for (path, lines) in [
        ("/public", vec![olga.as_str()]),
        ("/signed-in", vec![olga.as_str()]),
        ("/signed-in", vec![]),
        ("/indexer", vec![]),
    ] {
        let answer = world.get(path, &lines).await;
        assert_eq!(answer.word(), unavailable("replica_not_ready"), "{path}");
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
    world.replica.touch();
    assert_eq!(world.get("/signed-in", &[&olga]).await.status, 200);
}

#[tokio::test]
async fn each_route_has_its_bound_and_beyond_it_nothing_is_allowed() {
    let world = World::out_of_touch(facts(), Limits::default()).await;
    let olga = bearer(&token_of(OLGA));
    world.replica.touched_ago(Duration::from_mins(1));
    assert_eq!(
        world.get("/fresh", &[&olga]).await.word(),
        unavailable("replica_stale")
    );
    assert_eq!(world.get("/signed-in", &[&olga]).await.status, 200);
    world.replica.distrust();
    world.replica.touched_ago(Duration::from_hours(1));
    assert_eq!(
        world.get("/signed-in", &[&olga]).await.word(),
        unavailable("replica_stale")
    );
    assert_eq!(
        world.get("/public", &[&olga]).await.word(),
        unavailable("replica_stale")
    );
    assert_eq!(world.get("/public", &[]).await.status, 200);
    world.replica.touch();
    assert_eq!(
        world.get("/fresh", &[&olga]).await.status,
        200,
        "it comes back by itself"
    );
}

#[tokio::test]
async fn a_newer_revision_is_waited_for_and_then_decides() {
    let world = World::start().await;
    let nemo = bearer(&token_of(NEMO));
    assert_eq!(
        world.get("/signed-in", &[&nemo]).await.word(),
        (403, "role_denied".to_owned())
    );

    let (replica, changes) = (
        world.replica.clone(),
        vec![Change::Put(membership(NEMO, WorkspaceRole::Viewer))],
    );
    let seen = format!("X-Sentinel-Revision: {}", revision(11));
    let arriving = tokio::spawn(async move { replica.advance(revision(11), changes).map(drop) });
    assert_eq!(world.get("/signed-in", &[&nemo, &seen]).await.status, 200);
    arriving.await.expect("no panic").expect("applies");
}

#[tokio::test]
async fn a_revision_that_does_not_come_is_never_answered_from_an_older_one() {
    let world = World::start().await;
    let olga = bearer(&token_of(OLGA));
    let newer = format!("X-Sentinel-Revision: {}", revision(11));
    let minted_later = bearer(&token(OLGA, |claims| {
        claims["rev"] = revision(12).to_string().into();
    }));
    for lines in [vec![olga.as_str(), newer.as_str()], vec![minted_later.as_str()]] {
        let answer = world.get("/signed-in", &lines).await;
        assert_eq!(answer.word(), unavailable("revision_not_reached"), "{lines:?}");
    }
    assert!(world.service.requests().is_empty());
    let older = format!("X-Sentinel-Revision: {}", revision(10));
    assert_eq!(world.get("/signed-in", &[&olga, &older]).await.status, 200);
    assert_eq!(
        world.get("/public", &[&newer]).await.status,
        200,
        "nothing is read for nobody"
    );
}

#[tokio::test]
async fn a_revision_is_one() {
    let world = World::start().await;
    let twice = ["X-Sentinel-Revision: 1.1", "X-Sentinel-Revision: 1.1"];
    for lines in [&["X-Sentinel-Revision: newest"] as &[&str], &twice] {
        assert_eq!(
            world.get("/public", lines).await.word(),
            (400, "revision_invalid".to_owned())
        );
    }
}
