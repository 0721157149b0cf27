//! Environments of Python packages, each from a list with exact versions.

use std::path::Path;
use std::process::Command;

use crate::{Doing as _, Outcome, cargo, tools};

/// Makes an environment in `dir` with the packages that `requirements` lists, and nothing but these, unless what is there
/// came from the same list and the same Python: then nothing is fetched. `pip` has further arguments for the installer.
///
/// # Errors
/// The list cannot be read, a package cannot be fetched, or the list is not complete.
pub fn environment(dir: &Path, requirements: &Path, pip: &[&str]) -> Outcome {
    let listed =
        std::fs::read_to_string(requirements).doing(|| format!("read `{}`", requirements.display()))?;
    let python = tools::output_of(Command::new("python3").arg("--version")).unwrap_or_default();
    let wanted = format!("# {python}{listed}");
    let installed = dir.join(".installed-from");
    if std::fs::read_to_string(&installed).is_ok_and(|from| from == wanted) {
        return Ok(());
    }
    let mut create = Command::new("python3");
    cargo::run(create.args(["-m", "venv", "--clear"]).arg(dir))?;
    let command = || {
        let mut command = Command::new(dir.join("bin/python"));
        command.args(["-m", "pip", "--disable-pip-version-check"]);
        command
    };
    let mut install = command();
    install
        .args(["install", "--quiet"])
        .args(pip)
        .args(["--no-deps", "--only-binary", ":all:", "--requirement"])
        .arg(requirements);
    cargo::run(&mut install)?;
    // Whether the list is complete.
    cargo::run(command().arg("check"))?;
    std::fs::write(&installed, wanted).doing(|| format!("write `{}`", installed.display()))
}
