//! Browsers: the session cookie, and sending a person to login and back.

use std::time::Duration;

use secrecy::SecretString;

use crate::section::section;

section! {
    /// How the edge signs in the people behind browsers: it sends them to the control plane's login and keeps their tokens in
    /// cookies that scripts cannot read. Routes use it by `cookie: true` and `login: true`.
    pub struct Login {
        /// The client app that was registered for this edge at the control plane, with the redirect URI
        /// `https://<host><path>/callback` for every host that is signed in to.
        pub client_id: String,
        /// The identity provider to go to.
        ///
        /// Default: people choose on a page of the edge.
        pub provider: Option<String>,
        /// The slug of the workspace that people sign in to.
        ///
        /// Default: people who are members of several choose on a page of the edge.
        pub workspace: Option<String>,
        /// Where the edge answers by itself, on every host: `<path>/callback`, `<path>/logout` and `<path>/login`.
        pub path: String = "/.sentinel",
        /// Where a person is brought after signing out: a path, or an `https` URL.
        pub after_logout: String = "/",
        /// How long a person may take to sign in, 1m to 1h.
        pub patience: Duration = "10m",
        /// The secret that protects what the edge leaves with browsers: at least 32 characters, the same on all edges of a
        /// deployment.
        pub cookie_key: SecretString,
    }
}
