//! Child processes that never outlive their parent, however that one ends.
//!
//! A small shell holds the reading end of a pipe whose only writer is this process. When this process goes, even by
//! `kill -9`, the pipe closes, and the shell kills what it guards. The kernel's own "signal on death of the parent"
//! would need unsafe code.

use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::Duration;

/// `read` succeeds when a line comes (the guarded process has ended: stand down) and fails when the pipe closes.
const WATCH: &str = r#"
if read -r _; then exit 0; fi
kill -s "$1" "$2" 2>/dev/null
if [ -n "$3" ]; then
    tries=0
    while kill -s 0 "$2" 2>/dev/null && [ "$tries" -lt 50 ]; do sleep 0.1; tries=$((tries + 1)); done
    kill -s KILL "$2" 2>/dev/null
    rm -rf -- "$3"
fi
exit 0
"#;

/// A watcher over one process. Dropping it leaves that process dead.
#[derive(Debug)]
pub struct Guard {
    watcher: Child,
    pid: u32,
}

impl Guard {
    /// Watches over the process `pid`: when this process goes, it gets `signal` (`KILL`, `QUIT`, …), and when it has
    /// ended, `scratch` is removed.
    ///
    /// # Errors
    /// There is no shell.
    pub fn over(pid: u32, signal: &str, scratch: Option<&Path>) -> io::Result<Self> {
        let watcher = Command::new("/bin/sh")
            .args(["-c", WATCH, "guard", signal, &pid.to_string()])
            .arg(scratch.unwrap_or(Path::new("")))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Out of the terminal's foreground group: Ctrl-C must not end the watcher before its work is done.
            .process_group(0)
            .spawn()?;
        Ok(Self { watcher, pid })
    }

    /// The process that is watched.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Ends the watch, once the process has ended and was waited for: its number may belong to another one now.
    pub fn release(mut self) {
        self.stand_down();
    }

    fn stand_down(&mut self) {
        if let Some(mut pipe) = self.watcher.stdin.take() {
            // If the watcher is gone already there is nothing to tell.
            let _ = pipe.write_all(b"\n");
        }
        let _ = self.watcher.wait();
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // Still holding the pipe means that nobody released us: closing it makes the watcher do its work.
        drop(self.watcher.stdin.take());
        let _ = self.watcher.wait();
    }
}

/// A child with its guard.
#[derive(Debug)]
pub struct Guarded {
    child: Child,
    guard: Option<Guard>,
}

impl Guarded {
    /// Starts `command` in a process group of its own, under guard: if this process goes first, the child gets `signal`,
    /// and `scratch` is removed after it.
    ///
    /// # Errors
    /// The program cannot be started.
    pub fn spawn(command: &mut Command, signal: &str, scratch: Option<&Path>) -> io::Result<Self> {
        let mut child = command.process_group(0).spawn()?;
        match Guard::over(child.id(), signal, scratch) {
            Ok(guard) => Ok(Self {
                child,
                guard: Some(guard),
            }),
            Err(error) => {
                child.kill()?;
                child.wait()?;
                Err(error)
            }
        }
    }

    /// The number of the process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How the child ended, if it has.
    ///
    /// # Errors
    /// The operating system does not say.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        let status = self.child.try_wait()?;
        if status.is_some()
            && let Some(guard) = self.guard.take()
        {
            guard.release();
        }
        Ok(status)
    }

    /// Kills the child as `kill -9` does, and waits for its end.
    ///
    /// # Errors
    /// The operating system refuses.
    pub fn kill(&mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        if let Some(guard) = self.guard.take() {
            guard.release();
        }
        Ok(())
    }

    /// Sends `signal` and waits up to `patience` for the end; after that, kills the child.
    ///
    /// # Errors
    /// The operating system refuses.
    pub fn stop(&mut self, signal: &str, patience: Duration) -> io::Result<()> {
        send(signal, self.pid())?;
        let step = Duration::from_millis(20);
        let mut waited = Duration::ZERO;
        while waited < patience {
            if self.ended()?.is_some() {
                return Ok(());
            }
            sleep(step);
            waited += step;
        }
        self.kill()
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        if self.guard.is_some() {
            let _ = self.kill();
        }
    }
}

