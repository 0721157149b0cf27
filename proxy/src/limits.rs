//! How many requests one caller may make.
//!
//! Each caller has a bucket, and a bucket is one number: the moment at which it will be empty again (the generic cell rate
//! algorithm, ITU-T I.371). The numbers live in a table of fixed size, so that nothing a client does makes the edge
//! remember more, and each is one atomic word, so that nobody waits.
//!
//! A caller's place is found by a hash with a secret of this process: nobody can choose an address that meets somebody
//! else's place. A place has room for eight callers, told apart by sixteen more bits of the hash. A bucket that has run
//! empty is worth nothing, so its room is free for others; one that has not is never forgotten, whatever comes. Where eight
//! live buckets meet a ninth caller, he takes from the one with the most left: under an attack from very many addresses
//! callers share what they would have had each, and nine of them never get more than eight would.

use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sentinel_config::edge::{RateLimit, RatePer};
use sentinel_core::id::{ServiceAppId, UserId};
use sentinel_core::{Principal, network};
use tokio::time::Instant;

/// Callers that are told apart at one place.
const WAYS: usize = 8;
/// Places; a power of two. With eight words each they take 2 MiB.
const PLACES: usize = 1 << 15;
/// How many of a word's bits are the moment, in microseconds since the table was made: nearly nine years.
const MOMENT_BITS: u32 = 48;
const MOMENT: u64 = (1 << MOMENT_BITS) - 1;

/// The limit of one route.
#[derive(Debug, Clone, Copy)]
pub struct Rate {
    /// Whose requests are counted together.
    pub per: RatePer,
    /// Microseconds that one request costs.
    cost: u64,
    /// Microseconds that a bucket may be filled ahead of the present.
    room: u64,
    /// Tells the buckets of two routes apart.
    route: usize,
}

impl Rate {
    /// The limit of the route with this number.
    pub fn new(limit: &RateLimit, route: usize) -> Self {
        let within = micros(limit.within);
        let cost = within.div_ceil(u64::from(limit.requests.max(1))).max(1);
        Self {
            per: limit.per,
            cost,
            room: within.saturating_sub(cost),
            route,
        }
    }
}

/// Whose bucket it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Caller<'a> {
    /// A client address; of an IPv6 address its /64, which one client has to himself. All clients whose address is not
    /// known are one.
    Address(Option<IpAddr>),
    /// A verified caller.
    Verified {
        /// The user, in whatever workspace.
        user: Option<UserId>,
        /// The user of another issuer: issuer and subject.
        external: Option<(&'a str, &'a str)>,
        /// The application of the service.
        service: Option<ServiceAppId>,
    },
}

impl<'a> Caller<'a> {
    /// The client at an address.
    pub fn at(address: Option<IpAddr>) -> Self {
        Self::Address(address.map(network::of_client))
    }

    /// A verified caller; `None` if nobody is.
    pub fn verified(principal: &'a Principal) -> Option<Self> {
        let external = principal.external_user();
        (!principal.is_anonymous()).then(|| Self::Verified {
            user: principal.user().map(|user| user.id),
            external: external.map(|user| (&*user.issuer, &*user.subject)),
            service: principal.service().map(|service| service.app),
        })
    }
}

/// The buckets of all callers.
#[derive(Debug)]
pub struct Buckets {
    words: Box<[AtomicU64]>,
    hasher: RandomState,
    since: Instant,
}

impl Buckets {
    /// Empty ones; no room at all if no route has a rate.
    pub fn new(in_use: bool) -> Self {
        Self::with_places(if in_use { PLACES } else { 0 })
    }

    fn with_places(places: usize) -> Self {
        let words = places.saturating_mul(WAYS);
        Self {
            words: (0..words).map(|_| AtomicU64::new(0)).collect(),
            hasher: RandomState::new(),
            since: Instant::now(),
        }
    }

    /// Takes one request out of a caller's bucket.
    ///
    /// # Errors
    /// In how many seconds the next one will be let through, at least 1. A request that is not let through costs nothing.
    pub fn take(&self, caller: Caller<'_>, rate: &Rate) -> Result<(), u64> {
        let hash = self.hasher.hash_one((rate.route, caller));
        // The low bits choose the place, the high ones tell its callers apart.
        let mark = hash >> MOMENT_BITS;
        let places = self.words.len() / WAYS;
        let place = usize::try_from(hash & MOMENT).unwrap_or(0) % places.max(1);
        let ways = self
            .words
            .get(place * WAYS..)
            .and_then(|rest| rest.get(..WAYS))
            .unwrap_or_default();
        let now = micros(self.since.elapsed()).saturating_add(1);
        loop {
            let Some((word, seen)) = choose(ways, mark, now) else {
                return Err(1);
            };
            let shared = mark_of(seen) != mark && moment_of(seen) > now;
            let filled = if mark_of(seen) == mark || shared {
                moment_of(seen).max(now)
            } else {
                now
            };
            let ahead = filled - now;
            if ahead > rate.room {
                return Err((ahead - rate.room).div_ceil(1_000_000).max(1));
            }
            let kept = if shared { mark_of(seen) } else { mark };
            let next = (kept << MOMENT_BITS) | filled.saturating_add(rate.cost).min(MOMENT);
            let swapped = word.compare_exchange_weak(seen, next, Ordering::Relaxed, Ordering::Relaxed);
            if swapped.is_ok() {
                return Ok(());
            }
        }
    }
}

/// The bucket of the caller with this mark: his own, a free one, or the one that has the most left.
fn choose(ways: &[AtomicU64], mark: u64, now: u64) -> Option<(&AtomicU64, u64)> {
    let mut best: Option<(&AtomicU64, u64)> = None;
    for word in ways {
        let seen = word.load(Ordering::Relaxed);
        if mark_of(seen) == mark && moment_of(seen) > now {
            return Some((word, seen));
        }
        if best.is_none_or(|(_, known)| moment_of(seen).max(now) < moment_of(known).max(now)) {
            best = Some((word, seen));
        }
    }
    best
}

fn mark_of(word: u64) -> u64 {
    word >> MOMENT_BITS
}

fn moment_of(word: u64) -> u64 {
    word & MOMENT
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
