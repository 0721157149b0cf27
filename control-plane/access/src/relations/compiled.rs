//! Services' current models, compiled. Compiling may take a while, so that it is done before the writer's turn; in the turn
//! there is only to be seen whether what is at hand is still the current one.
//!
//! However many wait for a service's model, it is read and compiled once, for all that asked before it was looked at.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sentinel_authz::{Model, sentinel};
use sentinel_core::Timestamp;
use sentinel_core::name::ServiceName;
use sentinel_store::{Database, StoreError, Tx};
use tokio::sync::Semaphore;

use super::repository::models as rows;
use super::{Relations, ServiceModel};
use crate::error::AccessError;

/// How many models are compiled at once, of all services.
const COMPILING: usize = 2;

/// The models that are at hand.
pub(super) struct Shelf {
    /// The current model of each service that has written lately.
    models: Mutex<HashMap<ServiceName, Compiled>>,
    doors: Mutex<HashMap<ServiceName, Arc<Door>>>,
    compiling: Arc<Semaphore>,
}

/// The current model of a service, by its version and when that was written.
struct Compiled {
    version: u64,
    created_at: Timestamp,
    /// In which look at the service's models it was found.
    look: u64,
    model: Arc<Model>,
}

/// Whoever wants to see to a service's model goes through it one by one.
#[derive(Default)]
struct Door {
    /// How many looks at the service's models have begun.
    begun: AtomicU64,
    /// The last look after which the current model was at hand.
    done: tokio::sync::Mutex<u64>,
}

impl Default for Shelf {
    fn default() -> Self {
        Self {
            models: Mutex::default(),
            doors: Mutex::default(),
            compiling: Arc::new(Semaphore::new(COMPILING)),
        }
    }
}

impl Compiled {
    fn is(&self, version: u64, created_at: Timestamp) -> bool {
        (self.version, self.created_at) == (version, created_at)
    }
}

impl Relations {
    /// Whether any model of the service's is at hand.
    pub(super) fn has_at_hand(&self, service: &ServiceName) -> bool {
        self.kept().contains_key(service)
    }

    /// The service's current model, compiled beside Sentinel's, outside of every transaction and of the threads that others
    /// wait for. It is at hand then.
    ///
    /// # Errors
    /// [`AccessError::NoModel`] if it has none.
    pub(super) async fn make_ready(
        &self,
        database: &Database,
        service: &ServiceName,
    ) -> Result<Arc<Model>, AccessError> {
        let door = self.door(service);
        let begun_before = door.begun.load(Ordering::Acquire);
        let mut done = door.done.lock().await;
        if *done > begun_before
            && let Some(known) = self.kept().get(service)
        {
            // Somebody has looked since this was asked for.
            return Ok(Arc::clone(&known.model));
        }
        let look = door.begun.fetch_add(1, Ordering::AcqRel).saturating_add(1);
        let model = self.look(database, service, look).await?;
        *done = look;
        Ok(model)
    }

    async fn look(
        &self,
        database: &Database,
        service: &ServiceName,
        look: u64,
    ) -> Result<Arc<Model>, AccessError> {
        let mut tx = database.read().await?;
        let (version, created_at) = rows::head(&mut tx, service).await?.ok_or(AccessError::NoModel)?;
        if let Some(known) = self.kept().get(service)
            && known.is(version, created_at)
        {
            return Ok(Arc::clone(&known.model));
        }
        let row = rows::find(&mut tx, service, version)
            .await?
            .ok_or(AccessError::NoModel)?;
        tx.commit().await?;
        let compiling = Arc::clone(&self.compiled.compiling);
        let place = compiling
            .acquire_owned()
            .await
            .map_err(|closed| StoreError::Other(closed.into()))?;
        let relations = self.clone();
        let compiling = tokio::task::spawn_blocking(move || {
            // Until it is done, also when nobody waits for it any more.
            let _place = place;
            Ok(relations.keep(&row, look, compile(&row)?))
        });
        let compiled: Result<_, StoreError> = compiling
            .await
            .map_err(|broken| StoreError::Other(broken.into()))?;
        Ok(compiled?)
    }

