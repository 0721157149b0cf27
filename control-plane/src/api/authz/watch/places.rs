//! How many watch at the same time: each of them costs memory and a look at every change.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::http::StatusCode;
use axum::http::header::{HeaderValue, RETRY_AFTER};
use sentinel_core::name::ServiceName;

use crate::problem::ApiError;

/// Streams of one service.
const OF_SERVICE: usize = 32;
/// Streams of all services together.
const IN_ALL: usize = 512;

/// The open streams, by service.
#[derive(Debug, Default)]
pub(crate) struct Places(Arc<Mutex<HashMap<ServiceName, usize>>>);

/// The place of one stream; dropping it frees it.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Mutex<HashMap<ServiceName, usize>>>,
    service: ServiceName,
}

impl Places {
    /// Takes a place.
    ///
    /// # Errors
    /// 429 when there is none.
    pub(super) fn enter(&self, service: &ServiceName) -> Result<Place, ApiError> {
        let mut counts = lock(&self.0);
        let all: usize = counts.values().sum();
        let here = counts.get(service).copied().unwrap_or_default();
        if here >= OF_SERVICE || all >= IN_ALL {
            return Err(ApiError::new(
                StatusCode::TOO_MANY_REQUESTS,
                "too_many_watchers",
                "Too many streams are open: let the parts of an application share one",
            )
            .with_header(RETRY_AFTER, HeaderValue::from_static("5")));
        }
        counts.insert(service.clone(), here + 1);
        Ok(Place {
            places: Arc::clone(&self.0),
            service: service.clone(),
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = lock(&self.places);
        if let Some(here) = counts.get_mut(&self.service) {
            *here -= 1;
            if *here == 0 {
                counts.remove(&self.service);
            }
        }
    }
}

fn lock(counts: &Mutex<HashMap<ServiceName, usize>>) -> MutexGuard<'_, HashMap<ServiceName, usize>> {
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(number: usize) -> ServiceName {
        format!("service-{number}").parse().expect("a name")
    }

    #[test]
    fn a_service_has_its_share_and_a_place_that_is_left_is_free() {
        let places = Places::default();
        let mut mine: Vec<Place> = (0..OF_SERVICE)
            .map(|_| places.enter(&name(0)).expect("a place"))
            .collect();
        let refused = places.enter(&name(0)).expect_err("one too many");
        assert_eq!(
            (refused.status().as_u16(), refused.code()),
            (429, "too_many_watchers")
        );
        let others: Vec<Place> = (0..IN_ALL - OF_SERVICE)
            .map(|at| places.enter(&name(1 + at / OF_SERVICE)).expect("a place"))
            .collect();
        assert!(places.enter(&name(1000)).is_err(), "too many in all");
        mine.pop();
        assert!(places.enter(&name(1000)).is_ok());
        drop((mine, others));
        assert!(lock(&places.0).is_empty());
    }
}
