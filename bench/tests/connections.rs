//! Useless connections by the thousand: good clients are served beside them, and the edge stays small.

use std::time::Duration;

use sentinel_bench::connections::{Plan, run};
use sentinel_quickstart::system::Programs;

#[tokio::test]
async fn good_clients_are_served_beside_thousands_that_waste_connections() {
    let programs = Programs::in_dir(&xtask::cargo::target_dir()).expect("the programs");
    let outcome = run(&Plan {
        program: programs.proxy,
        connections: 2_100,
        time: Duration::from_secs(2),
    })
    .await
    .expect("everything started");
    let value = |name, metric| {
        let found = outcome
            .figures
            .iter()
            .find(|figure| (figure.name, figure.metric) == (name, metric));
        found.expect("a figure").value
    };
    assert!(value("open", "connections") >= 2_000.0, "{}", outcome.text);
    assert!(value("alone", "answered") >= 1.0, "{}", outcome.text);
    assert!(value("beside", "answered") >= 1.0, "{}", outcome.text);
    assert!(value("memory", "per_connection") < 64e3, "{}", outcome.text);
}
