//! The key of an e-mail address: what decides whether two addresses are the same. The one place that says so, because
//! whoever folded an address in another way would take one person's account for another's.
//!
//! Only ASCII has a key. Unicode case folding makes different letters one (the Kelvin sign becomes `k`), and no mail
//! system folds as another does; a domain in another script has its ASCII form, which begins with `xn--` (RFC 5890).

use std::fmt;
use std::str::FromStr;

/// A text that is no e-mail address here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an e-mail address: one in ASCII such as `name@example.com` is expected")]
pub struct InvalidEmail(String);

/// The key of an address: the address in lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EmailKey(String);

/// RFC 5321 §4.5.3.1: the longest local part, and the longest address that fits into a path.
const MAX_LOCAL: usize = 64;
const MAX_ADDRESS: usize = 254;

impl EmailKey {
    /// The key of an address, which is `local@domain` in ASCII: a local part without quotes (RFC 5321 `Dot-string`,
    /// wherever the dots are), and a domain of letters, digits and hyphens.
    ///
    /// # Errors
    /// For everything else; white space around the address is not taken away here.
    pub fn of(address: &str) -> Result<Self, InvalidEmail> {
        let valid = address.len() <= MAX_ADDRESS
            && address
                .split_once('@')
                .is_some_and(|(local, domain)| is_local(local) && is_domain(domain));
        if valid {
            Ok(Self(address.to_ascii_lowercase()))
        } else {
            let shown = address.chars().filter(|c| !c.is_control()).take(64).collect();
            Err(InvalidEmail(shown))
        }
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for EmailKey {
    type Err = InvalidEmail;

    fn from_str(address: &str) -> Result<Self, InvalidEmail> {
        Self::of(address)
    }
}

impl fmt::Display for EmailKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_local(local: &str) -> bool {
    (1..=MAX_LOCAL).contains(&local.len())
        && local
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+/=?^_`{|}~.-".contains(&b))
}

fn is_domain(domain: &str) -> bool {
    domain.split('.').all(|label| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_differ_in_case_are_one() {
        let key = EmailKey::of("Ann.O'Hara+x@Example.COM").expect("address");
        assert_eq!(key.as_str(), "ann.o'hara+x@example.com");
        assert_eq!(
            EmailKey::of(key.as_str()),
            Ok(key.clone()),
            "a key is its own key"
        );
        assert!(EmailKey::of("root@localhost").is_ok());
        assert!(EmailKey::of("anna@xn--bcher-kva.example").is_ok());
    }

    #[test]
    fn letters_that_only_look_alike_have_no_key() {
        // U+212A KELVIN SIGN folds to `k`, U+0130 to `i` with a dot, U+017F to `s` in upper case and back.
        for foreign in [
            "\u{212A}elvin@example.com",
            "root@\u{212A}.example",
            "\u{130}@a.b",
            "ro\u{17F}s@a.b",
            "a@bücher.example",
        ] {
            assert!(EmailKey::of(foreign).is_err(), "{foreign}");
        }
    }

    #[test]
    fn what_mail_systems_read_in_two_ways_has_no_key() {
        for bad in [
            "",
            "ann",
            "@example.com",
            "ann@",
            "ann@a@example.com",
            "\"a@b\"@example.com",
            "ann @example.com",
            " ann@example.com",
            "ann@example.com\n",
            "ann\0@example.com",
            "<ann@example.com>",
            "ann@example.com>",
            "ann\u{200B}@example.com",
            "ann@example..com",
            "ann@example.com.",
            "ann@-a.example",
            "ann@[127.0.0.1]",
            "ann@exa_mple.com",
            "ann,bob@example.com",
            "ann;bob@example.com",
            "ann(x)@example.com",
            "ann\\@example.com",
        ] {
            assert!(EmailKey::of(bad).is_err(), "{bad:?}");
        }
        assert!(EmailKey::of(&format!("{}@a.example", "x".repeat(65))).is_err());
        assert!(EmailKey::of(&format!("a@{}", "x.".repeat(150))).is_err());
    }
}
