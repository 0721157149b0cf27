//! Counters of this control plane (Prometheus). Labels are templates and numbers, never what a client typed.

mod feed;

use std::time::Duration;

use prometheus::{
    Encoder as _, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
    TextEncoder,
};
use sentinel_feed::Replica;

pub use feed::FeedMetrics;

/// The metrics.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    seconds: HistogramVec,
    rate_limited: IntCounter,
    revision: IntGauge,
    age: IntGauge,
    feed: FeedMetrics,
}

impl Metrics {
    /// Fresh metrics in a registry of their own.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let metrics = Self {
            feed: FeedMetrics::new(&registry)?,
            registry,
            requests: IntCounterVec::new(
                Opts::new(
                    "sentinel_http_requests_total",
                    "Requests by route, method and status",
                ),
                &["route", "method", "status"],
            )?,
            seconds: HistogramVec::new(
                HistogramOpts::new(
                    "sentinel_http_request_seconds",
                    "Time until the answer's head, by route",
                ),
                &["route"],
            )?,
            rate_limited: IntCounter::new(
                "sentinel_rate_limited_total",
                "Requests turned away by a rate limit",
            )?,
            revision: IntGauge::new(
                "sentinel_replica_revision",
                "Revision of this control plane's own replica",
            )?,
            age: IntGauge::new(
                "sentinel_replica_age_milliseconds",
                "How long ago the own replica was in touch with the database; -1 if never",
            )?,
        };
        metrics.registry.register(Box::new(metrics.requests.clone()))?;
        metrics.registry.register(Box::new(metrics.seconds.clone()))?;
        metrics
            .registry
            .register(Box::new(metrics.rate_limited.clone()))?;
        metrics.registry.register(Box::new(metrics.revision.clone()))?;
        metrics.registry.register(Box::new(metrics.age.clone()))?;
        Ok(metrics)
    }

    /// Counts one request.
    pub fn request(&self, route: &str, method: &str, status: u16, took: Duration) {
        self.requests
            .with_label_values(&[route, method, &status.to_string()])
            .inc();
        self.seconds
            .with_label_values(&[route])
            .observe(took.as_secs_f64());
    }

    /// Counts a request that a rate limit turned away.
    pub fn rate_limited(&self) {
        self.rate_limited.inc();
    }

    /// What is counted of the feed.
    pub fn feed(&self) -> FeedMetrics {
        self.feed.clone()
    }

    /// Everything in Prometheus' text format.
    pub fn text(&self, replica: &Replica) -> Result<Vec<u8>, prometheus::Error> {
        self.revision
            .set(i64::try_from(replica.load().revision().number).unwrap_or(i64::MAX));
        let age = replica
            .age()
            .map_or(-1, |age| i64::try_from(age.as_millis()).unwrap_or(i64::MAX));
        self.age.set(age);
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_route() {
        let metrics = Metrics::new().expect("metrics");
        metrics.request("/users/me", "GET", 200, Duration::from_millis(1));
        let text = String::from_utf8(metrics.text(&Replica::new()).expect("text")).expect("utf-8");
        assert!(
            text.contains(r#"sentinel_http_requests_total{method="GET",route="/users/me",status="200"} 1"#),
            "{text}"
        );
        assert!(text.contains("sentinel_replica_age_milliseconds -1"), "{text}");
    }
}
