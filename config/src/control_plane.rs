//! The control plane's configuration. Every setting has a default that works on one machine; a useful login needs at
//! least one provider.

mod login;
mod provider;
mod storage;
mod tokens;

use std::net::SocketAddr;
use std::path::PathBuf;

use ipnet::IpNet;
use schemars::Schema;
use secrecy::SecretString;

pub use login::Login;
pub use provider::{Provider, ProviderEndpoint, ProviderKind};
pub use storage::{ChangeLog, Database, EncryptionKey, Secrets, ShortLived};
pub use tokens::Tokens;

use crate::environment::{Override, plain, secret};
use crate::log::Log;
use crate::section::{Reader, Section, section};
use crate::value::{ByteSize, HttpUrl};

section! {
    /// Configuration of the Sentinel control plane.
    check check;
    pub struct Config {
        /// Where the control plane listens.
        pub listen: Listen = "{}",
        /// The address at which browsers and services reach the control plane. It is the issuer (`iss`) of tokens and
        /// the base of login callbacks. `http` is accepted for loopback addresses only.
        ///
        /// Default: `http://` and `listen.http`, if that is a loopback address with a port; otherwise it must be
        /// written.
        pub(crate) public_url: Option<HttpUrl>,
        /// Accept a `public_url`, a `login.admin_url` or an address of a login provider that begins with `http://` and
        /// is not on this machine. Tokens then travel in clear text.
        pub danger_plaintext: bool = "false",
        /// Accept files of secrets that every user of the machine may read.
        pub danger_world_readable_secrets: bool = "false",
        /// Reverse proxies and load balancers in front of the control plane: addresses, or networks such as `10.0.0.0/8`.
        /// When one of them connects, the client is the right-most address in `X-Forwarded-For` that is not one of them;
        /// that header counts for nothing when anybody else connects.
        pub trusted_proxies: Vec<IpNet> = "[]",
        /// The directory for what the control plane keeps on disk by default: the SQLite database and the key that
        /// encrypts signing keys.
        pub data_dir: PathBuf = "./sentinel-data",
        /// The database: PostgreSQL, or SQLite in a file.
        pub database: Database = "{}",
        /// Short-lived state: login state, authorization codes, rate limits, lockouts. Redis, or memory.
        pub short_lived: ShortLived = "{}",
        /// Keys of the control plane itself.
        pub secrets: Secrets = "{}",
        /// How long tokens and sessions live.
        pub tokens: Tokens = "{}",
        /// Who may log in, and how.
        pub login: Login = "{}",
        /// The log of changes from which edges catch up.
        pub change_log: ChangeLog = "{}",
        /// Bounds on what a client may send.
        pub limits: Limits = "{}",
        /// Log output.
        pub log: Log = "{}",
    }
}

section! {
    /// Where the control plane listens.
    check check_listen;
    pub struct Listen {
        /// The API, the admin panel and the feed: IP address and port. Port 0 takes a free one.
        pub http: SocketAddr = "127.0.0.1:9003",
        /// Metrics and readiness: IP address and port. Not for the public.
        pub admin: SocketAddr = "127.0.0.1:9004",
    }
}

section! {
    /// Bounds on what a client may send.
    check check_limits;
    pub struct Limits {
        /// The largest body of a request; a larger one is answered with 413.
        pub max_body: ByteSize = "10MiB",
        /// How many requests a minute one address may make to the endpoints that begin, finish or renew a login, 1 to
        /// 100000; more are answered with 429.
        pub logins_per_minute: u32 = "600",
        /// How many requests a minute one service app may make to resolve tokens of identity providers, 1 to 1000000;
        /// more are answered with 429.
        pub resolves_per_minute: u32 = "6000",
        /// How many such requests a minute one address may make without a service key, from pages of registered origins,
        /// 1 to 100000; more are answered with 429.
        pub page_resolves_per_minute: u32 = "60",
        /// How many requests a minute one user may make to change workspaces, members, invitations, groups and himself,
        /// 1 to 100000; more are answered with 429.
        pub writes_per_minute: u32 = "1200",
    }
}

/// What environment variables may override.
pub(crate) const OVERRIDES: &[Override] = &[
    plain(&["public_url"]),
    plain(&["data_dir"]),
    plain(&["listen", "http"]),
    plain(&["listen", "admin"]),
    secret(&["database", "url"]),
    plain(&["database", "max_connections"]),
    secret(&["short_lived", "redis_url"]),
    secret(&["secrets", "encryption_key"]),
    secret(&["login", "providers", "*", "client_secret"]),
    plain(&["log", "format"]),
    plain(&["log", "level"]),
];

impl Config {
    /// The address at which browsers and services reach the control plane: the issuer of tokens and the base of
    /// callbacks.
    pub fn public_url(&self) -> String {
        let here = || format!("http://{}", self.listen.http);
        match &self.public_url {
            Some(url) => url.as_str().to_owned(),
            // By way of the parsed form, which leaves out the default port as an edge's `issuer` does.
            None => here()
                .parse()
                .map_or_else(|_| here(), |url: HttpUrl| url.as_str().to_owned()),
        }
    }

    /// The database to connect to: the one that is configured, or a SQLite file in the data directory.
    pub fn database_url(&self) -> SecretString {
        self.database.url(&self.data_dir)
    }

    /// The key that encrypts private signing keys at rest, or where it is kept.
    pub fn encryption_key(&self) -> EncryptionKey {
        self.secrets.encryption_key(&self.data_dir)
    }
}

/// The JSON Schema of the control plane's configuration file.
pub fn schema() -> Schema {
    crate::schema::root::<Config>("Sentinel control plane")
}

fn check(config: &Config, section: &Section<'_>, reader: &mut Reader<'_>) {
    let listens_here = config.listen.http.ip().is_loopback() && config.listen.http.port() != 0;
    match &config.public_url {
        None if !listens_here => {
            let place = section.place_of("public_url");
            reader.problem(&place, "`public_url` is missing: it has a default only while `listen.http` is a loopback address with a port");
        }
        Some(url) if !url.is_https() && !url.is_loopback() && !config.danger_plaintext => {
            reader.problem(&section.place_of("public_url"), PLAINTEXT);
        }
        _ => {}
    }
    config
        .login
        .check_addresses(config.danger_plaintext, section, reader);
    config.secrets.check_for(&config.database, section, reader);
}

/// What is said of an address that is neither encrypted nor on this machine.
const PLAINTEXT: &str = "`http://` is accepted for this machine only: use `https://`, or set `danger_plaintext: true` to send tokens in clear text";

fn check_limits(limits: &Limits, section: &Section<'_>, reader: &mut Reader<'_>) {
    for (key, given, most) in [
        ("logins_per_minute", limits.logins_per_minute, 100_000),
        ("resolves_per_minute", limits.resolves_per_minute, 1_000_000),
        (
            "page_resolves_per_minute",
            limits.page_resolves_per_minute,
            100_000,
        ),
        ("writes_per_minute", limits.writes_per_minute, 100_000),
    ] {
        if !(1..=most).contains(&given) {
            reader.problem(
                &section.place_of(key),
                format!("`{given}` is out of bounds: 1 to {most} is accepted"),
            );
        }
    }
}

fn check_listen(listen: &Listen, section: &Section<'_>, reader: &mut Reader<'_>) {
    if listen.http == listen.admin && listen.http.port() != 0 {
        reader.problem(
            &section.place_of("admin"),
            "`http` and `admin` are the same address: take two ports",
        );
    }
}
