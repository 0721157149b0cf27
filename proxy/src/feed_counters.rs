//! What is counted of the feed that keeps the replica up to date.

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounter, IntGauge};
use sentinel_feed::FollowerStatus;
use tokio::sync::watch;

/// The counters, by what the follower says when they are asked for.
pub(crate) struct FeedCounters {
    follower: watch::Receiver<FollowerStatus>,
    connected: IntGauge,
    counters: [(IntCounter, Count); 5],
}

/// What a follower counts.
type Count = fn(&FollowerStatus) -> u64;

impl FeedCounters {
    /// Those of a follower.
    ///
    /// # Errors
    /// A metric's name is not accepted.
    pub(crate) fn new(follower: watch::Receiver<FollowerStatus>) -> Result<Self, prometheus::Error> {
        Ok(Self {
            follower,
            connected: IntGauge::new(
                "sentinel_edge_feed_connected",
                "1 while the control plane is heard.",
            )?,
            counters: [
                (
                    IntCounter::new(
                        "sentinel_edge_feed_connections_total",
                        "Connections to the control plane that were begun.",
                    )?,
                    |status| status.sessions,
                ),
                (
                    IntCounter::new(
                        "sentinel_edge_feed_snapshots_total",
                        "Whole states that were fetched and installed.",
                    )?,
                    |status| status.snapshots,
                ),
                (
                    IntCounter::new(
                        "sentinel_edge_feed_frames_total",
                        "Frames of changes that were applied.",
                    )?,
                    |status| status.frames,
                ),
                (
                    IntCounter::new(
                        "sentinel_edge_feed_merged_frames_total",
                        "Those of them that led over more than one revision.",
                    )?,
                    |status| status.merged,
                ),
                (
                    IntCounter::new(
                        "sentinel_edge_feed_failed_compactions_total",
                        "Snapshots that came to nothing and were to make the journal on disk short.",
                    )?,
                    |status| status.failed_compactions,
                ),
            ],
        })
    }
}

impl Collector for FeedCounters {
    fn desc(&self) -> Vec<&Desc> {
        let counters = self.counters.iter().flat_map(|(counter, _)| counter.desc());
        self.connected.desc().into_iter().chain(counters).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let status = self.follower.borrow().clone();
        self.connected.set(i64::from(status.connected));
        let mut all = self.connected.collect();
        for (counter, count) in &self.counters {
            counter.inc_by(count(&status).saturating_sub(counter.get()));
            all.extend(counter.collect());
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use sentinel_feed::Replica;

    use super::*;
    use crate::metrics::Metrics;

    #[tokio::test]
    async fn what_the_follower_says_is_what_is_counted() {
        let (follower, status) = watch::channel(FollowerStatus::default());
        let metrics = Metrics::new().expect("names are fine");
        let counters = FeedCounters::new(status).expect("names are fine");
        metrics.register(Box::new(counters)).expect("names are free");
        let has = |lines: [&str; 6]| {
            let text = metrics.text(&Replica::new()).expect("text");
            for line in lines {
                assert!(text.lines().any(|found| found == line), "{line}\nin\n{text}");
            }
        };
        has([
            "sentinel_edge_feed_connected 0",
            "sentinel_edge_feed_connections_total 0",
            "sentinel_edge_feed_snapshots_total 0",
            "sentinel_edge_feed_frames_total 0",
            "sentinel_edge_feed_merged_frames_total 0",
            "sentinel_edge_feed_failed_compactions_total 0",
        ]);
        follower.send_modify(|status| {
            status.connected = true;
            (status.sessions, status.snapshots, status.frames, status.merged) = (2, 1, 7, 3);
            status.failed_compactions = 4;
        });
        has([
            "sentinel_edge_feed_connected 1",
            "sentinel_edge_feed_connections_total 2",
            "sentinel_edge_feed_snapshots_total 1",
            "sentinel_edge_feed_frames_total 7",
            "sentinel_edge_feed_merged_frames_total 3",
            "sentinel_edge_feed_failed_compactions_total 4",
        ]);
    }
}
