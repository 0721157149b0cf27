//! `admin …`: what is done on the database itself, before anybody can log in or when nobody can.
//!
//! A running control plane notices: what it must know reaches it through the change log or is read when needed.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Subcommand;
use sentinel_access::text::Name;
use sentinel_config::Environment;
use sentinel_token::PlainEdgeKey;

use super::ConfigFile;
use super::files::write_secret;
use super::run::{Opened, open, services};
use crate::assemble::Services;

/// What to administer.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a user who has signed in before an administrator.
    Grant {
        #[command(flatten)]
        file: ConfigFile,
        /// The user's e-mail address.
        #[arg(long)]
        email: String,
    },
    /// The keys that sign tokens.
    #[command(subcommand)]
    Keys(KeysCommand),
    /// The edge proxies that may follow this control plane.
    #[command(subcommand)]
    Edge(EdgeCommand),
    /// Begin a new history for the edges, after a backup was restored or a failover has lost commits.
    ///
    /// Edges never go back: one that knows of a lost commit refuses a control plane that does not, and stops deciding
    /// when its state is too old. A new epoch tells every edge to fetch everything anew. Restore the database first, with
    /// every control plane stopped; then run this; then start them. At any other time it costs each edge a download and
    /// does no harm.
    BeginEpoch(ConfigFile),
}

/// What to do with the signing keys.
#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Make a new key that signs from now on. The one before verifies until its last token has expired.
    Rotate(ConfigFile),
    /// List the published keys, the one that signs first.
    List(ConfigFile),
    /// Take an RSA private key (PEM), which signs from now on.
    Import {
        #[command(flatten)]
        config: ConfigFile,
        /// The file with the private key.
        #[arg(long, value_name = "PEM")]
        file: PathBuf,
    },
    /// Write the private key that signs now to a new file with mode 0600.
    Export {
        #[command(flatten)]
        config: ConfigFile,
        /// The file to make.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

/// What to do with the edges.
#[derive(Debug, Subcommand)]
pub(crate) enum EdgeCommand {
    /// Enrol an edge and write its key to a new file with mode 0600.
    Create {
        #[command(flatten)]
        config: ConfigFile,
        /// A name for people.
        #[arg(long)]
        name: String,
        /// The file to make.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// List the edges.
    List(ConfigFile),
    /// Withdraw an edge's key. It is cut off, and goes on deciding from what it knows until it is too old.
    Revoke {
        #[command(flatten)]
        config: ConfigFile,
        /// The edge's name.
        #[arg(long)]
        name: String,
    },
}

/// Runs a command.
pub(crate) async fn run(command: Command, environment: &Environment) -> anyhow::Result<()> {
    match command {
        Command::Grant { file, email } => grant(&file.load(environment)?, &email).await,
        Command::Keys(command) => keys(command, environment).await,
        Command::Edge(command) => edges(command, environment).await,
        Command::BeginEpoch(file) => begin_epoch(&file.load(environment)?).await,
    }
}

type Config = sentinel_config::control_plane::Config;

/// The database with the newest schema, and the services on it with their first keys. The services are large, and held
/// while a command waits: in a box.
async fn start(config: &Config) -> anyhow::Result<(Opened, Box<Services>)> {
    let opened = open(config).await?;
    opened
        .database
        .migrate()
        .await
        .context("the database cannot be brought to the newest schema")?;
    let services = Box::new(services(config, &opened)?);
    services
        .keys
        .ensure()
        .await
        .context("the signing keys cannot be used")?;
    Ok((opened, services))
}

fn say(line: &str) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stdout().lock(), "{line}")?)
}

async fn grant(config: &Config, email: &str) -> anyhow::Result<()> {
    let (opened, services) = start(config).await?;
    let mut tx = opened.database.write().await?;
    let Some(user) = services.access.users.find_by_email(&mut tx, email).await? else {
        bail!(
            "nobody has signed in as `{email}` yet: sign in first, or list the address under `login.admin_emails`"
        );
    };
    services
        .access
        .users
        .set_admin(&mut tx, None, user.id, true)
        .await?;
    tx.commit().await?;
    say(&format!("{email} is an administrator"))
}

async fn begin_epoch(config: &Config) -> anyhow::Result<()> {
    let opened = open(config).await?;
    opened
        .database
        .migrate()
        .await
        .context("the database cannot be brought to the newest schema")?;
    let begun = opened.database.begin_new_epoch().await?;
    say(&format!(
        "epoch {} has begun: every edge fetches everything anew",
        begun.epoch
    ))
}

