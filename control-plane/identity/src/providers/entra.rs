//! What an ID token of Microsoft Entra ID is worth. `sub` there is another one for every application, and an address in
//! the directory is what some administrator wrote: the person is tenant and object id, and an address counts as verified only
//! if the token says that its domain belongs to the tenant (`xms_edov`). `email_verified`, which Microsoft does not define and
//! which a tenant can map from whatever it likes, says nothing.

use serde_json::Value;
use uuid::Uuid;

use super::ProviderError;
use super::oidc::{self, Claims, address_shaped};
use crate::accounts::{EmailTrust, Identity};

/// The identity that verified claims are of.
pub(super) fn identity(claims: &Claims, tenant: Uuid) -> Result<Identity, ProviderError> {
    let more = claims.additional_claims();
    let is_ours = text(more.tid.as_ref())
        .and_then(|tid| Uuid::try_parse(tid).ok())
        .is_some_and(|tid| tid == tenant);
    if !is_ours {
        return Err(ProviderError::Tenant);
    }
    let object = text(more.oid.as_ref()).ok_or(ProviderError::NoObjectId)?;
    let given = claims.email().map(|email| email.as_str().to_owned());
    let email_trust = match &more.xms_edov {
        // Some tenants send the words and numbers of older tokens.
        Some(Value::Bool(false)) => EmailTrust::Unverified,
        Some(Value::String(word)) if word == "false" || word == "0" => EmailTrust::Unverified,
        Some(Value::Number(number)) if number.as_i64() == Some(0) => EmailTrust::Unverified,
        // The claim is about `email`, and about no other address.
        Some(Value::Bool(true)) if given.is_some() => EmailTrust::Verified,
        _ => EmailTrust::Claimed,
    };
    Ok(Identity {
        subject: format!("{tenant}:{object}"),
        email: given.or_else(|| address_shaped(claims)),
        email_trust,
        name: oidc::text(claims.name()),
        picture: None,
    })
}

/// A claim that is a text, and not an empty one.
fn text(claim: Option<&Value>) -> Option<&str> {
    claim.and_then(Value::as_str).filter(|text| !text.is_empty())
}
