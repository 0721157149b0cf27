//! How many files the process may have open, and how many connections that is enough for.
//!
//! An edge that runs out of files cannot reach services for the clients it has let in, nor write down its replica. So the
//! limit is raised as far as the operating system lets it be, and the cap on connections stays below it.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What the process needs besides: listeners, the replica's files, the feed, the operator's connections.
const RESERVED: u64 = 128;
/// What the runtime of each worker needs.
const PER_WORKER: u64 = 4;
/// One to the client and one to the service.
const PER_CONNECTION: u64 = 2;
/// How many idle connections to services are kept in all, and at least by each worker where there are files enough.
const KEPT: (usize, usize) = (256, 16);
/// What part of the files idle connections to services may take.
const PART: u64 = 4;

/// How many files the process may have open; `None` is no limit.
pub fn limit() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}

/// Raises the limit to what is allowed, and says what it is then; `None` is no limit.
pub fn raise() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if limit.current == limit.maximum {
        return limit.current;
    }
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => raised.current,
        Err(error) => {
            tracing::warn!(%error, "the limit on open files cannot be raised");
            limit.current
        }
    }
}

/// How many idle connections to services each of so many workers keeps: one at least, and all of them together no more than a
/// part of the files.
pub fn kept(limit: Option<u64>, workers: usize) -> usize {
    let (in_all, each) = KEPT;
    let shared = |all: usize| all.checked_div(workers).unwrap_or_default();
    let part = limit.map_or(usize::MAX, |limit| {
        usize::try_from(limit / PART).unwrap_or(usize::MAX)
    });
    shared(in_all).max(each).min(shared(part)).max(1)
}

/// The cap on connections: `wanted`, or as many as the limit has room for beside so many workers and the idle connections to
/// services that they keep, and one at the very least.
pub fn connections(limit: Option<u64>, workers: usize, wanted: usize) -> usize {
    let kept = kept(limit, workers).saturating_mul(workers);
    let [workers, kept] = [workers, kept].map(|count| u64::try_from(count).unwrap_or(u64::MAX));
    let besides = RESERVED
        .saturating_add(workers.saturating_mul(PER_WORKER))
        .saturating_add(kept);
    let room = limit.map_or(u64::MAX, |limit| limit.saturating_sub(besides) / PER_CONNECTION);
    usize::try_from(room)
        .unwrap_or(usize::MAX)
        .clamp(1, wanted.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_fit_below_the_limit() {
        assert_eq!(connections(None, 2, 16_384), 16_384);
        assert_eq!(connections(Some(1_048_576), 2, 16_384), 16_384);
        // 1024 without 128, 4 for each worker and what they keep.
        assert_eq!(connections(Some(1024), 1, 16_384), 318);
        assert_eq!(connections(Some(1024), 2, 16_384), 316);
        assert_eq!(connections(Some(1024), 2, 100), 100);
        assert_eq!(connections(Some(130), 2, 16_384), 1);
    }

    #[test]
    fn many_cores_leave_room_for_clients() {
        assert_eq!(
            [1, 2, 16, 64].map(|workers| kept(None, workers)),
            [256, 128, 16, 16]
        );
        assert_eq!(
            [1, 2, 16, 64].map(|workers| kept(Some(1024), workers)),
            [256, 128, 16, 4]
        );
        assert_eq!(kept(Some(328), 2), 41);
        assert_eq!([kept(Some(10), 64), kept(Some(0), 0)], [1, 1]);
        assert_eq!(connections(Some(1024), 64, 16_384), 192);
        assert_eq!(connections(Some(1024), 96, 16_384), 160);
    }

    #[test]
    fn the_limit_is_all_there_is() {
        let raised = raise();
        let now = getrlimit(Resource::Nofile);
        assert_eq!((now.current, now.maximum, limit()), (raised, raised, raised));
    }
}
