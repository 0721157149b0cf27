//! What the connections ask: the same head everywhere, of a browser's size, with a token or as many bytes that are none.

use std::sync::Arc;

use anyhow::{Result, ensure};

use crate::load::Script;
use crate::upstream::BODY;

/// Requests that are sent in turn.
pub(super) type Requests = Arc<[Box<[u8]>]>;

/// A credential, as a header line.
pub(super) enum Shown<'a> {
    Token(&'a str),
    /// No credential of ours: as many bytes as with a token of this length, in the cookie of some application.
    Nothing(usize),
    /// A service key, and such a cookie for the rest.
    ServiceKey(&'a str, usize),
}

/// The bytes of a GET request as a browser sends it, about 600 without the credential.
pub(super) fn get(path: &str, shown: &Shown<'_>) -> Box<[u8]> {
    let with_token = |token: usize| "authorization: Bearer \r\n".len() + token;
    let cookie = |size: usize| {
        let length = size.saturating_sub("cookie: app=\r\n".len());
        let filler: String = "0123456789abcdef".chars().cycle().take(length).collect();
        format!("cookie: app={filler}\r\n")
    };
    let credential = match shown {
        Shown::Token(token) => format!("authorization: Bearer {token}\r\n"),
        Shown::Nothing(token) => cookie(with_token(*token)),
        Shown::ServiceKey(key, token) => {
            let key = format!("x-service-key: {key}\r\n");
            let rest = cookie(with_token(*token).saturating_sub(key.len()));
            key + &rest
        }
    };
    format!(
        "GET {path} HTTP/1.1\r\n\
         host: docs.example\r\n\
         user-agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36\r\n\
         accept: application/json, text/plain, */*\r\n\
         accept-encoding: gzip, deflate, br, zstd\r\n\
         accept-language: en-GB,en;q=0.9,de;q=0.8\r\n\
         sec-ch-ua: \"Chromium\";v=\"142\", \"Not;A=Brand\";v=\"24\"\r\n\
         sec-ch-ua-mobile: ?0\r\n\
         sec-ch-ua-platform: \"Linux\"\r\n\
         sec-fetch-dest: empty\r\n\
         sec-fetch-mode: cors\r\n\
         sec-fetch-site: same-origin\r\n\
         referer: http://docs.example/\r\n\
         {credential}\r\n"
    )
    .into_bytes()
    .into()
}

/// The same requests over and over again, or each once.
#[derive(Debug)]
pub(super) struct Turns {
    requests: Requests,
    next: usize,
    step: usize,
    once: bool,
}

impl Turns {
    /// Those for connection `number` of `connections`: every so manyeth.
    pub(super) fn new(requests: &Requests, number: usize, connections: usize, once: bool) -> Self {
        Self {
            requests: Arc::clone(requests),
            next: number,
            step: connections,
            once,
        }
    }
}

impl Script for Turns {
    fn request(&mut self) -> &[u8] {
        let at = self.next.checked_rem(self.requests.len()).unwrap_or_default();
        self.next += self.step;
        self.requests.get(at).map(AsRef::as_ref).unwrap_or_default()
    }

    fn answer(&mut self, body: &[u8]) -> Result<()> {
        ensure!(body == BODY.as_bytes(), "the answer is not the service's");
        Ok(())
    }

    fn is_over(&self) -> bool {
        self.once && self.next >= self.requests.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_of_one_size_whatever_is_shown() {
        let token = "t".repeat(1000);
        let sizes = [
            Shown::Token(&token),
            Shown::Nothing(token.len()),
            Shown::ServiceKey("sk_1", token.len()),
        ]
        .map(|shown| get("/", &shown).len());
        assert!(sizes[0] == sizes[1] && sizes[0] == sizes[2], "{sizes:?}");
        assert!((1500..1700).contains(&sizes[0]), "{sizes:?}");
    }

    #[test]
    fn connections_share_the_requests_and_each_is_sent_once() {
        let requests: Requests = ["a", "b", "c", "d", "e"]
            .map(|text| text.as_bytes().into())
            .into();
        let sent = |number, count| {
            let mut turns = Turns::new(&requests, number, 2, count == 0);
            let mut sent = String::new();
            while !turns.is_over() && (count == 0 || sent.len() < count) {
                sent.push_str(str::from_utf8(turns.request()).expect("text"));
            }
            sent
        };
        assert_eq!((sent(0, 0), sent(1, 0)), ("ace".to_owned(), "bd".to_owned()));
        assert_eq!(sent(1, 5), "bdace");
    }
}
