//! Where a browser is brought back to after signing in: a path of the very host that it comes from, in the spelling that
//! requests must have, and nothing else. It is never another origin.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::request::Target;

/// The longest target that is kept; browsers keep cookies of 4 KiB, and several logins may be under way.
const LONGEST: usize = 1536;

/// A local path, perhaps with a query.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct ReturnTo(String);

impl ReturnTo {
    /// The target of a request; without its query, or without its path, if it is too long.
    pub(super) fn of(target: &Target) -> Self {
        let whole = target.raw();
        let kept = [whole, target.path()]
            .into_iter()
            .find(|text| text.len() <= LONGEST);
        Self(kept.unwrap_or("/").to_owned())
    }

    /// What somebody wrote into a link, if it is a target that a request to this host could have and that is not one of the
    /// edge's own pages under `own`.
    pub(super) fn parse(text: &str, own: &str) -> Option<Self> {
        let target = Target::parse(text.as_bytes()).ok()?;
        (text.len() <= LONGEST && !is_under(target.path(), own)).then(|| Self(text.to_owned()))
    }

    /// The target.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for ReturnTo {
    fn default() -> Self {
        Self("/".to_owned())
    }
}

impl fmt::Display for ReturnTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether `path` is `own` or lies under it, by whole segments.
pub(super) fn is_under(path: &str, own: &str) -> bool {
    path.strip_prefix(own)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Option<ReturnTo> {
        ReturnTo::parse(text, "/.sentinel")
    }

    #[test]
    fn a_path_of_this_host_is_kept_byte_for_byte() {
        for good in [
            "/",
            "/documents/1?view=all&next=https://evil.example",
            "/caf%C3%A9",
            "/.sentinels",
            "/a/",
        ] {
            assert_eq!(parse(good).as_ref().map(ReturnTo::as_str), Some(good));
        }
    }

    #[test]
    fn nothing_leads_to_another_origin_or_to_the_edges_own_pages() {
        for bad in [
            "",
            "a",
            "//evil.example",
            "//evil.example/..",
            "/\\evil.example",
            "\\\\evil.example",
            "/%5cevil.example",
            "/%2f%2fevil.example",
            "/%09/evil.example",
            "/\t/evil.example",
            "/\n/evil.example",
            "https://evil.example",
            "https:evil.example",
            "javascript:alert(1)",
            "/a/../../evil",
            "/./",
            "/..//evil.example",
            "/;@evil.example",
            "/a#b",
            "/a?b\r\nSet-Cookie: x=y",
            "/.sentinel",
            "/.sentinel/login",
            "/.sentinel/logout?a=b",
            "/ä",
        ] {
            assert_eq!(parse(bad), None, "`{bad}`");
        }
        assert_eq!(parse(&format!("/{}", "a".repeat(LONGEST))), None);
    }

    #[test]
    fn a_long_target_loses_its_query_first() {
        let of = |text: &str| ReturnTo::of(&Target::parse(text.as_bytes()).expect("canonical")).to_string();
        assert_eq!(of("/a?b=c"), "/a?b=c");
        assert_eq!(of(&format!("/a?{}", "b".repeat(LONGEST))), "/a");
        assert_eq!(of(&format!("/{}?c", "b".repeat(LONGEST))), "/");
    }
}
