//! `sentinel-bench`: what `cargo xtask bench` becomes when everything is built.

use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use clap::{Args, Parser, Subcommand};
use sentinel_bench::control_plane::{self, Plan, Scale};
use sentinel_bench::report::write_json;
use sentinel_bench::{authz, connections, consistency, edge, freshness, routes};
use sentinel_quickstart::system::Programs;
use tokio::signal::ctrl_c;
use tokio::signal::unix::{SignalKind, signal};

/// The edge's, for all that run here as proxies; the load hardly allocates.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures the programs that lie beside this one.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench", version)]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Checks and refreshes on the control plane, with PostgreSQL and Redis.
    ControlPlane(Measurement),
    /// Requests through the edge, beside bare Pingora and other proxies.
    Edge(EdgeArguments),
    /// How long the edge looks for the route of a request.
    Routes(Routes),
    /// The permission engine and the replica: checks, memory, lists, loading, changes.
    #[command(disable_help_flag = true)]
    Authz(Passed),
    /// From a commit on the control plane until edges decide by it, with PostgreSQL and Redis.
    Freshness(Freshness),
    /// Whether whoever has seen a write is ever judged by less, while cables are cut and programs killed.
    Consistency(Consistency),
    /// Good clients beside thousands that open connections and waste them.
    Connections(ConnectionArguments),
    /// A proxy of `edge`: Pingora alone.
    #[command(hide = true)]
    ServeBare(Part),
    /// A proxy of `edge`: ours.
    #[command(hide = true)]
    ServeEdge(Part),
}

#[derive(Debug, Args)]
struct Measurement {
    /// Write the figures to this file, as a JSON array.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// How long each measurement of a round takes.
    #[arg(long, value_name = "N", default_value_t = 3.0)]
    seconds: f64,
    /// How often everything is measured, by turns.
    #[arg(long, value_name = "N", default_value_t = 5)]
    rounds: usize,
    /// Connections at the same time.
    ///
    /// Default: 8 for `control-plane`, 16 for `edge`.
    #[arg(long, value_name = "N")]
    connections: Option<usize>,
}

#[derive(Debug, Args)]
struct EdgeArguments {
    #[command(flatten)]
    measurement: Measurement,
    /// Measure only this line of the table beside `bare`; may be given several times.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
}

#[derive(Debug, Args)]
struct ConnectionArguments {
    /// Write the figures to this file, as a JSON array.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// How many there are.
    #[arg(long = "connections", value_name = "N", default_value_t = 10_000)]
    count: usize,
    /// How long the good clients are looked at, without the others and with them.
    #[arg(long, value_name = "N", default_value_t = 20.0)]
    seconds: f64,
}

