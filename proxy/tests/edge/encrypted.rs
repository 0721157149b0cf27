//! An edge with certificates, and clients that encrypt.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use sentinel_proxy::doorway::Limits;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::harness::{Client, POLICY, World};
use crate::testing::facts;

/// A world with a listener for TLS: the certificate `first` is for `a.example`, `wild` for `*.b.example`.
pub(crate) struct Encrypted {
    pub(crate) world: World,
    pub(crate) files: Files,
}

/// Files of certificates, readable by their owner only.
pub(crate) struct Files(TempDir);

impl Encrypted {
    pub(crate) async fn start() -> Self {
        Self::with(Limits::default(), "").await
    }

    /// With other limits, and more in `tls`, after a comma.
    pub(crate) async fn with(limits: Limits, tls: &str) -> Self {
        let files = Files(TempDir::new().expect("a directory"));
        files.write("first", &["a.example", "localhost"]);
        files.write("wild", &["*.b.example"]);
        let pair = |name: &str| {
            let path = |kind| files.path(name, kind).display().to_string();
            format!(
                "{{ certificate_file: {}, key_file: {} }}",
                path("pem"),
                path("key")
            )
        };
        let sections = format!(
            "tls: {{ certificates: [{}, {}] {tls} }}\nroutes: {POLICY}  - {{ match: \"GET c.b.example/public\", to: docs, public: true }}\n",
            pair("first"),
            pair("wild")
        );
        let world = World::listening(", https: 127.0.0.1:0", &sections, facts(), limits).await;
        world.replica.touch();
        Self { world, files }
    }

    /// A TCP connection to the listener for TLS.
    pub(crate) async fn connect(&self) -> TcpStream {
        let address = self.world.running.https().expect("configured");
        TcpStream::connect(address).await.expect("connected")
    }

    /// A handshake with this name, these protocols and these versions, that trusts every certificate in the files.
    pub(crate) async fn handshake(
        &self,
        name: &str,
        protocols: &[&str],
        versions: &[&'static SupportedProtocolVersion],
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let trusted = ["first", "wild"].map(|file| self.files.certificate(file));
        self.shake_hands(name, protocols, versions, &trusted).await
    }

    /// A handshake with this name, that trusts these certificates.
    pub(crate) async fn handshake_with(
        &self,
        name: &str,
        trusted: &[CertificateDer<'static>],
    ) -> std::io::Result<TlsStream<TcpStream>> {
        self.shake_hands(name, &[], rustls::ALL_VERSIONS, trusted).await
    }

    async fn shake_hands(
        &self,
        name: &str,
        protocols: &[&str],
        versions: &[&'static SupportedProtocolVersion],
        trusted: &[CertificateDer<'static>],
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        for certificate in trusted {
            roots.add(certificate.clone()).expect("a certificate");
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let name = ServerName::try_from(name.to_owned()).expect("a name");
        TlsConnector::from(Arc::new(config))
            .connect(name, self.connect().await)
            .await
    }

    /// An encrypted connection to `a.example`.
    pub(crate) async fn stream(&self, protocol: &str) -> TlsStream<TcpStream> {
        let stream = self
            .handshake("a.example", &[protocol], rustls::ALL_VERSIONS)
            .await;
        stream.expect("a handshake")
    }

    /// A client that speaks HTTP/1.1 to `a.example`.
    pub(crate) async fn client(&self) -> Client<TlsStream<TcpStream>> {
        Client::over(self.stream("http/1.1").await)
    }
}

impl Files {
    pub(crate) fn path(&self, name: &str, kind: &str) -> PathBuf {
        self.0.path().join(format!("{name}.{kind}"))
    }

    /// Makes a certificate and its key.
    pub(crate) fn write(&self, name: &str, names: &[&str]) {
        use std::os::unix::fs::PermissionsExt as _;
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
        for (kind, text) in [
            ("pem", made.cert.pem()),
            ("key", made.signing_key.serialize_pem()),
        ] {
            let path = self.path(name, kind);
            std::fs::write(&path, text).expect("written");
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("set");
        }
    }

    /// The certificate that is in a file now.
    pub(crate) fn certificate(&self, name: &str) -> CertificateDer<'static> {
        use rustls::pki_types::pem::PemObject as _;
        CertificateDer::from_pem_file(self.path(name, "pem")).expect("a certificate")
    }
}

/// What a client was shown.
pub(crate) fn shown(stream: &TlsStream<TcpStream>) -> CertificateDer<'static> {
    let chain = stream.get_ref().1.peer_certificates().expect("a chain");
    chain[0].clone().into_owned()
}
