//! The claims of each kind of token. The control plane writes them, `verify` reads them: every field is strict about
//! its JSON type, and ids are taken in their one canonical spelling only.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::{self, DeserializeOwned, Deserializer, Visitor};
use serde::{Deserialize, Serialize};

use sentinel_core::id::{GroupId, SessionId, TokenId, UserId, WorkspaceId};
use sentinel_core::name::{ServiceName, Slug};
use sentinel_core::{Revision, Timestamp, WorkspaceRole};

/// What a token is for. Each kind has an audience of its own, so that one can never pass for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// Calls services, 15 minutes.
    Access,
    /// Gets the next pair of tokens, once.
    Refresh,
    /// Uses the admin API.
    Admin,
    /// Says what a user of AuthZ mode may do through one service, 5 minutes.
    Authz,
}

impl TokenKind {
    /// Every kind there is.
    pub const ALL: &'static [Self] = &[Self::Access, Self::Refresh, Self::Admin, Self::Authz];

    /// The claim `type` of this kind.
    pub const fn claim(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Refresh => "refresh",
            Self::Admin => "admin_access",
            Self::Authz => "authz",
        }
    }

    /// The audience of this kind under a brand: `sentinel:access`.
    pub fn audience(self, brand: &str) -> String {
        let name = match self {
            Self::Access => "access",
            Self::Refresh => "refresh",
            Self::Admin => "admin",
            Self::Authz => "authz",
        };
        format!("{brand}:{name}")
    }
}

/// `aud`: one audience, or several (RFC 7519 §4.1.3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Audience {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl Audience {
    /// Whether `audience` is meant.
    pub fn contains(&self, audience: &str) -> bool {
        match self {
            Self::One(one) => one == audience,
            Self::Many(many) => many.iter().any(|one| one == audience),
        }
    }
}

/// What `verify` asks of every kind of token.
pub(crate) trait Claims: DeserializeOwned {
    const KIND: TokenKind;
    /// The claims without which a token of this kind is nothing.
    const REQUIRED: &'static [&'static str];
    fn standard(&self) -> Standard<'_>;
}

/// The registered claims (RFC 7519 §4.1) and `type`, as `verify` judges them.
pub(crate) struct Standard<'a> {
    pub(crate) iss: &'a str,
    pub(crate) aud: &'a Audience,
    pub(crate) exp: i64,
    pub(crate) iat: i64,
    pub(crate) nbf: Option<i64>,
    pub(crate) r#type: &'a str,
}

macro_rules! claims {
    ($($(#[$doc:meta])* $name:ident($kind:expr, [$($required:literal),*]) { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* })+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        pub struct $name {
            /// The control plane's public URL, exactly.
            pub iss: String,
            /// Whom the token is for.
            pub aud: Audience,
            /// The user.
            #[serde(deserialize_with = "canonical")]
            pub sub: UserId,
            /// The token's own id.
            #[serde(deserialize_with = "canonical")]
            pub jti: TokenId,
            /// When it was issued, in seconds since 1970.
            #[serde(deserialize_with = "seconds")]
            pub iat: i64,
            /// When it ends, in seconds since 1970.
            #[serde(deserialize_with = "seconds")]
            pub exp: i64,
            /// Before this it is not valid. We never write it, and honour it.
            #[serde(default, deserialize_with = "optional_seconds", skip_serializing_if = "Option::is_none")]
            pub nbf: Option<i64>,
            /// The kind of token, as `TokenKind::claim` names it.
            pub r#type: String,
            $($(#[$field_doc])* pub $field: $type,)*
        }

        impl Claims for $name {
            const KIND: TokenKind = $kind;
            const REQUIRED: &'static [&'static str] =
                &["iss", "aud", "sub", "jti", "iat", "exp", "type", $($required),*];

            fn standard(&self) -> Standard<'_> {
                Standard {
                    iss: &self.iss,
                    aud: &self.aud,
                    exp: self.exp,
                    iat: self.iat,
                    nbf: self.nbf,
                    r#type: &self.r#type,
                }
            }
        }
    )+};
}

