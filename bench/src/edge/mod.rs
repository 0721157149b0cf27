//! `edge`: what the edge adds to the cost of a proxied request, beside the same Pingora without it and beside others.
//!
//! How it is measured, and what the figures are not, is in `docs/benchmarks.md`.

mod bare;
mod scenarios;
mod scripts;
mod served;
mod servers;
mod world;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

use crate::report::{Figure, Table};
use crate::statistics::{Median, percentile};
use crate::upstream::Upstream;
use crate::{cpu, load, memory};
use load::{Connection, Load, Script as _};
use scenarios::{scenarios, spoil};
use scripts::{Requests, Turns};
use servers::{Place, Processors, Server, installed};
use world::{Signer, World};

pub use bare::run as serve_bare;
pub use served::run as serve_edge;

/// What a warm token with a permission may cost at most, as a multiple of bare Pingora.
const WANTED_COST: f64 = 1.15;
/// How many times as many requests must pass as through `HAProxy`, which verifies every token.
const WANTED_RATE: f64 = 2.0;

/// How much there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scale {
    /// Tuples in the edge's replica.
    pub tuples: usize,
    /// Different requests of each scenario, each with its own token and document.
    pub requests: usize,
    /// Tokens that are shown once, for each round.
    pub cold: usize,
}

impl Scale {
    /// What the figures are measured with.
    pub const USUAL: Self = Self {
        tuples: 1_000_000,
        requests: 2_000,
        cold: 40_000,
    };

    /// Enough to see that everything works.
    pub const SMALL: Self = Self {
        tuples: 2_000,
        requests: 20,
        cold: 60,
    };
}

/// What to measure.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The program that becomes the proxies: `sentinel-bench` itself.
    pub program: PathBuf,
    /// The program that is Pingora with the allocator of the system: `sentinel-bench-bare`.
    pub bare: PathBuf,
    /// How much there is.
    pub scale: Scale,
    /// Connections at the same time.
    pub connections: usize,
    /// How long each measurement of a round takes.
    pub time: Duration,
    /// How often everything is measured.
    pub rounds: usize,
    /// The scenarios to measure besides `bare`; all, if none is named.
    pub only: Vec<String>,
}

impl Plan {
    fn measures(&self, name: &str) -> bool {
        self.only.is_empty() || name == BARE || self.only.iter().any(|one| one == name)
    }
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
    let dir = tempfile::tempdir().context("cannot make a directory")?;
    let upstream = Upstream::start().await?;
    let place = Place {
        plan,
        dir: dir.path(),
        upstream: upstream.address,
        processors: Processors::share_out()?,
    };
    let (world, signer) = World::make(dir.path(), plan.scale.tuples)?;
    let mut bench = Bench::set_up(&place, &world, &signer).await?;
    for round in 1..=plan.rounds {
        eprintln!("round {round} of {}", plan.rounds);
        bench.round(&place).await?;
    }
    bench.outcome(&place.processors)
}

/// Which proxy a scenario goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Through {
    /// None: straight to the service.
    Nothing,
    Bare,
    BareWithOurAllocator,
    Edge,
    /// An edge that has not seen a token yet.
    FreshEdge,
    Haproxy,
    Nginx,
}

/// One line of the table.
struct Scenario {
    name: &'static str,
    through: Through,
    requests: Requests,
    series: Series,
}

/// What one scenario came to in each round.
#[derive(Debug, Clone, Default)]
struct Series {
    rps: Vec<f64>,
    p50_us: Vec<f64>,
    p99_us: Vec<f64>,
    cpu_us: Vec<f64>,
    cpu_ratio: Vec<f64>,
    rss_mb: Vec<f64>,
}

/// The name of what everything else is compared with, and of what goes through no proxy and is only printed.
const BARE: &str = "bare";
const DIRECT: &str = "(no proxy)";

/// Everything that is ready to be measured.
struct Bench {
    bare: Server,
    bare_with_our_allocator: Server,
    edge: Server,
    haproxy: Option<Server>,
    nginx: Option<Server>,
    scenarios: Vec<Scenario>,
    documents: usize,
}

