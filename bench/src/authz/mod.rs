//! The permission engine and the edge's replica in figures: what a check costs by the number of tuples, what a tuple takes,
//! how long lists, loading and changes take.
//!
//! Each check is timed by itself, on questions in an order that no cache can foresee; what the clock takes is measured in the
//! same way and taken off. Memory is what the allocator gave out, not what the kernel counts.

mod check;
mod fga;
mod replica;
mod waiting;
mod world;

use std::fmt::Write as _;

use anyhow::{Context as _, Result, ensure};

use self::check::Cost;
use self::world::{PER_WORKSPACE, World};
use crate::report::Figure;
use crate::statistics::Median;

/// What an allocator that counts can say, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Heap {
    /// What is in use now.
    pub living: fn() -> usize,
    /// What was ever given out.
    pub ever: fn() -> usize,
    /// The most that was in use at any time.
    pub peak: fn() -> usize,
}

/// What was measured.
#[derive(Debug)]
pub struct Outcome {
    /// For people.
    pub text: String,
    /// For programs.
    pub figures: Vec<Figure>,
}

/// The Sentinel model with this many tuples, and the name of the line.
const SIZES: [(&str, usize); 4] = [
    ("sentinel_10k", 10_000),
    ("sentinel_100k", 100_000),
    ("sentinel_1m", 1_000_000),
    ("sentinel_10m", 10_000_000),
];
/// With so many tuples, loading and changing are measured too.
const USUAL: usize = 1_000_000;
const NAMES: [&str; 9] = [
    "sentinel_10k",
    "sentinel_100k",
    "sentinel_1m",
    "sentinel_10m",
    "groups_1m",
    "list_10k",
    "load_1m",
    "apply",
    "fga",
];

/// Measures everything, or `only` what is named.
///
/// # Errors
/// A name is none, or an answer is not the one that was to be expected.
pub fn run(only: &[String], heap: Heap) -> Result<Outcome> {
    for name in only {
        ensure!(
            NAMES.contains(&name.as_str()),
            "`--only {name}` is none: one of {} is expected",
            NAMES.join(", ")
        );
    }
    let wanted = |name: &str| only.is_empty() || only.iter().any(|other| other == name);
    let world = World::new()?;
    let mut lines = Lines::default();
    for (name, tuples) in SIZES {
        let (changes, loads) = (wanted("apply"), wanted("load_1m"));
        let whole = tuples == USUAL && (changes || loads);
        if !wanted(name) && !whole {
            continue;
        }
        let (state, bytes) = replica::build(&world, tuples, heap)?;
        if wanted(name) {
            let graph = state.graph();
            let workspaces = tuples / PER_WORKSPACE;
            let members = check::sentinel(graph, &world, workspaces, true, heap)?;
            let random = check::sentinel(graph, &world, workspaces, false, heap)?;
            lines.checks(name, &members, Some(&random), graph.len(), bytes);
            lines.waiting(name, &members, bytes, graph.len())?;
        }
        if whole && loads {
            let load = replica::load(&state, heap)?;
            lines.load(&load);
        }
        if whole && changes {
            let (single, many) = (
                replica::apply(&state, &world, 1)?,
                replica::apply(&state, &world, 100)?,
            );
            lines.add("apply", "per_s", single.value, "1/s");
            lines.add("apply", "per_s_100", many.value, "1/s");
            lines.say(&format!(
                "apply: {:.0} changes/s in frames of 1, {:.0} in frames of 100, beside {USUAL} tuples",
                single.value, many.value
            ));
        }
    }
    if wanted("groups_1m") {
        let (cost, bytes) = check::nested(USUAL, heap)?;
        lines.checks("groups_1m", &cost, None, USUAL, bytes);
    }
    if wanted("list_10k") {
        let (time, first) = replica::list(&world, heap)?;
        lines.add("list_10k", "ms", time.value, "ms");
        lines.say(&format!(
            "list_10k: {} ms, the first list of all {:.0} ms",
            show(time, 1),
            first.as_secs_f64() * 1e3
        ));
    }
    if wanted("fga") {
        lines.fga(&fga::measure(&world)?);
    }
    ensure!(!lines.text.is_empty(), "nothing was measured");
    Ok(Outcome {
        text: lines.text,
        figures: lines.figures,
    })
}

