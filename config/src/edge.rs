//! The edge's configuration: where it listens, where the control plane and the services are, and the policy.
//!
//! The policy arrives here as typed values, so that the proxy only compiles it. There is no setting that opens
//! everything: what no route names is not forwarded, and each route says `public: true` or `require`.

mod browser;
mod conditions;
mod issuer;
mod model_file;
mod path;
mod pattern;
mod policy_test;
mod relation;
mod replicate;
mod requirement;
mod route;
mod ties;
mod tls;
mod traffic;
mod upstream;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use schemars::Schema;
use secrecy::SecretString;

pub use browser::Login;
pub use conditions::{Conditions, Expectations, Expected};
pub use issuer::{IssuedTokens, Issuer};
pub use model_file::{ModelFile, Models};
pub use path::{ParamKind, PathPattern, Segment};
pub use pattern::{HostPattern, InvalidPattern, Method, RoutePattern};
pub use policy_test::{
    Expectation, InvalidExpectation, InvalidTestPermission, InvalidTestRelation, InvalidTestRequest,
    PolicyTest, TestCaller, TestPermission, TestRelation, TestRequest, TestToken, TestUser, Written,
};
pub use relation::{InvalidRelation, RelationTemplate};
pub use replicate::{Fallback, MOST_ASKED, Replicate, Scope};
pub use requirement::{ActionRef, IdTemplate, Permission, PermissionTemplate, Requirement};
pub use route::{Access, CredentialTier, Route, RouteSettings, Routes};
pub use ties::example_request;
pub use tls::{Certificate, Tls, TlsVersion};
pub use traffic::{Cors, HeaderRules, Mode, RateLimit, RatePer, Strangers};
pub use upstream::Upstream;

use crate::environment::{Override, plain, secret};
use crate::log::Log;
use crate::section::{Reader, Section, section};
use crate::value::{ByteSize, HttpUrl, between, words};

section! {
    /// Configuration of a Sentinel edge: the proxy in front of your services.
    check check;
    pub struct Config {
        /// Where the edge listens.
        pub listen: Listen = "{}",
        /// The control plane that this edge follows.
        pub control_plane: ControlPlane,
        /// The directory where the edge keeps its replica, so that it can start while the control plane is away.
        pub state_dir: PathBuf = "./sentinel-edge",
        /// How long the edge goes on deciding from what it knows while it is out of touch with the control plane, 1s to
        /// 1d. Then it answers 503. A route may set its own.
        pub max_staleness: Duration = "15m",
        /// How long a request that asks for a newer revision than the edge has waits for it before it is answered with
        /// 503, 0ms to 10s.
        pub consistency_wait: Duration = "50ms",
        /// Bounds on what a client may send.
        pub limits: Limits = "{}",
        /// Log output.
        pub log: Log = "{}",
        /// Encryption on `listen.https`.
        pub tls: Option<Tls>,
        /// Networks of proxies in front of this edge whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed. From
        /// everybody else these fields are thrown away.
        pub trusted_proxies: Vec<IpNet> = "[]",
        /// Issuers of tokens besides the control plane, by name. A name is not `access` or `authz`.
        pub issuers: BTreeMap<String, Issuer> = "{}",
        /// The name of the session cookie that routes with `cookie: true` take an access token from.
        pub session_cookie: String = "__Host-sentinel",
        /// How people behind browsers are signed in.
        pub login: Option<Login>,
        /// Which hosts routes may be for: `named` asks every route for its host; `any` lets routes leave it out
        /// (`GET /path`), and those match whatever host a request names.
        pub hosts: Hosts = "named",
        /// Accept files of secrets that every user of the machine may read.
        pub danger_world_readable_secrets: bool = "false",
        /// Which part of what the control plane knows the edge keeps.
        pub replicate: Replicate = "{}",
        /// Files with the models of services, by the service's name: in OpenFGA's language or its JSON form. Routes are checked
        /// against them when the policy is loaded, and the policy's tests are judged by them; requests are judged by the
        /// models that the control plane has.
        pub models: Models = "{}",
        /// The services behind the edge, by name.
        pub upstreams: BTreeMap<String, Upstream> = "{}",
        /// The policy. The most specific route for a request counts, whatever the order; a request without a route is
        /// answered with 404.
        pub routes: Routes = "[]",
        /// Tests of the policy, run whenever it is loaded.
        pub tests: Vec<PolicyTest> = "[]",
    }
}

