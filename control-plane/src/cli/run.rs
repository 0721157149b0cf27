//! `serve` and `migrate`: from the configuration to a running control plane.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use secrecy::ExposeSecret;
use sentinel_config::control_plane::{Config, EncryptionKey as ConfiguredKey, Provider, ProviderEndpoint};
use sentinel_config::{Log, LogFormat, LogLevel};
use sentinel_core::{Clock, Random, SystemClock, SystemRandom};
use sentinel_identity::{EncryptionKey, Lifetimes, Outbound, Protocol, ProviderSettings};
use sentinel_store::{Database, DatabaseConfig, Memory, Redis, RedisConfig, ShortLived};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing_subscriber::filter::LevelFilter;
use url::Url;

use super::files::read_or_make;
use crate::app::Settings;
use crate::assemble::{ControlPlane, Services, Setup};
use crate::jobs::janitor::Keep;
use crate::serve::{Listeners, serve as serve_on};

/// What the commands share: the database and where time and randomness come from.
pub(crate) struct Opened {
    /// The database, connected.
    pub(crate) database: Database,
    /// Time.
    pub(crate) clock: Arc<dyn Clock>,
    /// Randomness.
    pub(crate) random: Arc<dyn Random>,
}

/// Runs the control plane until SIGTERM or SIGINT.
pub(crate) async fn serve(config: &Config) -> anyhow::Result<()> {
    start_log(&config.log);
    let opened = open(config).await?;
    opened
        .database
        .migrate()
        .await
        .context("the database cannot be brought to the newest schema")?;
    let listeners = Listeners::bind(config.listen.http, config.listen.admin).await?;
    let (http, admin) = (listeners.http.local_addr()?, listeners.admin.local_addr()?);
    let control_plane = ControlPlane::assemble(setup(config, opened)?).await?;
    let stopping = on_signal()?;
    tracing::info!(%http, %admin, issuer = config.public_url(), "the control plane is ready");
    serve_on(control_plane, listeners, stopping).await?;
    tracing::info!("the control plane has stopped");
    Ok(())
}

/// Brings the database to the newest schema.
pub(crate) async fn migrate(config: &Config) -> anyhow::Result<()> {
    start_log(&config.log);
    let opened = open(config).await?;
    opened
        .database
        .migrate()
        .await
        .context("the database cannot be brought to the newest schema")?;
    tracing::info!("the database has the newest schema");
    Ok(())
}

/// Connects to the database.
pub(crate) async fn open(config: &Config) -> anyhow::Result<Opened> {
    std::fs::create_dir_all(&config.data_dir)
        .with_context(|| format!("`data_dir` `{}` cannot be made", config.data_dir.display()))?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let database = DatabaseConfig {
        url: config.database_url(),
        max_connections: config.database.max_connections,
    };
    let database = Database::connect(&database, Arc::clone(&clock))
        .await
        .context("the database cannot be reached: see `database.url`")?;
    Ok(Opened {
        database,
        clock,
        random: Arc::new(SystemRandom),
    })
}

/// The services on the configured database.
pub(crate) fn services(config: &Config, opened: &Opened) -> anyhow::Result<Services> {
    Ok(Services::new(
        &opened.database,
        encryption_key(config, &*opened.random)?,
        &config.public_url(),
        lifetimes(config),
        &opened.clock,
        &opened.random,
    ))
}

