//! The command line: `serve`, `check` and `explain`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};
use sentinel_config::edge::{Config, TestToken};
use sentinel_config::{Environment, Log, LogFormat, load_edge};
use sentinel_core::id::WorkspaceId;
use sentinel_core::{Clock as _, SystemClock};
use tracing_subscriber::filter::LevelFilter;

use crate::authn::issuers::Issuers;
use crate::decision_log::line;
use crate::doorway::tls::Encryption;
use crate::explain::{self, Question, Who};
use crate::log_writer::{self, Writing};
use crate::policy_tests;
use crate::program;
use crate::relations::Wanted;
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
    /// Says whether a configuration is valid and its tests pass, and prints the routes as they are matched.
    Check {
        /// The configuration file.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Says why a request would be let through or not, by the replica that the edge keeps on disk.
    ///
    /// The edge may be running: nothing is locked or written. Ends with 0 if the request is permitted, with 3 if it is not,
    /// and with 1 if that cannot be said.
    Explain(ExplainArguments),
    /// Prints the JSON Schema of the configuration, for editors.
    Schema,
}

#[derive(Debug, clap::Args)]
struct ExplainArguments {
    /// The method of the request.
    method: String,
    /// Its address, such as `https://docs.example.com/documents/42`.
    url: String,
    /// Who makes it: `user:UUID`, `service:NAME`, `external:ISSUER|SUBJECT` or `nobody`. A user and a service may call
    /// together.
    #[arg(long = "as", value_name = "CALLER", required = true)]
    who: Vec<Who>,
    /// The workspace of the user's token. Needed if he is a member of several.
    #[arg(long, value_name = "UUID")]
    workspace: Option<WorkspaceId>,
    /// How the user's token comes: `access`, `cookie` or `authz`.
    #[arg(long, value_name = "KIND", default_value = "access", value_parser = parse_token)]
    token: TestToken,
    /// A header field of the request, such as `x-beta: 1`.
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = parse_field)]
    fields: Vec<(String, String)>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// The configuration file of the edge.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

/// What `explain` ends with if the request is not permitted.
const DENIED: u8 = 3;

