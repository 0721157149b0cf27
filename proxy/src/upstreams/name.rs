//! The name of a service, and the addresses that it has.
//!
//! There is one lookup of a name at a time, whoever asks for it and on whatever worker: a resolver that stalls keeps one
//! thread and not one for each request. Meanwhile the addresses known so far are used; where there are none, the lookup is
//! waited for. It is a task of its own, so that a client who leaves does not take it with him.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::net::lookup_host;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::moment;

/// How long a looked-up address is used before the name is looked up again.
const ADDRESS_LIFETIME: Duration = Duration::from_secs(10);

/// A host's name and a port there.
#[derive(Debug)]
pub(super) struct Name {
    host: String,
    port: u16,
    found: ArcSwapOption<Found>,
    next: AtomicUsize,
    is_looked_up: AtomicBool,
    /// Told when a lookup has ended.
    ended: watch::Sender<()>,
}

/// The addresses of a name.
#[derive(Debug)]
struct Found {
    all: Vec<SocketAddr>,
    until: Instant,
}

/// A lookup that is under way. It has ended when this is dropped, however it ended.
struct Lookup(Arc<Name>);

impl Drop for Lookup {
    fn drop(&mut self) {
        self.0.is_looked_up.store(false, Ordering::SeqCst);
        self.0.ended.send_replace(());
    }
}

impl Name {
    /// A name that nobody has looked up yet.
    pub(super) fn new(host: &str, port: u16) -> Arc<Self> {
        Arc::new(Self {
            host: host.to_owned(),
            port,
            found: ArcSwapOption::empty(),
            next: AtomicUsize::new(0),
            is_looked_up: AtomicBool::new(false),
            ended: watch::Sender::new(()),
        })
    }

    /// The next of its addresses; `None` while it has none. They take turns.
    pub(super) async fn address(self: &Arc<Self>) -> Option<SocketAddr> {
        let found = self.found(|name| async move {
            let found = lookup_host((name.host.as_str(), name.port)).await?;
            Ok(found.collect())
        });
        let found = found.await?;
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        found.all.get(turn.checked_rem(found.all.len())?).copied()
    }

    /// What `resolve` found not long ago, or finds now if nobody else is at it.
    async fn found<F>(self: &Arc<Self>, resolve: impl FnOnce(Arc<Self>) -> F) -> Option<Arc<Found>>
    where
        F: Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'static,
    {
        let known = self.found.load_full();
        if known.as_ref().is_some_and(|known| moment::now() < known.until) {
            return known;
        }
        // Before it is asked whether a lookup is under way, so that its end is not missed.
        let mut ended = self.ended.subscribe();
        if !self.is_looked_up.swap(true, Ordering::SeqCst) {
            let lookup = Lookup(Arc::clone(self));
            let resolving = resolve(Arc::clone(self));
            tokio::spawn(async move { lookup.0.keep(resolving.await) });
        } else if known.is_some() {
            return known;
        }
        // INVARIANT: whoever tells of the end is in this name.
        let _ = ended.changed().await;
        self.found.load_full()
    }

    /// Keeps what was found; where that is nothing, what was known before.
    fn keep(&self, found: io::Result<Vec<SocketAddr>>) {
        match found {
            Ok(all) => {
                let until = Instant::now() + ADDRESS_LIFETIME;
                self.found.store(Some(Arc::new(Found { all, until })));
            }
            Err(error) => {
                tracing::warn!(upstream.host = %self.host, %error, "the name of a service cannot be looked up");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use tokio::sync::{mpsc, oneshot};
    use tokio::time::advance;

    use super::*;

    type Answer = io::Result<Vec<SocketAddr>>;

    /// Hands every lookup to whoever tests, who answers it.
    #[derive(Clone)]
    struct Resolver(mpsc::UnboundedSender<oneshot::Sender<Answer>>);

    impl Resolver {
        fn start() -> (Self, mpsc::UnboundedReceiver<oneshot::Sender<Answer>>) {
            let (asked, lookups) = mpsc::unbounded_channel();
            (Self(asked), lookups)
        }

        fn answer(self, _: Arc<Name>) -> impl Future<Output = Answer> + Send + 'static {
            let (answer, answered) = oneshot::channel();
            self.0.send(answer).expect("somebody answers");
            async { answered.await.expect("an answer") }
        }
    }

    async fn ask(name: Arc<Name>, resolver: Resolver) -> Option<Vec<SocketAddr>> {
        let found = name.found(|name| resolver.answer(name)).await;
        found.map(|found| found.all.clone())
    }

    fn address(port: u16) -> Vec<SocketAddr> {
        vec![SocketAddr::from(([127, 0, 0, 1], port))]
    }

    #[tokio::test(start_paused = true)]
    async fn many_wait_for_one_lookup_and_use_what_is_known_during_the_next() {
        let (resolver, mut lookups) = Resolver::start();
        let name = Name::new("docs.internal", 9000);
        let asked: Vec<_> = (0..16)
            .map(|_| tokio::spawn(ask(Arc::clone(&name), resolver.clone())))
            .collect();
        let first = lookups.recv().await.expect("a lookup");
        tokio::task::yield_now().await;
        assert!(lookups.try_recv().is_err(), "there is a second one");
        first.send(Ok(address(1))).expect("it is waited for");
        for asked in asked {
            assert_eq!(asked.await.expect("no panic"), Some(address(1)));
        }

        advance(ADDRESS_LIFETIME).await;
        let again = tokio::spawn(ask(Arc::clone(&name), resolver.clone()));
        let second = lookups.recv().await.expect("a lookup");
        for _ in 0..16 {
            let meanwhile = ask(Arc::clone(&name), resolver.clone()).await;
            assert_eq!(meanwhile, Some(address(1)));
        }
        assert!(lookups.try_recv().is_err(), "there is a second one");
        second.send(Ok(address(2))).expect("it is waited for");
        assert_eq!(again.await.expect("no panic"), Some(address(2)));
    }

    #[tokio::test]
    async fn who_leaves_takes_no_lookup_with_him_and_one_that_fails_is_made_again() {
        let (resolver, mut lookups) = Resolver::start();
        let name = Name::new("docs.internal", 9000);
        let leaving = tokio::spawn(ask(Arc::clone(&name), resolver.clone()));
        let lookup = lookups.recv().await.expect("a lookup");
        let staying = tokio::spawn(ask(Arc::clone(&name), resolver.clone()));
        leaving.abort();
        assert!(leaving.await.expect_err("he left").is_cancelled());
        lookup
            .send(Err(io::ErrorKind::TimedOut.into()))
            .expect("it goes on");
        assert_eq!(staying.await.expect("no panic"), None);
        let (found, ()) = tokio::join!(ask(name, resolver), async {
            let lookup = lookups.recv().await.expect("a lookup");
            lookup.send(Ok(address(3))).expect("it is waited for");
        });
        assert_eq!(found, Some(address(3)));
    }

    #[tokio::test]
    async fn a_lookup_that_panics_is_over() {
        let name = Name::new("docs.internal", 9000);
        let failed = name.found(|_| async { panic!("a defect") }).await;
        assert!(failed.is_none());
        let found = name.found(|_| ready(Ok(address(1)))).await;
        assert_eq!(found.map(|found| found.all.clone()), Some(address(1)));
    }
}
