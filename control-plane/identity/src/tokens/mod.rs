//! Minting and verifying tokens. What a token says is decided by [`crate::Sessions`]; here it is written and signed.

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use sentinel_core::id::{GroupId, SessionId, TokenId, UserId, WorkspaceId};
use sentinel_core::name::{ServiceName, Slug};
use sentinel_core::principal::User;
use sentinel_core::{Clock, Random, Revision, Timestamp, WorkspaceRole};
use sentinel_store::{StoreError, Tx};
use sentinel_token::verify::{DEFAULT_BRAND, MAX_TOKEN_BYTES};
use sentinel_token::{
    AccessClaims, AdminClaims, Audience, AuthzClaims, Fingerprint, Fingerprinter, KeySet, RefreshClaims,
    Remembered, TokenError, TokenKind, VerifiedAdmin, VerifiedRefresh, Verifier, claimed_kind,
};
use serde::Serialize;

use crate::error::IdentityError;
use crate::keys::{Keys, TokenKey};
use crate::{Lifetimes, keys::KeysError};

/// The most groups that an access token names. Nothing decides by the claim, and a token with many more would be too
/// long for a header: with more groups than these it names none.
const MAX_GROUPS: usize = 50;

/// The most bytes that the names of the actions in a token of AuthZ mode may take together. With more it names none: it
/// would be longer than verifiers take, and one that names some of them would be a riddle.
const MAX_ACTIONS: usize = 4096;

/// The most methods of signing in that a token names, and the longest of them (RFC 8176 has none longer than eight).
const MAX_METHODS: usize = 10;
const MAX_METHOD: usize = 32;

/// How many verified access tokens are remembered.
const ROOM: usize = 65_536;

/// What a successful login or refresh hands out.
#[derive(Debug)]
pub struct TokenPair {
    /// Calls services.
    pub access_token: SecretString,
    /// Gets the next pair, once.
    pub refresh_token: SecretString,
    /// How long the access token lasts, in seconds.
    pub expires_in: u64,
}

/// What a login to the admin panel hands out.
#[derive(Debug)]
pub struct AdminToken {
    /// The value of the admin cookie.
    pub token: SecretString,
    /// How long it lasts, in seconds.
    pub expires_in: u64,
}

/// The refresh token of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Successor {
    pub(crate) id: TokenId,
    pub(crate) issued_at: Timestamp,
    pub(crate) expires_at: Timestamp,
}

/// What a token of AuthZ mode says besides who its user is.
pub(crate) struct Scope<'a> {
    pub(crate) service: &'a ServiceName,
    pub(crate) idp_subject: &'a str,
    pub(crate) idp_issuer: Option<&'a str>,
    pub(crate) actions: Vec<String>,
}

/// Everything that an access token says about its user.
pub(crate) struct Subject<'a> {
    pub(crate) user: UserId,
    pub(crate) email: &'a str,
    pub(crate) name: &'a str,
    pub(crate) workspace: WorkspaceId,
    pub(crate) slug: &'a Slug,
    pub(crate) role: WorkspaceRole,
    pub(crate) groups: Vec<GroupId>,
    pub(crate) session: SessionId,
    pub(crate) revision: Revision,
    pub(crate) auth_time: Timestamp,
    pub(crate) amr: &'a [String],
}

/// The service of tokens. Cheap to clone.
#[derive(Clone)]
pub struct Tokens {
    keys: Keys,
    issuer: Arc<str>,
    verifier: Verifier,
    /// Access tokens only: whoever shows a token of another kind as one is refused by the verifier.
    fingerprinter: Arc<Fingerprinter>,
    remembered: Arc<Remembered>,
    lifetimes: Lifetimes,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
}

