//! Places at work that takes long: a few for all services together, of which no service has more than its share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sentinel_core::name::ServiceName;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// The places.
#[derive(Debug)]
pub(super) struct Shares {
    all: Arc<Semaphore>,
    /// How many of them one service may have.
    share: usize,
    /// Those services that have a place or wait for one.
    services: Mutex<HashMap<ServiceName, Arc<Semaphore>>>,
}

/// One place; dropping it frees it.
#[derive(Debug)]
pub(super) struct Turn {
    _of_service: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

impl Shares {
    /// So many places for all, so many of them for one service.
    pub(super) fn new(all: usize, share: usize) -> Self {
        Self {
            all: Arc::new(Semaphore::new(all)),
            share,
            services: Mutex::default(),
        }
    }

    /// A place for the service, once there is one; `None` if there was none in that time.
    pub(super) async fn wait(&self, service: &ServiceName, time: Duration) -> Option<Turn> {
        let of_service = self.of(service);
        let all = Arc::clone(&self.all);
        // Its own place first: who waits for that keeps none of the others'.
        let turn = async move {
            Some(Turn {
                _of_service: of_service.acquire_owned().await.ok()?,
                _of_all: all.acquire_owned().await.ok()?,
            })
        };
        timeout(time, turn).await.ok().flatten()
    }

    /// A place for the service, if there is one now.
    pub(super) fn enter(&self, service: &ServiceName) -> Option<Turn> {
        Some(Turn {
            _of_service: self.of(service).try_acquire_owned().ok()?,
            _of_all: Arc::clone(&self.all).try_acquire_owned().ok()?,
        })
    }

    fn of(&self, service: &ServiceName) -> Arc<Semaphore> {
        let mut services = self.services.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = services.get(service) {
            return Arc::clone(known);
        }
        // Whoever has a place or waits for one holds on to it.
        services.retain(|_, places| Arc::strong_count(places) > 1);
        let places = Arc::new(Semaphore::new(self.share));
        services.insert(service.clone(), Arc::clone(&places));
        places
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> ServiceName {
        text.parse().expect("a name")
    }

    #[tokio::test(start_paused = true)]
    async fn no_service_takes_the_place_of_another() {
        let shares = Shares::new(4, 2);
        let second = Duration::from_secs(1);
        let mut docs = Vec::new();
        for _ in 0..2 {
            docs.push(shares.wait(&name("docs"), second).await.expect("a place"));
        }
        assert!(
            shares.wait(&name("docs"), second).await.is_none(),
            "its share is taken"
        );
        assert!(shares.enter(&name("docs")).is_none());
        let wiki = (
            shares.enter(&name("wiki")).expect("a place"),
            shares.wait(&name("wiki"), second).await.expect("a place"),
        );
        assert!(shares.enter(&name("third")).is_none(), "all are taken");
        assert!(shares.wait(&name("third"), second).await.is_none());
        docs.pop();
        let third = shares.wait(&name("third"), second).await;
        assert!(third.is_some(), "a place that is left is free");
        drop((docs, wiki, third));
        drop(shares.enter(&name("new")));
        let known = shares.services.lock().expect("no panic").len();
        assert_eq!(known, 1, "who has no place is forgotten");
    }
}
