//! `cargo xtask bench`: builds everything and hands over to the program that measures.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::tools::Tool;
use crate::{Failure, Outcome, cargo, tools};

/// What the measurements with a control plane need; the others only need what everything is built with.
const NEEDED: &[Tool] = &[Tool::Cmake, Tool::CCompiler, Tool::Postgres, Tool::Redis];

/// Those that need it.
const WITH_SERVERS: [&str; 3] = ["control-plane", "freshness", "consistency"];

/// How the programs are built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Profile {
    /// As they are shipped.
    Release,
    /// As the tests use them: for work on the measurement itself, not for figures.
    Dev,
}

impl Profile {
    /// Takes `--profile NAME` out of the arguments.
    fn take(args: &mut Vec<String>) -> Outcome<Self> {
        let Some(at) = args.iter().position(|arg| arg == "--profile") else {
            return Ok(Self::Release);
        };
        args.remove(at);
        let name = (at < args.len()).then(|| args.remove(at));
        match name.as_deref() {
            Some("release") => Ok(Self::Release),
            Some("dev") => Ok(Self::Dev),
            other => Err(Failure(format!(
                "`--profile {}` is none: `release` or `dev` is expected",
                other.unwrap_or_default()
            ))),
        }
    }

    /// Where cargo puts the programs; `dev` is where it puts those for development.
    fn dir(self, dev: &Path) -> PathBuf {
        match self {
            Self::Dev => dev.to_path_buf(),
            Self::Release => dev.parent().unwrap_or(dev).join("release"),
        }
    }
}

/// Builds all programs and becomes the one that measures, with `args`: this does not return when all goes well.
///
/// # Errors
/// Something is missing or does not build.
pub fn run(args: &[String]) -> Outcome {
    let mut args = args.to_vec();
    let profile = Profile::take(&mut args)?;
    let has_servers = args
        .first()
        .is_none_or(|first| WITH_SERVERS.contains(&first.as_str()));
    tools::require(if has_servers { NEEDED } else { tools::BUILD })?;
    // Always the whole workspace: a part of it would resolve other features.
    let mut build = cargo::cargo(["build", "--workspace", "--bins"]);
    if profile == Profile::Release {
        build.arg("--release");
    }
    cargo::run(&mut build)?;
    let program = profile.dir(&cargo::target_dir()).join("sentinel-bench");
    // In place of this process, so that Ctrl-C reaches the one that stops everything.
    let error = Command::new(&program).args(args).exec();
    Err(Failure(format!("could not run `{}`: {error}", program.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn the_profile_is_taken_out_and_the_rest_is_passed_on() {
        let mut args = words("control-plane --profile dev --rounds 3");
        assert_eq!(Profile::take(&mut args).expect("dev"), Profile::Dev);
        assert_eq!(args, words("control-plane --rounds 3"));
        assert_eq!(Profile::take(&mut args).expect("default"), Profile::Release);
        for bad in ["control-plane --profile", "control-plane --profile fast"] {
            assert!(Profile::take(&mut words(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn release_builds_lie_beside_those_for_development() {
        let dev = Path::new("/t/debug");
        assert_eq!(Profile::Release.dir(dev), Path::new("/t/release"));
        assert_eq!(Profile::Dev.dir(dev), dev);
    }
}
