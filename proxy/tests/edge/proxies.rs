//! Proxies in front of the edge: what they say about the client is believed, and what anybody else says is not.

use crate::harness::{Client, World};

const TRUSTING: &str = r#"
trusted_proxies: [127.0.0.0/8, 10.0.0.0/8]
routes: [{ match: "GET a.example/a", to: docs, public: true }]
"#;

async fn forwarded(world: &World, lines: &[&str]) -> Vec<String> {
    let before = world.service.requests().len();
    assert_eq!(world.get("/a", lines).await.status, 200, "{lines:?}");
    let requests = world.service.requests();
    assert_eq!(requests.len(), before + 1);
    let request = requests.last().expect("one").to_ascii_lowercase();
    let mut lines: Vec<String> = request
        .lines()
        .filter(|line| {
            line.contains("forwarded") || line.contains("client-ip") || line.starts_with("x-real-ip")
        })
        .map(str::to_owned)
        .collect();
    lines.sort();
    lines
}

fn seen(address: &str, scheme: &str) -> Vec<String> {
    vec![
        format!("x-forwarded-for: {address}"),
        "x-forwarded-host: a.example".to_owned(),
        format!("x-forwarded-proto: {scheme}"),
    ]
}

#[tokio::test]
async fn what_a_named_proxy_appends_is_the_client() {
    let world = World::with_policy(TRUSTING).await;
    for (lines, address, scheme) in [
        (&[] as &[&str], "127.0.0.1", "http"),
        (&["X-Forwarded-For: 203.0.113.9"], "203.0.113.9", "http"),
        (
            &["X-Forwarded-For: 203.0.113.9", "X-Forwarded-Proto: https"],
            "203.0.113.9",
            "https",
        ),
        (
            &["X-Forwarded-For: 198.51.100.1, 203.0.113.9, 10.0.0.7"],
            "203.0.113.9",
            "http",
        ),
        (
            &["X-Forwarded-For: 198.51.100.1", "X-Forwarded-For: 203.0.113.9"],
            "203.0.113.9",
            "http",
        ),
        (&["X-Forwarded-For: [2001:db8::7]:443"], "2001:db8::7", "http"),
        // What the client wrote himself stands on the left, and may be anything.
        (
            &["X-Forwarded-For: 127.0.0.1, 203.0.113.9"],
            "203.0.113.9",
            "http",
        ),
        (&["X-Forwarded-For: <script>, 203.0.113.9"], "203.0.113.9", "http"),
        // Nothing that can be read: the connection counts.
        (&["X-Forwarded-For: unknown"], "127.0.0.1", "http"),
        (&["X-Forwarded-For: 203.0.113.9, unknown"], "127.0.0.1", "http"),
        (&["X-Forwarded-For:"], "127.0.0.1", "http"),
        (&["X-Forwarded-Proto: https, http"], "127.0.0.1", "http"),
        (
            &["X-Forwarded-Proto: https", "X-Forwarded-Proto: https"],
            "127.0.0.1",
            "http",
        ),
        (
            &["Forwarded: for=203.0.113.9;proto=https", "X-Real-IP: 203.0.113.9"],
            "127.0.0.1",
            "http",
        ),
        (&["X-Forwarded-Host: evil.example"], "127.0.0.1", "http"),
    ] {
        assert_eq!(forwarded(&world, lines).await, seen(address, scheme), "{lines:?}");
    }
}

#[tokio::test]
async fn what_anybody_else_says_is_thrown_away() {
    let stranger = TRUSTING.replace("127.0.0.0/8, ", "");
    let nobody = "routes: [{ match: \"GET a.example/a\", to: docs, public: true }]";
    for policy in [stranger.as_str(), nobody] {
        let world = World::with_policy(policy).await;
        let lines = [
            "X-Forwarded-For: 203.0.113.9",
            "X-Forwarded-Proto: https",
            "X-Forwarded-Host: evil.example",
            "X-Client-Ip: 203.0.113.9",
            "Forwarded: for=203.0.113.9",
        ];
        assert_eq!(forwarded(&world, &lines).await, seen("127.0.0.1", "http"));
    }
}

/// However long the list is, it is one header like any other: the limit of heads is the limit of what is read.
#[tokio::test]
async fn a_long_list_is_no_trouble() {
    let world = World::with_policy(TRUSTING).await;
    let list = format!("X-Forwarded-For: {}10.0.0.1", "10.0.0.1,".repeat(3000));
    assert_eq!(forwarded(&world, &[&list]).await, seen("10.0.0.1", "http"));
    let mut client = Client::connect(world.running.http()).await;
    let commas = format!(
        "GET /a HTTP/1.1\r\nHost: a.example\r\nX-Forwarded-For: {}\r\n\r\n",
        ",".repeat(30_000)
    );
    client.write(commas.as_bytes()).await;
    assert_eq!(client.read_answer().await.status, 200);
}