claims! {
    /// An access token: a user in one workspace.
    AccessClaims(TokenKind::Access, ["email", "name", "wid", "wslug", "wrole", "sid"]) {
        /// E-mail address when minted.
        email: String,
        /// Name when minted.
        name: String,
        /// The workspace that the token is limited to.
        #[serde(deserialize_with = "canonical")]
        wid: WorkspaceId,
        /// Its slug.
        wslug: Slug,
        /// The role when minted. Decisions use the live role.
        wrole: WorkspaceRole,
        /// Groups when minted, for clients that show them; none for a user who is in more than fifty, so that the token
        /// stays short. Decisions use the live groups.
        #[serde(default)]
        groups: Vec<GroupId>,
        /// Organization; always null here.
        #[serde(default)]
        oid: Option<String>,
        /// Organization's slug; always null here.
        #[serde(default)]
        oslug: Option<String>,
        /// Whether the organization is the public one.
        #[serde(default)]
        opub: bool,
        /// The session.
        #[serde(deserialize_with = "canonical")]
        sid: SessionId,
        /// The revision at which the token was minted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rev: Option<Revision>,
        /// When the user signed in at the provider (OpenID Connect Core §2), in seconds since 1970.
        #[serde(default, deserialize_with = "optional_seconds", skip_serializing_if = "Option::is_none")]
        auth_time: Option<i64>,
        /// How the user signed in (RFC 8176).
        #[serde(default)]
        amr: Vec<String>,
    }

    /// A refresh token: one step of a session's rotation.
    RefreshClaims(TokenKind::Refresh, ["fid"]) {
        /// The token family, which is the session.
        #[serde(deserialize_with = "canonical")]
        fid: SessionId,
    }

    /// A token of AuthZ mode: what a user may do in one workspace through one service. It counts only together with an ID
    /// token whose subject is `idp_sub`, and says neither address nor name.
    AuthzClaims(TokenKind::Authz, ["idp_sub", "svc", "wid", "wslug", "wrole", "sid"]) {
        /// The subject of the ID token that it goes with.
        idp_sub: String,
        /// The issuer of that ID token. Nothing stands here for a provider without ID tokens, and in older tokens.
        #[serde(default, deserialize_with = "optional_text", skip_serializing_if = "Option::is_none")]
        idp_iss: Option<String>,
        /// The scope of the service that it was made for.
        svc: ServiceName,
        /// The workspace that the token is limited to.
        #[serde(deserialize_with = "canonical")]
        wid: WorkspaceId,
        /// Its slug.
        wslug: Slug,
        /// The role when minted. Decisions use the live role.
        wrole: WorkspaceRole,
        /// The service's actions that the user's roles allowed when minted. Decisions use the live ones.
        #[serde(default)]
        actions: Vec<String>,
        /// Organization; always null here.
        #[serde(default)]
        oid: Option<String>,
        /// Organization's slug; always null here.
        #[serde(default)]
        oslug: Option<String>,
        /// Whether the organization is the public one.
        #[serde(default)]
        opub: bool,
        /// The session.
        #[serde(deserialize_with = "canonical")]
        sid: SessionId,
        /// The revision at which the token was minted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rev: Option<Revision>,
    }

    /// An admin token, carried by the admin panel's cookie.
    AdminClaims(TokenKind::Admin, ["email", "name", "admin", "sid"]) {
        /// E-mail address when minted.
        email: String,
        /// Name when minted.
        name: String,
        /// Always `true`.
        #[serde(deserialize_with = "always_true")]
        admin: bool,
        /// The session.
        #[serde(deserialize_with = "canonical")]
        sid: SessionId,
        /// When the user signed in at the provider, in seconds since 1970.
        #[serde(default, deserialize_with = "optional_seconds", skip_serializing_if = "Option::is_none")]
        auth_time: Option<i64>,
        /// How the user signed in (RFC 8176).
        #[serde(default)]
        amr: Vec<String>,
    }
}

