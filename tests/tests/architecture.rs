//! The shape of the workspace, held by a test: who may use whom, which outside crate only one package may name, and
//! what every package and the root must have.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// Which package of the product may use which other ones. Both ways: what is not listed may not be used, and what is
/// listed must be used.
const ALLOWED: &[(&str, &[&str])] = &[
    ("core", &[]),
    ("authz", &["core"]),
    ("token", &["core"]),
    ("config", &["core"]),
    ("store", &["core", "token"]),
    ("feed", &["core", "authz", "token"]),
    ("access", &["core", "authz", "store"]),
    ("identity", &["core", "token", "store", "access"]),
    (
        "control-plane",
        &[
            "core", "authz", "token", "feed", "config", "store", "access", "identity",
        ],
    ),
    ("proxy", &["core", "authz", "token", "feed", "config"]),
];

/// Packages around the product: they may use what they like, and nothing of the product may use them.
const OUTSIDE: &[&str] = &["tests", "fuzz", "bench", "quickstart", "xtask"];

/// Outside crates (with everything whose name begins so and goes on with `-`) that only these packages may name.
const EXCLUSIVE: &[(&str, &[&str])] = &[
    ("jsonwebtoken", &["token", "identity"]),
    ("tonic", &["feed"]),
    ("prost", &["feed"]),
    ("protox", &["feed"]),
    ("pingora", &["proxy"]),
    ("sqlx", &["store", "access", "identity"]),
    ("redis", &["store"]),
    ("openidconnect", &["identity"]),
    ("oauth2", &["identity"]),
    ("axum", &["control-plane"]),
    ("tower-http", &["control-plane"]),
    ("askama", &["control-plane"]),
    ("utoipa", &["control-plane"]),
    ("serde-saphyr", &["config"]),
    ("schemars", &["config"]),
];

/// What `cargo metadata` says, as far as it is looked at.
#[derive(Deserialize)]
struct Workspace {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    manifest_path: PathBuf,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    /// `dev`, `build`, or nothing.
    kind: Option<String>,
    /// Where it is, if it is one of ours.
    path: Option<PathBuf>,
}

impl Workspace {
    fn read() -> Self {
        let output = xtask::cargo::cargo(["metadata", "--no-deps", "--format-version", "1"])
            .output()
            .expect("cargo runs");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        serde_json::from_slice(&output.stdout).expect("what cargo prints")
    }

    /// The packages by their short names.
    fn by_name(&self) -> BTreeMap<&str, &Package> {
        self.packages
            .iter()
            .map(|package| (short(&package.name), package))
            .collect()
    }

    /// The packages of the product.
    fn product(&self) -> BTreeMap<&str, &Package> {
        let mut packages = self.by_name();
        packages.retain(|name, _| !OUTSIDE.contains(name));
        packages
    }
}

fn root() -> PathBuf {
    xtask::cargo::root()
}

fn short(name: &str) -> &str {
    name.strip_prefix("sentinel-").unwrap_or(name)
}

/// The names of a package's dependencies that are not for its tests only.
fn dependencies(package: &Package) -> impl Iterator<Item = &Dependency> {
    package
        .dependencies
        .iter()
        .filter(|dependency| dependency.kind.as_deref() != Some("dev"))
}

/// All Rust sources of a package, as one text.
fn sources(package: &Package) -> String {
    fn collect(dir: &Path, text: &mut String) {
        for entry in std::fs::read_dir(dir).expect("a directory of sources") {
            let path = entry.expect("entry").path();
            if path.is_dir() {
                collect(&path, text);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                text.push_str(&std::fs::read_to_string(&path).expect("a source file"));
            }
        }
    }
    let mut text = String::new();
    let dir = package
        .manifest_path
        .parent()
        .expect("a manifest is in a directory");
    collect(&dir.join("src"), &mut text);
    text
}

