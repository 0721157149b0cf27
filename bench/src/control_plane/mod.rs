//! `control-plane`: how many requests the control plane answers, how fast, and what an answer costs the machine.
//!
//! How it is measured, and what the figures are not, is in `docs/benchmarks.md`.

mod scripts;
mod world;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result};
use sentinel_quickstart::system::{Programs, System};

use crate::cpu;
use crate::load::{self, Connection, Load, Script};
use crate::plane::Plane;
use crate::report::{Figure, Table};
use crate::statistics::{Median, percentile};
use scripts::{Questions, Refreshes};
pub use world::Scale;
use world::World;

/// What the original service needed for a check of one permission on a machine of two cores, with one worker: its own
/// processor time and that of its database and Redis, in microseconds; and how many it answered in a second.
const ORIGINAL_OWN: f64 = 8_200.0;
const ORIGINAL_SERVERS: f64 = 1_400.0;
const ORIGINAL_RPS: f64 = 122.0;

/// What a check of one permission may cost in all, in microseconds.
const WANTED: f64 = 95.0;

/// What to measure.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The programs to run.
    pub programs: Programs,
    /// How much there is to ask about.
    pub scale: Scale,
    /// Connections at the same time.
    pub connections: usize,
    /// How long each measurement of a round takes.
    pub time: Duration,
    /// How often everything is measured.
    pub rounds: usize,
}

/// The scenarios, in the order in which each round runs them.
const NAMES: [&str; 3] = ["check_1", "check_100", "refresh"];

/// What one scenario came to in each round.
#[derive(Debug, Clone, Default)]
struct Series {
    rps: Vec<f64>,
    p50_us: Vec<f64>,
    p99_us: Vec<f64>,
    cpu_us: Vec<f64>,
    own_us: Vec<f64>,
    servers_us: Vec<f64>,
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
/// Something does not start, or a single answer is not the right one.
pub async fn run(plan: &Plan) -> Result<Outcome> {
    let plane = Plane::start(&plan.programs).await?;
    let bench = Bench::set_up(plan, &plane).await;
    let measured = match bench {
        Ok(mut bench) => bench.measure(plan).await,
        Err(error) => Err(error),
    };
    if measured.is_err() {
        eprintln!(
            "the end of the control plane's log:\n{}",
            end_of_log(&plane.system)
        );
    }
    plane.system.stop().await;
    outcome(&measured?)
}

/// Everything that is ready to be measured.
struct Bench {
    address: SocketAddr,
    /// Control plane, PostgreSQL, Redis.
    processes: [u32; 3],
    check_1: Vec<Questions>,
    check_100: Vec<Questions>,
    refresh: Vec<Refreshes>,
}

impl Bench {
    async fn set_up(plan: &Plan, plane: &Plane) -> Result<Self> {
        let Plane {
            system,
            http,
            postgres,
            redis,
            ..
        } = plane;
        let processes = [
            system
                .control_plane
                .pid()
                .context("the control plane does not run")?,
            postgres.pid().context("PostgreSQL does not run")?,
            redis.pid().context("Redis does not run")?,
        ];
        let host = system.urls.control_plane.trim_start_matches("http://");
        let address = host
            .parse()
            .context("the control plane's address makes no sense")?;
        let world = World::make(http, &system.urls, plan.scale).await?;
        let mut bench = Self {
            address,
            processes,
            check_1: Vec::new(),
            check_100: Vec::new(),
            refresh: Vec::new(),
        };
        for members in world.parts(plan.connections) {
            bench
                .check_1
                .push(Questions::prepare(&world, &members, 1, address).await?);
            bench
                .check_100
                .push(Questions::prepare(&world, &members, 100, address).await?);
            bench.refresh.push(Refreshes::of(&members, address));
        }
        Ok(bench)
    }