section! {
    /// Where the edge listens.
    check check_listen;
    pub struct Listen {
        /// Requests to the services: IP address and port. Port 0 takes a free one.
        pub http: SocketAddr = "127.0.0.1:8080",
        /// Requests to the services, encrypted: IP address and port. Needs `tls`.
        pub https: Option<SocketAddr>,
        /// Metrics and readiness: IP address and port. Not for the public.
        pub admin: SocketAddr = "127.0.0.1:8081",
    }
}

section! {
    /// The control plane that this edge follows.
    check check_control_plane;
    pub struct ControlPlane {
        /// The address of the control plane. `http` is accepted for this machine only.
        pub url: HttpUrl,
        /// The key that the control plane gave to this edge when it was enrolled.
        pub edge_key: SecretString,
        /// The issuer (`iss`) that access tokens must have: the control plane's `public_url`.
        ///
        /// Default: `url`.
        pub(crate) issuer: Option<HttpUrl>,
        /// Accept a `url` that begins with `http://` and is not on this machine. The edge key then travels in clear
        /// text.
        pub danger_plaintext: bool = "false",
    }
}

section! {
    /// Bounds on what a client may send.
    check check_limits;
    pub struct Limits {
        /// The largest head of a request (request line and headers), 1KiB to 1MiB; a larger one is answered with 431.
        pub max_head: ByteSize = "32KiB",
        /// The most headers of a request, 10 to 256; more are answered with 431.
        pub max_headers: u32 = "100",
        /// The largest body of a request, unless its route says otherwise; a larger one is answered with 413.
        pub max_body: ByteSize = "10MiB",
        /// How many connections may be open at once, 16 to 1000000. More wait.
        pub connections: u32 = "16384",
        /// How many connections one client address may have open at once; an IPv6 address counts with its /64. More are
        /// closed. At least 1.
        pub connections_per_address: u32 = "1024",
        /// How many requests may be under way at once on one HTTP/2 connection, 1 to 256.
        pub http2_streams: u32 = "64",
        /// How long the head of a request may take, from its first byte to its last, 1s to 1m.
        pub head_timeout: Duration = "10s",
        /// How long a connection may be open without a request, 1s to 1h.
        pub idle_timeout: Duration = "1m",
    }
}

words! {
    /// Which hosts routes may be for.
    pub enum Hosts {
        /// Every route names its host.
        Named = "named",
        /// Routes may leave the host out.
        Any = "any",
    }
}

/// What environment variables may override. The policy is not among it.
pub(crate) const OVERRIDES: &[Override] = &[
    plain(&["listen", "http"]),
    plain(&["listen", "https"]),
    plain(&["listen", "admin"]),
    plain(&["control_plane", "url"]),
    plain(&["control_plane", "issuer"]),
    secret(&["control_plane", "edge_key"]),
    plain(&["state_dir"]),
    plain(&["log", "format"]),
    plain(&["log", "level"]),
];

impl ControlPlane {
    /// The issuer that access tokens must have.
    pub fn issuer(&self) -> &str {
        self.issuer.as_ref().unwrap_or(&self.url).as_str()
    }
}

impl Config {
    /// How long the edge decides for a route while it is out of touch.
    pub fn max_staleness(&self, route: &Route) -> Duration {
        route.settings.max_staleness.unwrap_or(self.max_staleness)
    }

    /// The service that a route leads to. Every route of a configuration has one.
    pub fn upstream(&self, route: &Route) -> Option<&Upstream> {
        self.upstreams.get(&route.to)
    }