/// Sends a signal by name to a process, with the shell's own `kill`.
///
/// # Errors
/// There is no shell.
pub fn send(signal: &str, pid: u32) -> io::Result<()> {
    Command::new("/bin/sh")
        .args(["-c", r#"kill -s "$1" "$2""#, "kill", signal, &pid.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    fn sleeper() -> Command {
        let mut command = Command::new("sleep");
        command.arg("1000");
        command
    }

    fn is_running(pid: u32) -> bool {
        // The state stands behind the name in parentheses (proc_pid_stat(5)). A zombie is not running any more.
        std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
            let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
            state.is_some_and(|state| !matches!(state, 'Z' | 'X'))
        })
    }

    fn await_end(pid: u32) {
        for _ in 0..500 {
            if !is_running(pid) {
                return;
            }
            sleep(Duration::from_millis(10));
        }
        panic!("process {pid} is still running");
    }

    #[test]
    fn dropping_a_guarded_child_ends_it() {
        let child = Guarded::spawn(&mut sleeper(), "KILL", None).expect("spawn");
        let pid = child.pid();
        assert!(is_running(pid));
        drop(child);
        assert!(!is_running(pid));
    }

    #[test]
    fn a_parent_that_is_killed_takes_its_children_along_and_leaves_no_files() {
        // The parent is a second copy of this test program, told by the environment to play that part.
        if std::env::var_os("SENTINEL_GUARD_TEST_PARENT").is_some() {
            let scratch = Scratch::new("guard-test").expect("scratch");
            let mut child = sleeper().process_group(0).spawn().expect("spawn");
            let _guard = Guard::over(child.id(), "KILL", Some(scratch.path())).expect("guard");
            println!("child {} {}", child.id(), scratch.path().display());
            child.wait().expect("the parent is killed before its child ends");
            unreachable!("the child never ends by itself");
        }
        let mut parent = Command::new(std::env::current_exe().expect("own path"))
            .args([
                "--exact",
                "--nocapture",
                "guard::tests::a_parent_that_is_killed_takes_its_children_along_and_leaves_no_files",
            ])
            .env("SENTINEL_GUARD_TEST_PARENT", "1")
            .stdout(Stdio::piped())
            .spawn()
            .expect("spawn the parent");
        let (pid, scratch) = {
            use std::io::BufRead as _;
            let lines = io::BufReader::new(parent.stdout.take().expect("piped")).lines();
            let line = lines
                .map(|line| line.expect("text"))
                .find_map(|line| line.split_once("child ").map(|(_, rest)| rest.to_owned()))
                .expect("the parent names its child");
            let (pid, dir) = line.split_once(' ').expect("two words");
            (
                pid.parse::<u32>().expect("a number"),
                std::path::PathBuf::from(dir),
            )
        };
        assert!(is_running(pid));
        assert!(scratch.exists());
        parent.kill().expect("kill -9");
        parent.wait().expect("wait");
        await_end(pid);
        for _ in 0..1000 {
            if !scratch.exists() {
                return;
            }
            sleep(Duration::from_millis(10));
        }
        panic!("{} is still there", scratch.display());
    }

    #[test]
    fn a_child_that_ends_by_itself_is_seen_and_released() {
        let mut child = Guarded::spawn(&mut Command::new("true"), "KILL", None).expect("spawn");
        for _ in 0..500 {
            if let Some(status) = child.ended().expect("status") {
                assert!(status.success());
                assert!(child.guard.is_none());
                return;
            }
            sleep(Duration::from_millis(10));
        }
        panic!("`true` did not end");
    }

    #[test]
    fn stop_is_gentle_first() {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "trap 'exit 7' TERM; while :; do sleep 0.05; done"]);
        let mut child = Guarded::spawn(&mut command, "KILL", None).expect("spawn");
        // The trap may not be set yet; a shell without it dies of the signal as well.
        child.stop("TERM", Duration::from_secs(10)).expect("stop");
        assert!(!is_running(child.pid()));
    }
}
