//! What an edge keeps on disk, so that it can start again while the control plane is away.
//!
//! Three files, all of them in the control plane's words and with its signatures: the edge cannot make them, and reads
//! them as if a stranger had written them.
//!
//! - `replica.snapshot`: the signed manifest and the body.
//! - `replica.journal`: signed frames after it, appended. A crash may tear the last one; it is cut off.
//! - `replica.contact`: the last signed heartbeat and when it came, so that the age of the state is known after a restart.

mod contact;
mod files;
mod journal;
mod look;
mod restore;
mod seed;
mod writer;

#[cfg(not(test))]
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

#[cfg(test)]
use crate::simulation::fs;
use fs::File;

pub(crate) use contact::Contact;
pub use look::{Stored, stored};
pub(crate) use restore::{Restored, restore};
pub use seed::write_snapshot;
pub(crate) use writer::{OnFailure, Writer};

const SNAPSHOT: &str = "replica.snapshot";
const JOURNAL: &str = "replica.journal";
const CONTACT: &str = "replica.contact";

/// The directory, locked: two processes must not write one journal.
#[derive(Debug)]
pub(crate) struct StateDir {
    dir: PathBuf,
    _lock: File,
}

impl StateDir {
    /// Makes the directory if need be (readable by its owner only) and locks it.
    pub(crate) fn open(dir: &Path) -> io::Result<Self> {
        create_private(dir)?;
        let lock = private(File::options().write(true), &dir.join("replica.lock"))?;
        lock.try_lock().map_err(|error| match error {
            fs::TryLockError::Error(error) => error,
            fs::TryLockError::WouldBlock => io::Error::new(
                io::ErrorKind::ResourceBusy,
                "another process uses it: give each edge a `state_dir` of its own",
            ),
        })?;
        Ok(Self {
            dir: dir.to_owned(),
            _lock: lock,
        })
    }

    fn snapshot(&self) -> PathBuf {
        self.dir.join(SNAPSHOT)
    }

    fn journal(&self) -> PathBuf {
        self.dir.join(JOURNAL)
    }

    fn contact(&self) -> PathBuf {
        self.dir.join(CONTACT)
    }

    /// Puts a whole file in place of another: after a crash there is the old one or the new one.
    fn replace(&self, path: &Path, parts: &[&[u8]]) -> io::Result<()> {
        let temporary = path.with_extension("new");
        let mut file = private(File::options().write(true).truncate(true), &temporary)?;
        for part in parts {
            file.write_all(part)?;
        }
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        self.sync()
    }

    /// Waits until the names of the files are on disk as they are.
    fn sync(&self) -> io::Result<()> {
        File::open(&self.dir)?.sync_all()
    }
}

/// Opens a file, which is made if it is not there, for its owner only.
#[cfg(unix)]
fn private(options: &mut fs::OpenOptions, path: &Path) -> io::Result<File> {
    use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
    let file = options.create(true).mode(0o600).open(path)?;
    // One that was there keeps the mode that it had.
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    Ok(file)
}

#[cfg(not(unix))]
fn private(options: &mut fs::OpenOptions, path: &Path) -> io::Result<File> {
    options.create(true).open(path)
}

#[cfg(unix)]
fn create_private(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

#[cfg(not(unix))]
fn create_private(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)
}

#[cfg(test)]
mod tests;
