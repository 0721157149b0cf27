//! The two programs, and the administration commands of the control plane that set things up.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, Result, bail};
use tokio::process::Command;

/// Where the programs are.
#[derive(Debug, Clone)]
pub struct Programs {
    /// `sentinel-control-plane`
    pub control_plane: PathBuf,
    /// `sentinel-proxy`
    pub proxy: PathBuf,
}

impl Programs {
    /// The programs in a directory.
    ///
    /// # Errors
    /// One of them is not there.
    pub fn in_dir(dir: &Path) -> Result<Self> {
        let find = |name: &str| {
            let path = dir.join(name);
            if path.is_file() {
                Ok(path)
            } else {
                bail!(
                    "`{}` is missing: build it with `cargo build --workspace --bins`",
                    path.display()
                )
            }
        };
        Ok(Self {
            control_plane: find("sentinel-control-plane")?,
            proxy: find("sentinel-proxy")?,
        })
    }

    /// The programs beside the running one.
    ///
    /// # Errors
    /// One of them is not there.
    pub fn beside_this_one() -> Result<Self> {
        let exe = std::env::current_exe().context("cannot find out where this program is")?;
        Self::in_dir(exe.parent().context("this program is in no directory")?)
    }

    /// Lays out the database.
    pub(super) async fn migrate(&self, config: &Path) -> Result<()> {
        self.administer(config, &["migrate"], None).await
    }

    /// Enrols an edge under a name, with the control plane's configuration; its key goes to a new file.
    ///
    /// # Errors
    /// The control plane's program says no.
    pub async fn enrol_edge(&self, config: &Path, name: &str, key: &Path) -> Result<()> {
        self.administer(config, &["admin", "edge", "create", "--name", name], Some(key))
            .await
    }

    /// Writes the current private signing key to a new file.
    pub(super) async fn export_signing_key(&self, config: &Path, file: &Path) -> Result<()> {
        self.administer(config, &["admin", "keys", "export"], Some(file))
            .await
    }

    async fn administer(&self, config: &Path, args: &[&str], out: Option<&Path>) -> Result<()> {
        let shown = format!("sentinel-control-plane {}", args.join(" "));
        let output = Command::new(&self.control_plane)
            .args(args)
            .arg("--config")
            .arg(config)
            .args(
                out.iter()
                    .flat_map(|file| [OsStr::new("--out"), file.as_os_str()]),
            )
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .with_context(|| format!("cannot run `{shown}`"))?;
        if !output.status.success() {
            let errors = String::from_utf8_lossy(&output.stderr);
            bail!("`{shown}` failed ({}): {}", output.status, errors.trim());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_was_not_built_is_named_with_the_command_that_builds_it() {
        let dir = tempfile::tempdir().expect("directory");
        let error = Programs::in_dir(dir.path()).expect_err("nothing there");
        let text = error.to_string();
        assert!(
            text.contains("sentinel-control-plane") && text.contains("cargo build"),
            "{text}"
        );
    }
}
