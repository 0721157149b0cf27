//! A throw-away PostgreSQL server on a free loopback port.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use crate::guard::{Guard, send};
use crate::scratch::{Account, Scratch, free_port, secret};
use crate::{Doing, Failure, Outcome, cargo, tools};

/// How long a server may take to accept connections.
const PATIENCE: Duration = Duration::from_mins(1);

/// A running PostgreSQL server with its own data directory. It ends, and its directory goes, with this value.
#[derive(Debug)]
pub struct Postgres {
    bin: PathBuf,
    account: Option<Account>,
    port: u16,
    password: String,
    durable: bool,
    running: Option<(Child, Guard)>,
    scratch: Scratch,
}

impl Postgres {
    /// Creates a cluster and starts it. Under root the server runs as `postgres` or `nobody`, as it refuses root.
    ///
    /// # Errors
    /// PostgreSQL is not installed, or does not start; the text has the end of its log.
    pub fn start() -> Outcome<Self> {
        Self::create(false)
    }

    /// The same, but a commit is on the disk when it is confirmed, as in production: for measurements.
    ///
    /// # Errors
    /// As [`Postgres::start`].
    pub fn start_durable() -> Outcome<Self> {
        Self::create(true)
    }

    fn create(durable: bool) -> Outcome<Self> {
        let bin = tools::postgres_bin()
            .ok_or_else(|| Failure::new("PostgreSQL is not installed: run `cargo xtask setup`"))?;
        let account = Account::unprivileged()?;
        let scratch = Scratch::new("postgres")?;
        let password = secret()?;
        let password_file = scratch.path().join("password");
        std::fs::write(&password_file, &password).doing(|| "write the server's password".to_owned())?;
        if let Some(account) = account {
            scratch.give_to(account)?;
            std::os::unix::fs::chown(&password_file, Some(account.uid), Some(account.gid))
                .doing(|| "hand over the server's password".to_owned())?;
        }
        let mut server = Self {
            bin,
            account,
            port: free_port()?,
            password,
            durable,
            running: None,
            scratch,
        };
        server.create_cluster(&password_file)?;
        server.launch()?;
        Ok(server)
    }

    /// The address of its first database, with the password of its superuser.
    pub fn url(&self) -> String {
        format!(
            "postgres://postgres:{}@127.0.0.1:{}/postgres",
            self.password, self.port
        )
    }

    /// The number of its first process, the parent of all others, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.running.as_ref().map(|(server, _)| server.id())
    }

    /// Kills the server and all its processes as a crash would, and leaves its data as it is.
    ///
    /// # Errors
    /// The operating system refuses.
    pub fn kill(&mut self) -> Outcome {
        if let Some((mut server, guard)) = self.running.take() {
            server.kill().doing(|| "kill PostgreSQL".to_owned())?;
            server.wait().doing(|| "wait for PostgreSQL".to_owned())?;
            guard.release();
        }
        Ok(())
    }

    /// Starts the server again on the same data and port.
    ///
    /// # Errors
    /// As [`Postgres::start`].
    pub fn restart(&mut self) -> Outcome {
        self.kill()?;
        self.launch()
    }

    fn data(&self) -> PathBuf {
        self.scratch.path().join("data")
    }

    fn log(&self) -> PathBuf {
        self.scratch.path().join("log")
    }

    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.bin.join(name));
        command.current_dir(self.scratch.path()).stdin(Stdio::null());
        if let Some(account) = self.account {
            command.uid(account.uid).gid(account.gid);
        }
        command
    }

    fn create_cluster(&self, password_file: &Path) -> Outcome {
        let mut initdb = self.program("initdb");
        // Passwords go over loopback only, and a cheap check keeps connecting fast.
        initdb
            .args([
                "--no-sync",
                "--username=postgres",
                "--auth=password",
                "--encoding=UTF8",
                "--no-locale",
            ])
            .arg(format!("--pwfile={}", password_file.display()))
            .arg(format!("--pgdata={}", self.data().display()))
            .stdout(Stdio::null());
        cargo::run(&mut initdb)
    }

    fn launch(&mut self) -> Outcome {
        // Backends of a server that was just killed may still be on their way out; they hold its memory.
        for attempt in 0..20_u32 {
            match self.launch_once() {
                Err(failure) if attempt < 19 && failure.0.contains("shared memory") => {
                    sleep(Duration::from_millis(100));
                }
                other => return other,
            }
        }
        Ok(())
    }

    fn launch_once(&mut self) -> Outcome {
        let log = std::fs::File::create(self.log()).doing(|| format!("write `{}`", self.log().display()))?;
        let errors = log.try_clone().doing(|| "share the log".to_owned())?;
        let mut command = self.program("postgres");
        command
            .arg("-D")
            .arg(self.data())
            .args(["-p", &self.port.to_string()])
            .args([
                "-c",
                "listen_addresses=127.0.0.1",
                "-c",
                "unix_socket_directories=",
            ])
            .args(["-c", "max_connections=300"])
            // In a test the data need not survive the machine, only the process.
            .args(["-c", if self.durable { "fsync=on" } else { "fsync=off" }])
            .stdout(log)
            .stderr(errors)
            .process_group(0);
        let mut server = command.spawn().doing(|| "start PostgreSQL".to_owned())?;
        let guard = Guard::over(server.id(), "QUIT", Some(self.scratch.path()))
            .doing(|| "watch over PostgreSQL".to_owned())?;
        let step = Duration::from_millis(20);
        let mut waited = Duration::ZERO;
        while waited < PATIENCE {
            if self.is_ready(server.id()) {
                self.running = Some((server, guard));
                return Ok(());
            }
            if server
                .try_wait()
                .doing(|| "wait for PostgreSQL".to_owned())?
                .is_some()
            {
                guard.release();
                return Err(Failure(format!("PostgreSQL did not start:\n{}", self.log_text())));
            }
            sleep(step);
            waited += step;
        }
        Err(Failure(format!(
            "PostgreSQL was not ready within {PATIENCE:?}:\n{}",
            self.log_text()
        )))
    }

    /// The server's lock file has its process in line 1, and says in line 8 when it accepts connections. The file of
    /// one that was killed stays behind.
    fn is_ready(&self, pid: u32) -> bool {
        std::fs::read_to_string(self.data().join("postmaster.pid")).is_ok_and(|text| {
            let line = |number| text.lines().nth(number).map(str::trim);
            line(0) == Some(&*pid.to_string()) && line(7) == Some("ready")
        })
    }

    fn log_text(&self) -> String {
        std::fs::read_to_string(self.log()).unwrap_or_default()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some((mut server, guard)) = self.running.take() {
            // Immediate shutdown: nothing of it is kept.
            let _ = send("QUIT", server.id());
            let _ = server.wait();
            guard.release();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_survives_a_crash_and_leaves_nothing_behind() {
        let mut server = Postgres::start().expect("start");
        let (url, scratch) = (server.url(), server.scratch.path().to_path_buf());
        server.kill().expect("kill");
        server.restart().expect("restart");
        assert_eq!(server.url(), url);
        let pid = server.pid();
        assert!(pid.is_some_and(|pid| server.is_ready(pid)));
        drop(server);
        assert!(!scratch.exists());
    }
}