/// What is said, and the same for programs.
#[derive(Default)]
struct Lines {
    text: String,
    figures: Vec<Figure>,
}

impl Lines {
    fn add(&mut self, name: &'static str, metric: &'static str, value: f64, unit: &'static str) {
        self.figures.push(Figure {
            name,
            metric,
            value,
            unit,
        });
    }

    fn say(&mut self, line: &str) {
        // A long measurement says what it knows at once.
        eprintln!("{line}");
        // Writing to a string does not fail.
        let _ = writeln!(self.text, "{line}");
    }

    fn checks(&mut self, name: &'static str, cost: &Cost, random: Option<&Cost>, tuples: usize, bytes: f64) {
        self.add(name, "p50_ns", cost.p50.value, "ns");
        self.add(name, "p99_ns", cost.p99.value, "ns");
        let allocating = cost.allocating + random.map_or(0.0, |random| random.allocating);
        self.add(name, "allocs", allocating, "1");
        self.add(name, "bytes_per_tuple", bytes, "B");
        let mut line = format!(
            "{name}: p50 {} ns, p99 {} ns, {:.0} % allowed",
            show(cost.p50, 0),
            show(cost.p99, 0),
            cost.allowed * 100.0
        );
        if let Some(random) = random {
            self.add(name, "random_p50_ns", random.p50.value, "ns");
            self.add(name, "random_p99_ns", random.p99.value, "ns");
            // Writing to a string does not fail.
            let _ = write!(
                line,
                "; strangers p50 {} ns, p99 {} ns",
                show(random.p50, 0),
                show(random.p99, 0)
            );
        }
        self.say(&format!(
            "{line}; {allocating} of the checks allocate; {bytes:.1} B a tuple of {tuples}"
        ));
    }

    /// What the same number of bytes costs without any engine.
    fn waiting(&mut self, name: &'static str, cost: &Cost, bytes: f64, tuples: usize) -> Result<()> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a heap's size"
        )]
        let read = waiting::read((bytes * tuples as f64) as usize)?;
        self.add(name, "read_ns", read.value, "ns");
        self.say(&format!(
            "{name}: {} ns for one read that waits for another among as many bytes; a check takes {:.1} times that",
            show(read, 0),
            cost.p50.value / read.value
        ));
        Ok(())
    }

    fn load(&mut self, load: &replica::Load) {
        self.add("load_1m", "ms", load.time.value, "ms");
        self.add("load_1m", "peak", load.peak, "1");
        self.say(&format!(
            "load_1m: {} ms from a file of {} MB; at most {:.2} times the finished state on the heap",
            show(load.time, 0),
            load.file / 1_000_000,
            load.peak
        ));
    }

    fn fga(&mut self, outcome: &fga::Outcome) {
        match outcome {
            fga::Outcome::Absent(why) => self.say(&format!("fga: {why}")),
            fga::Outcome::Measured { check_ns, tuples } => {
                self.add("fga", "p50_ns", check_ns.value, "ns");
                self.say(&format!(
                    "fga: {} µs a check, the mean of many, beside {tuples} tuples in its memory",
                    show(check_ns.times(1e-3), 1)
                ));
            }
        }
    }
}

fn show(median: Median, digits: usize) -> String {
    let Median { value, low, high } = median;
    format!("{value:.digits$} [{low:.digits$}–{high:.digits$}]")
}

/// The program that measures, beside this one: what `sentinel-bench authz` becomes.
///
/// # Errors
/// Where this program lies is not known.
pub fn program() -> Result<std::path::PathBuf> {
    let this = std::env::current_exe().context("where this program lies is not known")?;
    Ok(this.with_file_name("sentinel-bench-authz"))
}
