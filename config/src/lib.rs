//! The configuration of both programs: typed, read from YAML, checked as a whole before anything starts.
//!
//! A file either becomes a value that can be used as it is, or a list of everything that is wrong with it, each with
//! file, line, key and remedy. Unknown keys are refused, so a mistyped one never means "default". Defaults are safe,
//! and what weakens safety is named `danger_…`. The crate reads the file, the files of secrets that it names, and the
//! environment it is handed; it opens no socket and asks the process for nothing.

pub mod control_plane;
pub mod edge;
mod environment;
mod load;
mod log;
mod problem;
mod schema;
mod section;
mod tree;
mod value;

pub use environment::Environment;
pub use load::{load_control_plane, load_edge, parse_control_plane, parse_edge};
pub use log::{Log, LogFormat, LogLevel};
pub use problem::{ConfigErrors, Position, Problem};
pub use value::{ByteSize, HttpUrl, InvalidHttpUrl};
