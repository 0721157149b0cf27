//! `sentinel-quickstart`: starts everything, takes the tour, and stays up unless told otherwise.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Parser;
use sentinel_quickstart::export;
use sentinel_quickstart::http::Http;
use sentinel_quickstart::provider::WARNING;
use sentinel_quickstart::system::{Options, Ports, Programs, Staleness, State, System};
use sentinel_quickstart::tour::{Cast, Tour};
use tokio::signal::unix::{SignalKind, signal};

/// Starts Sentinel on this machine with nothing to configure, and shows its main job. For development only.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask quickstart", version)]
struct Arguments {
    /// Take the tour and exit; the exit code says whether every step passed.
    #[arg(long)]
    once: bool,
    /// Write what an outside client needs (addresses, ids, keys, tokens) to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    export: Option<PathBuf>,
    /// Where to keep the databases, configurations and logs. Each start begins anew.
    #[arg(long, value_name = "DIR", default_value = "./.quickstart")]
    state: PathBuf,
}

/// How long the edge goes on without the control plane: short where the tour waits for it.
const STALENESS: Staleness = Staleness {
    documents: Duration::from_secs(3),
    others: Duration::from_mins(15),
};

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("sentinel-quickstart: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every step passed.
async fn run(arguments: Arguments) -> Result<bool> {
    let mut interrupts = signal(SignalKind::interrupt()).context("cannot listen for Ctrl-C")?;
    let mut terminations = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let interrupted = async {
        tokio::select! {
            _ = interrupts.recv() => {}
            _ = terminations.recv() => {}
        }
    };
    tokio::pin!(interrupted);
    let http = Http::new()?;
    let options = Options {
        state: State::take(&arguments.state)?,
        programs: Programs::beside_this_one()?,
        ports: Ports::USUAL,
        database_url: None,
        redis_url: None,
        provider: None,
        staleness: STALENESS,
        per_minute: None,
    };
    let system = tokio::select! {
        system = System::start(options, &http) => system?,
        () = &mut interrupted => return Ok(false),
    };
    let passed = tokio::select! {
        passed = show(&arguments, &system, http) => passed,
        () = &mut interrupted => {
            println!("\nstopping");
            Ok(!arguments.once)
        }
    };
    system.stop().await;
    passed
}

/// Takes the tour, and stays if asked to.
async fn show(arguments: &Arguments, system: &System, http: Http) -> Result<bool> {
    print_urls(system);
    let mut tour = Tour::aloud(http, system);
    let Some(cast) = tour.take().await else {
        return Ok(false);
    };
    if let Some(file) = &arguments.export {
        export::write(file, system, &cast)?;
        println!("written: {}", file.display());
    }
    if !arguments.once {
        print_examples(&cast);
        std::future::pending::<()>().await;
    }
    Ok(tour.all_passed())
}

fn print_urls(system: &System) {
    let urls = &system.urls;
    println!("proxy            {}", urls.proxy);
    println!("control plane    {}", urls.control_plane);
    println!("demo provider    {}   ({WARNING})", urls.provider);
    println!(
        "demo service     {}   (not meant to be reached but through the proxy)",
        urls.upstream
    );
    println!(
        "metrics          {}/metrics and {}/metrics",
        urls.proxy_admin, urls.control_plane_admin
    );
    println!("state and logs   {}", system.state.path("").display());
}

fn print_examples(cast: &Cast) {
    let (proxy, token) = (&cast.urls.proxy, cast.alice.access.expose());
    println!("\nEverything stays up; Ctrl-C stops it. Alice's token is good for 15 minutes:\n");
    println!("  TOKEN={token}");
    println!("  KEY={}", cast.key.expose());
    println!(
        "  curl -i -H \"Authorization: Bearer $TOKEN\" {proxy}/documents/{}",
        cast.private.id
    );
    println!("  curl -i {proxy}/documents/{}", cast.private.id);
    println!("  curl -i -H \"Authorization: Bearer $TOKEN\" {proxy}/folders/plans");
    println!("  curl -i -X POST -H \"X-Service-Key: $KEY\" {proxy}/internal/reindex");
    println!("  curl -i --path-as-is -H \"Authorization: Bearer $TOKEN\" {proxy}/documents/../admin");
    println!("  curl -i {}/.well-known/jwks.json", cast.urls.control_plane);
}
