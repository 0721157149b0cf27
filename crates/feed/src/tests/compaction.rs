//! A journal that is to be made short.

use tempfile::TempDir;

use crate::testing::{ControlPlane, Edge, tuple};

#[tokio::test]
async fn what_comes_to_nothing_is_counted() {
    let plane = ControlPlane::new([tuple("a", "b")]);
    let (address, key) = (plane.serve().await, plane.enrol());
    let dir = TempDir::new().expect("a directory");
    let mut edge = Edge::start(format!("http://{address}"), &key, dir.path());
    edge.is_in_touch().await;
    edge.stop().await;
    // Nothing can be appended to it: a fresh snapshot is wanted.
    let journal = dir.path().join("replica.journal");
    std::fs::rename(&journal, dir.path().join("aside")).expect("renamed");
    let mut edge = Edge::start(format!("http://{address}"), &key, dir.path());
    edge.is_in_touch().await;
    std::fs::create_dir(&journal).expect("a directory");
    plane.refuse_snapshots(true);
    edge.reaches(plane.add("a", "c")).await;
    edge.status_is(|status| status.failed_compactions == 1).await;
    assert_eq!(edge.status.borrow().sessions, 1, "it is followed all the same");
    edge.stop().await;
}
