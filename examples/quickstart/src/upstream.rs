//! The service behind the proxy: it knows no login and no permissions, and answers with what reached it.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, Uri};
use axum::{Json, Router};
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// How many requests are remembered.
const MEMORY: usize = 1_000;

/// One request as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// The method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// All headers, names in lower case.
    pub headers: Vec<(String, String)>,
}

/// A running demo service. It ends with this value.
#[derive(Debug)]
pub struct Upstream {
    arrivals: Arrivals,
    task: JoinHandle<()>,
}

type Arrivals = Arc<Mutex<(u64, VecDeque<Arrival>)>>;

impl Upstream {
    /// Serves on `listener`.
    ///
    /// # Errors
    /// The listener has no address.
    pub fn serve(listener: TcpListener) -> Result<(Self, SocketAddr)> {
        let address = listener
            .local_addr()
            .context("the upstream's listener has no address")?;
        let arrivals = Arrivals::default();
        let router = Router::new().fallback(answer).with_state(Arc::clone(&arrivals));
        let task = tokio::spawn(async move {
            // Ends only when the task is aborted.
            let _ = axum::serve(listener, router).await;
        });
        Ok((Self { arrivals, task }, address))
    }

    /// How many requests have arrived so far.
    pub fn count(&self) -> u64 {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner).0
    }

    /// The latest request.
    pub fn latest(&self) -> Option<Arrival> {
        let arrivals = self.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
        arrivals.1.back().cloned()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(
    State(arrivals): State<Arrivals>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Json<Value> {
    let arrival = Arrival {
        method: method.to_string(),
        target: uri.to_string(),
        headers: headers
            .iter()
            .map(|(name, value)| {
                (
                    name.to_string(),
                    String::from_utf8_lossy(value.as_bytes()).into_owned(),
                )
            })
            .collect(),
    };
    // Credentials that are passed on are not read back to whoever asked.
    let shown: Map<String, Value> = arrival
        .headers
        .iter()
        .filter(|(name, _)| !matches!(name.as_str(), "authorization" | "x-service-key" | "cookie"))
        .map(|(name, value)| (name.clone(), json!(value)))
        .collect();
    let seen = json!({
        "upstream": "docs",
        "method": arrival.method,
        "target": arrival.target,
        "headers": shown,
        "body_bytes": body.len(),
    });
    let mut arrivals = arrivals.lock().unwrap_or_else(PoisonError::into_inner);
    arrivals.0 += 1;
    if arrivals.1.len() == MEMORY {
        arrivals.1.pop_front();
    }
    arrivals.1.push_back(arrival);
    Json(seen)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{Ask, Http, Secret};

    #[tokio::test]
    async fn it_shows_what_reached_it_but_no_credential() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let (upstream, address) = Upstream::serve(listener).expect("serve");
        let ask = Ask::get(format!("http://{address}/documents/1?x=y"))
            .header("x-sentinel-user-id", "u1")
            .bearer(&Secret::new("token", "very-secret"));
        let answer = Http::new().expect("client").send(&ask).await.expect("answer");
        let seen = answer.expect(200).expect("200").json().expect("json");
        assert_eq!(seen["target"], "/documents/1?x=y");
        assert_eq!(seen["headers"]["x-sentinel-user-id"], "u1");
        assert!(!seen.to_string().contains("very-secret"));
        assert_eq!(upstream.count(), 1);
        let latest = upstream.latest().expect("one arrived");
        assert!(latest.headers.iter().any(|(name, _)| name == "authorization"));
    }
}
