//! The key of this edge: made at the first start that needs it, kept in the state directory, never sent anywhere.
//!
//! To replace it, delete the file and restart the edge: it makes another one and announces it.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use anyhow::{Context as _, Result, anyhow, bail};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use sentinel_core::Random;
use sentinel_core::random::secret_bytes;
use sentinel_token::AssertionKey;

/// The name of the file.
const FILE: &str = "assertion.key";

/// More than a key of this kind has; what is longer is none.
const LONGEST: u64 = 1024;

/// What is to be done about a file that is not used.
const REMEDY: &str = "delete the file, and the edge makes another key and announces it";

/// The private half, which does not print.
pub(super) struct SigningKey {
    pair: Ed25519KeyPair,
    public: AssertionKey,
}

impl SigningKey {
    /// The key in this directory. If there is none, one is made and kept there.
    ///
    /// # Errors
    /// The file cannot be read or written, is no key, or others may read it.
    pub(super) fn load_or_make(dir: &Path, random: &dyn Random) -> Result<Self> {
        let path = dir.join(FILE);
        match File::open(&path) {
            Ok(file) => Self::load(file)
                .with_context(|| format!("the assertion key `{}` cannot be used: {REMEDY}", path.display())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let key = Self::make(random)?;
                key.keep(dir, &path)
                    .with_context(|| format!("the assertion key `{}` cannot be written", path.display()))?;
                tracing::info!(key.id = key.public.kid(), "an assertion key was made");
                Ok(key)
            }
            Err(error) => {
                Err(error).with_context(|| format!("the assertion key `{}` cannot be read", path.display()))
            }
        }
    }

    pub(super) fn make(random: &dyn Random) -> Result<Self> {
        let pair = Ed25519KeyPair::from_seed_unchecked(&secret_bytes(random));
        Self::of(pair.map_err(|_| anyhow!("the cryptographic library made no key"))?)
    }

    /// The public half.
    pub(super) fn public(&self) -> AssertionKey {
        self.public
    }

    /// The signature of `message` (Ed25519, RFC 8032), 64 bytes.
    pub(super) fn sign(&self, message: &[u8]) -> impl AsRef<[u8]> + use<> {
        self.pair.sign(message)
    }

    fn load(file: File) -> Result<Self> {
        let mode = file.metadata()?.permissions().mode();
        if mode & 0o077 != 0 {
            bail!(
                "others than its owner may use it (mode {:o}), so it may have been copied",
                mode & 0o777
            );
        }
        let mut der = Vec::new();
        file.take(LONGEST).read_to_end(&mut der)?;
        let pair = Ed25519KeyPair::from_pkcs8(&der)
            .map_err(|_| anyhow!("it is not an Ed25519 key in PKCS#8 with its public half"))?;
        Self::of(pair)
    }

    fn of(pair: Ed25519KeyPair) -> Result<Self> {
        let public = pair.public_key().as_ref().try_into();
        let public = public.map_err(|_| anyhow!("the public half is not 32 bytes long"))?;
        Ok(Self {
            pair,
            public: AssertionKey::from_bytes(public),
        })
    }

    /// Writes the key where it was not: after a crash there is a whole key, or none.
    fn keep(&self, dir: &Path, path: &Path) -> Result<()> {
        let der = self
            .pair
            .to_pkcs8()
            .map_err(|_| anyhow!("the key has no PKCS#8 form"))?;
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let temporary = path.with_extension("key.new");
        // One that a crash left may have another mode.
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)?;
        file.write_all(der.as_ref())?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        File::open(dir)?.sync_all()?;
        Ok(())
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.public.kid())
    }
}

#[cfg(test)]
mod tests {
    use sentinel_core::SystemRandom;
    use tempfile::TempDir;

    use super::*;

    fn load_or_make(dir: &Path) -> Result<AssertionKey, String> {
        let key = SigningKey::load_or_make(dir, &SystemRandom);
        key.map(|key| key.public()).map_err(|error| format!("{error:#}"))
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("a file").permissions().mode() & 0o777
    }

    #[test]
    fn a_key_is_made_once_and_only_its_owner_may_read_it() {
        let parent = TempDir::new().expect("a directory");
        let dir = parent.path().join("state");
        let made = load_or_make(&dir).expect("made");
        assert_eq!((mode(&dir), mode(&dir.join(FILE))), (0o700, 0o600));
        assert_eq!(load_or_make(&dir), Ok(made));
        assert_eq!(
            fs::read_dir(&dir).expect("entries").count(),
            1,
            "nothing else is left"
        );
        fs::remove_file(dir.join(FILE)).expect("removed");
        assert_ne!(load_or_make(&dir).expect("another"), made);
    }

    #[test]
    fn what_a_crash_left_is_no_obstacle() {
        let dir = TempDir::new().expect("a directory");
        fs::write(dir.path().join("assertion.key.new"), "half a k").expect("written");
        load_or_make(dir.path()).expect("made");
        assert_eq!(mode(&dir.path().join(FILE)), 0o600);
    }

    #[test]
    fn a_file_that_is_damaged_or_that_others_may_read_is_refused_with_what_to_do() {
        let dir = TempDir::new().expect("a directory");
        load_or_make(dir.path()).expect("made");
        let path = dir.path().join(FILE);
        let good = fs::read(&path).expect("a key");
        for (told, bytes) in [
            ("empty", Vec::new()),
            ("cut off", good[..good.len() - 1].to_vec()),
            (
                "another public half",
                [&good[..good.len() - 1], &[good[good.len() - 1] ^ 1]].concat(),
            ),
            ("text", b"-----BEGIN PRIVATE KEY-----".to_vec()),
            ("endless", vec![0x30; 1 << 16]),
        ] {
            fs::write(&path, bytes).expect("written");
            let error = load_or_make(dir.path()).expect_err(told);
            assert!(
                error.contains(FILE) && error.contains("delete the file"),
                "{told}: {error}"
            );
        }
        fs::write(&path, &good).expect("written");
        for others in [0o640, 0o604, 0o620] {
            fs::set_permissions(&path, fs::Permissions::from_mode(others)).expect("set");
            let error = load_or_make(dir.path()).expect_err("others");
            assert!(
                error.contains("delete the file") && error.contains("others"),
                "{error}"
            );
        }
    }
}
