//! Who may log in, and how.

use schemars::{Schema, SchemaGenerator, json_schema};
use sentinel_core::EmailKey;

use super::PLAINTEXT;
use super::provider::Provider;
use crate::environment::upper;
use crate::section::{Place, Reader, Section, Setting, section};
use crate::value::HttpUrl;

section! {
    /// Who may log in, and how.
    check check;
    pub struct Login {
        /// The identity providers that people log in with. Without any nobody can log in.
        pub providers: Vec<Provider> = "[]",
        /// E-mail addresses of people who become administrators when they log in. What counts is the address that the
        /// provider vouched for when the account was made, not what it says later; every configured provider is trusted
        /// to vouch for addresses of people who have no account yet. Whoever an administrator has demoted stays
        /// demoted, until `admin grant` or another administrator promotes him.
        pub admin_emails: Vec<AdminEmail> = "[]",
        /// The address of the admin panel, where an administrator's login ends.
        ///
        /// Default: `/admin` under `public_url`.
        pub(crate) admin_url: Option<HttpUrl>,
        /// Answer `GET /auth/workspaces?code=`, which older clients use. Newer ones send the code by POST together
        /// with the PKCE verifier, which proves more.
        pub allow_workspaces_by_get: bool = "true",
    }
}

/// An administrator's e-mail address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminEmail(EmailKey);

impl AdminEmail {
    /// The address, in lower case.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl Setting for AdminEmail {
    fn read(place: &Place<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let text = String::read(place, reader)?;
        let key = EmailKey::of(&text).ok();
        if key.is_none() {
            reader.problem(
                place,
                "this is not an e-mail address: one in ASCII such as `admin@example.com` is expected",
            );
        }
        key.map(Self)
    }

    fn describe(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "email" })
    }
}

impl Login {
    /// The address of the admin panel, if it is not the one below `public_url`.
    pub fn admin_url(&self) -> Option<&HttpUrl> {
        self.admin_url.as_ref()
    }

    /// Addresses that carry credentials are encrypted or on this machine.
    pub(super) fn check_addresses(
        &self,
        danger_plaintext: bool,
        root: &Section<'_>,
        reader: &mut Reader<'_>,
    ) {
        if danger_plaintext {
            return;
        }
        let is_clear = |url: &HttpUrl| !url.is_https() && !url.is_loopback();
        let login = root.place_of("login");
        if self.admin_url.as_ref().is_some_and(is_clear) {
            reader.problem(&login.child("admin_url"), PLAINTEXT);
        }
        let providers = login.child("providers");
        for (index, provider) in self.providers.iter().enumerate() {
            if let Some(place) = providers.nth(index) {
                provider.check_addresses(&place, reader);
            }
        }
    }
}

fn check(login: &Login, section: &Section<'_>, reader: &mut Reader<'_>) {
    let providers = section.place_of("providers");
    for (index, provider) in login.providers.iter().enumerate() {
        let taken = login
            .providers
            .iter()
            .take(index)
            .any(|other| upper(&other.name) == upper(&provider.name));
        if taken && let Some(place) = providers.nth(index).map(|place| place.child("name")) {
            reader.problem(
                &place,
                format!(
                    "another provider is called `{}` (`-` and `_` count as the same): give each its own name",
                    provider.name
                ),
            );
        }
    }
}
