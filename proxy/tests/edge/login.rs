//! Browsers at an edge whose control plane answers late, wrongly or not at all, and over connections that cannot keep a
//! session. Whole logins through a real control plane are in the tests of the whole system.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sentinel_core::{Change, Fact};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::harness::{Answer, Client, PATIENCE, World, bearer, get, let_pass, take_until_empty_line};
use crate::testing::{ISSUER, NOW, OLGA, SESSION as SESSION_ID, at, id, revision, token};

mod floods;
mod workers;

const SESSION: &str = "__Host-sentinel";
const REFRESH: &str = "__Host-sentinel-refresh";
/// A browser that looks at a page, behind a proxy that says that its connection is encrypted.
const BROWSER: [&str; 3] = [
    "Accept: text/html,*/*;q=0.8",
    "X-Forwarded-Proto: https",
    "User-Agent: Mozilla/5.0",
];
const WORKSPACE: &str = "0190a0a0-0000-7000-8000-0000000000aa";

/// What stands in place of a control plane that behaves: it records every request, and answers with what it is told.
struct StandIn {
    address: SocketAddr,
    says: Arc<Mutex<Says>>,
    requests: watch::Receiver<Vec<String>>,
}

#[derive(Clone)]
enum Says {
    /// What a control plane says: one workspace, and these tokens.
    Tokens(String, String),
    /// These bytes, whatever it is asked.
    Bytes(Vec<u8>),
    /// Nothing, and the connection stays open.
    Nothing,
}

impl StandIn {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let says = Arc::new(Mutex::new(Says::Nothing));
        let (record, requests) = watch::channel(Vec::new());
        let (record, told) = (Arc::new(record), Arc::clone(&says));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, Arc::clone(&record), Arc::clone(&told)));
            }
        });
        Self {
            address,
            says,
            requests,
        }
    }

    fn say(&self, says: Says) {
        *self.says.lock().expect("lock") = says;
    }

    fn say_json(&self, status: &str, body: &str) {
        let length = body.len();
        let text = format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        self.say(Says::Bytes(text.into_bytes()));
    }

    /// How often it was asked at this path.
    fn asked(&self, path: &str) -> usize {
        let line = format!("{path} HTTP/1.1\r\n");
        self.requests
            .borrow()
            .iter()
            .filter(|request| request.contains(&line))
            .count()
    }

    async fn wait_until_asked(&self, path: &str, times: usize) {
        let mut requests = self.requests.clone();
        let reached = timeout(PATIENCE, requests.wait_for(|_| self.asked(path) >= times)).await;
        assert!(
            reached.is_ok_and(|reached| reached.is_ok()),
            "{path} was asked {} times",
            self.asked(path)
        );
    }
}

