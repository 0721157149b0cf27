//! What is counted of the feed: the edges that are there, what they are sent, and what they ask.

use prometheus::{
    Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};
use sentinel_feed::{Keeps, Observer};

/// The counters of the feed. Clones share them.
#[derive(Debug, Clone)]
pub struct FeedMetrics {
    everything: OfEdges,
    part: OfEdges,
    revisions: Histogram,
    displaced: IntCounter,
    questions: IntCounterVec,
    open_questions: IntGauge,
}

/// What is counted of edges that keep everything, or a part.
#[derive(Debug, Clone)]
struct OfEdges {
    subscribers: IntGauge,
    frames: IntCounter,
    bytes: IntCounter,
}

impl FeedMetrics {
    /// Fresh counters in a registry.
    pub(super) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let kind = ["kind"];
        let subscribers = IntGaugeVec::new(
            Opts::new(
                "sentinel_feed_subscribers",
                "Edges that follow this control plane, by kind: those that keep everything, and those that keep a part",
            ),
            &kind,
        )?;
        let frames = IntCounterVec::new(
            Opts::new(
                "sentinel_feed_frames_total",
                "Frames of changes sent, to each edge, by the kind of the edge",
            ),
            &kind,
        )?;
        let bytes = IntCounterVec::new(
            Opts::new(
                "sentinel_feed_frame_bytes_total",
                "Bytes of these frames with their signatures, by the kind of the edge",
            ),
            &kind,
        )?;
        let revisions = Histogram::with_opts(
            HistogramOpts::new(
                "sentinel_feed_frame_revisions",
                "Over how many revisions the frames led that were sent",
            )
            .buckets(vec![1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 256.0, 1024.0]),
        )?;
        let displaced = IntCounter::new(
            "sentinel_feed_displaced_total",
            "Subscriptions that were ended because newer ones came with the same edge key",
        )?;
        let questions = IntCounterVec::new(
            Opts::new(
                "sentinel_feed_questions_total",
                "Calls with questions of edges, by outcome: answered, or why there was no answer",
            ),
            &["outcome"],
        )?;
        let open_questions = IntGauge::new(
            "sentinel_feed_questions_open",
            "Calls with questions of edges that are being answered, or wait for a revision",
        )?;
        registry.register(Box::new(subscribers.clone()))?;
        registry.register(Box::new(frames.clone()))?;
        registry.register(Box::new(bytes.clone()))?;
        registry.register(Box::new(revisions.clone()))?;
        registry.register(Box::new(displaced.clone()))?;
        registry.register(Box::new(questions.clone()))?;
        registry.register(Box::new(open_questions.clone()))?;
        let of = |keeps: Keeps| OfEdges {
            subscribers: subscribers.with_label_values(&[keeps.word()]),
            frames: frames.with_label_values(&[keeps.word()]),
            bytes: bytes.with_label_values(&[keeps.word()]),
        };
        Ok(Self {
            everything: of(Keeps::Everything),
            part: of(Keeps::Part),
            revisions,
            displaced,
            questions,
            open_questions,
        })
    }

    fn of(&self, keeps: Keeps) -> &OfEdges {
        match keeps {
            Keeps::Everything => &self.everything,
            Keeps::Part => &self.part,
        }
    }
}

impl Observer for FeedMetrics {
    fn subscribers(&self, keeps: Keeps, change: i64) {
        self.of(keeps).subscribers.add(change);
    }

    fn frame(&self, keeps: Keeps, bytes: usize, revisions: u64) {
        let of = self.of(keeps);
        of.frames.inc();
        of.bytes.inc_by(u64::try_from(bytes).unwrap_or(u64::MAX));
        // Exact: frames lead over a few thousand revisions at most.
        let revisions = u32::try_from(revisions).unwrap_or(u32::MAX);
        self.revisions.observe(f64::from(revisions));
    }

    fn displaced(&self) {
        self.displaced.inc();
    }

    fn open_questions(&self, change: i64) {
        self.open_questions.add(change);
    }

    fn questions(&self, outcome: &'static str) {
        self.questions.with_label_values(&[outcome]).inc();
    }
}

#[cfg(test)]
mod tests {
    use sentinel_feed::Replica;

    use super::*;
    use crate::metrics::Metrics;

    #[test]
    fn what_the_feed_does_is_counted_by_kind_and_outcome() {
        let metrics = Metrics::new().expect("names are fine");
        let feed = metrics.feed();
        feed.subscribers(Keeps::Everything, 1);
        feed.subscribers(Keeps::Everything, 1);
        feed.subscribers(Keeps::Everything, -1);
        feed.frame(Keeps::Part, 300, 7);
        feed.displaced();
        feed.open_questions(1);
        feed.questions("behind");
        let text = String::from_utf8(metrics.text(&Replica::new()).expect("text")).expect("utf-8");
        for line in [
            r#"sentinel_feed_subscribers{kind="everything"} 1"#,
            r#"sentinel_feed_subscribers{kind="part"} 0"#,
            r#"sentinel_feed_frames_total{kind="part"} 1"#,
            r#"sentinel_feed_frame_bytes_total{kind="part"} 300"#,
            r#"sentinel_feed_frame_revisions_bucket{le="4"} 0"#,
            r#"sentinel_feed_frame_revisions_bucket{le="8"} 1"#,
            "sentinel_feed_displaced_total 1",
            r#"sentinel_feed_questions_total{outcome="behind"} 1"#,
            "sentinel_feed_questions_open 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\nin\n{text}");
        }
    }
}
