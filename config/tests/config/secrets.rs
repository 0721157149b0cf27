//! Secrets: written or in a file, never both, never shown.

use insta::assert_snapshot;
use secrecy::ExposeSecret as _;

use crate::support::{Home, env};
use sentinel_config::parse_edge;

fn edge_with(secret: &str) -> String {
    format!("control_plane:\n  url: https://auth.example.com\n{secret}\n")
}

fn key(home: &Home, secret: &str) -> String {
    let config = home.edge(&edge_with(secret)).expect("accepted");
    config.control_plane.edge_key.expose_secret().to_owned()
}

#[test]
fn a_secret_is_written_or_in_a_file_beside_the_configuration() {
    let home = Home::new();
    assert_eq!(key(&home, "  edge_key: written"), "written");
    home.secret("a.key", "from the file\r\n\n");
    assert_eq!(key(&home, "  edge_key_file: a.key"), "from the file");
    assert_eq!(key(&home, "  edge_key_file: ./a.key"), "from the file");
    let absolute = home.secret("b.key", " spaces count ");
    assert_eq!(
        key(&home, &format!("  edge_key_file: {}", absolute.display())),
        " spaces count "
    );
}

#[test]
fn every_way_to_get_a_secret_wrong_is_told() {
    let home = Home::new();
    home.secret("good.key", "good");
    home.secret("empty.key", "\n");
    home.file("open.key", "open", 0o644);
    home.secret("large.key", &"x".repeat(70_000));
    let binary = home.secret("binary.key", "");
    std::fs::write(binary, [0xFF, 0xFE]).expect("written");
    let cases = [
        "",
        "  edge_key: a\n  edge_key_file: good.key",
        "  edge_key: ''",
        "  edge_key:",
        "  edge_key: 12345",
        "  edge_key: [a]",
        "  edge_key_file: missing.key",
        "  edge_key_file: empty.key",
        "  edge_key_file: open.key",
        "  edge_key_file: large.key",
        "  edge_key_file: binary.key",
        "  edge_key_file: .",
    ];
    let told: Vec<String> = cases
        .iter()
        .map(|case| format!("{case:?}\n    {}", home.told(home.edge(&edge_with(case)))))
        .collect();
    assert_snapshot!(told.join("\n"), @r#"
    ""
        edge.yaml:2:3: control_plane.edge_key: `edge_key` or `edge_key_file` is missing
    "  edge_key: a\n  edge_key_file: good.key"
        edge.yaml:4:18: control_plane.edge_key_file: both `edge_key` and `edge_key_file` are written: keep one
    "  edge_key: ''"
        edge.yaml:3:13: control_plane.edge_key: the secret is empty
    "  edge_key:"
        edge.yaml:3:11: control_plane.edge_key: a text is expected, and nothing is written: fill it in or remove the line
    "  edge_key: 12345"
        edge.yaml:3:13: control_plane.edge_key: a text is expected, not a number: put it in quotes
    "  edge_key: [a]"
        edge.yaml:3:13: control_plane.edge_key: a text is expected, not a list
    "  edge_key_file: missing.key"
        edge.yaml:3:18: control_plane.edge_key_file: `missing.key` cannot be read: No such file or directory (os error 2)
    "  edge_key_file: empty.key"
        edge.yaml:3:18: control_plane.edge_key_file: `empty.key` is empty
    "  edge_key_file: open.key"
        edge.yaml:3:18: control_plane.edge_key_file: `open.key` may be read by every user of this machine: `chmod 600` it, or set `danger_world_readable_secrets: true`
    "  edge_key_file: large.key"
        edge.yaml:3:18: control_plane.edge_key_file: `large.key` is larger than any secret
    "  edge_key_file: binary.key"
        edge.yaml:3:18: control_plane.edge_key_file: `binary.key` is not a text in UTF-8
    "  edge_key_file: ."
        edge.yaml:3:18: control_plane.edge_key_file: `` is not a file
    "#);
}

#[test]
fn the_switch_accepts_files_that_everybody_may_read() {
    let home = Home::new();
    home.file("open.key", "open", 0o644);
    home.file("group.key", "group", 0o640);
    assert_eq!(
        key(
            &home,
            "  edge_key_file: open.key\ndanger_world_readable_secrets: true"
        ),
        "open"
    );
    assert_eq!(key(&home, "  edge_key_file: group.key"), "group");
    let off = edge_with("  edge_key_file: open.key\ndanger_world_readable_secrets: false");
    assert!(home.edge(&off).is_err());
    // A switch that is not a plain yes does not open anything.
    let broken = edge_with("  edge_key_file: open.key\ndanger_world_readable_secrets: 'true'");
    assert_eq!(home.told(home.edge(&broken)).lines().count(), 2);
}

#[test]
fn a_configuration_that_is_printed_shows_no_secret() {
    let home = Home::new();
    let edge = home.edge(&edge_with("  edge_key: Zk39QvT7")).expect("accepted");
    assert!(!format!("{edge:?}").contains("Zk39QvT7"));
    let config = home
        .control_plane(
            "database: { url: 'postgres://u:Zk39QvT7@h/d' }\nsecrets: { encryption_key: 'abababababababababababababababababababababababababababababababab' }\nshort_lived: { redis_url: 'redis://:Zk39QvT7@h' }",
        )
        .expect("accepted");
    let debug = format!("{config:?}{:?}", config.encryption_key());
    assert!(!debug.contains("Zk39QvT7") && !debug.contains("abab"), "{debug}");
}

#[test]
fn a_secret_in_the_wrong_place_is_not_shown() {
    let home = Home::new();
    for text in [
        "control_plane: { url: 'https://user:Zk39QvT7@auth.example.com', edge_key: a }",
        "control_plane: { url: 'https://auth.example.com', edge_key: a, edge_kei: Zk39QvT7 }",
        "control_plane: { url: 'https://auth.example.com', edge_key: { a: Zk39QvT7 } }",
        "control_plane: Zk39QvT7",
    ] {
        let told = home.told(home.edge(text));
        assert!(!told.contains("Zk39QvT7"), "{told}");
    }
    for text in [
        "database: { url: 'mysql://u:Zk39QvT7@h/d' }",
        "short_lived: { redis_url: 'http://:Zk39QvT7@h' }",
        "secrets: { encryption_key: Zk39QvT7 }",
        "public_url: https://user:Zk39QvT7@auth.example.com",
    ] {
        let told = home.told(home.control_plane(text));
        assert!(!told.contains("Zk39QvT7"), "{told}");
    }
    let variables = env([
        ("SENTINEL__CONTROL_PLANE__EDGE_KEI", "Zk39QvT7"),
        ("SENTINEL__LOG__LEVEL", "loud"),
    ]);
    let told = home.told(parse_edge(
        &edge_with("  edge_key: a"),
        &home.path().join("edge.yaml"),
        &variables,
    ));
    assert!(!told.contains("Zk39QvT7"), "{told}");
}
