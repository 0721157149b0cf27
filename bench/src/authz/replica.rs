//! The replica: made, written down, read again, and changed.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use sentinel_authz::sentinel::{self, Permission};
use sentinel_authz::{Page, TupleChange};
use sentinel_core::{Change, Fact, Revision, Timestamp};
use sentinel_feed::{Frame, ReplicaState, stored, write_snapshot};
use sentinel_token::FeedVerifyKey;
use sentinel_token::feed_key::signed_message;
use tokio::time::Instant;

use super::Heap;
use super::check::per_tuple;
use super::world::{PER_WORKSPACE, World, member, workspace_id};
use crate::statistics::Median;

const ROUNDS: usize = 5;
/// Workspaces that are added at a time.
const BATCH: usize = 10;

/// The replica of an edge that has about so many tuples, and what each of them takes on the heap.
pub(super) fn build(world: &World, tuples: usize, heap: Heap) -> Result<(ReplicaState, f64)> {
    let before = (heap.living)();
    let mut state = ReplicaState::from_snapshot(Revision { epoch: 1, number: 1 }, [])?;
    let workspaces: Vec<usize> = (0..tuples / PER_WORKSPACE).collect();
    for batch in workspaces.chunks(BATCH) {
        let mut changes = Vec::with_capacity(BATCH * PER_WORKSPACE);
        for workspace in batch {
            let tuples = world.tuples(*workspace)?.into_iter();
            changes.extend(tuples.map(|tuple| Change::Put(Fact::Tuple(tuple))));
        }
        state = advance(&state, changes)?.0;
    }
    let bytes = per_tuple((heap.living)() - before, state.graph().len());
    Ok((state, bytes))
}

fn advance(state: &ReplicaState, changes: Vec<Change>) -> Result<(ReplicaState, Frame)> {
    let at = state.revision();
    let to = Revision {
        number: at.number + 1,
        ..at
    };
    Ok(state.advance(to, changes)?)
}

/// How long an edge takes from the bytes on disk to a state that it can decide by, everything checked, in milliseconds;
/// how large the file is, in bytes; and how much more than the finished state it takes meanwhile, as a factor of it.
pub(super) struct Load {
    pub(super) time: Median,
    pub(super) file: u64,
    pub(super) peak: f64,
}

pub(super) fn load(state: &ReplicaState, heap: Heap) -> Result<Load> {
    let pair = Ed25519KeyPair::generate().context("no key can be made")?;
    let key = FeedVerifyKey::from_bytes(pair.public_key().as_ref().try_into()?);
    let dir = tempfile::tempdir()?;
    write_snapshot(dir.path(), state, |context, payload| {
        let mut bytes = [0; 64];
        bytes.copy_from_slice(pair.sign(&signed_message(context, payload)).as_ref());
        bytes
    })?;
    let file = std::fs::read_dir(dir.path())?
        .map(|entry| Ok(entry?.metadata()?.len()))
        .sum::<std::io::Result<u64>>()?;
    let mut times = Vec::new();
    let mut peak: f64 = 0.0;
    for _ in 0..ROUNDS {
        let before = (heap.living)();
        let started = Instant::now();
        let loaded = stored(dir.path(), &key, Timestamp::UNIX_EPOCH)?.context("the snapshot is refused")?;
        times.push(started.elapsed().as_secs_f64() * 1e3);
        ensure!(loaded.state.digest() == state.digest(), "another state was read");
        ensure!(
            loaded.state.graph().len() == state.graph().len(),
            "a tuple was lost"
        );
        let grown = (heap.living)() - before;
        // The allocator only knows the highest of all times: it says something while nothing was higher before.
        let highest = (heap.peak)();
        if highest > before + grown {
            peak = peak.max(per_tuple(highest - before, grown));
        }
    }
    Ok(Load {
        time: Median::of(times).context("no round")?,
        file,
        peak,
    })
}

/// How many changes a second a replica takes in frames of so many.
pub(super) fn apply(state: &ReplicaState, world: &World, per_frame: usize) -> Result<Median> {
    let frames = 20_000 / per_frame.max(10);
    let fresh = state.graph().len() / PER_WORKSPACE + 1;
    let mut tuples = Vec::new();
    for workspace in 0..=frames * per_frame / PER_WORKSPACE + 1 {
        tuples.extend(world.tuples(fresh + workspace)?);
    }
    // Changes do not come sorted.
    let stride = 7_919;
    let mut changes = (0..).map(|number: usize| {
        let tuple = tuples[number * stride % tuples.len()].clone();
        Change::Put(Fact::Tuple(tuple))
    });
    let mut made = Vec::new();
    let mut at = state.clone();
    for _ in 0..frames {
        let (next, frame) = advance(&at, changes.by_ref().take(per_frame).collect())?;
        made.push(frame);
        at = next;
    }
    drop(at);
    let mut rates = Vec::new();
    for _ in 0..ROUNDS {
        let mut at = state.clone();
        let started = Instant::now();
        for frame in &made {
            at = at.apply(frame)?;
        }
        let took = started.elapsed();
        rates.push(per_tuple(frames * per_frame, 1) / took.as_secs_f64());
    }
    Median::of(rates).context("no round")
}

/// How long it takes to list the ten thousand resources that one person may see, in milliseconds, after the first list of
/// all, and how long that one takes.
pub(super) fn list(world: &World, heap: Heap) -> Result<(Median, Duration)> {
    const LISTED: usize = 10_000;
    let (state, _) = build(world, 100_000, heap)?;
    // A workspace of its own.
    let (workspace, person) = (workspace_id(usize::MAX >> 16), member(1 << 32, 0));
    let kind = world.kind(0);
    let mut tuples = vec![sentinel::membership(
        workspace,
        person,
        sentinel_core::WorkspaceRole::Viewer,
    )];
    for number in 0..LISTED {
        let id = super::world::resource_id(1 << 32, number);
        let shared = number % 2 == 0;
        let owner = (!shared).then_some(person);
        tuples.extend(sentinel::resource_tuples(
            &world.service,
            kind,
            &id,
            workspace,
            shared,
            owner,
        )?);
    }
    let graph = state.graph().apply(tuples.iter().map(TupleChange::Put))?;
    let ask = || -> Result<Duration> {
        let started = Instant::now();
        let view = Permission::View;
        let found = sentinel::accessible(&graph, workspace, person, &world.service, kind, view, Page::ALL)?;
        let took = started.elapsed();
        ensure!(found.len() == LISTED, "{} of {LISTED} are listed", found.len());
        Ok(took)
    };
    let first = ask()?;
    let times = (0..ROUNDS)
        .map(|_| Ok(ask()?.as_secs_f64() * 1e3))
        .collect::<Result<_>>()?;
    Ok((Median::of(times).context("no round")?, first))
}