    /// How long the service has for its answer on a route.
    pub fn timeout(&self, route: &Route) -> Duration {
        let of_upstream = self.upstream(route).map(|upstream| upstream.timeout);
        route
            .settings
            .timeout
            .or(of_upstream)
            .unwrap_or(upstream::DEFAULT_TIMEOUT)
    }
}

/// The JSON Schema of the edge's configuration file.
pub fn schema() -> Schema {
    crate::schema::root::<Config>("Sentinel edge")
}

/// The bounds of `max_staleness`, for the edge and for a route.
const STALENESS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_hours(24));

fn check(config: &Config, section: &Section<'_>, reader: &mut Reader<'_>) {
    between(section, "max_staleness", config.max_staleness, STALENESS, reader);
    issuer::check_root(config, section, reader);
    let waits = (Duration::ZERO, Duration::from_secs(10));
    between(
        section,
        "consistency_wait",
        config.consistency_wait,
        waits,
        reader,
    );
    match (config.listen.https, &config.tls) {
        (Some(_), None) => reader.problem(
            &section.place_of("listen"),
            "`https` needs certificates: write `tls`, or remove `https`",
        ),
        (None, Some(_)) => reader.problem(
            &section.place_of("tls"),
            "nothing is encrypted without a listener for it: write `listen.https`, or remove `tls`",
        ),
        _ => {}
    }
}

fn check_listen(listen: &Listen, section: &Section<'_>, reader: &mut Reader<'_>) {
    let same = |other: SocketAddr, one: SocketAddr| other == one && one.port() != 0;
    if same(listen.admin, listen.http) {
        reader.problem(
            &section.place_of("admin"),
            "`http` and `admin` are the same address: take two ports",
        );
    }
    for (name, taken) in [("http", listen.http), ("admin", listen.admin)] {
        if listen.https.is_some_and(|https| same(https, taken)) {
            reader.problem(
                &section.place_of("https"),
                format!("`https` and `{name}` are the same address: take two ports"),
            );
        }
    }
}

fn check_control_plane(control_plane: &ControlPlane, section: &Section<'_>, reader: &mut Reader<'_>) {
    let url = &control_plane.url;
    if !url.is_https() && !url.is_loopback() && !control_plane.danger_plaintext {
        reader.problem(&section.place_of("url"), "`http://` is accepted for this machine only: use `https://`, or set `danger_plaintext: true` to send the edge key in clear text");
    }
}

fn check_limits(limits: &Limits, section: &Section<'_>, reader: &mut Reader<'_>) {
    let heads = 1 << 10..=1 << 20;
    let head = limits.max_head;
    bounds(
        section,
        "max_head",
        heads.contains(&head.bytes()),
        head,
        "1KiB to 1MiB",
        reader,
    );
    let counts = [
        ("max_headers", limits.max_headers, 10..=256, "10 to 256"),
        ("connections", limits.connections, 16..=1_000_000, "16 to 1000000"),
        (
            "connections_per_address",
            limits.connections_per_address,
            1..=u32::MAX,
            "1 and more",
        ),
        ("http2_streams", limits.http2_streams, 1..=256, "1 to 256"),
    ];
    for (key, given, accepted, shown) in counts {
        bounds(section, key, accepted.contains(&given), given, shown, reader);
    }
    let second = Duration::from_secs(1);
    let heads = (second, Duration::from_mins(1));
    between(section, "head_timeout", limits.head_timeout, heads, reader);
    let idle = (second, Duration::from_hours(1));
    between(section, "idle_timeout", limits.idle_timeout, idle, reader);
}

/// Reports a number that is not within its bounds.
fn bounds(
    section: &Section<'_>,
    key: &str,
    is_within: bool,
    given: impl std::fmt::Display,
    accepted: &str,
    reader: &mut Reader<'_>,
) {
    if !is_within {
        reader.problem(
            &section.place_of(key),
            format!("`{given}` is out of bounds: {accepted} is accepted"),
        );
    }
}