/// 9999-12-31T23:59:59Z: later times do not fit the calendars that read them.
const LAST_SECOND: i64 = 253_402_300_799;

/// A moment in a claim: an integer number of seconds from 1970 to the end of the year 9999. Fractions, exponents and
/// texts are refused.
pub(crate) fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    let seconds = i64::deserialize(deserializer)?;
    if (0..=LAST_SECOND).contains(&seconds) {
        Ok(seconds)
    } else {
        Err(de::Error::custom("not a moment"))
    }
}

pub(crate) fn optional_seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    seconds(deserializer).map(Some)
}

/// A text that may be missing, but not `null`.
pub(crate) fn optional_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    String::deserialize(deserializer).map(Some)
}

fn always_true<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    if bool::deserialize(deserializer)? {
        Ok(true)
    } else {
        Err(de::Error::custom("not true"))
    }
}

/// The moment that a claim names. Claims in range always name one.
pub(crate) fn moment(seconds: i64) -> Timestamp {
    Timestamp::from_timestamp(seconds, 0).unwrap_or(Timestamp::MAX_UTC)
}

/// A text in the type's canonical spelling.
fn canonical<'de, D: Deserializer<'de>, T: FromStr>(deserializer: D) -> Result<T, D::Error> {
    struct Text<T>(PhantomData<T>);

    impl<T: FromStr> Visitor<'_> for Text<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an id")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
            text.parse().map_err(|_| E::custom("not an id"))
        }
    }

    deserializer.deserialize_str(Text(PhantomData))
}

impl<'de> Deserialize<'de> for Audience {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = Audience;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or an array of strings")
            }

            fn visit_str<E>(self, one: &str) -> Result<Audience, E> {
                Ok(Audience::One(one.to_owned()))
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Audience, A::Error> {
                let mut many = Vec::new();
                while let Some(one) = seq.next_element()? {
                    many.push(one);
                }
                Ok(Audience::Many(many))
            }
        }

        deserializer.deserialize_any(Either)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn kinds_have_the_names_of_the_contract() {
        assert_eq!(TokenKind::Access.audience("sentinel"), "sentinel:access");
        assert_eq!(TokenKind::Admin.audience("sentinel"), "sentinel:admin");
        assert_eq!(TokenKind::Refresh.audience("duar"), "duar:refresh");
        assert_eq!(TokenKind::Admin.claim(), "admin_access");
        assert_eq!(TokenKind::Authz.audience("sentinel"), "sentinel:authz");
        assert_eq!(TokenKind::Authz.claim(), "authz");
    }

    #[test]
    fn an_audience_is_one_or_several_texts() {
        let parse = |value| serde_json::from_value::<Audience>(value);
        assert!(parse(json!("a")).expect("one").contains("a"));
        assert!(parse(json!(["b", "a"])).expect("several").contains("a"));
        assert!(!parse(json!([])).expect("none").contains("a"));
        for bad in [
            json!(1),
            json!(null),
            json!(["a", 1]),
            json!({"a": 1}),
            json!(true),
        ] {
            assert!(parse(bad.clone()).is_err(), "{bad}");
        }
        assert_eq!(
            serde_json::to_value(Audience::One("a".into())).expect("JSON"),
            json!("a")
        );
    }

    #[test]
    fn claims_survive_a_round_trip_and_null_stays_in_the_contract() {
        let claims: AccessClaims =
            serde_json::from_value(crate::testing::access_claims()).expect("good claims");
        let value = serde_json::to_value(&claims).expect("JSON");
        assert_eq!(value["oid"], json!(null));
        assert_eq!(value["opub"], json!(false));
        assert_eq!(value["rev"], json!("1763797000.42"));
        assert!(value.get("nbf").is_none());
        assert_eq!(
            serde_json::from_value::<AccessClaims>(value).expect("own claims"),
            claims
        );
    }
}