impl Bench {
    async fn set_up(place: &Place<'_>, world: &World, signer: &Signer) -> Result<Self> {
        let scenarios = scenarios(place.plan, world, signer)?;
        eprintln!("starting the proxies");
        let haproxy = match installed("haproxy") {
            Some(program) => Some(place.haproxy(&program).await?),
            None => None,
        };
        let nginx = match installed("nginx") {
            Some(program) => Some(place.nginx(&program).await?),
            None => None,
        };
        let is_known = |name: &&String| scenarios.iter().any(|known| known.name == **name);
        if let Some(unknown) = place.plan.only.iter().find(|name| !is_known(name)) {
            bail!("`--only {unknown}`: there is no such line");
        }
        let wanted = |name| place.plan.measures(name);
        let there = |scenario: &Scenario| match scenario.through {
            Through::Haproxy => haproxy.is_some() && wanted(scenario.name),
            Through::Nginx => nginx.is_some() && wanted(scenario.name),
            _ => wanted(scenario.name),
        };
        let bench = Self {
            bare: place.bare().await?,
            bare_with_our_allocator: place.bare_with_our_allocator().await?,
            edge: place.edge().await?,
            scenarios: scenarios.into_iter().filter(there).collect(),
            haproxy,
            nginx,
            documents: world.documents(),
        };
        for scenario in &bench.scenarios {
            bench.rehearse(scenario).await?;
        }
        Ok(bench)
    }

    /// Every request gets its answer, and one with a spoiled token does not.
    async fn rehearse(&self, scenario: &Scenario) -> Result<()> {
        let Some(server) = self.server(scenario.through) else {
            return Ok(());
        };
        let mut connection = Connection::open(server.address).await?;
        let mut turns = Turns::new(&scenario.requests, 0, 1, true);
        while !turns.is_over() {
            let body = connection.exchange(turns.request()).await;
            let body =
                body.with_context(|| format!("`{}` fails:\n{}", scenario.name, server.end_of_log()))?;
            turns.answer(body)?;
        }
        if !matches!(scenario.through, Through::Edge | Through::Haproxy) {
            return Ok(());
        }
        let Some(spoiled) = scenario.requests.first().and_then(|request| spoil(request)) else {
            return Ok(());
        };
        match connection.exchange(&spoiled).await {
            Err(error) if error.to_string().starts_with("status 401") => Ok(()),
            outcome => bail!(
                "`{}` lets a bad token pass: {:?}",
                scenario.name,
                outcome.map(<[u8]>::len)
            ),
        }
    }

    fn server(&self, through: Through) -> Option<&Server> {
        match through {
            Through::Nothing | Through::FreshEdge => None,
            Through::Bare => Some(&self.bare),
            Through::BareWithOurAllocator => Some(&self.bare_with_our_allocator),
            Through::Edge => Some(&self.edge),
            Through::Haproxy => self.haproxy.as_ref(),
            Through::Nginx => self.nginx.as_ref(),
        }
    }

    /// Measures every scenario once.
    async fn round(&mut self, place: &Place<'_>) -> Result<()> {
        let mut measured = Vec::new();
        for scenario in &self.scenarios {
            let fresh = match scenario.through {
                Through::FreshEdge => Some(place.edge().await?),
                _ => None,
            };
            let server = fresh.as_ref().or_else(|| self.server(scenario.through));
            let one = once(place, scenario, server).await;
            measured.push(one.with_context(|| format!("`{}` failed", scenario.name))?);
        }
        let bare = self
            .scenarios
            .iter()
            .zip(&measured)
            .find_map(|(scenario, one)| (scenario.name == BARE).then_some(one.cpu_us))
            .context("nothing to compare with")?;
        for (scenario, one) in self.scenarios.iter_mut().zip(measured) {
            let series = &mut scenario.series;
            series.rps.push(one.rps);
            series.p50_us.push(one.p50_us);
            series.p99_us.push(one.p99_us);
            series.cpu_us.push(one.cpu_us);
            series.cpu_ratio.push(one.cpu_us / bare);
            series.rss_mb.push(one.rss_mb);
        }
        Ok(())
    }

    fn outcome(&self, processors: &Processors) -> Result<Outcome> {
        let mut figures = Vec::new();
        let mut table = Table::new(&[
            "median [lowest–highest]",
            "requests/s",
            "p50 µs",
            "p99 µs",
            "CPU µs/request",
            "% of bare",
            "RSS MB",
        ]);
        for Scenario { name, series, .. } in &self.scenarios {
            let median = |values: &Vec<f64>| Median::of(values.clone()).context("no round was run");
            let columns = [
                ("rps", median(&series.rps)?, "1/s"),
                ("p50_us", median(&series.p50_us)?, "us"),
                ("p99_us", median(&series.p99_us)?, "us"),
                ("cpu_us", median(&series.cpu_us)?, "us"),
                ("cpu_ratio", median(&series.cpu_ratio)?, "1"),
                ("rss_mb", median(&series.rss_mb)?, "MB"),
            ];
            if *name != DIRECT {
                figures.extend(columns.map(|(metric, median, unit)| Figure {
                    name,
                    metric,
                    value: median.value,
                    unit,
                }));
            }
            let cells = columns.map(|(metric, median, _)| match metric {
                "cpu_ratio" => median.times(100.0),
                _ => median,
            });
            table.line(name, &cells);
        }
        let apart = if processors.are_apart() {
            "Each proxy had a processor of its own; load and service had the others."
        } else {
            "There is one processor: proxies, load and service shared it."
        };
        let text = format!("{}\n{apart}\n{}", table.text(), self.verdicts()?);
        Ok(Outcome { figures, text })
    }

