//! How old the keys of issuers are, for Prometheus.

use std::sync::Arc;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{GaugeVec, IntCounterVec, Opts};

use super::{Issuer, Issuers};

/// What is measured about the keys of all issuers.
pub struct IssuerGauges {
    issuers: Arc<Issuers>,
    ages: GaugeVec,
    fetches: IntCounterVec,
}

impl IssuerGauges {
    /// Those of these issuers.
    ///
    /// # Errors
    /// A metric's name is not accepted.
    pub fn new(issuers: Arc<Issuers>) -> Result<Self, prometheus::Error> {
        Ok(Self {
            issuers,
            ages: GaugeVec::new(
                Opts::new(
                    "sentinel_edge_issuer_keys_age_seconds",
                    "How long ago an issuer's keys were fetched or read; NaN if they are not known.",
                ),
                &["issuer"],
            )?,
            fetches: IntCounterVec::new(
                Opts::new(
                    "sentinel_edge_issuer_fetches_total",
                    "How often an issuer was asked for its keys, by whether they were got.",
                ),
                &["issuer", "outcome"],
            )?,
        })
    }

    fn look(&self, issuer: &Issuer) {
        let age = issuer.age().map_or(f64::NAN, |age| age.as_secs_f64());
        self.ages.with_label_values(&[issuer.name()]).set(age);
        for (outcome, count) in [("got", issuer.got()), ("failed", issuer.failed())] {
            let counter = self.fetches.with_label_values(&[issuer.name(), outcome]);
            counter.inc_by(count.saturating_sub(counter.get()));
        }
    }
}

impl Collector for IssuerGauges {
    fn desc(&self) -> Vec<&Desc> {
        let (mut all, fetches) = (self.ages.desc(), self.fetches.desc());
        all.extend(fetches);
        all
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.issuers.iter().for_each(|issuer| self.look(issuer));
        let (mut all, fetches) = (self.ages.collect(), self.fetches.collect());
        all.extend(fetches);
        all
    }
}
