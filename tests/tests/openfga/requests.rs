//! The same checks as requests: an edge as its program runs it, whose replica is the case's, with a client before it and a
//! service behind it. Who asks is the check's subject, signed in; what he asks for is a route that requires the check's
//! relation. Whether the request arrives at the service is the answer.
//!
//! A request can ask what a route can require and a person can be: whether a user has a relation to an object of a
//! service's own type, and whether he has a role in a workspace.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use sentinel_authz::sentinel;
use sentinel_config::parse_edge;
use sentinel_core::id::{UserId, WorkspaceId};
use sentinel_core::{Change, Fact, ManualClock, Revision, SystemRandom, WorkspaceRole};
use sentinel_feed::{Replica, ReplicaState};
use sentinel_proxy::doorway::Limits;
use sentinel_proxy::serve::{Parts, Running, start_with};
use sentinel_proxy::workers::Workers;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use uuid::Uuid;

use crate::case::{Answer, Case, Question};
use crate::generate;
use crate::ours::SERVICE;
use crate::signer::{NOW, Signer};

/// The workspace of whoever asks for an object: no case mentions it.
const ELSEWHERE: Uuid = Uuid::from_u128(0x018f_4e7a_0000_7000_8000_0000_0000_00ff);

/// What the edge answers who may not pass.
const DENIED: [&str; 2] = ["permission_denied", "role_denied"];

/// The edge, in one thread with all around it.
pub(crate) struct Edge {
    runtime: Runtime,
    replica: Replica,
    running: Running,
    signer: Signer,
    /// The header line of each caller.
    callers: HashMap<(Uuid, Uuid), String>,
}

/// A question as a request.
struct Request {
    path: String,
    user: Uuid,
    workspace: Uuid,
}

impl Edge {
    /// Starts it, with a route for each relation that a case may have.
    pub(crate) fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let replica = Replica::new();
        let running = runtime.block_on(serve(&replica));
        Self {
            runtime,
            replica,
            running,
            signer: Signer::new(),
            callers: HashMap::new(),
        }
    }

    /// The edge's decisions with this state of its replica: an answer to each question that a request can ask.
    pub(crate) fn decide(&mut self, state: &ReplicaState, case: &Case) -> Vec<Option<Answer>> {
        let requests: Vec<Option<Request>> = case
            .questions
            .iter()
            .map(|question| request(case, question))
            .collect();
        self.replica.install(self.with_people(state));
        self.replica.touch();
        for request in requests.iter().flatten() {
            let who = (request.user, request.workspace);
            let signer = &self.signer;
            self.callers
                .entry(who)
                .or_insert_with(|| format!("Authorization: Bearer {}", signer.token(who.0, who.1)));
        }
        let (door, callers) = (self.running.http(), &self.callers);
        self.runtime.block_on(async {
            // One for each case: nobody has to keep it longer than an edge lets him.
            let mut client = Client::connect(door).await;
            let mut answers = Vec::new();
            for request in &requests {
                answers.push(match request {
                    Some(request) => {
                        let caller = &callers[&(request.user, request.workspace)];
                        Some(client.ask(&request.path, caller).await)
                    }
                    None => None,
                });
            }
            answers
        })
    }

    /// The state with the key that tokens are signed with, where everybody is a member of the workspace that he asks from.
    fn with_people(&self, state: &ReplicaState) -> ReplicaState {
        let members = generate::USERS.map(|user| {
            let (workspace, user) = (WorkspaceId::from(ELSEWHERE), UserId::from(uuid(user)));
            Fact::Tuple(sentinel::membership(workspace, user, WorkspaceRole::Viewer))
        });
        let facts = members.into_iter().chain([self.signer.fact()]);
        let Revision { epoch, number } = state.revision();
        let next = Revision {
            epoch,
            number: number + 1,
        };
        let (state, _) = state
            .advance(next, facts.map(Change::Put).collect())
            .expect("facts beside those of the case");
        state
    }
}

