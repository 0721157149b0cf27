//! A throw-away Redis server on a free loopback port.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use crate::guard::Guarded;
use crate::scratch::{Scratch, free_port, secret};
use crate::{Doing, Failure, Outcome, tools};

/// How long a server may take to accept connections.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running Redis server that keeps nothing. It ends with this value.
#[derive(Debug)]
pub struct Redis {
    port: u16,
    password: String,
    running: Option<Guarded>,
    scratch: Scratch,
}

impl Redis {
    /// Starts a server.
    ///
    /// # Errors
    /// Redis is not installed, or does not start.
    pub fn start() -> Outcome<Self> {
        let mut server = Self {
            port: free_port()?,
            password: secret()?,
            running: None,
            scratch: Scratch::new("redis")?,
        };
        server.launch()?;
        Ok(server)
    }

    /// Its address, with the password.
    pub fn url(&self) -> String {
        format!("redis://:{}@127.0.0.1:{}", self.password, self.port)
    }

    /// The number of its process, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.running.as_ref().map(Guarded::pid)
    }

    /// Kills the server as a crash would. What it held is gone.
    ///
    /// # Errors
    /// The operating system refuses.
    pub fn kill(&mut self) -> Outcome {
        match self.running.take() {
            Some(mut server) => server.kill().doing(|| "kill Redis".to_owned()),
            None => Ok(()),
        }
    }

    /// Starts an empty server on the same port.
    ///
    /// # Errors
    /// As [`Redis::start`].
    pub fn restart(&mut self) -> Outcome {
        self.kill()?;
        self.launch()
    }

    fn launch(&mut self) -> Outcome {
        let program = tools::on_path("redis-server")
            .ok_or_else(|| Failure::new("Redis is not installed: run `cargo xtask setup`"))?;
        let mut command = Command::new(program);
        command
            .args(["--bind", "127.0.0.1", "--port", &self.port.to_string()])
            .args([
                "--requirepass",
                &self.password,
                "--save",
                "",
                "--appendonly",
                "no",
            ])
            .arg("--dir")
            .arg(self.scratch.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        let mut server = Guarded::spawn(&mut command, "KILL", Some(self.scratch.path()))
            .doing(|| "start Redis".to_owned())?;
        let step = Duration::from_millis(10);
        let mut waited = Duration::ZERO;
        while waited < PATIENCE {
            if self.answers() {
                self.running = Some(server);
                return Ok(());
            }
            if let Some(status) = server.ended().doing(|| "wait for Redis".to_owned())? {
                return Err(Failure(format!("Redis did not start ({status})")));
            }
            sleep(step);
            waited += step;
        }
        Err(Failure(format!("Redis was not ready within {PATIENCE:?}")))
    }

    fn answers(&self) -> bool {
        let ask = || -> std::io::Result<String> {
            let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
            stream.set_read_timeout(Some(Duration::from_secs(1)))?;
            write!(stream, "AUTH {}\r\nPING\r\nQUIT\r\n", self.password)?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        };
        ask().is_ok_and(|answer| answer.contains("+PONG"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_answers_dies_and_comes_back_empty_on_the_same_address() {
        let mut server = Redis::start().expect("start");
        let url = server.url();
        server.kill().expect("kill");
        assert!(!server.answers());
        server.restart().expect("restart");
        assert!(server.answers());
        assert_eq!(server.url(), url);
    }
}
