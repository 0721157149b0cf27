//! The feed in a simulated world: the real follower, service, replica and files' code on a simulated network, with
//! simulated time, on simulated disks. Everything that happens follows from one number, the seed.
//!
//! What is held at every moment of every run stands in `witness`; what goes wrong in the world, in `faults`; how to run
//! it and how to replay one seed, in `tests` (and docs/adr/0011-simulation.md).

mod chance;
mod changes;
mod clock;
mod database;
mod disk;
mod edge;
mod faults;
pub(crate) mod fs;
mod keeps;
mod plane;
mod run;
mod stage;
mod tests;
mod witness;

use std::time::Duration;

pub(crate) use stage::connect;

/// How much time has passed in the world.
fn now() -> Duration {
    turmoil::sim_elapsed().unwrap_or_default()
}

/// Does work that uses a disk, which takes until the disk is done with it.
pub(crate) async fn at_its_pace<T>(work: impl FnOnce() -> T) -> T {
    let (outcome, busy_until) = fs::busy_with(work);
    let left = busy_until.saturating_sub(now());
    if !left.is_zero() {
        tokio::time::sleep(left).await;
    }
    outcome
}
