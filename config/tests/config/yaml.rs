//! Files that are not YAML, or YAML that is refused. No message shows what stands in the file.

use std::path::Path;

use insta::assert_snapshot;
use sentinel_config::{Environment, load_edge};

use crate::support::Home;

#[test]
fn syntax_errors_are_told_with_their_place() {
    let home = Home::new();
    let cases = [
        "listen: { http: 127.0.0.1:8080",
        "listen:\n  http: a\n wrong: b",
        "listen: \"127",
        "log: *nowhere",
        "log: !custom { level: info }",
        "a: &a { level: info }\nlog: { <<: *a }",
        "log: { level: info }\n---\nlog: {}",
        "1: one",
        "[a, b]: c",
        "- a\n- b",
        "text",
        "\tlog: {}",
    ];
    let told: Vec<String> = cases
        .iter()
        .map(|text| format!("{text:?}\n    {}", home.told(home.edge(text))))
        .collect();
    assert_snapshot!(told.join("\n"), @r#"
    "listen: { http: 127.0.0.1:8080"
        edge.yaml:1:9: this is not well-formed YAML: look at the indentation, at brackets and quotes that are not closed, and at texts that need quotes because they contain `: ` or `#` or begin with one of `{ [ * & ! % @`
    "listen:\n  http: a\n wrong: b"
        edge.yaml:3:2: this is not well-formed YAML: look at the indentation, at brackets and quotes that are not closed, and at texts that need quotes because they contain `: ` or `#` or begin with one of `{ [ * & ! % @`
    "listen: \"127"
        edge.yaml:1:9: this is not well-formed YAML: look at the indentation, at brackets and quotes that are not closed, and at texts that need quotes because they contain `: ` or `#` or begin with one of `{ [ * & ! % @`
    "log: *nowhere"
        edge.yaml:1:6: an alias (`*name`) has no anchor: put a text that begins with `*` in quotes
    "log: !custom { level: info }"
        edge.yaml:1:14: tags (`!name`) are not accepted: put a text that begins with `!` in quotes
    "a: &a { level: info }\nlog: { <<: *a }"
        edge.yaml:2:8: merge keys (`<<`) are not accepted: write the settings out
    "log: { level: info }\n---\nlog: {}"
        edge.yaml:3:1: a second YAML document begins here: keep one document in the file
    "1: one"
        edge.yaml:1:1: control_plane: `control_plane` is missing: it has no default
    edge.yaml:1:1: 1: `1` is not a setting here: the settings here are `listen`, `control_plane`, `state_dir`, `max_staleness`, `consistency_wait`, `limits`, `log`, `tls`, `trusted_proxies`, `issuers`, `session_cookie`, `login`, `hosts`, `danger_world_readable_secrets`, `replicate`, `models`, `upstreams`, `routes`, `tests`
    "[a, b]: c"
        edge.yaml:1:1: control_plane: `control_plane` is missing: it has no default
    edge.yaml:1:1: ?: `?` is not a setting here: the settings here are `listen`, `control_plane`, `state_dir`, `max_staleness`, `consistency_wait`, `limits`, `log`, `tls`, `trusted_proxies`, `issuers`, `session_cookie`, `login`, `hosts`, `danger_world_readable_secrets`, `replicate`, `models`, `upstreams`, `routes`, `tests`
    "- a\n- b"
        edge.yaml:1:1: a section with settings is expected, not a list
    "text"
        edge.yaml:1:1: a section with settings is expected, not a text
    "\tlog: {}"
        edge.yaml:1:2: control_plane: `control_plane` is missing: it has no default
    "#);
}

#[test]
fn an_empty_file_is_a_configuration_without_settings() {
    let home = Home::new();
    for text in ["", "\n", "# only a comment\n", "---\n", "{}"] {
        assert!(home.control_plane(text).is_ok(), "{text:?}");
        assert_eq!(home.told(home.edge(text)).lines().count(), 1, "{text:?}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_a_problem_of_the_file() {
    let errors =
        load_edge(Path::new("/nowhere/edge.yaml"), &Environment::new()).expect_err("there is no file");
    assert_snapshot!(errors, @"/nowhere/edge.yaml: the configuration cannot be read: No such file or directory (os error 2)");
    let home = Home::new();
    let path = home.secret("edge.yaml", "");
    std::fs::write(&path, [0xFF, 0xFE, b'a']).expect("written");
    let told = home.told(load_edge(&path, &Environment::new()));
    assert_snapshot!(told, @"edge.yaml: the configuration cannot be read: stream did not contain valid UTF-8");
}

#[test]
fn a_secret_that_breaks_the_syntax_is_not_shown() {
    let home = Home::new();
    let secret = "Zk39QvT7";
    for value in [
        format!("*{secret}"),
        format!("&{secret}"),
        format!("!{secret}"),
        format!("!!{secret}"),
        format!("%{secret}"),
        format!("@{secret}"),
        format!("`{secret}"),
        format!("\"{secret}"),
        format!("'{secret}"),
        format!("{{{secret}"),
        format!("[{secret}"),
        format!("{secret}: {secret}"),
        format!("\"\\{secret}\""),
        format!("|\n  {secret}\n {secret}"),
        format!("!!binary {secret}!"),
        format!("!!int {secret}"),
        format!("[{secret}, b]"),
        format!("{{ a: {secret} }}"),
        format!("\n- {secret}"),
    ] {
        let text = format!("control_plane:\n  url: https://a.example\n  edge_key: {value}\n  other: x\n");
        let told = home.told(home.edge(&text));
        assert!(!told.contains(secret), "`{text}` gave `{told}`");
    }
}
