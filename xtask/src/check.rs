//! `cargo xtask check`: everything that CI asks for.

use crate::{Outcome, cargo, test, tools};

/// Formatting, clippy, documentation, generated files, then the tests.
///
/// # Errors
/// The first of them that is not as it should be.
pub fn run() -> Outcome {
    tools::require(tools::ALL)?;
    cargo::run(&mut cargo::cargo(["fmt", "--all", "--check"]))?;
    cargo::run(&mut cargo::cargo([
        "clippy",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]))?;
    let mut doc = cargo::cargo(["doc", "--workspace", "--no-deps", "--document-private-items"]);
    cargo::run(doc.env("RUSTDOCFLAGS", "-D warnings"))?;
    test::run(&[])
}
