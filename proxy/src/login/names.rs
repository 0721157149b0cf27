//! The names of the cookies: all begin with the name of the session cookie, so that none of them reaches a service.

use sentinel_token::sha256;

/// The names of the edge's cookies.
#[derive(Debug)]
pub(super) struct Names {
    /// Of the access token.
    pub(super) session: Box<str>,
    /// Of the refresh token.
    pub(super) refresh: Box<str>,
    pending: Box<str>,
}

impl Names {
    /// Those that go with a session cookie.
    pub(super) fn of(session: &str) -> Self {
        Self {
            session: session.into(),
            refresh: format!("{session}-refresh").into(),
            pending: format!("{session}-login-").into(),
        }
    }

    /// The name of the cookie of the login that `number` stands for.
    pub(super) fn pending(&self, number: &str) -> String {
        format!("{}{number}", self.pending)
    }

    /// Whether a cookie belongs to a login that is under way.
    pub(super) fn is_pending(&self, name: &str) -> bool {
        name.strip_prefix(&*self.pending).is_some_and(is_number)
    }
}

/// The number of the login of `state`: 48 bits of its digest, which say nothing about it.
pub(super) fn number_of(state: &str) -> String {
    sha256(state.as_bytes())
        .iter()
        .take(6)
        .fold(String::with_capacity(12), |mut text, byte| {
            for digit in [byte >> 4, byte & 15] {
                text.extend(char::from_digit(digit.into(), 16));
            }
            text
        })
}

/// Whether a text is such a number.
pub(super) fn is_number(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_login_has_a_name_and_none_is_mistaken_for_another_cookie() {
        let names = Names::of("__Host-sentinel");
        let number = number_of("state");
        assert!(is_number(&number), "{number}");
        assert_ne!(number, number_of("another state"));
        let name = names.pending(&number);
        assert_eq!(name, format!("__Host-sentinel-login-{number}"));
        assert!(names.is_pending(&name));
        for other in [
            "__Host-sentinel",
            "__Host-sentinel-refresh",
            "__Host-sentinel-login-",
            "__Host-sentinel-login-xyz",
            "",
        ] {
            assert!(!names.is_pending(other), "{other}");
        }
    }
}
