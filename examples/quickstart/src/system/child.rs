//! A program under supervision: started again when it dies, stopped and started on request, and never left behind.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use xtask::guard::{Guarded, send};

/// Pause before the first restart; it doubles up to the longest one.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// A program that ran this long has recovered, and begins with the first pause again.
const RECOVERED: Duration = Duration::from_secs(5);

/// A program that dies this often without ever recovering will not do better by trying.
const TRIES: u32 = 20;

/// How often the supervisor looks.
const LOOK: Duration = Duration::from_millis(10);

/// How long a program may take to end by itself.
const GENTLE: Duration = Duration::from_secs(10);

/// What to run.
#[derive(Debug, Clone)]
pub struct Spec {
    /// The name that people read.
    pub name: &'static str,
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Where its output goes.
    pub log: PathBuf,
    /// Its working directory.
    pub state: PathBuf,
}

/// A supervised program.
#[derive(Debug)]
pub struct Child {
    spec: Spec,
    orders: mpsc::Sender<(Order, oneshot::Sender<()>)>,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Shared {
    /// The process, or 0 while there is none.
    pid: AtomicU32,
    starts: AtomicU32,
    failure: Mutex<Option<String>>,
}

#[derive(Debug, Clone, Copy)]
enum Order {
    Kill,
    Start,
    End,
}

impl Child {
    /// Starts the program.
    ///
    /// # Errors
    /// It does not exist.
    pub fn start(spec: Spec) -> Result<Self> {
        let first = spawn(&spec)?;
        let (orders, inbox) = mpsc::channel(4);
        let shared = Arc::new(Shared::default());
        let task = tokio::spawn(supervise(spec.clone(), first, inbox, Arc::clone(&shared)));
        Ok(Self {
            spec,
            orders,
            shared,
            task,
        })
    }

    /// The name that people read.
    pub fn name(&self) -> &'static str {
        self.spec.name
    }

    /// Where its output goes.
    pub fn log(&self) -> &Path {
        &self.spec.log
    }

    /// The process, if there is one now.
    pub fn pid(&self) -> Option<u32> {
        Some(self.shared.pid.load(Ordering::SeqCst)).filter(|pid| *pid != 0)
    }

    /// How often it was started.
    pub fn starts(&self) -> u32 {
        self.shared.starts.load(Ordering::SeqCst)
    }

