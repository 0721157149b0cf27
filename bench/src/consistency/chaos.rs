//! Cuts cables and kills processes, one after the other, for as long as it is asked to.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use tokio::sync::watch;
use tokio::time::sleep;

use super::edge::Edge;
use crate::dice::Dice;
use crate::fleet::Fleet;

/// What was done so far.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Done {
    cuts: u32,
    edges_killed: u32,
    control_planes_killed: u32,
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} cuts, {} edges and {} control planes killed",
            self.cuts, self.edges_killed, self.control_planes_killed
        )
    }
}

/// Whoever breaks things.
pub(super) struct Chaos<'f> {
    fleet: &'f Fleet,
    edges: Arc<[Edge]>,
    dice: Dice,
    done: watch::Sender<Done>,
}

impl<'f> Chaos<'f> {
    pub(super) fn new(fleet: &'f Fleet, edges: &Arc<[Edge]>, seed: u64) -> Self {
        Self {
            fleet,
            edges: Arc::clone(edges),
            dice: Dice(seed),
            done: watch::Sender::default(),
        }
    }

    /// What was done so far.
    pub(super) fn done(&self) -> watch::Receiver<Done> {
        self.done.subscribe()
    }

    /// Breaks one thing after the other.
    pub(super) async fn run(mut self) -> Result<Infallible> {
        loop {
            self.next().await?;
        }
    }

    async fn next(&mut self) -> Result<()> {
        sleep(self.moment(2_000)).await;
        let edges = Arc::clone(&self.edges);
        let Some(edge) = edges.get(self.dice.below(edges.len())) else {
            return Ok(());
        };
        match self.dice.below(8) {
            0..4 => {
                self.done.send_modify(|done| done.cuts += 1);
                let _cut = Cut::of(edge);
                sleep(self.moment(4_000)).await;
            }
            4..7 => {
                self.done.send_modify(|done| done.edges_killed += 1);
                edge.crash()?;
            }
            _ => {
                self.done.send_modify(|done| done.control_planes_killed += 1);
                self.fleet.system.control_plane.crash()?;
            }
        }
        Ok(())
    }

    fn moment(&mut self, below: usize) -> Duration {
        Duration::from_millis(u64::try_from(self.dice.below(below)).unwrap_or(0))
    }
}

/// A cable that is cut until this is dropped.
struct Cut<'e>(&'e Edge);

impl<'e> Cut<'e> {
    fn of(edge: &'e Edge) -> Self {
        edge.cable.cut();
        Self(edge)
    }
}

impl Drop for Cut<'_> {
    fn drop(&mut self) {
        self.0.cable.heal();
    }
}
