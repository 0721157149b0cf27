//! The command line: `serve` and `check`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};
use sentinel_config::edge::Config;
use sentinel_config::{Environment, Log, LogFormat, load_edge};
use tracing_subscriber::filter::LevelFilter;

use crate::log_writer::{self, Writing};
use crate::program;
use crate::routes::Table;

/// The Sentinel edge: a proxy that lets through whom it may.
#[derive(Debug, Parser)]
#[command(name = "sentinel-proxy", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves until it is told to stop.
    Serve {
        /// The configuration file.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Says whether a configuration is valid, and prints the routes as they are matched.
    Check {
        /// The configuration file.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Prints the JSON Schema of the configuration, for editors.
    Schema,
}

/// Runs the program with the arguments and the environment of the process.
pub fn main() -> ExitCode {
    let environment: Environment = std::env::vars().collect();
    let outcome = match Arguments::parse().command {
        Command::Serve { config } => serve(&config, &environment),
        Command::Check { config } => check(&config, &environment).map(|table| print!("{table}")),
        Command::Schema => schema().map(|text| println!("{text}")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn serve(path: &Path, environment: &Environment) -> Result<()> {
    let config = load(path, environment)?;
    let _writing = init_log(&config.log)?;
    program::run(&config)
}

/// The compiled routes of a configuration, one a line.
fn check(path: &Path, environment: &Environment) -> Result<String> {
    let config = load(path, environment)?;
    let table = Table::compile(&config)?;
    let mut lines = format!("`{}` is valid: {} routes\n", path.display(), table.routes().len());
    for route in table.routes() {
        lines.push_str(&route.to_string());
        lines.push('\n');
    }
    Ok(lines)
}

fn schema() -> Result<String> {
    serde_json::to_string_pretty(&sentinel_config::edge::schema()).context("the schema cannot be written")
}

fn load(path: &Path, environment: &Environment) -> Result<Config> {
    load_edge(path, environment).context("the configuration was refused")
}

fn init_log(log: &Log) -> Result<Writing> {
    let (writer, writing) = log_writer::start(std::io::stderr()).context("the log cannot be written")?;
    // The names of the two are the same.
    let level: LevelFilter = log.level.as_str().parse().unwrap_or(LevelFilter::INFO);
    let lines = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(move || writer.clone());
    match log.format {
        LogFormat::Json => lines.json().flatten_event(true).init(),
        LogFormat::Text => lines.init(),
    }
    Ok(writing)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(text.as_bytes()).expect("written");
        file
    }

    #[test]
    fn check_prints_the_table() {
        let file = file(
            "control_plane: { url: http://127.0.0.1:9003, edge_key: some-key }
upstreams: { docs: { url: http://127.0.0.1:9000 } }
routes:
  - { match: GET docs.example/healthz, to: docs, public: true }
",
        );
        let printed = check(file.path(), &Environment::new()).expect("valid");
        assert!(printed.ends_with(
            "is valid: 1 routes\nGET docs.example/healthz -> docs  public  (max_staleness 900s, timeout 30s)\n"
        ), "{printed}");
    }

    #[test]
    fn check_names_what_is_wrong() {
        let file = file("control_plane: { url: http://127.0.0.1:9003, edge_key: some-key }\nroute: []\n");
        let error = check(file.path(), &Environment::new()).expect_err("a mistyped key");
        assert!(
            format!("{error:#}").contains("`route` is not a setting here"),
            "{error:#}"
        );
    }

    #[test]
    fn the_arguments_are_consistent() {
        use clap::CommandFactory as _;
        Arguments::command().debug_assert();
    }
}
