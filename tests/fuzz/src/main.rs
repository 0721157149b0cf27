//! What `cargo xtask fuzz` builds and runs, one process for each target: libFuzzer with the target that the environment
//! names.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| sentinel_fuzz::chosen()(input));
