//! `sentinel-proxy`: the edge as a program. Everything it does is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    sentinel_proxy::cli::main()
}
