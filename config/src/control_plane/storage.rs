//! Where the control plane keeps what it knows.

use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret as _, SecretSlice, SecretString};

use crate::section::{Reader, Section, section};
use crate::value::between;

section! {
    /// The database: PostgreSQL for a deployment, SQLite for one machine.
    check check_database;
    pub struct Database {
        /// `postgres://user:password@host/name`, or `sqlite:///path/to/file.db` with the full path of a file.
        ///
        /// Default: the SQLite file `sentinel.db` in `data_dir`.
        pub(crate) url: Option<SecretString>,
        /// The most connections to the database at once, 1 to 1000.
        pub max_connections: u32 = "10",
    }
}

section! {
    /// Short-lived state: login state, authorization codes, rate limits, lockouts. It may be lost without harm.
    check check_short_lived;
    pub struct ShortLived {
        /// `redis://…` or `rediss://…`. Needed as soon as there are two control planes.
        ///
        /// Default: the memory of the process.
        pub redis_url: Option<SecretString>,
    }
}

section! {
    /// Keys of the control plane itself.
    check check_secrets;
    pub struct Secrets {
        /// The key that encrypts private signing keys in the database: 32 bytes as 43 characters of base64url or 64
        /// of hex. `openssl rand -hex 32` makes one.
        ///
        /// Default: with SQLite one is made at the first start and kept in `data_dir`. With PostgreSQL it must be
        /// written, since all control planes share it.
        pub(crate) encryption_key: Option<SecretString>,
    }
}

section! {
    /// The log of changes from which edges catch up. An edge that is further behind fetches a snapshot.
    check check_change_log;
    pub struct ChangeLog {
        /// How long a change is kept, 1m to 365d.
        pub keep: Duration = "24h",
        /// How many of the latest changes are kept, however old they are.
        pub keep_at_least: u32 = "10000",
    }
}

/// The key that encrypts private signing keys at rest.
#[derive(Debug, Clone)]
pub enum EncryptionKey {
    /// It was configured: 32 bytes.
    Given(SecretSlice<u8>),
    /// It is in this file, which is made with a fresh key if it does not exist.
    KeptIn(PathBuf),
}

impl Database {
    /// Whether the database is an embedded one, which belongs to this control plane alone.
    pub(super) fn is_embedded(&self) -> bool {
        self.url
            .as_ref()
            .is_none_or(|url| url.expose_secret().starts_with("sqlite:"))
    }

    /// The database to connect to.
    pub(super) fn url(&self, data_dir: &Path) -> SecretString {
        self.url
            .clone()
            .unwrap_or_else(|| sqlite_url(&data_dir.join("sentinel.db")).into())
    }
}

impl Secrets {
    pub(super) fn encryption_key(&self, data_dir: &Path) -> EncryptionKey {
        match self.encryption_key.as_ref().and_then(decode_key) {
            Some(key) => EncryptionKey::Given(key),
            None => EncryptionKey::KeptIn(data_dir.join("encryption.key")),
        }
    }

    /// A database that several control planes share needs a key that they share.
    pub(super) fn check_for(&self, database: &Database, root: &Section<'_>, reader: &mut Reader<'_>) {
        if self.encryption_key.is_none() && !database.is_embedded() {
            let place = root.place_of("secrets");
            reader.problem_at(
                place.node.at.clone(),
                "secrets.encryption_key".to_owned(),
                "`encryption_key` or `encryption_key_file` is missing: with PostgreSQL all control planes share it; `openssl rand -hex 32` makes one",
            );
        }
    }
}

fn check_database(database: &Database, section: &Section<'_>, reader: &mut Reader<'_>) {
    if !(1..=1000).contains(&database.max_connections) {
        let given = database.max_connections;
        reader.problem(
            &section.place_of("max_connections"),
            format!("`{given}` is out of bounds: 1 to 1000 is accepted"),
        );
    }
    let Some(url) = &database.url else { return };
    let url = url.expose_secret();
    let schemes = ["postgres://", "postgresql://", "sqlite:///"];
    if !schemes.iter().any(|scheme| url.starts_with(scheme)) {
        reader.problem(&section.place_of("url"), "a database URL begins with `postgres://`, or is `sqlite://` and the full path of a file, as in `sqlite:///var/lib/sentinel/sentinel.db`");
    }
}

