//! An edge in front of a recording service, and a client that writes bytes.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sentinel_config::parse_edge;
use sentinel_core::{Fact, ManualClock, SystemRandom};
use sentinel_feed::{Ask, Replica, ReplicaState};
use sentinel_proxy::doorway::Limits;
use sentinel_proxy::serve::{Parts, Running, start_with};
use sentinel_proxy::workers::Workers;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{broadcast, watch};
use tokio::time::timeout;

use crate::testing::{NOW, at, facts, state};

/// Longer than anything here takes; only a hanging test gets that far.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) const POLICY: &str = r#"
  - { match: "GET a.example/public", to: docs, public: true }
  - { match: "GET a.example/public/{name}", to: docs, public: true }
  - { match: "POST a.example/public", to: docs, public: true }
  - { match: "GET a.example/signed-in", to: docs, require: { signed_in: true } }
  - { match: "POST a.example/signed-in", to: docs, require: { signed_in: true } }
  - { match: "GET a.example/documents/{doc_id}", to: docs, require: { permission: "docs/document/{doc_id}#view" } }
  - { match: "GET a.example/editors", to: docs, require: { role: editor } }
  - { match: "POST a.example/reports", to: docs, require: { action: "docs/reports:export" } }
  - { match: "GET a.example/indexer", to: docs, credentials: service, require: { service: indexer } }
  - { match: "GET a.example/both", to: docs, credentials: user_and_service, require: { signed_in: true } }
  - { match: "GET a.example/admin", to: docs, require: { role: owner } }
  - { match: "GET a.example/fresh", to: docs, require: { signed_in: true }, max_staleness: 5s }
  - { match: "GET a.example/silent", to: docs, public: true, timeout: 100ms }
  - { match: "GET a.example/silent/tunnel", to: docs, public: true, timeout: 100ms }
  - { match: "GET a.example/gone", to: nobody, public: true }
  - { match: "GET a.example/stream", to: docs, credentials: user_or_service, require: { signed_in: true } }
  - { match: "GET a.example/poll", to: docs, require: { signed_in: true } }
  - { match: "GET a.example/public/secret", to: docs, require: { role: owner } }
  - { match: "GET a.example/tunnel", to: docs, require: { permission: "docs/document/0190a0a0-0000-7000-8000-000000000001#view" } }
  - { match: "POST a.example/tiny", to: docs, public: true, max_body: 8B }
"#;

/// An edge, what is behind it and what it knows.
pub(crate) struct World {
    pub(crate) running: Running,
    pub(crate) replica: Replica,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) service: Recorder,
}

impl World {
    /// In touch, with everything that is true in the beginning.
    pub(crate) async fn start() -> Self {
        Self::with(facts(), Limits::default()).await
    }

    pub(crate) async fn with(facts: Vec<Fact>, limits: Limits) -> Self {
        let world = Self::out_of_touch(facts, limits).await;
        world.replica.touch();
        world
    }

    /// With a state, but never in touch.
    pub(crate) async fn out_of_touch(facts: Vec<Fact>, limits: Limits) -> Self {
        Self::build(&format!("routes: {POLICY}"), facts, limits).await
    }

    /// With sections and routes of its own, in touch: `sections` is YAML that follows `listen`, `control_plane` and
    /// `upstreams` (`docs`, which is the recorder, and `nobody`).
    pub(crate) async fn with_policy(sections: &str) -> Self {
        let world = Self::build(sections, facts(), Limits::default()).await;
        world.replica.touch();
        world
    }

    /// With services of its own as well, in touch: `sections` is told where the recorder is, and follows `listen` and
    /// `control_plane`.
    pub(crate) async fn with_services(sections: impl FnOnce(SocketAddr) -> String) -> Self {
        let world = Self::build_with("", sections, facts(), Limits::default()).await;
        world.replica.touch();
        world
    }

    async fn build(sections: &str, facts: Vec<Fact>, limits: Limits) -> Self {
        Self::listening("", sections, facts, limits).await
    }

