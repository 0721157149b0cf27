//! `consistency`: whoever has seen a write is never judged by less. Real programs: a control plane on PostgreSQL, three edges,
//! a cable to each of them that is cut, and `kill -9` for all of them.
//!
//! Writers change who may read which folder, a few tuples at a time. For each tuple of a write that was acknowledged with
//! revision R, a request that carries R goes through one of the edges, chosen at random. It must be let through exactly if
//! the folder's tuples say so as they are after that write; or be answered 503. Anything else is a violation. Each writer has
//! folders of its own, so that at any time it knows what is true of them.

mod chaos;
mod client;
mod edge;
mod people;
mod truth;
mod writer;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use sentinel_core::Revision;
use sentinel_quickstart::system::Programs;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::fleet::Fleet;
use crate::upstream::Upstream;
use chaos::{Chaos, Done};
use edge::Edge;
use people::Tokens;
use writer::{Tally, Writer};

/// How many edges there are.
const EDGES: usize = 3;
/// How many people ask.
const PEOPLE: usize = 6;
/// How many writers there are, each with a folder tree of its own.
const WRITERS: usize = 8;

/// What to do.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The programs to run.
    pub programs: Programs,
    /// How many pairs of a write and a request have to be decided.
    pub pairs: u64,
    /// What the choices are made by.
    pub seed: u64,
    /// Whether cables are cut and processes are killed.
    pub faults: bool,
}

/// What came of it, for people.
#[derive(Debug)]
pub struct Outcome {
    /// The counts.
    pub text: String,
    /// How many requests were answered in a way that nobody who has seen the write may be.
    pub violations: u64,
}

/// Runs everything until so many pairs were decided.
///
/// # Errors
/// Something does not start, or does not go on.
pub async fn run(plan: &Plan) -> Result<Outcome> {
    let fleet = Fleet::start(&plan.programs).await?;
    let outcome = soak(plan, &fleet).await;
    fleet.stop().await;
    outcome
}

async fn soak(plan: &Plan, fleet: &Fleet) -> Result<Outcome> {
    let upstream = Upstream::start().await?;
    let tokens = Tokens::of(fleet, PEOPLE).await?;
    let people = tokens.people();
    let mut edges = Vec::new();
    for number in 0..EDGES {
        edges.push(Edge::start(fleet, number, upstream.address).await?);
    }
    let edges: Arc<[Edge]> = edges.into();
    for edge in edges.iter() {
        edge.await_ready(&fleet.http).await?;
    }
    let started = Instant::now();
    let share = plan.pairs.div_ceil(WRITERS as u64);
    let mut writing = JoinSet::new();
    for number in 0..WRITERS {
        let writer = Writer::new(fleet, number, plan.seed, &people, &edges)?;
        writing.spawn(writer.run(share));
    }
    let chaos = Chaos::new(fleet, &edges, plan.seed);
    let done = chaos.done();
    let (mut breaking, mut renewing) = (pin!(chaos.run()), pin!(tokens.keep()));
    let mut tally = Tally::default();
    let mut told = Duration::ZERO;
    loop {
        tokio::select! {
            ended = writing.join_next() => match ended {
                Some(ended) => tally.add(&ended.context("a writer's task broke")??),
                None => break,
            },
            never = &mut breaking, if plan.faults => match never? {},
            never = &mut renewing => match never? {},
        }
        if started.elapsed() >= told + Duration::from_secs(30) {
            told = started.elapsed();
            eprintln!("after {} s: {}", told.as_secs(), *done.borrow());
        }
    }
    for edge in edges.iter() {
        ensure!(
            edge.gave_up().is_none(),
            "an edge does not start any more: its log is {}",
            edge.log().display()
        );
    }
    let done = *done.borrow();
    Ok(report(plan, &tally, done, started.elapsed()))
}

fn report(plan: &Plan, tally: &Tally, done: Done, took: Duration) -> Outcome {
    let examples: Vec<String> = tally.violations.iter().map(|one| format!("  {one}\n")).collect();
    let examples = examples.concat();
    let text = format!(
        "seed {}: {} pairs in {} s: {} allowed, {} denied, {} violations\n{examples}{} writes, up to {}; \
         {} requests answered 503 and {} not answered, and asked again\n{done}\n",
        plan.seed,
        tally.pairs(),
        took.as_secs(),
        tally.allowed,
        tally.denied,
        tally.violated,
        tally.writes,
        tally.newest.unwrap_or(Revision::ZERO),
        tally.unavailable,
        tally.unanswered,
    );
    Outcome {
        text,
        violations: tally.violated,
    }
}
