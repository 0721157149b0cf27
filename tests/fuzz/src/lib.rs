//! Fuzz targets: one for each parser of bytes that somebody else has written. Each is a function over bytes that panics
//! when a property does not hold; that nothing panics is only the least of them.
//!
//! `cargo xtask fuzz` runs them under libFuzzer, with the code of this workspace instrumented. The seeds in `corpus/` are
//! also tried by an ordinary test, so that what was found once is never lost.

mod cookie;
mod forwarded;
mod frame;
mod head;
mod host;
mod jwks;
mod jwt;
mod model;
mod path;
mod policy;
mod snapshot;

use std::sync::OnceLock;

use http::{HeaderMap, HeaderValue, Version};
use sentinel_core::Denial;
use sentinel_proxy::request::{CanonicalRequest, HeadLimits, Parsed};

/// A target: what is tried, and its name, which is that of the directory of its seeds.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: &[Target] = &[
    ("cookie", cookie::check),
    ("forwarded", forwarded::check),
    ("frame", frame::check),
    ("head", head::check),
    ("host", host::check),
    ("jwks", jwks::check),
    ("jwt", jwt::check),
    ("model", model::check),
    ("path", path::check),
    ("policy", policy::check),
    ("snapshot", snapshot::check),
];

/// The variable of the environment that names the target.
const CHOICE: &str = "SENTINEL_FUZZ_TARGET";

/// The target that the environment names.
///
/// # Panics
/// There is none of that name.
pub fn chosen() -> fn(&[u8]) {
    static CHOSEN: OnceLock<fn(&[u8])> = OnceLock::new();
    *CHOSEN.get_or_init(|| {
        let name = std::env::var_os(CHOICE).unwrap_or_default();
        let target = TARGETS.iter().find(|(known, _)| name == *known);
        let names: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
        target
            .unwrap_or_else(|| panic!("`{CHOICE}` names no target: one of {names:?} is expected"))
            .1
    })
}

/// The canonical form of a request for `target` of `host`.
fn canonical(method: &str, host: &[u8], target: &[u8]) -> Result<(CanonicalRequest, HeaderMap), Denial> {
    let mut fields = HeaderMap::new();
    let host = HeaderValue::from_bytes(host).map_err(|_| Denial::HostInvalid)?;
    fields.insert(http::header::HOST, host);
    let parsed = Parsed {
        version: Version::HTTP_11,
        method,
        target,
        authority: None,
        fields: &fields,
    };
    let request = CanonicalRequest::parse(parsed, HeadLimits::default())?;
    Ok((request, fields))
}
