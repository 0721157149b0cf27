//! The shipped samples are accepted as they are, and with every commented default switched on.

use std::collections::BTreeSet;

use sentinel_config::{parse_control_plane, parse_edge};

use crate::support::{Home, env};

pub(crate) const EDGE: &str = include_str!("../../edge.sample.yaml");
pub(crate) const CONTROL_PLANE: &str = include_str!("../../control-plane.sample.yaml");

/// A directory with the secret files that the samples name.
pub(crate) fn home() -> Home {
    let home = Home::new();
    home.secret("edge.key", "edge_key\n");
    home.secret("example.com.pem", "-----BEGIN CERTIFICATE-----\n");
    home.secret("example.com.key", "-----BEGIN PRIVATE KEY-----\n");
    home.secret("partner.keys.json", "{\"keys\":[]}\n");
    home.secret("cookie.key", &"c".repeat(32));
    home.secret("docs.fga", "model\n  schema 1.1\n");
    home.secret("database.url", "postgres://sentinel:pw@db/sentinel\n");
    home.secret("encryption.key", &"ab".repeat(32));
    home.secret("example.secret", "s3cret\n");
    home
}

/// The sample with each commented setting made a real one. Comments that are sentences stay comments.
fn with_defaults_written_out(sample: &str) -> String {
    let mut out = String::new();
    for line in sample.lines() {
        let trimmed = line.trim_start();
        let setting = trimmed.strip_prefix("# ").filter(|rest| {
            let key = rest.trim_start().split(':').next().unwrap_or_default();
            is_key(key) && rest.contains(':')
        });
        let indent = &line[..line.len() - trimmed.len()];
        match setting.filter(|_| !line.contains("yaml-language-server")) {
            Some(setting) => out.extend([indent, setting, "\n"]),
            None => out.extend([line, "\n"]),
        }
    }
    out
}

#[test]
fn the_samples_are_accepted() {
    let home = home();
    let edge = home.edge(EDGE).expect("the edge's sample");
    assert_eq!(edge.routes.iter().count(), 16);
    assert!(edge.tests.len() > 2 * edge.routes.iter().count());
    let control_plane = home
        .control_plane(CONTROL_PLANE)
        .expect("the control plane's sample");
    assert_eq!(control_plane.public_url(), "https://auth.example.com");
}

#[test]
fn the_providers_that_the_sample_shows_are_accepted() {
    let home = home();
    for name in ["google", "entra", "github", "ghe"] {
        home.secret(&format!("{name}.secret"), "s3cret\n");
    }
    let shown = CONTROL_PLANE.replace("    # - {", "    - {");
    let config = home.control_plane(&shown).expect("accepted");
    let names: Vec<&str> = config
        .login
        .providers
        .iter()
        .map(|one| one.name.as_str())
        .collect();
    assert_eq!(names, ["example", "google", "entra_id", "github", "ghe"]);
}

#[test]
fn what_the_samples_call_a_default_is_the_default() {
    let home = home();
    let written = with_defaults_written_out(EDGE);
    let (plain, written) = (
        home.edge(EDGE).expect("sample"),
        home.edge(&written).expect("written out"),
    );
    assert_eq!(
        without_issuer(&format!("{plain:?}")),
        without_issuer(&format!("{written:?}"))
    );

    let written = with_defaults_written_out(CONTROL_PLANE);
    let plain = home.control_plane(CONTROL_PLANE).expect("sample");
    let written = home.control_plane(&written).expect("written out");
    assert_eq!(format!("{:?}", plain.tokens), format!("{:?}", written.tokens));
    assert_eq!(
        format!("{:?}", plain.change_log),
        format!("{:?}", written.change_log)
    );
    assert_eq!(format!("{:?}", plain.limits), format!("{:?}", written.limits));
    assert_eq!(plain.trusted_proxies, written.trusted_proxies);
    assert_eq!(format!("{:?}", plain.log), format!("{:?}", written.log));
    assert_eq!(format!("{:?}", plain.listen), format!("{:?}", written.listen));
    assert_eq!(plain.data_dir, written.data_dir);
    assert_eq!(
        format!("{:?}", plain.login.providers),
        format!("{:?}", written.login.providers)
    );
}

