//! The service behind the proxy: it knows no login and no permissions, and answers with what reached it. It believes
//! nothing but what an edge has signed.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use axum::{Json, Router};
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::assertion::{self, Refused, Verifier};

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
    /// Serves on `listener` what `verifier` believes.
    ///
    /// # Errors
    /// The listener has no address.
    pub fn serve(listener: TcpListener, verifier: Verifier) -> Result<(Self, SocketAddr)> {
        let address = listener
            .local_addr()
            .context("the upstream's listener has no address")?;
        let arrivals = Arrivals::default();
        let router = Router::new()
            .fallback(answer)
            .with_state((Arc::clone(&arrivals), verifier));
        let task = tokio::spawn(async move {
            // Ends only when the task is aborted.
            let _ = axum::serve(listener, router).await;
        });
        Ok((Self { arrivals, task }, address))
    }

    /// How many requests have arrived so far; those that were not believed are not counted.
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
    State((arrivals, verifier)): State<(Arrivals, Verifier)>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let said = match verifier.verify(&method, &uri, &headers).await {
        Ok(said) => said,
        Err(Refused(why)) => {
            let refusal = json!({ "upstream": "docs", "refused": why });
            return (StatusCode::UNAUTHORIZED, Json(refusal)).into_response();
        }
    };
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
        .filter(|(name, _)| {
            !matches!(
                name.as_str(),
                "authorization" | "x-service-key" | "cookie" | assertion::HEADER
            )
        })
        .map(|(name, value)| (name.clone(), json!(value)))
        .collect();
    let seen = json!({
        "upstream": "docs",
        "method": arrival.method,
        "target": arrival.target,
        "caller": said.sub,
        "headers": shown,
        "body_bytes": body.len(),
    });
    let mut arrivals = arrivals.lock().unwrap_or_else(PoisonError::into_inner);
    arrivals.0 += 1;
    if arrivals.1.len() == MEMORY {
        arrivals.1.pop_front();
    }
    arrivals.1.push_back(arrival);
    Json(seen).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assertion::tests::Edge;
    use crate::http::{Ask, Http, Secret};

    #[tokio::test]
    async fn it_shows_what_reached_it_but_no_credential_and_believes_an_edge_only() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let edge = Edge::start().await;
        let (upstream, address) = Upstream::serve(listener, edge.verifier()).expect("serve");
        let http = Http::new().expect("client");
        let mut claims = edge.claims();
        claims["host"] = json!(address.to_string());
        for (name, none) in [
            ("wid", Value::Null),
            ("wslug", Value::Null),
            ("wrole", Value::Null),
        ] {
            claims[name] = none;
        }
        let ask = Ask::get(format!("http://{address}/documents/1?x=y"))
            .header("x-sentinel-user-id", "u1")
            .header("x-request-id", "r1")
            .bearer(&Secret::new("token", "very-secret"));
        let stranger = http.send(&ask).await.expect("answer").expect(401).expect("401");
        assert_eq!(
            stranger.json().expect("json")["refused"],
            "no assertion of an edge"
        );
        assert_eq!(upstream.count(), 0);

        let token = edge.sign(&claims);
        let answer = http
            .send(&ask.header(assertion::HEADER, &token))
            .await
            .expect("answer");
        let seen = answer.expect(200).expect("200").json().expect("json");
        assert_eq!(
            (&seen["target"], &seen["caller"]),
            (&json!("/documents/1?x=y"), &json!("user:u1"))
        );
        assert_eq!(seen["headers"]["x-sentinel-user-id"], "u1");
        let shown = seen.to_string();
        assert!(
            !shown.contains("very-secret") && !shown.contains(&token),
            "{shown}"
        );
        assert_eq!(upstream.count(), 1);
        let latest = upstream.latest().expect("one arrived");
        assert!(latest.headers.iter().any(|(name, _)| name == "authorization"));
    }
}
