//! `cargo xtask …`: the project's own commands.

use std::process::ExitCode;

use xtask::{Failure, Outcome, bench, check, quickstart, test, tools};

const HELP: &str = "\
usage: cargo xtask COMMAND

  quickstart [--once] [--export FILE] [--state DIR]
                build everything, start it on the embedded defaults and show the main job
  test [ARGS]   run every test on SQLite + memory and on PostgreSQL + Redis, both started and
                stopped by this command; ARGS go to `cargo test --workspace`
  bench control-plane [--json FILE] [--seconds N] [--rounds N] [--profile release|dev]
                measure the control plane on PostgreSQL and Redis, all started and stopped by this command
  check         what CI asks for: formatting, clippy, documentation, generated files, then the tests
  setup         install what the other commands need (Debian, as root), or say what to install
  help          this text
";

fn main() -> ExitCode {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
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
        "check" => check::run(),
        "setup" => tools::require(tools::ALL).map(drop),
        "help" | "--help" | "-h" => {
            print!("{HELP}");
            Ok(())
        }
        unknown => Err(Failure::new(format!("`{unknown}` is not a command\n\n{HELP}"))),
    }
}