async fn keys(command: KeysCommand, environment: &Environment) -> anyhow::Result<()> {
    match command {
        KeysCommand::Rotate(file) => {
            let (_, services) = start(&file.load(environment)?).await?;
            let (kid, _) = services.keys.rotate().await?;
            say(&format!("{kid} signs from now on"))
        }
        KeysCommand::List(file) => {
            let (_, services) = start(&file.load(environment)?).await?;
            for key in services.keys.list().await? {
                let until = match key.publish_until {
                    None => "signs".to_owned(),
                    Some(until) => format!("verifies until {}", until.to_rfc3339()),
                };
                say(&format!(
                    "{}  made {}  {until}",
                    key.kid,
                    key.created_at.to_rfc3339()
                ))?;
            }
            Ok(())
        }
        KeysCommand::Import { config, file } => {
            let (_, services) = start(&config.load(environment)?).await?;
            let pem = std::fs::read_to_string(&file)
                .with_context(|| format!("`{}` cannot be read", file.display()))?;
            let (kid, _) = services.keys.import(&pem.into()).await?;
            say(&format!("{kid} signs from now on"))
        }
        KeysCommand::Export { config, out } => {
            let (_, services) = start(&config.load(environment)?).await?;
            let (kid, pem) = services.keys.export().await?;
            write_secret(&out, &pem)?;
            say(&format!("the private key {kid} is in {}", out.display()))
        }
    }
}

async fn edges(command: EdgeCommand, environment: &Environment) -> anyhow::Result<()> {
    match command {
        EdgeCommand::Create { config, name, out } => {
            let (opened, services) = start(&config.load(environment)?).await?;
            let name: Name = name.parse()?;
            if out.exists() {
                bail!(
                    "`{}` is there already: give a file that does not exist",
                    out.display()
                );
            }
            let feed_key = services.keys.feed_key().await?.verify_key();
            let key = PlainEdgeKey::generate(&*opened.random, feed_key);
            let mut tx = opened.database.begin().await?;
            let edge = services
                .access
                .edges
                .enrol(&mut tx, None, &name, key.digest().as_bytes())
                .await?;
            // Written before the commit: an edge without a key file is worse than a file without an edge.
            write_secret(&out, &key.expose().into())?;
            tx.commit().await?;
            say(&format!(
                "edge {} ({}): its key is in {}",
                edge.name,
                edge.id,
                out.display()
            ))
        }
        EdgeCommand::List(file) => {
            let (opened, services) = start(&file.load(environment)?).await?;
            let mut tx = opened.database.read().await?;
            for edge in services.access.edges.list(&mut tx).await? {
                let seen = edge
                    .last_seen_at
                    .map_or_else(|| "never".to_owned(), |at| at.to_rfc3339());
                let state = if edge.revoked_at.is_some() {
                    "revoked"
                } else {
                    "enrolled"
                };
                say(&format!("{}  {}  {state}  last seen {seen}", edge.id, edge.name))?;
            }
            Ok(())
        }
        EdgeCommand::Revoke { config, name } => {
            let (opened, services) = start(&config.load(environment)?).await?;
            let mut tx = opened.database.begin().await?;
            let edges = services.access.edges.list(&mut tx).await?;
            let Some(edge) = edges.iter().find(|edge| edge.name == name) else {
                bail!("there is no edge `{name}`: `admin edge list` names them");
            };
            services.access.edges.revoke(&mut tx, None, edge.id).await?;
            tx.commit().await?;
            say(&format!("edge {name}: its key is withdrawn"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_new_epoch_is_later_than_the_one_before() {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().join("control-plane.yaml");
        let data = directory.path().join("data");
        std::fs::write(&path, format!("data_dir: {}\n", data.display())).expect("written");
        let file = || ConfigFile {
            config: Some(path.clone()),
        };
        let environment = Environment::default();
        let mut epochs = Vec::new();
        for _ in 0..3 {
            run(Command::BeginEpoch(file()), &environment)
                .await
                .expect("begun");
            let opened = open(&file().load(&environment).expect("configuration"))
                .await
                .expect("database");
            epochs.push(opened.database.head().await.expect("head").epoch);
            opened.database.close().await;
        }
        assert!(epochs.is_sorted_by(|before, after| before < after), "{epochs:?}");
    }
}
