//! `connections`: thousands of clients that open connections and do nothing useful with them, and what the others notice.
//!
//! A third says nothing, a third sends a head byte by byte, and a third a body. They come from several addresses, as those
//! do who mean it, and come back when they are turned away.

mod clients;
mod program;
mod service;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use self::clients::{Crowd, Good};
use self::program::Edge;
use self::service::Service;
use crate::memory;
use crate::report::Figure;

/// How long the edge serves good clients again before it is looked at what it has given back.
const AFTERWARDS: Duration = Duration::from_secs(5);

/// What to measure.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The edge.
    pub program: PathBuf,
    /// How many useless connections there are.
    pub connections: usize,
    /// How long the good clients are looked at, without the crowd and with it.
    pub time: Duration,
}

/// The outcome.
#[derive(Debug)]
pub struct Outcome {
    /// Every figure that programs may want.
    pub figures: Vec<Figure>,
    /// All of it for people.
    pub text: String,
}

/// Starts everything, measures, and stops everything.
///
/// # Errors
/// Something does not start, or the crowd cannot come together.
pub async fn run(plan: &Plan) -> Result<Outcome> {
    let files = sentinel_proxy::descriptors::raise();
    let needed = u64::try_from(plan.connections * 2 + 500).unwrap_or(u64::MAX);
    ensure!(
        files.is_none_or(|files| files >= needed),
        "{needed} files have to be open at once: raise the limit (`ulimit -n`), or take fewer connections"
    );
    let service = Service::start()?;
    let edge = Edge::start(&plan.program, service.address)?;
    // What the edge allocates once, it has allocated after this.
    Good::new(edge.address)
        .watch(plan.time.min(Duration::from_secs(1)))
        .await;

    let before = memory::resident(edge.pid)?;
    let alone = Good::new(edge.address).watch(plan.time).await;
    let crowd = Crowd::gather(edge.address, plan.connections).await?;
    let beside = Good::new(edge.address).watch(plan.time).await;
    let during = memory::resident(edge.pid)?;
    let open = crowd.open();
    drop(crowd);
    // An allocator gives back when it is used.
    Good::new(edge.address).watch(AFTERWARDS).await;
    let after = memory::resident(edge.pid)?;

    let count = f64::from(u32::try_from(open).context("too many connections to count")?);
    let each = (during - before) / count.max(1.0);
    let mut figures = vec![
        figure("open", "connections", count, "1"),
        figure("memory", "before_mb", before / 1e6, "MB"),
        figure("memory", "during_mb", during / 1e6, "MB"),
        figure("memory", "after_mb", after / 1e6, "MB"),
        figure("memory", "per_connection", each, "B"),
    ];
    let mut text = format!(
        "{open} useless connections (a third silent, a third with a head and a third with a body, byte by byte)\n\
         resident memory: {:.1} MB before, {:.1} MB during ({each:.0} B for each connection), {:.1} MB after\n\n",
        before / 1e6,
        during / 1e6,
        after / 1e6,
    );
    for (name, shown, watched) in [
        ("alone", "without them", &alone),
        ("beside", "with them", &beside),
    ] {
        let [p50, p99] = [50, 99].map(|percent| watched.percentile(percent).as_secs_f64() * 1e6);
        let share = watched.share();
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "good clients {shown:12}  answered {:.2} % of {}  p50 {p50:.0} µs  p99 {p99:.0} µs",
            share * 100.0,
            watched.sent
        );
        figures.extend([
            figure(name, "answered", share, "1"),
            figure(name, "p50_us", p50, "us"),
            figure(name, "p99_us", p99, "us"),
        ]);
    }
    Ok(Outcome { figures, text })
}

fn figure(name: &'static str, metric: &'static str, value: f64, unit: &'static str) -> Figure {
    Figure {
        name,
        metric,
        value,
        unit,
    }
}