/// Runs the program with the arguments and the environment of the process.
pub fn main() -> ExitCode {
    let environment: Environment = std::env::vars().collect();
    let outcome = match Arguments::parse().command {
        Command::Serve { config } => serve(&config, &environment).map(|()| ExitCode::SUCCESS),
        Command::Check { config } => check(&config, &environment).map(|table| {
            print!("{table}");
            ExitCode::SUCCESS
        }),
        Command::Explain(arguments) => explain(arguments, &environment).map(|(text, allowed)| {
            print!("{text}");
            if allowed {
                ExitCode::SUCCESS
            } else {
                ExitCode::from(DENIED)
            }
        }),
        Command::Schema => schema().map(|text| {
            println!("{text}");
            ExitCode::SUCCESS
        }),
    };
    match outcome {
        Ok(code) => code,
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

/// The compiled routes of a configuration whose tests pass, one a line.
fn check(path: &Path, environment: &Environment) -> Result<String> {
    let config = load(path, environment)?;
    let table = Table::compile(&config)?;
    Issuers::load(&config.issuers)?;
    Encryption::of(&config)?;
    let tests = policy_tests::run(&config, &table)?;
    let (file, routes) = (path.display(), table.routes().len());
    let mut lines = format!("`{file}` is valid: {routes} routes, {tests} tests passed\n");
    for route in table.routes() {
        lines.push_str(&route.to_string());
        lines.push('\n');
    }
    for note in policy_tests::unwatched(&config, &table) {
        lines.extend(["note: ", &note.to_string(), "\n"]);
    }
    for wanted in Wanted::all(&table) {
        let (route, relation) = (&wanted.route, &wanted.relation);
        if config.models.get(&relation.service).is_none() {
            let service = &relation.service;
            lines.extend([format!("note: whether `{service}` has `{relation}`, which `{route}` asks for, is found out when its model comes from the control plane: name a file with it under `models` to know it here\n")]);
        }
    }
    Ok(lines)
}

/// The explanation, and whether the request is permitted.
fn explain(arguments: ExplainArguments, environment: &Environment) -> Result<(String, bool)> {
    let config = load(&arguments.config, environment)?;
    let question = Question {
        request: format!("{} {}", arguments.method, arguments.url).parse()?,
        fields: arguments.fields,
        who: arguments.who,
        workspace: arguments.workspace,
        token: arguments.token,
    };
    let now = SystemClock.now();
    let report = explain::explain(&config, &explain::stored(&config, now)?, &question, now)?;
    let text = if arguments.json {
        serde_json::to_string_pretty(&report).context("the explanation cannot be written")? + "\n"
    } else {
        report.to_string()
    };
    Ok((text, report.answer.allowed))
}

fn parse_token(text: &str) -> Result<TestToken, String> {
    let token = TestToken::ALL.iter().find(|token| token.as_str() == text);
    let expected = || "`access`, `cookie` or `authz` is expected".to_owned();
    token.copied().ok_or_else(expected)
}

fn parse_field(text: &str) -> Result<(String, String), String> {
    let (name, value) = text
        .split_once(':')
        .ok_or("a name, `:` and a value are expected, as in `x-beta: 1`")?;
    let name = name.trim().to_ascii_lowercase();
    if matches!(
        name.as_str(),
        "authorization" | "x-service-key" | "x-authz-token" | "host"
    ) {
        return Err(format!(
            "`{name}` cannot be given: `--as` says who calls, and the address says which host"
        ));
    }
    Ok((name, value.trim().to_owned()))
}

fn schema() -> Result<String> {
    serde_json::to_string_pretty(&sentinel_config::edge::schema()).context("the schema cannot be written")
}

fn load(path: &Path, environment: &Environment) -> Result<Config> {
    load_edge(path, environment).context("the configuration was refused")
}

/// Starts the log of this process. What is waiting is written when the value that is returned goes.
///
/// # Errors
/// There can be no more threads.
pub fn init_log(log: &Log) -> Result<Writing> {
    let (writer, writing) = log_writer::start(std::io::stderr()).context("the log cannot be written")?;
    // The names of the two are the same.
    let level: LevelFilter = log.level.as_str().parse().unwrap_or(LevelFilter::INFO);
    if log.format == LogFormat::Json && level >= LevelFilter::INFO {
        line::write_to(writer.clone());
    }
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
            "is valid: 1 routes, 0 tests passed\nGET docs.example/healthz -> docs  public  (max_staleness 900s, timeout 30s)\n"
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
    fn check_runs_the_tests_of_the_policy() {
        let policy = |expect: &str| {
            file(&format!(
                "control_plane: {{ url: http://127.0.0.1:9003, edge_key: some-key }}
upstreams: {{ docs: {{ url: http://127.0.0.1:9000 }} }}
tests:
  - {{ request: GET https://docs.example/x, expect: {expect} }}
routes:
  - {{ match: GET docs.example/x, to: docs, require: {{ signed_in: true }} }}
"
            ))
        };
        let good = policy("401");
        let printed = check(good.path(), &Environment::new()).expect("it passes");
        assert!(printed.contains("1 routes, 1 tests passed\n"), "{printed}");
        let bad = policy("allow");
        let told = format!(
            "{:#}",
            check(bad.path(), &Environment::new()).expect_err("it fails")
        );
        assert!(
            told.contains("1 of 1 tests of the policy failed") && told.contains(":4:5: tests[0]: "),
            "{told}"
        );
    }

    #[test]
    fn header_fields_are_a_name_and_a_value_and_no_credential() {
        assert_eq!(
            parse_field("X-Beta:  a:b "),
            Ok(("x-beta".to_owned(), "a:b".to_owned()))
        );
        for bad in ["x-beta", "Authorization: Bearer x", "x-service-key: k"] {
            assert!(parse_field(bad).is_err(), "`{bad}`");
        }
        assert_eq!(parse_token("cookie"), Ok(TestToken::Cookie));
        assert!(parse_token("Cookie").is_err());
    }

    #[test]
    fn the_arguments_are_consistent() {
        use clap::CommandFactory as _;
        Arguments::command().debug_assert();
    }
}