fn check_short_lived(short_lived: &ShortLived, section: &Section<'_>, reader: &mut Reader<'_>) {
    let Some(url) = &short_lived.redis_url else { return };
    if !["redis://", "rediss://"]
        .iter()
        .any(|scheme| url.expose_secret().starts_with(scheme))
    {
        reader.problem(
            &section.place_of("redis_url"),
            "a Redis URL begins with `redis://` or `rediss://`",
        );
    }
}

fn check_secrets(secrets: &Secrets, section: &Section<'_>, reader: &mut Reader<'_>) {
    if secrets
        .encryption_key
        .as_ref()
        .is_some_and(|key| decode_key(key).is_none())
    {
        reader.problem(&section.place_of("encryption_key"), "the key is not 32 bytes in base64url (43 characters) or hex (64 characters): `openssl rand -hex 32` makes one");
    }
}

fn check_change_log(change_log: &ChangeLog, section: &Section<'_>, reader: &mut Reader<'_>) {
    let (minute, day) = (Duration::from_mins(1), Duration::from_hours(24));
    between(section, "keep", change_log.keep, (minute, 365 * day), reader);
}

fn decode_key(text: &SecretString) -> Option<SecretSlice<u8>> {
    let text = text.expose_secret();
    let bytes = match text.len() {
        43 => URL_SAFE_NO_PAD.decode(text).ok()?,
        64 => (0..64)
            .step_by(2)
            .map(|at| decode_byte(text.get(at..at + 2)?))
            .collect::<Option<_>>()?,
        _ => return None,
    };
    (bytes.len() == 32).then(|| bytes.into())
}

fn decode_byte(pair: &str) -> Option<u8> {
    pair.bytes()
        .all(|b| b.is_ascii_hexdigit())
        .then(|| u8::from_str_radix(pair, 16).ok())
        .flatten()
}

/// The URL of a SQLite file; the characters that mean something in a URL are written as escapes.
fn sqlite_url(file: &Path) -> String {
    let path = file
        .to_string_lossy()
        .replace('%', "%25")
        .replace('?', "%3F")
        .replace('#', "%23");
    format!("sqlite://{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_in_a_url_means_the_same_path() {
        assert_eq!(
            sqlite_url(Path::new("/data/sentinel.db")),
            "sqlite:///data/sentinel.db"
        );
        assert_eq!(
            sqlite_url(Path::new("/a b/100%/x?y#z.db")),
            "sqlite:///a b/100%25/x%3Fy%23z.db"
        );
    }

    #[test]
    fn only_32_bytes_are_a_key() {
        let decode = |text: &str| decode_key(&text.into()).map(|key| key.expose_secret().to_vec());
        assert_eq!(decode(&"0aF0".repeat(16)), Some([0x0A, 0xF0].repeat(16)));
        assert_eq!(decode(&"A".repeat(43)), Some(vec![0; 32]));
        for bad in [
            "",
            &"A".repeat(42),
            &"A".repeat(44),
            &"=".repeat(43),
            &"g".repeat(64),
            &"0".repeat(63),
            &"+f".repeat(32),
        ] {
            assert_eq!(decode(bad), None, "`{bad}`");
        }
    }

    #[test]
    fn without_a_url_the_database_is_embedded() {
        let database = |url: Option<&str>| Database {
            url: url.map(Into::into),
            max_connections: 1,
        };
        assert!(database(None).is_embedded());
        assert!(database(Some("sqlite:///a.db")).is_embedded());
        assert!(!database(Some("postgres://h/d")).is_embedded());
        let url = database(None).url(Path::new("/data"));
        assert_eq!(url.expose_secret(), "sqlite:///data/sentinel.db");
    }
}
