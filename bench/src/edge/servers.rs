//! The proxies that are compared, each a process on a processor of its own.

use std::ffi::OsStr;
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};
use xtask::scratch::free_port;

use super::world::{INDEXER, ISSUER, PEM};
use super::{Plan, served};

/// How long a proxy may take until it listens. A million tuples have to be read in by then, in a debug build as well.
const PATIENCE: Duration = Duration::from_mins(2);

/// What is shared out: one processor for the proxy that is measured, the others for load and service.
pub(super) struct Processors {
    all: CpuSet,
    proxy: Option<CpuSet>,
}

impl Processors {
    /// The processors of this process; on a machine with a single one everything shares it.
    pub(super) fn share_out() -> Result<Self> {
        let all = sched_getaffinity(None).context("the processors are unknown")?;
        let last = (0..CpuSet::MAX_CPU)
            .rev()
            .find(|cpu| all.is_set(*cpu))
            .filter(|_| all.count() > 1);
        let processors = Self {
            all,
            proxy: last.map(|cpu| {
                let mut one = CpuSet::new();
                one.set(cpu);
                one
            }),
        };
        processors.take_the_others()?;
        Ok(processors)
    }

    /// Whether there are enough.
    pub(super) fn are_apart(&self) -> bool {
        self.proxy.is_some()
    }

    /// Runs `start` on the proxy's processor, so that the process which it starts stays there.
    fn of_proxy<T>(&self, start: impl FnOnce() -> T) -> Result<T> {
        let Some(proxy) = &self.proxy else {
            return Ok(start());
        };
        sched_setaffinity(None, proxy).context("a processor cannot be chosen")?;
        let started = start();
        self.take_the_others()?;
        Ok(started)
    }

    fn take_the_others(&self) -> Result<()> {
        let mut others = self.all;
        for cpu in (0..CpuSet::MAX_CPU).filter(|cpu| self.proxy.is_some_and(|proxy| proxy.is_set(*cpu))) {
            others.unset(cpu);
        }
        sched_setaffinity(None, &others).context("a processor cannot be chosen")
    }
}

impl Drop for Processors {
    fn drop(&mut self) {
        // Whoever called gets them back; without them it only takes longer.
        let _ = sched_setaffinity(None, &self.all);
    }
}

/// A running proxy. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Server {
    child: Child,
    /// Where it listens.
    pub(super) address: SocketAddr,
    log: PathBuf,
}

impl Server {
    fn spawn(
        processors: &Processors,
        dir: &Path,
        name: &str,
        port: u16,
        command: &mut Command,
    ) -> Result<Self> {
        let log = dir.join(name).with_extension("log");
        let out = File::create(&log).context("a log cannot be written")?;
        let errors = out.try_clone().context("a log cannot be written")?;
        command.stdin(Stdio::null()).stdout(out).stderr(errors);
        let child = processors.of_proxy(|| command.spawn())?;
        Ok(Self {
            child: child.with_context(|| format!("`{name}` cannot be started"))?,
            address: (Ipv4Addr::LOCALHOST, port).into(),
            log,
        })
    }

