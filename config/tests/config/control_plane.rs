//! The control plane's settings: defaults, and what is said of bad ones.

use std::time::Duration;

use insta::assert_snapshot;
use secrecy::ExposeSecret as _;
use sentinel_config::control_plane::{EncryptionKey, ProviderEndpoint};

use crate::support::Home;

#[test]
fn an_empty_file_works_on_one_machine() {
    let home = Home::new();
    let config = home.control_plane("").expect("every setting has a default");
    let data = home.path().join("sentinel-data");
    assert_eq!(config.public_url(), "http://127.0.0.1:9003");
    assert_eq!(
        config.database_url().expose_secret(),
        format!("sqlite://{}/sentinel.db", data.display())
    );
    assert!(
        matches!(config.encryption_key(), EncryptionKey::KeptIn(file) if file == data.join("encryption.key"))
    );
    assert_eq!(config.tokens.access_ttl, Duration::from_mins(15));
    assert!(config.short_lived.redis_url.is_none() && config.login.providers.is_empty());
    assert!(!config.danger_plaintext && !config.danger_world_readable_secrets);
}

#[test]
fn the_issuer_has_one_spelling() {
    let home = Home::new();
    let issuer = |text: &str| home.control_plane(text).expect(text).public_url();
    assert_eq!(
        issuer("public_url: https://Auth.Example.com:443/"),
        "https://auth.example.com"
    );
    assert_eq!(
        issuer("public_url: https://example.com/auth/"),
        "https://example.com/auth"
    );
    assert_eq!(issuer("listen: { http: '127.0.0.1:80' }"), "http://127.0.0.1");
    assert_eq!(issuer("listen: { http: '[::1]:9003' }"), "http://[::1]:9003");
}

#[test]
fn proxies_are_trusted_by_address_and_by_network() {
    let home = Home::new();
    assert!(
        home.control_plane("")
            .expect("accepted")
            .trusted_proxies
            .is_empty()
    );
    let config = home
        .control_plane("trusted_proxies: [10.0.0.7, 192.0.2.0/24, '2001:db8::/32', '::ffff:198.51.100.1']")
        .expect("accepted");
    let shown: Vec<String> = config.trusted_proxies.iter().map(ToString::to_string).collect();
    assert_eq!(
        shown,
        ["10.0.0.7/32", "192.0.2.0/24", "2001:db8::/32", "198.51.100.1/32"]
    );
}

#[test]
fn limits_have_defaults_and_bounds() {
    let home = Home::new();
    let limits = home.control_plane("").expect("accepted").limits;
    assert_eq!(
        (limits.page_resolves_per_minute, limits.writes_per_minute),
        (60, 1200)
    );
    let most = "limits: { page_resolves_per_minute: 100000, writes_per_minute: 100000 }";
    assert!(home.control_plane(most).is_ok());
}

#[test]
fn encryption_keys_are_32_bytes_in_two_spellings() {
    let home = Home::new();
    let hex = "0f".repeat(32);
    let base64 = format!("{}8", "Dw8P".repeat(10) + "Dw");
    for key in [hex, base64] {
        let config = home
            .control_plane(&format!("secrets: {{ encryption_key: '{key}' }}"))
            .expect("accepted");
        assert!(
            matches!(config.encryption_key(), EncryptionKey::Given(bytes) if bytes.expose_secret() == [0x0F; 32]),
            "{key}"
        );
    }
    for bad in [
        "",
        "abc",
        &"0g".repeat(32),
        &"+1".repeat(32),
        &"é".repeat(32),
        &"A".repeat(44),
        &"_".repeat(43),
    ] {
        assert!(
            home.control_plane(&format!("secrets: {{ encryption_key: '{bad}' }}"))
                .is_err(),
            "`{bad}`"
        );
    }
}