#[derive(Debug, Args)]
struct Routes {
    /// Write the figures to this file, as a JSON array.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// What goes to a program of its own.
#[derive(Debug, Args)]
struct Passed {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

#[derive(Debug, Args)]
struct Freshness {
    /// Write the figures to this file, as a JSON array.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// How long is written with each number of edges.
    #[arg(long, value_name = "N", default_value_t = 10.0)]
    seconds: f64,
    /// How many writes are begun in a second.
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    writes: u32,
    /// Measure only this line of the table; may be given several times.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
}

#[derive(Debug, Args)]
struct Consistency {
    /// How many pairs of a write and a request that has seen it.
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    pairs: u64,
    /// What all choices are made by; the time is not.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Cut and kill nothing.
    #[arg(long)]
    without_faults: bool,
}

#[derive(Debug, Args)]
struct Part {
    /// Where files are shared with the process that measures.
    #[arg(long)]
    dir: PathBuf,
    /// Where to listen on loopback.
    #[arg(long)]
    port: u16,
    /// The service.
    #[arg(long)]
    upstream: SocketAddr,
    /// Tuples in the replica.
    #[arg(long, default_value_t = 0)]
    tuples: usize,
}

fn main() -> ExitCode {
    let result = match Arguments::parse().what {
        What::ControlPlane(arguments) => measured(control_plane(arguments)),
        What::Edge(arguments) => measured(edge(arguments)),
        What::Routes(arguments) => measured(async { look_up(&arguments) }),
        What::Authz(passed) => engine(&passed.arguments),
        What::Freshness(arguments) => measured(freshness(arguments)),
        What::Consistency(arguments) => measured(consistency(arguments)),
        What::Connections(arguments) => measured(connections(arguments)),
        What::ServeBare(part) => edge::serve_bare(&part.dir, part.port, part.upstream),
        What::ServeEdge(part) => edge::serve_edge(&part.dir, part.tuples),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sentinel-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs a measurement to its end, or until it is interrupted. Dropping it stops everything that it has started and removes
/// its files.
fn measured(measurement: impl Future<Output = Result<()>>) -> Result<()> {
    // One thread for all connections: the other processors are the server's.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        tokio::select! {
            result = measurement => result,
            result = interrupted() => result.and_then(|()| bail!("interrupted")),
        }
    })
}

/// Ends with Ctrl-C or SIGTERM.
async fn interrupted() -> Result<()> {
    let mut terminations = signal(SignalKind::terminate())?;
    tokio::select! {
        result = ctrl_c() => result?,
        _ = terminations.recv() => {}
    }
    Ok(())
}

async fn control_plane(arguments: Measurement) -> Result<()> {
    let connections = arguments.connections(8);
    let (time, json) = (arguments.check(Scale::USUAL.members)?, arguments.json);
    let outcome = control_plane::run(&Plan {
        programs: Programs::beside_this_one()?,
        scale: Scale::USUAL,
        connections,
        time,
        rounds: arguments.rounds,
    })
    .await?;
    print!("{}", outcome.text);
    json.map_or(Ok(()), |file| write_json(&file, &outcome.figures))
}

async fn edge(EdgeArguments { measurement, only }: EdgeArguments) -> Result<()> {
    let connections = measurement.connections(16);
    let (time, json) = (measurement.check(1000)?, measurement.json);
    let outcome = edge::run(&edge::Plan {
        bare: std::env::current_exe()?.with_file_name("sentinel-bench-bare"),
        program: std::env::current_exe()?,
        scale: edge::Scale::USUAL,
        connections,
        time,
        rounds: measurement.rounds,
        only,
    })
    .await?;
    print!("{}", outcome.text);
    json.map_or(Ok(()), |file| write_json(&file, &outcome.figures))
}

/// Becomes the program that measures the engine: its allocator counts, and this one's does not.
fn engine(arguments: &[String]) -> Result<()> {
    let program = authz::program()?;
    let error = Command::new(&program).args(arguments).exec();
    bail!("could not run `{}`: {error}", program.display())
}

fn look_up(arguments: &Routes) -> Result<()> {
    let outcome = routes::measure()?;
    print!("{}", outcome.text);
    arguments
        .json
        .as_deref()
        .map_or(Ok(()), |file| write_json(file, &outcome.figures))
}

async fn freshness(arguments: Freshness) -> Result<()> {
    ensure!(
        (0.1..=600.0).contains(&arguments.seconds),
        "`--seconds`: 0.1 to 600 is expected"
    );
    ensure!(
        (1..=100_000).contains(&arguments.writes),
        "`--writes`: 1 to 100000 is expected"
    );
    let outcome = freshness::run(&freshness::Plan {
        programs: Programs::beside_this_one()?,
        writes_per_second: arguments.writes,
        time: Duration::from_secs_f64(arguments.seconds),
        only: arguments.only,
    })
    .await?;
    print!("{}", outcome.text);
    arguments
        .json
        .map_or(Ok(()), |file| write_json(&file, &outcome.figures))
}

async fn consistency(arguments: Consistency) -> Result<()> {
    let outcome = consistency::run(&consistency::Plan {
        programs: Programs::beside_this_one()?,
        pairs: arguments.pairs,
        seed: arguments.seed,
        faults: !arguments.without_faults,
    })
    .await?;
    print!("{}", outcome.text);
    ensure!(
        outcome.violations == 0,
        "somebody was judged by less than he had seen"
    );
    Ok(())
}

async fn connections(arguments: ConnectionArguments) -> Result<()> {
    ensure!(
        (1..=100_000).contains(&arguments.count),
        "`--connections`: 1 to 100000 is expected"
    );
    ensure!(
        (0.1..=600.0).contains(&arguments.seconds),
        "`--seconds`: 0.1 to 600 is expected"
    );
    let outcome = connections::run(&connections::Plan {
        program: Programs::beside_this_one()?.proxy,
        connections: arguments.count,
        time: Duration::from_secs_f64(arguments.seconds),
    })
    .await?;
    print!("{}", outcome.text);
    arguments
        .json
        .map_or(Ok(()), |file| write_json(&file, &outcome.figures))
}

impl Measurement {
    /// How many connections there are, if `usual` of them unless told otherwise.
    fn connections(&self, usual: usize) -> usize {
        self.connections.unwrap_or(usual)
    }

    /// How long each measurement takes, if everything is within bounds.
    fn check(&self, most_connections: usize) -> Result<Duration> {
        ensure!(
            (0.1..=60.0).contains(&self.seconds),
            "`--seconds`: 0.1 to 60 is expected"
        );
        ensure!(
            (1..=100).contains(&self.rounds),
            "`--rounds`: 1 to 100 is expected"
        );
        ensure!(
            (1..=most_connections).contains(&self.connections(1)),
            "`--connections`: 1 to {most_connections} is expected"
        );
        Ok(Duration::from_secs_f64(self.seconds))
    }
}
