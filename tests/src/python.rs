//! Programs written with the published Python client, which we did not write, as processes of their own.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use sentinel_quickstart::http::{Ask, Http};
use sentinel_quickstart::system::write_private;
use serde_json::Value;
use tokio::time::{Instant, sleep};
use xtask::guard::Guarded;
use xtask::scratch::free_port;

/// How long a program may take to start, or to come to its end.
const PATIENCE: Duration = Duration::from_mins(2);

/// A running program.
#[derive(Debug)]
pub struct Program {
    name: String,
    log: PathBuf,
    process: Guarded,
}

impl Program {
    /// Starts `tests/python_sdk/{script}` with a file that has `input`. The file and the log are kept in `dir`, named
    /// after `name`.
    ///
    /// # Errors
    /// The client is not installed.
    pub fn start(script: &str, name: &str, input: &Value, dir: &Path) -> Result<Self> {
        let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("python_sdk");
        ensure!(
            home.join("venv/.installed-from").is_file(),
            "the Python package `sentinel-auth-sdk` is not installed: run `cargo xtask test`"
        );
        let file = dir.join(format!("{name}.json"));
        write_private(&file, &input.to_string())?;
        let log = dir.join(format!("{name}.log"));
        let output = File::create(&log).with_context(|| format!("cannot write `{}`", log.display()))?;
        let mut command = Command::new(home.join("venv/bin/python"));
        command
            .arg(home.join(script))
            .arg(file)
            // The client's requests stay on this machine, whatever the environment says.
            .env("NO_PROXY", "*")
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output);
        let process = Guarded::spawn(&mut command, "KILL", None).context("cannot run Python")?;
        Ok(Self {
            name: name.to_owned(),
            log,
            process,
        })
    }

    /// What it wrote.
    pub fn output(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        format!("-- the output of {}\n{text}\n", self.name)
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// It does not come to one.
    pub async fn end(&mut self) -> Result<ExitStatus> {
        let started = Instant::now();
        loop {
            if let Some(status) = self.process.ended()? {
                return Ok(status);
            }
            ensure!(
                started.elapsed() < PATIENCE,
                "{} did not end within {PATIENCE:?}",
                self.name
            );
            sleep(Duration::from_millis(20)).await;
        }
    }
}

/// A service that serves.
#[derive(Debug)]
pub struct Service {
    /// Where.
    pub url: String,
    /// Its process.
    pub program: Program,
}

impl Service {
    /// Starts `service.py` with these settings on a free port, and returns when it serves.
    ///
    /// # Errors
    /// It does not start: the text has what it wrote.
    pub async fn start(http: &Http, name: &str, mut settings: Value, dir: &Path) -> Result<Self> {
        let port = free_port()?;
        let fields = settings.as_object_mut().context("settings are an object")?;
        fields.insert("port".to_owned(), port.into());
        let mut program = Program::start("service.py", name, &settings, dir)?;
        let url = format!("http://127.0.0.1:{port}");
        let health = Ask::get(format!("{url}/health"));
        let started = Instant::now();
        while !http.send(&health).await.is_ok_and(|answer| answer.status == 200) {
            if program.process.ended()?.is_some() || started.elapsed() > PATIENCE {
                bail!("a service did not start\n{}", program.output());
            }
            sleep(Duration::from_millis(20)).await;
        }
        Ok(Self { url, program })
    }
}
