//! `cargo xtask quickstart`: builds everything and hands over to the quickstart program.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use crate::{Failure, Outcome, cargo, tools};

/// Builds all programs and becomes the quickstart with `args`: this does not return when all goes well.
///
/// # Errors
/// Something is missing or does not build.
pub fn run(args: &[String]) -> Outcome {
    tools::require(tools::BUILD)?;
    build()?;
    let program = cargo::target_dir().join("sentinel-quickstart");
    // In place of this process, so that Ctrl-C reaches the one that stops everything, and waits for it.
    let error = Command::new(&program).args(args).exec();
    Err(Failure(format!("could not run `{}`: {error}", program.display())))
}

/// Builds every program. Always the whole workspace: a part of it would resolve other features, and build half of the
/// dependencies again.
fn build() -> Outcome {
    cargo::run(&mut cargo::cargo(["build", "--workspace", "--bins"]))
}
