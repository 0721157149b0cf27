//! Writes, and asks about what was written.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use sentinel_core::Revision;
use sentinel_quickstart::http::Http;
use tokio::time::{Instant, sleep};

use super::client::{Client, Said};
use super::edge::Edge;
use super::people::People;
use super::truth::{Question, Truth};
use crate::dice::Dice;
use crate::fleet::{Change, Fleet, Tuples};

/// How many tuples are changed at once, at most.
const MOST: usize = 24;
/// How long a write or a question may go unanswered.
const PATIENCE: Duration = Duration::from_mins(2);
/// How long to wait before asking again.
const AGAIN: Duration = Duration::from_millis(20);
/// How many violations are told in full.
const EXAMPLES: usize = 10;

/// What came of the questions.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) allowed: u64,
    pub(super) denied: u64,
    pub(super) violated: u64,
    pub(super) unavailable: u64,
    pub(super) unanswered: u64,
    pub(super) writes: u64,
    pub(super) newest: Option<Revision>,
    /// The first of them.
    pub(super) violations: Vec<String>,
}

impl Tally {
    /// How many questions were decided.
    pub(super) fn pairs(&self) -> u64 {
        self.allowed + self.denied + self.violated
    }

    /// Takes in another one.
    pub(super) fn add(&mut self, other: &Self) {
        self.allowed += other.allowed;
        self.denied += other.denied;
        self.violated += other.violated;
        self.unavailable += other.unavailable;
        self.unanswered += other.unanswered;
        self.writes += other.writes;
        self.newest = self.newest.max(other.newest);
        let room = EXAMPLES.saturating_sub(self.violations.len());
        self.violations
            .extend(other.violations.iter().take(room).cloned());
    }
}

/// A writer with folders of its own.
pub(super) struct Writer {
    number: usize,
    dice: Dice,
    truth: Truth,
    tuples: Tuples,
    http: Http,
    people: People,
    users: Vec<String>,
    clients: Vec<Client>,
    tally: Tally,
}

impl Writer {
    pub(super) fn new(
        fleet: &Fleet,
        number: usize,
        seed: u64,
        people: &People,
        edges: &Arc<[Edge]>,
    ) -> Result<Self> {
        let users: Vec<String> = people.borrow().iter().map(|person| person.user.clone()).collect();
        let own = u64::try_from(number).context("too many writers")? + 1;
        Ok(Self {
            number,
            dice: Dice(seed.wrapping_mul(1_000_003).wrapping_add(own)),
            truth: Truth::new(format!("{number}"), users.len()),
            tuples: fleet.tuples(),
            http: fleet.http.clone(),
            users,
            people: people.clone(),
            clients: edges.iter().map(|edge| Client::of(edge.address)).collect(),
            tally: Tally::default(),
        })
    }

    /// Goes on until so many questions were decided.
    pub(super) async fn run(mut self, pairs: u64) -> Result<Tally> {
        while self.tally.pairs() < pairs {
            let (changes, questions) = self.truth.change(&mut self.dice, &self.users, MOST);
            if changes.is_empty() {
                continue;
            }
            let revision = self.write(&changes).await?;
            self.tally.newest = self.tally.newest.max(Some(revision));
            for question in &questions {
                self.ask(question, revision).await?;
            }
        }
        Ok(self.tally)
    }

    /// Writes until the control plane says that it has.
    async fn write(&mut self, changes: &[Change]) -> Result<Revision> {
        self.tally.writes += 1;
        let key = format!("{}-{}", self.number, self.tally.writes);
        let started = Instant::now();
        loop {
            if let Some(revision) = self.tuples.write(&self.http, &key, changes).await? {
                return Ok(revision);
            }
            ensure!(started.elapsed() < PATIENCE, "a write is not acknowledged");
            sleep(AGAIN).await;
        }
    }

    fn request(&self, question: &Question, revision: Revision) -> Result<String> {
        let people = self.people.borrow();
        let person = people.get(question.person).context("nobody")?;
        Ok(format!(
            "GET /folders/{} HTTP/1.1\r\nhost: docs.example\r\nauthorization: Bearer {}\r\nx-sentinel-revision: {revision}\r\n\r\n",
            question.folder,
            person.access.expose(),
        ))
    }

    /// Asks until it is decided.
    async fn ask(&mut self, question: &Question, revision: Revision) -> Result<()> {
        let started = Instant::now();
        loop {
            let request = self.request(question, revision)?;
            let number = self.dice.below(self.clients.len());
            let client = self.clients.get_mut(number).context("no edge")?;
            match (client.send(request.as_bytes()).await?, question.may) {
                (Said::Allowed, true) => self.tally.allowed += 1,
                (Said::Denied, false) => self.tally.denied += 1,
                (said @ (Said::Unavailable | Said::Nothing), _) => {
                    match said {
                        Said::Unavailable => self.tally.unavailable += 1,
                        _ => self.tally.unanswered += 1,
                    }
                    ensure!(started.elapsed() < PATIENCE, "a question is not answered");
                    sleep(AGAIN).await;
                    continue;
                }
                (said, _) => {
                    self.tally.violated += 1;
                    if self.tally.violations.len() < EXAMPLES {
                        self.tally.violations.push(format!(
                            "{said:?} by edge {number} at revision {revision}: {question:?}"
                        ));
                    }
                }
            }
            return Ok(());
        }
    }
}
