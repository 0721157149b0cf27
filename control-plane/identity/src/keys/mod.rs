//! Signing keys: RSA for tokens, one Ed25519 key for what edges are told. Private halves are encrypted in the database
//! and decrypted only here; whoever signs borrows a key, and no key leaves but through [`Keys::export`].
//!
//! Rotation overlaps: a new key signs at once, and the public half of the one before stays published until the last token
//! that it signed has expired by itself.

mod encryption;
mod feed;
mod pem;
mod rows;
mod rsa;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use secrecy::SecretString;
use sentinel_core::fact::SigningKeyFact;
use sentinel_core::{Change, Clock, Fact, Random, Revision, Timestamp};
use sentinel_store::{Database, StoreError, Tx, WriteTx};
use sentinel_token::{InvalidKeySet, KeySet};

pub use encryption::{EncryptionKey, InvalidEncryptionKey};
pub use feed::FeedKey;
pub use rsa::InvalidTokenKey;

pub(crate) use rsa::TokenKey;

use crate::Lifetimes;
use rows::Purpose;

/// How much longer than its last token a retired key stays published: clocks of several control planes differ, and a
/// lifetime may have been configured longer before.
const MARGIN: Duration = Duration::from_hours(1);

/// Why a signing key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no current key.
    #[error("there is no current `{0}` signing key: start the control plane once, it makes one")]
    Missing(&'static str),
    /// The private half cannot be decrypted.
    #[error(
        "signing key `{0}` cannot be decrypted: `secrets.encryption_key` is not the one that it was stored with"
    )]
    Decrypt(String),
    /// The private half was decrypted and is no key.
    #[error("signing key `{kid}` cannot be used")]
    Invalid {
        /// The key.
        kid: String,
        /// What is wrong with it.
        #[source]
        reason: InvalidTokenKey,
    },
    /// The key that should be imported is no RSA private key.
    #[error("the key cannot be imported")]
    Import(#[source] InvalidTokenKey),
    /// The key that should be imported is there already.
    #[error("signing key `{0}` is there already")]
    AlreadyThere(String),
    /// The published keys are no set.
    #[error("the published signing keys are not usable")]
    Set(#[from] InvalidKeySet),
    /// The cryptographic library refused to make a key.
    #[error("a key could not be made by the cryptographic library")]
    Generate,
}

/// What an administrator sees of a token key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyInfo {
    /// RFC 7638 thumbprint.
    pub kid: String,
    /// 0 is the one that signs.
    pub position: u32,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it leaves the published set; `None` for the one that signs.
    pub publish_until: Option<Timestamp>,
}

/// The service of signing keys. Cheap to clone.
#[derive(Clone)]
pub struct Keys(Arc<Inner>);

struct Inner {
    database: Database,
    encryption: EncryptionKey,
    lifetimes: Lifetimes,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    /// Decrypted token keys by `kid`; what a `kid` means never changes.
    opened: Mutex<HashMap<String, Arc<TokenKey>>>,
}

