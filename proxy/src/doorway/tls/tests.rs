use std::os::unix::fs::PermissionsExt as _;

use tempfile::TempDir;

use super::*;

/// Files with a certificate for some names each.
struct Files {
    directory: TempDir,
}

impl Files {
    fn new() -> Self {
        Self {
            directory: TempDir::new().expect("a directory"),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, names: &[&str]) -> edge::Certificate {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
        self.write_text(&format!("{name}.pem"), &made.cert.pem());
        self.write_text(&format!("{name}.key"), &made.signing_key.serialize_pem());
        edge::Certificate {
            certificate_file: self.path(&format!("{name}.pem")),
            key_file: self.path(&format!("{name}.key")),
        }
    }

    fn write_text(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::write(&path, text).expect("written");
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("set");
    }
}

fn load(certificates: &[edge::Certificate]) -> Result<Certificates> {
    let tls = edge::Tls {
        certificates: certificates.to_vec(),
        min_version: TlsVersion::V12,
    };
    Certificates::load(&tls, false, &Arc::new(ring::default_provider()))
}

/// The number of the certificate that is shown for a name.
fn shown(certificates: &Certificates, name: &str) -> Option<usize> {
    let shown = certificates.shown.load();
    let found = shown.find(Some(name).filter(|name| !name.is_empty()))?;
    shown.all.iter().position(|pair| Arc::ptr_eq(pair, found))
}

#[test]
fn the_certificate_follows_from_the_name() {
    let files = Files::new();
    let all = [
        files.write("first", &["first.example"]),
        files.write("wild", &["*.example.com", "Example.COM"]),
        files.write("exact", &["a.example.com", "first.example"]),
    ];
    let certificates = load(&all).expect("good files");
    for (name, number) in [
        ("first.example", 0),
        ("a.example.com", 2),
        ("A.Example.Com", 2),
        ("b.example.com", 1),
        ("example.com", 1),
        ("a.b.example.com", 0),
        ("com", 0),
        ("elsewhere.example", 0),
        ("", 0),
    ] {
        assert_eq!(shown(&certificates, name), Some(number), "`{name}`");
    }
}

#[test]
fn a_changed_file_is_read_and_a_bad_one_is_not_taken() {
    let files = Files::new();
    let all = [
        files.write("one", &["old.example"]),
        files.write("two", &["two.example"]),
    ];
    let certificates = load(&all).expect("good files");
    let leaf = |certificates: &Certificates| {
        let shown = certificates.shown.load();
        shown.all[0].cert.clone()
    };
    let old = leaf(&certificates);

    // Only one of the two files so far: they do not belong together.
    let key = fs::read_to_string(files.path("one.key")).expect("read");
    let certificate = fs::read_to_string(files.path("one.pem")).expect("read");
    files.write("one", &["new.example", "longer.example"]);
    let new_key = fs::read_to_string(files.path("one.key")).expect("read");
    files.write_text("one.key", &key);
    certificates.look();
    assert_eq!(leaf(&certificates), old);
    files.write_text("one.key", &format!("{new_key}\n"));
    certificates.look();
    assert_ne!(leaf(&certificates), old);
    assert_eq!(shown(&certificates, "two.example"), Some(1));

    let new = leaf(&certificates);
    files.write_text("one.pem", "gone");
    certificates.look();
    assert_eq!(leaf(&certificates), new);
    fs::remove_file(files.path("one.pem")).expect("removed");
    certificates.look();
    assert_eq!(leaf(&certificates), new);
    files.write_text("one.pem", &certificate);
    files.write_text("one.key", &key);
    certificates.look();
    assert_eq!(leaf(&certificates), old);
}

#[test]
fn bad_files_are_named_and_not_shown() {
    let files = Files::new();
    let (good, other) = (
        files.write("good", &["a.example"]),
        files.write("other", &["a.example"]),
    );
    let pem = |kind: &str| format!("-----BEGIN {kind}-----\naGVsbG8=\n-----END {kind}-----\n");
    files.write_text("bad.pem", &pem("CERTIFICATE"));
    files.write_text("bad.key", &pem("PRIVATE KEY"));
    let with = |certificate: &str, key: &str| {
        let pair = edge::Certificate {
            certificate_file: files.path(certificate),
            key_file: files.path(key),
        };
        let error = load(&[good.clone(), pair]).expect_err("refused");
        format!("{error:#}").replace(&format!("{}/", files.directory.path().display()), "")
    };
    for (certificate, key, told) in [
        ("none.pem", "good.key", "`none.pem` cannot be read"),
        ("good.key", "good.key", "`good.key` holds no certificate"),
        ("good.pem", "none.key", "`none.key` cannot be read"),
        ("good.pem", "good.pem", "`good.pem` holds no private key in PEM"),
        (
            "good.pem",
            "bad.key",
            "`bad.key` cannot be used with the certificate in `good.pem`",
        ),
        (
            "good.pem",
            "other.key",
            "`other.key` cannot be used with the certificate in `good.pem`",
        ),
        ("bad.pem", "other.key", "bad.pem"),
    ] {
        let error = with(certificate, key);
        assert!(error.contains(told), "{certificate}, {key}: {error}");
        assert!(!error.contains("aGVsbG8"), "{error}");
    }
    fs::set_permissions(&other.key_file, fs::Permissions::from_mode(0o644)).expect("set");
    let error = load(&[other]).expect_err("refused");
    assert!(
        format!("{error:#}").contains("may be read by every user"),
        "{error:#}"
    );
}
