//! What an edge must know, as a set of facts, and how the set changes.
//!
//! The whole replicated state is a set of facts, each under its own key: putting a fact replaces the one with the same
//! key. Every fact has one canonical line of text, over which replicas compute their digest.

use std::fmt::{self, Write as _};
use std::str::FromStr;

use crate::clock::Timestamp;
use crate::id::{ServiceAppId, SessionId, TokenId, UserId};
use crate::name::ServiceName;
use crate::tuple::Tuple;

/// One thing that is true at a revision.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Fact {
    /// A relation tuple holds. Its key is the tuple itself.
    Tuple(Tuple),
    /// A relation tuple holds until a moment. Its key is the tuple, so it replaces the same tuple without an end, and the
    /// other way round.
    ExpiringTuple {
        /// The tuple.
        tuple: Tuple,
        /// From this moment on it does not hold, whether it was deleted yet or not.
        until: Timestamp,
    },
    /// A service's own permission model. Its key is the service.
    Model(ModelFact),
    /// A service key may be used. Its key is the digest.
    ServiceKey(ServiceKeyFact),
    /// A public key verifies tokens. Its key is the `kid`.
    SigningKey(SigningKeyFact),
    /// A session was ended: no token of it counts any more. Its key is the session.
    RevokedSession {
        /// The session.
        session: SessionId,
        /// When the last token of the session has expired by itself, and the fact may go.
        until: Timestamp,
    },
    /// One token does not count any more. Its key is the token.
    RevokedToken {
        /// The token's `jti`.
        token: TokenId,
        /// When the token has expired by itself, and the fact may go.
        until: Timestamp,
    },
    /// A user account is deactivated: no token of it counts. Its key is the user.
    DisabledUser(UserId),
}

/// A service key as the edge knows it: never the key, only its digest.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ServiceKeyFact {
    /// SHA-256 of the whole key, `sk_` included.
    pub digest: [u8; 32],
    /// The app that the key belongs to.
    pub app: ServiceAppId,
    /// The app's scope.
    pub service: ServiceName,
    /// When the key stops working; `None` while it is the app's current key.
    pub expires_at: Option<Timestamp>,
}

/// The permission model of a service: its own types, beside Sentinel's.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ModelFact {
    /// Whose it is. The names of its types stand behind this name in tuples: `docs/folder`.
    pub service: ServiceName,
    /// Which of the service's models it is: 1 is the first that was written.
    pub version: u64,
    /// The model in OpenFGA's language, schema 1.1.
    pub text: String,
}

/// A public signing key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SigningKeyFact {
    /// RFC 7638 thumbprint, as tokens carry it in `kid`.
    pub kid: String,
    /// The key as a JWK (RFC 7517) in JSON, with `kid`, `alg` and `use`.
    pub jwk: String,
    /// Order in the published set: 0 is the current key, larger numbers are older ones.
    pub position: u32,
}

/// How a committed transaction changed the set of facts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Change {
    /// The fact holds from this revision on, in place of one with the same key.
    Put(Fact),
    /// The fact with this one's key does not hold any more. Only the key counts.
    Delete(Fact),
}

impl Change {
    /// The fact that the change is about.
    pub fn fact(&self) -> &Fact {
        match self {
            Self::Put(fact) | Self::Delete(fact) => fact,
        }
    }
}