    async fn measure(&mut self, plan: &Plan) -> Result<[Series; 3]> {
        let mut all: [Series; 3] = std::array::from_fn(|_| Series::default());
        let [check_1, check_100, refresh] = &mut all;
        let (address, processes, time) = (self.address, self.processes, plan.time);
        for round in 1..=plan.rounds {
            eprintln!("round {round} of {}", plan.rounds);
            check_1.add(once(&mut self.check_1, address, processes, time).await?)?;
            check_100.add(once(&mut self.check_100, address, processes, time).await?)?;
            refresh.add(once(&mut self.refresh, address, processes, time).await?)?;
        }
        Ok(all)
    }
}

/// Runs one scenario for `time`, on fresh connections and after a short run that does not count. Returns what came of it
/// and the processor time that the three processes used meanwhile.
async fn once<S: Script>(
    scripts: &mut Vec<S>,
    address: SocketAddr,
    processes: [u32; 3],
    time: Duration,
) -> Result<(Load, Vec<Duration>)> {
    let mut pairs = Vec::new();
    for script in scripts.drain(..) {
        pairs.push((Connection::open(address).await?, script));
    }
    load::run(&mut pairs, time / 10).await?;
    let before = cpu::used(&processes)?;
    let load = load::run(&mut pairs, time).await?;
    let after = cpu::used(&processes)?;
    scripts.extend(pairs.into_iter().map(|(_, script)| script));
    let used = after
        .iter()
        .zip(before)
        .map(|(after, before)| after.saturating_sub(before));
    Ok((load, used.collect()))
}

impl Series {
    fn add(&mut self, (load, used): (Load, Vec<Duration>)) -> Result<()> {
        let answers = f64::from(u32::try_from(load.latencies.len()).context("too many answers")?);
        let micros = |time: Duration| time.as_secs_f64() * 1e6;
        let at = |percent| {
            percentile(&load.latencies, percent)
                .map(micros)
                .context("no answers")
        };
        let own = micros(used.first().copied().unwrap_or_default()) / answers;
        let all = micros(used.iter().sum()) / answers;
        self.rps.push(answers / load.took.as_secs_f64());
        self.p50_us.push(at(50)?);
        self.p99_us.push(at(99)?);
        self.cpu_us.push(all);
        self.own_us.push(own);
        self.servers_us.push(all - own);
        Ok(())
    }
}

fn outcome(all: &[Series; 3]) -> Result<Outcome> {
    let mut figures = Vec::new();
    let mut table = Table::new(&[
        "median [lowest–highest]",
        "requests/s",
        "p50 µs",
        "p99 µs",
        "CPU µs/answer",
        "own",
        "PostgreSQL, Redis",
    ]);
    for (name, series) in NAMES.into_iter().zip(all) {
        let median = |values: &Vec<f64>| Median::of(values.clone()).context("no round was run");
        let columns = [
            ("rps", median(&series.rps)?, "1/s"),
            ("p50_us", median(&series.p50_us)?, "us"),
            ("p99_us", median(&series.p99_us)?, "us"),
            ("cpu_us", median(&series.cpu_us)?, "us"),
        ];
        figures.extend(columns.map(|(metric, median, unit)| Figure {
            name,
            metric,
            value: median.value,
            unit,
        }));
        let mut cells = columns.map(|(_, median, _)| median).to_vec();
        cells.extend([median(&series.own_us)?, median(&series.servers_us)?]);
        table.line(name, &cells);
    }
    let of = |metric| {
        let found = figures
            .iter()
            .find(|figure| (figure.name, figure.metric) == ("check_1", metric));
        found.map(|figure| figure.value).context("a figure is missing")
    };
    let (cpu, rps) = (of("cpu_us")?, of("rps")?);
    let verdict = if cpu <= WANTED { "reached" } else { "missed" };
    let original = ORIGINAL_OWN + ORIGINAL_SERVERS;
    let text = format!(
        "{}\ncheck_1: {cpu:.0} µs of processor time an answer; wanted are at most {WANTED:.0}: {verdict}.\n\
         The original, measured elsewhere on two cores with one worker: {original:.0} µs ({:.0} times as much) and \
         {ORIGINAL_RPS:.0} requests/s ({:.0} times fewer).\n",
        table.text(),
        original / cpu,
        rps / ORIGINAL_RPS,
    );
    Ok(Outcome { figures, text })
}

fn end_of_log(system: &System) -> String {
    let log = std::fs::read_to_string(system.control_plane.log()).unwrap_or_default();
    let lines: Vec<&str> = log.lines().collect();
    lines
        .get(lines.len().saturating_sub(20)..)
        .unwrap_or_default()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_shared_out_over_the_answers() {
        let mut series = Series::default();
        let load = Load {
            took: Duration::from_secs(2),
            latencies: vec![Duration::from_micros(10), Duration::from_micros(30)],
        };
        let used = [60, 20, 10].map(Duration::from_micros).to_vec();
        series.add((load, used)).expect("answers");
        assert_eq!((series.rps, series.cpu_us), (vec![1.0], vec![45.0]));
        assert_eq!((series.own_us, series.servers_us), (vec![30.0], vec![15.0]));
        assert_eq!((series.p50_us, series.p99_us), (vec![10.0], vec![30.0]));
        let nothing = Load {
            took: Duration::from_secs(2),
            latencies: Vec::new(),
        };
        assert!(Series::default().add((nothing, Vec::new())).is_err());
    }
}
