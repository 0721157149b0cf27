//! Requests that wait for the writer's turn, and which of them it is given to: those who wait together are taken together,
//! and services take turns, so that nobody waits for long because another one writes a lot.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};

use sentinel_core::name::ServiceName;

/// How many requests are taken at once.
pub(super) const TAKEN: usize = 128;
/// How many tuples they speak of together; one that speaks of more is taken alone.
const TAKEN_TUPLES: usize = 2_000;
/// How many requests of one service wait.
const WAITING_OF_SERVICE: usize = 1_024;
/// How many tuples these speak of together.
const TUPLES_OF_SERVICE: usize = 20_000;
/// How many requests wait in all.
const WAITING: usize = 8_192;
/// How many tuples these speak of together.
const TUPLES: usize = 200_000;

/// A place in the queue: places are given in the order of arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Ticket(u64);

/// There is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many writes are waiting")]
pub(super) struct Full;

/// What waits.
pub(super) struct Queue<T> {
    services: BTreeMap<ServiceName, Line<T>>,
    requests: usize,
    tuples: usize,
    arrivals: u64,
    takings: u64,
}

/// What of one service waits.
struct Line<T> {
    /// In the order of arrival.
    waiting: VecDeque<Waiting<T>>,
    tuples: usize,
    /// In which taking one of its requests was taken last; the last one before it came, if none was.
    served: u64,
}

struct Waiting<T> {
    ticket: Ticket,
    tuples: usize,
    item: T,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self {
            services: BTreeMap::new(),
            requests: 0,
            tuples: 0,
            arrivals: 0,
            takings: 0,
        }
    }
}

impl<T> Queue<T> {
    /// Takes a request in, which speaks of so many tuples.
    pub(super) fn push(&mut self, service: &ServiceName, tuples: usize, item: T) -> Result<Ticket, Full> {
        let ticket = self.next();
        self.push_again(ticket, service, tuples, item)?;
        self.arrivals = self.arrivals.saturating_add(1);
        Ok(ticket)
    }

    /// Takes a request in that was taken before, and has to wait once more: in front of all that came after it.
    pub(super) fn push_again(
        &mut self,
        ticket: Ticket,
        service: &ServiceName,
        tuples: usize,
        item: T,
    ) -> Result<(), Full> {
        let line = self.services.get(service);
        let (waiting, of_service) = line.map_or((0, 0), |line| (line.waiting.len(), line.tuples));
        let has_room = waiting < WAITING_OF_SERVICE
            && self.requests < WAITING
            // Somebody who waits for nobody always finds room, whatever he asks for.
            && (waiting == 0 || of_service.saturating_add(tuples) <= TUPLES_OF_SERVICE)
            && (self.requests == 0 || self.tuples.saturating_add(tuples) <= TUPLES);
        if !has_room {
            return Err(Full);
        }
        self.requests = self.requests.saturating_add(1);
        self.tuples = self.tuples.saturating_add(tuples);
        let served = self.takings;
        let line = self.services.entry(service.clone()).or_insert_with(|| Line {
            waiting: VecDeque::new(),
            tuples: 0,
            served,
        });
        line.tuples = line.tuples.saturating_add(tuples);
        let place = line.waiting.partition_point(|waiting| waiting.ticket < ticket);
        line.waiting.insert(place, Waiting { ticket, tuples, item });
        Ok(())
    }

    /// The ticket of whoever comes next: all that came before have smaller ones.
    pub(super) fn next(&self) -> Ticket {
        Ticket(self.arrivals)
    }

    /// Gives a place up. `None` if it was taken already.
    pub(super) fn withdraw(&mut self, service: &ServiceName, ticket: Ticket) -> Option<T> {
        let line = self.services.get_mut(service)?;
        let at = line
            .waiting
            .binary_search_by_key(&ticket, |waiting| waiting.ticket);
        let gone = line.waiting.remove(at.ok()?)?;
        line.tuples = line.tuples.saturating_sub(gone.tuples);
        if line.waiting.is_empty() {
            self.services.remove(service);
        }
        self.requests = self.requests.saturating_sub(1);
        self.tuples = self.tuples.saturating_sub(gone.tuples);
        Some(gone.item)
    }