impl Keys {
    /// The service. `encryption` is the key that private halves are stored under.
    pub fn new(
        database: Database,
        encryption: EncryptionKey,
        lifetimes: Lifetimes,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Self {
        Self(Arc::new(Inner {
            database,
            encryption,
            lifetimes,
            clock,
            random,
            opened: Mutex::default(),
        }))
    }

    /// Makes the first keys if there are none, and checks that the stored ones can be decrypted. Several control planes
    /// may start at once: the write transaction lets one of them make the keys, and the others find them.
    pub async fn ensure(&self) -> Result<(), KeysError> {
        let mut tx = self.0.database.read().await?;
        let missing_token = rows::current(&mut tx, Purpose::Token).await?.is_none();
        let missing_feed = rows::current(&mut tx, Purpose::Feed).await?.is_none();
        drop(tx);
        if missing_token || missing_feed {
            // Made before the lock is taken: it takes a moment, and one too many is no harm.
            let token = if missing_token {
                Some(TokenKey::generate()?)
            } else {
                None
            };
            let feed = FeedKey::generate(&*self.0.random)?;
            let mut tx = self.0.database.write().await?;
            if let Some(token) = &token
                && rows::current(&mut tx, Purpose::Token).await?.is_none()
            {
                self.make_current(&mut tx, token).await?;
            }
            if rows::current(&mut tx, Purpose::Feed).await?.is_none() {
                let sealed = self.seal(Purpose::Feed, feed.kid(), feed.pkcs8());
                rows::insert(
                    &mut tx,
                    &rows::NewKey {
                        kid: feed.kid(),
                        purpose: Purpose::Feed,
                        algorithm: "EdDSA",
                        public_jwk: &feed.jwk(),
                        private_key: &sealed,
                        now: self.0.clock.now(),
                    },
                )
                .await?;
            }
            tx.commit().await?;
        }
        let mut tx = self.0.database.read().await?;
        self.current(&mut tx).await?;
        drop(tx);
        self.feed_key().await.map(|_| ())
    }

    /// The key that signs tokens now.
    pub(crate) async fn current(&self, tx: &mut Tx) -> Result<Arc<TokenKey>, KeysError> {
        let row = rows::current(tx, Purpose::Token)
            .await?
            .ok_or(KeysError::Missing("token"))?;
        if let Some(key) = self.opened().get(&row.kid) {
            return Ok(Arc::clone(key));
        }
        let pkcs8 = self.open(Purpose::Token, &row)?;
        let key = TokenKey::from_pkcs8(&pkcs8).map_err(|reason| KeysError::Invalid {
            kid: row.kid.clone(),
            reason,
        })?;
        let key = Arc::new(key);
        self.opened().insert(row.kid, Arc::clone(&key));
        Ok(key)
    }

    /// The published keys, read in the transaction: what verifies tokens when the replica is not asked.
    pub(crate) async fn published(&self, tx: &mut Tx) -> Result<KeySet, KeysError> {
        let facts = signing_facts(tx).await?;
        Ok(KeySet::from_facts(&facts)?)
    }

    /// The key that signs what edges are told.
    pub async fn feed_key(&self) -> Result<FeedKey, KeysError> {
        let mut tx = self.0.database.read().await?;
        let row = rows::current(&mut tx, Purpose::Feed)
            .await?
            .ok_or(KeysError::Missing("feed"))?;
        let pkcs8 = self.open(Purpose::Feed, &row)?;
        FeedKey::from_pkcs8(&pkcs8).ok_or_else(|| KeysError::Decrypt(row.kid))
    }

    /// Makes a new token key, which signs from now on. Answers its `kid` and the revision at which edges know it.
    pub async fn rotate(&self) -> Result<(String, Option<Revision>), KeysError> {
        self.replace(&TokenKey::generate()?).await
    }

    /// Takes an RSA private key (PEM, PKCS#8 or PKCS#1), which signs from now on.
    pub async fn import(&self, pem: &SecretString) -> Result<(String, Option<Revision>), KeysError> {
        let key = TokenKey::from_pem(pem).map_err(KeysError::Import)?;
        self.replace(&key).await
    }

    /// The private half of the key that signs now, as PEM (PKCS#8).
    pub async fn export(&self) -> Result<(String, SecretString), KeysError> {
        let mut tx = self.0.database.read().await?;
        let key = self.current(&mut tx).await?;
        Ok((key.kid().to_owned(), key.to_pem()))
    }

    /// The token keys, the one that signs first.
    pub async fn list(&self) -> Result<Vec<KeyInfo>, KeysError> {
        let mut tx = self.0.database.read().await?;
        let rows = rows::published(&mut tx).await?;
        rows.into_iter()
            .map(|row| {
                Ok(KeyInfo {
                    position: row.position()?,
                    kid: row.kid,
                    created_at: row.created_at,
                    publish_until: row.publish_until,
                })
            })
            .collect()
    }

    /// Takes keys out of the published set whose last token has expired. Answers how many.
    pub(crate) async fn sweep(&self, tx: &mut WriteTx, now: Timestamp) -> Result<usize, KeysError> {
        let gone = rows::delete_expired(tx, now).await?;
        for row in &gone {
            tx.record(Change::Delete(Fact::SigningKey(row.fact()?)));
            self.opened().remove(&row.kid);
        }
        Ok(gone.len())
    }

    async fn replace(&self, key: &TokenKey) -> Result<(String, Option<Revision>), KeysError> {
        let mut tx = self.0.database.write().await?;
        if rows::exists(&mut tx, key.kid()).await? {
            return Err(KeysError::AlreadyThere(key.kid().to_owned()));
        }
        self.make_current(&mut tx, key).await?;
        let revision = tx.commit().await?;
        Ok((key.kid().to_owned(), revision))
    }

    async fn make_current(&self, tx: &mut WriteTx, key: &TokenKey) -> Result<(), KeysError> {
        let now = self.0.clock.now();
        rows::retire(tx, now, now + self.0.lifetimes.longest() + MARGIN).await?;
        let sealed = self.seal(Purpose::Token, key.kid(), key.pkcs8());
        rows::insert(
            tx,
            &rows::NewKey {
                kid: key.kid(),
                purpose: Purpose::Token,
                algorithm: "RS256",
                public_jwk: &key.jwk().to_json(),
                private_key: &sealed,
                now,
            },
        )
        .await?;
        for fact in signing_facts(tx).await? {
            tx.record(Change::Put(Fact::SigningKey(fact)));
        }
        Ok(())
    }

    fn seal(&self, purpose: Purpose, kid: &str, pkcs8: &[u8]) -> Vec<u8> {
        self.0
            .encryption
            .seal(&context(purpose, kid), pkcs8, &*self.0.random)
    }

    fn open(&self, purpose: Purpose, row: &rows::CurrentRow) -> Result<secrecy::SecretSlice<u8>, KeysError> {
        row.private_key
            .as_deref()
            .and_then(|sealed| self.0.encryption.open(&context(purpose, &row.kid), sealed))
            .ok_or_else(|| KeysError::Decrypt(row.kid.clone()))
    }

    fn opened(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<TokenKey>>> {
        self.0.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a sealed key is bound to: it cannot be moved to another row or purpose.
fn context(purpose: Purpose, kid: &str) -> String {
    format!("sentinel signing key {} {kid}", purpose.as_str())
}

async fn signing_facts(tx: &mut Tx) -> Result<Vec<SigningKeyFact>, KeysError> {
    let rows = rows::published(tx).await?;
    Ok(rows.iter().map(rows::KeyRow::fact).collect::<Result<_, _>>()?)
}

/// The public token keys as facts.
pub(crate) async fn facts(tx: &mut Tx) -> Result<Vec<Fact>, KeysError> {
    Ok(signing_facts(tx)
        .await?
        .into_iter()
        .map(Fact::SigningKey)
        .collect())
}
