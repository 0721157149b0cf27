//! What a request must have besides method, host and path for a route to be meant.

use std::collections::BTreeMap;

use crate::section::section;

section! {
    /// What a request must have besides its method, host and path. All of it must hold; otherwise another route is
    /// looked for. A route with more conditions goes before one with fewer.
    pub struct Conditions {
        /// Header fields by lower-case name, each with the exact value that must be there once, or `"*"` for any one value.
        pub headers: BTreeMap<String, String> = "{}",
        /// Query parameters by name, each with the exact decoded value that must be there once, or `"*"` for any one value.
        pub query: BTreeMap<String, String> = "{}",
    }
}
