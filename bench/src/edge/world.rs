//! The data that is asked about, the same in the measuring process and in the edge without being sent: who there is and
//! what he may see follows from numbers. Only the key that signs tokens is made anew for each run.

use std::path::Path;

use anyhow::{Context as _, Result};
use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey};
use sentinel_authz::sentinel::{self, Grantee, ShareLevel};
use sentinel_core::fact::{ServiceKeyFact, SigningKeyFact};
use sentinel_core::id::{GroupId, ServiceAppId, UserId, WorkspaceId};
use sentinel_core::name::{ResourceType, ServiceName};
use sentinel_core::{Fact, Timestamp, Tuple, WorkspaceRole};
use sentinel_token::{PlainServiceKey, PublicJwk};
use serde_json::json;
use uuid::Uuid;

pub(super) const ISSUER: &str = "http://127.0.0.1:9003";
/// The service whose key is shown.
pub(super) const INDEXER: &str = "indexer";
/// The public key within the shared directory, as a JWK and as PEM.
const JWK: &str = "jwk.json";
pub(super) const PEM: &str = "jwk.pem";

/// Members of one workspace, and of one group of it.
const MEMBERS: usize = 100;
const GROUP: usize = 10;
/// Tuples about one document.
const ABOUT_DOCUMENT: usize = 3;
/// How many seconds a token counts: longer than any run.
const LIFETIME: i64 = 24 * 3600;

/// The public key and the number of tuples.
#[derive(Debug)]
pub(super) struct World {
    jwk: PublicJwk,
    tuples: usize,
}

/// What signs tokens.
pub(super) struct Signer {
    private: EncodingKey,
    kid: String,
}

impl World {
    /// Makes a key and writes its public half to `dir`.
    pub(super) fn make(dir: &Path, tuples: usize) -> Result<(Self, Signer)> {
        let pair = KeyPair::generate(KeySize::Rsa2048).context("no key can be made")?;
        let public = pair.public_key();
        let jwk = PublicJwk::from_components(
            public.modulus().big_endian_without_leading_zero(),
            public.exponent().big_endian_without_leading_zero(),
        )?;
        let private: aws_lc_rs::encoding::Pkcs8V1Der<'_> = pair.as_der().context("no PKCS#8")?;
        let private = EncodingKey::from_rsa_pem(pem("PRIVATE KEY", private.as_ref()).as_bytes())
            .context("the new key is none")?;
        let spki: aws_lc_rs::encoding::PublicKeyX509Der<'_> = public.as_der().context("no SPKI")?;
        std::fs::write(dir.join(JWK), jwk.to_json()).context("the key cannot be written")?;
        std::fs::write(dir.join(PEM), pem("PUBLIC KEY", spki.as_ref()))
            .context("the key cannot be written")?;
        let kid = jwk.kid().to_owned();
        Ok((Self { jwk, tuples }, Signer { private, kid }))
    }

    /// What [`World::make`] wrote.
    pub(super) fn read(dir: &Path, tuples: usize) -> Result<Self> {
        let text = std::fs::read_to_string(dir.join(JWK)).context("the key cannot be read")?;
        let jwk = PublicJwk::parse(&text)?;
        Ok(Self { jwk, tuples })
    }

    /// How many workspaces there are: a tenth of the tuples is about who belongs to them.
    fn workspaces(&self) -> usize {
        (self.tuples / 10 / (MEMBERS * 2)).max(1)
    }

    /// How many people.
    pub(super) fn people(&self) -> usize {
        self.workspaces() * MEMBERS
    }

    /// How many documents.
    pub(super) fn documents(&self) -> usize {
        let about_people = self.people() * 2 + self.people() / GROUP;
        self.tuples.saturating_sub(about_people) / ABOUT_DOCUMENT
    }

    /// Somebody who may see the document: its owner, or one of those that it is shared with.
    pub(super) fn viewer(&self, document: usize) -> usize {
        let owner = self.owner(document);
        match document % 6 {
            0..3 => owner,
            _ => Self::neighbour(owner),
        }
    }

    /// The workspace of a person.
    pub(super) fn workspace_of(person: usize) -> WorkspaceId {
        id(Kind::Workspace, person / MEMBERS).into()
    }

    fn owner(&self, document: usize) -> usize {
        usize::try_from(scatter(Kind::Owner, document)).unwrap_or_default() % self.people()
    }

    /// Another member of the same workspace and the same group.
    fn neighbour(person: usize) -> usize {
        person / GROUP * GROUP + (person + 1) % GROUP
    }

