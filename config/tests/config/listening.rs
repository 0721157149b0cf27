//! Where the edge listens, with which certificates, and what it takes on there.

use std::time::Duration;

use insta::assert_snapshot;
use secrecy::ExposeSecret as _;
use sentinel_config::edge::TlsVersion;

use crate::support::Home;

const FOLLOW: &str = "control_plane: { url: http://127.0.0.1:9003/, edge_key: k }\n";
const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nMAo=\n-----END CERTIFICATE-----\n";
const TLS: &str = "tls: { certificates: [{ certificate_file: a.pem, key_file: a.key }] }\n";

fn home() -> Home {
    let home = Home::new();
    home.file("a.pem", CERTIFICATE, 0o644);
    home.secret("a.key", "hush");
    home
}

#[test]
fn a_certificate_and_its_key_are_two_files() {
    let home = home();
    let config = home
        .edge(&format!("{FOLLOW}{TLS}listen: {{ https: '127.0.0.1:8443' }}\n"))
        .expect("accepted");
    let tls = config.tls.expect("written");
    assert_eq!(tls.min_version, TlsVersion::V12);
    assert_eq!(
        tls.certificates[0].read_chain().expect("read"),
        CERTIFICATE.as_bytes()
    );
    let key = tls.certificates[0].read_key(false).expect("read");
    assert_eq!(key.expose_secret(), "hush");
    assert!(!format!("{tls:?}").contains("hush"));
}

#[test]
fn a_key_that_everybody_may_read_needs_the_switch() {
    let home = home();
    home.file("a.key", "hush", 0o644);
    let text = format!("{FOLLOW}{TLS}listen: {{ https: '127.0.0.1:8443' }}\n");
    assert!(home.edge(&text).is_err());
    assert!(
        home.edge(&format!("{text}danger_world_readable_secrets: true\n"))
            .is_ok()
    );
}

#[test]
fn every_way_to_get_listening_wrong_is_told() {
    let home = home();
    home.file("open.key", "hush", 0o644);
    home.file("text.pem", "no certificate", 0o644);
    let listen = "listen: { https: '127.0.0.1:8443' }";
    let cases = [
        listen.to_owned(),
        TLS.trim_end().to_owned(),
        "listen: { http: '127.0.0.1:1', https: '127.0.0.1:1', admin: '127.0.0.1:2' }\ntls: { certificates: [] }"
            .to_owned(),
        format!("{listen}\ntls: {{ min_version: tls1.0, certificates: [{{ certificate_file: missing.pem, key_file: open.key }}] }}"),
        format!("{listen}\ntls: {{ certificates: [{{ certificate_file: text.pem, key_file: missing.key }}] }}"),
        "limits: { connections: 15, connections_per_address: 0, http2_streams: 257, head_timeout: 2m, idle_timeout: 0s }"
            .to_owned(),
    ];
    let told: Vec<String> = cases
        .iter()
        .map(|case| {
            let told = home.told(home.edge(&format!("{FOLLOW}{case}\n")));
            format!("{case}\n    {}", told.replace('\n', "\n    "))
        })
        .collect();
    assert_snapshot!(told.join("\n"), @"
    listen: { https: '127.0.0.1:8443' }
        edge.yaml:2:9: listen: `https` needs certificates: write `tls`, or remove `https`
    tls: { certificates: [{ certificate_file: a.pem, key_file: a.key }] }
        edge.yaml:2:6: tls: nothing is encrypted without a listener for it: write `listen.https`, or remove `tls`
    listen: { http: '127.0.0.1:1', https: '127.0.0.1:1', admin: '127.0.0.1:2' }
    tls: { certificates: [] }
        edge.yaml:2:39: listen.https: `https` and `http` are the same address: take two ports
        edge.yaml:3:22: tls.certificates: there is no certificate: write one at least, with `certificate_file` and `key_file`
    listen: { https: '127.0.0.1:8443' }
    tls: { min_version: tls1.0, certificates: [{ certificate_file: missing.pem, key_file: open.key }] }
        edge.yaml:3:21: tls.min_version: `tls1.0` is not accepted: one of `tls1.2`, `tls1.3` is expected
        edge.yaml:3:64: tls.certificates[0].certificate_file: `missing.pem` cannot be read: No such file or directory (os error 2)
        edge.yaml:3:87: tls.certificates[0].key_file: `open.key` may be read by every user of this machine: `chmod 600` it, or set `danger_world_readable_secrets: true`
    listen: { https: '127.0.0.1:8443' }
    tls: { certificates: [{ certificate_file: text.pem, key_file: missing.key }] }
        edge.yaml:3:43: tls.certificates[0].certificate_file: `text.pem` holds nothing in PEM: lines from `-----BEGIN CERTIFICATE-----` on are expected
        edge.yaml:3:63: tls.certificates[0].key_file: `missing.key` cannot be read: No such file or directory (os error 2)
    limits: { connections: 15, connections_per_address: 0, http2_streams: 257, head_timeout: 2m, idle_timeout: 0s }
        edge.yaml:2:24: limits.connections: `15` is out of bounds: 16 to 1000000 is accepted
        edge.yaml:2:53: limits.connections_per_address: `0` is out of bounds: 1 and more is accepted
        edge.yaml:2:71: limits.http2_streams: `257` is out of bounds: 1 to 256 is accepted
        edge.yaml:2:90: limits.head_timeout: `2m` is out of bounds: 1s to 1m is accepted
        edge.yaml:2:108: limits.idle_timeout: `0ms` is out of bounds: 1s to 1h is accepted
    ");
}

#[test]
fn limits_have_defaults_for_a_public_edge() {
    let limits = home().edge(FOLLOW).expect("accepted").limits;
    assert_eq!(
        (limits.connections, limits.connections_per_address),
        (16_384, 1024)
    );
    assert_eq!(limits.http2_streams, 64);
    assert_eq!(limits.head_timeout, Duration::from_secs(10));
    assert_eq!(limits.idle_timeout, Duration::from_mins(1));
}
