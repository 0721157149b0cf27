//! A SQLite file for one test.

use std::fs;
use std::path::PathBuf;

/// A directory of its own, removed with what is in it.
pub(super) struct Directory(PathBuf);

impl Directory {
    pub(super) fn create() -> Self {
        let path = std::env::temp_dir().join(super::unique_name());
        fs::create_dir(&path).expect("a directory for the test's database");
        Self(path)
    }

    pub(super) fn url(&self) -> String {
        format!("sqlite://{}", self.0.join("sentinel.db").display())
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
