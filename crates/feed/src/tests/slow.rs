//! Edges that read more slowly than changes come, and those that come from elsewhere: neither hears less of what vouches
//! for its state, and neither holds the others up.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::interest::Interest;
use crate::server::{FeedSource, HEARTBEAT, Service};
use crate::testing::{ControlPlane, Reader, Word, docs, offered, rev, settle};

const MILLISECOND: Duration = Duration::from_millis(1);

fn service_of(plane: &Arc<ControlPlane>) -> Service {
    Service::new(Arc::clone(plane) as Arc<dyn FeedSource>)
}

/// Commits one change after each pause.
fn commits(plane: &Arc<ControlPlane>, pause: Duration) -> JoinHandle<()> {
    let plane = Arc::clone(plane);
    tokio::spawn(async move {
        for n in 0.. {
            plane.add(&n.to_string(), "b");
            sleep(pause).await;
        }
    })
}

#[tokio::test(start_paused = true)]
async fn who_reads_slower_than_changes_come_hears_heartbeats_all_the_same() {
    // Some milliseconds; and longer than a beat, with as many words under way as there is room for.
    for (each_word, each_change, patience) in [(10, 2, 500), (7, 1, 500), (11, 3, 500), (300, 40, 4_000)] {
        for interest in [Interest::all(), docs()] {
            let plane = ControlPlane::new([]);
            let service = service_of(&plane);
            let mut state = plane.state().narrowed(&interest).expect("a state");
            let mut edge = Reader::subscribe(&plane, &service, interest.clone(), rev(1)).await;
            assert!(matches!(edge.word().await, Word::Heartbeat(_)));
            let writer = commits(&plane, each_change * MILLISECOND);
            let (begin, mut last, mut beats) = (Instant::now(), Instant::now(), 0);
            while begin.elapsed() < 4 * patience * MILLISECOND {
                match edge.word().await {
                    Word::Frame(frame) => state = state.apply(&frame).expect("it follows"),
                    Word::Heartbeat(beat) => {
                        assert_eq!((beat.head, beat.digest), (state.revision(), state.digest()));
                        last = Instant::now();
                        beats += 1;
                    }
                }
                assert!(
                    last.elapsed() <= patience * MILLISECOND,
                    "{interest}: nothing for {:?} after {beats} at {}",
                    last.elapsed(),
                    state.revision()
                );
                sleep(each_word * MILLISECOND).await;
            }
            writer.abort();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_made_a_way_from_elsewhere_holds_up_neither_the_line_nor_others() {
    let plane = ControlPlane::new([]);
    let service = service_of(&plane);
    for n in 0..9 {
        plane.add("a", &n.to_string());
    }
    let all = Interest::all;
    let mut present = Reader::subscribe(&plane, &service, all(), rev(10)).await;
    assert!(matches!(present.word().await, Word::Heartbeat(_)));
    plane.hold_log(rev(1));
    let mut held: Vec<Reader> = Vec::new();
    for _ in 0..5 {
        held.push(Reader::subscribe(&plane, &service, all(), rev(1)).await);
    }
    settle().await;
    plane.add("b", "c");
    let frame = timeout(100 * MILLISECOND, present.frame())
        .await
        .expect("at once");
    assert_eq!((frame.from, frame.to), (rev(10), rev(11)));
    let mut other = Reader::subscribe(&plane, &service, all(), rev(5)).await;
    let frame = timeout(100 * MILLISECOND, other.frame())
        .await
        .expect("not behind the others");
    assert_eq!((frame.from, frame.to), (rev(5), rev(11)));
    for one in &mut held {
        assert_eq!(one.at_once().await, []);
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_after_the_books_were_closed_does_not_wait_for_a_beat() {
    let plane = ControlPlane::new([]);
    plane.archive_reaches_back.store(true, Ordering::SeqCst);
    let service = service_of(&plane);
    let mut edge = Reader::subscribe(&plane, &service, docs(), rev(1)).await;
    assert!(matches!(edge.word().await, Word::Heartbeat(_)));
    assert_eq!(edge.at_once().await, []);
    plane.restart();
    plane.add("a", "b");
    let frame = timeout(HEARTBEAT / 10, edge.frame()).await.expect("at once");
    assert_eq!((frame.from, frame.to), (rev(1), rev(2)));
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_stands_where_a_frame_ends() {
    for interest in [Interest::all(), docs()] {
        let plane = ControlPlane::new([]);
        let service = service_of(&plane);
        let mut edge = Reader::subscribe(&plane, &service, interest.clone(), rev(1)).await;
        assert!(matches!(edge.word().await, Word::Heartbeat(_)));
        let writer = commits(&plane, MILLISECOND);
        let mut frames = 0;
        for _ in 0..3 {
            // Not so slow that it misses a frame, and slow enough that each is of several revisions.
            let begin = Instant::now();
            while begin.elapsed() < Duration::from_millis(2_100) {
                frames += u64::from(matches!(edge.word().await, Word::Frame(_)));
                sleep(4 * MILLISECOND).await;
            }
            let at = offered(&plane, &service, &interest).await;
            let to = loop {
                let frame = edge.frame().await;
                frames += 1;
                if frame.to >= at {
                    break frame.to;
                }
                sleep(4 * MILLISECOND).await;
            };
            assert_eq!(to, at, "it leads over the snapshot");
        }
        assert!(frames * 3 < plane.state().revision().number, "{frames} frames");
        writer.abort();
    }
}
