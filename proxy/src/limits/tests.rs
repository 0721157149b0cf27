use std::sync::Arc;

use proptest::prelude::*;
use sentinel_config::edge::RatePer;
use tokio::time::advance;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn rate(requests: u32, within: Duration, route: usize) -> Rate {
    let per = RatePer::Address;
    Rate::new(
        &RateLimit {
            per,
            requests,
            within,
        },
        route,
    )
}

fn at(address: [u8; 4]) -> Caller<'static> {
    Caller::at(Some(address.into()))
}

#[tokio::test(start_paused = true)]
async fn all_may_come_at_once_and_are_given_back_evenly() {
    let buckets = Buckets::new(true);
    let (rate, caller) = (rate(3, 60 * SECOND, 0), at([192, 0, 2, 1]));
    for _ in 0..3 {
        assert_eq!(buckets.take(caller, &rate), Ok(()));
    }
    assert_eq!(buckets.take(caller, &rate), Err(20));
    advance(19 * SECOND).await;
    assert_eq!(buckets.take(caller, &rate), Err(1));
    advance(SECOND).await;
    assert_eq!(buckets.take(caller, &rate), Ok(()));
    assert_eq!(buckets.take(caller, &rate), Err(20), "a refusal costs nothing");
    advance(3600 * SECOND).await;
    for _ in 0..3 {
        assert_eq!(
            buckets.take(caller, &rate),
            Ok(()),
            "no more than all are saved up"
        );
    }
    assert!(buckets.take(caller, &rate).is_err());
}

#[tokio::test(start_paused = true)]
async fn callers_and_routes_have_buckets_of_their_own() {
    let buckets = Buckets::new(true);
    let (one, other) = (rate(1, 60 * SECOND, 1), rate(1, 60 * SECOND, 2));
    assert_eq!(buckets.take(at([192, 0, 2, 1]), &one), Ok(()));
    assert!(buckets.take(at([192, 0, 2, 1]), &one).is_err());
    assert_eq!(buckets.take(at([192, 0, 2, 2]), &one), Ok(()));
    assert_eq!(buckets.take(at([192, 0, 2, 1]), &other), Ok(()));
}

#[test]
fn an_address_is_one_client_however_it_is_written() {
    let at = |text: &str| Caller::at(Some(text.parse().expect("an address")));
    assert_eq!(at("2001:db8:1:2::1"), at("2001:db8:1:2:ffff:ffff:ffff:ffff"));
    assert_ne!(at("2001:db8:1:2::1"), at("2001:db8:1:3::1"));
    assert_eq!(at("::ffff:192.0.2.1"), at("192.0.2.1"));
    assert_ne!(at("192.0.2.1"), at("192.0.2.2"));
    assert_eq!(Caller::verified(&Principal::default()), None);
}

/// However many there are, the table does not grow, no bucket that is live is forgotten, and a place gives no more than
/// its eight buckets hold.
#[tokio::test(start_paused = true)]
async fn a_flood_of_addresses_forgets_nobody() {
    let buckets = Buckets::with_places(1);
    let rate = rate(2, 60 * SECOND, 0);
    let victim = at([192, 0, 2, 1]);
    assert_eq!(buckets.take(victim, &rate), Ok(()));
    assert_eq!(buckets.take(victim, &rate), Ok(()));
    let mut passed = 2;
    for number in 0..10_000_u32 {
        passed += u32::from(
            buckets
                .take(Caller::at(Some(IpAddr::from(number.to_be_bytes()))), &rate)
                .is_ok(),
        );
    }
    assert_eq!(passed, 16, "eight buckets of two");
    assert!(buckets.take(victim, &rate).is_err());
    assert_eq!(buckets.words.len(), WAYS);
    advance(60 * SECOND).await;
    assert_eq!(buckets.take(victim, &rate), Ok(()), "empty buckets make room");
}

/// With as many live callers as half the table has room for, next to nobody shares.
#[tokio::test(start_paused = true)]
async fn many_callers_do_not_meet() {
    let buckets = Buckets::new(true);
    let rate = rate(1, 60 * SECOND, 0);
    let callers = u32::try_from(PLACES * WAYS / 2).expect("fits");
    let refused = (0..callers)
        .filter(|number| {
            buckets
                .take(Caller::at(Some(IpAddr::from(number.to_be_bytes()))), &rate)
                .is_err()
        })
        .count();
    assert!(refused < 4_000, "{refused} of {callers}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn at_the_same_moment_no_more_pass_than_may() {
    let buckets = Arc::new(Buckets::new(true));
    let rate = rate(100, 3600 * SECOND, 0);
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let buckets = Arc::clone(&buckets);
            tokio::spawn(async move {
                (0..200)
                    .filter(|_| buckets.take(at([192, 0, 2, 1]), &rate).is_ok())
                    .count()
            })
        })
        .collect();
    let mut passed = 0;
    for task in tasks {
        passed += task.await.expect("no panic");
    }
    assert_eq!(passed, 100);
}

proptest! {
    /// In any stretch of time no more pass than the burst and what it gave back since.
    #[test]
    fn the_limit_holds_over_every_stretch(requests in 1_u32..20, steps in prop::collection::vec(0_u64..5_000, 1..200)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let runtime = runtime.expect("a runtime");
        runtime.block_on(async {
            let buckets = Buckets::with_places(1);
            let rate = rate(requests, 10 * SECOND, 0);
            let (mut now, mut passed) = (0, Vec::new());
            for step in steps {
                advance(Duration::from_millis(step)).await;
                now += step;
                if buckets.take(at([192, 0, 2, 1]), &rate).is_ok() {
                    passed.push(now);
                }
            }
            for (first, start) in passed.iter().enumerate() {
                for (last, end) in passed.iter().enumerate().skip(first) {
                    let bound = u64::from(requests) + (end - start) * u64::from(requests) / 10_000 + 1;
                    prop_assert!(u64::try_from(last - first + 1).expect("fits") <= bound);
                }
            }
            Ok(())
        })?;
    }
}
