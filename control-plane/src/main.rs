//! `sentinel-control-plane`.

use std::process::ExitCode;

use clap::Parser as _;
use sentinel_control_plane::cli::{Cli, run};

#[tokio::main]
async fn main() -> ExitCode {
    let environment = std::env::vars().collect();
    match run(Cli::parse(), environment).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sentinel-control-plane: {error:#}");
            ExitCode::FAILURE
        }
    }
}
