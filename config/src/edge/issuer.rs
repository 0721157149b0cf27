//! Issuers of tokens besides the control plane.

use std::path::PathBuf;
use std::time::Duration;

use crate::section::section;
use crate::value::{HttpUrl, words};

section! {
    /// Somebody besides the control plane whose tokens are verified: an identity provider, or another issuer of access
    /// tokens.
    pub struct Issuer {
        /// What `iss` must be, exactly.
        pub issuer: String,
        /// What `aud` must have one of, exactly. At least one.
        pub audiences: Vec<String>,
        /// What its tokens are good for.
        pub tokens: IssuedTokens,
        /// Where its keys are (a JWK Set, RFC 7517 §5). They are fetched in the background and kept while it cannot be reached.
        ///
        /// Default: what `<issuer>/.well-known/openid-configuration` says, unless `keys_file` is set.
        pub jwks_url: Option<HttpUrl>,
        /// A file with its keys (a JWK Set), in place of fetching them.
        pub keys_file: Option<PathBuf>,
        /// How often the keys are fetched anew, 1m to 1d.
        pub refresh: Duration = "1h",
        /// How far its clock may be off, 0s to 30s.
        pub leeway: Duration = "10s",
    }
}

words! {
    /// What an issuer's tokens are good for.
    pub enum IssuedTokens {
        /// ID tokens of an identity provider. They say who somebody is and open nothing by themselves: an authz token of the
        /// control plane goes with them (`tokens: [authz]` of a route).
        Identity = "identity",
        /// Access tokens. They are accepted by themselves where a route names the issuer in `tokens`. Their bearer is signed
        /// in and a member of no workspace.
        Access = "access",
    }
}
