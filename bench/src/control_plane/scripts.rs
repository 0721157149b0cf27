//! What the connections ask: prepared questions with their known answers, and refreshes of one session after the other.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, ensure};
use sentinel_quickstart::api::{DOCUMENT, SERVICE};
use serde::Deserialize;
use serde_json::json;

use super::world::{Document, Member, World};
use crate::dice::Dice;
use crate::load::{Connection, Script, post};

/// Permissions asked about by each member, in requests of one or of many.
const QUESTIONS_OF_MEMBER: usize = 200;

/// Requests to check permissions, one after the other and over again.
#[derive(Debug)]
pub(super) struct Questions {
    /// Each with the body that answers it.
    prepared: Vec<(Vec<u8>, Vec<u8>)>,
    at: usize,
}

impl Questions {
    /// Requests of `members`, each about `checks` documents of which the member may see about half or more. Every one is
    /// asked once here, and the answer compared with what it has to be.
    pub(super) async fn prepare(
        world: &World,
        members: &[Member],
        checks: usize,
        address: SocketAddr,
    ) -> Result<Self> {
        let mut connection = Connection::open(address).await?;
        let mut prepared = Vec::new();
        // Members take turns, so that no two requests in a row show the same token.
        for turn in 0..QUESTIONS_OF_MEMBER.div_ceil(checks) {
            for member in members {
                let seed = member.number * QUESTIONS_OF_MEMBER + turn;
                let documents = choose(world, member, checks, seed);
                let request = check(world, member, &documents, address);
                let body = connection.exchange(&request).await?.to_vec();
                verify(world, member, &documents, &body)?;
                prepared.push((request, body));
            }
        }
        Ok(Self { prepared, at: 0 })
    }
}

impl Script for Questions {
    fn request(&mut self) -> &[u8] {
        self.at = (self.at + 1).checked_rem(self.prepared.len()).unwrap_or_default();
        self.prepared
            .get(self.at)
            .map(|(request, _)| &**request)
            .unwrap_or_default()
    }

    fn answer(&mut self, body: &[u8]) -> Result<()> {
        let right = self.prepared.get(self.at).is_some_and(|(_, right)| right == body);
        ensure!(
            right,
            "another answer came than at first: {}",
            String::from_utf8_lossy(body)
        );
        Ok(())
    }
}

/// By turns any document, and one that the member may see.
fn choose<'a>(world: &'a World, member: &Member, count: usize, seed: usize) -> Vec<&'a Document> {
    let mut dice = Dice(u64::try_from(seed).unwrap_or_default());
    (0..count)
        .filter_map(|number| {
            let start = dice.below(world.documents.len());
            let mut from = world
                .documents
                .iter()
                .cycle()
                .skip(start)
                .take(world.documents.len());
            let any = world.documents.get(start);
            if (number + seed).is_multiple_of(2) {
                any
            } else {
                from.find(|document| world.may_view(member, document)).or(any)
            }
        })
        .collect()
}

fn check(world: &World, member: &Member, documents: &[&Document], address: SocketAddr) -> Vec<u8> {
    let checks: Vec<_> = documents
        .iter()
        .map(|document| {
            json!({
                "service_name": SERVICE,
                "resource_type": DOCUMENT,
                "resource_id": document.id,
                "action": "view",
            })
        })
        .collect();
    let bearer = format!("Bearer {}", member.access.expose());
    let headers = [("x-service-key", world.key.expose()), ("authorization", &bearer)];
    post(
        address,
        "/permissions/check",
        &headers,
        &json!({"checks": checks}).to_string(),
    )
}

fn verify(world: &World, member: &Member, documents: &[&Document], body: &[u8]) -> Result<()> {
    #[derive(Deserialize)]
    struct Answer {
        results: Vec<One>,
    }
    #[derive(Deserialize)]
    struct One {
        resource_id: String,
        allowed: bool,
    }
    let answer: Answer = serde_json::from_slice(body).context("the answer is not what it should be")?;
    ensure!(
        answer.results.len() == documents.len(),
        "not every question was answered"
    );
    for (document, one) in documents.iter().zip(answer.results) {
        let right = one.resource_id == document.id && one.allowed == world.may_view(member, document);
        ensure!(
            right,
            "the answer about document {} is wrong: {}",
            document.id,
            one.allowed
        );
    }
    Ok(())
}

/// Refreshes of the sessions of some members, by turns. Every answer brings the token of the session's next turn.
#[derive(Debug)]
pub(super) struct Refreshes {
    tokens: Vec<String>,
    at: usize,
    address: SocketAddr,
    request: Vec<u8>,
}

impl Refreshes {
    pub(super) fn of(members: &[Member], address: SocketAddr) -> Self {
        Self {
            tokens: members
                .iter()
                .map(|member| member.refresh.expose().to_owned())
                .collect(),
            at: 0,
            address,
            request: Vec::new(),
        }
    }
}

impl Script for Refreshes {
    fn request(&mut self) -> &[u8] {
        self.at = (self.at + 1).checked_rem(self.tokens.len()).unwrap_or_default();
        let token = self.tokens.get(self.at).map(String::as_str).unwrap_or_default();
        // A token is base64url and dots: it is JSON as it is.
        let body = format!(r#"{{"refresh_token":"{token}"}}"#);
        self.request = post(self.address, "/auth/refresh", &[], &body);
        &self.request
    }

    fn answer(&mut self, body: &[u8]) -> Result<()> {
        #[derive(Deserialize)]
        struct Pair {
            refresh_token: String,
        }
        let pair: Pair = serde_json::from_slice(body).context("the answer has no refresh token")?;
        let slot = self.tokens.get_mut(self.at).context("nobody was refreshed")?;
        ensure!(*slot != pair.refresh_token, "the same refresh token came again");
        *slot = pair.refresh_token;
        Ok(())
    }
}
