//! `cargo xtask quickstart`: builds everything and hands over to the quickstart program.

use std::process::Command;

use crate::{Outcome, cargo, tools};

/// Builds all programs and runs the quickstart with `args`.
///
/// # Errors
/// Something is missing, does not build, or a step of the tour failed.
pub fn run(args: &[String]) -> Outcome {
    tools::require(tools::BUILD)?;
    build()?;
    let mut quickstart = Command::new(cargo::target_dir().join("sentinel-quickstart"));
    cargo::run(quickstart.args(args))
}

/// Builds every program. Always the whole workspace: a part of it would resolve other features, and build half of the
/// dependencies again.
fn build() -> Outcome {
    cargo::run(&mut cargo::cargo(["build", "--workspace", "--bins"]))
}
