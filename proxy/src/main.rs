//! `sentinel-proxy`: the edge as a program. Everything it does is in the library.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// Bursts of connections come and go: the C library's allocator keeps what they took.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    sentinel_proxy::cli::main()
}