async fn answer(mut stream: TcpStream, record: Arc<watch::Sender<Vec<String>>>, says: Arc<Mutex<Says>>) {
    let mut read = Vec::new();
    while let Some(head) = take_until_empty_line(&mut stream, &mut read).await {
        let lower = head.to_ascii_lowercase();
        let length = lower
            .split_once("content-length: ")
            .and_then(|(_, rest)| rest.split("\r\n").next()?.parse::<usize>().ok());
        while read.len() < length.unwrap_or(0) {
            let mut piece = [0; 4096];
            let Ok(count @ 1..) = stream.read(&mut piece).await else {
                return;
            };
            read.extend_from_slice(&piece[..count]);
        }
        let body: Vec<u8> = read.drain(..length.unwrap_or(0)).collect();
        let request = head.clone() + &String::from_utf8_lossy(&body);
        record.send_modify(|requests| requests.push(request));
        let told = says.lock().expect("lock").clone();
        let bytes = match told {
            Says::Bytes(bytes) => bytes,
            Says::Tokens(access, refresh) => {
                let body = if head.starts_with("POST /auth/workspaces ") {
                    json!([{ "id": WORKSPACE, "name": "Acme", "slug": "acme", "role": "owner" }])
                } else {
                    json!({ "access_token": access, "refresh_token": refresh, "token_type": "bearer", "expires_in": 900 })
                };
                let body = body.to_string();
                format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
            }
            Says::Nothing => {
                // Until the edge gives up.
                let _ = stream.read_u8().await;
                return;
            }
        };
        if stream.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

/// An edge that signs people in at `a.example`, and that has no login at `b.example`.
async fn start() -> (World, StandIn) {
    start_with("provider: demo").await
}

/// The same with this setting of the login.
async fn start_with(setting: &str) -> (World, StandIn) {
    let control_plane = StandIn::start().await;
    let sections = format!(
        r#"control_plane: {{ url: "http://{}", issuer: "{ISSUER}", edge_key: some-key }}
trusted_proxies: [127.0.0.0/8]
login: {{ client_id: 0190a0a0-0000-7000-8000-000000000001, {setting}, cookie_key: a secret of at least 32 characters }}
routes:
  - {{ match: "GET a.example/page", to: docs, require: {{ signed_in: true }}, cookie: true, login: true }}
  - {{ match: "GET a.example/gone", to: nobody, require: {{ signed_in: true }}, cookie: true, login: true }}
  - {{ match: "GET b.example/{{rest*}}", to: docs, public: true }}
"#,
        control_plane.address
    );
    (World::with_policy(&sections).await, control_plane)
}

/// The bytes of a browser's request with these cookies.
fn look(path: &str, cookies: &[(&str, &str)]) -> String {
    let pairs: Vec<String> = cookies
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let line = format!("Cookie: {}", pairs.join("; "));
    let mut lines = BROWSER.to_vec();
    if !cookies.is_empty() {
        lines.push(&line);
    }
    get(path, &lines)
}

/// The same by a client at this address.
fn look_from(address: &str, path: &str, cookies: &[(&str, &str)]) -> String {
    let line = format!("X-Forwarded-For: {address}\r\nAccept: text/html");
    look(path, cookies).replacen("Accept: text/html", &line, 1)
}

/// The cookies that an answer sets; those that it removes have no value.
fn set_cookies(answer: &Answer) -> Vec<(String, String)> {
    let lines = answer.sent_head.lines();
    lines
        .filter_map(|line| line.split_once(": "))
        .filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"))
        .filter_map(|(_, line)| line.split(';').next()?.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn cookie(answer: &Answer, name: &str) -> String {
    let found = set_cookies(answer)
        .into_iter()
        .find(|(known, _)| known.starts_with(name));
    found.unwrap_or_else(|| panic!("no {name} in {answer:?}")).1
}

/// An access token that ends when the tests' tokens do, and a refresh token; `number` tells them from others.
fn tokens(number: u64) -> Says {
    let made = |end: i64| {
        token(OLGA, |claims| {
            claims["exp"] = (NOW + end).into();
            claims["number"] = number.into();
        })
    };
    Says::Tokens(made(890), made(86_400))
}

/// Begins a login: the cookie's name and value, and the state.
async fn begin(world: &World) -> (String, String, String) {
    let answer = world.send(look("/page", &[])).await;
    assert_eq!(answer.status, 303, "{answer:?}");
    let (name, value) = set_cookies(&answer).pop().expect("a cookie");
    let location = answer.sent_head.split_once("ocation: ").expect("a place").1;
    let location = location.lines().next().expect("a line");
    assert!(
        location.starts_with(&format!("{ISSUER}/auth/login/demo?")),
        "{location}"
    );
    assert!(
        location.contains("redirect_uri=https%3A%2F%2Fa.example%2F.sentinel%2Fcallback&"),
        "{location}"
    );
    let state = location.split_once("state=").expect("a state").1.to_owned();
    (name, value, state)
}

/// Signs somebody in: the two cookies of the session.
async fn sign_in(world: &World, control_plane: &StandIn, number: u64) -> (String, String) {
    let (name, value, state) = begin(world).await;
    control_plane.say(tokens(number));
    let path = format!("/.sentinel/callback?state={state}&code=abc");
    // Each from where he is.
    let from = format!("192.0.2.{number}");
    let answer = world.send(look_from(&from, &path, &[(&name, &value)])).await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (303, Some("/page")),
        "{answer:?}"
    );
    (cookie(&answer, "__Host-sentinel"), cookie(&answer, REFRESH))
}

#[tokio::test]
async fn a_session_that_is_about_to_end_is_renewed_on_the_way() {
    let (world, control_plane) = start().await;
    let (access, refresh) = sign_in(&world, &control_plane, 1).await;
    control_plane.say(tokens(2));
    let with = |path: &str| look(path, &[(SESSION, &access), (REFRESH, &refresh), ("theirs", "1")]);
    world.clock.advance(Duration::from_secs(829));
    let answer = world.send(with("/page")).await;
    assert_eq!((answer.status, set_cookies(&answer).len()), (200, 0));
    world.clock.advance(Duration::from_secs(1));
    let answer = world.send(with("/page")).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_ne!(cookie(&answer, "__Host-sentinel"), access);
    assert_ne!(cookie(&answer, REFRESH), refresh);
    assert_eq!(control_plane.asked("POST /auth/refresh"), 1);
    // The control plane learns for whom it is asked, and none of his cookies.
    let requests = control_plane.requests.borrow().clone();
    let asked = requests.last().expect("a request").to_ascii_lowercase();
    assert!(
        asked.contains("\r\nx-forwarded-for: 127.0.0.1\r\n")
            && asked.contains("\r\nuser-agent: mozilla/5.0\r\n")
    );
    assert!(!asked.contains("cookie"), "{asked}");
    // The service gets its own cookies and none of ours.
    let request = world
        .service
        .requests()
        .pop()
        .expect("a request")
        .to_ascii_lowercase();
    assert!(request.contains("\r\ncookie: theirs=1\r\n"), "{request}");
    // What was renewed is not lost where the service cannot be reached.
    let gone = world.send(with("/gone")).await;
    assert_eq!(gone.status, 502);
    assert_ne!(cookie(&gone, REFRESH), refresh);
    assert_eq!(
        control_plane.asked("POST /auth/refresh"),
        1,
        "the token was exchanged twice"
    );
}

#[tokio::test]
async fn a_client_that_leaves_does_not_lose_what_was_exchanged_for_him() {
    let (world, control_plane) = start().await;
    let (_, refresh) = sign_in(&world, &control_plane, 1).await;
    control_plane.say(Says::Nothing);
    let mut leaving = Client::connect(world.running.http()).await;
    leaving
        .write(look("/page", &[(REFRESH, &refresh)]).as_bytes())
        .await;
    control_plane.wait_until_asked("POST /auth/refresh", 1).await;
    drop(leaving);
    // The one exchange is waited for by whoever comes next, and there is no second one meanwhile.
    let mut next = Client::connect(world.running.http()).await;
    next.write(look("/page", &[(REFRESH, &refresh)]).as_bytes()).await;
    let_pass(Duration::from_secs(3)).await;
    assert_eq!(next.read_answer().await.status, 503);
    assert_eq!(control_plane.asked("POST /auth/refresh"), 1);
    // What came to nothing is tried again.
    control_plane.say(tokens(2));
    assert_eq!(
        world.send(look("/page", &[(REFRESH, &refresh)])).await.status,
        200
    );
    assert_eq!(control_plane.asked("POST /auth/refresh"), 2);
}

#[tokio::test]
async fn a_control_plane_that_makes_no_sense_ends_no_session() {
    let (world, control_plane) = start().await;
    let (access, refresh) = sign_in(&world, &control_plane, 1).await;
    let huge = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n{}",
        "x".repeat(1_000_000)
    );
    let nonsense: Vec<Vec<u8>> = vec![
        b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nnonsense".to_vec(),
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}".to_vec(),
        b"HTTP/1.1 302 Found\r\nLocation: /auth/elsewhere\r\nContent-Length: 0\r\n\r\n".to_vec(),
        b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n".to_vec(),
        b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n".to_vec(),
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec(),
        b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n".to_vec(),
        b"SSH-2.0-x\r\n\r\n".to_vec(),
        huge.into_bytes(),
    ];
    let both = [(SESSION, access.as_str()), (REFRESH, refresh.as_str())];
    world.clock.advance(Duration::from_secs(889));
    for bytes in nonsense.clone() {
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(40)]).into_owned();
        control_plane.say(Says::Bytes(bytes));
        let answer = world.send(look("/page", &both)).await;
        assert_eq!((answer.status, set_cookies(&answer).len()), (200, 0), "{shown}");
    }
    world.clock.advance(Duration::from_secs(1));
    for bytes in nonsense {
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(40)]).into_owned();
        control_plane.say(Says::Bytes(bytes));
        let answer = world.send(look("/page", &both)).await;
        assert_eq!((answer.status, set_cookies(&answer).len()), (503, 0), "{shown}");
        assert_eq!(answer.header("retry-after"), Some("1"), "{shown}");
    }
    assert_eq!(
        control_plane.asked("GET /auth/elsewhere") + control_plane.asked("POST /auth/elsewhere"),
        0
    );
    // And one that says no ends it: the browser is sent to login, and forgets what it had.
    control_plane.say_json("401 Unauthorized", "{}");
    let answer = world.send(look("/page", &both)).await;
    assert_eq!(answer.status, 303);
    let gone = set_cookies(&answer)
        .into_iter()
        .filter(|(_, value)| value.is_empty());
    assert_eq!(gone.map(|(name, _)| name).collect::<Vec<_>>(), [SESSION, REFRESH]);
}

