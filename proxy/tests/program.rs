//! The program as an operator runs it: what `check` prints, how `serve` starts without its control plane, and how it ends.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use sentinel_core::SystemRandom;
use sentinel_token::{FeedVerifyKey, PlainEdgeKey};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const PROGRAM: &str = env!("CARGO_BIN_EXE_sentinel-proxy");

fn configure(directory: &Path, routes: &str) -> std::path::PathBuf {
    let edge_key = PlainEdgeKey::generate(&SystemRandom, FeedVerifyKey::from_bytes([0; 32]));
    let file = directory.join("edge.yaml");
    let text = format!(
        "listen: {{ http: 127.0.0.1:0, admin: 127.0.0.1:0 }}
control_plane: {{ url: http://127.0.0.1:1, edge_key: '{}' }}
state_dir: ./state
upstreams: {{ docs: {{ url: http://127.0.0.1:1 }} }}
routes: [{routes}]
",
        edge_key.expose()
    );
    std::fs::write(&file, text).expect("written");
    file
}

async fn get(address: &str, path: &str) -> String {
    let mut connection = TcpStream::connect(address).await.expect("connected");
    let request = format!("GET {path} HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n");
    connection.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.expect("an answer");
    answer
}

#[test]
fn check_prints_the_routes_or_everything_that_is_wrong() {
    let directory = tempfile::tempdir().expect("a directory");
    let check = |routes: &str| {
        let file = configure(directory.path(), routes);
        let output = Command::new(PROGRAM)
            .args(["check", "--config"])
            .arg(file)
            .output()
            .expect("ran");
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(text).expect("text"))
    };
    let (valid, text) = check("{ match: GET a.example/x, to: docs, require: { role: editor } }");
    assert!(
        valid && text.contains("GET a.example/x -> docs  user: role editor"),
        "{text}"
    );
    let (valid, text) = check(
        "{ match: GET a.example/x, to: docs, public: true }, { match: GET a.example/x, to: elsewhere, public: true }",
    );
    assert!(
        !valid && text.contains("elsewhere") && text.contains("GET a.example/x"),
        "{text}"
    );
}

#[test]
fn a_policy_whose_tests_fail_is_neither_valid_nor_served() {
    let directory = tempfile::tempdir().expect("a directory");
    let route = "{ match: GET a.example/x, to: docs, require: { signed_in: true } }";
    for (expect, command, succeeds) in [
        ("401", "check", true),
        ("allow", "check", false),
        ("allow", "serve", false),
    ] {
        let file = configure(directory.path(), route);
        let tests = format!("tests:\n  - {{ request: GET https://a.example/x, expect: {expect} }}\n");
        let policy = std::fs::read_to_string(&file).expect("there");
        std::fs::write(&file, policy + &tests).expect("written");
        let output = Command::new(PROGRAM)
            .args([command, "--config"])
            .arg(file)
            .output()
            .expect("ran");
        let text = String::from_utf8([output.stdout, output.stderr].concat()).expect("text");
        assert_eq!(output.status.success(), succeeds, "{text}");
        let told = if succeeds {
            "1 routes, 1 tests passed"
        } else {
            "edge.yaml:7:5: tests[0]: `GET https://a.example/x` by nobody: `allow` was expected, and it is refused with 401"
        };
        assert!(text.contains(told), "{text}");
    }
}

#[test]
fn explain_says_that_there_is_no_replica_yet_and_takes_no_nonsense() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = configure(
        directory.path(),
        "{ match: GET a.example/x, to: docs, public: true }",
    );
    let explain = |caller: &str| {
        let output = Command::new(PROGRAM)
            .args([
                "explain",
                "GET",
                "https://a.example/x",
                "--as",
                caller,
                "--config",
            ])
            .arg(&file)
            .output()
            .expect("ran");
        (
            output.status.code(),
            String::from_utf8(output.stderr).expect("text"),
        )
    };
    let (code, told) = explain("nobody");
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("there is no replica in"), "{told}");
    let (code, told) = explain("somebody");
    assert!(code != Some(0) && told.contains("is no caller"), "{told}");
    assert!(!directory.path().join("state").exists(), "nothing is written");
}

#[tokio::test]
async fn it_starts_without_its_control_plane_and_ends_when_told() {
    let directory = tempfile::tempdir().expect("a directory");
    let routes = "{ match: GET a.example/x, to: docs, require: { signed_in: true } }";
    let mut edge = Command::new(PROGRAM)
        .args(["serve", "--config"])
        .arg(configure(directory.path(), routes))
        .stderr(Stdio::piped())
        .spawn()
        .expect("started");
    let mut log = BufReader::new(edge.stderr.take().expect("a log")).lines();
    let line = log.find_map(|line| line.ok().filter(|line| line.contains("the edge is listening")));
    let line: serde_json::Value = serde_json::from_str(&line.expect("a line")).expect("JSON");
    let address = |field: &str| line[field].as_str().expect("an address").to_owned();
    let (http, admin) = (address("listen.http"), address("listen.admin"));

    let state = directory.path().join("state");
    let mode = std::fs::metadata(&state)
        .expect("a directory")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o700, "nobody else looks into the replica");
    assert!(get(&admin, "/livez").await.starts_with("HTTP/1.1 200 "));
    assert!(get(&admin, "/readyz").await.starts_with("HTTP/1.1 503 "));
    let answer = get(&http, "/x").await;
    assert!(
        answer.starts_with("HTTP/1.1 503 ") && answer.contains("replica_not_ready"),
        "{answer}"
    );

    let told = Command::new("kill")
        .arg(edge.id().to_string())
        .status()
        .expect("kill");
    assert!(told.success());
    let ended = tokio::task::spawn_blocking(move || {
        // What is left of the log is read, so that the program cannot block on it.
        let rest: Vec<String> = log.map_while(Result::ok).collect();
        (edge.wait().expect("ended"), rest)
    });
    let (status, rest) = ended.await.expect("no panic");
    assert!(status.success(), "{rest:?}");
    assert!(
        rest.iter()
            .any(|line| line.contains(r#""decision.reason":"replica_not_ready""#)),
        "{rest:?}"
    );
}

/// P11: the cap on connections is one that the process can keep.
#[test]
fn it_takes_no_more_connections_than_it_has_files_for() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = configure(
        directory.path(),
        "{ match: GET a.example/x, to: docs, public: true }",
    );
    let mut edge = Command::new("sh")
        .args([
            "-c",
            r#"ulimit -Sn 200 && ulimit -Hn 328 && exec "$0" serve --config "$1""#,
        ])
        .arg(PROGRAM)
        .arg(file)
        .stderr(Stdio::piped())
        .spawn()
        .expect("started");
    let log = BufReader::new(edge.stderr.take().expect("a log")).lines();
    let mut lines = log.map_while(Result::ok);
    let said = lines.find(|line| line.contains("limits.connections"));
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", edge.id())).expect("limits");
    edge.kill().expect("killed");
    edge.wait().expect("ended");
    let said: serde_json::Value = serde_json::from_str(&said.expect("a line")).expect("JSON");
    // Without 128, 4 for each worker, and at most a quarter that they keep open to services.
    let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let kept = (256 / workers).max(16).min(82 / workers).max(1);
    let room = 328_usize.saturating_sub(128 + (4 + kept) * workers) / 2;
    assert_eq!(said["limits.connections"], room.max(1));
    let open_files = limits.lines().find(|line| line.starts_with("Max open files"));
    let numbers: Vec<&str> = open_files.expect("a line").split_whitespace().skip(3).collect();
    assert_eq!(numbers, ["328", "328", "files"]);
}
