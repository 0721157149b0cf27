//! What the feed service is fed from: enrolled edges from the database, frames from the replication, signatures by the
//! feed key.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use sentinel_access::AccessError;
use sentinel_access::edges::assertion_keys::AnnouncedKey;
use sentinel_access::relations::RouteNeed;
use sentinel_core::id::EdgeId;
use sentinel_core::{Change, Clock, Revision, Timestamp};
use sentinel_feed::{FeedSource, Frame, Need, Observer, Replica, SourceUnavailable};
use sentinel_identity::FeedKey;
use sentinel_store::{ChangesAfter, StoreError};
use sentinel_token::AssertionKey;
use tokio::sync::broadcast;
use tokio::time::Instant;

use super::{Enrolment, Replication};
use crate::metrics::FeedMetrics;

/// How often it is written down that an edge was here.
const NOTED_EVERY: Duration = Duration::from_mins(1);

/// For how long an edge may get what is new though it cannot be read whether it is still enrolled.
const UNKNOWN: Duration = Duration::from_secs(10);

/// And this often at least it was tried meanwhile: time in which nobody looked, as in a process that stood still, says nothing.
const TRIES: u32 = 5;

/// What is older is not in touch with the database, and brings nothing new. The log is looked at ten times as often.
const IN_TOUCH: Duration = Duration::from_secs(1);

/// How many revisions of the log are read at once for an edge that comes back after a long time. Each may have two thousand
/// changes, and an edge that has missed too many fetches a snapshot.
const LOG_BATCH: u32 = 25;

/// The feed's source.
pub struct Source {
    replication: Arc<Replication>,
    enrolment: Enrolment,
    key: FeedKey,
    clock: Arc<dyn Clock>,
    /// When it was last written down that an edge was here. There are as many as were ever enrolled.
    noted: Mutex<HashMap<EdgeId, Instant>>,
    /// The edges of which it could not be read lately whether they are enrolled, though the replica was in touch.
    unknown: Mutex<HashMap<EdgeId, Unknown>>,
    metrics: FeedMetrics,
}

/// Looks that came to nothing, one after the other.
#[derive(Debug, Clone, Copy)]
struct Unknown {
    since: Instant,
    tries: u32,
}

impl Source {
    /// The source of a running replication.
    pub fn new(
        replication: Arc<Replication>,
        enrolment: Enrolment,
        key: FeedKey,
        clock: Arc<dyn Clock>,
        metrics: FeedMetrics,
    ) -> Self {
        Self {
            replication,
            enrolment,
            key,
            clock,
            noted: Mutex::default(),
            unknown: Mutex::default(),
            metrics,
        }
    }

    async fn edge(&self, digest: [u8; 32]) -> Result<Option<EdgeId>, anyhow::Error> {
        let mut tx = self.enrolment.database.read().await?;
        let edge = self.enrolment.access.edges.authenticate(&mut tx, &digest).await?;
        drop(tx);
        if let Some(edge) = edge {
            self.note_known(edge);
        }
        if let Some(edge) = edge
            && self.is_due(edge)
            && let Err(error) = self.note(edge).await
        {
            // When an edge was last seen is for people to read; it must not keep the edge out.
            tracing::warn!(edge.id = %edge, error = format!("{error:#}"), "it cannot be noted that an edge was here");
        }
        Ok(edge)
    }

    /// Whether it is time to write down again that the edge was here.
    fn is_due(&self, edge: EdgeId) -> bool {
        let now = Instant::now();
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        let due = noted
            .get(&edge)
            .is_none_or(|at| now.duration_since(*at) >= NOTED_EVERY);
        if due {
            noted.insert(edge, now);
        }
        due
    }

    async fn note(&self, edge: EdgeId) -> Result<(), anyhow::Error> {
        let mut tx = self.enrolment.database.begin().await?;
        self.enrolment.access.edges.seen(&mut tx, edge).await?;
        tx.commit().await?;
        Ok(())
    }

