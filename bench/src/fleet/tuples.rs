//! The service's requests to the control plane: its model, and its tuples.

use anyhow::{Context as _, Result, bail};
use sentinel_core::Revision;
use sentinel_quickstart::http::{Ask, Http, Secret};
use serde_json::{Value, json};

/// One change of a tuple about a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    /// Whether it holds afterwards.
    pub(crate) holds: bool,
    /// `folder:7`
    pub(crate) object: String,
    /// `viewer`
    pub(crate) relation: &'static str,
    /// `user:…` or `folder:…`
    pub(crate) subject: String,
}

/// A service at a control plane.
#[derive(Debug, Clone)]
pub(crate) struct Tuples {
    url: String,
    key: Secret,
}

impl Tuples {
    pub(crate) fn new(url: &str, key: &Secret) -> Self {
        Self {
            url: url.to_owned(),
            key: key.clone(),
        }
    }

    /// The next version of the service's model.
    pub(crate) fn create_model(&self, text: &str) -> Ask {
        Ask::post(format!("{}/authz/models", self.url))
            .service_key(&self.key)
            .text("text/plain", text)
    }

    /// Writes changes at once. The revision after them; `None` if nobody can say whether they were written: then they are
    /// to be sent again, with the same `key`.
    ///
    /// # Errors
    /// The control plane refuses them.
    pub(crate) async fn write(&self, http: &Http, key: &str, changes: &[Change]) -> Result<Option<Revision>> {
        let of = |holds: bool| -> Vec<Value> {
            let all = changes.iter().filter(|change| change.holds == holds);
            all.map(|change| json!({"object": change.object, "relation": change.relation, "subject": change.subject}))
                .collect()
        };
        let ask = Ask::post(format!("{}/authz/tuples", self.url))
            .service_key(&self.key)
            .header("Idempotency-Key", key)
            .json(json!({"writes": of(true), "deletes": of(false)}));
        let Ok(answer) = http.send(&ask).await else {
            return Ok(None);
        };
        match answer.status {
            200..300 => {
                let revision = answer.header("x-sentinel-revision");
                let revision = revision.context("the answer to a write has no revision")?;
                Ok(Some(revision.parse()?))
            }
            500.. => Ok(None),
            status => bail!("a write was refused with {status}: {}", answer.body),
        }
    }
}
