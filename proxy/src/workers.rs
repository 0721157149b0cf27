//! The threads that serve requests: one for each core, each with a runtime of its own.
//!
//! A connection is served by one worker from its first byte to its last, and so is the connection to the service behind it:
//! each worker has a pool of its own. So no request is handed from thread to thread, and none waits behind what else the edge
//! does: the replica is followed, keys are fetched and metrics are answered on another runtime.

use std::io;
use std::num::NonZero;
use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// Who serves requests, until this is dropped: whatever its threads still do ends then.
pub struct Workers(Vec<Worker>);

struct Worker {
    runtime: Handle,
    /// Closed when the worker's thread is to end.
    _end: Option<oneshot::Sender<()>>,
}

impl Workers {
    /// One thread for each core that this process may use.
    ///
    /// # Errors
    /// There can be no more threads or open files.
    pub fn for_each_core() -> io::Result<Self> {
        Self::start(thread::available_parallelism().map_or(1, NonZero::get))
    }

    /// So many threads.
    ///
    /// # Errors
    /// There can be no more threads or open files.
    pub fn start(count: usize) -> io::Result<Self> {
        (0..count)
            .map(|_| Worker::start())
            .collect::<io::Result<_>>()
            .map(Self)
    }

    /// No threads: requests are served on the runtime that this is called on, beside everything else. For whoever has to
    /// hold its time still.
    ///
    /// # Panics
    /// It is called on no runtime.
    pub fn here() -> Self {
        Self(vec![Worker {
            runtime: Handle::current(),
            _end: None,
        }])
    }

    /// How many there are.
    #[expect(clippy::len_without_is_empty, reason = "there is always one")]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// What each of them runs.
    pub fn runtimes(&self) -> impl Iterator<Item = Handle> {
        self.0.iter().map(|worker| worker.runtime.clone())
    }
}

impl Worker {
    fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (end, ended) = oneshot::channel::<()>();
        thread::Builder::new().name("worker".to_owned()).spawn(move || {
            // It is never sent anything: the other side goes, and that is the end.
            let _ = runtime.block_on(ended);
            // Whoever asks a resolver for an address is not waited for.
            runtime.shutdown_background();
        })?;
        Ok(Self {
            runtime: handle,
            _end: Some(end),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    /// Says on which thread it is, and that it has gone.
    struct Guest(Option<oneshot::Sender<()>>);

    impl Drop for Guest {
        fn drop(&mut self) {
            let gone = self.0.take().expect("dropped once").send(());
            gone.expect("somebody waits");
        }
    }

    #[tokio::test]
    async fn each_has_a_thread_of_its_own_and_what_they_do_ends_with_them() {
        let workers = Workers::start(3).expect("threads");
        let mut threads = Vec::new();
        let mut gone = Vec::new();
        for runtime in workers.runtimes() {
            let (sender, receiver) = oneshot::channel();
            gone.push(receiver);
            let guest = Guest(Some(sender));
            runtime.spawn(async move {
                let _guest = guest;
                pending::<()>().await;
            });
            threads.push(
                runtime
                    .spawn(async { thread::current().id() })
                    .await
                    .expect("it answers"),
            );
        }
        threads.push(thread::current().id());
        for (at, one) in threads.iter().enumerate() {
            assert!(!threads.iter().skip(at + 1).any(|other| other == one));
        }
        drop(workers);
        for gone in gone {
            gone.await.expect("its guest went");
        }
    }
}
