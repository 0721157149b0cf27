//! The directory that a quickstart keeps its state in: its own, and used by one at a time.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

/// The file that shows whose directory it is, and that is locked while it is in use.
const MARKER: &str = "sentinel-quickstart.lock";

/// A locked, empty state directory.
#[derive(Debug)]
pub struct State {
    dir: PathBuf,
    _lock: File,
}

impl State {
    /// Takes `dir` and empties it: every quickstart begins anew.
    ///
    /// # Errors
    /// Another quickstart uses it, or it has files in it that no quickstart has made.
    pub fn take(dir: &Path) -> Result<Self> {
        let shown = dir.display();
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .with_context(|| format!("cannot create the state directory `{shown}`"))?;
        let dir = dir
            .canonicalize()
            .with_context(|| format!("cannot find the state directory `{shown}`"))?;
        let marker = dir.join(MARKER);
        let entries = || std::fs::read_dir(&dir).with_context(|| format!("cannot read `{shown}`"));
        if !marker.exists() && entries()?.next().is_some() {
            bail!(
                "`{shown}` has files in it that no quickstart has made: name another directory with --state"
            );
        }
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&marker)
            .with_context(|| format!("cannot write in `{shown}`"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                bail!("another quickstart runs on `{shown}`: stop it, or name another directory with --state")
            }
            Err(TryLockError::Error(error)) => return Err(error).context("cannot lock the state directory"),
        }
        for entry in entries()? {
            let path = entry.with_context(|| format!("cannot read `{shown}`"))?.path();
            if path == marker {
                continue;
            }
            let removed = if path.is_dir() {
                std::fs::remove_dir_all(&path)
            } else {
                std::fs::remove_file(&path)
            };
            removed.with_context(|| format!("cannot remove `{}`", path.display()))?;
        }
        Ok(Self { dir, _lock: lock })
    }

    /// A path in the directory.
    pub fn path(&self, name: &str) -> PathBuf {
        if name.is_empty() {
            self.dir.clone()
        } else {
            self.dir.join(name)
        }
    }

    /// Writes a file that only its owner can read.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.path(name);
        write_private(&path, text)?;
        Ok(path)
    }
}

/// Writes a file that only its owner can read.
///
/// # Errors
/// It cannot be written.
pub fn write_private(path: &Path, text: &str) -> Result<()> {
    let failed = || format!("cannot write `{}`", path.display());
    // A file that others may read already would keep its mode.
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error).with_context(failed),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(path)
        .with_context(failed)?;
    file.write_all(text.as_bytes()).with_context(failed)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_state_directory_begins_empty_and_belongs_to_one_at_a_time() {
        let parent = tempfile::tempdir().expect("directory");
        let dir = parent.path().join("state");
        let state = State::take(&dir).expect("first");
        let secret = state.write("secret", "x").expect("write");
        assert_eq!(
            std::fs::metadata(&secret).expect("file").permissions().mode() & 0o777,
            0o600
        );
        let error = State::take(&dir).expect_err("in use");
        assert!(error.to_string().contains("another quickstart"), "{error}");
        drop(state);
        let again = State::take(&dir).expect("second");
        assert!(!again.path("secret").exists());
    }

    #[test]
    fn files_of_somebody_else_are_left_alone() {
        let dir = tempfile::tempdir().expect("directory");
        let theirs = dir.path().join("thesis.txt");
        std::fs::write(&theirs, "precious").expect("write");
        let error = State::take(dir.path()).expect_err("not ours");
        assert!(error.to_string().contains("--state"), "{error}");
        assert!(theirs.exists());
    }
}
