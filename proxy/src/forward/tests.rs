use std::sync::Arc;

use std::path::Path;

use http::{HeaderMap, Version};
use sentinel_config::{Environment, parse_edge};
use sentinel_core::principal::{ExternalUser, Service, User};
use sentinel_core::{Credential, Principal, WorkspaceRole};

use super::*;
use crate::decide::decide;
use crate::request::{HeadLimits, Parsed};
use crate::routes::Table;
use crate::testing::{ACME, NOW, OLGA, SESSION, TOKEN, at, facts, id, state};

fn canonical(target: &str) -> CanonicalRequest {
    let mut fields = HeaderMap::new();
    fields.insert(HOST, HeaderValue::from_static("A.example:80"));
    let parsed = Parsed {
        version: Version::HTTP_11,
        method: "GET",
        target: target.as_bytes(),
        authority: None,
        fields: &fields,
    };
    CanonicalRequest::parse(parsed, HeadLimits::default()).expect("canonical")
}

fn permit(request: &CanonicalRequest, principal: Principal) -> Permit {
    let text = "control_plane: { url: http://127.0.0.1:9003, edge_key: some-key }
upstreams: { docs: { url: http://127.0.0.1:9000 } }
routes: [{ match: GET a.example/a, to: docs, public: true }]";
    let config = parse_edge(text, Path::new("edge.yaml"), &Environment::new()).expect("valid");
    let table = Table::compile(&config).expect("no ties");
    let route = table.find(request, &http::HeaderMap::new()).expect("a route");
    decide(
        route,
        &request.target,
        &principal.into(),
        state(facts()).graph(),
        at(NOW),
    )
    .expect("public")
}

fn principal() -> Principal {
    principal_of(user())
}

fn principal_of(user: Arc<User>) -> Principal {
    let service = Service {
        app: id(41),
        name: "indexer".parse().expect("name"),
        expires_at: None,
    };
    Principal::verified(Some(user), Some(Arc::new(service)))
}

fn user() -> Arc<User> {
    Arc::new(User {
        id: id(OLGA),
        email: Some("olga+x@example.com".into()),
        name: Some("Ölga\r\nX-Evil: 1".into()),
        workspace: id(ACME),
        workspace_slug: "acme".parse().expect("slug"),
        role_at_mint: WorkspaceRole::Viewer,
        minted_at: None,
        credential: Credential::AccessToken {
            token: id(TOKEN),
            session: id(SESSION),
            expires_at: at(NOW + 1),
        },
    })
}

fn sent(principal: Principal, client: &[(&'static str, &str)]) -> String {
    sent_with(principal, client, None)
}

fn sent_with(
    principal: Principal,
    client: &[(&'static str, &str)],
    user_fields: Option<&UserFields>,
) -> String {
    let request = canonical("/a?b=c");
    let permit = permit(&request, principal);
    let mut upstream = RequestHeader::build("POST", b"/elsewhere", None).expect("a header");
    for (name, value) in client {
        upstream.append_header(*name, *value).expect("a header");
    }
    let hop = Hop {
        client: Client {
            address: Some([192, 0, 2, 7].into()),
            secure: false,
        },
        id: &RequestId::fixed("r1"),
        session_cookie: cookies::SESSION,
        user_fields,
    };
    write(&permit, &request, hop, &mut upstream).expect("written");
    let mut lines: Vec<String> = upstream
        .headers
        .iter()
        .map(|(name, value)| format!("{name}: {}", value.to_str().expect("ASCII")))
        .collect();
    lines.sort();
    lines.insert(
        0,
        format!(
            "{} {}",
            upstream.method,
            String::from_utf8_lossy(upstream.raw_path())
        ),
    );
    lines.join("\n")
}

#[test]
fn what_is_known_of_a_user_is_written_of_him_alone() {
    let user = user();
    let known = UserFields::of(&user).expect("short");
    let plain = sent(principal_of(Arc::clone(&user)), &[]);
    assert_eq!(sent_with(principal_of(user), &[], Some(&known)), plain);
    let renamed = Arc::new(User {
        name: Some("Olga".into()),
        ..User::clone(&self::user())
    });
    let other = sent_with(principal_of(renamed), &[], Some(&known));
    assert!(other.contains("x-sentinel-name: Olga"), "{other}");
}

#[test]
fn a_long_name_is_told_and_not_kept_and_an_empty_one_is_told_as_it_is() {
    let named = |name: &str| {
        Arc::new(User {
            name: Some(name.to_owned()),
            ..User::clone(&user())
        })
    };
    let long = "o".repeat(2000);
    assert!(UserFields::of(&named(&long)).is_none());
    assert!(sent(principal_of(named(&long)), &[]).contains(&long));
    let empty = named("");
    let known = UserFields::of(&empty).expect("short");
    let told = sent_with(principal_of(empty), &[], Some(&known));
    assert!(told.lines().any(|line| line == "x-sentinel-name: "), "{told}");
}

#[test]
fn what_was_judged_is_what_is_sent_with_who_was_found() {
    insta::assert_snapshot!(sent(principal(), &[("accept", "*/*"), ("authorization", "Bearer t")]), @r"
    GET /a?b=c
    accept: */*
    authorization: Bearer t
    host: a.example:80
    x-forwarded-for: 192.0.2.7
    x-forwarded-host: a.example:80
    x-forwarded-proto: http
    x-request-id: r1
    x-sentinel-email: olga%2Bx%40example.com
    x-sentinel-name: %C3%96lga%0D%0AX-Evil%3A%201
    x-sentinel-service: indexer
    x-sentinel-user-id: 00000000-0000-0000-0000-00000000000b
    x-sentinel-workspace-id: 00000000-0000-0000-0000-000000000001
    x-sentinel-workspace-role: owner
    x-sentinel-workspace-slug: acme
    ");
}

#[test]
fn statements_of_the_client_are_gone() {
    let forged = [
        ("X-Sentinel-User-Id", "forged"),
        ("x-sentinel-user-id", "twice"),
        ("x-sentinel-anything", "forged"),
        ("x-forwarded-for", "203.0.113.9"),
        ("x-forwarded-host", "evil.example"),
        ("forwarded", "for=203.0.113.9"),
        ("x-real-ip", "203.0.113.9"),
        ("remote-user", "admin"),
        ("x-request-id", "forged"),
        ("x-service-key", "sk_secret"),
        ("host", "evil.example"),
    ];
    insta::assert_snapshot!(sent(Principal::default(), &forged), @r"
    GET /a?b=c
    host: a.example:80
    x-forwarded-for: 192.0.2.7
    x-forwarded-host: a.example:80
    x-forwarded-proto: http
    x-request-id: r1
    ");
}

#[test]
fn the_host_that_was_judged_stays_and_no_other_beside_it() {
    for hosts in [
        &[("host", "a.example:80")] as &[_],
        &[("host", "a.example:80"), ("host", "evil.example")],
        &[("host", "A.example:80")],
    ] {
        let text = sent(Principal::default(), hosts);
        assert_eq!(text.matches("\nhost: ").count(), 1, "{text}");
        assert!(
            text.contains("\nhost: a.example:80\n") && text.contains("\nx-forwarded-host: a.example:80\n"),
            "{text}"
        );
    }
}

#[test]
fn addresses_are_written_as_the_standard_library_writes_them() {
    for text in [
        "0.0.0.0",
        "1.20.203.255",
        "9.10.99.100",
        "199.200.249.250",
        "::1",
        "2001:db8::7",
        "::ffff:192.0.2.7",
    ] {
        let address: IpAddr = text.parse().expect("an address");
        let written = address_value(address).expect("written");
        assert_eq!(written, address.to_string().as_str());
    }
}

#[test]
fn spellings_are_forgotten_and_nothing_else() {
    let mut request = RequestHeader::build("GET", b"/a?b=%20c", None).expect("a header");
    for value in ["1", "2"] {
        request.append_header("X-Custom", value).expect("a line");
    }
    assert!(request.has_case());
    forget_spellings(&mut request);
    assert!(!request.has_case());
    assert_eq!(request.raw_path(), b"/a?b=%20c");
    let values: Vec<_> = request.headers.get_all("x-custom").iter().collect();
    assert_eq!(values, ["1", "2"]);
}

#[test]
fn cookie_crumbs_become_one_line() {
    let text = sent(Principal::default(), &[("cookie", "a=1"), ("cookie", "b=2")]);
    assert!(text.contains("\ncookie: a=1; b=2\n"), "{text}");
    assert_eq!(text.matches("cookie:").count(), 1);
}

#[test]
fn the_edges_own_cookies_stay_with_it() {
    let line = "__Host-sentinel=a; a=1; __Host-sentinel-refresh=b; __Host-sentinel-login-1=c";
    let text = sent(
        Principal::default(),
        &[("cookie", line), ("cookie", "b=2; __Host-sentinel-login-2=d")],
    );
    assert!(text.contains("\ncookie: a=1; b=2\n"), "{text}");
    let text = sent(Principal::default(), &[("cookie", "__Host-sentinel=a")]);
    assert!(!text.contains("cookie"), "{text}");
}

#[test]
fn somebody_of_another_issuer_is_named_by_issuer_and_subject() {
    let user = ExternalUser {
        issuer: "partner".into(),
        subject: "auth0|ä\r\nx-sentinel-user-id: 1".into(),
        expires_at: at(NOW + 60),
    };
    let text = sent(
        Principal::external(Arc::new(user), None),
        &[("x-sentinel-issuer", "forged")],
    );
    assert!(text.contains("\nx-sentinel-issuer: partner\n"), "{text}");
    let subject = "\nx-sentinel-subject: auth0%7C%C3%A4%0D%0Ax-sentinel-user-id%3A%201";
    assert!(text.contains(subject), "{text}");
    assert!(
        !text.contains("\nx-sentinel-user-id") && !text.contains("forged"),
        "{text}"
    );
}