    /// The same; `listen` is more of that section, after a comma.
    pub(crate) async fn listening(listen: &str, sections: &str, facts: Vec<Fact>, limits: Limits) -> Self {
        let nobody = unused_address().await;
        let sections = |service| {
            format!(
                "upstreams: {{ docs: {{ url: 'http://{service}' }}, nobody: {{ url: 'http://{nobody}' }} }}
{sections}"
            )
        };
        Self::build_with(listen, sections, facts, limits).await
    }

    async fn build_with(
        listen: &str,
        sections: impl FnOnce(SocketAddr) -> String,
        facts: Vec<Fact>,
        limits: Limits,
    ) -> Self {
        Self::build_of(listen, sections, state(facts), None, limits).await
    }

    /// With sections and routes of its own, in touch, with this state and somebody to ask what is not in it.
    pub(crate) async fn asking(sections: &str, state: ReplicaState, asks: Option<Arc<dyn Ask>>) -> Self {
        let sections = |service| {
            format!("upstreams: {{ docs: {{ url: 'http://{service}', service: docs }} }}\n{sections}")
        };
        let world = Self::build_of("", sections, state, asks, Limits::default()).await;
        world.replica.touch();
        world
    }

    async fn build_of(
        listen: &str,
        sections: impl FnOnce(SocketAddr) -> String,
        state: ReplicaState,
        asks: Option<Arc<dyn Ask>>,
        limits: Limits,
    ) -> Self {
        let service = Recorder::start().await;
        let sections = sections(service.address);
        // Some bring a control plane of their own.
        let control_plane = if sections.contains("control_plane:") {
            ""
        } else {
            "control_plane: { url: http://127.0.0.1:9003, edge_key: some-key }"
        };
        let text = format!(
            "listen: {{ http: 127.0.0.1:0, admin: 127.0.0.1:0 {listen} }}
{control_plane}
{sections}",
        );
        let config = parse_edge(&text, Path::new("edge.yaml"), &BTreeMap::new()).expect("a configuration");
        let replica = Replica::new();
        replica.install(state);
        let clock = Arc::new(ManualClock::at(at(NOW)));
        let parts = Parts {
            replica: replica.clone(),
            clock: clock.clone(),
            random: Arc::new(SystemRandom),
            asks,
            feed: None,
            workers: workers(),
        };
        let running = start_with(&config, parts, limits).await.expect("started");
        Self {
            running,
            replica,
            clock,
            service,
        }
    }

    /// Sends bytes over a connection of their own; the first answer.
    pub(crate) async fn send(&self, bytes: impl AsRef<[u8]>) -> Answer {
        let mut client = Client::connect(self.running.http()).await;
        client.write(bytes.as_ref()).await;
        client.read_answer().await
    }

    /// `GET path` with these header lines.
    pub(crate) async fn get(&self, path: &str, lines: &[&str]) -> Answer {
        self.send(get(path, lines)).await
    }
}

tokio::task_local! {
    static WORKERS: usize;
}

/// Runs a test whose edges have so many workers, as in a program. All others serve on the test's own thread, whose time can
/// be held still.
pub(crate) async fn on_workers<T>(count: usize, test: impl Future<Output = T>) -> T {
    WORKERS.scope(count, test).await
}

fn workers() -> Workers {
    WORKERS.try_with(|count| *count).map_or_else(
        |_| Workers::here(),
        |count| Workers::start(count).expect("threads"),
    )
}

/// Lets this much time pass, for everybody at once. Not with workers: they have clocks of their own.
pub(crate) async fn let_pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

/// The bytes of a `GET` request to `a.example`.
pub(crate) fn get(path: &str, lines: &[&str]) -> String {
    let mut text = format!("GET {path} HTTP/1.1\r\nHost: a.example\r\n");
    for line in lines {
        text.push_str(line);
        text.push_str("\r\n");
    }
    text + "\r\n"
}

pub(crate) fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}")
}

/// An address that nobody listens on.
async fn unused_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    listener.local_addr().expect("an address")
}

/// A connection to the edge.
pub(crate) struct Client<S = TcpStream> {
    stream: S,
    read: Vec<u8>,
}

