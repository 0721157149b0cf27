//! A listener with small limits, and clients that go too far. The limits are short so that a test need not wait; what is
//! asserted is that the connection ends, and how.

use axum::body::Bytes;
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use axum::routing::{get, post};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::*;
use crate::extract::body::Whole;

const SHORT: Duration = Duration::from_millis(50);
const LONG: Duration = Duration::from_mins(1);
/// Before this everything must be over, by far.
const PATIENCE: Duration = Duration::from_secs(20);

/// No limit is met.
const LIMITS: Limits = Limits {
    connections: 1000,
    connections_per_address: 1000,
    head: LONG,
    body_gap: LONG,
    write_stall: LONG,
    idle: LONG,
    linger: LONG,
    control_frames_per_second: 1000,
    ..Limits::DEFAULT
};

struct Listening {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
    /// What the answer of `/late` waits for.
    late: Arc<Notify>,
}

async fn start(limits: Limits) -> Listening {
    let late = Arc::new(Notify::new());
    let awaited = Arc::clone(&late);
    let router = Router::new()
        .route(
            "/late",
            get(|| async move {
                let part = async move {
                    awaited.notified().await;
                    Ok::<_, Infallible>("late")
                };
                Body::from_stream(futures_util::stream::once(part))
            }),
        )
        .route("/", get(|| async { "hello" }))
        .route("/refuse", post(|| async { StatusCode::UNAUTHORIZED }))
        .route(
            "/read",
            post(|body: Result<Whole, crate::problem::ApiError>| async {
                match body {
                    Ok(Whole(body)) => body.into_response(),
                    Err(error) => error.status().into_response(),
                }
            }),
        )
        .route(
            "/endless",
            get(|| async {
                let parts =
                    futures_util::stream::repeat_with(|| Ok::<_, Infallible>(Bytes::from(vec![0; 65536])));
                Body::from_stream(parts)
            }),
        );
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("port");
    let address = listener.local_addr().expect("address");
    let (stop, stopping) = watch::channel(false);
    let task = tokio::spawn(listen(
        listener,
        router,
        limits,
        TrustedProxies::default(),
        stopping,
    ));
    Listening {
        address,
        stop,
        task,
        late,
    }
}

impl Listening {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("connected")
    }

    async fn send(&self, text: &str) -> TcpStream {
        let mut stream = self.connect().await;
        stream.write_all(text.as_bytes()).await.expect("sent");
        stream
    }
}

/// What comes until the server closes; it must close.
async fn until_closed(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    match timeout(PATIENCE, stream.read_to_end(&mut bytes))
        .await
        .expect("the server closes")
    {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), io::ErrorKind::ConnectionReset),
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// One answer without a body, or with one of the given length.
async fn answer_of(stream: &mut TcpStream, body: usize) -> String {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        bytes.push(
            timeout(PATIENCE, stream.read_u8())
                .await
                .expect("in time")
                .expect("a byte"),
        );
    }
    let mut rest = vec![0; body];
    stream.read_exact(&mut rest).await.expect("the body");
    String::from_utf8(bytes).expect("text")
}

const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";

#[tokio::test]
async fn who_says_nothing_or_half_a_head_is_let_go() {
    let server = start(Limits {
        head: SHORT,
        ..LIMITS
    })
    .await;
    for text in ["", "GET / HT", "GET / HTTP/1.1\r\nhost: a\r\n", "PRI * HTT"] {
        until_closed(&mut server.send(text).await).await;
    }
    // So is who has had an answer and asks nothing more.
    let closed = until_closed(&mut server.send(GET).await).await;
    assert!(
        closed.starts_with("HTTP/1.1 200") && closed.ends_with("hello"),
        "{closed}"
    );
}

#[tokio::test]
async fn half_a_body_is_answered_and_let_go() {
    let server = start(Limits {
        body_gap: SHORT,
        ..LIMITS
    })
    .await;
    let half = "POST /read HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\nhalf";
    let closed = until_closed(&mut server.send(half).await).await;
    assert!(closed.starts_with("HTTP/1.1 408"), "{closed}");
    assert!(closed.contains("connection: close"), "{closed}");
}

