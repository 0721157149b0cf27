//! The measurement itself works: every figure is there. What it says about time is not looked at.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use sentinel_bench::edge::{Plan, Scale, run};

#[tokio::test]
async fn every_scenario_has_every_figure() {
    let outcome = run(&Plan {
        program: PathBuf::from(env!("CARGO_BIN_EXE_sentinel-bench")),
        bare: PathBuf::from(env!("CARGO_BIN_EXE_sentinel-bench-bare")),
        scale: Scale::SMALL,
        connections: 2,
        time: Duration::from_millis(200),
        rounds: 2,
        only: Vec::new(),
    })
    .await
    .expect("every answer is right");
    let mut found = BTreeSet::new();
    for figure in &outcome.figures {
        assert!(figure.value > 0.0, "{figure:?}");
        assert!(found.insert((figure.name, figure.metric)), "twice: {figure:?}");
    }
    let metrics = ["rps", "p50_us", "p99_us", "cpu_us", "cpu_ratio", "rss_mb"];
    let wanted = [
        "bare",
        "bare_mimalloc",
        "public",
        "jwt_role_warm",
        "jwt_permission_warm",
        "jwt_cold",
        "service_key",
    ];
    for name in wanted {
        for metric in metrics {
            assert!(found.contains(&(name, metric)), "{name} {metric}");
        }
        assert!(outcome.text.contains(name), "{}", outcome.text);
    }
    // Where they are installed, the others are measured as well, and nothing else is.
    let others: BTreeSet<&str> = found
        .iter()
        .map(|(name, _)| *name)
        .filter(|name| !wanted.contains(name))
        .collect();
    assert!(
        others.is_subset(&BTreeSet::from(["haproxy_jwt", "nginx_plain"])),
        "{others:?}"
    );
    assert_eq!(found.len(), (wanted.len() + others.len()) * metrics.len());
    assert!(
        outcome.text.contains("times the processor time of bare Pingora"),
        "{}",
        outcome.text
    );
}