/// An answer of the edge.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// In lower case.
    pub(crate) head: String,
    /// As it came.
    pub(crate) sent_head: String,
    pub(crate) body: String,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self {
            stream: TcpStream::connect(address).await.expect("connected"),
            read: Vec::new(),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    /// Over a connection that somebody has made.
    pub(crate) fn over(stream: S) -> Self {
        Self {
            stream,
            read: Vec::new(),
        }
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.expect("sent");
    }

    /// One whole answer; with `Content-Length`, or without a body.
    pub(crate) async fn read_answer(&mut self) -> Answer {
        let head = self.read_until(b"\r\n\r\n").await;
        let head = String::from_utf8(head).expect("text");
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        let answer = Answer {
            status: status.expect("a status"),
            head: head.to_ascii_lowercase(),
            sent_head: head,
            body: String::new(),
        };
        let length = answer
            .header("content-length")
            .map_or(0, |length| length.parse().expect("a length"));
        let body = self.read_exactly(length).await;
        Answer {
            body: String::from_utf8(body).expect("text"),
            ..answer
        }
    }

    /// Everything up to and with `end`.
    pub(crate) async fn read_until(&mut self, end: &[u8]) -> Vec<u8> {
        loop {
            if let Some(start) = self.read.windows(end.len()).position(|piece| piece == end) {
                return self.read.drain(..start + end.len()).collect();
            }
            assert!(
                self.read_more().await,
                "the connection was closed after {:?}",
                self.text()
            );
        }
    }

    async fn read_exactly(&mut self, length: usize) -> Vec<u8> {
        while self.read.len() < length {
            assert!(
                self.read_more().await,
                "the connection was closed after {:?}",
                self.text()
            );
        }
        self.read.drain(..length).collect()
    }

    /// Whether the edge closes the connection without another byte.
    pub(crate) async fn is_closed(&mut self) -> bool {
        self.read.is_empty() && !self.read_more().await
    }

    async fn read_more(&mut self) -> bool {
        let mut piece = [0; 4096];
        let read = timeout(PATIENCE, self.stream.read(&mut piece))
            .await
            .expect("in time");
        // A reset is an end as well.
        let read = read.unwrap_or(0);
        self.read.extend_from_slice(&piece[..read]);
        read > 0
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.read).into_owned()
    }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find_map(|(known, value)| (known == name).then_some(value))
    }

    /// The `code` of a problem document; the empty text if the answer is none.
    pub(crate) fn code(&self) -> String {
        let document: serde_json::Value = serde_json::from_str(&self.body).unwrap_or_default();
        document["code"].as_str().unwrap_or_default().to_owned()
    }

    /// Status and code.
    pub(crate) fn word(&self) -> (u16, String) {
        (self.status, self.code())
    }
}

/// A service that records every request, byte for byte, and answers `ok`. `/silent` is never answered, an upgrade is
/// answered and echoed, an answer has each line that a request asks for with `X-Answer`, and `/stream` and `/poll` are answered with what [`Recorder::say`] is told: everything, and the
/// first.
pub(crate) struct Recorder {
    pub(crate) address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    heads: watch::Receiver<usize>,
    words: broadcast::Sender<&'static str>,
}

impl Recorder {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (count, heads) = watch::channel(0);
        let (record, count) = (Arc::clone(&requests), Arc::new(count));
        let (words, _) = broadcast::channel(16);
        let said = words.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (record, count) = (Arc::clone(&record), Arc::clone(&count));
                tokio::spawn(answer_requests(stream, record, count, said.subscribe()));
            }
        });
        Self {
            address,
            requests,
            heads,
            words,
        }
    }

    /// Goes into the answers that are under way.
    pub(crate) fn say(&self, word: &'static str) {
        self.words.send(word).expect("a request under way");
    }

    /// Waits until this many heads have come in, whatever became of their bodies.
    pub(crate) async fn wait_for_heads(&self, number: usize) {
        let mut heads = self.heads.clone();
        let reached = timeout(PATIENCE, heads.wait_for(|count| *count >= number)).await;
        assert!(
            reached.is_ok_and(|reached| reached.is_ok()),
            "no {number} requests"
        );
    }

    /// Waits until no connection to the service is open any more.
    pub(crate) async fn wait_until_left(&self) {
        let left = async {
            while self.words.receiver_count() > 0 {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, left).await.expect("everybody has gone");
    }

    /// Heads and bodies of all requests so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().expect("lock").clone()
    }

    /// The only request so far, with header names in lower case.
    pub(crate) fn only_request(&self) -> String {
        let mut requests = self.requests();
        assert_eq!(requests.len(), 1, "{requests:?}");
        requests.pop().expect("one")
    }
}