    async fn note_key(&self, edge: EdgeId, key: AssertionKey) -> Result<(), anyhow::Error> {
        let edges = &self.enrolment.access.edges;
        let key = AnnouncedKey {
            kid: key.kid(),
            public_key: *key.as_bytes(),
        };
        let mut tx = self.enrolment.database.read().await?;
        if !edges.is_news(&mut tx, edge, &key.kid).await? {
            return Ok(());
        }
        drop(tx);
        let mut tx = self.enrolment.database.begin().await?;
        match edges.announce(&mut tx, edge, &key).await {
            Ok(()) => tx.commit().await?,
            // It stays another one's however often it is announced.
            Err(AccessError::AssertionKeyTaken) => tracing::error!(
                edge.id = %edge,
                key.id = key.kid,
                "an edge announced an assertion key that is another edge's, and no service believes what it signs: delete \
                 `assertion.key` in its state directory and restart it, and revoke the other edge if this one took its place"
            ),
            Err(AccessError::AssertionKeyWithdrawn) => tracing::error!(
                edge.id = %edge,
                key.id = key.kid,
                "an edge announced an assertion key that was withdrawn when its edge was revoked, and no service believes \
                 what it signs: delete `assertion.key` in its state directory and restart it"
            ),
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    async fn note_routes(&self, edge: EdgeId, needs: &[Need]) -> Result<(), anyhow::Error> {
        let relations = &self.enrolment.access.relations;
        let routes: Vec<RouteNeed> = needs.iter().map(route_need).collect();
        let mut tx = self.enrolment.database.read().await?;
        if !relations.is_news(&mut tx, edge, &routes).await? {
            return Ok(());
        }
        drop(tx);
        let mut tx = self.enrolment.database.begin().await?;
        relations.announce_routes(&mut tx, edge, &routes).await?;
        tx.commit().await?;
        Ok(())
    }

    /// What the change log has between two revisions, in several looks; nothing if it does not reach back, or is long.
    async fn logged(
        &self,
        from: Revision,
        to: Revision,
        most: usize,
    ) -> Result<Option<Vec<Change>>, StoreError> {
        let (mut changes, mut at) = (Vec::new(), from);
        while at < to {
            let ChangesAfter::Changes(logged) = self.enrolment.database.changes_after(at, LOG_BATCH).await?
            else {
                return Ok(None);
            };
            let Some(last) = logged.last() else {
                return Ok(None);
            };
            at = last.revision;
            let wanted = logged.into_iter().filter(|logged| logged.revision <= to);
            changes.extend(wanted.flat_map(|logged| logged.changes));
            if changes.len() > most {
                return Ok(None);
            }
        }
        Ok(Some(changes))
    }

    async fn is_enrolled(&self, edge: EdgeId) -> Result<bool, anyhow::Error> {
        // A connection of those that follow: whatever services read at length cuts no edge off.
        let mut tx = self.enrolment.database.follow().await?;
        Ok(self.enrolment.access.edges.is_enrolled(&mut tx, edge).await?)
    }

    /// Notes that a look begins, and that it came to nothing unless [`Self::note_known`] follows: whoever asks may break it
    /// off. Whether the edge goes on getting what is new though all looks came to nothing for too long. While the database is
    /// away for the replica as well there is nothing new, and the edge is told how old everything is: it is kept.
    fn is_kept_in_vain(&self, edge: EdgeId) -> bool {
        let is_in_touch = self.replica().age().is_some_and(|age| age <= IN_TOUCH);
        let mut unknown = self.unknown.lock().unwrap_or_else(PoisonError::into_inner);
        if !is_in_touch {
            unknown.remove(&edge);
            return false;
        }
        let begun = Unknown {
            since: Instant::now(),
            tries: 0,
        };
        let looks = unknown.entry(edge).or_insert(begun);
        let in_vain = looks.tries >= TRIES && looks.since.elapsed() > UNKNOWN;
        looks.tries = looks.tries.saturating_add(1);
        in_vain
    }

    fn note_known(&self, edge: EdgeId) {
        let mut unknown = self.unknown.lock().unwrap_or_else(PoisonError::into_inner);
        unknown.remove(&edge);
    }
}

fn route_need(need: &Need) -> RouteNeed {
    RouteNeed {
        route: need.route.clone(),
        service: need.service.clone(),
        object_type: need.object_type.clone(),
        relation: need.relation.clone(),
    }
}

#[async_trait]
impl FeedSource for Source {
    // Asked when an edge connects, which is seldom: no cache, so a key that was withdrawn is unknown at once. Anybody may
    // ask, so it must not take the writer's place.
    async fn authenticate(&self, edge_key_digest: [u8; 32]) -> Result<Option<EdgeId>, SourceUnavailable> {
        self.edge(edge_key_digest)
            .await
            .map_err(|error| SourceUnavailable(error.into()))
    }

    async fn still_enrolled(&self, edge: EdgeId) -> bool {
        // First, for whoever asks does not wait for long, and then nobody is left to look at it afterwards.
        if self.is_kept_in_vain(edge) {
            tracing::warn!(edge.id = %edge, "it cannot be read whether an edge is enrolled, and it is cut off");
            return false;
        }
        match self.is_enrolled(edge).await {
            Ok(is_enrolled) => {
                self.note_known(edge);
                is_enrolled
            }
            Err(error) => {
                tracing::debug!(edge.id = %edge, error = format!("{error:#}"), "an edge cannot be looked up");
                true
            }
        }
    }

    async fn announce(&self, edge: EdgeId, key: AssertionKey) -> Result<(), SourceUnavailable> {
        self.note_key(edge, key)
            .await
            .map_err(|error| SourceUnavailable(error.into()))
    }

    async fn announce_routes(&self, edge: EdgeId, needs: &[Need]) -> Result<(), SourceUnavailable> {
        self.note_routes(edge, needs)
            .await
            .map_err(|error| SourceUnavailable(error.into()))
    }

    fn observer(&self) -> Option<&dyn Observer> {
        Some(&self.metrics)
    }

    fn sign(&self, context: &str, payload: &[u8]) -> [u8; 64] {
        self.key.sign(context, payload)
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn replica(&self) -> &Replica {
        self.replication.replica()
    }

    fn frames(&self) -> broadcast::Receiver<Arc<Frame>> {
        self.replication.frames()
    }

    async fn frames_since(&self, revision: Revision) -> Result<Option<Vec<Arc<Frame>>>, SourceUnavailable> {
        Ok(self.replication.frames_since(revision))
    }

    async fn changes_between(
        &self,
        from: Revision,
        to: Revision,
        most: usize,
    ) -> Result<Option<Vec<Change>>, SourceUnavailable> {
        self.logged(from, to, most)
            .await
            .map_err(|error| SourceUnavailable(error.into()))
    }
}

#[cfg(test)]
mod tests {
    use sentinel_core::{Random, SystemRandom};
    use sentinel_identity::{EncryptionKey, Lifetimes};
    use sentinel_store::on_both_backends;
    use sentinel_store::testing::TestStore;

    use super::*;
    use crate::assemble::Services;

    async fn source(store: &TestStore) -> (Source, Services) {
        let (clock, random): (Arc<dyn Clock>, Arc<dyn Random>) =
            (Arc::clone(&store.clock) as Arc<dyn Clock>, Arc::new(SystemRandom));
        let day = Duration::from_hours(24);
        let lifetimes = Lifetimes {
            access: day,
            refresh: day,
            refresh_grace: Duration::ZERO,
            session: day,
            admin: day,
            authz: day,
        };
        let encryption = EncryptionKey::from_bytes(&[7; 32]).expect("32 bytes");
        let services = Services::new(&store.db, encryption, "http://a.test", lifetimes, &clock, &random);
        services.keys.ensure().await.expect("keys");
        let enrolment = Enrolment {
            database: store.db.clone(),
            access: services.access.clone(),
        };
        let replication = Arc::new(Replication::new(store.db.clone()));
        let key = services.keys.feed_key().await.expect("feed key");
        let metrics = crate::metrics::Metrics::new().expect("names are fine").feed();
        (Source::new(replication, enrolment, key, clock, metrics), services)
    }

    async fn enrol(store: &TestStore, services: &Services, digest: [u8; 32]) -> EdgeId {
        let mut tx = store.db.begin().await.expect("tx");
        let name = "edge".parse().expect("name");
        let edge = services
            .access
            .edges
            .enrol(&mut tx, None, &name, &digest)
            .await
            .expect("edge");
        tx.commit().await.expect("commit");
        edge.id
    }

    async fn last_seen(store: &TestStore, services: &Services) -> Option<Timestamp> {
        let mut tx = store.db.read().await.expect("tx");
        services.access.edges.list(&mut tx).await.expect("edges")[0].last_seen_at
    }

    on_both_backends! {
        async fn an_unknown_key_never_waits_for_the_writer(store: TestStore) {
            let (source, _services) = source(&store).await;
            let writer = store.db.begin().await.expect("the one writer");
            let known = source.authenticate([9; 32]).await.expect("an answer");
            assert_eq!(known, None);
            drop(writer);
        }

        async fn an_edge_of_which_nothing_can_be_read_gets_nothing_new_for_long(store: TestStore) {
            let (source, services) = source(&store).await;
            let edge = enrol(&store, &services, [9; 32]).await;
            source.authenticate([9; 32]).await.expect("an answer");
            let was_tried = |tries| {
                let long_ago = Instant::now().checked_sub(UNKNOWN + Duration::from_secs(1));
                let since = long_ago.expect("in range");
                let looks = Unknown { since, tries };
                source.unknown.lock().expect("no panic").insert(edge, looks);
            };
            assert!(source.still_enrolled(edge).await, "nothing new comes");
            // The database was away for long, for the replica too, and is back.
            source.replica().touch();
            assert!(source.still_enrolled(edge).await, "nobody has tried since");
            assert!(source.unknown.lock().expect("no panic").is_empty(), "it was read");
            was_tried(1);
            source.replica().touch();
            assert!(source.still_enrolled(edge).await, "one try is not enough");
            store.db.close().await;
            source.replica().touch();
            assert!(source.still_enrolled(edge).await, "a moment without the database is nothing");
            was_tried(TRIES);
            source.replica().touch();
            assert!(!source.still_enrolled(edge).await);
            source.replica().distrust();
            assert!(source.still_enrolled(edge).await, "with nothing new it is kept");
            source.replica().touch();
            assert!(source.still_enrolled(edge).await, "and looked at anew when something comes again");
            assert!(source.authenticate([9; 32]).await.is_err(), "and nobody comes in");
        }

        async fn an_edge_is_noted_once_a_minute_and_known_every_time(store: TestStore) {
            let (source, services) = source(&store).await;
            let edge = enrol(&store, &services, [9; 32]).await;
            assert_eq!(source.authenticate([9; 32]).await.expect("an answer"), Some(edge));
            let noted = last_seen(&store, &services).await;
            assert_eq!(noted, Some(source.now()));
            store.clock.advance(Duration::from_secs(10));
            assert_eq!(source.authenticate([9; 32]).await.expect("an answer"), Some(edge));
            assert_eq!(last_seen(&store, &services).await, noted);
        }
    }
}
