//! `cargo xtask fuzz`: the fuzz targets under libFuzzer, with the code of this workspace instrumented, on stable Rust.
//!
//! The instrumentation is LLVM's own pass, asked for by ordinary `-C` flags. Only the packages of this workspace get them, by
//! way of `RUSTC_WORKSPACE_WRAPPER`, which is this program: dependencies come as they are from the ordinary build.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use crate::guard::Guarded;
use crate::tools::{self, Tool};
use crate::{Doing as _, Failure, Outcome, cargo};

/// How long each target runs, unless something else is said.
const SECONDS: u32 = 60;
/// How many targets run at the same time, unless something else is said.
const JOBS: usize = 2;
/// What an input may take: seconds, MiB, and bytes.
const LIMITS: [&str; 3] = ["-timeout=20", "-rss_limit_mb=2048", "-max_len=16384"];

/// What the compiler gets besides: edges are counted, comparisons are seen, and the code is fast and still checks itself.
const INSTRUMENTATION: [&str; 9] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Ccodegen-units=1",
    "-Copt-level=2",
    "-Cdebug-assertions=on",
    "-Coverflow-checks=on",
];

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
struct Plan {
    targets: Vec<String>,
    seconds: u32,
    jobs: usize,
}

impl Plan {
    /// From the arguments; without a target it is all of `known`.
    fn parse(args: &[String], known: &[String]) -> Outcome<Self> {
        let mut plan = Self {
            targets: Vec::new(),
            seconds: SECONDS,
            jobs: JOBS,
        };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--seconds" => plan.seconds = number(arg, args.next())?,
                "--jobs" => plan.jobs = number(arg, args.next())?,
                target if known.iter().any(|name| name == target) => plan.targets.push(target.to_owned()),
                unknown => {
                    return Err(Failure(format!(
                        "`{unknown}` is not a target: there are `{}`",
                        known.join("`, `")
                    )));
                }
            }
        }
        if plan.targets.is_empty() {
            plan.targets = known.to_vec();
        }
        Ok(plan)
    }
}

/// A number that is not 0.
fn number<N: std::str::FromStr + PartialEq + Default>(option: &str, value: Option<&String>) -> Outcome<N> {
    value
        .and_then(|value| value.parse().ok())
        .filter(|number| *number != N::default())
        .ok_or_else(|| Failure(format!("`{option}` is followed by a number from 1")))
}

/// Builds the targets and runs them, some at a time.
///
/// # Errors
/// Something is missing or does not build, or a target has found an input that breaks it.
pub fn run(args: &[String]) -> Outcome {
    let seeds = cargo::root().join("tests/fuzz/corpus");
    let plan = Plan::parse(args, &targets(&seeds)?)?;
    tools::require(&[Tool::Cmake, Tool::CCompiler])?;
    let program = build()?;
    let work = cargo::target_dir().join("fuzz");
    let mut waiting = plan.targets.iter();
    let mut running: Vec<Run> = Vec::new();
    let mut broken = Vec::new();
    loop {
        while running.len() < plan.jobs
            && let Some(target) = waiting.next()
        {
            running.push(Run::start(&program, target, &seeds, &work, plan.seconds)?);
        }
        if running.is_empty() {
            break;
        }
        sleep(Duration::from_millis(100));
        let mut still = Vec::new();
        for mut run in running {
            match run
                .process
                .ended()
                .doing(|| format!("wait for `{}`", run.target))?
            {
                None => still.push(run),
                Some(status) if status.success() => println!("{:<10} {}", run.target, run.summary()),
                Some(status) => {
                    println!("{:<10} {status}\n{}", run.target, run.last_words());
                    broken.push(run.target);
                }
            }
        }
        running = still;
    }
    if broken.is_empty() {
        return Ok(());
    }
    Err(Failure(format!(
        "`{}` broke; the inputs are in `{}`: put each into `tests/fuzz/corpus` when it is mended",
        broken.join("`, `"),
        work.display()
    )))
}

/// The names of the targets: those of the directories of their seeds.
fn targets(seeds: &Path) -> Outcome<Vec<String>> {
    let entries = fs::read_dir(seeds).doing(|| format!("read `{}`", seeds.display()))?;
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    names.sort();
    Ok(names)
}

/// The program with all targets, instrumented.
fn build() -> Outcome<PathBuf> {
    let wrapper = std::env::current_exe().doing(|| "find this program".to_owned())?;
    // Always the whole workspace: a part of it would resolve other features, and build all dependencies anew.
    let mut build = cargo::cargo([
        "build",
        "--workspace",
        "--features",
        "sentinel-fuzz/libfuzzer",
        "--bin",
        "sentinel-fuzz",
    ]);
    build.env("RUSTC_WORKSPACE_WRAPPER", wrapper);
    cargo::run(&mut build)?;
    Ok(cargo::target_dir().join("sentinel-fuzz"))
}

/// A target that is running.
struct Run {
    target: String,
    process: Guarded,
    log: PathBuf,
}

