//! The command line of `sentinel-control-plane`.

mod admin;
mod config;
mod files;
mod run;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use sentinel_config::Environment;

/// The control plane of Sentinel: login, permissions, and the feed to the edges.
#[derive(Debug, Parser)]
#[command(name = "sentinel-control-plane", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the control plane. The database is migrated first.
    Serve(ConfigFile),
    /// Bring the database to the newest schema, and stop.
    Migrate(ConfigFile),
    /// The configuration file.
    #[command(subcommand)]
    Config(config::Command),
    /// Administration of an installation, on its database.
    #[command(subcommand)]
    Admin(admin::Command),
}

/// Which configuration to use.
#[derive(Debug, Args)]
pub struct ConfigFile {
    /// The configuration file. Without it every setting has its default.
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Runs a command. `environment` is what may override the configuration.
pub async fn run(cli: Cli, environment: Environment) -> anyhow::Result<()> {
    match cli.command {
        Command::Serve(file) => run::serve(&file.load(&environment)?).await,
        Command::Migrate(file) => run::migrate(&file.load(&environment)?).await,
        Command::Config(command) => config::run(command, &environment),
        Command::Admin(command) => admin::run(command, &environment).await,
    }
}

impl ConfigFile {
    fn load(&self, environment: &Environment) -> anyhow::Result<sentinel_config::control_plane::Config> {
        let config = match &self.config {
            Some(path) => sentinel_config::load_control_plane(path, environment),
            None => sentinel_config::parse_control_plane("", std::path::Path::new("(defaults)"), environment),
        };
        Ok(config?)
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn commands_are_read() {
        for line in [
            "x serve --config a.yaml",
            "x serve",
            "x migrate -c a.yaml",
            "x config check --config a.yaml",
            "x config schema",
            "x admin grant --email a@example.com",
            "x admin keys rotate",
            "x admin keys list",
            "x admin keys import --file key.pem",
            "x admin keys export --out key.pem",
            "x admin edge create --name e1 --out edge.key",
            "x admin edge list",
            "x admin edge revoke --name e1",
            "x admin begin-epoch -c a.yaml",
        ] {
            Cli::try_parse_from(line.split(' ')).expect(line);
        }
        assert!(Cli::try_parse_from(["x"]).is_err());
    }
}