/// The question as a request, if it can be one.
fn request(case: &Case, question: &Question) -> Option<Request> {
    let Question::Check {
        object,
        relation,
        subject,
    } = question
    else {
        return None;
    };
    let user = subject.strip_prefix("user:")?.parse().ok()?;
    // An id of several segments is no parameter of a path.
    let (kind, id) = object.split_once(':').filter(|(_, id)| !id.contains('/'))?;
    if generate::KINDS.contains(&kind) && case.schema.relation(kind, relation).is_some() {
        return Some(Request {
            path: format!("/{kind}/{relation}/{id}"),
            user,
            workspace: ELSEWHERE,
        });
    }
    let workspace = id
        .parse()
        .ok()
        .filter(|_| case.beside_sentinel && kind == "workspace")?;
    // Every member is a viewer.
    let role = if relation == "member" { "viewer" } else { relation };
    Some(Request {
        path: format!("/{role}"),
        user,
        workspace,
    })
}

async fn serve(replica: &Replica) -> Running {
    let service = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = service.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = service.accept().await {
            // An edge that goes away ends its connection.
            tokio::spawn(async move { answer_all(stream).await.ok() });
        }
    });
    let config = parse_edge(&policy(address), Path::new("edge.yaml"), &BTreeMap::new()).expect("a policy");
    let parts = Parts {
        replica: replica.clone(),
        clock: Arc::new(ManualClock::at(NOW)),
        random: Arc::new(SystemRandom),
        asks: None,
        feed: None,
        workers: Workers::here(),
    };
    start_with(&config, parts, Limits::default())
        .await
        .expect("the edge starts")
}

/// A route for each relation to an object of each type, and one for each role.
fn policy(service: SocketAddr) -> String {
    let mut text = format!(
        "listen: {{ http: 127.0.0.1:0, admin: 127.0.0.1:0 }}
control_plane: {{ url: '{issuer}', edge_key: some-key }}
hosts: any
upstreams: {{ service: {{ url: 'http://{service}', service: {SERVICE} }} }}
routes:
",
        issuer = Signer::ISSUER,
    );
    let mut route = |path: &str, requirement: String| {
        writeln!(
            text,
            "  - {{ match: 'GET {path}', to: service, require: {{ {requirement} }} }}"
        )
        .expect("a string");
    };
    for kind in generate::KINDS {
        for relation in generate::all_relations() {
            route(
                &format!("/{kind}/{relation}/{{id}}"),
                format!("permission: '{kind}:{{id}}#{relation}'"),
            );
        }
    }
    for role in ["owner", "admin", "editor", "viewer"] {
        route(&format!("/{role}"), format!("role: {role}"));
    }
    text
}

/// The service: it answers every request without a body with none.
async fn answer_all(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut request = Vec::new();
    while stream.read_buf(&mut request).await? > 0 {
        // There is one request at a time on a connection, so its end is the end of what came.
        if request.ends_with(b"\r\n\r\n") {
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await?;
            request.clear();
        }
    }
    Ok(())
}

/// A connection to the edge.
struct Client {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Client {
    async fn connect(door: SocketAddr) -> Self {
        let stream = TcpStream::connect(door).await.expect("the edge listens");
        stream.set_nodelay(true).expect("a connection");
        Self {
            stream,
            read: Vec::new(),
        }
    }

    /// What the edge decides about a request.
    async fn ask(&mut self, path: &str, caller: &str) -> Answer {
        let request = format!("GET {path} HTTP/1.1\r\nHost: a.example\r\n{caller}\r\n\r\n");
        self.stream.write_all(request.as_bytes()).await.expect("sent");
        self.read.clear();
        let (status, body) = loop {
            if let Some(answer) = answer_in(&self.read) {
                break answer;
            }
            let read = self.stream.read_buf(&mut self.read).await.expect("read");
            assert!(read > 0, "the edge went away: {path}");
        };
        if status == 204 {
            return Answer::Holds(true);
        }
        let document: serde_json::Value = serde_json::from_str(body).expect("a problem document");
        let code = document["code"].as_str().unwrap_or_default();
        match (status, code) {
            (403, code) if DENIED.contains(&code) => Answer::Holds(false),
            // No user can ever have the relation. The operator has to hear of such a route; the caller may not pass.
            (503, "model_mismatch") => Answer::Holds(false),
            (503, "undecidable") => Answer::None(code.to_owned()),
            _ => panic!("{path}: {status} {body}"),
        }
    }
}

/// Status and body of an answer, once all of it is there.
fn answer_in(read: &[u8]) -> Option<(u16, &str)> {
    let text = str::from_utf8(read).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let length = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map_or(0, |(_, length)| length.trim().parse().expect("a length"));
    body.get(..length).map(|body| (status, body))
}

fn uuid(text: &str) -> Uuid {
    text.parse().expect("an id of Sentinel's")
}
