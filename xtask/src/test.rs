//! `cargo xtask test`: every test of the workspace, on both databases.

use std::path::Path;
use std::process::Command;

use crate::postgres::Postgres;
use crate::redis::Redis;
use crate::{Doing as _, Outcome, cargo, tools};

/// Starts PostgreSQL and Redis, runs `cargo test --workspace` with `args`, and stops both again.
///
/// # Errors
/// A server is missing or does not start, or a test failed.
pub fn run(args: &[String]) -> Outcome {
    tools::require(tools::ALL)?;
    install_provider(&cargo::root().join("tests/oidc_provider"))?;
    install_python_client(&cargo::root().join("tests/python_sdk"))?;
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

/// Installs the published Python client, and nothing but the packages that are listed with it, into an environment of its
/// own, unless what is there came from the same list and the same Python.
fn install_python_client(dir: &Path) -> Outcome {
    let requirements = dir.join("requirements.txt");
    let listed =
        std::fs::read_to_string(&requirements).doing(|| format!("read `{}`", requirements.display()))?;
    let python = tools::output_of(Command::new("python3").arg("--version")).unwrap_or_default();
    let wanted = format!("# {python}{listed}");
    let environment = dir.join("venv");
    let installed = environment.join(".installed-from");
    if std::fs::read_to_string(&installed).is_ok_and(|from| from == wanted) {
        return Ok(());
    }
    let mut create = Command::new("python3");
    cargo::run(create.args(["-m", "venv", "--clear"]).arg(&environment))?;
    let pip = || {
        let mut command = Command::new(environment.join("bin/python"));
        command.args(["-m", "pip", "--disable-pip-version-check"]);
        command
    };
    let mut install = pip();
    install
        .args(["install", "--quiet", "--ignore-requires-python"])
        .args(["--no-deps", "--only-binary", ":all:", "--requirement"])
        .arg(&requirements);
    cargo::run(&mut install)?;
    // Whether the list is complete.
    cargo::run(pip().arg("check"))?;
    std::fs::write(&installed, wanted).doing(|| format!("write `{}`", installed.display()))
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
