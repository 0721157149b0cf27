//! Running cargo and other programs in the root of the workspace.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Doing, Failure, Outcome};

/// The root of the workspace.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// Where cargo puts what it builds for development.
pub fn target_dir() -> PathBuf {
    // This program was itself built by cargo into that directory, or, when it is a test, into `deps` within it.
    let exe = std::env::current_exe().ok();
    let dir = exe.as_deref().and_then(Path::parent);
    match dir {
        Some(dir) if dir.ends_with("deps") => dir.parent().unwrap_or(dir).to_path_buf(),
        Some(dir) => dir.to_path_buf(),
        None => root().join("target/debug"),
    }
}

/// A command that runs cargo in the root of the workspace.
pub fn cargo<'a>(args: impl IntoIterator<Item = &'a str>) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.current_dir(root()).args(args);
    // What the cargo that started us says about this package is not true for others. Some build scripts look at it, and
    // would run again, with everything above them, at each turn from `cargo build` to `cargo xtask` and back.
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(is_about_this_package) {
            command.env_remove(name);
        }
    }
    command
}

/// Whether cargo sets the variable for the one package that it runs.
fn is_about_this_package(name: &str) -> bool {
    let one = [
        "CARGO_MANIFEST_DIR",
        "CARGO_MANIFEST_PATH",
        "CARGO_BIN_NAME",
        "CARGO_CRATE_NAME",
        "CARGO_PRIMARY_PACKAGE",
    ];
    name.starts_with("CARGO_PKG_") || one.contains(&name)
}

/// Runs a command to its end, with its output on ours.
///
/// # Errors
/// It cannot be started, or it ends without success.
pub fn run(command: &mut Command) -> Outcome {
    let shown = shown(command);
    eprintln!("xtask: {shown}");
    let status = command.status().doing(|| format!("run `{shown}`"))?;
    if status.success() {
        Ok(())
    } else {
        Err(Failure(format!("`{shown}` failed ({status})")))
    }
}

/// A command as a person would type it.
fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let mut words = vec![
        program
            .file_name()
            .unwrap_or(program.as_os_str())
            .to_string_lossy()
            .into_owned(),
    ];
    words.extend(command.get_args().map(|arg| arg.to_string_lossy().into_owned()));
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_command_is_named_with_its_arguments() {
        let failure = run(Command::new("/bin/sh").args(["-c", "exit 3"])).expect_err("exit 3");
        assert!(failure.0.starts_with("`sh -c exit 3` failed"), "{failure}");
    }

    #[test]
    fn a_program_that_does_not_exist_is_named() {
        let failure = run(&mut Command::new("/no/such/program")).expect_err("missing");
        assert!(failure.0.starts_with("could not run `program`"), "{failure}");
    }

    #[test]
    fn only_what_cargo_says_of_this_package_is_held_back() {
        assert!(is_about_this_package("CARGO_PKG_NAME"));
        assert!(is_about_this_package("CARGO_MANIFEST_DIR"));
        for kept in ["CARGO_HOME", "CARGO_TARGET_DIR", "CARGO_INCREMENTAL", "PATH"] {
            assert!(!is_about_this_package(kept), "{kept}");
        }
    }

    #[test]
    fn the_target_directory_is_above_that_of_tests() {
        assert!(!target_dir().ends_with("deps"));
    }

    #[test]
    fn the_root_is_where_the_workspace_is_declared() {
        let manifest = std::fs::read_to_string(root().join("Cargo.toml")).expect("the root's Cargo.toml");
        assert!(manifest.contains("[workspace]"));
    }
}
