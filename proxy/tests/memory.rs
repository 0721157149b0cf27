//! What a flood leaves in memory: the real program, clients that write HTTP/2 frames by hand, and the kernel's word for how
//! large the program is.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use sentinel_core::SystemRandom;
use sentinel_token::{FeedVerifyKey, PlainEdgeKey};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_mins(1);
/// How many clients flood at once.
const CLIENTS: usize = 8;
/// What each of them sends, in bytes.
const SENT: usize = 192 * 1024;
/// How many times as much the program may grow by.
const FACTOR: usize = 10;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

struct Edge {
    process: Child,
    https: SocketAddr,
    connector: TlsConnector,
}

impl Edge {
    fn start(directory: &Path, service: SocketAddr) -> Self {
        let made = rcgen::generate_simple_self_signed(["a.example".to_owned()]).expect("a certificate");
        for (name, text) in [
            ("a.pem", made.cert.pem()),
            ("a.key", made.signing_key.serialize_pem()),
        ] {
            std::fs::write(directory.join(name), text).expect("written");
            std::fs::set_permissions(directory.join(name), std::fs::Permissions::from_mode(0o600))
                .expect("set");
        }
        let edge_key = PlainEdgeKey::generate(&SystemRandom, FeedVerifyKey::from_bytes([0; 32]));
        let text = format!(
            "listen: {{ http: 127.0.0.1:0, https: 127.0.0.1:0, admin: 127.0.0.1:0 }}
tls: {{ certificates: [{{ certificate_file: a.pem, key_file: a.key }}] }}
control_plane: {{ url: http://127.0.0.1:1, edge_key: '{}' }}
state_dir: ./state
upstreams: {{ docs: {{ url: http://{service} }} }}
routes: [{{ match: GET a.example/, to: docs, public: true }}]
",
            edge_key.expose()
        );
        std::fs::write(directory.join("edge.yaml"), text).expect("written");
        let mut process = Command::new(env!("CARGO_BIN_EXE_sentinel-proxy"))
            .args(["serve", "--config"])
            .arg(directory.join("edge.yaml"))
            .stderr(Stdio::piped())
            .spawn()
            .expect("started");
        let mut log = BufReader::new(process.stderr.take().expect("a log")).lines();
        let listening = log
            .by_ref()
            .find_map(|line| line.ok().filter(|line| line.contains("the edge is listening")));
        std::thread::spawn(move || log.for_each(drop));
        let line: serde_json::Value = serde_json::from_str(&listening.expect("a line")).expect("JSON");
        let https = line["listen.https"].as_str().expect("an address");
        let mut roots = RootCertStore::empty();
        let certificate = CertificateDer::from_pem_slice(made.cert.pem().as_bytes()).expect("PEM");
        roots.add(certificate).expect("a certificate");
        let mut client =
            ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .expect("versions")
                .with_root_certificates(roots)
                .with_no_client_auth();
        client.alpn_protocols = vec![b"h2".to_vec()];
        Self {
            process,
            https: https.parse().expect("an address"),
            connector: TlsConnector::from(Arc::new(client)),
        }
    }

    async fn connect(&self) -> TlsStream<TcpStream> {
        let stream = TcpStream::connect(self.https).await.expect("connected");
        let name = ServerName::try_from("a.example").expect("a name");
        let mut stream = self.connector.connect(name, stream).await.expect("a handshake");
        stream.write_all(PREFACE).await.expect("sent");
        stream
    }

    /// What of it is in memory, in bytes.
    fn resident(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).expect("running");
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .expect("Linux");
        let kibibytes: usize = line.trim().trim_end_matches(" kB").parse().expect("a number");
        kibibytes * 1024
    }

    /// Has every client send its bytes, and stay until the program has dealt with all of them. How much it grew.
    async fn flooded(&self, bytes: &[u8]) -> usize {
        // What is allocated once for all is there already.
        for _ in 0..CLIENTS {
            let mut stream = self.connect().await;
            stream.write_all(&request(1, &[])).await.expect("sent");
            let mut answer = [0; 64];
            let _ = timeout(PATIENCE, stream.read(&mut answer))
                .await
                .expect("in time");
        }
        let before = self.resident();
        let mut clients = Vec::new();
        for _ in 0..CLIENTS {
            let mut stream = self.connect().await;
            // The edge may have had enough before everything is sent.
            let _ = timeout(PATIENCE, stream.write_all(bytes)).await.expect("in time");
            // An answer to a ping that comes last, or the end: everything was looked at.
            let _ = stream.write_all(&frame(6, 0, 0, b"the last")).await;
            let mut read = Vec::new();
            let mut piece = [0; 4096];
            while !read.windows(8).any(|window| window == b"the last") {
                match timeout(PATIENCE, stream.read(&mut piece)).await.expect("in time") {
                    Ok(count @ 1..) => read.extend_from_slice(&piece[..count]),
                    _ => break,
                }
            }
            clients.push(stream);
        }
        self.resident().saturating_sub(before)
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend(stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// A request for `/` whose header block has more at its end.
fn request(stream: u32, more: &[u8]) -> Vec<u8> {
    let mut block = vec![0x82, 0x87, 0x84, 0x01, 9];
    block.extend(b"a.example");
    block.extend_from_slice(more);
    frame(1, 0x5, stream, &block)
}

/// A field that goes into the table, where it has the number 62: `x: ` and as much text.
fn indexed(length: usize) -> Vec<u8> {
    let mut field = vec![0x40, 1, b'x', 127];
    let mut rest = length - 127;
    while rest >= 128 {
        field.push(u8::try_from(rest % 128).expect("small") | 0x80);
        rest /= 128;
    }
    field.push(u8::try_from(rest).expect("small"));
    field.extend(vec![b'v'; length]);
    field
}

/// So many requests on one connection as one client may send in all, each with `references` to one field in the table.
fn bomb(field: &[u8], references: usize) -> Vec<u8> {
    let mut bytes = request(1, field);
    for stream in (3..).step_by(2) {
        if bytes.len() >= SENT {
            break;
        }
        bytes.extend(request(stream, &vec![0xBE; references]));
    }
    bytes
}

/// P11: a byte of a header block can stand for thousands. Clients that send little do not make the edge large.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn header_blocks_do_not_grow_in_memory() {
    let directory = tempfile::tempdir().expect("a directory");
    // A service that takes every request and answers none: whatever a request holds is held.
    let service = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = service.local_addr().expect("an address");
    tokio::spawn(async move {
        let mut taken = Vec::new();
        while let Ok((stream, _)) = service.accept().await {
            taken.push(stream);
        }
    });
    for (field, references) in [
        (4000, 3900),
        (4000, 200),
        (4000, 90),
        (127, 3900),
        (127, 200),
        (127, 90),
    ] {
        let edge = Edge::start(directory.path(), address);
        let grown = edge.flooded(&bomb(&indexed(field), references)).await;
        assert!(
            grown <= FACTOR * SENT * CLIENTS,
            "{references} references to a field of {field} bytes: {grown} bytes for {} sent",
            SENT * CLIENTS
        );
        eprintln!(
            "{references} references to {field} bytes: grown by {} KiB",
            grown / 1024
        );
    }
}
