//! From a file and an environment to a configuration, or to everything that is wrong with them.

use std::fs;
use std::path::Path;

use crate::environment::{Environment, Override, overlay};
use crate::problem::{ConfigErrors, Position};
use crate::section::{Place, Reader, Setting};
use crate::tree::Node;
use crate::{control_plane, edge};

/// Reads the control plane's configuration from a file, with what the environment overrides.
///
/// # Errors
/// Everything that is wrong with the file, the files of secrets that it names, and the `SENTINEL__…` variables.
pub fn load_control_plane(path: &Path, env: &Environment) -> Result<control_plane::Config, ConfigErrors> {
    parse_control_plane(&read(path)?, path, env)
}

/// Reads the edge's configuration from a file, with what the environment overrides.
///
/// # Errors
/// Everything that is wrong with the file, the files of secrets that it names, and the `SENTINEL__…` variables.
pub fn load_edge(path: &Path, env: &Environment) -> Result<edge::Config, ConfigErrors> {
    parse_edge(&read(path)?, path, env)
}

/// The same as [`load_control_plane`] for a text that is already in memory; an empty one means every default.
/// Messages name `path`, and relative paths count from its directory.
pub fn parse_control_plane(
    text: &str,
    path: &Path,
    env: &Environment,
) -> Result<control_plane::Config, ConfigErrors> {
    parse(text, path, env, control_plane::OVERRIDES)
}

/// The same as [`load_edge`] for a text that is already in memory. Messages name `path`, and relative paths count from
/// its directory.
pub fn parse_edge(text: &str, path: &Path, env: &Environment) -> Result<edge::Config, ConfigErrors> {
    parse(text, path, env, edge::OVERRIDES)
}

fn read(path: &Path) -> Result<String, ConfigErrors> {
    fs::read_to_string(path).map_err(|error| {
        let message = format!("the configuration cannot be read: {error}");
        ConfigErrors::of_file(path, Position::Unwritten, message)
    })
}

fn parse<C: Setting>(
    text: &str,
    path: &Path,
    env: &Environment,
    overrides: &[Override],
) -> Result<C, ConfigErrors> {
    let mut root =
        Node::parse(text).map_err(|(position, message)| ConfigErrors::of_file(path, position, message))?;
    let problems = overlay(&mut root, env, overrides, path);
    let mut reader = Reader {
        file: path.to_owned(),
        base: path.parent().unwrap_or(Path::new("")).to_owned(),
        root: &root,
        problems,
    };
    let config = C::read(
        &Place {
            node: &root,
            path: String::new(),
        },
        &mut reader,
    );
    ConfigErrors::from_problems(reader.problems)?;
    config.ok_or_else(|| {
        let message = "the configuration was refused without a reason: this is a defect of the program";
        ConfigErrors::of_file(path, Position::Unwritten, message.to_owned())
    })
}
