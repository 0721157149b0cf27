//! The other issuers whose tokens this edge verifies, and the keys that it knows of them.
//!
//! Keys are fetched in the background (`keeper`); a request looks at what is known and never waits. What is known stays
//! known: neither time nor an error takes keys away, only a good set in their place.

mod fetch;
mod gauges;
mod keeper;
#[cfg(test)]
pub(crate) mod testing;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use sentinel_config::edge::{self, IssuedTokens};
use sentinel_core::{Denial, Timestamp};
use sentinel_token::issuer::{InvalidIssuerKeys, IssuerKeys, IssuerVerifier, MAX_KEYS_BYTES};
use sentinel_token::{TokenError, VerifiedExternal, VerifiedIdentity};
use tokio::sync::Notify;
use tokio::time::Instant;

use fetch::Source;
pub use gauges::IssuerGauges;

/// All other issuers.
#[derive(Debug, Default)]
pub struct Issuers(Box<[Arc<Issuer>]>);

/// One of them.
#[derive(Debug)]
pub struct Issuer {
    name: Box<str>,
    makes: IssuedTokens,
    verifier: IssuerVerifier,
    source: Source,
    refresh: Duration,
    known: ArcSwapOption<Known>,
    /// Told when a token names a key that is not known.
    wanted: Notify,
    got: AtomicU64,
    failed: AtomicU64,
}

/// Keys that are known.
#[derive(Debug)]
struct Known {
    keys: IssuerKeys,
    since: Instant,
}

/// Why an issuer cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidIssuer {
    /// The file of keys cannot be read.
    #[error(
        "the keys of issuer `{issuer}` cannot be read from `{file}`: put a JWK Set there, or take `jwks_url`"
    )]
    Unreadable {
        /// The issuer's name.
        issuer: String,
        /// The file.
        file: PathBuf,
        /// What the system says.
        #[source]
        reason: std::io::Error,
    },
    /// The file has no good keys.
    #[error("the keys of issuer `{issuer}` in `{file}` are not accepted: {reason}")]
    Keys {
        /// The issuer's name.
        issuer: String,
        /// The file.
        file: PathBuf,
        /// What is wrong with them.
        #[source]
        reason: InvalidIssuerKeys,
    },
    /// The address of the keys cannot be made.
    #[error("the keys of issuer `{0}` cannot be found: write `jwks_url` or `keys_file`")]
    Source(String),
}

impl Issuers {
    /// Those of a configuration. Keys in files are read now; the others are not known before `Issuers::keep` has fetched them.
    ///
    /// # Errors
    /// A file has no good keys.
    pub fn load(configured: &BTreeMap<String, edge::Issuer>) -> Result<Self, InvalidIssuer> {
        configured
            .iter()
            .map(|(name, issuer)| Issuer::load(name, issuer).map(Arc::new))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Every one of them.
    pub fn iter(&self) -> impl Iterator<Item = &Issuer> {
        self.0.iter().map(AsRef::as_ref)
    }

    /// The one that calls itself so in its tokens, and its number.
    pub(super) fn called(&self, issuer: &str) -> Option<(usize, &Issuer)> {
        let mut all = self.iter().enumerate();
        all.find(|(_, known)| known.verifier.issuer() == issuer)
    }

    /// Whether these are the keys that the issuer with this number has now.
    pub(super) fn has(&self, number: usize, keys: &IssuerKeys) -> bool {
        let known = self.0.get(number).map(|issuer| issuer.known.load());
        known.is_some_and(|known| known.as_ref().is_some_and(|known| known.keys == *keys))
    }

    /// How many make ID tokens.
    pub(super) fn identity_providers(&self) -> usize {
        self.iter()
            .filter(|issuer| issuer.makes == IssuedTokens::Identity)
            .count()
    }
}

impl Issuer {
    fn load(name: &str, configured: &edge::Issuer) -> Result<Self, InvalidIssuer> {
        let source = match (&configured.keys_file, &configured.jwks_url) {
            (Some(_), _) => Source::File,
            (None, Some(url)) => Source::Keys(url.as_url().clone()),
            (None, None) => Source::Discovery {
                document: configured
                    .discovery_url()
                    .ok_or_else(|| InvalidIssuer::Source(name.to_owned()))?
                    .as_url()
                    .clone(),
                issuer: configured.issuer.clone(),
            },
        };
        let known = match &configured.keys_file {
            Some(file) => Some(Arc::new(Known {
                keys: read(name, file)?,
                since: Instant::now(),
            })),
            None => None,
        };
        Ok(Self {
            name: name.into(),
            makes: configured.tokens,
            verifier: IssuerVerifier::new(
                configured.issuer.as_str(),
                configured.audiences.clone(),
                configured.leeway,
            ),
            source,
            refresh: configured.refresh,
            known: ArcSwapOption::new(known),
            wanted: Notify::new(),
            got: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        })
    }