#[test]
fn the_samples_show_every_setting() {
    for (sample, schema) in [
        (EDGE, sentinel_config::edge::schema()),
        (CONTROL_PLANE, sentinel_config::control_plane::schema()),
    ] {
        let mut names = BTreeSet::new();
        property_names(schema.as_value(), &mut names);
        assert!(names.len() > 20, "the schema names the settings");
        for name in names {
            let file = name.strip_suffix("_file").unwrap_or(&name);
            let shown = [name.as_str(), file]
                .iter()
                .any(|key| sample.contains(&format!("{key}:")) || sample.contains(&format!("{key}_file:")));
            assert!(shown, "`{name}` is not in the sample");
        }
    }
}

#[test]
fn the_samples_name_every_environment_variable() {
    let home = home();
    let unknown = env([("SENTINEL__NO_SUCH", "x")]);
    let edge = home.told(parse_edge(EDGE, &home.path().join("edge.yaml"), &unknown));
    let control_plane = home.told(parse_control_plane(
        CONTROL_PLANE,
        &home.path().join("c.yaml"),
        &unknown,
    ));
    for (sample, told) in [(EDGE, edge), (CONTROL_PLANE, control_plane)] {
        let names: Vec<&str> = told
            .split('`')
            .filter(|part| part.starts_with("SENTINEL__"))
            .collect();
        assert!(names.len() >= 8, "{told}");
        for name in names {
            assert!(
                sample.contains(name.trim_end_matches("[_FILE]")),
                "`{name}` is not in the sample"
            );
        }
    }
}

/// Whether a text can be the key of a setting.
fn is_key(text: &str) -> bool {
    let is_letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    text.starts_with(|first: char| first.is_ascii_lowercase()) && text.bytes().all(is_letter)
}

/// Names that an operator chooses and nothing else in the file refers to.
const CHOSEN: [&str; 1] = ["accounts"];

/// Each line of a sample that begins with a key: the text before the key, the key, and the rest.
fn key_lines(sample: &str) -> impl Iterator<Item = (usize, &str, &str, &str)> {
    sample.lines().enumerate().filter_map(|(at, line)| {
        let body = line.trim_start_matches([' ', '-']);
        let (key, rest) = body.split_once(':')?;
        is_key(key).then(|| (at, &line[..line.len() - body.len()], key, rest))
    })
}

fn replace_line(sample: &str, at: usize, with: &str) -> String {
    let lines = sample
        .lines()
        .enumerate()
        .map(|(index, line)| if index == at { with } else { line });
    lines.collect::<Vec<_>>().join("\n")
}

/// Whether a text is accepted.
type Accepts = fn(&Home, &str) -> bool;

/// Every sample with every default switched on, and whether a text is accepted in its place.
fn everything() -> [(String, Accepts); 2] {
    [
        (with_defaults_written_out(EDGE), |home, text| {
            home.edge(text).is_ok()
        }),
        (with_defaults_written_out(CONTROL_PLANE), |home, text| {
            home.control_plane(text).is_ok()
        }),
    ]
}

#[test]
fn a_mistyped_key_is_never_ignored() {
    let home = home();
    for (sample, accepts) in everything() {
        assert!(accepts(&home, &sample));
        assert!(key_lines(&sample).count() > 30);
        for (at, before, key, rest) in key_lines(&sample).filter(|(_, _, key, _)| !CHOSEN.contains(key)) {
            let text = replace_line(&sample, at, &format!("{before}{key}x:{rest}"));
            assert!(!accepts(&home, &text), "`{key}x` was accepted in\n{text}");
        }
    }
}

#[test]
fn a_key_that_is_written_twice_is_never_accepted() {
    let home = home();
    for (sample, accepts) in everything() {
        for (at, before, key, rest) in key_lines(&sample) {
            if rest.trim().is_empty() || rest.trim().starts_with('#') {
                continue;
            }
            let again = before.replace('-', " ");
            let text = replace_line(&sample, at, &format!("{before}{key}:{rest}\n{again}{key}:{rest}"));
            assert!(!accepts(&home, &text), "two `{key}` were accepted in\n{text}");
        }
    }
}

fn property_names(schema: &serde_json::Value, names: &mut BTreeSet<String>) {
    match schema {
        serde_json::Value::Object(map) => {
            if let Some(serde_json::Value::Object(properties)) = map.get("properties") {
                names.extend(properties.keys().cloned());
            }
            map.values().for_each(|value| property_names(value, names));
        }
        serde_json::Value::Array(items) => items.iter().for_each(|item| property_names(item, names)),
        _ => {}
    }
}

/// The sample writes the issuer as its own example, which is `url` again.
fn without_issuer(debug: &str) -> String {
    let start = debug.find("issuer: ").expect("an issuer");
    let end = debug.find("danger_plaintext").expect("the next field");
    format!("{}{}", &debug[..start], &debug[end..])
}