#[tokio::test]
async fn only_so_many_wait_for_the_control_plane() {
    let (world, control_plane) = start().await;
    let mut sessions = Vec::new();
    for number in 0..66 {
        sessions.push(sign_in(&world, &control_plane, number).await.1);
    }
    control_plane.say(Says::Nothing);
    let mut waiting = Vec::new();
    for refresh in &sessions[..64] {
        let mut client = Client::connect(world.running.http()).await;
        client
            .write(look("/page", &[(REFRESH, refresh)]).as_bytes())
            .await;
        waiting.push(client);
    }
    control_plane.wait_until_asked("POST /auth/refresh", 64).await;
    for refresh in &sessions[64..] {
        assert_eq!(world.send(look("/page", &[(REFRESH, refresh)])).await.status, 503);
    }
    assert_eq!(control_plane.asked("POST /auth/refresh"), 64);
    // Whoever needs nobody is not held up.
    let fresh = bearer(&token(OLGA, |_| ()));
    assert_eq!(world.get("/page", &[&fresh]).await.status, 200);
}

#[tokio::test]
async fn a_login_has_its_time() {
    let (world, control_plane) = start().await;
    control_plane.say(tokens(1));
    let callback = |state: &str| format!("/.sentinel/callback?state={state}&code=abc");
    let (name, value, state) = begin(&world).await;
    world.clock.advance(Duration::from_mins(10));
    let late = world.send(look(&callback(&state), &[(&name, &value)])).await;
    assert_eq!(
        (late.status, control_plane.asked("POST /auth/workspaces")),
        (400, 0)
    );
    let (name, value, state) = begin(&world).await;
    world.clock.advance(Duration::from_secs(599));
    let in_time = world.send(look(&callback(&state), &[(&name, &value)])).await;
    assert_eq!(in_time.status, 303);
}

