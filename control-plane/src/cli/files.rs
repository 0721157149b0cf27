//! Files with secrets: made anew, readable by their owner alone, never overwritten.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use secrecy::{ExposeSecret, SecretString};

/// Writes a secret to a new file with mode 0600.
///
/// # Errors
/// A file that is there already is left as it is.
pub(crate) fn write_secret(path: &Path, secret: &SecretString) -> anyhow::Result<()> {
    create(path, secret.expose_secret()).with_context(|| {
        format!(
            "`{}` cannot be written: give a file that does not exist, in a directory that does",
            path.display()
        )
    })
}

/// The secret in a file, or a fresh one that is written to it first. Of several programs that start at once one writes,
/// and the others read what it wrote.
pub(crate) fn read_or_make(path: &Path, make: impl FnOnce() -> SecretString) -> anyhow::Result<SecretString> {
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory)
            .with_context(|| format!("the directory `{}` cannot be made", directory.display()))?;
    }
    if !path.exists() {
        // Written beside it and linked into place, so that nobody reads half a key.
        let fresh = path.with_extension(format!("{}.new", std::process::id()));
        create(&fresh, make().expose_secret())
            .with_context(|| format!("`{}` cannot be written", fresh.display()))?;
        let linked = std::fs::hard_link(&fresh, path);
        std::fs::remove_file(&fresh).with_context(|| format!("`{}` cannot be removed", fresh.display()))?;
        match linked {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                return Err(error).with_context(|| format!("`{}` cannot be written", path.display()));
            }
            _ => {}
        }
    }
    let text =
        std::fs::read_to_string(path).with_context(|| format!("`{}` cannot be read", path.display()))?;
    Ok(text.trim().to_owned().into())
}

fn create(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())?;
    if !text.ends_with('\n') {
        file.write_all(b"\n")?;
    }
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_secret_is_for_its_owner_only_and_never_overwritten() {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().join("edge.key");
        write_secret(&path, &"one".to_owned().into()).expect("written");
        assert_eq!(
            std::fs::metadata(&path).expect("file").permissions().mode() & 0o777,
            0o600
        );
        let error = write_secret(&path, &"two".to_owned().into()).expect_err("is there");
        assert!(error.to_string().contains("edge.key"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).expect("file"), "one\n");
    }

    #[test]
    fn a_key_is_made_once() {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().join("data").join("encryption.key");
        let first = read_or_make(&path, || "first".to_owned().into()).expect("made");
        let second = read_or_make(&path, || "second".to_owned().into()).expect("read");
        assert_eq!(first.expose_secret(), "first");
        assert_eq!(second.expose_secret(), "first");
        let left: Vec<_> = std::fs::read_dir(path.parent().expect("parent"))
            .expect("list")
            .collect();
        assert_eq!(left.len(), 1);
    }
}