#[test]
fn packages_use_only_what_is_listed() {
    let workspace = Workspace::read();
    let mut wrong = Vec::new();
    for (name, package) in workspace.product() {
        let Some((_, allowed)) = ALLOWED.iter().find(|(listed, _)| *listed == name) else {
            wrong.push(format!("`{name}` is not in the list of packages"));
            continue;
        };
        for dependency in package
            .dependencies
            .iter()
            .filter(|dependency| dependency.path.is_some())
        {
            let used = short(&dependency.name);
            if !allowed.contains(&used) {
                wrong.push(format!("`{name}` may not use `{used}`"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn what_is_listed_is_used() {
    let workspace = Workspace::read();
    let packages = workspace.product();
    let mut unused = Vec::new();
    for (name, allowed) in ALLOWED {
        let Some(package) = packages.get(name) else {
            unused.push(format!("there is no package `{name}`"));
            continue;
        };
        let text = sources(package);
        for used in *allowed {
            let declared = dependencies(package).any(|dependency| short(&dependency.name) == *used);
            let named = text.contains(&format!("sentinel_{}", used.replace('-', "_")));
            if !declared || !named {
                unused.push(format!(
                    "`{name}` does not use `{used}`: take it off the list and out of its Cargo.toml"
                ));
            }
        }
    }
    assert!(unused.is_empty(), "{unused:#?}");
}

#[test]
fn outside_crates_stay_behind_the_package_that_is_there_for_them() {
    let workspace = Workspace::read();
    let mut wrong = Vec::new();
    let mut named = BTreeSet::new();
    for (name, package) in workspace.product() {
        for dependency in dependencies(package) {
            for (family, owners) in EXCLUSIVE {
                let rest = dependency.name.strip_prefix(family);
                if rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-')) {
                    named.insert(*family);
                    if !owners.contains(&name) {
                        wrong.push(format!(
                            "`{name}` may not name `{}`: only {owners:?} may",
                            dependency.name
                        ));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(
        named.contains("pingora") && named.contains("sqlx"),
        "the test sees no dependencies: {named:?}"
    );
}

#[test]
fn every_package_is_where_its_name_says_and_follows_the_lints() {
    let workspace = Workspace::read();
    let packages = workspace.by_name();
    for outside in OUTSIDE {
        assert!(packages.contains_key(outside), "there is no package `{outside}`");
    }
    for (name, package) in packages {
        let dir = package
            .manifest_path
            .parent()
            .expect("a manifest is in a directory");
        assert!(
            dir.ends_with(name),
            "`{}` is in `{}`",
            package.name,
            dir.display()
        );
        let manifest = std::fs::read_to_string(&package.manifest_path).expect("manifest");
        assert!(
            manifest.contains("[lints]\nworkspace = true"),
            "`{name}` does not follow the workspace's lints"
        );
        for line in dependency_lines(&manifest, |table| table.contains("dependencies")) {
            assert!(
                line.contains("workspace = true"),
                "`{name}` must take this from the root, where it is listed with its reason: {line}"
            );
        }
    }
}

#[test]
fn every_outside_dependency_has_its_reason() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).expect("the root's Cargo.toml");
    let lines: Vec<&str> = manifest.lines().collect();
    let mut count = 0;
    for line in dependency_lines(&manifest, |table| table == "[workspace.dependencies]") {
        if line.contains("path = ") {
            continue;
        }
        count += 1;
        let at = lines
            .iter()
            .position(|found| *found == line)
            .expect("the line is there");
        let above = at
            .checked_sub(1)
            .and_then(|above| lines.get(above))
            .copied()
            .unwrap_or_default();
        assert!(above.starts_with("# "), "no reason stands above: {line}");
    }
    assert!(count > 20, "the test sees only {count} dependencies");
}

/// The lines that name a dependency, in the tables that `wanted` picks.
fn dependency_lines(manifest: &str, wanted: impl Fn(&str) -> bool) -> Vec<&str> {
    let mut inside = false;
    let mut found = Vec::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            inside = wanted(line);
        } else if inside && line.starts_with(|c: char| c.is_ascii_alphanumeric()) && line.contains('=') {
            found.push(line);
        }
    }
    found
}

#[test]
fn the_root_has_what_a_project_needs() {
    for name in [
        "LICENSE",
        "README.md",
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "SECURITY.md",
        "clippy.toml",
        ".ci/run",
    ] {
        assert!(root().join(name).is_file(), "`{name}` is missing");
    }
    let license = std::fs::read_to_string(root().join("LICENSE")).expect("LICENSE");
    assert!(license.contains("Apache License") && license.contains("Version 2.0"));
    let lints = std::fs::read_to_string(root().join("Cargo.toml")).expect("Cargo.toml");
    assert!(lints.contains("unsafe_code = \"forbid\"") && lints.contains("overflow-checks = true"));
}

#[test]
fn the_readme_and_ci_run_the_same_test_command() {
    let readme = std::fs::read_to_string(root().join("README.md")).expect("README.md");
    let ci = std::fs::read_to_string(root().join(".ci/run")).expect(".ci/run");
    for command in ["cargo xtask test", "cargo xtask quickstart"] {
        assert!(readme.contains(command), "README.md does not name `{command}`");
        assert!(ci.contains(command), ".ci/run does not run `{command}`");
    }
}
