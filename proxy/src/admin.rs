//! The operator's listener: metrics, liveness and readiness, apart from the traffic.
//!
//! It answers `GET` and `HEAD` of three paths and closes. It must not be reachable for the public.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};

/// What an operator can ask.
pub trait Status: Send + Sync + 'static {
    /// The metrics in Prometheus' text format.
    fn metrics(&self) -> String;

    /// Whether requests can be decided here, and a JSON document that says why.
    fn readiness(&self) -> (bool, serde_json::Value);
}

/// The longest request that is read.
const MAX_REQUEST: usize = 8 * 1024;
/// How long one exchange may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many are served at once.
const AT_ONCE: usize = 64;

/// Serves until `stop` says so.
pub async fn serve<S: Status>(listener: TcpListener, status: Arc<S>, mut stop: watch::Receiver<bool>) {
    let slots = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
            return;
        };
        let accepted = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((connection, _)) = accepted else {
            sleep(Duration::from_millis(100)).await;
            continue;
        };
        let status = Arc::clone(&status);
        tokio::spawn(async move {
            let _slot = slot;
            // A client that does not listen is no concern of ours.
            let _ = timeout(PATIENCE, exchange(connection, status.as_ref())).await;
        });
    }
}

async fn exchange(mut connection: TcpStream, status: &impl Status) -> std::io::Result<()> {
    let mut request = Vec::new();
    let mut piece = [0_u8; 1024];
    while !request.windows(4).any(|four| four == b"\r\n\r\n") && request.len() < MAX_REQUEST {
        let read = connection.read(&mut piece).await?;
        if read == 0 {
            break;
        }
        request.extend_from_slice(piece.get(..read).unwrap_or_default());
    }
    let line = request.split(|b| *b == b'\r').next().unwrap_or_default();
    connection.write_all(answer(line, status).as_bytes()).await?;
    connection.shutdown().await
}

/// The whole answer to a request line.
fn answer(line: &[u8], status: &impl Status) -> String {
    let mut parts = line.split(|b| *b == b' ');
    let (method, path) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let path = path.split(|b| *b == b'?').next().unwrap_or_default();
    let (code, kind, body) = match (method, path) {
        (b"GET" | b"HEAD", b"/livez") => ("200 OK", "text/plain", "alive\n".to_owned()),
        (b"GET" | b"HEAD", b"/readyz") => {
            let (ready, document) = status.readiness();
            let code = if ready {
                "200 OK"
            } else {
                "503 Service Unavailable"
            };
            (code, "application/json", document.to_string())
        }
        (b"GET" | b"HEAD", b"/metrics") => ("200 OK", "text/plain; version=0.0.4", status.metrics()),
        (b"GET" | b"HEAD", _) => ("404 Not Found", "text/plain", "not found\n".to_owned()),
        _ => (
            "405 Method Not Allowed",
            "text/plain",
            "GET is expected\n".to_owned(),
        ),
    };
    let head = format!(
        "HTTP/1.1 {code}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n",
        body.len()
    );
    if method == b"HEAD" { head } else { head + &body }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed(bool);

    impl Status for Fixed {
        fn metrics(&self) -> String {
            "up 1\n".to_owned()
        }

        fn readiness(&self) -> (bool, serde_json::Value) {
            (self.0, serde_json::json!({ "ready": self.0 }))
        }
    }

    fn asked(line: &str, ready: bool) -> (String, String) {
        let answer = answer(line.as_bytes(), &Fixed(ready));
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        let code = head.split(' ').nth(1).expect("a code");
        (code.to_owned(), body.to_owned())
    }

    #[test]
    fn three_paths_are_answered_and_no_other() {
        let is = |code: &str, body: &str| (code.to_owned(), body.to_owned());
        assert_eq!(asked("GET /livez HTTP/1.1", false), is("200", "alive\n"));
        assert_eq!(
            asked("GET /readyz HTTP/1.1", true),
            is("200", r#"{"ready":true}"#)
        );
        assert_eq!(
            asked("GET /readyz?v HTTP/1.1", false),
            is("503", r#"{"ready":false}"#)
        );
        assert_eq!(asked("GET /metrics HTTP/1.1", true), is("200", "up 1\n"));
        assert_eq!(asked("HEAD /metrics HTTP/1.1", true), is("200", ""));
        assert_eq!(asked("GET / HTTP/1.1", true).0, "404");
        assert_eq!(asked("POST /livez HTTP/1.1", true).0, "405");
        assert_eq!(asked("", true).0, "405");
    }

    #[tokio::test]
    async fn it_is_served_over_a_socket_until_it_is_stopped() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (stop, stopped) = watch::channel(false);
        let serving = tokio::spawn(serve(listener, Arc::new(Fixed(true)), stopped));
        let mut connection = TcpStream::connect(address).await.expect("connected");
        connection
            .write_all(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .expect("sent");
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await.expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("alive\n"));
        stop.send(true).expect("heard");
        serving.await.expect("ended");
    }
}
