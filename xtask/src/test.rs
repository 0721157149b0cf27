//! `cargo xtask test`: every test of the workspace, on both databases.

use std::path::Path;
use std::process::Command;

use crate::postgres::Postgres;
use crate::redis::Redis;
use crate::{Outcome, cargo, openfga, python, tools};

/// Starts PostgreSQL and Redis, runs `cargo test --workspace` with `args`, and stops both again.
///
/// # Errors
/// A server is missing or does not start, or a test failed.
pub fn run(args: &[String]) -> Outcome {
    tools::require(tools::ALL)?;
    install_provider(&cargo::root().join("tests/oidc_provider"))?;
    let client = cargo::root().join("tests/python_sdk");
    python::environment(
        &client.join("venv"),
        &client.join("requirements.txt"),
        // The client's metadata asks for a newer Python than it needs.
        &["--ignore-requires-python"],
    )?;
    openfga::install()?;
    // The whole-system tests start the programs, so these are built first; together with everything else, so that
    // nothing is built twice with other features.
    cargo::run(&mut cargo::cargo(["build", "--workspace", "--all-targets"]))?;
    let postgres = Postgres::start()?;
    let redis = Redis::start()?;
    let mut tests = cargo::cargo(["test", "--workspace", "--no-fail-fast"]);
    tests
        .args(args)
        .env("SENTINEL_TEST_POSTGRES_URL", postgres.url())
        .env("SENTINEL_TEST_REDIS_URL", redis.url());
    cargo::run(&mut tests)
}

/// Installs the certified OpenID provider from its lock file, unless what is there came from the same one.
fn install_provider(dir: &Path) -> Outcome {
    let lock = std::fs::read(dir.join("package-lock.json")).unwrap_or_default();
    let installed = dir.join("node_modules/.installed-from");
    if !lock.is_empty() && std::fs::read(&installed).is_ok_and(|from| from == lock) {
        return Ok(());
    }
    let mut npm = Command::new("npm");
    npm.current_dir(dir)
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
    cargo::run(&mut npm)?;
    std::fs::write(&installed, lock)
        .map_err(|error| crate::Failure(format!("could not write `{}`: {error}", installed.display())))
}
