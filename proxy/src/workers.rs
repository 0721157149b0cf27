//! The threads that serve requests: one for each core, each with a runtime of its own.
//!
//! A connection is served by one worker from its first byte to its last, and so is the connection to the service behind it:
//! each worker has a pool of its own. So no request is handed from thread to thread, and none waits behind what else the edge
//! does: the replica is followed, keys are fetched and metrics are answered on another runtime.

use std::io;
use std::num::NonZero;
use std::process;
use std::thread::{self, JoinHandle};

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// How many threads a worker may have at once for what would block it: looking up the names of services. There is one
/// lookup of a name at a time ([`crate::upstreams`]).
const BLOCKING: usize = 8;

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
        let runtime = Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(BLOCKING)
            .build()?;
        let handle = runtime.handle().clone();
        let (end, ended) = oneshot::channel::<()>();
        spawn(move || {
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

/// Ends the process where a worker's thread ends by a panic. A panic in a connection's own task does not come here: this is the
/// runtime's. Without it nothing moves any more for the connections of that worker, and it would be given ever more of
/// them; whoever started the process starts another one.
struct Indispensable;

impl Drop for Indispensable {
    fn drop(&mut self) {
        if thread::panicking() {
            // Not by the log, whose thread would have no time to write it.
            eprintln!("a thread that serves requests has failed: the edge ends");
            process::abort();
        }
    }
}

/// Runs what a worker does on a thread of its own.
fn spawn(work: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name("worker".to_owned()).spawn(move || {
        let _indispensable = Indispensable;
        work();
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::env;
    use std::future::pending;
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::Command;
    use std::sync::{Arc, RwLock};

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
    /// What a panic does to the process is seen from outside: this test runs itself once more.
    #[test]
    fn the_process_does_not_outlive_a_worker_that_fails() {
        const FAILS: &str = "SENTINEL_TEST_A_WORKER_FAILS";
        if env::var_os(FAILS).is_some() {
            let worker = spawn(|| panic!("a defect of the runtime")).expect("a thread");
            // Nobody gets further than this.
            let _ = worker.join();
            return;
        }
        let output = Command::new(env::current_exe().expect("this program"))
            .args([
                "--exact",
                "--nocapture",
                "workers::tests::the_process_does_not_outlive_a_worker_that_fails",
            ])
            .env(FAILS, "1")
            .output()
            .expect("ran");
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.signal(), Some(6), "{told}");
        assert!(
            told.contains("a thread that serves requests has failed"),
            "{told}"
        );
    }

    #[tokio::test]
    async fn what_would_block_a_worker_has_a_few_threads_and_not_hundreds() {
        let workers = Workers::start(1).expect("threads");
        let runtime = workers.runtimes().next().expect("one");
        let gate = Arc::new(RwLock::new(()));
        let closed = gate.write().expect("lock");
        let blocking: Vec<_> = (0..4 * BLOCKING)
            .map(|_| {
                let gate = Arc::clone(&gate);
                runtime.spawn_blocking(move || {
                    let _open = gate.read().expect("lock");
                    thread::current().id()
                })
            })
            .collect();
        // All of them have come, and each that began waits on a thread of its own.
        drop(closed);
        let mut threads = HashSet::new();
        for blocked in blocking {
            threads.insert(blocked.await.expect("it ends"));
        }
        assert!(threads.len() <= BLOCKING, "{}", threads.len());
    }
}