impl Tokens {
    /// The service. `issuer` is the control plane's public URL, exactly as tokens name it.
    pub fn new(
        keys: Keys,
        issuer: &str,
        lifetimes: Lifetimes,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Self {
        Self {
            keys,
            issuer: issuer.into(),
            verifier: Verifier::new(issuer),
            fingerprinter: Arc::new(Fingerprinter::new(&*random)),
            remembered: Arc::new(Remembered::with_room_for(ROOM)),
            lifetimes,
            clock,
            random,
        }
    }

    /// Verifies an access token by the keys of a replica. Revocation is for the caller to look up in the same replica.
    pub fn verify_access(&self, token: &str, keys: &KeySet, now: Timestamp) -> Result<User, TokenError> {
        let fingerprint = self.fingerprinter.of(token.as_bytes());
        match self.remembered.find(fingerprint, keys, now) {
            Some(user) => Ok(User::clone(&user)),
            None => self.verify_unknown(token, fingerprint, keys, now),
        }
    }

    /// Verifies a token as a token of AuthZ mode if it says that it is one, and as an access token if not. Otherwise as
    /// [`Tokens::verify_access`] and [`Tokens::verify_authz`].
    pub fn verify_access_or_authz(
        &self,
        token: &str,
        keys: &KeySet,
        now: Timestamp,
    ) -> Result<User, TokenError> {
        let fingerprint = self.fingerprinter.of(token.as_bytes());
        match self.remembered.find(fingerprint, keys, now) {
            Some(user) => Ok(User::clone(&user)),
            None if claimed_kind(token) == Some(TokenKind::Authz) => self.verify_authz(token, keys, now),
            None => self.verify_unknown(token, fingerprint, keys, now),
        }
    }

    /// Verifies an access token that is not remembered, and remembers it.
    fn verify_unknown(
        &self,
        token: &str,
        fingerprint: Fingerprint,
        keys: &KeySet,
        now: Timestamp,
    ) -> Result<User, TokenError> {
        let user = Arc::new(User::from(self.verifier.verify_access(token, keys, now)?));
        self.remembered.remember(fingerprint, keys, &user, now);
        Ok(User::clone(&user))
    }

    /// Verifies a token of AuthZ mode by the keys of a replica. Revocation is for the caller to look up in the same
    /// replica, and for which service it was made is for the caller to compare.
    pub fn verify_authz(&self, token: &str, keys: &KeySet, now: Timestamp) -> Result<User, TokenError> {
        self.verifier.verify_authz(token, keys, now).map(User::from)
    }

    /// Verifies a refresh token by the keys of a replica. Whether it may be exchanged is known by the database alone.
    pub fn verify_refresh(
        &self,
        token: &str,
        keys: &KeySet,
        now: Timestamp,
    ) -> Result<VerifiedRefresh, TokenError> {
        self.verifier.verify_refresh(token, keys, now)
    }

    /// Verifies an admin token by the keys of a replica. What it is worth now is for [`crate::Sessions::admin`] to say.
    pub fn verify_admin(
        &self,
        token: &str,
        keys: &KeySet,
        now: Timestamp,
    ) -> Result<VerifiedAdmin, TokenError> {
        self.verifier.verify_admin(token, keys, now)
    }

    /// A fresh token id.
    pub(crate) fn fresh_id(&self) -> TokenId {
        TokenId::generate(self.clock.now(), &*self.random)
    }

    /// An access token of this moment, and the refresh token `refresh`: as long as the signing key is the same, its text
    /// is the same however often it is written.
    pub(crate) async fn pair(
        &self,
        tx: &mut Tx,
        subject: Subject<'_>,
        refresh: Successor,
    ) -> Result<TokenPair, IdentityError> {
        let key = self.keys.current(tx).await?;
        let now = self.clock.now();
        let access = AccessClaims {
            iss: self.issuer.to_string(),
            aud: audience(TokenKind::Access),
            sub: subject.user,
            jti: self.fresh_id(),
            iat: now.timestamp(),
            exp: (now + self.lifetimes.access).timestamp(),
            nbf: None,
            r#type: TokenKind::Access.claim().to_owned(),
            email: subject.email.to_owned(),
            name: subject.name.to_owned(),
            wid: subject.workspace,
            wslug: subject.slug.clone(),
            wrole: subject.role,
            groups: if subject.groups.len() > MAX_GROUPS {
                Vec::new()
            } else {
                subject.groups
            },
            oid: None,
            oslug: None,
            opub: false,
            sid: subject.session,
            rev: Some(subject.revision),
            auth_time: Some(subject.auth_time.timestamp()),
            amr: subject.amr.to_vec(),
        };
        let refresh = RefreshClaims {
            iss: self.issuer.to_string(),
            aud: audience(TokenKind::Refresh),
            sub: subject.user,
            jti: refresh.id,
            iat: refresh.issued_at.timestamp(),
            exp: refresh.expires_at.timestamp(),
            nbf: None,
            r#type: TokenKind::Refresh.claim().to_owned(),
            fid: subject.session,
        };
        Ok(TokenPair {
            access_token: sign(&key, &access)?,
            refresh_token: sign(&key, &refresh)?,
            expires_in: self.lifetimes.access.as_secs(),
        })
    }

    /// A token of AuthZ mode. It says neither address nor name, and no groups: who it is for goes by the ID token.
    pub(crate) async fn authz(
        &self,
        tx: &mut Tx,
        subject: Subject<'_>,
        scope: Scope<'_>,
    ) -> Result<SecretString, IdentityError> {
        let key = self.keys.current(tx).await?;
        let now = self.clock.now();
        let mut actions = scope.actions;
        // With the quotes and the comma of each.
        if actions.iter().map(|action| action.len() + 3).sum::<usize>() > MAX_ACTIONS {
            tracing::warn!(
                user.id = %subject.user, workspace.id = %subject.workspace, service.name = %scope.service,
                "the user may do more than fits into a token, which names no action therefore",
            );
            actions.clear();
        }
        let claims = AuthzClaims {
            iss: self.issuer.to_string(),
            aud: audience(TokenKind::Authz),
            sub: subject.user,
            jti: self.fresh_id(),
            iat: now.timestamp(),
            exp: (now + self.lifetimes.authz).timestamp(),
            nbf: None,
            r#type: TokenKind::Authz.claim().to_owned(),
            idp_sub: scope.idp_subject.to_owned(),
            idp_iss: scope.idp_issuer.map(str::to_owned),
            svc: scope.service.clone(),
            wid: subject.workspace,
            wslug: subject.slug.clone(),
            wrole: subject.role,
            actions,
            oid: None,
            oslug: None,
            opub: false,
            sid: subject.session,
            rev: Some(subject.revision),
        };
        sign(&key, &claims)
    }

    /// The token of an administrator's session.
    pub(crate) async fn admin(
        &self,
        tx: &mut Tx,
        (user, email, name): (UserId, &str, &str),
        session: SessionId,
        auth_time: Timestamp,
        amr: &[String],
    ) -> Result<AdminToken, IdentityError> {
        let key = self.keys.current(tx).await?;
        let now = self.clock.now();
        let claims = AdminClaims {
            iss: self.issuer.to_string(),
            aud: audience(TokenKind::Admin),
            sub: user,
            jti: self.fresh_id(),
            iat: now.timestamp(),
            exp: (now + self.lifetimes.admin).timestamp(),
            nbf: None,
            r#type: TokenKind::Admin.claim().to_owned(),
            email: email.to_owned(),
            name: name.to_owned(),
            admin: true,
            sid: session,
            auth_time: Some(auth_time.timestamp()),
            amr: amr.to_vec(),
        };
        Ok(AdminToken {
            token: sign(&key, &claims)?,
            expires_in: self.lifetimes.admin.as_secs(),
        })
    }
}

fn audience(kind: TokenKind) -> Audience {
    Audience::One(kind.audience(DEFAULT_BRAND))
}

/// The ways of signing in (`amr`) that a provider names, as far as they may be in a token: a few short words.
pub(crate) fn plain_methods(methods: Vec<String>) -> Vec<String> {
    let is_plain = |method: &String| {
        (1..=MAX_METHOD).contains(&method.len())
            && method
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"_-.:+/".contains(&b))
    };
    methods.into_iter().filter(is_plain).take(MAX_METHODS).collect()
}

