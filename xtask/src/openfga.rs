//! `cargo xtask openfga`: our permission engine against the official one, on as many random cases as one likes.

use std::path::PathBuf;
use std::process::Command;

use crate::tools::Tool;
use crate::{Doing as _, Failure, Outcome, cargo, python, tools};

/// What the comparison needs besides a build.
const NEEDED: &[Tool] = &[Tool::Cmake, Tool::CCompiler, Tool::Python];

/// How many cases there are if nothing else is said.
const CASES: u64 = 100_000;

/// The variable with the number of random cases for the tests.
pub const CASES_VARIABLE: &str = "SENTINEL_OPENFGA_CASES";

/// The variable with the seed that all random cases follow from.
pub const SEED_VARIABLE: &str = "SENTINEL_OPENFGA_SEED";

/// How many cases, and from which seed.
#[derive(Debug, PartialEq, Eq)]
struct Plan {
    cases: u64,
    seed: u64,
}

impl Plan {
    fn parse(args: &[String], any_seed: impl FnOnce() -> Outcome<u64>) -> Outcome<Self> {
        let (mut cases, mut seed) = (CASES, None);
        let mut rest = args.iter();
        while let Some(name) = rest.next() {
            let number = rest.next().and_then(|value| value.parse::<u64>().ok());
            match (name.as_str(), number) {
                ("--cases", Some(number)) if number > 0 => cases = number,
                ("--seed", Some(number)) => seed = Some(number),
                ("--cases" | "--seed", _) => {
                    return Err(Failure(format!("a number is expected after `{name}`")));
                }
                _ => return Err(Failure(format!("`{name}` is not known here"))),
            }
        }
        let seed = seed.map_or_else(any_seed, Ok)?;
        Ok(Self { cases, seed })
    }
}

/// Compares, with `args`.
///
/// # Errors
/// The arguments are not understood, something is missing, or the engines differ.
pub fn run(args: &[String]) -> Outcome {
    let plan = Plan::parse(args, any_seed)?;
    tools::require(NEEDED)?;
    install()?;
    let Plan { cases, seed } = plan;
    eprintln!("xtask: {cases} cases from seed {seed}");
    // Always the whole workspace: a part of it would resolve other features.
    let mut tests = cargo::cargo(["test", "--workspace", "--test", "openfga"]);
    tests
        .args(["--", "random_cases", "--nocapture"])
        .env(CASES_VARIABLE, cases.to_string())
        .env(SEED_VARIABLE, seed.to_string());
    cargo::run(&mut tests)
}

/// Installs the program `fga`, in exactly the version whose hash is listed with the tests, unless it is there.
///
/// # Errors
/// It cannot be fetched.
pub fn install() -> Outcome {
    let requirements = cargo::root().join("tests/openfga/requirements.txt");
    python::environment(&environment(), &requirements, &["--require-hashes"])
}

/// Where [`install`] puts the program.
pub fn program() -> PathBuf {
    environment().join("bin/fga")
}

fn environment() -> PathBuf {
    let built = cargo::target_dir();
    built.parent().unwrap_or(&built).join("openfga")
}

fn any_seed() -> Outcome<u64> {
    use std::io::Read as _;
    let mut bytes = [0_u8; 8];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut bytes))
        .doing(|| "read `/dev/urandom`".to_owned())?;
    // Short enough to be typed.
    Ok(u64::from_be_bytes(bytes) >> 32)
}

/// Whether the installed program runs.
///
/// # Errors
/// It does not.
pub fn version() -> Outcome<String> {
    let program = program();
    tools::output_of(Command::new(&program).arg("version")).ok_or_else(|| {
        Failure(format!(
            "`{}` does not run: `cargo xtask test` installs it",
            program.display()
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(args: &str) -> Outcome<Plan> {
        let args: Vec<String> = args.split_whitespace().map(str::to_owned).collect();
        Plan::parse(&args, || Ok(7))
    }

    #[test]
    fn many_cases_from_any_seed_unless_something_else_is_said() {
        let expected = |cases, seed| Plan { cases, seed };
        assert_eq!(plan("").expect("all"), expected(CASES, 7));
        assert_eq!(plan("--seed 3 --cases 10").expect("both"), expected(10, 3));
        for bad in ["--cases", "--cases 0", "--seed x", "more"] {
            assert!(plan(bad).is_err(), "{bad}");
        }
    }
}
