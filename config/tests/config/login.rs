//! How people behind browsers are signed in: what is accepted, and what is said of the rest.

use insta::assert_snapshot;

use crate::support::Home;

const ID: &str = "0190a0a0-0000-7000-8000-000000000001";
const KEY: &str = "a secret of at least 32 characters";

/// An edge with this `login` section and these routes.
fn edge(login: &str, routes: &str) -> String {
    format!(
        "control_plane: {{ url: http://127.0.0.1:9003, edge_key: k }}
upstreams: {{ docs: {{ url: http://127.0.0.1:9000 }} }}
{login}
routes:
{routes}"
    )
}

fn login(rest: &str) -> String {
    format!("login: {{ client_id: {ID}, cookie_key: {KEY}{rest} }}")
}

const PAGE: &str =
    "- { match: GET h/page, to: docs, require: { signed_in: true }, cookie: true, login: true }\n";

#[test]
fn a_client_app_and_a_secret_are_enough() {
    let home = Home::new();
    let config = home.edge(&edge(&login(""), PAGE)).expect("accepted");
    let login = config.login.expect("there");
    assert_eq!(
        (login.path.as_str(), login.after_logout.as_str()),
        ("/.sentinel", "/")
    );
    assert_eq!(login.patience.as_secs(), 600);
    assert_eq!((login.provider, login.workspace), (None, None));
}

#[test]
fn every_bad_setting_of_a_login_is_told() {
    let home = Home::new();
    let cases = [
        "login: {}".to_owned(),
        format!("login: {{ client_id: docs, cookie_key: {KEY} }}"),
        format!("login: {{ client_id: {ID}, cookie_key: too-short }}"),
        login(", path: /"),
        login(", path: /.sentinel/"),
        login(", path: '/{any}'"),
        login(", path: /a//b"),
        login(", after_logout: //evil.example"),
        login(", after_logout: 'http://bye.example'"),
        login(", patience: 1s"),
        login(", provider: Google!"),
        login(", workspace: 'A C M E'"),
        login("") + "\nsession_cookie: sid",
    ];
    let told: Vec<String> = cases
        .iter()
        .map(|case| home.told(home.edge(&edge(case, PAGE))))
        .collect();
    assert_snapshot!(told.join("\n"), @r"
    edge.yaml:3:8: login.client_id: `client_id` is missing: it has no default
    edge.yaml:3:8: login.cookie_key: `cookie_key` or `cookie_key_file` is missing
    edge.yaml:3:21: login.client_id: the id of a client app is expected, such as `0190a0a0-0000-7000-8000-000000000001`: the control plane's admin panel shows it
    edge.yaml:3:71: login.cookie_key: the secret is too short: at least 32 characters are expected, for example from `openssl rand -base64 32`
    edge.yaml:3:113: login.path: `/` is not a path for the edge's own pages: one such as `/.sentinel` is expected, without parameters and without a slash at its end
    edge.yaml:3:113: login.path: `/.sentinel/` is not a path for the edge's own pages: one such as `/.sentinel` is expected, without parameters and without a slash at its end
    edge.yaml:3:113: login.path: `/{any}` is not a path for the edge's own pages: one such as `/.sentinel` is expected, without parameters and without a slash at its end
    edge.yaml:3:113: login.path: `/a//b` is not a path for the edge's own pages: one such as `/.sentinel` is expected, without parameters and without a slash at its end
    edge.yaml:3:121: login.after_logout: a path that begins with one `/`, or a URL that begins with `https://` is expected
    edge.yaml:3:121: login.after_logout: a path that begins with one `/`, or a URL that begins with `https://` is expected
    edge.yaml:3:117: login.patience: `1s` is out of bounds: 1m to 1h is accepted
    edge.yaml:3:117: login.provider: `Google!` is not the name of a provider: 1 to 63 characters from `a-z 0-9 _ -`, the first a letter
    edge.yaml:3:118: login.workspace: `A C M E` is not a slug: 2 to 100 characters from `a-z 0-9 -`, not beginning or ending with `-`
    edge.yaml:4:17: session_cookie: the edge's `login` sets this cookie, and without `__Host-` at the beginning of its name a neighbouring host could set another one in its place: begin the name with `__Host-`
    ");
}

#[test]
fn a_route_where_people_sign_in_says_so_in_full() {
    let home = Home::new();
    let route = |settings: &str| {
        format!("- {{ match: GET h/page, to: docs, require: {{ signed_in: true }}, {settings} }}\n")
    };
    let told = [
        home.told(home.edge(&edge("", &route("cookie: true, login: true")))),
        home.told(home.edge(&edge(&login(""), &route("login: true")))),
        home.told(home.edge(&edge(&login(""), &PAGE.replace("GET", "POST")))),
    ];
    assert_snapshot!(told.join("\n"), @r"
    edge.yaml:5:85: routes[0].login: there is no `login` section that says how people are signed in: write one beside `routes`, or remove the line
    edge.yaml:5:71: routes[0].login: a browser that is signed in brings a cookie, which this route does not take: add `cookie: true`
    edge.yaml:5:86: routes[0].login: only a page that is looked at can be left for the login and come back to: `login: true` goes with `GET` and `HEAD`
    ");
    assert!(home.edge(&edge(&login(""), &PAGE.replace("GET", "HEAD"))).is_ok());
}

#[test]
fn no_route_lies_where_the_edge_answers_by_itself() {
    let home = Home::new();
    let route = |path: &str| format!("- {{ match: 'GET h{path}', to: docs, public: true }}\n");
    let told = [
        home.told(home.edge(&edge(&login(""), &route("/.sentinel")))),
        home.told(home.edge(&edge(&login(""), &route("/.sentinel/callback")))),
        home.told(home.edge(&edge(&login(", path: /auth"), &route("/auth/{any}")))),
    ];
    assert_snapshot!(told.join("\n"), @r"
    edge.yaml:5:12: routes[0].match: what lies under `/.sentinel` is answered by the edge itself (`login.path`): choose another path
    edge.yaml:5:12: routes[0].match: what lies under `/.sentinel` is answered by the edge itself (`login.path`): choose another path
    edge.yaml:5:12: routes[0].match: what lies under `/auth` is answered by the edge itself (`login.path`): choose another path
    ");
    for path in ["/.sentinels", "/auth/{any}", "/{any}", "/"] {
        assert!(home.edge(&edge(&login(""), &route(path))).is_ok(), "{path}");
    }
    assert!(
        home.edge(&edge("", &route("/.sentinel/callback"))).is_ok(),
        "nothing is kept without a login"
    );
}