/// A token that no verifier would look at is not handed out: whoever got it would be locked out, and nobody knew why.
fn sign(key: &TokenKey, claims: &impl Serialize) -> Result<SecretString, IdentityError> {
    let token = key
        .sign(claims)
        .map_err(|error| IdentityError::from(KeysError::Store(StoreError::Other(error.into()))))?;
    let length = token.expose_secret().len();
    if length > MAX_TOKEN_BYTES {
        return Err(IdentityError::TokenTooLong(length));
    }
    Ok(token)
}

#[cfg(test)]
mod tests {
    use sentinel_core::Credential;
    use sentinel_store::on_both_backends;

    use super::*;
    use crate::testing::{ISSUER, LIFETIMES, Services, token_key};

    /// A token of that kind for ten minutes from `now`.
    fn token(kind: TokenKind, now: Timestamp) -> String {
        let id = |number: u32| format!("018f4e7a-0000-7000-8000-{number:012}");
        let claims = serde_json::json!({
            "iss": ISSUER, "aud": audience(kind), "type": kind.claim(), "sub": id(1), "jti": id(2), "sid": id(3),
            "iat": now.timestamp(), "exp": now.timestamp() + 600, "email": "ann@example.com", "name": "Ann",
            "wid": id(4), "wslug": "acme", "wrole": "viewer", "svc": "docs", "idp_sub": "subject-1", "actions": [],
        });
        let token = sign(&token_key(), &claims).expect("signed");
        token.expose_secret().to_owned()
    }

