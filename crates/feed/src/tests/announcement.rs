//! The key that an edge signs assertions with reaches whoever publishes it.

use std::sync::atomic::Ordering;

use tempfile::TempDir;

use crate::testing::{ControlPlane, Edge, assertion_key, eventually, every_kind_of_fact};

#[tokio::test]
async fn a_key_is_published_before_the_edge_is_in_touch_and_not_said_again_at_once() {
    let plane = ControlPlane::new(every_kind_of_fact());
    let (address, key) = (plane.serve().await, plane.enrol());
    let dir = TempDir::new().expect("a directory");
    let mut edge = Edge::start(format!("http://{address}"), &key, dir.path());
    edge.is_in_touch().await;
    let announced = plane.announced();
    assert_eq!(announced.len(), 1, "{announced:?}");
    assert_eq!(announced[0].1, assertion_key());
    edge.stop().await;
}

#[tokio::test]
async fn where_it_cannot_be_published_the_edge_is_served_and_it_is_tried_again() {
    let plane = ControlPlane::new(every_kind_of_fact());
    plane.unpublished.store(1, Ordering::SeqCst);
    let (address, key) = (plane.serve().await, plane.enrol());
    let dir = TempDir::new().expect("a directory");
    let mut edge = Edge::start(format!("http://{address}"), &key, dir.path());
    edge.is_in_touch().await;
    eventually(|| plane.announced().len() == 2).await;
    edge.stop().await;
}