fn setup(config: &Config, opened: Opened) -> anyhow::Result<Setup> {
    let issuer = config.public_url();
    let public_url: Url = issuer.parse().context("`public_url` is not a URL")?;
    let admin_url = match config.login.admin_url() {
        Some(url) => url.as_url().clone(),
        None => format!("{issuer}/admin")
            .parse()
            .context("`public_url` is not a URL")?,
    };
    Ok(Setup {
        short_lived: short_lived(config)?,
        encryption: encryption_key(config, &*opened.random)?,
        lifetimes: lifetimes(config),
        providers: config
            .login
            .providers
            .iter()
            .map(provider)
            .collect::<Result<_, _>>()?,
        outbound: Outbound::default(),
        admin_emails: config
            .login
            .admin_emails
            .iter()
            .map(|email| email.as_str().to_owned())
            .collect(),
        issuer,
        settings: Settings {
            public_url,
            admin_url,
            allow_workspaces_by_get: config.login.allow_workspaces_by_get,
            max_body: config.limits.max_body.as_usize(),
            logins_per_minute: u64::from(config.limits.logins_per_minute),
            resolves_per_minute: u64::from(config.limits.resolves_per_minute),
            page_resolves_per_minute: u64::from(config.limits.page_resolves_per_minute),
            writes_per_minute: u64::from(config.limits.writes_per_minute),
            trusted_proxies: config.trusted_proxies.iter().copied().collect(),
        },
        keep: Keep {
            younger_than: config.change_log.keep,
            at_least: config.change_log.keep_at_least,
        },
        database: opened.database,
        clock: opened.clock,
        random: opened.random,
    })
}

fn provider(provider: &Provider) -> anyhow::Result<ProviderSettings> {
    Ok(ProviderSettings {
        name: provider.name.clone(),
        protocol: match &provider.endpoint {
            ProviderEndpoint::Oidc { issuer } => Protocol::Oidc {
                issuer: issuer.as_str().to_owned(),
            },
            ProviderEndpoint::EntraId { tenant_id, issuer } => Protocol::Entra {
                tenant: tenant_id.parse().context("`tenant_id` is not a GUID")?,
                issuer: issuer.as_str().to_owned(),
            },
            ProviderEndpoint::GitHub { url, api_url } => Protocol::GitHub {
                url: url.as_str().to_owned(),
                api_url: api_url.as_str().to_owned(),
            },
        },
        client_id: provider.client_id.clone(),
        client_secret: provider.client_secret.clone(),
        scopes: provider.scopes.clone(),
        link_by_verified_email: provider.link_by_verified_email,
    })
}

fn lifetimes(config: &Config) -> Lifetimes {
    Lifetimes {
        access: config.tokens.access_ttl,
        refresh: config.tokens.refresh_ttl,
        refresh_grace: config.tokens.refresh_grace,
        session: config.tokens.session_ttl,
        admin: config.tokens.admin_ttl,
        authz: config.tokens.authz_ttl,
    }
}

fn short_lived(config: &Config) -> anyhow::Result<Arc<dyn ShortLived>> {
    Ok(match &config.short_lived.redis_url {
        Some(url) => {
            let redis = Redis::new(&RedisConfig::new(url.expose_secret()))
                .context("`short_lived.redis_url` cannot be used")?;
            Arc::new(redis)
        }
        None => Arc::new(Memory::default()),
    })
}

fn encryption_key(config: &Config, random: &dyn Random) -> anyhow::Result<EncryptionKey> {
    match config.encryption_key() {
        ConfiguredKey::Given(bytes) => Ok(EncryptionKey::from_bytes(bytes.expose_secret())?),
        ConfiguredKey::KeptIn(path) => kept_key(&path, random),
    }
}

/// The key that an embedded database is used with, made at the first start.
fn kept_key(path: &Path, random: &dyn Random) -> anyhow::Result<EncryptionKey> {
    let text = read_or_make(path, || EncryptionKey::generate(random).to_text())?;
    text.expose_secret()
        .parse()
        .with_context(|| format!("`{}` does not hold an encryption key", path.display()))
}

/// Turns true at SIGTERM or SIGINT.
fn on_signal() -> anyhow::Result<watch::Receiver<bool>> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let (stop, stopping) = watch::channel(false);
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping; open requests may end");
        stop.send_replace(true);
        // A second signal means now.
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
        std::process::exit(130);
    });
    Ok(stopping)
}

fn start_log(log: &Log) {
    let level = match log.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let builder = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(std::io::stderr);
    // An error means that there is a log already, in a test.
    let _ = match log.format {
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        LogFormat::Text => builder.try_init(),
    };
}