    /// The current models of these services, as far as they are at hand: `None` where another version is the current one.
    /// A service that is missing has no model.
    pub(super) async fn at_hand<'s>(
        &self,
        tx: &mut Tx,
        services: impl IntoIterator<Item = &'s ServiceName>,
    ) -> Result<HashMap<ServiceName, Option<Arc<Model>>>, StoreError> {
        let services: BTreeSet<&ServiceName> = services.into_iter().collect();
        let heads = rows::heads_of(tx, services).await?;
        let models = self.kept();
        let at_hand = |(service, version, created_at): (ServiceName, u64, Timestamp)| {
            let known = models.get(&service);
            let current = known.filter(|known| known.is(version, created_at));
            let model = current.map(|known| Arc::clone(&known.model));
            (service, model)
        };
        Ok(heads.into_iter().map(at_hand).collect())
    }

    /// Has it at hand, unless a later look has found another one meanwhile. The versions do not tell: after the database was
    /// rolled back the current one is an older one.
    fn keep(&self, row: &ServiceModel, look: u64, model: Arc<Model>) -> Arc<Model> {
        let mut kept = self.kept();
        if kept.get(&row.service).is_none_or(|known| known.look <= look) {
            let compiled = Compiled {
                version: row.version,
                created_at: row.created_at,
                look,
                model: Arc::clone(&model),
            };
            kept.insert(row.service.clone(), compiled);
        }
        model
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<ServiceName, Compiled>> {
        let models = &self.compiled.models;
        models.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn door(&self, service: &ServiceName) -> Arc<Door> {
        let doors = &self.compiled.doors;
        let mut doors = doors.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(doors.entry(service.clone()).or_default())
    }
}

fn compile(row: &ServiceModel) -> Result<Arc<Model>, StoreError> {
    let of = || format!("{} {}", row.service, row.version);
    sentinel::model_with([(&row.service, row.text.as_str())])
        .map_err(|_| StoreError::corrupt("service_models", "text", of()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use sentinel_core::{Clock, SystemRandom};
    use sentinel_store::on_both_backends;
    use sentinel_store::testing::TestStore;
    use tokio::task::JoinSet;

    use super::*;
    use crate::Access;

    const MODEL: &str = "model\n  schema 1.1\ntype user\ntype doc\n  relations\n    define reader: [user]\n";

    fn docs() -> ServiceName {
        "docs".parse().expect("a name")
    }

    fn relations(store: &TestStore) -> Relations {
        let clock = Arc::clone(&store.clock) as Arc<dyn Clock>;
        Access::new(clock, Arc::new(SystemRandom)).relations
    }

    fn version(store: &TestStore, version: u64) -> ServiceModel {
        ServiceModel {
            service: docs(),
            version,
            text: MODEL.to_owned(),
            created_by: None,
            created_at: store.now(),
        }
    }

    async fn write(store: &TestStore, model: &ServiceModel) {
        let mut tx = store.db.write().await.expect("the turn");
        rows::insert(&mut tx, model).await.expect("inserted");
        tx.commit().await.expect("commit");
    }

    fn at_hand(relations: &Relations) -> u64 {
        relations.kept().get(&docs()).expect("a model").version
    }

    on_both_backends! {
        async fn however_many_wait_the_model_is_compiled_once(store: TestStore) {
            let relations = relations(&store);
            for number in 1..=2 {
                write(&store, &version(&store, number)).await;
                let before = relations.door(&docs()).begun.load(Ordering::Acquire);
                // All of them ask before the first one has looked.
                let door = relations.door(&docs());
                let closed = door.done.lock().await;
                let mut waiting = JoinSet::new();
                for _ in 0..100 {
                    let (relations, database) = (relations.clone(), store.db.clone());
                    waiting.spawn(async move { relations.make_ready(&database, &docs()).await });
                }
                while Arc::strong_count(&door) < 102 {
                    tokio::task::yield_now().await;
                }
                drop(closed);
                let models: Vec<Arc<Model>> = waiting
                    .join_all()
                    .await
                    .into_iter()
                    .map(|made| made.expect("a model"))
                    .collect();
                assert!(models.iter().all(|model| Arc::ptr_eq(model, &models[0])), "one for all");
                let looks = relations.door(&docs()).begun.load(Ordering::Acquire) - before;
                assert!(looks < 5, "{looks} looks for 100 who asked together");
                assert_eq!(at_hand(&relations), number);
            }
        }

        async fn who_asks_later_gets_what_is_current_then(store: TestStore) {
            let relations = relations(&store);
            let error = relations.make_ready(&store.db, &docs()).await.expect_err("no model");
            assert!(matches!(error, AccessError::NoModel), "{error:?}");
            for number in 1..=3 {
                write(&store, &version(&store, number)).await;
                relations.make_ready(&store.db, &docs()).await.expect("a model");
                assert_eq!(at_hand(&relations), number);
            }
        }

        async fn what_was_looked_for_earlier_does_not_take_the_place_of_what_was_found_later(store: TestStore) {
            let relations = relations(&store);
            let model = compile(&version(&store, 1)).expect("a model");
            relations.keep(&version(&store, 2), 2, Arc::clone(&model));
            relations.keep(&version(&store, 1), 1, Arc::clone(&model));
            assert_eq!(at_hand(&relations), 2);
            relations.keep(&version(&store, 1), 3, model);
            assert_eq!(at_hand(&relations), 1, "the database was rolled back");
        }
    }
}