#[tokio::test]
async fn nobody_is_sent_round_for_ever() {
    let (world, control_plane) = start().await;
    let (access, refresh) = sign_in(&world, &control_plane, 1).await;
    let ended = Change::Put(Fact::RevokedSession {
        session: id(SESSION_ID),
        until: at(NOW + 1000),
    });
    world.replica.advance(revision(11), vec![ended]).expect("applies");
    let both = [(SESSION, access.as_str()), (REFRESH, refresh.as_str())];
    world.clock.advance(Duration::from_secs(19));
    let page = world.send(look("/page", &both)).await;
    assert_eq!((page.status, set_cookies(&page).len()), (401, 0));
    assert!(
        page.body.contains("href=\"/.sentinel/login?return_to=%2Fpage\""),
        "{}",
        page.body
    );
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(world.send(look("/page", &both)).await.status, 303);
}

#[tokio::test]
async fn a_connection_that_keeps_no_secret_keeps_no_session() {
    let (world, control_plane) = start().await;
    let (name, value, state) = begin(&world).await;
    control_plane.say(tokens(1));
    let cookie = format!("Cookie: {name}={value}");
    for (path, status) in [
        ("/page".to_owned(), 400),
        ("/.sentinel/login".to_owned(), 400),
        (format!("/.sentinel/callback?state={state}&code=abc"), 400),
        ("/.sentinel/logout".to_owned(), 400),
    ] {
        let answer = world.get(&path, &["Accept: text/html", &cookie]).await;
        assert_eq!(answer.status, status, "{path}");
        assert!(
            answer.body.contains("https") && set_cookies(&answer).is_empty(),
            "{path}: {answer:?}"
        );
    }
    let program = world.get("/page", &[]).await;
    assert_eq!(program.word(), (401, "credential_missing".to_owned()));
    assert!(control_plane.requests.borrow().is_empty());
}