    /// What was wanted, and what it came to.
    fn verdicts(&self) -> Result<String> {
        let verdict = |reached| if reached { "reached" } else { "missed" };
        let series = |wanted| {
            let mut scenarios = self.scenarios.iter();
            scenarios
                .find(|scenario| scenario.name == wanted)
                .map(|found| &found.series)
        };
        let Some(ours) = series("jwt_permission_warm") else {
            return Ok(String::new());
        };
        let cost = Median::of(ours.cpu_ratio.clone()).context("no round was run")?;
        let mut text = format!(
            "jwt_permission_warm: {:.2} [{:.2}–{:.2}] times the processor time of bare Pingora, with {} documents; wanted \
             is at most {WANTED_COST}: {}.\n",
            cost.value,
            cost.low,
            cost.high,
            self.documents,
            verdict(cost.value <= WANTED_COST),
        );
        if let Some(bare) = series("bare_mimalloc") {
            let ratios = ours
                .cpu_us
                .iter()
                .zip(&bare.cpu_us)
                .map(|(ours, bare)| ours / bare);
            let ratio = Median::of(ratios.collect()).context("no round was run")?;
            // Writing to a string does not fail.
            let _ = writeln!(
                text,
                "jwt_permission_warm: {:.2} [{:.2}–{:.2}] times that of Pingora with our allocator.",
                ratio.value, ratio.low, ratio.high,
            );
        }
        if let Some(theirs) = series("haproxy_jwt") {
            let rates = ours
                .rps
                .iter()
                .zip(&theirs.rps)
                .map(|(ours, theirs)| ours / theirs);
            let rate = Median::of(rates.collect()).context("no round was run")?;
            // Writing to a string does not fail.
            let _ = writeln!(
                text,
                "jwt_permission_warm: {:.2} [{:.2}–{:.2}] times the requests/s of HAProxy's `jwt_verify`; wanted is at \
                 least {WANTED_RATE}: {}.",
                rate.value,
                rate.low,
                rate.high,
                verdict(rate.value >= WANTED_RATE),
            );
        }
        Ok(text)
    }
}

/// One scenario in one round.
struct Measured {
    rps: f64,
    p50_us: f64,
    p99_us: f64,
    cpu_us: f64,
    rss_mb: f64,
}

/// Runs one scenario on fresh connections, after a short run that does not count.
async fn once(place: &Place<'_>, scenario: &Scenario, server: Option<&Server>) -> Result<Measured> {
    let address = server.map_or(place.upstream, |server| server.address);
    let connections = place.plan.connections;
    let mut pairs = Vec::new();
    for number in 0..connections {
        let is_cold = scenario.through == Through::FreshEdge;
        let turns = Turns::new(&scenario.requests, number, connections, is_cold);
        pairs.push((Connection::open(address).await?, turns));
    }
    let time = place.plan.time;
    load::run(&mut pairs, time / 10).await?;
    // Without a proxy it is this process that is looked at.
    let pid = server.map_or_else(std::process::id, Server::pid);
    let before = cpu::used(&[pid])?;
    let load = load::run(&mut pairs, time).await?;
    let after = cpu::used(&[pid])?;
    let used = after.iter().sum::<Duration>().saturating_sub(before.iter().sum());
    measured(&load, used, memory::resident(pid)?)
}

fn measured(load: &Load, used: Duration, resident: f64) -> Result<Measured> {
    ensure!(
        !load.latencies.is_empty(),
        "no answers: the tokens were used up before"
    );
    let answers = f64::from(u32::try_from(load.latencies.len()).context("too many answers")?);
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    let at = |percent| percentile(&load.latencies, percent).map_or(0.0, micros);
    Ok(Measured {
        rps: answers / load.took.as_secs_f64(),
        p50_us: at(50),
        p99_us: at(99),
        cpu_us: micros(used) / answers,
        rss_mb: resident / 1e6,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_shared_out_over_the_answers() {
        let load = Load {
            took: Duration::from_secs(2),
            latencies: vec![Duration::from_micros(10), Duration::from_micros(30)],
        };
        let one = measured(&load, Duration::from_micros(60), 2e6).expect("answers");
        assert_eq!((one.rps, one.cpu_us, one.rss_mb), (1.0, 30.0, 2.0));
        assert_eq!((one.p50_us, one.p99_us), (10.0, 30.0));
    }
}
