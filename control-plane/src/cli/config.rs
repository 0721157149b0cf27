//! `config check` and `config schema`.

use std::io::Write as _;

use clap::Subcommand;
use sentinel_config::Environment;

use super::ConfigFile;

/// What to do with the configuration.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Read the configuration and say everything that is wrong with it.
    Check(ConfigFile),
    /// Print the JSON Schema of the configuration file.
    Schema,
}

/// Runs a command.
pub(crate) fn run(command: Command, environment: &Environment) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match command {
        Command::Check(file) => {
            let config = file.load(environment)?;
            writeln!(
                out,
                "the configuration is good; the issuer is {}",
                config.public_url()
            )?;
        }
        Command::Schema => {
            let schema = sentinel_config::control_plane::schema();
            writeln!(out, "{}", serde_json::to_string_pretty(&schema)?)?;
        }
    }
    Ok(())
}
