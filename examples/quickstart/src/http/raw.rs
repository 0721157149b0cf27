//! A request exactly as it is written, for paths that every decent client would repair.

use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::Answer;

const PATIENCE: Duration = Duration::from_secs(10);

/// Sends `request` to `address` byte for byte, and reads the answer until the connection closes.
///
/// # Errors
/// Nothing listens there, or what came back is not an HTTP/1 answer.
pub async fn raw(address: &str, request: &str) -> Result<Answer> {
    let started = Instant::now();
    let exchange = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await?;
        Ok::<_, std::io::Error>(bytes)
    };
    let bytes = timeout(PATIENCE, exchange)
        .await
        .with_context(|| format!("no answer from {address} within {PATIENCE:?}"))?
        .with_context(|| format!("no answer from {address}"))?;
    let text = String::from_utf8_lossy(&bytes);
    let mut answer = parse(&text).with_context(|| format!("{address} did not answer in HTTP/1"))?;
    answer.took = started.elapsed();
    Ok(answer)
}

fn parse(text: &str) -> Option<Answer> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.")?.get(2..5)?.parse().ok()?;
    let headers = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    Some(Answer {
        status,
        headers,
        body: body.to_owned(),
        took: Duration::ZERO,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_taken_apart() {
        let answer = parse("HTTP/1.1 400 Bad Request\r\nContent-Type: a/b\r\n\r\nbody").expect("answer");
        assert_eq!((answer.status, answer.body.as_str()), (400, "body"));
        assert_eq!(answer.header("content-type"), Some("a/b"));
        assert!(parse("SSH-2.0-x\r\n").is_none());
    }
}
