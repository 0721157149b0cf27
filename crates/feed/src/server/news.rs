//! The newest word of one to many: who was slow hears the newest, not all of them.
//!
//! `tokio::sync::watch` says the same, but wakes those who wait in an order of chance that no seed decides; here they are
//! woken in the order in which they began to wait, so that a simulated run can be had again.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Who has the word.
pub(super) struct Speaker<T> {
    said: Arc<Said<T>>,
}

/// Who listens to it, until it is dropped.
pub(super) struct Listener<T> {
    said: Arc<Said<T>>,
    /// The number of what was heard last; `None` before anything was.
    heard: Option<u64>,
}

struct Said<T> {
    newest: Mutex<Numbered<T>>,
    more: Notify,
}

struct Numbered<T> {
    number: u64,
    news: T,
}

impl<T: Clone> Speaker<T> {
    /// Says this as the first thing.
    pub(super) fn new(news: T) -> Self {
        Self {
            said: Arc::new(Said {
                newest: Mutex::new(Numbered { number: 0, news }),
                more: Notify::new(),
            }),
        }
    }

    /// What was said last.
    pub(super) fn newest(&self) -> T {
        self.said.lock().news.clone()
    }

    /// Says something else, and wakes all who wait for it.
    pub(super) fn say(&self, change: impl FnOnce(&mut T)) {
        let mut newest = self.said.lock();
        newest.number += 1;
        change(&mut newest.news);
        drop(newest);
        self.said.more.notify_waiters();
    }

    /// One more who listens. The first thing to be heard is what was said last.
    pub(super) fn listener(&self) -> Listener<T> {
        Listener {
            said: Arc::clone(&self.said),
            heard: None,
        }
    }

    /// How many listen.
    pub(super) fn listeners(&self) -> usize {
        // One is the speaker's own.
        Arc::strong_count(&self.said).saturating_sub(1)
    }
}

impl<T: Clone> Listener<T> {
    /// The newest that was not heard yet, as soon as there is some. Can be dropped and asked again at any time.
    pub(super) async fn next(&mut self) -> T {
        // Not another clone: those are counted.
        let Self { said, heard } = self;
        loop {
            if let Some(news) = said.unheard(heard) {
                return news;
            }
            let mut more = pin!(said.more.notified());
            // Before looking once more, or what is said in between would wake nobody.
            more.as_mut().enable();
            if let Some(news) = said.unheard(heard) {
                return news;
            }
            more.await;
        }
    }
}

impl<T: Clone> Said<T> {
    fn unheard(&self, heard: &mut Option<u64>) -> Option<T> {
        let newest = self.lock();
        let is_new = *heard != Some(newest.number);
        *heard = Some(newest.number);
        is_new.then(|| newest.news.clone())
    }
}

impl<T> Said<T> {
    fn lock(&self) -> MutexGuard<'_, Numbered<T>> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Poll, Waker};
    use std::time::Duration;

    use tokio::task::JoinSet;
    use tokio::time::timeout;

    use super::*;
    use crate::testing::settle;

    /// What a future comes to that is asked once.
    fn asked<T>(future: Pin<&mut impl Future<Output = T>>) -> Poll<T> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    /// What a listener hears without waiting.
    fn heard<T: Clone>(listener: &mut Listener<T>) -> Poll<T> {
        asked(pin!(listener.next()))
    }

    #[test]
    fn each_hears_the_newest_once() {
        let speaker = Speaker::new(1);
        let (mut first, mut second) = (speaker.listener(), speaker.listener());
        assert_eq!(speaker.listeners(), 2);
        assert_eq!(heard(&mut first), Poll::Ready(1));
        assert_eq!(heard(&mut first), Poll::Pending);
        speaker.say(|news| *news = 2);
        speaker.say(|news| *news += 1);
        assert_eq!(speaker.newest(), 3);
        for listener in [&mut first, &mut second] {
            assert_eq!(heard(listener), Poll::Ready(3));
            assert_eq!(heard(listener), Poll::Pending);
        }
        drop(first);
        assert_eq!(speaker.listeners(), 1);
    }

    #[test]
    fn who_comes_after_the_last_word_hears_it_as_who_waited_for_it_does() {
        let speaker = Speaker::new("begun");
        let mut early = speaker.listener();
        assert_eq!(heard(&mut early), Poll::Ready("begun"));
        let mut waiting = pin!(early.next());
        assert_eq!(asked(waiting.as_mut()), Poll::Pending);
        assert_eq!(speaker.listeners(), 1, "who waits counts once");
        speaker.say(|news| *news = "over");
        let mut late = speaker.listener();
        drop(speaker);
        assert_eq!(asked(waiting.as_mut()), Poll::Ready("over"));
        assert_eq!(heard(&mut late), Poll::Ready("over"));
    }

    #[test]
    fn who_gave_up_waiting_hears_it_when_he_asks_again() {
        let speaker = Speaker::new(0);
        let mut listener = speaker.listener();
        assert_eq!(heard(&mut listener), Poll::Ready(0));
        {
            let mut given_up = pin!(listener.next());
            assert_eq!(asked(given_up.as_mut()), Poll::Pending);
            // He is woken, and gone before he looks.
            speaker.say(|news| *news = 1);
        }
        assert_eq!(heard(&mut listener), Poll::Ready(1));
    }

    /// More than the lists that a watch channel would put them into.
    #[tokio::test]
    async fn all_are_woken_in_the_order_in_which_they_began_to_wait() {
        let speaker = Speaker::new(false);
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut waiting = JoinSet::new();
        for n in 0..100 {
            let (mut listener, order) = (speaker.listener(), Arc::clone(&order));
            waiting.spawn(async move {
                while !listener.next().await {}
                order.lock().expect("no panic").push(n);
            });
        }
        settle().await;
        speaker.say(|news| *news = true);
        waiting.join_all().await;
        assert_eq!(*order.lock().expect("no panic"), (0..100).collect::<Vec<_>>());
    }

    /// On several threads, so that what is said falls in between looking and waiting now and then.
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn no_word_is_lost_between_looking_and_waiting() {
        const LAST: u32 = 20_000;
        let speaker = Speaker::new(0);
        let mut hearing = JoinSet::new();
        for _ in 0..4 {
            let mut listener = speaker.listener();
            hearing.spawn(async move { while listener.next().await < LAST {} });
        }
        let speaking = tokio::spawn(async move {
            for n in 1..=LAST {
                speaker.say(|news| *news = n);
                if n % 8 == 0 {
                    tokio::task::yield_now().await;
                }
            }
        });
        speaking.await.expect("no panic");
        let heard = timeout(Duration::from_secs(20), hearing.join_all()).await;
        assert!(heard.is_ok(), "somebody still waits for what was said");
    }
}
