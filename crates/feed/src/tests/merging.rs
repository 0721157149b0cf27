//! Several revisions in one frame: when that happens, and that nobody can tell by what he has in the end.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use sentinel_core::Change;
use tokio::time::{Instant, sleep};

use crate::frame::Frame;
use crate::interest::Interest;
use crate::server::{FeedSource, Keeps, Observer, Service};
use crate::state::ReplicaState;
use crate::testing::{ControlPlane, Reader, Word, assert_equal, docs, rev, settle, tuple};

const MILLISECOND: Duration = Duration::from_millis(1);

#[tokio::test(start_paused = true)]
async fn a_lone_change_goes_out_at_once_and_a_burst_as_one_frame_with_the_last_words() {
    for interest in [Interest::all(), docs()] {
        let plane = ControlPlane::new([]);
        let service = Service::new(Arc::clone(&plane) as Arc<dyn FeedSource>);
        let mut edge = Reader::subscribe(&plane, &service, interest.clone(), rev(1)).await;
        assert!(matches!(edge.word().await, Word::Heartbeat(_)));
        let begin = Instant::now();
        plane.add("a", "b");
        let frame = edge.frame().await;
        assert_eq!(
            (frame.from, frame.to, begin.elapsed()),
            (rev(1), rev(2), Duration::ZERO)
        );

        let before = ReplicaState::clone(&plane.state());
        for n in 0..9 {
            plane.add("x", &n.to_string());
        }
        plane.commit(vec![Change::Delete(tuple("x", "3"))]);
        let frame = edge.frame().await;
        assert_eq!((frame.from, frame.to), (rev(2), rev(12)));
        let about = |frame: &Frame| {
            let three = frame
                .changes
                .iter()
                .filter(|change| *change.fact() == tuple("x", "3"));
            three.cloned().collect::<Vec<_>>()
        };
        assert_eq!(about(&frame), [Change::Delete(tuple("x", "3"))]);
        assert_eq!(frame.changes.len(), 9);
        let part = before
            .narrowed(&interest)
            .expect("a state")
            .apply(&frame)
            .expect("it follows");
        assert_equal(&part, &plane.state().narrowed(&interest).expect("a state"));
    }
}

#[tokio::test(start_paused = true)]
async fn what_comes_while_a_frame_is_being_sent_goes_out_together_and_soon() {
    let plane = ControlPlane::new([]);
    let service = Service::new(Arc::clone(&plane) as Arc<dyn FeedSource>);
    let mut edge = Reader::subscribe(&plane, &service, Interest::all(), rev(1)).await;
    assert!(matches!(edge.word().await, Word::Heartbeat(_)));
    // Read at once: sending takes no time, and none has to pass until the next one.
    for n in 2..5 {
        plane.add("quick", &n.to_string());
        settle().await;
        assert_eq!(edge.at_once().await, [(n - 1, n)]);
    }
    // Not read for a while: sending takes that long.
    plane.add("slow", "1");
    settle().await;
    for n in 2..5 {
        sleep(MILLISECOND).await;
        plane.add("slow", &n.to_string());
        settle().await;
    }
    sleep(2 * MILLISECOND).await;
    settle().await;
    assert_eq!(edge.at_once().await, [(4, 5), (5, 8)], "within five milliseconds");
}

