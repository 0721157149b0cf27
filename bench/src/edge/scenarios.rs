//! The lines of the table: through which proxy each goes, and what it asks.

use anyhow::Result;
use sentinel_core::{Clock as _, SystemClock};

use super::scripts::{Requests, Shown, get};
use super::world::{Signer, World, document, service_key_text};
use super::{BARE, DIRECT, Plan, Scenario, Series, Through};

/// What everything is asked with.
pub(super) fn scenarios(plan: &Plan, world: &World, signer: &Signer) -> Result<Vec<Scenario>> {
    let scale = plan.scale;
    // Signing takes its time.
    let cold = if plan.measures("jwt_cold") { scale.cold } else { 0 };
    eprintln!("signing {} tokens", scale.requests + cold);
    let now = SystemClock.now();
    let token = |number| signer.token(world.viewer(number), number, now);
    // Documents from all over, so that no two neighbours are in one cache line.
    let far = |number: usize| number * (world.documents() / scale.requests).max(1) % world.documents();
    let warm: Vec<(String, usize)> = (0..scale.requests)
        .map(|number| Ok((token(far(number))?, far(number))))
        .collect::<Result<_>>()?;
    let length = warm.first().map_or(0, |(token, _)| token.len());
    let each = |make: &dyn Fn(&str, &str) -> Box<[u8]>| -> Requests {
        let made = warm.iter().map(|(token, number)| make(token, &document(*number)));
        made.collect()
    };
    let shown = |path: &'static str| {
        move |token: &str, document: &str| get(&format!("{path}{document}"), &Shown::Token(token))
    };
    let cold = (0..cold)
        .map(|number| {
            // Numbers that the warm ones do not have.
            let number = world.documents() + number;
            let path = format!("/articles/{}", document(number));
            Ok(get(&path, &Shown::Token(&token(number)?)))
        })
        .collect::<Result<Requests>>()?;
    let documents = each(&shown("/documents/"));
    let scenario = |name, through, requests: &Requests| Scenario {
        name,
        through,
        requests: Requests::clone(requests),
        series: Series::default(),
    };
    let public = each(&|_, document| get(&format!("/public/{document}"), &Shown::Nothing(length)));
    let service = each(&|_, document| {
        let key = service_key_text();
        get(&format!("/indexer/{document}"), &Shown::ServiceKey(&key, length))
    });
    Ok(vec![
        scenario(DIRECT, Through::Nothing, &documents),
        scenario(BARE, Through::Bare, &documents),
        scenario("bare_mimalloc", Through::BareWithOurAllocator, &documents),
        scenario("public", Through::Edge, &public),
        scenario("jwt_role_warm", Through::Edge, &each(&shown("/articles/"))),
        scenario("jwt_permission_warm", Through::Edge, &documents),
        scenario("service_key", Through::Edge, &service),
        scenario("jwt_cold", Through::FreshEdge, &cold),
        scenario("haproxy_jwt", Through::Haproxy, &documents),
        scenario("nginx_plain", Through::Nginx, &documents),
    ])
}

/// The same request with another signature; `None` if it shows no token.
pub(super) fn spoil(request: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(request).ok()?;
    let (before, rest) = text.split_once("authorization: Bearer ")?;
    let (token, after) = rest.split_once("\r\n")?;
    let (signed, signature) = token.rsplit_once('.')?;
    let signature: String = signature.chars().rev().collect();
    Some(format!("{before}authorization: Bearer {signed}.{signature}\r\n{after}").into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spoiled_request_differs_in_the_signature_only() {
        let request = b"GET / HTTP/1.1\r\nauthorization: Bearer a.b.cd\r\n\r\n";
        let spoiled = spoil(request).expect("a token");
        assert_eq!(spoiled, b"GET / HTTP/1.1\r\nauthorization: Bearer a.b.dc\r\n\r\n");
        assert_eq!(spoil(b"GET / HTTP/1.1\r\n\r\n"), None);
    }
}