impl Run {
    fn start(program: &Path, target: &str, seeds: &Path, work: &Path, seconds: u32) -> Outcome<Self> {
        let dir = work.join(target);
        let corpus = dir.join("corpus");
        fs::create_dir_all(&corpus).doing(|| format!("make `{}`", corpus.display()))?;
        let log = dir.join("log");
        let output = File::create(&log).doing(|| format!("write `{}`", log.display()))?;
        let errors = output
            .try_clone()
            .doing(|| format!("write `{}`", log.display()))?;
        let mut command = Command::new(program);
        command
            .env("SENTINEL_FUZZ_TARGET", target)
            // New inputs go into the first directory; the seeds are only read.
            .args([corpus, seeds.join(target)])
            .arg(format!("-max_total_time={seconds}"))
            .arg(format!("-artifact_prefix={}/", dir.display()))
            .arg("-print_final_stats=1")
            .args(LIMITS)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors);
        let process = Guarded::spawn(&mut command, "KILL", None).doing(|| format!("start `{target}`"))?;
        Ok(Self {
            target: target.to_owned(),
            process,
            log,
        })
    }

    fn lines(&self) -> Vec<String> {
        let bytes = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&bytes)
            .lines()
            .map(str::to_owned)
            .collect()
    }

    /// How many inputs were tried, and how much of the code they reached.
    fn summary(&self) -> String {
        let lines = self.lines();
        let reached = lines.iter().rev().find_map(|line| line.split_once("cov: "));
        let tried = lines
            .iter()
            .rev()
            .find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
        format!(
            "{} inputs, {} edges",
            tried.unwrap_or("?").trim(),
            reached.map_or("?", |(_, rest)| rest.split(' ').next().unwrap_or("?"))
        )
    }

    fn last_words(&self) -> String {
        let lines = self.lines();
        let from = lines.len().saturating_sub(60);
        lines.get(from..).unwrap_or_default().join("\n")
    }
}

/// Whether cargo has started this program in place of the compiler: then the first argument is the compiler.
pub fn stands_for_rustc(args: &[String]) -> bool {
    let first = args.first().map(Path::new);
    first.is_some_and(|program| {
        program.is_absolute() && program.file_stem().is_some_and(|name| name == "rustc")
    })
}

/// Becomes the compiler, with flags for instrumentation where something is compiled that will be fuzzed. Returns only if that
/// fails.
pub fn rustc(args: &[String]) -> Failure {
    use std::os::unix::process::CommandExt as _;
    let (program, rest) = args
        .split_first()
        .map_or(("rustc", args), |(program, rest)| (program.as_str(), rest));
    let mut command = Command::new(program);
    command.args(rest);
    if is_fuzzed(rest) {
        command.args(INSTRUMENTATION);
    }
    Failure(format!("could not run `{program}`: {}", command.exec()))
}

/// Whether these arguments compile a library or the program with the targets. Build scripts and macros run inside of the
/// compiler's own processes, where nobody counts edges; and cargo asks questions about a crate `___` that there is not.
fn is_fuzzed(args: &[String]) -> bool {
    let after = |option: &str| {
        let at = args.iter().position(|arg| arg == option)?;
        args.get(at + 1).map(String::as_str)
    };
    let is_ours =
        after("--crate-name").is_some_and(|name| !name.starts_with("build_script_") && name != "___");
    is_ours && after("--crate-type") != Some("proc-macro")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn all_targets_run_for_a_minute_unless_something_else_is_said() {
        let known = words("jwt path");
        let plan = |args: &str| Plan::parse(&words(args), &known);
        let expected = |targets: &str, seconds, jobs| Plan {
            targets: words(targets),
            seconds,
            jobs,
        };
        assert_eq!(plan("").expect("all"), expected("jwt path", 60, 2));
        assert_eq!(
            plan("path --seconds 5 --jobs 1").expect("one"),
            expected("path", 5, 1)
        );
        for bad in ["nothing", "--seconds", "--seconds 0", "--jobs x"] {
            assert!(plan(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn every_directory_of_seeds_is_a_target() {
        let found = targets(&cargo::root().join("tests/fuzz/corpus")).expect("the corpora");
        assert_eq!(
            found,
            words("cookie forwarded frame head host jwks jwt model path policy snapshot")
        );
    }

    #[test]
    fn libraries_and_the_program_are_instrumented_and_nothing_else() {
        assert!(is_fuzzed(&words(
            "--crate-name sentinel_config --edition=2024 --crate-type lib"
        )));
        assert!(is_fuzzed(&words(
            "--crate-name sentinel_fuzz src/main.rs --crate-type bin"
        )));
        assert!(!is_fuzzed(&words(
            "--crate-name build_script_build build.rs --crate-type bin"
        )));
        assert!(!is_fuzzed(&words("--crate-name ours --crate-type proc-macro")));
        assert!(!is_fuzzed(&words("- --crate-name ___ --print=file-names")));
        assert!(!is_fuzzed(&words("-vV")));
    }

    #[test]
    fn cargo_hands_over_the_compiler_by_its_whole_path() {
        assert!(stands_for_rustc(&words("/usr/bin/rustc -vV")));
        assert!(!stands_for_rustc(&words("rustc")));
        assert!(!stands_for_rustc(&words("fuzz --seconds 5")));
        assert!(!stands_for_rustc(&[]));
    }
}
