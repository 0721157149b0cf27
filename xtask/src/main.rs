//! `cargo xtask …`: the project's own commands.

use std::process::ExitCode;

use xtask::{Failure, Outcome, bench, check, fuzz, openfga, quickstart, test, tools};

const HELP: &str = "\
usage: cargo xtask COMMAND

  quickstart [--once] [--export FILE] [--state DIR]
                build everything, start it on the embedded defaults and show the main job
  test [ARGS]   run every test on SQLite + memory and on PostgreSQL + Redis, both started and
                stopped by this command; ARGS go to `cargo test --workspace`
  bench control-plane [--json FILE] [--seconds N] [--rounds N] [--profile release|dev]
                measure the control plane on PostgreSQL and Redis, all started and stopped by this command
  bench edge [--json FILE] [--seconds N] [--rounds N] [--connections N] [--only NAME] [--profile release|dev]
                measure what the edge adds to a request, beside bare Pingora, and HAProxy and nginx where installed
  bench connections [--json FILE] [--connections N] [--seconds N] [--profile release|dev]
                what good clients notice of 10,000 that open connections and waste them, and what these cost the edge
  bench routes [--json FILE] [--profile release|dev]
                measure how long the edge looks for the route of a request
  fuzz [TARGET…] [--seconds N] [--jobs N]
                run the fuzz targets (all of them, a minute each, two at a time), instrumented
  openfga [--cases N] [--seed S]
                compare the permission engine with OpenFGA's on random cases (100,000 from a seed that is printed)
  check         what CI asks for: formatting, clippy, documentation, generated files, then the tests
  setup         install what the other commands need (Debian, as root), or say what to install
  help          this text
";

fn main() -> ExitCode {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    if fuzz::stands_for_rustc(&args) {
        eprintln!("xtask: {}", fuzz::rustc(&args));
        return ExitCode::FAILURE;
    }
    let command = if args.is_empty() {
        "help".to_owned()
    } else {
        args.remove(0)
    };
    match run(&command, &args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: &str, args: &[String]) -> Outcome {
    match command {
        "quickstart" => quickstart::run(args),
        "test" => test::run(args),
        "bench" => bench::run(args),
        "fuzz" => fuzz::run(args),
        "openfga" => openfga::run(args),
        "check" => check::run(),
        "setup" => tools::require(tools::ALL).map(drop),
        "help" | "--help" | "-h" => {
            print!("{HELP}");
            Ok(())
        }
        unknown => Err(Failure::new(format!("`{unknown}` is not a command\n\n{HELP}"))),
    }
}
