//! The services behind the edge.

use std::time::Duration;

use schemars::{Schema, SchemaGenerator};
use sentinel_core::name::ServiceName;

use crate::section::{Place, Reader, Section, Setting, section};
use crate::value::{HttpUrl, between, read_text};

section! {
    /// A service behind the edge.
    check check;
    pub struct Upstream {
        /// The address of the service: `http` or `https`, a host, perhaps a port. It has no path: the path that was
        /// judged is the path that is sent.
        pub url: HttpUrl,
        /// The name that the service's certificate must show, sent as SNI. Needed with `https` and an IP address.
        ///
        /// Default: the host of `url`.
        pub(crate) server_name: Option<String>,
        /// How long connecting may take, 10ms to 1m.
        pub connect_timeout: Duration = "2s",
        /// How long the service has for its answer, 10ms to 1h. A route may set its own.
        pub timeout: Duration = "30s",
        /// The service's scope at the control plane. An authz token must have been made for it. Needed where a route takes
        /// `tokens: [authz]`.
        pub service: Option<ServiceName>,
        /// Whether requests carry a signed proof of what was decided (`x-sentinel-assertion`).
        pub assertion: bool = "false",
    }
}

impl Setting for ServiceName {
    fn read(place: &Place<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        read_text(place, reader)
    }

    fn describe(generator: &mut SchemaGenerator) -> Schema {
        String::describe(generator)
    }
}

/// The default of `timeout`.
pub(crate) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// The bounds of `timeout`, for an upstream and for a route.
pub(crate) const TIMEOUTS: (Duration, Duration) = (Duration::from_millis(10), Duration::from_hours(1));

impl Upstream {
    /// The name that the service's certificate must show, or `None` if the connection is not encrypted.
    pub fn server_name(&self) -> Option<String> {
        self.url
            .is_https()
            .then(|| self.server_name.clone().unwrap_or_else(|| self.url.host()))
    }
}

fn check(upstream: &Upstream, section: &Section<'_>, reader: &mut Reader<'_>) {
    let connect = (Duration::from_millis(10), Duration::from_mins(1));
    between(
        section,
        "connect_timeout",
        upstream.connect_timeout,
        connect,
        reader,
    );
    between(section, "timeout", upstream.timeout, TIMEOUTS, reader);
    if upstream.url.has_path() {
        reader.problem(
            &section.place_of("url"),
            "the address of a service has no path: remove what follows the host and port",
        );
    }
    match &upstream.server_name {
        None if upstream.url.is_https() && upstream.url.ip().is_some() => {
            reader.problem(&section.place_of("url"), "an `https` address with an IP address needs `server_name`: the name that the certificate must show");
        }
        Some(_) if !upstream.url.is_https() => {
            reader.problem(
                &section.place_of("server_name"),
                "`server_name` has no effect with `http`: remove it, or use `https`",
            );
        }
        Some(name) if !super::pattern::is_host_name(name) => {
            reader.problem(
                &section.place_of("server_name"),
                format!("`{name}` is not a host name: one such as `docs.internal` in lower case is expected"),
            );
        }
        _ => {}
    }
}
