//! The official engine on the same data, where it is installed: `fga model test`, which asks an engine in its own process.
//!
//! A run with questions and one without are timed; the difference is what the questions take.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use sentinel_authz::sentinel;
use sentinel_core::Tuple;
use tokio::time::Instant;
use xtask::openfga;

use super::world::{Draw, Kind, MEMBERS, RESOURCES, World, member, resource_id};
use crate::statistics::Median;

/// It keeps all tuples in a list, and refuses more than some thousands.
const WORKSPACES: usize = 1;
const CHECKS: usize = 400;
const ROUNDS: usize = 3;

/// What was found out.
pub(super) enum Outcome {
    /// It is not there, and why.
    Absent(String),
    /// How long a check takes.
    Measured {
        /// In nanoseconds.
        check_ns: Median,
        /// Beside how many tuples.
        tuples: usize,
    },
}

/// Asks the official engine what is asked of ours.
pub(super) fn measure(world: &World) -> Result<Outcome> {
    let program = openfga::program();
    if !program.is_file()
        && let Err(error) = openfga::install()
    {
        return Ok(Outcome::Absent(format!(
            "not measured: the official engine cannot be installed: {error}"
        )));
    }
    let dir = tempfile::tempdir()?;
    let mut tuples = Vec::new();
    for workspace in 0..WORKSPACES {
        tuples.extend(world.tuples(workspace)?);
    }
    let (none, all) = (dir.path().join("none.fga.yaml"), dir.path().join("all.fga.yaml"));
    std::fs::write(&none, store(world, &tuples, 1)?)?;
    std::fs::write(&all, store(world, &tuples, 1 + CHECKS)?)?;
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let difference = time(&program, &all)? - time(&program, &none)?;
        times.push(difference.max(0.0) * 1e9 / f64::from(u32::try_from(CHECKS)?));
    }
    Ok(Outcome::Measured {
        check_ns: Median::of(times).context("no round")?,
        tuples: tuples.len(),
    })
}

/// Runs the tests of a store; they fail where the answers differ from what they expect, which is not looked at here.
fn time(program: &Path, file: &Path) -> Result<f64> {
    let mut command = Command::new(program);
    command.args(["model", "test", "--tests"]).arg(file);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let started = Instant::now();
    let status = command.status().context("`fga` does not run")?;
    let took = started.elapsed().as_secs_f64();
    ensure!(status.code().is_some(), "`fga` was killed");
    Ok(took)
}

/// A store as `fga model test` reads it, in JSON, which is YAML too.
fn store(world: &World, tuples: &[Tuple], checks: usize) -> Result<String> {
    let mut text = String::from("name: bench\nmodel: |\n");
    for line in sentinel::MODEL.lines() {
        writeln!(text, "  {line}")?;
    }
    text.push_str("tuples:\n");
    for tuple in tuples {
        writeln!(
            text,
            "  - {{ user: '{}', relation: '{}', object: '{}' }}",
            tuple.subject(),
            tuple.relation(),
            tuple.object()
        )?;
    }
    text.push_str("tests:\n  - name: bench\n    check:\n");
    let mut draw = Draw::new(Kind::Question, 3);
    for _ in 0..checks {
        let (workspace, number) = (draw.below(WORKSPACES), draw.below(RESOURCES));
        let object = sentinel::resource(
            &world.service,
            world.kind(number),
            &resource_id(workspace, number),
        )?;
        let user = sentinel::user(member(workspace, draw.below(MEMBERS)));
        writeln!(
            text,
            "      - {{ user: '{user}', object: '{object}', assertions: {{ can_view: true }} }}"
        )?;
    }
    Ok(text)
}
