//! What a route does with requests besides deciding about them: what is accepted, and what is said of the rest.

use insta::assert_snapshot;

use crate::support::{Home, with_routes};

#[test]
fn a_route_may_say_all_of_it() {
    let home = Home::new();
    let text = with_routes(
        "
- match: GET h/items/{id:int}/{rest*}
  to: docs
  require: { signed_in: true }
  retries: 0
  max_body: 0B
  rate_limit: { per: principal, requests: 600000, within: 1m }
  cors: { origins: ['https://app.example.com', 'http://localhost:3000'], headers: [authorization, x_tenant], expose: [etag], credentials: true, max_age: 0s }
  rewrite: '/v2/{id}/{rest*}'
  request_headers: { set: { authorization: 'Basic dTpw', x-from: 'the edge' }, remove: [cookie, x-authz-token] }
  response_headers: { set: { cache-control: no-store }, remove: [server] }
  strangers: not_found
  mode: shadow
- { match: GET h/b, to: docs, public: true, cors: { origins: ['*'] }, rewrite: '/', rate_limit: { per: address, requests: 1 } }
",
    );
    home.edge(&text).expect("accepted");
}

/// What a route may not say of its traffic.
const BAD: &[&str] = &[
    "retries: 4",
    "rate_limit: { per: address, requests: 0 }",
    "rate_limit: { per: address, requests: 10001, within: 1s }",
    "rate_limit: { per: address, requests: 1, within: 0s }",
    "rate_limit: { per: address, requests: 1, within: 2d }",
    "rate_limit: { per: user, requests: 1 }",
    "rate_limit: { requests: 1 }",
    "cors: {}",
    "cors: { origins: [] }",
    "cors: { origins: ['*'], credentials: true }",
    "cors: { origins: ['*', 'https://a.example'] }",
    "cors: { origins: ['null'] }",
    "cors: { origins: ['https://a.example/'] }",
    "cors: { origins: ['https://A.example:443'] }",
    "cors: { origins: ['https://*.a.example'] }",
    "cors: { origins: ['a.example'] }",
    "cors: { origins: ['https://a.example'], headers: ['*', X-Tenant], expose: ['x tenant'], max_age: 2d }",
    "rewrite: 'v2/{id}'",
    "rewrite: '/v2/{di}/{id*}'",
    "rewrite: '/v2/{id:int}'",
    "rewrite: '/v2/../{id}'",
    "rewrite: '/v2/{id}?x=1'",
    "request_headers: { set: { host: a.example, x-sentinel-user-id: '1', x-forwarded-for: 'a', x_tenant: a } }",
    "request_headers: { set: { X-Tenant: a, x-authz-token: a } }",
    "request_headers: { set: { x-a: \"a\\r\\nx-b: c\", x-c: \" d\", x-d: \"\u{e9}\" } }",
    "request_headers: { remove: [content-length, connection, X-A, 'a b', x-request-id] }",
    "response_headers: { set: { access-control-allow-origin: '*', transfer-encoding: chunked } }",
    "response_headers: { set: { x-a: b }, remove: [x-a] }",
    "strangers: hidden",
    "mode: off",
];