    /// The requests whose turn it is, in the order of arrival: as many as one turn has room for, the services each with as
    /// many tuples as the others, as far as they have so many.
    pub(super) fn take(&mut self) -> Vec<T> {
        self.takings = self.takings.saturating_add(1);
        let takings = self.takings;
        let mut lines: Vec<&mut Line<T>> = self.services.values_mut().collect();
        // Whose turn it is: who got least so far, was served longest ago, came first. Each line stands in it once.
        let mut next: BinaryHeap<Reverse<(usize, u64, Ticket, usize)>> = lines
            .iter()
            .enumerate()
            .filter_map(|(at, line)| Some(Reverse((0, line.served, line.waiting.front()?.ticket, at))))
            .collect();
        let mut taken: Vec<Waiting<T>> = Vec::new();
        let mut tuples = 0_usize;
        while taken.len() < TAKEN
            && let Some(Reverse((share, _, _, at))) = next.pop()
        {
            let Some(line) = lines.get_mut(at) else { continue };
            let has_room = |first: &mut Waiting<T>| {
                taken.is_empty() || tuples.saturating_add(first.tuples) <= TAKEN_TUPLES
            };
            // Who is passed over is not asked again this time.
            let Some(first) = line.waiting.pop_front_if(has_room) else {
                continue;
            };
            line.served = takings;
            line.tuples = line.tuples.saturating_sub(first.tuples);
            tuples = tuples.saturating_add(first.tuples);
            if let Some(second) = line.waiting.front() {
                // A request that speaks of nothing takes a place as well.
                let share = share.saturating_add(first.tuples.max(1));
                next.push(Reverse((share, takings, second.ticket, at)));
            }
            taken.push(first);
        }
        self.services.retain(|_, line| !line.waiting.is_empty());
        self.requests = self.requests.saturating_sub(taken.len());
        self.tuples = self.tuples.saturating_sub(tuples);
        taken.sort_by_key(|waiting| waiting.ticket);
        taken.into_iter().map(|waiting| waiting.item).collect()
    }

    /// Everything that waits.
    pub(super) fn drain(&mut self) -> Vec<T> {
        let lines = std::mem::take(&mut self.services).into_values();
        (self.requests, self.tuples) = (0, 0);
        lines
            .flat_map(|line| line.waiting.into_iter().map(|waiting| waiting.item))
            .collect()
    }

    /// Everything of what waits that came before this one.
    pub(super) fn drain_before(&mut self, ticket: Ticket) -> Vec<T> {
        let mut gone = Vec::new();
        for line in self.services.values_mut() {
            let stay = line.waiting.partition_point(|waiting| waiting.ticket < ticket);
            for waiting in line.waiting.drain(..stay) {
                line.tuples = line.tuples.saturating_sub(waiting.tuples);
                self.requests = self.requests.saturating_sub(1);
                self.tuples = self.tuples.saturating_sub(waiting.tuples);
                gone.push(waiting.item);
            }
        }
        self.services.retain(|_, line| !line.waiting.is_empty());
        gone
    }