    /// Everything that the edge knows.
    pub(super) fn facts(&self) -> Result<Vec<Fact>> {
        let (service, kind): (ServiceName, ResourceType) = ("docs".parse()?, "document".parse()?);
        let mut tuples: Vec<Tuple> = Vec::with_capacity(self.tuples);
        for person in 0..self.people() {
            let role = if person % 2 == 0 {
                WorkspaceRole::Viewer
            } else {
                WorkspaceRole::Editor
            };
            let (workspace, group) = (Self::workspace_of(person), group_of(person));
            tuples.push(sentinel::membership(workspace, user(person), role));
            tuples.push(sentinel::group_member(group, user(person)));
            if person % GROUP == 0 {
                tuples.push(sentinel::group_in_workspace(group, workspace));
            }
        }
        for number in 0..self.documents() {
            let (owner, document) = (self.owner(number), document(number));
            let for_all = number % 3 == 0;
            tuples.extend(sentinel::resource_tuples(
                &service,
                &kind,
                &document,
                Self::workspace_of(owner),
                for_all,
                Some(user(owner)),
            )?);
            let grantee = match number % 3 {
                1 => Some(Grantee::User(user(Self::neighbour(owner)))),
                2 => Some(Grantee::Group(group_of(owner))),
                _ => None,
            };
            if let Some(grantee) = grantee {
                tuples.push(sentinel::share(
                    &service,
                    &kind,
                    &document,
                    grantee,
                    ShareLevel::View,
                )?);
            }
        }
        let mut facts: Vec<Fact> = tuples.into_iter().map(Fact::Tuple).collect();
        facts.push(Fact::SigningKey(SigningKeyFact {
            kid: self.jwk.kid().to_owned(),
            jwk: self.jwk.to_json(),
            position: 0,
        }));
        facts.push(Fact::ServiceKey(ServiceKeyFact {
            digest: *service_key()?.digest().as_bytes(),
            app: ServiceAppId::from(Uuid::from_u128(1)),
            service: INDEXER.parse()?,
            expires_at: None,
        }));
        Ok(facts)
    }
}

impl Signer {
    /// The access token of a person, the `number`th of his: what the control plane issues, with a few groups in it.
    pub(super) fn token(&self, person: usize, number: usize, now: Timestamp) -> Result<String> {
        let text = |kind| id(kind, number).to_string();
        let groups: Vec<String> = (0..3)
            .map(|more| id(Kind::Group, person + more).to_string())
            .collect();
        let claims = json!({
            "iss": ISSUER, "aud": "sentinel:access", "sub": user(person).to_string(), "jti": text(Kind::Token),
            "iat": now.timestamp(), "exp": now.timestamp() + LIFETIME, "type": "access",
            "email": format!("person-{person}@example.com"), "name": format!("Person {person}"),
            "wid": World::workspace_of(person).to_string(), "wslug": "acme", "wrole": "viewer", "groups": groups,
            "sid": text(Kind::Session),
        });
        let header = json!({"alg": "RS256", "kid": self.kid, "typ": "JWT"}).to_string();
        let message = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header),
            URL_SAFE_NO_PAD.encode(claims.to_string())
        );
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &self.private, Algorithm::RS256)
            .context("a token cannot be signed")?;
        Ok(format!("{message}.{signature}"))
    }
}

/// The key of the service.
pub(super) fn service_key() -> Result<PlainServiceKey> {
    Ok(service_key_text().parse()?)
}

/// The same as it is shown.
pub(super) fn service_key_text() -> String {
    format!("sk_{}", "A".repeat(43))
}

/// The id of a document, as it stands in paths.
pub(super) fn document(number: usize) -> String {
    id(Kind::Document, number).to_string()
}

fn user(number: usize) -> UserId {
    id(Kind::User, number).into()
}

fn group_of(person: usize) -> GroupId {
    id(Kind::Group, person / GROUP).into()
}

/// What has numbers.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Workspace = 1,
    User,
    Group,
    Document,
    Owner,
    Token,
    Session,
}

/// An id that is as far from its neighbours as a random one.
fn id(kind: Kind, number: usize) -> Uuid {
    Uuid::from_u64_pair(scatter(kind, number), scatter(kind, !number))
}

/// `SplitMix64` (Steele, Lea and Flood 2014).
fn scatter(kind: Kind, number: usize) -> u64 {
    let number = u64::try_from(number).unwrap_or(u64::MAX);
    let mut word = number
        .wrapping_add((kind as u64) << 56)
        .wrapping_mul(0x9e37_79b9_7f4a_7c15);
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

fn pem(kind: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = text
        .as_bytes()
        .chunks(64)
        .filter_map(|line| str::from_utf8(line).ok())
        .collect();
    format!(
        "-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n",
        lines.join("\n")
    )
}

#[cfg(test)]
mod tests {
    use sentinel_authz::sentinel::{Permission, may};
    use sentinel_core::Revision;
    use sentinel_feed::ReplicaState;

    use super::*;

    #[test]
    fn whoever_is_said_to_see_a_document_may() {
        let dir = tempfile::tempdir().expect("directory");
        let (world, _) = World::make(dir.path(), 2000).expect("a world");
        let world = World::read(dir.path(), world.tuples).expect("the same");
        let facts = world.facts().expect("valid");
        assert!((1990..=2002).contains(&facts.len()), "{}", facts.len());
        let state = ReplicaState::from_snapshot(Revision { epoch: 1, number: 1 }, facts).expect("consistent");
        let (service, kind) = ("docs".parse().expect("name"), "document".parse().expect("type"));
        for number in 0..world.documents() {
            let person = world.viewer(number);
            let allowed = may(
                state.graph(),
                World::workspace_of(person),
                user(person),
                &service,
                &kind,
                &document(number),
                Permission::View,
            );
            assert!(allowed.expect("decidable"), "document {number}");
        }
    }
}