    /// Its name in the configuration.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What its tokens are good for.
    pub fn makes(&self) -> IssuedTokens {
        self.makes
    }

    /// The issuer as its tokens name it.
    pub(super) fn iss(&self) -> &str {
        self.verifier.issuer()
    }

    /// How long its keys have been known to be the newest; `None` if they are not known at all.
    pub fn age(&self) -> Option<Duration> {
        self.known.load().as_ref().map(|known| known.since.elapsed())
    }

    /// Verifies an access token, and gives the keys that it was verified with.
    pub(super) fn verify_access(
        &self,
        token: &str,
        now: Timestamp,
    ) -> Result<(VerifiedExternal, IssuerKeys), Denial> {
        self.verify(|verifier, keys| verifier.verify_access(token, keys, now))
    }

    /// Verifies an ID token, and gives the keys that it was verified with.
    pub(super) fn verify_identity(
        &self,
        token: &str,
        now: Timestamp,
    ) -> Result<(VerifiedIdentity, IssuerKeys), Denial> {
        self.verify(|verifier, keys| verifier.verify_identity(token, keys, now))
    }

    fn verify<T>(
        &self,
        verify: impl FnOnce(&IssuerVerifier, &IssuerKeys) -> Result<T, TokenError>,
    ) -> Result<(T, IssuerKeys), Denial> {
        let known = self.known.load();
        let keys = &known.as_ref().ok_or(Denial::KeysNotReady)?.keys;
        match verify(&self.verifier, keys) {
            Ok(verified) => Ok((verified, keys.clone())),
            Err(error) => {
                // The issuer may have a new one. Whoever shows this token is told no; by the time he tries again, it may be
                // known.
                if error == TokenError::UnknownKey {
                    self.wanted.notify_one();
                }
                Err(error.denial())
            }
        }
    }

    /// How often it was asked for its keys and gave them.
    fn got(&self) -> u64 {
        self.got.load(Ordering::Relaxed)
    }

    /// How often it was asked in vain.
    fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// Counts that it was asked.
    fn fetched(&self, in_vain: bool) {
        let counter = if in_vain { &self.failed } else { &self.got };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Keys that are its newest now. The same ones are kept as they are, so that tokens verified with them go on counting.
    pub(super) fn learn(&self, keys: IssuerKeys) {
        let known = self.known.load();
        let same = known
            .as_ref()
            .map(|known| &known.keys)
            .filter(|known| **known == keys);
        let keys = same.cloned().unwrap_or(keys);
        let since = Instant::now();
        self.known.store(Some(Arc::new(Known { keys, since })));
    }
}

/// The keys in a file.
fn read(issuer: &str, file: &Path) -> Result<IssuerKeys, InvalidIssuer> {
    let mut document = Vec::new();
    // One byte more than is accepted, and a file without an end is refused as well.
    let most = u64::try_from(MAX_KEYS_BYTES)
        .unwrap_or(u64::MAX)
        .saturating_add(1);
    File::open(file)
        .and_then(|opened| opened.take(most).read_to_end(&mut document))
        .map_err(|reason| InvalidIssuer::Unreadable {
            issuer: issuer.to_owned(),
            file: file.to_owned(),
            reason,
        })?;
    IssuerKeys::parse(&document).map_err(|reason| InvalidIssuer::Keys {
        issuer: issuer.to_owned(),
        file: file.to_owned(),
        reason,
    })
}
