//! What the store promises, tried on both backends.

mod chains;
mod follow;
mod head;
mod kinds_of_errors;
mod migrations;
mod redis_outage;
mod revisions;
mod settings;
mod short_lived;
mod statements;
mod transactions;

use sentinel_core::id::UserId;
use sentinel_core::{Change, Fact, Random as _, Revision, SystemRandom};
use sentinel_store::Database;
use uuid::Uuid;

/// A change that can be told from others by its number.
fn change(number: u128) -> Change {
    Change::Put(Fact::DisabledUser(UserId::from(Uuid::from_u128(number))))
}

/// A fresh id.
fn id() -> Uuid {
    let mut bytes = [0; 16];
    SystemRandom.fill(&mut bytes);
    Uuid::from_bytes(bytes)
}

/// Waits until there is a revision newer than `known`, and says the newest.
async fn newer(db: &Database, known: Revision) -> Revision {
    let mut head = db.subscribe();
    let newest = head.wait_for(|head| *head > known).await;
    *newest.expect("the database is there")
}