#[tokio::test]
async fn where_nobody_signs_in_the_edges_own_pages_are_nowhere() {
    let (world, _control_plane) = start().await;
    let at = |host: &str, path: &str| {
        let request = look(path, &[]).replace("a.example", host);
        let world = &world;
        async move { world.send(request).await.status }
    };
    assert_eq!(at("b.example", "/anything").await, 200);
    for path in [
        "/.sentinel",
        "/.sentinel/",
        "/.sentinel/login",
        "/.sentinel/callback",
        "/.sentinel/x/y",
    ] {
        assert_eq!(at("b.example", path).await, 404, "{path}");
    }
    assert_eq!(at("c.example", "/.sentinel/login").await, 404);
    assert_eq!(at("a.example", "/.sentinel/login").await, 303);
    assert_eq!(at("a.example", "/.sentinel/unknown").await, 404);
    assert_eq!(at("b.example", "/.sentinels").await, 200);
    assert_eq!(
        world.service.requests().len(),
        2,
        "a service got what is the edge's"
    );
}

#[tokio::test]
async fn a_token_that_no_browser_keeps_is_told() {
    let (world, control_plane) = start().await;
    let (name, value, state) = begin(&world).await;
    let groups: Vec<String> = (0..100)
        .map(|number| uuid::Uuid::from_u128(number).to_string())
        .collect();
    let large = token(OLGA, |claims| claims["groups"] = groups.into());
    control_plane.say(Says::Tokens(large.clone(), large));
    let path = format!("/.sentinel/callback?state={state}&code=abc");
    let answer = world.send(look(&path, &[(&name, &value)])).await;
    assert_eq!((answer.status, set_cookies(&answer).len()), (503, 0));
    assert!(answer.body.contains("too large"), "{}", answer.body);
}

#[tokio::test]
async fn people_choose_among_providers() {
    let (world, control_plane) = start_with("patience: 5m").await;
    control_plane.say_json("500 Internal Server Error", "{}");
    let first = world.send(look("/page", &[])).await;
    let place = "/.sentinel/login?return_to=%2fpage";
    assert_eq!((first.status, first.header("location")), (303, Some(place)));
    let place = place.replace("%2f", "%2F");
    let page = world.send(look(&place, &[])).await;
    assert_eq!((page.status, page.header("retry-after")), (503, Some("1")));

    control_plane.say_json("200 OK", r#"{"providers":["google","../evil","git_hub"]}"#);
    let_pass(Duration::from_secs(2)).await;
    for _ in 0..3 {
        let page = world.send(look(&place, &[])).await;
        assert_eq!((page.status, set_cookies(&page).len()), (200, 0));
        let link = |name: &str| format!("href=\"/.sentinel/login?return_to=%2Fpage&amp;provider={name}\"");
        assert!(
            page.body.contains(&link("google")) && page.body.contains(&link("git_hub")),
            "{}",
            page.body
        );
        assert!(!page.body.contains("evil"), "{}", page.body);
    }
    assert_eq!(
        control_plane.asked("GET /auth/providers"),
        2,
        "the list is not kept"
    );
    let chosen = world.send(look(&format!("{place}&provider=git_hub"), &[])).await;
    let to = format!("{ISSUER}/auth/login/git_hub?");
    assert!(
        chosen
            .header("location")
            .is_some_and(|place| place.starts_with(&to)),
        "{chosen:?}"
    );
}