async fn answer_requests(
    mut stream: TcpStream,
    record: Arc<Mutex<Vec<String>>>,
    heads: Arc<watch::Sender<usize>>,
    mut words: broadcast::Receiver<&'static str>,
) {
    let mut read = Vec::new();
    loop {
        let Some(head) = take_until_empty_line(&mut stream, &mut read).await else {
            return;
        };
        heads.send_modify(|count| *count += 1);
        let lower = head.to_ascii_lowercase();
        let length = lower
            .split_once("content-length: ")
            .and_then(|(_, rest)| rest.split("\r\n").next()?.parse::<usize>().ok());
        let length = length.unwrap_or(0);
        while read.len() < length {
            let mut piece = [0; 4096];
            let Ok(count @ 1..) = stream.read(&mut piece).await else {
                return;
            };
            read.extend_from_slice(&piece[..count]);
        }
        let length = if lower.contains("transfer-encoding: chunked") {
            let Some(length) = read_chunks(&mut stream, &mut read).await else {
                return;
            };
            length
        } else {
            length
        };
        let body: Vec<u8> = read.drain(..length).collect();
        record
            .lock()
            .expect("lock")
            .push(head.clone() + &String::from_utf8_lossy(&body));
        if head.starts_with("GET /silent ") {
            // Until the edge gives up.
            let _ = stream.read_u8().await;
            return;
        }
        if head.starts_with("GET /stream ") {
            let start = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
            if stream.write_all(start.as_bytes()).await.is_err() {
                return;
            }
            while let Ok(word) = words.recv().await {
                let chunk = format!("{:x}\r\n{word}\r\n", word.len());
                if stream.write_all(chunk.as_bytes()).await.is_err() {
                    return;
                }
            }
            return;
        }
        if head.starts_with("GET /poll ") {
            let Ok(word) = words.recv().await else { return };
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{word}", word.len());
            // Whether the edge still wants it is the edge's affair.
            let _ = stream.write_all(answer.as_bytes()).await;
            return;
        }
        if lower.contains("upgrade: websocket") || head.starts_with("GET /public/unasked ") {
            let answer =
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
            if stream.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
            let (mut from, mut to) = stream.split();
            let _ = tokio::io::copy(&mut from, &mut to).await;
            return;
        }
        let mut own = String::new();
        for line in head.lines() {
            let wanted = line
                .split_once(": ")
                .filter(|(name, _)| name.eq_ignore_ascii_case("x-answer"));
            if let Some((_, line)) = wanted {
                own.push_str(line);
                own.push_str("\r\n");
            }
        }
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nServer: recorder\r\n{own}\r\nok");
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// How long a body in chunks is, as it comes, once it is whole.
async fn read_chunks(stream: &mut TcpStream, read: &mut Vec<u8>) -> Option<usize> {
    const END: &[u8] = b"\r\n0\r\n\r\n";
    loop {
        if read.starts_with(&END[2..]) {
            return Some(END.len() - 2);
        }
        if let Some(start) = read.windows(END.len()).position(|piece| piece == END) {
            return Some(start + END.len());
        }
        let mut piece = [0; 4096];
        let Ok(count @ 1..) = stream.read(&mut piece).await else {
            return None;
        };
        read.extend_from_slice(&piece[..count]);
    }
}

pub(crate) async fn take_until_empty_line(stream: &mut TcpStream, read: &mut Vec<u8>) -> Option<String> {
    loop {
        if let Some(start) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            let head: Vec<u8> = read.drain(..start + 4).collect();
            return Some(String::from_utf8_lossy(&head).into_owned());
        }
        let mut piece = [0; 4096];
        let Ok(count @ 1..) = stream.read(&mut piece).await else {
            return None;
        };
        read.extend_from_slice(&piece[..count]);
    }
}
