//! What a fresh Debian machine lacks, how that is found out, and how it is installed.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{Failure, Outcome, cargo};

/// Something outside of cargo that a command needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// Pingora's zlib is built with it.
    Cmake,
    /// SQLite and the cryptographic library are built with it.
    CCompiler,
    /// The server programs of PostgreSQL.
    Postgres,
    /// The Redis server.
    Redis,
    /// Runs the certified OpenID provider against which the login is tested.
    Node,
    /// Installs that provider.
    Npm,
    /// Runs the published Python client against the control plane, in an environment of its own.
    Python,
}

/// What a build needs.
pub const BUILD: &[Tool] = &[Tool::Cmake, Tool::CCompiler];

/// What a build and all tests need.
pub const ALL: &[Tool] = &[
    Tool::Cmake,
    Tool::CCompiler,
    Tool::Postgres,
    Tool::Redis,
    Tool::Node,
    Tool::Npm,
    Tool::Python,
];

/// Succeeds if the Python that runs it is new enough for the client under test, and can make environments with pip.
const PYTHON_IS_USABLE: &str = "import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))";

/// The oldest Node.js that the provider under test runs on.
const OLDEST_NODE: u32 = 18;

impl Tool {
    /// The Debian packages that bring it.
    fn packages(self) -> &'static [&'static str] {
        match self {
            Self::Cmake => &["cmake"],
            // cmake drives make, and the C library's headers come apart from the compiler.
            Self::CCompiler => &["gcc", "g++", "libc6-dev", "make"],
            Self::Postgres => &["postgresql"],
            Self::Redis => &["redis-server"],
            Self::Node => &["nodejs"],
            Self::Npm => &["npm"],
            Self::Python => &["python3", "python3-venv"],
        }
    }

    fn is_present(self) -> bool {
        match self {
            Self::Cmake => on_path("cmake").is_some() && on_path("make").is_some(),
            Self::CCompiler => on_path("cc").is_some() && on_path("c++").is_some(),
            Self::Postgres => postgres_bin().is_some(),
            Self::Redis => on_path("redis-server").is_some(),
            Self::Node => node_major().is_some_and(|major| major >= OLDEST_NODE),
            Self::Npm => on_path("npm").is_some(),
            Self::Python => output_of(Command::new("python3").args(["-c", PYTHON_IS_USABLE])).is_some(),
        }
    }
}

/// Makes sure that all of `tools` are there: installs what is missing when run as root on Debian.
///
/// # Errors
/// Something is missing and cannot be installed from here; the text says what to run.
pub fn require(tools: &[Tool]) -> Outcome {
    let missing = missing(tools);
    if missing.is_empty() {
        return Ok(());
    }
    let line = install_line(&missing);
    if on_path("apt-get").is_none() {
        return Err(Failure(format!(
            "this is missing here, please install it: {} (named as in Debian)",
            packages(&missing).join(" ")
        )));
    }
    if !is_root() {
        return Err(Failure(format!(
            "something is missing; run this as root, then try again:\n\n    {line}\n"
        )));
    }
    eprintln!("xtask: installing what is missing: {line}");
    let apt = |args: &[&str]| {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive").args(args);
        cargo::run(command.stdin(Stdio::null()))
    };
    apt(&["update"])?;
    let mut install = vec!["install", "-y", "--no-install-recommends"];
    install.extend(packages(&missing));
    apt(&install)?;
    let still: Vec<Tool> = tools.iter().copied().filter(|tool| !tool.is_present()).collect();
    if still.is_empty() {
        Ok(())
    } else {
        Err(Failure(format!(
            "{still:?} is still missing although `{line}` succeeded (Node.js must be {OLDEST_NODE} or newer, Python \
             3.11)"
        )))
    }
}

fn missing(tools: &[Tool]) -> Vec<Tool> {
    tools.iter().copied().filter(|tool| !tool.is_present()).collect()
}

fn packages(tools: &[Tool]) -> Vec<&'static str> {
    tools.iter().flat_map(|tool| tool.packages()).copied().collect()
}

fn install_line(tools: &[Tool]) -> String {
    format!(
        "apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends {}",
        packages(tools).join(" ")
    )
}

/// Where a program is, if it is on the search path.
pub fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|dir| dir.join(program))
        .find(|file| file.is_file())
}

/// The directory of PostgreSQL's server programs: Debian keeps them off the search path, one directory a version.
pub fn postgres_bin() -> Option<PathBuf> {
    let version = |dir: &Path| -> Option<u32> { dir.file_name()?.to_str()?.parse().ok() };
    let mut found: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|dir| dir.join("bin/initdb").is_file() && dir.join("bin/postgres").is_file())
        .collect();
    found.sort_by_key(|dir| version(dir));
    found.pop().map(|dir| dir.join("bin")).or_else(|| {
        on_path("initdb")
            .filter(|_| on_path("postgres").is_some())
            .and_then(|file| file.parent().map(Path::to_path_buf))
    })
}

/// Whether this process runs as root.
pub fn is_root() -> bool {
    output_of(Command::new("id").arg("-u")).is_some_and(|uid| uid.trim() == "0")
}

fn node_major() -> Option<u32> {
    major_of(&output_of(Command::new("node").arg("--version"))?)
}

/// The first number of a version such as `v18.20.4`.
fn major_of(version: &str) -> Option<u32> {
    version
        .trim()
        .trim_start_matches('v')
        .split('.')
        .next()?
        .parse()
        .ok()
}

/// What a program prints, if it ends with success.
pub fn output_of(command: &mut Command) -> Option<String> {
    let output = command.stderr(Stdio::null()).output().ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_install_line_names_every_missing_package_once() {
        assert_eq!(
            install_line(&[Tool::Cmake, Tool::Redis]),
            "apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
             cmake redis-server"
        );
    }

    #[test]
    fn node_versions_are_read() {
        assert_eq!(major_of("v18.20.4\n"), Some(18));
        assert_eq!(major_of("v22.0.0"), Some(22));
        assert_eq!(major_of("not a version"), None);
    }

    #[test]
    fn a_shell_is_on_the_path_and_nonsense_is_not() {
        assert!(on_path("sh").is_some());
        assert!(on_path("no-such-program-anywhere").is_none());
    }

    #[test]
    fn every_tool_has_a_package_and_a_build_needs_less_than_the_tests() {
        assert!(ALL.iter().all(|tool| !tool.packages().is_empty()));
        assert!(BUILD.iter().all(|tool| ALL.contains(tool)));
        assert!(BUILD.len() < ALL.len());
    }
}
