//! Encryption: the certificates, which of them a client is shown, and reading them anew when their files change.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, bail};
use arc_swap::ArcSwap;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert, ServerConfig};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use secrecy::ExposeSecret as _;
use sentinel_config::edge::{self, TlsVersion};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// How often is looked whether a file has changed.
const LOOK: Duration = Duration::from_secs(10);

/// How the connections of a listener are encrypted. Clones are the same.
#[derive(Clone)]
pub struct Encryption {
    acceptor: TlsAcceptor,
    certificates: Arc<Certificates>,
}

impl Encryption {
    /// That of a configuration, if it has a listener for it.
    ///
    /// # Errors
    /// A file does not hold what it should; the error names it.
    pub fn of(config: &edge::Config) -> Result<Option<Self>> {
        let readable = config.danger_world_readable_secrets;
        let tls = config.tls.as_ref();
        tls.map(|tls| Self::load(tls, readable)).transpose()
    }

    /// What a configuration says, with the certificates that are in the files now.
    ///
    /// # Errors
    /// A file does not hold what it should; the error names it.
    fn load(tls: &edge::Tls, keys_may_be_readable: bool) -> Result<Self> {
        let provider = Arc::new(ring::default_provider());
        let certificates = Certificates::load(tls, keys_may_be_readable, &provider)?;
        let certificates = Arc::new(certificates);
        let versions: &[_] = match tls.min_version {
            TlsVersion::V12 => &[&TLS13, &TLS12],
            TlsVersion::V13 => &[&TLS13],
        };
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .context("no TLS version can be spoken")?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&certificates) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        // Clients keep their sessions themselves: nothing is remembered for those who do not come back.
        config.ticketer = ring::Ticketer::new().context("no key for session tickets can be made")?;
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            certificates,
        })
    }

    /// Looks after the files until `stop` says so. What cannot be used is logged, and the former certificates are kept.
    pub async fn follow_files(self, mut stop: watch::Receiver<bool>) {
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return,
                _ = looks.tick() => {}
            }
            let certificates = Arc::clone(&self.certificates);
            // Reading files blocks. It ends only with the runtime if it cannot be joined.
            let _ = tokio::task::spawn_blocking(move || certificates.look()).await;
        }
    }

    /// The handshake with a client.
    pub(super) async fn accept(&self, connection: TcpStream) -> std::io::Result<TlsStream<TcpStream>> {
        self.acceptor.accept(connection).await
    }
}

/// The certificates of a listener, and where they come from.
#[derive(Debug)]
struct Certificates {
    shown: ArcSwap<Shown>,
    files: Vec<edge::Certificate>,
    seen: ArcSwap<Vec<Stamp>>,
    keys_may_be_readable: bool,
    provider: Arc<CryptoProvider>,
}

/// Which certificate is for which name.
#[derive(Debug)]
struct Shown {
    all: Vec<Arc<CertifiedKey>>,
    /// By name in lower case.
    exact: HashMap<Box<str>, usize>,
    /// By what follows `*.`.
    wildcard: HashMap<Box<str>, usize>,
}

/// What is known of two files without reading them.
type Stamp = [Option<(SystemTime, u64)>; 2];

impl Certificates {
    fn load(tls: &edge::Tls, keys_may_be_readable: bool, provider: &Arc<CryptoProvider>) -> Result<Self> {
        let files = tls.certificates.clone();
        let seen = files.iter().map(stamp).collect();
        let pairs: Result<Vec<_>> = files
            .iter()
            .map(|files| read(files, keys_may_be_readable, provider))
            .collect();
        Ok(Self {
            shown: ArcSwap::from_pointee(Shown::new(pairs?)?),
            files,
            seen: ArcSwap::from_pointee(seen),
            keys_may_be_readable,
            provider: Arc::clone(provider),
        })
    }

