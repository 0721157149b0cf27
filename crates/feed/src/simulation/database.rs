//! The truth: facts under their keys, a log of what was committed, and what was true when. It is written without the code
//! that it judges: facts are lines of text in a map.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use sentinel_core::{Change, Fact, Revision};

/// How many committed changes the log keeps.
const LOG: usize = 400;

/// Facts by their keys.
pub(crate) type Facts = BTreeMap<String, Fact>;

/// A time in which one state was the newest. It follows the one before it.
pub(crate) struct Era {
    pub(crate) revision: Revision,
    pub(crate) lines: Arc<BTreeSet<String>>,
    /// Until when; `None` while it still is.
    pub(crate) until: Option<Duration>,
}

/// What was committed, as a control plane reads it.
#[derive(Clone)]
pub(crate) struct Logged {
    pub(crate) revision: Revision,
    pub(crate) changes: Vec<Change>,
}

pub(crate) struct Database {
    revision: Revision,
    facts: Facts,
    log: VecDeque<Logged>,
    /// States that a backup may have.
    past: VecDeque<(Revision, Facts)>,
    eras: Vec<Era>,
}

impl Database {
    pub(crate) fn new(facts: Vec<Fact>) -> Self {
        let facts = facts.into_iter().map(|fact| (key(&fact), fact)).collect();
        let mut database = Self {
            revision: Revision { epoch: 1, number: 1 },
            facts,
            log: VecDeque::new(),
            past: VecDeque::new(),
            eras: Vec::new(),
        };
        database.begin_era(Duration::ZERO);
        database
    }

    pub(crate) fn revision(&self) -> Revision {
        self.revision
    }

    pub(crate) fn facts(&self) -> &Facts {
        &self.facts
    }

    pub(crate) fn eras(&self) -> &[Era] {
        &self.eras
    }

    /// Commits a transaction. From here on it is acknowledged.
    pub(crate) fn commit(&mut self, changes: Vec<Change>, at: Duration) -> Revision {
        self.past.push_back((self.revision, self.facts.clone()));
        if self.past.len() > 40 {
            self.past.pop_front();
        }
        self.revision.number += 1;
        for change in &changes {
            let key = key(change.fact());
            match change {
                Change::Put(fact) => drop(self.facts.insert(key, fact.clone())),
                Change::Delete(_) => drop(self.facts.remove(&key)),
            }
        }
        let revision = self.revision;
        self.log.push_back(Logged { revision, changes });
        if self.log.len() > LOG {
            self.log.pop_front();
        }
        self.begin_era(at);
        revision
    }

    /// Puts a backup in place that is at most `back` commits old, in the same epoch.
    pub(crate) fn roll_back(&mut self, back: usize, at: Duration) {
        for _ in 0..back {
            if let Some((revision, facts)) = self.past.pop_back() {
                (self.revision, self.facts) = (revision, facts);
            }
        }
        let head = self.revision;
        self.log.retain(|logged| logged.revision <= head);
        self.begin_era(at);
    }

    /// What an operator does after that.
    pub(crate) fn begin_epoch(&mut self, at: Duration) {
        self.revision = Revision {
            epoch: self.revision.epoch + 1,
            number: 0,
        };
        self.log.clear();
        self.past.clear();
        self.begin_era(at);
    }

    /// What was committed after a revision; `None` where the log cannot say, by the rules of the change log's table.
    pub(crate) fn after(&self, known: Revision) -> Option<Vec<Logged>> {
        if known.epoch != self.revision.epoch || known > self.revision {
            return None;
        }
        let begin = self
            .log
            .front()
            .map_or(self.revision.number, |first| first.revision.number - 1);
        if known.number < begin {
            return None;
        }
        let after = self.log.iter().filter(|logged| logged.revision > known);
        Some(after.cloned().collect())
    }

    fn begin_era(&mut self, at: Duration) {
        if let Some(last) = self.eras.last_mut() {
            last.until = Some(at);
        }
        self.eras.push(Era {
            revision: self.revision,
            lines: Arc::new(self.facts.values().map(ToString::to_string).collect()),
            until: None,
        });
    }
}

/// What a fact replaces: one with the same key.
fn key(fact: &Fact) -> String {
    match fact {
        Fact::Tuple(tuple) | Fact::ExpiringTuple { tuple, .. } => format!("tuple {tuple}"),
        Fact::Model(model) => format!("model {}", model.service),
        Fact::ServiceKey(key) => format!("service-key {:?}", key.digest),
        Fact::SigningKey(key) => format!("signing-key {}", key.kid),
        Fact::RevokedSession { session, .. } => format!("revoked-session {session}"),
        Fact::RevokedToken { token, .. } => format!("revoked-token {token}"),
        Fact::DisabledUser(user) => format!("disabled-user {user}"),
    }
}
