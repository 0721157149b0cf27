//! Directories for throw-away servers, and free ports for them.

use std::net::TcpListener;
use std::ops::Range;
use std::os::unix::fs::{DirBuilderExt as _, chown};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::{Doing, Failure, Outcome, tools};

/// A directory that only its owner can read, removed when this value goes.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// A new directory whose name has `purpose` in it.
    ///
    /// # Errors
    /// The directory for temporary files cannot be written.
    pub fn new(purpose: &str) -> Outcome<Self> {
        let base = std::env::temp_dir();
        for number in 0..10_000_u32 {
            let path = base.join(format!("sentinel-{purpose}-{}-{number}", std::process::id()));
            match std::fs::DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self(path)),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error).doing(|| format!("create `{}`", path.display())),
            }
        }
        Err(Failure(format!(
            "`{}` is full of directories named sentinel-{purpose}-…: please remove them",
            base.display()
        )))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Hands the directory to an account.
    ///
    /// # Errors
    /// This process is not root.
    pub fn give_to(&self, account: Account) -> Outcome {
        chown(&self.0, Some(account.uid), Some(account.gid))
            .doing(|| format!("hand `{}` to another account", self.0.display()))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// An account of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    /// Its number.
    pub uid: u32,
    /// Its group's number.
    pub gid: u32,
}

impl Account {
    /// The account that a server must be run under which refuses root: none unless this process is root.
    ///
    /// # Errors
    /// There is neither `postgres` nor `nobody`.
    pub fn unprivileged() -> Outcome<Option<Self>> {
        if !tools::is_root() {
            return Ok(None);
        }
        let accounts = std::fs::read_to_string("/etc/passwd").doing(|| "read `/etc/passwd`".to_owned())?;
        ["postgres", "nobody"]
            .iter()
            .find_map(|name| Self::find(&accounts, name))
            .map(Some)
            .ok_or_else(|| {
                Failure::new("there is neither an account `postgres` nor `nobody` to run the server under")
            })
    }

    fn find(accounts: &str, name: &str) -> Option<Self> {
        accounts.lines().find_map(|line| {
            let mut fields = line.split(':');
            if fields.next()? != name {
                return None;
            }
            Some(Self {
                uid: fields.nth(1)?.parse().ok()?,
                gid: fields.next()?.parse().ok()?,
            })
        })
    }
}

/// Where [`free_port`] looks. Below the ports that Linux gives to whoever asks for any, outgoing connections among them: one
/// of those may be taken between its choice and the start of the server that it was chosen for.
const PORTS: Range<u16> = 20_000..32_000;

/// A loopback port that nobody listens on now. This process gets each one once.
///
/// # Errors
/// There is none.
pub fn free_port() -> Outcome<u16> {
    static NEXT: Mutex<Option<u16>> = Mutex::new(None);
    let mut next = NEXT.lock().unwrap_or_else(PoisonError::into_inner);
    let mut port = match *next {
        Some(port) => port,
        // Several processes may look at the same time.
        None => PORTS.start + u16::from_be_bytes(random()?) % (PORTS.end - PORTS.start),
    };
    for _ in PORTS {
        let candidate = port;
        port = if port + 1 < PORTS.end {
            port + 1
        } else {
            PORTS.start
        };
        if TcpListener::bind(("127.0.0.1", candidate)).is_ok() {
            *next = Some(port);
            return Ok(candidate);
        }
    }
    Err(Failure(format!("no port of {PORTS:?} is free")))
}

/// 128 bits from the operating system, in hexadecimal.
///
/// # Errors
/// The operating system has none.
pub fn secret() -> Outcome<String> {
    Ok(format!("{:032x}", u128::from_be_bytes(random()?)))
}

fn random<const LENGTH: usize>() -> Outcome<[u8; LENGTH]> {
    use std::io::Read as _;
    let mut bytes = [0_u8; LENGTH];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut bytes))
        .doing(|| "read `/dev/urandom`".to_owned())?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scratch_directories_are_private_distinct_and_go_away() {
        use std::os::unix::fs::PermissionsExt as _;
        let (one, two) = (
            Scratch::new("test").expect("one"),
            Scratch::new("test").expect("two"),
        );
        assert_ne!(one.path(), two.path());
        let mode = std::fs::metadata(one.path())
            .expect("metadata")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o700);
        let path = one.path().to_path_buf();
        drop(one);
        assert!(!path.exists());
    }

    #[test]
    fn accounts_are_found_by_name() {
        let passwd =
            "root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65533:nobody:/nonexistent:/usr/sbin/nologin\n";
        assert_eq!(
            Account::find(passwd, "nobody"),
            Some(Account {
                uid: 65534,
                gid: 65533
            })
        );
        assert_eq!(Account::find(passwd, "nobod"), None);
    }

    #[test]
    fn ports_are_free_and_handed_out_once() {
        let one = free_port().expect("one");
        let taken = TcpListener::bind(("127.0.0.1", one + 1));
        let two = free_port().expect("two");
        assert!(PORTS.contains(&one) && PORTS.contains(&two));
        assert_ne!(one, two);
        assert!(taken.is_err() || two != one + 1);
    }

    #[test]
    fn secrets_differ() {
        let (one, two) = (secret().expect("one"), secret().expect("two"));
        assert_eq!(one.len(), 32);
        assert_ne!(one, two);
    }
}