    on_both_backends! {
        async fn a_token_that_was_seen_before_is_still_of_its_kind_time_and_key(store: TestStore) {
            let services = Services::start(store).await;
            let clock: Arc<dyn Clock> = Arc::clone(&services.store.clock) as _;
            let now = clock.now();
            let tokens = Tokens::new(services.keys.clone(), ISSUER, LIFETIMES, clock, Arc::new(sentinel_core::SystemRandom));
            let keys = services.keys.published(&mut services.store.db.read().await.expect("tx")).await.expect("keys");
            let (access, authz) = (token(TokenKind::Access, now), token(TokenKind::Authz, now));
            let is_access = |user: &User| matches!(user.credential, Credential::AccessToken { .. });
            for _ in 0..3 {
                assert!(is_access(&tokens.verify_access(&access, &keys, now).expect("access")));
                assert!(is_access(&tokens.verify_access_or_authz(&access, &keys, now).expect("access")));
                assert!(!is_access(&tokens.verify_access_or_authz(&authz, &keys, now).expect("authz")));
                assert!(!is_access(&tokens.verify_authz(&authz, &keys, now).expect("authz")));
                assert!(tokens.verify_access(&authz, &keys, now).is_err());
                assert!(tokens.verify_authz(&access, &keys, now).is_err());
                let over = now + std::time::Duration::from_mins(10);
                for verify in [Tokens::verify_access, Tokens::verify_access_or_authz] {
                    assert_eq!(verify(&tokens, &access, &keys, over), Err(TokenError::Expired));
                    assert_eq!(verify(&tokens, &access, &KeySet::default(), now), Err(TokenError::UnknownKey));
                }
            }
        }
    }

    #[test]
    fn of_what_a_provider_says_only_a_few_short_words_stay() {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let said = words(&["pwd", "", "a\0b", "otp mfa", "\u{212A}", "urn:x", &"x".repeat(33)]);
        assert_eq!(plain_methods(said), words(&["pwd", "urn:x"]));
        assert_eq!(plain_methods(vec!["pwd".to_owned(); 1000]).len(), 10);
    }

    #[test]
    fn a_token_that_nobody_would_look_at_is_not_made() {
        let key = crate::testing::token_key();
        assert!(sign(&key, &serde_json::json!({ "name": "x".repeat(1_000) })).is_ok());
        let refused = sign(&key, &serde_json::json!({ "name": "x".repeat(8_000) })).expect_err("too long");
        assert!(refused.to_string().contains("more than the 8192"), "{refused}");
    }
}
