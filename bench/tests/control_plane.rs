//! The measurement itself works: every figure is there. What it says about time is not looked at.

use std::collections::BTreeSet;
use std::time::Duration;

use sentinel_bench::control_plane::{Plan, Scale, run};
use sentinel_quickstart::system::Programs;

#[tokio::test]
async fn every_scenario_has_every_figure() {
    let outcome = run(&Plan {
        programs: Programs::in_dir(&xtask::cargo::target_dir()).expect("the programs"),
        scale: Scale::SMALL,
        connections: 2,
        time: Duration::from_millis(200),
        rounds: 2,
    })
    .await
    .expect("every answer is right");
    let mut found = BTreeSet::new();
    for figure in &outcome.figures {
        assert!(figure.value > 0.0, "{figure:?}");
        assert!(found.insert((figure.name, figure.metric)), "twice: {figure:?}");
    }
    let wanted = ["check_1", "check_100", "refresh"]
        .iter()
        .flat_map(|name| ["rps", "p50_us", "p99_us", "cpu_us"].map(|metric| (*name, metric)));
    assert_eq!(found, wanted.collect());
    for line in ["check_1", "check_100", "refresh", "wanted are at most 95"] {
        assert!(outcome.text.contains(line), "{}", outcome.text);
    }
}
