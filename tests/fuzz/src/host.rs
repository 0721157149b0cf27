//! `Host`: what is let through is a name or an address and perhaps a port, and reading it again changes nothing.

use http::uri::Authority;

pub(crate) fn check(input: &[u8]) {
    let Ok((request, _)) = crate::canonical("GET", input, b"/") else {
        return;
    };
    let (authority, name) = (request.host.authority(), request.host.name());
    assert!(
        authority.as_bytes().eq_ignore_ascii_case(input),
        "it was repaired"
    );
    assert!(!authority.bytes().any(|b| b.is_ascii_uppercase()));
    let again = crate::canonical("GET", authority.as_bytes(), b"/")
        .expect("accepted once, accepted again")
        .0;
    assert_eq!(again.host, request.host);
    let of_name = crate::canonical("GET", name.as_bytes(), b"/")
        .expect("a name is a host")
        .0;
    assert_eq!(of_name.host.authority(), name);

    assert!(authority.starts_with(name));
    let port = authority.strip_prefix(name).unwrap_or_default();
    assert!(
        port.is_empty()
            || port
                .strip_prefix(':')
                .is_some_and(|port| port.parse::<u16>().is_ok())
    );
    let other: Authority = authority.parse().expect("an authority for others as well");
    assert_eq!((other.host(), other.as_str()), (name, authority));
    assert!(!name.contains(['/', '@', '?', '#', ' ', ',']) && !name.ends_with('.') && !name.contains(".."));
}
