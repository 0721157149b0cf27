//! Load: a lean HTTP/1.1 client on connections that are kept open, each with the next request as soon as the answer to the
//! last one is there. It costs the machine that it shares with the server as little as can be.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

/// How long an answer may take before the run has failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// The bytes of a POST request with a JSON body.
pub fn post(address: SocketAddr, path: &str, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    let headers: Vec<String> = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    let headers = headers.concat();
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\
         {headers}\r\n{body}"
    )
    .into_bytes()
}

/// An open connection.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// Nothing listens there.
    pub async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address)
            .await
            .with_context(|| format!("cannot connect to `{address}`"))?;
        stream.set_nodelay(true).context("cannot set up a connection")?;
        Ok(Self {
            stream,
            buffer: Vec::with_capacity(64 * 1024),
        })
    }

    /// Sends a request and returns the body of its answer.
    ///
    /// # Errors
    /// The answer is not 200, or is not one that this client reads: with a length, and nothing behind it.
    pub async fn exchange(&mut self, request: &[u8]) -> Result<&[u8]> {
        let (status, body) = self.send(request).await?;
        if status != 200 {
            let text = String::from_utf8_lossy(body);
            bail!("status {status}: {}", text.chars().take(300).collect::<String>());
        }
        Ok(body)
    }

    /// Sends a request and returns the status and the body of its answer.
    ///
    /// # Errors
    /// The answer is not one that this client reads: with a length, and nothing behind it.
    pub async fn send(&mut self, request: &[u8]) -> Result<(u16, &[u8])> {
        self.stream
            .write_all(request)
            .await
            .context("the request cannot be sent")?;
        self.buffer.clear();
        let head = loop {
            self.read().await?;
            if let Some(head) = Head::parse(&self.buffer)? {
                break head;
            }
        };
        let end = head.size + head.body;
        while self.buffer.len() < end {
            self.read().await?;
        }
        let body = self.buffer.get(head.size..).unwrap_or_default();
        ensure!(body.len() == head.body, "more came than the answer's length");
        Ok((head.status, body))
    }

    async fn read(&mut self) -> Result<()> {
        let read = self.stream.read_buf(&mut self.buffer).await;
        ensure!(
            read.context("the answer cannot be read")? > 0,
            "the connection was closed within an answer"
        );
        Ok(())
    }
}

/// What is read of an answer's head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Head {
    status: u16,
    /// Bytes up to the body.
    size: usize,
    /// Bytes of the body.
    body: usize,
}

impl Head {
    /// `None` while it is not there as a whole.
    fn parse(bytes: &[u8]) -> Result<Option<Self>> {
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
            return Ok(None);
        };
        let text = bytes.get(..end).unwrap_or_default();
        let text = str::from_utf8(text).context("the answer's head is not text")?;
        let mut lines = text.split("\r\n");
        let status = lines
            .next()
            .and_then(|line| line.strip_prefix("HTTP/1.1 "))
            .and_then(|rest| rest.get(..3)?.parse().ok())
            .context("this is not an HTTP/1.1 answer")?;
        let body = lines
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .and_then(|(_, value)| value.trim().parse().ok())
            .context("the answer does not say its length")?;
        Ok(Some(Self {
            status,
            size: end + 4,
            body,
        }))
    }
}

/// What one connection asks, one request after the other.
pub trait Script: Send + 'static {
    /// The next request.
    fn request(&mut self) -> &[u8];

    /// Takes the body of the answer with status 200.
    ///
    /// # Errors
    /// It is not the right answer.
    fn answer(&mut self, body: &[u8]) -> Result<()>;

    /// Whether there is no further request. Most scripts go on for ever.
    fn is_over(&self) -> bool {
        false
    }
}

/// What came of a run.
#[derive(Debug)]
pub struct Load {
    /// From the first request to the last answer.
    pub took: Duration,
    /// How long each answer took, from before the request was sent until it was read, ascending.
    pub latencies: Vec<Duration>,
}

/// Runs all scripts at the same time, each on its connection, for `time` or until it is over, and until the last answer is
/// there.
///
/// # Errors
/// Any answer is wrong, or none comes.
pub async fn run<S: Script>(scripts: &mut Vec<(Connection, S)>, time: Duration) -> Result<Load> {
    let started = Instant::now();
    let end = started + time;
    let mut running = JoinSet::new();
    for (mut connection, mut script) in scripts.drain(..) {
        running.spawn(async move {
            let mut latencies = Vec::new();
            loop {
                let asked = Instant::now();
                if asked >= end || script.is_over() {
                    return anyhow::Ok((connection, script, latencies));
                }
                let body = connection.exchange(script.request()).await?;
                latencies.push(asked.elapsed());
                script.answer(body)?;
            }
        });
    }
    let mut latencies = Vec::new();
    let all = async {
        while let Some(ended) = running.join_next().await {
            let (connection, script, mut own) = ended.context("a connection's task broke")??;
            latencies.append(&mut own);
            scripts.push((connection, script));
        }
        anyhow::Ok(())
    };
    timeout(time + PATIENCE, all)
        .await
        .context("an answer does not come")??;
    let took = started.elapsed();
    latencies.sort_unstable();
    Ok(Load { took, latencies })
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// Answers each request of each connection with the next of `answers`, in two parts.
    async fn server(answers: &'static [&'static str]) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let address = listener.local_addr().expect("address");
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut request = [0; 1024];
                    for answer in answers.iter().cycle() {
                        if stream.read(&mut request).await.is_ok_and(|read| read > 0) {
                            let (one, two) = answer.split_at(answer.len() / 2);
                            stream.write_all(one.as_bytes()).await.expect("write");
                            tokio::task::yield_now().await;
                            stream.write_all(two.as_bytes()).await.expect("write");
                        } else {
                            return;
                        }
                    }
                });
            }
        });
        address
    }

    struct Same(Vec<u8>);

    impl Script for Same {
        fn request(&mut self) -> &[u8] {
            &self.0
        }

        fn answer(&mut self, body: &[u8]) -> Result<()> {
            ensure!(body == b"ok", "another body");
            Ok(())
        }
    }

    async fn load(answers: &'static [&'static str]) -> Result<Load> {
        let address = server(answers).await;
        let mut scripts = Vec::new();
        for _ in 0..2 {
            let request = post(address, "/", &[("a", "b")], "{}");
            scripts.push((Connection::open(address).await?, Same(request)));
        }
        let load = run(&mut scripts, Duration::from_millis(50)).await?;
        assert_eq!(scripts.len(), 2, "they can run again");
        Ok(load)
    }

    #[tokio::test]
    async fn every_answer_is_counted() {
        let load = load(&["HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"])
            .await
            .expect("load");
        assert!(load.latencies.len() >= 2);
        assert!(load.latencies.is_sorted());
        assert!(load.took >= Duration::from_millis(50));
    }

    #[tokio::test]
    async fn any_other_answer_fails_the_run() {
        for (answers, said) in [
            (
                &[
                    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
                    "HTTP/1.1 429 X\r\nContent-Length: 4\r\n\r\nslow",
                ][..],
                "status 429: slow",
            ),
            (
                &["HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno"],
                "another body",
            ),
            (
                &["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"],
                "its length",
            ),
            (
                &["HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok, and more"],
                "more came",
            ),
            (&["SSH-2.0 hello\r\n\r\n"], "not an HTTP/1.1 answer"),
        ] {
            let error = load(answers).await.expect_err(said);
            assert!(format!("{error:#}").contains(said), "{error:#}");
        }
    }
}
