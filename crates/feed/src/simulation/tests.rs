//! Many worlds, each from its seed.
//!
//! - `SENTINEL_SIMULATION_SEEDS=10000`: so many seeds instead of 200, from `SENTINEL_SIMULATION_FIRST` on (0).
//! - `SENTINEL_SIMULATION_SEED=17`: this one only, told in words.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{set_hook, take_hook};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, Once};
use std::thread;

use super::plane::lock;
use super::run::{Outcome, run, run_renewing};

/// How many seeds are run when nobody says otherwise.
const SEEDS: u64 = 200;

/// How many of those in which subscriptions are renewed.
const RENEWING: u64 = 30;

#[expect(
    clippy::disallowed_methods,
    reason = "which seeds a developer wants to see is no configuration of the product"
)]
fn number(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(
        value
            .parse()
            .unwrap_or_else(|_| panic!("{name}={value} is no number")),
    )
}

/// Panics on threads of this name, which end no run by themselves: tasks of hosts have their own.
static PANICS: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

fn notice_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |panic| {
            if let Some(name) = thread::current().name() {
                lock(&PANICS).insert(name.to_owned());
            }
            before(panic);
        }));
    });
}

/// Runs a seed on a thread of its own, whose name is the seed's. A panic in the world is a violation like any other.
fn outcome(seed: u64) -> Outcome {
    outcome_of(run, seed)
}

fn outcome_of(run: fn(u64) -> Outcome, seed: u64) -> Outcome {
    notice_panics();
    let name = format!("seed {seed}");
    let thread = thread::Builder::new().name(name.clone());
    let finished = thread.spawn(move || run(seed)).expect("a thread").join();
    let mut outcome = finished.unwrap_or_else(|_| Outcome {
        hash: String::new(),
        violations: Vec::new(),
        diary: Vec::new(),
        counts: BTreeMap::new(),
    });
    if lock(&PANICS).contains(&name) {
        outcome
            .violations
            .push("something panicked (see above)".to_owned());
    }
    outcome
}

fn told(seed: u64, outcome: &Outcome) -> String {
    let last = outcome.diary.len().saturating_sub(40);
    format!(
        "seed {seed} ({}):\n  {}\nbefore that:\n  {}\nreplay it with SENTINEL_SIMULATION_SEED={seed}",
        outcome.hash,
        outcome.violations.join("\n  "),
        outcome.diary[last..].join("\n  ")
    )
}

/// Runs seeds on all cores and adds up what happened in them.
fn run_all(run: fn(u64) -> Outcome, first: u64, count: u64) -> (Vec<String>, BTreeMap<&'static str, u64>) {
    let next = AtomicU64::new(0);
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let work = || {
        let (mut failed, mut counts) = (Vec::new(), BTreeMap::<&'static str, u64>::new());
        loop {
            let place = next.fetch_add(1, Ordering::SeqCst);
            if place >= count {
                return (failed, counts);
            }
            let outcome = outcome_of(run, first + place);
            for (what, times) in &outcome.counts {
                *counts.entry(what).or_default() += times;
            }
            if !outcome.violations.is_empty() {
                failed.push(told(first + place, &outcome));
            }
        }
    };
    let parts: Vec<_> = thread::scope(|scope| {
        let running: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        running
            .into_iter()
            .map(|part| part.join().expect("no panic"))
            .collect()
    });
    let (mut failed, mut counts) = (Vec::new(), BTreeMap::<&'static str, u64>::new());
    for (part_failed, part_counts) in parts {
        failed.extend(part_failed);
        for (what, times) in part_counts {
            *counts.entry(what).or_default() += times;
        }
    }
    (failed, counts)
}

#[test]
fn no_seed_breaks_what_must_hold() {
    if let Some(seed) = number("SENTINEL_SIMULATION_SEED") {
        let outcome = outcome(seed);
        println!("{}\n{:#?}", outcome.diary.join("\n"), outcome.counts);
        assert!(outcome.violations.is_empty(), "{}", told(seed, &outcome));
        return;
    }
    let first = number("SENTINEL_SIMULATION_FIRST").unwrap_or(0);
    let count = number("SENTINEL_SIMULATION_SEEDS").unwrap_or(SEEDS);
    let (failed, counts) = run_all(run, first, count);
    println!("seeds {first}..{}: {counts:#?}", first + count);
    let some = failed.iter().take(3).cloned().collect::<Vec<_>>().join("\n\n");
    assert!(
        failed.is_empty(),
        "{} of {count} seeds failed\n{some}",
        failed.len()
    );
    // What is held is worth something only if the worlds were as bad as they should be.
    let enough = count >= SEEDS;
    for what in HAPPENED.iter().filter(|_| enough) {
        assert!(counts.contains_key(what), "it never came to this: {what}");
    }
}

/// What some of the seeds must come to.
const HAPPENED: &[&str] = &[
    "commits",
    "frames",
    "frames over several revisions",
    "snapshots",
    "answers",
    "looks at a fresh edge",
    "orderly stops",
    "cannot be reached",
    "nothing was heard",
    "late",
    "behind the",
    "while this process did not",
    "was set back",
    "the changes since the state of this edge are not available",
];

#[test]
fn nothing_breaks_while_subscriptions_are_renewed() {
    let (failed, counts) = run_all(run_renewing, 0, RENEWING);
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
    assert!(counts.get("renewals") > Some(&RENEWING), "{counts:#?}");
}

#[test]
fn one_seed_is_one_run() {
    for seed in [1, 3, 13, 27, 34] {
        is_one_run(run, seed);
    }
}

#[test]
fn one_seed_is_one_run_while_subscriptions_are_renewed() {
    for seed in [0, 3, 7, 13] {
        is_one_run(run_renewing, seed);
    }
}

/// How often a seed is run again: what differs by chance does not differ each time.
const AGAIN: usize = 4;

fn is_one_run(run: fn(u64) -> Outcome, seed: u64) {
    let once = outcome_of(run, seed);
    for _ in 0..AGAIN {
        let again = outcome_of(run, seed);
        assert_eq!(once.diary, again.diary, "seed {seed}");
        assert_eq!(once.counts, again.counts, "seed {seed}");
        assert_eq!(once.hash, again.hash, "seed {seed}");
    }
    assert_ne!(once.hash, outcome_of(run, seed + 100).hash);
}
