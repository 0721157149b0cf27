//! What the machine itself takes: a read that has to wait for the one before, as a yardstick for a check.

use std::hint::black_box;

use anyhow::{Context as _, Result};
use tokio::time::Instant;

use super::world::{Draw, Kind};
use crate::statistics::Median;

/// What the processor fetches at once.
const LINE: usize = 64;
const READS: u32 = 1_000_000;
const ROUNDS: usize = 5;

/// One line of memory, which says where the next one is.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Line(usize);

/// Nanoseconds for one read, among so many bytes, in an order that no cache can foresee, each of a place that only the read
/// before has told.
pub(super) fn read(bytes: usize) -> Result<Median> {
    let chain = chain((bytes / LINE).max(2));
    let mut at = 0;
    let mut rounds = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let started = Instant::now();
        for _ in 0..READS {
            at = chain.get(at).context("a place in the chain")?.0;
        }
        rounds.push(started.elapsed().as_secs_f64() * 1e9 / f64::from(READS));
        black_box(at);
    }
    Median::of(rounds).context("no round")
}

/// One circle through all places (Sattolo's shuffle).
fn chain(length: usize) -> Vec<Line> {
    let mut draw = Draw::new(Kind::Question, 3);
    let mut chain: Vec<Line> = (0..length).map(Line).collect();
    for last in (1..length).rev() {
        chain.swap(last, draw.below(last));
    }
    chain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chain_goes_through_every_place_before_it_comes_back() {
        for length in [2, 3, 1000] {
            let chain = chain(length);
            let (mut at, mut steps) = (0, 0);
            loop {
                at = chain[at].0;
                steps += 1;
                if at == 0 {
                    break;
                }
            }
            assert_eq!(steps, length);
        }
    }
}