#[tokio::test]
async fn what_a_refusal_leaves_unread_does_not_break_the_next_request() {
    let server = start(LIMITS).await;
    let mut stream = server.connect().await;
    for length in [0_usize, 10, 60_000].repeat(20) {
        let head = format!("POST /refuse HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.expect("sent");
        stream.write_all(&vec![b'x'; length]).await.expect("sent");
        let answer = answer_of(&mut stream, 0).await;
        assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
        assert!(!answer.contains("connection: close"), "{answer}");
    }
}

#[tokio::test]
async fn who_sends_too_much_after_a_refusal_is_told_and_let_go() {
    let server = start(LIMITS).await;
    let head = "POST /refuse HTTP/1.1\r\nhost: a\r\ncontent-length: 900000\r\n\r\n";
    let mut stream = server.send(head).await;
    stream
        .write_all(&vec![b'x'; 900_000])
        .await
        .expect("the rest is read and thrown away");
    let closed = until_closed(&mut stream).await;
    assert!(
        closed.starts_with("HTTP/1.1 401") && closed.contains("connection: close"),
        "{closed}"
    );

    let waits = "POST /refuse HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 10\r\n\r\n";
    let answer = answer_of(&mut server.send(waits).await, 0).await;
    assert!(
        answer.starts_with("HTTP/1.1 401") && answer.contains("connection: close"),
        "{answer}"
    );
}

#[tokio::test]
async fn who_takes_no_answer_is_let_go() {
    let server = start(Limits {
        write_stall: SHORT,
        linger: SHORT,
        connections: 1,
        ..LIMITS
    })
    .await;
    let stalled = server.send("GET /endless HTTP/1.1\r\nhost: a\r\n\r\n").await;
    // There is one place only, and it becomes free.
    let freed = async {
        loop {
            let mut next = server.connect().await;
            // It may be turned away while it asks.
            let _ = next
                .write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
                .await;
            if until_closed(&mut next).await.starts_with("HTTP/1.1 200") {
                break;
            }
        }
    };
    timeout(PATIENCE, freed).await.expect("the place is free");
    drop(stalled);
}

#[tokio::test]
async fn an_address_has_so_many_connections_and_no_more() {
    let server = start(Limits {
        connections_per_address: 2,
        head: LONG,
        ..LIMITS
    })
    .await;
    let mut first = server.send(GET).await;
    answer_of(&mut first, 5).await;
    let mut second = server.send(GET).await;
    answer_of(&mut second, 5).await;
    let mut third = server.connect().await;
    assert_eq!(until_closed(&mut third).await, "");
    first.write_all(GET.as_bytes()).await.expect("the first goes on");
    answer_of(&mut first, 5).await;
    drop(first);
    let again = async {
        loop {
            let mut stream = server.connect().await;
            if stream.write_all(GET.as_bytes()).await.is_ok() && stream.read_u8().await.is_ok() {
                break;
            }
        }
    };
    timeout(PATIENCE, again).await.expect("its place is free");
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";

#[tokio::test]
async fn an_http2_connection_without_requests_ends() {
    let server = start(Limits {
        idle: SHORT,
        ..LIMITS
    })
    .await;
    let mut stream = server.connect().await;
    stream.write_all(PREFACE).await.expect("sent");
    // It acknowledges nothing, so only the end by force is left.
    until_closed(&mut stream).await;
}

/// What an edge's subscription is: a request that ends at once, and an answer that does not.
#[tokio::test]
async fn an_answer_may_take_as_long_as_it_likes() {
    let server = start(Limits {
        idle: SHORT,
        body_gap: SHORT,
        head: SHORT,
        ..LIMITS
    })
    .await;
    let mut listens = server.connect().await;
    listens.write_all(PREFACE).await.expect("sent");
    // HEADERS, at once the end of the request: GET, http, and path and authority in full (RFC 7541 §6).
    let head = b"\x00\x00\x0c\x01\x05\x00\x00\x00\x01\x82\x86\x44\x05/late\x41\x01a";
    listens.write_all(head).await.expect("sent");
    // Two that come later and ask for nothing have been let go by now, one after the other.
    for _ in 0..2 {
        let mut idle = server.connect().await;
        idle.write_all(PREFACE).await.expect("sent");
        until_closed(&mut idle).await;
    }
    server.late.notify_one();
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"late") {
        bytes.push(
            timeout(PATIENCE, listens.read_u8())
                .await
                .expect("in time")
                .expect("a byte"),
        );
    }
}

#[tokio::test]
async fn a_flood_of_pings_ends_the_connection() {
    let server = start(Limits {
        control_frames_per_second: 50,
        linger: SHORT,
        ..LIMITS
    })
    .await;
    let mut stream = server.connect().await;
    stream.write_all(PREFACE).await.expect("sent");
    let ping = b"\x00\x00\x08\x06\x00\x00\x00\x00\x00\x01\x02\x03\x04\x05\x06\x07\x08".repeat(1000);
    // The server may be gone before all are sent.
    let _ = stream.write_all(&ping).await;
    until_closed(&mut stream).await;
}

#[tokio::test]
async fn stopping_ends_idle_connections_and_answers_open_requests() {
    let server = start(LIMITS).await;
    let mut idle = server.send(GET).await;
    answer_of(&mut idle, 5).await;
    let mut open = server
        .send("POST /read HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n")
        .await;
    let begun = answer_of(&mut open, 0).await;
    assert!(begun.starts_with("HTTP/1.1 100"), "{begun}");
    server.stop.send_replace(true);
    assert_eq!(until_closed(&mut idle).await, "");
    drop(idle);
    open.write_all(b"abcd").await.expect("sent");
    let closed = until_closed(&mut open).await;
    assert!(
        closed.starts_with("HTTP/1.1 200") && closed.ends_with("abcd"),
        "{closed}"
    );
    drop(open);
    timeout(PATIENCE, server.task)
        .await
        .expect("it stops")
        .expect("well");
}

#[test]
fn the_connections_of_one_network_are_counted_together() {
    let proxies = ["10.0.0.0/8".parse::<ipnet::IpNet>().expect("network")];
    let census = Arc::new(Census::new(proxies.into_iter().collect()));
    let limits = Limits {
        connections: 3,
        connections_per_address: 2,
        ..LIMITS
    };
    let enter = |ip: &str| census.enter(ip.parse().expect("address"), &limits);
    let (one, two) = (enter("2001:db8::1"), enter("2001:db8::2"));
    assert!(one.is_some() && enter("2001:db8::3").is_none());
    let other = enter("192.0.2.1").expect("another network");
    assert!(enter("192.0.2.2").is_none(), "three in all");
    drop(one);
    let again = enter("2001:db8::3").expect("its place is free");
    drop((again, two, other));
    let of_proxy = ["10.0.0.1", "10.0.0.1", "::ffff:10.0.0.1"].map(enter);
    assert!(
        of_proxy.iter().all(Option::is_some),
        "many clients come by way of a proxy"
    );
    assert!(enter("10.0.0.1").is_none(), "and are as many as all may be");
}
