//! `freshness`: how long it takes from a commit on the control plane until an edge decides by it.
//!
//! The control plane is the real program on PostgreSQL. The edges are the follower and the replica that are in every
//! `sentinel-proxy`, many of them in this process, each with a key, a state directory and a connection of its own; so what is
//! left out is only the proxying, which does not wait for anything. A change counts as enforced at an edge when its
//! replica has published the revision: the next request is decided by it.

mod edges;
mod writers;

use std::time::Duration;

use anyhow::{Context as _, Result};
use sentinel_core::Revision;
use sentinel_quickstart::system::Programs;
use tokio::time::Instant;

use crate::fleet::{Fleet, Relay};
use crate::report::{Figure, Table};
use crate::statistics::percentile;
use edges::Edges;
use writers::{Writers, Written};

/// With how many edges, and under which name that is reported.
const SIZES: [(usize, &str); 3] = [(1, "edges_1"), (10, "edges_10"), (100, "edges_100")];

/// For how long the cut edge hears nothing.
const AWAY: Duration = Duration::from_secs(5);

/// How long edges may take to have everything after the last write.
const PATIENCE: Duration = Duration::from_mins(1);

/// What to measure.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The programs to run.
    pub programs: Programs,
    /// How many writes are begun in a second.
    pub writes_per_second: u32,
    /// For how long with each number of edges.
    pub time: Duration,
    /// Measure only these lines; all if empty.
    pub only: Vec<String>,
}

/// What was measured.
#[derive(Debug)]
pub struct Outcome {
    /// For people.
    pub text: String,
    /// For programs.
    pub figures: Vec<Figure>,
}

/// One line of the table.
#[derive(Debug)]
struct Line {
    name: &'static str,
    writes_per_second: f64,
    /// From the answer to the write until each edge has it, ascending.
    after_answer: Vec<Duration>,
    /// The same from when the write was sent.
    after_sending: Vec<Duration>,
    /// From the healing of the cut until that edge had everything.
    healed_in: Option<Duration>,
}

/// Starts everything, measures, and stops everything.
///
/// # Errors
/// Something does not start, a write is refused, or an edge does not learn of one.
pub async fn run(plan: &Plan) -> Result<Outcome> {
    let fleet = Fleet::start(&plan.programs).await?;
    let measured = measure(plan, &fleet).await;
    fleet.stop().await;
    Ok(report(plan, &measured?))
}

async fn measure(plan: &Plan, fleet: &Fleet) -> Result<Vec<Line>> {
    let wanted = |name: &str| plan.only.is_empty() || plan.only.iter().any(|only| only == name);
    let mut lines = Vec::new();
    for (count, name) in SIZES.into_iter().filter(|(_, name)| wanted(name)) {
        eprintln!("{name}: {} writes a second", plan.writes_per_second);
        let edges = Edges::start(fleet, name, count, fleet.control_plane()).await?;
        let written = Writers::new(fleet, name, plan.writes_per_second)
            .run(plan.time)
            .await?;
        edges.await_revision(newest(&written)?, PATIENCE).await?;
        lines.push(line(name, plan.time, &written, &edges.stop().await?, None)?);
    }
    if wanted(CUT) {
        lines.push(cut(plan, fleet).await?);
    }
    Ok(lines)
}

const CUT: &str = "cut";

/// Ten edges, one of which is cut off in the middle for a while. The figures are those of the others; how long the one needs
/// to have everything once it is healed stands beside them.
async fn cut(plan: &Plan, fleet: &Fleet) -> Result<Line> {
    eprintln!("{CUT}: one of ten edges is cut off for {} s", AWAY.as_secs());
    let relay = Relay::to(fleet.control_plane()).await?;
    let others = Edges::start(fleet, "beside", 9, fleet.control_plane()).await?;
    let away = Edges::start(fleet, "away", 1, &relay.address.to_string()).await?;
    let time = AWAY * 3;
    let writing = Writers::new(fleet, CUT, plan.writes_per_second).run(time);
    let cutting = async {
        tokio::time::sleep(AWAY).await;
        relay.cut();
        tokio::time::sleep(AWAY).await;
        relay.heal();
        let healed = Instant::now();
        let head = others.newest();
        away.await_revision(head, PATIENCE).await?;
        anyhow::Ok(healed.elapsed())
    };
    let (written, healed_in) = tokio::join!(writing, cutting);
    let (written, healed_in) = (written?, healed_in?);
    for edges in [&others, &away] {
        edges.await_revision(newest(&written)?, PATIENCE).await?;
    }
    away.stop().await?;
    line(CUT, time, &written, &others.stop().await?, Some(healed_in))
}

fn newest(written: &[Written]) -> Result<Revision> {
    let newest = written.iter().map(|write| write.revision).max();
    newest.context("nothing was written")
}

/// Every write at every edge.
fn line(
    name: &'static str,
    time: Duration,
    written: &[Written],
    seen: &[Vec<(Revision, Instant)>],
    healed_in: Option<Duration>,
) -> Result<Line> {
    let (mut after_answer, mut after_sending) = (Vec::new(), Vec::new());
    for edge in seen {
        for write in written {
            let first = edge.partition_point(|(revision, _)| *revision < write.revision);
            let (_, at) = edge.get(first).context("an edge did not learn of a write")?;
            after_answer.push(at.saturating_duration_since(write.answered));
            after_sending.push(at.saturating_duration_since(write.sent));
        }
    }
    after_answer.sort_unstable();
    after_sending.sort_unstable();
    Ok(Line {
        name,
        writes_per_second: per_second(written.len(), time),
        after_answer,
        after_sending,
        healed_in,
    })
}

fn per_second(count: usize, time: Duration) -> f64 {
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    f64::from(count) / time.as_secs_f64()
}

fn report(plan: &Plan, lines: &[Line]) -> Outcome {
    let mut table = Table::new(&[
        "from the answer to the write",
        "writes/s",
        "p50 ms",
        "p99 ms",
        "max ms",
        "p50 ms since sent",
        "healed in ms",
    ]);
    let mut figures = Vec::new();
    for line in lines {
        let of = |times: &[Duration], percent| {
            percentile(times, percent).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
        };
        let (p50, p99) = (of(&line.after_answer, 50), of(&line.after_answer, 99));
        let (max, sent) = (of(&line.after_answer, 100), of(&line.after_sending, 50));
        let healed = line.healed_in.map(|time| time.as_secs_f64() * 1e3);
        let cell = |value: f64| format!("{value:.2}");
        table.row(vec![
            line.name.to_owned(),
            format!("{:.0}", line.writes_per_second),
            cell(p50),
            cell(p99),
            cell(max),
            cell(sent),
            healed.map_or_else(String::new, cell),
        ]);
        let mut figure = |metric, value, unit| {
            figures.push(Figure {
                name: line.name,
                metric,
                value,
                unit,
            });
        };
        figure("writes_per_s", line.writes_per_second, "1/s");
        figure("p50_ms", p50, "ms");
        figure("p99_ms", p99, "ms");
        figure("max_ms", max, "ms");
        figure("p50_since_sent_ms", sent, "ms");
        if let Some(healed) = healed {
            figure("healed_ms", healed, "ms");
        }
    }
    let text = format!(
        "{}\n{} writes were begun each second; a write that every edge had before its answer came counts as 0.\n",
        table.text(),
        plan.writes_per_second
    );
    Outcome { text, figures }
}