/// The canonical line of a fact: two facts are equal exactly when their lines are. Digests are computed over it, so it
/// is part of the replication contract and may never change for an existing kind.
impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tuple(tuple) => write!(f, "tuple {tuple}"),
            Self::ExpiringTuple { tuple, until } => {
                write!(f, "expiring-tuple {} {tuple}", until.timestamp_micros())
            }
            Self::Model(model) => {
                write!(f, "model {} {} ", model.service, model.version)?;
                write_escaped(f, &model.text)
            }
            Self::ServiceKey(key) => {
                f.write_str("service-key ")?;
                for byte in key.digest {
                    write!(f, "{byte:02x}")?;
                }
                let expires = key.expires_at.map_or(-1, |at| at.timestamp_micros());
                write!(f, " {} {} {expires}", key.app, key.service)
            }
            Self::SigningKey(key) => write!(f, "signing-key {} {} {}", key.kid, key.position, key.jwk),
            Self::RevokedSession { session, until } => {
                write!(f, "revoked-session {session} {}", until.timestamp_micros())
            }
            Self::RevokedToken { token, until } => {
                write!(f, "revoked-token {token} {}", until.timestamp_micros())
            }
            Self::DisabledUser(user) => write!(f, "disabled-user {user}"),
        }
    }
}

/// A line that is no fact or no change that this version knows. A replica that meets one stops applying, grows stale
/// and then denies: what cannot be understood is never skipped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a fact or change that this version knows")]
pub struct InvalidFact(String);

impl FromStr for Fact {
    type Err = InvalidFact;

    fn from_str(line: &str) -> Result<Self, InvalidFact> {
        let fact = || -> Option<Self> {
            let (kind, rest) = line.split_once(' ')?;
            Some(match kind {
                "tuple" => Self::Tuple(rest.parse().ok()?),
                "expiring-tuple" => {
                    let (until, tuple) = rest.split_once(' ')?;
                    Self::ExpiringTuple {
                        tuple: tuple.parse().ok()?,
                        until: parse_time(until)?,
                    }
                }
                "model" => {
                    let mut parts = rest.splitn(3, ' ');
                    Self::Model(ModelFact {
                        service: parts.next()?.parse().ok()?,
                        version: parts.next()?.parse().ok()?,
                        text: unescape(parts.next()?)?,
                    })
                }
                "service-key" => {
                    let mut parts = rest.splitn(4, ' ');
                    Self::ServiceKey(ServiceKeyFact {
                        digest: parse_digest(parts.next()?)?,
                        app: parts.next()?.parse().ok()?,
                        service: parts.next()?.parse().ok()?,
                        expires_at: match parts.next()? {
                            "-1" => None,
                            micros => Some(parse_time(micros)?),
                        },
                    })
                }
                "signing-key" => {
                    let mut parts = rest.splitn(3, ' ');
                    Self::SigningKey(SigningKeyFact {
                        kid: parts.next()?.to_owned(),
                        position: parts.next()?.parse().ok()?,
                        jwk: parts.next()?.to_owned(),
                    })
                }
                "revoked-session" => {
                    let (session, until) = rest.split_once(' ')?;
                    Self::RevokedSession {
                        session: session.parse().ok()?,
                        until: parse_time(until)?,
                    }
                }
                "revoked-token" => {
                    let (token, until) = rest.split_once(' ')?;
                    Self::RevokedToken {
                        token: token.parse().ok()?,
                        until: parse_time(until)?,
                    }
                }
                "disabled-user" => Self::DisabledUser(rest.parse().ok()?),
                _ => return None,
            })
        };
        // Only the canonical spelling is a fact: what is parsed must print the same again.
        fact()
            .filter(|fact| fact.to_string() == line)
            .ok_or_else(|| InvalidFact(line.chars().take(128).collect()))
    }
}

/// The line of a change: `+` or `-` and the fact's line.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Put(fact) => write!(f, "+{fact}"),
            Self::Delete(fact) => write!(f, "-{fact}"),
        }
    }
}

impl FromStr for Change {
    type Err = InvalidFact;

    fn from_str(line: &str) -> Result<Self, InvalidFact> {
        if let Some(fact) = line.strip_prefix('+') {
            fact.parse().map(Self::Put)
        } else if let Some(fact) = line.strip_prefix('-') {
            fact.parse().map(Self::Delete)
        } else {
            Err(InvalidFact(line.chars().take(128).collect()))
        }
    }
}

