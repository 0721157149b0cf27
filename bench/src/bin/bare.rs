//! Pingora's proxy as it comes, with the allocator of the system: what `cargo xtask bench edge` compares with. A program of its
//! own, because a program has one allocator.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;

#[derive(Debug, Parser)]
#[command(name = "sentinel-bench-bare", version)]
struct Arguments {
    /// Where files go.
    #[arg(long)]
    dir: PathBuf,
    /// Where to listen on loopback.
    #[arg(long)]
    port: u16,
    /// The service.
    #[arg(long)]
    upstream: SocketAddr,
}

fn main() {
    let arguments = Arguments::parse();
    sentinel_bench::edge::serve_bare(&arguments.dir, arguments.port, arguments.upstream)
}
