//! The project's own commands, and the throw-away servers that they share with the whole-system tests.
//!
//! Only the standard library is used, so that the first command on a fresh machine starts in seconds.

pub mod bench;
pub mod cargo;
pub mod check;
pub mod fuzz;
pub mod guard;
pub mod openfga;
pub mod postgres;
pub mod python;
pub mod quickstart;
pub mod redis;
pub mod scratch;
pub mod test;
pub mod tools;

/// Why a command ended without success. The text is for the person who ran it.
#[derive(Debug)]
pub struct Failure(pub String);

impl Failure {
    /// A failure that says `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

/// The result of everything here.
pub type Outcome<T = ()> = Result<T, Failure>;

/// Adds what was being done to an error of the operating system.
pub(crate) trait Doing<T> {
    /// `doing` reads on from "could not".
    fn doing(self, doing: impl FnOnce() -> String) -> Outcome<T>;
}

impl<T> Doing<T> for std::io::Result<T> {
    fn doing(self, doing: impl FnOnce() -> String) -> Outcome<T> {
        self.map_err(|error| Failure(format!("could not {}: {error}", doing())))
    }
}