    /// How many requests wait.
    pub(super) fn len(&self) -> usize {
        self.requests
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn service(number: usize) -> ServiceName {
        format!("service-{number}").parse().expect("a name")
    }

    fn queue(requests: &[(usize, usize)]) -> Queue<(usize, usize)> {
        let mut queue = Queue::default();
        for (at, (of, tuples)) in requests.iter().enumerate() {
            queue.push(&service(*of), *tuples, (*of, at)).expect("room");
        }
        queue
    }

    #[test]
    fn who_waits_together_is_taken_together_in_the_order_of_arrival() {
        let mut queue = queue(&[(1, 1), (2, 5), (1, 0), (3, 1_000), (1, 3)]);
        assert_eq!(queue.take(), [(1, 0), (2, 1), (1, 2), (3, 3), (1, 4)]);
        assert_eq!((queue.len(), queue.tuples), (0, 0));
        assert!(queue.take().is_empty());
    }

    #[test]
    fn large_requests_of_one_do_not_hold_up_small_ones_of_another() {
        let mut requests = vec![(1, 1_000); 10];
        requests.extend(vec![(2, 1); 100]);
        let mut queue = queue(&requests);
        let first = queue.take();
        assert_eq!(first.iter().filter(|(of, _)| *of == 2).count(), 100);
        assert_eq!(first.len(), 101, "and one of the large ones");
        assert_eq!(queue.take().len(), 2);
    }

    #[test]
    fn many_requests_of_one_do_not_hold_up_one_of_another() {
        let mut requests = vec![(1, 1); 1_000];
        requests.push((2, 1_000));
        let mut queue = queue(&requests);
        let first = queue.take();
        assert_eq!(first.len(), TAKEN);
        assert_eq!(first.last(), Some(&(2, 1_000)));
    }

    #[test]
    fn of_many_with_large_requests_each_gets_his_turn() {
        let mut queue = queue(&[
            (1, 1_500),
            (2, 1_500),
            (3, 1_500),
            (1, 1_500),
            (2, 1_500),
            (3, 1_500),
        ]);
        let order: Vec<usize> = (0..6).flat_map(|_| queue.take()).map(|(of, _)| of).collect();
        assert_eq!(order, [1, 2, 3, 1, 2, 3]);
    }

    #[test]
    fn whoever_comes_again_at_once_does_not_hold_up_who_has_waited() {
        let mut queue = queue(&[(1, 1_000), (2, 1_000), (3, 1_000)]);
        let mut taken = Vec::new();
        for round in 0..2 {
            for (of, _) in queue.take() {
                taken.push(of);
                queue.push(&service(of), 1_000, (of, 100 + round)).expect("room");
            }
        }
        assert!(taken.contains(&3), "{taken:?}");
    }

    #[test]
    fn who_has_to_wait_once_more_keeps_his_place() {
        let mut queue = Queue::default();
        let tickets: Vec<Ticket> = (0..3)
            .map(|at| queue.push(&service(1), 1, at).expect("room"))
            .collect();
        assert_eq!(queue.take(), [0, 1, 2]);
        queue.push(&service(1), 1, 3).expect("room");
        for at in [2, 0] {
            queue.push_again(tickets[at], &service(1), 1, at).expect("room");
        }
        assert_eq!(queue.withdraw(&service(1), tickets[1]), None, "he does not wait");
        assert_eq!(queue.take(), [0, 2, 3]);
    }

    #[test]
    fn who_came_before_goes_and_the_others_stay() {
        let mut queue = queue(&[(1, 2), (2, 3), (1, 4)]);
        let next = queue.next();
        queue.push(&service(1), 5, (1, 3)).expect("room");
        let mut gone = queue.drain_before(next);
        gone.sort_unstable();
        assert_eq!(gone, [(1, 0), (1, 2), (2, 1)]);
        assert_eq!((queue.len(), queue.tuples, queue.services.len()), (1, 5, 1));
        assert_eq!(queue.take(), [(1, 3)]);
    }

    #[test]
    fn of_many_services_each_gets_his_turn() {
        let mut queue = Queue::default();
        for at in 0..4_000 {
            queue.push(&service(at), 1, at).expect("room");
        }
        let order: Vec<usize> = std::iter::from_fn(|| Some(queue.take()).filter(|taken| !taken.is_empty()))
            .flatten()
            .collect();
        assert!(order.iter().copied().eq(0..4_000));
    }

    #[test]
    fn what_is_larger_than_a_turn_is_taken_alone() {
        let mut queue = queue(&[(1, 5_000), (2, 1)]);
        assert_eq!((queue.take(), queue.take()), (vec![(1, 0)], vec![(2, 1)]));
    }

    #[test]
    fn room_is_bounded_for_each_and_for_all() {
        let mut queue = Queue::default();
        for _ in 0..WAITING_OF_SERVICE {
            queue.push(&service(1), 1, ()).expect("room");
        }
        assert_eq!(queue.push(&service(1), 1, ()), Err(Full));
        queue
            .push(&service(2), 5 * TUPLES_OF_SERVICE, ())
            .expect("waits for nobody");
        assert_eq!(queue.push(&service(2), 1, ()), Err(Full));
        for number in 3..=6 {
            queue.push(&service(number), TUPLES_OF_SERVICE, ()).expect("room");
        }
        assert_eq!(
            queue.push(&service(7), TUPLES_OF_SERVICE, ()),
            Err(Full),
            "of all together"
        );
        assert_eq!(queue.drain().len(), WAITING_OF_SERVICE + 5);
        queue.push(&service(7), TUPLES_OF_SERVICE, ()).expect("room");
    }

    proptest! {
        /// Whoever waits is taken once, after all of his own service that came before, unless he gives up his place.
        #[test]
        fn nobody_is_lost_or_taken_twice(
            steps in prop::collection::vec((0_usize..4, 0_usize..900, 0_u8..4), 1..200),
        ) {
            let mut queue = Queue::default();
            let (mut waiting, mut taken) = (Vec::new(), Vec::new());
            for (at, (of, tuples, step)) in steps.into_iter().enumerate() {
                match (step, waiting.pop()) {
                    (0, Some((of, at, ticket))) => {
                        let gone = queue.withdraw(&service(of), ticket);
                        prop_assert_eq!(gone.is_none(), taken.contains(&(of, at)));
                        continue;
                    }
                    (1, last) => {
                        waiting.extend(last);
                        taken.extend(queue.take());
                        continue;
                    }
                    (_, last) => waiting.extend(last),
                }
                if let Ok(ticket) = queue.push(&service(of), tuples, (of, at)) {
                    waiting.push((of, at, ticket));
                }
            }
            while queue.len() > 0 {
                let more = queue.take();
                prop_assert!(!more.is_empty());
                taken.extend(more);
            }
            prop_assert_eq!(queue.tuples, 0);
            for (of, at, _) in &waiting {
                prop_assert_eq!(taken.iter().filter(|one| **one == (*of, *at)).count(), 1);
            }
            for of in 0..4 {
                let order: Vec<usize> = taken.iter().filter(|one| one.0 == of).map(|one| one.1).collect();
                prop_assert!(order.is_sorted());
            }
        }
    }
}