    /// Why there will be no further try, if so.
    pub fn gave_up(&self) -> Option<String> {
        self.shared
            .failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Kills the process with `kill -9` behind the supervisor's back, as an accident would; it is started again.
    ///
    /// # Errors
    /// There is no shell.
    pub fn crash(&self) -> Result<()> {
        if let Some(pid) = self.pid() {
            send("KILL", pid).with_context(|| format!("cannot kill {}", self.spec.name))?;
        }
        Ok(())
    }

    /// Kills the process with `kill -9`, and keeps it down until [`Child::resume`].
    pub async fn kill(&self) {
        self.order(Order::Kill).await;
    }

    /// Starts the program again after [`Child::kill`].
    pub async fn resume(&self) {
        self.order(Order::Start).await;
    }

    /// Ends the program gently, for good.
    pub async fn end(&self) {
        self.order(Order::End).await;
    }

    async fn order(&self, order: Order) {
        let (done, wait) = oneshot::channel();
        // A supervisor that is gone has ended its program already.
        if self.orders.send((order, done)).await.is_ok() {
            let _ = wait.await;
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // The process is owned by the task, and is killed when the task is dropped.
        self.task.abort();
    }
}

async fn supervise(
    spec: Spec,
    first: Guarded,
    mut inbox: mpsc::Receiver<(Order, oneshot::Sender<()>)>,
    shared: Arc<Shared>,
) {
    let mut running = Some((first, Instant::now()));
    let mut wanted = true;
    let mut pause = FIRST_PAUSE;
    let mut tries = 0_u32;
    let mut next_try = Instant::now();
    shared.starts.store(1, Ordering::SeqCst);
    loop {
        let pid = running.as_ref().map_or(0, |(process, _)| process.pid());
        shared.pid.store(pid, Ordering::SeqCst);
        let order = tokio::select! {
            order = inbox.recv() => match order { Some(order) => Some(order), None => return },
            () = sleep(LOOK) => None,
        };
        if let Some((order, done)) = order {
            match order {
                Order::Kill => {
                    wanted = false;
                    if let Some((mut process, _)) = running.take() {
                        let _ = process.kill();
                    }
                }
                Order::Start => {
                    wanted = true;
                    (pause, tries, next_try) = (FIRST_PAUSE, 0, Instant::now());
                }
                Order::End => {
                    if let Some((process, _)) = running.take() {
                        end(process).await;
                    }
                    shared.pid.store(0, Ordering::SeqCst);
                    let _ = done.send(());
                    return;
                }
            }
            shared.pid.store(
                running.as_ref().map_or(0, |(process, _)| process.pid()),
                Ordering::SeqCst,
            );
            let _ = done.send(());
        }
        let ended = running
            .as_mut()
            .and_then(|(process, since)| Some((process.ended().ok()??, since.elapsed())));
        if let Some((status, lived)) = ended {
            running = None;
            if lived >= RECOVERED {
                (pause, tries) = (FIRST_PAUSE, 0);
            }
            note(&spec, status, pause);
            next_try = Instant::now() + pause;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        if wanted && running.is_none() && Instant::now() >= next_try && tries < TRIES {
            tries += 1;
            match spawn(&spec) {
                Ok(process) => {
                    shared.starts.fetch_add(1, Ordering::SeqCst);
                    running = Some((process, Instant::now()));
                }
                Err(error) => note_failure(&shared, format!("{error:#}")),
            }
            if tries == TRIES {
                note_failure(
                    &shared,
                    format!(
                        "{} ended {TRIES} times in a row, its log is `{}`",
                        spec.name,
                        spec.log.display()
                    ),
                );
            }
        }
    }
}

/// Asks the process to end, waits for it, and kills it when it does not.
async fn end(mut process: Guarded) {
    if send("TERM", process.pid()).is_err() {
        return;
    }
    let asked = Instant::now();
    while asked.elapsed() < GENTLE {
        if process.ended().is_ok_and(|status| status.is_some()) {
            return;
        }
        sleep(LOOK).await;
    }
    let _ = process.kill();
}

fn spawn(spec: &Spec) -> Result<Guarded> {
    let log = open_log(&spec.log)?;
    let errors = log.try_clone().context("cannot share a log")?;
    let mut command = Command::new(&spec.program);
    command
        .args(&spec.args)
        .current_dir(&spec.state)
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors);
    Guarded::spawn(&mut command, "KILL", None)
        .with_context(|| format!("cannot start `{}`", spec.program.display()))
}

fn open_log(path: &Path) -> Result<File> {
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.with_context(|| format!("cannot write `{}`", path.display()))
}

/// Says in the program's own log that it ended.
fn note(spec: &Spec, status: ExitStatus, pause: Duration) {
    use std::io::Write as _;
    if let Ok(mut log) = open_log(&spec.log) {
        let _ = writeln!(
            log,
            "quickstart: {} ended ({status}), starting it again in {pause:?}",
            spec.name
        );
    }
}

fn note_failure(shared: &Shared, failure: String) {
    *shared.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper(dir: &Path) -> Spec {
        Spec {
            name: "sleeper",
            program: "/bin/sleep".into(),
            args: vec!["1000".into()],
            log: dir.join("log"),
            state: dir.to_path_buf(),
        }
    }

    /// Waits until `wanted` holds.
    async fn until(wanted: impl Fn() -> bool) {
        let started = Instant::now();
        while !wanted() {
            assert!(
                started.elapsed() < Duration::from_secs(20),
                "it did not come to that"
            );
            sleep(LOOK).await;
        }
    }

    #[tokio::test]
    async fn a_program_that_dies_is_started_again() {
        let dir = tempfile::tempdir().expect("directory");
        let child = Child::start(sleeper(dir.path())).expect("start");
        until(|| child.pid().is_some()).await;
        let first = child.pid();
        child.crash().expect("crash");
        until(|| child.starts() == 2 && child.pid().is_some() && child.pid() != first).await;
        let log = std::fs::read_to_string(child.log()).expect("log");
        assert!(log.contains("sleeper ended"), "{log}");
    }

    #[tokio::test]
    async fn what_was_killed_on_purpose_stays_down_until_it_is_resumed() {
        let dir = tempfile::tempdir().expect("directory");
        let child = Child::start(sleeper(dir.path())).expect("start");
        child.kill().await;
        assert_eq!(child.pid(), None);
        sleep(FIRST_PAUSE * 4).await;
        assert_eq!((child.pid(), child.starts()), (None, 1));
        child.resume().await;
        until(|| child.pid().is_some()).await;
        child.end().await;
        assert_eq!(child.pid(), None);
    }

    #[tokio::test]
    async fn a_program_that_does_not_exist_is_named() {
        let dir = tempfile::tempdir().expect("directory");
        let spec = Spec {
            program: "/no/such/program".into(),
            ..sleeper(dir.path())
        };
        let error = Child::start(spec).expect_err("missing");
        assert!(format!("{error:#}").contains("/no/such/program"), "{error:#}");
    }
}