/// Writes a text of several lines as one: `\\`, `\n` and `\r` stand for the backslash and the ends of lines.
fn write_escaped(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    text.chars().try_for_each(|c| match c {
        '\\' => f.write_str("\\\\"),
        '\n' => f.write_str("\\n"),
        '\r' => f.write_str("\\r"),
        other => f.write_char(other),
    })
}

fn unescape(line: &str) -> Option<String> {
    let mut text = String::with_capacity(line.len());
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        text.push(match c {
            '\\' => match chars.next()? {
                '\\' => '\\',
                'n' => '\n',
                'r' => '\r',
                _ => return None,
            },
            other => other,
        });
    }
    Some(text)
}

fn parse_digest(hex: &str) -> Option<[u8; 32]> {
    let mut digest = [0_u8; 32];
    let bytes = hex.as_bytes();
    if bytes.len() != 64 {
        return None;
    }
    for (to, pair) in digest.iter_mut().zip(bytes.chunks_exact(2)) {
        *to = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(digest)
}

fn parse_time(micros: &str) -> Option<Timestamp> {
    Timestamp::from_timestamp_micros(micros.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_lines_are_fixed() {
        let uuid = uuid::Uuid::from_u128(1);
        let at = Timestamp::from_timestamp_micros(5).expect("in range");
        let key = ServiceKeyFact {
            digest: [0xab; 32],
            app: uuid.into(),
            service: "docs".parse().expect("name"),
            expires_at: None,
        };
        let lines: Vec<String> = [
            Fact::Tuple("group:1#member@user:2".parse().expect("tuple")),
            Fact::ExpiringTuple {
                tuple: "docs/folder:1#viewer@user:2".parse().expect("tuple"),
                until: at,
            },
            Fact::Model(ModelFact {
                service: "docs".parse().expect("name"),
                version: 3,
                text: "model\r\n  schema 1.1\n# \\n".into(),
            }),
            Fact::ServiceKey(key),
            Fact::SigningKey(SigningKeyFact {
                kid: "k".into(),
                jwk: "{}".into(),
                position: 0,
            }),
            Fact::RevokedSession {
                session: uuid.into(),
                until: at,
            },
            Fact::RevokedToken {
                token: uuid.into(),
                until: at,
            },
            Fact::DisabledUser(uuid.into()),
        ]
        .iter()
        .map(|fact| {
            let line = fact.to_string();
            assert_eq!(line.parse().as_ref(), Ok(fact));
            assert_eq!(format!("-{line}").parse(), Ok(Change::Delete(fact.clone())));
            line
        })
        .collect();
        let id = "00000000-0000-0000-0000-000000000001";
        assert_eq!(
            lines,
            [
                "tuple group:1#member@user:2".to_owned(),
                "expiring-tuple 5 docs/folder:1#viewer@user:2".to_owned(),
                "model docs 3 model\\r\\n  schema 1.1\\n# \\\\n".to_owned(),
                format!("service-key {} {id} docs -1", "ab".repeat(32)),
                "signing-key k 0 {}".to_owned(),
                format!("revoked-session {id} 5"),
                format!("revoked-token {id} 5"),
                format!("disabled-user {id}"),
            ]
        );
    }
    #[test]
    fn anything_but_the_canonical_spelling_is_refused() {
        let id = "00000000-0000-0000-0000-000000000001";
        for bad in [
            String::new(),
            "tuple".to_owned(),
            "tuple group:1#member".to_owned(),
            "future-kind 1".to_owned(),
            "expiring-tuple 05 group:1#member@user:2".to_owned(),
            "model docs 1 a\\".to_owned(),
            "model docs 1 a\\t".to_owned(),
            "model docs 01 a".to_owned(),
            format!("revoked-session {id} 05"),
            format!("revoked-session {id} 5 "),
            format!("service-key {} {id} docs -1", "AB".repeat(32)),
            format!("service-key {} {id} docs", "ab".repeat(32)),
        ] {
            assert!(bad.parse::<Fact>().is_err(), "`{bad}` must be refused");
        }
    }
}