    /// Reads those files anew that are not what they were at the last look.
    fn look(&self) {
        let (seen, shown) = (self.seen.load(), self.shown.load());
        let now: Vec<Stamp> = self.files.iter().map(stamp).collect();
        if now == **seen {
            return;
        }
        let mut all = shown.all.clone();
        for (index, files) in self.files.iter().enumerate() {
            if now.get(index) == seen.get(index) {
                continue;
            }
            match read(files, self.keys_may_be_readable, &self.provider) {
                Ok(pair) => {
                    tracing::info!(file = %files.certificate_file.display(), "a certificate was read anew");
                    if let Some(former) = all.get_mut(index) {
                        *former = Arc::new(pair);
                    }
                }
                Err(error) => {
                    let error = format!("{error:#}");
                    tracing::error!(
                        error,
                        "a changed certificate cannot be used: the former one is kept"
                    );
                }
            }
        }
        match Shown::of(all) {
            Ok(shown) => self.shown.store(Arc::new(shown)),
            Err(error) => {
                tracing::error!(%error, "changed certificates cannot be used: the former ones are kept");
            }
        }
        // What could not be used is looked at again when it has changed again.
        self.seen.store(Arc::new(now));
    }
}

impl Shown {
    fn new(pairs: Vec<CertifiedKey>) -> Result<Self> {
        Self::of(pairs.into_iter().map(Arc::new).collect())
    }

    /// Where several certificates have a name, the first one is for it.
    fn of(all: Vec<Arc<CertifiedKey>>) -> Result<Self> {
        let (mut exact, mut wildcard) = (HashMap::new(), HashMap::new());
        for (index, pair) in all.iter().enumerate() {
            let leaf = pair.end_entity_cert().context("there is no certificate")?;
            let leaf = webpki::EndEntityCert::try_from(leaf).context("a certificate cannot be read")?;
            for name in leaf.valid_dns_names() {
                let name = name.to_ascii_lowercase();
                let (names, name) = match name.strip_prefix("*.") {
                    Some(rest) => (&mut wildcard, rest),
                    None => (&mut exact, name.as_str()),
                };
                names.entry(Box::from(name)).or_insert(index);
            }
        }
        Ok(Self { all, exact, wildcard })
    }

    /// The certificate for a name: one that has it, one with a wildcard in place of its first label (RFC 6125 §6.4.3), or
    /// the first of all.
    fn find(&self, name: Option<&str>) -> Option<&Arc<CertifiedKey>> {
        let index = name.and_then(|name| {
            let name = name.to_ascii_lowercase();
            let parent = name.split_once('.').map(|(_, parent)| parent);
            let exact = self.exact.get(name.as_str());
            exact.or_else(|| self.wildcard.get(parent?)).copied()
        });
        self.all.get(index.unwrap_or_default())
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.shown.load().find(hello.server_name()).cloned()
    }
}

/// The certificate and the key that are in two files.
fn read(
    files: &edge::Certificate,
    keys_may_be_readable: bool,
    provider: &CryptoProvider,
) -> Result<CertifiedKey> {
    let (certificate, key) = (files.certificate_file.display(), files.key_file.display());
    let chain = files.read_chain().map_err(anyhow::Error::msg)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&chain).collect();
    let chain = chain.with_context(|| format!("`{certificate}` is not a chain of certificates in PEM"))?;
    if chain.is_empty() {
        bail!("`{certificate}` holds no certificate");
    }
    let secret = files.read_key(keys_may_be_readable).map_err(anyhow::Error::msg)?;
    // The cause would show what is in the file.
    let Ok(private) = PrivateKeyDer::from_pem_slice(secret.expose_secret().as_bytes()) else {
        bail!("`{key}` holds no private key in PEM");
    };
    CertifiedKey::from_der(chain, private, provider)
        .with_context(|| format!("`{key}` cannot be used with the certificate in `{certificate}`"))
}

fn stamp(files: &edge::Certificate) -> Stamp {
    let one = |path: &PathBuf| {
        let metadata = fs::metadata(Path::new(path)).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    };
    [one(&files.certificate_file), one(&files.key_file)]
}

#[cfg(test)]
mod tests;