#[test]
fn every_bad_rule_is_told() {
    let home = Home::new();
    let told: Vec<String> = BAD
        .iter()
        .map(|case| {
            let route =
                format!("- {{ match: 'GET h/{{id}}', to: docs, require: {{ signed_in: true }}, {case} }}");
            let told = home.told(home.edge(&with_routes(&route)));
            format!("{case}\n    {}", told.replace('\n', "\n    "))
        })
        .collect();
    assert_snapshot!(told.join("\n"), @r#"
    retries: 4
        edge.yaml:4:75: routes[0].retries: `4` is out of bounds: 0 to 3 is accepted
    rate_limit: { per: address, requests: 0 }
        edge.yaml:4:104: routes[0].rate_limit.requests: with `0` nobody could ever pass: allow at least one request
    rate_limit: { per: address, requests: 10001, within: 1s }
        edge.yaml:4:104: routes[0].rate_limit.requests: this is more than 10000 requests a second: allow fewer, or leave `rate_limit` out
    rate_limit: { per: address, requests: 1, within: 0s }
        edge.yaml:4:115: routes[0].rate_limit.within: `0ms` is out of bounds: 1s to 1d is accepted
    rate_limit: { per: address, requests: 1, within: 2d }
        edge.yaml:4:115: routes[0].rate_limit.within: `2d` is out of bounds: 1s to 1d is accepted
    rate_limit: { per: user, requests: 1 }
        edge.yaml:4:85: routes[0].rate_limit.per: `user` is not accepted: one of `principal`, `address` is expected
    rate_limit: { requests: 1 }
        edge.yaml:4:78: routes[0].rate_limit.per: `per` is missing: it has no default
    cors: {}
        edge.yaml:4:72: routes[0].cors.origins: `origins` is missing: it has no default
    cors: { origins: [] }
        edge.yaml:4:83: routes[0].cors.origins: without an origin no page may use the route: name one, or remove `cors`
    cors: { origins: ['*'], credentials: true }
        edge.yaml:4:84: routes[0].cors.origins[0]: `*` together with `credentials: true` would let every page act for whoever looks at it: name the origins, or remove `credentials`
    cors: { origins: ['*', 'https://a.example'] }
        edge.yaml:4:84: routes[0].cors.origins[0]: `*` is every origin: keep it alone, or name the origins that are meant
    cors: { origins: ['null'] }
        edge.yaml:4:84: routes[0].cors.origins[0]: `null` is not an origin: `null` is sent by every page that hides where it comes from
    cors: { origins: ['https://a.example/'] }
        edge.yaml:4:84: routes[0].cors.origins[0]: `https://a.example/` is not an origin: browsers write `https://a.example`
    cors: { origins: ['https://A.example:443'] }
        edge.yaml:4:84: routes[0].cors.origins[0]: `https://A.example:443` is not an origin: browsers write `https://a.example`
    cors: { origins: ['https://*.a.example'] }
        edge.yaml:4:84: routes[0].cors.origins[0]: `https://*.a.example` is not an origin: there are no patterns, only every origin by `*` alone: name each one
    cors: { origins: ['a.example'] }
        edge.yaml:4:84: routes[0].cors.origins[0]: `a.example` is not an origin: `http://` or `https://`, a host and perhaps a port is expected
    cors: { origins: ['https://a.example'], headers: ['*', X-Tenant], expose: ['x tenant'], max_age: 2d }
        edge.yaml:4:116: routes[0].cors.headers[0]: `*` is not the name of a header field: one in lower case such as `x-tenant` is expected, and there is no `*`
        edge.yaml:4:121: routes[0].cors.headers[1]: `X-Tenant` is not the name of a header field: one in lower case such as `x-tenant` is expected, and there is no `*`
        edge.yaml:4:141: routes[0].cors.expose[0]: `x tenant` is not the name of a header field: one in lower case such as `x-tenant` is expected, and there is no `*`
        edge.yaml:4:163: routes[0].cors.max_age: `2d` is out of bounds: 0ms to 1d is accepted
    rewrite: 'v2/{id}'
        edge.yaml:4:75: routes[0].rewrite: a path is expected: it begins with `/`, as in `/v2/items/{id}`
    rewrite: '/v2/{di}/{id*}'
        edge.yaml:4:75: routes[0].rewrite: the path `/{id}` has no parameter `{di}`: name one that it has
        edge.yaml:4:75: routes[0].rewrite: the path `/{id}` has no parameter `{id*}`: name one that it has
    rewrite: '/v2/{id:int}'
        edge.yaml:4:75: routes[0].rewrite: what may stand for `id` is said in `match`: write `{id}` here
    rewrite: '/v2/../{id}'
        edge.yaml:4:75: routes[0].rewrite: `..` cannot stand in a path: dot segments are refused in requests as well
    rewrite: '/v2/{id}?x=1'
        edge.yaml:4:75: routes[0].rewrite: `{id}?x=1` cannot stand in a path: a parameter takes a whole segment, as in `/documents/{doc_id}`
    request_headers: { set: { host: a.example, x-sentinel-user-id: '1', x-forwarded-for: 'a', x_tenant: a } }
        edge.yaml:4:98: routes[0].request_headers.set.host: `host` frames the message, belongs to the connection, or is the edge's to write: leave it out
        edge.yaml:4:129: routes[0].request_headers.set.x-sentinel-user-id: `x-sentinel-user-id` frames the message, belongs to the connection, or is the edge's to write: leave it out
        edge.yaml:4:151: routes[0].request_headers.set.x-forwarded-for: `x-forwarded-for` frames the message, belongs to the connection, or is the edge's to write: leave it out
        edge.yaml:4:166: routes[0].request_headers.set.x_tenant: this is not the name of a header field that can be changed: one of `a-z 0-9 -` such as `x-tenant` is expected
    request_headers: { set: { X-Tenant: a, x-authz-token: a } }
        edge.yaml:4:92: routes[0].request_headers.set.X-Tenant: `X-Tenant` is not a name: 1 to 63 characters from `a-z 0-9 _ -`, the first a letter
    request_headers: { set: { x-a: "a\r\nx-b: c", x-c: " d", x-d: "é" } }
        edge.yaml:4:97: routes[0].request_headers.set.x-a: no header field can have this value: visible ASCII characters are expected, and spaces between them
        edge.yaml:4:117: routes[0].request_headers.set.x-c: no header field can have this value: visible ASCII characters are expected, and spaces between them
        edge.yaml:4:128: routes[0].request_headers.set.x-d: no header field can have this value: visible ASCII characters are expected, and spaces between them
    request_headers: { remove: [content-length, connection, X-A, 'a b', x-request-id] }
        edge.yaml:4:94: routes[0].request_headers.remove[0]: `content-length` frames the message, belongs to the connection, or is the edge's to write: leave it out
        edge.yaml:4:110: routes[0].request_headers.remove[1]: `connection` frames the message, belongs to the connection, or is the edge's to write: leave it out
        edge.yaml:4:122: routes[0].request_headers.remove[2]: this is not the name of a header field that can be changed: one of `a-z 0-9 -` such as `x-tenant` is expected
        edge.yaml:4:127: routes[0].request_headers.remove[3]: this is not the name of a header field that can be changed: one of `a-z 0-9 -` such as `x-tenant` is expected
        edge.yaml:4:134: routes[0].request_headers.remove[4]: `x-request-id` frames the message, belongs to the connection, or is the edge's to write: leave it out
    response_headers: { set: { access-control-allow-origin: '*', transfer-encoding: chunked } }
        edge.yaml:4:122: routes[0].response_headers.set.access-control-allow-origin: `access-control-allow-origin` is not changed by hand: use `cors`
        edge.yaml:4:146: routes[0].response_headers.set.transfer-encoding: `transfer-encoding` frames the message, belongs to the connection, or is the edge's to write: leave it out
    response_headers: { set: { x-a: b }, remove: [x-a] }
        edge.yaml:4:112: routes[0].response_headers.remove[0]: `x-a` is set as well, and that takes away what was there: keep one of the two
    strangers: hidden
        edge.yaml:4:77: routes[0].strangers: `hidden` is not accepted: one of `forbidden`, `not_found` is expected
    mode: off
        edge.yaml:4:72: routes[0].mode: `off` is not accepted: one of `enforce`, `shadow` is expected
    "#);
    let public = "- { match: GET h/a, to: docs, public: true, rate_limit: { per: principal, requests: 1 } }";
    assert_snapshot!(home.told(home.edge(&with_routes(public))), @"
    edge.yaml:4:64: routes[0].rate_limit.per: a public route knows no caller to count for: use `per: address`, or replace `public` with `require`
    ");
}