/// Each configuration, and what is said of it.
fn table(cases: &[&str]) -> String {
    let home = Home::new();
    let row = |case: &&str| {
        format!(
            "{case}\n    {}",
            home.told(home.control_plane(case)).replace('\n', "\n    ")
        )
    };
    cases.iter().map(row).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_bad_setting_is_told() {
    let cases = [
        "lisen: {}",
        "listen: { http: 127.0.0.1 }",
        "listen: { http: 'localhost:9003' }",
        "listen: { http: '127.0.0.1:1', admin: '127.0.0.1:1' }",
        "listen: { http: '0.0.0.0:9003' }",
        "listen: { http: '127.0.0.1:0' }",
        "public_url: http://auth.example.com",
        "public_url: auth.example.com",
        "public_url: https://auth.example.com/?a",
        "danger_plaintext: yes",
        "trusted_proxies: 10.0.0.7",
        "trusted_proxies: [10.0.0.7, 10.0.0.0/33, proxy.internal, 0.0.0.0/0, 7]",
        "data_dir: ''",
        "log: { level: loud }",
        "log: { level: true }",
        "log: { level: info, level: warn }",
        "log:",
        "log: info",
    ];
    assert_snapshot!(table(&cases), @"
    lisen: {}
        control-plane.yaml:1:1: lisen: `lisen` is not a setting here: did you mean `listen`?
    listen: { http: 127.0.0.1 }
        control-plane.yaml:1:17: listen.http: `127.0.0.1` is not an address to listen on: an IP address and a port such as `127.0.0.1:9003` or `[::1]:9003` is expected
    listen: { http: 'localhost:9003' }
        control-plane.yaml:1:17: listen.http: `localhost:9003` is not an address to listen on: an IP address and a port such as `127.0.0.1:9003` or `[::1]:9003` is expected
    listen: { http: '127.0.0.1:1', admin: '127.0.0.1:1' }
        control-plane.yaml:1:39: listen.admin: `http` and `admin` are the same address: take two ports
    listen: { http: '0.0.0.0:9003' }
        control-plane.yaml:1:1: public_url: `public_url` is missing: it has a default only while `listen.http` is a loopback address with a port
    listen: { http: '127.0.0.1:0' }
        control-plane.yaml:1:1: public_url: `public_url` is missing: it has a default only while `listen.http` is a loopback address with a port
    public_url: http://auth.example.com
        control-plane.yaml:1:13: public_url: `http://` is accepted for this machine only: use `https://`, or set `danger_plaintext: true` to send tokens in clear text
    public_url: auth.example.com
        control-plane.yaml:1:13: public_url: this is not a URL: one such as `https://auth.example.com` is expected
    public_url: https://auth.example.com/?a
        control-plane.yaml:1:13: public_url: the URL may not contain `?` or `#`: remove them and what follows
    danger_plaintext: yes
        control-plane.yaml:1:19: danger_plaintext: `true` or `false` is expected, not a text
    trusted_proxies: 10.0.0.7
        control-plane.yaml:1:18: trusted_proxies: a list is expected, not a text
    trusted_proxies: [10.0.0.7, 10.0.0.0/33, proxy.internal, 0.0.0.0/0, 7]
        control-plane.yaml:1:29: trusted_proxies[1]: `10.0.0.0/33` is not a network: an IP address such as `10.0.0.7` or `2001:db8::7`, or one with the length of its prefix such as `10.0.0.0/8` is expected
        control-plane.yaml:1:42: trusted_proxies[2]: `proxy.internal` is not a network: an IP address such as `10.0.0.7` or `2001:db8::7`, or one with the length of its prefix such as `10.0.0.0/8` is expected
        control-plane.yaml:1:58: trusted_proxies[3]: `0.0.0.0/0` is every address there is: name those that are meant
        control-plane.yaml:1:69: trusted_proxies[4]: a text is expected, not a number: put it in quotes
    data_dir: ''
        control-plane.yaml:1:11: data_dir: the text is empty: fill it in or remove the line
    log: { level: loud }
        control-plane.yaml:1:15: log.level: `loud` is not accepted: one of `error`, `warn`, `info`, `debug`, `trace` is expected
    log: { level: true }
        control-plane.yaml:1:15: log.level: one of `error`, `warn`, `info`, `debug`, `trace` is expected
    log: { level: info, level: warn }
        control-plane.yaml:1:21: log.level: the key is written twice, first on line 1: keep one
    log:
        control-plane.yaml:1:4: log: a section with settings is expected, and nothing is written: fill it in or remove the line
    log: info
        control-plane.yaml:1:6: log: a section with settings is expected, not a text
    ");
}

#[test]
fn every_bad_bound_is_told() {
    let cases = [
        "database: { url: 'sqlite::memory:' }",
        "database: { url: 'sqlite://relative.db' }",
        "database: { url: 'postgres://h/d' }",
        "database: { max_connections: 0 }",
        "database: { max_connections: ten }",
        "database: { max_connections: -1 }",
        "database: { max_connections: 1.5 }",
        "short_lived: { redis_url: 'memory' }",
        "secrets: { encryption_key: 'short' }",
        "tokens: { access_ttl: 15 }",
        "tokens: { access_ttl: 15min }",
        "tokens: { access_ttl: 2d }",
        "tokens: { refresh_ttl: 40d }",
        "tokens: { access_ttl: 10m, refresh_ttl: 5m }",
        "change_log: { keep: 1s }",
        "limits: { max_body: 10MB }",
        "limits: { logins_per_minute: 0 }",
        "limits: { resolves_per_minute: 0 }",
        "limits: { page_resolves_per_minute: 0 }",
        "limits: { writes_per_minute: 100001 }",
    ];
    assert_snapshot!(table(&cases), @"
    database: { url: 'sqlite::memory:' }
        control-plane.yaml:1:18: database.url: a database URL begins with `postgres://`, or is `sqlite://` and the full path of a file, as in `sqlite:///var/lib/sentinel/sentinel.db`
    database: { url: 'sqlite://relative.db' }
        control-plane.yaml:1:18: database.url: a database URL begins with `postgres://`, or is `sqlite://` and the full path of a file, as in `sqlite:///var/lib/sentinel/sentinel.db`
    database: { url: 'postgres://h/d' }
        control-plane.yaml:1:1: secrets.encryption_key: `encryption_key` or `encryption_key_file` is missing: with PostgreSQL all control planes share it; `openssl rand -hex 32` makes one
    database: { max_connections: 0 }
        control-plane.yaml:1:30: database.max_connections: `0` is out of bounds: 1 to 1000 is accepted
    database: { max_connections: ten }
        control-plane.yaml:1:30: database.max_connections: a whole number from 0 to 4294967295 is expected
    database: { max_connections: -1 }
        control-plane.yaml:1:30: database.max_connections: a whole number from 0 to 4294967295 is expected
    database: { max_connections: 1.5 }
        control-plane.yaml:1:30: database.max_connections: a whole number from 0 to 4294967295 is expected
    short_lived: { redis_url: 'memory' }
        control-plane.yaml:1:27: short_lived.redis_url: a Redis URL begins with `redis://` or `rediss://`
    secrets: { encryption_key: 'short' }
        control-plane.yaml:1:28: secrets.encryption_key: the key is not 32 bytes in base64url (43 characters) or hex (64 characters): `openssl rand -hex 32` makes one
    tokens: { access_ttl: 15 }
        control-plane.yaml:1:23: tokens.access_ttl: a number without a unit: a duration with its unit is expected, such as `250ms`, `30s`, `15m`, `24h` or `7d`
    tokens: { access_ttl: 15min }
        control-plane.yaml:1:23: tokens.access_ttl: `15min` is not a duration: a duration with its unit is expected, such as `250ms`, `30s`, `15m`, `24h` or `7d`
    tokens: { access_ttl: 2d }
        control-plane.yaml:1:23: tokens.access_ttl: `2d` is out of bounds: 1m to 1h is accepted
    tokens: { refresh_ttl: 40d }
        control-plane.yaml:1:24: tokens.refresh_ttl: a refresh token may not outlive the session: make it at most `session_ttl`
    tokens: { access_ttl: 10m, refresh_ttl: 5m }
        control-plane.yaml:1:23: tokens.access_ttl: an access token may not outlive the refresh token: make it at most `refresh_ttl`
    change_log: { keep: 1s }
        control-plane.yaml:1:21: change_log.keep: `1s` is out of bounds: 1m to 365d is accepted
    limits: { max_body: 10MB }
        control-plane.yaml:1:21: limits.max_body: `10MB` is not a size: a whole number with its unit is expected, such as `512B`, `64KiB` or `10MiB`
    limits: { logins_per_minute: 0 }
        control-plane.yaml:1:30: limits.logins_per_minute: `0` is out of bounds: 1 to 100000 is accepted
    limits: { resolves_per_minute: 0 }
        control-plane.yaml:1:32: limits.resolves_per_minute: `0` is out of bounds: 1 to 1000000 is accepted
    limits: { page_resolves_per_minute: 0 }
        control-plane.yaml:1:37: limits.page_resolves_per_minute: `0` is out of bounds: 1 to 100000 is accepted
    limits: { writes_per_minute: 100001 }
        control-plane.yaml:1:30: limits.writes_per_minute: `100001` is out of bounds: 1 to 100000 is accepted
    ");
}

#[test]
fn every_bad_login_is_told() {
    let cases = [
        "login: { admin_emails: ada@example.com }",
        "login: { admin_emails: [ada, 'a b@c', 7] }",
        "login: { admin_url: 'http://admin.example.com' }",
        "login: { providers: [{ name: demo }] }",
        "login: { providers: [{ name: Demo, issuer: 'https://a.example.com', client_id: a }] }",
        "login: { providers: [{ name: demo, issuer: 'http://a.example.com', client_id: a }] }",
        "login: { providers: [{ name: demo, issuer: 'https://a.example.com', client_id: a, kind: saml }] }",
        "login: { providers: [{ name: demo, issuer: 'https://a.example.com', client_id: a, scopes: [email] }] }",
        "login: { providers: [{ name: demo, issuer: 'https://a.example.com', client_id: a }, { name: demo, issuer: 'https://a.example.com', client_id: a }] }",
        "login: { providers: [{ name: demo, issuer: 'https://a.example.com', client_id: a, client_secret: a, client_secret_file: b }] }",
        "login: { providers: [{ kind: google, issuer: 'https://a.example.com', client_id: a, scopes: [email] }] }",
        "login: { providers: [{ kind: github }] }",
        "login: { providers: [{ kind: github, client_id: a, client_secret: b, tenant_id: c, scopes: [repo] }] }",
        "login: { providers: [{ kind: github, client_id: a, client_secret: b, url: 'http://ghe.example.com' }] }",
        "login: { providers: [{ kind: github, client_id: a, client_secret: b, api_url: 'https://ghe.example.com' }] }",
        "login: { providers: [{ kind: github, client_id: a, client_secret: b, url: 'http://ghe.example.com', api_url: 'http://ghe.example.com' }] }",
        "login: { providers: [{ kind: entra_id, client_id: a }] }",
        "login: { providers: [{ kind: entra_id, client_id: a, tenant_id: common }] }",
        "login: { providers: [{ kind: entra_id, client_id: a, tenant_id: organizations }] }",
        "login: { providers: [{ kind: entra_id, client_id: a, tenant_id: 9188040D-6c67-4c5b-b112-36a304b66dad }] }",
        "login: { providers: [{ kind: entra_id, client_id: a, tenant_id: example.com, url: 'https://a.example.com' }] }",
        "login: { providers: [{ kind: google, client_id: a }, { kind: google, client_id: b }] }",
    ];
    assert_snapshot!(table(&cases), @"
    login: { admin_emails: ada@example.com }
        control-plane.yaml:1:24: login.admin_emails: a list is expected, not a text
    login: { admin_emails: [ada, 'a b@c', 7] }
        control-plane.yaml:1:25: login.admin_emails[0]: this is not an e-mail address: one in ASCII such as `admin@example.com` is expected
        control-plane.yaml:1:30: login.admin_emails[1]: this is not an e-mail address: one in ASCII such as `admin@example.com` is expected
        control-plane.yaml:1:39: login.admin_emails[2]: a text is expected, not a number: put it in quotes
    login: { admin_url: 'http://admin.example.com' }
        control-plane.yaml:1:21: login.admin_url: `http://` is accepted for this machine only: use `https://`, or set `danger_plaintext: true` to send tokens in clear text
    login: { providers: [{ name: demo }] }
        control-plane.yaml:1:22: login.providers[0].issuer: `issuer` is missing: it has no default
        control-plane.yaml:1:22: login.providers[0].client_id: `client_id` is missing: it has no default
    login: { providers: [{ name: Demo, issuer: 'https://a.example.com', client_id: a }] }
        control-plane.yaml:1:30: login.providers[0].name: `Demo` is not a name: 1 to 63 characters from `a-z 0-9 _ -`, the first a letter
    login: { providers: [{ name: demo, issuer: 'http://a.example.com', client_id: a }] }
        control-plane.yaml:1:44: login.providers[0].issuer: `http://` is accepted for this machine only: use `https://`, or set `danger_plaintext: true` to send tokens in clear text
    login: { providers: [{ name: demo, issuer: 'https://a.example.com', client_id: a, kind: saml }] }
        control-plane.yaml:1:89: login.providers[0].kind: `saml` is not accepted: one of `oidc`, `google`, `entra_id`, `github` is expected
    login: { providers: [{ name: demo, issuer: 'https://a.example.com', client_id: a, scopes: [email] }] }
        control-plane.yaml:1:91: login.providers[0].scopes: `openid` is missing: without it the provider says nothing about who logged in
    login: { providers: [{ name: demo, issuer: 'https://a.example.com', client_id: a }, { name: demo, issuer: 'https://a.example.com', client_id: a }] }
        control-plane.yaml:1:93: login.providers[1].name: another provider is called `demo` (`-` and `_` count as the same): give each its own name
    login: { providers: [{ name: demo, issuer: 'https://a.example.com', client_id: a, client_secret: a, client_secret_file: b }] }
        control-plane.yaml:1:121: login.providers[0].client_secret_file: both `client_secret` and `client_secret_file` are written: keep one
    login: { providers: [{ kind: google, issuer: 'https://a.example.com', client_id: a, scopes: [email] }] }
        control-plane.yaml:1:46: login.providers[0].issuer: `issuer` belongs to `kind: oidc` and `kind: entra_id`, and this is `kind: google`: remove it
        control-plane.yaml:1:93: login.providers[0].scopes: `openid` is missing: without it the provider says nothing about who logged in
    login: { providers: [{ kind: github }] }
        control-plane.yaml:1:22: login.providers[0].client_secret: `client_secret` or `client_secret_file` is missing: GitHub has no public clients
        control-plane.yaml:1:22: login.providers[0].client_id: `client_id` is missing: it has no default
    login: { providers: [{ kind: github, client_id: a, client_secret: b, tenant_id: c, scopes: [repo] }] }
        control-plane.yaml:1:81: login.providers[0].tenant_id: `tenant_id` belongs to `kind: entra_id`, and this is `kind: github`: remove it
        control-plane.yaml:1:92: login.providers[0].scopes: `user:email` is missing: without it GitHub does not say which e-mail address is verified
    login: { providers: [{ kind: github, client_id: a, client_secret: b, url: 'http://ghe.example.com' }] }
        control-plane.yaml:1:75: login.providers[0].url: `api_url` is missing: a GitHub Enterprise Server has an address of its own for both
    login: { providers: [{ kind: github, client_id: a, client_secret: b, api_url: 'https://ghe.example.com' }] }
        control-plane.yaml:1:79: login.providers[0].api_url: `url` is missing: a GitHub Enterprise Server has an address of its own for both
    login: { providers: [{ kind: github, client_id: a, client_secret: b, url: 'http://ghe.example.com', api_url: 'http://ghe.example.com' }] }
        control-plane.yaml:1:75: login.providers[0].url: `http://` is accepted for this machine only: use `https://`, or set `danger_plaintext: true` to send tokens in clear text
        control-plane.yaml:1:110: login.providers[0].api_url: `http://` is accepted for this machine only: use `https://`, or set `danger_plaintext: true` to send tokens in clear text
    login: { providers: [{ kind: entra_id, client_id: a }] }
        control-plane.yaml:1:22: login.providers[0].tenant_id: `tenant_id` is missing: it has no default
    login: { providers: [{ kind: entra_id, client_id: a, tenant_id: common }] }
        control-plane.yaml:1:65: login.providers[0].tenant_id: `common` is not one tenant, but lets everybody in: the GUID of your own tenant is expected
    login: { providers: [{ kind: entra_id, client_id: a, tenant_id: organizations }] }
        control-plane.yaml:1:65: login.providers[0].tenant_id: `organizations` is not one tenant, but lets everybody in: the GUID of your own tenant is expected
    login: { providers: [{ kind: entra_id, client_id: a, tenant_id: 9188040D-6c67-4c5b-b112-36a304b66dad }] }
        control-plane.yaml:1:65: login.providers[0].tenant_id: `9188040d-6c67-4c5b-b112-36a304b66dad` is not one tenant, but lets everybody in: the GUID of your own tenant is expected
    login: { providers: [{ kind: entra_id, client_id: a, tenant_id: example.com, url: 'https://a.example.com' }] }
        control-plane.yaml:1:65: login.providers[0].tenant_id: `example.com` is not a tenant: its GUID is expected, such as `8f14e45f-ceea-467f-a5a1-0e3d6ad0b7c2`
        control-plane.yaml:1:83: login.providers[0].url: `url` belongs to `kind: github`, and this is `kind: entra_id`: remove it
    login: { providers: [{ kind: google, client_id: a }, { kind: google, client_id: b }] }
        control-plane.yaml:1:54: login.providers[1].name: another provider is called `google` (`-` and `_` count as the same): give each its own name
    ");
}

#[test]
fn providers_that_are_known_by_name_need_little() {
    let home = Home::new();
    let text = "
login:
  providers:
    - { kind: google, client_id: a }
    - { kind: entra_id, client_id: b, tenant_id: 8F14E45F-ceea-467f-a5a1-0e3d6ad0b7c2 }
    - { kind: github, client_id: c, client_secret: d }
    - { kind: entra_id, name: china, client_id: b, tenant_id: 8f14e45f-ceea-467f-a5a1-0e3d6ad0b7c2, issuer: https://login.partner.example/t/v2.0/ }
    - { kind: github, name: ghe, client_id: c, client_secret: d, url: https://ghe.example.com, api_url: https://ghe.example.com/api/v3, scopes: [user] }
";
    let config = home.control_plane(text).expect("accepted");
    let shown: Vec<String> = config
        .login
        .providers
        .iter()
        .map(|one| match &one.endpoint {
            ProviderEndpoint::Oidc { issuer } => format!("{} {issuer} {}", one.name, one.scopes.join(" ")),
            ProviderEndpoint::EntraId { tenant_id, issuer } => {
                format!("{} {tenant_id} {issuer} {}", one.name, one.scopes.join(" "))
            }
            ProviderEndpoint::GitHub { url, api_url } => {
                format!("{} {url} {api_url} {}", one.name, one.scopes.join(" "))
            }
        })
        .collect();
    assert_snapshot!(shown.join("\n"), @"
    google https://accounts.google.com openid email profile
    entra_id 8f14e45f-ceea-467f-a5a1-0e3d6ad0b7c2 https://login.microsoftonline.com/8f14e45f-ceea-467f-a5a1-0e3d6ad0b7c2/v2.0 openid email profile
    github https://github.com https://api.github.com read:user user:email
    china 8f14e45f-ceea-467f-a5a1-0e3d6ad0b7c2 https://login.partner.example/t/v2.0 openid email profile
    ghe https://ghe.example.com https://ghe.example.com/api/v3 user
    ");
}

#[test]
fn plaintext_is_accepted_when_it_is_asked_for() {
    let home = Home::new();
    let text = "
public_url: http://auth.internal
danger_plaintext: true
login:
  admin_url: http://admin.internal
  providers: [{ name: demo, issuer: 'http://idp.internal', client_id: a }]
";
    assert!(home.control_plane(text).is_ok());
    assert_eq!(
        home.told(home.control_plane(&text.replace("true", "false")))
            .lines()
            .count(),
        3
    );
}
