//! `sentinel-bench`: what `cargo xtask bench` becomes when everything is built.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use clap::{Args, Parser, Subcommand};
use sentinel_bench::control_plane::{self, Plan, Scale};
use sentinel_bench::report::write_json;
use sentinel_quickstart::system::Programs;
use tokio::signal::ctrl_c;
use tokio::signal::unix::{SignalKind, signal};

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
    ControlPlane(ControlPlane),
}

#[derive(Debug, Args)]
struct ControlPlane {
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
    #[arg(long, value_name = "N", default_value_t = 8)]
    connections: usize,
}

// One thread for all connections: the other processors are the server's.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let What::ControlPlane(arguments) = Arguments::parse().what;
    // Dropping the measurement stops everything that it has started and removes its files.
    let result = tokio::select! {
        result = measure(arguments) => result,
        result = interrupted() => result.and_then(|()| bail!("interrupted")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sentinel-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
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

async fn measure(arguments: ControlPlane) -> Result<()> {
    let ControlPlane {
        json,
        seconds,
        rounds,
        connections,
    } = arguments;
    ensure!(
        (0.1..=60.0).contains(&seconds),
        "`--seconds`: 0.1 to 60 is expected"
    );
    ensure!((1..=100).contains(&rounds), "`--rounds`: 1 to 100 is expected");
    ensure!(
        (1..=Scale::USUAL.members).contains(&connections),
        "`--connections`: 1 to {} is expected",
        Scale::USUAL.members
    );
    let outcome = control_plane::run(&Plan {
        programs: Programs::beside_this_one()?,
        scale: Scale::USUAL,
        connections,
        time: Duration::from_secs_f64(seconds),
        rounds,
    })
    .await?;
    print!("{}", outcome.text);
    match json {
        Some(file) => write_json(&file, &outcome.figures),
        None => Ok(()),
    }
}
