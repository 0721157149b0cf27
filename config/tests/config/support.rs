//! A directory with configuration and secret files, made for one test.

use std::fs;
use std::path::{Path, PathBuf};

use sentinel_config::{ConfigErrors, Environment, control_plane, edge, parse_control_plane, parse_edge};
use tempfile::TempDir;

/// A directory of its own for one test.
pub(crate) struct Home(TempDir);

impl Home {
    pub(crate) fn new() -> Self {
        Self(TempDir::new().expect("a temporary directory"))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file that only its owner may read.
    pub(crate) fn secret(&self, name: &str, content: &str) -> PathBuf {
        self.file(name, content, 0o600)
    }

    /// Writes a file with the given permissions.
    pub(crate) fn file(&self, name: &str, content: &str, mode: u32) -> PathBuf {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.path().join(name);
        fs::write(&path, content).expect("the file can be written");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("permissions can be set");
        path
    }

    pub(crate) fn edge(&self, text: &str) -> Result<edge::Config, ConfigErrors> {
        parse_edge(text, &self.path().join("edge.yaml"), &Environment::new())
    }

    pub(crate) fn control_plane(&self, text: &str) -> Result<control_plane::Config, ConfigErrors> {
        parse_control_plane(text, &self.path().join("control-plane.yaml"), &Environment::new())
    }

    /// The problems as an operator reads them, with the directory left out.
    pub(crate) fn told<C>(&self, result: Result<C, ConfigErrors>) -> String {
        let Err(errors) = result else {
            panic!("the configuration was accepted")
        };
        errors
            .to_string()
            .replace(&format!("{}/", self.path().display()), "")
    }
}

/// An edge whose routes are `routes`, with the upstream `docs`.
pub(crate) fn with_routes(routes: &str) -> String {
    format!(
        "control_plane: {{ url: http://127.0.0.1:9003, edge_key: k }}\nupstreams: {{ docs: {{ url: http://127.0.0.1:9000 }} }}\nroutes:\n{routes}"
    )
}

/// Variables of the environment.
pub(crate) fn env<const N: usize>(variables: [(&str, &str); N]) -> Environment {
    variables
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}
