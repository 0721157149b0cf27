//! What the claims of an OpenID provider are worth (OpenID Connect Core 1.0 §5.1), and the types that the library needs to
//! read those that it does not know.

use std::ops::Deref;

use openidconnect::core::{
    CoreAuthDisplay, CoreAuthPrompt, CoreErrorResponseType, CoreGenderClaim, CoreJsonWebKey,
    CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm, CoreRevocableToken,
    CoreRevocationErrorResponse, CoreTokenType,
};
use openidconnect::{
    AdditionalClaims, EmptyExtraTokenFields, EndpointMaybeSet, EndpointNotSet, EndpointSet, IdTokenClaims,
    IdTokenFields, LocalizedClaim, StandardErrorResponse, StandardTokenIntrospectionResponse,
    StandardTokenResponse, UserInfoClaims,
};
use sentinel_access::text::Email;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::accounts::{EmailTrust, Identity};

/// Claims of whatever type they are: those of Microsoft's may mean anything elsewhere, and must not spoil a token.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
pub(in crate::providers) struct More {
    /// Before when the token is not good, in seconds since 1970 (RFC 7519 §4.1.5).
    #[serde(
        default,
        deserialize_with = "even_null",
        skip_serializing_if = "Option::is_none"
    )]
    pub(super) nbf: Option<Value>,
    /// The tenant.
    #[serde(default)]
    pub(in crate::providers) tid: Option<Value>,
    /// The person's id in the tenant.
    #[serde(default)]
    pub(in crate::providers) oid: Option<Value>,
    /// Whether the domain of `email` was proved to be the tenant's.
    #[serde(default)]
    pub(in crate::providers) xms_edov: Option<Value>,
    /// The name that the person signs in with.
    #[serde(default)]
    pub(in crate::providers) upn: Option<Value>,
}

impl AdditionalClaims for More {}

pub(in crate::providers) type Claims = IdTokenClaims<More, CoreGenderClaim>;

pub(super) type Info = UserInfoClaims<More, CoreGenderClaim>;

pub(super) type Token =
    openidconnect::IdToken<More, CoreGenderClaim, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm>;

pub(super) type Client = openidconnect::Client<
    More,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    StandardErrorResponse<CoreErrorResponseType>,
    StandardTokenResponse<
        IdTokenFields<
            More,
            EmptyExtraTokenFields,
            CoreGenderClaim,
            CoreJweContentEncryptionAlgorithm,
            CoreJwsSigningAlgorithm,
        >,
        CoreTokenType,
    >,
    StandardTokenIntrospectionResponse<EmptyExtraTokenFields, CoreTokenType>,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// The identity that verified claims are of, as far as `email` says.
pub(super) fn identity(claims: &Claims) -> Identity {
    Identity {
        subject: claims.subject().as_str().to_owned(),
        email: claims.email().map(|email| email.as_str().to_owned()),
        email_trust: trust(claims.email_verified()),
        name: text(claims.name()),
        picture: text(claims.picture()),
    }
}

/// Adds the profile that a provider leaves to the user-info endpoint (OpenID Connect Core §5.4).
pub(super) fn complete(identity: &mut Identity, info: &Info) {
    identity.email = info.email().map(|email| email.as_str().to_owned());
    identity.email_trust = trust(info.email_verified());
    if identity.name.is_none() {
        identity.name = text(info.name());
    }
    if identity.picture.is_none() {
        identity.picture = text(info.picture());
    }
}

/// For want of `email`, the name that the person signs in with, if it looks like an address. `email_verified` is not about
/// it: with that claim an account may have it, and it decides nothing.
pub(super) fn fall_back(identity: &mut Identity, claims: &Claims) {
    if identity.email.is_none() {
        identity.email = address_shaped(claims);
        identity.email_trust = match claims.email_verified() {
            Some(true) => EmailTrust::Claimed,
            _ => EmailTrust::Unverified,
        };
    }
}

/// The name that the person signs in with, if it looks like an address.
pub(in crate::providers) fn address_shaped(claims: &Claims) -> Option<String> {
    let preferred = claims.preferred_username().map(|name| name.as_str());
    let upn = claims.additional_claims().upn.as_ref().and_then(Value::as_str);
    [preferred, upn]
        .into_iter()
        .flatten()
        .find(|name| name.parse::<Email>().is_ok())
        .map(str::to_owned)
}

/// A claim in no particular language.
pub(in crate::providers) fn text<T: Deref<Target = String>>(
    claim: Option<&LocalizedClaim<T>>,
) -> Option<String> {
    Some(claim?.get(None)?.to_string())
}

/// A claim that is there, be it `null`, which serde would take for one that is not.
fn even_null<'de, D: Deserializer<'de>>(claim: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(claim).map(Some)
}

fn trust(verified: Option<bool>) -> EmailTrust {
    if verified == Some(true) {
        EmailTrust::Verified
    } else {
        EmailTrust::Unverified
    }
}