#[tokio::test(start_paused = true)]
async fn who_is_behind_gets_one_frame_that_is_made_once() {
    let plane = ControlPlane::new([]);
    let service = Service::new(Arc::clone(&plane) as Arc<dyn FeedSource>);
    for n in 0..9 {
        plane.add("a", &n.to_string());
    }
    for _ in 0..5 {
        let mut edge = Reader::subscribe(&plane, &service, Interest::all(), rev(1)).await;
        let frame = edge.frame().await;
        assert_eq!((frame.from, frame.to, frame.changes.len()), (rev(1), rev(10), 9));
    }
    assert_eq!(plane.sealed_frames.load(Ordering::SeqCst), 1);
    // And who reads late, while others read at once.
    let mut quick = Reader::subscribe(&plane, &service, Interest::all(), rev(10)).await;
    let mut slow = Reader::subscribe(&plane, &service, Interest::all(), rev(10)).await;
    for round in 0..40_u64 {
        plane.add("b", &round.to_string());
        assert_eq!(quick.frame().await.to, rev(11 + round));
        sleep(25 * MILLISECOND).await;
    }
    let mut frames = Vec::new();
    while frames.last() != Some(&50) {
        frames.push(slow.frame().await.to.number);
    }
    assert!(
        frames.len() < 20,
        "a queue of single ones, then one over the rest: {frames:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn heartbeats_between_bursts_speak_of_exactly_what_the_edge_has() {
    for interest in [Interest::all(), docs()] {
        let plane = ControlPlane::new([]);
        let service = Service::new(Arc::clone(&plane) as Arc<dyn FeedSource>);
        let mut state = plane.state().narrowed(&interest).expect("a state");
        let mut edge = Reader::subscribe(&plane, &service, interest.clone(), rev(1)).await;
        assert!(matches!(edge.word().await, Word::Heartbeat(_)));
        let writer = tokio::spawn({
            let plane = Arc::clone(&plane);
            async move {
                for n in 0.. {
                    plane.add(&n.to_string(), "b");
                    if n % 5 == 4 {
                        sleep(3 * MILLISECOND).await;
                    }
                }
            }
        });
        let (begin, mut beats, mut frames) = (Instant::now(), 0, 0);
        while beats < 12 {
            match edge.word().await {
                Word::Frame(frame) => {
                    state = state.apply(&frame).expect("it follows");
                    frames += 1;
                }
                Word::Heartbeat(beat) => {
                    assert_eq!((beat.head, beat.digest), (state.revision(), state.digest()));
                    assert!(beat.age <= 10 * MILLISECOND, "{:?}", beat.age);
                    beats += 1;
                }
            }
        }
        assert!(begin.elapsed() <= Duration::from_secs(3) + 100 * MILLISECOND);
        assert!(
            frames * 4 < state.revision().number,
            "{frames} frames to {}",
            state.revision()
        );
        writer.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_sent_is_counted() {
    #[derive(Default)]
    struct Seen(std::sync::Mutex<Vec<String>>);
    impl Seen {
        fn note(&self, what: String) {
            self.0.lock().expect("not poisoned").push(what);
        }
    }
    impl Observer for Seen {
        fn subscribers(&self, keeps: Keeps, change: i64) {
            self.note(format!("{} {change}", keeps.word()));
        }
        fn frame(&self, keeps: Keeps, bytes: usize, revisions: u64) {
            assert!(bytes > 64);
            self.note(format!("{} frame over {revisions}", keeps.word()));
        }
        fn displaced(&self) {}
        fn open_questions(&self, _: i64) {}
        fn questions(&self, _: &'static str) {}
    }
    let plane = ControlPlane::new([]);
    let seen = Arc::new(Seen::default());
    plane.observe(Arc::clone(&seen) as Arc<dyn Observer>);
    let service = Service::new(Arc::clone(&plane) as Arc<dyn FeedSource>);
    let mut all = Reader::subscribe(&plane, &service, Interest::all(), rev(1)).await;
    assert!(matches!(all.word().await, Word::Heartbeat(_)));
    plane.add("a", "b");
    plane.add("a", "c");
    all.frame().await;
    drop(all);
    settle().await;
    let mut part = Reader::subscribe(&plane, &service, docs(), rev(3)).await;
    assert!(matches!(part.word().await, Word::Heartbeat(_)));
    drop(part);
    settle().await;
    let seen = seen.0.lock().expect("not poisoned").clone();
    assert_eq!(
        seen,
        [
            "everything 1",
            "everything frame over 2",
            "everything -1",
            "part 1",
            "part -1"
        ]
    );
}