    /// Waits until it listens.
    async fn listening(mut self) -> Result<Self> {
        let until = Instant::now() + PATIENCE;
        while TcpStream::connect(self.address).await.is_err() {
            let ended = self.child.try_wait().context("a process is lost")?;
            if ended.is_some() || Instant::now() > until {
                bail!("a proxy does not listen:\n{}", self.end_of_log());
            }
            sleep(Duration::from_millis(20)).await;
        }
        Ok(self)
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The last lines that it has written.
    pub(super) fn end_of_log(&self) -> String {
        let log = std::fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(log.get(log.len().saturating_sub(2000)..).unwrap_or_default());
        log.into_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where everything that is started finds its files and its service.
pub(super) struct Place<'a> {
    pub(super) plan: &'a Plan,
    pub(super) dir: &'a Path,
    pub(super) upstream: SocketAddr,
    pub(super) processors: Processors,
}

impl Place<'_> {
    /// Pingora as it comes, with the allocator of the system.
    pub(super) async fn bare(&self) -> Result<Server> {
        let port = port()?;
        let mut command = Command::new(&self.plan.bare);
        self.tell(&mut command, port);
        Server::spawn(&self.processors, self.dir, "bare", port, &mut command)?
            .listening()
            .await
    }

    /// The same with the allocator that the edge has.
    pub(super) async fn bare_with_our_allocator(&self) -> Result<Server> {
        let port = port()?;
        let mut command = self.own("serve-bare", port);
        Server::spawn(&self.processors, self.dir, "bare_mimalloc", port, &mut command)?
            .listening()
            .await
    }

    /// The edge, knowing nothing but what the measurement's world is.
    pub(super) async fn edge(&self) -> Result<Server> {
        let port = port()?;
        let policy = format!(
            "listen: {{ http: '127.0.0.1:{port}', admin: '127.0.0.1:0' }}
control_plane: {{ url: '{ISSUER}', edge_key: none }}
state_dir: '{}'
upstreams: {{ docs: {{ url: 'http://{}' }} }}
routes:
  - {{ match: 'GET docs.example/public/{{id}}', to: docs, public: true }}
  - {{ match: 'GET docs.example/articles/{{id}}', to: docs, require: {{ role: viewer }} }}
  - {{ match: 'GET docs.example/documents/{{id}}', to: docs, require: {{ permission: 'docs/document/{{id}}#view' }} }}
  - {{ match: 'GET docs.example/indexer/{{id}}', to: docs, credentials: service, require: {{ service: {INDEXER} }} }}
",
            self.dir.join("edge").display(),
            self.upstream
        );
        std::fs::write(self.dir.join(served::CONFIG), policy).context("a configuration cannot be written")?;
        let mut command = self.own("serve-edge", port);
        command.arg("--tuples").arg(self.plan.scale.tuples.to_string());
        Server::spawn(&self.processors, self.dir, "edge", port, &mut command)?
            .listening()
            .await
    }

    /// `HAProxy`, which verifies the token's signature and its end for each request.
    pub(super) async fn haproxy(&self, program: &Path) -> Result<Server> {
        let port = port()?;
        let config = format!(
            "global
  nbthread 1
  maxconn 4096
defaults
  mode http
  option http-keep-alive
  http-reuse always
  timeout connect 5s
  timeout client 60s
  timeout server 60s
frontend edge
  bind 127.0.0.1:{port}
  http-request set-var(txn.token) http_auth_bearer
  http-request set-var(txn.alg) var(txn.token),jwt_header_query('$.alg')
  http-request deny deny_status 401 unless {{ var(txn.alg) -m str RS256 }}
  http-request deny deny_status 401 unless {{ var(txn.token),jwt_verify(txn.alg,\"{}\") 1 }}
  http-request set-var(txn.now) date()
  http-request set-var(txn.exp) var(txn.token),jwt_payload_query('$.exp','int')
  http-request deny deny_status 401 if {{ var(txn.exp),sub(txn.now) -m int lt 0 }}
  default_backend docs
backend docs
  server docs {}
",
            self.dir.join(PEM).display(),
            self.upstream
        );
        let file = self.dir.join("haproxy.cfg");
        std::fs::write(&file, config).context("a configuration cannot be written")?;
        let mut command = Command::new(program);
        command.arg("-db").arg("-f").arg(&file);
        Server::spawn(&self.processors, self.dir, "haproxy", port, &mut command)?
            .listening()
            .await
    }

    /// nginx, which forwards and asks for nothing.
    pub(super) async fn nginx(&self, program: &Path) -> Result<Server> {
        let port = port()?;
        let dir = self.dir.join("nginx");
        std::fs::create_dir_all(&dir).context("a directory cannot be made")?;
        let shown = dir.display();
        let config = format!(
            "daemon off;
master_process off;
worker_processes 1;
pid {shown}/pid;
error_log {shown}/error.log;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  client_body_temp_path {shown}/body;
  proxy_temp_path {shown}/proxy;
  fastcgi_temp_path {shown}/fastcgi;
  uwsgi_temp_path {shown}/uwsgi;
  scgi_temp_path {shown}/scgi;
  upstream docs {{ server {}; keepalive 256; keepalive_requests 1000000000; }}
  server {{
    listen 127.0.0.1:{port};
    keepalive_requests 1000000000;
    location / {{
      proxy_pass http://docs;
      proxy_http_version 1.1;
      proxy_set_header Connection \"\";
      proxy_set_header Host $host;
    }}
  }}
}}
",
            self.upstream
        );
        let file = dir.join("nginx.conf");
        std::fs::write(&file, config).context("a configuration cannot be written")?;
        let mut command = Command::new(program);
        command.arg("-p").arg(&dir).arg("-c").arg(&file);
        Server::spawn(&self.processors, self.dir, "nginx", port, &mut command)?
            .listening()
            .await
    }

    /// This program in another role.
    fn own(&self, role: &str, port: u16) -> Command {
        let mut command = Command::new(&self.plan.program);
        command.arg(role);
        self.tell(&mut command, port);
        command
    }

    /// Tells a program of ours where it stands.
    fn tell(&self, command: &mut Command, port: u16) {
        command.arg("--dir").arg(self.dir);
        command.arg("--port").arg(port.to_string());
        command.arg("--upstream").arg(self.upstream.to_string());
    }
}

/// A program that may be installed, also where only administrators look.
pub(super) fn installed(name: impl AsRef<OsStr>) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let administrators = ["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from);
    std::env::split_paths(&path)
        .chain(administrators)
        .map(|dir| dir.join(name.as_ref()))
        .find(|file| file.is_file())
}

fn port() -> Result<u16> {
    free_port().context("no port")
}
