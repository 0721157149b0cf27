//! `cargo xtask bench authz`: the permission engine and the replica. A program of its own, because its allocator counts.

use std::path::PathBuf;
use std::process::ExitCode;

use cap::Cap;
use clap::Parser;
use mimalloc::MiMalloc;
use sentinel_bench::authz::{self, Heap};
use sentinel_bench::report::write_json;

/// The edge's, with a count.
#[global_allocator]
static ALLOCATOR: Cap<MiMalloc> = Cap::new(MiMalloc, usize::MAX);

#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench authz", version)]
struct Arguments {
    /// Write the figures to this file, as a JSON array.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Measure only this line of the table; may be given several times.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let heap = Heap {
        living: || ALLOCATOR.allocated(),
        ever: || ALLOCATOR.total_allocated(),
        peak: || ALLOCATOR.max_allocated(),
    };
    let result = authz::run(&arguments.only, heap).and_then(|outcome| {
        print!("{}", outcome.text);
        arguments
            .json
            .map_or(Ok(()), |file| write_json(&file, &outcome.figures))
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sentinel-bench-authz: {error:#}");
            ExitCode::FAILURE
        }
    }
}
