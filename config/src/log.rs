//! Log output, the same for both programs.

use crate::section::section;
use crate::value::words;

section! {
    /// What is logged, and how it is written.
    pub struct Log {
        /// The form of a line: `json` for machines, `text` for people.
        pub format: LogFormat = "json",
        /// The least important level that is written.
        pub level: LogLevel = "info",
    }
}

words! {
    /// The form of a log line.
    pub enum LogFormat {
        /// One JSON object a line.
        Json = "json",
        /// Readable lines.
        Text = "text",
    }
}

words! {
    /// How important an event must be to be logged.
    pub enum LogLevel {
        /// Something that someone must do something about.
        Error = "error",
        /// Something that may become one.
        Warn = "warn",
        /// What an operator would tell a colleague about.
        Info = "info",
        /// What helps to follow one request.
        Debug = "debug",
        /// Everything.
        Trace = "trace",
    }
}
