//! What environment variables override, and what they do not.

use insta::assert_snapshot;
use secrecy::ExposeSecret as _;
use sentinel_config::{ConfigErrors, LogLevel, control_plane, edge, parse_control_plane, parse_edge};

use crate::support::{Home, env};

const EDGE: &str = "control_plane: { url: https://auth.example.com, edge_key: from-file }\n";

const LOGIN: &str = "
login:
  providers:
    - { name: demo, issuer: https://a.example.com, client_id: a, client_secret: from-file }
    - { name: entra-id, issuer: https://b.example.com, client_id: b, client_secret_file: gone.secret }
";

fn edge<const N: usize>(
    home: &Home,
    text: &str,
    variables: [(&str, &str); N],
) -> Result<edge::Config, ConfigErrors> {
    parse_edge(text, &home.path().join("edge.yaml"), &env(variables))
}

fn plane<const N: usize>(
    home: &Home,
    text: &str,
    variables: [(&str, &str); N],
) -> Result<control_plane::Config, ConfigErrors> {
    parse_control_plane(text, &home.path().join("control-plane.yaml"), &env(variables))
}

#[test]
fn a_variable_goes_before_the_file() {
    let home = Home::new();
    let config = edge(
        &home,
        "control_plane: { url: https://auth.example.com, edge_key_file: gone.key }\nlog: { level: warn }",
        [
            ("SENTINEL__CONTROL_PLANE__EDGE_KEY", "from-environment"),
            ("SENTINEL__LISTEN__HTTP", "127.0.0.1:1"),
            ("SENTINEL__LOG__LEVEL", "debug"),
            ("SENTINEL_OTHER", "not ours"),
            ("PATH", "/bin"),
        ],
    )
    .expect("accepted");
    assert_eq!(config.control_plane.edge_key.expose_secret(), "from-environment");
    assert_eq!(config.listen.http.port(), 1);
    assert_eq!(config.log.level, LogLevel::Debug);
}

#[test]
fn a_secret_of_the_environment_may_be_in_a_file_too() {
    let home = Home::new();
    home.secret("env.key", "from-the-named-file\n");
    let config = edge(
        &home,
        EDGE,
        [("SENTINEL__CONTROL_PLANE__EDGE_KEY_FILE", "env.key")],
    )
    .expect("accepted");
    assert_eq!(
        config.control_plane.edge_key.expose_secret(),
        "from-the-named-file"
    );
}

#[test]
fn sections_that_the_file_does_not_have_are_made() {
    let home = Home::new();
    let variables = [
        ("SENTINEL__DATABASE__URL", "postgres://u:p@h/d"),
        ("SENTINEL__DATABASE__MAX_CONNECTIONS", "25"),
        (
            "SENTINEL__SECRETS__ENCRYPTION_KEY",
            "abababababababababababababababababababababababababababababababab",
        ),
        ("SENTINEL__SHORT_LIVED__REDIS_URL", "redis://h"),
        ("SENTINEL__DATA_DIR", "data"),
    ];
    let config = plane(&home, "", variables).expect("accepted");
    assert_eq!(config.database_url().expose_secret(), "postgres://u:p@h/d");
    assert_eq!(config.database.max_connections, 25);
    assert_eq!(config.data_dir, home.path().join("data"));
    assert!(
        matches!(config.encryption_key(), control_plane::EncryptionKey::Given(key) if key.expose_secret() == [0xAB; 32])
    );
}

#[test]
fn a_provider_is_named_in_upper_case() {
    let home = Home::new();
    let variables = [
        ("SENTINEL__LOGIN__PROVIDERS__DEMO__CLIENT_SECRET", "one"),
        ("SENTINEL__LOGIN__PROVIDERS__ENTRA_ID__CLIENT_SECRET", "two"),
    ];
    let config = plane(&home, LOGIN, variables).expect("accepted");
    let secrets: Vec<&str> = config
        .login
        .providers
        .iter()
        .filter_map(|provider| Some(provider.client_secret.as_ref()?.expose_secret()))
        .collect();
    assert_eq!(secrets, ["one", "two"]);
}

#[test]
fn a_provider_without_a_name_is_called_like_its_kind() {
    let home = Home::new();
    let text = "login: { providers: [{ kind: entra_id, client_id: a, tenant_id: 8f14e45f-ceea-467f-a5a1-0e3d6ad0b7c2 }, { kind: github, client_id: b }] }";
    let variables = [("SENTINEL__LOGIN__PROVIDERS__GITHUB__CLIENT_SECRET", "one")];
    let config = plane(&home, text, variables).expect("accepted");
    let secret = config.login.providers[1].client_secret.as_ref();
    assert_eq!(secret.map(secrecy::ExposeSecret::expose_secret), Some("one"));
}

#[test]
fn what_cannot_be_overridden_is_told() {
    let home = Home::new();
    let told = home.told(edge(
        &home,
        EDGE,
        [
            ("SENTINEL__ROUTES", "[]"),
            ("SENTINEL__CONTROL_PLANE__DANGER_PLAINTEXT", "true"),
            ("SENTINEL__CONTROL_PLANE__EDGE_KEY", "a"),
            ("SENTINEL__CONTROL_PLANE__EDGE_KEY_FILE", "b"),
            ("SENTINEL__LISTEN__ADMIN", "nowhere"),
            ("SENTINEL__log__level", "info"),
        ],
    ));
    assert_snapshot!(told, @"
    environment variable SENTINEL__CONTROL_PLANE__DANGER_PLAINTEXT: there is no such override: there are `SENTINEL__LISTEN__HTTP`, `SENTINEL__LISTEN__HTTPS`, `SENTINEL__LISTEN__ADMIN`, `SENTINEL__CONTROL_PLANE__URL`, `SENTINEL__CONTROL_PLANE__ISSUER`, `SENTINEL__CONTROL_PLANE__EDGE_KEY[_FILE]`, `SENTINEL__STATE_DIR`, `SENTINEL__LOG__FORMAT`, `SENTINEL__LOG__LEVEL`
    environment variable SENTINEL__CONTROL_PLANE__EDGE_KEY_FILE: control_plane.edge_key_file: both `edge_key` and `edge_key_file` are written: keep one
    environment variable SENTINEL__LISTEN__ADMIN: listen.admin: `nowhere` is not an address to listen on: an IP address and a port such as `127.0.0.1:9003` or `[::1]:9003` is expected
    environment variable SENTINEL__ROUTES: there is no such override: there are `SENTINEL__LISTEN__HTTP`, `SENTINEL__LISTEN__HTTPS`, `SENTINEL__LISTEN__ADMIN`, `SENTINEL__CONTROL_PLANE__URL`, `SENTINEL__CONTROL_PLANE__ISSUER`, `SENTINEL__CONTROL_PLANE__EDGE_KEY[_FILE]`, `SENTINEL__STATE_DIR`, `SENTINEL__LOG__FORMAT`, `SENTINEL__LOG__LEVEL`
    environment variable SENTINEL__log__level: there is no such override: there are `SENTINEL__LISTEN__HTTP`, `SENTINEL__LISTEN__HTTPS`, `SENTINEL__LISTEN__ADMIN`, `SENTINEL__CONTROL_PLANE__URL`, `SENTINEL__CONTROL_PLANE__ISSUER`, `SENTINEL__CONTROL_PLANE__EDGE_KEY[_FILE]`, `SENTINEL__STATE_DIR`, `SENTINEL__LOG__FORMAT`, `SENTINEL__LOG__LEVEL`
    ");
    let told = home.told(plane(
        &home,
        LOGIN,
        [
            ("SENTINEL__LOGIN__PROVIDERS__NOBODY__CLIENT_SECRET", "x"),
            ("SENTINEL__DATABASE__MAX_CONNECTIONS", "many"),
            ("SENTINEL__LOG__LEVEL", ""),
        ],
    ));
    assert_snapshot!(told, @"
    environment variable SENTINEL__DATABASE__MAX_CONNECTIONS: database.max_connections: a whole number from 0 to 4294967295 is expected
    environment variable SENTINEL__LOGIN__PROVIDERS__NOBODY__CLIENT_SECRET: `login.providers` in the file has no item whose name is `NOBODY` when written in upper case with `_` for `-`
    environment variable SENTINEL__LOG__LEVEL: log.level: `` is not accepted: one of `error`, `warn`, `info`, `debug`, `trace` is expected
    control-plane.yaml:5:90: login.providers[1].client_secret_file: `gone.secret` cannot be read: No such file or directory (os error 2)
    ");
    let told = home.told(plane(
        &home,
        "",
        [("SENTINEL__LOGIN__PROVIDERS__DEMO__CLIENT_SECRET", "x")],
    ));
    assert_snapshot!(told, @"environment variable SENTINEL__LOGIN__PROVIDERS__DEMO__CLIENT_SECRET: `login.providers` in the file has no item whose name is `DEMO` when written in upper case with `_` for `-`");
}

#[test]
fn a_variable_does_not_hide_a_section_of_the_wrong_kind() {
    let home = Home::new();
    let told = home.told(plane(
        &home,
        "database: 5",
        [("SENTINEL__DATABASE__URL", "postgres://h/d")],
    ));
    assert_snapshot!(told, @"control-plane.yaml:1:11: database: a section with settings is expected, not a number");
}
