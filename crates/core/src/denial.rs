//! Why a request is not let through. One enum gives the word to the response, the log line and the metric label.

use std::fmt;

/// The HTTP status of a denial (RFC 9110 §15): 401 is "I do not know you", 403 "I know you and no",
/// 503 "I cannot know now".
pub type Status = u16;

macro_rules! denials {
    ($($(#[$doc:meta])* $name:ident = $status:literal, $code:literal, $title:literal;)+) => {
        /// Why a request was not let through.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Denial {
            $($(#[$doc])* $name,)+
        }

        impl Denial {
            /// Every denial there is.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The stable word for it: `code` in the body, `reason` in logs and metrics.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)+ }
            }

            /// The status of the answer.
            pub const fn status(self) -> Status {
                match self { $(Self::$name => $status,)+ }
            }

            /// The title of the problem document (RFC 9457 §3.1.3): a short phrase that says nothing about the case.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)+ }
            }
        }
    };
}

denials! {
    /// The request target is not in origin form, or its path is not in canonical spelling.
    PathNotCanonical = 400, "path_not_canonical", "The request path is not in canonical form";
    /// `Host` is missing, doubled, or not a host.
    HostInvalid = 400, "host_invalid", "The Host header is not valid";
    /// The method is not one of the registered upper-case ones, or is CONNECT or TRACE.
    MethodInvalid = 400, "method_invalid", "The request method is not accepted";
    /// `Content-Length` and `Transfer-Encoding` leave room for two readings.
    FramingInvalid = 400, "framing_invalid", "The request framing is ambiguous";
    /// A header name or value that could be read as another one.
    HeaderInvalid = 400, "header_invalid", "A request header is not accepted";
    /// More than one credential of a kind.
    CredentialDuplicated = 400, "credential_duplicated", "A credential was given more than once";
    /// `X-Sentinel-Revision` is not a revision.
    RevisionInvalid = 400, "revision_invalid", "X-Sentinel-Revision is not a revision";
    /// A browser brought an answer to a login that was not begun there, or was begun too long ago.
    LoginInvalid = 400, "login_invalid", "The login cannot be completed: begin it anew";
    /// Too many or too large headers.
    HeadTooLarge = 431, "head_too_large", "The request head is too large";
    /// The body is larger than the route takes.
    BodyTooLarge = 413, "body_too_large", "The request body is too large";
    /// The caller has made more requests than the route lets him make.
    RateLimited = 429, "rate_limited", "There were too many requests";
    /// No route matches: nothing is forwarded.
    NoRoute = 404, "no_route", "There is no such route";
    /// The route asks for a credential and none was given.
    CredentialMissing = 401, "credential_missing", "Authentication is required";
    /// The token is not one of ours, or not well formed.
    TokenInvalid = 401, "token_invalid", "The access token is not valid";
    /// An authz token and an ID token that do not go together, or one of the two is missing.
    TokenBindingInvalid = 401, "token_binding_invalid", "The access token is not valid";
    /// The token was good once.
    TokenExpired = 401, "token_expired", "The access token is not valid";
    /// The token, its session or its user was revoked.
    TokenRevoked = 401, "token_revoked", "The access token is not valid";
    /// The service key is unknown, expired or withdrawn.
    ServiceKeyInvalid = 401, "service_key_invalid", "The service key is not valid";
    /// A credential of a kind that the route does not take.
    CredentialNotAccepted = 401, "credential_not_accepted", "This kind of credential is not accepted here";
    /// The user's live role in the token's workspace is too low, or he is no member.
    RoleDenied = 403, "role_denied", "Access is denied";
    /// The user has no role that grants the action.
    ActionDenied = 403, "action_denied", "Access is denied";
    /// The relation to the object does not hold.
    PermissionDenied = 403, "permission_denied", "Access is denied";
    /// Another service is expected.
    ServiceDenied = 403, "service_denied", "Access is denied";
    /// An authz token that was made for another service.
    TokenServiceDenied = 403, "token_service_denied", "Access is denied";
    /// A session cookie came with a request that a page of another site may have caused.
    CrossSite = 403, "cross_site", "Access is denied";
    /// A preflight request from an origin, for a method or with fields that the route does not take (CORS).
    OriginDenied = 403, "origin_denied", "Access is denied";
    /// The keys of the token's issuer are not known yet.
    KeysNotReady = 503, "keys_not_ready", "Access cannot be decided now";
    /// Sign-in does not work at the moment: the control plane cannot be reached.
    LoginUnavailable = 503, "login_unavailable", "Sign-in is not available now";
    /// This edge has never been in touch with the control plane.
    ReplicaNotReady = 503, "replica_not_ready", "Access cannot be decided now";
    /// This edge has been out of touch for longer than the route allows.
    ReplicaStale = 503, "replica_stale", "Access cannot be decided now";
    /// The request asks for a newer revision than this edge has, and it did not come in time.
    RevisionNotReached = 503, "revision_not_reached", "Access cannot be decided now";
    /// What is asked about is not among what this edge keeps, and the control plane was not asked or did not answer.
    ReplicaIncomplete = 503, "replica_incomplete", "Access cannot be decided now";
    /// The service's permission model does not have the relation that the route asks for.
    ModelMismatch = 503, "model_mismatch", "Access cannot be decided now";
    /// The relations that are stored lead further than the engine follows them, or contradict themselves.
    Undecidable = 503, "undecidable", "Access cannot be decided now";
    /// The upstream could not be reached.
    UpstreamUnreachable = 502, "upstream_unreachable", "The service behind the proxy could not be reached";
    /// The upstream did not answer in time.
    UpstreamTimeout = 504, "upstream_timeout", "The service behind the proxy did not answer in time";
    /// A defect of the proxy itself; nothing was let through.
    Internal = 500, "internal", "The request could not be handled";
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl std::error::Error for Denial {}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn codes_are_unique_and_titles_of_one_status_tell_nothing_apart_that_helps_an_attacker() {
        let codes: HashSet<_> = Denial::ALL.iter().map(|denial| denial.code()).collect();
        assert_eq!(codes.len(), Denial::ALL.len());
        let forbidden: HashSet<_> = Denial::ALL
            .iter()
            .filter(|d| d.status() == 403)
            .map(|d| d.title())
            .collect();
        assert_eq!(forbidden.len(), 1);
        assert!(Denial::ALL.iter().all(|d| d.status() >= 400));
    }
}
