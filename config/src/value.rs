//! The types that single settings have, each parsed once, here.

mod duration;
mod http_url;
mod network;
mod plain;
mod secret;
mod size;
mod word;

pub use http_url::{HttpUrl, InvalidHttpUrl};
pub use size::ByteSize;

pub(crate) use duration::between;
pub(crate) use plain::{NAME_RULE, is_name, read_list, read_text, text};
pub(crate) use secret::{may_be_readable, read_secret};
pub(crate) use word::words;
