//! How many files the process may have open, and how many connections that is enough for.
//!
//! An edge that runs out of files cannot reach services for the clients it has let in, nor write down its replica. So the
//! limit is raised as far as the operating system lets it be, and the cap on connections stays below it.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What the process needs besides: listeners, the replica's files, the feed, the operator's connections.
const RESERVED: u64 = 128;
/// One to the client and one to the service.
const PER_CONNECTION: u64 = 2;

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

/// The cap on connections: `wanted`, or as many as the limit has room for beside `kept` idle connections to services, and one
/// at the very least.
pub fn connections(limit: Option<u64>, kept: usize, wanted: usize) -> usize {
    let kept = u64::try_from(kept).unwrap_or(u64::MAX);
    let besides = RESERVED.saturating_add(kept);
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
        assert_eq!(connections(None, 256, 16_384), 16_384);
        assert_eq!(connections(Some(1_048_576), 256, 16_384), 16_384);
        assert_eq!(connections(Some(1024), 256, 16_384), 320);
        assert_eq!(connections(Some(1024), 0, 16_384), 448);
        assert_eq!(connections(Some(130), 0, 16_384), 1);
        assert_eq!(connections(Some(130), 256, 16_384), 1);
    }

    #[test]
    fn the_limit_is_all_there_is() {
        let raised = raise();
        let now = getrlimit(Resource::Nofile);
        assert_eq!((now.current, now.maximum), (raised, raised));
    }
}
