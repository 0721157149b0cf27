//! What the edge counts, for Prometheus. The words are those of the log and of the answers.

use std::time::Duration;

use prometheus::core::Collector;
use prometheus::{
    Encoder as _, Gauge, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
    TextEncoder,
};
use sentinel_core::Denial;
use sentinel_feed::Replica;

use crate::decision_log::{Outcome, mode, reason, word};

/// The label of requests that no route is for.
const NO_ROUTE: &str = "none";

/// The counters of one edge.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    decisions: IntCounterVec,
    duration: Histogram,
    failures: IntCounterVec,
    turned_away: IntCounterVec,
    replica_age: Gauge,
    replica_ready: IntGauge,
    replica_epoch: IntGauge,
    replica_revision: IntGauge,
    replica_lag: IntGauge,
    tokens: TokenCounters,
    asked: IntCounterVec,
    mismatches: IntGauge,
}

/// How often a token's signature did not have to be checked again, and how often it had.
#[derive(Debug, Clone)]
pub struct TokenCounters {
    /// Found among the remembered tokens.
    pub remembered: IntCounter,
    /// Verified, with whatever result.
    pub verified: IntCounter,
}

impl Metrics {
    /// Fresh counters in a registry of their own.
    ///
    /// # Errors
    /// A metric's name is not accepted.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let gauge = |name: &str, help: &str| {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, prometheus::Error>(gauge)
        };
        let counters = |name: &str, help: &str, labels: &[&str]| {
            let counters = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(counters.clone()))?;
            Ok::<_, prometheus::Error>(counters)
        };
        let decisions = counters(
            "sentinel_edge_decisions_total",
            "Decided requests, by route, decision (allow, deny, undecided), reason, and mode (enforce, or shadow where the request is forwarded anyway).",
            &["route", "decision", "reason", "mode"],
        )?;
        let failures = counters(
            "sentinel_edge_upstream_failures_total",
            "Requests that were let through and that the service did not answer, by route and reason.",
            &["route", "reason"],
        )?;
        let turned_away = counters(
            "sentinel_edge_connections_turned_away_total",
            "Connections that were closed without an answer, by reason: crowd (too many from one address), flood (more HTTP/2 control frames than honest clients send), stalled.",
            &["reason"],
        )?;
        let duration = Histogram::with_opts(
            HistogramOpts::new(
                "sentinel_edge_decision_duration_seconds",
                "Time from the request's head to the decision.",
            )
            .buckets(vec![
                0.000_005, 0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.001, 0.01, 0.05, 0.25, 1.0,
            ]),
        )?;
        registry.register(Box::new(duration.clone()))?;
        let tokens = counters(
            "sentinel_edge_tokens_total",
            "Access tokens shown, by whether their signature was verified or remembered.",
            &["signature"],
        )?;
        let asked = counters(
            "sentinel_edge_asked_total",
            "Questions to the control plane about what this edge does not keep, by outcome: answered, or why there is no answer.",
            &["outcome"],
        )?;
        let replica_age = Gauge::new(
            "sentinel_edge_replica_age_seconds",
            "How long ago the replica was known to be the newest; NaN if it never was.",
        )?;
        registry.register(Box::new(replica_age.clone()))?;
        Ok(Self {
            decisions,
            failures,
            turned_away,
            duration,
            replica_age,
            replica_ready: gauge("sentinel_edge_replica_ready", "1 if requests can be decided.")?,
            replica_epoch: gauge("sentinel_edge_replica_epoch", "Epoch of the replica's revision.")?,
            replica_revision: gauge(
                "sentinel_edge_replica_revision",
                "Number of the replica's revision.",
            )?,
            replica_lag: gauge(
                "sentinel_edge_replica_lag_revisions",
                "How many revisions the control plane is known to be ahead.",
            )?,
            asked,
            mismatches: gauge(
                "sentinel_edge_model_mismatches",
                "Routes' relations that the models of services do not have; requests to these routes are answered with 503.",
            )?,
            tokens: TokenCounters {
                remembered: tokens.with_label_values(&["remembered"]),
                verified: tokens.with_label_values(&["verified"]),
            },
            registry,
        })
    }

    /// Counts a connection that was closed without an answer.
    pub fn turned_away(&self, why: &str) {
        self.turned_away.with_label_values(&[why]).inc();
    }

    /// Counts a decision, and whether it is a `shadow` that does not count for the request.
    pub fn decided(&self, route: Option<&str>, outcome: Outcome, is_shadow: bool, took: Duration) {
        self.decisions_like(route, outcome, is_shadow).inc();
        self.took(took);
    }

    /// The counter of decisions like this one, to be kept by who makes many of them: finding it takes a lock.
    pub fn decisions_like(&self, route: Option<&str>, outcome: Outcome, is_shadow: bool) -> IntCounter {
        self.decisions.with_label_values(&[
            route.unwrap_or(NO_ROUTE),
            word(outcome),
            reason(outcome),
            mode(is_shadow),
        ])
    }

    /// Notes how long a decision took that was counted otherwise.
    pub fn took(&self, duration: Duration) {
        self.duration.observe(duration.as_secs_f64());
    }

    /// Counts a request that was let through in vain.
    pub fn failed(&self, route: &str, denial: Denial) {
        self.failures.with_label_values(&[route, denial.code()]).inc();
    }

    /// Adds what another module measures.
    ///
    /// # Errors
    /// Its names are taken.
    pub fn register(&self, collector: Box<dyn Collector>) -> Result<(), prometheus::Error> {
        self.registry.register(collector)
    }

    /// The counters of questions to the control plane.
    pub fn asked(&self) -> IntCounterVec {
        self.asked.clone()
    }

    /// Says how many relations of routes the models of services do not have.
    pub fn mismatched(&self, number: usize) {
        self.mismatches.set(i64::try_from(number).unwrap_or(i64::MAX));
    }

    /// The counters of tokens.
    pub fn tokens(&self) -> TokenCounters {
        self.tokens.clone()
    }

    /// The metrics in Prometheus' text format, with the replica as it is now.
    ///
    /// # Errors
    /// A value cannot be written.
    pub fn text(&self, replica: &Replica) -> Result<String, prometheus::Error> {
        let gauge = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let (at, head) = (replica.load().revision(), replica.head());
        self.replica_age
            .set(replica.age().map_or(f64::NAN, |age| age.as_secs_f64()));
        self.replica_ready.set(i64::from(replica.is_ready()));
        self.replica_epoch.set(gauge(at.epoch));
        self.replica_revision.set(gauge(at.number));
        let lag = if head.epoch == at.epoch {
            head.number.saturating_sub(at.number)
        } else {
            head.number
        };
        self.replica_lag.set(gauge(lag));
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision_log::Passage;

    #[test]
    fn decisions_are_counted_by_route_and_reason() {
        let metrics = Metrics::new().expect("names are fine");
        metrics.decided(
            Some("GET a/b"),
            Ok(Passage::Permitted),
            false,
            Duration::from_micros(7),
        );
        metrics.decided(
            Some("GET a/b"),
            Err(Denial::RoleDenied),
            true,
            Duration::from_micros(7),
        );
        metrics.decided(None, Err(Denial::NoRoute), false, Duration::from_micros(7));
        metrics.failed("GET a/b", Denial::UpstreamTimeout);
        metrics.tokens().remembered.inc_by(3);
        let text = metrics.text(&Replica::new()).expect("text");
        for line in [
            r#"sentinel_edge_decisions_total{decision="allow",mode="enforce",reason="permitted",route="GET a/b"} 1"#,
            r#"sentinel_edge_decisions_total{decision="deny",mode="shadow",reason="role_denied",route="GET a/b"} 1"#,
            r#"sentinel_edge_decisions_total{decision="deny",mode="enforce",reason="no_route",route="none"} 1"#,
            r#"sentinel_edge_upstream_failures_total{reason="upstream_timeout",route="GET a/b"} 1"#,
            "sentinel_edge_decision_duration_seconds_count 3",
            "sentinel_edge_replica_age_seconds NaN",
            "sentinel_edge_replica_ready 0",
            r#"sentinel_edge_tokens_total{signature="remembered"} 3"#,
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\nin\n{text}");
        }
    }

    #[tokio::test]
    async fn two_edges_in_one_process_count_apart() {
        let (one, other) = (
            Metrics::new().expect("names are fine"),
            Metrics::new().expect("names are fine"),
        );
        one.decided(None, Err(Denial::NoRoute), false, Duration::ZERO);
        let text = other.text(&Replica::new()).expect("text");
        assert!(!text.contains("sentinel_edge_decisions_total{"));
    }
}
